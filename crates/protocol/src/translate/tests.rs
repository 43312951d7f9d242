use proptest::prelude::*;
use serde_json::{Value, json};

use super::{ChatEvent, Ending, ImageLinks, RenderOptions, Translator};
use crate::drift::Specimen;
use crate::event::{Card, CardKind, Channel, GrokEvent, ImageProgress, StoredAnswer};
use crate::failure::FailureKind;
use crate::halves::Halves;
use crate::rest::decode;

fn options() -> RenderOptions {
    RenderOptions {
        show_thinking: true,
        show_search: true,
        assets_url: "https://own.example/images/".to_owned(),
        image_links: None,
    }
}

/// What a client sees.
#[derive(Debug, Default, Clone, PartialEq)]
struct Seen {
    reasoning: String,
    text: String,
}

impl Seen {
    fn note(&mut self, event: ChatEvent<'_>) {
        match event {
            ChatEvent::Reasoning(text) => self.reasoning.push_str(text),
            ChatEvent::Text(text) => self.text.push_str(text),
        }
    }
}

fn feed(translator: &mut Translator, frames: &[Value], seen: &mut Seen) {
    for frame in frames {
        decode(&frame.to_string(), |event| translator.event(event, &mut |event| seen.note(event)));
    }
}

fn run(frames: &[Value]) -> (Seen, Ending) {
    let mut translator = Translator::new(options());
    let mut seen = Seen::default();
    feed(&mut translator, frames, &mut seen);
    let ending = translator.finish(&mut |event| seen.note(event));
    assert_eq!(translator.text(), seen.text);
    assert_eq!(translator.reasoning_bytes(), seen.reasoning.len());
    assert_eq!(translator.started(), seen != Seen::default());
    (seen, ending)
}

fn text_of(frames: &[Value]) -> String {
    run(frames).0.text
}

/// A chunk in the envelope of a new conversation, under one answer id.
fn chunk(mut members: Value) -> Value {
    members["responseId"] = json!("answer-1");
    json!({"result": {"response": members}})
}

fn token(text: &str) -> Value {
    chunk(json!({"token": text, "isThinking": false, "isSoftStop": false, "messageTag": "final"}))
}

fn thinking(tag: &str, text: &str) -> Value {
    chunk(json!({"token": text, "isThinking": true, "messageTag": tag, "messageStepId": 0, "rolloutId": "Grok"}))
}

fn soft_stop() -> Value {
    chunk(json!({"token": "", "isSoftStop": true}))
}

fn stored(message: &str) -> Value {
    chunk(
        json!({"modelResponse": {"responseId": "answer-1", "message": message, "sender": "assistant", "parentResponseId": "user-1"}}),
    )
}

fn card(card: Value) -> Value {
    chunk(json!({"cardAttachment": {"jsonData": card.to_string()}, "messageTag": "final"}))
}

fn citation(id: &str, url: &str) -> Value {
    card(json!({"id": id, "type": "render_inline_citation", "cardType": "citation_card", "url": url}))
}

fn cite(id: &str) -> String {
    format!(
        "<grok:render card_id=\"{id}\" card_type=\"citation_card\" type=\"render_inline_citation\"><argument name=\"citation_id\">1</argument></grok:render>"
    )
}

fn image(id: &str, chunk: Value) -> Value {
    card(json!({"id": id, "type": "render_generated_image", "cardType": "generated_image_card", "image_chunk": chunk}))
}

const IMAGE_TAG: &str =
    "<grok:render card_id=\"k\" card_type=\"generated_image_card\" type=\"render_generated_image\"></grok:render>";

#[test]
fn a_usual_answer_is_complete_and_its_ids_are_kept() {
    let mut translator = Translator::new(options());
    let mut seen = Seen::default();
    let frames = [
        json!({"result": {"conversation": {"conversationId": "conversation-1"}}}),
        json!({"result": {"response": {"userResponse": {"responseId": "user-1"}, "responseId": "user-1"}}}),
        thinking("header", "Thinking about your request"),
        token("4"),
        token("2"),
        soft_stop(),
        stored("42"),
        json!({"result": {"title": {"newTitle": "Sum"}}}),
    ];
    feed(&mut translator, &frames, &mut seen);
    assert_eq!(translator.finish(&mut |event| seen.note(event)), Ending::Complete);
    assert_eq!(seen, Seen { reasoning: String::new(), text: "42".to_owned() });
    let ids = translator.ids();
    assert_eq!(ids.conversation_id.as_deref(), Some("conversation-1"));
    assert_eq!(ids.user_message_id.as_deref(), Some("user-1"));
    assert_eq!(ids.response_id.as_deref(), Some("answer-1"));
    assert_eq!(ids.title.as_deref(), Some("Sum"));
}

#[test]
fn thinking_shows_headers_and_searches_as_lines_and_hides_agents_letters() {
    let call = |id: &str, tool: Value| {
        let mut usage = tool;
        usage["toolUsageCardId"] = json!(id);
        chunk(json!({"toolUsageCard": usage, "messageTag": "tool_usage_card", "isThinking": true, "token": "secret"}))
    };
    let found = |id: &str, results: Value| {
        chunk(json!({"webSearchResults": results, "messageTag": "raw_function_result", "toolUsageCardId": id}))
    };
    let frames = [
        thinking("header", "Thinking about your request"),
        thinking("header", "Looking it up"),
        thinking("summary", "- Two <xai:tool_usage_card>draft</xai:tool_usage_card>sources"),
        call("t1", json!({"webSearch": {"args": {}}})),
        call("t1", json!({"webSearch": {"args": {"query": "height of\nmont blanc"}}})),
        call("t1", json!({"webSearch": {"args": {"query": "height of mont blanc"}}})),
        found("t1", json!({"results": [{"url": "https://a.example", "title": "A"}, {"url": "javascript:x"}]})),
        call("t2", json!({"chatroomSend": {"args": {"message": "the whole draft", "to": "Agent 1"}}})),
        found("t2", json!([{"url": "https://a.example", "title": "A again"}])),
        call("t3", json!({"browsePage": {"args": {"url": "https://b.example/"}}})),
        chunk(json!({"token": "raw thought", "isThinking": true, "rolloutId": "Agent 1"})),
        chunk(json!({"token": " goes on", "isThinking": true, "rolloutId": "Agent 1"})),
        chunk(json!({"token": "other step", "isThinking": true, "rolloutId": "Agent 1", "messageStepId": 4})),
        chunk(json!({"token": "other agent", "isThinking": true, "rolloutId": "Agent 2", "messageStepId": 4})),
        token("Answer"),
        thinking("summary", "late"),
        call("t4", json!({"webSearch": {"args": {"query": "late"}}})),
        soft_stop(),
    ];
    let (seen, ending) = run(&frames);
    assert_eq!(ending, Ending::Complete);
    assert_eq!(seen.text, "Answer");
    assert_eq!(
        seen.reasoning,
        "Looking it up\n- Two sources\n🔍 height of\n→ 2 results\n🌐 https://b.example/\nraw thought goes on\nother step\nother agent"
    );
    let mut translator = Translator::new(options());
    feed(&mut translator, &frames, &mut Seen::default());
    assert_eq!(translator.sources().len(), 1, "a page is a source once, and only with a web address");

    let hidden = RenderOptions { show_thinking: false, ..options() };
    let mut translator = Translator::new(hidden);
    let mut seen = Seen::default();
    feed(&mut translator, &frames, &mut seen);
    assert_eq!(seen.reasoning, "");
    assert!(translator.reasoning_bytes() > 0, "hidden reasoning still counts");
}

#[test]
fn citations_are_numbered_by_address_and_unknown_cards_render_to_nothing() {
    let frames = [
        citation("a", "https://a.example/x(1)"),
        citation("b", "https://b.example"),
        citation("a2", "https://a.example/x(1)"),
        citation("bad", "javascript:alert(1)"),
        token(&format!(
            "One{} two{} three{} four{} five{}.",
            cite("a"),
            cite("b"),
            cite("a2"),
            cite("bad"),
            cite("unknown")
        )),
        card(json!({"id": "i", "type": "render_searched_image", "cardType": "image_card",
            "image": {"original": "https://c.example/p.jpg", "title": "A [peak]"}})),
        token("<grok:render card_id=\"i\" card_type=\"image_card\" type=\"render_searched_image\"/>"),
        soft_stop(),
    ];
    assert_eq!(
        text_of(&frames),
        "One[[1]](https://a.example/x%281%29) two[[2]](https://b.example) three[[1]](https://a.example/x%281%29) four five.\
         ![A  peak](https://c.example/p.jpg)"
    );
}

#[test]
fn documents_become_fenced_blocks() {
    let frames = [
        token("Here:"),
        token("<xaiArtifact title=\"hello.py\" contentType=\"text/python\">"),
        token("print(1)</xaiArtifact>"),
        token("Done."),
        soft_stop(),
    ];
    assert_eq!(text_of(&frames), "Here:\n\n**hello.py**\n\n````python\nprint(1)\n````\n\nDone.");
}

#[test]
fn a_generated_image_shows_once_whatever_comes_first() {
    let last = image("k", json!({"imageUrl": "users/u/generated/i/image.jpg", "progress": 100, "imageTitle": "Kite"}));
    let partial = image("k", json!({"imageUrl": "users/u/generated/i-part-0/image.jpg", "progress": 50}));
    let announced = image("k", Value::Null);
    let markdown = "![Kite](https://own.example/images/users/u/generated/i/image.jpg)";
    let orders: [&[&Value]; 4] = [
        &[&announced, &token(IMAGE_TAG), &partial, &last, &soft_stop()],
        &[&last, &last, &token(IMAGE_TAG), &soft_stop()],
        &[&announced, &token(IMAGE_TAG), &soft_stop(), &partial, &last],
        &[
            &token(IMAGE_TAG),
            &soft_stop(),
            &chunk(json!({"modelResponse": {"message": IMAGE_TAG, "cardAttachmentsJson": [
            json!({"id": "k", "type": "render_generated_image", "image_chunk":
                {"imageUrl": "/users/u/generated/i/image.jpg", "progress": 100, "imageTitle": "Kite"}}).to_string()]}})),
        ],
    ];
    for frames in orders {
        let frames: Vec<_> = frames.iter().map(|frame| (*frame).clone()).collect();
        let (seen, ending) = run(&frames);
        assert_eq!((seen.text.as_str(), ending), (markdown, Ending::Complete));
    }
    let around = [token("Here it is: "), last.clone(), token("Enjoy."), soft_stop()];
    assert_eq!(text_of(&around), format!("Here it is: \n\n{markdown}\n\nEnjoy."));
    let in_document = [token("<xaiArtifact>a"), last, token("b</xaiArtifact>c"), soft_stop()];
    assert_eq!(text_of(&in_document), format!("````\nab\n````\n\n{markdown}\n\nc"));
}

#[test]
fn how_far_an_image_is_shows_in_the_reasoning() {
    let state = |progress: i64| image("k", json!({"imageUrl": "users/u/i.jpg", "progress": progress}));
    let frames = [
        image("k", Value::Null),
        image("l", Value::Null),
        token(IMAGE_TAG),
        state(50),
        state(50),
        state(75),
        state(100),
    ];
    assert_eq!(run(&frames).0.reasoning, "🎨 making an image\n🎨 the image is 50 % done\n🎨 the image is 75 % done\n",);
    // The answer has begun: no reasoning any more.
    assert_eq!(run(&[token("Here:"), image("k", Value::Null), state(50), state(100)]).0.reasoning, "");
}

#[test]
fn images_are_linked_under_names_of_their_own_and_given_away_once() {
    let links = ImageLinks { base: "https://gateway.example/images".to_owned(), salt: [7; 16] };
    let linked = RenderOptions { image_links: Some(links.clone()), ..options() };
    let frames = [
        image("k", json!({"imageUrl": "users/u/i.PNG?x=1", "progress": 100, "imageTitle": "Kite"})),
        image("k", json!({"imageUrl": "users/u/i.PNG?x=1", "progress": 100})),
        image("l", json!({"imageUrl": "https://public.example/j", "progress": 100})),
    ];
    let mut translator = Translator::new(linked.clone());
    let mut seen = Seen::default();
    assert!(!translator.has_made_images());
    feed(&mut translator, &frames, &mut seen);
    let made = translator.take_made_images();
    let sources: Vec<_> = made.iter().map(|image| image.source.as_str()).collect();
    assert_eq!(sources, ["https://own.example/images/users/u/i.PNG?x=1", "https://public.example/j"]);
    let (first, second) = (&made[0].id, &made[1].id);
    assert!(first.len() == 32 && first.bytes().all(|byte| byte.is_ascii_hexdigit()), "{first}");
    let base = &links.base;
    assert_eq!(seen.text, format!("![Kite]({base}/{first}.png)\n\n![image]({base}/{second}.jpg)"));
    assert!(!translator.has_made_images() && translator.take_made_images().is_empty());

    // A replay names them alike; another answer does not.
    let mut resumed = Translator::resume(translator);
    let shown = seen.text.clone();
    feed(&mut resumed, &frames, &mut seen);
    assert_eq!((seen.text, resumed.take_made_images()), (shown, made.clone()));
    let other = ImageLinks { salt: [8; 16], ..links };
    let mut translator = Translator::new(RenderOptions { image_links: Some(other), ..linked });
    feed(&mut translator, &frames, &mut Seen::default());
    assert_ne!(translator.take_made_images()[0].id, made[0].id);
}

#[test]
fn images_of_the_older_form_are_shown_and_repeated_addresses_are_not() {
    let streaming = |url: &str, progress: i64| {
        chunk(json!({"streamingImageGenerationResponse": {"imageUrl": url, "progress": progress, "moderated": false}}))
    };
    let frames = [
        streaming("users/u/generated/i-part-0/image.jpg", 50),
        streaming("users/u/generated/i/image.jpg", 100),
        soft_stop(),
        chunk(json!({"modelResponse": {"message": "", "generatedImageUrls": [
            "prompt://a kite", "https://assets.grok.com/users/u/generated/i/image.jpg", "users/u/generated/j/image.jpg",
            "users/u/generated/j-part-0/image.jpg", "data:image/png;base64,xx"]}})),
    ];
    let (seen, ending) = run(&frames);
    assert_eq!(ending, Ending::Complete);
    assert_eq!(
        seen.text,
        "![image](https://own.example/images/users/u/generated/i/image.jpg)\n\n\
         ![image](https://own.example/images/users/u/generated/j/image.jpg)"
    );
}

#[test]
fn images_that_do_not_come_leave_one_line() {
    let moderated = image("k", json!({"imageUrl": "users/u/i.jpg", "progress": 50, "moderated": true}));
    let withheld = "*The upstream's moderation withheld the image.*";
    let repeated = chunk(json!({"modelResponse": {"message": "Sorry", "generatedImageUrls": ["users/u/i.jpg"]}}));
    assert_eq!(text_of(&[token("Sorry"), moderated, soft_stop(), repeated]), format!("Sorry\n\n{withheld}"));
    assert_eq!(
        run(&[image("k", Value::Null), token(IMAGE_TAG), soft_stop()]),
        (Seen { reasoning: "🎨 making an image\n".to_owned(), text: withheld.to_owned() }, Ending::Complete)
    );
    let failed = image("k", json!({"progress": 100, "systemErrCode": 1007}));
    assert_eq!(text_of(&[failed, soft_stop()]), "*The upstream could not make the image.*");
    let good = image("j", json!({"imageUrl": "users/u/j.jpg", "progress": 100}));
    assert_eq!(
        text_of(&[image("k", json!({"moderated": true})), good, soft_stop()]),
        "![image](https://own.example/images/users/u/j.jpg)\n\n*The upstream's moderation withheld another image.*"
    );
}

#[test]
fn the_stored_message_fills_what_the_stream_left_out() {
    let whole = format!("Tall{} and <b>high</b>.", cite("a"));
    let card = citation("a", "https://a.example");
    let shown = "Tall[[1]](https://a.example) and <b>high</b>.";
    // Cut anywhere, inside the tag too.
    for cut in (0..=whole.len()).filter(|cut| whole.is_char_boundary(*cut)) {
        let frames = [card.clone(), token(&whole[..cut]), soft_stop(), stored(&whole)];
        assert_eq!(
            run(&frames),
            (Seen { text: shown.to_owned(), ..Seen::default() }, Ending::Complete),
            "cut at {cut}"
        );
    }
    assert_eq!(text_of(&[stored(""), token("a"), stored("ab"), stored("abc")]), "abc", "the last one counts");
    assert_eq!(text_of(&[token("another"), stored("answer"), soft_stop()]), "another", "what differs is left as it is");
    let late_card =
        [token("a"), token(&cite("a")), card, token("b"), soft_stop(), stored(&format!("a{}bc", cite("a")))];
    assert_eq!(
        text_of(&late_card),
        "abc",
        "what rendered to nothing in the stream does not count against the stored text"
    );
    let leak = "<xai:tool_usage_card>secret</xai:tool_usage_card>Hello world";
    assert_eq!(text_of(&[token("Hello"), soft_stop(), stored(leak)]), "Hello world", "only markup differs");
}

#[test]
fn endings_are_told_apart() {
    let error =
        |severity: &str| chunk(json!({"error": {"message": "limit", "severity": severity, "usageLimitReached": {}}}));
    let (fatal, normal) = (error("STREAM_ERROR_SEVERITY_FATAL"), error("STREAM_ERROR_SEVERITY_NORMAL"));
    let in_answer = chunk(json!({"modelResponse": {"message": "", "responseId": "answer-1", "streamErrors":
        [{"message": "x", "severity": "STREAM_ERROR_SEVERITY_NORMAL", "usageLimitReached": {"midTurn": false}}]}}));
    let top = json!({"error": {"code": 8, "message": "Too many requests", "details": []}});
    let ending = |frames: &[Value]| run(frames).1;
    assert_eq!(ending(&[]), Ending::Empty);
    assert_eq!(ending(&[token(""), soft_stop(), stored("")]), Ending::Empty);
    assert_eq!(ending(&[token("\n"), soft_stop()]), Ending::Empty, "white space is no answer");
    assert_eq!(ending(&[token("a"), soft_stop()]), Ending::Complete);
    assert_eq!(ending(&[token("a"), stored("a")]), Ending::Complete);
    assert_eq!(ending(&[token("a"), stored("")]), Ending::Truncated, "a placeholder ends nothing");
    assert_eq!(ending(&[token("a")]), Ending::Truncated);
    assert_eq!(ending(&[thinking("summary", "hm")]), Ending::Truncated, "it was still thinking");
    assert_eq!(ending(&[token("a"), normal.clone(), soft_stop()]), Ending::Complete);
    for frames in [
        vec![top.clone()],
        vec![token("a"), top],
        vec![token("a"), fatal.clone(), soft_stop(), stored("a")],
        vec![fatal],
        vec![normal, soft_stop()],
        vec![soft_stop(), in_answer],
    ] {
        let Ending::Failed(failure) = ending(&frames) else { panic!("{frames:?} did not fail") };
        assert!(matches!(failure.kind, FailureKind::RateLimited { .. }));
    }
}

#[test]
fn alternating_channels_do_not_share_an_open_tag() {
    let tag = cite("a");
    let mut frames = vec![citation("a", "https://a.example"), thinking("summary", "x <grok:render card")];
    for piece in ["So ", &tag[..9], &tag[9..40], &tag[40..], " it is."] {
        frames.push(token(piece));
        frames.push(thinking("summary", "<xai:tool_usage_card>"));
    }
    frames.push(soft_stop());
    assert_eq!(text_of(&frames), "So [[1]](https://a.example) it is.");
}

/// An answer with everything in it.
fn rich_answer() -> Vec<Value> {
    let mut frames = vec![
        thinking("header", "Looking"),
        thinking("summary", "- é <b>\n"),
        chunk(
            json!({"toolUsageCard": {"toolUsageCardId": "t", "webSearch": {"args": {"query": "q"}}}, "messageTag": "tool_usage_card"}),
        ),
        citation("a", "https://a.example"),
    ];
    let text = format!("Ü{} <xaiArtifact contentType=\"text/c\">a<b</xaiArtifact> and {IMAGE_TAG}ende", cite("a"));
    frames.extend(text.split_inclusive(|_| true).map(token));
    frames.push(image("k", json!({"imageUrl": "users/u/k.jpg", "progress": 100})));
    frames.push(token("!"));
    frames.extend([soft_stop(), stored(&format!("{text}!"))]);
    frames
}

#[test]
fn a_replayed_answer_goes_on_where_it_was_cut() {
    let frames = rich_answer();
    let (whole, ending) = run(&frames);
    assert_eq!(ending, Ending::Complete);
    for cut in 0..frames.len() {
        let mut seen = Seen::default();
        let mut first = Translator::new(options());
        feed(&mut first, &frames[..cut], &mut seen);
        // Cut once more during the replay.
        let mut second = Translator::resume(first);
        feed(&mut second, &frames[..cut / 2], &mut seen);
        let mut third = Translator::resume(second);
        feed(&mut third, &frames, &mut seen);
        assert_eq!(third.finish(&mut |event| seen.note(event)), Ending::Complete, "cut at {cut}");
        assert_eq!(seen, whole, "cut at {cut}");
        assert_eq!(third.text(), whole.text);
    }
}

#[test]
fn a_replay_that_says_something_else_never_doubles_text() {
    let mut seen = Seen::default();
    let mut first = Translator::new(options());
    feed(&mut first, &[token("The answer"), token(" is 4")], &mut seen);
    let mut second = Translator::resume(first);
    feed(&mut second, &[token("The result"), token(" is four"), soft_stop()], &mut seen);
    assert_eq!(second.finish(&mut |event| seen.note(event)), Ending::Truncated);
    assert_eq!(seen.text, "The answer is 4");
}

#[test]
fn unknown_kinds_are_counted_within_bounds() {
    let mut translator = Translator::new(options());
    let frames: Vec<_> = (0..1000).map(|kind| chunk(json!({format!("new{}", kind % 500): {}}))).collect();
    feed(&mut translator, &frames, &mut Seen::default());
    assert_eq!(translator.unknown().get("new0"), Some(&2));
    assert!(translator.unknown().len() <= super::UNKNOWN_KINDS_LIMIT);
}

proptest! {
    /// However the model's text is cut into tokens, and whether it is streamed, stored or both, the same is seen.
    #[test]
    fn tokens_may_be_cut_anywhere(cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12), upto in any::<prop::sample::Index>()) {
        let text = format!("a < b{} <div>ü</div>\n<xaiArtifact title=\"t\">x</xaiArtifact>\n{}{IMAGE_TAG}z", cite("a"), cite("b"));
        let cards = [citation("a", "https://a.example"), citation("b", "https://b.example")];
        let expected = text_of(&[&cards[..], &[token(&text), soft_stop()]].concat());
        let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        places.extend([0, text.len()]);
        places.retain(|place| text.is_char_boundary(*place));
        places.sort_unstable();
        let mut frames = cards.to_vec();
        frames.extend(places.windows(2).take(upto.index(places.len())).map(|pair| token(&text[pair[0]..pair[1]])));
        frames.extend([soft_stop(), stored(&text)]);
        prop_assert_eq!(text_of(&frames), expected);
    }
}

/// Events as the dialects without tags, or with late cards, tell them.
fn run_events(events: Vec<GrokEvent<'_>>) -> (Seen, Ending) {
    let mut translator = Translator::new(options());
    let mut seen = Seen::default();
    for event in events {
        translator.event(event, &mut |event| seen.note(event));
    }
    let ending = translator.finish(&mut |event| seen.note(event));
    assert_eq!(translator.text(), seen.text);
    (seen, ending)
}

fn visible(text: &str) -> GrokEvent<'_> {
    GrokEvent::Text { channel: Channel::Final, text: text.into(), step: None, rollout: None, halves: Halves::default() }
}

fn citation_card(id: &str) -> GrokEvent<'static> {
    let url = format!("https://example.org/{id}");
    GrokEvent::Card(Card { id: id.to_owned(), kind: CardKind::Citation { url } })
}

fn place(id: &str) -> GrokEvent<'_> {
    GrokEvent::CardPlace { id: id.into() }
}

fn image_card(id: &str) -> GrokEvent<'static> {
    let image = ImageProgress { url: format!("{id}.jpg"), progress: 100.0, ..ImageProgress::default() };
    GrokEvent::Card(Card { id: id.to_owned(), kind: CardKind::GeneratedImage(Some(image)) })
}

#[test]
fn a_card_shows_where_it_was_placed_and_ends_a_tag_that_only_began() {
    for (held, shown) in
        [("<", "<"), ("<grok:render", "<grok:render"), ("<grok:render a=1", "<grok:render a=1"), ("</xai", "</xai")]
    {
        let (seen, _) = run_events(vec![
            citation_card("a"),
            visible("A "),
            visible(held),
            place("a"),
            visible(" b"),
            GrokEvent::SoftStop,
        ]);
        assert_eq!(seen.text, format!("A {shown}[[1]](https://example.org/a) b"));
    }
    let (seen, ending) = run_events(vec![visible("A"), place("nothing"), visible("b"), GrokEvent::SoftStop]);
    assert_eq!((seen.text.as_str(), ending), ("Ab", Ending::Complete));
}

#[test]
fn the_stored_message_completes_an_answer_whose_cards_had_places() {
    let tag = r#"<grok:render card_id="a" card_type="citation_card" type="render_inline_citation"></grok:render>"#;
    let stored = |message: String| {
        GrokEvent::Stored(Box::new(StoredAnswer { message: message.into(), ..StoredAnswer::default() }))
    };
    let begun = || vec![citation_card("a"), visible("A"), place("a")];
    let expected = "A[[1]](https://example.org/a) and more";
    let events = [begun(), vec![stored(format!("A{tag} and more"))]].into_iter().flatten().collect();
    assert_eq!(run_events(events).0.text, expected, "the citation is not doubled");
    // After a cut, in the stream that takes the answer up again.
    let mut translator = Translator::new(options());
    let mut seen = Seen::default();
    for event in begun() {
        translator.event(event, &mut |event| seen.note(event));
    }
    let mut resumed = Translator::resume(translator);
    resumed.event(stored(format!("A{tag} and more")), &mut |event| seen.note(event));
    assert_eq!(resumed.finish(&mut |event| seen.note(event)), Ending::Complete);
    assert_eq!(seen.text, expected, "the cards are still known");
}

#[test]
fn text_waits_for_its_card_only_where_cards_come_late() {
    let tag = |id: &str| format!(r#"<grok:render card_id="{id}" card_type="citation_card"></grok:render>"#);
    let (first, second) = (tag("a"), tag("b"));
    let late = |events: Vec<GrokEvent<'static>>| {
        let mut translator = Translator::new(options());
        let mut pieces = Vec::new();
        let mut out = |event: ChatEvent<'_>| {
            let (ChatEvent::Text(text) | ChatEvent::Reasoning(text)) = event;
            pieces.push(text.to_owned());
        };
        for event in events {
            translator.event(event, &mut out);
        }
        out(ChatEvent::Text("|"));
        translator.finish(&mut out);
        pieces.concat()
    };
    let owned = |text: &str| GrokEvent::Text {
        channel: Channel::Final,
        text: text.to_owned().into(),
        step: None,
        rollout: None,
        halves: Halves::default(),
    };
    let thought = || GrokEvent::Text {
        channel: Channel::Thinking,
        text: "thought".into(),
        step: None,
        rollout: None,
        halves: Halves::default(),
    };
    // Without the word that cards come late, nothing waits.
    assert_eq!(late(vec![owned(&first), owned("x"), citation_card("a")]), "x|");
    let link = |number: u8, id: &str| format!("[[{number}]](https://example.org/{id})");
    let waiting =
        || vec![GrokEvent::CardsComeLate, owned("A"), owned(&first), owned(" B"), owned(&second), owned(" C")];
    assert_eq!(late(waiting()), "A| B C", "no card came");
    let with = |more: Vec<GrokEvent<'static>>| late(waiting().into_iter().chain(more).collect());
    assert_eq!(with(vec![citation_card("b")]), format!("A| B{} C", link(1, "b")));
    assert_eq!(with(vec![citation_card("a")]), format!("A{} B| C", link(1, "a")));
    assert_eq!(
        with(vec![citation_card("b"), citation_card("a"), owned(" D")]),
        format!("A{} B{} C D|", link(1, "a"), link(2, "b"))
    );
    // The answer has begun although nothing of it shows yet.
    assert_eq!(
        late(vec![GrokEvent::CardsComeLate, owned(&first), thought(), citation_card("a")]),
        format!("{}|", link(1, "a"))
    );
    // Images and documents keep their order, and nothing is written into a document.
    let document = "<xaiArtifact title=\"t\" contentType=\"text/x\">code";
    assert_eq!(
        with(vec![
            image_card("i"),
            owned(document),
            image_card("j"),
            owned("!</xaiArtifact>"),
            owned(" D"),
            citation_card("a"),
            citation_card("b")
        ]),
        format!(
            "A{} B{} C\n\n![image](https://own.example/images/i.jpg)\n\n**t**\n\n````x\ncode!\n````\n\n\
             ![image](https://own.example/images/j.jpg)\n\n D|",
            link(1, "a"),
            link(2, "b")
        )
    );
}

#[test]
fn samples_are_kept_of_the_first_of_each_kind() {
    let mut translator = Translator::new(options());
    for json in [r#"{"first":1}"#, r#"{"second":1}"#] {
        translator.event(GrokEvent::Unknown { kind: "new".into(), specimen: Specimen::new(json) }, &mut |_| {});
    }
    assert_eq!(translator.unknown()["new"], 2);
    assert_eq!(translator.samples()["new"], "{first:number}");
    assert_eq!(Translator::resume(translator).samples()["new"], "{first:number}");
}
