//! Plays a script on a socket.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{events::Events, opening::Opening, out::Out, renderer::Renderer, template::Copy};
use crate::{
    calls::StreamGuard,
    script::{BeforeHeaders, Framing, Script, Step},
    turn::{Keeper, goes_on},
};

/// What is said in a session at the moment: its opening or an answer.
pub(super) struct Play {
    steps: Arc<[Step]>,
    next: usize,
    pub framing: Framing,
    clock: Option<Instant>,
    due: Option<Instant>,
    part: Part,
}

enum Part {
    Opening(Opening),
    Answer(Box<Answer>),
    Copy(Copy),
}

struct Answer {
    keeper: Keeper,
    renderer: Renderer,
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
    pub(super) fn opening(steps: Vec<Step>, opening: Opening) -> Self {
        Self::new(Script::of(steps), Part::Opening(opening))
    }

    pub(super) fn answer(keeper: Keeper, script: Script, renderer: Renderer, guard: StreamGuard) -> Self {
        Self::new(script, Part::Answer(Box::new(Answer { keeper, renderer, guard, detached: false })))
    }

    /// An answer that was prepared for load.
    pub(super) fn copy(copy: Copy) -> Self {
        Self::new(Script::default(), Part::Copy(copy))
    }

    fn new(script: Script, part: Part) -> Self {
        let now = Instant::now();
        let due = match script.before_headers {
            BeforeHeaders::Send => Some(now),
            BeforeHeaders::Wait(wait) => Some(now + wait),
            BeforeHeaders::Hang => None,
        };
        Self { steps: script.steps.into(), next: 0, framing: script.framing, clock: None, due, part }
    }

    pub(super) fn is_opening(&self) -> bool {
        matches!(self.part, Part::Opening(_))
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
    pub(super) fn advance(&mut self, events: &mut Events, out: &mut Vec<Out>) -> Next {
        if let Part::Copy(copy) = &mut self.part {
            out.push(Out::Frames(copy.piece(events.session(), events)));
            self.due = copy.due();
            return if copy.over() { Next::Over } else { Next::Later };
        }
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
                Step::Reset => {
                    out.push(Out::Half);
                    return self.stop(Next::Break);
                }
                Step::Cut { reconnectable } => {
                    if let (Part::Answer(answer), true) = (&mut self.part, reconnectable) {
                        answer.detach(&steps, self.next);
                    }
                    return self.stop(Next::Close);
                }
                step => match &mut self.part {
                    Part::Opening(opening) => opening.render(step, events, out),
                    Part::Copy(_) => {}
                    Part::Answer(answer) => {
                        // Rendered first: the chunks that it makes are part of what is recorded.
                        answer.renderer.render(step, events, out);
                        answer.keeper.record(answer.renderer.recorder(), step);
                    }
                },
            }
        }
    }

    /// The script is over. An answer that was given no end ends with the socket, as a REST stream does with its body.
    fn end(&mut self, events: &mut Events, out: &mut Vec<Out>) -> Next {
        let told = match &mut self.part {
            Part::Opening(_) | Part::Copy(_) => true,
            Part::Answer(answer) => {
                answer.renderer.end_of_script(events, out);
                answer.renderer.done()
            }
        };
        self.stop(if told { Next::Over } else { Next::Close })
    }

    fn stop(&mut self, next: Next) -> Next {
        self.due = None;
        if let Part::Answer(answer) = &mut self.part {
            answer.settle();
            answer.guard.finish();
        }
        next
    }
}

impl Answer {
    fn detach(&mut self, steps: &[Step], rest: usize) {
        for step in goes_on(steps, rest) {
            self.renderer.keep_chunks(step);
        }
        self.keeper.detach(self.renderer.recorder(), steps, rest);
        self.detached = true;
    }

    fn settle(&mut self) {
        if !self.detached {
            self.keeper.settle(self.renderer.recorder());
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.settle();
    }
}
