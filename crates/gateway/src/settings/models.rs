//! What clients may call models: the names that are listed, names that an operator gives to others, and those switched off.

use std::fmt;
use std::str::FromStr;

use protocol::model::{CatalogueEntry, Model, catalogue, find};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Settings;

/// Longest name of a model, in characters.
const NAME: usize = 100;

/// A name that clients use, and the model that answers for it: `gpt-4o=grok-4.2`. A star at the end of the name stands for any
/// rest: `gpt-*=grok-4.2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModelAlias {
    pub(crate) name: String,
    pub(crate) model: String,
}

impl ModelAlias {
    /// How well it fits a name: the more of it is given, the better. `None` where it does not.
    fn fit(&self, name: &str) -> Option<usize> {
        match self.name.strip_suffix('*') {
            None => self.name.eq_ignore_ascii_case(name).then_some(usize::MAX),
            Some(beginning) => {
                let fits = name.get(..beginning.len()).is_some_and(|own| own.eq_ignore_ascii_case(beginning));
                fits.then_some(beginning.len())
            }
        }
    }
}

impl FromStr for ModelAlias {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "a name and a model, such as gpt-4o=grok-4.2";
        let (name, model) = text.split_once('=').ok_or(EXPECTED)?;
        let (name, model) = (name.trim(), model.trim());
        let beginning = name.strip_suffix('*').unwrap_or(name);
        let is_name = beginning.is_empty() && name == "*" || is_model_name(beginning);
        if !is_name || !is_model_name(model) {
            return Err(EXPECTED);
        }
        Ok(Self { name: name.to_owned(), model: model.to_owned() })
    }
}

impl fmt::Display for ModelAlias {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}={}", self.name, self.model)
    }
}

impl Serialize for ModelAlias {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ModelAlias {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Whether a text can be the name of a model.
pub(super) fn is_model_name(text: &str) -> bool {
    let is_odd =
        |character: char| character.is_control() || character.is_whitespace() || matches!(character, '=' | ',' | '*');
    !text.is_empty() && text.chars().count() <= NAME && !text.contains(is_odd)
}

/// A name that clients may use.
#[derive(Clone, Debug)]
pub(crate) struct NamedModel {
    pub(crate) name: String,
    /// The model that an alias stands for.
    pub(crate) alias_of: Option<String>,
    pub(crate) model: Model,
    /// What is known of the model, if it is one that is listed.
    pub(crate) entry: Option<&'static CatalogueEntry>,
    pub(crate) enabled: bool,
}

impl NamedModel {
    /// Whether it stands for every name that begins so.
    pub(crate) fn is_pattern(&self) -> bool {
        self.name.ends_with('*')
    }
}

impl Settings {
    /// The model behind a name that a client used: what an alias stands for, else the name itself.
    pub(crate) fn model(&self, name: &str) -> Model {
        let name = name.trim();
        find(self.alias(name).map_or(name, |alias| &alias.model))
    }

    /// Whether a name may be used: neither it nor what it stands for is switched off. A bare mode goes with the last model that is listed for it.
    pub(crate) fn is_model_enabled(&self, name: &str) -> bool {
        let name = name.trim();
        let is_off = |name: &str| self.disabled_models.iter().any(|off| off.eq_ignore_ascii_case(name));
        let model = self.model(name);
        let mut of_mode = catalogue().iter().filter(|entry| entry.mode == model.mode.id()).peekable();
        let is_listed = entry_of(&model.id).is_some();
        let mode_is_off = !is_listed && of_mode.peek().is_some() && of_mode.all(|entry| is_off(entry.id));
        !is_off(name) && !is_off(&model.id) && !mode_is_off
    }

    /// Names that clients may use, those switched off included: the listed ones, then aliases and patterns.
    pub(crate) fn named_models(&self) -> Vec<NamedModel> {
        let listed = catalogue().iter().map(|entry| (entry.id.to_owned(), None));
        let listed =
            listed.filter(|(name, _)| !self.model_aliases.iter().any(|alias| alias.fit(name) == Some(usize::MAX)));
        let aliases = self.model_aliases.iter().map(|alias| (alias.name.clone(), Some(alias.model.clone())));
        let named = |(name, alias_of): (String, Option<String>)| {
            // A pattern's own text is no name that fits it by chance.
            let model = find(alias_of.as_deref().unwrap_or(&name));
            let enabled = self.is_model_enabled(alias_of.as_deref().unwrap_or(&name)) && self.is_model_enabled(&name);
            NamedModel { entry: entry_of(&model.id), name, alias_of, model, enabled }
        };
        listed.chain(aliases).map(named).collect()
    }

    fn alias(&self, name: &str) -> Option<&ModelAlias> {
        let fits = self.model_aliases.iter().filter_map(|alias| Some((alias.fit(name)?, alias)));
        // Listed names mean what they say unless somebody names exactly them.
        let fits = fits.filter(|(fit, _)| *fit == usize::MAX || entry_of(name).is_none());
        // Of two that fit as well, the first.
        fits.reduce(|best, other| if other.0 > best.0 { other } else { best }).map(|(_, alias)| alias)
    }
}

fn entry_of(name: &str) -> Option<&'static CatalogueEntry> {
    catalogue().iter().find(|entry| entry.id.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(aliases: &[&str], off: &[&str]) -> Settings {
        Settings {
            model_aliases: aliases.iter().map(|alias| alias.parse().unwrap()).collect(),
            disabled_models: off.iter().map(|name| (*name).to_owned()).collect(),
            ..Settings::default()
        }
    }

    #[test]
    fn the_alias_that_says_most_decides() {
        let settings = settings(
            &["*=grok-3", "gpt-*=grok-4.2", "gpt-4*=grok-expert", "GPT-4o=grok-heavy", "grok-3=grok-auto"],
            &[],
        );
        for (name, mode) in [
            ("gpt-4o", "heavy"),
            (" gpt-4o ", "heavy"),
            ("gpt-4.1", "expert"),
            ("GPT-5", "auto"),
            ("claude", "fast"),
            ("grok-expert", "expert"),
            ("grok-3", "auto"),
            ("grok-3-mini", "fast"),
            ("gp\u{f6}", "fast"),
        ] {
            assert_eq!(settings.model(name).mode.id(), mode, "{name}");
        }
        assert_eq!(Settings::default().model("gpt-4o").mode.id(), "gpt-4o", "unknown names pass through");
    }

    #[test]
    fn what_is_off_is_off_under_every_name() {
        let settings = settings(&["best=grok-heavy", "gpt-*=grok-4.2"], &["Grok-Heavy", "gpt-3", "odd/name"]);
        for name in ["grok-heavy", "GROK-HEAVY", "heavy", "best", "gpt-3", "odd/name", "grok-4-heavy/MODEL_MODE_HEAVY"]
        {
            assert!(!settings.is_model_enabled(name), "{name}");
        }
        for name in ["grok-4.2", "gpt-4", "fast", "odd/other"] {
            assert!(settings.is_model_enabled(name), "{name}");
        }
        let off: Vec<_> =
            settings.named_models().into_iter().filter(|model| !model.enabled).map(|model| model.name).collect();
        assert_eq!(off, ["grok-heavy", "best"]);
    }

    #[test]
    fn odd_aliases_are_refused() {
        for text in
            ["", "=", "a", "a=", "=b", "a b=c", "a=b c", "a=b*", "a*b=c", "**=b", "a=b=c", "a,b=c", &"x=".repeat(99)]
        {
            assert!(text.parse::<ModelAlias>().is_err(), "{text:?}");
        }
        for text in ["*=a", "gpt-4o=grok-4.2", "a/b*=grok-3", "\u{6a21}\u{578b}=grok-4.2"] {
            assert_eq!(text.parse::<ModelAlias>().unwrap().to_string(), text);
        }
    }
}
