//! Links: of images that the model makes, of cards, and those that are taken out of an answer; and JSON whose characters were cut.
//! No panic, no time that grows faster than the text, and nothing written that breaks out of its link.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::event::{Card, CardKind, GrokEvent, ImageProgress};
use protocol::halves::mended_json;
use protocol::history::{History, answer_print, normalise};
use protocol::openai::{Message, Role};
use protocol::translate::{ImageLinks, RenderOptions, Translator};

fuzz_target!(|input: (bool, &str, &str)| {
    let (is_linked_here, one, other) = input;
    let bytes = one.len() + other.len();
    protocol_fuzz::hold(bytes, 400, || {
        taken_out(one, other);
        made(is_linked_here, one, other);
        cited(one, other);
        mended(one);
    });
});

fn message(role: Role, text: &str) -> Message {
    Message { role, text: text.to_owned(), images: Vec::new(), tool_calls: None, tool_call_id: None, name: None }
}

fn taken_out(one: &str, other: &str) {
    let (hash, characters) = answer_print(one);
    assert_eq!((hash, characters), answer_print(one));
    assert!(characters <= one.len());
    assert_eq!(normalise(&normalise(one)), normalise(one), "what is normal stays as it is");
    let history = History::read(&[message(Role::User, other), message(Role::Assistant, one), message(Role::User, "q")]);
    let answer = history.pairs.first().expect("there is a pair");
    assert_eq!((answer.answer.hashes.first(), answer.answer.characters), (Some(&hash), characters));
    let _ = history.replay(&[]);
}

fn translator(is_linked_here: bool) -> Translator {
    let links = ImageLinks { base: "https://here.test/images".to_owned(), salt: [3; 16] };
    Translator::new(RenderOptions {
        show_thinking: true,
        show_search: true,
        assets_url: "https://assets.test".to_owned(),
        image_links: is_linked_here.then_some(links),
    })
}

fn made(is_linked_here: bool, url: &str, title: &str) {
    let mut translator = translator(is_linked_here);
    let image = ImageProgress {
        url: url.to_owned(),
        title: title.to_owned(),
        progress: 100.0,
        is_final: true,
        ..ImageProgress::default()
    };
    translator.event(GrokEvent::Image(image), &mut |_| {});
    let text = translator.text().to_owned();
    if !text.is_empty() {
        is_one_link(text.strip_prefix('!').expect("an image"));
    }
    for made in translator.take_made_images() {
        assert!(made.id.len() == 32 && text.contains(&made.id));
    }
}

fn cited(url: &str, title: &str) {
    for kind in [
        CardKind::Citation { url: url.to_owned() },
        CardKind::SearchedImage { url: url.to_owned(), title: title.to_owned() },
    ] {
        let is_image = matches!(kind, CardKind::SearchedImage { .. });
        let mut translator = translator(false);
        translator.event(GrokEvent::Card(Card { id: "c".to_owned(), kind }), &mut |_| {});
        translator.event(GrokEvent::CardPlace { id: "c".into() }, &mut |_| {});
        let text = translator.text();
        if !text.is_empty() && is_image {
            is_one_link(text.strip_prefix('!').expect("an image"));
        } else if !text.is_empty() {
            let target = text.strip_prefix("[[1]]").expect("a number");
            is_one_link(&format!("[1]{target}"));
        }
    }
}

/// `[…](…)`, and nothing that ends either part early.
fn is_one_link(link: &str) {
    let (label, target) = link[1..].split_once("](").expect("a label and a target");
    let target = target.strip_suffix(')').expect("an end");
    assert!(link.starts_with('[') && !label.contains(['[', ']', '\n', '\r']), "{label:?}");
    let breaks_out = |character: char| character.is_whitespace() || "()<>\"\\".contains(character) || character.is_control();
    assert!(!target.contains(breaks_out), "{target:?}");
}

fn mended(json: &str) {
    let mended = mended_json(json.as_bytes());
    assert_eq!(mended.len(), json.len());
    assert_eq!(mended_json(&mended), mended, "once is enough");
    if serde_json::from_str::<serde_json::Value>(json).is_ok() {
        assert_eq!(&*mended, json.as_bytes(), "what could be read is not touched");
    }
}
