//! Characters that were cut in two. JSON writes a character beyond the first 65,536 as two escapes, and whoever cuts text by such
//! units can cut between them: the first half then ends one text and the second begins the next. A half alone is no character,
//! so JSON readers refuse the whole text that holds one.
//!
//! Nothing is looked for before a reader has refused something: [`mended`] then puts a replacement character (U+FFFD) in the place
//! of every half, without moving anything else. Where a piece of text begins or ends with a half, [`Halves`] keeps it, and a
//! [`Seam`] puts the character together when the next piece brings the other half.

use std::borrow::Cow;

use serde_json::Deserializer;
use serde_json::value::RawValue;

use crate::{scan, steps};

/// `\ud83d` and the like.
const ESCAPE: usize = 6;

/// JSON in which every half of a character is written as a replacement character; it is as long as before. `None`: there is none.
pub(crate) fn mended(json: &str) -> Option<String> {
    let mut mended: Option<Vec<u8>> = None;
    let bytes = json.as_bytes();
    let mut at = 0;
    while let Some(length) = scan::find_byte(&bytes[at..], b'\\') {
        at += length;
        let next = |at: usize| bytes.get(at..).and_then(half);
        at += match (next(at), next(at + ESCAPE)) {
            (Some(Half::First(_)), Some(Half::Second(_))) => 2 * ESCAPE,
            (Some(_), _) => {
                let mended = mended.get_or_insert_with(|| {
                    steps::add(bytes.len());
                    bytes.to_vec()
                });
                mended[at + 2..at + ESCAPE].copy_from_slice(b"fffd");
                ESCAPE
            }
            // What is escaped may be a backslash.
            (None, _) => 2.min(bytes.len() - at),
        };
    }
    mended.map(|mended| String::from_utf8(mended).expect("ASCII was replaced by ASCII"))
}

/// As [`mended`], for whoever has not tried to read it yet. What is no UTF-8 stays as it is.
pub fn mended_json(json: &[u8]) -> Cow<'_, [u8]> {
    match std::str::from_utf8(json).ok().and_then(mended) {
        Some(mended) => Cow::Owned(mended.into_bytes()),
        None => Cow::Borrowed(json),
    }
}

/// A JSON value, with its halves mended.
pub(crate) fn read_value(json: &str) -> Option<serde_json::Value> {
    serde_json::from_str(json).ok().or_else(|| serde_json::from_str(&mended(json)?).ok())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    First(u16),
    Second(u16),
}

/// The half whose escape stands at the beginning of this.
fn half(escape: &[u8]) -> Option<Half> {
    let [b'\\', b'u', digits @ ..] = escape.get(..ESCAPE)? else { return None };
    let unit = u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    match unit {
        0xd800..=0xdbff => Some(Half::First(unit)),
        0xdc00..=0xdfff => Some(Half::Second(unit)),
        _ => None,
    }
}

/// The halves at the edges of a piece of text. The piece holds a replacement character in the place of each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Halves {
    /// The second half of a character that the piece begins with.
    pub begins_with: Option<u16>,
    /// The first half of a character that the piece ends with.
    pub ends_with: Option<u16>,
}

/// JSON before and after it was mended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mending<'a> {
    pub(crate) original: &'a str,
    pub(crate) mended: &'a str,
}

impl<'a> Mending<'a> {
    /// A string of the mended JSON, and the halves that the original had at its edges.
    pub(crate) fn string(&self, value: &'a RawValue) -> Option<(Cow<'a, str>, Halves)> {
        let mut reader = Deserializer::from_str(value.get());
        let text = <Cow<'a, str> as serde::Deserialize>::deserialize(&mut reader).ok()?;
        Some((text, self.halves(value).unwrap_or_default()))
    }

    fn halves(&self, value: &RawValue) -> Option<Halves> {
        // The value was read out of the mended JSON, which is as long as the original.
        let start = (value.get().as_ptr() as usize).checked_sub(self.mended.as_ptr() as usize)?;
        let range = start + 1..(start + value.get().len()).checked_sub(1)?;
        let (original, mended) = (self.original.as_bytes().get(range.clone())?, self.mended.as_bytes().get(range)?);
        let last = original.len().checked_sub(ESCAPE)?;
        // Only what was mended was an escape: `\\ud83d` is a backslash and letters.
        let replaced =
            |at: usize| (original[at..at + ESCAPE] != mended[at..at + ESCAPE]).then(|| half(&original[at..]));
        Some(Halves {
            begins_with: replaced(0).flatten().and_then(|half| match half {
                Half::Second(unit) => Some(unit),
                Half::First(_) => None,
            }),
            ends_with: replaced(last).flatten().and_then(|half| match half {
                Half::First(unit) => Some(unit),
                Half::Second(_) => None,
            }),
        })
    }
}

/// Where the pieces of one text meet.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seam {
    /// The first half of a character, held back until the next piece.
    held: Option<u16>,
}

impl Seam {
    /// The next piece of the text, as far as it is known.
    pub(crate) fn join<'t>(&mut self, piece: &'t str, halves: Halves) -> Cow<'t, str> {
        if self.held.is_none() && halves.ends_with.is_none() {
            return Cow::Borrowed(piece);
        }
        let first = self.held.take();
        let mut rest = piece;
        let mut joined = String::with_capacity(piece.len() + 4);
        if let Some(first) = first {
            let whole = halves.begins_with.and_then(|second| char::decode_utf16([first, second]).next()?.ok());
            if whole.is_some() {
                rest = rest.strip_prefix(char::REPLACEMENT_CHARACTER).unwrap_or(rest);
            }
            joined.push(whole.unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        if halves.ends_with.is_some()
            && let Some(before) = rest.strip_suffix(char::REPLACEMENT_CHARACTER)
        {
            self.held = halves.ends_with;
            rest = before;
        }
        joined.push_str(rest);
        Cow::Owned(joined)
    }

    /// The text ends here: what stands for a half that was held back.
    pub(crate) fn end(&mut self) -> Option<&'static str> {
        self.held.take().map(|_| "\u{fffd}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_replaced_and_nothing_else_is() {
        for (json, expected) in [
            (r#""\ud83d""#, Some(r#""\ufffd""#)),
            (r#""\ude00""#, Some(r#""\ufffd""#)),
            (r#""\uD83D\uDE00""#, None),
            (r#""\ud83d\ud83d\ude00""#, Some(r#""\ufffd\ud83d\ude00""#)),
            (r#""\ude00\ud83d""#, Some(r#""\ufffd\ufffd""#)),
            (r#""a\ud83db\n""#, Some(r#""a\ufffdb\n""#)),
            (r#""\\ud83d""#, None),
            (r#""\\\ud83d""#, Some(r#""\\\ufffd""#)),
            (r#""\u0041\ufffd""#, None),
            (r#"{"\udfff":["\uDBFF"]}"#, Some(r#"{"\ufffd":["\ufffd"]}"#)),
            (r#""\u+d8""#, None),
            (r"\", None),
            (r"\u", None),
            (r"\ud83", None),
            (r"\ud83d", Some(r"\ufffd")),
            ("", None),
        ] {
            assert_eq!(mended(json).as_deref(), expected, "{json}");
            assert!(expected.is_none_or(|expected| expected.len() == json.len()));
        }
    }

    #[test]
    fn pieces_are_put_together_where_their_halves_fit() {
        let (first, second) = (0xd83d, 0xde00);
        let piece = |begins_with, text: &'static str, ends_with| (text, Halves { begins_with, ends_with });
        let plain = |text| piece(None, text, None);
        let high = |text| piece(None, text, Some(first));
        let low = |text| piece(Some(second), text, None);
        for (pieces, expected) in [
            (vec![high("a\u{fffd}"), low("\u{fffd}b")], "a😀b"),
            (vec![high("\u{fffd}"), plain("b")], "\u{fffd}b"),
            (vec![high("\u{fffd}"), high("\u{fffd}"), low("\u{fffd}")], "\u{fffd}😀"),
            (vec![low("\u{fffd}b")], "\u{fffd}b"),
            (vec![high("a\u{fffd}")], "a\u{fffd}"),
            (vec![high("a\u{fffd}"), piece(Some(second), "\u{fffd}\u{fffd}", Some(first)), low("\u{fffd}")], "a😀😀"),
            (vec![high("\u{fffd}"), plain("\u{fffd}")], "\u{fffd}\u{fffd}"),
        ] {
            let mut seam = Seam::default();
            let mut text = String::new();
            for (piece, halves) in pieces {
                text.push_str(&seam.join(piece, halves));
            }
            text.push_str(seam.end().unwrap_or_default());
            assert_eq!(text, expected);
            assert_eq!(seam.end(), None);
        }
    }

    #[test]
    fn the_edges_of_a_string_are_those_of_its_original() {
        let original = r#"["\ude00 x \ud83d","\\ud83d","\ufffd\ud83d \udfff","x"]"#;
        let json = mended(original).unwrap();
        let mending = Mending { original, mended: &json };
        let values: Vec<&RawValue> = serde_json::from_str(&json).unwrap();
        let strings: Vec<_> = values.iter().map(|value| mending.string(value).unwrap()).collect();
        let halves = |begins_with, ends_with| Halves { begins_with, ends_with };
        assert_eq!(strings[0], ("\u{fffd} x \u{fffd}".into(), halves(Some(0xde00), Some(0xd83d))));
        assert_eq!(strings[1], ("\\ud83d".into(), Halves::default()));
        assert_eq!(strings[2], ("\u{fffd}\u{fffd} \u{fffd}".into(), Halves::default()));
        assert_eq!(strings[3], ("x".into(), Halves::default()));
    }
}
