//! The policy of a turn: which account, which attempt, when to stop trying.

use std::sync::Arc;
use std::time::Duration;

use protocol::failure::FailureKind;
use protocol::history::UserSide;
use protocol::translate::{ImageLinks, RenderOptions};
use protocol::turn::{Parent, TurnRequest};
use tokio::time::Instant;

use super::answer::Answer;
use super::bind::{Binding, bind, is_still_there};
use super::open::{Begun, Opening};
use super::pictures::Pictures;
use super::settle::settle;
use super::upload::upload;
use super::{Ask, ChatError, ChatService};
use crate::accounts::{ChoiceReason, Lease};
use crate::audit::{Choice, FailedAttempt, RequestRecord};
use crate::conversations::Plan;
use crate::settings::Settings;
use crate::upstream::{Blame, Credential, Patience, Retry, UpstreamError, UpstreamErrorKind, Verdict};

/// What this request has tried.
#[derive(Default)]
struct Tried {
    accounts: Vec<u32>,
    attempts: u64,
    /// Causes for which an account was charged; one account per cause and request, for the trouble may not be the accounts'.
    charged: Vec<Blame>,
    exit_retried: bool,
    owner_retried: bool,
    start_over: bool,
    last: Option<UpstreamError>,
}

/// How long the client waits for the first event, whatever is tried meanwhile.
struct Patient {
    budget: Duration,
    until: Instant,
}

impl Patient {
    fn new(settings: &Settings) -> Self {
        let budget = Duration::from_secs(settings.request_timeout);
        Self { budget, until: Instant::now() + budget }
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// What an attempt met that began `began` and was still without an event at the end. Only an attempt that had at least half of the
    /// time is to blame; another got what others had left.
    fn error(&self, began: Instant) -> UpstreamError {
        let had = self.until.saturating_duration_since(began);
        let patience = match had * 2 >= self.budget {
            true => Patience::FirstEvent(self.budget),
            false => Patience::Remainder(self.budget),
        };
        UpstreamErrorKind::Timeout(patience).into()
    }
}

impl ChatService {
    /// Starts a turn; returns with the first visible event, or with the reason why there is none.
    pub(crate) async fn start(
        &self,
        mut ask: Ask,
        mut record: RequestRecord,
    ) -> Result<Answer, (ChatError, RequestRecord)> {
        match self.try_start(&mut ask, &mut record).await {
            Ok(started) => Ok(Answer::new(Arc::clone(&self.shared), started, record)),
            Err(error) => Err((error, record)),
        }
    }

    async fn try_start(&self, ask: &mut Ask, record: &mut RequestRecord) -> Result<Started, ChatError> {
        let shared = &self.shared;
        let settings = shared.settings.current();
        let patient = Patient::new(&settings);
        if shared.conversations.cannot_store() {
            return Err(ChatError::StorageUnavailable);
        }
        let plan = self.plan(ask, &settings, record).await?;
        let pictures = Pictures::of_question(shared, &plan, &settings).await?;
        let mode = ask.model.mode.id();
        let mut tried = Tried::default();
        loop {
            shared.exit.check().map_err(ChatError::ExitClosed)?;
            let preferred = plan.parent.as_ref().map(|parent| parent.place.account_id.as_str());
            let acquired = match &ask.account {
                Some(only) => shared.accounts.acquire_only(mode, only, &tried.accounts),
                None => shared.accounts.acquire(mode, preferred, &tried.accounts),
            };
            let lease = match acquired {
                Ok(lease) => lease,
                Err(why) => {
                    record.no_account(&why.reasons);
                    shared.exit.undecided(&settings);
                    return Err(ChatError::NoAccount { why, last: tried.last });
                }
            };
            let mut choice = choice(shared.accounts.choice_reason(&lease, preferred, &tried.accounts));
            if ask.account.is_some() {
                "asked_for".clone_into(&mut choice.rule);
            }
            record.begin_attempt(lease.account_id(), choice);
            let began = Instant::now();
            let attempt = self.attempt(ask, (&plan, &pictures), &lease, &settings, tried.start_over, record);
            let attempted = tokio::time::timeout_at(patient.until, attempt).await;
            let attempted = attempted.unwrap_or_else(|_| Err(AttemptError::Upstream(patient.error(began))));
            let error = match attempted {
                Ok(opened) => {
                    record.row.turn = Some(opened.binding.receipt.label());
                    record.first_token();
                    return Ok(Started { plan, lease, opened, settings });
                }
                Err(AttemptError::Chat(ChatError::ConversationUnavailable)) if tried.start_over => {
                    return Err(self.why_not_here(&plan, lease.credential(), &settings, tried.last).await);
                }
                Err(AttemptError::Chat(error)) => return Err(error),
                Err(AttemptError::Upstream(error)) => error,
            };
            let verdict = error.verdict();
            let may_go_on = self.judge(lease, &error, verdict, &plan, &settings, &mut tried, record);
            if !may_go_on || tried.attempts >= settings.max_attempts || patient.is_over() {
                return Err(error.into());
            }
            tried.last = Some(error);
        }
    }

    async fn plan(&self, ask: &mut Ask, settings: &Settings, record: &mut RequestRecord) -> Result<Plan, ChatError> {
        let asks_nothing = ask.history.last.as_ref().is_some_and(UserSide::is_empty);
        if asks_nothing {
            return Err(ChatError::NothingAsked);
        }
        let history = std::mem::take(&mut ask.history);
        let planned = self.shared.conversations.plan(&ask.key_id, &ask.wanted, history, settings.conversation_ttl);
        let plan = planned.await?;
        record.row.conversation_id = Some(plan.conversation_id.clone());
        let parent = plan.parent.as_ref().map(|parent| (parent.id.as_str(), parent.place.account_id.as_str()));
        record.planned(plan.recognised.label(), parent);
        Ok(plan)
    }

    /// Settles a failed attempt; answers whether another may follow.
    #[expect(clippy::too_many_arguments, reason = "everything an attempt ends with, named one by one")]
    fn judge(
        &self,
        lease: Lease,
        error: &UpstreamError,
        verdict: Verdict,
        plan: &Plan,
        settings: &Settings,
        tried: &mut Tried,
        record: &mut RequestRecord,
    ) -> bool {
        let account = Arc::clone(lease.account_id());
        let index = lease.index();
        let first_of_its_kind = !tried.charged.contains(&verdict.blame);
        let penalty = settle(&self.shared, lease, verdict, first_of_its_kind, settings, &record.row.request_id);
        if penalty.is_some() {
            tried.charged.push(verdict.blame);
        }
        record.attempt_failed(failed_attempt(error, verdict, penalty));
        tried.attempts += 1;
        let is_owner = plan.parent.as_ref().is_some_and(|parent| *parent.place.account_id == *account);
        match verdict.retry {
            Retry::No => false,
            // An ordinary failure does not take a conversation away from its account at the first time.
            Retry::OtherAccount if is_owner && verdict.blame == Blame::Failure && !tried.owner_retried => {
                tried.owner_retried = true;
                true
            }
            Retry::OtherAccount => {
                tried.accounts.push(index);
                true
            }
            Retry::Once => {
                if !is_owner {
                    tried.accounts.push(index);
                }
                !std::mem::replace(&mut tried.exit_retried, true)
            }
            Retry::OtherAccountOnce => {
                tried.accounts.push(index);
                !std::mem::replace(&mut tried.exit_retried, true)
            }
            Retry::StartOver => !std::mem::replace(&mut tried.start_over, true),
        }
    }

    /// The upstream did not find something, and there is no history to begin the conversation anew. Unless it said that it was the
    /// conversation: where that can still be read, it was the way to it that was missing.
    async fn why_not_here(
        &self,
        plan: &Plan,
        credential: &Credential,
        settings: &Settings,
        last: Option<UpstreamError>,
    ) -> ChatError {
        let refused = last.is_some_and(|error| {
            error.status == Some(404) && !error.to_string().to_ascii_lowercase().contains("conversation")
        });
        match &plan.parent {
            Some(parent) if refused && is_still_there(&self.shared, &parent.place, credential, settings).await => {
                ChatError::Upstream(UpstreamErrorKind::NoRoute(404).into())
            }
            _ => ChatError::ConversationUnavailable,
        }
    }

    /// One attempt with one account, up to the first visible event.
    async fn attempt(
        &self,
        ask: &Ask,
        (plan, pictures): (&Plan, &Pictures),
        lease: &Lease,
        settings: &Arc<Settings>,
        start_over: bool,
        record: &mut RequestRecord,
    ) -> Result<Opened, AttemptError> {
        let shared = &self.shared;
        let binding = bind(shared, (plan, pictures), lease.credential(), settings, start_over)
            .await
            .map_err(AttemptError::Chat)?;
        record.bound(binding.receipt.label(), binding.reason);
        let parent = binding.parent.as_ref().map(|(conversation, response)| Parent {
            conversation_id: conversation,
            response_id: Some(response.as_str()),
        });
        let options = RenderOptions {
            show_thinking: ask.show_thinking,
            show_search: ask.show_search,
            assets_url: shared.assets_url.clone(),
            image_links: Some(ImageLinks {
                base: format!("{}/images", ask.public_url),
                salt: crate::secrets::random_array(),
            }),
        };
        let attachments = upload(shared, &binding.images, lease.credential(), settings).await;
        let turn = TurnRequest {
            message: &binding.message,
            mode: &ask.model.mode,
            parent,
            attachments: &attachments.map_err(AttemptError::Upstream)?,
            search: ask.search,
            temporary: settings.temporary,
            instructions: None,
        };
        let begun = Opening { shared, lease, turn, settings, options }.open(record).await;
        let begun = begun.map_err(|error| AttemptError::Upstream(nothing_to_be_gone(error, parent.is_none())))?;
        shared.exit.success(settings);
        Ok(Opened { binding, begun })
    }
}

/// A conversation that is begun cannot be gone: "not found" is then an ordinary failure of the upstream.
fn nothing_to_be_gone(error: UpstreamError, begins: bool) -> UpstreamError {
    match error.kind {
        UpstreamErrorKind::Failure(failure) if failure.kind == FailureKind::NotFound && begins => {
            UpstreamError { kind: UpstreamErrorKind::Protocol(failure.message), status: error.status }
        }
        kind => UpstreamError { kind, status: error.status },
    }
}

/// A turn whose first visible event is here.
pub(super) struct Started {
    pub(super) plan: Plan,
    pub(super) lease: Lease,
    pub(super) opened: Opened,
    pub(super) settings: Arc<Settings>,
}

/// The opened answer of one attempt.
pub(super) struct Opened {
    pub(super) binding: Binding,
    pub(super) begun: Begun,
}

enum AttemptError {
    Upstream(UpstreamError),
    Chat(ChatError),
}

fn choice(reason: ChoiceReason) -> Choice {
    Choice {
        rule: if reason.is_preferred { "owner" } else { "least_busy" }.to_owned(),
        owner_skipped: reason.preferred_skipped,
        accounts: reason.accounts,
        ready: reason.ready,
    }
}

/// An attempt that failed, as the log keeps it.
pub(super) fn failed_attempt(error: &UpstreamError, verdict: Verdict, penalty: Option<&'static str>) -> FailedAttempt {
    FailedAttempt {
        outcome: verdict.label,
        class: error.class(),
        status: error.status,
        penalty,
        message: error.to_string(),
    }
}
