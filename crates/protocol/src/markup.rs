//! The tags inside the upstream's text (UPSTREAM.md 6), found although tokens cut them anywhere.
//!
//! One scanner serves one channel: thinking and answer alternate while a tag is open in one of them. Ordinary `<` passes with no
//! more delay than it takes to see that it begins no tag of ours.

use crate::{scan, steps};

/// A render tag longer than this is not one: it is released as ordinary text.
const RENDER_LIMIT_BYTES: usize = 16 * 1024;

const RENDER_CLOSING: &str = "</grok:render>";
const TOOL_CARD_CLOSING: &str = "</xai:tool_usage_card>";

/// The beginnings of tags that are looked for. Only the artifact's name is written in more than one letter case.
const BEGINNINGS: [(&str, Beginning); 6] = [
    ("<grok:render", Beginning::Opening(Tag::Render)),
    ("<xai:tool_usage_card", Beginning::Opening(Tag::ToolCard)),
    ("<xaiArtifact", Beginning::Opening(Tag::Artifact)),
    ("</grok:render", Beginning::Closing(Tag::Render)),
    ("</xai:tool_usage_card", Beginning::Closing(Tag::ToolCard)),
    ("</xaiArtifact", Beginning::Closing(Tag::Artifact)),
];

/// What the scanner found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkupEvent<'a> {
    /// Text without markup.
    Text(&'a str),
    /// A reference to a source.
    Citation {
        /// The card with its address.
        card_id: &'a str,
    },
    /// The place of an image that the model makes.
    GeneratedImage {
        /// The card with its state.
        card_id: &'a str,
    },
    /// The place of an image found on the web.
    SearchedImage {
        /// The card with its address.
        card_id: &'a str,
    },
    /// A render tag of a kind that is not known.
    OtherCard {
        /// The card it names.
        card_id: &'a str,
    },
    /// A document begins.
    ArtifactStart {
        /// Its title, possibly empty.
        title: &'a str,
        /// A language name for a fenced block, possibly empty.
        language: &'a str,
    },
    /// A piece of the document. Cards are found in documents too, but have no place to show there.
    ArtifactText(&'a str),
    /// The document ends.
    ArtifactEnd,
    /// A tool call was written into the text and has been taken out.
    ToolCardRemoved,
}

/// Finds tags in a text that arrives in pieces.
#[derive(Debug, Clone, Default)]
pub struct MarkupScanner {
    state: State,
    /// Text that is held back: the beginning of what may be, or is, a tag.
    held: String,
    /// How much of `held` is the opening tag while its body is being read.
    open_tag_length: usize,
    /// Between the tags of a document.
    in_document: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// `held` is the beginning of a tag's beginning.
    Name,
    /// Behind an opening tag's name, up to its `>`.
    Attributes { tag: Tag, in_quotes: bool },
    /// Behind the name of a closing tag: the end of a document, or a tag that closes nothing.
    Closing(Tag),
    /// Between opening and closing tag, all of it dropped.
    Body(Tag),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    Render,
    ToolCard,
    Artifact,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beginning {
    Opening(Tag),
    Closing(Tag),
}

impl MarkupScanner {
    /// A scanner at the beginning of a channel.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the next piece of text.
    pub fn push(&mut self, text: &str, mut event: impl FnMut(MarkupEvent<'_>)) {
        let mut rest = text;
        while !rest.is_empty() {
            rest = match self.state {
                State::Text => self.text(rest, &mut event),
                State::Name => self.name(rest, &mut event),
                State::Attributes { tag, in_quotes } => self.attributes(tag, in_quotes, rest, &mut event),
                State::Closing(tag) => self.closing(tag, rest, &mut event),
                State::Body(tag) => self.body(tag, rest, &mut event),
            };
        }
    }

    /// Something other than text stands here. A tag that has only begun goes on no further, so it is text, as it would be with
    /// another tag in this place.
    pub fn interrupt(&mut self, mut event: impl FnMut(MarkupEvent<'_>)) {
        match self.state {
            State::Name | State::Attributes { in_quotes: false, .. } | State::Closing(_) => self.release(&mut event),
            State::Text | State::Attributes { .. } | State::Body(_) => {}
        }
    }

    /// End of the text: what only may have been a tag is released, what was one and is not closed is dropped.
    pub fn finish(&mut self, mut event: impl FnMut(MarkupEvent<'_>)) {
        match self.state {
            // A whole name is a tag that was cut; anything shorter is undecided and so it is text.
            State::Name if beginning(&self.held).is_none() => self.release(&mut event),
            State::Name | State::Text | State::Attributes { .. } | State::Closing(_) | State::Body(_) => {}
        }
        self.end_document(&mut event);
        self.enter(State::Text);
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.held.clear();
    }

    fn text<'t>(&mut self, rest: &'t str, event: &mut impl FnMut(MarkupEvent<'_>)) -> &'t str {
        let start = scan::find_byte_where(rest.as_bytes(), b'<', |start| could_be_tag(&rest.as_bytes()[start..]));
        let (text, tag) = rest.split_at(start.unwrap_or(rest.len()));
        if !text.is_empty() {
            event(text_event(self.in_document, text));
        }
        if tag.is_empty() {
            return "";
        }
        self.enter(State::Name);
        self.held.push('<');
        &tag[1..]
    }

    fn name<'t>(&mut self, rest: &'t str, event: &mut impl FnMut(MarkupEvent<'_>)) -> &'t str {
        for (index, character) in rest.char_indices() {
            if let Some(beginning) = beginning(&self.held)
                && (character.is_whitespace() || matches!(character, '/' | '>'))
            {
                self.state = match beginning {
                    Beginning::Opening(tag) => State::Attributes { tag, in_quotes: false },
                    Beginning::Closing(tag) => State::Closing(tag),
                };
                return &rest[index..];
            }
            steps::add(1);
            self.held.push(character);
            if !may_begin(&self.held) {
                self.held.pop();
                // The character is looked at again: it may be the next `<`.
                self.release(event);
                return &rest[index..];
            }
        }
        ""
    }

    /// Gives back what was held as ordinary text.
    fn release(&mut self, event: &mut impl FnMut(MarkupEvent<'_>)) {
        steps::add(self.held.len());
        event(text_event(self.in_document, &self.held));
        self.enter(State::Text);
    }

    fn end_document(&mut self, event: &mut impl FnMut(MarkupEvent<'_>)) {
        if std::mem::take(&mut self.in_document) {
            event(MarkupEvent::ArtifactEnd);
        }
    }

    fn attributes<'t>(
        &mut self,
        tag: Tag,
        mut in_quotes: bool,
        rest: &'t str,
        event: &mut impl FnMut(MarkupEvent<'_>),
    ) -> &'t str {
        for (index, character) in rest.char_indices() {
            steps::add(1);
            let is_too_long = self.held.len() + index >= RENDER_LIMIT_BYTES;
            // No tag of the upstream's holds a bare `<`: somebody wrote about the tag, and another one begins here.
            if is_too_long || (character == '<' && !in_quotes) {
                self.held.push_str(&rest[..index]);
                self.release(event);
                return &rest[index..];
            }
            match character {
                '"' => in_quotes = !in_quotes,
                '>' if !in_quotes => {
                    self.held.push_str(&rest[..=index]);
                    self.tag_opened(tag, event);
                    return &rest[index + 1..];
                }
                _ => {}
            }
        }
        self.held.push_str(rest);
        self.state = State::Attributes { tag, in_quotes };
        ""
    }

    fn tag_opened(&mut self, tag: Tag, event: &mut impl FnMut(MarkupEvent<'_>)) {
        let is_self_closing = self.held.ends_with("/>");
        match tag {
            Tag::Artifact => {
                // A document that begins inside another one shows that the other's end is missing.
                self.end_document(event);
                self.in_document = !is_self_closing;
                event(MarkupEvent::ArtifactStart {
                    title: attribute(&self.held, "title").unwrap_or_default(),
                    language: language(attribute(&self.held, "contentType").unwrap_or_default()),
                });
                if is_self_closing {
                    event(MarkupEvent::ArtifactEnd);
                }
                self.enter(State::Text);
            }
            Tag::Render | Tag::ToolCard if is_self_closing => self.tag_closed(tag, event),
            Tag::Render | Tag::ToolCard => {
                self.open_tag_length = self.held.len();
                self.state = State::Body(tag);
            }
        }
    }

    fn body<'t>(&mut self, tag: Tag, rest: &'t str, event: &mut impl FnMut(MarkupEvent<'_>)) -> &'t str {
        // Where the limit falls must not depend on how the text was cut.
        let (closing, readable) = match tag {
            Tag::Render => {
                (RENDER_CLOSING, rest.ceil_char_boundary(RENDER_LIMIT_BYTES.saturating_sub(self.held.len())))
            }
            Tag::ToolCard | Tag::Artifact => (TOOL_CARD_CLOSING, rest.len()),
        };
        let mut start = 0;
        while let Some(length) = scan::find_byte(&rest.as_bytes()[start..readable], b'>') {
            let end = start + length + 1;
            self.held.push_str(&rest[start..end]);
            if self.held.ends_with(closing) {
                self.tag_closed(tag, event);
                return &rest[end..];
            }
            start = end;
        }
        self.held.push_str(&rest[start..readable]);
        match tag {
            Tag::Render if self.held.len() >= RENDER_LIMIT_BYTES => self.release(event),
            // A tool call is never released, so only as much is kept as can be the beginning of its closing tag.
            Tag::ToolCard => keep_end(&mut self.held, TOOL_CARD_CLOSING.len()),
            Tag::Render | Tag::Artifact => {}
        }
        &rest[readable..]
    }

    fn tag_closed(&mut self, tag: Tag, event: &mut impl FnMut(MarkupEvent<'_>)) {
        if tag == Tag::ToolCard {
            event(MarkupEvent::ToolCardRemoved);
        } else {
            // A self-closing tag has no body, so all of it is the opening tag.
            let length = if self.state == State::Body(tag) { self.open_tag_length } else { self.held.len() };
            event(render_event(&self.held[..length]));
        }
        self.enter(State::Text);
    }

    /// Behind `</grok:render` and the like. Closing tags that close nothing are markup without meaning, and dropped.
    fn closing<'t>(&mut self, tag: Tag, rest: &'t str, event: &mut impl FnMut(MarkupEvent<'_>)) -> &'t str {
        for (index, character) in rest.char_indices() {
            if character == '>' {
                if tag == Tag::Artifact {
                    self.end_document(event);
                }
                self.enter(State::Text);
                return &rest[index + 1..];
            }
            if !character.is_whitespace() || self.held.len() >= RENDER_LIMIT_BYTES {
                self.release(event);
                return &rest[index..];
            }
            self.held.push(character);
        }
        ""
    }
}

fn text_event(in_document: bool, text: &str) -> MarkupEvent<'_> {
    if in_document { MarkupEvent::ArtifactText(text) } else { MarkupEvent::Text(text) }
}

/// Whether a tag of ours may begin here, as far as the text goes. Sorting out other `<` at once keeps text in one piece.
fn could_be_tag(text: &[u8]) -> bool {
    BEGINNINGS.iter().any(|(name, _)| {
        let common = name.len().min(text.len());
        let behind = text.get(name.len());
        is_prefix_of_name(name, &text[..common])
            // White space beyond ASCII is looked at when the whole character is at hand.
            && behind.is_none_or(|byte| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>' | 0x0b | 0x80..))
    })
}

/// The tag whose beginning is exactly `held`.
fn beginning(held: &str) -> Option<Beginning> {
    BEGINNINGS
        .iter()
        .find(|(name, _)| name.len() == held.len() && is_prefix_of_name(name, held.as_bytes()))
        .map(|(_, beginning)| *beginning)
}

/// Whether some tag begins with `held`.
fn may_begin(held: &str) -> bool {
    BEGINNINGS.iter().any(|(name, _)| is_prefix_of_name(name, held.as_bytes()))
}

fn is_prefix_of_name(name: &str, beginning: &[u8]) -> bool {
    let Some(start) = name.as_bytes().get(..beginning.len()) else { return false };
    if name.ends_with("xaiArtifact") { start.eq_ignore_ascii_case(beginning) } else { start == beginning }
}

/// Shortens a text from its front to about `length` bytes, on a character boundary.
fn keep_end(text: &mut String, length: usize) {
    let start = text.floor_char_boundary(text.len().saturating_sub(length));
    steps::add(text.len() - start);
    text.drain(..start);
}

/// The value of an attribute in an opening tag.
fn attribute<'t>(tag: &'t str, name: &str) -> Option<&'t str> {
    let mut from = 0;
    loop {
        let start = from + scan::find(tag.get(from..)?, name)?;
        let behind = start + name.len();
        let stands_alone = tag[..start].ends_with(char::is_whitespace);
        if stands_alone && let Some(value) = tag[behind..].strip_prefix("=\"") {
            return scan::split_once(value, "\"").map(|(value, _)| value);
        }
        from = behind;
    }
}

fn render_event(tag: &str) -> MarkupEvent<'_> {
    let card_id = attribute(tag, "card_id").unwrap_or_default();
    let kind = attribute(tag, "type").unwrap_or_default();
    let card_type = attribute(tag, "card_type").unwrap_or_default();
    match (kind, card_type) {
        ("render_inline_citation", _) | ("", "citation_card" | "citation") => MarkupEvent::Citation { card_id },
        ("render_searched_image", _) | ("", "image_card") => MarkupEvent::SearchedImage { card_id },
        ("render_generated_image" | "render_edited_image", _)
        | ("" | "render_file", "generated_image_card" | "edited_image_card") => MarkupEvent::GeneratedImage { card_id },
        _ => MarkupEvent::OtherCard { card_id },
    }
}

/// `text/python`, `text/x-python` and `text/x-pythonsrc` all mean `python`.
fn language(content_type: &str) -> &str {
    let Some(name) = content_type.strip_prefix("text/") else { return "" };
    let name = name.strip_prefix("x-").map_or(name, |name| name.strip_suffix("src").unwrap_or(name));
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'#' | b'-' | b'_' | b'.');
    if name == "plain" || !name.bytes().all(is_plain) { "" } else { name }
}

#[cfg(test)]
mod tests;
