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
    state::{Asset, AssetContent, Background, Progress, Shared},
};

/// What was written has to leave before the connection is broken.
const BEFORE_RESET: Duration = Duration::from_millis(20);

/// How long a cut answer goes on without a reader, besides the pauses in its script.
const IN_BACKGROUND: Duration = Duration::from_secs(1);

/// Whether answers are written into the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    Tree,
    Nothing,
}

/// A streamed answer. No task stands behind it: it is polled by its connection, and dropped when the client leaves.
pub(crate) struct Answer {
    shared: Arc<Shared>,
    keep: Keep,
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
    pub(crate) fn new(shared: Arc<Shared>, keep: Keep, script: Script, renderer: Renderer, guard: StreamGuard) -> Self {
        let mut framer = Framer::new(script.framing.separator);
        let mut objects = VecDeque::new();
        if renderer.turn().envelope == Envelope::Reconnect {
            objects.push_back(framer.frame(renderer.reconnected()));
        }
        Self {
            shared,
            keep,
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
        self.renderer.render(step, &mut objects);
        for object in objects {
            self.objects.push_back(self.framer.frame(object));
        }
        self.save_images();
        if matches!(step, Step::Stored | Step::StoredWith(_) | Step::Raw(_)) {
            self.save();
        }
    }

    fn save_images(&mut self) {
        let images = self.renderer.take_images();
        if images.is_empty() || self.keep == Keep::Nothing {
            return;
        }
        let mut state = self.shared.state();
        for path in images {
            let asset = Asset {
                owner: self.renderer.turn().user_id.to_string(),
                content_type: "image/jpeg".to_owned(),
                content: AssetContent::Generated(path.clone()),
            };
            state.assets.insert(path, asset);
        }
    }

    /// Writes the answer as it is now into the tree.
    fn save(&self) {
        if self.keep == Keep::Nothing {
            return;
        }
        let answer = self.renderer.answer();
        let mut state = self.shared.state();
        let Some(conversation) = state.conversations.get_mut(&self.renderer.turn().conversation_id) else {
            return;
        };
        if let Some(node) = conversation.node_mut(&answer.id) {
            *node = answer.clone();
        }
    }

    /// Writes the finished answer into the tree, due when the rest of the script would have been played.
    fn detach(&mut self) {
        let at_cut = self.next - 1;
        let replay: Vec<Step> = self.steps[..at_cut].iter().chain(&self.steps[self.next..]).cloned().collect();
        let mut wait = IN_BACKGROUND;
        let mut unread = Vec::new();
        self.renderer.answer_mut().background = None;
        for step in &self.steps[self.next..] {
            match step {
                Step::Wait(pause) => wait += *pause,
                Step::Hang | Step::Reset | Step::Cut { reconnectable: false } => break,
                _ => self.renderer.render(step, &mut unread),
            }
        }
        self.save_images();
        let answer = self.renderer.answer_mut();
        let outcome = if answer.progress() == Progress::Finished { Progress::Finished } else { Progress::Partial };
        answer.set_progress(Progress::InFlight);
        answer.background = Some(Background { steps: replay.into(), done: Instant::now() + wait, outcome });
        self.save();
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
                self.detach();
                self.state = PlayState::Detached;
            }
            Step::Cut { reconnectable: false } => self.state = PlayState::Ended,
            step => self.render(step),
        }
        true
    }

    /// The answer comes no further. Runs before the end of the body leaves, so that who saw the end sees the tree settled.
    fn settle(&mut self) {
        let unfinished = self.renderer.answer().progress() == Progress::InFlight;
        // A reconnected stream that is left changes nothing: the answer goes on in the background as it did.
        if unfinished && self.state != PlayState::Detached && self.renderer.turn().envelope != Envelope::Reconnect {
            self.renderer.answer_mut().set_progress(Progress::Partial);
            self.save();
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
