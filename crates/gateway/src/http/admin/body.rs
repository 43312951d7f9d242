//! Request bodies, read strictly: a member that is unknown, missing or of the wrong kind is told by its path, all at once.

use std::time::Duration;

use axum::extract::{FromRequest, Request};
use http::{HeaderMap, StatusCode, header};
use protocol::halves::mended_json;
use serde_json::{Map, Value, json};

use super::error::AdminError;
use crate::clock::parse_timestamp;
use crate::http::body::{self, BodyError};
use crate::reading;
use crate::settings::FieldError;

/// Admin bodies are small; the largest is a patch of all settings.
const MOST_BYTES: usize = 1024 * 1024;

/// Bodies with lists of tokens.
pub(super) const MOST_LARGE_BYTES: usize = 32 * 1024 * 1024;

/// Bodies of people who are not signed in yet, and how long one may take: anybody can send them, as many as there are connections.
const MOST_OF_STRANGERS: usize = 8 * 1024;
const STRANGERS_TIME: Duration = Duration::from_secs(10);

/// A JSON value that came as `application/json`. Other types are refused: a foreign page can send those without asking.
pub(super) struct JsonBody(pub(super) Value);

/// The members of a JSON object, taken out one by one; what is left at the end is unknown.
pub(super) struct Members {
    members: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = AdminError;

    async fn from_request(request: Request, _: &S) -> Result<Self, AdminError> {
        read(request, MOST_BYTES).await.map(Self)
    }
}

/// The members of a body that may hold long lists.
pub(super) struct LargeMembers(pub(super) Members);

impl<S: Send + Sync> FromRequest<S> for LargeMembers {
    type Rejection = AdminError;

    async fn from_request(request: Request, _: &S) -> Result<Self, AdminError> {
        Members::of(read(request, MOST_LARGE_BYTES).await?).map(Self)
    }
}

/// The members of a body that comes from somebody who is not signed in.
pub(super) struct StrangersMembers(pub(super) Members);

impl<S: Send + Sync> FromRequest<S> for StrangersMembers {
    type Rejection = AdminError;

    async fn from_request(request: Request, _: &S) -> Result<Self, AdminError> {
        let reading = tokio::time::timeout(STRANGERS_TIME, read(request, MOST_OF_STRANGERS));
        let value = reading.await.map_err(|_| unreadable(BodyError::TooSlow, MOST_OF_STRANGERS))?;
        Members::of(value?).map(Self)
    }
}

async fn read(request: Request, limit: usize) -> Result<Value, AdminError> {
    let (parts, body) = request.into_parts();
    if !is_json(&parts.headers) {
        let message = "send the body as JSON, with the header Content-Type: application/json";
        return Err(AdminError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message));
    }
    let bytes = body::read(&parts.headers, body, limit).await.map_err(|error| unreadable(error, limit))?;
    let read = reading::read(bytes.len(), move || serde_json::from_slice(&mended_json(&bytes))).await;
    read.map_err(|error| AdminError::invalid_request(format!("the body is not JSON: {error}")))
}

impl<S: Send + Sync> FromRequest<S> for Members {
    type Rejection = AdminError;

    async fn from_request(request: Request, state: &S) -> Result<Self, AdminError> {
        Self::of(JsonBody::from_request(request, state).await?.0)
    }
}

impl Members {
    fn of(value: Value) -> Result<Self, AdminError> {
        match value {
            Value::Object(members) => Ok(Self { members, errors: Vec::new() }),
            _ => Err(AdminError::field("", "type", "must be a JSON object")),
        }
    }

    /// An object that has to be there.
    pub(super) fn object(&mut self, name: &'static str) -> Option<Map<String, Value>> {
        match self.members.remove(name) {
            Some(Value::Object(object)) => Some(object),
            Some(_) => self.refuse(name, "type", "must be an object"),
            None => self.refuse(name, "required", "is required"),
        }
    }

    pub(super) fn optional_object(&mut self, name: &'static str) -> Option<Map<String, Value>> {
        match self.members.remove(name)? {
            Value::Object(object) => Some(object),
            _ => self.refuse(name, "type", "must be an object"),
        }
    }

    pub(super) fn values(&mut self, name: &'static str) -> Option<Vec<Value>> {
        match self.members.remove(name)? {
            Value::Array(values) => Some(values),
            _ => self.refuse(name, "type", "must be a list"),
        }
    }

    /// A text that has to be there; empty when it is not, which [`Members::finish`] then tells.
    pub(super) fn required_text(&mut self, name: &'static str) -> String {
        if !self.members.contains_key(name) {
            self.refuse::<()>(name, "required", "is required");
        }
        self.text(name).unwrap_or_default()
    }

    /// Anything that has to be there; `null` when it is not, which [`Members::finish`] then tells.
    pub(super) fn required_value(&mut self, name: &'static str) -> Value {
        match self.members.remove(name) {
            Some(value) => value,
            None => self.refuse(name, "required", "is required").unwrap_or_default(),
        }
    }

    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        match self.members.remove(name)? {
            Value::String(text) => Some(text),
            _ => self.refuse(name, "type", "must be a text"),
        }
    }

    /// A text that may be `null`: `Some(None)`.
    pub(super) fn nullable_text(&mut self, name: &'static str) -> Option<Option<String>> {
        match self.members.remove(name)? {
            Value::String(text) => Some(Some(text)),
            Value::Null => Some(None),
            _ => self.refuse(name, "type", "must be a text or null"),
        }
    }

    pub(super) fn flag(&mut self, name: &'static str) -> Option<bool> {
        match self.members.remove(name)? {
            Value::Bool(flag) => Some(flag),
            _ => self.refuse(name, "type", "must be true or false"),
        }
    }

    pub(super) fn count(&mut self, name: &'static str) -> Option<usize> {
        let value = self.members.remove(name)?;
        match value.as_u64().and_then(|count| usize::try_from(count).ok()) {
            Some(count) => Some(count),
            None => self.refuse(name, "type", "must be a whole number, not negative"),
        }
    }

    pub(super) fn texts(&mut self, name: &'static str) -> Option<Vec<String>> {
        let value = self.members.remove(name)?;
        match serde_json::from_value(value) {
            Ok(texts) => Some(texts),
            Err(_) => self.refuse(name, "type", "must be a list of texts"),
        }
    }

    /// A number that may be `null`: `Some(None)`.
    pub(super) fn nullable_number(&mut self, name: &'static str) -> Option<Option<u32>> {
        let value = self.members.remove(name)?;
        if value.is_null() {
            return Some(None);
        }
        match value.as_u64().and_then(|number| u32::try_from(number).ok()) {
            Some(number) => Some(Some(number)),
            None => self.refuse(name, "type", "must be a whole number, not negative, or null"),
        }
    }

    /// A list of texts that may be `null`: `Some(None)`.
    pub(super) fn nullable_texts(&mut self, name: &'static str) -> Option<Option<Vec<String>>> {
        let value = self.members.remove(name)?;
        match serde_json::from_value(value) {
            Ok(texts) => Some(texts),
            Err(_) => self.refuse(name, "type", "must be a list of texts or null"),
        }
    }

    /// A time that may be `null`: `Some(None)`. In milliseconds since 1970.
    pub(super) fn nullable_time(&mut self, name: &'static str) -> Option<Option<i64>> {
        let Some(text) = self.nullable_text(name)? else { return Some(None) };
        match parse_timestamp(&text) {
            Some(time) => Some(Some(time)),
            None => self.refuse(name, "format", "must be a time as in 2026-03-01T12:00:00Z, or null"),
        }
    }

    /// Notes that a member is not valid.
    pub(super) fn refuse<T>(&mut self, name: &str, code: &'static str, message: impl Into<String>) -> Option<T> {
        self.errors.push(FieldError::new(format!("/{name}"), code, json!({}), message));
        None
    }

    /// What is left, for another reader; fails if any of the members that were taken was wrong.
    pub(super) fn rest(self) -> Result<Map<String, Value>, AdminError> {
        if self.errors.is_empty() { Ok(self.members) } else { Err(AdminError::validation(self.errors)) }
    }

    /// To be called once all members are taken: fails if any was wrong or any is left.
    pub(super) fn finish(mut self) -> Result<(), AdminError> {
        for name in self.members.keys() {
            let path = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
            self.errors.push(FieldError::new(path, "unknown", json!({}), "is not a member of this body"));
        }
        if self.errors.is_empty() { Ok(()) } else { Err(AdminError::validation(self.errors)) }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    ["application/json", "application/merge-patch+json"].iter().any(|json| essence.eq_ignore_ascii_case(json))
}

/// Why a body of at most so many bytes could not be read.
pub(super) fn unreadable(error: BodyError, limit: usize) -> AdminError {
    match error {
        BodyError::TooLarge => AdminError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            format!("the body is larger than {limit} bytes"),
        ),
        BodyError::TooSlow => {
            AdminError::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", "the body did not arrive in time")
        }
        BodyError::Broken => AdminError::invalid_request("the body could not be read to its end"),
    }
}
