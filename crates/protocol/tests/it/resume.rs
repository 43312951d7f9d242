//! A stream that breaks off, and the replay that follows.

use protocol::translate::{Ending, Translator};

use crate::support::{Answer, Fixture, Shown, Stream, answer_of};

/// Reads `first` bytes of a fixture, loses the connection, and reads the whole of it again.
fn broken_at(fixture: &Fixture, first: usize) -> Answer {
    let mut before = Stream::new();
    before.feed(&fixture.bytes[..first]);
    before.close();
    let mut after = Stream::with(Translator::resume(before.translator));
    after.shown = before.shown;
    after.feed(&fixture.bytes);
    after.end()
}

#[test]
fn a_replay_after_a_cut_at_any_line_continues_without_gap_or_repetition() {
    for fixture in Fixture::all() {
        let whole = answer_of([fixture.bytes.as_slice()]);
        if matches!(whole.ending, Ending::Failed(_)) {
            // A failure is not a cut; nothing is replayed after it.
            continue;
        }
        let mut position = 0;
        for line in fixture.lines() {
            position = (position + line.len() + 1).min(fixture.bytes.len());
            let answer = broken_at(&fixture, position);
            assert_eq!(answer.text(), whole.text(), "{} cut behind byte {position}", fixture.name);
            assert_eq!(answer.reasoning(), whole.reasoning(), "{} cut behind byte {position}", fixture.name);
            assert_eq!(answer.ending, whole.ending, "{} cut behind byte {position}", fixture.name);
        }
    }
}

#[test]
fn a_replay_that_says_something_else_adds_nothing_and_is_no_whole_answer() {
    let mut before = Stream::new();
    before.feed(&Fixture::read("cut_with_text").bytes);
    before.close();
    let mut after = Stream::with(Translator::resume(before.translator));
    after.feed(&Fixture::read("continued_conversation").bytes);
    let shown = after.shown.clone();
    let mut translator = after.translator;
    let mut late = Vec::new();
    let ending = translator.finish(&mut |event| late.push(Shown::from(event)));
    assert_eq!((shown, late), (Vec::new(), Vec::new()));
    assert_eq!(ending, Ending::Truncated);
    assert_eq!(translator.text(), "Half an answ");
}
