//! One record per request to the chat routes. It is a guard: made when the request arrives and closed when it ends, however
//! it ends; a web server drops a request whose client has left, and then the drop closes it.

mod drift;

use std::time::Instant;

use serde::Serialize;
use uuid::Uuid;

use crate::clock::Clock;
use crate::store::requests::RequestRow;
use crate::store::{Write, Writer};
use crate::telemetry::Metrics;

pub(crate) use drift::DriftLog;

/// Longest user agent kept.
const USER_AGENT: usize = 200;

/// The status noted for a client that left before its answer began; nothing was sent with it.
const CLIENT_GONE: u16 = 499;

/// Makes records.
#[derive(Clone)]
pub(crate) struct Recorder {
    writer: Writer,
    metrics: Metrics,
    clock: Clock,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestEnding {
    /// The whole answer was sent.
    Done,
    /// It was refused or failed before an answer began.
    Failed,
    /// The answer began and broke.
    Broken,
    /// The client left.
    ClientGone,
}

impl RequestEnding {
    fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Broken => "broken",
            Self::ClientGone => "client_gone",
        }
    }
}

/// One attempt with one account.
#[derive(Clone, Debug, Serialize)]
struct Attempt {
    account: String,
    outcome: &'static str,
    /// What the account was charged with, if it was.
    charged: bool,
    ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// The record of one request.
pub(crate) struct RequestRecord {
    recorder: Recorder,
    started: Instant,
    attempts: Vec<Attempt>,
    ending: RequestEnding,
    pub(crate) row: RequestRow,
}

impl Recorder {
    pub(crate) fn new(writer: Writer, metrics: Metrics, clock: Clock) -> Self {
        Self { writer, metrics, clock }
    }

    /// Opens a record.
    pub(crate) fn open(
        &self,
        request_id: &str,
        route: &'static str,
        client_ip: Option<String>,
        user_agent: Option<&str>,
    ) -> RequestRecord {
        let row = RequestRow {
            id: format!("req_{}", Uuid::now_v7().simple()),
            request_id: request_id.to_owned(),
            at: self.clock.now_ms(),
            route,
            status: i64::from(CLIENT_GONE),
            client_ip,
            user_agent: user_agent.map(|agent| agent.chars().take(USER_AGENT).collect()),
            ..RequestRow::default()
        };
        RequestRecord {
            recorder: self.clone(),
            started: Instant::now(),
            attempts: Vec::new(),
            ending: RequestEnding::ClientGone,
            row,
        }
    }
}

impl RequestRecord {
    /// Milliseconds since the request arrived.
    pub(crate) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Notes one attempt.
    pub(crate) fn attempt(
        &mut self,
        account: &str,
        outcome: &'static str,
        charged: bool,
        ms: u64,
        message: Option<String>,
    ) {
        self.recorder.metrics.attempt(outcome);
        self.row.account_id = Some(account.to_owned());
        self.attempts.push(Attempt { account: account.to_owned(), outcome, charged, ms, message });
    }

    /// Notes that the first visible event is there.
    pub(crate) fn first_token(&mut self) {
        if self.row.first_token_ms.is_none() {
            self.row.first_token_ms = i64::try_from(self.elapsed_ms()).ok();
            self.recorder.metrics.first_token(self.started.elapsed().as_secs_f64());
        }
    }

    /// Notes what the client was or will be told.
    pub(crate) fn end(&mut self, ending: RequestEnding, status: u16, error_code: Option<&str>) {
        self.ending = ending;
        self.row.status = i64::from(status);
        self.row.error_code = error_code.map(str::to_owned);
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.recorder.metrics
    }
}

impl Drop for RequestRecord {
    fn drop(&mut self) {
        let row = &mut self.row;
        row.ending = self.ending.label();
        row.duration_ms = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        // A list of plain values always has a JSON form.
        row.attempts = serde_json::to_string(&self.attempts).unwrap_or_else(|_| "[]".to_owned());
        let status = u16::try_from(row.status).unwrap_or(CLIENT_GONE);
        let seconds = self.started.elapsed().as_secs_f64();
        self.recorder.metrics.request(row.route, status, row.ending, seconds);
        log_line(row, status, self.attempts.len());
        self.recorder.writer.enqueue(Write::Request(Box::new(std::mem::take(row))));
    }
}

/// The one line per request; the sentence reads alone and its figures are fields as well.
fn log_line(row: &RequestRow, status: u16, attempts: usize) {
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                request.id = %row.request_id,
                key = row.key_id.as_deref(),
                model = row.model.as_deref(),
                stream = row.stream,
                account = row.account_id.as_deref(),
                attempts,
                conversation = row.conversation_id.as_deref(),
                turn = row.turn,
                first_token_ms = row.first_token_ms,
                duration_ms = row.duration_ms,
                bytes = row.bytes,
                ending = row.ending,
                code = row.error_code.as_deref(),
                "{} answered {status} in {} ms",
                row.route,
                row.duration_ms
            )
        };
    }
    match status {
        500.. => line!(error),
        400.. => line!(warn),
        _ => line!(info),
    }
}
