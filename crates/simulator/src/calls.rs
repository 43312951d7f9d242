//! What reached the simulator: calls, counts and violations.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use serde_json::{Value, json};

use crate::ids;

/// Something that no correct client does.
///
/// Kinds: `missing_cookie`, `unknown_cookie`, `missing_statsig`, `bad_statsig`, `missing_header`, `bad_header`, `bad_json`,
/// `empty_message`, `missing_mode`, `wrong_parent`, `partial_parent`, `foreign_conversation`, `unknown_conversation`,
/// `unknown_response`, `history_resent`, `unknown_file`, `share_indexed`, `foreign_asset`, `unknown_route`.
///
/// On the socket also: `wrong_uid`, `no_upgrade`, `bad_frame`, `bad_message`, `invalid_envelope`, `missing_session_id`,
/// `unknown_session`, `session_mismatch`, `missing_load_existing`, `missing_item`, `overlapping_turn`, `early_turn`,
/// `file_not_mentioned`, `unknown_event`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which rule, in snake case.
    pub kind: &'static str,
    /// What was seen.
    pub detail: String,
}

/// How a chat call came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// As a POST.
    Rest,
    /// As events on the WebSocket.
    Socket,
}

impl Transport {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Rest => "rest",
            Transport::Socket => "socket",
        }
    }
}

/// One request as it arrived, or one turn on a socket: that counts as the chat call it is, `new` or `responses`.
#[derive(Clone, Debug)]
pub struct Call {
    /// Route name: `new`, `responses`, `share`, `clone`, `rate_limits`, `reconnect`, `session`, `socket` (an upgrade), …
    pub route: &'static str,
    /// How it came.
    pub transport: Transport,
    /// Path and query; of a turn on a socket those of the upgrade.
    pub path: String,
    /// The `sso` value it came with.
    pub account: Option<String>,
    /// Conversation named in the path; for `clone` the share link.
    pub conversation_id: Option<String>,
    /// `parentResponseId`
    pub parent_response_id: Option<String>,
    /// `message`
    pub message: Option<String>,
    /// Mode asked for, in today's ids.
    pub mode: Option<String>,
    /// `allowIndexing` of a share.
    pub allow_indexing: Option<bool>,
    /// The body; null if there was none or it was not JSON. Of a turn on a socket the client's events by type.
    pub body: Value,
    /// Request headers; of repeated ones the last.
    pub headers: BTreeMap<String, String>,
    /// When it arrived.
    pub time: SystemTime,
}

/// What has happened so far.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Broken rules, in order; the first ten thousand of them.
    pub violations: Vec<Violation>,
    /// Calls by route name.
    pub calls: BTreeMap<&'static str, u64>,
    /// Chat calls that were read, by [`Transport::name`].
    pub transports: BTreeMap<&'static str, u64>,
    /// Answers that are being streamed now, over either transport.
    pub open_streams: u64,
    /// Answers begun, those included that never got their headers.
    pub streams_opened: u64,
    /// Answers that were sent to their scripted end.
    pub streams_finished: u64,
    /// Answers whose client went away first.
    pub streams_aborted: u64,
    /// Sockets opened.
    pub sockets_opened: u64,
    /// Sockets open now.
    pub open_sockets: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Connections open now.
    pub open_connections: u64,
    /// Most requests at once on one HTTP/2 connection.
    pub http2_streams_max: u64,
}

impl Report {
    /// Calls of one route.
    pub fn count(&self, route: &str) -> u64 {
        self.calls.get(route).copied().unwrap_or(0)
    }

    /// Chat calls that came over one transport.
    pub fn over(&self, transport: Transport) -> u64 {
        self.transports.get(transport.name()).copied().unwrap_or(0)
    }

    /// Whether a rule was broken.
    pub fn violated(&self, kind: &str) -> bool {
        self.violations.iter().any(|violation| violation.kind == kind)
    }

    pub(crate) fn json(&self) -> Value {
        let violation = |each: &Violation| json!({"kind": each.kind, "detail": each.detail});
        json!({
            "violations": self.violations.iter().map(violation).collect::<Vec<_>>(),
            "calls": self.calls,
            "transports": self.transports,
            "open_streams": self.open_streams,
            "streams_opened": self.streams_opened,
            "streams_finished": self.streams_finished,
            "streams_aborted": self.streams_aborted,
            "sockets_opened": self.sockets_opened,
            "open_sockets": self.open_sockets,
            "connections": self.connections,
            "open_connections": self.open_connections,
            "http2_streams_max": self.http2_streams_max,
        })
    }
}

impl Call {
    pub(crate) fn json(&self) -> Value {
        json!({
            "route": self.route,
            "transport": self.transport.name(),
            "path": self.path,
            "account": self.account,
            "conversation_id": self.conversation_id,
            "parent_response_id": self.parent_response_id,
            "message": self.message,
            "mode": self.mode,
            "allow_indexing": self.allow_indexing,
            "body": self.body,
            "headers": self.headers,
            "time": ids::timestamp(self.time),
        })
    }
}

/// Figures that change outside the state's lock.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub streams_opened: AtomicU64,
    pub streams_finished: AtomicU64,
    pub streams_aborted: AtomicU64,
    pub sockets_opened: AtomicU64,
    pub sockets_closed: AtomicU64,
    pub connections: AtomicU64,
    pub connections_closed: AtomicU64,
    pub http2_streams_max: AtomicU64,
}

impl Counters {
    pub(crate) fn fill(&self, report: &mut Report) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        // What is subtracted is read first, so that a difference never goes below zero.
        report.streams_finished = read(&self.streams_finished);
        report.streams_aborted = read(&self.streams_aborted);
        let closed = read(&self.connections_closed);
        let sockets_closed = read(&self.sockets_closed);
        report.sockets_opened = read(&self.sockets_opened);
        report.open_sockets = report.sockets_opened - sockets_closed;
        report.streams_opened = read(&self.streams_opened);
        report.connections = read(&self.connections);
        report.open_streams = report.streams_opened - report.streams_finished - report.streams_aborted;
        report.open_connections = report.connections - closed;
        report.http2_streams_max = read(&self.http2_streams_max);
    }
}

/// Counts one answer from its acceptance to its end, however it ends.
#[derive(Debug)]
pub(crate) struct StreamGuard {
    counters: Arc<Counters>,
    finished: bool,
}

impl StreamGuard {
    pub(crate) fn open(counters: &Arc<Counters>) -> Self {
        counters.streams_opened.fetch_add(1, Ordering::Relaxed);
        Self { counters: counters.clone(), finished: false }
    }

    /// Everything that the script holds was handed over. Counted here and not when the guard goes, so that a client that
    /// has read the end already sees it in the report.
    pub(crate) fn finish(&mut self) {
        if !std::mem::replace(&mut self.finished, true) {
            self.counters.streams_finished.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        if !self.finished {
            self.counters.streams_aborted.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Counts one socket from its upgrade to its end.
#[derive(Debug)]
pub(crate) struct SocketGuard(Arc<Counters>);

impl SocketGuard {
    pub(crate) fn open(counters: &Arc<Counters>) -> Self {
        counters.sockets_opened.fetch_add(1, Ordering::Relaxed);
        Self(counters.clone())
    }
}

impl Drop for SocketGuard {
    fn drop(&mut self) {
        self.0.sockets_closed.fetch_add(1, Ordering::Relaxed);
    }
}
