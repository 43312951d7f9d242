//! The steps of a script.

use std::time::Duration;

use serde_json::Value;

use super::framing::{BeforeHeaders, Framing, NetworkCut, Separator};

/// One answer: what happens, in order, and how its bytes are cut.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// What happens once the response headers are out.
    pub steps: Vec<Step>,
    /// What happens before them.
    pub before_headers: BeforeHeaders,
    /// How objects follow one another and how the network cuts them.
    pub framing: Framing,
    /// How a socket's session opens while this is the account's next reply; empty as usual: [`Step::SessionCreated`], then
    /// [`Step::Attached`].
    pub session: Vec<Step>,
    /// Whether a socket leaves pings unanswered from the session's start on, those in events and those in control frames.
    pub mute: bool,
}

/// One thing that happens in an answer.
#[derive(Clone, Debug)]
pub enum Step {
    /// What stands at the start. REST: conversation (new conversations only), stored user message, layout, model hash.
    /// Socket: the message leaves the queue and is stored, the answer is begun.
    Opening,
    /// A visible token, tagged as final answer text.
    Text(String),
    /// A visible token without a tag, as in 2025.
    UntaggedText(String),
    /// A visible token of the second alternative (`sideBySideIndex` 1).
    Alternative(String),
    /// Thinking text.
    Thinking(Thinking),
    /// A tool call, as XML text and as a structured card.
    ToolCall(ToolCall),
    /// Results of a tool call.
    ToolResult(ToolResult),
    /// A source: the card, then its tag in the text.
    Citation(Citation),
    /// A card alone, as its JSON text.
    Card(Value),
    /// A stage of a generated image.
    Image(ImageStep),
    /// An empty token without a tag: a sign of life during slow work.
    Heartbeat,
    /// The `keepAlive` member.
    KeepAlive,
    /// A `modelResponse` with nothing in it, as long answers have near their start.
    Placeholder,
    /// The model has finished sampling; not the end of the stream.
    SoftStop,
    /// `finalMetadata`, sent only if the request asked for it.
    FinalMetadata,
    /// The stored answer: `modelResponse` with the text streamed so far.
    Stored,
    /// The stored answer with some members replaced (`message`, `streamErrors`, …).
    StoredWith(Value),
    /// The title; only new conversations and reconnected streams have it.
    Title,
    /// Any other chunk in the envelope of the running stream.
    Chunk(Chunk),
    /// An error object at the top level.
    TopLevelError {
        /// gRPC status code, or a text where the upstream uses one.
        code: Value,
        /// Its message.
        message: String,
    },
    /// An error chunk.
    StreamError {
        /// Name of the detail member, for example `usageLimitReached`; empty for none.
        kind: String,
        /// Its message.
        message: String,
        /// How bad it is.
        severity: Severity,
    },
    /// Bytes as they are, with `$conversation`, `$user`, `$response` replaced by ids; the separator follows.
    Raw(String),
    /// Socket only: `session.created`, with the id of the client's event. Belongs into [`Script::session`].
    SessionCreated,
    /// Socket only: `conversation.attached`, and the history if it was asked for. Belongs into [`Script::session`].
    Attached,
    /// Socket only: the message is stored, and no answer begun. [`Step::Opening`] leaves out what this has sent.
    ItemAdded,
    /// Socket only: an event as it is, put into the session's envelope with an id; `$conversation`, `$user`, `$response` in
    /// its text become ids.
    Event(Value),
    /// Socket only: `response.completed` with a whole text, and no other closing event.
    Completed(String),
    /// Socket only: `response.done`. Without a status it counts as completed.
    Done {
        /// `status`
        status: Option<String>,
        /// `status_details.reason`
        reason: Option<String>,
    },
    /// Socket only: a binary message.
    Binary(Vec<u8>),
    /// Socket only: a ping in a control frame.
    ControlPing,
    /// Socket only: a text message of about this many bytes, an event of an unknown type.
    Oversized(u64),
    /// Silence for a while.
    Wait(Duration),
    /// Silence until the client leaves.
    Hang,
    /// End of body here, or of the socket. A reconnectable answer goes on in the background: the rest is what reconnecting replays.
    Cut {
        /// Whether the upstream still has the answer in flight.
        reconnectable: bool,
    },
    /// The connection breaks here, in the middle of the body.
    Reset,
}

/// Thinking text.
#[derive(Clone, Debug)]
pub struct Thinking {
    /// Heading, summary or raw text.
    pub kind: ThinkingKind,
    /// The text.
    pub text: String,
    /// Step it belongs to.
    pub step: u32,
    /// Agent it comes from; empty for a single agent.
    pub rollout: String,
}

/// Which tag thinking text carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThinkingKind {
    /// `header`
    Header,
    /// `summary`
    Summary,
    /// No tag.
    Raw,
}

/// A call of one of the upstream's own tools.
#[derive(Clone, Debug)]
pub struct ToolCall {
    /// Ties call and result.
    pub id: String,
    /// Name in snake case, for example `web_search`.
    pub name: String,
    /// Arguments.
    pub arguments: Value,
    /// Step it belongs to.
    pub step: u32,
    /// Agent that calls; empty for a single agent.
    pub rollout: String,
}

/// The result of a tool call: one result member, for example `webSearchResults`.
#[derive(Clone, Debug)]
pub struct ToolResult {
    /// Ties call and result.
    pub id: String,
    /// The result member with its name.
    pub members: Value,
    /// Step it belongs to.
    pub step: u32,
    /// Agent that called; empty for a single agent.
    pub rollout: String,
}

/// A source cited in the text.
#[derive(Clone, Debug)]
pub struct Citation {
    /// Id that ties tag and card.
    pub card_id: String,
    /// Address of the source.
    pub url: String,
    /// Index into the sources; not a display number.
    pub citation_id: u32,
    /// What kind of source it is, as the socket says it; the REST stream does not.
    pub kind: String,
}

impl Citation {
    /// A web page. An empty address is left out.
    pub fn web(card_id: &str, url: &str, citation_id: u32) -> Self {
        let kind = "CITATION_KIND_WEB_PAGE".to_owned();
        Self { card_id: card_id.to_owned(), url: url.to_owned(), citation_id, kind }
    }
}

/// A stage of a generated image (UPSTREAM.md 9.1).
#[derive(Clone, Debug)]
pub struct ImageStep {
    /// Id that ties tag and card.
    pub card_id: String,
    /// Id of the image.
    pub image_id: String,
    /// What was asked for.
    pub prompt: String,
    /// Cards (from March 2026) or the older member.
    pub form: ImageForm,
    /// How far it is.
    pub stage: ImageStage,
}

/// Which generation of frames tells about an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageForm {
    /// `cardAttachment` with an `image_chunk`.
    Card,
    /// `streamingImageGenerationResponse`.
    Member,
}

/// How far a generated image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageStage {
    /// A card without an image yet (cards only).
    Placeholder,
    /// The tag in the text that shows where the image goes (cards only).
    Tag,
    /// Half done; the address is that of a preview.
    Partial,
    /// Done.
    Final,
    /// Done, but not to be shown.
    Moderated,
    /// Failed with an error code and no address.
    Failed(i64),
}

/// Any chunk: members as given, common members added.
#[derive(Clone, Debug, Default)]
pub struct Chunk {
    /// Payload members.
    pub members: Value,
    /// `isThinking`
    pub thinking: bool,
    /// `messageTag`; empty leaves it out.
    pub tag: String,
    /// Text this chunk adds to the stored answer.
    pub stored_text: String,
}

/// How bad an in-stream error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The answer can still be fine.
    Normal,
    /// The answer has failed.
    Fatal,
    /// Not said.
    Unknown,
}

impl Severity {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Severity::Normal => "STREAM_ERROR_SEVERITY_NORMAL",
            Severity::Fatal => "STREAM_ERROR_SEVERITY_FATAL",
            Severity::Unknown => "STREAM_ERROR_SEVERITY_UNKNOWN",
        }
    }
}

impl Script {
    /// A script of exactly these steps.
    pub fn of(steps: Vec<Step>) -> Self {
        Self { steps, ..Self::default() }
    }

    /// A whole answer: the usual start, `steps`, the usual end.
    pub fn answer(steps: Vec<Step>) -> Self {
        let mut all = vec![Step::Opening];
        all.extend(steps);
        all.extend(Self::ending());
        Self::of(all)
    }

    /// The usual end of an answer (UPSTREAM.md 5.5).
    pub fn ending() -> Vec<Step> {
        vec![Step::SoftStop, Step::FinalMetadata, Step::Stored, Step::Title]
    }

    /// The same script with another framing.
    #[must_use]
    pub fn framed(mut self, separator: Separator, cut: NetworkCut) -> Self {
        self.framing = Framing { separator, cut };
        self
    }

    /// The same script, with another opening of the session on a socket.
    #[must_use]
    pub fn session(mut self, steps: Vec<Step>) -> Self {
        self.session = steps;
        self
    }

    /// The same script, and no answer to pings on a socket.
    #[must_use]
    pub fn mute(mut self) -> Self {
        self.mute = true;
        self
    }

    /// The same script whose headers come later or never.
    #[must_use]
    pub fn before_headers(mut self, before_headers: BeforeHeaders) -> Self {
        self.before_headers = before_headers;
        self
    }
}

impl Thinking {
    /// A heading.
    pub fn header(step: u32, text: &str) -> Step {
        Self::of(ThinkingKind::Header, step, text)
    }

    /// A summary line.
    pub fn summary(step: u32, text: &str) -> Step {
        Self::of(ThinkingKind::Summary, step, text)
    }

    /// Text without a tag.
    pub fn raw(text: &str) -> Step {
        Self::of(ThinkingKind::Raw, 0, text)
    }

    fn of(kind: ThinkingKind, step: u32, text: &str) -> Step {
        Step::Thinking(Self { kind, text: text.to_owned(), step, rollout: String::new() })
    }
}

/// Cuts a text into tokens as a tokenizer would, roughly: a word with the space before it.
pub(crate) fn tokens_of(text: &str) -> impl Iterator<Item = Step> {
    let mut start = 0;
    let mut pieces = Vec::new();
    for (at, _) in text.match_indices([' ', '\n']) {
        if at > start {
            pieces.push(&text[start..at]);
            start = at;
        }
    }
    if start < text.len() {
        pieces.push(&text[start..]);
    }
    pieces.into_iter().map(|piece| Step::Text(piece.to_owned())).collect::<Vec<_>>().into_iter()
}
