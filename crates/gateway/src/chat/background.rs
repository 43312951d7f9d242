//! What follows a turn and keeps nobody waiting: asking the quota after a rate limit, sharing ahead of need.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use protocol::model::Mode;
use protocol::rest;
use tokio::sync::Semaphore;

use super::Shared;
use super::bind::share_ahead;
use super::check::CheckPace;
use super::settle::rest_lengths;
use crate::conversations::Plan;
use crate::settings::ShareMode;
use crate::store::conversations::Place;
use crate::upstream::Credential;

/// Quota questions under way at once: they follow rate limits, and must not become load of their own.
const QUOTA_CHECKS: usize = 4;

/// What is under way or to be done.
pub(super) struct Background {
    quota_checks: Semaphore,
    pub(super) check_pace: CheckPace,
    being_checked: Mutex<HashSet<(String, String)>>,
    busy_accounts: Mutex<HashSet<String>>,
}

impl Default for Background {
    fn default() -> Self {
        Self {
            quota_checks: Semaphore::new(QUOTA_CHECKS),
            check_pace: CheckPace::default(),
            being_checked: Mutex::default(),
            busy_accounts: Mutex::default(),
        }
    }
}

impl Background {
    /// Notes that an account got something more to keep.
    pub(super) fn note_busy(&self, account_id: &str) {
        let mut busy = self.busy_accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if !busy.contains(account_id) {
            busy.insert(account_id.to_owned());
        }
    }

    pub(super) fn take_busy_accounts(&self) -> Vec<String> {
        let mut busy = self.busy_accounts.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *busy).into_iter().collect()
    }
}

/// Asks the upstream what is left, so that the rest after a 429 has the right length and covers the right mode.
pub(super) fn check_quota(shared: &Arc<Shared>, credential: Credential, mode: String) {
    let question = (credential.account_id().to_string(), mode);
    let mut being_checked = shared.background.being_checked.lock().unwrap_or_else(PoisonError::into_inner);
    if !being_checked.insert(question.clone()) {
        return;
    }
    drop(being_checked);
    let shared = Arc::clone(shared);
    let tasks = shared.tasks.clone();
    tasks.spawn(async move {
        let (account_id, mode) = &question;
        let _permit = shared.background.quota_checks.acquire().await;
        let settings = shared.settings.current();
        let route = rest::rate_limits(&Mode::Id(mode.clone().into()));
        match shared.upstream.call(&credential, route, &settings, rest::read_rate_limits).await {
            Ok(limits) => {
                shared.accounts.learn_quota(&credential, mode, &limits, &rest_lengths(&settings));
            }
            // Says nothing about the quota: the rest stays as it is.
            Err(error) => tracing::info!(account = account_id, mode, error = %error, "the quota could not be read"),
        }
        let mut being_checked = shared.background.being_checked.lock().unwrap_or_else(PoisonError::into_inner);
        being_checked.remove(&question);
    });
}

/// A turn has been stored.
pub(super) fn after_commit(shared: &Arc<Shared>, plan: &Plan, place: Place) {
    shared.background.note_busy(&place.account_id);
    if shared.settings.current().share_mode != ShareMode::Eager {
        return;
    }
    let (conversation_id, turn_id) = (plan.conversation_id.clone(), plan.turn_id.clone());
    let shared = Arc::clone(shared);
    let tasks = shared.tasks.clone();
    tasks.spawn(async move { share_ahead(&shared, &conversation_id, &turn_id, &place).await });
}
