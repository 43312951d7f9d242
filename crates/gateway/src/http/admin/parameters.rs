//! Query parameters, read strictly: a name or value that is not known is told by its name, all at once.

use axum::extract::FromRequestParts;
use axum::extract::Query;
use http::request::Parts;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;

use super::error::AdminError;
use crate::audit::Range;
use crate::settings::FieldError;

const DAY_S: i64 = 86_400;

/// The parameters of a call in their order, taken out one by one; what is left at the end is unknown.
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
    /// The value of a parameter that stands once; the last one counts.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let mut found = None;
        self.pairs.retain_mut(|(own, value)| {
            if own == name {
                found = Some(std::mem::take(value));
            }
            own != name
        });
        found.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
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

    /// Words between commas.
    pub(super) fn words(&mut self, name: &str) -> Vec<String> {
        words(&self.take(name).unwrap_or_default())
    }

    /// A whole number within bounds.
    pub(super) fn number(&mut self, name: &str, bounds: std::ops::RangeInclusive<usize>) -> Option<usize> {
        let value = self.take(name)?;
        match value.parse() {
            Ok(number) if bounds.contains(&number) => Some(number),
            _ => self.refuse(name, "range", format!("must be between {} and {}", bounds.start(), bounds.end())),
        }
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let value = self.take(name)?;
        let chosen = choices.iter().find(|(word, _)| *word == value);
        if chosen.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            return self.refuse(name, "choice", format!("must be one of {}", words.join(", ")));
        }
        chosen.map(|(_, choice)| *choice)
    }

    /// `range=24h`, or `from` and `until` as times; `None` without any of them.
    pub(super) fn range(&mut self, now: i64, longest_s: i64) -> Option<Range> {
        let (range, from, until) = (self.take("range"), self.time("from"), self.time("until"));
        let range = match (range, from, until) {
            (Some(range), None, None) => match seconds(&range) {
                Some(length) => Range { from: now.saturating_sub(length.saturating_mul(1_000)), until: now + 1 },
                None => return self.refuse("range", "format", "must be a length such as 1h, 24h, 7d"),
            },
            (None, Some(from), until) => Range { from, until: until.unwrap_or(now + 1) },
            (None, None, None) => return None,
            (None, None, Some(_)) => return self.refuse("from", "required", "is required beside until"),
            (Some(_), ..) => return self.refuse("range", "cross_field", "cannot stand beside from and until"),
        };
        if range.from >= range.until || range.until - range.from > longest_s.saturating_mul(1_000) + 1 {
            let message = format!("must be before until, by at most {} days", longest_s / DAY_S);
            return self.refuse("from", "range", message);
        }
        Some(range)
    }

    /// A time in RFC 3339.
    pub(super) fn time(&mut self, name: &str) -> Option<i64> {
        let value = self.take(name)?;
        match time(&value) {
            Some(time) => Some(time),
            None => self.refuse(name, "format", "must be a time such as 2026-09-01T00:00:00Z"),
        }
    }

    /// The viewer's zone; UTC without one.
    pub(super) fn zone(&mut self) -> (String, TimeZone) {
        let name = self.take("tz").unwrap_or_else(|| "UTC".to_owned());
        match TimeZone::get(&name) {
            Ok(zone) => (name, zone),
            Err(_) => {
                self.refuse::<()>("tz", "choice", "must be the name of a time zone such as Asia/Shanghai");
                (name, TimeZone::UTC)
            }
        }
    }

    /// The step of a chart in seconds; `None` for `auto`.
    pub(super) fn step(&mut self) -> Option<i64> {
        let value = self.take("step").filter(|value| value != "auto")?;
        // Steps that fill a day, so that every midnight begins one.
        match seconds(&value).filter(|step| *step >= 60 && step % 60 == 0 && DAY_S % step == 0) {
            Some(step) => Some(step),
            None => self.refuse("step", "choice", "must be auto or a part of a day such as 1m, 15m, 2h, 1d"),
        }
    }

    /// Notes that a parameter is not valid.
    pub(super) fn refuse<T>(&mut self, name: &str, code: &'static str, message: impl Into<String>) -> Option<T> {
        self.errors.push(FieldError::new(name, code, json!({}), message));
        None
    }

    /// To be called once all parameters are taken: fails if any was wrong or any is left.
    pub(super) fn finish(mut self) -> Result<(), AdminError> {
        for (name, _) in &self.pairs {
            self.errors.push(FieldError::new(name, "unknown", json!({}), "is not a parameter of this call"));
        }
        if self.errors.is_empty() { Ok(()) } else { Err(AdminError::validation(self.errors)) }
    }
}

/// Words between commas, without empty ones.
pub(super) fn words(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// A time in RFC 3339 as milliseconds.
pub(super) fn time(text: &str) -> Option<i64> {
    text.trim().parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

/// A length such as `90s`, `15m`, `24h`, `7d`.
fn seconds(text: &str) -> Option<i64> {
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => DAY_S,
        _ => return None,
    };
    let count: i64 = text[..text.len() - 1].parse().ok()?;
    count.checked_mul(unit).filter(|seconds| *seconds > 0)
}
