//! Asking the upstream about an account without a chat: what is left in each mode, which plan it has, whether it still lets it in.
//!
//! A check takes no place of a chat and starts no rest but that of a mode that is used up. All checks together keep to one pace,
//! whoever asks for them: a person, a job, the schedule.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use futures_util::future::join_all;
use protocol::model::Mode;
use protocol::rest::{self, Account};
use tokio::time::Instant;

use super::settle::rest_lengths;
use super::{ChatService, Shared};
use crate::accounts::{Fault, MODES_TO_ASK_FOR};
use crate::settings::Settings;
use crate::upstream::{Blame, CallError, Credential, UpstreamError};

/// How many accounts the schedule asks about at the same time.
const AT_ONCE: usize = 8;

/// Longest text of the upstream that is told, in characters.
const WORDS: usize = 300;

/// Why an account could not be checked.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct CheckFailure {
    /// `not_found`, `disabled`, `unreadable`, or what the upstream's answer means.
    pub(crate) code: String,
    pub(crate) message: String,
    /// What the upstream answered.
    pub(crate) status: Option<u16>,
    /// The way out was refused: it would be so for every account.
    pub(crate) is_exit: bool,
}

/// When the next check may begin.
#[derive(Default)]
pub(super) struct CheckPace {
    next: Mutex<Option<Instant>>,
}

impl CheckPace {
    /// Waits for one's turn: so many begin per second.
    pub(super) async fn turn(&self, per_second: u64) {
        let step = Duration::from_secs(1) / u32::try_from(per_second.max(1)).unwrap_or(1);
        let at = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let at = next.unwrap_or_else(Instant::now).max(Instant::now());
            *next = Some(at + step);
            at
        };
        tokio::time::sleep_until(at).await;
    }
}

impl ChatService {
    /// Reads an account's quota in every mode, its plan, and once whose it is.
    ///
    /// # Errors
    /// Says whose fault it was. A credential that the upstream does not know, or a blocked user, makes the account invalid; trouble
    /// of the way out is charged to nobody.
    pub(crate) async fn check_account(&self, id: &str) -> Result<(), CheckFailure> {
        let shared = &self.shared;
        let failure = |code: &str, message: &str| CheckFailure {
            code: code.to_owned(),
            message: message.to_owned(),
            status: None,
            is_exit: false,
        };
        let credential =
            shared.accounts.credential_to_check(id).ok_or_else(|| failure("not_found", "there is no such account"))?;
        let settings = shared.settings.current();
        shared.background.check_pace.turn(settings.quota_checks_per_second).await;
        for mode in MODES_TO_ASK_FOR {
            let route = rest::rate_limits(&Mode::Id(mode.into()));
            match shared.upstream.call(&credential, route, &settings, rest::read_rate_limits).await {
                Ok(limits) => shared.accounts.learn_quota(&credential, mode, &limits, &rest_lengths(&settings)),
                Err(error) => self.judge_check(&credential, &settings, error)?,
            }
        }
        let tier = shared.upstream.call(&credential, rest::subscriptions(), &settings, rest::read_tier).await;
        match tier {
            Ok(tier) => shared.accounts.learn_tier(&credential, tier).await,
            Err(error) => self.judge_check(&credential, &settings, error)?,
        }
        if !shared.accounts.knows_user_of(id) {
            match shared.upstream.call(&credential, rest::account(), &settings, rest::read_account).await {
                Ok(Account::Known { user_id }) => shared.accounts.learn_user_id(&credential, &user_id),
                Ok(Account::Refused(failure)) => {
                    self.judge_check(&credential, &settings, CallError::Upstream(failure.into()))?
                }
                // Quota and plan were read: that this page is not there, or says nothing, is no failure of the account.
                Err(error) => tracing::debug!(account = id, %error, "whose account it is could not be read"),
            }
        }
        Ok(())
    }

    /// Asks the upstream whether it lets a token in, before an account is given it. What says nothing of the token is no answer.
    pub(crate) async fn is_dead_token(&self, credential: &Credential) -> bool {
        let shared = &self.shared;
        let settings = shared.settings.current();
        shared.background.check_pace.turn(settings.quota_checks_per_second).await;
        let route = rest::rate_limits(&Mode::Id(MODES_TO_ASK_FOR[0].into()));
        match shared.upstream.call(credential, route, &settings, rest::read_rate_limits).await {
            Err(CallError::Upstream(error)) => {
                matches!(error.verdict().blame, Blame::CredentialDead | Blame::UserBlocked)
            }
            Ok(_) | Err(CallError::Unreadable(_)) => false,
        }
    }

    /// Reads accounts that were not read for as long as the settings say, no more than the pace allows within `period`: the next
    /// look may know better which are due.
    pub(crate) async fn check_due_accounts(&self, period: Duration) {
        let shared = &self.shared;
        let settings = shared.settings.current();
        let age = i64::try_from(settings.quota_check_interval).unwrap_or(i64::MAX);
        if age == 0 {
            return;
        }
        let most = settings.quota_checks_per_second.saturating_mul(period.as_secs());
        let ids = shared.accounts.unread_for(age, usize::try_from(most).unwrap_or(usize::MAX));
        for ids in ids.chunks(AT_ONCE) {
            let checked = join_all(ids.iter().map(|id| self.check_account(id))).await;
            for (id, failure) in ids.iter().zip(&checked).filter_map(|(id, result)| Some((id, result.as_ref().err()?)))
            {
                tracing::info!(account = id, code = failure.code, %failure, "an account's quota could not be read");
            }
            if checked.iter().all(|result| result.as_ref().is_err_and(|failure| failure.is_exit)) {
                return tracing::warn!("quota is not read for now: the way out is refused");
            }
        }
    }

    /// What a refused question means. Some modes are not told to some accounts: that alone is no failure of the check.
    fn judge_check(&self, credential: &Credential, settings: &Settings, error: CallError) -> Result<(), CheckFailure> {
        let shared: &Shared = &self.shared;
        let error = match error {
            CallError::Upstream(error) => error,
            CallError::Unreadable(message) => {
                return Err(CheckFailure { code: "unreadable".to_owned(), message, status: None, is_exit: false });
            }
        };
        let verdict = error.verdict();
        let id = credential.account_id();
        match verdict.blame {
            Blame::ModeUnavailable => return Ok(()),
            Blame::Exit => shared.exit.trouble(id, verdict.label, settings),
            Blame::CredentialDead => shared.accounts.learn_refusal(credential, Fault::CredentialDead),
            Blame::UserBlocked => shared.accounts.learn_refusal(credential, Fault::UserBlocked),
            Blame::Nobody | Blame::RateLimited { .. } | Blame::Failure => {}
        }
        Err(told(&error, verdict.label, verdict.blame == Blame::Exit))
    }
}

fn told(error: &UpstreamError, code: &str, is_exit: bool) -> CheckFailure {
    CheckFailure {
        code: code.to_owned(),
        message: error.to_string().chars().take(WORDS).collect(),
        status: error.status,
        is_exit,
    }
}
