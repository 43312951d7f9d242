//! Answers that were prepared for load. What names the client's events is written for each turn; the rest is copied.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    events::Events,
    out::{Out, Write, writes},
    renderer::{Form, Renderer, Wishes},
};
use crate::{
    calls::StreamGuard,
    prepared::{Prepared, Shape},
    script::{Framing, Step},
    turn::Turn,
};

/// What makes two answers the same but for their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TemplateKey {
    form: Form,
    new: bool,
    temporary: bool,
    follow_ups: bool,
    shape: Shape,
}

impl TemplateKey {
    pub(super) fn new(wishes: &Wishes, shape: Shape) -> Self {
        let Wishes { form, new, temporary, follow_ups, .. } = *wishes;
        Self { form, new, temporary, follow_ups, shape }
    }
}

/// Renders what follows the opening of an answer. Its events are numbered as those of a session's first turn.
pub(super) fn prepare(wishes: Wishes, mut turn: Turn, mut events: Events, shape: Shape) -> Prepared {
    turn.title = "hello".to_owned();
    let (session, response, prefix) =
        (turn.conversation_id.clone(), turn.answer.id.clone(), events.prefix().to_owned());
    let mut steps = shape.steps();
    let mut renderer = Renderer::new(wishes, turn, &steps);
    // Rendered for what it does to the renderer: each turn sends its own.
    steps.retain(|step| !matches!(step, Step::Opening));
    renderer.render(&Step::Opening, &mut events.clone(), &mut Vec::new());
    let mut rest = steps.iter().filter(|step| !matches!(step, Step::Wait(_) | Step::Hang)).count();
    Prepared::render(&steps, &[&session, &response, &prefix], |step, out| {
        let mut messages = Vec::new();
        renderer.render(step, &mut events, &mut messages);
        renderer.recorder().apply(step);
        rest -= 1;
        if rest == 0 {
            renderer.end_of_script(&mut events, &mut messages);
        }
        out.extend(bytes(messages));
    })
}

/// Messages as frames in one piece.
pub(super) fn bytes(messages: Vec<Out>) -> Vec<u8> {
    let bytes = |write: Write| match write {
        Write::Bytes(bytes) => bytes,
        Write::Filling(_) => Vec::new(),
    };
    writes(Framing::default(), messages).into_iter().flat_map(bytes).collect()
}

/// A prepared answer on its way.
pub(super) struct Copy {
    prepared: Arc<Prepared>,
    next: usize,
    response: String,
    /// The opening, until it is sent.
    opening: Vec<u8>,
    clock: Option<Instant>,
    guard: StreamGuard,
}

impl Copy {
    pub(super) fn new(prepared: Arc<Prepared>, response: String, opening: Vec<u8>, guard: StreamGuard) -> Self {
        Self { prepared, next: 0, response, opening, clock: None, guard }
    }

    /// What leaves now.
    pub(super) fn piece(&mut self, session: &str, events: &Events) -> Vec<u8> {
        let mut out = std::mem::take(&mut self.opening);
        if let Some(piece) = self.prepared.pieces.get(self.next)
            && (piece.wait.is_zero() || self.clock.is_some())
        {
            out.extend(piece.patched(&[session, &self.response, events.prefix()]));
            self.next += 1;
        }
        out
    }

    /// When the next piece leaves: an answer that is over has none, and one that hangs has none either.
    pub(super) fn due(&mut self) -> Option<Instant> {
        let piece = self.prepared.pieces.get(self.next)?;
        let due = self.clock.unwrap_or_else(Instant::now) + piece.wait;
        self.clock = Some(due);
        Some(due)
    }

    /// Whether it has ended.
    pub(super) fn over(&mut self) -> bool {
        let over = self.next >= self.prepared.pieces.len() && !self.prepared.hangs;
        if over {
            self.guard.finish();
        }
        over
    }
}
