//! What request bodies and errors look like, for the OpenAPI document. The handlers read bodies member by member, so that all that
//! is wrong is told at once; `make contract` holds both to each other.

#![expect(dead_code, reason = "these types are only described; nobody makes one")]

use serde_json::Value;
use utoipa::ToSchema;

use crate::keys::KeyReasoning;
use crate::settings::FieldError;

/// Every failure of the admin API.
#[derive(ToSchema)]
pub(crate) struct AdminErrorBody {
    error: AdminErrorObject,
}

#[derive(ToSchema)]
struct AdminErrorObject {
    /// What happened, for programs: `validation_failed`, `not_found`, `version_mismatch`, …
    code: String,
    r#type: String,
    status: u16,
    /// The same for people.
    message: String,
    request_id: Option<String>,
    /// Whether the same call may succeed later.
    retryable: bool,
    retry_after_s: Option<u64>,
    /// Which members or parameters are not valid.
    fields: Vec<FieldError>,
    context: Value,
    /// With `already_exists`: the id of what exists.
    #[schema(nullable = false)]
    existing: Option<String>,
    /// With `version_mismatch`: the present version.
    #[schema(nullable = false)]
    current: Option<Value>,
}

/// Name and password.
#[derive(ToSchema)]
pub(super) struct SignInRequest {
    username: String,
    password: String,
    /// Whether the session outlives the browser and does not end when idle.
    #[schema(nullable = false)]
    remember: Option<bool>,
}

/// What makes its sender the admin.
#[derive(ToSchema)]
pub(super) struct ClaimRequest {
    /// As the first start printed it.
    code: String,
    username: String,
    /// At least ten characters.
    password: String,
}

/// A new password.
#[derive(ToSchema)]
pub(super) struct PasswordRequest {
    current: String,
    /// At least ten characters.
    new: String,
}

/// A new token.
#[derive(ToSchema)]
pub(super) struct TokenRequest {
    #[schema(min_length = 1, max_length = 120)]
    name: String,
    /// `read` unless given.
    #[schema(nullable = false, min_items = 1)]
    scopes: Option<Vec<TokenScope>>,
    /// `null`: never.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
enum TokenScope {
    Read,
    Accounts,
    Keys,
    Settings,
    All,
}

/// Other topics.
#[derive(ToSchema)]
pub(super) struct TopicsRequest {
    #[schema(max_items = 256)]
    topics: Vec<String>,
}

/// A new account.
#[derive(ToSchema)]
pub(super) struct AccountRequest {
    /// The value of the `sso` cookie, or a whole `Cookie` header that holds it.
    token: String,
    #[schema(nullable = false)]
    label: Option<String>,
    #[schema(nullable = false)]
    tags: Option<Vec<String>>,
    #[schema(nullable = false)]
    enabled: Option<bool>,
}

/// What to change of an account.
#[derive(ToSchema)]
pub(super) struct AccountPatchRequest {
    #[schema(nullable = false)]
    label: Option<String>,
    #[schema(nullable = false)]
    tags: Option<Vec<String>>,
    #[schema(nullable = false)]
    enabled: Option<bool>,
    /// `null`: as the upstream says.
    tier: Option<String>,
}

/// One new key, or several.
#[derive(ToSchema)]
pub(super) struct KeyRequest {
    /// Several keys get it with a number, at its end or in the place of `{n}`.
    #[schema(min_length = 1, max_length = 120)]
    name: String,
    /// 1 unless given.
    #[schema(nullable = false, minimum = 1, maximum = 500)]
    count: Option<u32>,
    reasoning: Option<KeyReasoning>,
    /// `null`: never.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    #[schema(minimum = 1, maximum = 1000000)]
    requests_per_minute: Option<u32>,
    #[schema(minimum = 1, maximum = 1000000)]
    requests_per_day: Option<u32>,
    #[schema(minimum = 1, maximum = 1000000)]
    concurrent_requests: Option<u32>,
    /// `null`: all.
    #[schema(min_items = 1, max_items = 100)]
    models: Option<Vec<String>>,
}

/// What to change of a key; `null` takes a limit away.
#[derive(ToSchema)]
pub(super) struct KeyPatchRequest {
    #[schema(nullable = false, min_length = 1, max_length = 120)]
    name: Option<String>,
    #[schema(nullable = false)]
    enabled: Option<bool>,
    reasoning: Option<KeyReasoning>,
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    #[schema(minimum = 1, maximum = 1000000)]
    requests_per_minute: Option<u32>,
    #[schema(minimum = 1, maximum = 1000000)]
    requests_per_day: Option<u32>,
    #[schema(minimum = 1, maximum = 1000000)]
    concurrent_requests: Option<u32>,
    #[schema(min_items = 1, max_items = 100)]
    models: Option<Vec<String>>,
}

/// How long the present secret is still accepted.
#[derive(ToSchema)]
pub(super) struct RotateRequest {
    /// A day unless given.
    #[schema(nullable = false, minimum = 0, maximum = 2592000)]
    grace_s: Option<u64>,
}

/// Settings that get their defaults.
#[derive(ToSchema)]
pub(super) struct ResetRequest {
    keys: Vec<String>,
}
