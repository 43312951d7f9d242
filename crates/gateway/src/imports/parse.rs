//! Reads lists of accounts, leniently: what makes no sense is told by its line and keeps nothing else back.

mod json;
mod lines;

use protocol::steps;

/// One account of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) token: String,
    pub(crate) label: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) tier: Option<String>,
    pub(crate) enabled: Option<bool>,
    /// Where it stood: a line from 1, or in JSON the number of the entry.
    pub(crate) place: usize,
}

/// Something that is no account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) place: usize,
    /// `not_a_token`, `no_sso_cookie`, `not_json`.
    pub(crate) code: &'static str,
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) found: Vec<Found>,
    pub(crate) unreadable: Vec<Unreadable>,
    /// Lines that are not empty, or entries.
    pub(crate) entries: usize,
}

/// Longest label, in characters; longer ones are cut.
const LABEL: usize = 120;

/// Tokens of the upstream are about 150 characters; shorter than this is a word, a number or a name.
const SHORTEST_TOKEN: usize = 6;

/// Reads a text.
pub(crate) fn parse(text: &str) -> Listed {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let begins_json = text.trim_start().starts_with(['{', '[']);
    match begins_json.then(|| serde_json::from_str(text)) {
        Some(Ok(value)) => json::read(&value),
        _ => lines::read(text),
    }
}

/// The token in a text, if it is one.
fn token(text: &str) -> Result<String, &'static str> {
    steps::add(text.len());
    match protocol::headers::parse_credential(text) {
        Ok(token) if token.len() >= SHORTEST_TOKEN => Ok(token),
        Err(protocol::headers::CredentialError::NoSsoCookie) => Err("no_sso_cookie"),
        _ => Err("not_a_token"),
    }
}

/// Whether a text has the form of the upstream's tokens: three parts of letters that dots separate, the first a JSON object.
fn is_web_token(text: &str) -> bool {
    steps::add(text.len());
    let parts: Vec<&str> = text.split('.').collect();
    text.starts_with("eyJ")
        && parts.len() == 3
        && parts.iter().all(|part| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_=".contains(&byte))
        })
}

/// A label that can be used, if there is one.
fn label(text: &str) -> Option<String> {
    let label: String = text.chars().filter(|character| !character.is_control()).take(LABEL).collect();
    Some(label.trim().to_owned()).filter(|label| !label.is_empty())
}

/// The tier that a pool's or a plan's name stands for.
fn tier(text: &str) -> Option<String> {
    steps::add(text.len());
    let text = text.to_ascii_lowercase();
    let known = ["heavy", "super", "basic"].into_iter().find(|tier| text.contains(tier));
    // A gateway calls accounts without a plan normal, another free.
    known.or_else(|| (text.contains("normal") || text.contains("free")).then_some("basic")).map(str::to_owned)
}

/// Whatever is found is a token, is read again as the same, and stands somewhere in the text.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(text: &str) {
    let listed = parse(text);
    for found in &listed.found {
        // By its name: a value with `=` in its middle would be taken for another cookie without it.
        assert_eq!(token(&format!("sso={}", found.token)).as_deref(), Ok(found.token.as_str()), "{found:?}");
        assert!(found.place >= 1 && found.place <= text.lines().count().max(listed.entries), "{found:?}");
        assert!(found.label.as_ref().is_none_or(|label| label.chars().count() <= LABEL), "{found:?}");
    }
    assert!(listed.unreadable.iter().all(|unreadable| unreadable.place >= 1));
}

#[cfg(test)]
mod tests;
