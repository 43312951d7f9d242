//! What one streamed token costs, from the upstream's bytes to the client's:
//! `cargo run --release -p protocol --example token_cost`.

#![expect(clippy::print_stdout, reason = "the figures are what it is run for")]

use std::hint::black_box;
use std::time::Instant;

use protocol::frame::FrameSplitter;
use protocol::model::Mode;
use protocol::openai::{ChunkMeta, ChunkWriter, ReasoningFormat};
use protocol::rest;
use protocol::socket::{Session, SessionIds};
use protocol::translate::{RenderOptions, Translator};
use protocol::turn::TurnRequest;

const TOKENS: usize = 1_000;
const ROUNDS: usize = 300;
/// What one read of a busy connection brings.
const READ_BYTES: usize = 16 * 1024;

fn main() {
    let stream = stream();
    let messages = messages();
    println!("REST");
    report("splitting", || {
        let mut frames = 0;
        each_frame(&stream, |_| frames += 1);
        frames
    });
    report("splitting and decoding", || {
        let mut events = 0;
        each_frame(&stream, |frame| rest::decode(frame, |_| events += 1));
        events
    });
    report("all the way", || {
        let mut translator = Translator::new(RenderOptions::default());
        let mut writer = ChunkWriter::new(&META);
        let mut out = Vec::new();
        let mut written = 0;
        each_frame(&stream, |frame| {
            rest::decode(frame, |event| translator.event(event, &mut |event| writer.event(&event, &mut out)));
            if out.len() > READ_BYTES {
                written += out.len();
                out.clear();
            }
        });
        written + out.len()
    });
    println!("WebSocket");
    report("decoding", || {
        let mut session = session();
        let mut events = 0;
        for message in &messages {
            session.receive(message.as_bytes(), &mut |_| events += 1);
        }
        events
    });
    report("all the way", || {
        let mut session = session();
        let mut translator = Translator::new(RenderOptions::default());
        let mut writer = ChunkWriter::new(&META);
        let mut out = Vec::new();
        let mut written = 0;
        for message in &messages {
            session.receive(message.as_bytes(), &mut |event| {
                translator.event(event, &mut |event| writer.event(&event, &mut out));
            });
            if out.len() > READ_BYTES {
                written += out.len();
                out.clear();
            }
        }
        written + out.len()
    });
}

const META: ChunkMeta<'_> = ChunkMeta {
    id: "chatcmpl-0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000",
    model: "grok-4.2",
    created: 1_790_000_000,
    conversation_id: "conv-0199aaaabbbb7ccc8dddeeeeffff0000",
    reasoning: ReasoningFormat::ThinkTags,
};

const WORDS: [&str; 7] = ["the ", "quick ", "brown ", "\\\"fox\\\"", "\\n", " jumps", " über"];

fn stream() -> Vec<u8> {
    let token = |index: usize| {
        let word = WORDS[index % 7];
        format!(
            "{{\"result\":{{\"response\":{{\"token\":\"{word}\",\"isThinking\":false,\"isSoftStop\":false,\"messageTag\":\"final\",\
             \"responseId\":\"b2d9f8e3-1a46-4c9f-8d2e-3f4a5b6c7d8e\"}}}}}}\n"
        )
    };
    (0..TOKENS).flat_map(|index| token(index).into_bytes()).collect()
}

/// The same tokens as messages of the WebSocket, behind the opening of a session.
fn messages() -> Vec<String> {
    const SESSION: &str = "3b0c6a5e-18b7-4f0c-8f4e-6f5d8a1b2c3d";
    const ANSWER: &str = "b2d9f8e3-1a46-4c9f-8d2e-3f4a5b6c7d8e";
    let event = |event: &str| format!("{{\"session_id\":\"{SESSION}\",\"event\":{{\"type\":{event}}}}}");
    let mut messages = vec![
        event("\"session.created\""),
        event(&format!("\"conversation.attached\",\"conversation\":{{\"id\":\"{SESSION}\"}}")),
        event(&format!("\"response.created\",\"response\":{{\"id\":\"{ANSWER}\"}}")),
    ];
    messages.extend((0..TOKENS).map(|index| {
        let word = WORDS[index % 7];
        event(&format!(
            "\"response.chunk\",\"event_id\":\"evt_00112233445566778899aabbccddeeff_{index}\",\"response_id\":\"{ANSWER}\",\
             \"item_id\":\"{ANSWER}\",\"chunk\":{{\"metadata\":{{\"step_id\":0,\"phase_index\":1}},\"text\":{{\"text\":\"{word}\",\
             \"channel\":\"CHANNEL_ASSISTANT_RESPONSE\"}}}}"
        ))
    }));
    messages
}

fn session() -> Session {
    let mode = Mode::Id("auto".into());
    let turn = TurnRequest::new("a question", &mode);
    let id = || "evt_0".to_owned();
    let ids = SessionIds { init_event: id(), message_event: id(), response_event: id(), client_message: id() };
    Session::new(&turn, ids)
}

fn each_frame(stream: &[u8], mut frame: impl FnMut(&str)) {
    let mut splitter = FrameSplitter::new(1 << 20);
    for read in stream.chunks(READ_BYTES) {
        splitter.push(read, &mut frame).expect("these frames are short");
    }
    splitter.finish(frame);
}

/// The fastest round is the one that nothing else disturbed.
fn report<T>(name: &str, mut work: impl FnMut() -> T) {
    let mut fastest = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        black_box(work());
        fastest = fastest.min(start.elapsed().as_secs_f64());
    }
    println!("{name}: {:.0} ns per token", fastest * 1e9 / TOKENS as f64);
}
