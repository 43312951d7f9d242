//! An answer over the WebSocket: messages are pulled and handed to the dialect's state machine, which says what to send.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::{Sink as _, StreamExt as _};
use protocol::event::GrokEvent;
use protocol::socket::{Session, SessionIds, Step};
use protocol::turn::TurnRequest;
use tokio::task::coop;
use tokio::time::{Instant, Sleep};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::answer::Heard;
use super::socket::Socket;
use super::{AnswerLimits, UpstreamError, UpstreamErrorKind};

/// How often the upstream is pinged while it is silent. Its own page does so every few seconds, other clients every 20 to 25.
const PING_EVERY: Duration = Duration::from_secs(20);

/// Pings that may go unanswered, if nothing else comes either.
const UNANSWERED: u32 = 2;

/// How long a socket is kept after its answer, until the upstream says that it has stored it.
const LINGER: Duration = Duration::from_secs(5);

/// What is read of a socket meanwhile; a title and a receipt have a few hundred bytes.
const LINGER_BYTES: u64 = 1024 * 1024;

/// A turn over a socket of its own. Dropping it closes the socket, which is the one way to cancel.
pub(crate) struct SocketAnswer {
    /// `None` once the answer has ended.
    open: Option<Open>,
    ping: Pin<Box<Sleep>>,
    heard_since_ping: bool,
    limits: AnswerLimits,
    /// The conversation stays in the account's history, so the upstream gets the time to store it.
    is_stored: bool,
    tasks: TaskTracker,
}

struct Open {
    socket: Socket,
    session: Session,
    to_send: VecDeque<Message>,
    is_flushed: bool,
    /// Bytes of the connection when the last message was complete.
    read: u64,
}

impl SocketAnswer {
    /// Asks `turn` over a socket that has just been opened.
    pub(super) fn ask(socket: Socket, turn: &TurnRequest<'_>, limits: AnswerLimits, tasks: TaskTracker) -> Self {
        let session = Session::new(turn, session_ids());
        let to_send = VecDeque::from([Message::text(session.opening())]);
        Self {
            open: Some(Open { socket, session, to_send, is_flushed: true, read: 0 }),
            ping: Box::pin(tokio::time::sleep(PING_EVERY)),
            heard_since_ping: true,
            limits,
            is_stored: !turn.temporary,
            tasks,
        }
    }

    /// Bytes that wait for the end of their message.
    pub(super) fn buffered(&self) -> usize {
        self.open
            .as_ref()
            .map_or(0, |open| usize::try_from(open.socket.get_ref().read() - open.read).unwrap_or(usize::MAX))
    }

    pub(super) fn poll_events(
        &mut self,
        context: &mut Context<'_>,
        event: &mut impl FnMut(GrokEvent<'_>),
    ) -> Poll<Heard> {
        loop {
            let Some(open) = &mut self.open else { return Poll::Ready(Heard::End(None)) };
            // Every message counts, those that say nothing too: an upstream that never stops must let others have the thread.
            let turn = ready!(coop::poll_proceed(context));
            // Reading goes on while sending waits: the upstream may be waiting for us to read.
            if let Poll::Ready(Err(error)) = open.poll_send(context) {
                return Poll::Ready(self.broken(error));
            }
            let message = match open.socket.poll_next_unpin(context) {
                Poll::Ready(Some(Ok(message))) => message,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(self.broken(error)),
                Poll::Ready(None) => return Poll::Ready(self.gone(None)),
                Poll::Pending => {
                    ready!(self.ping.as_mut().poll(context));
                    self.ping.as_mut().reset(Instant::now() + PING_EVERY);
                    if !self.heard_since_ping && open.session.unanswered_pings() >= UNANSWERED {
                        return Poll::Ready(self.gone(Some("pings are not answered".to_owned())));
                    }
                    self.heard_since_ping = false;
                    open.to_send.push_back(Message::text(open.session.ping()));
                    continue;
                }
            };
            turn.made_progress();
            self.heard_since_ping = true;
            open.read = open.socket.get_ref().read();
            if open.read > self.limits.wire {
                self.open = None;
                return Poll::Ready(Heard::Unreadable(self.limits.exceeded()));
            }
            let said = match &message {
                Message::Text(text) => self.receive(text.as_bytes(), event),
                Message::Binary(bytes) => self.receive(bytes, event),
                Message::Close(frame) => return Poll::Ready(self.gone(frame.as_ref().and_then(close_words))),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => false,
            };
            if said {
                return Poll::Ready(Heard::Something);
            }
        }
    }

    /// Takes one message; answers whether it says anything about the answer. That the upstream lives does not mean that it
    /// still works on it.
    fn receive(&mut self, message: &[u8], event: &mut impl FnMut(GrokEvent<'_>)) -> bool {
        let Some(open) = &mut self.open else { return false };
        let (mut lives, mut says) = (false, false);
        let step = open.session.receive(message, &mut |told| {
            match told {
                GrokEvent::Heartbeat => lives = true,
                _ => says = true,
            }
            event(told);
        });
        match step {
            Step::Wait => {}
            Step::Send(messages) => open.to_send.extend(messages.into_iter().map(Message::text)),
            Step::Done => self.leave(),
            Step::Closed => self.open = None,
        }
        says || !lives
    }

    fn broken(&mut self, error: Error) -> Heard {
        if let Error::Capacity(error) = error {
            self.open = None;
            return Heard::Unreadable(UpstreamErrorKind::Oversized(error.to_string()).into());
        }
        self.gone(Some(error.to_string()))
    }

    fn gone(&mut self, words: Option<String>) -> Heard {
        self.open = None;
        Heard::End(words.map(|words| UpstreamError::from(UpstreamErrorKind::Transport(format!("socket: {words}")))))
    }

    /// The answer has been told. The socket is closed in order, behind whoever waits for the answer.
    fn leave(&mut self) {
        let Some(Open { socket, session, .. }) = self.open.take() else { return };
        let waits = self.is_stored;
        self.tasks.spawn(async move {
            let _ = tokio::time::timeout(LINGER, linger(socket, session, waits)).await;
        });
    }
}

impl Open {
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut socket = Pin::new(&mut self.socket);
        while !self.to_send.is_empty() {
            ready!(socket.as_mut().poll_ready(context))?;
            if let Some(message) = self.to_send.pop_front() {
                self.is_flushed = false;
                socket.as_mut().start_send(message)?;
            }
        }
        if !self.is_flushed {
            ready!(socket.poll_flush(context))?;
            self.is_flushed = true;
        }
        Poll::Ready(Ok(()))
    }
}

/// What a close says; nothing where it is only an end, early as that may be.
fn close_words(frame: &CloseFrame) -> Option<String> {
    match frame.code {
        CloseCode::Normal | CloseCode::Away | CloseCode::Status => None,
        code => Some(format!("closed with code {}", u16::from(code))),
    }
}

async fn linger(mut socket: Socket, mut session: Session, waits: bool) {
    let began = socket.get_ref().read();
    while waits && !session.is_persisted() {
        coop::consume_budget().await;
        let Some(Ok(message)) = socket.next().await else { return };
        if socket.get_ref().read() - began > LINGER_BYTES {
            return;
        }
        if let Message::Text(text) = message {
            session.receive(text.as_bytes(), &mut |_| {});
        }
    }
    let _ = socket.close(None).await;
}

fn session_ids() -> SessionIds {
    let id = || Uuid::new_v4();
    SessionIds {
        init_event: format!("evt_init_{}", id()),
        message_event: format!("evt_msg_{}", id()),
        response_event: format!("evt_resp_{}", id()),
        client_message: id().to_string(),
    }
}
