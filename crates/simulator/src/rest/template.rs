//! Answers for load: rendered once, then copied with fresh ids.
//!
//! What costs a simulated answer is rendering it, not sending it. Under load the same few replies come over and over, so
//! their bytes are kept with the places of the two ids that differ from answer to answer.

use std::{
    collections::HashMap,
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use memchr::memmem;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    chunk::Envelope,
    frames::Framer,
    renderer::{Form, Renderer},
};
use crate::{
    calls::StreamGuard,
    ids,
    script::{Separator, Step},
    turn::Turn,
};

/// What makes two answers the same but for their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TemplateKey {
    pub envelope: Envelope,
    pub final_metadata: bool,
    pub shape: TemplateShape,
}

/// The replies that are prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TemplateShape {
    Tokens { tokens: usize, thinking: usize, interval: Duration },
    Stall,
}

/// Rendered answers by what they look like.
#[derive(Debug, Default)]
pub(crate) struct TemplateCache(Mutex<HashMap<TemplateKey, Arc<Template>>>);

/// A rendered answer.
#[derive(Debug)]
pub(crate) struct Template {
    pieces: Vec<Piece>,
    end: TemplateEnd,
}

/// Objects that leave together.
#[derive(Debug)]
struct Piece {
    /// Pause before it.
    wait: Duration,
    bytes: Box<[u8]>,
    conversation_ids: Vec<usize>,
    response_ids: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TemplateEnd {
    EndOfBody,
    Hang,
}

impl TemplateCache {
    /// The template for `key`, rendered from `make` if it is not there yet.
    pub(crate) fn get(&self, key: TemplateKey, make: impl FnOnce() -> (Form, Turn, Vec<Step>)) -> Arc<Template> {
        let mut templates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let template = templates.entry(key).or_insert_with(|| {
            let (form, turn, steps) = make();
            Arc::new(Template::render(form, turn, &steps))
        });
        template.clone()
    }
}

impl Template {
    fn render(form: Form, turn: Turn, steps: &[Step]) -> Self {
        let conversation_id = turn.conversation_id.clone();
        let response_id = turn.answer.id.clone();
        let mut renderer = Renderer::new(form, turn);
        let mut framer = Framer::new(Separator::Newline);
        let mut pieces = Vec::new();
        let mut bytes = Vec::new();
        let mut wait = Duration::ZERO;
        let mut end = TemplateEnd::EndOfBody;
        for step in steps {
            match step {
                Step::Wait(pause) => {
                    if !bytes.is_empty() {
                        pieces.push((std::mem::take(&mut wait), std::mem::take(&mut bytes)));
                    }
                    wait += *pause;
                }
                Step::Hang => {
                    end = TemplateEnd::Hang;
                    break;
                }
                step => {
                    let mut objects = Vec::new();
                    renderer.recorder().apply(step);
                    renderer.render(step, &mut objects);
                    for object in objects {
                        bytes.extend_from_slice(&framer.frame(object));
                    }
                }
            }
        }
        pieces.push((wait, bytes));
        let piece = |(wait, bytes): (Duration, Vec<u8>)| Piece {
            wait,
            conversation_ids: memmem::find_iter(&bytes, conversation_id.as_bytes()).collect(),
            response_ids: memmem::find_iter(&bytes, response_id.as_bytes()).collect(),
            bytes: bytes.into(),
        };
        Self { pieces: pieces.into_iter().map(piece).collect(), end }
    }
}

impl Piece {
    fn patched(&self, conversation_id: &str, response_id: &str) -> Bytes {
        let mut bytes = BytesMut::from(&*self.bytes);
        // All ids have the same length.
        for (places, id) in [(&self.conversation_ids, conversation_id), (&self.response_ids, response_id)] {
            for place in places {
                bytes[*place..*place + id.len()].copy_from_slice(id.as_bytes());
            }
        }
        bytes.freeze()
    }
}

/// The body of a prepared answer.
pub(crate) struct PreparedAnswer {
    template: Arc<Template>,
    next: usize,
    conversation_id: String,
    response_id: String,
    clock: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
    guard: StreamGuard,
}

impl PreparedAnswer {
    pub(crate) fn new(template: Arc<Template>, conversation_id: String, guard: StreamGuard) -> Self {
        Self { template, next: 0, conversation_id, response_id: ids::fresh(), clock: None, sleep: None, guard }
    }
}

impl Body for PreparedAnswer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let template = self.template.clone();
        let Some(piece) = template.pieces.get(self.next) else {
            if template.end == TemplateEnd::Hang {
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
        Poll::Ready(Some(Ok(Frame::data(piece.patched(&self.conversation_id, &self.response_id)))))
    }
}
