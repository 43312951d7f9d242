//! The table of all settings: range, unit, group and help text of each, and the check that follows from it.
//!
//! The names and defaults are those of [`Settings`](super::Settings); a test keeps the two in step.

use serde::Serialize;
use serde_json::{Value, json};

use super::address::{Network, WebAddress};

/// Where a setting stands in the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Group {
    General,
    Network,
    Accounts,
    Conversations,
    Output,
    Storage,
    Security,
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    Seconds,
    Minutes,
    Megabytes,
    Count,
}

/// What a setting may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Flag,
    Number { min: u64, max: u64, unit: Unit },
    Choice(&'static [&'static str]),
    Text(Format),
    List(Format),
}

/// What a text must look like. Empty texts are fine; empty entries of lists are not.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Format {
    /// Goes into a request header, so line breaks would be an injection.
    HeaderValue,
    PublicUrl,
    ProxyUrl,
    Network,
    Origin,
}

/// Which part of a value must not be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secrecy {
    Open,
    /// All of it.
    Whole,
    /// The part of a URL before the `@`.
    Credentials,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) group: Group,
    pub(crate) kind: Kind,
    pub(crate) secrecy: Secrecy,
    /// Help text in English.
    pub(crate) en: &'static str,
    /// The same in Chinese.
    pub(crate) zh: &'static str,
}

/// What is wrong with one value, for people and for programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct FieldError {
    /// JSON pointer to the value.
    pub(crate) path: String,
    /// `type`, `min`, `max`, `choice`, `format`, `unknown`, `masked`, `cross_field` and what requests add to these.
    pub(crate) code: &'static str,
    /// The limits that were broken.
    pub(crate) params: Value,
    /// The same as an English half-sentence. Never holds the value itself, which may be a secret.
    pub(crate) message: String,
}

impl FieldError {
    pub(crate) fn new(path: impl Into<String>, code: &'static str, params: Value, message: impl Into<String>) -> Self {
        Self { path: path.into(), code, params, message: message.into() }
    }
}

impl Field {
    const fn flag(name: &'static str, group: Group, en: &'static str, zh: &'static str) -> Self {
        Self { name, group, kind: Kind::Flag, secrecy: Secrecy::Open, en, zh }
    }

    const fn text(name: &'static str, group: Group, format: Format, en: &'static str, zh: &'static str) -> Self {
        Self { name, group, kind: Kind::Text(format), secrecy: Secrecy::Open, en, zh }
    }

    const fn list(name: &'static str, group: Group, format: Format, en: &'static str, zh: &'static str) -> Self {
        Self { name, group, kind: Kind::List(format), secrecy: Secrecy::Open, en, zh }
    }

    const fn choice(
        name: &'static str,
        group: Group,
        choices: &'static [&'static str],
        en: &'static str,
        zh: &'static str,
    ) -> Self {
        Self { name, group, kind: Kind::Choice(choices), secrecy: Secrecy::Open, en, zh }
    }

    const fn number(
        name: &'static str,
        group: Group,
        (min, max): (u64, u64),
        unit: Unit,
        en: &'static str,
        zh: &'static str,
    ) -> Self {
        Self { name, group, kind: Kind::Number { min, max, unit }, secrecy: Secrecy::Open, en, zh }
    }

    const fn secret(mut self, secrecy: Secrecy) -> Self {
        self.secrecy = secrecy;
        self
    }

    /// The row of a setting.
    pub(crate) fn named(name: &str) -> Option<&'static Field> {
        FIELDS.iter().find(|field| field.name == name)
    }

    /// JSON pointer to the setting.
    pub(crate) fn path(&self) -> String {
        format!("/{}", self.name)
    }

    /// Checks one value against the row.
    pub(crate) fn check(&self, value: &Value) -> Result<(), FieldError> {
        match (self.kind, value) {
            (Kind::Flag, Value::Bool(_)) => Ok(()),
            (Kind::Flag, _) => Err(self.wrong_type("boolean", "must be true or false")),
            (Kind::Number { min, max, .. }, Value::Number(number)) => self.check_number(number, min, max),
            (Kind::Number { .. }, _) => Err(self.wrong_type("integer", "must be a whole number")),
            (Kind::Choice(choices), Value::String(text)) if choices.contains(&text.as_str()) => Ok(()),
            (Kind::Choice(choices), Value::String(_)) => {
                let message = format!("must be one of {}", choices.join(", "));
                Err(FieldError::new(self.path(), "choice", json!({ "choices": choices }), message))
            }
            (Kind::Text(format), Value::String(text)) => format.check(text, &self.path()),
            (Kind::Choice(_) | Kind::Text(_), _) => Err(self.wrong_type("string", "must be a text")),
            (Kind::List(format), Value::Array(entries)) => self.check_list(format, entries),
            (Kind::List(_), _) => Err(self.wrong_type("array", "must be a list of texts")),
        }
    }

    fn wrong_type(&self, expected: &'static str, message: &str) -> FieldError {
        FieldError::new(self.path(), "type", json!({ "expected": expected }), message)
    }

    fn check_number(&self, number: &serde_json::Number, min: u64, max: u64) -> Result<(), FieldError> {
        if number.is_f64() {
            return Err(self.wrong_type("integer", "must be a whole number"));
        }
        match number.as_u64() {
            Some(number) if number > max => {
                Err(FieldError::new(self.path(), "max", json!({ "max": max }), format!("must be ≤ {max}")))
            }
            Some(number) if number >= min => Ok(()),
            _ => Err(FieldError::new(self.path(), "min", json!({ "min": min }), format!("must be ≥ {min}"))),
        }
    }

    fn check_list(&self, format: Format, entries: &[Value]) -> Result<(), FieldError> {
        for (index, entry) in entries.iter().enumerate() {
            let path = format!("{}/{index}", self.path());
            match entry.as_str() {
                Some("") => return Err(format.error(&path)),
                Some(text) => format.check(text, &path)?,
                None => return Err(FieldError::new(path, "type", json!({ "expected": "string" }), "must be a text")),
            }
        }
        Ok(())
    }
}

impl Format {
    fn check(self, text: &str, path: &str) -> Result<(), FieldError> {
        if text.is_empty() || self.matches(text) { Ok(()) } else { Err(self.error(path)) }
    }

    fn matches(self, text: &str) -> bool {
        match self {
            Self::HeaderValue => text.trim() == text && text.bytes().all(|byte| matches!(byte, b' '..=b'~')),
            Self::PublicUrl => WebAddress::parse(text).is_some_and(|address| {
                is_http(address.scheme) && address.credentials.is_none() && !address.rest.contains(['?', '#'])
            }),
            Self::ProxyUrl => WebAddress::parse(text).is_some_and(|address| {
                (is_http(address.scheme) || matches!(address.scheme, "socks5" | "socks5h")) && address.is_bare()
            }),
            Self::Network => text.parse::<Network>().is_ok(),
            Self::Origin => {
                text == "*"
                    || WebAddress::parse(text)
                        .is_some_and(|address| address.credentials.is_none() && address.rest.is_empty())
            }
        }
    }

    fn error(self, path: &str) -> FieldError {
        let (expected, message) = match self {
            Self::HeaderValue => ("header_value", "must be plain ASCII on one line, without spaces around it"),
            Self::PublicUrl => ("url", "must be an address such as https://api.example.com"),
            Self::ProxyUrl => ("proxy_url", "must be an address such as http://host:3128 or socks5h://name:password@host:1080"),
            Self::Network => ("network", "must be an IP address or a network such as 10.0.0.0/8"),
            Self::Origin => ("origin", "must be * or an origin such as https://chat.example.com"),
        };
        FieldError::new(path, "format", json!({ "expected": expected }), message)
    }
}

fn is_http(scheme: &str) -> bool {
    matches!(scheme, "http" | "https")
}

const DAY: u64 = 86_400;

/// All settings, in the order in which the file and the console show them.
pub(crate) const FIELDS: &[Field] = &{
    use Format::{HeaderValue, Network, Origin, ProxyUrl, PublicUrl};
    use Group::{Accounts, Conversations, General, Output, Security, Storage};
    use Unit::{Count, Megabytes, Minutes, Seconds};
    [
        Field::text("base_url", General, PublicUrl, "Public address of this gateway, used in links; empty: the address the client used", "网关的公开地址，用于生成链接；留空则使用客户端所用的地址"),
        Field::number("request_timeout", General, (1, 3600), Seconds, "Time to the first event of an answer", "等待回答首个事件的时间"),
        Field::number("stream_timeout", General, (1, DAY), Seconds, "Time for a whole answer; at least request_timeout", "单次回答的总时长上限；不得小于 request_timeout"),
        Field::number("stream_idle_timeout", General, (1, 3600), Seconds, "Upstream silence after which an answer is cut", "上游静默多久后中断回答"),
        Field::number("keep_alive_interval", General, (1, 300), Seconds, "Silence after which the client is sent a keep-alive comment", "静默多久后向客户端发送保活注释"),
        Field::number("max_body_mb", General, (1, 512), Megabytes, "Largest request body", "请求体大小上限"),
        Field::number("shutdown_grace", General, (0, 3600), Seconds, "Time running answers get to finish when the service stops", "停止服务时留给进行中回答的时间"),
        Field::text("proxy_url", Group::Network, ProxyUrl, "Proxy for everything sent upstream; empty for none", "访问上游所用的代理；留空为直连").secret(Secrecy::Credentials),
        Field::number("connect_timeout", Group::Network, (1, 120), Seconds, "Time to connect upstream", "连接上游的超时"),
        Field::choice("upstream_transport", Group::Network, &["auto", "websocket", "rest"], "How the upstream is spoken to", "与上游通信的方式"),
        Field::text("user_agent", Group::Network, HeaderValue, "Browser name sent upstream; the one clearance_cookies were issued for", "发往上游的浏览器标识；须与 clearance_cookies 对应"),
        Field::text("clearance_cookies", Group::Network, HeaderValue, "Cookies of a passed challenge, such as cf_clearance=…", "已通过验证的 Cookie，例如 cf_clearance=…").secret(Secrecy::Whole),
        Field::text("statsig_id", Group::Network, HeaderValue, "x-statsig-id sent upstream; empty: made per request", "发往上游的 x-statsig-id；留空则每次生成"),
        Field::number("exit_breaker_accounts", Group::Network, (1, 100), Count, "Accounts that must meet trouble of the exit before it is left alone", "多少个账号遇到出口故障后暂停该出口"),
        Field::number("exit_breaker_window", Group::Network, (1, 3600), Seconds, "Window in which they must meet it", "统计出口故障的时间窗口"),
        Field::number("exit_breaker_rest", Group::Network, (1, 3600), Seconds, "Time the exit is left alone", "出口暂停的时长"),
        Field::number("cooldown_quota_left", Accounts, (1, 7 * DAY), Seconds, "Rest after a rate limit with quota left", "被限流但仍有额度时的冷却时间"),
        Field::number("cooldown_quota_gone", Accounts, (1, 7 * DAY), Seconds, "Rest after a rate limit with no quota left", "被限流且额度用尽时的冷却时间"),
        Field::number("cooldown_failures", Accounts, (1, 7 * DAY), Seconds, "Rest after several failures in a row", "连续失败后的冷却时间"),
        Field::number("failures_before_cooldown", Accounts, (1, 100), Count, "Failures in a row before an account rests", "连续失败多少次后冷却"),
        Field::number("max_attempts", Accounts, (1, 3), Count, "Accounts tried for one request", "单个请求最多尝试的账号数"),
        Field::number("conversation_ttl", Conversations, (60, 365 * DAY), Seconds, "Time an unused conversation is kept", "未使用会话的保留时间"),
        Field::number("max_conversations_per_token", Conversations, (1, 100_000), Count, "Conversations kept per account", "每个账号保留的会话数"),
        Field::choice("share_mode", Conversations, &["on_demand", "eager", "off"], "When a conversation is shared so that another account can take it over", "何时分享会话以便其他账号接管"),
        Field::flag("temporary", Conversations, "Keep chats private (temporary) upstream", "在上游使用私密（临时）会话"),
        Field::flag("show_thinking", Output, "Show the model's reasoning", "显示思考过程"),
        Field::flag("show_search", Output, "Show search and tool steps in the reasoning", "在思考过程中显示搜索与工具步骤"),
        Field::choice("reasoning_format", Output, &["think_tags", "reasoning_content"], "How reasoning reaches the client", "思考过程的输出方式"),
        Field::number("max_image_cache_mb", Storage, (0, 1_000_000), Megabytes, "Image cache on disk", "图片缓存上限"),
        Field::number("max_log_entries", Storage, (0, 10_000_000), Count, "Entries of the request log", "请求日志条数上限"),
        Field::number("max_log_file_mb", Storage, (1, 10_000), Megabytes, "Size of one log file", "单个日志文件上限"),
        Field::choice("log_level", Storage, &["error", "warn", "info", "debug", "trace"], "The least severe log lines that are written", "日志级别"),
        Field::list("trusted_proxies", Security, Network, "Reverse proxies whose X-Forwarded headers are believed", "可信反向代理，采信其 X-Forwarded 头"),
        Field::list("cors_allowed_origins", Security, Origin, "Web origins that may call /v1 from a browser; * for all", "允许从浏览器调用 /v1 的来源；* 表示全部"),
        Field::number("session_idle_minutes", Security, (1, 1440), Minutes, "Time without activity after which the console signs out", "控制台无操作自动退出的时间"),
    ]
};

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    #[test]
    fn table_and_struct_name_the_same_settings_and_every_default_is_valid() {
        let Value::Object(defaults) = serde_json::to_value(Settings::default()).unwrap() else { panic!() };
        for field in FIELDS {
            let default = defaults.get(field.name).unwrap_or_else(|| panic!("{} is not in Settings", field.name));
            assert_eq!(field.check(default), Ok(()), "{}", field.name);
        }
        for name in defaults.keys() {
            assert!(Field::named(name).is_some(), "{name} is not in the table");
        }
        assert_eq!(FIELDS.len(), defaults.len(), "a name stands twice in the table");
    }

    #[test]
    fn numbers_are_taken_inside_their_range_only() {
        for field in FIELDS {
            let Kind::Number { min, max, .. } = field.kind else { continue };
            assert_eq!(field.check(&json!(min)), Ok(()), "{}", field.name);
            assert_eq!(field.check(&json!(max)), Ok(()), "{}", field.name);
            let code = |value: Value| field.check(&value).map_err(|error| (error.path, error.code)).unwrap_err();
            let path = format!("/{}", field.name);
            assert_eq!(code(json!(max + 1)), (path.clone(), "max"));
            assert_eq!(code(json!(-1)), (path.clone(), "min"));
            assert_eq!(code(json!(min as f64 + 0.5)), (path.clone(), "type"));
            assert_eq!(code(json!(min.to_string())), (path.clone(), "type"));
            assert_eq!(code(Value::Null), (path, "type"));
        }
    }

    #[test]
    fn values_of_the_wrong_shape_are_refused_with_their_path() {
        let cases = [
            ("show_thinking", json!("yes"), "/show_thinking", "type"),
            ("share_mode", json!("sometimes"), "/share_mode", "choice"),
            ("share_mode", json!(1), "/share_mode", "type"),
            ("proxy_url", json!("host:3128"), "/proxy_url", "format"),
            ("proxy_url", json!("ftp://host"), "/proxy_url", "format"),
            ("proxy_url", json!("http://host/path"), "/proxy_url", "format"),
            ("base_url", json!("https://a:b@host"), "/base_url", "format"),
            ("base_url", json!("https://host/?a"), "/base_url", "format"),
            ("user_agent", json!("a\r\nX-Evil: 1"), "/user_agent", "format"),
            ("clearance_cookies", json!("cf_clearance=ü"), "/clearance_cookies", "format"),
            ("trusted_proxies", json!("10.0.0.0/8"), "/trusted_proxies", "type"),
            ("trusted_proxies", json!(["10.0.0.0/8", "10.0.0.0/40"]), "/trusted_proxies/1", "format"),
            ("trusted_proxies", json!([7]), "/trusted_proxies/0", "type"),
            ("trusted_proxies", json!([""]), "/trusted_proxies/0", "format"),
            ("cors_allowed_origins", json!(["https://host/"]), "/cors_allowed_origins/0", "format"),
        ];
        for (name, value, path, code) in cases {
            let error = Field::named(name).unwrap().check(&value).unwrap_err();
            assert_eq!((error.path.as_str(), error.code), (path, code), "{name} {value}");
        }
    }

    #[test]
    fn values_of_the_right_shape_are_taken() {
        let cases = [
            ("proxy_url", json!("")),
            ("proxy_url", json!("socks5h://me:secret@127.0.0.1:1080")),
            ("base_url", json!("https://example.com/grok")),
            ("clearance_cookies", json!("cf_clearance=a.b-c; __cf_bm=d")),
            ("trusted_proxies", json!(["127.0.0.1", "fd00::/8"])),
            ("cors_allowed_origins", json!(["*", "chrome-extension://abc", "http://localhost:3000"])),
            ("cors_allowed_origins", json!([])),
        ];
        for (name, value) in cases {
            assert_eq!(Field::named(name).unwrap().check(&value), Ok(()), "{name} {value}");
        }
    }
}
