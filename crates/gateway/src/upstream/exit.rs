//! The breaker of the way out. The same refusal for several accounts within a short time is the exit's trouble: it is left
//! alone for a while, then one request tries it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Clock;

/// When the breaker opens and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BreakerLimits {
    /// Different accounts that must meet trouble.
    pub(crate) accounts: usize,
    /// Seconds within which they must meet it.
    pub(crate) window: u64,
    /// Seconds the exit is left alone.
    pub(crate) rest: u64,
}

/// The exit is being left alone.
#[derive(Clone, Debug)]
pub(crate) struct ExitClosed {
    /// What it met last.
    pub(crate) label: &'static str,
    /// Seconds until it is tried again.
    pub(crate) retry_after: u64,
}

/// A cheap handle to the breaker of the one exit there is.
#[derive(Clone)]
pub(crate) struct ExitBreaker {
    state: Arc<Mutex<State>>,
    clock: Clock,
}

#[derive(Default)]
struct State {
    troubles: VecDeque<(i64, Arc<str>)>,
    open_until: Option<i64>,
    /// Until when the one request that tries the exit after a rest keeps the others out.
    trial_until: Option<i64>,
    label: &'static str,
    opened: u64,
}

/// A trial that never reports (its client left) must not keep the exit closed.
const TRIAL_MS: i64 = 15_000;

impl ExitBreaker {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { state: Arc::default(), clock }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a request may go out now.
    pub(crate) fn check(&self) -> Result<(), ExitClosed> {
        let now = self.clock.now_ms();
        let mut state = self.state();
        let Some(open_until) = state.open_until else { return Ok(()) };
        let closed_until =
            if now < open_until { Some(open_until) } else { state.trial_until.filter(|until| now < *until) };
        match closed_until {
            Some(until) => {
                let retry_after = u64::try_from((until - now).div_euclid(1_000) + 1).unwrap_or(1);
                Err(ExitClosed { label: state.label, retry_after })
            }
            None => {
                state.trial_until = Some(now + TRIAL_MS);
                Ok(())
            }
        }
    }

    /// The exit was refused with this account.
    pub(crate) fn trouble(&self, account: &Arc<str>, label: &'static str, limits: BreakerLimits) {
        let now = self.clock.now_ms();
        let mut state = self.state();
        state.label = label;
        let oldest = now.saturating_sub_unsigned(limits.window.saturating_mul(1_000));
        state.troubles.retain(|(at, other)| *at >= oldest && other != account);
        state.troubles.push_back((now, Arc::clone(account)));
        let failed_trial = state.trial_until.take().is_some();
        if failed_trial || state.troubles.len() >= limits.accounts {
            if state.open_until.is_none_or(|until| until <= now) {
                state.opened += 1;
                tracing::warn!(
                    reason = label,
                    rest_s = limits.rest,
                    "several accounts were refused in the same way: the exit is left alone, no account is charged"
                );
            }
            state.open_until = Some(now.saturating_add_unsigned(limits.rest.saturating_mul(1_000)));
        }
    }

    /// Something got through.
    pub(crate) fn success(&self) {
        let mut state = self.state();
        if state.open_until.take().is_some() {
            tracing::info!("the exit works again");
        }
        state.trial_until = None;
        state.troubles.clear();
    }

    /// A request ended that says nothing about the exit; if it was the trial, the next one is.
    pub(crate) fn undecided(&self) {
        self.state().trial_until = None;
    }

    /// The trouble, while the exit is left alone.
    pub(crate) fn closed(&self) -> Option<&'static str> {
        let now = self.clock.now_ms();
        let state = self.state();
        state.open_until.filter(|until| now < *until).map(|_| state.label)
    }

    /// How often it was opened.
    pub(crate) fn opened(&self) -> u64 {
        self.state().opened
    }
}
