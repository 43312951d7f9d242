//! The breaker of the way out. The same refusal for several accounts within a short time is the exit's trouble: it is left
//! alone for a while, then one request tries it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::Clock;
use crate::settings::{Settings, SettingsHandle, UpstreamTransport};

/// When the breaker opens and for how long.
struct BreakerLimits {
    /// Different accounts that must meet trouble.
    accounts: usize,
    /// Seconds within which they must meet it.
    window: u64,
    /// Seconds the exit is left alone.
    rest: u64,
}

impl BreakerLimits {
    fn new(settings: &Settings) -> Self {
        Self {
            accounts: usize::try_from(settings.exit_breaker_accounts).unwrap_or(usize::MAX),
            window: settings.exit_breaker_window,
            rest: settings.exit_breaker_rest,
        }
    }
}

/// What a request goes out by. What was met by one egress says nothing of another.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Egress {
    proxy_url: String,
    connect_timeout: u64,
    transport: UpstreamTransport,
    user_agent: String,
    clearance_cookies: String,
    statsig_id: String,
}

impl Egress {
    fn new(settings: &Settings) -> Self {
        Self {
            proxy_url: settings.proxy_url.clone(),
            connect_timeout: settings.connect_timeout,
            transport: settings.upstream_transport,
            user_agent: settings.user_agent.clone(),
            clearance_cookies: settings.clearance_cookies.clone(),
            statsig_id: settings.statsig_id.clone(),
        }
    }
}

/// The exit is being left alone.
#[derive(Clone, Debug)]
pub(crate) struct ExitClosed {
    /// What it met last.
    pub(crate) label: &'static str,
    /// Seconds until it is tried again.
    pub(crate) retry_after: u64,
}

/// A cheap handle to the breaker of the one exit there is. It follows the settings: when what requests go out by is changed,
/// it closes, for the change is most likely the cure.
#[derive(Clone)]
pub(crate) struct ExitBreaker {
    state: Arc<Mutex<State>>,
    settings: SettingsHandle,
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
    /// The settings that were last looked at, and the egress that they describe.
    seen: Option<(Arc<Settings>, Egress)>,
}

/// A trial that never reports (its client left) must not keep the exit closed.
const TRIAL_MS: i64 = 15_000;

impl ExitBreaker {
    pub(crate) fn new(settings: SettingsHandle, clock: Clock) -> Self {
        Self { state: Arc::default(), settings, clock }
    }

    /// The state of the present egress; another one's is forgotten.
    fn state(&self) -> MutexGuard<'_, State> {
        let settings = self.settings.current();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let known = state.seen.as_ref();
        if known.is_some_and(|(seen, _)| Arc::ptr_eq(seen, &settings)) {
            return state;
        }
        let egress = Egress::new(&settings);
        let is_other = known.is_some_and(|(_, known)| *known != egress);
        state.seen = Some((settings, egress));
        if is_other {
            if state.open_until.is_some() {
                tracing::info!("the settings of the way out were changed: it is tried again at once");
            }
            let (opened, seen) = (state.opened, state.seen.take());
            *state = State { opened, seen, ..State::default() };
        }
        state
    }

    /// The state, unless `settings`, with which a request went out, describe another egress than the present one.
    fn state_of(&self, settings: &Settings) -> Option<MutexGuard<'_, State>> {
        let state = self.state();
        let is_present = state.seen.as_ref().is_some_and(|(_, present)| *present == Egress::new(settings));
        is_present.then_some(state)
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

    /// The exit was refused with this account, which went out with `settings`.
    pub(crate) fn trouble(&self, account: &Arc<str>, label: &'static str, settings: &Settings) {
        let now = self.clock.now_ms();
        let limits = BreakerLimits::new(settings);
        let Some(mut state) = self.state_of(settings) else { return };
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

    /// Something that went out with `settings` got through.
    pub(crate) fn success(&self, settings: &Settings) {
        let Some(mut state) = self.state_of(settings) else { return };
        if state.open_until.take().is_some() {
            tracing::info!("the exit works again");
        }
        state.trial_until = None;
        state.troubles.clear();
    }

    /// A request ended that says nothing about the exit; if it was the trial, the next one is.
    pub(crate) fn undecided(&self, settings: &Settings) {
        if let Some(mut state) = self.state_of(settings) {
            state.trial_until = None;
        }
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
