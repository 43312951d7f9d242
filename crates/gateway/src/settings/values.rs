//! The settings as the rooms read them.

use serde::{Deserialize, Serialize};

use super::address::Network;
use super::models::ModelAlias;

/// What is sent upstream as the browser unless the operator sets another.
const USER_AGENT: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36";

/// One snapshot of all settings. Times are whole seconds unless the name says otherwise; ranges, units and help texts stand in
/// the table in `table.rs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    /// Proxy for everything sent upstream (`http`, `https`, `socks5`, `socks5h`); empty for none.
    pub(crate) proxy_url: String,
    /// Public address of this gateway, without a slash at the end; empty: as the client addressed it.
    pub(crate) base_url: String,
    /// Seconds to the first event of an answer, all attempts together.
    pub(crate) request_timeout: u64,
    /// Seconds for a whole answer; at least `request_timeout`.
    pub(crate) stream_timeout: u64,
    /// Seconds of upstream silence inside an answer.
    pub(crate) stream_idle_timeout: u64,
    /// Seconds to connect upstream.
    pub(crate) connect_timeout: u64,
    /// Seconds of silence towards the client before a keep-alive comment.
    pub(crate) keep_alive_interval: u64,
    /// Seconds that a client may neither send nor read.
    pub(crate) client_timeout: u64,
    /// Seconds an unused conversation is kept.
    pub(crate) conversation_ttl: u64,
    /// Conversations kept per account.
    pub(crate) max_conversations_per_token: u64,
    /// Entries of the request log.
    pub(crate) max_log_entries: u64,
    /// Days an entry of the request log is kept.
    pub(crate) log_retention_days: u64,
    /// Days the statistics are kept.
    pub(crate) stats_retention_days: u64,
    /// Image cache on disk, in MB.
    pub(crate) max_image_cache_mb: u64,
    /// Size of one log file, in MB.
    pub(crate) max_log_file_mb: u64,
    /// The least severe log lines that are written.
    pub(crate) log_level: LogLevel,
    /// Names that clients use for models, in the order in which they are looked at.
    pub(crate) model_aliases: Vec<ModelAlias>,
    /// Models that are switched off.
    pub(crate) disabled_models: Vec<String>,
    /// Whether reasoning reaches the client.
    pub(crate) show_thinking: bool,
    /// Whether search and tool steps show in the reasoning.
    pub(crate) show_search: bool,
    /// How reasoning reaches the client.
    pub(crate) reasoning_format: ReasoningFormat,
    /// Which of the upstream's dialects is spoken.
    pub(crate) upstream_transport: UpstreamTransport,
    /// When a conversation is shared so that another account can take it over.
    pub(crate) share_mode: ShareMode,
    /// Whether chats are private (temporary) upstream.
    pub(crate) temporary: bool,
    /// Rest after a rate limit with quota left.
    pub(crate) cooldown_quota_left: u64,
    /// Rest after a rate limit with no quota left.
    pub(crate) cooldown_quota_gone: u64,
    /// Rest after several failures in a row.
    pub(crate) cooldown_failures: u64,
    /// Failures in a row before an account rests.
    pub(crate) failures_before_cooldown: u64,
    /// Accounts whose quota is asked for per second, at most.
    pub(crate) quota_checks_per_second: u64,
    /// Seconds after which an account's quota is read again; 0: never by itself.
    pub(crate) quota_check_interval: u64,
    /// Accounts tried for one request.
    pub(crate) max_attempts: u64,
    /// Accounts that must meet trouble of the exit before it is left alone.
    pub(crate) exit_breaker_accounts: u64,
    /// Seconds within which they must meet it.
    pub(crate) exit_breaker_window: u64,
    /// Seconds the exit is left alone.
    pub(crate) exit_breaker_rest: u64,
    /// Browser name sent upstream; the one that `clearance_cookies` were issued for.
    pub(crate) user_agent: String,
    /// Secret. Cookies of a passed challenge, as in a `Cookie` header.
    pub(crate) clearance_cookies: String,
    /// `x-statsig-id` sent upstream; empty: made per request.
    pub(crate) statsig_id: String,
    /// Reverse proxies whose `X-Forwarded-*` headers are believed.
    pub(crate) trusted_proxies: Vec<Network>,
    /// Web origins that may call `/v1` from a browser; `*` for all.
    pub(crate) cors_allowed_origins: Vec<String>,
    /// Networks besides the public internet from which a client's images are fetched.
    pub(crate) image_url_allow: Vec<Network>,
    /// Images that go along with one turn.
    pub(crate) max_images: u64,
    /// Largest request body, in MB.
    pub(crate) max_body_mb: u64,
    /// Largest answer, text and reasoning together, in MB.
    pub(crate) max_answer_mb: u64,
    /// Memory that all open answers together may hold, in MB.
    pub(crate) max_answers_mb: u64,
    /// Seconds running answers get to finish when the service stops.
    pub(crate) shutdown_grace: u64,
    /// Minutes without activity after which the console signs out.
    pub(crate) session_idle_minutes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            proxy_url: String::new(),
            base_url: String::new(),
            request_timeout: 120,
            stream_timeout: 600,
            stream_idle_timeout: 90,
            connect_timeout: 10,
            keep_alive_interval: 15,
            client_timeout: 60,
            conversation_ttl: 72_000,
            max_conversations_per_token: 100,
            max_log_entries: 10_000,
            log_retention_days: 30,
            stats_retention_days: 400,
            max_image_cache_mb: 500,
            max_log_file_mb: 10,
            log_level: LogLevel::Info,
            model_aliases: Vec::new(),
            disabled_models: Vec::new(),
            show_thinking: true,
            show_search: true,
            reasoning_format: ReasoningFormat::ThinkTags,
            upstream_transport: UpstreamTransport::Auto,
            share_mode: ShareMode::OnDemand,
            temporary: true,
            cooldown_quota_left: 18_000,
            cooldown_quota_gone: 36_000,
            cooldown_failures: 3_600,
            failures_before_cooldown: 5,
            quota_checks_per_second: 5,
            quota_check_interval: 21_600,
            max_attempts: 3,
            exit_breaker_accounts: 3,
            exit_breaker_window: 60,
            exit_breaker_rest: 30,
            user_agent: USER_AGENT.to_owned(),
            clearance_cookies: String::new(),
            statsig_id: String::new(),
            trusted_proxies: Vec::new(),
            cors_allowed_origins: vec!["*".to_owned()],
            image_url_allow: Vec::new(),
            max_images: 20,
            max_body_mb: 20,
            max_answer_mb: 8,
            max_answers_mb: 256,
            shutdown_grace: 30,
            session_idle_minutes: 30,
        }
    }
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    /// The name that log filters use.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// How reasoning reaches the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReasoningFormat {
    /// In the content, between `<think>` and `</think>`.
    ThinkTags,
    /// In the field `reasoning_content`.
    ReasoningContent,
}

/// Which of the upstream's dialects is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UpstreamTransport {
    /// The WebSocket first; REST for a while where the upstream does not offer it.
    Auto,
    Websocket,
    Rest,
}

/// When a conversation is shared so that another account can take it over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ShareMode {
    /// When it has to move.
    OnDemand,
    /// In the background after each turn: it can then move even when its account is lost.
    Eager,
    /// Never: a move replays the history.
    Off,
}
