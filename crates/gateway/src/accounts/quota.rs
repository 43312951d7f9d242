//! What the upstream says is left, and what follows from it.

use protocol::rest::RateLimits;

use super::AccountPool;
use super::entry::{Entry, Invalid, Rest};
use super::history::Cause;
use super::rest::{Fault, RATE_LIMITED_NO_QUOTA, RATE_LIMITED_QUOTA_LEFT, RestLengths};
use crate::store::Write;
use crate::store::accounts::QuotaRow;
use crate::upstream::Credential;

impl AccountPool {
    /// Takes a reading of an account's quota in one mode. After a 429 it decides the rest: a mode that is used up rests until
    /// the upstream says it recovers, and the other modes may serve again; with quota left the whole account rests on.
    pub(crate) fn learn_quota(&self, credential: &Credential, mode: &str, limits: &RateLimits, lengths: &RestLengths) {
        let now = self.shared.clock.now_ms();
        let row = quota_row(credential.account_id(), mode, limits, now);
        let mut state = self.state();
        let Some(index) = state.find_holder(credential) else { return };
        state.change_for(index, now, Cause::Check, |entry| {
            entry.quota.retain(|other| other.mode != mode);
            entry.quota.push(row.clone());
            refine_rest(entry, mode, limits, lengths, now);
        });
        state.mark_dirty(index);
        if let Some(saved) = state.entry_mut(index).map(Entry::state_row) {
            self.shared.writer.enqueue(Write::Account(Box::new(saved)));
        }
        drop(state);
        self.shared.writer.enqueue(Write::Quota(Box::new(row)));
    }
}

impl AccountPool {
    /// Takes the plan that the upstream tells, unless a person has set one.
    pub(crate) async fn learn_tier(&self, credential: &Credential, tier: &'static str) {
        let _edit = self.shared.edits.lock().await;
        let row = {
            let state = self.state();
            let Some(entry) = state.find_holder(credential).and_then(|index| state.entry(index)) else { return };
            if entry.tier_by_owner || entry.tier.as_deref() == Some(tier) {
                return;
            }
            let mut row = entry.row();
            row.tier = Some(tier.to_owned());
            row.version += 1;
            row
        };
        if let Err(error) = self.shared.store.update_accounts(&[&row]).await {
            tracing::warn!(account = &**credential.account_id(), %error, "an account's plan could not be stored");
            return;
        }
        let now = self.shared.clock.now_ms();
        let mut state = self.state();
        if let Some(index) = state.find_holder(credential) {
            state.change_for(index, now, Cause::Check, |entry| entry.take_edit(row));
        }
    }

    /// The upstream does not let an account in any more.
    pub(crate) fn learn_refusal(&self, credential: &Credential, fault: Fault) {
        let now = self.shared.clock.now_ms();
        let mut state = self.state();
        let Some(index) = state.find_holder(credential) else { return };
        state.change_for(index, now, Cause::Check, |entry| {
            if entry.invalid.is_none() {
                entry.invalid = Some(Invalid { reason: fault.label().to_owned(), since: now });
            }
        });
        state.mark_dirty(index);
        if let Some(saved) = state.entry_mut(index).map(Entry::state_row) {
            self.shared.writer.enqueue(Write::Account(Box::new(saved)));
        }
    }

    /// Enabled accounts that are not invalid and whose quota was not read for so many seconds, the longest ago first.
    pub(crate) fn unread_for(&self, seconds: i64, most: usize) -> Vec<String> {
        let time = self.shared.clock.now_ms().saturating_sub(seconds.saturating_mul(1000));
        let state = self.state();
        // One that was asked in vain waits as long as one that answered.
        let read_at =
            |entry: &Entry| entry.quota.iter().map(|row| row.measured_at).max().unwrap_or(0).max(entry.quota_asked_at);
        let mut due: Vec<(i64, &Entry)> = state
            .entries()
            .filter(|entry| entry.enabled && entry.invalid.is_none())
            .map(|entry| (read_at(entry), entry))
            .filter(|(read_at, _)| *read_at < time)
            .collect();
        due.sort_unstable_by(|left, right| left.0.cmp(&right.0).then_with(|| left.1.id.cmp(&right.1.id)));
        due.into_iter().take(most).map(|(_, entry)| entry.id.to_string()).collect()
    }
}

fn quota_row(account_id: &str, mode: &str, limits: &RateLimits, now: i64) -> QuotaRow {
    let seconds = limits.wait_seconds.filter(|wait| *wait > 0).or(limits.window_seconds);
    QuotaRow {
        account_id: account_id.to_owned(),
        mode: mode.to_owned(),
        remaining: limits.remaining,
        total: limits.total,
        window_s: limits.window_seconds,
        resets_at: seconds.map(|seconds| now.saturating_add(seconds.saturating_mul(1_000))),
        source: "upstream".to_owned(),
        measured_at: now,
    }
}

fn refine_rest(entry: &mut Entry, mode: &str, limits: &RateLimits, lengths: &RestLengths, now: i64) {
    let whole = entry.rests.iter().position(|rest| rest.mode.is_none() && is_rate_limit(&rest.reason));
    match limits.remaining {
        Some(remaining) if remaining <= 0 => {
            let caused_by = whole.and_then(|position| entry.rests.remove(position).caused_by);
            let told =
                limits.wait_seconds.filter(|wait| *wait > 0).or(limits.window_seconds.filter(|window| *window > 0));
            let seconds = told.unwrap_or(lengths.quota_gone);
            entry.rest(Rest {
                mode: Some(mode.to_owned()),
                reason: RATE_LIMITED_NO_QUOTA.to_owned(),
                since: now,
                until: now.saturating_add(seconds.saturating_mul(1_000)),
                caused_by,
            });
        }
        Some(_) => {
            if let Some(position) = whole {
                let rest = &mut entry.rests[position];
                if let Some(wait) = limits.wait_seconds.filter(|wait| *wait > 0) {
                    rest.until = now.saturating_add(wait.saturating_mul(1_000));
                } else if rest.reason == RATE_LIMITED_NO_QUOTA {
                    // The answer's words had said that nothing was left.
                    rest.until = rest.since.saturating_add(lengths.quota_left.saturating_mul(1_000));
                }
                RATE_LIMITED_QUOTA_LEFT.clone_into(&mut rest.reason);
            }
            // A mode that was used up and has quota again need not wait for its deadline.
            entry.rests.retain(|rest| rest.mode.as_deref() != Some(mode) || rest.reason != RATE_LIMITED_NO_QUOTA);
        }
        None => {}
    }
}

fn is_rate_limit(reason: &str) -> bool {
    reason == RATE_LIMITED_QUOTA_LEFT || reason == RATE_LIMITED_NO_QUOTA
}
