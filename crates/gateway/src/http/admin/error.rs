//! The one error object of the admin API, and what every answer gets on its way out.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::accounts::AccountError;
use crate::admins::{AdminsError, TokenError, TokenRate};
use crate::http::error::ApiError;
use crate::http::request_id::RequestId;
use crate::keys::KeyError;
use crate::settings::{FieldError, HistoryError, SettingsError};
use crate::store::StoreError;

/// A failure as scripts and the console read it. Handlers return it; the body is written on the way out, where the request's id
/// is known.
#[derive(Clone, Debug)]
pub(crate) struct AdminError {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// Boxed, because every handler's result has room for it.
    particulars: Box<Particulars>,
}

/// What only some failures have.
#[derive(Clone, Debug, Default)]
struct Particulars {
    fields: Vec<FieldError>,
    retry_after: Option<Duration>,
    /// Members of certain codes: `existing`, `current`.
    members: Vec<(&'static str, Value)>,
    context: Map<String, Value>,
}

impl AdminError {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), particulars: Box::default() }
    }

    pub(super) fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", message)
    }

    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// Values that are out of range, of the wrong kind, missing or unknown.
    pub(super) fn validation(fields: Vec<FieldError>) -> Self {
        let message = match fields.as_slice() {
            [field] if field.path.is_empty() => format!("the body {}", field.message),
            [field] => format!("{} {}", field.path, field.message),
            fields => format!("{} fields are not valid", fields.len()),
        };
        let mut error = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "validation_failed", message);
        error.particulars.fields = fields;
        error
    }

    pub(super) fn field(path: &str, code: &'static str, message: impl Into<String>) -> Self {
        Self::validation(vec![FieldError::new(path, code, json!({}), message)])
    }

    /// The same, where what was read as parameters stands within a body.
    pub(super) fn within(mut self, pointer: &str) -> Self {
        for field in &mut self.particulars.fields {
            field.path = format!("{pointer}/{}", field.path);
        }
        self
    }

    /// The caller's version is not the present one.
    pub(super) fn version_mismatch(message: impl Into<String>, current: Value) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "version_mismatch", message).with_member("current", current)
    }

    /// Adds what helps the console to go on.
    pub(super) fn with_context(mut self, name: &str, value: Value) -> Self {
        self.particulars.context.insert(name.to_owned(), value);
        self
    }

    pub(super) fn with_member(mut self, name: &'static str, value: Value) -> Self {
        self.particulars.members.push((name, value));
        self
    }

    /// A failure of ours: the log has the cause, the caller only the request's id.
    pub(super) fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "an admin request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "internal error; the log has the cause under the request's id",
        )
    }

    fn body(&self, request_id: Option<&str>) -> Value {
        let kind = match self.status.as_u16() {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            400..500 => "invalid_request_error",
            _ => "api_error",
        };
        let mut error = json!({
            "code": self.code,
            "type": kind,
            "status": self.status.as_u16(),
            "message": self.message,
            "request_id": request_id,
            "retryable": matches!(self.status.as_u16(), 429 | 503),
            "retry_after_s": self.particulars.retry_after.map(whole_seconds),
            "fields": self.particulars.fields,
            "context": self.particulars.context,
        });
        for (name, value) in &self.particulars.members {
            error[*name] = value.clone();
        }
        json!({ "error": error })
    }
}

/// `messages[2].role`, as clients of `/v1` are told it, as a pointer.
pub(super) fn pointer(param: &str) -> String {
    format!("/{}", param.replace(['[', ']', '.'], "/").replace("//", "/").trim_matches('/'))
}

/// Rounded up: who comes back exactly then must not come too early.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

impl IntoResponse for AdminError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some(retry_after) = self.particulars.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, whole_seconds(retry_after).into());
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// How the caller's token stands; filled in by whoever recognises it.
#[derive(Clone, Default)]
pub(super) struct SharedRate(Arc<OnceLock<TokenRate>>);

impl SharedRate {
    pub(super) fn set(&self, rate: TokenRate) {
        // Recognised twice in one request (in a handler that asks again): the first figure stands.
        let _ = self.0.set(rate);
    }
}

/// The last step of every answer: writes the body of a failure and keeps the answer out of caches.
pub(super) async fn finish(mut request: Request, next: Next) -> Response {
    let request_id = request.extensions().get::<RequestId>().cloned();
    let rate = SharedRate::default();
    request.extensions_mut().insert(rate.clone());
    let mut response = next.run(request).await;
    if let Some(error) = response.extensions_mut().remove::<AdminError>() {
        response = written(&error, response, request_id.as_ref());
    }
    keep_out_of_caches(response.headers_mut());
    let headers = response.headers_mut();
    if let Some(rate) = rate.0.get() {
        headers.insert(HeaderName::from_static("ratelimit-limit"), rate.limit.into());
        headers.insert(HeaderName::from_static("ratelimit-remaining"), rate.remaining.into());
        headers.insert(HeaderName::from_static("ratelimit-reset"), rate.reset_s.into());
    }
    response
}

/// A refusal of a request that gets no further than the front door.
pub(in crate::http) fn refuse(error: ApiError, request_id: &RequestId) -> Response {
    let error = AdminError::from(error);
    let mut response = written(&error, error.clone().into_response(), Some(request_id));
    keep_out_of_caches(response.headers_mut());
    response
}

/// The failure with its body.
fn written(error: &AdminError, mut response: Response, request_id: Option<&RequestId>) -> Response {
    let body = error.body(request_id.map(|id| &*id.0));
    let headers = std::mem::take(response.headers_mut());
    let mut response = (error.status, axum::Json(body)).into_response();
    // Headers that the failure came with, such as `Allow` and `Retry-After`; the body's own stand.
    for (name, value) in &headers {
        if !response.headers().contains_key(name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

fn keep_out_of_caches(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

pub(super) async fn unknown_route() -> AdminError {
    AdminError::not_found("there is no such route in the admin API")
}

pub(super) async fn unknown_method(method: Method) -> AdminError {
    let message = format!("this route does not take {method}");
    AdminError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}

impl From<StoreError> for AdminError {
    fn from(error: StoreError) -> Self {
        match error.trouble() {
            None => Self::internal(error),
            Some(trouble) => {
                tracing::warn!(%error, "a change was refused: the database takes no writes");
                let refused = Self::new(StatusCode::SERVICE_UNAVAILABLE, "storage_unavailable", trouble.message);
                refused.with_member("reason", json!(trouble.kind))
            }
        }
    }
}

impl From<ApiError> for AdminError {
    /// What a client of `/v1` would be told, in the form of the admin API.
    fn from(error: ApiError) -> Self {
        let message = error.message().to_owned();
        let mut refused = Self::new(error.status, error.code, message.clone());
        refused.particulars.retry_after = error.retry_after_s().map(Duration::from_secs);
        if let Some(param) = error.param() {
            refused.particulars.fields.push(FieldError::new(pointer(param), error.code, json!({}), message));
        }
        refused
    }
}

impl From<SettingsError> for AdminError {
    fn from(error: SettingsError) -> Self {
        let message = error.to_string();
        match error {
            SettingsError::Invalid { fields } => Self::validation(fields),
            SettingsError::VersionMismatch { current } => Self::version_mismatch(message, json!(current)),
            SettingsError::File { .. } => Self::new(StatusCode::CONFLICT, "conflict", message),
            SettingsError::Write { .. } => Self::internal(message),
        }
    }
}

impl From<KeyError> for AdminError {
    fn from(error: KeyError) -> Self {
        let message = error.to_string();
        match error {
            KeyError::NotFound => Self::not_found(message),
            KeyError::VersionMismatch { current } => Self::version_mismatch(message, json!(current)),
            KeyError::Invalid(field) => Self::validation(vec![field]),
            KeyError::Store(error) => error.into(),
        }
    }
}

impl From<AccountError> for AdminError {
    fn from(error: AccountError) -> Self {
        let message = error.to_string();
        match error {
            AccountError::NotFound => Self::not_found(message),
            AccountError::Duplicate { existing } => {
                Self::new(StatusCode::CONFLICT, "already_exists", message).with_member("existing", json!(existing))
            }
            AccountError::InBin { existing } => {
                Self::new(StatusCode::CONFLICT, "already_exists", message).with_member("existing", json!(existing))
            }
            AccountError::Conflict(_) => Self::new(StatusCode::CONFLICT, "conflict", message),
            AccountError::VersionMismatch { current } => Self::version_mismatch(message, json!(current)),
            AccountError::InvalidToken(message) => Self::field("/token", "format", message),
            AccountError::InvalidQuery { path, message } => Self::field(&path, "invalid", message),
            AccountError::ViewExpired => Self::new(StatusCode::GONE, "view_expired", message),
            AccountError::Store(error) => error.into(),
        }
    }
}

impl From<TokenError> for AdminError {
    fn from(error: TokenError) -> Self {
        let message = error.to_string();
        match error {
            TokenError::Unknown => Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", message),
            TokenError::Expired => Self::new(StatusCode::UNAUTHORIZED, "token_expired", message),
            TokenError::Scope(_) => Self::forbidden(message),
            TokenError::Throttled(rate) => {
                let mut error = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", message);
                error.particulars.retry_after = Some(Duration::from_secs(rate.reset_s.try_into().unwrap_or(60)));
                error
            }
        }
    }
}

impl From<AdminsError> for AdminError {
    fn from(error: AdminsError) -> Self {
        let message = error.to_string();
        match error {
            AdminsError::WrongCredentials => Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", message),
            AdminsError::Throttled { retry_after } => {
                let mut error = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", message);
                error.particulars.retry_after = Some(retry_after);
                error
            }
            AdminsError::NotFound => Self::not_found(message),
            AdminsError::ClaimClosed => Self::new(StatusCode::GONE, "claim_closed", message),
            AdminsError::WrongCode => Self::new(StatusCode::FORBIDDEN, "forbidden", message),
            AdminsError::Invalid(field) => Self::validation(vec![field]),
            AdminsError::Store(error) => error.into(),
            AdminsError::Hashing(_) => Self::internal(message),
        }
    }
}

impl From<HistoryError> for AdminError {
    fn from(error: HistoryError) -> Self {
        let message = error.to_string();
        match error {
            HistoryError::NotFound => Self::not_found(message),
            HistoryError::Unreadable => Self::new(StatusCode::CONFLICT, "conflict", message),
            HistoryError::Settings(error) => error.into(),
            HistoryError::Store(error) => error.into(),
            HistoryError::Internal(_) => Self::internal(message),
        }
    }
}
