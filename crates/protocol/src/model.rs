//! Public model names and the upstream modes behind them (UPSTREAM.md 14).

use std::borrow::Cow;

use crate::scan;

/// What the upstream is asked to answer with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Mode {
    /// A mode id, the form in use since March 2026.
    Id(Cow<'static, str>),
    /// A model name with a mode, the form before that. Reached by asking for `<model name>/<MODEL_MODE_…>`.
    Pair {
        /// For example `grok-4`.
        model_name: String,
        /// For example `MODEL_MODE_EXPERT`.
        model_mode: String,
    },
}

impl Mode {
    /// The name under which quota and cooldowns are kept: `auto`, `fast`, `expert`, `heavy`, or the id as given.
    pub fn id(&self) -> &str {
        match self {
            Self::Id(id) => id,
            Self::Pair { model_mode, .. } => current_mode(model_mode).unwrap_or(model_mode),
        }
    }
}

/// The mode that took over an older `MODEL_MODE_…` name.
fn current_mode(model_mode: &str) -> Option<&'static str> {
    let name = model_mode.strip_prefix("MODEL_MODE_")?;
    if name.ends_with("HEAVY") {
        Some("heavy")
    } else if name.ends_with("FAST") || scan::contains(name, "MINI") || name == "GROK_3" {
        Some("fast")
    } else if name.ends_with("EXPERT") || name.ends_with("THINKING") {
        Some("expert")
    } else if name.ends_with("AUTO") || name.starts_with("GROK_4") {
        Some("auto")
    } else {
        None
    }
}

/// A model as a client asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// The name the client used, without outer white space; answers repeat it.
    pub id: String,
    /// What the upstream is asked for.
    pub mode: Mode,
    /// Whether the mode is known to think before it answers; `None` when it decides for itself or is not known.
    pub reasoning: Option<bool>,
}

/// The plan an account needs for a mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// No subscription.
    Free,
    /// SuperGrok and its equals.
    Super,
    /// SuperGrok Heavy.
    Heavy,
}

impl Tier {
    /// A constant name for JSON and metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Super => "super",
            Self::Heavy => "heavy",
        }
    }
}

/// One model of the list that clients see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogueEntry {
    /// The public name.
    pub id: &'static str,
    /// The upstream mode behind it.
    pub mode: &'static str,
    /// One line for people.
    pub description: &'static str,
    /// A hint for clients that size their prompts by it, in tokens. The upstream publishes no figure for the web chat.
    pub context_length: u32,
    /// The plan an account needs. Limits change often, so this is a default for accounts whose modes are not known yet.
    pub minimum_tier: Tier,
    /// As in [`Model::reasoning`].
    pub reasoning: Option<bool>,
}

const CATALOGUE: &[CatalogueEntry] = &[
    CatalogueEntry {
        id: "grok-3",
        mode: "fast",
        description: "Quick answers without long thinking",
        context_length: 131_072,
        minimum_tier: Tier::Free,
        reasoning: Some(false),
    },
    CatalogueEntry {
        id: "grok-3-mini",
        mode: "fast",
        description: "Quick answers; the upstream folded its small model into the fast mode",
        context_length: 131_072,
        minimum_tier: Tier::Free,
        reasoning: Some(false),
    },
    CatalogueEntry {
        id: "grok-4.2",
        mode: "auto",
        description: "The upstream decides how long to think",
        context_length: 256_000,
        minimum_tier: Tier::Free,
        reasoning: None,
    },
    CatalogueEntry {
        id: "grok-4.2-fast",
        mode: "fast",
        description: "Quick answers without long thinking",
        context_length: 256_000,
        minimum_tier: Tier::Free,
        reasoning: Some(false),
    },
    CatalogueEntry {
        id: "grok-expert",
        mode: "expert",
        description: "Thinks before it answers",
        context_length: 256_000,
        minimum_tier: Tier::Super,
        reasoning: Some(true),
    },
    CatalogueEntry {
        id: "grok-auto",
        mode: "auto",
        description: "The upstream decides how long to think",
        context_length: 256_000,
        minimum_tier: Tier::Free,
        reasoning: None,
    },
    CatalogueEntry {
        id: "grok-fast",
        mode: "fast",
        description: "Quick answers without long thinking",
        context_length: 256_000,
        minimum_tier: Tier::Free,
        reasoning: Some(false),
    },
    CatalogueEntry {
        id: "grok-heavy",
        mode: "heavy",
        description: "A team of agents; slow and thorough",
        context_length: 256_000,
        minimum_tier: Tier::Heavy,
        reasoning: Some(true),
    },
];

/// The models that are listed, in the order in which they are shown.
pub fn catalogue() -> &'static [CatalogueEntry] {
    CATALOGUE
}

/// Finds a model by the name a client sent. Listed names and bare mode ids are known; anything else passes through as its own
/// mode id, so that a new upstream mode works on the day it appears.
pub fn find(name: &str) -> Model {
    let name = name.trim();
    let entry = CATALOGUE
        .iter()
        .find(|entry| entry.id.eq_ignore_ascii_case(name))
        .or_else(|| CATALOGUE.iter().find(|entry| is_bare_mode(entry, name)));
    if let Some(entry) = entry {
        return Model { id: name.to_owned(), mode: Mode::Id(Cow::Borrowed(entry.mode)), reasoning: entry.reasoning };
    }
    let mode = match scan::split_once(name, "/") {
        Some((model_name, model_mode)) if !model_name.is_empty() && model_mode.starts_with("MODEL_MODE_") => {
            Mode::Pair { model_name: model_name.to_owned(), model_mode: model_mode.to_owned() }
        }
        _ => Mode::Id(Cow::Owned(name.to_owned())),
    };
    Model { id: name.to_owned(), mode, reasoning: None }
}

/// `auto`, `fast`, `expert` and `heavy` are accepted without being listed.
fn is_bare_mode(entry: &CatalogueEntry, name: &str) -> bool {
    entry.mode.eq_ignore_ascii_case(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_names_lead_to_modes() {
        for (name, mode) in [
            ("grok-3", "fast"),
            ("grok-3-mini", "fast"),
            ("grok-4.2", "auto"),
            ("grok-4.2-fast", "fast"),
            ("grok-expert", "expert"),
            ("grok-auto", "auto"),
            ("grok-fast", "fast"),
            ("grok-heavy", "heavy"),
            ("auto", "auto"),
            ("fast", "fast"),
            ("expert", "expert"),
            ("heavy", "heavy"),
            ("  Grok-Heavy\n", "heavy"),
        ] {
            assert_eq!(find(name).mode, Mode::Id(Cow::Borrowed(mode)), "{name}");
            assert_eq!(find(name).id, name.trim(), "answers repeat the client's spelling");
        }
    }

    #[test]
    fn unknown_names_are_their_own_modes() {
        for name in ["grok-420-computer-use-sa", "gpt-4o", "build", "", "/", "a/b", "/MODEL_MODE_FAST", "\u{0}é"] {
            let model = find(name);
            assert_eq!((model.id.as_str(), model.mode.id(), model.reasoning), (name, name, None));
        }
    }

    #[test]
    fn older_pairs_count_for_the_mode_that_took_over() {
        for (name, key) in [
            ("grok-3/MODEL_MODE_GROK_3", "fast"),
            ("grok-4/MODEL_MODE_FAST", "fast"),
            ("grok-4-mini-thinking-tahoe/MODEL_MODE_GROK_4_MINI_THINKING", "fast"),
            ("grok-4/MODEL_MODE_EXPERT", "expert"),
            ("grok-4-1-thinking-1129/MODEL_MODE_GROK_4_1_THINKING", "expert"),
            ("grok-4/MODEL_MODE_AUTO", "auto"),
            ("grok-420/MODEL_MODE_GROK_420", "auto"),
            ("grok-4-heavy/MODEL_MODE_HEAVY", "heavy"),
            ("grok-9/MODEL_MODE_NEW", "MODEL_MODE_NEW"),
        ] {
            let mode = find(name).mode;
            assert!(matches!(mode, Mode::Pair { .. }), "{name}");
            assert_eq!(mode.id(), key, "{name}");
        }
    }

    #[test]
    fn every_listed_model_is_found_and_listed_once() {
        for entry in catalogue() {
            assert_eq!(find(entry.id).mode.id(), entry.mode);
            assert_eq!(catalogue().iter().filter(|other| other.id == entry.id).count(), 1);
        }
    }
}
