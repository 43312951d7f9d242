//! The request log as a file: all matching rows, newest first, read while they are sent.

use std::fmt::Write as _;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderValue, header};
use serde_json::Value;

use super::AdminState;
use super::request_view::{self, Names};
use crate::audit::PageQuery;
use crate::store::StoreError;
use crate::store::request_log::Direction;

/// Rows read at once.
const ROWS: usize = 500;

/// Members of a row that become columns, in order; a point goes into an object.
const COLUMNS: [&str; 30] = [
    "at",
    "id",
    "request_id",
    "route",
    "stream",
    "model",
    "mode",
    "outcome",
    "ending",
    "status",
    "error.code",
    "error.message",
    "key.id",
    "key.name",
    "account.id",
    "account.label",
    "conversation_id",
    "receipt",
    "transport",
    "attempt_count",
    "queue_ms",
    "first_byte_ms",
    "first_token_ms",
    "duration_ms",
    "bytes",
    "prompt_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "client",
    "ip",
];

/// The form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Csv,
    Ndjson,
}

impl Format {
    /// The form that an `Accept` header asks for.
    pub(super) fn accepted(accept: &str) -> Option<Self> {
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

    fn file(self) -> &'static str {
        match self {
            Self::Csv => "attachment; filename=\"requests.csv\"",
            Self::Ndjson => "attachment; filename=\"requests.ndjson\"",
        }
    }

    fn write(self, row: &Value, out: &mut String) {
        match self {
            Self::Ndjson => {
                // Writing to a string cannot fail.
                let _ = writeln!(out, "{row}");
            }
            Self::Csv => {
                let cells = COLUMNS.map(|column| cell(member(row, column)));
                out.push_str(&cells.join(","));
                out.push_str("\r\n");
            }
        }
    }
}

/// Answers the whole filtered list.
pub(super) fn export(state: AdminState, query: PageQuery, format: Format) -> Response {
    let head = match format {
        Format::Csv => format!("{}\r\n", COLUMNS.map(|column| column.replace('.', "_")).join(",")),
        Format::Ndjson => String::new(),
    };
    let query = PageQuery { direction: Direction::Older, limit: ROWS, ..query };
    let rows = stream::unfold(Some((head, query)), move |going_on| {
        let state = state.clone();
        async move {
            let (head, query) = going_on?;
            match piece(&state, query, format, head).await {
                Ok((piece, further)) => Some((Ok(piece), further.map(|query| (String::new(), query)))),
                // The client sees a body that is cut, not one that looks whole.
                Err(error) => {
                    tracing::error!(error = %error, "an export of the request log broke");
                    Some((Err(error), None))
                }
            }
        }
    });
    // Whoever compresses it may ask once more after its end.
    let mut response = Body::from_stream(rows.fuse()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(format.file()));
    response
}

async fn piece(
    state: &AdminState,
    query: PageQuery,
    format: Format,
    mut out: String,
) -> Result<(Bytes, Option<PageQuery>), StoreError> {
    let page = state.records.page(&query).await?;
    let names = Names::of(state, page.rows.iter().filter_map(|row| row.account_id.as_deref()));
    page.rows.iter().for_each(|row| format.write(&request_view::whole_row(row, &names), &mut out));
    let further = page.next.map(|next| PageQuery { start: Some(next), ..query });
    Ok((Bytes::from(out), further))
}

fn member<'a>(row: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(row, |value, name| &value[name])
}

/// One cell. A text that a spreadsheet would take for a formula gets an apostrophe in front.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => return String::new(),
        Value::String(text) => text.as_str(),
        other => return other.to_string(),
    };
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
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
            (json!("plain"), "plain"),
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
