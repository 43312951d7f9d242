//! Counting before destroying: what a job would hit, and the token that lets it hit exactly that.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use utoipa::ToSchema;

use super::{JobError, Jobs, Resource, Work, purge};
use crate::accounts::AccountView;
use crate::clock::{Clock, timestamp};
use crate::secrets::random_token;
use crate::store::conversation_list::ConversationFilter;
use crate::store::images::ImageFilter;

/// How long a dry run can be acted on.
const KEPT_MS: i64 = 10 * 60_000;

/// Most dry runs that wait.
const MOST: usize = 32;

/// Ids that are counted at once.
const IDS_AT_ONCE: usize = 500;

/// Things that are shown of those that would be hit.
const SAMPLES: usize = 10;

/// What a job would do.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(crate) struct DryRun {
    /// Things that it would work on.
    total: usize,
    /// Ids of things that are not there.
    missing: usize,
    /// Of accounts.
    by_state: BTreeMap<&'static str, u64>,
    /// Of accounts.
    by_tier: BTreeMap<String, u64>,
    side_effects: SideEffects,
    /// Some of the accounts.
    samples: Vec<SampleAccount>,
    /// Starts the job on exactly these; only of jobs that destroy something.
    confirm_token: Option<String>,
    expires_at: Option<String>,
}

/// What else would be touched.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
struct SideEffects {
    /// Conversations that stand on these accounts.
    conversations: i64,
    /// Answers that run on them now.
    in_flight: u64,
    /// What images take up that would go.
    bytes: i64,
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
        let mut counted = match work.resource() {
            Resource::Accounts => self.count_accounts(&subjects).await?,
            Resource::Conversations => self.count_conversations(&subjects).await?,
            Resource::Images => self.count_images(&subjects).await?,
            Resource::Requests => {
                let total = purge::count(&self.shared.rooms, &subjects).await?;
                DryRun { total: usize::try_from(total).unwrap_or(0), ..DryRun::default() }
            }
        };
        // A stretch of the log holds any number of requests.
        counted.missing = subjects.len().saturating_sub(counted.total);
        if work.destroys() {
            let (token, expires_at) = self.shared.confirmations.keep(work, subjects);
            counted.confirm_token = Some(token);
            counted.expires_at = Some(timestamp(expires_at));
        }
        Ok(counted)
    }

    async fn count_accounts(&self, subjects: &[Arc<str>]) -> Result<DryRun, JobError> {
        let rooms = &self.shared.rooms;
        let found: Vec<AccountView> = subjects.iter().filter_map(|id| rooms.accounts.get(id)).collect();
        let mut counted = DryRun { total: found.len(), ..DryRun::default() };
        for account in &found {
            *counted.by_state.entry(account.state.name).or_default() += 1;
            *counted.by_tier.entry(account.tier.clone().unwrap_or_else(|| "unknown".to_owned())).or_default() += 1;
            counted.side_effects.in_flight += u64::from(account.in_flight);
        }
        let of_account = rooms.store.conversations_by_account().await?;
        counted.side_effects.conversations = found.iter().filter_map(|account| of_account.get(&account.id)).sum();
        let samples = found.iter().take(SAMPLES).map(|account| SampleAccount {
            id: account.id.clone(),
            label: account.label.clone(),
            fingerprint: account.fingerprint.clone(),
            tier: account.tier.clone(),
            state: account.state.name,
        });
        counted.samples = samples.collect();
        Ok(counted)
    }

    async fn count_conversations(&self, subjects: &[Arc<str>]) -> Result<DryRun, JobError> {
        let mut total = 0;
        for ids in subjects.chunks(IDS_AT_ONCE) {
            let ids = Some(ids.iter().map(ToString::to_string).collect());
            let filter = ConversationFilter { ids, ..ConversationFilter::default() };
            let most = i64::try_from(IDS_AT_ONCE).unwrap_or(i64::MAX);
            total += self.shared.rooms.store.count_conversations(&filter, most).await?;
        }
        let side_effects = SideEffects { conversations: total, ..SideEffects::default() };
        Ok(DryRun { total: usize::try_from(total).unwrap_or(0), side_effects, ..DryRun::default() })
    }

    async fn count_images(&self, subjects: &[Arc<str>]) -> Result<DryRun, JobError> {
        let mut counted = DryRun::default();
        for ids in subjects.chunks(IDS_AT_ONCE) {
            let ids = Some(ids.iter().map(ToString::to_string).collect());
            let totals = self.shared.rooms.images.totals(&ImageFilter { ids, ..ImageFilter::default() }).await?;
            counted.total += usize::try_from(totals.count).unwrap_or(0);
            counted.side_effects.bytes += totals.bytes;
        }
        Ok(counted)
    }
}
