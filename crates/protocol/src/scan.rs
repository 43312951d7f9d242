//! Searching in texts that others wrote.
//!
//! Whatever this crate looks for in such a text it finds through these functions, and `clippy.toml` forbids the others, because
//! these count the bytes that they examine (see [`crate::steps`]). A search that is repeated for every item of a text is the usual
//! way to read it in quadratic time; the counter shows it, whatever the machine is doing.
//!
//! [`Next`] is how a text is searched again and again in one pass: it remembers where it found something.

use memchr::memmem::{self, Finder};

use crate::steps;

/// Counts a search in `length` bytes that stopped at `found`.
fn counted(found: Option<usize>, length: usize) -> Option<usize> {
    steps::add(found.unwrap_or(length) + 1);
    found
}

/// Where `needle` begins.
pub(crate) fn find(text: &str, needle: &str) -> Option<usize> {
    counted(memmem::find(text.as_bytes(), needle.as_bytes()), text.len())
}

/// Where `needle` begins for the last time.
pub(crate) fn rfind(text: &str, needle: &str) -> Option<usize> {
    let found = memmem::rfind(text.as_bytes(), needle.as_bytes());
    counted(found.map(|found| text.len() - found), text.len());
    found
}

/// Where `byte` stands.
pub(crate) fn find_byte(text: &[u8], byte: u8) -> Option<usize> {
    counted(memchr::memchr(byte, text), text.len())
}

/// Where `byte` stands for the first time in a place that will do.
pub(crate) fn find_byte_where(text: &[u8], byte: u8, mut is_wanted: impl FnMut(usize) -> bool) -> Option<usize> {
    counted(memchr::memchr_iter(byte, text).find(|at| is_wanted(*at)), text.len())
}

/// Where one of three bytes stands.
pub(crate) fn find_byte_of(text: &[u8], [one, two, three]: [u8; 3]) -> Option<usize> {
    counted(memchr::memchr3(one, two, three, text), text.len())
}

/// Where the first character of a kind stands.
pub(crate) fn find_character(text: &str, is_wanted: impl FnMut(char) -> bool) -> Option<usize> {
    #[expect(clippy::disallowed_methods, reason = "counted here")]
    let found = text.find(is_wanted);
    counted(found, text.len())
}

/// Where `needle` begins for the first time in a place that will do.
pub(crate) fn find_where(text: &str, needle: &str, mut is_wanted: impl FnMut(usize) -> bool) -> Option<usize> {
    counted(memmem::find_iter(text.as_bytes(), needle).find(|at| is_wanted(*at)), text.len())
}

/// Whether `needle` stands in the text.
pub(crate) fn contains(text: &str, needle: &str) -> bool {
    find(text, needle).is_some()
}

/// What stands before and behind the first `needle`.
pub(crate) fn split_once<'t>(text: &'t str, needle: &str) -> Option<(&'t str, &'t str)> {
    find(text, needle).map(|at| (&text[..at], &text[at + needle.len()..]))
}

/// What stands before and behind the last `needle`.
pub(crate) fn rsplit_once<'t>(text: &'t str, needle: &str) -> Option<(&'t str, &'t str)> {
    rfind(text, needle).map(|at| (&text[..at], &text[at + needle.len()..]))
}

/// The next place of a needle, asked for again and again on the way through a text. All questions together cost one pass.
pub(crate) struct Next<'t> {
    text: &'t [u8],
    finder: Finder<'static>,
    /// The answer to the last question.
    found: Found,
}

#[derive(Clone, Copy)]
enum Found {
    At(usize),
    /// Not in the rest of the text.
    Nowhere,
}

impl<'t> Next<'t> {
    pub(crate) fn new(text: &'t str, needle: &'static str) -> Self {
        let mut next = Self { text: text.as_bytes(), finder: Finder::new(needle), found: Found::Nowhere };
        next.search(0);
        next
    }

    /// The first place at or behind `from`, which must not go back.
    pub(crate) fn at_or_behind(&mut self, from: usize) -> Option<usize> {
        if let Found::At(found) = self.found
            && found < from
        {
            self.search(from);
        }
        match self.found {
            Found::At(found) => Some(found),
            Found::Nowhere => None,
        }
    }

    fn search(&mut self, from: usize) {
        let rest = self.text.get(from..).unwrap_or_default();
        let found = counted(self.finder.find(rest), rest.len());
        self.found = found.map_or(Found::Nowhere, |found| Found::At(from + found));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remembered_place_is_the_one_that_a_search_would_find() {
        let text = "a](b\n](](c";
        let mut next = Next::new(text, "](");
        let places: Vec<_> = (0..=text.len()).map(|from| next.at_or_behind(from)).collect();
        let searched: Vec<_> = (0..=text.len()).map(|from| find(&text[from..], "](").map(|at| from + at)).collect();
        assert_eq!(places, searched);
        assert_eq!(Next::new("", "x").at_or_behind(0), None);
    }

    #[test]
    fn all_questions_together_cost_one_pass() {
        let text = "](".repeat(1_000) + &"x".repeat(10_000);
        let (_, steps) = steps::counted(|| {
            let mut next = Next::new(&text, "](");
            (0..text.len()).filter_map(|from| next.at_or_behind(from)).count()
        });
        assert!(steps <= 2 * text.len() as u64, "{steps}");
    }

    #[test]
    fn a_search_costs_what_it_looked_at() {
        assert_eq!(steps::counted(|| find("xxab", "ab")), (Some(2), 3));
        assert_eq!(steps::counted(|| find("xxxx", "ab")), (None, 5));
        assert_eq!(steps::counted(|| rfind("xxab", "ab")), (Some(2), 3));
        assert_eq!(rsplit_once("a/b/c", "/"), Some(("a/b", "c")));
        assert_eq!(split_once("a/b/c", "/"), Some(("a", "b/c")));
    }
}
