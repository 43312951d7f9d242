//! The body of an answer that was prepared for load.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    chunk::Envelope,
    frames::Framer,
    renderer::{Form, Renderer},
};
use crate::{
    calls::StreamGuard,
    ids,
    prepared::{Prepared, Shape},
    script::Separator,
    turn::Turn,
};

/// What makes two answers the same but for their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TemplateKey {
    pub envelope: Envelope,
    pub final_metadata: bool,
    pub shape: Shape,
}

/// Renders an answer that is to be copied.
pub(crate) fn prepare(form: Form, turn: Turn, shape: Shape) -> Prepared {
    let (conversation_id, response_id) = (turn.conversation_id.clone(), turn.answer.id.clone());
    let mut renderer = Renderer::new(form, turn);
    let mut framer = Framer::new(Separator::Newline);
    Prepared::render(&shape.steps(), &[&conversation_id, &response_id], |step, out| {
        let mut objects = Vec::new();
        renderer.recorder().apply(step);
        renderer.render(step, &mut objects);
        for object in objects {
            out.extend_from_slice(&framer.frame(object));
        }
    })
}

/// The body of a prepared answer.
pub(crate) struct PreparedAnswer {
    prepared: Arc<Prepared>,
    next: usize,
    conversation_id: String,
    response_id: String,
    clock: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
    guard: StreamGuard,
}

impl PreparedAnswer {
    pub(crate) fn new(prepared: Arc<Prepared>, conversation_id: String, guard: StreamGuard) -> Self {
        Self { prepared, next: 0, conversation_id, response_id: ids::fresh(), clock: None, sleep: None, guard }
    }
}

impl Body for PreparedAnswer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let prepared = self.prepared.clone();
        let Some(piece) = prepared.pieces.get(self.next) else {
            if prepared.hangs {
                // Nothing will ever wake this: the connection drops it when the client leaves.
                return Poll::Pending;
            }
            self.guard.finish();
            return Poll::Ready(None);
        };
        if self.sleep.is_none() && !piece.wait.is_zero() {
            let deadline = self.clock.unwrap_or_else(Instant::now) + piece.wait;
            self.clock = Some(deadline);
            self.sleep = Some(Box::pin(sleep_until(deadline)));
        }
        if let Some(sleep) = &mut self.sleep {
            ready!(sleep.as_mut().poll(context));
            self.sleep = None;
        }
        self.next += 1;
        let bytes = piece.patched(&[&self.conversation_id, &self.response_id]);
        Poll::Ready(Some(Ok(Frame::data(bytes.into()))))
    }
}
