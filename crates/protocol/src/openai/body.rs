//! A client's JSON object, member by member. Members are kept raw until somebody asks for them, so an odd value in a member
//! nobody reads costs nothing, and every complaint can name its member.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::request::RequestError;

/// The members of one object.
pub(super) struct Members<'a> {
    members: Vec<Member<'a>>,
    /// Where the object stands in the request, for messages: empty, or `messages[2]`.
    path: String,
}

struct Member<'a> {
    name: Cow<'a, str>,
    value: &'a RawValue,
    is_used: bool,
}

struct MemberList<'a>(Vec<Member<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for MemberList<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor;
        impl<'de> Visitor<'de> for ListVisitor {
            type Value = MemberList<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    members.push(Member { name: name.0, value, is_used: false });
                }
                Ok(MemberList(members))
            }
        }
        deserializer.deserialize_map(ListVisitor)
    }
}

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Members<'a> {
    /// Reads a request body.
    pub(super) fn of_body(body: &'a [u8]) -> Result<Self, RequestError> {
        let text = std::str::from_utf8(body).map_err(|error| {
            RequestError::new(
                "invalid_json",
                None,
                format!("The body is not UTF-8: byte {} is wrong.", error.valid_up_to()),
            )
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.trim().is_empty() {
            return Err(RequestError::new("invalid_json", None, "The body is empty; send a JSON object."));
        }
        let list = serde_json::from_str::<MemberList<'_>>(text).map_err(|error| syntax_error(&error))?;
        Self::checked(list, String::new())
    }

    /// Reads an object that stands at `path`.
    pub(super) fn of_object(value: &'a RawValue, path: String) -> Result<Self, RequestError> {
        match serde_json::from_str::<MemberList<'_>>(value.get()) {
            Ok(list) => Self::checked(list, path),
            Err(_) => Err(RequestError::wrong_type(&path, "an object", value)),
        }
    }

    /// A name given twice has no one meaning, and which of the two another reader would take is not known.
    fn checked(list: MemberList<'a>, path: String) -> Result<Self, RequestError> {
        let members = Self { members: list.0, path };
        let mut names: Vec<_> = members.members.iter().map(|member| member.name.as_ref()).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            None => Ok(members),
            Some(pair) => {
                let path = members.path_of(pair[0]);
                let message = format!("`{path}` is given more than once.");
                Err(RequestError::new("duplicate_member", Some(path), message))
            }
        }
    }

    /// Where a member stands in the request.
    pub(super) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Takes a member's raw value and marks it as used; null counts as absent.
    pub(super) fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let member = self.members.iter_mut().find(|member| member.name == name)?;
        member.is_used = true;
        (member.value.get() != "null").then_some(member.value)
    }

    /// A member read for what it is worth: one that does not fit stays unused, and so is reported as ignored.
    pub(super) fn offered<T>(&mut self, name: &str, read: impl FnOnce(&Value) -> Option<T>) -> Option<T> {
        let member = self.members.iter_mut().find(|member| member.name == name)?;
        let value = serde_json::from_str::<Value>(member.value.get()).ok()?;
        let read = read(&value);
        member.is_used |= read.is_some();
        read
    }

    /// A string, or an error that names the member.
    pub(super) fn string(&mut self, name: &str) -> Result<Option<String>, RequestError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        match read_string(value) {
            Some(text) => Ok(Some(text)),
            None => Err(RequestError::wrong_type(&self.path_of(name), "a string", value)),
        }
    }

    /// A flag, or an error that names the member.
    pub(super) fn flag(&mut self, name: &str) -> Result<Option<bool>, RequestError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        match serde_json::from_str(value.get()) {
            Ok(flag) => Ok(Some(flag)),
            Err(_) => Err(RequestError::wrong_type(&self.path_of(name), "true or false", value)),
        }
    }

    /// The members nobody took, sorted; null says nothing and is not listed.
    pub(super) fn ignored(&self) -> Vec<String> {
        let is_ignored = |member: &&Member<'_>| !member.is_used && member.value.get() != "null";
        let mut names: Vec<_> = self.members.iter().filter(is_ignored).map(|member| member.name.to_string()).collect();
        names.sort_unstable();
        names
    }
}

/// A string, or `None` for any other value.
pub(super) fn read_string(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// What is wrong with the syntax, and where. The parser's words hold nothing of the body for errors of this class.
fn syntax_error(error: &serde_json::Error) -> RequestError {
    let message = if error.is_data() {
        "The body must be a JSON object.".to_owned()
    } else {
        format!("The body is not valid JSON: {error}.")
    };
    RequestError::new("invalid_json", None, message)
}
