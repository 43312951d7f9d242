use proptest::prelude::*;

use super::{FrameSplitter, FrameTooLong};

const LIMIT_BYTES: usize = 4096;

/// Feeds pieces and returns the objects and how many lines were skipped.
fn split(pieces: &[&[u8]]) -> (Vec<String>, u64) {
    let mut splitter = FrameSplitter::new(LIMIT_BYTES);
    let mut frames = Vec::new();
    for piece in pieces {
        splitter.push(piece, |frame| frames.push(frame.to_owned())).expect("no test object reaches the limit");
    }
    splitter.finish(|frame| frames.push(frame.to_owned()));
    (frames, splitter.skipped())
}

fn whole(text: &str) -> (Vec<String>, u64) {
    split(&[text.as_bytes()])
}

fn frames(objects: &[&str], skipped: u64) -> (Vec<String>, u64) {
    (objects.iter().map(|object| (*object).to_owned()).collect(), skipped)
}

#[test]
fn objects_are_found_with_and_without_newlines() {
    let expected = frames(&[r#"{"a":1}"#, r#"{"b":{"c":"}{"}}"#], 0);
    for text in [
        "{\"a\":1}\n{\"b\":{\"c\":\"}{\"}}\n",
        "{\"a\":1}\n{\"b\":{\"c\":\"}{\"}}",
        "{\"a\":1}{\"b\":{\"c\":\"}{\"}}",
        "{\"a\":1} \t{\"b\":{\"c\":\"}{\"}} ",
        "{\"a\":1}\r\n\r\n{\"b\":{\"c\":\"}{\"}}\r\n",
        "\n\n  {\"a\":1}\n\n{\"b\":{\"c\":\"}{\"}}\n\n",
    ] {
        assert_eq!(whole(text), expected, "{text:?}");
    }
}

#[test]
fn quotes_and_braces_inside_strings_end_nothing() {
    for object in [r#"{"a":"\\"}"#, r#"{"a":"é\"}{\""}"#, r#"{"a":"\\\"}","b":"\u007d"}"#, r#"{"a\"":{"b":"\\\\"}}"#] {
        assert_eq!(whole(&format!("{object}{object}\n{object}")), frames(&[object; 3], 0));
    }
}

#[test]
fn server_sent_event_dress_is_taken_off_and_is_no_damage() {
    let text =
        ": hello {\"x\":1}\nevent: message\nid: 7\nretry: 10\ndata: {\"a\":1}\ndata:{\"b\":2}\r\ndata:\ndata: [DONE]\n";
    assert_eq!(whole(text), frames(&[r#"{"a":1}"#, r#"{"b":2}"#], 0));
}

#[test]
fn an_object_is_handed_over_when_its_last_byte_is_here() {
    let mut splitter = FrameSplitter::new(LIMIT_BYTES);
    let mut count = 0;
    splitter.push(b"{\"a\":1", |_| count += 1).expect("short");
    assert_eq!(count, 0);
    let mut count = 0;
    splitter.push(b"}", |_| count += 1).expect("short");
    assert_eq!(count, 1, "no newline is waited for");
}

#[test]
fn something_broken_ends_at_its_newline() {
    let good = r#"{"a":1}"#;
    for broken in [
        "<html>{\"x\":1}",
        "{\"cut\":",
        "{\"open string",
        "{\"open escape\\",
        "[1,2]",
        "}",
        "{\"a\":1}junk{\"b\":2}",
        "eve",
        "\"{}\"",
        "data",
    ] {
        let (found, skipped) = whole(&format!("{good}\n{broken}\n{good}"));
        assert_eq!(found.first().map(String::as_str), Some(good), "{broken}");
        assert_eq!(found.last().map(String::as_str), Some(good), "{broken}");
        assert!(found.iter().all(|frame| frame == good), "{broken}: {found:?}");
        // `junk` behind an object is a line of its own that is skipped.
        assert_eq!(skipped, 1, "{broken}");
    }
}

#[test]
fn half_an_object_at_the_end_is_skipped() {
    assert_eq!(whole("{\"a\":1}\n{\"b\":"), frames(&[r#"{"a":1}"#], 1));
    assert_eq!(whole("{\"a\":1}\n<htm"), frames(&[r#"{"a":1}"#], 1));
}

#[test]
fn what_is_not_utf_8_is_skipped() {
    let (found, skipped) = split(&[b"{\"a\":\"\xff\"}\n{\"b\":2}\n"]);
    assert_eq!((found, skipped), frames(&[r#"{"b":2}"#], 1));
}

#[test]
fn an_object_beyond_the_limit_is_refused_and_the_next_line_is_read() {
    let long = format!("{{\"a\":\"{}\"}}\n", "x".repeat(100));
    for piece_length in [1, 7, 1000] {
        let mut splitter = FrameSplitter::new(50);
        let mut found = Vec::new();
        let refused = long.as_bytes().chunks(piece_length).any(|piece| {
            splitter.push(piece, |frame| found.push(frame.to_owned())) == Err(FrameTooLong { limit_bytes: 50 })
        });
        assert!(refused);
        // The rest of the line that was being read when it happened may be lost with its piece.
        splitter.push(b"\n{\"b\":2}\n", |frame| found.push(frame.to_owned())).expect("short");
        assert_eq!(found, [r#"{"b":2}"#], "pieces of {piece_length}");
    }
    let mut splitter = FrameSplitter::new(7);
    assert_eq!(splitter.push(br#"{"a":1}"#, |_| {}), Ok(()), "as long as the limit is not too long");
    assert_eq!(splitter.push(br#"{"a":12"#, |_| {}), Ok(()));
    splitter.finish(|frame| panic!("{frame} is half an object"));
    assert_eq!(splitter.skipped(), 1);
}

/// Lines as an upstream, a proxy or an attacker may send them.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "\\PC{0,12}".prop_map(|text| serde_json::json!({"result": {"token": text, "n": {"d": [1, "}{"]}}}).to_string()),
        1 => "[ -~]{0,12}",
        1 => Just("data: {\"a\":\"é\\\"}\"}".to_owned()),
        1 => Just("{\"a\":1}{\"b\":2}".to_owned()),
        1 => Just("{\"a\":\"\\\\\"}".to_owned()),
        1 => Just(": comment".to_owned()),
        1 => Just("{\"broken".to_owned()),
    ]
}

proptest! {
    #[test]
    fn cuts_change_nothing(
        lines in prop::collection::vec((line(), prop::sample::select(vec!["\n", "\r\n", "\n\n", ""])), 0..8),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..24),
    ) {
        let text: String = lines.iter().map(|(line, end)| format!("{line}{end}")).collect();
        let bytes = text.as_bytes();
        let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        places.extend([0, bytes.len()]);
        places.sort_unstable();
        let pieces: Vec<_> = places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        prop_assert_eq!(split(&pieces), split(&[bytes]));
        let single: Vec<_> = bytes.chunks(1).collect();
        prop_assert_eq!(split(&single), split(&[bytes]));
    }
}
