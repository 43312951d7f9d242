//! Scenarios that are about the socket: its messages and its ends. Those that are whole answers can be asked for over REST as
//! well, which leaves out what only a socket can say.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    reply::{Reply, When},
    scenarios::{SCENARIO_TEXT, citation, citation_card, image_steps, text_tokens, web_results, web_search},
    socket_replies::TurnEnd,
    step::{Chunk, Citation, ImageForm, ImageStage, Script, Severity, Step, Thinking, ToolCall, ToolResult, tokens_of},
};

/// A message that no client takes: they stop at 16 or 32 MiB (UPSTREAM.md 16.1).
const OVERSIZED: u64 = 64 << 20;

fn text(text: &str) -> Step {
    Step::Text(text.to_owned())
}

/// Visible: [`SCENARIO_TEXT`]; headings between its tokens, after them, and after the answer's end.
pub(super) fn thinking_after_the_end() -> Reply {
    let mut steps = vec![Step::Opening];
    let mut tokens = text_tokens();
    let tail = tokens.split_off(3);
    steps.extend(tokens);
    steps.push(Thinking::header(1, "LATE HEADING between tokens"));
    steps.extend(tail);
    steps.push(Thinking::header(2, "LATE HEADING after the text"));
    steps.extend([Step::SoftStop, Step::FinalMetadata, Step::Stored]);
    steps.push(Thinking::header(3, "LATE HEADING after the end"));
    steps.push(Step::Title);
    Reply::steps(steps)
}

/// What only a socket can say and nobody knows: events, channels, messages that are no text or no JSON.
pub(super) fn unknown_messages() -> Vec<Step> {
    let chunk = |members: Value| json!({"type": "response.chunk", "response_id": "$response", "item_id": "$response", "chunk": members});
    vec![
        Step::Event(json!({"type": "conversation.hologram.updated", "hologram": {"text": "UNKNOWN EVENT"}})),
        Step::Event(json!({"type": "response.chunk"})),
        Step::Event(chunk(json!({"render_hologram": {"id": "zz9", "text": "UNKNOWN PAYLOAD"}}))),
        Step::Event(chunk(json!({"text": {"text": "UNKNOWN CHANNEL", "channel": "CHANNEL_FROM_THE_FUTURE"}}))),
        Step::Event(chunk(json!({"text": {"text": "RAW REASONING", "channel": "CHANNEL_REASONING"}}))),
        Step::Event(json!({"type": "response.grok.output", "output": {"hologram": {}}})),
        Step::Raw("[1, 2, \"three\"]".to_owned()),
        Step::Raw(String::new()),
        Step::Binary(vec![0, 159, 146, 150]),
        Step::ControlPing,
    ]
}

/// Visible: `haha ha  \n👩‍👩e\u{301}.` in equal neighbours, white space alone, and letters cut between their parts.
pub(super) fn repeated_tokens() -> Reply {
    let tokens = ["ha", "ha", " ", "ha", " ", " ", "\n", "👩", "\u{200d}", "👩", "e", "\u{301}", "."];
    Reply::answer(tokens.map(text).to_vec())
}

/// Visible: [`SCENARIO_TEXT`]; results before other calls, out of order, without an id, empty, missing.
pub(super) fn tools_out_of_order() -> Reply {
    let id = |number: u32| format!("{number:08}-3b2a-4190-8f7e-6d5c4b3a2910");
    let result =
        |id: String, members: Value| Step::ToolResult(ToolResult { id, members, step: 1, rollout: String::new() });
    let call = |id: String, name: &str, arguments: Value| {
        Step::ToolCall(ToolCall { id, name: name.to_owned(), arguments, step: 1, rollout: String::new() })
    };
    let page = json!([{"url": "https://example.org/alps", "title": "The Alps", "preview": "Mont Blanc, 4805.59 m"}]);
    let mut steps = vec![
        Step::ToolCall(web_search(&id(1), "height of mont blanc")),
        call(id(2), "x_search", json!({"query": "mont blanc"})),
        result(id(2), json!({"xSearchResults": {"results": []}})),
        call(id(3), "open_page", json!({"url": "https://example.org/alps"})),
        call(id(4), "code_execution", json!({"code": "print(4805)"})),
        result(id(3), json!({"webSearchResults": {"results": page}})),
        Step::ToolResult(web_results(&id(1))),
        result(
            String::new(),
            json!({"codeExecutionResult": {"stdout": "4805\n", "stderr": "", "exitCode": 0,
            "commandTimedOut": false}}),
        ),
    ];
    steps.extend(text_tokens());
    Reply::answer(steps)
}

/// Visible: `Mont Blanc[1] is high[1], very[2].` and then a row of twenty, whose sources are links; one of them has no
/// address and one is of a kind that nobody knows.
pub(super) fn citations_repeated() -> Reply {
    let alps = "https://example.org/alps";
    let mut steps = vec![
        text("Mont Blanc"),
        citation("c1", alps, 0),
        citation("c2", alps, 0),
        text(" is high"),
        citation("c3", alps, 0),
        text(", very"),
        citation("c4", "https://example.org/peaks", 1),
        citation("c5", "", 2),
        text("."),
        Step::Citation(Citation {
            kind: "CITATION_KIND_HOLOGRAM".to_owned(),
            ..Citation::web("c6", "https://example.org/hologram", 3)
        }),
    ];
    for index in 10..30 {
        steps.push(text(" more"));
        steps.push(citation(&format!("d{index}"), &format!("https://example.org/{index}"), index));
    }
    Reply::answer(steps)
}

/// An image whose place is marked and that never comes.
pub(super) fn image_never_done() -> Reply {
    let mut steps = vec![text("Here it is: ")];
    steps.extend(image_steps(ImageForm::Card, "a red kite", &[ImageStage::Placeholder, ImageStage::Tag]));
    Reply::answer(steps)
}

/// Visible: text, a found picture, text.
pub(super) fn searched_image() -> Reply {
    let image = json!({"original": "https://example.org/kite.jpg", "thumbnail": "https://example.org/kite-small.jpg",
        "title": "A red kite", "source": "example.org", "link": "https://example.org/kite"});
    Reply::answer(vec![
        text("A kite: "),
        Step::Card(json!({"id": "s1", "type": "render_searched_image", "cardType": "image_card", "image": image})),
        text(
            "<grok:render card_id=\"s1\" card_type=\"image_card\" type=\"render_searched_image\">\
              <argument name=\"size\">\"LARGE\"</argument></grok:render>",
        ),
        text(" and more."),
    ])
}

/// Where the card of a citation stands, seen from its tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CardPlace {
    Before,
    After,
    AfterText,
    Nowhere,
}

/// Visible: `High: 4806 m, they say.`, with a link after `m` where the card is there.
pub(super) fn card(place: CardPlace) -> Reply {
    let tag = "<grok:render card_id=\"9af310\" card_type=\"citation_card\" type=\"render_inline_citation\">\
               <argument name=\"citation_id\">12</argument></grok:render>";
    let card = citation_card("9af310", "https://example.org/alps");
    let mut steps = vec![Step::Opening];
    steps.extend((place == CardPlace::Before).then(|| card.clone()));
    steps.extend(tokens_of("High: 4806 m"));
    steps.extend([&tag[..9], &tag[9..40], &tag[40..]].map(text));
    steps.extend((place == CardPlace::After).then(|| card.clone()));
    steps.extend(tokens_of(", they say."));
    steps.push(Step::SoftStop);
    steps.extend((place == CardPlace::AfterText).then_some(card));
    steps.extend([Step::FinalMetadata, Step::Stored, Step::Title]);
    Reply::steps(steps)
}

/// The text in `response.completed` (or, over REST, in the stored answer) alone.
pub(super) fn only_completed() -> Reply {
    let stored = Step::StoredWith(json!({"message": SCENARIO_TEXT}));
    Reply::steps(vec![Step::Opening, Step::Completed(SCENARIO_TEXT.to_owned()), stored, Step::Title])
}

/// An answer that ends badly.
pub(super) fn ended(end: TurnEnd, when: When) -> Reply {
    let done = |status: Option<&str>, reason: Option<&str>| Step::Done {
        status: status.map(str::to_owned),
        reason: reason.map(str::to_owned),
    };
    let mut steps = vec![Step::Opening];
    if when == When::AfterText {
        steps.extend(text_tokens().into_iter().take(3));
    }
    steps.push(match end {
        TurnEnd::Closed => Step::Cut { reconnectable: false },
        TurnEnd::SessionEnded => Step::Event(json!({"type": "session.ended", "reason": "timeout"})),
        TurnEnd::Error => Step::TopLevelError { code: 13.into(), message: "Internal error".to_owned() },
        TurnEnd::Incomplete => done(Some("incomplete"), Some("stream_error")),
        TurnEnd::Failed => done(Some("failed"), Some("model_error")),
        TurnEnd::Cancelled => done(Some("cancelled"), None),
        TurnEnd::NoStatus => done(None, None),
        TurnEnd::Silence => Step::Hang,
    });
    Reply::steps(steps)
}

/// An account that is not trusted: stock phrases are searched, unrelated pictures shown, and no heading comes.
pub(super) fn distrusted() -> Reply {
    let mut steps = Vec::new();
    for (index, query) in ["how are you", "what is the weather like", "hello world"].into_iter().enumerate() {
        let id = format!("{index:08}-3b2a-4190-8f7e-6d5c4b3a2910");
        steps.push(Step::ToolCall(web_search(&id, query)));
        steps.push(Step::ToolResult(web_results(&id)));
    }
    steps.extend(tokens_of("I am here to help you."));
    let Reply::Script(picture) = searched_image() else { return Reply::answer(steps) };
    steps.extend(picture.steps.into_iter().filter(|step| matches!(step, Step::Card(_))));
    Reply::answer(steps)
}

/// The socket is lost when the message is stored and nothing is answered yet; the answer goes on.
pub(super) fn drop_after_item() -> Reply {
    let mut steps = vec![Step::ItemAdded, Step::Cut { reconnectable: true }, Step::Opening];
    steps.extend(text_tokens());
    steps.extend(Script::ending());
    Reply::steps(steps)
}

/// Silence in the middle of an answer, while pings are answered.
pub(super) fn quiet(silence: Duration) -> Reply {
    let mut steps = text_tokens();
    steps.insert(3, Step::Wait(silence));
    Reply::answer(steps)
}

/// A socket that is dead from the session's start on: three tokens, then not even a pong.
pub(super) fn no_pongs() -> Reply {
    let mut steps = text_tokens();
    steps.insert(3, Step::Hang);
    Reply::Script(Script::answer(steps).mute())
}

/// A message that is too long for any client, in the middle of an answer.
pub(super) fn oversized() -> Reply {
    let mut steps = text_tokens();
    steps.insert(3, Step::Oversized(OVERSIZED));
    Reply::answer(steps)
}

/// An error of the socket's own kind inside an answer.
pub(super) fn output_error(kind: &str, message: &str, when: When) -> Reply {
    let mut steps = vec![Step::Opening];
    if when == When::AfterText {
        steps.extend(text_tokens().into_iter().take(3));
    }
    steps.push(Step::StreamError { kind: kind.to_owned(), message: message.to_owned(), severity: Severity::Unknown });
    Reply::steps(steps)
}

/// Visible: [`SCENARIO_TEXT`]; a token and a tool's result come in one chunk, and two payloads without text in another.
pub(super) fn double_payloads() -> Reply {
    let mut steps = text_tokens();
    if let Step::Text(token) = steps.remove(1) {
        let pages = web_results("").members["webSearchResults"].clone();
        let members = json!({"token": token, "webSearchResults": pages});
        let both = Chunk { members, thinking: false, tag: "final".to_owned(), stored_text: token };
        steps.insert(1, Step::Chunk(both));
    }
    let members = json!({"keepAlive": {}, "progressReport": {"category": "SEARCHING", "state": "RUNNING",
        "message": "Looking around", "percentage": 30}});
    steps.insert(3, Step::Chunk(Chunk { members, ..Chunk::default() }));
    Reply::answer(steps)
}
