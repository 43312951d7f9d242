//! Finds the tags in a text that comes in pieces: in chunk form they are events of their own (UPSTREAM.md 16.6), while
//! look-alikes stay text.

/// A tag's name as it opens, its literal end, and whether it may close itself.
const TAGS: [(&str, &str, bool); 2] =
    [("<grok:render", "</grok:render>", true), ("<xai:tool_usage_card", "</xai:tool_usage_card>", false)];

/// A part of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    Text(String),
    /// A whole tag, from `<` to `>`.
    Tag(String),
}

/// Holds back what may become a tag.
#[derive(Clone, Debug, Default)]
pub(super) struct Markup {
    held: String,
}

enum Start {
    Tag(usize),
    Perhaps,
    No,
}

impl Markup {
    pub(super) fn push(&mut self, text: &str) -> Vec<Part> {
        self.held.push_str(text);
        let mut parts = Vec::new();
        let mut plain = String::new();
        while let Some(at) = self.held.find('<') {
            plain.extend(self.held.drain(..at));
            match start(&self.held) {
                Start::Tag(end) => {
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut plain)));
                    }
                    parts.push(Part::Tag(self.held.drain(..end).collect()));
                }
                Start::No => plain.extend(self.held.drain(..1)),
                Start::Perhaps => break,
            }
        }
        if !self.held.starts_with('<') {
            plain.push_str(&std::mem::take(&mut self.held));
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        parts
    }

    /// What was held back when nothing more comes: text after all.
    pub(super) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// Whether `text`, which begins with `<`, begins with a whole tag.
fn start(text: &str) -> Start {
    for (name, end, closes_itself) in TAGS {
        if name.starts_with(text) {
            return Start::Perhaps;
        }
        let Some(rest) = text.strip_prefix(name) else { continue };
        if !rest.starts_with([' ', '\n', '>', '/']) {
            continue;
        }
        let opening = rest.find('>').map(|at| name.len() + at + 1);
        if let Some(opening) = opening.filter(|opening| closes_itself && text[..*opening].ends_with("/>")) {
            return Start::Tag(opening);
        }
        return text.find(end).map_or(Start::Perhaps, |at| Start::Tag(at + end.len()));
    }
    Start::No
}

/// The value of an attribute, or of an `<argument>`.
pub(super) fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let (before, closing) = [(format!(" {name}=\""), '"'), (format!("<argument name=\"{name}\">"), '<')]
        .into_iter()
        .find_map(|(before, closing)| tag.find(&before).map(|at| (at + before.len(), closing)))?;
    tag[before..].split(closing).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: &str =
        "<grok:render card_id=\"9a\" type=\"x\"><argument name=\"citation_id\">12</argument></grok:render>";

    fn parts(text: &str, size: usize) -> (String, Vec<String>) {
        let mut markup = Markup::default();
        let (mut plain, mut tags) = (String::new(), Vec::new());
        let characters: Vec<char> = text.chars().collect();
        for piece in characters.chunks(size) {
            for part in markup.push(&piece.iter().collect::<String>()) {
                match part {
                    Part::Text(text) => plain.push_str(&text),
                    Part::Tag(tag) => tags.push(tag),
                }
            }
        }
        plain.push_str(&markup.finish());
        (plain, tags)
    }

    #[test]
    fn tags_are_found_wherever_the_text_is_cut() {
        let card = "<xai:tool_usage_card>\n<![CDATA[/> ]] </grok:render>]]></xai:tool_usage_card>";
        let empty = "<grok:render card_id=\"x\" />";
        let text = format!("a<b{TAG}, <grok:renderer> é{card}{empty}<x<");
        for size in [1, 2, 7, 1000] {
            let (plain, tags) = parts(&text, size);
            assert_eq!(plain, "a<b, <grok:renderer> é<x<");
            assert_eq!(tags, [TAG, card, empty]);
        }
        assert_eq!(parts("open <grok:render card", 3).0, "open <grok:render card");
    }

    #[test]
    fn attributes_and_arguments_are_read() {
        assert_eq!(attribute(TAG, "card_id"), Some("9a"));
        assert_eq!(attribute(TAG, "citation_id"), Some("12"));
        assert_eq!(attribute(TAG, "size"), None);
    }
}
