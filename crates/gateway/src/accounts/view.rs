//! Accounts as the console and scripts see them: never a token.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::AccountPool;
use super::choose::KNOWN_MODES;
use super::entry::{Entry, Invalid};
use super::rest::{RATE_LIMITED_NO_QUOTA, TOKEN_UNREADABLE};
use crate::clock::timestamp;
use crate::upstream::Transport;

/// One account in a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct AccountView {
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) fingerprint: String,
    pub(crate) tier: Option<String>,
    /// `owner`: a person has set it; `upstream`: its plan; `null` while it is not known.
    pub(crate) tier_source: Option<&'static str>,
    /// The account of the same upstream user that was added first: both share one quota.
    pub(crate) duplicate_of: Option<String>,
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

/// Counters over all accounts.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(crate) struct Summary {
    pub(crate) total: u64,
    pub(crate) states: BTreeMap<&'static str, u64>,
    pub(crate) tiers: BTreeMap<String, u64>,
    pub(crate) in_flight: u64,
    /// Accounts whose tokens were sealed with another key.
    pub(crate) unreadable: u64,
    /// Accounts of users that have another account here, which was added before.
    pub(crate) duplicates: u64,
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

    /// Why an account is dead, if it is; also one that is switched off may be.
    pub(crate) fn invalid_reason(&self, id: &str) -> Option<String> {
        let state = self.state();
        let entry = state.entry(state.find(id)?)?;
        entry.invalid.as_ref().map(|invalid| invalid.reason.clone())
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
            let is_unreadable = |invalid: &Invalid| invalid.reason == TOKEN_UNREADABLE;
            summary.unreadable += u64::from(entry.invalid.as_ref().is_some_and(is_unreadable));
            summary.duplicates += u64::from(entry.duplicate_of.is_some());
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

pub(super) fn state_name(entry: &Entry, now: i64) -> &'static str {
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
    // In the order of the modes, whichever was read last.
    let place = |mode: &str| KNOWN_MODES.iter().position(|known| *known == mode).unwrap_or(KNOWN_MODES.len());
    let mut rows: Vec<_> = entry.quota.iter().collect();
    rows.sort_by_key(|row| place(&row.mode));
    let quota = rows.into_iter().map(|row| QuotaView {
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
        tier_source: entry.tier.as_ref().map(|_| if entry.tier_by_owner { "owner" } else { "upstream" }),
        duplicate_of: entry.duplicate_of.as_deref().map(str::to_owned),
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
