//! The server's side of one socket, from the upgrade to the goodbye.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use hyper::upgrade::OnUpgrade;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::{
    client_event::{ClientEvent, Item},
    events::Events,
    line::Line,
    out::{Write, filling, frames, writes},
    play::Next,
    session::{Refused, Session, invalid},
    turn,
    wire::{Opcode, Received, push_frame},
};
use crate::{calls::SocketGuard, ids, state::Shared};

/// Where a socket comes from.
pub(crate) struct Origin {
    pub sso: String,
    /// Path and query of the upgrade.
    pub path: String,
    /// Its headers, for the log; empty if there is none.
    pub headers: BTreeMap<String, String>,
}

/// Where a route leaves an accepted upgrade, for the connection to go on with when the response is out.
#[derive(Clone, Default)]
pub(crate) struct Upgraded(Arc<Mutex<Option<(OnUpgrade, Accepted)>>>);

/// An upgrade that was admitted.
pub(crate) struct Accepted {
    pub shared: Arc<Shared>,
    pub origin: Origin,
    pub guard: SocketGuard,
}

impl Upgraded {
    pub(crate) fn accept(&self, on_upgrade: OnUpgrade, accepted: Accepted) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((on_upgrade, accepted));
    }

    pub(crate) fn take(&self) -> Option<(OnUpgrade, Accepted)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Serves a socket until either side ends it.
pub(crate) async fn serve(on_upgrade: OnUpgrade, accepted: Accepted) {
    // A client that leaves during the handshake has nothing more to say.
    let Ok(upgraded) = on_upgrade.await else { return };
    let Accepted { shared, origin, guard } = accepted;
    let mut socket =
        Socket { shared, origin, sessions: Vec::new(), events: Events::of_connection(), reads: 0, _guard: guard };
    socket.run(Line::new(upgraded)).await;
}

struct Socket {
    shared: Arc<Shared>,
    origin: Origin,
    sessions: Vec<Session>,
    /// Those that belong to no session.
    events: Events,
    /// How often was read before the message that is being taken.
    reads: u64,
    _guard: SocketGuard,
}

/// What is to be done after a client's message.
enum Reaction {
    Send(Vec<u8>),
    Close,
}

impl Socket {
    async fn run(&mut self, mut line: Line) {
        loop {
            let due = self.sessions.iter().filter_map(|session| session.play.as_ref()?.due()).min();
            let received = tokio::select! {
                // What is due goes first, so that who hears a pong has heard everything before it.
                biased;
                () = until(due) => match self.play(&mut line).await {
                    Ok(Next::Later | Next::Over) => continue,
                    Ok(Next::Close) => return line.close(None).await,
                    Ok(Next::Break) | Err(_) => return,
                },
                received = line.receive() => received,
            };
            self.reads = line.reads();
            let reaction = match received {
                None => return,
                Some(Err(broken)) => {
                    self.shared.state().violate("bad_frame", broken.0);
                    return line.close(Some(broken)).await;
                }
                Some(Ok(received)) => self.react(received),
            };
            match reaction {
                Reaction::Close => return line.close(None).await,
                // A client that cannot be written to is gone.
                Reaction::Send(bytes) if line.send(&bytes).await.is_err() => return,
                Reaction::Send(_) => {}
            }
        }
    }

    /// Plays what is due.
    async fn play(&mut self, line: &mut Line) -> std::io::Result<Next> {
        let now = Instant::now();
        let due =
            |session: &&mut Session| session.play.as_ref().and_then(|play| play.due()).is_some_and(|due| due <= now);
        let Some(session) = self.sessions.iter_mut().find(due) else { return Ok(Next::Later) };
        let Some(play) = &mut session.play else { return Ok(Next::Later) };
        let mut out = Vec::new();
        let next = play.advance(&mut session.events, &mut out);
        let writes = writes(play.framing, out);
        if next != Next::Later {
            session.ready |= play.is_opening();
            session.play = None;
        }
        for write in writes {
            match write {
                Write::Bytes(bytes) => line.send(&bytes).await?,
                Write::Filling(length) => {
                    for piece in filling(length) {
                        line.send(&piece).await?;
                    }
                }
            }
        }
        Ok(next)
    }

    fn react(&mut self, received: Received) -> Reaction {
        let mut bytes = Vec::new();
        match received {
            Received::Close => return Reaction::Close,
            Received::Pong => {}
            Received::Ping(_) if self.mute() => {}
            Received::Ping(payload) => push_frame(&mut bytes, Opcode::Pong, true, &payload),
            Received::Binary => {
                self.shared.state().violate("bad_message", "a binary message");
                bytes = frames(&[self.events.error(&"invalid_envelope".into(), "text is expected", None)]);
            }
            Received::Text(text) => {
                let mut out = Vec::new();
                self.take(&text, &mut out);
                bytes = frames(&out);
            }
        }
        Reaction::Send(bytes)
    }

    /// Takes a client's event.
    fn take(&mut self, message: &[u8], out: &mut Vec<String>) {
        let Some(event) = ClientEvent::read(message) else {
            self.shared.state().violate("bad_json", "a message that is no event");
            out.push(self.events.error(&"invalid_envelope".into(), "a message must be an event", None));
            return;
        };
        if let Err(Refused { code, message }) = self.answer(&event, out) {
            let known = self.sessions.iter_mut().find(|session| Some(&session.id) == event.session_id.as_ref());
            let events = known.map_or(&mut self.events, |session| &mut session.events);
            out.push(events.error(&code.into(), &message, event.id()));
        }
    }

    fn answer(&mut self, event: &ClientEvent, out: &mut Vec<String>) -> Result<(), Refused> {
        match event.kind() {
            "ping" if self.mute() => {}
            "ping" => out.push(self.events.event("pong", &Value::Null)),
            "session.create" => self.open(event)?,
            "conversation.item.create" | "response.create" if self.too_early(event) => {
                // Without a word: this is how the upstream loses them.
                self.shared.state().violate("early_turn", format!("{} before the session is there", event.kind()));
            }
            "conversation.item.create" => {
                let item = Item::read(&event.event);
                let session = self.session(event)?;
                let queued = json!({"queue_item_id": ids::fresh(), "position": session.items.len(),
                    "parent_response_id": event.event["parent_response_id"], "item": {"type": "message", "role": item.role}});
                session.items.push((item, event.event.clone()));
                out.push(session.events.event("conversation.queue.updated", &json!({"queue": [queued]})));
            }
            "session.update" => {
                let model = &event.event["session"]["model"];
                let session = self.session(event)?;
                session.mode = model.as_str().map(str::to_owned).or(session.mode.take());
                let mut updated = json!({"session": {"model": session.mode}});
                updated["client_event_id"] = event.event["event_id"].clone();
                out.push(session.events.event("session.updated", &updated));
            }
            "response.create" => {
                let shared = self.shared.clone();
                let (session, origin) = self.session_and_origin(event)?;
                session.play = Some(turn::start(&shared, origin, session, &event.event)?);
            }
            other => {
                self.shared.state().violate("unknown_event", format!("a client sends {other}"));
                return Err(invalid("unknown event type"));
            }
        }
        Ok(())
    }

    fn mute(&self) -> bool {
        self.sessions.iter().any(|session| session.mute)
    }

    /// Whether an event was sent before the opening of its session was over.
    fn too_early(&self, event: &ClientEvent) -> bool {
        let named = |session: &&Session| Some(&session.id) == event.session_id.as_ref();
        self.sessions.iter().find(named).is_some_and(|session| !session.ready || session.opened_in == self.reads)
    }

    fn open(&mut self, event: &ClientEvent) -> Result<(), Refused> {
        let keep = self.shared.keep();
        let named = event.session_id.as_deref();
        let opened = Session::open(&mut self.shared.state(), &self.origin.sso, keep, named, &event.event);
        let mut session = opened?;
        session.opened_in = self.reads;
        self.sessions.retain(|known| known.id != session.id);
        self.sessions.push(session);
        Ok(())
    }

    /// The session that an event names; it must not be busy.
    fn session(&mut self, event: &ClientEvent) -> Result<&mut Session, Refused> {
        self.session_and_origin(event).map(|(session, _)| session)
    }

    fn session_and_origin(&mut self, event: &ClientEvent) -> Result<(&mut Session, &Origin), Refused> {
        let Some(id) = &event.session_id else {
            self.shared.state().violate("missing_session_id", event.kind().to_owned());
            return Err(invalid("session_id is required"));
        };
        let Some(session) = self.sessions.iter_mut().find(|session| session.id == *id) else {
            self.shared.state().violate("unknown_session", format!("{}: {id}", event.kind()));
            return Err(Refused { code: "session_not_found", message: "Session not found".to_owned() });
        };
        if session.play.is_some() {
            self.shared.state().violate("overlapping_turn", format!("{} while an answer is on its way", event.kind()));
            return Err(Refused { code: "response_in_progress", message: "A response is in progress".to_owned() });
        }
        Ok((session, &self.origin))
    }
}

async fn until(due: Option<Instant>) {
    match due {
        // The timer rounds up to its next tick, even for what is past.
        Some(due) if due <= Instant::now() => {}
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
