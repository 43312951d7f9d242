//! Message content: a string, nothing, or a list of parts.

use serde_json::value::RawValue;

use super::body::{Members, read_string};
use super::request::RequestError;

/// Joins the parts of a message. Clients that send parts mean paragraphs, so they are joined by newlines.
const PART_SEPARATOR: &str = "\n";

/// The text of a content value that stands at `path`.
pub(super) fn read_content(value: Option<&RawValue>, path: &str) -> Result<String, RequestError> {
    let Some(value) = value else { return Ok(String::new()) };
    if let Some(text) = read_string(value) {
        return Ok(text);
    }
    let Ok(parts) = serde_json::from_str::<Vec<&RawValue>>(value.get()) else {
        return Err(RequestError::wrong_type(path, "a string or a list of parts", value));
    };
    let mut text = String::new();
    for (index, part) in parts.into_iter().enumerate() {
        let part = read_part(part, format!("{path}[{index}]"))?;
        if index > 0 {
            text.push_str(PART_SEPARATOR);
        }
        text.push_str(&part);
    }
    Ok(text)
}

fn read_part(value: &RawValue, path: String) -> Result<String, RequestError> {
    if let Some(text) = read_string(value) {
        return Ok(text);
    }
    let mut part = Members::of_object(value, path.clone())?;
    let kind = part.string("type")?;
    let member = match kind.as_deref() {
        Some("text" | "input_text" | "output_text") | None => "text",
        Some("refusal") => "refusal",
        Some(kind) => return Err(unsupported(kind, path)),
    };
    part.string(member)?.ok_or_else(|| {
        let path = part.path_of(member);
        let message = format!("`{path}` is missing.");
        RequestError::new("missing_required_parameter", Some(path), message)
    })
}

fn unsupported(kind: &str, path: String) -> RequestError {
    let kind: String = kind.chars().take(64).collect();
    let message = format!("Content of type `{kind}` is not supported; send parts of type `text`.");
    RequestError::new("unsupported_content", Some(path), message)
}
