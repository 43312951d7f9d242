//! Lists of accounts, their orders kept for a while, and how many there are of each value.
//!
//! A list is a *view*: the ids that match, in order, as they were when it was first asked for. Further windows are cut from it, so
//! that nothing moves while somebody scrolls, and a job on "all that match" does to exactly those. The pool's lock is held for one
//! look at every account, never while sorting.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, MutexGuard, PoisonError};

use serde::Serialize;
use utoipa::ToSchema;

use super::choose::State;
use super::entry::Entry;
use super::view::{STATES, state_name, view};
use super::{AccountError, AccountPool, AccountView};
use crate::clock::timestamp;
use crate::secrets::random_token;

/// How long an order is kept that nobody asks for.
const KEPT_MS: i64 = 2 * 60_000;

/// Most orders kept; 100,000 accounts are 1.6 MB each.
const MOST_VIEWS: usize = 16;

/// What to list. Empty lists do not filter.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccountQuery {
    pub(crate) states: Vec<String>,
    pub(crate) tiers: Vec<String>,
    pub(crate) tags: Vec<String>,
    /// Why accounts rest or are invalid.
    pub(crate) reasons: Vec<String>,
    /// Whether another account of the same user was added before.
    pub(crate) duplicate: Option<bool>,
    /// Part of a label, tag or fingerprint.
    pub(crate) q: Option<String>,
    /// Member and whether descending; `id` completes the order.
    pub(crate) sort: Vec<(String, bool)>,
    pub(crate) offset: usize,
    pub(crate) limit: usize,
    /// The order to cut the window from; a new one without it.
    pub(crate) view: Option<String>,
}

/// One window of a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct AccountPage {
    pub(crate) items: Vec<AccountView>,
    pub(crate) total: usize,
    /// Names the order: give it back for further windows and for jobs.
    pub(crate) view: String,
    pub(crate) view_created_at: String,
    /// Accounts added, removed, edited, and rests begun or ended since then, in the whole pool.
    pub(crate) changed_since: u64,
}

/// A value and how many accounts have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FacetValue {
    pub(crate) value: String,
    pub(crate) count: u64,
}

/// What accounts can be counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FacetField {
    State,
    Tier,
    Tag,
    Reason,
}

impl FacetField {
    pub(crate) const NAMES: [(&'static str, Self); 4] =
        [("state", Self::State), ("tier", Self::Tier), ("tag", Self::Tag), ("reason", Self::Reason)];
}

/// The orders that are kept.
#[derive(Default)]
pub(super) struct Views {
    by_name: HashMap<String, KeptView>,
}

#[derive(Clone)]
struct KeptView {
    ids: Arc<[Arc<str>]>,
    created_at: i64,
    used_at: i64,
    /// Whether more than its first window was asked for.
    is_used: bool,
    /// The pool's count of changes when it was made.
    changes: u64,
}

impl AccountPool {
    /// A window of the accounts that match, in order.
    pub(crate) fn list(&self, query: &AccountQuery) -> Result<AccountPage, AccountError> {
        let now = self.shared.clock.now_ms();
        let (name, kept) = match &query.view {
            Some(name) => (name.clone(), self.views().find(name, now).ok_or(AccountError::ViewExpired)?),
            None => self.open_view(query, now)?,
        };
        let state = self.state();
        let window = kept.ids.iter().skip(query.offset).take(query.limit);
        let entries = window.filter_map(|id| state.entry(state.find(id)?));
        Ok(AccountPage {
            items: entries.map(|entry| view(entry, now)).collect(),
            total: kept.ids.len(),
            view: name,
            view_created_at: timestamp(kept.created_at),
            changed_since: state.changes().saturating_sub(kept.changes),
        })
    }

    /// The first of the accounts that match, and how many do, without keeping the order.
    pub(crate) fn first(&self, query: &AccountQuery) -> Result<(Vec<AccountView>, usize), AccountError> {
        let now = self.shared.clock.now_ms();
        let (ids, _) = self.sorted(query, now)?;
        let state = self.state();
        let entries = ids.iter().take(query.limit).filter_map(|id| state.entry(state.find(id)?));
        Ok((entries.map(|entry| view(entry, now)).collect(), ids.len()))
    }

    /// The ids of a view, in order.
    pub(crate) fn ids_of_view(&self, name: &str) -> Result<Arc<[Arc<str>]>, AccountError> {
        let kept = self.views().find(name, self.shared.clock.now_ms());
        kept.map(|kept| kept.ids).ok_or(AccountError::ViewExpired)
    }

    /// The ids of the accounts that match, in order.
    pub(crate) fn matching(&self, query: &AccountQuery) -> Result<Vec<Arc<str>>, AccountError> {
        Ok(self.sorted(query, self.shared.clock.now_ms())?.0)
    }

    /// How many of the accounts that match have each value, the most frequent first. What the query says of the field itself does not
    /// count, so that the other values of a filter show what they would give.
    pub(crate) fn facets(&self, field: FacetField, query: &AccountQuery, limit: usize) -> Vec<FacetValue> {
        let now = self.shared.clock.now_ms();
        let mut query = query.clone();
        match field {
            FacetField::State => query.states.clear(),
            FacetField::Tier => query.tiers.clear(),
            FacetField::Tag => query.tags.clear(),
            FacetField::Reason => query.reasons.clear(),
        }
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let mut count = |value: &str| match counts.get_mut(value) {
            Some(count) => *count += 1,
            None => drop(counts.insert(value.to_owned(), 1)),
        };
        let mut state = self.state();
        state.wake(now);
        for entry in state.entries().filter(|entry| matches(entry, &query, now)) {
            match field {
                FacetField::State => count(state_name(entry, now)),
                FacetField::Tier => count(entry.tier.as_deref().unwrap_or("unknown")),
                FacetField::Tag => entry.tags.iter().for_each(|tag| count(tag)),
                FacetField::Reason => reasons(entry, now).for_each(&mut count),
            }
        }
        drop(state);
        let mut values: Vec<FacetValue> =
            counts.into_iter().map(|(value, count)| FacetValue { value, count }).collect();
        values.sort_by_key(|value| std::cmp::Reverse(value.count));
        values.truncate(limit);
        values
    }

    fn open_view(&self, query: &AccountQuery, now: i64) -> Result<(String, KeptView), AccountError> {
        let (ids, changes) = self.sorted(query, now)?;
        let view = KeptView { ids: ids.into(), created_at: now, used_at: now, is_used: false, changes };
        Ok((self.views().keep(view.clone(), now), view))
    }

    /// The ids that match, in order, and the pool's count of changes at that moment.
    fn sorted(&self, query: &AccountQuery, now: i64) -> Result<(Vec<Arc<str>>, u64), AccountError> {
        let members = query.sort.iter().map(|(member, descending)| Ok((Member::of(member)?, *descending)));
        let members = members.collect::<Result<Vec<_>, AccountError>>()?;
        let (mut found, changes) = {
            let mut state = self.state();
            state.wake(now);
            (collect(&state, query, &members, now), state.changes())
        };
        // In the usual order of one member there is no list of members to walk for each comparison.
        match members.as_slice() {
            [] => found.sort_unstable_by(|(left, left_id), (right, right_id)| {
                left.first.cmp(&right.first).then_with(|| left_id.cmp(right_id))
            }),
            [(_, is_descending)] => found.sort_unstable_by(|(left, left_id), (right, right_id)| {
                directed(left.first.cmp(&right.first), *is_descending).then_with(|| left_id.cmp(right_id))
            }),
            members => found.sort_unstable_by(|(left, left_id), (right, right_id)| {
                let by_members = members.iter().zip(left.all().zip(right.all()));
                let order =
                    by_members.map(|((_, is_descending), (left, right))| directed(left.cmp(right), *is_descending));
                order.fold(Ordering::Equal, Ordering::then).then_with(|| left_id.cmp(right_id))
            }),
        }
        Ok((found.into_iter().map(|(_, id)| id).collect(), changes))
    }

    fn views(&self) -> MutexGuard<'_, Views> {
        self.shared.views.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Views {
    fn find(&mut self, name: &str, now: i64) -> Option<KeptView> {
        self.drop_unused(now);
        let view = self.by_name.get_mut(name)?;
        view.used_at = now;
        view.is_used = true;
        Some(view.clone())
    }

    fn keep(&mut self, view: KeptView, now: i64) -> String {
        self.drop_unused(now);
        if self.by_name.len() >= MOST_VIEWS
            // A script that only reads first windows must not take away what somebody scrolls through.
            && let Some(oldest) =
                self.by_name.iter().min_by_key(|(_, view)| (view.is_used, view.used_at)).map(|(name, _)| name.clone())
        {
            self.by_name.remove(&oldest);
        }
        let name = format!("vw_{}", random_token(12));
        self.by_name.insert(name.clone(), view);
        name
    }

    fn drop_unused(&mut self, now: i64) {
        self.by_name.retain(|_, view| now - view.used_at < KEPT_MS);
    }
}

fn directed(order: Ordering, is_descending: bool) -> Ordering {
    if is_descending { order.reverse() } else { order }
}

/// What an account is sorted by.
struct Keys {
    first: Key,
    others: Vec<Key>,
}

impl Keys {
    fn all(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

/// One of these; of one member all are of one kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Number(i64),
    Text(TextKey),
}

/// A text to sort by: its first 32 bytes as numbers, and all of it where there are more. Comparing and copying a hundred thousand short
/// texts is most of the work of sorting a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct TextKey([u128; 2], Option<Box<str>>);

impl TextKey {
    fn of(text: &str) -> Self {
        let mut bytes = [[0; 16]; 2];
        for (part, chunk) in bytes.iter_mut().zip(text.as_bytes().chunks(16)) {
            part[..chunk.len()].copy_from_slice(chunk);
        }
        Self(bytes.map(u128::from_be_bytes), (text.len() > 32).then(|| text.into()))
    }
}

/// What a list can be sorted by.
#[derive(Clone, Copy)]
enum Member {
    Id,
    Label,
    Tier,
    State,
    CreatedAt,
    LastUsedAt,
    InFlight,
    Failures,
    Until,
}

impl Member {
    const NAMES: [(&'static str, Self); 9] = [
        ("id", Self::Id),
        ("label", Self::Label),
        ("tier", Self::Tier),
        ("state", Self::State),
        ("created_at", Self::CreatedAt),
        ("last_used_at", Self::LastUsedAt),
        ("in_flight", Self::InFlight),
        ("consecutive_failures", Self::Failures),
        ("until", Self::Until),
    ];

    fn of(name: &str) -> Result<Self, AccountError> {
        let known = Self::NAMES.iter().find(|(known, _)| *known == name);
        known.map(|(_, member)| *member).ok_or_else(|| AccountError::InvalidQuery {
            path: "sort".to_owned(),
            message: format!("cannot sort by `{name}`; known: {}", Self::NAMES.map(|(name, _)| name).join(", ")),
        })
    }

    fn key(self, entry: &Entry, now: i64) -> Key {
        match self {
            // What all ids begin with tells nothing.
            Self::Id => Key::Text(TextKey::of(entry.id.trim_start_matches("acc_"))),
            Self::Label => Key::Text(TextKey::of(&entry.label)),
            Self::Tier => Key::Text(TextKey::of(entry.tier.as_deref().unwrap_or_default())),
            Self::State => {
                let rank = STATES.iter().position(|name| *name == state_name(entry, now)).unwrap_or(STATES.len());
                Key::Number(i64::try_from(rank).unwrap_or(i64::MAX))
            }
            Self::CreatedAt => Key::Number(entry.created_at),
            Self::LastUsedAt => Key::Number(entry.last_used_at.unwrap_or(i64::MIN)),
            Self::InFlight => Key::Number(i64::from(entry.in_flight)),
            Self::Failures => Key::Number(entry.failures),
            // Those that do not rest come last, where the order ascends.
            Self::Until => {
                let of_modes = || entry.rests.iter().map(|rest| rest.until).filter(|until| *until > now).min();
                let until = entry.whole_rest(now).map(|rest| rest.until).or_else(of_modes);
                Key::Number(until.unwrap_or(i64::MAX))
            }
        }
    }
}

fn collect(state: &State, query: &AccountQuery, members: &[(Member, bool)], now: i64) -> Vec<(Keys, Arc<str>)> {
    let found = state.entries().filter(|entry| matches(entry, query, now));
    let keys = |entry: &Entry| {
        let mut keys = members.iter().map(|(member, _)| member.key(entry, now));
        Keys { first: keys.next().unwrap_or_else(|| Member::Id.key(entry, now)), others: keys.collect() }
    };
    found.map(|entry| (keys(entry), Arc::clone(&entry.id))).collect()
}

fn matches(entry: &Entry, query: &AccountQuery, now: i64) -> bool {
    let any = |wanted: &[String], has: &str| wanted.is_empty() || wanted.iter().any(|value| value == has);
    any(&query.states, state_name(entry, now))
        && any(&query.tiers, entry.tier.as_deref().unwrap_or("unknown"))
        && (query.tags.is_empty() || query.tags.iter().any(|tag| entry.tags.contains(tag)))
        && (query.reasons.is_empty()
            || reasons(entry, now).any(|reason| query.reasons.iter().any(|wanted| wanted == reason)))
        && query.duplicate.is_none_or(|wanted| wanted == entry.duplicate_of.is_some())
        && query.q.as_deref().is_none_or(|words| contains(entry, words))
}

/// Why it rests or is invalid, each reason once.
fn reasons(entry: &Entry, now: i64) -> impl Iterator<Item = &str> {
    let rests = entry.rests.iter().filter(move |rest| rest.until > now).map(|rest| rest.reason.as_str());
    let mut reasons: Vec<&str> = entry.invalid.iter().map(|invalid| invalid.reason.as_str()).chain(rests).collect();
    reasons.sort_unstable();
    reasons.dedup();
    reasons.into_iter()
}

fn contains(entry: &Entry, words: &str) -> bool {
    holds(&entry.label, words)
        || holds(&entry.fingerprint, words)
        || *entry.id == *words
        || entry.tags.iter().any(|tag| holds(tag, words))
}

/// Whether a text holds words, whatever their case. Nothing is copied unless the text has letters beyond ASCII.
fn holds(text: &str, words: &str) -> bool {
    if !text.is_ascii() {
        return text.to_lowercase().contains(&words.to_lowercase());
    }
    let (text, words) = (text.as_bytes(), words.as_bytes());
    let Some(first) = words.first() else { return true };
    text.windows(words.len()).any(|window| window[0].eq_ignore_ascii_case(first) && window.eq_ignore_ascii_case(words))
}
