//! What the upstream said, without the dialect it said it in. Every decoder produces these; nothing behind them knows which
//! dialect ran.

use std::borrow::Cow;

use crate::drift::Specimen;
use crate::failure::Failure;
use crate::halves::Halves;

/// One thing the upstream said.
#[derive(Debug, Clone, PartialEq)]
pub enum GrokEvent<'a> {
    /// The conversation the answer belongs to.
    Conversation {
        /// Its id.
        id: Cow<'a, str>,
    },
    /// The user's message was stored.
    UserMessage {
        /// Its id.
        id: Cow<'a, str>,
    },
    /// The answer's id. Some dialects tell it with every chunk; whoever keeps it compares.
    Answer {
        /// Its id.
        id: Cow<'a, str>,
    },
    /// A piece of text. Pieces are appended exactly.
    Text {
        /// Where it belongs.
        channel: Channel,
        /// The piece.
        text: Cow<'a, str>,
        /// The thinking step it belongs to.
        step: Option<i64>,
        /// The agent that wrote it, when there are several.
        rollout: Option<Cow<'a, str>>,
        /// What the piece has of characters that were cut in two.
        halves: Halves,
    },
    /// The model uses a tool of the upstream's.
    ToolCall(ToolCall),
    /// What came back from it.
    ToolResult(ToolResult),
    /// Something the text refers to by id.
    Card(Card),
    /// The text refers to a card here, at the end of what was told of it: the place of a tag, in a dialect without tags.
    CardPlace {
        /// The card, told before.
        id: Cow<'a, str>,
    },
    /// In this stream a card may come after the tag that names it, so text waits behind such a tag.
    CardsComeLate,
    /// Progress of a generated image that has no card.
    Image(ImageProgress),
    /// How the upstream's own page would lay the answer out; names the agents.
    Layout {
        /// For example `UNIFIED`.
        name: Cow<'a, str>,
        /// Empty for a single agent.
        rollouts: Vec<String>,
    },
    /// A fingerprint of the model that answers.
    ModelHash(Cow<'a, str>),
    /// The conversation's title.
    Title(Cow<'a, str>),
    /// The model has finished; images and the stored answer may still come.
    SoftStop,
    /// The answer as the upstream stored it. May be an empty placeholder at the start.
    Stored(Box<StoredAnswer<'a>>),
    /// The answer failed.
    Failed(Failure),
    /// A trouble that matters only if nothing usable came (UPSTREAM.md 8.4, severity NORMAL).
    Warned(Failure),
    /// A sign of life without content.
    Heartbeat,
    /// Something that is not known, named so that drift can be counted.
    Unknown {
        /// What it is and what it calls itself.
        kind: Cow<'a, str>,
        /// The thing itself, of which only the shape can be seen.
        specimen: Specimen<'a>,
    },
}

/// Where a piece of text belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// The visible answer.
    Final,
    /// Raw thinking.
    Thinking,
    /// The heading of a thinking step, complete in one piece.
    ThinkingHeader,
    /// Summary lines of a thinking step.
    ThinkingSummary,
}

/// A use of one of the upstream's tools.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ToolCall {
    /// Ties call and result together; one call may be told several times, with more detail.
    pub id: Option<String>,
    /// In snake case, for example `web_search`.
    pub name: String,
    /// The argument a person would want to see: a query, an address. Never the body of a message between agents.
    pub argument: Option<String>,
    /// The agent that calls.
    pub rollout: Option<String>,
}

/// The outcome of a tool call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ToolResult {
    /// The call it answers.
    pub id: Option<String>,
    /// What was found.
    pub sources: Vec<Source>,
    /// How many results there were, for results that are counted.
    pub count: Option<usize>,
}

/// A page or post that a search found.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Source {
    /// Its address, http or https.
    pub url: String,
    /// Its title, possibly empty.
    pub title: String,
}

/// Something the text refers to by id.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// The id that the text's tag names.
    pub id: String,
    /// What it is.
    pub kind: CardKind,
}

/// What a card is.
#[derive(Debug, Clone, PartialEq)]
pub enum CardKind {
    /// A source of a statement.
    Citation {
        /// The source's address.
        url: String,
    },
    /// An image found on the web.
    SearchedImage {
        /// The image itself.
        url: String,
        /// Its title, possibly empty.
        title: String,
    },
    /// An image the model made; `None` while it has only been announced.
    GeneratedImage(Option<ImageProgress>),
    /// Anything else: files, videos, kinds not known yet.
    Other,
}

/// The state of an image that is being made.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ImageProgress {
    /// A path on the assets host, or an absolute address; empty when there is none.
    pub url: String,
    /// Its title, possibly empty.
    pub title: String,
    /// 0 to 100.
    pub progress: f64,
    /// The upstream said in so many words that this is the last state.
    pub is_final: bool,
    /// Withheld: the address must not be used.
    pub moderated: bool,
    /// The upstream's error code when the image could not be made.
    pub error: Option<String>,
}

impl ImageProgress {
    /// Whether no further state of this image will come.
    pub fn is_last(&self) -> bool {
        self.is_final || self.progress >= 100.0
    }
}

/// The answer as the upstream stored it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StoredAnswer<'a> {
    /// The whole visible text with its markup.
    pub message: Cow<'a, str>,
    /// The answer's id.
    pub response_id: Option<Cow<'a, str>>,
    /// The id of the user's message it answers.
    pub parent_response_id: Option<Cow<'a, str>>,
    /// The model the upstream names, which need not be the one asked for.
    pub model: Option<Cow<'a, str>>,
    /// Every card of the answer.
    pub cards: Vec<Card>,
    /// Paths of generated images.
    pub generated_image_urls: Vec<String>,
    /// Sources that are listed with the answer.
    pub sources: Vec<Source>,
    /// Errors that are stored with the answer.
    pub errors: Vec<StoredError>,
}

/// An error stored with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredError {
    /// How bad it is.
    pub severity: Severity,
    /// What it is.
    pub failure: Failure,
}

/// How bad a stream error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// Only matters if nothing usable came.
    Normal,
    /// The answer failed.
    Fatal,
}
