//! A reader's place among the events.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::{Event, Events, asks_for};

/// Events that come within this are told together.
const PACE: Duration = Duration::from_millis(250);

/// What a reader is to be told next.
#[derive(Debug)]
pub(crate) enum Next {
    /// Oldest first, and the place after them.
    Events(Vec<Arc<Event>>, u64),
    /// Some are lost: load anew what is shown. The place to go on from.
    Resync(u64),
    /// There will be no more.
    Closed,
}

/// One stream; ends with its drop.
pub(crate) struct Subscription {
    events: Events,
    stream: String,
    /// The last event that was told or passed over.
    place: u64,
    is_resumed: bool,
    must_resync: bool,
    newest: watch::Receiver<u64>,
    last_told: Option<Instant>,
}

impl Subscription {
    /// `oldest` is the earliest place that the ring still covers.
    pub(super) fn new(
        events: Events,
        stream: String,
        (oldest, newest): (u64, u64),
        after: Option<u64>,
        receiver: watch::Receiver<u64>,
    ) -> Self {
        let resumed = after.filter(|after| (oldest..=newest).contains(after));
        Self {
            events,
            stream,
            place: resumed.unwrap_or(newest),
            is_resumed: resumed.is_some(),
            must_resync: after.is_some() && resumed.is_none(),
            newest: receiver,
            last_told: None,
        }
    }

    /// The name of the stream, for changing its topics.
    pub(crate) fn stream(&self) -> &str {
        &self.stream
    }

    pub(crate) fn place(&self) -> u64 {
        self.place
    }

    /// Whether it goes on without a gap where its reader was.
    pub(crate) fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    /// Waits for what is to be told. May be dropped and called again: nothing is lost.
    pub(crate) async fn next(&mut self) -> Next {
        let closed = self.events.shared.closed.clone();
        loop {
            let news = async {
                if !self.must_resync && *self.newest.borrow_and_update() == self.place {
                    // The sender lives as long as this handle to the events.
                    let _ = self.newest.changed().await;
                }
                if let Some(last) = self.last_told {
                    tokio::time::sleep_until(last + PACE).await;
                }
            };
            if closed.run_until_cancelled(news).await.is_none() {
                return Next::Closed;
            }
            if let Some(next) = self.collect() {
                return next;
            }
        }
    }

    fn collect(&mut self) -> Option<Next> {
        let (newest, found) = {
            let state = self.events.state();
            let oldest_place = state.oldest_place();
            if std::mem::take(&mut self.must_resync) || oldest_place > self.place {
                self.place = state.newest;
                self.last_told = Some(Instant::now());
                return Some(Next::Resync(self.place));
            }
            let topics = state.streams.get(&self.stream).and_then(|stream| stream.topics.as_deref());
            let skipped = usize::try_from(self.place - oldest_place).unwrap_or(usize::MAX);
            let new = state.ring.iter().skip(skipped);
            let found: Vec<Arc<Event>> =
                new.filter(|event| asks_for(topics, event.topic, &event.subject)).map(Arc::clone).collect();
            (state.newest, found)
        };
        self.place = newest;
        if found.is_empty() {
            return None;
        }
        self.last_told = Some(Instant::now());
        Some(Next::Events(latest(found), newest))
    }
}

/// Of each name and subject the last.
fn latest(events: Vec<Arc<Event>>) -> Vec<Arc<Event>> {
    let mut seen = HashSet::new();
    let mut kept: Vec<Arc<Event>> = Vec::with_capacity(events.len());
    for event in events.iter().rev() {
        if seen.insert((event.name, event.subject.as_str())) {
            kept.push(Arc::clone(event));
        }
    }
    kept.reverse();
    kept
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.events.state().streams.remove(&self.stream);
    }
}
