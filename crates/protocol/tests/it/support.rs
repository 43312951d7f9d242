//! Fixtures, and the way from upstream bytes to what a client sees.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use protocol::event::Source;
use protocol::frame::FrameSplitter;
use protocol::model::Mode;
use protocol::rest;
use protocol::socket::{Session, SessionIds};
use protocol::translate::{AnswerIds, ChatEvent, Ending, RenderOptions, Translator};
use protocol::turn::TurnRequest;
use serde_json::{Value, json};

/// Longer than any fixture's longest object.
const FRAME_LIMIT_BYTES: usize = 64 * 1024;

/// A recorded shape of an upstream stream.
pub(crate) struct Fixture {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

impl Fixture {
    pub(crate) fn read(name: &str) -> Self {
        let path = directory().join(name).with_extension("ndjson");
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { name: name.to_owned(), bytes }
    }

    /// All streams of the REST dialect.
    pub(crate) fn all() -> Vec<Self> {
        let fixtures = Self::all_in("");
        assert!(fixtures.len() > 40, "fixtures are missing: {}", fixtures.len());
        fixtures
    }

    /// All streams in a directory below the fixtures'.
    pub(crate) fn all_in(below: &str) -> Vec<Self> {
        let mut names: Vec<_> = fs::read_dir(directory().join(below))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "ndjson"))
            .map(|path| format!("{below}{}", path.file_stem().unwrap().to_str().unwrap()))
            .collect();
        names.sort();
        names.iter().map(|name| Self::read(name)).collect()
    }

    pub(crate) fn lines(&self) -> Vec<&str> {
        std::str::from_utf8(&self.bytes).unwrap().lines().collect()
    }
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// A chat event that outlives its frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shown {
    Reasoning(String),
    Text(String),
}

impl Shown {
    pub(crate) fn as_event(&self) -> ChatEvent<'_> {
        match self {
            Self::Reasoning(text) => ChatEvent::Reasoning(text),
            Self::Text(text) => ChatEvent::Text(text),
        }
    }
}

impl From<ChatEvent<'_>> for Shown {
    fn from(event: ChatEvent<'_>) -> Self {
        match event {
            ChatEvent::Reasoning(text) => Self::Reasoning(text.to_owned()),
            ChatEvent::Text(text) => Self::Text(text.to_owned()),
        }
    }
}

/// All that came of one stream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) shown: Vec<Shown>,
    pub(crate) ending: Ending,
    pub(crate) ids: AnswerIds,
    pub(crate) sources: Vec<Source>,
    pub(crate) unknown: BTreeMap<String, u64>,
    pub(crate) samples: BTreeMap<String, String>,
    pub(crate) skipped: u64,
}

impl Answer {
    /// The visible text.
    pub(crate) fn text(&self) -> String {
        let text = |shown: &Shown| match shown {
            Shown::Text(text) => Some(text.clone()),
            Shown::Reasoning(_) => None,
        };
        self.shown.iter().filter_map(text).collect()
    }

    /// The reasoning channel.
    pub(crate) fn reasoning(&self) -> String {
        let reasoning = |shown: &Shown| match shown {
            Shown::Reasoning(text) => Some(text.clone()),
            Shown::Text(_) => None,
        };
        self.shown.iter().filter_map(reasoning).collect()
    }
}

pub(crate) fn options() -> RenderOptions {
    RenderOptions {
        show_thinking: true,
        show_search: true,
        assets_url: "https://gateway.test/images".to_owned(),
        image_links: None,
    }
}

/// A stream on its way through splitter, decoder and translator.
pub(crate) struct Stream {
    splitter: FrameSplitter,
    pub(crate) translator: Translator,
    pub(crate) shown: Vec<Shown>,
}

impl Stream {
    pub(crate) fn new() -> Self {
        Self::with(Translator::new(options()))
    }

    pub(crate) fn with(translator: Translator) -> Self {
        Self { splitter: FrameSplitter::new(FRAME_LIMIT_BYTES), translator, shown: Vec::new() }
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let Self { splitter, translator, shown } = self;
        splitter.push(bytes, |frame| feed_frame(translator, frame, shown)).unwrap();
    }

    pub(crate) fn feed_text(&mut self, frame: &str) {
        feed_frame(&mut self.translator, frame, &mut self.shown);
    }

    /// What an end of body means, without deciding the ending.
    pub(crate) fn close(&mut self) {
        let Self { splitter, translator, shown } = self;
        splitter.finish(|frame| feed_frame(translator, frame, shown));
    }

    pub(crate) fn end(mut self) -> Answer {
        self.close();
        let Self { splitter, mut translator, mut shown } = self;
        let ending = translator.finish(&mut |event| shown.push(event.into()));
        let answer = Answer {
            ending,
            ids: translator.ids().clone(),
            sources: translator.sources().to_vec(),
            unknown: translator.unknown().clone(),
            samples: translator.samples().clone(),
            skipped: splitter.skipped(),
            shown,
        };
        assert_eq!(translator.text(), answer.text(), "the translator's own record is what was shown");
        answer
    }
}

fn feed_frame(translator: &mut Translator, frame: &str, shown: &mut Vec<Shown>) {
    rest::decode(frame, |event| translator.event(event, &mut |event| shown.push(event.into())));
}

/// The answer of a stream that arrives in these pieces.
pub(crate) fn answer_of<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Answer {
    let mut stream = Stream::new();
    for piece in pieces {
        stream.feed(piece);
    }
    stream.end()
}

/// The answer of a conversation over the WebSocket, in these messages. What the session wants to send is taken for sent.
pub(crate) fn answer_of_messages<'a>(messages: impl IntoIterator<Item = &'a [u8]>) -> Answer {
    let mut session = new_session();
    let mut translator = Translator::new(options());
    let mut shown = Vec::new();
    for message in messages {
        session.receive(message, &mut |event| translator.event(event, &mut |event| shown.push(event.into())));
    }
    let ending = translator.finish(&mut |event| shown.push(event.into()));
    let answer = Answer {
        ending,
        ids: translator.ids().clone(),
        sources: translator.sources().to_vec(),
        unknown: translator.unknown().clone(),
        samples: translator.samples().clone(),
        skipped: 0,
        shown,
    };
    assert_eq!(translator.text(), answer.text(), "the translator's own record is what was shown");
    answer
}

/// A session that begins a conversation, with the ids that the fixtures know.
pub(crate) fn new_session() -> Session {
    let mode = Mode::Id("auto".into());
    let turn = TurnRequest::new("a question", &mode);
    let ids = SessionIds {
        init_event: "evt_init_6b1f".to_owned(),
        message_event: "evt_msg_1".to_owned(),
        response_event: "evt_resp_1".to_owned(),
        client_message: "77aa0c11-2d3e-4f50-8a6b-7c8d9e0f1a2b".to_owned(),
    };
    Session::new(&turn, ids)
}

pub(crate) fn answer_of_frames(frames: &[Value]) -> Answer {
    let mut stream = Stream::new();
    for frame in frames {
        stream.feed_text(&frame.to_string());
    }
    stream.end()
}

/// A frame of visible text.
pub(crate) fn token(text: &str) -> Value {
    json!({"result": {"response": {"token": text, "isThinking": false, "isSoftStop": false, "messageTag": "final", "responseId": "answer"}}})
}

pub(crate) fn soft_stop() -> Value {
    json!({"result": {"response": {"token": "", "isThinking": false, "isSoftStop": true, "responseId": "answer"}}})
}

/// The frame with the stored answer.
pub(crate) fn stored(message: &str) -> Value {
    json!({"result": {"response": {
        "modelResponse": {"responseId": "answer", "message": message, "sender": "assistant"},
        "isThinking": false, "isSoftStop": false, "responseId": "answer",
    }}})
}

/// A citation card.
pub(crate) fn citation(id: &str, url: &str) -> Value {
    let card = json!({"id": id, "type": "render_inline_citation", "cardType": "citation_card", "url": url});
    json!({"result": {"response": {"cardAttachment": {"jsonData": card.to_string()}, "isThinking": false, "responseId": "answer"}}})
}

/// Cuts a text into tokens whose lengths in characters go round in `lengths`.
pub(crate) fn tokens(text: &str, lengths: &[usize]) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut characters = text.chars().peekable();
    let mut lengths = lengths.iter().cycle();
    while characters.peek().is_some() {
        let length = lengths.next().copied().unwrap_or(1).max(1);
        tokens.push(characters.by_ref().take(length).collect());
    }
    tokens
}
