//! What a client of `/v1` is told. The only place that turns what happened into a status.

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, StatusCode};
use protocol::failure::{FailureKind, Rejection};
use protocol::openai::{ErrorObject, RequestError};

use super::body::BodyError;
use super::host::HostProblem;
use super::key_limits;
use super::when::in_words;
use crate::accounts::NoAccount;
use crate::chat::ChatError;
use crate::conversations::PlanError;
use crate::images::ImageError;
use crate::keys::Rate;
use crate::upstream::{Patience, UpstreamError, UpstreamErrorKind};

/// Tells OpenAI's SDKs whether trying again makes sense.
const X_SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// How many accounts cannot serve, by reason.
const X_ACCOUNTS: HeaderName = HeaderName::from_static("x-grok2api-accounts");

/// SDKs wait for `Retry-After` only up to about two minutes; beyond that they would try again at once, in vain.
const WORTH_WAITING_S: u64 = 120;

/// The code of a key that nobody made here.
pub(super) const UNKNOWN_KEY: &str = "invalid_api_key";

const INVALID_REQUEST: &str = "invalid_request_error";
const AUTHENTICATION: &str = "authentication_error";
const PERMISSION: &str = "permission_error";
const RATE_LIMIT: &str = "rate_limit_error";
const API: &str = "api_error";

/// One error, ready to be told.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) kind: &'static str,
    pub(crate) code: &'static str,
    pub(crate) param: Option<String>,
    message: Box<str>,
    retry_after: Option<u64>,
    should_retry: Option<bool>,
    accounts: Option<Box<str>>,
    /// How the key stands, when its limits are the reason.
    rate: Option<Box<Rate>>,
}

impl ApiError {
    fn new(status: StatusCode, kind: &'static str, code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into().into_boxed_str();
        Self {
            status,
            kind,
            code,
            param: None,
            message,
            retry_after: None,
            should_retry: None,
            accounts: None,
            rate: None,
        }
    }

    pub(crate) fn missing_key() -> Self {
        let message = "No API key was sent. Put it into the header `Authorization: Bearer <key>` (or `x-api-key`).";
        Self::new(StatusCode::UNAUTHORIZED, AUTHENTICATION, "missing_api_key", message)
    }

    pub(crate) fn unknown_key() -> Self {
        let message = "This API key is not known here. Keys are made in the console or with POST /admin/api/v1/keys.";
        Self::new(StatusCode::UNAUTHORIZED, AUTHENTICATION, UNKNOWN_KEY, message)
    }

    pub(crate) fn disabled_key() -> Self {
        Self::new(StatusCode::FORBIDDEN, PERMISSION, "api_key_disabled", "This API key is switched off.")
    }

    pub(crate) fn expired_key() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, AUTHENTICATION, "api_key_expired", "This API key has expired.")
    }

    pub(crate) fn replaced_key() -> Self {
        let message = "This API key was given a new secret, and the old one is no longer accepted.";
        Self::new(StatusCode::UNAUTHORIZED, AUTHENTICATION, "api_key_expired", message)
    }

    pub(crate) fn model_not_allowed(model: &str) -> Self {
        let message = format!("This API key may not use the model `{model}`; GET /v1/models lists those it may use.");
        let error = Self::new(StatusCode::FORBIDDEN, PERMISSION, "model_not_allowed", message);
        Self { param: Some("model".to_owned()), ..error }
    }

    pub(super) fn key_limit(code: &'static str, message: String, wait_s: u64, rate: Option<Rate>) -> Self {
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, RATE_LIMIT, code, message).retry_after(wait_s);
        Self { rate: rate.map(Box::new), ..error }
    }

    pub(crate) fn not_found(path: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, INVALID_REQUEST, "not_found", format!("There is nothing at {path}."))
    }

    pub(crate) fn method_not_allowed(method: &http::Method, path: &str) -> Self {
        let message = format!("{path} does not take {method}.");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, INVALID_REQUEST, "method_not_allowed", message)
    }

    pub(crate) fn model_not_found(model: &str) -> Self {
        let message = format!("There is no model `{model}` in the list; GET /v1/models shows it.");
        let error = Self::new(StatusCode::NOT_FOUND, INVALID_REQUEST, "model_not_found", message);
        Self { param: Some("model".to_owned()), ..error }
    }

    pub(crate) fn model_disabled(model: &str) -> Self {
        let message =
            format!("The model `{model}` is switched off on this gateway; GET /v1/models lists those that are not.");
        let error = Self::new(StatusCode::NOT_FOUND, INVALID_REQUEST, "model_disabled", message);
        Self { param: Some("model".to_owned()), ..error }
    }

    fn too_large(limit_mb: u64) -> Self {
        let message = format!("The request body is larger than {limit_mb} MB, the limit of this gateway.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, INVALID_REQUEST, "request_too_large", message)
    }

    fn body_timeout() -> Self {
        let message = "The request body did not arrive in time.";
        Self::new(StatusCode::REQUEST_TIMEOUT, INVALID_REQUEST, "request_timeout", message)
    }

    fn broken_body() -> Self {
        let message = "The request body could not be read to its end.";
        Self::new(StatusCode::BAD_REQUEST, INVALID_REQUEST, "incomplete_body", message)
    }

    /// The body could not be read under a limit of so many MB.
    pub(super) fn of_body(error: BodyError, limit_mb: u64) -> Self {
        match error {
            BodyError::TooLarge => Self::too_large(limit_mb),
            BodyError::TooSlow => Self::body_timeout(),
            BodyError::Broken => Self::broken_body(),
        }
    }

    pub(super) fn bad_host(problem: HostProblem) -> Self {
        Self::new(StatusCode::BAD_REQUEST, INVALID_REQUEST, "invalid_host", format!("{problem}."))
    }

    pub(crate) fn shutting_down() -> Self {
        let message =
            "The service is being stopped, and the answer was not complete in time. Ask again in a few seconds.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, API, "shutting_down", message).retry_after(5)
    }

    pub(crate) fn internal() -> Self {
        let message = "Internal error. The log has the details under this request id.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, API, "internal_error", message)
    }

    pub(crate) fn forbidden_metrics() -> Self {
        let message = "The metrics are for admins: send a session of the admin API as a bearer token, or start the gateway with \
                       --metrics-listen.";
        Self::new(StatusCode::UNAUTHORIZED, AUTHENTICATION, "unauthenticated", message)
    }

    /// What the client is told, in words.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The member that is to blame.
    pub(super) fn param(&self) -> Option<&str> {
        self.param.as_deref()
    }

    /// When it may be worth asking again.
    pub(super) fn retry_after_s(&self) -> Option<u64> {
        self.retry_after
    }

    /// The object, as bytes.
    pub(crate) fn body(&self, request_id: &str) -> Vec<u8> {
        self.object(request_id).body()
    }

    /// The object.
    pub(crate) fn object<'a>(&'a self, request_id: &'a str) -> ErrorObject<'a> {
        ErrorObject {
            message: &self.message,
            kind: self.kind,
            param: self.param.as_deref(),
            code: Some(self.code),
            request_id,
        }
    }

    pub(crate) fn into_response(self, request_id: &str) -> Response {
        let mut response = (self.status, self.body(request_id)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(should_retry) = self.should_retry {
            headers.insert(X_SHOULD_RETRY, HeaderValue::from_static(if should_retry { "true" } else { "false" }));
        }
        if let Some(Ok(accounts)) = self.accounts.as_deref().map(HeaderValue::from_str) {
            headers.insert(X_ACCOUNTS, accounts);
        }
        if let Some(rate) = &self.rate {
            key_limits::mark(rate, headers);
        }
        response
    }

    fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds.max(1));
        self.should_retry = (seconds > WORTH_WAITING_S).then_some(false);
        self
    }

    /// The same, and the message says so.
    fn try_again(self, seconds: u64) -> Self {
        let message = format!("{} Try again {}.", self.message, in_words(seconds)).into_boxed_str();
        Self { message, ..self }.retry_after(seconds)
    }

    fn hopeless(mut self) -> Self {
        self.should_retry = Some(false);
        self
    }
}

impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> Self {
        let status = StatusCode::BAD_REQUEST;
        Self { param: error.param, ..Self::new(status, INVALID_REQUEST, error.code, error.message) }
    }
}

impl ApiError {
    /// Why an image is not served.
    pub(crate) fn of_image(error: &ImageError) -> Self {
        let message = format!("{error}.");
        match error {
            ImageError::NotFound => Self::new(StatusCode::NOT_FOUND, INVALID_REQUEST, "image_not_found", message),
            ImageError::Fetch(_) => Self::new(StatusCode::BAD_GATEWAY, API, "image_unavailable", message).try_again(30),
            ImageError::Store(_) => storage_unavailable(),
            ImageError::Read(_) => Self::internal(),
        }
    }

    /// What a failed turn means for the client. `now` is for `Retry-After`.
    pub(crate) fn of_chat(error: &ChatError, now: i64) -> Self {
        match error {
            ChatError::Plan(error) => of_plan(error),
            ChatError::NoAccount { why, last } => of_no_account(why, last.as_ref(), now),
            ChatError::ExitClosed(closed) => {
                let message = format!(
                    "The upstream refuses this gateway's way out ({}); the accounts are fine. Service returns {} at the earliest.",
                    closed.label,
                    in_words(closed.retry_after)
                );
                Self::new(StatusCode::SERVICE_UNAVAILABLE, API, "exit_refused", message).retry_after(closed.retry_after)
            }
            ChatError::Upstream(error) => of_upstream(error),
            ChatError::ConversationUnavailable => {
                let message = "The account that holds this conversation cannot serve it now and it could not be carried to \
                               another one. Send the whole history in `messages` and it goes on elsewhere.";
                Self::new(StatusCode::CONFLICT, INVALID_REQUEST, "conversation_unavailable", message).hopeless()
            }
            ChatError::NotStored(_) => {
                let message = "The answer could not be stored, so this conversation cannot be continued from it. The log has \
                               the reason.";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, API, "turn_not_stored", message).hopeless()
            }
            ChatError::StorageUnavailable => storage_unavailable(),
            ChatError::Image(problem) => {
                let error = Self::new(StatusCode::BAD_REQUEST, INVALID_REQUEST, problem.code, problem.message.clone());
                Self { param: Some(problem.param.clone()), ..error }
            }
            ChatError::ImagesBusy => {
                let message = "This gateway is handling as many images as it keeps in memory.";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, API, "images_busy", message).try_again(5)
            }
            ChatError::NothingAsked => {
                let message = "The last message is empty: there is nothing to answer.";
                let error = Self::new(StatusCode::BAD_REQUEST, INVALID_REQUEST, "empty_message", message);
                Self { param: Some("messages".to_owned()), ..error }
            }
        }
    }
}

fn of_plan(error: &PlanError) -> ApiError {
    let not_found = |code, param: &str, message: &str| {
        let error = ApiError::new(StatusCode::NOT_FOUND, INVALID_REQUEST, code, message);
        ApiError { param: Some(param.to_owned()), ..error }
    };
    match error {
        PlanError::ConversationNotFound => not_found(
            "conversation_not_found",
            "conversation_id",
            "There is no such conversation under this API key; it may have expired. Leave `conversation_id` out and send the \
             history to begin a new one.",
        ),
        PlanError::ResponseNotFound => not_found(
            "response_not_found",
            "previous_response_id",
            "There is no such response under this API key; it may have expired.",
        ),
        PlanError::Store(error) => {
            tracing::error!(error = %error, "a conversation could not be looked up");
            storage_unavailable()
        }
    }
}

fn storage_unavailable() -> ApiError {
    let message = "The gateway cannot store anything at the moment, so nothing was sent upstream. Try again in a few seconds; the \
                   console and /readyz say why.";
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, API, "storage_unavailable", message).try_again(5)
}

fn of_no_account(why: &NoAccount, last: Option<&UpstreamError>, now: i64) -> ApiError {
    // An error of the upstream that is not about the accounts says more than that none is left to try.
    if let Some(last) = last
        && !is_about_accounts(last)
    {
        return of_upstream(last);
    }
    let waiting = why.next_at.map(|at| u64::try_from((at - now).div_euclid(1_000) + 1).unwrap_or(1));
    // One request charges one account per cause: those that it tried in vain may well serve the next.
    let worth_another = why.reasons.contains_key("busy") || why.reasons.contains_key("tried");
    let too_many = |message: String, seconds: u64| {
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, RATE_LIMIT, "no_account_available", message).retry_after(seconds)
    };
    let state = accounts_in_words(why);
    let error = match waiting {
        _ if worth_another => too_many(format!("{state} Try again {}.", in_words(2)), 2),
        Some(seconds) => too_many(format!("{state} Service returns {}.", in_words(seconds)), seconds),
        None => ApiError::new(StatusCode::SERVICE_UNAVAILABLE, API, "no_account_available", state).hopeless(),
    };
    let counts: Vec<_> = why.reasons.iter().map(|(reason, count)| format!("{reason}={count}")).collect();
    ApiError { accounts: Some(counts.join(", ").into()), ..error }
}

/// Why no account can serve, without figures: how many accounts there are is nobody's business but the operator's.
fn accounts_in_words(why: &NoAccount) -> String {
    if why.reasons.is_empty() {
        return "There is no account in the pool. Add one in the console or with POST /admin/api/v1/accounts."
            .to_owned();
    }
    let mut states: Vec<&str> = why
        .reasons
        .keys()
        .map(|reason| match reason.as_str() {
            "busy" | "tried" => "busy",
            "disabled" => "switched off",
            "invalid" => "refused by the upstream",
            "deleted" => "deleted",
            "mode_unavailable" => "not entitled to this model",
            "consecutive_failures" => "paused after several failures",
            reason if reason.starts_with("rate_limited") => "at the upstream's rate limit",
            _ => "paused",
        })
        .collect();
    states.sort_unstable();
    states.dedup();
    let states = match states.as_slice() {
        [state] => (*state).to_owned(),
        [one, other] => format!("{one} or {other}"),
        [others @ .., last] => format!("{}, or {last}", others.join(", ")),
        [] => "unavailable".to_owned(),
    };
    format!("No account can serve this request now: the accounts are {states}.")
}

fn is_about_accounts(error: &UpstreamError) -> bool {
    matches!(
        &error.kind,
        UpstreamErrorKind::Failure(failure) if matches!(
            failure.kind,
            FailureKind::RateLimited { .. } | FailureKind::CredentialDead | FailureKind::UserBlocked
        )
    )
}

fn of_upstream(error: &UpstreamError) -> ApiError {
    let bad_gateway = |code, message: String| ApiError::new(StatusCode::BAD_GATEWAY, API, code, message);
    match &error.kind {
        UpstreamErrorKind::Failure(failure) => of_failure(failure.kind, &failure.message),
        UpstreamErrorKind::Connect(_) => {
            let message = "The upstream cannot be reached from here: check the network and the `proxy_url` setting.";
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, API, "exit_unreachable", message).try_again(10)
        }
        UpstreamErrorKind::NoRoute(_) => {
            let message = format!("Upstream: {error}. Set `upstream_transport` to auto, or look for a newer release.");
            bad_gateway("upstream_route_missing", message)
        }
        UpstreamErrorKind::NoUpload(_) => {
            bad_gateway("upstream_route_missing", format!("Upstream: {error}. Send the message without its images."))
        }
        UpstreamErrorKind::FileRefused(words) => {
            let message = format!("The upstream does not take an image of this message: {words}");
            ApiError::new(StatusCode::BAD_REQUEST, INVALID_REQUEST, "invalid_attachment", message)
        }
        UpstreamErrorKind::UploadsLimited(words) => {
            let message =
                format!("The upstream takes no further images from the accounts that were tried: {}", sentence(words));
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, RATE_LIMIT, "upstream_rate_limited", message).try_again(30)
        }
        UpstreamErrorKind::Timeout(
            Patience::Handshake(_)
            | Patience::FirstEvent(_)
            | Patience::Remainder(_)
            | Patience::Idle(_)
            | Patience::Total(_),
        ) => ApiError::new(StatusCode::GATEWAY_TIMEOUT, API, "upstream_timeout", format!("Upstream: {error}.")),
        UpstreamErrorKind::TooLarge { limit_mb } => {
            let message = format!(
                "The answer is larger than {limit_mb} MB, the limit of this gateway (`max_answer_mb`). Ask for it in parts."
            );
            bad_gateway("answer_too_large", message).hopeless()
        }
        UpstreamErrorKind::Oversized(_) => {
            let message = "The upstream sent more in one piece than this gateway reads (`max_answer_mb`).";
            bad_gateway("answer_too_large", message.to_owned()).hopeless()
        }
        UpstreamErrorKind::NoMemory => {
            let message = "The open answers together are larger than this gateway keeps in memory (`max_answers_mb`).";
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, API, "answers_too_large", message).try_again(5)
        }
        UpstreamErrorKind::Exhausted(_) => {
            let message = "The machine of this gateway cannot open another connection: it has no more file descriptors, ports, or \
                           buffers. The log has the reason.";
            tracing::error!(%error, "no connection to the upstream could be opened");
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, API, "machine_exhausted", message).try_again(5)
        }
        UpstreamErrorKind::Empty => bad_gateway("upstream_empty_answer", "The upstream's answer was empty.".to_owned()),
        UpstreamErrorKind::Truncated => {
            bad_gateway("upstream_truncated", "The upstream's answer was cut off.".to_owned())
        }
        UpstreamErrorKind::Transport(_) | UpstreamErrorKind::Protocol(_) => {
            bad_gateway("upstream_error", format!("Upstream: {error}."))
        }
    }
}

/// The upstream's words with a full stop, so that more can be said behind them.
fn sentence(words: &str) -> String {
    let words = words.trim_end();
    if words.ends_with(['.', '!', '?', '。']) { words.to_owned() } else { format!("{words}.") }
}

fn of_failure(kind: FailureKind, words: &str) -> ApiError {
    let rejected = |code| ApiError::new(StatusCode::BAD_REQUEST, INVALID_REQUEST, code, format!("Upstream: {words}"));
    match kind {
        FailureKind::RateLimited { .. } => {
            let message = format!("The upstream limits the rate: {}", sentence(words));
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, RATE_LIMIT, "upstream_rate_limited", message).try_again(5)
        }
        FailureKind::CredentialDead | FailureKind::UserBlocked => {
            let message = "The upstream refuses the accounts that were tried.";
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, API, "no_account_available", message)
        }
        FailureKind::Exit(trouble) => {
            let message =
                format!("The upstream refuses this gateway's way out ({}); no account is to blame.", trouble.label());
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, API, "exit_refused", message).try_again(10)
        }
        FailureKind::ModelUnavailable => {
            let message = format!("The upstream does not offer this model to the accounts that were tried: {words}");
            let error = ApiError::new(StatusCode::NOT_FOUND, INVALID_REQUEST, "model_not_found", message);
            ApiError { param: Some("model".to_owned()), ..error }
        }
        FailureKind::NotFound => {
            let message = format!("The upstream no longer has this conversation: {words}");
            ApiError::new(StatusCode::CONFLICT, INVALID_REQUEST, "conversation_unavailable", message).hopeless()
        }
        FailureKind::Rejected { reason: Rejection::TooLong } => rejected("context_length_exceeded"),
        FailureKind::Rejected { reason: Rejection::Moderated } => rejected("content_policy_violation"),
        FailureKind::Rejected { reason: Rejection::Attachment } => rejected("invalid_attachment"),
        FailureKind::Rejected { reason: Rejection::BadRequest } => rejected("upstream_rejected"),
        FailureKind::Unavailable => {
            ApiError::new(StatusCode::BAD_GATEWAY, API, "upstream_error", format!("Upstream: {words}"))
        }
    }
}
