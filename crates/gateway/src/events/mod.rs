//! What changed, told to consoles as it happens.
//!
//! Whoever changes something publishes an event; the last [`KEPT`] are kept in a ring. A stream has no queue of its own but a place
//! in the ring: a slow reader costs nothing, and when the ring has moved past its place it is told to load anew. For the same
//! reason a reader that comes back can go on where it was.

mod subscription;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::secrets::random_token;

pub(crate) use subscription::{Next, Subscription};

/// Events in the ring.
const KEPT: usize = 2_000;

/// Streams at the same time; one per browser, so this is a lot.
const MOST_STREAMS: usize = 64;

/// Of those, what one token or one session may have.
const MOST_OF_ONE: usize = 8;

/// Of those, what is kept for people: tokens together may not have them.
const KEPT_FOR_PEOPLE: usize = 16;

/// Topics of one stream: a page full of rows, and what else it shows.
pub(crate) const MOST_TOPICS: usize = 256;

/// Something that changed.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) id: u64,
    /// As `EventSource` listeners know it.
    pub(crate) name: &'static str,
    /// What a stream asks for to get it.
    pub(crate) topic: &'static str,
    /// The thing it is about. Of several waiting events of one name and subject the last is told.
    pub(crate) subject: String,
    /// JSON in one line.
    pub(crate) data: String,
}

/// A cheap handle to all events.
#[derive(Clone)]
pub(crate) struct Events {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// The id of the newest event.
    newest: watch::Sender<u64>,
    closed: CancellationToken,
}

struct State {
    ring: VecDeque<Arc<Event>>,
    newest: u64,
    streams: HashMap<String, Stream>,
}

struct Stream {
    reader: Reader,
    /// `None`: everything.
    topics: Option<Vec<String>>,
}

/// Who reads a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// A person, by their session.
    Session(String),
    /// A script, by its token.
    Token(String),
}

/// There are as many streams as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TooManyStreams {
    #[error("there are {MOST_OF_ONE} event streams of this session or token already")]
    OfReader,
    #[error("there are as many event streams already as the service holds")]
    OfAll,
}

impl Events {
    pub(crate) fn new(clock: &Clock) -> Self {
        // Ids of an earlier run are lower, so that a place in its ring is not mistaken for one in ours. A thousand a
        // millisecond keeps ahead of that; the number stays exact in JavaScript.
        let newest = u64::try_from(clock.now_ms()).unwrap_or(0) * 1_000;
        let state = State { ring: VecDeque::with_capacity(KEPT), newest, streams: HashMap::new() };
        let shared =
            Shared { state: Mutex::new(state), newest: watch::Sender::new(newest), closed: CancellationToken::new() };
        Self { shared: Arc::new(shared) }
    }

    /// Tells all streams that ask for the topic.
    pub(crate) fn publish(&self, name: &'static str, topic: &'static str, subject: &str, data: &impl Serialize) {
        let data = match serde_json::to_string(data) {
            Ok(data) => data,
            Err(error) => return tracing::error!(name, %error, "an event could not be written"),
        };
        let mut state = self.state();
        state.newest += 1;
        let id = state.newest;
        if state.ring.len() == KEPT {
            state.ring.pop_front();
        }
        state.ring.push_back(Arc::new(Event { id, name, topic, subject: subject.to_owned(), data }));
        self.shared.newest.send_replace(id);
    }

    /// Opens a stream. `after` is the last event its reader has seen.
    pub(crate) fn subscribe(
        &self,
        reader: Reader,
        topics: Option<Vec<String>>,
        after: Option<u64>,
    ) -> Result<Subscription, TooManyStreams> {
        let mut state = self.state();
        if state.streams.values().filter(|stream| stream.reader == reader).count() >= MOST_OF_ONE {
            return Err(TooManyStreams::OfReader);
        }
        let is_token = |reader: &Reader| matches!(reader, Reader::Token(_));
        let of_tokens = state.streams.values().filter(|stream| is_token(&stream.reader)).count();
        let has_reserve = !is_token(&reader) || of_tokens < MOST_STREAMS - KEPT_FOR_PEOPLE;
        if state.streams.len() >= MOST_STREAMS || !has_reserve {
            return Err(TooManyStreams::OfAll);
        }
        let stream = format!("es_{}", random_token(12));
        state.streams.insert(stream.clone(), Stream { reader, topics });
        let covered = (state.oldest_place(), state.newest);
        Ok(Subscription::new(self.clone(), stream, covered, after, self.shared.newest.subscribe()))
    }

    /// Gives a stream other topics; `false` when there is no such stream.
    pub(crate) fn set_topics(&self, stream: &str, topics: Vec<String>) -> bool {
        match self.state().streams.get_mut(stream) {
            Some(own) => {
                own.topics = Some(topics);
                true
            }
            None => false,
        }
    }

    /// Whether anybody would be told. What costs something to find out need not be found out for nobody.
    pub(crate) fn is_wanted(&self, topic: &str) -> bool {
        self.state().streams.values().any(|stream| asks_for(stream.topics.as_deref(), topic, ""))
    }

    /// The things of a kind that streams ask for one by one, as `kind:id`.
    pub(crate) fn wanted_subjects(&self, kind: &str) -> Vec<String> {
        let state = self.state();
        let topics = state.streams.values().filter_map(|stream| stream.topics.as_ref()).flatten();
        let subjects = topics.filter_map(|topic| topic.strip_prefix(kind)?.strip_prefix(':'));
        let mut subjects: Vec<String> = subjects.map(str::to_owned).collect();
        subjects.sort_unstable();
        subjects.dedup();
        subjects
    }

    /// Ends all streams, with a good-bye.
    pub(crate) fn close(&self) {
        self.shared.closed.cancel();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Single insertions and removals; a panic elsewhere leaves nothing half done.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The earliest place that nothing is lost after.
    fn oldest_place(&self) -> u64 {
        self.ring.front().map_or(self.newest, |oldest| oldest.id - 1)
    }
}

/// Whether a stream with these topics gets an event. `accounts` also asks for `accounts.summary`; `account:ID` for one thing.
fn asks_for(topics: Option<&[String]>, topic: &str, subject: &str) -> bool {
    let Some(topics) = topics else { return true };
    topics.iter().any(|wanted| {
        let rest = topic.strip_prefix(wanted.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            || wanted.split_once(':').is_some_and(|(kind, id)| topic.strip_suffix('s') == Some(kind) && id == subject)
    })
}

#[cfg(test)]
mod tests;
