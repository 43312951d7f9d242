//! What names, secrets and limits of keys may look like, and how a secret is shown.

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
pub(crate) fn preview(secret: &str) -> String {
    let prefix = if secret.starts_with(PREFIX) { PREFIX } else { "" };
    let end = if secret.len() < LONG { "" } else { secret.get(secret.len() - 4..).unwrap_or_default() };
    format!("{prefix}…{end}")
}

/// Most models in a list, and characters of a name in it.
const MODELS: usize = 100;
const MODEL: usize = 128;

/// The largest limit: beyond it none is what is meant. The window of a minute costs eight bytes per request.
const LARGEST_LIMIT: u32 = 1_000_000;

/// A limit as it is stored.
pub(super) fn checked_limit(path: &str, limit: Option<u32>) -> Result<Option<i64>, KeyError> {
    match limit {
        Some(limit) if !(1..=LARGEST_LIMIT).contains(&limit) => {
            let message = format!("must be between 1 and {LARGEST_LIMIT}, or null for no limit");
            Err(invalid(path, "range", json!({ "min": 1, "max": LARGEST_LIMIT }), message))
        }
        limit => Ok(limit.map(i64::from)),
    }
}

/// The end of a key's time, which cannot have passed.
pub(super) fn checked_expiry(expires_at: Option<i64>, now: i64) -> Result<Option<i64>, KeyError> {
    match expires_at {
        Some(end) if end <= now => {
            Err(invalid("/expires_at", "past", json!({}), "must be in the future, or null for never"))
        }
        expires_at => Ok(expires_at),
    }
}

/// The models of a key, as they are stored: without outer spaces and repetitions.
pub(super) fn checked_models(models: Option<&[String]>) -> Result<Option<String>, KeyError> {
    let Some(models) = models else { return Ok(None) };
    let mut kept: Vec<&str> = Vec::new();
    for (index, model) in models.iter().enumerate() {
        let model = model.trim();
        let length = model.chars().count();
        if length == 0 || length > MODEL || model.chars().any(char::is_control) {
            let message = format!("must have 1 to {MODEL} characters and no line breaks");
            return Err(invalid(&format!("/models/{index}"), "length", json!({ "min": 1, "max": MODEL }), message));
        }
        if !kept.iter().any(|known| known.eq_ignore_ascii_case(model)) {
            kept.push(model);
        }
    }
    if kept.is_empty() || kept.len() > MODELS {
        let message = format!("must name 1 to {MODELS} models, or be null for all");
        return Err(invalid("/models", "length", json!({ "min": 1, "max": MODELS }), message));
    }
    Ok(Some(json!(kept).to_string()))
}

pub(super) fn invalid(
    path: &str,
    code: &'static str,
    params: serde_json::Value,
    message: impl Into<String>,
) -> KeyError {
    KeyError::Invalid(FieldError::new(path, code, params, message))
}
