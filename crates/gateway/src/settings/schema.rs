//! The table of settings as data, from which a settings page can be drawn.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::fields::{Effect, Field, Format, Group, Kind, Secrecy, Unit};
use super::handle::SettingsHandle;
use super::table::FIELDS;

/// All settings, described.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Schema {
    /// In the order in which a page shows them.
    groups: Vec<GroupEntry>,
    /// In the order in which a page shows them.
    settings: Vec<SchemaEntry>,
    rules: Vec<Rule>,
}

/// A group of settings.
#[derive(Debug, Serialize, ToSchema)]
struct GroupEntry {
    name: Group,
    title: Documentation,
}

/// What has to hold between two settings.
#[derive(Debug, Serialize, ToSchema)]
struct Rule {
    /// `at_least`: the first is not smaller than the second.
    rule: &'static str,
    setting: &'static str,
    other: &'static str,
}

/// One setting, described.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SchemaEntry {
    name: &'static str,
    group: Group,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<Unit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    choices: Option<&'static [&'static str]>,
    /// What a text, or each entry of a list, must look like.
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format>,
    /// Whether the value, or a part of it, is only shown masked.
    secret: bool,
    /// When a change is felt.
    effect: Effect,
    default: Value,
    doc: Documentation,
}

/// Help text in both languages.
#[derive(Debug, Serialize, ToSchema)]
struct Documentation {
    en: &'static str,
    zh: &'static str,
}

/// Everything a settings page needs to be drawn and to check what is typed.
pub(crate) fn schema() -> Schema {
    let groups = Group::ALL.map(|(name, en, zh)| GroupEntry { name, title: Documentation { en, zh } });
    let rules = vec![Rule { rule: "at_least", setting: "stream_timeout", other: "request_timeout" }];
    Schema { groups: groups.into(), settings: entries(), rules }
}

/// A setting that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SettingView {
    pub(crate) name: &'static str,
    pub(crate) en: &'static str,
    pub(crate) zh: &'static str,
}

/// Settings by name, by what the help says in either language, and by the values that can be chosen.
pub(crate) fn search_settings(words: &str) -> Vec<SettingView> {
    let words = words.to_lowercase();
    let is_found = |field: &&Field| {
        let chosen = match field.kind {
            Kind::Choice(choices) => choices.iter().any(|choice| choice.contains(words.as_str())),
            _ => false,
        };
        chosen
            || field.name.contains(words.as_str())
            || field.name.replace('_', " ").contains(words.as_str())
            || field.en.to_lowercase().contains(words.as_str())
            || field.zh.to_lowercase().contains(words.as_str())
    };
    let view = |field: &Field| SettingView { name: field.name, en: field.en, zh: field.zh };
    FIELDS.iter().filter(is_found).map(view).collect()
}

fn entries() -> Vec<SchemaEntry> {
    let mut defaults = SettingsHandle::defaults();
    let entries = FIELDS.iter().map(|field| {
        let mut entry = SchemaEntry {
            name: field.name,
            group: field.group,
            kind: "",
            min: None,
            max: None,
            unit: None,
            choices: None,
            format: None,
            secret: field.secrecy != Secrecy::Open,
            effect: field.effect,
            default: defaults.remove(field.name).unwrap_or_default(),
            doc: Documentation { en: field.en, zh: field.zh },
        };
        match field.kind {
            Kind::Flag => entry.kind = "boolean",
            Kind::Number { min, max, unit } => {
                (entry.kind, entry.min, entry.max, entry.unit) = ("integer", Some(min), Some(max), Some(unit));
            }
            Kind::Choice(choices) => (entry.kind, entry.choices) = ("choice", Some(choices)),
            Kind::Text(format) => (entry.kind, entry.format) = ("string", Some(format)),
            Kind::List(format) => (entry.kind, entry.format) = ("list", Some(format)),
        }
        entry
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_are_found_by_name_help_and_value() {
        let names = |words: &str| search_settings(words).iter().map(|setting| setting.name).collect::<Vec<_>>();
        for words in ["proxy_url", "PROXY URL", "proxy for everything", "访问上游所用的代理"] {
            assert!(names(words).contains(&"proxy_url"), "{words}");
        }
        assert_eq!(names("on_demand"), ["share_mode"]);
        assert!(names("no such thing").is_empty());
    }

    #[test]
    fn every_setting_is_described_with_its_limits_and_default() {
        let schema = serde_json::to_value(schema()).unwrap();
        let entries = schema["settings"].as_array().unwrap();
        assert_eq!(entries.len(), SettingsHandle::defaults().len());
        let named = |name: &str| entries.iter().find(|entry| entry["name"] == name).unwrap();
        assert!(entries.iter().all(|entry| !entry["doc"]["en"].as_str().unwrap().is_empty()));
        assert!(entries.iter().all(|entry| !entry["doc"]["zh"].as_str().unwrap().is_ascii()));

        let mut number = named("max_attempts").clone();
        number.as_object_mut().unwrap().remove("doc");
        assert_eq!(
            number,
            json!({ "name": "max_attempts", "group": "accounts", "type": "integer", "min": 1, "max": 3, "unit": "count",
                    "secret": false, "effect": "new_requests", "default": 3 })
        );
        for entry in entries {
            assert!(
                schema["groups"].as_array().unwrap().iter().any(|group| group["name"] == entry["group"]),
                "{entry}"
            );
        }
        for rule in schema["rules"].as_array().unwrap() {
            let is_setting = |name: &Value| entries.iter().any(|entry| entry["name"] == *name);
            assert!(is_setting(&rule["setting"]) && is_setting(&rule["other"]), "{rule}");
        }
        assert_eq!(named("share_mode")["choices"], json!(["on_demand", "eager", "off"]));
        assert_eq!((&named("proxy_url")["secret"], &named("proxy_url")["format"]), (&json!(true), &json!("proxy_url")));
    }
}
