//! Keys as they are shown: one, or a window of all that match.

use std::cmp::Ordering;
use std::ops::Bound;

use memchr::memmem::Finder;

use super::{ApiKeys, Entry, KeyLimits, KeyReasoning, Keys};

/// A key as it is shown: never with its secret. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyView {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Start and end of the secret, as `sk-…abcd`.
    pub(crate) preview: String,
    pub(crate) enabled: bool,
    pub(crate) state: KeyState,
    pub(crate) reasoning: Option<KeyReasoning>,
    pub(crate) expires_at: Option<i64>,
    pub(crate) limits: KeyLimits,
    pub(crate) models: Option<Vec<String>>,
    /// Until when the secret before the last rotation opens, if it still does.
    pub(crate) previous_until: Option<i64>,
    pub(crate) in_flight: u32,
    pub(crate) requests_today: i64,
    pub(crate) requests_total: i64,
    pub(crate) created_at: i64,
    pub(crate) last_used_at: Option<i64>,
    pub(crate) version: i64,
}

/// The one state a key is in, decided in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyState {
    Disabled,
    Expired,
    /// The requests of the day are used up.
    Exhausted,
    Enabled,
}

impl KeyState {
    pub(crate) const ALL: [Self; 4] = [Self::Disabled, Self::Expired, Self::Exhausted, Self::Enabled];

    /// The name in the admin API.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Expired => "expired",
            Self::Exhausted => "exhausted",
            Self::Enabled => "enabled",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// What a list is ordered by; the id, which is the order in which keys were made, decides between equals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum KeyOrder {
    #[default]
    CreatedAt,
    Name,
    LastUsedAt,
    ExpiresAt,
    RequestsToday,
    RequestsTotal,
}

impl KeyOrder {
    pub(crate) const ALL: [(&'static str, Self); 6] = [
        ("created_at", Self::CreatedAt),
        ("name", Self::Name),
        ("last_used_at", Self::LastUsedAt),
        ("expires_at", Self::ExpiresAt),
        ("requests_today", Self::RequestsToday),
        ("requests_total", Self::RequestsTotal),
    ];
}

/// What to list. Empty members do not filter.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyQuery {
    pub(crate) states: Vec<KeyState>,
    /// Part of a name or of the shown secret, or an id.
    pub(crate) q: Option<String>,
    pub(crate) order: KeyOrder,
    pub(crate) is_descending: bool,
    /// Only keys made after this one.
    pub(crate) after: Option<String>,
    pub(crate) offset: usize,
    pub(crate) limit: usize,
}

/// One window of a list.
#[derive(Clone, Debug)]
pub(crate) struct KeyPage {
    pub(crate) items: Vec<KeyView>,
    pub(crate) total: usize,
}

/// What is looked for; made once for all keys.
struct Words<'a> {
    finder: Finder<'static>,
    id: &'a str,
}

impl<'a> Words<'a> {
    fn new(words: &'a str) -> Self {
        Self { finder: Finder::new(&words.to_lowercase()).into_owned(), id: words }
    }
}

/// What a key is ordered by.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Rank<'a> {
    Number(i64),
    Text(&'a str),
}

impl ApiKeys {
    /// How many keys that are switched on end between two times, and when the first of them does.
    pub(crate) fn expiring(&self, after: i64, until: i64) -> Option<(u64, i64)> {
        let keys = self.read();
        let ends = keys.by_id.values().filter(|entry| entry.key.enabled).filter_map(|entry| entry.key.expires_at);
        let soon = ends.filter(|end| (after..=until).contains(end));
        soon.fold(None, |found, end| match found {
            None => Some((1, end)),
            Some((count, first)) => Some((count + 1, end.min(first))),
        })
    }

    /// A window of the keys that match, in order.
    pub(crate) fn list(&self, query: &KeyQuery) -> KeyPage {
        let now = self.shared.clock.now_ms();
        let keys = self.read();
        let is_whole = query.states.is_empty() && query.q.is_none() && query.after.is_none();
        if is_whole && let Some(items) = keys.window(query, now) {
            return KeyPage { items, total: keys.by_id.len() };
        }
        let words = query.q.as_deref().map(|words| Words::new(words.trim()));
        let after = query.after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let made_after = keys.by_id.range::<str, _>((after, Bound::Unbounded)).map(|(_, entry)| entry);
        let matching = made_after.filter(|entry| entry.matches(&query.states, words.as_ref(), now));
        let mut found: Vec<(Rank<'_>, &Entry)> = matching.map(|entry| (entry.rank(query.order, now), entry)).collect();
        let total = found.len();
        let end = query.offset.saturating_add(query.limit).min(total);
        let compare = |left: &(Rank<'_>, &Entry), right: &(Rank<'_>, &Entry)| {
            let ordering = left.0.cmp(&right.0).then_with(|| left.1.key.id.cmp(&right.1.key.id));
            if query.is_descending { ordering.reverse() } else { ordering }
        };
        sort_first(&mut found, end, compare);
        let window = found[..end].iter().skip(query.offset);
        KeyPage { items: window.map(|(_, entry)| entry.view(now)).collect(), total }
    }
}

impl Keys {
    /// A window of all keys in an order that they are kept in: nothing else is looked at.
    fn window(&self, query: &KeyQuery, now: i64) -> Option<Vec<KeyView>> {
        let take = |entries: &mut dyn Iterator<Item = &Entry>| -> Vec<KeyView> {
            entries.skip(query.offset).take(query.limit).map(|entry| entry.view(now)).collect()
        };
        let named = |(_, id): &(String, String)| self.by_id.get(id);
        Some(match (query.order, query.is_descending) {
            (KeyOrder::CreatedAt, false) => take(&mut self.by_id.values()),
            (KeyOrder::CreatedAt, true) => take(&mut self.by_id.values().rev()),
            (KeyOrder::Name, false) => take(&mut self.by_name.iter().filter_map(named)),
            (KeyOrder::Name, true) => take(&mut self.by_name.iter().rev().filter_map(named)),
            _ => return None,
        })
    }
}

/// Brings the first `end` into order; the rest needs none.
fn sort_first<T>(items: &mut [T], end: usize, compare: impl Fn(&T, &T) -> Ordering) {
    if end > 0 && end < items.len() {
        items.select_nth_unstable_by(end - 1, &compare);
    }
    items[..end].sort_unstable_by(&compare);
}

impl Entry {
    pub(super) fn view(&self, now: i64) -> KeyView {
        let usage = self.key.meter.usage(now);
        KeyView {
            id: self.key.id.clone(),
            name: self.key.name.clone(),
            preview: self.row.preview.clone(),
            enabled: self.key.enabled,
            state: self.state(now),
            reasoning: self.key.reasoning,
            expires_at: self.key.expires_at,
            limits: self.key.limits,
            models: self.key.models.clone(),
            previous_until: self.row.previous_until.filter(|until| *until > now),
            in_flight: usage.running,
            requests_today: usage.today,
            requests_total: usage.total,
            created_at: self.row.created_at,
            last_used_at: usage.last_used_at,
            version: self.row.version,
        }
    }

    fn state(&self, now: i64) -> KeyState {
        if !self.key.enabled {
            KeyState::Disabled
        } else if self.key.expires_at.is_some_and(|end| now >= end) {
            KeyState::Expired
        } else if self.key.limits.requests_per_day.is_some_and(|most| self.key.meter.usage(now).today >= most.into()) {
            KeyState::Exhausted
        } else {
            KeyState::Enabled
        }
    }

    fn matches(&self, states: &[KeyState], words: Option<&Words<'_>>, now: i64) -> bool {
        (states.is_empty() || states.contains(&self.state(now)))
            && words.is_none_or(|words| words.finder.find(self.folded.as_bytes()).is_some() || self.key.id == words.id)
    }

    fn rank(&self, order: KeyOrder, now: i64) -> Rank<'_> {
        match order {
            KeyOrder::CreatedAt => Rank::Number(0),
            KeyOrder::Name => Rank::Text(&self.folded),
            KeyOrder::LastUsedAt => Rank::Number(self.key.meter.usage(now).last_used_at.unwrap_or(0)),
            KeyOrder::ExpiresAt => Rank::Number(self.key.expires_at.unwrap_or(i64::MAX)),
            KeyOrder::RequestsToday => Rank::Number(self.key.meter.usage(now).today),
            KeyOrder::RequestsTotal => Rank::Number(self.key.meter.usage(now).total),
        }
    }
}
