//! What names and secrets of keys may look like, and how a secret is shown.

use serde_json::json;

use super::KeyError;
use crate::secrets::random_token;
use crate::settings::FieldError;

/// Longest name in characters; a batch adds its number to it.
const NAME: usize = 120;

/// Shortest and longest secret that an operator may choose, in characters.
const SECRET: std::ops::RangeInclusive<usize> = 6..=256;

/// Random bytes of a secret; as text they take 43 characters.
const SECRET_BYTES: usize = 32;

/// What the secrets of OpenAI's keys begin with; some clients insist on it.
const PREFIX: &str = "sk-";

/// From this length on, four characters give nothing away.
const LONG: usize = 20;

/// A new random secret.
pub(super) fn new_secret() -> String {
    format!("{PREFIX}{}", random_token(SECRET_BYTES))
}

pub(super) fn checked_name(name: &str) -> Result<String, KeyError> {
    let name = name.trim();
    let length = name.chars().count();
    if length == 0 || length > NAME || name.chars().any(char::is_control) {
        let message = format!("must have 1 to {NAME} characters and no line breaks");
        return Err(invalid("/name", "length", json!({ "min": 1, "max": NAME }), message));
    }
    Ok(name.to_owned())
}

/// A secret of the operator's choice. It has to fit into a header as clients send it.
pub(super) fn checked_secret(secret: &str) -> Result<&str, KeyError> {
    let secret = secret.trim();
    if !SECRET.contains(&secret.len()) || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        let message =
            format!("must have {} to {} ASCII letters, digits or signs and no spaces", SECRET.start(), SECRET.end());
        return Err(invalid("/secret", "format", json!({ "min": SECRET.start(), "max": SECRET.end() }), message));
    }
    Ok(secret)
}

/// How a secret is shown: `sk-…abcd`. A short one shows no end, because little of it would be left.
pub(super) fn preview(secret: &str) -> String {
    let prefix = if secret.starts_with(PREFIX) { PREFIX } else { "" };
    let end = if secret.len() < LONG { "" } else { secret.get(secret.len() - 4..).unwrap_or_default() };
    format!("{prefix}…{end}")
}

pub(super) fn invalid(
    path: &str,
    code: &'static str,
    params: serde_json::Value,
    message: impl Into<String>,
) -> KeyError {
    KeyError::Invalid(FieldError::new(path, code, params, message))
}
