//! The body of a streamed answer: plays a script as its reader takes it.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::{Instant, Sleep, sleep_until};

use super::{chunk::Envelope, frames::Framer, renderer::Renderer};
use crate::{
    calls::StreamGuard,
    script::{NetworkCut, Script, Step},
    turn::Keeper,
};

/// What was written has to leave before the connection is broken.
const BEFORE_RESET: Duration = Duration::from_millis(20);

/// A streamed answer. No task stands behind it: it is polled by its connection, and dropped when the client leaves.
pub(crate) struct Answer {
    keeper: Keeper,
    steps: Arc<[Step]>,
    next: usize,
    cut: NetworkCut,
    framer: Framer,
    renderer: Renderer,
    objects: VecDeque<Bytes>,
    clock: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
    guard: StreamGuard,
    state: PlayState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PlayState {
    Playing,
    /// All was handed over that the script holds.
    Ended,
    /// The connection breaks after the pause that runs.
    Breaking,
    /// Cut here; the answer goes on in the background.
    Detached,
}

impl Answer {
    pub(crate) fn new(keeper: Keeper, script: Script, renderer: Renderer, guard: StreamGuard) -> Self {
        let mut framer = Framer::new(script.framing.separator);
        let mut objects = VecDeque::new();
        if renderer.envelope() == Envelope::Reconnect {
            objects.push_back(framer.frame(renderer.reconnected()));
        }
        Self {
            keeper,
            steps: script.steps.into(),
            next: 0,
            cut: script.framing.cut,
            framer,
            renderer,
            objects,
            clock: None,
            sleep: None,
            guard,
            state: PlayState::Playing,
        }
    }

    /// The next piece that is ready to leave.
    fn piece(&mut self) -> Option<Bytes> {
        match self.cut {
            NetworkCut::Whole => self.objects.pop_front(),
            NetworkCut::EveryByte => {
                let front = self.objects.front_mut()?;
                let byte = front.split_to(1);
                if front.is_empty() {
                    self.objects.pop_front();
                }
                Some(byte)
            }
        }
    }

    /// Pauses follow one another from the first one on, so that an answer's pace does not drift.
    fn pause(&mut self, wait: Duration) {
        let deadline = self.clock.unwrap_or_else(Instant::now) + wait;
        self.clock = Some(deadline);
        self.sleep = Some(Box::pin(sleep_until(deadline)));
    }

    fn render(&mut self, step: &Step) {
        let mut objects = Vec::new();
        self.keeper.record(self.renderer.recorder(), step);
        self.renderer.render(step, &mut objects);
        for object in objects {
            self.objects.push_back(self.framer.frame(object));
        }
    }

    /// Takes the next step; false if the script is over.
    fn advance(&mut self) -> bool {
        let steps = self.steps.clone();
        let Some(step) = steps.get(self.next) else {
            return false;
        };
        self.next += 1;
        match step {
            Step::Wait(wait) => self.pause(*wait),
            Step::Reset => {
                self.state = PlayState::Breaking;
                self.clock = None;
                self.pause(BEFORE_RESET);
            }
            Step::Cut { reconnectable: true } => {
                self.keeper.detach(self.renderer.recorder(), &steps, self.next);
                self.state = PlayState::Detached;
            }
            Step::Cut { reconnectable: false } => self.state = PlayState::Ended,
            step => self.render(step),
        }
        true
    }

    fn settle(&mut self) {
        // A reconnected stream that is left changes nothing: the answer goes on in the background as it did.
        if self.renderer.envelope() != Envelope::Reconnect {
            self.keeper.settle(self.renderer.recorder());
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        loop {
            if let Some(piece) = self.piece() {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            if let Some(sleep) = &mut self.sleep {
                ready!(sleep.as_mut().poll(context));
                self.sleep = None;
            }
            match self.state {
                PlayState::Playing => {}
                PlayState::Breaking => {
                    self.state = PlayState::Ended;
                    self.settle();
                    self.guard.finish();
                    return Poll::Ready(Some(Err(io::Error::other("the script breaks the connection here"))));
                }
                PlayState::Ended | PlayState::Detached => {
                    self.settle();
                    self.guard.finish();
                    return Poll::Ready(None);
                }
            }
            if let Some(Step::Hang) = self.steps.get(self.next) {
                // Nothing will ever wake this: the connection drops it when the client leaves.
                return Poll::Pending;
            }
            if !self.advance() {
                self.state = PlayState::Ended;
                let last = self.framer.end();
                self.objects.extend(last);
            }
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.settle();
    }
}
