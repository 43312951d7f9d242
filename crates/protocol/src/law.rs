//! The law of time: what a reader of foreign text costs grows no faster than the text, whatever the text is. Costs are counted
//! ([`crate::steps`]) and not timed, so the law holds on a busy machine too.
//!
//! Short inputs are repeated to many lengths, because that is what makes a search within a loop, a list that is walked for every
//! item, or a beginning that is read again with every piece, show.

use std::fmt::Write as _;

use proptest::prelude::*;

use crate::failure::{classify_http, classify_named, classify_stream_error};
use crate::frame::FrameSplitter;
use crate::halves::mended_json;
use crate::headers::{cookie_header, parse_credential};
use crate::history::{Hash, History, Lines, answer_print, normalise};
use crate::markup::MarkupScanner;
use crate::model::Mode;
use crate::openai::{Message, Role, read_chat_request, read_turn_request};
use crate::rest;
use crate::socket::{Session, SessionIds};
use crate::steps;
use crate::translate::{ImageLinks, RenderOptions, Translator};
use crate::turn::TurnRequest;

/// Lengths at which a reader is measured.
const LENGTHS: [usize; 2] = [64 * 1024, 256 * 1024];

/// The longest, for one telling text per reader.
const LONGEST: usize = 8 * 1024 * 1024;

/// A reader: a name, the most steps that a byte may cost it, and what it does with a short text and a length.
struct Reader {
    name: &'static str,
    steps_per_byte: u64,
    /// Reads the text repeated to a length, and tells how many bytes that were with all that stands around them.
    read: fn(&str, usize) -> usize,
}

/// What costs the same for every text.
const BASE: u64 = 400_000;

const READERS: &[Reader] = &[
    Reader { name: "history: an answer", steps_per_byte: 60, read: |short, length| answer(&repeated(short, length)) },
    Reader {
        name: "history: a question",
        steps_per_byte: 20,
        read: |short, length| question(&repeated(short, length)),
    },
    Reader { name: "history: many short messages", steps_per_byte: 60, read: many_messages },
    Reader {
        name: "history: what differs",
        steps_per_byte: 60,
        read: |short, length| difference(&repeated(short, length)),
    },
    Reader {
        name: "markup, whole",
        steps_per_byte: 12,
        read: |short, length| markup(&repeated(short, length), usize::MAX),
    },
    Reader { name: "markup, in pieces", steps_per_byte: 24, read: |short, length| markup(&repeated(short, length), 5) },
    Reader {
        name: "frame, whole",
        steps_per_byte: 4,
        read: |short, length| frames(repeated(short, length).as_bytes(), usize::MAX),
    },
    Reader {
        name: "frame, in pieces",
        steps_per_byte: 4,
        read: |short, length| frames(repeated(short, length).as_bytes(), 7),
    },
    Reader {
        name: "REST: one text",
        steps_per_byte: 60,
        read: |short, length| rest_answer(&[token(&repeated(short, length))]),
    },
    Reader { name: "REST: many tokens", steps_per_byte: 60, read: many_tokens },
    Reader { name: "REST: many agents", steps_per_byte: 60, read: many_agents },
    Reader { name: "REST: many calls", steps_per_byte: 60, read: many_calls },
    Reader { name: "REST: many cards and places", steps_per_byte: 500, read: many_cards },
    Reader { name: "REST: many images", steps_per_byte: 500, read: many_images },
    Reader { name: "REST: many sources", steps_per_byte: 60, read: many_sources },
    Reader { name: "REST: stored answer", steps_per_byte: 60, read: stored_answer },
    Reader {
        name: "REST: any frame",
        steps_per_byte: 30,
        read: |short, length| rest_answer(&[repeated(short, length)]),
    },
    Reader { name: "socket: many deltas", steps_per_byte: 60, read: many_deltas },
    Reader { name: "socket: many helpers", steps_per_byte: 60, read: many_helpers },
    Reader { name: "socket: late cards", steps_per_byte: 60, read: late_cards },
    Reader {
        name: "socket: any message",
        steps_per_byte: 30,
        read: |short, length| socket_answer(&[repeated(short, length)]),
    },
    Reader { name: "failure: a body", steps_per_byte: 260, read: |short, length| failure(&repeated(short, length)) },
    Reader { name: "unary answers", steps_per_byte: 60, read: unary },
    Reader { name: "chat request", steps_per_byte: 80, read: chat_request },
    Reader {
        name: "halves",
        steps_per_byte: 4,
        read: |short, length| mended_json(repeated(short, length).as_bytes()).len(),
    },
    Reader { name: "credentials", steps_per_byte: 12, read: |short, length| credentials(&repeated(short, length)) },
    Reader { name: "model name", steps_per_byte: 12, read: |short, length| model(&repeated(short, length)) },
];

fn repeated(short: &str, length: usize) -> String {
    short.repeat((length / short.len().max(1)).max(1))
}

fn message(role: Role, text: String) -> Message {
    Message { role, text, images: Vec::new(), tool_calls: None, tool_call_id: None, name: None }
}

fn answer(text: &str) -> usize {
    let _ = answer_print(text);
    let messages = [
        message(Role::User, "q".to_owned()),
        message(Role::Assistant, text.to_owned()),
        message(Role::User, "q".to_owned()),
    ];
    let _ = History::read(&messages).replay(&[]);
    text.len()
}

fn question(text: &str) -> usize {
    let _ = normalise(text);
    let history = History::read(&[message(Role::User, text.to_owned())]);
    let lines = &history.last.as_ref().expect("there is a question").lines;
    let _ = lines.are_all_in(&Lines::from_text(&lines.to_text()));
    text.len()
}

fn many_messages(short: &str, length: usize) -> usize {
    let pair = [message(Role::User, short.to_owned()), message(Role::Assistant, short.to_owned())];
    // A message costs more than its words.
    let count = length / (2 * short.len() + 128);
    let history = History::read(&pair.iter().cycle().take(2 * count).cloned().collect::<Vec<_>>());
    let _ = (history.chains("owner"), history.bases().count(), history.replay(&[]));
    length
}

fn difference(text: &str) -> usize {
    let history = History::read(&[message(Role::User, text.to_owned())]);
    let user = history.last.expect("there is a question");
    // Tries cost a fixed number of bytes; what is measured is what comes on top.
    let other = Lines::from_text(&"0123456789abcdef".repeat(text.len() / 64));
    let (_, steps) = steps::counted(|| user.difference(&Hash::of(&[b"other"]), &other));
    assert!(steps < 40_000_000 + 60 * text.len() as u64, "{steps}");
    usize::MAX
}

fn markup(text: &str, piece: usize) -> usize {
    let mut scanner = MarkupScanner::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (now, behind) = rest.split_at(rest.ceil_char_boundary(piece.min(rest.len())));
        scanner.push(now, |_| {});
        rest = behind;
    }
    scanner.finish(|_| {});
    text.len()
}

fn frames(bytes: &[u8], piece: usize) -> usize {
    let mut splitter = FrameSplitter::new(bytes.len());
    for piece in bytes.chunks(piece.min(bytes.len()).max(1)) {
        let _ = splitter.push(piece, |_| {});
    }
    splitter.finish(|_| {});
    bytes.len()
}

fn translator() -> Translator {
    let image_links = Some(ImageLinks { base: "https://g.example/images".to_owned(), salt: [7; 16] });
    let assets_url = "https://assets.example".to_owned();
    Translator::new(RenderOptions { show_thinking: true, show_search: true, assets_url, image_links })
}

fn rest_answer(frames: &[String]) -> usize {
    let mut translator = translator();
    for frame in frames {
        rest::decode(frame, |event| translator.event(event, &mut |_| {}));
    }
    // A replay of the same.
    let mut translator = Translator::resume(translator);
    for frame in frames {
        rest::decode(frame, |event| translator.event(event, &mut |_| {}));
    }
    translator.finish(&mut |_| {});
    frames.iter().map(String::len).sum()
}

fn chunk(members: &str) -> String {
    format!("{{\"result\":{{\"response\":{{{members}}}}}}}")
}

fn token(text: &str) -> String {
    chunk(&format!("\"token\":{},\"responseId\":\"r\"", serde_json::json!(text)))
}

/// As many frames as fit into a length.
fn filled(length: usize, mut frame: impl FnMut(usize) -> String) -> Vec<String> {
    let (mut frames, mut so_far) = (Vec::new(), 0);
    while so_far < length {
        let next = frame(frames.len());
        so_far += next.len();
        frames.push(next);
    }
    frames
}

fn many_tokens(short: &str, length: usize) -> usize {
    rest_answer(&filled(length, |_| token(short)))
}

fn many_agents(short: &str, length: usize) -> usize {
    let text = serde_json::json!(short);
    rest_answer(&filled(length, |number| {
        chunk(&format!(
            "\"token\":{text},\"isThinking\":true,\"rolloutId\":\"agent {number}\",\"messageStepId\":{number}"
        ))
    }))
}

fn many_calls(short: &str, length: usize) -> usize {
    rest_answer(&filled(length, |number| {
        let call =
            serde_json::json!({"toolUsageCardId": format!("call {number}"), "webSearch": {"args": {"query": short}}});
        chunk(&format!(
            "\"toolUsageCard\":{call},\"webSearchResults\":{{\"results\":[]}},\"toolUsageCardId\":\"call {number}\""
        ))
    }))
}

fn place(id: &str) -> String {
    format!("<grok:render card_id=\"{id}\" type=\"render_inline_citation\"></grok:render>")
}

fn many_cards(short: &str, length: usize) -> usize {
    let card = |id: &str, url: &str| {
        let card = serde_json::json!({"id": id, "type": "render_inline_citation", "url": url});
        chunk(&format!("\"cardAttachment\":{{\"jsonData\":{}}}", serde_json::json!(card.to_string())))
    };
    // One address that is as long as half of all, and many short ones.
    let mut frames = vec![card("long", &format!("https://long.example/{}", "x".repeat(length / 2)))];
    frames.extend(filled(length / 4, |number| card(&number.to_string(), &format!("https://h.example/{number}"))));
    let cards = frames.len();
    frames.extend(filled(length / 2, |number| {
        token(&format!("{}{}{short}", place("long"), place(&(number % cards).to_string())))
    }));
    rest_answer(&frames)
}

fn many_images(short: &str, length: usize) -> usize {
    rest_answer(&filled(length, |number| {
        let title = serde_json::json!(short);
        chunk(&format!(
            "\"streamingImageGenerationResponse\":{{\"imageUrl\":\"users/{number}.png\",\"progress\":100,\"imageTitle\":{title}}}"
        ))
    }))
}

fn many_sources(short: &str, length: usize) -> usize {
    rest_answer(&filled(length, |number| {
        let result = serde_json::json!({"url": format!("https://h.example/{number}"), "title": short});
        chunk(&format!("\"webSearchResults\":{{\"results\":[{result}]}}"))
    }))
}

fn stored_answer(short: &str, length: usize) -> usize {
    let text = repeated(short, length / 4);
    let stored = serde_json::json!({"message": text, "responseId": "r", "streamErrors": [{"message": short}]});
    rest_answer(&[
        token(&text),
        chunk(&format!("\"modelResponse\":{stored}")),
        token(short),
        chunk(&format!("\"modelResponse\":{stored}")),
    ])
}

fn socket_answer(messages: &[String]) -> usize {
    let mode = Mode::Id("auto".into());
    let turn = TurnRequest::new("q", &mode);
    let id = || "id".to_owned();
    let ids = SessionIds { init_event: id(), message_event: id(), response_event: id(), client_message: id() };
    let mut session = Session::new(&turn, ids);
    let mut translator = translator();
    let opening = [
        r#"{"session_id":"c","event":{"type":"session.created"}}"#,
        r#"{"session_id":"c","event":{"type":"conversation.attached","conversation":{"id":"c"}}}"#,
        r#"{"session_id":"c","event":{"type":"response.created","response":{"id":"r"}}}"#,
    ];
    for message in opening.into_iter().chain(messages.iter().map(String::as_str)) {
        session.receive(message.as_bytes(), &mut |event| translator.event(event, &mut |_| {}));
    }
    translator.finish(&mut |_| {});
    messages.iter().map(String::len).sum()
}

fn event(kind: &str, members: &str) -> String {
    format!("{{\"session_id\":\"c\",\"event\":{{\"type\":\"{kind}\",\"response_id\":\"r\",{members}}}}}")
}

fn many_deltas(short: &str, length: usize) -> usize {
    let text = serde_json::json!(short);
    socket_answer(&filled(length, |_| event("response.output_text.delta", &format!("\"delta\":{text}"))))
}

fn many_helpers(short: &str, length: usize) -> usize {
    let mut names = String::new();
    for number in 0..length / 32 {
        let _ = write!(names, ",\"agent {number}\"");
    }
    let mut messages = vec![event(
        "response.chunk",
        &format!("\"chunk\":{{\"ui_layout\":{{\"reasoning_ui_layout\":\"X\",\"rollout_ids\":[\"Grok\"{names}]}}}}"),
    )];
    let (last, text) = (length / 32 - 1, serde_json::json!(short));
    messages.extend(filled(length / 2, |_| {
        let metadata = format!("{{\"rollout_id\":\"agent {last}\"}}");
        event("response.chunk", &format!("\"chunk\":{{\"metadata\":{metadata},\"text\":{{\"text\":{text}}}}}"))
    }));
    socket_answer(&messages)
}

/// Every place waits for its card, and the cards come in order afterwards.
fn late_cards(short: &str, length: usize) -> usize {
    let delta = |text: String| event("response.output_text.delta", &format!("\"delta\":{}", serde_json::json!(text)));
    let mut messages = filled(length / 2, |number| delta(format!("{}{short}", place(&number.to_string()))));
    messages.extend((0..messages.len()).map(|number| {
        let card = serde_json::json!({"id": number.to_string(), "type": "render_inline_citation", "url": format!("https://h.example/{number}")});
        event("response.grok.output", &format!("\"output\":{{\"card_attachment\":{card}}}"))
    }).collect::<Vec<_>>());
    socket_answer(&messages)
}

fn failure(text: &str) -> usize {
    classify_http(403, None, text.as_bytes());
    classify_http(500, Some("text/html"), text.as_bytes());
    classify_named(text, text);
    classify_stream_error(text, None);
    classify_http(429, None, serde_json::json!({"error": {"code": text, "message": text}}).to_string().as_bytes());
    2 * text.len()
}

fn unary(short: &str, length: usize) -> usize {
    let text = repeated(short, length / 4);
    let response = serde_json::json!({"responseId": short, "sender": "assistant", "message": text});
    let few = serde_json::json!({"responses": [response], "conversation": {"conversationId": text}, "responseNodes": [response]});
    let small = serde_json::json!({"responseId": short, "outputChunks": [{"text": {"text": short}}]}).to_string();
    let many = vec![small; length / 4 / (short.len() + 48)].join(",");
    let many =
        format!("{{\"responses\":[{many}],\"conversation\":{{\"conversationId\":\"c\"}},\"responseNodes\":[{many}]}}");
    for body in [few.to_string(), many, repeated(short, length / 4)] {
        read_unary(body.as_bytes());
    }
    length
}

fn read_unary(body: &[u8]) {
    let _ = rest::read_clone(body);
    let _ = rest::read_share(body);
    let _ = rest::read_rate_limits(body);
    let _ = rest::read_response_nodes(body);
    let _ = rest::read_responses(body);
    let _ = rest::read_account(body);
    let _ = rest::read_tier(body);
    let _ = rest::read_upload(body);
    let _ = rest::read_upload_direct(body);
    let _ = rest::stored_answer_frame(body);
}

fn chat_request(short: &str, length: usize) -> usize {
    let part = serde_json::json!({"type": "text", "text": short}).to_string();
    let parts = vec![part; length / 4 / (short.len() + 24)].join(",");
    let message = serde_json::json!({"role": "assistant", "content": short}).to_string();
    let messages = vec![message; length / 4 / (short.len() + 40)].join(",");
    let image = r#"{"type":"image_url","image_url":{"url":"data:;base64,iVBORw0KGgo"}}"#;
    let images = vec![image; length / 8 / image.len()].join(",");
    let mut members = String::new();
    for number in 0..length / 64 {
        let _ = write!(members, ",\"member {number}\":0");
    }
    let body = format!(
        "{{\"model\":\"m\",\"messages\":[{messages},{{\"role\":\"user\",\"content\":[{parts},{images}]}}]{members}}}"
    );
    if let Ok(request) = read_chat_request(body.as_bytes()) {
        let _ = History::read(&request.messages);
    }
    let _ = read_turn_request(body.as_bytes());
    let _ = read_chat_request(repeated(short, length).as_bytes());
    body.len()
}

fn credentials(text: &str) -> usize {
    let _ = parse_credential(text);
    cookie_header("t", text);
    text.len()
}

fn model(text: &str) -> usize {
    crate::model::find(text).mode.id();
    text.len()
}

/// Steps that a text costs, against what is allowed.
fn hold(reader: &Reader, short: &str, length: usize) -> u64 {
    let (bytes, steps) = steps::counted(|| (reader.read)(short, length));
    let allowed = BASE.saturating_add(reader.steps_per_byte.saturating_mul(bytes as u64));
    assert!(steps <= allowed, "{}: {short:?} repeated to {length}: {steps} steps, {allowed} allowed", reader.name);
    steps
}

/// What readers look for, and what has cost too much before.
const TELLING: &[&str] = &[
    "![a](b)",
    "[[1]](http://a)",
    "<think>a</think>",
    "![](",
    "/images/![",
    "![",
    "[a(",
    "[[",
    "<think>",
    "](",
    "<details type=\"reasoning\"",
    "<",
    "<grok:render",
    "<grok:render ",
    "<grok:render card_id=\"",
    "<grok:render>x",
    "<xai:tool_usage_card>",
    "<xaiArtifact title=\"a\">",
    "</grok:render>",
    "<xaiArtifact x=\">",
    "\"",
    "{",
    "}",
    "{\"",
    "{\"a\":",
    "[",
    "\n",
    " ",
    "\\",
    "\\u",
    "\\ud83d",
    "data:",
    "data:{",
    "> a\n\n",
    ">",
    "http://a?",
    "://",
    "http",
    "a",
    "é",
    "😀",
    "0 remaining",
    "<title>",
    "sso=",
    "eyJ",
    ";",
    "=",
    "a;",
    "\u{fffd}",
    "{}",
    "{\"event\":{}}",
    "{\"result\":{}}\n",
    "\0",
    "/",
    ",",
];

#[test]
fn no_reader_costs_more_than_its_text() {
    for reader in READERS {
        for short in TELLING {
            for length in LENGTHS.into_iter().take(if short.len() > 1 { 2 } else { 1 }) {
                hold(reader, short, length);
            }
        }
    }
}

#[test]
fn the_law_holds_up_to_the_longest_text() {
    for (name, short) in [("history: an answer", "![a](b)"), ("markup, whole", "<grok:render "), ("halves", "\\ud83d")]
    {
        let reader = READERS.iter().find(|reader| reader.name == name).expect("it is in the list");
        hold(reader, short, LONGEST);
    }
}

/// Every reader with its dearest text: a byte costs the same in a short text and in the longest. `--nocapture` shows the table.
#[test]
fn a_byte_costs_the_same_in_a_text_of_any_length() {
    let measure = |reader: &Reader| {
        let dearest = TELLING.iter().max_by_key(|short| hold(reader, short, LENGTHS[0])).expect("there are texts");
        let costs = [LENGTHS[0], LONGEST].map(|length| {
            let (bytes, steps) = steps::counted(|| (reader.read)(dearest, length));
            let bytes = if bytes == usize::MAX { length } else { bytes };
            steps as f64 / bytes as f64
        });
        hold(reader, dearest, LONGEST);
        println!("| {} | `{dearest:?}` | {:.1} | {:.1} |", reader.name, costs[0], costs[1]);
        assert!(costs[1] <= costs[0] * 1.2 + 1.0, "{}: {dearest:?}: {costs:?} steps a byte", reader.name);
    };
    // They are independent, and counted by thread.
    std::thread::scope(|scope| {
        for readers in READERS.chunks(READERS.len().div_ceil(2)) {
            scope.spawn(move || readers.iter().for_each(measure));
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_short_text_is_dear_when_it_is_repeated(
        pieces in prop::collection::vec(prop::sample::select(TELLING), 1..5), reader in prop::sample::select((0..READERS.len()).collect::<Vec<_>>()),
    ) {
        hold(&READERS[reader], &pieces.concat(), LENGTHS[0]);
    }
}
