//! Slows guessing down: a few free tries, then waits that double.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use super::AdminsError;

/// Tries before the first wait.
const FREE_TRIES: u32 = 5;

const FIRST_WAIT_MS: i64 = 60_000;
const LONGEST_WAIT_MS: i64 = 15 * 60_000;

/// After so long without a try everything is forgiven.
const MEMORY_MS: i64 = 60 * 60_000;

/// Subjects remembered at most: a flood of addresses must not fill the memory.
const CAPACITY: usize = 10_000;

/// Characters of a name that count; longer names share a fate.
const NAME_LENGTH: usize = 64;

/// Who tries, or who is tried for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    Address(IpAddr),
    Name(String),
}

impl Subject {
    /// An IPv6 address counts as its /64 network: a household gets that many, so one address says nothing.
    pub(super) fn address(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
            address @ IpAddr::V4(_) => address,
        })
    }

    pub(super) fn name(name: &str) -> Self {
        Self::Name(name.chars().take(NAME_LENGTH).collect())
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Tries {
    count: u32,
    last_at: i64,
    blocked_until: i64,
}

/// Counts tries per subject.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    tries: HashMap<Subject, Tries>,
}

impl Throttle {
    /// Counts one try for each of the subjects, or none when one of them has to wait.
    pub(super) fn admit(&mut self, subjects: &[Subject], now: i64) -> Result<(), AdminsError> {
        let blocked_until =
            subjects.iter().filter_map(|subject| self.tries.get(subject)).map(|tries| tries.blocked_until);
        if let Some(until) = blocked_until.max().filter(|until| *until > now) {
            // Rounded up: who comes back after so many whole seconds is let in.
            let seconds = u64::try_from((until - now + 999) / 1000).unwrap_or(1);
            return Err(AdminsError::Throttled { retry_after: Duration::from_secs(seconds) });
        }
        self.make_room(now);
        for subject in subjects {
            let tries = self.tries.entry(subject.clone()).or_default();
            if now - tries.last_at > MEMORY_MS {
                *tries = Tries::default();
            }
            tries.count += 1;
            tries.last_at = now;
            tries.blocked_until = now + wait_after(tries.count);
        }
        Ok(())
    }

    /// A try was right: what was held against the subjects is forgotten.
    pub(super) fn forget(&mut self, subjects: &[Subject]) {
        for subject in subjects {
            self.tries.remove(subject);
        }
    }

    fn make_room(&mut self, now: i64) {
        if self.tries.len() < CAPACITY {
            return;
        }
        self.tries.retain(|_, tries| now - tries.last_at <= MEMORY_MS);
        if self.tries.len() < CAPACITY {
            return;
        }
        // Half at once, so that a flood does not pay for a search at every try. Who tried longest ago goes first.
        let mut times: Vec<i64> = self.tries.values().map(|tries| tries.last_at).collect();
        let (_, middle, _) = times.select_nth_unstable(CAPACITY / 2);
        let middle = *middle;
        self.tries.retain(|_, tries| tries.last_at > middle);
    }
}

fn wait_after(count: u32) -> i64 {
    match count.checked_sub(FREE_TRIES) {
        None => 0,
        Some(beyond) => (FIRST_WAIT_MS << beyond.min(10)).min(LONGEST_WAIT_MS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_700_000_000_000;

    fn subject(address: &str) -> Subject {
        Subject::address(address.parse().unwrap())
    }

    /// Seconds to wait, 0 when admitted.
    fn try_once(throttle: &mut Throttle, subjects: &[Subject], now: i64) -> u64 {
        match throttle.admit(subjects, now) {
            Ok(()) => 0,
            Err(AdminsError::Throttled { retry_after }) => retry_after.as_secs(),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn five_tries_are_free_and_then_waits_grow_to_fifteen_minutes() {
        let mut throttle = Throttle::default();
        let subjects = [subject("192.0.2.1")];
        for _ in 0..5 {
            assert_eq!(try_once(&mut throttle, &subjects, START), 0);
        }
        let mut now = START;
        for minutes in [1, 2, 4, 8, 15, 15] {
            assert_eq!(try_once(&mut throttle, &subjects, now), minutes * 60);
            assert_eq!(try_once(&mut throttle, &subjects, now + 500), minutes * 60, "a refused try makes it no longer");
            now += i64::try_from(minutes).unwrap() * 60_000;
            assert_eq!(try_once(&mut throttle, &subjects, now - 1), 1);
            assert_eq!(try_once(&mut throttle, &subjects, now), 0);
        }
    }

    #[test]
    fn one_blocked_subject_is_enough_and_the_other_is_not_charged() {
        let mut throttle = Throttle::default();
        let (address, name) = (subject("192.0.2.1"), Subject::name("admin"));
        for _ in 0..5 {
            assert_eq!(try_once(&mut throttle, std::slice::from_ref(&address), START), 0);
        }
        for _ in 0..10 {
            assert_eq!(try_once(&mut throttle, &[address.clone(), name.clone()], START), 60);
        }
        assert_eq!(try_once(&mut throttle, &[subject("192.0.2.2"), name], START), 0);
    }

    #[test]
    fn success_and_time_forgive() {
        let mut throttle = Throttle::default();
        let subjects = [subject("192.0.2.1")];
        for round in 0..3 {
            for _ in 0..4 {
                assert_eq!(try_once(&mut throttle, &subjects, START), 0, "{round}");
            }
            throttle.forget(&subjects);
        }
        for _ in 0..5 {
            try_once(&mut throttle, &subjects, START);
        }
        assert_eq!(try_once(&mut throttle, &subjects, START + MEMORY_MS + 1), 0);
        assert_eq!(try_once(&mut throttle, &subjects, START + MEMORY_MS + 1), 0, "five free tries again");
    }

    #[test]
    fn an_ipv6_household_is_one_subject() {
        assert_eq!(subject("2001:db8:1:2::1"), subject("2001:db8:1:2:ffff::9"));
        assert_ne!(subject("2001:db8:1:2::1"), subject("2001:db8:1:3::1"));
        assert_eq!(subject("::ffff:192.0.2.1"), subject("192.0.2.1"));
    }

    #[test]
    fn a_flood_of_addresses_stays_small() {
        let mut throttle = Throttle::default();
        for number in 0..30_000_u32 {
            let address = Subject::Address(IpAddr::from(number.to_be_bytes()));
            throttle.admit(&[address], START + i64::from(number)).unwrap();
            assert!(throttle.tries.len() <= CAPACITY + 1);
        }
    }
}
