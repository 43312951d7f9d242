//! What became of an account: rests that began, changed and ended, a credential that died, the switch; when, why and by whom.
//!
//! Every change of an account goes through [`State::change_for`](super::choose::State::change_for), which compares how it stood before and
//! after: nothing that decides whether an account may serve can happen without a line here. The lines are written with the
//! account's state, in one transaction.

use serde::Serialize;
use utoipa::ToSchema;

use super::AccountPool;
use super::entry::{Entry, Invalid, Rest};
use crate::clock::timestamp;
use crate::store::StoreError;
use crate::store::account_history::HistoryRow;

/// How long the lines are kept: 30 days.
const KEPT_MS: i64 = 30 * 24 * 3_600_000;

/// Lines kept of all accounts together.
const KEPT: i64 = 500_000;

/// A rest that is prolonged by less is the same: answers that ran at the same time fail one after the other.
const SAME_REST_MS: i64 = 60_000;

/// Why an account's state changed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cause<'a> {
    /// What the upstream answered to this request.
    Request(&'a str),
    /// What the upstream told of the account's quota or login.
    Check,
    /// A rest was over.
    Time,
    /// A person, by name.
    Person(&'a str),
}

impl Cause<'_> {
    fn label(self) -> &'static str {
        match self {
            Self::Request(_) => "request",
            Self::Check => "check",
            Self::Time => "time",
            Self::Person(_) => "person",
        }
    }
}

/// One line of an account's history.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct HistoryEntry {
    pub(crate) id: String,
    pub(crate) at: String,
    /// `rest_began`, `rest_changed`, `rest_ended`, `invalid`, `valid_again`, `enabled`, `disabled`, `added`, `edited` (tags or tier, by
    /// a job), `deleted`, `restored`; `changed`: see `action`.
    pub(crate) kind: String,
    /// `request`: what the upstream answered to one; `check`: what it told of quota or login; `time`: the rest was over; `person`.
    pub(crate) cause: String,
    /// The person's name.
    pub(crate) actor: Option<String>,
    /// The mode that rests; `null`: the whole account.
    pub(crate) mode: Option<String>,
    /// Why, as in `state.reason.code`.
    pub(crate) reason: Option<String>,
    /// When the rest ends.
    pub(crate) until: Option<String>,
    /// The request that caused it.
    pub(crate) request_id: Option<String>,
}

impl From<HistoryRow> for HistoryEntry {
    fn from(row: HistoryRow) -> Self {
        Self {
            id: row.id,
            at: timestamp(row.at),
            kind: row.kind,
            cause: row.cause,
            actor: row.actor,
            mode: row.mode,
            reason: row.reason,
            until: row.until_at.map(timestamp),
            request_id: row.request_id,
        }
    }
}

impl AccountPool {
    /// An account's history, newest first; what has happened until now is in it.
    pub(crate) async fn history(
        &self,
        id: &str,
        before: Option<&str>,
        limit: i64,
    ) -> Result<Vec<HistoryEntry>, StoreError> {
        self.store_pending(id).await?;
        self.shared.writer.settled().await;
        let rows = self.shared.store.account_history(id, before, limit).await?;
        Ok(rows.into_iter().map(HistoryEntry::from).collect())
    }

    /// Rests that have ended unseen are written down now.
    async fn store_pending(&self, id: &str) -> Result<(), StoreError> {
        let now = self.shared.clock.now_ms();
        let saved = {
            let mut state = self.state();
            state.wake(now);
            let Some(entry) = state.find(id).and_then(|index| state.entry_mut(index)) else { return Ok(()) };
            if entry.history.is_empty() {
                return Ok(());
            }
            entry.state_row()
        };
        self.shared.store.save_account_states(&[saved]).await
    }

    /// Lets old lines go; called now and then.
    pub(crate) async fn trim_history(&self) -> Result<u64, StoreError> {
        self.shared.store.trim_account_history(self.shared.clock.now_ms() - KEPT_MS, KEPT).await
    }
}

/// How an account stands, as far as it decides whether it may serve.
pub(super) struct Standing {
    rests: Vec<Rest>,
    invalid: Option<Invalid>,
    enabled: bool,
}

impl Standing {
    pub(super) fn of(entry: &Entry) -> Self {
        Self { rests: entry.rests.clone(), invalid: entry.invalid.clone(), enabled: entry.enabled }
    }

    /// Writes down how an account stands differently now.
    pub(super) fn note_difference(self, entry: &mut Entry, cause: Cause<'_>, now: i64) {
        let mut lines = Vec::new();
        if entry.enabled != self.enabled {
            lines.push(line(&entry.id, if entry.enabled { "enabled" } else { "disabled" }, cause, now));
        }
        match (&self.invalid, &entry.invalid) {
            (None, Some(invalid)) => {
                lines.push(HistoryRow {
                    reason: Some(invalid.reason.clone()),
                    ..line(&entry.id, "invalid", cause, now)
                });
            }
            (Some(invalid), None) => {
                let reason = Some(invalid.reason.clone());
                lines.push(HistoryRow { reason, ..line(&entry.id, "valid_again", cause, now) });
            }
            _ => {}
        }
        self.note_rests(entry, cause, now, &mut lines);
        entry.history.extend(lines);
    }

    fn note_rests(&self, entry: &Entry, cause: Cause<'_>, now: i64, lines: &mut Vec<HistoryRow>) {
        let of_mode = |rests: &[Rest], mode: &Option<String>| rests.iter().find(|rest| rest.mode == *mode).cloned();
        let ended: Vec<&Rest> = self.rests.iter().filter(|rest| of_mode(&entry.rests, &rest.mode).is_none()).collect();
        // The upstream has told which mode it was that rests, or how long: that is the same rest, better known.
        let narrowed = matches!(cause, Cause::Check) && !ended.is_empty();
        for rest in &entry.rests {
            let kind = match of_mode(&self.rests, &rest.mode) {
                Some(before) if before.reason == rest.reason && (before.until - rest.until).abs() < SAME_REST_MS => {
                    continue;
                }
                Some(_) => "rest_changed",
                None if narrowed => "rest_changed",
                None => "rest_began",
            };
            lines.push(of_rest(entry, rest, kind, cause, now));
        }
        if !narrowed || entry.rests.is_empty() {
            // What ended by its time did so then, however late it was seen.
            let at = |rest: &Rest| if matches!(cause, Cause::Time) { rest.until } else { now };
            lines.extend(ended.into_iter().map(|rest| of_rest(entry, rest, "rest_ended", cause, at(rest))));
        }
    }
}

fn of_rest(entry: &Entry, rest: &Rest, kind: &str, cause: Cause<'_>, at: i64) -> HistoryRow {
    HistoryRow {
        mode: rest.mode.clone(),
        reason: Some(rest.reason.clone()),
        until_at: Some(rest.until),
        request_id: rest.caused_by.clone(),
        ..line(&entry.id, kind, cause, at)
    }
}

/// A line that says no more than what, why and when.
pub(super) fn line(account_id: &str, kind: &str, cause: Cause<'_>, at: i64) -> HistoryRow {
    let named = |named: Option<&str>| named.map(str::to_owned);
    let (actor, request_id) = match cause {
        Cause::Person(name) => (Some(name), None),
        Cause::Request(id) => (None, Some(id)),
        Cause::Check | Cause::Time => (None, None),
    };
    HistoryRow {
        id: HistoryRow::new_id(),
        account_id: account_id.to_owned(),
        at,
        kind: kind.to_owned(),
        cause: cause.label().to_owned(),
        actor: named(actor),
        mode: None,
        reason: None,
        until_at: None,
        request_id: named(request_id),
    }
}
