//! Plays a script on a socket.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{events::Events, renderer::Renderer};
use crate::{
    calls::StreamGuard,
    script::{BeforeHeaders, Framing, Script, Step},
    turn::{Keeper, goes_on},
};

/// One answer on its way.
pub(super) struct Play {
    steps: Arc<[Step]>,
    next: usize,
    pub framing: Framing,
    keeper: Keeper,
    renderer: Renderer,
    clock: Option<Instant>,
    due: Option<Instant>,
    guard: StreamGuard,
    detached: bool,
}

/// What is to be done after some steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// To go on when it is due.
    Later,
    /// Nothing more comes; the socket stays open.
    Over,
    /// To close the socket.
    Close,
    /// To break the connection.
    Break,
}

impl Play {
    pub(super) fn new(keeper: Keeper, script: Script, renderer: Renderer, guard: StreamGuard) -> Self {
        let now = Instant::now();
        let due = match script.before_headers {
            BeforeHeaders::Send => Some(now),
            BeforeHeaders::Wait(wait) => Some(now + wait),
            BeforeHeaders::Hang => None,
        };
        Self {
            steps: script.steps.into(),
            next: 0,
            framing: script.framing,
            keeper,
            renderer,
            clock: None,
            due,
            guard,
            detached: false,
        }
    }

    /// When it goes on; never in silence.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Pauses follow one another from the first one on, so that an answer's pace does not drift.
    fn pause(&mut self, wait: Duration) {
        let deadline = self.clock.unwrap_or_else(Instant::now) + wait;
        self.clock = Some(deadline);
        self.due = Some(deadline);
    }

    /// Takes steps until the next pause or the end.
    pub(super) fn advance(&mut self, events: &mut Events, out: &mut Vec<String>) -> Next {
        let steps = self.steps.clone();
        loop {
            let Some(step) = steps.get(self.next) else {
                return self.end(events, out);
            };
            self.next += 1;
            match step {
                Step::Wait(wait) => {
                    self.pause(*wait);
                    return Next::Later;
                }
                Step::Hang => {
                    self.due = None;
                    return Next::Later;
                }
                Step::Reset => return self.stop(Next::Break),
                Step::Cut { reconnectable } => {
                    if *reconnectable {
                        for step in goes_on(&steps, self.next) {
                            self.renderer.keep_chunks(step);
                        }
                        self.keeper.detach(self.renderer.recorder(), &steps, self.next);
                        self.detached = true;
                    }
                    return self.stop(Next::Close);
                }
                step => {
                    // Rendered first: the chunks that it makes are part of what is recorded.
                    self.renderer.render(step, events, out);
                    self.keeper.record(self.renderer.recorder(), step);
                }
            }
        }
    }

    /// The script is over. An answer that was given no end ends with the socket, as a REST stream does with its body.
    fn end(&mut self, events: &mut Events, out: &mut Vec<String>) -> Next {
        self.renderer.end_of_script(events, out);
        self.stop(if self.renderer.done() { Next::Over } else { Next::Close })
    }

    fn stop(&mut self, next: Next) -> Next {
        self.due = None;
        self.settle();
        self.guard.finish();
        next
    }

    fn settle(&mut self) {
        if !self.detached {
            self.keeper.settle(self.renderer.recorder());
        }
    }
}

impl Drop for Play {
    fn drop(&mut self) {
        self.settle();
    }
}
