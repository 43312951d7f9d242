//! Query strings of lists, read strictly: a parameter that is unknown or of the wrong kind is told by its name, all at once.

use axum::extract::{FromRequestParts, Query};
use http::request::Parts;
use serde_json::json;

use super::error::AdminError;
use crate::settings::FieldError;

/// Items of a list that names no limit.
pub(super) const DEFAULT_LIMIT: usize = 50;

/// Most items of one answer.
pub(super) const MOST_ITEMS: usize = 500;

/// Most items that are skipped.
const MOST_SKIPPED: usize = 1_000_000_000;

/// Longest text that is searched for, in characters.
const LONGEST_WORDS: usize = 200;

/// The parameters of a query, taken out one by one; what is left at the end is unknown.
pub(super) struct Parameters {
    pairs: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = AdminError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, AdminError> {
        match Query::<Vec<(String, String)>>::from_request_parts(parts, state).await {
            Ok(Query(pairs)) => Ok(Self { pairs, errors: Vec::new() }),
            Err(_) => Err(AdminError::invalid_request("the query cannot be read")),
        }
    }
}

impl Parameters {
    /// Parameters that came in another way than as a query.
    pub(super) fn of(pairs: Vec<(String, String)>) -> Self {
        Self { pairs, errors: Vec::new() }
    }

    /// The value of a parameter, unless it is empty; of one that stands there twice, the last.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let mut value = None;
        self.pairs.retain_mut(|(known, text)| {
            let is_wanted = known == name;
            if is_wanted {
                value = Some(std::mem::take(text));
            }
            !is_wanted
        });
        value.map(|value: String| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The parameters of a name with an operator, such as `at[gte]`: operator and value. The plain name has an empty operator.
    pub(super) fn take_operators(&mut self, name: &str) -> Vec<(String, String)> {
        let mut found = Vec::new();
        self.pairs.retain_mut(|(own, value)| {
            let operator = own.strip_prefix(name).and_then(|rest| match rest {
                "" => Some(String::new()),
                rest => rest.strip_prefix('[')?.strip_suffix(']').map(str::to_owned),
            });
            match operator {
                Some(operator) => {
                    found.push((operator, std::mem::take(value)));
                    false
                }
                None => true,
            }
        });
        found
    }

    /// The words of a parameter that commas separate.
    pub(super) fn words(&mut self, name: &str) -> Vec<String> {
        words(&self.take(name).unwrap_or_default())
    }

    /// A whole number between two others.
    pub(super) fn number(&mut self, name: &str, range: std::ops::RangeInclusive<usize>) -> Option<usize> {
        let value = self.take(name)?;
        match value.parse() {
            Ok(number) if range.contains(&number) => Some(number),
            _ => {
                let (min, max) = (range.start(), range.end());
                let message = format!("must be between {min} and {max}");
                self.errors.push(FieldError::new(name, "range", json!({ "min": min, "max": max }), message));
                None
            }
        }
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let value = self.take(name)?;
        let chosen = choices.iter().find(|(word, _)| *word == value);
        if chosen.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            return self.refused(name, "choice", format!("must be one of {}", words.join(", ")));
        }
        chosen.map(|(_, choice)| *choice)
    }

    pub(super) fn limit(&mut self) -> usize {
        self.number("limit", 1..=MOST_ITEMS).unwrap_or(DEFAULT_LIMIT)
    }

    pub(super) fn offset(&mut self) -> usize {
        self.number("offset", 0..=MOST_SKIPPED).unwrap_or(0)
    }

    /// What is searched for, unless it is nothing.
    pub(super) fn search(&mut self) -> Option<String> {
        let words = self.take("q")?;
        if words.chars().count() > LONGEST_WORDS {
            self.refuse("q", "length", format!("must have at most {LONGEST_WORDS} characters"));
        }
        Some(words)
    }

    /// The member to sort by, and whether the order is descending (a `-` in front).
    pub(super) fn order<T: Copy + Default>(&mut self, members: &[(&'static str, T)]) -> (T, bool) {
        let Some(value) = self.take("sort") else { return (T::default(), false) };
        let (name, is_descending) = value.strip_prefix('-').map_or((value.as_str(), false), |name| (name, true));
        match members.iter().find(|(known, _)| *known == name) {
            Some((_, member)) => (*member, is_descending),
            None => {
                let names: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
                self.refuse(
                    "sort",
                    "choice",
                    format!("must be one of {}, with - in front for descending", names.join(", ")),
                );
                (T::default(), is_descending)
            }
        }
    }

    /// Words that each have to be one of a few.
    pub(super) fn choices<T>(&mut self, name: &str, parse: impl Fn(&str) -> Option<T>, all: &[&str]) -> Vec<T> {
        let words = self.words(name);
        let found: Vec<T> = words.iter().filter_map(|word| parse(word)).collect();
        if found.len() < words.len() {
            self.refuse(name, "choice", format!("must be one of {}", all.join(", ")));
        }
        found
    }

    /// Notes that a parameter is not valid.
    pub(super) fn refuse(&mut self, name: &str, code: &'static str, message: impl Into<String>) {
        self.errors.push(FieldError::new(name, code, json!({}), message));
    }

    /// The same where a value was to be answered.
    pub(super) fn refused<T>(&mut self, name: &str, code: &'static str, message: impl Into<String>) -> Option<T> {
        self.refuse(name, code, message);
        None
    }

    /// To be called once all parameters are taken: fails if any was wrong or any is left.
    pub(super) fn finish(mut self) -> Result<(), AdminError> {
        for (name, _) in &self.pairs {
            self.errors.push(FieldError::new(name.as_str(), "unknown", json!({}), "is not a parameter here"));
        }
        if self.errors.is_empty() { Ok(()) } else { Err(AdminError::validation(self.errors)) }
    }
}

/// Words between commas, without empty ones.
pub(super) fn words(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}
