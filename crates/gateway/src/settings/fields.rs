//! What one setting may hold, and the check that follows from it.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::address::{Network, WebAddress};
use super::models::{ModelAlias, is_model_name};
use super::table::FIELDS;

/// Where a setting stands in the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Group {
    General,
    Network,
    Accounts,
    Conversations,
    Models,
    Output,
    Storage,
    Security,
}

/// When a change is felt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Effect {
    /// At once, also by what is under way.
    Immediately,
    /// With the next request; those under way keep what they began with.
    NewRequests,
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    Seconds,
    Minutes,
    Days,
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
#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// Goes into a request header, so line breaks would be an injection.
    HeaderValue,
    PublicUrl,
    ProxyUrl,
    Network,
    Origin,
    /// `name=model`.
    ModelAlias,
    ModelName,
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
    pub(crate) effect: Effect,
    /// Help text in English.
    pub(crate) en: &'static str,
    /// The same in Chinese.
    pub(crate) zh: &'static str,
}

/// What is wrong with one value, for people and for programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
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
    pub(super) const fn flag(name: &'static str, group: Group, en: &'static str, zh: &'static str) -> Self {
        Self { name, group, kind: Kind::Flag, secrecy: Secrecy::Open, effect: Effect::NewRequests, en, zh }
    }

    pub(super) const fn text(
        name: &'static str,
        group: Group,
        format: Format,
        en: &'static str,
        zh: &'static str,
    ) -> Self {
        Self { name, group, kind: Kind::Text(format), secrecy: Secrecy::Open, effect: Effect::NewRequests, en, zh }
    }

    pub(super) const fn list(
        name: &'static str,
        group: Group,
        format: Format,
        en: &'static str,
        zh: &'static str,
    ) -> Self {
        Self { name, group, kind: Kind::List(format), secrecy: Secrecy::Open, effect: Effect::NewRequests, en, zh }
    }

    pub(super) const fn choice(
        name: &'static str,
        group: Group,
        choices: &'static [&'static str],
        en: &'static str,
        zh: &'static str,
    ) -> Self {
        Self { name, group, kind: Kind::Choice(choices), secrecy: Secrecy::Open, effect: Effect::NewRequests, en, zh }
    }

    pub(super) const fn number(
        name: &'static str,
        group: Group,
        (min, max): (u64, u64),
        unit: Unit,
        en: &'static str,
        zh: &'static str,
    ) -> Self {
        Self {
            name,
            group,
            kind: Kind::Number { min, max, unit },
            secrecy: Secrecy::Open,
            effect: Effect::NewRequests,
            en,
            zh,
        }
    }

    /// Its change is felt at once.
    pub(super) const fn immediately(mut self) -> Self {
        self.effect = Effect::Immediately;
        self
    }

    pub(super) const fn secret(mut self, secrecy: Secrecy) -> Self {
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
        if matches!(format, Format::ModelAlias) {
            self.check_aliases(entries)?;
        }
        Ok(())
    }

    /// A name stands for one model, and that is no further name: nobody has to follow them.
    fn check_aliases(&self, entries: &[Value]) -> Result<(), FieldError> {
        let aliases: Vec<ModelAlias> =
            entries.iter().filter_map(|entry| entry.as_str().and_then(|text| text.parse().ok())).collect();
        let mut first_of: HashMap<String, usize> = HashMap::new();
        for (index, alias) in aliases.iter().enumerate() {
            first_of.entry(alias.name.to_ascii_lowercase()).or_insert(index);
        }
        for (index, alias) in aliases.iter().enumerate() {
            let path = format!("{}/{index}", self.path());
            if first_of.get(&alias.name.to_ascii_lowercase()).is_some_and(|first| *first < index) {
                let message = "must not give a name twice; upper and lower case are the same";
                return Err(FieldError::new(path, "duplicate", json!({}), message));
            }
            if first_of.contains_key(&alias.model.to_ascii_lowercase()) {
                let message = "must stand for a model, not for another of these names";
                return Err(FieldError::new(path, "alias_of_alias", json!({}), message));
            }
        }
        Ok(())
    }
}

impl Group {
    /// All, in the order in which a page shows them, with their titles in English and Chinese.
    pub(crate) const ALL: [(Self, &'static str, &'static str); 8] = [
        (Self::General, "General", "常规"),
        (Self::Network, "Network and exit", "网络与出口"),
        (Self::Accounts, "Accounts and rests", "账号与冷却"),
        (Self::Conversations, "Conversations", "会话"),
        (Self::Models, "Models", "模型"),
        (Self::Output, "Output", "输出"),
        (Self::Storage, "Storage and log", "存储与日志"),
        (Self::Security, "Security", "安全"),
    ];
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
            Self::ModelAlias => text.parse::<ModelAlias>().is_ok(),
            Self::ModelName => is_model_name(text),
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
            Self::ProxyUrl => {
                ("proxy_url", "must be an address such as http://host:3128 or socks5h://name:password@host:1080")
            }
            Self::Network => ("network", "must be an IP address or a network such as 10.0.0.0/8"),
            Self::ModelAlias => {
                ("model_alias", "must be a name and a model, such as gpt-4o=grok-4.2 or gpt-*=grok-4.2")
            }
            Self::ModelName => ("model_name", "must be the name of a model, without spaces, commas, = and *"),
            Self::Origin => ("origin", "must be * or an origin such as https://chat.example.com"),
        };
        FieldError::new(path, "format", json!({ "expected": expected }), message)
    }
}

fn is_http(scheme: &str) -> bool {
    matches!(scheme, "http" | "https")
}

#[cfg(test)]
mod tests {
    use super::super::table::FIELDS;
    use super::*;

    #[test]
    fn as_many_aliases_as_a_body_holds_are_checked() {
        let field = Field::named("model_aliases").expect("there is such a setting");
        let many: Vec<Value> = (0..60_000).map(|number| json!(format!("name-{number}=grok-3"))).collect();
        let with = |last: &str| many.iter().cloned().chain([json!(last)]).collect::<Value>();
        assert_eq!(field.check(&with("other=grok-3")), Ok(()));
        for (last, code) in [("NAME-7=grok-3", "duplicate"), ("other=Name-7", "alias_of_alias")] {
            let error = field.check(&with(last)).unwrap_err();
            assert_eq!((error.code, error.path.as_str()), (code, "/model_aliases/60000"));
        }
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
            ("model_aliases", json!(["gpt-4o=grok-4.2", "gpt-4o"]), "/model_aliases/1", "format"),
            ("model_aliases", json!(["a=grok-3", "A=grok-4.2"]), "/model_aliases/1", "duplicate"),
            ("model_aliases", json!(["a=B", "b=a"]), "/model_aliases/0", "alias_of_alias"),
            ("model_aliases", json!(["grok-3=grok-3"]), "/model_aliases/0", "alias_of_alias"),
            ("disabled_models", json!(["grok heavy"]), "/disabled_models/0", "format"),
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
