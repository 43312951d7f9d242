//! Counting before destroying: what a job would hit, and the token that lets it hit exactly that.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use utoipa::ToSchema;

use super::{JobError, Jobs, Work};
use crate::accounts::AccountView;
use crate::clock::{Clock, timestamp};
use crate::secrets::random_token;

/// How long a dry run can be acted on.
const KEPT_MS: i64 = 10 * 60_000;

/// Most dry runs that wait.
const MOST: usize = 32;

/// Things that are shown of those that would be hit.
const SAMPLES: usize = 10;

/// What a job would do.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct DryRun {
    /// Accounts that it would work on.
    total: usize,
    /// Ids that are not in the pool.
    missing: usize,
    by_state: BTreeMap<&'static str, u64>,
    by_tier: BTreeMap<String, u64>,
    side_effects: SideEffects,
    samples: Vec<SampleAccount>,
    /// Starts the job on exactly these; only of jobs that destroy something.
    confirm_token: Option<String>,
    expires_at: Option<String>,
}

/// What else would be touched.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct SideEffects {
    /// Conversations that stand on these accounts.
    conversations: i64,
    /// Answers that run on them now.
    in_flight: u64,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
struct SampleAccount {
    id: String,
    label: String,
    fingerprint: String,
    tier: Option<String>,
    state: &'static str,
}

/// The dry runs that wait to be acted on.
pub(super) struct Confirmations {
    waiting: Mutex<HashMap<String, Waiting>>,
    clock: Clock,
}

struct Waiting {
    work: Work,
    subjects: Vec<Arc<str>>,
    expires_at: i64,
}

impl Confirmations {
    pub(super) fn new(clock: Clock) -> Self {
        Self { waiting: Mutex::default(), clock }
    }

    fn keep(&self, work: Work, subjects: Vec<Arc<str>>) -> (String, i64) {
        let token = format!("ct_{}", random_token(18));
        let now = self.clock.now_ms();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, one| one.expires_at > now);
        if waiting.len() >= MOST
            && let Some(oldest) = waiting.iter().min_by_key(|(_, one)| one.expires_at).map(|(token, _)| token.clone())
        {
            waiting.remove(&oldest);
        }
        waiting.insert(token.clone(), Waiting { work, subjects, expires_at: now + KEPT_MS });
        (token, now + KEPT_MS)
    }

    /// What was counted for this work, once.
    pub(super) fn take(&self, token: &str, work: &Work) -> Result<Vec<Arc<str>>, JobError> {
        let now = self.clock.now_ms();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let is_right = waiting.get(token).is_some_and(|one| one.expires_at > now && one.work == *work);
        let taken = if is_right { waiting.remove(token) } else { None };
        taken.map(|one| one.subjects).ok_or(JobError::ConfirmationExpired)
    }
}

impl Jobs {
    /// Counts what a job would hit. Changes nothing.
    pub(super) async fn dry_run(&self, work: Work, subjects: Vec<Arc<str>>) -> Result<DryRun, JobError> {
        let rooms = &self.shared.rooms;
        let found: Vec<AccountView> = subjects.iter().filter_map(|id| rooms.accounts.get(id)).collect();
        let (mut by_state, mut by_tier) = (BTreeMap::new(), BTreeMap::new());
        let mut in_flight = 0;
        for account in &found {
            *by_state.entry(account.state.name).or_default() += 1;
            *by_tier.entry(account.tier.clone().unwrap_or_else(|| "unknown".to_owned())).or_default() += 1;
            in_flight += u64::from(account.in_flight);
        }
        let of_account = rooms.store.conversations_by_account().await?;
        let conversations = found.iter().filter_map(|account| of_account.get(&account.id)).sum();
        let samples = found.iter().take(SAMPLES).map(|account| SampleAccount {
            id: account.id.clone(),
            label: account.label.clone(),
            fingerprint: account.fingerprint.clone(),
            tier: account.tier.clone(),
            state: account.state.name,
        });
        let (samples, total, missing) = (samples.collect(), found.len(), subjects.len() - found.len());
        let confirmation = work.destroys().then(|| self.shared.confirmations.keep(work, subjects));
        Ok(DryRun {
            total,
            missing,
            by_state,
            by_tier,
            side_effects: SideEffects { conversations, in_flight },
            samples,
            expires_at: confirmation.as_ref().map(|(_, expires_at)| timestamp(*expires_at)),
            confirm_token: confirmation.map(|(token, _)| token),
        })
    }
}
