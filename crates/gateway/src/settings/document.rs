//! The text of `config.json`: reading it, checking it as a whole, changing parts of it, writing it for people.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value, json};

use super::Settings;
use super::fields::{Field, FieldError, Kind};
use super::table::FIELDS;

/// What stands in the file: known settings and whatever else is there. Settings that are absent have their default.
pub(crate) type Document = Map<String, Value>;

/// What reading a file found wrong.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DocumentError {
    #[error("it is not JSON ({0})")]
    Syntax(String),
    #[error("it must hold one JSON object, {{ … }}")]
    NotAnObject,
    #[error("{}", sentence(.0))]
    Fields(Vec<FieldError>),
}

/// All errors in one sentence.
pub(crate) fn sentence(errors: &[FieldError]) -> String {
    errors.iter().map(|error| format!("{} {}", error.path, error.message)).collect::<Vec<_>>().join("; ")
}

/// Reads the bytes of a file.
pub(crate) fn parse(bytes: &[u8]) -> Result<Document, DocumentError> {
    // Some editors put a byte order mark in front.
    let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    match serde_json::from_slice(text) {
        Ok(Value::Object(document)) => Ok(document),
        Ok(_) => Err(DocumentError::NotAnObject),
        Err(error) => Err(DocumentError::Syntax(error.to_string())),
    }
}

/// Checks a document and gives the settings it means.
pub(crate) fn settings_of(document: &Document) -> Result<Settings, Vec<FieldError>> {
    let mut known = Document::new();
    let mut errors = Vec::new();
    for (name, value) in document {
        let Some(field) = Field::named(name) else { continue };
        let value = canonical(field, value);
        match field.check(&value) {
            Ok(()) => drop(known.insert(name.clone(), value)),
            Err(error) => errors.push(error),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut settings: Settings = serde_json::from_value(Value::Object(known))
        // The check above is stricter than the types; if ever it is not, this keeps the value itself out of the message.
        .map_err(|_| vec![FieldError::new("", "type", json!({}), "holds a value of the wrong kind")])?;
    settings.base_url.truncate(settings.base_url.trim_end_matches('/').len());
    check_together(&settings)?;
    Ok(settings)
}

/// Rules that join several settings.
fn check_together(settings: &Settings) -> Result<(), Vec<FieldError>> {
    if settings.stream_timeout >= settings.request_timeout {
        return Ok(());
    }
    let params = json!({ "other": "/request_timeout", "min": settings.request_timeout });
    let message = format!("must be ≥ request_timeout ({})", settings.request_timeout);
    Err(vec![FieldError::new("/stream_timeout", "cross_field", params, message)])
}

/// Choices are taken in any case, log levels also under the names other services use.
fn canonical(field: &Field, value: &Value) -> Value {
    let (Kind::Choice(_), Value::String(text)) = (field.kind, value) else { return value.clone() };
    match (field.name, text.to_ascii_lowercase().as_str()) {
        ("log_level", "warning") => json!("warn"),
        ("log_level", "critical" | "fatal") => json!("error"),
        (_, text) => json!(text),
    }
}

/// Lays a merge patch over a document: a value replaces, `null` removes (back to the default). Names that are neither settings
/// nor present are refused, so that a slip in a script does not pass.
pub(crate) fn patched(document: &Document, patch: &Document) -> Result<Document, Vec<FieldError>> {
    let mut result = document.clone();
    let mut errors = Vec::new();
    for (name, value) in patch {
        let known = Field::named(name).is_some();
        if value.is_null() && (known || document.contains_key(name)) {
            result.remove(name);
        } else if known {
            result.insert(name.clone(), value.clone());
        } else {
            errors.push(FieldError::new(pointer(name), "unknown", json!({}), "is not a setting"));
        }
    }
    if errors.is_empty() { Ok(result) } else { Err(errors) }
}

/// The names in a document that are not settings.
pub(crate) fn unknown_names(document: &Document) -> impl Iterator<Item = &str> {
    document.keys().map(String::as_str).filter(|name| Field::named(name).is_none())
}

/// All values in force, defaults included.
pub(crate) fn values_of(settings: &Settings) -> Document {
    match serde_json::to_value(settings) {
        Ok(Value::Object(values)) => values,
        _ => unreachable!("settings are plain values under text names"),
    }
}

/// What the first start writes: every setting with its default, so that an editor shows what there is. The browser's name stays
/// out, because it has to follow the releases of this program.
pub(crate) fn first_document() -> Document {
    let mut document = values_of(&Settings::default());
    document.remove("user_agent");
    document
}

/// The document as text for people: settings in the order of the table, then what is unknown.
pub(crate) fn text_of(document: &Document) -> String {
    struct InTableOrder<'a>(&'a Document);
    impl Serialize for InTableOrder<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(Some(self.0.len()))?;
            for (name, value) in FIELDS.iter().filter_map(|field| self.0.get_key_value(field.name)) {
                map.serialize_entry(name, value)?;
            }
            for name in unknown_names(self.0) {
                map.serialize_entry(name, &self.0[name])?;
            }
            map.end()
        }
    }
    let text =
        serde_json::to_string_pretty(&InTableOrder(document)).expect("JSON values under text names always serialise");
    text + "\n"
}

/// JSON pointer to a member of the outermost object.
pub(crate) fn pointer(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// A good document means the same after it was written for people, and a bad one never tells a value.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(text: &str) {
    let Ok(document) = parse(text.as_bytes()) else { return };
    let written = parse(text_of(&document).as_bytes()).expect("what was written is read");
    assert_eq!(written, document);
    match settings_of(&document) {
        Ok(settings) => {
            assert_eq!(settings_of(&written), Ok(settings.clone()));
            assert_eq!(settings_of(&values_of(&settings)), Ok(settings), "all values in force mean themselves");
        }
        Err(errors) => assert!(!errors.is_empty() && errors.iter().all(|error| !error.message.is_empty())),
    }
    let _ = patched(&first_document(), &document);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(value: Value) -> Document {
        let Value::Object(document) = value else { panic!("{value}") };
        document
    }

    #[test]
    fn an_empty_document_means_the_defaults() {
        assert_eq!(settings_of(&Document::new()).unwrap(), Settings::default());
        assert_eq!(settings_of(&first_document()).unwrap(), Settings::default());
    }

    #[test]
    fn all_errors_are_told_at_once_and_never_the_value() {
        let errors =
            settings_of(&document(json!({ "request_timeout": 0, "proxy_url": "://me:secret@", "share_mode": "off" })))
                .unwrap_err();
        let mut paths: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
        paths.sort_unstable();
        assert_eq!(paths, ["/proxy_url", "/request_timeout"]);
        assert!(!sentence(&errors).contains("secret"));
    }

    #[test]
    fn a_whole_answer_gets_at_least_the_time_of_its_first_event() {
        let errors = settings_of(&document(json!({ "request_timeout": 300, "stream_timeout": 299 }))).unwrap_err();
        assert_eq!((errors[0].path.as_str(), errors[0].code), ("/stream_timeout", "cross_field"));
        assert!(settings_of(&document(json!({ "request_timeout": 300, "stream_timeout": 300 }))).is_ok());
        assert!(settings_of(&document(json!({ "request_timeout": 601 }))).is_err(), "against the default of the other");
    }

    #[test]
    fn log_levels_are_taken_as_other_services_write_them() {
        for (text, level) in [("INFO", "info"), ("WARNING", "warn"), ("CRITICAL", "error"), ("Debug", "debug")] {
            let settings = settings_of(&document(json!({ "log_level": text }))).unwrap();
            assert_eq!(settings.log_level.as_str(), level);
        }
    }

    #[test]
    fn a_patch_replaces_removes_and_refuses_what_is_no_setting() {
        let before = document(json!({ "show_search": false, "max_attempts": 2, "old/name": 1 }));

        let after =
            patched(&before, &document(json!({ "show_search": null, "max_attempts": 1, "old/name": null }))).unwrap();
        assert_eq!(after, document(json!({ "max_attempts": 1 })));

        let errors = patched(&before, &document(json!({ "old/name": 2, "nonsense": null }))).unwrap_err();
        let paths: Vec<_> = errors.iter().map(|error| (error.path.as_str(), error.code)).collect();
        assert_eq!(paths, [("/nonsense", "unknown"), ("/old~1name", "unknown")]);
    }

    #[test]
    fn the_text_is_ordered_for_people_and_keeps_what_is_unknown() {
        let text = text_of(&document(json!({ "zebra": [1], "show_search": true, "base_url": "", "apple": {} })));
        let position = |name: &str| text.find(name).unwrap();
        assert!(position("base_url") < position("show_search"));
        assert!(position("show_search") < position("apple"));
        assert_eq!(parse(text.as_bytes()).unwrap().len(), 4);
    }

    #[test]
    fn broken_texts_are_told_apart() {
        assert!(matches!(parse(b"{\"a\": 1,}"), Err(DocumentError::Syntax(_))));
        assert!(matches!(parse(b""), Err(DocumentError::Syntax(_))));
        assert_eq!(parse(b"[]"), Err(DocumentError::NotAnObject));
        assert!(parse("\u{feff}{}".as_bytes()).is_ok());
    }
}
