//! An upstream stream, whole and cut: no panic, and the cut does not matter.
//!
//! Seeds: `cargo fuzz run --sanitizer none frame_and_decode corpus/frame_and_decode ../crates/protocol/fixtures`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::frame::FrameSplitter;
use protocol::rest;
use protocol::translate::{ChatEvent, Ending, RenderOptions, Translator};

const FRAME_LIMIT_BYTES: usize = 1 << 20;

fuzz_target!(|stream: &[u8]| {
    let whole = protocol_fuzz::hold(stream.len(), 400, || answer([stream, &[]]));
    // The first byte chooses the cut.
    let cut = stream.first().map_or(0, |&byte| usize::from(byte) * stream.len() / 256);
    let (head, tail) = stream.split_at(cut);
    assert_eq!(answer([head, tail]), whole);
});

fn answer(pieces: [&[u8]; 2]) -> (String, String, Ending) {
    let mut splitter = FrameSplitter::new(FRAME_LIMIT_BYTES);
    let options = RenderOptions {
        show_thinking: true,
        show_search: true,
        assets_url: "https://assets.test".to_owned(),
        image_links: None,
    };
    let mut translator = Translator::new(options);
    let (mut text, mut reasoning) = (String::new(), String::new());
    let mut out = |event: ChatEvent<'_>| match event {
        ChatEvent::Text(piece) => text.push_str(piece),
        ChatEvent::Reasoning(piece) => reasoning.push_str(piece),
    };
    for piece in pieces {
        // A frame beyond the limit is an ordinary outcome; what follows it is read on.
        let _ = splitter.push(piece, |frame| rest::decode(frame, |event| translator.event(event, &mut out)));
    }
    splitter.finish(|frame| rest::decode(frame, |event| translator.event(event, &mut out)));
    let ending = translator.finish(&mut out);
    assert_eq!(translator.text(), text);
    (text, reasoning, ending)
}
