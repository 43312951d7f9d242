//! Piece boundaries and dress mean nothing: the same stream, cut and wrapped in any way, gives the same answer.

use proptest::prelude::*;

use crate::support::{Answer, Fixture, answer_of};

fn whole(fixture: &Fixture) -> Answer {
    answer_of([fixture.bytes.as_slice()])
}

#[test]
fn a_stream_that_arrives_byte_by_byte_gives_the_same_answer() {
    for fixture in Fixture::all() {
        assert_eq!(answer_of(fixture.bytes.chunks(1)), whole(&fixture), "{}", fixture.name);
    }
}

#[test]
fn a_stream_cut_in_two_anywhere_gives_the_same_answer() {
    for name in ["new_conversation", "unknown_kinds"] {
        let fixture = Fixture::read(name);
        let expected = whole(&fixture);
        for cut in 0..=fixture.bytes.len() {
            let (head, tail) = fixture.bytes.split_at(cut);
            assert_eq!(answer_of([head, tail]), expected, "{name} cut at byte {cut}");
        }
    }
}

/// The ways in which the same objects have been seen, or are allowed for.
#[test]
fn the_dress_of_the_objects_does_not_matter() {
    for fixture in Fixture::all().iter().filter(|fixture| fixture.name != "unknown_kinds") {
        let expected = whole(fixture);
        let lines = fixture.lines();
        let dressed = [
            ("glued", lines.concat()),
            ("carriage returns", lines.iter().map(|line| format!("{line}\r\n")).collect()),
            ("blank lines", lines.iter().map(|line| format!("\n\n{line}\n \t\n")).collect()),
            ("events", lines.iter().map(|line| format!("event: message\nid: 1\ndata: {line}\n\n")).collect()),
            ("events without space", lines.iter().map(|line| format!(": hello\ndata:{line}\r\n\r\n")).collect()),
            (
                "events with end",
                lines.iter().map(|line| format!("data: {line}\n\n")).collect::<String>() + "data: [DONE]\n\n",
            ),
            ("no last newline", lines.join("\n")),
        ];
        for (dress, text) in dressed {
            assert_eq!(answer_of([text.as_bytes()]), expected, "{}: {dress}", fixture.name);
        }
    }
}

#[test]
fn a_broken_line_costs_itself_alone() {
    let fixture = Fixture::read("new_conversation");
    let expected = whole(&fixture);
    let garbage = ["<html>", "{\"result\":{\"resp", "nonsense", "\"", "}}}}", "{\"a\":\"b\\"];
    let lines = fixture.lines();
    for (index, broken) in garbage.iter().cycle().take(lines.len()).enumerate() {
        let mut lines = lines.clone();
        lines.insert(index, broken);
        let answer = answer_of([lines.join("\n").as_bytes()]);
        assert_eq!(answer.skipped, 1, "{broken} before line {index}");
        assert_eq!(answer.shown, expected.shown, "{broken} before line {index}");
        assert_eq!(answer.ending, expected.ending, "{broken} before line {index}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_cuts_of_any_fixture_give_the_same_answer(which in any::<prop::sample::Index>(), lengths in prop::collection::vec(1usize..600, 1..40)) {
        let fixtures = Fixture::all();
        let fixture = which.get(&fixtures);
        let mut pieces = Vec::new();
        let mut rest = fixture.bytes.as_slice();
        for length in lengths.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, behind) = rest.split_at((*length).min(rest.len()));
            pieces.push(piece);
            rest = behind;
        }
        prop_assert_eq!(answer_of(pieces), whole(fixture), "{}", fixture.name);
    }
}
