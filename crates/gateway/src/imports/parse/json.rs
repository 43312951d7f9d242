//! JSON of this and other gateways. Their forms differ and change, so a value is read by what it is: a list of tokens; an object with
//! a member that is named like a token; or an object whose members are named by tokens.

use protocol::steps;
use serde_json::{Map, Value};

use super::{Found, Listed, Unreadable, is_web_token, label, tier, token};

/// Members that hold a token.
const TOKEN_NAMES: [&str; 8] = ["token", "sso", "sso_token", "ssoToken", "cookie", "cookies", "access_token", "value"];
const LABEL_NAMES: [&str; 6] = ["label", "name", "note", "remark", "email", "mail"];
const TIER_NAMES: [&str; 5] = ["tier", "plan", "pool", "type", "account_type"];

/// Deeper than any export; what is deeper is not looked at.
const DEEPEST: usize = 8;

pub(super) fn read(value: &Value) -> Listed {
    let mut listed = Listed::default();
    walk(value, None, 0, &mut listed);
    if listed.found.is_empty() && listed.unreadable.is_empty() {
        listed.entries = 1;
        listed.unreadable.push(Unreadable { place: 1, code: "not_a_token" });
    }
    listed
}

/// `pool` is the tier that the name of the list stands for in which the value stands: other gateways keep one list per tier.
fn walk(value: &Value, pool: Option<&str>, depth: usize, listed: &mut Listed) {
    match value {
        _ if depth > DEEPEST => {}
        Value::Array(items) => items.iter().for_each(|item| match item {
            Value::String(text) => take(text, Found { tier: pool.map(str::to_owned), ..Found::default() }, listed),
            // In a list of accounts each entry is told of.
            Value::Null | Value::Bool(_) | Value::Number(_) if depth == 0 => {
                listed.entries += 1;
                listed.unreadable.push(Unreadable { place: listed.entries, code: "not_a_token" });
            }
            other => walk(other, pool, depth + 1, listed),
        }),
        Value::Object(members) => object(members, pool, depth, listed),
        _ => {}
    }
}

fn object(members: &Map<String, Value>, pool: Option<&str>, depth: usize, listed: &mut Listed) {
    let own_token = TOKEN_NAMES.iter().find_map(|name| members.get(*name)?.as_str());
    if let Some(text) = own_token {
        return match cookie_name(members) {
            Some("sso") => take(text, Found { tier: pool.map(str::to_owned), ..Found::default() }, listed),
            // Another cookie of the browser: nothing that the upstream is to be shown as a login.
            Some(_) => {}
            None => take(text, particulars(members, pool), listed),
        };
    }
    for (name, member) in members {
        let is_token = token(name).is_ok_and(|token| is_web_token(&token)) || name.starts_with("sso=");
        match member {
            // `{"<token>": {…}}`, as the Python Grok2API and others store it. Tests and odd tokens have no dots, but such members.
            Value::Object(entry) if is_token || is_entry(entry) => take(name, particulars(entry, pool), listed),
            Value::Array(_) | Value::Object(_) => walk(member, tier(name).as_deref(), depth + 1, listed),
            _ if is_token => take(name, Found { tier: pool.map(str::to_owned), ..Found::default() }, listed),
            _ => {}
        }
    }
}

/// The name of the cookie that an object of a browser's export is.
fn cookie_name(members: &Map<String, Value>) -> Option<&str> {
    let (name, value) = (members.get("name")?.as_str()?, members.get("value")?.as_str()?);
    let is_cookie = name == "sso" || members.contains_key("domain") || !is_web_token(value);
    is_cookie.then_some(name)
}

/// Whether an object looks like the particulars of an account rather than a list of accounts.
fn is_entry(members: &Map<String, Value>) -> bool {
    let holds = |name: &str| members.get(name).is_some_and(|value| !value.is_object());
    holds("enabled") || holds("cooldown_until") || holds("consecutive_failures") || holds("last_used")
}

fn take(text: &str, found: Found, listed: &mut Listed) {
    steps::add(text.len() + 1);
    listed.entries += 1;
    let place = listed.entries;
    match token(text) {
        Ok(token) => listed.found.push(Found { token, place, ..found }),
        Err(code) => listed.unreadable.push(Unreadable { place, code }),
    }
}

fn particulars(members: &Map<String, Value>, pool: Option<&str>) -> Found {
    let text =
        |names: &[&str]| names.iter().find_map(|name| members.get(*name)?.as_str().filter(|text| !text.is_empty()));
    let tags = match members.get("tags") {
        Some(Value::Array(tags)) => tags.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    let enabled = members.get("enabled").and_then(Value::as_bool).or_else(|| {
        // What others switched off; what they call expired is for the upstream to say.
        (members.get("status").and_then(Value::as_str) == Some("disabled")).then_some(false)
    });
    Found {
        label: text(&LABEL_NAMES).and_then(label),
        tags,
        tier: text(&TIER_NAMES).and_then(tier).or_else(|| pool.map(str::to_owned)),
        enabled,
        ..Found::default()
    }
}
