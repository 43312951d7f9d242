//! One account in memory.

use std::sync::Arc;

use super::rest::TOKEN_UNREADABLE;
use crate::store::account_history::HistoryRow;
use crate::store::accounts::{AccountRow, AccountState, QuotaRow, RestRow};
use crate::upstream::Transport;

/// One account: what the database holds of it and what is happening to it now.
pub(super) struct Entry {
    pub(super) id: Arc<str>,
    pub(super) label: String,
    pub(super) tags: Vec<String>,
    pub(super) token_sealed: Arc<str>,
    pub(super) fingerprint: String,
    /// The account's id at the upstream, once known.
    pub(super) user_id: Option<String>,
    /// The account of the same user that was added first.
    pub(super) duplicate_of: Option<Arc<str>>,
    /// What its last answer came over.
    pub(super) transport: Option<Transport>,
    /// Until when the WebSocket is known not to be there for it.
    pub(super) websocket_missing_until: Option<i64>,
    pub(super) tier: Option<String>,
    /// Whether a person has set it.
    pub(super) tier_by_owner: bool,
    pub(super) enabled: bool,
    pub(super) invalid: Option<Invalid>,
    pub(super) failures: i64,
    pub(super) created_at: i64,
    pub(super) last_used_at: Option<i64>,
    pub(super) version: i64,
    pub(super) rests: Vec<Rest>,
    pub(super) quota: Vec<QuotaRow>,
    /// When it was last asked for, whatever came of it; 0 since the start.
    pub(super) quota_asked_at: i64,
    /// After a rest one request goes first; its success ends the probation.
    pub(super) probation: bool,
    pub(super) in_flight: u32,
    /// Order of use: smaller was used longer ago.
    pub(super) used: u64,
    /// When, in that order, the last failure was counted.
    pub(super) failed: u64,
    /// What of its history is not on its way to the disk yet.
    pub(super) history: Vec<HistoryRow>,
    /// The deadline under which the account is to be looked at again.
    pub(super) wakes_at: Option<i64>,
}

/// Why an account cannot be used until a person does something.
#[derive(Clone, Debug)]
pub(super) struct Invalid {
    pub(super) reason: String,
    pub(super) since: i64,
}

/// One rest.
#[derive(Clone, Debug)]
pub(super) struct Rest {
    /// `None`: the whole account.
    pub(super) mode: Option<String>,
    pub(super) reason: String,
    pub(super) since: i64,
    pub(super) until: i64,
    pub(super) caused_by: Option<String>,
}

impl Entry {
    pub(super) fn new(row: AccountRow) -> Self {
        let invalid =
            row.invalid_reason.map(|reason| Invalid { reason, since: row.invalid_since.unwrap_or(row.created_at) });
        Self {
            id: row.id.into(),
            label: row.label,
            // Written by us; a damaged list loses its tags, not the account.
            tags: serde_json::from_str(&row.tags).unwrap_or_default(),
            token_sealed: row.token_sealed.into(),
            fingerprint: row.fingerprint,
            user_id: row.user_id,
            duplicate_of: None,
            transport: row.transport.as_deref().and_then(Transport::of_label),
            websocket_missing_until: row.websocket_missing_until,
            tier: row.tier,
            tier_by_owner: row.tier_by_owner,
            enabled: row.enabled,
            invalid,
            failures: row.consecutive_failures,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
            version: row.version,
            rests: Vec::new(),
            quota: Vec::new(),
            quota_asked_at: 0,
            probation: false,
            in_flight: 0,
            used: 0,
            failed: 0,
            history: Vec::new(),
            wakes_at: None,
        }
    }

    /// The row that an edit stores.
    pub(super) fn row(&self) -> AccountRow {
        AccountRow {
            id: self.id.to_string(),
            label: self.label.clone(),
            tags: stored_tags(&self.tags),
            token_sealed: self.token_sealed.to_string(),
            fingerprint: self.fingerprint.clone(),
            user_id: self.user_id.clone(),
            tier: self.tier.clone(),
            tier_by_owner: self.tier_by_owner,
            enabled: self.enabled,
            invalid_reason: self.invalid.as_ref().map(|invalid| invalid.reason.clone()),
            invalid_since: self.invalid.as_ref().map(|invalid| invalid.since),
            consecutive_failures: self.failures,
            created_at: self.created_at,
            last_used_at: self.last_used_at,
            version: self.version,
            transport: self.transport.map(|transport| transport.label().to_owned()),
            websocket_missing_until: self.websocket_missing_until,
        }
    }

    /// Takes over what an edit has stored. Switched on, it is no longer `invalid`: the person says that it works again.
    pub(super) fn take_edit(&mut self, row: AccountRow) {
        if row.enabled && !self.enabled && self.trust_again() {
            self.probation = true;
        }
        self.label = row.label;
        self.tags = serde_json::from_str(&row.tags).unwrap_or_default();
        self.tier = row.tier;
        self.tier_by_owner = row.tier_by_owner;
        self.enabled = row.enabled;
        self.version = row.version;
    }

    /// Takes over a new token: what was known of the old one's user and of how to reach it no longer holds.
    pub(super) fn take_token(&mut self, row: AccountRow) {
        self.token_sealed = row.token_sealed.into();
        self.fingerprint = row.fingerprint;
        self.version = row.version;
        self.user_id = None;
        self.websocket_missing_until = None;
        self.quota_asked_at = 0;
        self.probation |= self.invalid.take().is_some();
    }

    /// Ends every rest and an `invalid`; one request goes first. Whether there was any.
    pub(super) fn clear_cooldown(&mut self) -> bool {
        let rested = !self.rests.is_empty();
        self.rests.clear();
        let rested = self.trust_again() || rested;
        self.failures = 0;
        self.probation |= rested;
        rested
    }

    /// Ends an `invalid` that the upstream caused; whether there was one. What is wrong with the token here no word of a person
    /// changes.
    fn trust_again(&mut self) -> bool {
        self.invalid.take_if(|invalid| invalid.reason != TOKEN_UNREADABLE).is_some()
    }

    /// The part that requests change, for the writer, with what of the history it has not been given.
    pub(super) fn state_row(&mut self) -> AccountState {
        AccountState {
            id: self.id.to_string(),
            invalid_reason: self.invalid.as_ref().map(|invalid| invalid.reason.clone()),
            invalid_since: self.invalid.as_ref().map(|invalid| invalid.since),
            consecutive_failures: self.failures,
            last_used_at: self.last_used_at,
            user_id: self.user_id.clone(),
            transport: self.transport.map(Transport::label),
            websocket_missing_until: self.websocket_missing_until,
            history: std::mem::take(&mut self.history),
            rests: self
                .rests
                .iter()
                .map(|rest| RestRow {
                    account_id: self.id.to_string(),
                    mode: rest.mode.clone().unwrap_or_default(),
                    reason: rest.reason.clone(),
                    since_at: rest.since,
                    until_at: rest.until,
                    caused_by: rest.caused_by.clone(),
                })
                .collect(),
        }
    }

    /// Whether nothing but its load stands against using the account in `mode`.
    pub(super) fn can_serve(&self, mode: &str, now: i64) -> bool {
        self.enabled && self.invalid.is_none() && !self.rests.iter().any(|rest| rest.until > now && rest.covers(mode))
    }

    /// Whether the choice may fall on the account in `mode`.
    pub(super) fn is_ready(&self, mode: &str, now: i64) -> bool {
        self.can_serve(mode, now) && !(self.probation && self.in_flight > 0)
    }

    /// For which of `modes` the choice may fall on the account, one bit each.
    pub(super) fn ready_modes(&self, modes: &[String], now: i64) -> u64 {
        if self.rests.is_empty() {
            return if self.is_ready("", now) { (1 << modes.len()) - 1 } else { 0 };
        }
        let ready = modes.iter().enumerate().filter(|(_, mode)| self.is_ready(mode, now));
        ready.fold(0, |bits, (position, _)| bits | 1 << position)
    }

    /// Starts a rest unless one of the same scope lasts longer: requests that ran at the same time end in any order.
    pub(super) fn rest_at_least(&mut self, rest: Rest) {
        if !self.rests.iter().any(|other| other.mode == rest.mode && other.until > rest.until) {
            self.rest(rest);
        }
    }

    /// Starts a rest, replacing an earlier one of the same scope.
    pub(super) fn rest(&mut self, rest: Rest) {
        self.rests.retain(|other| other.mode != rest.mode);
        self.rests.push(rest);
    }

    /// The rest of the whole account, if it rests.
    pub(super) fn whole_rest(&self, now: i64) -> Option<&Rest> {
        self.rests.iter().find(|rest| rest.mode.is_none() && rest.until > now)
    }
}

/// Tags as they are stored.
pub(super) fn stored_tags(tags: &[String]) -> String {
    serde_json::to_string(tags).unwrap_or_else(|_| "[]".to_owned())
}

impl Rest {
    pub(super) fn from_row(row: RestRow) -> Self {
        Self {
            mode: (!row.mode.is_empty()).then_some(row.mode),
            reason: row.reason,
            since: row.since_at,
            until: row.until_at,
            caused_by: row.caused_by,
        }
    }

    pub(super) fn covers(&self, mode: &str) -> bool {
        self.mode.as_deref().is_none_or(|own| own == mode)
    }
}
