//! Text with markup, whole and cut into single characters: no panic, and the cuts do not matter.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::markup::{MarkupEvent, MarkupScanner};

fuzz_target!(|text: &str| {
    let mut buffer = [0; 4];
    let characters: Vec<String> = text.chars().map(|character| character.encode_utf8(&mut buffer).to_owned()).collect();
    protocol_fuzz::hold(text.len(), 60, || assert_eq!(scan(characters.iter().map(String::as_str)), scan([text])));
});

/// What was found, with neighbouring texts joined.
fn scan<'a>(pieces: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut is_text = false;
    let mut take = |event: MarkupEvent<'_>| match event {
        MarkupEvent::Text(text) | MarkupEvent::ArtifactText(text) => match found.last_mut() {
            Some(last) if is_text => last.push_str(text),
            _ => {
                found.push(text.to_owned());
                is_text = true;
            }
        },
        other => {
            found.push(format!("{other:?}"));
            is_text = false;
        }
    };
    let mut scanner = MarkupScanner::new();
    for piece in pieces {
        scanner.push(piece, &mut take);
    }
    scanner.finish(&mut take);
    found
}
