//! At most so many in any minute, counted exactly.
//!
//! The window slides: no 60 seconds hold more than the limit, whatever the clock's minute. That costs one time per event of the
//! last minute, which for limits that people set is little.

use std::collections::VecDeque;

/// The length of the window.
pub(crate) const MINUTE_MS: i64 = 60_000;

/// From this capacity on, an empty window gives its memory back.
const KEPT_CAPACITY: usize = 64;

/// The events of the last minute. Callers hold the lock it is under.
#[derive(Debug, Default)]
pub(crate) struct MinuteWindow {
    /// Oldest first.
    events: VecDeque<i64>,
}

impl MinuteWindow {
    /// Forgets what is older than a minute and answers the time to count with: it never goes back, except when the machine's clock
    /// was set back, and then what was counted before says nothing any more.
    pub(crate) fn advance(&mut self, now: i64) -> i64 {
        let newest = self.events.back().copied().unwrap_or(now);
        if newest - now > MINUTE_MS {
            self.events.clear();
            return now;
        }
        let now = now.max(newest);
        while self.events.front().is_some_and(|oldest| now - oldest >= MINUTE_MS) {
            self.events.pop_front();
        }
        if self.events.is_empty() && self.events.capacity() > KEPT_CAPACITY {
            self.events = VecDeque::new();
        }
        now
    }

    /// How many there are; [`MinuteWindow::advance`] comes first.
    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// Milliseconds until one more than `limit - 1` would fit: zero when it fits now.
    pub(crate) fn wait(&self, limit: usize, now: i64) -> i64 {
        let surplus = (self.events.len() + 1).saturating_sub(limit);
        match surplus.checked_sub(1).and_then(|index| self.events.get(index)) {
            Some(leaving) => (leaving + MINUTE_MS - now).max(1),
            None => 0,
        }
    }

    /// Milliseconds until the window is empty.
    pub(crate) fn reset(&self, now: i64) -> i64 {
        self.events.back().map_or(0, |newest| (newest + MINUTE_MS - now).max(0))
    }

    /// Counts one.
    pub(crate) fn push(&mut self, now: i64) {
        self.events.push_back(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tries at the given times; which were admitted.
    fn admitted(limit: usize, times: &[i64]) -> Vec<i64> {
        let mut window = MinuteWindow::default();
        let mut admitted = Vec::new();
        for time in times {
            let now = window.advance(*time);
            if window.wait(limit, now) == 0 {
                window.push(now);
                admitted.push(*time);
            }
        }
        admitted
    }

    #[test]
    fn no_minute_holds_more_than_the_limit() {
        let times: Vec<i64> = (0..600).map(|tenth| tenth * 100).chain([60_000, 60_001, 60_100]).collect();
        assert_eq!(admitted(3, &times), [0, 100, 200, 60_000, 60_100]);
    }

    #[test]
    fn the_wait_is_until_the_oldest_leaves() {
        let mut window = MinuteWindow::default();
        for time in [0, 10_000, 20_000] {
            let now = window.advance(time);
            window.push(now);
        }
        let now = window.advance(30_000);
        assert_eq!((window.wait(4, now), window.wait(3, now), window.wait(1, now)), (0, 30_000, 50_000));
        assert_eq!(window.reset(now), 50_000);
    }

    #[test]
    fn a_clock_that_was_set_back_locks_nobody_out() {
        assert_eq!(admitted(1, &[10_000_000, 9_999_999, 5_000]), [10_000_000, 5_000]);
    }

    #[test]
    fn memory_goes_with_the_events() {
        let mut window = MinuteWindow::default();
        (0..10_000).for_each(|_| window.push(0));
        window.advance(MINUTE_MS);
        assert_eq!(window.events.capacity(), 0);
    }
}
