//! The table of settings as data, from which a settings page can be drawn.

use serde::Serialize;
use serde_json::Value;

use super::fields::{Format, Group, Kind, Secrecy, Unit};
use super::handle::SettingsHandle;
use super::table::FIELDS;

/// One setting, described.
#[derive(Debug, Serialize)]
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
    default: Value,
    doc: Documentation,
}

/// Help text in both languages.
#[derive(Debug, Serialize)]
struct Documentation {
    en: &'static str,
    zh: &'static str,
}

/// All settings, in the order in which a page shows them.
pub(crate) fn schema() -> Vec<SchemaEntry> {
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
    fn every_setting_is_described_with_its_limits_and_default() {
        let Value::Array(entries) = serde_json::to_value(schema()).unwrap() else { panic!() };
        assert_eq!(entries.len(), SettingsHandle::defaults().len());
        let named = |name: &str| entries.iter().find(|entry| entry["name"] == name).unwrap();
        assert!(entries.iter().all(|entry| !entry["doc"]["en"].as_str().unwrap().is_empty()));
        assert!(entries.iter().all(|entry| !entry["doc"]["zh"].as_str().unwrap().is_ascii()));

        let mut number = named("max_attempts").clone();
        number.as_object_mut().unwrap().remove("doc");
        assert_eq!(
            number,
            json!({ "name": "max_attempts", "group": "accounts", "type": "integer", "min": 1, "max": 3, "unit": "count",
                    "secret": false, "default": 3 })
        );
        assert_eq!(named("share_mode")["choices"], json!(["on_demand", "eager", "off"]));
        assert_eq!((&named("proxy_url")["secret"], &named("proxy_url")["format"]), (&json!(true), &json!("proxy_url")));
    }
}
