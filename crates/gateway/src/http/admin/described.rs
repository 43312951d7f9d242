//! What request bodies and errors look like, for the OpenAPI document. The handlers read bodies member by member, so that all that
//! is wrong is told at once; `make contract` holds both to each other.

#![expect(dead_code, reason = "these types are only described; nobody makes one")]

use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

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

/// Another token for an account.
#[derive(ToSchema)]
pub(super) struct NewTokenRequest {
    /// The value of the `sso` cookie, or a whole `Cookie` header that holds it.
    token: String,
    /// Ask the upstream first, and leave the account as it is where that does not let the token in.
    #[schema(nullable = false)]
    check: Option<bool>,
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

/// A job to start.
#[derive(ToSchema)]
pub(super) struct JobRequest {
    /// `accounts.import`, `accounts.check_quota`, `accounts.test`, `accounts.cleanup_scan`, `accounts.set`, `accounts.tag`, `accounts.clear_cooldown`,
    /// `accounts.delete`, `accounts.restore`, `conversations.delete`, `images.delete`, `requests.purge`.
    kind: String,
    /// Which are meant: `{"ids": […]}` (at most 1,000), `{"view": …, "except": […]}` (accounts), `{"filter": {…}}` with the filters of their list (of `requests.purge`: `before`, a time),
    /// or `{"job": …, "outcome": …}` for the things of another job.
    #[schema(nullable = false, value_type = Object)]
    scope: Option<Value>,
    /// By kind. `accounts.import`: `label_prefix`, `tags`, `enabled`, `check_quota` (a job that checks them follows; `true`); `accounts.set`: `enabled`, `tier`; `accounts.tag`:
    /// `add`, `remove`; `accounts.delete`: `purge`; `accounts.test`: `model`; `accounts.cleanup_scan`: `check` (ask the upstream; `true`);
    /// `conversations.delete`: `upstream` (also there).
    #[schema(nullable = false, value_type = Object)]
    options: Option<Value>,
    /// What an import adds.
    #[schema(nullable = false)]
    preview_id: Option<String>,
    /// Only count.
    #[schema(nullable = false)]
    dry_run: Option<bool>,
    /// What the dry run gave; required where something is taken away. It stands for exactly the things that were counted.
    #[schema(nullable = false)]
    confirm_token: Option<String>,
}

/// Accounts to be read: lines, tables, or JSON of this and other gateways.
#[derive(ToSchema)]
pub(super) struct PreviewRequest {
    #[schema(nullable = false)]
    text: Option<String>,
    #[schema(nullable = false)]
    files: Option<Vec<PreviewFile>>,
}

/// One of several texts.
#[derive(ToSchema)]
pub(super) struct PreviewFile {
    #[schema(nullable = false)]
    name: Option<String>,
    text: String,
}

/// Which accounts are meant: all members must hold. Words with commas between mean any of them.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct AccountFilterParameters {
    /// `disabled`, `invalid`, `cooling`, `exhausted`, `probation`, `available`.
    state: Option<String>,
    tier: Option<String>,
    tag: Option<String>,
    /// Why accounts rest or are invalid, such as `rate_limited_no_quota`, `credential_dead`.
    reason: Option<String>,
    /// Whether another account of the same upstream user was added before.
    duplicate: Option<bool>,
    /// Part of a label, tag or fingerprint.
    q: Option<String>,
}

/// A list of messages as a client would send it.
#[derive(ToSchema)]
pub(super) struct MatchRequest {
    /// Whose conversations are meant; `console` is the playground.
    key_id: String,
    /// As in a chat completion request.
    #[schema(min_items = 1)]
    messages: Vec<Value>,
    #[schema(nullable = false)]
    conversation_id: Option<String>,
    #[schema(nullable = false)]
    previous_response_id: Option<String>,
    /// What the client sends in a chat header of its own.
    #[schema(nullable = false)]
    client_chat: Option<String>,
}

/// What to change of a conversation.
#[derive(ToSchema)]
pub(super) struct ConversationPatchRequest {
    /// `null` or empty: none.
    #[schema(max_length = 200)]
    title: Option<String>,
    /// Until when it is kept, whether it is used or not; `null`: as long as any other.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// Where to.
#[derive(ToSchema)]
pub(super) struct MoveRequest {
    account_id: String,
}

/// Which turns to read.
#[derive(ToSchema)]
pub(super) struct FetchContentRequest {
    /// The newest 200 unless given.
    #[schema(nullable = false, max_items = 200)]
    turns: Option<Vec<String>>,
}

/// A chat completion request, with two members besides. Other members of such requests are taken as well.
#[derive(ToSchema)]
pub(super) struct PlaygroundChat {
    model: String,
    /// As in a chat completion request.
    #[schema(min_items = 1)]
    messages: Vec<Value>,
    #[schema(nullable = false)]
    stream: Option<bool>,
    #[schema(nullable = false)]
    conversation_id: Option<String>,
    #[schema(nullable = false)]
    previous_response_id: Option<String>,
    /// The only account that may serve.
    account_id: Option<String>,
    /// The key whose limits and models apply; conversations stay the console's.
    as_key_id: Option<String>,
}

/// Which requests of the log are meant. Words with commas between mean any of them, `!` in front means none of them, and `[exists]=false` behind
/// a name means unknown. `duration_ms`, `first_token_ms` and `attempt_count` take `[gt]`, `[gte]`, `[lt]` and `[lte]`, and so does `at`.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct RequestFilterParameters {
    /// What `X-Request-ID` said.
    request_id: Option<String>,
    /// `succeeded`, `failed`, `cancelled`.
    outcome: Option<String>,
    status: Option<String>,
    model: Option<String>,
    mode: Option<String>,
    /// The id of an API key.
    key: Option<String>,
    /// The id of an account.
    account: Option<String>,
    conversation: Option<String>,
    error_code: Option<String>,
    client: Option<String>,
    ip: Option<String>,
    route: Option<String>,
    /// `websocket`, `rest`.
    transport: Option<String>,
    /// `new`, `native`, `branched`, `moved`, `replayed`.
    receipt: Option<String>,
    /// `true`, `false`.
    stream: Option<String>,
    /// An id, or a part of the error's code or words.
    q: Option<String>,
}

/// Which stretch of time is meant: a length up to now, or two times.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct RangeParameters {
    /// A length such as `1h`, `24h`, `7d`.
    range: Option<String>,
    /// RFC 3339.
    from: Option<String>,
    /// RFC 3339; now unless given.
    until: Option<String>,
}

/// How time is cut into buckets.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct BucketParameters {
    /// `auto`, or a part of a day such as `1m`, `15m`, `2h`, `1d`.
    step: Option<String>,
    /// A time zone such as `Asia/Shanghai`; days begin at its midnight.
    tz: Option<String>,
}

/// A page of the request log.
#[derive(ToSchema)]
pub(super) struct RequestPage {
    items: Vec<Value>,
    /// `before=` of the next, older page; `null` at the end.
    next: Option<String>,
    /// `after=` of the page before, with what is newer.
    prev: Option<String>,
    /// About how many match; `null` where only counting would tell.
    estimate: Option<i64>,
    /// How far back was looked, where that was not to the end; `next` goes on from there.
    searched_to: Option<String>,
}
