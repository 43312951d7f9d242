//! The names of the dialect: what events, channels and members are called, and what is to be done with them
//! (UPSTREAM.md 16.5, 16.6). Both spellings of a member are known.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What a server event is about.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// It does not say.
    #[default]
    Missing,
    SessionCreated,
    Attached,
    ItemAdded,
    ResponseCreated,
    Chunk,
    TextDelta,
    ReasoningDelta,
    TextDone,
    ResponseCompleted,
    ResponseDone,
    Persisted,
    TitleUpdated,
    Output,
    SearchResult,
    Error,
    SessionEnded,
    Pong,
    /// Known and without meaning for a gateway.
    Silent,
    Unknown(Cow<'a, str>),
}

impl<'a> Kind<'a> {
    pub(super) fn read(name: Cow<'a, str>) -> Self {
        match name.as_ref() {
            "response.chunk" => Self::Chunk,
            "response.output_text.delta" => Self::TextDelta,
            "response.reasoning_text.delta" => Self::ReasoningDelta,
            "session.created" => Self::SessionCreated,
            "conversation.attached" => Self::Attached,
            "conversation.item.added" => Self::ItemAdded,
            "response.created" => Self::ResponseCreated,
            "response.output_text.done" => Self::TextDone,
            "response.completed" => Self::ResponseCompleted,
            "response.done" => Self::ResponseDone,
            "response.persisted" => Self::Persisted,
            "conversation.title.updated" => Self::TitleUpdated,
            "response.grok.output" => Self::Output,
            "response.search.result" => Self::SearchResult,
            "error" | "response.error" => Self::Error,
            "session.ended" => Self::SessionEnded,
            "pong" => Self::Pong,
            "session.updated"
            | "conversation.queue.updated"
            | "conversation.commands.updated"
            | "conversation.history.item"
            | "conversation.history.done"
            | "response.output_item.added"
            | "response.content_part.added"
            | "response.content_part.done"
            | "response.output_item.done"
            | "response.reasoning_text.done" => Self::Silent,
            "" => Self::Missing,
            _ => Self::Unknown(name),
        }
    }
}

/// Where a piece of text belongs (UPSTREAM.md 16.6).
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum TextChannel<'a> {
    #[default]
    Response,
    Header,
    Summary,
    Thinking,
    /// Not known, so it is no answer.
    Unknown(Cow<'a, str>),
}

impl<'a> TextChannel<'a> {
    fn read(name: Cow<'a, str>) -> Self {
        match name.as_ref() {
            "CHANNEL_ASSISTANT_RESPONSE" | "" => Self::Response,
            "CHANNEL_ASSISTANT_NOTETAKER_HEADER" => Self::Header,
            "CHANNEL_ASSISTANT_NOTETAKER_SUMMARY" => Self::Summary,
            "CHANNEL_ASSISTANT_THINKING" | "CHANNEL_REASONING" | "CHANNEL_ANALYSIS" => Self::Thinking,
            _ => Self::Unknown(name),
        }
    }

    fn odd() -> Self {
        Self::Unknown(Cow::Borrowed("shape"))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for TextChannel<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ChannelVisitor;
        impl<'de> Visitor<'de> for ChannelVisitor {
            type Value = TextChannel<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a channel")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(TextChannel::read(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
                Ok(TextChannel::read(Cow::Owned(name.to_owned())))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(TextChannel::Response)
            }

            // A name that the upstream's own transcoder does not know is written as a number.
            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(match number {
                    0 => TextChannel::Response,
                    number => TextChannel::Unknown(Cow::Owned(format!("CHANNEL_{number}"))),
                })
            }

            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(TextChannel::odd())
            }

            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(TextChannel::odd())
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(TextChannel::odd())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(TextChannel::odd())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
                while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(TextChannel::odd())
            }
        }
        deserializer.deserialize_any(ChannelVisitor)
    }
}

/// Members with a meaning of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Payload {
    Conversation,
    Item,
    Response,
    Error,
    SearchResult,
    StreamError,
    ToolUsageCard,
    ToolResult,
    CardAttachment,
    UiLayout,
    RenderCitation,
    RenderSearchedImage,
    RenderStart,
    RenderGeneratedImage,
    /// Files, videos and boards: known, and nothing to show.
    RenderOther,
    /// What asks the client to do something. We do not, so it is told as unknown.
    ClientRequest(&'static str),
}

impl Payload {
    /// The name to report when a payload has a shape that is not known.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Conversation => "conversation",
            Self::Item => "item",
            Self::Response => "response",
            Self::Error => "error",
            Self::SearchResult => "result",
            Self::StreamError => "stream_error",
            Self::ToolUsageCard => "tool_usage_card",
            Self::ToolResult => "tool_result",
            Self::CardAttachment => "card_attachment",
            Self::UiLayout => "ui_layout",
            Self::RenderCitation => "render_citation",
            Self::RenderSearchedImage => "render_searched_image",
            Self::RenderStart => "render_start",
            Self::RenderGeneratedImage => "render_generated_image",
            Self::RenderOther => "render_file_preview",
            Self::ClientRequest(name) => name,
        }
    }
}

/// Which object the members stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Top,
    Event,
    Chunk,
    Metadata,
    Text,
    Output,
    Extension,
}

impl Level {
    /// In front of the names of unknown members.
    pub(super) fn place(self) -> &'static str {
        match self {
            Self::Top | Self::Event => "event.",
            Self::Chunk => "chunk.",
            Self::Metadata => "metadata.",
            Self::Text => "text.",
            Self::Output => "output.",
            Self::Extension => "x_grok.",
        }
    }

    pub(super) fn member<'a>(self, name: &str) -> Option<Member<'a>> {
        match self {
            Self::Top | Self::Event => event_member(name),
            Self::Chunk => chunk_member(name),
            Self::Output => output_member(name),
            Self::Metadata => Some(match name {
                "step_id" | "stepId" => Member::Step,
                "rollout_id" | "rolloutId" => Member::Rollout,
                "phase_index" | "phaseIndex" => Member::Silent,
                _ => return None,
            }),
            Self::Text => Some(match name {
                "text" => Member::ChunkText,
                "channel" => Member::Channel,
                _ => return None,
            }),
            Self::Extension => Some(match name {
                "is_thinking" | "isThinking" => Member::IsThinking,
                "step_id" | "stepId" => Member::Step,
                "rollout_id" | "rolloutId" => Member::Rollout,
                _ => return None,
            }),
        }
    }
}

/// A member name, sorted by what is to be done with its value.
pub(super) enum Member<'a> {
    Inside(Level),
    SessionId,
    Type,
    ClientEventId,
    ResponseId,
    Step,
    Rollout,
    ChunkText,
    Channel,
    Delta,
    IsThinking,
    WholeText,
    Title,
    Status,
    Message,
    Code,
    Payload(Payload),
    Silent,
    Unknown(Cow<'a, str>),
}

fn event_member<'a>(name: &str) -> Option<Member<'a>> {
    Some(match name {
        "event" => Member::Inside(Level::Event),
        "session_id" | "sessionId" => Member::SessionId,
        "type" => Member::Type,
        // What comes with every piece of text stands first: names are compared in this order.
        "event_id" | "item_id" => Member::Silent,
        "response_id" | "responseId" => Member::ResponseId,
        "chunk" => Member::Inside(Level::Chunk),
        "client_event_id" | "clientEventId" => Member::ClientEventId,
        "x_grok" | "xGrok" => Member::Inside(Level::Extension),
        "output" => Member::Inside(Level::Output),
        "delta" => Member::Delta,
        "text" => Member::WholeText,
        "title" => Member::Title,
        "status" => Member::Status,
        "message" => Member::Message,
        "code" => Member::Code,
        "conversation" => Member::Payload(Payload::Conversation),
        "item" => Member::Payload(Payload::Item),
        "response" => Member::Payload(Payload::Response),
        "error" => Member::Payload(Payload::Error),
        "result" => Member::Payload(Payload::SearchResult),
        "eventId" | "itemId" | "previous_item_id" | "previousItemId" | "output_index" | "outputIndex"
        | "content_index" | "contentIndex" | "session" | "mode" | "part" | "conversation_id" | "conversationId" => {
            Member::Silent
        }
        _ => return None,
    })
}

fn chunk_member<'a>(name: &str) -> Option<Member<'a>> {
    let payload = match name {
        "text" => return Some(Member::Inside(Level::Text)),
        "metadata" => return Some(Member::Inside(Level::Metadata)),
        "tool_usage_card" | "toolUsageCard" => Payload::ToolUsageCard,
        "tool_result" | "toolResult" => Payload::ToolResult,
        "ui_layout" | "uiLayout" => Payload::UiLayout,
        "render_citation" | "renderCitation" => Payload::RenderCitation,
        "render_searched_image" | "renderSearchedImage" => Payload::RenderSearchedImage,
        "render_start" | "renderStart" => Payload::RenderStart,
        "render_generated_image" | "renderGeneratedImage" | "render_edited_image" | "renderEditedImage" => {
            Payload::RenderGeneratedImage
        }
        "render_generated_video"
        | "renderGeneratedVideo"
        | "render_file_preview"
        | "renderFilePreview"
        | "render_imagine_media_board"
        | "renderImagineMediaBoard" => Payload::RenderOther,
        "stream_error" | "streamError" | "error" => Payload::StreamError,
        "card_attachment" | "cardAttachment" => Payload::CardAttachment,
        "client_tool_call" | "clientToolCall" => Payload::ClientRequest("client_tool_call"),
        "user_input_request" | "userInputRequest" => Payload::ClientRequest("user_input_request"),
        "phase_marker"
        | "phaseMarker"
        | "progress_report"
        | "progressReport"
        | "tool_partial_result"
        | "toolPartialResult"
        | "follow_up_suggestions"
        | "followUpSuggestions" => return Some(Member::Silent),
        _ => return None,
    };
    Some(Member::Payload(payload))
}

fn output_member<'a>(name: &str) -> Option<Member<'a>> {
    match name {
        "stream_error" | "streamError" => Some(Member::Payload(Payload::StreamError)),
        "card_attachment" | "cardAttachment" | "card_attachments" | "cardAttachments" => {
            Some(Member::Payload(Payload::CardAttachment))
        }
        "text" => None,
        name => chunk_member(name),
    }
}
