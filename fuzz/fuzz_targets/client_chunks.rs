//! What clients read: whatever goes in, the stream is server-sent events that hold JSON, and gives the text back.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::openai::{ChunkMeta, ChunkWriter, CompletionBuilder, ErrorObject, ReasoningFormat, Usage};
use protocol::translate::ChatEvent;
use serde_json::Value;

fuzz_target!(|input: (bool, bool, &str, &str, Vec<(bool, &str)>)| {
    let (in_tags, with_usage, id, model, pieces) = input;
    let reasoning = if in_tags { ReasoningFormat::ThinkTags } else { ReasoningFormat::ReasoningContent };
    let meta = ChunkMeta { id, model, created: 1_790_000_000, conversation_id: model, reasoning };
    let (mut writer, mut whole, mut out) = (ChunkWriter::new(&meta), CompletionBuilder::new(), Vec::new());
    writer.start(&mut out);
    let (mut text, mut thoughts) = (String::new(), String::new());
    for (is_thought, piece) in &pieces {
        let event = if *is_thought { ChatEvent::Reasoning(piece) } else { ChatEvent::Text(piece) };
        if *is_thought { &mut thoughts } else { &mut text }.push_str(piece);
        writer.event(&event, &mut out);
        out.extend_from_slice(ChunkWriter::KEEP_ALIVE);
        whole.event(&event);
    }
    let usage = Usage::default();
    writer.finish("stop", with_usage.then_some(&usage), &mut out);
    let error = ErrorObject { message: id, kind: model, param: Some(id), code: None, request_id: model };
    writer.error(&error, &mut out);
    out.extend_from_slice(ChunkWriter::DONE);

    let chunks = read_events(&out);
    let delta = |name: &str| -> String {
        chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"][name].as_str()).collect()
    };
    let content = delta("content");
    let completion: Value = serde_json::from_slice(&whole.finish(&meta, "stop", &usage)).expect("JSON");
    let message = &completion["choices"][0]["message"];
    assert_eq!(message["content"].as_str(), Some(content.as_str()), "streamed and whole are the same");
    if in_tags {
        let without_tags = |text: &str| text.replace("<think>\n", "").replace("\n</think>\n\n", "");
        let all: String = pieces.iter().map(|(_, piece)| *piece).collect();
        if !all.contains("think>") && !all.contains('<') && !all.contains('>') {
            assert_eq!(without_tags(&content), all);
        }
    } else {
        assert_eq!((content, delta("reasoning_content")), (text, thoughts));
    }
    let named = |chunk: &&Value| chunk.get("error").is_none();
    assert!(chunks.iter().filter(named).all(|chunk| chunk["id"] == id && chunk["model"] == model));
    assert_eq!(chunks.last().map(|chunk| &chunk["error"]["message"]), Some(&Value::from(id)));
});

/// Reads the stream as the standard says: lines, fields, an empty line ends an event.
fn read_events(stream: &[u8]) -> Vec<Value> {
    let stream = std::str::from_utf8(stream).expect("UTF-8");
    assert!(!stream.contains('\r'), "a lone carriage return ends a line too");
    let (mut events, mut data, mut is_done) = (Vec::new(), String::new(), false);
    for line in stream.split('\n') {
        if let Some(value) = line.strip_prefix("data: ") {
            assert!(data.is_empty(), "one line of data per event");
            data = value.to_owned();
        } else if line.is_empty() {
            match std::mem::take(&mut data).as_str() {
                "" => {}
                "[DONE]" => is_done = true,
                json => events.push(serde_json::from_str(json).expect("JSON")),
            }
        } else {
            assert!(line.starts_with(':'), "neither data nor comment: {line:?}");
        }
    }
    assert!(is_done && data.is_empty());
    events
}
