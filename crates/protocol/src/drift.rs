//! What is seen of the things nobody knows: how they are counted, and a picture of their shape that gives nothing away.
//!
//! The upstream changes without notice. A new event, member or error shows first as [`GrokEvent::Unknown`]; its name is
//! counted, and one picture per name says what it looks like. Pictures are kept and shown to people, so they hold the names of
//! members, the types of their values, and the few values that are names themselves (`"type":"response.new"`). Texts, ids,
//! addresses and numbers never.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::event::GrokEvent;

/// The longest picture.
pub const SAMPLE_LIMIT_BYTES: usize = 512;

/// The longest name that is kept.
const NAME_LIMIT_BYTES: usize = 64;

/// Deeper values are only told to be there.
const DEPTH_LIMIT: u8 = 8;

/// Stands for a name that may be somebody's data.
const HIDDEN_NAME: &str = "?";

/// Something unknown as it came. It may hold anything, so only its shape can be got at.
#[derive(Clone, Copy, PartialEq)]
pub struct Specimen<'a>(&'a str);

impl<'a> Specimen<'a> {
    /// Wraps a piece of the upstream's JSON.
    pub fn new(json: &'a str) -> Self {
        Self(json)
    }

    /// See [`drift_sample`]. Costs a walk over the specimen, so it is for the first of its kind only.
    pub fn sample(&self) -> String {
        drift_sample(self.0)
    }
}

impl fmt::Debug for Specimen<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.sample())
    }
}

/// The shape of a JSON value, at most [`SAMPLE_LIMIT_BYTES`] long.
pub fn drift_sample(json: &str) -> String {
    let mut picture = Picture { text: String::new(), is_full: false };
    let shape = Shape { picture: &mut picture, place: Place { name: Name::Other, depth: 0, is_argument: false } };
    let mut reader = serde_json::Deserializer::from_str(json);
    if shape.deserialize(&mut reader).and_then(|()| reader.end()).is_err() {
        picture.write(" not JSON");
    }
    if picture.is_full {
        picture.text.push('…');
    }
    picture.text
}

/// The event for something that is not known: `place` says where it stood, `name` what it called itself.
pub(crate) fn unknown<'a>(place: &str, name: Cow<'a, str>, json: &'a str) -> GrokEvent<'a> {
    let name = if is_plain_name(&name) { name } else { Cow::Borrowed(HIDDEN_NAME) };
    let kind = if place.is_empty() { name } else { Cow::Owned(format!("{place}{name}")) };
    GrokEvent::Unknown { kind, specimen: Specimen::new(json) }
}

/// A name that a program was given by its makers, as far as one can tell: no words with spaces, no ids.
fn is_plain_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    let is_hexadecimal = bytes.len() >= 8 && digits > 0 && bytes.iter().all(u8::is_ascii_hexdigit);
    bytes.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
        && bytes.len() <= NAME_LIMIT_BYTES
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b':'))
        && digits <= 4
        && !is_hexadecimal
}

/// The picture as far as it is drawn.
struct Picture {
    text: String,
    is_full: bool,
}

impl Picture {
    fn write(&mut self, piece: &str) {
        self.is_full |= self.text.len() + piece.len() > SAMPLE_LIMIT_BYTES - '…'.len_utf8();
        if !self.is_full {
            self.text.push_str(piece);
        }
    }
}

/// What the name of a member says about its value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    /// The value is one of a fixed list of names.
    Enumeration,
    /// The value is program text, unless it stands in an error.
    Code,
    /// The members below describe an error.
    Error,
    /// The members below are a tool's arguments.
    Arguments,
    Other,
}

impl Name {
    fn of(name: &str) -> Self {
        let lower = name.to_ascii_lowercase();
        let ends = |endings: &[&str]| endings.iter().any(|ending| lower.ends_with(ending));
        match lower.as_str() {
            "error" | "stream_error" | "streamerror" | "status_details" => Self::Error,
            "code" => Self::Code,
            "args" | "arguments" | "input" | "parameters" => Self::Arguments,
            _ if ends(&["type", "kind", "status", "mode", "state", "severity", "channel", "category"]) => {
                Self::Enumeration
            }
            "reason" | "role" | "object" | "effort" | "phase" | "messagetag" => Self::Enumeration,
            _ => Self::Other,
        }
    }
}

/// Where a value stands.
#[derive(Clone, Copy)]
struct Place {
    name: Name,
    depth: u8,
    is_argument: bool,
}

impl Place {
    /// The place of a member below an object that stands here.
    fn member(self, name: &str) -> Self {
        let name = match Name::of(name) {
            // At the root it is not known whose code it is; errors are the only ones looked at from there.
            Name::Code if self.name == Name::Error || self.depth == 0 => Name::Enumeration,
            name => name,
        };
        Self { name, depth: self.depth + 1, is_argument: self.is_argument || name == Name::Arguments }
    }
}

/// Draws one value.
struct Shape<'p> {
    picture: &'p mut Picture,
    place: Place,
}

impl<'de> DeserializeSeed<'de> for Shape<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.picture.is_full || self.place.depth > DEPTH_LIMIT {
            self.picture.write("…");
            return deserializer.deserialize_ignored_any(IgnoredAny).map(|_| ());
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Shape<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        self.picture.write("{");
        let mut is_first = true;
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            if !std::mem::take(&mut is_first) {
                self.picture.write(",");
            }
            let place = self.place.member(&name);
            self.picture.write(if is_plain_name(&name) { &name } else { HIDDEN_NAME });
            self.picture.write(":");
            members.next_value_seed(Shape { picture: &mut *self.picture, place })?;
        }
        self.picture.write("}");
        Ok(())
    }

    /// The first item stands for all.
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.picture.write("[");
        let place = Place { depth: self.place.depth + 1, ..self.place };
        if items.next_element_seed(Shape { picture: &mut *self.picture, place })?.is_some() {
            let mut more = 0_usize;
            while items.next_element::<IgnoredAny>()?.is_some() {
                more += 1;
            }
            if more > 0 {
                self.picture.write(",…");
            }
        }
        self.picture.write("]");
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if text.is_empty() {
            self.picture.write("\"\"");
        } else if self.place.name == Name::Enumeration && !self.place.is_argument && is_plain_name(text) {
            self.picture.write("\"");
            self.picture.write(text);
            self.picture.write("\"");
        } else {
            self.picture.write("string");
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.picture.write("bool");
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.picture.write("number");
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.picture.write("number");
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.picture.write("number");
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.picture.write("null");
        Ok(())
    }
}

#[cfg(test)]
mod tests;
