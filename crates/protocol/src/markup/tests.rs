use proptest::prelude::*;

use super::{MarkupEvent, MarkupScanner, RENDER_LIMIT_BYTES};

/// Scans pieces; neighbouring texts are joined, since where a text is cut says nothing.
fn scan(pieces: &[&str]) -> String {
    let mut found = String::new();
    let mut note = |event: MarkupEvent<'_>| match event {
        MarkupEvent::Text(text) | MarkupEvent::ArtifactText(text) => found.push_str(text),
        MarkupEvent::Citation { card_id } => found.push_str(&format!("⟦cite {card_id}⟧")),
        MarkupEvent::GeneratedImage { card_id } => found.push_str(&format!("⟦made {card_id}⟧")),
        MarkupEvent::SearchedImage { card_id } => found.push_str(&format!("⟦image {card_id}⟧")),
        MarkupEvent::OtherCard { card_id } => found.push_str(&format!("⟦other {card_id}⟧")),
        MarkupEvent::ArtifactStart { title, language } => found.push_str(&format!("⟦document {title}|{language}⟧")),
        MarkupEvent::ArtifactEnd => found.push_str("⟦end⟧"),
        MarkupEvent::ToolCardRemoved => found.push_str("⟦tool⟧"),
    };
    let mut scanner = MarkupScanner::new();
    for piece in pieces {
        scanner.push(piece, &mut note);
    }
    scanner.finish(&mut note);
    found
}

const CITATION: &str = "<grok:render card_id=\"9af310\" card_type=\"citation_card\" type=\"render_inline_citation\">\
                        <argument name=\"citation_id\">12</argument></grok:render>";
const TOOL_CARD: &str = "<xai:tool_usage_card>\n  <xai:tool_name>chatroom_send</xai:tool_name>\n  <xai:tool_args><![CDATA[\
                         {\"message\":\"a /> draft ]] with > and <b>\"}]]></xai:tool_args>\n</xai:tool_usage_card>";
const ARTIFACT: &str = "<xaiArtifact artifact_id=\"5c\" title=\"a > b.py\" contentType=\"text/x-pythonsrc\">if a < b:\n  print(\"</p>\")\
                        </xaiArtifact>";

#[test]
fn tags_are_found_and_nothing_beside_them_is_touched() {
    for (text, expected) in [
        (format!("Tall{CITATION}. High{CITATION}"), "Tall⟦cite 9af310⟧. High⟦cite 9af310⟧"),
        ("a <grok:render card_id=\"x\" card_type=\"citation_card\" /> b".to_owned(), "a ⟦cite x⟧ b"),
        ("<grok:render\ncard_id=\"x\"\ntype=\"render_searched_image\">\n  body\n</grok:render>".to_owned(), "⟦image x⟧"),
        (
            "<grok:render card_id=\"k\" card_type=\"generated_image_card\" type=\"render_generated_image\"></grok:render>".to_owned(),
            "⟦made k⟧",
        ),
        ("<grok:render card_id=\"k\" card_type=\"generated_image_card\" type=\"render_file\"/>".to_owned(), "⟦made k⟧"),
        ("<grok:render card_id=\"k\" type=\"render_hologram\"/>".to_owned(), "⟦other k⟧"),
        ("<grok:render></grok:render>".to_owned(), "⟦other ⟧"),
        (format!("x{TOOL_CARD}y"), "x⟦tool⟧y"),
        (format!("See\n{ARTIFACT}!"), "See\n⟦document a > b.py|python⟧if a < b:\n  print(\"</p>\")⟦end⟧!"),
        ("<XAIARTIFACT contentType=\"text/plain\">t</XaiArtifact >u".to_owned(), "⟦document |⟧t⟦end⟧u"),
        (format!("<xaiArtifact>a{CITATION}b{TOOL_CARD}c</xaiArtifact>d"), "⟦document |⟧a⟦cite 9af310⟧b⟦tool⟧c⟦end⟧d"),
        ("<xaiArtifact title=\"1\">a<xaiArtifact title=\"2\">b".to_owned(), "⟦document 1|⟧a⟦end⟧⟦document 2|⟧b⟦end⟧"),
        ("a</grok:render>b</xai:tool_usage_card >c</xaiartifact>d".to_owned(), "abcd"),
    ] {
        assert_eq!(scan(&[&text]), expected, "{text}");
    }
}

#[test]
fn a_slash_in_the_body_does_not_end_a_tag() {
    let text = "<grok:render card_id=\"x\" card_type=\"citation_card\"><argument name=\"prompt\">a /> b</argument></grok:render>!";
    assert_eq!(scan(&[text]), "⟦cite x⟧!");
}

#[test]
fn ordinary_text_with_angles_passes() {
    for text in [
        "a<b",
        "a < b > c",
        "<div class=\"x\">y</div>",
        "Vec<Vec<u8>>",
        "<grok:renderer>",
        "<grok:renderer card_id=\"x\">",
        "</grok:renders>",
        "<xai:tool_usage_cards>",
        "<xai:tool>",
        "<xaiArtifacts/>",
        "<<grok:rendering",
        "<Grok:Render >",
        "1 << 2, 3 <= 4, <",
        "<grok:rend",
        "<",
        "<grok:render-like",
        "日本 < 語 <grok:rendé>",
    ] {
        assert_eq!(scan(&[text]), text);
    }
}

#[test]
fn ordinary_angles_do_not_cut_a_piece() {
    let mut count = 0;
    let text = "if a < b && c <= d { Vec::<u8>::new() } // <grok:renderer> 1<2 <";
    let mut scanner = MarkupScanner::new();
    scanner.push(text, |_| count += 1);
    assert_eq!(count, 1, "only the last `<` waits for what follows");
    scanner.finish(|event| assert_eq!(event, MarkupEvent::Text("<")));
}

#[test]
fn writing_about_a_tag_does_not_swallow_the_real_one_behind_it() {
    let text = format!("Write <grok:render to cite{CITATION}.");
    assert_eq!(scan(&[&text]), "Write <grok:render to cite⟦cite 9af310⟧.");
}

#[test]
fn an_unclosed_tag_is_dropped_and_an_undecided_one_is_text() {
    for (text, expected) in [
        ("a<grok:render card_id=\"x\"", "a"),
        ("a<grok:render card_id=\"x\">body", "a"),
        ("a<grok:render", "a"),
        ("a<xai:tool_usage_card>secret", "a"),
        ("a</grok:render ", "a"),
        ("a<xaiArtifact title=\"t\">text</xaiArt", "a⟦document t|⟧text</xaiArt⟦end⟧"),
        ("a<grok:rende", "a<grok:rende"),
        ("a</xai", "a</xai"),
    ] {
        assert_eq!(scan(&[text]), expected, "{text}");
    }
}

#[test]
fn a_tag_without_end_is_text_beyond_the_limit_whatever_the_cuts() {
    for beginning in ["<grok:render ", "<grok:render card_id=\"x\">", "<xaiArtifact title=\"", "</grok:render "] {
        let filler = if beginning.starts_with("</") { " " } else { "é" };
        let text = format!("{beginning}{}z", filler.repeat(RENDER_LIMIT_BYTES));
        let pieces: Vec<_> = text.split_inclusive(|_| true).collect();
        assert_eq!(scan(&[&text]), text);
        assert_eq!(scan(&pieces), text);
    }
    // A closing tag that comes too late closes nothing.
    let text = format!("<grok:render card_id=\"x\">{}</grok:render>z", "é".repeat(RENDER_LIMIT_BYTES));
    let pieces: Vec<_> = text.split_inclusive(|_| true).collect();
    assert_eq!(scan(&[&text]), scan(&pieces));
}

#[test]
fn a_tool_call_of_any_length_stays_hidden_in_little_memory() {
    let mut scanner = MarkupScanner::new();
    scanner.push("<xai:tool_usage_card>", |_| panic!("nothing is known yet"));
    for _ in 0..10_000 {
        scanner.push("a draft > of the answer é ", |_| panic!("a draft leaked"));
    }
    assert!(scanner.held.capacity() < 1024);
    let mut removed = 0;
    scanner.push("</xai:tool_usage_card>", |event| removed += u32::from(event == MarkupEvent::ToolCardRemoved));
    assert_eq!(removed, 1);
}

/// Texts dense with tags, parts of tags and look-alikes.
fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just(CITATION.to_owned()),
        Just(TOOL_CARD.to_owned()),
        Just(ARTIFACT.to_owned()),
        Just("<grok:render card_id=\"x\" card_type=\"image_card\"/>".to_owned()),
        Just("</grok:render>".to_owned()),
        prop::sample::select(vec![
            "<",
            "</",
            "<grok:",
            "<grok:render",
            ">",
            "/>",
            "\"",
            " ",
            "<xai",
            "Artifact",
            "</xaiArtifact>",
            "\n"
        ])
        .prop_map(str::to_owned),
        "\\PC{0,4}",
    ];
    prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn cuts_change_nothing(text in text(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..16)) {
        let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        places.extend([0, text.len()]);
        places.sort_unstable();
        places.retain(|place| text.is_char_boundary(*place));
        let pieces: Vec<_> = places.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
        let single: Vec<_> = text.split_inclusive(|_| true).collect();
        let expected = scan(&[&text]);
        prop_assert_eq!(scan(&pieces), expected.clone());
        prop_assert_eq!(scan(&single), expected);
    }

    #[test]
    fn text_without_our_names_is_unchanged(text in "[a-z<>/\" \u{e9}:]{0,40}") {
        prop_assume!(!text.contains("grok:render") && !text.contains("xai:tool_usage_card"));
        prop_assert_eq!(scan(&[&text]), text);
    }
}
