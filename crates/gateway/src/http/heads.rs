//! What may be held of requests whose head is not complete: nobody has asked yet who sends them.
//!
//! One head may have [`LONGEST`] bytes. The first [`FREE`] of them cost nothing, because the connection's buffer is there anyway; what
//! goes beyond comes out of [`TOGETHER`], which all connections share. Where that is used up, the connection that wants more is closed;
//! ordinary heads are far below it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// The longest head of a request.
pub(super) const LONGEST: usize = 64 * 1024;

/// Of a head, what every connection has room for.
const FREE: usize = 8 * 1024;

/// What all connections together may hold beyond that.
const TOGETHER: usize = 16 * 1024 * 1024;

/// Bytes of unfinished heads beyond the free ones, of all connections.
#[derive(Clone, Debug, Default)]
pub(super) struct Heads(Arc<AtomicUsize>);

/// Whether a connection is reading a head or serving the request; shared by who drives it and its socket.
#[derive(Clone, Debug, Default)]
pub(super) struct Phase(Arc<AtomicU32>);

impl Phase {
    /// Even numbers read a head, odd ones serve; a number never comes back, so that no change is overlooked.
    fn number(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// The head is complete.
    pub(super) fn serving(&self) {
        self.0.store(self.number() | 1, Ordering::Relaxed);
    }

    /// The request has its answer; the next may come.
    pub(super) fn answered(&self) {
        self.0.store((self.number() | 1).wrapping_add(1), Ordering::Relaxed);
    }
}

/// One connection's share.
#[derive(Debug)]
pub(super) struct Head {
    heads: Heads,
    phase: Phase,
    /// The phase that `read` belongs to.
    number: u32,
    read: usize,
    held: usize,
}

impl Head {
    pub(super) fn new(heads: Heads, phase: Phase) -> Self {
        Self { heads, number: phase.number(), phase, read: 0, held: 0 }
    }

    /// Whether what is read belongs to a head; a body has limits of its own.
    pub(super) fn is_reading(&self) -> bool {
        self.phase.number().is_multiple_of(2)
    }

    /// So many bytes of a head were read; false when they are too many to be held.
    #[must_use]
    pub(super) fn takes(&mut self, bytes: usize) -> bool {
        let number = self.phase.number();
        if number != self.number {
            self.release();
        }
        self.read += bytes;
        let wanted = self.read.saturating_sub(FREE);
        let more = wanted.saturating_sub(self.held);
        if more == 0 {
            return true;
        }
        self.held += more;
        self.heads.0.fetch_add(more, Ordering::Relaxed) + more <= TOGETHER
    }

    /// The head was read and is held no longer.
    pub(super) fn release(&mut self) {
        self.number = self.phase.number();
        self.give_back();
    }

    fn give_back(&mut self) {
        self.read = 0;
        let held = std::mem::take(&mut self.held);
        if held > 0 {
            self.heads.0.fetch_sub(held, Ordering::Relaxed);
        }
    }
}

impl Drop for Head {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_heads_cost_nothing_and_long_ones_are_bounded_together() {
        let heads = Heads::default();
        let head = || {
            let phase = Phase::default();
            (Head::new(heads.clone(), phase.clone()), phase)
        };
        let ordinary: Vec<_> = (0..10_000).map(|_| head()).map(|(mut head, _)| (head.takes(FREE), head)).collect();
        assert!(ordinary.iter().all(|(taken, _)| *taken) && heads.0.load(Ordering::Relaxed) == 0);

        let mut long = Vec::new();
        let refused = loop {
            let (mut head, phase) = head();
            if !(0..LONGEST / 1024).all(|_| head.takes(1024)) {
                break head;
            }
            long.push((head, phase));
        };
        assert_eq!(long.len(), TOGETHER / (LONGEST - FREE));
        drop(refused);
        let (mut other, phase) = head();
        assert!(other.is_reading() && other.takes(FREE), "an ordinary head is still taken");
        phase.serving();
        assert!(!other.is_reading());
        let (finished, phase) = &mut long[0];
        phase.serving();
        phase.answered();
        assert!(finished.takes(1), "and gives back what it held");
        assert!((0..LONGEST / 1024).all(|_| other.takes(0)));
        drop(long);
        drop(other);
        assert_eq!(heads.0.load(Ordering::Relaxed), 0);
    }
}
