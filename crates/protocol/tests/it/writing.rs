//! The bytes a client gets: every event is JSON as serde writes it, one kind of thing per chunk, and the chunks add up to the
//! whole answer.

use proptest::prelude::*;
use protocol::openai::{ChunkMeta, ChunkWriter, CompletionBuilder, ErrorObject, ReasoningFormat, Usage};
use protocol::translate::ChatEvent;
use serde_json::{Value, json};

use crate::support::{Fixture, Shown, answer_of};

const FORMATS: [ReasoningFormat; 2] = [ReasoningFormat::ThinkTags, ReasoningFormat::ReasoningContent];
const USAGE: Usage = Usage { prompt_tokens: 3, completion_tokens: 5, reasoning_tokens: 2 };

fn meta(reasoning: ReasoningFormat) -> ChunkMeta<'static> {
    ChunkMeta { id: "chat\"1", model: "grok \\ 4", created: 1_790_000_000, conversation_id: "conv-\u{1}", reasoning }
}

/// The data of every event; fails on anything that strict readers of server-sent events trip over.
fn events(bytes: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(bytes).unwrap();
    let mut blocks: Vec<_> = text.split("\n\n").collect();
    assert_eq!(blocks.pop(), Some(""), "the last event is closed");
    blocks
        .into_iter()
        .map(|block| {
            assert!(!block.contains('\n') && !block.contains('\r'), "one line per event: {block:?}");
            block.strip_prefix("data: ").expect("an event with data").to_owned()
        })
        .collect()
}

fn stream(shown: &[Shown], format: ReasoningFormat, usage: Option<&Usage>) -> Vec<Value> {
    let mut out = Vec::new();
    let mut writer = ChunkWriter::new(&meta(format));
    writer.start(&mut out);
    for event in shown {
        writer.event(&event.as_event(), &mut out);
    }
    writer.finish("stop", usage, &mut out);
    events(&out).iter().map(|data| serde_json::from_str(data).unwrap()).collect()
}

fn completion(shown: &[Shown], format: ReasoningFormat) -> Value {
    let mut builder = CompletionBuilder::new();
    for event in shown {
        builder.event(&event.as_event());
    }
    serde_json::from_slice(&builder.finish(&meta(format), "stop", &USAGE)).unwrap()
}

fn joined(chunks: &[Value], member: &str) -> String {
    chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"][member].as_str()).collect()
}

/// What must hold for every stream of chunks.
fn check(shown: &[Shown], format: ReasoningFormat) {
    let chunks = stream(shown, format, None);
    for chunk in &chunks {
        assert_eq!(chunk["object"], "chat.completion.chunk");
        assert_eq!(
            (&chunk["id"], &chunk["model"], &chunk["created"], &chunk["conversation_id"]),
            (&json!("chat\"1"), &json!("grok \\ 4"), &json!(1_790_000_000), &json!("conv-\u{1}"))
        );
        let choice = chunk["choices"][0].as_object().unwrap();
        assert!(choice.contains_key("finish_reason") && choice.contains_key("logprobs"), "schemas want both: {chunk}");
        let kinds: Vec<_> = chunk["choices"][0]["delta"].as_object().unwrap().keys().map(String::as_str).collect();
        assert!(
            matches!(kinds[..], [] | ["content"] | ["reasoning_content"] | ["content", "role"]),
            "one kind per chunk: {chunk}"
        );
    }
    let (first, rest) = chunks.split_first().unwrap();
    let (last, middle) = rest.split_last().unwrap();
    assert_eq!(first["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
    assert_eq!((&last["choices"][0]["delta"], &last["choices"][0]["finish_reason"]), (&json!({}), &json!("stop")));
    for chunk in middle {
        assert!(chunk["choices"][0]["finish_reason"].is_null());
        let content = chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default();
        assert!(!(content.contains("<think>\n") && content.contains("\n</think>")), "both think tags in one chunk");
    }

    let message = &completion(shown, format)["choices"][0]["message"];
    assert_eq!(message["content"], json!(joined(&chunks, "content")), "the whole answer is the sum of the chunks");
    assert_eq!(message["reasoning_content"].as_str().unwrap_or_default(), joined(&chunks, "reasoning_content"));
}

#[test]
fn the_chunks_of_every_fixture_add_up_to_its_whole_answer() {
    for fixture in Fixture::all() {
        let answer = answer_of([fixture.bytes.as_slice()]);
        for format in FORMATS {
            check(&answer.shown, format);
        }
    }
}

fn any_shown() -> impl Strategy<Value = Vec<Shown>> {
    let event = prop_oneof![any::<String>().prop_map(Shown::Text), any::<String>().prop_map(Shown::Reasoning)];
    prop::collection::vec(event, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_events_in_any_order_make_good_chunks(shown in any_shown()) {
        for format in FORMATS {
            check(&shown, format);
        }
    }

    #[test]
    fn a_delta_is_written_as_serde_writes_it(text in any::<String>().prop_filter("empty pieces are not written", |text| !text.is_empty())) {
        let mut out = Vec::new();
        ChunkWriter::new(&meta(ReasoningFormat::ThinkTags)).event(&ChatEvent::Text(&text), &mut out);
        let mut expected = json!({"content": text}).to_string();
        expected.insert_str(0, "\"delta\":");
        let data = events(&out).remove(0);
        prop_assert!(data.contains(&expected), "{data} has no {expected}");
    }
}

#[test]
fn thinking_is_closed_before_text_and_before_the_end() {
    let thought = |text: &str| Shown::Reasoning(text.to_owned());
    let text = |text: &str| Shown::Text(text.to_owned());
    let contents = |shown: &[Shown]| joined(&stream(shown, ReasoningFormat::ThinkTags, None), "content");
    assert_eq!(contents(&[thought("a"), thought("b"), text("c")]), "<think>\nab\n</think>\n\nc");
    assert_eq!(contents(&[thought("a")]), "<think>\na\n</think>\n\n");
    assert_eq!(contents(&[text("c"), text("")]), "c");
    assert_eq!(contents(&[]), "");
}

#[test]
fn usage_comes_in_a_chunk_of_its_own_without_choices() {
    let chunks = stream(&[], ReasoningFormat::ThinkTags, Some(&USAGE));
    let (usage, before) = chunks.split_last().unwrap();
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(
        usage["usage"],
        json!({
            "prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8,
            "prompt_tokens_details": {"cached_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 2}, "estimated": true,
        })
    );
    assert!(before.iter().all(|chunk| chunk.get("usage").is_none()));
    assert_eq!(completion(&[], ReasoningFormat::ThinkTags)["usage"], usage["usage"]);
}

#[test]
fn a_whole_answer_has_every_member_that_schemas_want() {
    let body = completion(&[Shown::Text("hi".to_owned())], ReasoningFormat::ThinkTags);
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["conversation_id"], "conv-\u{1}");
    assert_eq!(
        body["choices"],
        json!([{
            "index": 0, "logprobs": null, "finish_reason": "stop",
            "message": {"role": "assistant", "content": "hi", "refusal": null},
        }])
    );
}

#[test]
fn an_error_is_told_twice_and_ends_a_stream_without_the_end_mark() {
    let error = ErrorObject {
        message: "no \"luck\"\n",
        kind: "server_error",
        param: None,
        code: Some("upstream_cut"),
        request_id: "req-1",
    };
    let object = json!({
        "message": "no \"luck\"\n", "type": "server_error", "param": null, "code": "upstream_cut", "request_id": "req-1",
    });
    let expected = json!({"error": object, "detail": {"error": object}});
    assert_eq!(serde_json::from_slice::<Value>(&error.body()).unwrap(), expected);
    let mut out = Vec::new();
    ChunkWriter::new(&meta(ReasoningFormat::ThinkTags)).error(&error, &mut out);
    let written = events(&out);
    assert_eq!(written.len(), 1);
    assert_eq!(serde_json::from_str::<Value>(&written[0]).unwrap(), expected);
}

#[test]
fn the_constant_pieces_are_what_clients_pass_over_or_stop_at() {
    assert_eq!(ChunkWriter::DONE, b"data: [DONE]\n\n");
    assert_eq!(ChunkWriter::KEEP_ALIVE, b": keep-alive\n\n");
}
