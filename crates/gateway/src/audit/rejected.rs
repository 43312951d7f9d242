//! Requests that carry no valid key. Anybody can send them, as many as the line carries, so they are not in the request log and its
//! statistics, which are about those who may ask. They are counted, and the newest are kept in memory, for whoever wonders why a
//! client is turned away.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::Clock;
use crate::telemetry::Metrics;

/// Requests that are kept, and of those how many may come from one address: one that floods must not push out what others tell.
const KEPT: usize = 200;
const KEPT_OF_ADDRESS: usize = 50;

/// Minutes that are counted.
const MINUTES: i64 = 15;

/// Lines in the log file per minute.
const LINES: u64 = 20;

/// One of them. Time in milliseconds since 1970.
#[derive(Clone, Debug)]
pub(crate) struct RejectedRequest {
    pub(crate) at: i64,
    pub(crate) request_id: Arc<str>,
    pub(crate) route: &'static str,
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) client_ip: Option<IpAddr>,
    pub(crate) user_agent: Option<String>,
    /// What of the key may be shown; `None` where there was none.
    pub(crate) key_preview: Option<String>,
}

/// A cheap handle to all of them.
#[derive(Clone)]
pub(crate) struct Rejected {
    ring: Arc<Mutex<Ring>>,
    metrics: Metrics,
    clock: Clock,
}

#[derive(Default)]
struct Ring {
    /// Oldest first.
    requests: VecDeque<RejectedRequest>,
    total: u64,
    /// Counts by minute, oldest first.
    minutes: VecDeque<(i64, u64)>,
}

impl Rejected {
    pub(crate) fn new(metrics: Metrics, clock: Clock) -> Self {
        Self { ring: Arc::default(), metrics, clock }
    }

    /// Notes one. Its time is now.
    pub(crate) fn note(&self, mut request: RejectedRequest) {
        self.metrics.rejected(request.code);
        request.at = self.clock.now_ms();
        let (in_this_minute, line) = {
            let mut ring = self.ring();
            let line = (request.route, request.code, request.client_ip, Arc::clone(&request.request_id));
            (ring.add(request), line)
        };
        let (route, code, client_ip, request_id) = line;
        let address = client_ip.map(tracing::field::display);
        if in_this_minute <= LINES {
            tracing::warn!(request.id = %request_id, code, address, "{route} was asked without a valid key");
        } else if in_this_minute == LINES + 1 {
            tracing::warn!("further requests without a valid key are counted, but not told before the next minute");
        }
    }

    /// Those that are kept, newest first, and how many there were since the start.
    pub(crate) fn newest(&self) -> (Vec<RejectedRequest>, u64) {
        let ring = self.ring();
        (ring.requests.iter().rev().cloned().collect(), ring.total)
    }

    /// How many there were in the last [`MINUTES`].
    pub(crate) fn recent(&self) -> u64 {
        let first = self.clock.now_ms().div_euclid(60_000) - MINUTES;
        self.ring().minutes.iter().filter(|(minute, _)| *minute > first).map(|(_, count)| count).sum()
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // Single insertions and removals; a panic elsewhere leaves nothing half done.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    /// Adds one; how many there were in its minute.
    fn add(&mut self, request: RejectedRequest) -> u64 {
        self.total += 1;
        let minute = request.at.div_euclid(60_000);
        match self.minutes.back_mut() {
            Some((last, count)) if *last == minute => *count += 1,
            _ => self.minutes.push_back((minute, 1)),
        }
        while self.minutes.len() as i64 > MINUTES {
            self.minutes.pop_front();
        }
        let of_address = |other: &RejectedRequest| other.client_ip == request.client_ip;
        if self.requests.iter().filter(|other| of_address(other)).count() >= KEPT_OF_ADDRESS {
            let oldest = self.requests.iter().position(of_address);
            oldest.and_then(|oldest| self.requests.remove(oldest));
        } else if self.requests.len() >= KEPT {
            self.requests.pop_front();
        }
        self.requests.push_back(request);
        self.minutes.back().map_or(0, |(_, count)| *count)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn request(address: [u8; 4], id: u64) -> RejectedRequest {
        RejectedRequest {
            at: 0,
            request_id: id.to_string().into(),
            route: "/v1/chat/completions",
            status: 401,
            code: "invalid_api_key",
            client_ip: Some(IpAddr::from(address)),
            user_agent: None,
            key_preview: None,
        }
    }

    #[test]
    fn a_flood_is_counted_and_pushes_out_nobody_else() {
        let clock = Clock::manual(1_700_000_000_000);
        let rejected = Rejected::new(Metrics::new(), clock.clone());
        for honest in 0..10 {
            rejected.note(request([192, 0, 2, 1], honest));
        }
        for id in 100..12_100 {
            rejected.note(request([203, 0, 113, 9], id));
        }
        let (kept, total) = rejected.newest();
        assert_eq!((total, rejected.recent(), kept.len()), (12_010, 12_010, 10 + KEPT_OF_ADDRESS));
        assert_eq!(&*kept[0].request_id, "12099", "the newest first");
        assert_eq!(kept.iter().filter(|one| one.client_ip == Some([192, 0, 2, 1].into())).count(), 10);
        // From everywhere at once.
        for id in 0..10_000_u32 {
            rejected.note(request(id.to_be_bytes(), u64::from(id)));
        }
        assert_eq!(rejected.newest().0.len(), KEPT);
        clock.advance(Duration::from_secs(14 * 60));
        rejected.note(request([192, 0, 2, 1], 1));
        assert_eq!(rejected.recent(), 22_011);
        clock.advance(Duration::from_secs(60));
        assert_eq!(rejected.recent(), 1, "a quarter of an hour is counted");
        for _ in 0..100 {
            clock.advance(Duration::from_secs(60));
            rejected.note(request([192, 0, 2, 1], 1));
        }
        assert_eq!((rejected.recent(), rejected.ring().minutes.len()), (15, 15));
    }
}
