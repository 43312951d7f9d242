//! Slows guessing down, without locking the owner out.
//!
//! Who guesses is locked: an address, after a few free tries, for times that double. The name that is guessed at is not, for then
//! anybody could lock its owner out; it is only slowed, by a delay that grows to a few seconds for whoever comes from an unknown
//! address. Whoever signed in before has the better of strangers:
//!
//! * A *device* that signed in (it has a sealed cookie) answers for its own tries alone, wherever it is. So nobody locks the owner's
//!   browser out, not even from behind the same address, as where a proxy in front is not named in `trusted_proxies`.
//! * An *address* from which somebody signed in is not delayed by what others guess, and locked for a minute at most by what comes
//!   from itself.
//!
//! Strangers' tries that are under way at once are few, so that they hold neither memory nor the cores that compute hashes.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::AdminsError;

/// Tries before the first wait.
const FREE_TRIES: u32 = 5;

const FIRST_WAIT_MS: i64 = 60_000;
const LONGEST_WAIT_MS: i64 = 15 * 60_000;

/// The longest wait of an address from which somebody has signed in.
const LONGEST_KNOWN_WAIT_MS: i64 = 60_000;

/// After so long without a try everything is forgiven.
const MEMORY_MS: i64 = 60 * 60_000;

/// Subjects remembered at most, of each kind: a flood of addresses must not fill the memory.
const CAPACITY: usize = 10_000;

/// Addresses from which somebody signed in.
pub(super) const KNOWN: usize = 1_000;

/// Characters of a name that count; longer names share a fate.
const NAME_LENGTH: usize = 64;

/// The delay of a name after its free tries, and the longest: what an owner at an unknown address waits while many guess.
const FIRST_DELAY: Duration = Duration::from_millis(250);
const LONGEST_DELAY: Duration = Duration::from_secs(3);

/// Strangers' tries under way at once. A hash takes some 20 ms and two are computed at a time, so the last of them waits a second.
const UNDER_WAY: usize = 100;
const CROWDED: Duration = Duration::from_secs(2);

/// Who tries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    Address(IpAddr),
    /// A browser that signed in before, or a session; by a name that cannot be chosen.
    Device(String),
}

impl Subject {
    /// An IPv6 address counts as its /64 network: a household gets that many, so one address says nothing.
    pub(super) fn address(address: IpAddr) -> Self {
        Self::Address(network(address))
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        address @ IpAddr::V4(_) => address,
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Tries {
    count: u32,
    last_at: i64,
    blocked_until: i64,
}

/// Counts tries.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    tries: HashMap<Subject, Tries>,
    /// Strangers' tries by name.
    names: HashMap<String, Tries>,
    /// Networks from which somebody signed in, the latest last.
    known: VecDeque<IpAddr>,
    under_way: usize,
}

/// One admitted try; over with its drop.
#[derive(Debug)]
pub(super) struct Admission {
    throttle: Arc<Mutex<Throttle>>,
    pub(super) subject: Subject,
    name: Option<String>,
    pub(super) is_stranger: bool,
    /// To be waited before the password is looked at.
    pub(super) delay: Duration,
}

impl Admission {
    /// It was right: what was held against it is forgotten, and its address is known from now. A device answers for itself alone, also
    /// in this: what others at its address tried stays held against them.
    pub(super) fn was_right(&self, address: IpAddr) {
        let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        throttle.tries.remove(&self.subject);
        if let (Subject::Address(_), Some(name)) = (&self.subject, &self.name) {
            throttle.names.remove(name);
        }
        throttle.remember(address);
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if self.is_stranger {
            let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
            throttle.under_way = throttle.under_way.saturating_sub(1);
        }
    }
}

/// Counts a try by `subject`, for `name` if it is about one, or says how long it has to wait.
pub(super) fn admit(
    throttle: &Arc<Mutex<Throttle>>,
    subject: Subject,
    name: Option<&str>,
    now: i64,
) -> Result<Admission, AdminsError> {
    let (is_stranger, delay) = throttle.lock().unwrap_or_else(PoisonError::into_inner).admit(&subject, name, now)?;
    let name = name.map(shortened);
    Ok(Admission { throttle: Arc::clone(throttle), subject, name, is_stranger, delay })
}

impl Throttle {
    /// Somebody signed in from there.
    pub(super) fn remember(&mut self, address: IpAddr) {
        let network = network(address);
        self.known.retain(|known| *known != network);
        if self.known.len() >= KNOWN {
            self.known.pop_front();
        }
        self.known.push_back(network);
    }

    #[cfg(test)]
    pub(super) fn has_strangers(&self) -> bool {
        self.under_way > 0
    }

    /// Whether it is a stranger's, and its delay.
    fn admit(&mut self, subject: &Subject, name: Option<&str>, now: i64) -> Result<(bool, Duration), AdminsError> {
        if let Some(until) = self.tries.get(subject).map(|tries| tries.blocked_until).filter(|until| *until > now) {
            // Rounded up: who comes back after so many whole seconds is let in.
            let seconds = u64::try_from((until - now + 999) / 1000).unwrap_or(1);
            return Err(AdminsError::Throttled { retry_after: Duration::from_secs(seconds) });
        }
        let (is_stranger, longest) = match subject {
            Subject::Device(_) => (false, LONGEST_WAIT_MS),
            Subject::Address(network) if self.known.contains(network) => (false, LONGEST_KNOWN_WAIT_MS),
            Subject::Address(_) => (true, LONGEST_WAIT_MS),
        };
        if is_stranger && self.under_way >= UNDER_WAY {
            // Not counted: it was not looked at.
            return Err(AdminsError::Throttled { retry_after: CROWDED });
        }
        make_room(&mut self.tries, now);
        let tries = count(self.tries.entry(subject.clone()).or_default(), now);
        tries.blocked_until = now + wait_after(tries.count, longest);
        if !is_stranger {
            return Ok((false, Duration::ZERO));
        }
        self.under_way += 1;
        let Some(name) = name else { return Ok((true, Duration::ZERO)) };
        make_room(&mut self.names, now);
        let tries = count(self.names.entry(shortened(name)).or_default(), now);
        Ok((true, delay_after(tries.count)))
    }
}

fn shortened(name: &str) -> String {
    name.chars().take(NAME_LENGTH).collect()
}

fn count(tries: &mut Tries, now: i64) -> &mut Tries {
    if now - tries.last_at > MEMORY_MS {
        *tries = Tries::default();
    }
    tries.count = tries.count.saturating_add(1);
    tries.last_at = now;
    tries
}

fn make_room<K: std::hash::Hash + Eq>(all: &mut HashMap<K, Tries>, now: i64) {
    if all.len() < CAPACITY {
        return;
    }
    all.retain(|_, tries| now - tries.last_at <= MEMORY_MS);
    if all.len() < CAPACITY {
        return;
    }
    // Half at once, so that a flood does not pay for a search at every try. Who tried longest ago goes first.
    let mut times: Vec<i64> = all.values().map(|tries| tries.last_at).collect();
    let (_, middle, _) = times.select_nth_unstable(CAPACITY / 2);
    let middle = *middle;
    all.retain(|_, tries| tries.last_at > middle);
}

fn wait_after(count: u32, longest: i64) -> i64 {
    match count.checked_sub(FREE_TRIES) {
        None => 0,
        Some(beyond) => (FIRST_WAIT_MS << beyond.min(10)).min(longest),
    }
}

fn delay_after(count: u32) -> Duration {
    match count.checked_sub(FREE_TRIES + 1) {
        None => Duration::ZERO,
        Some(beyond) => (FIRST_DELAY * (1 << beyond.min(10))).min(LONGEST_DELAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_700_000_000_000;

    fn subject(address: &str) -> Subject {
        Subject::address(address.parse().unwrap())
    }

    /// A try that is over at once. Seconds to wait, 0 when admitted.
    fn try_once(throttle: &Arc<Mutex<Throttle>>, subject: &Subject, now: i64) -> u64 {
        match admit(throttle, subject.clone(), Some("admin"), now) {
            Ok(_) => 0,
            Err(AdminsError::Throttled { retry_after }) => retry_after.as_secs(),
            Err(other) => panic!("{other}"),
        }
    }

    /// The waits of a subject that tries again as soon as it may.
    fn waits(throttle: &Arc<Mutex<Throttle>>, subject: &Subject, count: usize) -> Vec<u64> {
        for _ in 0..5 {
            assert_eq!(try_once(throttle, subject, START), 0);
        }
        let mut now = START;
        let mut waits = Vec::new();
        for _ in 0..count {
            let wait = try_once(throttle, subject, now);
            assert_eq!(try_once(throttle, subject, now + 500), wait, "a refused try makes it no longer");
            now += i64::try_from(wait).unwrap() * 1_000;
            assert_eq!(try_once(throttle, subject, now - 1), 1);
            assert_eq!(try_once(throttle, subject, now), 0);
            waits.push(wait);
        }
        waits
    }

    #[test]
    fn five_tries_are_free_and_then_waits_grow_to_fifteen_minutes() {
        let throttle = Arc::default();
        assert_eq!(waits(&throttle, &subject("192.0.2.1"), 6), [60, 120, 240, 480, 900, 900]);
        assert_eq!(waits(&throttle, &Subject::Device("d".to_owned()), 6), [60, 120, 240, 480, 900, 900]);
        throttle.lock().unwrap().remember("192.0.2.2".parse().unwrap());
        assert_eq!(waits(&throttle, &subject("192.0.2.2"), 6), [60; 6], "never for long where the owner was");
    }

    #[test]
    fn a_name_is_never_locked_and_costs_strangers_a_few_seconds_at_most() {
        let throttle: Arc<Mutex<Throttle>> = Arc::default();
        let known = "198.51.100.7".parse().unwrap();
        throttle.lock().unwrap().remember(known);
        let mut delays = Vec::new();
        for number in 0..1_000_u32 {
            let stranger = Subject::Address(IpAddr::from((0x0a00_0000 + number).to_be_bytes()));
            delays.push(admit(&throttle, stranger, Some("admin"), START).unwrap().delay.as_millis());
        }
        assert_eq!(delays[..11], [0, 0, 0, 0, 0, 250, 500, 1_000, 2_000, 3_000, 3_000]);
        assert!(delays[11..].iter().all(|delay| *delay == 3_000));
        let delay = |subject: Subject| admit(&throttle, subject, Some("admin"), START).unwrap().delay;
        assert_eq!(delay(Subject::address(known)), Duration::ZERO);
        assert_eq!(delay(Subject::Device("d".to_owned())), Duration::ZERO);
        assert_eq!(delay(subject("203.0.113.1")), LONGEST_DELAY, "the owner at a new place");
        let other = admit(&throttle, subject("203.0.113.2"), Some("other"), START).unwrap();
        assert_eq!(other.delay, Duration::ZERO, "by name");
        let later = admit(&throttle, subject("203.0.113.3"), Some("admin"), START + MEMORY_MS + 1).unwrap();
        assert_eq!(later.delay, Duration::ZERO, "and forgiven");
    }

    #[test]
    fn strangers_tries_that_are_under_way_are_few_and_hold_nobody_else_up() {
        let throttle: Arc<Mutex<Throttle>> = Arc::default();
        throttle.lock().unwrap().remember("198.51.100.7".parse().unwrap());
        let stranger = |number: u32| {
            let address = Subject::Address(IpAddr::from((0x0a00_0000 + number).to_be_bytes()));
            admit(&throttle, address, Some(&format!("name {number}")), START)
        };
        let mut under_way: Vec<Admission> = (0..100).map(|number| stranger(number).unwrap()).collect();
        for _ in 0..10 {
            let crowded = stranger(500).unwrap_err();
            assert!(matches!(crowded, AdminsError::Throttled { retry_after } if retry_after == CROWDED));
        }
        assert!(admit(&throttle, subject("198.51.100.7"), Some("admin"), START).is_ok());
        assert!(admit(&throttle, Subject::Device("d".to_owned()), Some("admin"), START).is_ok());
        under_way.pop();
        assert!(stranger(500).is_ok(), "it was not counted before");
        drop(under_way);
        assert_eq!(throttle.lock().unwrap().under_way, 0);
    }

    #[test]
    fn success_and_time_forgive_and_make_the_address_known() {
        let throttle: Arc<Mutex<Throttle>> = Arc::default();
        let (address, subject) = ("192.0.2.1".parse().unwrap(), subject("192.0.2.1"));
        for round in 0..3 {
            for _ in 0..4 {
                assert_eq!(try_once(&throttle, &subject, START), 0, "{round}");
            }
            let last = admit(&throttle, subject.clone(), Some("admin"), START).unwrap();
            assert_eq!(last.is_stranger, round == 0);
            last.was_right(address);
        }
        for _ in 0..5 {
            try_once(&throttle, &subject, START);
        }
        assert_eq!(try_once(&throttle, &subject, START + MEMORY_MS + 1), 0);
        assert_eq!(try_once(&throttle, &subject, START + MEMORY_MS + 1), 0, "five free tries again");
    }

    #[test]
    fn an_ipv6_household_is_one_subject() {
        assert_eq!(subject("2001:db8:1:2::1"), subject("2001:db8:1:2:ffff::9"));
        assert_ne!(subject("2001:db8:1:2::1"), subject("2001:db8:1:3::1"));
        assert_eq!(subject("::ffff:192.0.2.1"), subject("192.0.2.1"));
        let mut throttle = Throttle::default();
        throttle.remember("2001:db8:1:2::1".parse().unwrap());
        throttle.remember("2001:db8:1:2::2".parse().unwrap());
        assert_eq!(throttle.known.len(), 1);
    }

    #[test]
    fn a_flood_of_addresses_and_names_stays_small() {
        let throttle: Arc<Mutex<Throttle>> = Arc::default();
        for number in 0..30_000_u32 {
            let address = IpAddr::from(number.to_be_bytes());
            let at = START + i64::from(number);
            admit(&throttle, Subject::Address(address), Some(&format!("name {number}")), at).unwrap();
            let mut throttle = throttle.lock().unwrap();
            throttle.remember(address);
            assert!(throttle.tries.len() <= CAPACITY + 1 && throttle.names.len() <= CAPACITY + 1);
            assert!(throttle.known.len() <= KNOWN);
        }
    }
}
