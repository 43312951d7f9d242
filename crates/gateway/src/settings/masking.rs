//! Secrets in settings: shown as "there is one", and left alone when that comes back.

use serde_json::{Map, Value, json};

use super::address::WebAddress;
use super::fields::{Field, FieldError, Secrecy};
use super::table::FIELDS;

/// Stands for a secret that is set.
const MASK: &str = "***";

/// A copy of the values with every secret masked.
pub(crate) fn masked(values: &Map<String, Value>) -> Map<String, Value> {
    let mut shown = values.clone();
    for field in FIELDS {
        if let Some(value) = shown.get_mut(field.name) {
            *value = masked_value(field, value);
        }
    }
    shown
}

/// Takes out of a patch what only repeats the present values, masked or not, and refuses a mask that hides what is meant. A
/// console that sends back everything it was shown thus pins nothing to today's defaults.
pub(crate) fn without_repetition(
    patch: &Map<String, Value>,
    present: &Map<String, Value>,
) -> Result<Map<String, Value>, Vec<FieldError>> {
    let mut kept = Map::new();
    let mut errors = Vec::new();
    for (name, value) in patch {
        if present.get(name) == Some(value) {
            continue;
        }
        if let Some(field) = Field::named(name).filter(|field| is_masked(field, value)) {
            // Carrying the hidden part over to another address would hand the old secret to whoever owns that address.
            if present.get(name).is_none_or(|present| masked_value(field, present) != *value) {
                errors.push(FieldError::new(
                    field.path(),
                    "masked",
                    json!({}),
                    "must be given in full, not masked, when it changes",
                ));
            }
        } else {
            kept.insert(name.clone(), value.clone());
        }
    }
    if errors.is_empty() { Ok(kept) } else { Err(errors) }
}

fn masked_value(field: &Field, value: &Value) -> Value {
    let Value::String(text) = value else { return value.clone() };
    match field.secrecy {
        Secrecy::Open => value.clone(),
        Secrecy::Whole if text.is_empty() => value.clone(),
        Secrecy::Whole => json!(MASK),
        Secrecy::Credentials => match WebAddress::parse(text) {
            Some(WebAddress { scheme, credentials: Some(_), authority, rest }) => {
                json!(format!("{scheme}://{MASK}@{authority}{rest}"))
            }
            _ => value.clone(),
        },
    }
}

fn is_masked(field: &Field, value: &Value) -> bool {
    let Value::String(text) = value else { return false };
    match field.secrecy {
        Secrecy::Open => false,
        Secrecy::Whole => text == MASK,
        Secrecy::Credentials => WebAddress::parse(text).is_some_and(|address| address.credentials == Some(MASK)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(object) = value else { panic!("{value}") };
        object
    }

    #[test]
    fn secrets_are_masked_and_nothing_else() {
        let values = object(json!({
            "proxy_url": "socks5://me:secret@host:1080", "clearance_cookies": "cf_clearance=secret", "base_url": "https://host",
        }));
        let expected =
            json!({ "proxy_url": "socks5://***@host:1080", "clearance_cookies": "***", "base_url": "https://host" });
        assert_eq!(Value::Object(masked(&values)), expected);

        let unset = object(json!({ "proxy_url": "http://host:3128", "clearance_cookies": "" }));
        assert_eq!(masked(&unset), unset, "nothing to hide");
    }

    #[test]
    fn a_mask_that_comes_back_changes_nothing() {
        let present = object(json!({ "proxy_url": "http://me:secret@host:1", "clearance_cookies": "secret" }));
        let patch =
            object(json!({ "proxy_url": "http://***@host:1", "clearance_cookies": "***", "show_search": false }));
        assert_eq!(without_repetition(&patch, &present).unwrap(), object(json!({ "show_search": false })));
    }

    #[test]
    fn a_mask_with_nothing_behind_it_is_refused() {
        let present = object(json!({ "proxy_url": "http://me:secret@host:1", "clearance_cookies": "" }));
        for patch in [json!({ "proxy_url": "http://***@elsewhere:1" }), json!({ "clearance_cookies": "***" })] {
            let errors = without_repetition(&object(patch), &present).unwrap_err();
            assert_eq!(errors[0].code, "masked");
        }
    }

    #[test]
    fn a_secret_can_be_replaced_and_cleared() {
        let present = object(json!({ "clearance_cookies": "old" }));
        for value in [json!("new"), json!(""), Value::Null] {
            let patch = object(json!({ "clearance_cookies": value }));
            assert_eq!(without_repetition(&patch, &present).unwrap(), patch);
        }
    }
}
