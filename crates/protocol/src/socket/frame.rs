//! One server event as its members, envelope and chunk folded into one (UPSTREAM.md 16.2, 16.5, 16.6).
//!
//! As in the REST dialect, what comes with every piece of text is read in place and borrowed; everything else is kept as raw
//! JSON and read on its own, so that a payload of an unexpected shape costs only itself. Names are accepted in snake case and in
//! camel case, because the upstream's reader does the same.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::name::{Kind, Level, Member, Payload, TextChannel};
use crate::halves::{Halves, Mending};
use crate::lenient::{Flag, Number, Text};

/// Everything one server event says.
#[derive(Debug, Default)]
pub(super) struct Frame<'a> {
    pub(super) session_id: Option<Cow<'a, str>>,
    pub(super) kind: Kind<'a>,
    pub(super) client_event_id: Option<Cow<'a, str>>,
    pub(super) response_id: Option<Cow<'a, str>>,
    pub(super) step: Option<i64>,
    pub(super) rollout: Option<Cow<'a, str>>,
    /// The text of a chunk, and how many payloads stand before it.
    pub(super) text: Option<(Cow<'a, str>, usize)>,
    pub(super) channel: TextChannel<'a>,
    /// What `text` or `delta` has of characters that were cut in two.
    pub(super) halves: Halves,
    /// The event held halves of characters, and is read without them.
    mending: Option<Mending<'a>>,
    /// A piece of text of the delta form.
    pub(super) delta: Option<Cow<'a, str>>,
    pub(super) is_thinking: bool,
    /// The whole text, in closing events.
    pub(super) whole_text: Option<Cow<'a, str>>,
    pub(super) title: Option<Cow<'a, str>>,
    pub(super) status: Option<Cow<'a, str>>,
    pub(super) message: Option<Cow<'a, str>>,
    pub(super) code: Option<&'a RawValue>,
    /// Payloads in the order in which they came.
    pub(super) payloads: Vec<(Payload, &'a RawValue)>,
    /// Members that are not known, with the place where they stood; levels that are no objects, without a name.
    pub(super) unknown: Vec<(Level, Cow<'a, str>, Option<&'a RawValue>)>,
}

impl<'a> Frame<'a> {
    /// Reads an event that was refused for halves of characters in it.
    pub(super) fn of_mended(mending: Mending<'a>) -> Result<Self, serde_json::Error> {
        let mut reader = serde_json::Deserializer::from_str(mending.mended);
        let mut frame = Frame { mending: Some(mending), ..Frame::default() };
        frame.read(&mut reader)?;
        reader.end()?;
        Ok(frame)
    }

    fn read<D: Deserializer<'a>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        Members { frame: self, level: Level::Top }.deserialize(deserializer)?;
        if self.kind == Kind::Missing && self.payload(Payload::Error).is_some() {
            self.kind = Kind::Error;
        }
        Ok(())
    }

    /// Reads a piece of text.
    fn piece<A: MapAccess<'a>>(&mut self, members: &mut A) -> Result<Option<Cow<'a, str>>, A::Error> {
        let Some(mending) = self.mending else { return Ok(members.next_value::<Text<'a>>()?.filled()) };
        let Some((text, halves)) = mending.string(members.next_value::<&'a RawValue>()?) else { return Ok(None) };
        self.halves = halves;
        Ok(Text(Some(text)).filled())
    }

    /// The first payload of this kind.
    pub(super) fn payload(&self, wanted: Payload) -> Option<&'a RawValue> {
        self.payloads.iter().find(|(payload, _)| *payload == wanted).map(|(_, value)| *value)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Frame<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Filled in where it is: a frame is large, and one comes with every token.
        let mut frame = Frame::default();
        frame.read(deserializer)?;
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
                Member::Inside(level) => members.next_value_seed(Members { frame, level })?,
                Member::SessionId => frame.session_id = members.next_value::<Text<'de>>()?.filled(),
                Member::Type => {
                    frame.kind = members.next_value::<Text<'de>>()?.0.map_or(Kind::Missing, Kind::read);
                }
                Member::ClientEventId => frame.client_event_id = members.next_value::<Text<'de>>()?.filled(),
                Member::ResponseId => frame.response_id = members.next_value::<Text<'de>>()?.filled(),
                Member::Step => frame.step = members.next_value::<Number>()?.whole(),
                Member::Rollout => frame.rollout = members.next_value::<Text<'de>>()?.filled(),
                Member::ChunkText => {
                    let before = frame.payloads.len();
                    frame.text = frame.piece(&mut members)?.map(|text| (text, before));
                }
                Member::Channel => frame.channel = members.next_value::<TextChannel<'de>>()?,
                Member::Delta => frame.delta = frame.piece(&mut members)?,
                Member::IsThinking => frame.is_thinking = members.next_value::<Flag>()?.0.unwrap_or(false),
                Member::WholeText => frame.whole_text = members.next_value::<Text<'de>>()?.filled(),
                Member::Title => frame.title = members.next_value::<Text<'de>>()?.filled(),
                Member::Status => frame.status = members.next_value::<Text<'de>>()?.filled(),
                Member::Message => frame.message = members.next_value::<Text<'de>>()?.filled(),
                Member::Code => frame.code = Some(members.next_value::<&'de RawValue>()?),
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
                    frame.unknown.push((self.level, name, Some(value)));
                }
            }
        }
        Ok(())
    }

    // A level that is no object says nothing, but the rest of the frame may. Unset messages may be written as null.
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
        self.frame.unknown.push((self.level, Cow::Borrowed("shape"), None));
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
