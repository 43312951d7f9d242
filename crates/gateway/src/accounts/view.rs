//! Accounts as the console and scripts see them: never a token.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::choose::KNOWN_MODES;
use super::entry::Entry;
use super::rest::RATE_LIMITED_NO_QUOTA;
use super::{AccountError, AccountPool};
use crate::clock::timestamp;
use crate::upstream::Transport;

/// One account in a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct AccountView {
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) fingerprint: String,
    pub(crate) tier: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) enabled: bool,
    pub(crate) state: StateView,
    /// Modes that rest while the account as a whole does not.
    pub(crate) rests: Vec<RestView>,
    pub(crate) quota: Vec<QuotaView>,
    pub(crate) consecutive_failures: i64,
    pub(crate) in_flight: u32,
    pub(crate) created_at: String,
    pub(crate) last_used_at: Option<String>,
    /// What its last answer came over.
    pub(crate) transport: Option<Transport>,
    /// Until when REST is used because the WebSocket was not there for it.
    pub(crate) websocket_missing_until: Option<String>,
    pub(crate) version: i64,
}

/// The one state an account is in: `disabled`, `invalid`, `cooling`, `exhausted`, `probation` or `available`, in this order.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct StateView {
    pub(crate) name: &'static str,
    pub(crate) since: Option<String>,
    pub(crate) until: Option<String>,
    pub(crate) reason: Option<Reason>,
    pub(crate) caused_by: Option<String>,
}

/// A reason code with its figures.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Reason {
    pub(crate) code: String,
    pub(crate) params: BTreeMap<&'static str, i64>,
}

/// A mode's rest.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct RestView {
    pub(crate) mode: String,
    pub(crate) reason: String,
    pub(crate) since: String,
    pub(crate) until: String,
    pub(crate) caused_by: Option<String>,
}

/// What is known of a mode's quota.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct QuotaView {
    pub(crate) mode: String,
    pub(crate) remaining: Option<i64>,
    pub(crate) total: Option<i64>,
    pub(crate) window_s: Option<i64>,
    pub(crate) resets_at: Option<String>,
    pub(crate) source: String,
    pub(crate) measured_at: String,
}

/// What to list. Empty lists do not filter.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccountQuery {
    pub(crate) states: Vec<String>,
    pub(crate) tiers: Vec<String>,
    pub(crate) tags: Vec<String>,
    /// Part of a label, tag or fingerprint.
    pub(crate) q: Option<String>,
    /// Member and whether descending; `id` completes the order.
    pub(crate) sort: Vec<(String, bool)>,
    pub(crate) offset: usize,
    pub(crate) limit: usize,
}

/// One window of a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct AccountPage {
    pub(crate) items: Vec<AccountView>,
    pub(crate) total: usize,
}

/// Counters over all accounts.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(crate) struct Summary {
    pub(crate) total: u64,
    pub(crate) states: BTreeMap<&'static str, u64>,
    pub(crate) tiers: BTreeMap<String, u64>,
    pub(crate) in_flight: u64,
    /// Accounts by what their last answer came over.
    pub(crate) transports: BTreeMap<&'static str, u64>,
}

impl Summary {
    /// Accounts that can serve at least one mode now.
    pub(crate) fn able(&self) -> u64 {
        ["available", "probation"].iter().filter_map(|name| self.states.get(name)).sum()
    }
}

impl AccountPool {
    pub(crate) fn get(&self, id: &str) -> Option<AccountView> {
        let now = self.shared.clock.now_ms();
        let mut state = self.state();
        state.wake(now);
        state.find(id).and_then(|index| state.entry(index)).map(|entry| view(entry, now))
    }

    /// A window of the accounts that match, in order.
    pub(crate) fn list(&self, query: &AccountQuery) -> Result<AccountPage, AccountError> {
        let now = self.shared.clock.now_ms();
        let order = query.sort.iter().map(|(member, descending)| Ok((comparison(member)?, *descending)));
        let order = order.collect::<Result<Vec<_>, AccountError>>()?;
        let mut state = self.state();
        state.wake(now);
        let mut found: Vec<&Entry> = state.entries().filter(|entry| matches(entry, query, now)).collect();
        found.sort_unstable_by(|left, right| {
            for (compare, descending) in &order {
                let ordering = compare(left, right, now);
                let ordering = if *descending { ordering.reverse() } else { ordering };
                if ordering != Ordering::Equal {
                    return ordering;
                }
            }
            left.id.cmp(&right.id)
        });
        let total = found.len();
        let items = found.into_iter().skip(query.offset).take(query.limit).map(|entry| view(entry, now)).collect();
        Ok(AccountPage { items, total })
    }

    pub(crate) fn summary(&self) -> Summary {
        let now = self.shared.clock.now_ms();
        let mut state = self.state();
        state.wake(now);
        let mut summary = Summary::default();
        for name in STATES {
            summary.states.insert(name, 0);
        }
        for entry in state.entries() {
            summary.total += 1;
            summary.in_flight += u64::from(entry.in_flight);
            if let Some(transport) = entry.transport {
                *summary.transports.entry(transport.label()).or_default() += 1;
            }
            *summary.states.entry(state_name(entry, now)).or_default() += 1;
            *summary.tiers.entry(entry.tier.clone().unwrap_or_else(|| "unknown".to_owned())).or_default() += 1;
        }
        summary
    }
}

/// All states, in the order in which they are decided.
pub(crate) const STATES: [&str; 6] = ["disabled", "invalid", "cooling", "exhausted", "probation", "available"];

fn state_name(entry: &Entry, now: i64) -> &'static str {
    if !entry.enabled {
        "disabled"
    } else if entry.invalid.is_some() {
        "invalid"
    } else if entry.whole_rest(now).is_some() {
        "cooling"
    } else if is_exhausted(entry, now) {
        "exhausted"
    } else if entry.probation {
        "probation"
    } else {
        "available"
    }
}

/// Whether every mode that is offered is used up.
fn is_exhausted(entry: &Entry, now: i64) -> bool {
    KNOWN_MODES.iter().all(|mode| {
        entry.rests.iter().any(|rest| rest.until > now && rest.mode.as_deref() == Some(mode))
            && entry.rests.iter().any(|rest| rest.reason == RATE_LIMITED_NO_QUOTA)
    })
}

/// The account as it is shown.
pub(super) fn view(entry: &Entry, now: i64) -> AccountView {
    let mode_rests = entry.rests.iter().filter(|rest| rest.until > now).filter_map(|rest| {
        Some(RestView {
            mode: rest.mode.clone()?,
            reason: rest.reason.clone(),
            since: timestamp(rest.since),
            until: timestamp(rest.until),
            caused_by: rest.caused_by.clone(),
        })
    });
    let quota = entry.quota.iter().map(|row| QuotaView {
        mode: row.mode.clone(),
        remaining: row.remaining,
        total: row.total,
        window_s: row.window_s,
        resets_at: row.resets_at.map(timestamp),
        source: row.source.clone(),
        measured_at: timestamp(row.measured_at),
    });
    AccountView {
        id: entry.id.to_string(),
        label: entry.label.clone(),
        fingerprint: entry.fingerprint.clone(),
        tier: entry.tier.clone(),
        tags: entry.tags.clone(),
        enabled: entry.enabled,
        state: state_view(entry, now),
        rests: mode_rests.collect(),
        quota: quota.collect(),
        consecutive_failures: entry.failures,
        in_flight: entry.in_flight,
        created_at: timestamp(entry.created_at),
        last_used_at: entry.last_used_at.map(timestamp),
        transport: entry.transport,
        websocket_missing_until: entry.websocket_missing_until.filter(|until| *until > now).map(timestamp),
        version: entry.version,
    }
}

fn state_view(entry: &Entry, now: i64) -> StateView {
    let name = state_name(entry, now);
    let plain = StateView { name, since: None, until: None, reason: None, caused_by: None };
    match name {
        "invalid" => match &entry.invalid {
            Some(invalid) => StateView {
                since: Some(timestamp(invalid.since)),
                reason: Some(Reason { code: invalid.reason.clone(), params: BTreeMap::new() }),
                ..plain
            },
            None => plain,
        },
        "cooling" => match entry.whole_rest(now) {
            Some(rest) => StateView {
                since: Some(timestamp(rest.since)),
                until: Some(timestamp(rest.until)),
                reason: Some(Reason {
                    code: rest.reason.clone(),
                    params: BTreeMap::from([("rest_s", (rest.until - rest.since) / 1_000)]),
                }),
                caused_by: rest.caused_by.clone(),
                ..plain
            },
            None => plain,
        },
        "exhausted" => StateView {
            until: entry.rests.iter().map(|rest| rest.until).min().map(timestamp),
            reason: Some(Reason { code: RATE_LIMITED_NO_QUOTA.to_owned(), params: BTreeMap::new() }),
            ..plain
        },
        _ => plain,
    }
}

fn matches(entry: &Entry, query: &AccountQuery, now: i64) -> bool {
    let any = |wanted: &[String], has: &str| wanted.is_empty() || wanted.iter().any(|value| value == has);
    any(&query.states, state_name(entry, now))
        && any(&query.tiers, entry.tier.as_deref().unwrap_or("unknown"))
        && (query.tags.is_empty() || query.tags.iter().any(|tag| entry.tags.contains(tag)))
        && query.q.as_deref().is_none_or(|words| contains(entry, words))
}

fn contains(entry: &Entry, words: &str) -> bool {
    let words = words.trim().to_lowercase();
    entry.label.to_lowercase().contains(&words)
        || entry.fingerprint.contains(&words)
        || *entry.id == *words
        || entry.tags.iter().any(|tag| tag.to_lowercase().contains(&words))
}

type Comparison = fn(&Entry, &Entry, i64) -> Ordering;

fn comparison(member: &str) -> Result<Comparison, AccountError> {
    Ok(match member {
        "id" => |left, right, _| left.id.cmp(&right.id),
        "label" => |left, right, _| left.label.cmp(&right.label),
        "tier" => |left, right, _| left.tier.cmp(&right.tier),
        "state" => |left, right, now| {
            let rank = |entry| STATES.iter().position(|name| *name == state_name(entry, now));
            rank(left).cmp(&rank(right))
        },
        "created_at" => |left, right, _| left.created_at.cmp(&right.created_at),
        "last_used_at" => |left, right, _| left.last_used_at.cmp(&right.last_used_at),
        "in_flight" => |left, right, _| left.in_flight.cmp(&right.in_flight),
        "consecutive_failures" => |left, right, _| left.failures.cmp(&right.failures),
        "until" => |left, right, now| {
            let until = |entry: &Entry| entry.whole_rest(now).map(|rest| rest.until);
            until(left).cmp(&until(right))
        },
        other => {
            return Err(AccountError::InvalidQuery {
                path: "sort".to_owned(),
                message: format!(
                    "cannot sort by `{other}`; known: id, label, tier, state, created_at, last_used_at, in_flight, \
                     consecutive_failures, until"
                ),
            });
        }
    })
}
