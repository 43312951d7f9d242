//! What is left over all accounts, by mode, and when more comes back.

use std::collections::BTreeMap;

use super::AccountPool;
use super::choose::{KNOWN_MODES, State};
use super::entry::Entry;

/// Accounts looked at while the pool is held: a choice that waits for it does not notice.
const STEP: u32 = 1_000;

/// How far recoveries are told ahead, and how finely.
const AHEAD_MS: i64 = 3 * 3_600_000;
const TICK_MS: i64 = 5 * 60_000;

/// What is left in one mode over the accounts that can serve.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModeCapacity {
    pub(crate) mode: &'static str,
    /// Queries left and in all, over the accounts whose quota is known.
    pub(crate) remaining: i64,
    pub(crate) total: i64,
    /// Accounts that can serve the mode now.
    pub(crate) ready: u64,
    /// Accounts by where their figure comes from: read from the upstream, derived from an older reading, unknown.
    pub(crate) measured: u64,
    pub(crate) derived: u64,
    pub(crate) unknown: u64,
    /// Queries that come back, by time.
    pub(crate) recoveries: Vec<(i64, i64)>,
}

impl AccountPool {
    /// What is left by mode. The pool is held in short steps; accounts that change in between are counted as they are then.
    pub(crate) fn capacity(&self) -> Vec<ModeCapacity> {
        let now = self.shared.clock.now_ms();
        let mut modes = KNOWN_MODES.map(|mode| (ModeCapacity { mode, ..ModeCapacity::default() }, BTreeMap::new()));
        let mut first = 0;
        loop {
            let mut state = self.state();
            state.wake(now);
            let slots = state.slots();
            add(&state, first..slots.min(first + STEP), now, &mut modes);
            first += STEP;
            if first >= slots {
                break;
            }
        }
        let finished = modes.into_iter().map(|(capacity, ticks): (ModeCapacity, BTreeMap<i64, i64>)| ModeCapacity {
            recoveries: ticks.into_iter().collect(),
            ..capacity
        });
        finished.collect()
    }
}

fn add(state: &State, indices: std::ops::Range<u32>, now: i64, modes: &mut [(ModeCapacity, BTreeMap<i64, i64>); 4]) {
    for entry in indices.filter_map(|index| state.entry(index)) {
        if !entry.enabled || entry.invalid.is_some() {
            continue;
        }
        for (capacity, ticks) in modes.iter_mut() {
            add_account(entry, now, capacity, ticks);
        }
    }
}

fn add_account(entry: &Entry, now: i64, capacity: &mut ModeCapacity, ticks: &mut BTreeMap<i64, i64>) {
    let rest = entry.rests.iter().filter(|rest| rest.until > now && rest.covers(capacity.mode)).map(|rest| rest.until);
    let rests_until = rest.max();
    if rests_until.is_none() {
        capacity.ready += 1;
    }
    let quota = entry.quota.iter().find(|row| row.mode == capacity.mode);
    let Some((total, remaining)) = quota.and_then(|row| Some((row.total?, row.remaining?.max(0)))) else {
        if rests_until.is_none() {
            capacity.unknown += 1;
        }
        return;
    };
    let resets_at = quota.and_then(|row| row.resets_at);
    // After its reset a reading says what there is in all, and no longer what is left.
    let has_reset = resets_at.is_some_and(|at| at <= now);
    let remaining = if has_reset { total } else { remaining };
    match rests_until {
        Some(until) => recover(ticks, now, until.max(resets_at.unwrap_or(until)), total),
        None => {
            capacity.total += total;
            capacity.remaining += remaining;
            if has_reset {
                capacity.derived += 1
            } else {
                capacity.measured += 1
            }
            if let Some(at) = resets_at.filter(|_| total > remaining) {
                recover(ticks, now, at, total - remaining);
            }
        }
    }
}

fn recover(ticks: &mut BTreeMap<i64, i64>, now: i64, at: i64, amount: i64) {
    if at > now && at - now <= AHEAD_MS {
        // Told at the end of its five minutes: earlier would promise too much.
        *ticks.entry((at + TICK_MS - 1).div_euclid(TICK_MS) * TICK_MS).or_default() += amount;
    }
}
