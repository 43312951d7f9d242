//! One frame as its members, both envelope levels folded into one (UPSTREAM.md 4, 5.3, 5.4).
//!
//! Members that come with every token are read in place and borrowed. Everything else is kept as raw JSON and read by
//! `payload`, so that a payload of an unexpected shape costs only itself.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::halves::{Halves, Mending};
use crate::lenient::{Flag, Number, Text};

/// Everything one frame says.
#[derive(Debug, Default)]
pub(super) struct Frame<'a> {
    pub(super) token: Option<Cow<'a, str>>,
    /// What `token` has of characters that were cut in two.
    pub(super) halves: Halves,
    /// The frame held halves of characters, and is read without them.
    mending: Option<Mending<'a>>,
    pub(super) is_thinking: bool,
    pub(super) is_soft_stop: bool,
    pub(super) tag: Tag<'a>,
    pub(super) step: Option<i64>,
    pub(super) rollout: Option<Cow<'a, str>>,
    pub(super) response_id: Option<Cow<'a, str>>,
    pub(super) tool_card_id: Option<Cow<'a, str>>,
    pub(super) side_by_side_index: Option<i64>,
    /// Payloads in the order in which they came; `Vec` does not allocate for the usual text frame.
    pub(super) payloads: Vec<(Payload, &'a RawValue)>,
    /// Members that are not known, and levels that are no objects.
    pub(super) unknown: Vec<(Cow<'a, str>, Option<&'a RawValue>)>,
}

/// `messageTag` (UPSTREAM.md 5.7).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Tag<'a> {
    /// `final` or absent: `isThinking` decides.
    #[default]
    Plain,
    Header,
    Summary,
    ToolCall,
    ToolResult,
    /// As plain.
    Unknown(Cow<'a, str>),
}

impl<'a> Tag<'a> {
    fn read(tag: Cow<'a, str>) -> Self {
        match tag.as_ref() {
            "final" | "" => Self::Plain,
            "header" => Self::Header,
            "summary" => Self::Summary,
            "tool_usage_card" => Self::ToolCall,
            "raw_function_result" | "tool_partial_output" => Self::ToolResult,
            _ => Self::Unknown(tag),
        }
    }

    pub(super) fn is_tool_call(&self) -> bool {
        *self == Self::ToolCall
    }

    /// Text under a tool's tag is never shown: it may hold drafts of other agents.
    pub(super) fn is_tool(&self) -> bool {
        matches!(self, Self::ToolCall | Self::ToolResult)
    }
}

/// Payload members that mean something to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Payload {
    TopLevelError,
    Conversation,
    Title,
    UserResponse,
    ModelResponse,
    StreamError,
    ToolUsageCard,
    QueryAction,
    /// Search results of any kind; all have the same pattern.
    Results,
    CodeExecutionResult,
    CardAttachment,
    CardAttachments,
    StreamingImage,
    UiLayout,
    LlmInfo,
    KeepAlive,
}

/// A member name, sorted by what is to be done with its value.
enum Member<'a> {
    Result,
    Response,
    Token,
    IsThinking,
    IsSoftStop,
    MessageTag,
    MessageStepId,
    RolloutId,
    ResponseId,
    ToolUsageCardId,
    SideBySideIndex,
    Payload(Payload),
    /// Known and without meaning for a gateway.
    Silent,
    Unknown(Cow<'a, str>),
}

/// Which object the members stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Top,
    Result,
    Response,
}

impl Level {
    fn member<'a>(self, name: &str) -> Option<Member<'a>> {
        let member = match (self, name) {
            (Self::Top, "result") => Member::Result,
            (Self::Top, "error") => Member::Payload(Payload::TopLevelError),
            (Self::Top, _) => return None,
            (Self::Result, "response") => Member::Response,
            (Self::Result, "conversation") => Member::Payload(Payload::Conversation),
            (Self::Result, "title") => Member::Payload(Payload::Title),
            (_, "token") => Member::Token,
            (_, "isThinking") => Member::IsThinking,
            (_, "isSoftStop") => Member::IsSoftStop,
            (_, "messageTag") => Member::MessageTag,
            (_, "messageStepId") => Member::MessageStepId,
            (_, "rolloutId") => Member::RolloutId,
            (_, "responseId") => Member::ResponseId,
            (_, "toolUsageCardId") => Member::ToolUsageCardId,
            (_, "sideBySideIndex") => Member::SideBySideIndex,
            (_, name) => payload_member(name)?,
        };
        Some(member)
    }
}

fn payload_member<'a>(name: &str) -> Option<Member<'a>> {
    let payload = match name {
        "userResponse" => Payload::UserResponse,
        "modelResponse" => Payload::ModelResponse,
        "error" => Payload::StreamError,
        "toolUsageCard" => Payload::ToolUsageCard,
        "queryAction" => Payload::QueryAction,
        "webSearchResults"
        | "xSearchResults"
        | "citedWebSearchResults"
        | "ragResults"
        | "citedRagResults"
        | "connectorSearchResults"
        | "collectionSearchResults"
        | "searchProductResults" => Payload::Results,
        "codeExecutionResult" => Payload::CodeExecutionResult,
        "cardAttachment" => Payload::CardAttachment,
        "cardAttachments" => Payload::CardAttachments,
        "streamingImageGenerationResponse" => Payload::StreamingImage,
        "uiLayout" => Payload::UiLayout,
        "llmInfo" => Payload::LlmInfo,
        "keepAlive" => Payload::KeepAlive,
        "streamingMetadata"
        | "finalMetadata"
        | "progressReport"
        | "imageAttachmentInfo"
        | "memoryV2UpdateResult"
        | "throttle"
        | "survey"
        | "bannerMessage"
        | "disclaimer"
        | "effortDecision"
        | "memoryReferences"
        | "authNotification"
        | "toolRequest"
        | "fastToolResponse"
        | "followUpSuggestions"
        | "followUpSuggestedMode"
        | "imageDimensions"
        | "sideBySideConfig"
        | "generatedTitle"
        | "cachedImageGenerationResponse"
        | "imageGenerationResponse"
        | "streamingVideoGenerationResponse" => return Some(Member::Silent),
        _ => return None,
    };
    Some(Member::Payload(payload))
}

impl<'a> Frame<'a> {
    /// Reads a frame that was refused for halves of characters in it.
    pub(super) fn of_mended(mending: Mending<'a>) -> Result<Self, serde_json::Error> {
        let mut frame = Frame { mending: Some(mending), ..Frame::default() };
        let mut reader = serde_json::Deserializer::from_str(mending.mended);
        Members { frame: &mut frame, level: Level::Top }.deserialize(&mut reader)?;
        reader.end()?;
        Ok(frame)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Frame<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut frame = Frame::default();
        Members { frame: &mut frame, level: Level::Top }.deserialize(deserializer)?;
        Ok(frame)
    }
}

/// Reads the members of one object into the frame.
struct Members<'f, 'a> {
    frame: &'f mut Frame<'a>,
    level: Level,
}

impl<'de> DeserializeSeed<'de> for Members<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Members<'_, 'de> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(member) = members.next_key_seed(Name(self.level))? {
            let frame = &mut *self.frame;
            match member {
                Member::Result => members.next_value_seed(Members { frame, level: Level::Result })?,
                Member::Response => members.next_value_seed(Members { frame, level: Level::Response })?,
                Member::Token => match frame.mending {
                    None => frame.token = members.next_value::<Text<'de>>()?.0,
                    Some(mending) => {
                        let string = mending.string(members.next_value::<&'de RawValue>()?);
                        (frame.token, frame.halves) =
                            string.map(|(text, halves)| (Some(text), halves)).unwrap_or_default();
                    }
                },
                Member::IsThinking => frame.is_thinking = members.next_value::<Flag>()?.0.unwrap_or(false),
                Member::IsSoftStop => frame.is_soft_stop = members.next_value::<Flag>()?.0.unwrap_or(false),
                Member::MessageTag => {
                    frame.tag = members.next_value::<Text<'de>>()?.0.map_or(Tag::Plain, Tag::read);
                }
                Member::MessageStepId => frame.step = members.next_value::<Number>()?.whole(),
                Member::RolloutId => frame.rollout = members.next_value::<Text<'de>>()?.filled(),
                Member::ResponseId => frame.response_id = members.next_value::<Text<'de>>()?.filled(),
                Member::ToolUsageCardId => frame.tool_card_id = members.next_value::<Text<'de>>()?.filled(),
                Member::SideBySideIndex => frame.side_by_side_index = members.next_value::<Number>()?.whole(),
                Member::Payload(payload) => {
                    let value = members.next_value::<&'de RawValue>()?;
                    if value.get() != "null" {
                        frame.payloads.push((payload, value));
                    }
                }
                Member::Silent => {
                    members.next_value::<IgnoredAny>()?;
                }
                Member::Unknown(name) => {
                    let value = members.next_value::<&'de RawValue>()?;
                    frame.unknown.push((name, Some(value)));
                }
            }
        }
        Ok(())
    }

    // `result` or `response` that is no object says nothing, but the rest of the frame may.
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.not_an_object()
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.not_an_object()
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.not_an_object()
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.not_an_object()
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        self.not_an_object()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        self.not_an_object()
    }
}

impl Members<'_, '_> {
    fn not_an_object<E>(self) -> Result<(), E> {
        let name = match self.level {
            Level::Top => "frame",
            Level::Result => "result",
            Level::Response => "response",
        };
        self.frame.unknown.push((Cow::Borrowed(name), None));
        Ok(())
    }
}

/// Reads a member name without allocating for the known ones.
struct Name(Level);

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Member<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Member<'de>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Member<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a member name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Member<'de>, E> {
        Ok(self.0.member(name).unwrap_or(Member::Unknown(Cow::Borrowed(name))))
    }

    fn visit_str<E>(self, name: &str) -> Result<Member<'de>, E> {
        Ok(self.0.member(name).unwrap_or_else(|| Member::Unknown(Cow::Owned(name.to_owned()))))
    }
}
