//! The table of all settings: range, unit, group and help text of each.
//!
//! Names and defaults are those of [`Settings`](super::Settings); a test keeps the two in step.

use super::fields::{Field, Format, Group, Secrecy, Unit};

const DAY: u64 = 86_400;

/// All settings, in the order in which the file and the console show them.
pub(crate) const FIELDS: &[Field] = &{
    use Format::{HeaderValue, ModelAlias, ModelName, Network, Origin, ProxyUrl, PublicUrl};
    use Group::{Accounts, Conversations, General, Models, Output, Security, Storage};
    use Unit::{Count, Days, Megabytes, Minutes, Seconds};
    [
        Field::text(
            "base_url",
            General,
            PublicUrl,
            "Public address of this gateway, used in links; empty: the address the client used",
            "网关的公开地址，用于生成链接；留空则使用客户端所用的地址",
        ),
        Field::number(
            "request_timeout",
            General,
            (1, 3600),
            Seconds,
            "Time to the first event of an answer, all attempts together",
            "等待回答首个事件的时间（所有尝试合计）",
        ),
        Field::number(
            "stream_timeout",
            General,
            (1, DAY),
            Seconds,
            "Time for a whole answer; at least request_timeout",
            "单次回答的总时长上限；不得小于 request_timeout",
        ),
        Field::number(
            "stream_idle_timeout",
            General,
            (1, 3600),
            Seconds,
            "Upstream silence after which an answer is cut",
            "上游静默多久后中断回答",
        ),
        Field::number(
            "keep_alive_interval",
            General,
            (1, 300),
            Seconds,
            "Silence after which the client is sent a keep-alive comment",
            "静默多久后向客户端发送保活注释",
        ),
        Field::number(
            "client_timeout",
            General,
            (1, 3600),
            Seconds,
            "Time after which a client that neither sends its request nor reads its answer is cut",
            "客户端既不发送请求也不读取回答，多久后断开",
        ),
        Field::number(
            "max_images",
            General,
            (1, 100),
            Count,
            "Images that go along with one message",
            "单条消息最多附带的图片数",
        ),
        Field::number("max_body_mb", General, (1, 512), Megabytes, "Largest request body", "请求体大小上限"),
        Field::number(
            "max_answer_mb",
            General,
            (1, 512),
            Megabytes,
            "Largest answer, text and reasoning together; a larger one ends with an error",
            "单次回答的大小上限（正文与思考合计）；超出时以错误结束",
        ),
        Field::number(
            "max_answers_mb",
            General,
            (1, 65_536),
            Megabytes,
            "Memory that all open answers may hold together; small answers do not count",
            "所有进行中的回答合计可占用的内存上限；较小的回答不计入",
        ),
        Field::number(
            "shutdown_grace",
            General,
            (0, 3600),
            Seconds,
            "Time running answers get to finish when the service stops",
            "停止服务时留给进行中回答的时间",
        )
        .immediately(),
        Field::text(
            "proxy_url",
            Group::Network,
            ProxyUrl,
            "Proxy for everything sent upstream; empty for none",
            "访问上游所用的代理；留空为直连",
        )
        .secret(Secrecy::Credentials),
        Field::number(
            "connect_timeout",
            Group::Network,
            (1, 120),
            Seconds,
            "Time to connect upstream",
            "连接上游的超时",
        ),
        Field::choice(
            "upstream_transport",
            Group::Network,
            &["auto", "websocket", "rest"],
            "How the upstream is spoken to",
            "与上游通信的方式",
        ),
        Field::text(
            "user_agent",
            Group::Network,
            HeaderValue,
            "Browser name sent upstream; the one clearance_cookies were issued for",
            "发往上游的浏览器标识；须与 clearance_cookies 对应",
        ),
        Field::text(
            "clearance_cookies",
            Group::Network,
            HeaderValue,
            "Cookies of a passed challenge, such as cf_clearance=…",
            "已通过验证的 Cookie，例如 cf_clearance=…",
        )
        .secret(Secrecy::Whole),
        Field::text(
            "statsig_id",
            Group::Network,
            HeaderValue,
            "x-statsig-id sent upstream; empty: made per request",
            "发往上游的 x-statsig-id；留空则每次生成",
        ),
        Field::number(
            "exit_breaker_accounts",
            Group::Network,
            (1, 100),
            Count,
            "Accounts that must meet trouble of the exit before it is left alone",
            "多少个账号遇到出口故障后暂停该出口",
        ),
        Field::number(
            "exit_breaker_window",
            Group::Network,
            (1, 3600),
            Seconds,
            "Window in which they must meet it",
            "统计出口故障的时间窗口",
        ),
        Field::number(
            "exit_breaker_rest",
            Group::Network,
            (1, 3600),
            Seconds,
            "Time the exit is left alone",
            "出口暂停的时长",
        ),
        Field::number(
            "cooldown_quota_left",
            Accounts,
            (1, 7 * DAY),
            Seconds,
            "Rest after a rate limit with quota left",
            "被限流但仍有额度时的冷却时间",
        ),
        Field::number(
            "cooldown_quota_gone",
            Accounts,
            (1, 7 * DAY),
            Seconds,
            "Rest after a rate limit with no quota left",
            "被限流且额度用尽时的冷却时间",
        ),
        Field::number(
            "cooldown_failures",
            Accounts,
            (1, 7 * DAY),
            Seconds,
            "Rest after several failures in a row",
            "连续失败后的冷却时间",
        ),
        Field::number(
            "failures_before_cooldown",
            Accounts,
            (1, 100),
            Count,
            "Failures in a row before an account rests",
            "连续失败多少次后冷却",
        ),
        Field::number(
            "quota_checks_per_second",
            Accounts,
            (1, 1_000),
            Count,
            "Accounts whose quota is asked for per second, at most",
            "每秒最多查询多少个账号的额度",
        ),
        Field::number(
            "quota_check_interval",
            Accounts,
            (0, 7 * DAY),
            Seconds,
            "Age at which a quota reading is renewed; 0: never by itself",
            "额度读数多旧后自动重新读取；0 为不自动读取",
        ),
        Field::number(
            "max_attempts",
            Accounts,
            (1, 3),
            Count,
            "Accounts tried for one request",
            "单个请求最多尝试的账号数",
        ),
        Field::number(
            "conversation_ttl",
            Conversations,
            (60, 365 * DAY),
            Seconds,
            "Time an unused conversation is kept",
            "未使用会话的保留时间",
        )
        .immediately(),
        Field::number(
            "max_conversations_per_token",
            Conversations,
            (1, 100_000),
            Count,
            "Conversations kept per account",
            "每个账号保留的会话数",
        )
        .immediately(),
        Field::choice(
            "share_mode",
            Conversations,
            &["on_demand", "eager", "off"],
            "When a conversation is shared so that another account can take it over",
            "何时分享会话以便其他账号接管",
        ),
        Field::flag(
            "temporary",
            Conversations,
            "Keep chats private (temporary) upstream",
            "在上游使用私密（临时）会话",
        ),
        Field::list(
            "model_aliases",
            Models,
            ModelAlias,
            "Further names for models, such as gpt-4o=grok-4.2; a * at the end of the name stands for any rest",
            "模型别名，例如 gpt-4o=grok-4.2；名称末尾的 * 代表任意后缀",
        ),
        Field::list(
            "disabled_models",
            Models,
            ModelName,
            "Models that are not listed and not answered for",
            "停用的模型：不列出，也不应答",
        ),
        Field::flag("show_thinking", Output, "Show the model's reasoning", "显示思考过程"),
        Field::flag(
            "show_search",
            Output,
            "Show search and tool steps in the reasoning",
            "在思考过程中显示搜索与工具步骤",
        ),
        Field::choice(
            "reasoning_format",
            Output,
            &["think_tags", "reasoning_content"],
            "How reasoning reaches the client",
            "思考过程的输出方式",
        ),
        Field::number("max_image_cache_mb", Storage, (0, 1_000_000), Megabytes, "Image cache on disk", "图片缓存上限")
            .immediately(),
        Field::number(
            "max_log_entries",
            Storage,
            (0, 10_000_000),
            Count,
            "Entries of the request log",
            "请求日志条数上限",
        )
        .immediately(),
        Field::number(
            "log_retention_days",
            Storage,
            (1, 3_650),
            Days,
            "Time an entry of the request log is kept",
            "请求日志的保留时间",
        )
        .immediately(),
        Field::number(
            "stats_retention_days",
            Storage,
            (1, 3_650),
            Days,
            "Time the statistics are kept; longer than the request log",
            "统计数据的保留时间；比请求日志更久",
        )
        .immediately(),
        Field::number("max_log_file_mb", Storage, (1, 10_000), Megabytes, "Size of one log file", "单个日志文件上限")
            .immediately(),
        Field::choice(
            "log_level",
            Storage,
            &["error", "warn", "info", "debug", "trace"],
            "The least severe log lines that are written",
            "日志级别",
        )
        .immediately(),
        Field::list(
            "trusted_proxies",
            Security,
            Network,
            "Reverse proxies whose X-Forwarded headers are believed",
            "可信反向代理，采信其 X-Forwarded 头",
        ),
        Field::list(
            "cors_allowed_origins",
            Security,
            Origin,
            "Web origins that may call /v1 from a browser; * for all",
            "允许从浏览器调用 /v1 的来源；* 表示全部",
        ),
        Field::list(
            "image_url_allow",
            Security,
            Network,
            "Private networks from which image_url may be fetched; the public internet always may",
            "允许从哪些内网地址获取 image_url 图片；公网地址始终允许",
        ),
        Field::number(
            "session_idle_minutes",
            Security,
            (1, 1440),
            Minutes,
            "Time without activity after which the console signs out",
            "控制台无操作自动退出的时间",
        )
        .immediately(),
    ]
};

#[cfg(test)]
mod tests {
    use serde_json::Value;

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
}
