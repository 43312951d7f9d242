//! One turn over one socket (UPSTREAM.md 16.4).

use std::borrow::Cow;

use serde_json::Deserializer;

use super::answer::{Answer, Ended};
use super::frame::Frame;
use super::name::{Kind, Payload};
use super::payload::{self, Identified};
use super::request;
use crate::drift::unknown;
use crate::event::GrokEvent;
use crate::failure::{Failure, FailureKind, classify_named, classify_stream_error, is_known_name};
use crate::frame::FrameSplitter;
use crate::halves::{Mending, mended};
use crate::turn::TurnRequest;

/// Random values from outside: this crate knows no randomness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionIds {
    /// The event id of `session.create`, by custom `evt_init_<uuid>`.
    pub init_event: String,
    /// The event id of `conversation.item.create`, by custom `evt_msg_<milliseconds>`.
    pub message_event: String,
    /// The event id of `response.create`, by custom `evt_resp_<milliseconds>`.
    pub response_event: String,
    /// The message's own id, a UUID.
    pub client_message: String,
}

/// What is to be done after a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing; the next message is awaited.
    Wait,
    /// These messages are to be sent, in this order and at once.
    Send(Vec<String>),
    /// The answer has come to its end, told as events: complete or failed. What still comes is no part of it.
    Done,
    /// The upstream closed the session in the middle. It means what a closed socket means: the answer is cut.
    Closed,
}

/// One turn over one socket: messages in, events and messages to send out.
#[derive(Debug)]
pub struct Session {
    /// The session as the upstream calls it; for a continued conversation, what we called it.
    id: Option<Box<str>>,
    state: State,
    answer: Answer,
    is_accepted: bool,
    has_question: bool,
    is_persisted: bool,
    pings: u32,
    unanswered_pings: u32,
}

#[derive(Debug)]
enum State {
    /// Until session and conversation are there.
    Opening(Box<Opening>),
    /// The turn was sent.
    Asked {
        /// The event id of `response.create`.
        response_event: Box<str>,
    },
    /// The answer comes.
    Answering,
    Done,
    Closed,
}

/// What is needed until the turn is sent.
#[derive(Debug)]
struct Opening {
    /// `session.create` as it is sent.
    create: Box<str>,
    init_event: Box<str>,
    response_event: Box<str>,
    /// `conversation.item.create` and `response.create`, still without a session.
    turn: [Box<str>; 2],
    /// The conversation that is continued.
    asked_for: Option<Box<str>>,
    is_created: bool,
    /// Conversations that were attached. They may be told before it is known which session is ours.
    attached: Vec<Attached>,
}

/// A conversation, and the session it was attached to.
#[derive(Debug)]
struct Attached {
    session: Option<Box<str>>,
    conversation: Box<str>,
}

/// Attached conversations that are remembered until our session is known. One is ours.
const ATTACHED_LIMIT: usize = 16;

impl Session {
    /// A session for one turn.
    pub fn new(turn: &TurnRequest<'_>, ids: SessionIds) -> Self {
        let asked_for = turn.parent.map(|parent| Box::<str>::from(parent.conversation_id));
        let opening = Opening {
            create: request::session_create(turn, &ids).into(),
            turn: [request::item_create(turn, &ids).into(), request::response_create(&ids).into()],
            init_event: ids.init_event.into(),
            response_event: ids.response_event.into(),
            asked_for: asked_for.clone(),
            is_created: false,
            attached: Vec::new(),
        };
        Self {
            id: asked_for,
            state: State::Opening(Box::new(opening)),
            answer: Answer::default(),
            is_accepted: false,
            has_question: false,
            is_persisted: false,
            pings: 0,
            unanswered_pings: 0,
        }
    }

    /// `session.create`, to be sent first. Empty once the turn was sent.
    pub fn opening(&self) -> String {
        match &self.state {
            State::Opening(opening) => opening.create.clone().into(),
            State::Asked { .. } | State::Answering | State::Done | State::Closed => String::new(),
        }
    }

    /// A `ping`, to be sent now and then (UPSTREAM.md 16.3).
    pub fn ping(&mut self) -> String {
        self.pings += 1;
        self.unanswered_pings += 1;
        request::ping(self.pings)
    }

    /// Pings since the last `pong`.
    pub fn unanswered_pings(&self) -> u32 {
        self.unanswered_pings
    }

    /// Whether the upstream took the user's message. A turn that was not taken can be asked again without being asked twice.
    pub fn is_accepted(&self) -> bool {
        self.is_accepted
    }

    /// Whether the upstream said that it stored the turn; it may do so after the end. A conversation that is to stay in the
    /// account's history is safest left then, any other at the end.
    pub fn is_persisted(&self) -> bool {
        self.is_persisted
    }

    /// Takes one text message and tells what it says. There may be several objects in it, or none. After [`Step::Done`] only the
    /// title is still told.
    pub fn receive(&mut self, message: &[u8], event: &mut impl FnMut(GrokEvent<'_>)) -> Step {
        let mut to_send = Vec::new();
        match std::str::from_utf8(message) {
            Ok(message) => self.read(message, &mut to_send, event),
            Err(_) => event(unknown("", Cow::Borrowed("malformed"), "")),
        }
        match &self.state {
            State::Done => Step::Done,
            State::Closed => Step::Closed,
            _ if to_send.is_empty() => Step::Wait,
            _ => Step::Send(to_send),
        }
    }

    fn read(&mut self, message: &str, to_send: &mut Vec<String>, event: &mut impl FnMut(GrokEvent<'_>)) {
        let mut frames = Deserializer::from_str(message).into_iter::<Frame<'_>>();
        let mut start = 0;
        while let Some(frame) = frames.next() {
            let Ok(frame) = frame else {
                return self.read_damaged(&message[start..], to_send, event);
            };
            let end = frames.byte_offset();
            let object = &message[start..end];
            if frame.payloads.is_empty() {
                self.frame(frame, object, to_send, event);
            } else {
                self.mended(Some(frame), object, to_send, event);
            }
            start = end;
        }
    }

    /// Something in the message is no JSON: whatever objects can be told apart behind it are read all the same.
    fn read_damaged(&mut self, rest: &str, to_send: &mut Vec<String>, event: &mut impl FnMut(GrokEvent<'_>)) {
        let mut splitter = FrameSplitter::new(rest.len());
        let mut broken = 0;
        let mut read = |object: &str| {
            let frame = serde_json::from_str::<Frame<'_>>(object).ok();
            broken += u64::from(!self.mended(frame, object, to_send, event));
        };
        // Nothing in it is longer than it is.
        if splitter.push(rest.as_bytes(), &mut read).is_ok() {
            splitter.finish(&mut read);
        }
        if broken + splitter.skipped() > 0 {
            event(unknown("", Cow::Borrowed("malformed"), rest));
        }
    }

    /// Takes one event that cannot be read as it is, or holds what may be unreadable: payloads have not been looked into. `false`:
    /// it cannot be read at all.
    fn mended(
        &mut self,
        frame: Option<Frame<'_>>,
        object: &str,
        to_send: &mut Vec<String>,
        event: &mut impl FnMut(GrokEvent<'_>),
    ) -> bool {
        if let Some(mended) = mended(object)
            && let Ok(frame) = Frame::of_mended(Mending { original: object, mended: &mended })
        {
            self.frame(frame, &mended, to_send, event);
            return true;
        }
        frame.map(|frame| self.frame(frame, object, to_send, event)).is_some()
    }

    /// Takes one event; `object` is all of it.
    fn frame(
        &mut self,
        mut frame: Frame<'_>,
        object: &str,
        to_send: &mut Vec<String>,
        event: &mut impl FnMut(GrokEvent<'_>),
    ) {
        if self.is_foreign(&frame) {
            return;
        }
        report_unknown(&mut frame, object, event);
        match &mut self.state {
            State::Done | State::Closed => self.late(frame, event),
            State::Opening(_) => self.open(frame, to_send, event),
            State::Asked { .. } | State::Answering => self.turn(frame, object, event),
        }
    }

    /// One socket can carry several sessions. Until ours has a name, any may be it.
    fn is_foreign(&self, frame: &Frame<'_>) -> bool {
        let Some(ours) = self.id.as_deref() else { return false };
        // The upstream may open a continued conversation, or refuse to, under another name than the one we called it by.
        let is_naming = matches!(&self.state, State::Opening(opening) if !opening.is_created)
            && matches!(frame.kind, Kind::SessionCreated | Kind::Attached | Kind::Error | Kind::SessionEnded);
        !is_naming && frame.session_id.as_deref().is_some_and(|theirs| theirs != ours)
    }

    /// Reads an event before the turn was sent.
    fn open(&mut self, frame: Frame<'_>, to_send: &mut Vec<String>, event: &mut impl FnMut(GrokEvent<'_>)) {
        match frame.kind {
            Kind::Error => return self.error(&frame, event),
            Kind::SessionEnded => self.state = State::Closed,
            Kind::Pong => self.pong(event),
            Kind::SessionCreated | Kind::Attached => self.name(frame),
            _ => {}
        }
        let State::Opening(opening) = &mut self.state else { return };
        if !opening.is_created {
            return;
        }
        let Some(Attached { conversation, .. }) = opening.attached.pop() else { return };
        match &opening.asked_for {
            None => event(GrokEvent::Conversation { id: Cow::Borrowed(&conversation) }),
            Some(asked_for) if *asked_for == conversation => {}
            Some(_) => return self.fail(other_conversation(), event),
        }
        let session_id = self.id.get_or_insert(conversation);
        to_send.extend(opening.turn.iter().map(|event| request::in_session(Some(session_id), event)));
        self.state = State::Asked { response_event: std::mem::take(&mut opening.response_event) };
    }

    /// Learns what session and conversation are called.
    fn name(&mut self, frame: Frame<'_>) {
        let State::Opening(opening) = &mut self.state else { return };
        let session = frame.session_id.as_deref().map(Box::<str>::from);
        if frame.kind == Kind::Attached {
            // The session is called like its conversation.
            let id = Identified::read(frame.payload(Payload::Conversation)).id().map(Box::from);
            if let Some(conversation) = id.or_else(|| session.clone())
                && opening.attached.len() < ATTACHED_LIMIT
            {
                opening.attached.push(Attached { session, conversation });
            }
        } else if frame.client_event_id.as_deref().is_none_or(|id| id == &*opening.init_event) && !opening.is_created {
            opening.is_created = true;
            self.id = session.or(self.id.take());
        }
        if opening.is_created
            && let Some(ours) = &self.id
        {
            // What was attached to somebody else's session is not ours.
            opening.attached.retain(|attached| attached.session.as_ref().is_none_or(|theirs| theirs == ours));
        }
    }

    /// Reads an event after the turn was sent.
    fn turn(&mut self, frame: Frame<'_>, object: &str, event: &mut impl FnMut(GrokEvent<'_>)) {
        match frame.kind {
            Kind::Error => self.error(&frame, event),
            Kind::SessionEnded => self.state = State::Closed,
            Kind::Pong => self.pong(event),
            Kind::TitleUpdated | Kind::Persisted => self.late(frame, event),
            Kind::ItemAdded => {
                let item = Identified::read(frame.payload(Payload::Item));
                // The question is the last one before the answer; another one may stand in front of it.
                let is_before_answer = matches!(self.state, State::Asked { .. });
                if item.is_users() && (is_before_answer || !self.has_question) {
                    self.is_accepted = true;
                    self.has_question = true;
                    if let Some(id) = item.id() {
                        event(GrokEvent::UserMessage { id });
                    }
                }
            }
            Kind::ResponseCreated => {
                let State::Asked { response_event } = &self.state else { return };
                if frame.client_event_id.as_deref().is_none_or(|id| id == &**response_event) {
                    self.answer.begin(Identified::read(frame.payload(Payload::Response)).id(), event);
                    self.is_accepted = true;
                    self.state = State::Answering;
                }
            }
            _ => {
                let is_begun = matches!(self.state, State::Answering);
                match self.answer.frame(frame, object, is_begun, event) {
                    Ended::No => {}
                    Ended::Yes => self.state = State::Done,
                }
            }
        }
    }

    /// What is still told when the answer is whole.
    fn late(&mut self, frame: Frame<'_>, event: &mut impl FnMut(GrokEvent<'_>)) {
        match (frame.kind, frame.title) {
            (Kind::TitleUpdated, Some(title)) => event(GrokEvent::Title(title)),
            (Kind::Persisted, _) => self.is_persisted = frame.status.as_deref().is_none_or(|status| status == "ok"),
            (Kind::Pong, _) => self.unanswered_pings = 0,
            _ => {}
        }
    }

    fn pong(&mut self, event: &mut impl FnMut(GrokEvent<'_>)) {
        self.unanswered_pings = 0;
        event(GrokEvent::Heartbeat);
    }

    /// An `error` event ends the turn wherever it stands.
    fn error(&mut self, frame: &Frame<'_>, event: &mut impl FnMut(GrokEvent<'_>)) {
        let error = frame.payload(Payload::Error);
        let (name, message) = payload::error(error, frame.code, frame.message.as_deref());
        let failure = match name {
            Some(name) => {
                let failure = classify_named(&name, &message);
                if !is_known_name(&name) {
                    event(unknown("error:", Cow::Owned(name), error.map_or("", |error| error.get())));
                }
                failure
            }
            None => classify_stream_error(&message, None),
        };
        self.fail(failure, event);
    }

    fn fail(&mut self, failure: Failure, event: &mut impl FnMut(GrokEvent<'_>)) {
        self.state = State::Done;
        event(GrokEvent::Failed(failure));
    }
}

/// The conversation was not loaded, and another one stands in its place: what is said there would be said to nobody.
fn other_conversation() -> Failure {
    Failure {
        kind: FailureKind::NotFound,
        message: "the upstream attached another conversation than the one asked for".to_owned(),
        code: None,
    }
}

/// Tells what is not known of an event. Members of events that mean nothing to us may be anything.
fn report_unknown(frame: &mut Frame<'_>, object: &str, event: &mut impl FnMut(GrokEvent<'_>)) {
    match &frame.kind {
        Kind::Silent => return,
        Kind::Missing => return event(unknown("", Cow::Borrowed("untyped"), object)),
        Kind::Unknown(name) => return event(unknown("event:", Cow::Borrowed(name), object)),
        _ => {}
    }
    for (level, name, value) in frame.unknown.drain(..) {
        event(unknown(level.place(), name, value.map_or(object, |value| value.get())));
    }
}

#[cfg(test)]
mod tests;
