//! In what a question that comes back differs from how it was asked. Only hashes are kept of that, so small changes are tried out:
//! the one after which the hashes are equal is what a client did.

use super::{Hash, Lines, UserSide, normalise, question_hash};
use crate::steps;

/// Changes of one kind that are tried at most.
const TRIES: usize = 400;

/// Bytes that are hashed at most for the tries of one kind: every try costs the whole text.
const TRIED_BYTES: usize = 2 * 1024 * 1024;

/// In what a question differs from how it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// One line break more.
    LineBreakMore,
    /// One line break fewer.
    LineBreakFewer,
    /// Other white space within lines.
    Spaces,
    /// One character more.
    CharacterMore,
    /// Images came with it that were not there, or no longer those that were.
    Images,
    /// Whole lines: so many are new, so many are gone.
    Lines {
        /// Lines that were not asked.
        added: usize,
        /// Lines that were asked and are not there.
        missing: usize,
    },
}

impl UserSide {
    /// In what this differs from the question with this hash and these lines.
    #[must_use]
    pub fn difference(&self, asked: &Hash, lines: &Lines) -> Difference {
        let normal = normalise(&self.text);
        let is_asked = |text: &str| question_hash(&normalise(text), &self.images) == *asked;
        if !self.images.is_empty() && question_hash(&normal, &[]) == *asked {
            return Difference::Images;
        }
        let tries = TRIES.min(TRIED_BYTES / (normal.len() + 1));
        let places = |wanted: fn(char) -> bool| {
            steps::add(normal.len());
            let found = normal.char_indices().filter(move |(_, character)| wanted(*character));
            found.take(tries).map(|(at, character)| (at, at + character.len_utf8()))
        };
        let with =
            |(start, end): (usize, usize), instead: &str| format!("{}{instead}{}", &normal[..start], &normal[end..]);
        if places(|character| character == '\n').any(|place| is_asked(&with(place, " ")) || is_asked(&with(place, "")))
        {
            return Difference::LineBreakMore;
        }
        if places(|character| character == ' ').any(|place| is_asked(&with(place, "\n"))) {
            return Difference::LineBreakFewer;
        }
        let collapsed = normal.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        if is_asked(&collapsed.collect::<Vec<_>>().join("\n")) {
            return Difference::Spaces;
        }
        if places(|_| true).any(|place| is_asked(&with(place, ""))) {
            return Difference::CharacterMore;
        }
        match (self.lines.missing_in(lines), lines.missing_in(&self.lines)) {
            // The same lines in another order, or more often.
            (0, 0) => Difference::Lines { added: 1, missing: 1 },
            (added, missing) => Difference::Lines { added, missing },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(now: &str, asked: &str) -> Difference {
        let asked = UserSide::new(asked.to_owned(), Vec::new());
        UserSide::new(now.to_owned(), Vec::new()).difference(&asked.hash, &asked.lines)
    }

    #[test]
    fn small_changes_are_told_by_their_name() {
        for (now, asked, expected) in [
            ("one\ntwo three", "one two three", Difference::LineBreakMore),
            ("one\ntwo", "onetwo", Difference::LineBreakMore),
            ("one two three", "one\ntwo three", Difference::LineBreakFewer),
            ("one  two   three", "one two three", Difference::Spaces),
            ("one two!", "one two", Difference::CharacterMore),
            ("üne two", "ne two", Difference::CharacterMore),
            ("one\ntwo\nthree", "one", Difference::Lines { added: 2, missing: 0 }),
            ("one", "one\ntwo\nthree", Difference::Lines { added: 0, missing: 2 }),
            ("one\ntwo", "something else", Difference::Lines { added: 2, missing: 1 }),
            ("b\na", "a\nb", Difference::Lines { added: 1, missing: 1 }),
            ("", "one", Difference::Lines { added: 0, missing: 1 }),
        ] {
            assert_eq!(difference(now, asked), expected, "{now:?} for {asked:?}");
        }
    }

    #[test]
    fn a_long_question_is_tried_less_often() {
        for length in [64 * 1024, 1024 * 1024] {
            let now = "a b\n".repeat(length / 4);
            let steps = steps::counted(|| difference(&now, "c")).1;
            assert!(steps < 30_000_000 + 20 * length as u64, "{steps} for {length}");
        }
    }
}
