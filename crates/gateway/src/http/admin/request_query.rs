//! What a call asks of the request log: filter, place, size.

use super::error::AdminError;
use super::query::{Parameters, words};
use super::time_query::time;
use crate::audit::PageQuery;
use crate::store::request_log::{Clause, Comparison, Direction, Field, Figure, RequestFilter};
use crate::store::requests::Cut;

/// Rows of a page when none is asked for: more than a screen shows, and with long rows still below 40 KB.
const DEFAULT_LIMIT: usize = 40;
const MOST_ITEMS: usize = 500;

/// Most values of one filter.
const MOST_VALUES: usize = 100;

/// Longest text that is looked for.
const LONGEST_TEXT: usize = 200;

/// The longest range, in seconds.
const LONGEST_RANGE: i64 = 3_650 * 86_400;

/// Filters by name.
pub(super) const FIELDS: [(&str, Field); 15] = [
    ("request_id", Field::RequestId),
    ("outcome", Field::Outcome),
    ("status", Field::Status),
    ("model", Field::Model),
    ("mode", Field::Mode),
    ("key", Field::Key),
    ("account", Field::Account),
    ("conversation", Field::Conversation),
    ("error_code", Field::ErrorCode),
    ("client", Field::Client),
    ("ip", Field::Ip),
    ("route", Field::Route),
    ("transport", Field::Transport),
    ("receipt", Field::Receipt),
    ("stream", Field::Stream),
];

const FIGURES: [(&str, Figure); 3] =
    [("duration_ms", Figure::Duration), ("first_token_ms", Figure::FirstToken), ("attempt_count", Figure::Attempts)];

/// Values that a filter is known to have: a slip must not look like an empty log.
fn known_values(field: Field) -> Option<&'static [&'static str]> {
    match field {
        Field::Outcome => Some(&["succeeded", "failed", "cancelled"]),
        Field::Receipt => Some(&["new", "native", "branched", "moved", "replayed"]),
        Field::Transport => Some(&["rest", "websocket"]),
        Field::Stream => Some(&["true", "false"]),
        _ => None,
    }
}

/// The name of a filter.
pub(super) fn field_name(field: Field) -> &'static str {
    FIELDS.iter().find(|(_, own)| *own == field).map_or("", |(name, _)| *name)
}

/// Takes the members of a page query out of the parameters.
pub(super) fn page_query(parameters: &mut Parameters, now: i64) -> PageQuery {
    let filter = filter(parameters, now);
    let (before, after) = (cursor(parameters, "before"), cursor(parameters, "after"));
    if before.is_some() && after.is_some() {
        parameters.refuse("after", "cross_field", "cannot stand beside before");
    }
    parameters.choice("sort", &[("-at", ())]);
    let limit = parameters.number("limit", 1..=MOST_ITEMS).unwrap_or(DEFAULT_LIMIT);
    let direction = if after.is_some() { Direction::Newer } else { Direction::Older };
    PageQuery { filter, direction, start: before.or(after), limit }
}

/// Takes the filter out of the parameters.
pub(super) fn filter(parameters: &mut Parameters, now: i64) -> RequestFilter {
    let mut filter = RequestFilter::default();
    if let Some(range) = parameters.range(now, LONGEST_RANGE) {
        (filter.from, filter.until) = (Some(range.from), Some(range.until));
    }
    for (operator, value) in parameters.take_operators("at") {
        let Some(at) = time(&value) else {
            parameters.refuse("at", "format", "must be a time such as 2026-09-01T00:00:00Z");
            continue;
        };
        match operator.as_str() {
            "gte" => filter.from = Some(at),
            "gt" => filter.from = Some(at + 1),
            "lt" => filter.until = Some(at),
            "lte" => filter.until = Some(at + 1),
            _ => {
                parameters.refuse("at", "operator", "takes [gt], [gte], [lt] and [lte]");
            }
        }
    }
    for (name, field) in FIELDS {
        for (operator, value) in parameters.take_operators(name) {
            if let Some(clause) = clause(parameters, name, field, &operator, &value) {
                filter.clauses.push(clause);
            }
        }
    }
    for (name, figure) in FIGURES {
        for (operator, value) in parameters.take_operators(name) {
            let comparison = match operator.as_str() {
                "gte" => Comparison::AtLeast,
                "gt" => Comparison::More,
                "lt" => Comparison::Less,
                "lte" => Comparison::AtMost,
                _ => {
                    parameters.refuse(name, "operator", "takes [gt], [gte], [lt] and [lte]");
                    continue;
                }
            };
            match value.trim().parse() {
                Ok(value) => filter.clauses.push(Clause::Figure { figure, comparison, value }),
                Err(_) => {
                    parameters.refuse(name, "type", "must be a whole number");
                }
            }
        }
    }
    if let Some(words) = parameters.take("q") {
        if words.chars().count() > LONGEST_TEXT {
            parameters.refuse("q", "max", format!("must have at most {LONGEST_TEXT} characters"));
        }
        filter.clauses.push(Clause::Words(words));
    }
    filter
}

fn clause(parameters: &mut Parameters, name: &str, field: Field, operator: &str, value: &str) -> Option<Clause> {
    match operator {
        "" => {}
        "exists" => {
            return match value.trim() {
                "true" => Some(Clause::Exists { field, exists: true }),
                "false" => Some(Clause::Exists { field, exists: false }),
                _ => parameters.refused(name, "type", "[exists] must be true or false"),
            };
        }
        _ => return parameters.refused(name, "operator", "takes values and [exists]"),
    }
    let values = words(value);
    if values.is_empty() {
        return None;
    }
    let negated = values.iter().filter(|value| value.starts_with('!')).count();
    if negated != 0 && negated != values.len() {
        return parameters.refused(name, "format", "must negate all values or none");
    }
    let not = negated != 0;
    let values: Vec<String> = values.into_iter().map(|value| value.trim_start_matches('!').to_owned()).collect();
    if values.len() > MOST_VALUES {
        return parameters.refused(name, "max", format!("must name at most {MOST_VALUES} values"));
    }
    if let Some(known) = known_values(field)
        && values.iter().any(|value| !known.contains(&value.as_str()))
    {
        return parameters.refused(name, "choice", format!("must be one of {}", known.join(", ")));
    }
    if field == Field::Status && values.iter().any(|value| value.parse::<u16>().is_err()) {
        return parameters.refused(name, "type", "must be a status such as 429");
    }
    Some(Clause::OneOf { field, values, not })
}

/// A place in the log, as clients carry it.
pub(super) fn cursor_text((at, id): &Cut) -> String {
    format!("{at}.{id}")
}

/// Takes such a place out of the parameters.
pub(super) fn cursor(parameters: &mut Parameters, name: &str) -> Option<Cut> {
    let text = parameters.take(name)?;
    let place = text.split_once('.').and_then(|(at, id)| Some((at.parse().ok()?, id.to_owned())));
    match place {
        Some(place) => Some(place),
        None => parameters.refused(name, "format", "must be next or prev of an earlier answer"),
    }
}

/// Fields of a facet call.
pub(super) fn facet_fields(parameters: &mut Parameters) -> Result<Vec<Field>, AdminError> {
    let names = parameters.words("field");
    if names.is_empty() {
        let usual = [
            Field::Outcome,
            Field::Status,
            Field::ErrorCode,
            Field::Model,
            Field::Key,
            Field::Account,
            Field::Client,
            Field::Receipt,
            Field::Transport,
            Field::Stream,
        ];
        return Ok(usual.to_vec());
    }
    let mut fields = Vec::new();
    for name in names {
        match FIELDS.iter().find(|(own, field)| *own == name && *field != Field::RequestId) {
            Some((_, field)) if !fields.contains(field) => fields.push(*field),
            Some(_) => {}
            None => {
                parameters.refuse("field", "choice", format!("`{name}` is not a field of requests"));
            }
        }
    }
    Ok(fields)
}
