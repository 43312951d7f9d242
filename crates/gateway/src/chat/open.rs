//! Opens a turn upstream, up to its first visible event: over the transport that the settings and the account call for, and,
//! where those leave the choice, over the other if that one turns out not to be there.

use std::sync::Arc;

use protocol::failure::FailureKind;
use protocol::rest::{self, Account};
use protocol::translate::{ChatEvent, RenderOptions};
use protocol::turn::TurnRequest;

use super::Shared;
use super::answer::OwnedEvent;
use super::stream::{EventStream, Pulled, StreamContext};
use crate::accounts::Lease;
use crate::audit::RequestRecord;
use crate::settings::{Settings, UpstreamTransport};
use crate::upstream::{CallError, Patience, Transport, UpstreamError, UpstreamErrorKind};

/// How long an account does without the WebSocket after the upstream said that there is none. It comes and goes with the
/// upstream's releases, not by the minute.
const MISSING_S: i64 = 1_800;

/// The same after an upgrade that led nowhere: perhaps the way there was only disturbed.
const DISTURBED_S: i64 = 300;

/// One turn and what it is opened with.
pub(super) struct Opening<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) lease: &'a Lease,
    pub(super) turn: TurnRequest<'a>,
    pub(super) settings: &'a Arc<Settings>,
    pub(super) options: RenderOptions,
}

/// An answer whose first visible events are here.
pub(super) struct Begun {
    pub(super) stream: Box<EventStream>,
    pub(super) events: Vec<OwnedEvent>,
    /// The whole answer came at once.
    pub(super) complete: bool,
}

impl Opening<'_> {
    /// Opens the turn, and notes what it went over.
    pub(super) async fn open(&self, record: &mut RequestRecord) -> Result<Begun, UpstreamError> {
        let may_choose = self.settings.upstream_transport == UpstreamTransport::Auto;
        let first = match self.settings.upstream_transport {
            UpstreamTransport::Rest => Transport::Rest,
            UpstreamTransport::Auto if self.lease.websocket_missing() => Transport::Rest,
            UpstreamTransport::Auto | UpstreamTransport::Websocket => Transport::Websocket,
        };
        let error = match self.open_over(first, None, record).await {
            Ok(begun) => return Ok(begun),
            Err(error) => error,
        };
        if !may_choose || !self.is_worth_the_other(first, &error) {
            return Err(self.named_by_what_is_missing(error));
        }
        self.note_missing(first, &error);
        match self.open_over(first.other(), Some(error.label()), record).await {
            Ok(begun) => Ok(begun),
            // Neither is there: that is nobody's fault, whichever was asked last.
            Err(second) if self.is_missing(&error) && self.is_missing(&second) => {
                Err(UpstreamErrorKind::NoRoute(NOT_FOUND).into())
            }
            Err(second) => Err(self.named_by_what_is_missing(second)),
        }
    }

    /// A refusal that says "not found" to a new conversation speaks of the route: there is nothing else that could be missing.
    fn named_by_what_is_missing(&self, error: UpstreamError) -> UpstreamError {
        if error.status == Some(NOT_FOUND) && self.turn.parent.is_none() && is_not_found(&error)
            || is_page_missing(&error)
        {
            return UpstreamError { kind: UpstreamErrorKind::NoRoute(NOT_FOUND), ..error };
        }
        error
    }

    /// `instead`: why the other transport was left.
    async fn open_over(
        &self,
        transport: Transport,
        instead: Option<&'static str>,
        record: &mut RequestRecord,
    ) -> Result<Begun, UpstreamError> {
        let Self { shared, lease, turn, settings, options } = self;
        record.over(transport.label(), instead);
        let credential = lease.credential();
        let answer = match transport {
            Transport::Rest => shared.upstream.chat_over_rest(credential, turn, settings).await?,
            Transport::Websocket => {
                let user_id = self.user_id().await?;
                shared.upstream.chat_over_websocket(credential, &user_id, turn, settings).await?
            }
        };
        let context = StreamContext {
            shared: Arc::clone(shared),
            credential: credential.clone(),
            settings: Arc::clone(settings),
            conversation_id: turn.parent.map(|parent| parent.conversation_id.to_owned()),
        };
        record.first_byte(match transport {
            Transport::Rest => 200,
            Transport::Websocket => 101,
        });
        let begun = first_events(EventStream::boxed(answer, context, options.clone())).await?;
        record.metrics().answer(transport.label());
        shared.accounts.learn_transport(lease.account_id(), transport);
        Ok(begun)
    }

    /// The account's id at the upstream, which the upgrade names. Asked for once in an account's life.
    async fn user_id(&self) -> Result<String, UpstreamError> {
        if let Some(known) = self.lease.user_id() {
            return Ok(known.to_owned());
        }
        let Self { shared, lease, settings, .. } = self;
        match shared.upstream.call(lease.credential(), rest::account(), settings, rest::read_account).await {
            Ok(Account::Known { user_id }) => {
                shared.accounts.learn_user_id(lease.credential(), &user_id);
                Ok(user_id)
            }
            Ok(Account::Refused(failure)) => Err(failure.into()),
            Err(CallError::Upstream(error)) if is_not_found(&error) => {
                Err(UpstreamErrorKind::NoRoute(NOT_FOUND).into())
            }
            Err(CallError::Upstream(error)) => Err(error),
            Err(CallError::Unreadable(words)) => Err(UpstreamErrorKind::Protocol(words).into()),
        }
    }

    /// Whether a failure means that the other transport may do better: this one is not there, or it does not know the
    /// conversation, which may have begun over the other.
    fn is_worth_the_other(&self, transport: Transport, error: &UpstreamError) -> bool {
        self.is_missing(error) || is_not_found(error) || transport == Transport::Websocket && leads_nowhere(error)
    }

    /// A new conversation cannot be unknown: it is the route that is.
    fn is_missing(&self, error: &UpstreamError) -> bool {
        matches!(error.kind, UpstreamErrorKind::NoRoute(_)) || self.turn.parent.is_none() && is_not_found(error)
    }

    fn note_missing(&self, transport: Transport, error: &UpstreamError) {
        if transport == Transport::Rest || !(self.is_missing(error) || leads_nowhere(error)) {
            return;
        }
        let seconds = if leads_nowhere(error) { DISTURBED_S } else { MISSING_S };
        let account = self.lease.account_id();
        tracing::info!(account = %account, error = %error, seconds, "no WebSocket for this account; REST for a while");
        self.shared.accounts.learn_websocket_missing(account, seconds);
    }
}

const NOT_FOUND: u16 = 404;

fn is_not_found(error: &UpstreamError) -> bool {
    matches!(&error.kind, UpstreamErrorKind::Failure(failure) if failure.kind == FailureKind::NotFound)
}

/// A page of the upstream's web site where its answer belongs: there is no such route, whatever was asked.
fn is_page_missing(error: &UpstreamError) -> bool {
    let is_unavailable =
        matches!(&error.kind, UpstreamErrorKind::Failure(failure) if failure.kind == FailureKind::Unavailable);
    error.status == Some(NOT_FOUND) && is_unavailable
}

/// The way to the WebSocket is there and ends in something else, for instance a proxy that knows no upgrades.
fn leads_nowhere(error: &UpstreamError) -> bool {
    matches!(error.kind, UpstreamErrorKind::Timeout(Patience::Handshake(_)) | UpstreamErrorKind::Protocol(_))
}

/// Pulls until something is visible.
async fn first_events(mut stream: Box<EventStream>) -> Result<Begun, UpstreamError> {
    let mut events = Vec::new();
    loop {
        let pulled = std::future::poll_fn(|context| {
            stream.poll_events(context, &mut |event: ChatEvent<'_>| events.push(OwnedEvent::from(event)))
        });
        match pulled.await {
            Pulled::Events if events.is_empty() => {}
            Pulled::Events => return Ok(Begun { stream, events, complete: false }),
            Pulled::Complete => return Ok(Begun { stream, events, complete: true }),
            // What came before the failure in the same read has not left yet.
            Pulled::Failed(error) => return Err(error),
        }
    }
}
