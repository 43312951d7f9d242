//! Which account serves.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Serialize;

use super::choice::why_not;
use super::entry::{Entry, Rest};
use super::history::{Cause, Standing};
use super::ready::ReadyLists;
use super::users::ByUser;
use crate::store::accounts::{AccountRow, QuotaRow, RestRow};
use crate::upstream::Credential;

/// Modes that accounts are listed for from the start.
pub(crate) const KNOWN_MODES: [&str; 4] = ["auto", "fast", "expert", "heavy"];

/// Most modes that accounts are listed for (one bit each). Unknown model names pass through as modes, so a client can invent any
/// number of them; the rest are looked for under `auto` and checked one by one.
const MODES: usize = 32;

/// How long the reasons for "no account" are remembered: counting them looks at every account.
const REASONS_KEPT_MS: i64 = 1_000;

/// The pool's plain data.
pub(super) struct State {
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    by_id: HashMap<std::sync::Arc<str>, u32>,
    by_fingerprint: HashMap<String, u32>,
    pub(super) by_user: ByUser,
    /// The names of the modes; their positions are their bits in the lists.
    modes: Vec<String>,
    ready: ReadyLists,
    wakes: BTreeSet<(i64, u32)>,
    clock_of_use: u64,
    dirty: HashSet<u32>,
    /// Counts accounts that came, went, were edited, began or ended a rest.
    changes: u64,
    reasons: HashMap<String, (i64, NoAccount)>,
}

/// Why no account can serve, by reason.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct NoAccount {
    /// Accounts by reason: `disabled`, `invalid`, a rest's reason, `busy`, `tried`.
    pub(crate) reasons: BTreeMap<String, u64>,
    /// When the first rest ends, milliseconds since 1970.
    #[serde(skip)]
    pub(crate) next_at: Option<i64>,
}

impl State {
    pub(super) fn build(accounts: Vec<AccountRow>, rests: Vec<RestRow>, quota: Vec<QuotaRow>, now: i64) -> Self {
        let mut state = Self {
            entries: Vec::with_capacity(accounts.len()),
            free: Vec::new(),
            by_id: HashMap::with_capacity(accounts.len()),
            by_fingerprint: HashMap::with_capacity(accounts.len()),
            by_user: ByUser::default(),
            modes: KNOWN_MODES.map(str::to_owned).into(),
            ready: ReadyLists::default(),
            wakes: BTreeSet::new(),
            clock_of_use: 0,
            dirty: HashSet::new(),
            changes: 0,
            reasons: HashMap::new(),
        };
        let mut accounts = accounts;
        // Longest unused first, as before the restart.
        accounts.sort_by_key(|row| row.last_used_at.unwrap_or(0));
        for row in accounts {
            let index = u32::try_from(state.entries.len()).expect("fewer than four billion accounts");
            let mut entry = Entry::new(row);
            state.clock_of_use += 1;
            entry.used = state.clock_of_use;
            state.by_id.insert(entry.id.clone(), index);
            state.by_fingerprint.insert(entry.fingerprint.clone(), index);
            state.entries.push(Some(entry));
            state.join_user(index);
        }
        for row in rests {
            if let Some(entry) =
                state.by_id.get(row.account_id.as_str()).copied().and_then(|index| state.entry_mut(index))
            {
                entry.rests.push(Rest::from_row(row));
            }
        }
        for row in quota {
            if let Some(entry) =
                state.by_id.get(row.account_id.as_str()).copied().and_then(|index| state.entry_mut(index))
            {
                entry.quota.push(row);
            }
        }
        state.index_all(now);
        state
    }

    fn index_all(&mut self, now: i64) {
        for index in 0..self.entries.len() {
            self.reindex(u32::try_from(index).expect("fewer than four billion accounts"), now);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn entry(&self, index: u32) -> Option<&Entry> {
        self.entries.get(index as usize)?.as_ref()
    }

    pub(super) fn entry_mut(&mut self, index: u32) -> Option<&mut Entry> {
        self.entries.get_mut(index as usize)?.as_mut()
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().flatten()
    }

    pub(super) fn find(&self, id: &str) -> Option<u32> {
        self.by_id.get(id).copied()
    }

    /// The account of a credential, while it still has that token.
    pub(super) fn find_holder(&self, credential: &Credential) -> Option<u32> {
        let index = self.find(credential.account_id())?;
        self.entry(index).filter(|entry| credential.holds(&entry.token_sealed)).map(|_| index)
    }

    pub(super) fn find_by_fingerprint(&self, fingerprint: &str) -> Option<&Entry> {
        self.by_fingerprint.get(fingerprint).and_then(|index| self.entry(*index))
    }

    /// Changes how an account stands, writes down what is different and why, and puts it where it now belongs.
    pub(super) fn change_for<T>(
        &mut self,
        index: u32,
        now: i64,
        cause: Cause<'_>,
        change: impl FnOnce(&mut Entry) -> T,
    ) -> Option<T> {
        self.change(index, now, |entry| {
            let before = Standing::of(entry);
            let result = change(entry);
            before.note_difference(entry, cause, now);
            result
        })
    }

    /// Changes of an account what does not decide whether it may serve, and puts it where it now belongs.
    fn change<T>(&mut self, index: u32, now: i64, change: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let entry = self.entry_mut(index)?;
        let result = change(entry);
        self.reindex(index, now);
        Some(result)
    }

    pub(super) fn insert(&mut self, mut entry: Entry, now: i64) {
        self.changes += 1;
        self.reasons.clear();
        self.clock_of_use += 1;
        entry.used = self.clock_of_use;
        let (id, fingerprint) = (entry.id.clone(), entry.fingerprint.clone());
        let index = match self.free.pop() {
            Some(index) => {
                self.entries[index as usize] = Some(entry);
                index
            }
            None => {
                self.entries.push(Some(entry));
                u32::try_from(self.entries.len() - 1).expect("fewer than four billion accounts")
            }
        };
        self.by_id.insert(id, index);
        self.by_fingerprint.insert(fingerprint, index);
        self.join_user(index);
        self.reindex(index, now);
    }

    /// An account is to be found by another fingerprint, and no longer by the user that it was known to belong to.
    pub(super) fn rename(&mut self, id: &str, fingerprint: &str) {
        let Some(index) = self.find(id) else { return };
        let Some(entry) = self.entry_mut(index) else { return };
        let (old, user_id) = (entry.fingerprint.clone(), entry.user_id.take());
        self.leave_user(index, user_id.as_deref());
        if let Some(entry) = self.entry_mut(index) {
            entry.duplicate_of = None;
        }
        self.by_fingerprint.remove(&old);
        self.by_fingerprint.insert(fingerprint.to_owned(), index);
    }

    pub(super) fn remove(&mut self, id: &str) {
        let Some(index) = self.by_id.remove(id) else { return };
        self.changes += 1;
        self.unindex(index);
        self.dirty.remove(&index);
        if let Some(entry) = self.entries[index as usize].take() {
            self.by_fingerprint.remove(&entry.fingerprint);
            self.leave_user(index, entry.user_id.as_deref());
        }
        self.free.push(index);
    }

    fn unindex(&mut self, index: u32) {
        self.ready.remove(index);
        if let Some(at) = self.entry_mut(index).and_then(|entry| entry.wakes_at.take()) {
            self.wakes.remove(&(at, index));
        }
    }

    fn reindex(&mut self, index: u32, now: i64) {
        let Some(entry) = self.entries.get_mut(index as usize).and_then(Option::as_mut) else { return };
        self.ready.put(index, entry.ready_modes(&self.modes, now), entry.in_flight, entry.used);
        let wakes_at = entry.rests.iter().map(|rest| rest.until).min();
        if entry.wakes_at != wakes_at {
            if let Some(at) = std::mem::replace(&mut entry.wakes_at, wakes_at) {
                self.wakes.remove(&(at, index));
            }
            if let Some(at) = wakes_at {
                self.wakes.insert((at, index));
            }
        }
    }

    /// Ends the rests whose time has come; the account is then on probation.
    pub(super) fn wake(&mut self, now: i64) {
        while let Some(&(at, index)) = self.wakes.first() {
            if at > now {
                return;
            }
            self.wakes.pop_first();
            if let Some(entry) = self.entry_mut(index) {
                entry.wakes_at = None;
                let before = Standing::of(entry);
                entry.rests.retain(|rest| rest.until > now);
                before.note_difference(entry, Cause::Time, now);
                entry.probation = true;
                entry.failures = 0;
                self.dirty.insert(index);
                self.changes += 1;
            }
            self.reindex(index, now);
        }
    }

    /// Takes an account for one request: `preferred` while it can serve, else the least busy, longest unused one.
    pub(super) fn take(&mut self, mode: &str, preferred: Option<&str>, tried: &[u32], now: i64) -> Option<u32> {
        self.wake(now);
        let index = preferred
            .and_then(|id| self.find(id))
            .filter(|index| !tried.contains(index))
            .filter(|index| self.entry(*index).is_some_and(|entry| entry.can_serve(mode, now)))
            .or_else(|| self.first_ready(mode, tried, now))?;
        self.use_now(index, now);
        Some(index)
    }

    /// Takes this account and no other; or why it cannot serve.
    pub(super) fn take_only(&mut self, mode: &str, id: &str, tried: &[u32], now: i64) -> Result<u32, NoAccount> {
        self.wake(now);
        let index = self.find(id);
        let entry = index.and_then(|index| self.entry(index));
        let (reason, next_at) = match (index, entry) {
            (Some(index), Some(entry)) if entry.can_serve(mode, now) && tried.contains(&index) => {
                ("tried".to_owned(), None)
            }
            (Some(index), Some(entry)) if entry.can_serve(mode, now) => {
                self.use_now(index, now);
                return Ok(index);
            }
            (_, Some(entry)) => {
                let rest = entry.rests.iter().find(|rest| rest.until > now && rest.covers(mode));
                (why_not(entry, mode, now).to_owned(), rest.map(|rest| rest.until))
            }
            (_, None) => ("deleted".to_owned(), None),
        };
        Err(NoAccount { reasons: BTreeMap::from([(reason, 1)]), next_at })
    }

    fn use_now(&mut self, index: u32, now: i64) {
        self.clock_of_use += 1;
        let used = self.clock_of_use;
        self.change(index, now, |entry| {
            entry.in_flight += 1;
            entry.used = used;
            entry.last_used_at = Some(now);
        });
        self.dirty.insert(index);
    }

    fn first_ready(&mut self, mode: &str, tried: &[u32], now: i64) -> Option<u32> {
        let bit = self.bit_of(mode, now);
        let Self { ready, entries, .. } = self;
        let is_ready = |index: u32| {
            let entry = entries.get(index as usize).and_then(Option::as_ref);
            entry.is_some_and(|entry| entry.is_ready(mode, now))
        };
        ready.first(bit, |index| !tried.contains(&index) && is_ready(index))
    }

    /// The bit of a mode; accounts are listed for it from when it is first asked for.
    fn bit_of(&mut self, mode: &str, now: i64) -> u64 {
        if let Some(position) = self.modes.iter().position(|known| known == mode) {
            return 1 << position;
        }
        if self.modes.len() == MODES {
            return 1;
        }
        self.modes.push(mode.to_owned());
        self.ready.clear();
        self.index_all(now);
        1 << (self.modes.len() - 1)
    }

    /// Places in the pool, the free ones included.
    pub(super) fn slots(&self) -> u32 {
        u32::try_from(self.entries.len()).unwrap_or(u32::MAX)
    }

    /// Accounts that could serve a mode now; modes that accounts are not listed for count as `auto`.
    pub(super) fn ready_count(&self, mode: &str) -> usize {
        let position = self.modes.iter().position(|known| known == mode);
        self.ready.count(1 << position.unwrap_or(0))
    }

    /// Gives back what [`State::take`] took.
    pub(super) fn give_back(
        &mut self,
        index: u32,
        id: &str,
        now: i64,
        cause: Cause<'_>,
        change: impl FnOnce(&mut Entry),
    ) -> bool {
        // The slot may have been given to another account after a deletion.
        if self.entry(index).is_none_or(|entry| &*entry.id != id) {
            return false;
        }
        self.clock_of_use += 1;
        let used = self.clock_of_use;
        self.change_for(index, now, cause, |entry| {
            entry.in_flight = entry.in_flight.saturating_sub(1);
            entry.used = used;
            change(entry);
        });
        true
    }

    /// How often accounts have changed since the start.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    pub(super) fn mark_dirty(&mut self, index: u32) {
        self.dirty.insert(index);
        self.changes += 1;
        self.reasons.clear();
    }

    /// What [`State::take_dirty`] gave could not be stored yet.
    pub(super) fn put_back(&mut self, dirty: impl IntoIterator<Item = u32>) {
        self.dirty.extend(dirty);
    }

    /// Accounts whose state is to be stored.
    pub(super) fn take_dirty(&mut self) -> HashSet<u32> {
        std::mem::take(&mut self.dirty)
    }

    /// Why nobody can serve `mode`.
    pub(super) fn no_account(&mut self, mode: &str, tried: &[u32], now: i64) -> NoAccount {
        if tried.is_empty()
            && let Some((at, reasons)) = self.reasons.get(mode)
            && now - at < REASONS_KEPT_MS
        {
            return reasons.clone();
        }
        let mut result = NoAccount::default();
        for (index, entry) in self.entries.iter().enumerate() {
            let Some(entry) = entry else { continue };
            let mut next = None;
            let reason = if !entry.enabled {
                "disabled"
            } else if entry.invalid.is_some() {
                "invalid"
            } else if let Some(rest) = entry.rests.iter().find(|rest| rest.until > now && rest.covers(mode)) {
                next = Some(rest.until);
                rest.reason.as_str()
            } else if tried.iter().any(|tried| *tried as usize == index) {
                "tried"
            } else {
                "busy"
            };
            *result.reasons.entry(reason.to_owned()).or_default() += 1;
            result.next_at = [result.next_at, next].into_iter().flatten().min();
        }
        if tried.is_empty() && self.reasons.len() < MODES {
            self.reasons.insert(mode.to_owned(), (now, result.clone()));
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const NOW: i64 = 1_788_220_800_000;

    fn pool_of(count: usize, rests: Vec<RestRow>) -> State {
        let account = |index: usize| AccountRow {
            id: format!("acc_{index:08}"),
            label: String::new(),
            tags: "[]".to_owned(),
            token_sealed: String::new(),
            fingerprint: format!("{index:012x}"),
            user_id: None,
            tier: None,
            enabled: true,
            invalid_reason: None,
            invalid_since: None,
            consecutive_failures: 0,
            created_at: NOW,
            last_used_at: None,
            version: 1,
            transport: None,
            websocket_missing_until: None,
            tier_by_owner: false,
        };
        State::build((0..count).map(account).collect(), rests, Vec::new(), NOW)
    }

    /// Rests for all but the first ten of so many accounts.
    fn rests_of_most(count: usize) -> Vec<RestRow> {
        let rest = |index: usize| RestRow {
            account_id: format!("acc_{index:08}"),
            mode: String::new(),
            reason: "consecutive_failures".to_owned(),
            since_at: NOW,
            until_at: NOW + 3_600_000,
            caused_by: None,
        };
        (10..count).map(rest).collect()
    }

    /// Takes accounts and gives them back; the time of one such use.
    fn time_of_use(state: &mut State) -> f64 {
        const TIMES: u32 = 1_000;
        let began = Instant::now();
        for _ in 0..TIMES {
            let index = state.take("auto", None, &[], NOW).expect("some are ready");
            let id = std::sync::Arc::clone(&state.entry(index).expect("just taken").id);
            assert!(state.give_back(index, &id, NOW, Cause::Time, |_| {}));
        }
        began.elapsed().as_secs_f64() / f64::from(TIMES)
    }

    fn median(mut times: Vec<f64>) -> f64 {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    }

    /// The steps are the same; what grows is how much of the pool the processor has at hand. Anything that looks at every account
    /// is beyond the bound by far.
    #[test]
    fn choosing_among_a_hundred_thousand_costs_about_as_much_as_among_ten() {
        const MANY: usize = 100_000;
        let (mut few, mut many) = (pool_of(10, Vec::new()), pool_of(MANY, Vec::new()));
        let mut mostly_resting = pool_of(MANY, rests_of_most(MANY));
        let (mut of_few, mut of_many, mut of_resting) = (Vec::new(), Vec::new(), Vec::new());
        // In turns, so that whatever else the machine does meets all three.
        for _ in 0..51 {
            of_few.push(time_of_use(&mut few));
            of_many.push(time_of_use(&mut many));
            of_resting.push(time_of_use(&mut mostly_resting));
        }
        let (few, many, resting) = (median(of_few), median(of_many), median(of_resting));
        assert!(many < few * 3.0, "{many:e} s among {MANY}, {few:e} s among ten");
        assert!(resting < few * 3.0, "{resting:e} s among ten of {MANY} that do not rest, {few:e} s among ten");
    }
}
