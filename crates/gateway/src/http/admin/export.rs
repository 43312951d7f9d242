//! Lists as files: CSV for spreadsheets, NDJSON for programs; read while they are sent.

use std::fmt::Write as _;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderMap, HeaderValue, header};
use serde_json::Value;

use crate::store::StoreError;

/// The form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Csv,
    Ndjson,
}

impl Format {
    /// The form that a caller asks for.
    pub(super) fn wanted(headers: &HeaderMap) -> Option<Self> {
        Self::accepted(headers.get(header::ACCEPT)?.to_str().ok()?)
    }

    /// The form that an `Accept` header asks for.
    fn accepted(accept: &str) -> Option<Self> {
        let mut kinds = accept.split(',').map(|kind| kind.split(';').next().unwrap_or_default().trim());
        kinds.find_map(|kind| match kind {
            "text/csv" => Some(Self::Csv),
            "application/x-ndjson" => Some(Self::Ndjson),
            _ => None,
        })
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Ndjson => "application/x-ndjson",
        }
    }

    fn ending(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }

    fn write(self, row: &Value, columns: &[&str], out: &mut String) {
        match self {
            Self::Ndjson => {
                // Writing to a string cannot fail.
                let _ = writeln!(out, "{row}");
            }
            Self::Csv => {
                let cells: Vec<String> = columns.iter().map(|column| cell(member(row, column))).collect();
                out.push_str(&cells.join(","));
                out.push_str("\r\n");
            }
        }
    }
}

/// What becomes a file: its name without the ending, and the members of a row that become columns, in order; a point goes into an
/// object.
#[derive(Clone, Copy)]
pub(super) struct Sheet {
    pub(super) name: &'static str,
    pub(super) columns: &'static [&'static str],
}

/// The rows that come, as a file.
pub(super) fn file<S>(sheet: Sheet, format: Format, rows: S) -> Response
where
    S: Stream<Item = Result<Vec<Value>, StoreError>> + Send + 'static,
{
    let head = match format {
        Format::Csv => {
            format!("{}\r\n", sheet.columns.iter().map(|column| column.replace('.', "_")).collect::<Vec<_>>().join(","))
        }
        Format::Ndjson => String::new(),
    };
    let pieces = rows.map(move |rows| match rows {
        Ok(rows) => {
            let mut out = String::new();
            rows.iter().for_each(|row| format.write(row, sheet.columns, &mut out));
            Ok(Bytes::from(out))
        }
        // The client sees a body that is cut, not one that looks whole.
        Err(error) => {
            tracing::error!(error = %error, file = sheet.name, "an export broke");
            Err(error)
        }
    });
    // Whoever compresses it may ask once more after its end.
    let pieces = stream::iter([Ok(Bytes::from(head))]).chain(pieces).fuse();
    let mut response = Body::from_stream(pieces).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    let named = format!("attachment; filename=\"{}.{}\"", sheet.name, format.ending());
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::try_from(named).expect("names of sheets are plain"));
    response
}

fn member<'a>(row: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(row, |value, name| &value[name])
}

/// One cell. A text that a spreadsheet would take for a formula gets an apostrophe in front.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => return String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    };
    if value.is_number() || value.is_boolean() {
        return text;
    }
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cell_is_never_a_formula_and_keeps_to_itself() {
        let cases = [
            (json!(null), ""),
            (json!(17), "17"),
            (json!(true), "true"),
            (json!(-1), "-1"),
            (json!("plain"), "plain"),
            (json!(["a", "b"]), "a b"),
            (json!([]), ""),
            (json!({ "a": [1, 2] }), "\"{\"\"a\"\":[1,2]}\""),
            (json!("=1+1"), "'=1+1"),
            (json!("@a"), "'@a"),
            (json!("a,b"), "\"a,b\""),
            (json!("say \"hi\"\n"), "\"say \"\"hi\"\"\n\""),
        ];
        for (value, expected) in cases {
            assert_eq!(cell(&value), expected);
        }
    }

    #[test]
    fn files_are_asked_for_by_their_type() {
        assert_eq!(Format::accepted("text/csv"), Some(Format::Csv));
        assert_eq!(Format::accepted("application/json, application/x-ndjson;q=0.5"), Some(Format::Ndjson));
        assert_eq!(Format::accepted("*/*"), None);
        assert_eq!(Format::accepted(""), None);
    }
}
