//! What a key does, counted exactly: requests of the last minute and of the day, and those under way.
//!
//! One short lock per key, no waiting, no database: a request is let in or refused before its body is read. A request that was let
//! in counts, whatever becomes of it; one that is refused does not.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::ApiKey;
use crate::clock::Clock;
use crate::limits::MinuteWindow;
use crate::store::api_keys::{ApiKeyRow, KeyUse};

/// Days begin at midnight UTC.
const DAY_MS: i64 = 86_400_000;

/// How long a client should wait for one of its own requests to end.
const CONCURRENT_WAIT_MS: i64 = 1_000;

/// What a key may do; `None` means no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyLimits {
    /// In any 60 seconds.
    pub(crate) requests_per_minute: Option<u32>,
    /// From midnight to midnight UTC.
    pub(crate) requests_per_day: Option<u32>,
    /// At the same time.
    pub(crate) concurrent_requests: Option<u32>,
}

/// Which limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitKind {
    Minute,
    Day,
    Concurrent,
}

/// A limit does not let a request in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LimitReached {
    pub(crate) kind: LimitKind,
    pub(crate) limit: u32,
    /// Milliseconds until it may, if nothing else happens.
    pub(crate) wait_ms: i64,
}

/// How a key stands with the limit that it will meet first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) limit: u32,
    pub(crate) remaining: u32,
    /// Milliseconds until nothing of it is used.
    pub(crate) reset_ms: i64,
}

/// A request that was let in; it is under way until this is dropped.
#[derive(Debug)]
pub(crate) struct Admission {
    key: Arc<ApiKey>,
    pub(crate) rate: Option<Rate>,
}

impl Admission {
    pub(crate) fn key(&self) -> &ApiKey {
        &self.key
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.key.meter.counts().running -= 1;
    }
}

/// The counts of one key.
#[derive(Debug)]
pub(super) struct Meter(Mutex<Counts>);

#[derive(Debug)]
struct Counts {
    minute: MinuteWindow,
    running: u32,
    /// Days since 1970, for `today`.
    day: i64,
    today: i64,
    total: i64,
    last_used_at: Option<i64>,
    /// Changed since it was last stored.
    is_dirty: bool,
}

/// What is shown of a key's use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    pub(super) running: u32,
    pub(super) today: i64,
    pub(super) total: i64,
    pub(super) last_used_at: Option<i64>,
}

impl Meter {
    pub(super) fn new(row: &ApiKeyRow) -> Self {
        Self(Mutex::new(Counts {
            minute: MinuteWindow::default(),
            running: 0,
            day: row.usage_day,
            today: row.usage_today,
            total: row.usage_total,
            last_used_at: row.last_used_at,
            is_dirty: false,
        }))
    }

    /// Of a key that is in no table.
    pub(super) fn unused() -> Self {
        Self(Mutex::new(Counts {
            minute: MinuteWindow::default(),
            running: 0,
            day: 0,
            today: 0,
            total: 0,
            last_used_at: None,
            is_dirty: false,
        }))
    }

    pub(super) fn touch(&self, now: i64) {
        self.counts().touch(now);
    }

    /// Has it stored again with the next flush.
    pub(super) fn mark(&self) {
        self.counts().is_dirty = true;
    }

    /// What is to be stored, if anything is.
    pub(super) fn take_use(&self, id: &str) -> Option<KeyUse> {
        let mut counts = self.counts();
        std::mem::take(&mut counts.is_dirty).then(|| counts.key_use(id))
    }

    pub(super) fn usage(&self, now: i64) -> Usage {
        let counts = self.counts();
        let today = if counts.day == day_of(now) { counts.today } else { 0 };
        Usage { running: counts.running, today, total: counts.total, last_used_at: counts.last_used_at }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // Numbers that are changed in single steps: a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets a request in or refuses it; what has to be stored comes along.
pub(super) fn admit(key: &Arc<ApiKey>, clock: &Clock) -> Result<(Admission, KeyUse), LimitReached> {
    let (rate, key_use) = {
        let mut counts = key.meter.counts();
        // Read under the lock, so that times enter the window in their order.
        let rate = counts.enter(key.limits, clock.now_ms())?;
        (rate, counts.key_use(&key.id))
    };
    Ok((Admission { key: Arc::clone(key), rate }, key_use))
}

impl Counts {
    /// Checks all limits, then counts against all of them.
    fn enter(&mut self, limits: KeyLimits, now: i64) -> Result<Option<Rate>, LimitReached> {
        let day = day_of(now);
        if self.day != day {
            (self.day, self.today) = (day, 0);
        }
        let midnight = (day + 1) * DAY_MS - now;
        if let Some(limit) = limits.requests_per_day
            && self.today >= i64::from(limit)
        {
            return Err(LimitReached { kind: LimitKind::Day, limit, wait_ms: midnight });
        }
        // Without a limit nothing is kept for the minute.
        let in_window = limits.requests_per_minute.map(|limit| (limit, self.minute.advance(now)));
        if let Some((limit, in_window)) = in_window {
            let wait_ms = self.minute.wait(limit as usize, in_window);
            if wait_ms > 0 {
                return Err(LimitReached { kind: LimitKind::Minute, limit, wait_ms });
            }
        }
        if let Some(limit) = limits.concurrent_requests
            && self.running >= limit
        {
            return Err(LimitReached { kind: LimitKind::Concurrent, limit, wait_ms: CONCURRENT_WAIT_MS });
        }
        self.running += 1;
        self.today += 1;
        self.total += 1;
        self.touch(now);
        let of_minute = in_window.map(|(limit, in_window)| {
            self.minute.push(in_window);
            let used = u32::try_from(self.minute.len()).unwrap_or(u32::MAX);
            Rate { limit, remaining: limit.saturating_sub(used), reset_ms: self.minute.reset(in_window) }
        });
        let of_day = limits.requests_per_day.map(|limit| {
            let used = u32::try_from(self.today).unwrap_or(u32::MAX);
            Rate { limit, remaining: limit.saturating_sub(used), reset_ms: midnight }
        });
        Ok(match (of_minute, of_day) {
            (Some(minute), Some(day)) => Some(if day.remaining <= minute.remaining { day } else { minute }),
            (minute, day) => minute.or(day),
        })
    }

    fn touch(&mut self, now: i64) {
        self.last_used_at = self.last_used_at.max(Some(now));
        self.is_dirty = true;
    }

    fn key_use(&self, id: &str) -> KeyUse {
        KeyUse {
            id: id.to_owned(),
            last_used_at: self.last_used_at.unwrap_or(0),
            day: self.day,
            today: self.today,
            total: self.total,
        }
    }
}

fn day_of(now: i64) -> i64 {
    now.div_euclid(DAY_MS)
}
