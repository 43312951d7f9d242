//! Answers that are not a stream (UPSTREAM.md 1 and 8.1).

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::{json, script::CHALLENGE_PAGE, turn::Fault};

/// How a route writes a status object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorForm {
    /// Under `error`: routes that stream.
    Wrapped,
    /// As it is: all others.
    Bare,
}

/// What a route answers.
pub(super) type Answered = Result<Response, Refusal>;

/// An answer that ends a route early.
pub(super) struct Refusal(Box<Response>);

impl From<Response> for Refusal {
    fn from(response: Response) -> Self {
        Self(Box::new(response))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        *self.0
    }
}

/// The page that a way out which is not trusted gets in place of every answer.
pub(super) fn challenge() -> Refusal {
    raw(403, "text/html; charset=UTF-8", CHALLENGE_PAGE.as_bytes().to_vec()).into()
}

/// A unary answer.
pub(super) fn ok(body: &Value) -> Response {
    raw(200, "application/json", json::unary(body))
}

/// A gRPC status.
pub(super) fn status(form: ErrorForm, http: u16, code: i64, message: &str) -> Refusal {
    let status = json!({"code": code, "message": message, "details": []});
    let body = match form {
        ErrorForm::Wrapped => json!({"error": status}),
        ErrorForm::Bare => status,
    };
    raw(http, "application/json", body.to_string().into_bytes()).into()
}

/// Any status and body; an empty content type leaves the header out.
pub(super) fn raw(status: u16, content_type: &str, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    // A script may name a status that is none, which HTTP cannot carry.
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(value) = HeaderValue::from_str(content_type).ok().filter(|value| !value.is_empty()) {
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    response
}

pub(super) fn bad_request(form: ErrorForm, message: &str) -> Refusal {
    status(form, 400, 3, message)
}

pub(super) fn anti_bot(form: ErrorForm) -> Refusal {
    status(form, 403, 7, "Request rejected by anti-bot rules.")
}

pub(super) fn no_credentials(form: ErrorForm) -> Refusal {
    status(form, 401, 16, "No credentials presented. [WKE=unauthenticated:no-credentials]")
}

pub(super) fn unauthorized(form: ErrorForm) -> Refusal {
    status(form, 401, 16, "Failed to look up session ID. [WKE=unauthenticated:invalid-credentials]")
}

pub(super) fn blocked(form: ErrorForm) -> Refusal {
    status(form, 403, 7, "User is blocked [WKE=unauthorized:blocked-user]")
}

pub(super) fn too_many_requests(form: ErrorForm) -> Refusal {
    status(form, 429, 8, "Too many requests")
}

pub(super) fn internal_error(form: ErrorForm) -> Refusal {
    status(form, 500, 13, "Internal error")
}

/// What a path answers that does not exist.
pub(super) fn no_route() -> Refusal {
    status(ErrorForm::Bare, 404, 5, "Not Found")
}

pub(super) fn no_conversation(form: ErrorForm) -> Refusal {
    status(form, 404, 5, "Conversation not found")
}

pub(super) fn no_response(form: ErrorForm) -> Refusal {
    status(form, 404, 5, "Response not found")
}

/// Why a chat call or a conversation is refused.
pub(super) fn inadmissible(form: ErrorForm, fault: Fault) -> Refusal {
    match fault {
        Fault::EmptyMessage => bad_request(form, "Message must not be empty"),
        Fault::NoFile => bad_request(form, "File attachment not found"),
        Fault::NoConversation => no_conversation(form),
        Fault::NoResponse => no_response(form),
    }
}
