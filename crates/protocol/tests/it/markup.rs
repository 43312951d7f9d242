//! What becomes of markup inside text, whatever tokens it is cut into.

use proptest::prelude::*;

use crate::support::{Answer, Stream, answer_of_frames, citation, soft_stop, token, tokens};

/// A whole answer of these tokens, with two cards known.
fn answer(tokens: &[String]) -> Answer {
    let mut frames = vec![citation("a1", "https://example.org/a"), citation("b2", "https://example.org/b")];
    frames.extend(tokens.iter().map(|text| token(text)));
    frames.push(soft_stop());
    answer_of_frames(&frames)
}

/// Text that looks like markup and is none, and text that is markup, with what shows of it.
const ORDINARY: &[&str] = &[
    "word ",
    "\n\n",
    "a<b",
    "<",
    "<<",
    "<div>",
    "</div>",
    "<grok:renderer>",
    "</grok:renderer>",
    "<xai:tool>",
    "Vec<Vec<u8>>",
    "&lt;",
    "日本語",
    "🏔️",
    "<xaiArtifacts>",
    "<grok:render",
    "</grok:render",
    "<Grok:render >",
    "\"quoted\"",
    "/>",
    "]]>",
    "`code`",
    "**bold**",
    "x > y",
    "<\u{e9}>",
];

const MARKUP: &[(&str, &str)] = &[
    (
        r#"<grok:render card_id="a1" card_type="citation_card" type="render_inline_citation"><argument name="citation_id">3</argument></grok:render>"#,
        "[[1]](https://example.org/a)",
    ),
    (r#"<grok:render card_id="a1" card_type="citation_card" />"#, "[[1]](https://example.org/a)"),
    (r#"<grok:render card_id="unknown" card_type="citation_card" type="render_inline_citation"></grok:render>"#, ""),
    (
        "<grok:render\n card_id=\"a1\">\n  <argument name=\"size\">\"LARGE\"</argument>\n</grok:render>",
        "[[1]](https://example.org/a)",
    ),
    (
        "<xai:tool_usage_card>\n<xai:tool_args><![CDATA[{\"a\":\"</xai:tool_args> /> ]]\"}]]></xai:tool_args></xai:tool_usage_card>",
        "",
    ),
    ("<xai:tool_usage_card/>", ""),
    ("</grok:render>", ""),
    ("</xai:tool_usage_card>", ""),
];

#[derive(Debug, Clone)]
enum Part {
    Ordinary(&'static str),
    Markup(&'static str, &'static str),
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    let ordinary = prop::sample::select(ORDINARY).prop_map(Part::Ordinary);
    let markup = prop::sample::select(MARKUP).prop_map(|(tag, shown)| Part::Markup(tag, shown));
    // A half tag in front of markup or white space would be a different tag, so parts are kept apart by a full stop.
    prop::collection::vec(prop_oneof![2 => ordinary, 1 => markup], 0..12)
}

fn written(parts: &[Part]) -> String {
    parts
        .iter()
        .map(|part| match part {
            Part::Ordinary(text) | Part::Markup(text, _) => format!("{text}."),
        })
        .collect()
}

fn expected(parts: &[Part]) -> String {
    parts
        .iter()
        .map(|part| match part {
            Part::Ordinary(text) | Part::Markup(_, text) => format!("{text}."),
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn markup_is_rendered_and_everything_else_is_untouched(parts in parts(), lengths in prop::collection::vec(1usize..30, 1..8)) {
        let answer = answer(&tokens(&written(&parts), &lengths));
        prop_assert_eq!(answer.text(), expected(&parts));
    }

    #[test]
    fn text_without_angle_brackets_passes_word_for_word(text in "[^<]{0,200}", lengths in prop::collection::vec(1usize..20, 1..8)) {
        prop_assert_eq!(answer(&tokens(&text, &lengths)).text(), text);
    }

    #[test]
    fn text_with_single_brackets_passes_word_for_word(text in "([a-f <>/=\"]|<[a-f ]){0,60}", lengths in prop::collection::vec(1usize..20, 1..8)) {
        prop_assert_eq!(answer(&tokens(&text, &lengths)).text(), text);
    }

    /// Bits of tags in any order make no sense, but they make the same nonsense however they are cut.
    #[test]
    fn cuts_do_not_matter_even_to_broken_markup(
        bits in prop::collection::vec(prop::sample::select(BITS), 0..30),
        lengths in prop::collection::vec(1usize..12, 1..8),
    ) {
        let text = bits.concat();
        let cut = answer(&tokens(&text, &lengths));
        prop_assert_eq!(cut.text(), answer(&[text]).text());
    }

    /// What stands inside a tool call may be somebody's draft; whatever is around it, it does not show.
    #[test]
    fn the_inside_of_a_tool_call_never_shows(
        before in "[a-z <>/\"]{0,20}", inside in "[a-z <>/\"\\]]{0,40}", lengths in prop::collection::vec(1usize..12, 1..8),
    ) {
        let text = format!("{before}.<xai:tool_usage_card>{inside}SECRET{inside}</xai:tool_usage_card> after");
        let shown = answer(&tokens(&text, &lengths)).text();
        prop_assert_eq!(shown, format!("{before}. after"));
    }
}

const BITS: &[&str] = &[
    "<grok:render",
    "<grok:",
    "render",
    " card_id=\"a1\"",
    " ",
    ">",
    "/>",
    "</grok:render>",
    "<xai:tool_usage_card",
    "<xai:tool_usage_card>",
    "</xai:tool_usage_card>",
    "<xaiArtifact",
    " title=\"t\" contentType=\"text/rust\"",
    "</xaiartifact>",
    "<",
    "</",
    "\"",
    "text",
    "\n",
    "é",
];

#[test]
fn text_before_an_undecided_bracket_is_not_held_back() {
    let mut stream = Stream::new();
    stream.feed_text(&token("visible at once <grok:ren").to_string());
    assert_eq!(stream.translator.text(), "visible at once ");
    stream.feed_text(&token("t>").to_string());
    assert_eq!(stream.translator.text(), "visible at once <grok:rent>");
}

#[test]
fn a_half_tag_at_the_end_is_text_and_an_unclosed_tag_is_dropped() {
    assert_eq!(answer(&["a <grok:ren".to_owned()]).text(), "a <grok:ren");
    assert_eq!(answer(&["a <".to_owned()]).text(), "a <");
    assert_eq!(answer(&["a <grok:render card_id=\"a1\">b".to_owned()]).text(), "a ");
    assert_eq!(answer(&["a <xai:tool_usage_card> secret".to_owned()]).text(), "a ");
}

#[test]
fn a_tag_that_never_closes_does_not_swallow_a_long_answer() {
    let text = format!("start <grok:render card_id=\"a1\">{} the end", "long answer ".repeat(20_000));
    let whole = answer(std::slice::from_ref(&text)).text();
    assert!(whole.ends_with(" the end"), "the end of the answer is lost");
    assert_eq!(answer(&tokens(&text, &[7, 1000, 3])).text(), whole);
}

#[test]
fn a_document_is_fenced_and_its_markup_is_not_rendered_into_it() {
    let text = "See<xaiArtifact title=\"a\" contentType=\"text/x-rustsrc\">fn a<T>() {}\n```\n</xaiArtifact>after";
    let whole = answer(&[text.to_owned()]).text();
    assert!(whole.contains("````rust\nfn a<T>() {}\n```\n````\n"), "{whole}");
    assert!(whole.starts_with("See\n") && whole.ends_with("\nafter"), "{whole}");
    for length in 1..20 {
        assert_eq!(answer(&tokens(text, &[length])).text(), whole, "tokens of {length}");
    }
}

#[test]
fn sources_are_numbered_by_first_use() {
    let cite = |id: &str| {
        format!(
            "<grok:render card_id=\"{id}\" card_type=\"citation_card\" type=\"render_inline_citation\"></grok:render>"
        )
    };
    let text = format!("x{}y{}z{}", cite("b2"), cite("a1"), cite("b2"));
    assert_eq!(
        answer(&[text]).text(),
        "x[[1]](https://example.org/b)y[[2]](https://example.org/a)z[[1]](https://example.org/b)"
    );
}
