//! Why an answer is cut by ourselves. Whoever drives the connection says so before it drops the answer; the answer's last words and its
//! record follow from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// The reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupted {
    /// The client takes nothing of what is sent to it.
    ClientNotReading,
    /// The service stops, and the time that running answers get is over.
    Shutdown,
}

/// Shared by a connection and the request that it carries; a connection ends with the first reason, so it never goes back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interruption(Arc<AtomicU8>);

impl Interruption {
    /// Notes the reason; the first stands.
    pub(crate) fn set(&self, reason: Interrupted) {
        let code = match reason {
            Interrupted::ClientNotReading => 1,
            Interrupted::Shutdown => 2,
        };
        // Set and read by one thread, or long before it matters: nothing else is to be ordered by it.
        let _ = self.0.compare_exchange(0, code, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> Option<Interrupted> {
        match self.0.load(Ordering::Relaxed) {
            1 => Some(Interrupted::ClientNotReading),
            2 => Some(Interrupted::Shutdown),
            _ => None,
        }
    }
}
