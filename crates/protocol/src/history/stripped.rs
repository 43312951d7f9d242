//! An answer without what clients put into it or take out of it: reasoning, images, numbered source links. Every pass goes through
//! the text once, whatever stands in it (see [`Next`]).

use std::borrow::Cow;

use crate::scan::{self, Next};
use crate::steps;

/// How many beginnings of an answer behind a quotation are tried.
pub(super) const QUOTATIONS_TRIED: usize = 4;

const REASONING_TAGS: [(&str, &str); 6] = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reason>", "</reason>"),
    ("<reasoning>", "</reasoning>"),
    ("<details type=\"reasoning\"", "</details>"),
];

/// What stands in the path of images that the model made here, before their name.
const MADE_IMAGES: &str = "/images/";

/// The answer as it is shown to the model in a replay: its words without the reasoning, and without addresses of this gateway.
pub(super) fn replayed_answer(text: &str) -> Cow<'_, str> {
    match without_reasoning(text) {
        Cow::Borrowed(text) => without_made_images(text),
        Cow::Owned(text) => Cow::Owned(without_made_images(&text).into_owned()),
    }
}

/// Puts words in the place of links to images that the model made here (`…/images/<32 hexadecimal digits>.…`).
fn without_made_images(text: &str) -> Cow<'_, str> {
    if !scan::contains(text, MADE_IMAGES) {
        return Cow::Borrowed(text);
    }
    let mut images = Next::new(text, "![");
    let mut links = Links::new(text);
    let mut made = MadeImages::new(text);
    let mut kept = Kept::new(text);
    let mut from = 0;
    while let Some(start) = images.at_or_behind(from) {
        match links.image(start).filter(|link| made.is_one(start, link.end)) {
            Some(link) => {
                kept.replace(start, link.end, &["[image you made: ", &text[start + 2..link.label_end], "]"]);
                from = link.end;
            }
            None => from = start + 2,
        }
    }
    kept.finish()
}

/// Removes whole reasoning blocks; an unclosed one stays, it may be ordinary text.
pub(super) fn without_reasoning(text: &str) -> Cow<'_, str> {
    if scan::find_byte(text.as_bytes(), b'<').is_none() {
        return Cow::Borrowed(text);
    }
    let mut tags =
        REASONING_TAGS.map(|(open, close)| (Next::new(text, open), open.len(), Next::new(text, close), close));
    let mut kept = Kept::new(text);
    let mut from = 0;
    let mut first_block = |from: usize| {
        let blocks = tags.iter_mut().filter_map(|(opens, length, closes, close)| {
            let start = opens.at_or_behind(from)?;
            Some((start, closes.at_or_behind(start + *length)? + close.len()))
        });
        blocks.min()
    };
    while let Some((start, end)) = first_block(from) {
        kept.replace(start, end, &[]);
        from = end;
    }
    kept.finish()
}

/// What may be the answer behind a leading quotation (`> ` lines and an empty line), the form in which some clients keep
/// reasoning: the text after the last quotation, then, as an answer may itself begin with one, the quotations before it.
pub(super) fn without_leading_quotation(text: &str) -> Vec<&str> {
    let text = text.trim_start();
    let mut rests = Vec::new();
    let (mut offset, mut after_empty_line) = (0, false);
    for line in text.split_inclusive('\n') {
        steps::add(line.len());
        let content = line.trim();
        let is_quoted = content.starts_with('>');
        if !content.is_empty() && offset > 0 && (after_empty_line || !is_quoted) {
            rests.push(&text[offset..]);
        }
        if !content.is_empty() && !is_quoted {
            break;
        }
        after_empty_line = content.is_empty();
        offset += line.len();
    }
    rests.reverse();
    rests.truncate(QUOTATIONS_TRIED);
    rests
}

/// Removes `![…](…)` and `[[n]](…)`.
pub(super) fn without_links(text: &str) -> Cow<'_, str> {
    if !scan::contains(text, "](") {
        return Cow::Borrowed(text);
    }
    let (mut images, mut sources) = (Next::new(text, "!["), Next::new(text, "[["));
    let mut links = Links::new(text);
    let mut kept = Kept::new(text);
    let mut from = 0;
    loop {
        let (image, source) = (images.at_or_behind(from), sources.at_or_behind(from));
        let (start, link) = match (image, source) {
            (Some(image), source) if source.is_none_or(|source| image < source) => (image, links.image(image)),
            (_, Some(source)) => (source, links.source(source)),
            (_, None) => break,
        };
        match link {
            Some(link) => {
                kept.replace(start, link.end, &[]);
                from = link.end;
            }
            None => from = start + 2,
        }
    }
    kept.finish()
}

/// A link: where its label ends and where all of it ends.
struct Link {
    label_end: usize,
    end: usize,
}

/// Reads links from the front of a text to its end. Images and numbered links look ahead by different lengths, so each kind
/// remembers its own places.
struct Links<'t> {
    text: &'t str,
    label_ends: Next<'t>,
    /// The end of the line that a label begins in.
    lines: Next<'t>,
    image_targets: Targets<'t>,
    source_targets: Targets<'t>,
}

impl<'t> Links<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            label_ends: Next::new(text, "]("),
            lines: Next::new(text, "\n"),
            image_targets: Targets::new(text),
            source_targets: Targets::new(text),
        }
    }

    /// The `![…](…)` whose first character stands at `start`.
    fn image(&mut self, start: usize) -> Option<Link> {
        let label_end = self.label_ends.at_or_behind(start + 2)?;
        if self.lines.at_or_behind(start).is_some_and(|line_end| line_end < label_end) {
            return None;
        }
        Some(Link { label_end, end: self.image_targets.end(label_end + 2)? })
    }

    /// The `[[n]](…)` whose first character stands at `start`.
    fn source(&mut self, start: usize) -> Option<Link> {
        let number = &self.text.as_bytes()[start + 2..];
        let digits = number.iter().take_while(|byte| byte.is_ascii_digit()).count();
        steps::add(digits);
        if digits == 0 || !number[digits..].starts_with(b"]](") {
            return None;
        }
        let label_end = start + 2 + digits + 1;
        Some(Link { label_end, end: self.source_targets.end(label_end + 2)? })
    }
}

/// Finds the ends of link targets, which end with `)` and within their line.
struct Targets<'t> {
    brackets: Next<'t>,
    lines: Next<'t>,
}

impl<'t> Targets<'t> {
    fn new(text: &'t str) -> Self {
        Self { brackets: Next::new(text, ")"), lines: Next::new(text, "\n") }
    }

    /// Behind the target that begins at `start`.
    fn end(&mut self, start: usize) -> Option<usize> {
        let bracket = self.brackets.at_or_behind(start)?;
        let is_in_line = self.lines.at_or_behind(start).is_none_or(|line_end| bracket < line_end);
        is_in_line.then_some(bracket + 1)
    }
}

/// Tells links to images that the model made here. Asked for links in the order of their ends.
struct MadeImages<'t> {
    text: &'t str,
    places: Next<'t>,
    /// The last place in the links that were asked for.
    last: Option<usize>,
}

impl<'t> MadeImages<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, places: Next::new(text, MADE_IMAGES), last: None }
    }

    fn is_one(&mut self, start: usize, end: usize) -> bool {
        let behind_last = |last: Option<usize>| last.map_or(0, |last| last + 1);
        while let Some(place) = self.places.at_or_behind(behind_last(self.last))
            && place + MADE_IMAGES.len() <= end
        {
            self.last = Some(place);
        }
        let Some(place) = self.last.filter(|place| *place >= start) else { return false };
        let name = &self.text.as_bytes()[place + MADE_IMAGES.len()..end];
        name.get(..32).is_some_and(|name| name.iter().all(u8::is_ascii_hexdigit)) && name.get(32) == Some(&b'.')
    }
}

/// A text of which parts are taken out or replaced, from the front to the end.
struct Kept<'t> {
    text: &'t str,
    kept: String,
    /// How much of `text` is in `kept`, or left out.
    done: usize,
}

impl<'t> Kept<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, kept: String::new(), done: 0 }
    }

    fn replace(&mut self, start: usize, end: usize, by: &[&str]) {
        if self.done == 0 {
            self.kept.reserve(self.text.len());
        }
        let before = &self.text[self.done..start];
        for piece in std::iter::once(&before).chain(by) {
            steps::add(piece.len());
            self.kept.push_str(piece);
        }
        self.done = end;
    }

    fn finish(mut self) -> Cow<'t, str> {
        if self.done == 0 {
            return Cow::Borrowed(self.text);
        }
        let rest = &self.text[self.done..];
        steps::add(rest.len());
        self.kept.push_str(rest);
        Cow::Owned(self.kept)
    }
}

#[cfg(test)]
mod tests;
