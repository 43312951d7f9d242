//! An answer under way: pulled by whoever writes to the client, ended exactly once.
//!
//! Complete: the account is settled, the turn goes to the disk, and only then the answer is done. Broken: the account is
//! charged if it is to blame, and nothing enters the tree. Dropped: the client has left; nobody is charged, nothing enters the
//! tree, the upstream's stream ends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use protocol::openai::Usage;
use protocol::translate::{ChatEvent, MadeImage};
use tokio::task::JoinHandle;

use super::background;
use super::settle::settle;
use super::start::{Started, failed_attempt};
use super::stream::{EventStream, Pulled};
use super::{ChatError, Receipt, Shared};
use crate::accounts::{Lease, Settlement};
use crate::audit::{RequestEnding, RequestRecord};
use crate::conversations::{Finished, Plan};
use crate::images::{ImageOrigin, PendingImages};
use crate::settings::Settings;
use crate::store::StoreError;
use crate::store::conversations::Place;
use crate::telemetry::StreamGuard;
use crate::upstream::UpstreamError;

/// A visible event that waits to be written.
pub(crate) enum OwnedEvent {
    Reasoning(String),
    Text(String),
}

impl From<ChatEvent<'_>> for OwnedEvent {
    fn from(event: ChatEvent<'_>) -> Self {
        match event {
            ChatEvent::Reasoning(text) => Self::Reasoning(text.to_owned()),
            ChatEvent::Text(text) => Self::Text(text.to_owned()),
        }
    }
}

impl OwnedEvent {
    fn borrow(&self) -> ChatEvent<'_> {
        match self {
            Self::Reasoning(text) => ChatEvent::Reasoning(text),
            Self::Text(text) => ChatEvent::Text(text),
        }
    }
}

/// What one pull brought.
pub(crate) enum Step {
    /// Events were told, or at least something happened.
    Events,
    /// Everything has been told. The next pull stores the turn and its record, so the record is to be filled in now.
    Told,
    /// The answer is complete and stored.
    Done,
    /// It broke, after something of it had been told.
    Failed(ChatError),
}

/// An answer under way.
pub(crate) struct Answer {
    shared: Arc<Shared>,
    plan: Arc<Plan>,
    settings: Arc<Settings>,
    receipt: Receipt,
    parent_conversation: Option<String>,
    moved: Vec<(String, Place)>,
    pending: Vec<OwnedEvent>,
    images: PendingImages,
    told: bool,
    state: State,
    lease: Option<Lease>,
    pub(crate) record: RequestRecord,
    _open: StreamGuard,
}

enum State {
    Streaming(Box<EventStream>),
    /// Everything has been told; the end is not.
    Complete(Box<EventStream>),
    /// The turn is on its way to the disk, in a task of its own: an answer that is complete is kept even if its client leaves
    /// at the very end.
    Committing(JoinHandle<Result<(), StoreError>>),
    /// The upstream told no ids, so there is nothing to store.
    Unstored,
    Ended,
}

impl Answer {
    pub(super) fn new(shared: Arc<Shared>, started: Started, record: RequestRecord) -> Self {
        let Started { plan, lease, opened, settings } = started;
        let open = record.metrics().open_stream();
        let mut stream = opened.begun.stream;
        let made = stream.take_made_images();
        let mut answer = Self {
            shared,
            plan: Arc::new(plan),
            settings,
            receipt: opened.binding.receipt,
            parent_conversation: opened.binding.parent.map(|(conversation, _)| conversation),
            moved: opened.binding.moved,
            pending: opened.begun.events,
            images: PendingImages::default(),
            told: false,
            state: if opened.begun.complete { State::Complete(stream) } else { State::Streaming(stream) },
            lease: Some(lease),
            record,
            _open: open,
        };
        answer.keep_images(made);
        answer
    }

    pub(crate) fn receipt(&self) -> Receipt {
        self.receipt
    }

    /// The public conversation id.
    pub(crate) fn conversation_id(&self) -> &str {
        &self.plan.conversation_id
    }

    /// The id of the turn, which names the answer.
    pub(crate) fn turn_id(&self) -> &str {
        &self.plan.turn_id
    }

    /// The turn that is continued.
    pub(crate) fn parent_turn(&self) -> Option<&str> {
        self.plan.parent.as_ref().map(|parent| parent.id.as_str())
    }

    /// By what the conversation was recognised.
    pub(crate) fn recognised(&self) -> &'static str {
        self.plan.recognised.label()
    }

    /// What the upstream has told of its ids so far, while the answer is not stored yet: conversation and response.
    pub(crate) fn upstream_ids(&self) -> (Option<&str>, Option<&str>) {
        let parent = self.parent_conversation.as_deref();
        match &self.state {
            State::Streaming(stream) | State::Complete(stream) => {
                let ids = stream.translator().ids();
                (ids.conversation_id.as_deref().or(parent), ids.response_id.as_deref())
            }
            State::Committing(_) | State::Unstored | State::Ended => (parent, None),
        }
    }

    /// Fills in what only the writer of the answer knows, when everything has been told: the tokens, and the bytes yet to come.
    pub(crate) fn told(&mut self, usage: &Usage, end_bytes: usize) {
        let row = &mut self.record.row;
        row.completion_tokens = i64::try_from(usage.completion_tokens).ok();
        row.reasoning_tokens = i64::try_from(usage.reasoning_tokens).ok();
        self.record.promise(end_bytes);
    }

    /// The client took so long for what it was told, which counts neither as the upstream's time nor as the account's fault. How long
    /// a client may take is for whoever writes to it.
    pub(crate) fn client_took(&mut self, time: Duration) {
        if let State::Streaming(stream) = &mut self.state {
            stream.client_took(time);
        }
    }

    /// Tells the next events to `out`.
    pub(crate) fn poll_step(&mut self, context: &mut Context<'_>, out: &mut impl FnMut(ChatEvent<'_>)) -> Poll<Step> {
        if !self.pending.is_empty() {
            for event in std::mem::take(&mut self.pending) {
                out(event.borrow());
            }
            return Poll::Ready(Step::Events);
        }
        loop {
            match std::mem::replace(&mut self.state, State::Ended) {
                State::Streaming(mut stream) => {
                    let pulled = stream.poll_events(context, out);
                    self.keep_images(stream.take_made_images());
                    match pulled {
                        Poll::Pending => {
                            self.state = State::Streaming(stream);
                            return Poll::Pending;
                        }
                        Poll::Ready(Pulled::Events) => {
                            self.state = State::Streaming(stream);
                            return Poll::Ready(Step::Events);
                        }
                        Poll::Ready(Pulled::Complete) => self.state = State::Complete(stream),
                        Poll::Ready(Pulled::Failed(error)) => {
                            return Poll::Ready(Step::Failed(self.broken(error)));
                        }
                    }
                }
                State::Complete(stream) if !std::mem::replace(&mut self.told, true) => {
                    self.state = State::Complete(stream);
                    return Poll::Ready(Step::Told);
                }
                State::Complete(stream) => self.complete(&stream),
                State::Unstored => return Poll::Ready(self.done()),
                State::Committing(mut commit) => match Pin::new(&mut commit).poll(context) {
                    Poll::Pending => {
                        self.state = State::Committing(commit);
                        return Poll::Pending;
                    }
                    Poll::Ready(Ok(Ok(()))) => return Poll::Ready(self.done()),
                    Poll::Ready(Ok(Err(error))) => return Poll::Ready(self.not_stored(error)),
                    Poll::Ready(Err(_)) => return Poll::Ready(self.not_stored(StoreError::WriterGone)),
                },
                State::Ended => return Poll::Ready(Step::Done),
            }
        }
    }

    /// Has the images fetched that the answer shows. Nothing waits for them before its end.
    fn keep_images(&mut self, made: Option<Vec<MadeImage>>) {
        let (Some(made), Some(lease)) = (made, &self.lease) else { return };
        let row = &self.record.row;
        let origin = ImageOrigin {
            account_id: lease.account_id().to_string(),
            key_id: row.key_id.clone(),
            request_id: row.request_id.clone(),
            model: row.model.clone(),
        };
        self.shared.images.keep(&origin, made, &mut self.images);
    }

    /// The answer is complete: the account has done its part, the turn goes to the disk.
    fn complete(&mut self, stream: &EventStream) {
        if let Some(lease) = self.lease.take() {
            let account = lease.account_id().to_string();
            lease.settle(Settlement::Success);
            self.record.complete();
            let translator = stream.translator();
            let ids = translator.ids();
            let conversation = ids.conversation_id.clone().or_else(|| self.parent_conversation.clone());
            let (Some(conversation), Some(response)) = (conversation, ids.response_id.clone()) else {
                // Without ids the turn cannot be continued upstream; the next request replays the history.
                tracing::warn!(conversation = self.plan.conversation_id, "the upstream told no ids for an answer");
                self.state = State::Unstored;
                return;
            };
            let place =
                Place { account_id: account, upstream_conversation_id: conversation, upstream_response_id: response };
            let visible = translator.text().to_owned();
            let title = ids.title.clone();
            let (shared, plan) = (Arc::clone(&self.shared), Arc::clone(&self.plan));
            let moved = std::mem::take(&mut self.moved);
            let request = Some(self.record.row_of_complete());
            let images = std::mem::take(&mut self.images);
            let commit = async move {
                let finished =
                    Finished { visible: &visible, place: place.clone(), title: title.as_deref(), moved, request };
                shared.conversations.commit(&plan, finished).await?;
                background::after_commit(&shared, &plan, place);
                // Whoever sees the end can follow its links.
                images.settled().await;
                Ok(())
            };
            self.state = State::Committing(self.shared.tasks.spawn(commit));
        }
    }

    fn done(&mut self) -> Step {
        self.record.metrics().turn(self.receipt.label());
        self.record.end(RequestEnding::Done, 200, None);
        Step::Done
    }

    fn not_stored(&mut self, error: StoreError) -> Step {
        tracing::error!(error = %error, "a turn could not be stored");
        self.record.end(RequestEnding::Broken, 200, Some("turn_not_stored"));
        Step::Failed(ChatError::NotStored(error))
    }

    /// The answer broke after the commit point.
    fn broken(&mut self, error: UpstreamError) -> ChatError {
        let verdict = error.verdict();
        if let Some(lease) = self.lease.take() {
            let penalty = settle(&self.shared, lease, verdict, true, &self.settings, &self.record.row.request_id);
            self.record.attempt_failed(failed_attempt(&error, verdict, penalty));
        }
        self.record.end(RequestEnding::Broken, 200, Some(verdict.label));
        error.into()
    }
}
