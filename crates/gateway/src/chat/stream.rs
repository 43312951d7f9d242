//! The upstream's answer as a client sees it: events are pulled and translated. A cut is mended once through the upstream's
//! reconnect. One translator, whether the client streams or not, whatever the answer comes over.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use protocol::event::{GrokEvent, StoredAnswer};
use protocol::rest::{self, StoredResponse};
use protocol::size::AnswerSize;
use protocol::translate::{ChatEvent, Ending, MadeImage, RenderOptions, Translator};
use tokio::time::{Instant, Sleep};

use super::Shared;
use crate::settings::Settings;
use crate::upstream::{
    AnswerLimits, Credential, Heard, HeldMemory, Patience, Transport, UpstreamAnswer, UpstreamError, UpstreamErrorKind,
};

/// What one pull brought.
pub(super) enum Pulled {
    /// Events were told, or at least bytes arrived.
    Events,
    /// The answer is complete.
    Complete,
    /// It will not be.
    Failed(UpstreamError),
}

/// The answer of one attempt.
pub(super) struct EventStream {
    source: Source,
    transport: Transport,
    translator: Translator,
    context: Arc<StreamContext>,
    mended: bool,
    /// What ended the bytes early, if not just their end.
    broken_by: Option<UpstreamError>,
    clock: StreamClock,
    size: AnswerSize,
    limits: AnswerLimits,
    held: HeldMemory,
}

/// What mending needs.
pub(super) struct StreamContext {
    pub(super) shared: Arc<Shared>,
    pub(super) credential: Credential,
    pub(super) settings: Arc<Settings>,
    /// The upstream conversation that is continued; a new one tells its id in the stream.
    pub(super) conversation_id: Option<String>,
}

enum Source {
    Answer(UpstreamAnswer),
    Mending(Pin<Box<dyn Future<Output = Option<Mended>> + Send>>),
    Ended,
}

/// How a cut answer goes on.
enum Mended {
    /// The upstream tells it again.
    Stream(UpstreamAnswer),
    /// It was finished in the meantime.
    Stored(StoredResponse),
}

impl EventStream {
    /// Boxed, because it is handed from state to state and is large.
    pub(super) fn boxed(answer: UpstreamAnswer, context: StreamContext, options: RenderOptions) -> Box<Self> {
        let clock = StreamClock::new(&context.settings);
        Box::new(Self {
            transport: answer.transport(),
            source: Source::Answer(answer),
            translator: Translator::new(options),
            mended: false,
            broken_by: None,
            clock,
            size: AnswerSize::default(),
            limits: AnswerLimits::new(&context.settings),
            held: context.shared.upstream.memory().hold(),
            context: Arc::new(context),
        })
    }

    pub(super) fn translator(&self) -> &Translator {
        &self.translator
    }

    /// The images that the answer shows since this was last asked.
    pub(super) fn take_made_images(&mut self) -> Option<Vec<MadeImage>> {
        self.translator.has_made_images().then(|| self.translator.take_made_images())
    }

    /// The client took so long for what it was told, which is not the upstream's to answer for.
    pub(super) fn client_took(&mut self, time: Duration) {
        self.clock.ends_at += time;
    }

    /// Tells the next events to `out`.
    pub(super) fn poll_events(
        &mut self,
        context: &mut Context<'_>,
        out: &mut impl FnMut(ChatEvent<'_>),
    ) -> Poll<Pulled> {
        loop {
            match &mut self.source {
                Source::Answer(answer) => {
                    let (translator, size, limit) = (&mut self.translator, &mut self.size, self.limits.answer);
                    let polled = answer.poll_events(context, &mut |event| {
                        size.add(&event);
                        // What is too much is not even translated: one message may hold all of it.
                        if size.bytes() <= limit {
                            translator.event(event, out);
                        }
                    });
                    let buffered = answer.buffered();
                    if let Err(error) = self.has_room(buffered) {
                        self.source = Source::Ended;
                        return Poll::Ready(Pulled::Failed(error));
                    }
                    match polled {
                        Poll::Ready(Heard::Something) => {
                            self.clock.heard();
                            return Poll::Ready(self.told());
                        }
                        Poll::Ready(Heard::End(error)) => match self.end(error, out) {
                            Some(pulled) => return Poll::Ready(pulled),
                            None => continue,
                        },
                        Poll::Ready(Heard::Unreadable(error)) => {
                            self.source = Source::Ended;
                            return Poll::Ready(Pulled::Failed(error));
                        }
                        Poll::Pending => {}
                    }
                    let patience = ready!(self.clock.poll_late(context));
                    let error = UpstreamError::from(UpstreamErrorKind::Timeout(patience));
                    if matches!(patience, Patience::Total(_)) {
                        self.source = Source::Ended;
                        return Poll::Ready(Pulled::Failed(error));
                    }
                    if let Some(pulled) = self.end(Some(error), out) {
                        return Poll::Ready(pulled);
                    }
                }
                Source::Mending(mending) => match mending.as_mut().poll(context) {
                    Poll::Ready(Some(Mended::Stream(answer))) => {
                        self.clock.heard();
                        // It is told again from its beginning; what it may hold more than once, the budget has counted.
                        self.size = AnswerSize::default();
                        self.source = Source::Answer(answer);
                    }
                    Poll::Ready(Some(Mended::Stored(stored))) => {
                        let stored = StoredAnswer {
                            message: stored.message.into(),
                            response_id: Some(stored.id.into()),
                            parent_response_id: stored.parent.map(Into::into),
                            ..StoredAnswer::default()
                        };
                        let stored = GrokEvent::Stored(Box::new(stored));
                        self.size.add(&stored);
                        self.source = Source::Ended;
                        if let Err(error) = self.has_room(0) {
                            return Poll::Ready(Pulled::Failed(error));
                        }
                        self.translator.event(stored, out);
                        return Poll::Ready(self.finish(None, out));
                    }
                    Poll::Ready(None) => {
                        self.source = Source::Ended;
                        let error = self.broken_by.take().unwrap_or_else(|| UpstreamErrorKind::Truncated.into());
                        return Poll::Ready(Pulled::Failed(error));
                    }
                    // An upstream that cuts and then does not answer either must not hold the client for ever.
                    Poll::Pending => match self.clock.poll_late(context) {
                        Poll::Ready(patience) => {
                            self.source = Source::Ended;
                            return Poll::Ready(Pulled::Failed(UpstreamErrorKind::Timeout(patience).into()));
                        }
                        Poll::Pending => return Poll::Pending,
                    },
                },
                Source::Ended => return Poll::Ready(Pulled::Failed(UpstreamErrorKind::Truncated.into())),
            }
        }
    }

    /// Whether the answer may be as large as it is, with `buffered` bytes that wait for their end.
    fn has_room(&mut self, buffered: usize) -> Result<(), UpstreamError> {
        let size = self.size.bytes();
        if size > self.limits.answer {
            return Err(self.limits.exceeded());
        }
        self.held.grow(size, buffered, &self.limits)
    }

    /// Events have been told.
    fn told(&mut self) -> Pulled {
        match self.translator.failure() {
            // A fatal error: what may follow it is not an answer.
            Some(failure) => {
                self.source = Source::Ended;
                Pulled::Failed(failure.clone().into())
            }
            None => Pulled::Events,
        }
    }

    /// Nothing more comes. `None`: the answer is being mended.
    fn end(&mut self, error: Option<UpstreamError>, out: &mut impl FnMut(ChatEvent<'_>)) -> Option<Pulled> {
        self.source = Source::Ended;
        if !self.translator.has_ended() && self.translator.failure().is_none() && !self.mended {
            self.mended = true;
            if let Some(mending) = self.mend() {
                let begun = std::mem::replace(&mut self.translator, Translator::new(RenderOptions::default()));
                self.translator = Translator::resume(begun);
                self.source = Source::Mending(mending);
                self.broken_by = error;
                self.clock.heard();
                return None;
            }
        }
        Some(self.finish(error, out))
    }

    fn finish(&mut self, error: Option<UpstreamError>, out: &mut impl FnMut(ChatEvent<'_>)) -> Pulled {
        match self.translator.finish(out) {
            Ending::Complete => Pulled::Complete,
            Ending::Failed(failure) => Pulled::Failed(failure.into()),
            Ending::Empty => Pulled::Failed(error.unwrap_or_else(|| UpstreamErrorKind::Empty.into())),
            Ending::Truncated => Pulled::Failed(error.unwrap_or_else(|| UpstreamErrorKind::Truncated.into())),
        }
    }

    /// Asks the upstream what became of the answer; `None` when not even its ids are known.
    fn mend(&self) -> Option<Pin<Box<dyn Future<Output = Option<Mended>> + Send>>> {
        let ids = self.translator.ids();
        let conversation = ids.conversation_id.clone().or_else(|| self.context.conversation_id.clone())?;
        let (response, question) = (ids.response_id.clone(), ids.user_message_id.clone());
        if response.is_none() && question.is_none() {
            return None;
        }
        let context = Arc::clone(&self.context);
        Some(Box::pin(async move { mend(&context, &conversation, response.as_deref(), question.as_deref()).await }))
    }
}

impl Drop for EventStream {
    /// However the answer ended, what was not understood of it is noted.
    fn drop(&mut self) {
        let (counts, samples) = (self.translator.unknown(), self.translator.samples());
        self.context.shared.drift.note(self.transport, counts, samples);
    }
}

/// As the upstream's own page does after a cut: look which answers are under way, take ours up again, or load it if it was
/// finished (UPSTREAM.md 13.3).
async fn mend(
    context: &StreamContext,
    conversation: &str,
    response: Option<&str>,
    question: Option<&str>,
) -> Option<Mended> {
    let StreamContext { shared, credential, settings, .. } = context;
    let nodes = rest::response_node(conversation);
    let nodes = shared.upstream.call(credential, nodes, settings, rest::read_response_nodes).await;
    let nodes = match nodes {
        Ok(nodes) => nodes,
        Err(error) => {
            tracing::info!(error = %error, "a cut answer could not be looked up");
            return None;
        }
    };
    let is_ours = |id: &str, parent: Option<&str>| {
        response == Some(id) || (response.is_none() && question.is_some() && parent == question)
    };
    if let Some(under_way) = nodes.in_flight.iter().find(|other| is_ours(&other.id, other.parent.as_deref())) {
        let body = shared.upstream.reconnect(credential, conversation, &under_way.id, settings).await;
        return match body {
            Ok(body) => Some(Mended::Stream(body)),
            Err(error) => {
                tracing::info!(error = %error, "a cut answer could not be taken up again");
                None
            }
        };
    }
    let stored = nodes.nodes.iter().find(|node| node.is_assistant && is_ours(&node.id, node.parent.as_deref()))?;
    let route = rest::load_responses(conversation, std::slice::from_ref(&stored.id));
    match shared.upstream.call(credential, route, settings, rest::read_responses).await {
        Ok(responses) => {
            responses.into_iter().find(|response| response.id == stored.id && !response.partial).map(Mended::Stored)
        }
        Err(error) => {
            tracing::info!(error = %error, "a cut answer could not be loaded");
            None
        }
    }
}

/// How long the upstream may be silent, and how long an answer may take. One timer, looked at only while waiting, so a slow
/// client does not count as a silent upstream; nor does its time count as the answer's ([`EventStream::client_took`]).
struct StreamClock {
    idle: Duration,
    total: Duration,
    ends_at: Instant,
    waiting_since: Option<Instant>,
    sleep: Pin<Box<Sleep>>,
}

impl StreamClock {
    fn new(settings: &Settings) -> Self {
        let idle = Duration::from_secs(settings.stream_idle_timeout);
        let total = Duration::from_secs(settings.stream_timeout);
        let now = Instant::now();
        let ends_at = now + total;
        Self {
            idle,
            total,
            ends_at,
            waiting_since: None,
            sleep: Box::pin(tokio::time::sleep_until(ends_at.min(now + idle))),
        }
    }

    fn heard(&mut self) {
        self.waiting_since = None;
    }

    /// Ready when patience has ended.
    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<Patience> {
        let waiting_since = *self.waiting_since.get_or_insert_with(Instant::now);
        // The timer does not fire in a task that has had its turn, as it does when the upstream never stops.
        if Instant::now() >= self.ends_at {
            return Poll::Ready(Patience::Total(self.total));
        }
        while self.sleep.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            if now >= self.ends_at {
                return Poll::Ready(Patience::Total(self.total));
            }
            let idle_at = waiting_since + self.idle;
            if now >= idle_at {
                return Poll::Ready(Patience::Idle(self.idle));
            }
            self.sleep.as_mut().reset(idle_at.min(self.ends_at));
        }
        Poll::Pending
    }
}
