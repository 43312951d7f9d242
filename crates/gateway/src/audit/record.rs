//! One record per request to the chat routes that carries a valid key. It is a guard: made when the request arrives and closed when it ends, however
//! it ends; a web server drops a request whose client has left, and then the drop closes it.

use std::collections::BTreeMap;
use std::time::Instant;

use uuid::Uuid;

use super::attempt::{Attempt, Choice, FailedAttempt, Routing, cut};
use super::names::NamesOfDay;
use super::{Interrupted, Interruption, Rejected};
use crate::clock::Clock;
use crate::store::requests::RequestRow;
use crate::store::{Write, Writer};
use crate::telemetry::Metrics;

/// Longest user agent kept.
const USER_AGENT: usize = 200;

/// Longest name of a client program.
const CLIENT: usize = 32;

/// The status noted for a client that left before its answer began; nothing was sent with it.
const CLIENT_GONE: u16 = 499;

/// The status that whoever waited for an answer is told when the service stops.
const SHUTTING_DOWN: u16 = 503;

/// Makes records.
#[derive(Clone)]
pub(crate) struct Recorder {
    writer: Writer,
    metrics: Metrics,
    clock: Clock,
    names: NamesOfDay,
    rejected: Rejected,
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
    /// The service stopped, and it took longer than running answers may.
    Shutdown,
}

impl RequestEnding {
    fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Broken => "broken",
            Self::ClientGone => "client_gone",
            Self::Shutdown => "shutdown",
        }
    }
}

/// The record of one request.
pub(crate) struct RequestRecord {
    recorder: Recorder,
    started: Instant,
    attempts: Vec<Attempt>,
    routing: Routing,
    ending: RequestEnding,
    /// The row is written with the turn.
    rides: bool,
    /// Bytes that are sent once the turn is stored.
    promised: i64,
    /// Asked when the record closes before anybody has said how the request ended.
    interruption: Interruption,
    pub(crate) row: RequestRow,
}

impl Recorder {
    pub(crate) fn new(writer: Writer, metrics: Metrics, clock: Clock) -> Self {
        let rejected = Rejected::new(metrics.clone(), clock.clone());
        Self { writer, metrics, clock, names: NamesOfDay::default(), rejected }
    }

    /// Requests that get no record, because they carry no valid key.
    pub(crate) fn rejected(&self) -> &Rejected {
        &self.rejected
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
            client: user_agent.and_then(client_program),
            ..RequestRow::default()
        };
        RequestRecord {
            recorder: self.clone(),
            started: Instant::now(),
            attempts: Vec::new(),
            routing: Routing::default(),
            ending: RequestEnding::ClientGone,
            rides: false,
            promised: 0,
            interruption: Interruption::default(),
            row,
        }
    }
}

impl RequestRecord {
    /// Where the connection says why it drops the request.
    pub(crate) fn watch(&mut self, interruption: &Interruption) {
        self.interruption = interruption.clone();
    }

    pub(crate) fn interruption(&self) -> &Interruption {
        &self.interruption
    }

    /// Milliseconds since the request arrived.
    pub(crate) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Attempts so far.
    pub(crate) fn attempt_count(&self) -> usize {
        self.attempts.len()
    }

    /// Notes that the key is known and the body read.
    pub(crate) fn read(&mut self) {
        self.routing.read_ms = Some(self.elapsed_ms());
    }

    /// Notes how the conversation was recognised, the turn that is continued and the account that holds it.
    pub(crate) fn planned(&mut self, recognised: &'static str, parent: Option<(&str, &str)>) {
        self.routing.planned_ms = Some(self.elapsed_ms());
        self.routing.recognised = Some(recognised.to_owned());
        if let Some((turn, account)) = parent {
            self.routing.parent_turn = Some(turn.to_owned());
            self.routing.owner = Some(account.to_owned());
        }
    }

    /// Notes why no account could serve, or no further one.
    pub(crate) fn no_account(&mut self, reasons: &BTreeMap<String, u64>) {
        self.routing.skipped = Some(reasons.clone());
    }

    /// Begins an attempt.
    pub(crate) fn begin_attempt(&mut self, account: &str, choice: Choice) {
        let started_ms = self.elapsed_ms();
        self.row.queue_ms.get_or_insert(i64::try_from(started_ms).unwrap_or(i64::MAX));
        self.row.account_id = Some(account.to_owned());
        self.attempts.push(Attempt {
            account: account.to_owned(),
            outcome: RequestEnding::ClientGone.label().to_owned(),
            choice,
            started_ms,
            ..Attempt::default()
        });
    }

    /// Notes what this attempt goes over; `instead` is why the other transport was left.
    pub(crate) fn over(&mut self, transport: &'static str, instead: Option<&'static str>) {
        self.row.transport = Some(transport);
        if let Some(attempt) = self.attempts.last_mut() {
            transport.clone_into(&mut attempt.transport);
            attempt.transport_left = instead.map(str::to_owned);
        }
    }

    /// Notes which way the turn goes with the account of this attempt.
    pub(crate) fn bound(&mut self, receipt: &'static str, reason: &'static str) {
        let now = self.elapsed_ms();
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.bound_ms = Some(now);
            attempt.receipt = Some(receipt.to_owned());
            attempt.receipt_reason = Some(reason.to_owned());
        }
    }

    /// Notes that the upstream's answer to this attempt has begun.
    pub(crate) fn first_byte(&mut self, status: u16) {
        let now = self.elapsed_ms();
        self.row.first_byte_ms = i64::try_from(now).ok();
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.first_byte_ms = Some(now);
            attempt.status = Some(status);
        }
    }

    /// Notes that the first visible event is there: this attempt is the one that answers.
    pub(crate) fn first_token(&mut self) {
        let now = self.elapsed_ms();
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.first_token_ms = Some(now);
            "ok".clone_into(&mut attempt.outcome);
        }
        self.recorder.metrics.attempt("ok");
        if self.row.first_token_ms.is_none() {
            self.row.first_token_ms = i64::try_from(now).ok();
            self.recorder.metrics.first_token(self.started.elapsed().as_secs_f64());
        }
    }

    /// Notes that the upstream's answer is complete.
    pub(crate) fn complete(&mut self) {
        let now = self.elapsed_ms();
        self.routing.complete_ms = Some(now);
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.ended_ms = Some(now);
        }
    }

    /// Notes how this attempt failed, before or after its first event.
    pub(crate) fn attempt_failed(&mut self, failed: FailedAttempt) {
        self.recorder.metrics.attempt(failed.outcome);
        let now = self.elapsed_ms();
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.fail(failed, now);
        }
    }

    /// Notes what the client was or will be told.
    pub(crate) fn end(&mut self, ending: RequestEnding, status: u16, error_code: Option<&str>) {
        if ending != RequestEnding::Done {
            // The turn could not be stored after all, so neither was the row, and the client does not get the end.
            self.rides = false;
            self.row.bytes -= std::mem::take(&mut self.promised);
        }
        self.ending = ending;
        self.row.status = i64::from(status);
        self.row.error_code = error_code.map(str::to_owned);
    }

    /// The words of the error, where the upstream said none.
    pub(crate) fn error_words(&mut self, words: &str) {
        self.row.error_message = Some(cut(&without_secrets(words)));
    }

    /// Counts the bytes of an answer's end, which the client gets once the turn is stored.
    pub(crate) fn promise(&mut self, bytes: usize) {
        self.promised = i64::try_from(bytes).unwrap_or(0);
        self.row.bytes += self.promised;
    }

    /// The row of a request whose answer is complete, to be written with its turn. What follows is only its delivery: whoever leaves now
    /// has missed nothing but the end.
    pub(crate) fn row_of_complete(&mut self) -> Box<RequestRow> {
        self.end(RequestEnding::Done, 200, None);
        self.close();
        self.rides = true;
        Box::new(self.row.clone())
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.recorder.metrics
    }

    /// A record that nobody has ended: the client has left, unless the connection knows better.
    fn ask_why(&mut self) {
        match self.interruption.get() {
            Some(Interrupted::ClientNotReading) if self.ending == RequestEnding::ClientGone => {
                self.row.error_code = Some("client_not_reading".to_owned());
                self.error_words("The client took nothing of its answer for too long, so the answer was cut.");
            }
            Some(Interrupted::Shutdown) if self.ending == RequestEnding::ClientGone => {
                let begun = self.row.status != i64::from(CLIENT_GONE);
                let status =
                    if begun { u16::try_from(self.row.status).unwrap_or(SHUTTING_DOWN) } else { SHUTTING_DOWN };
                self.end(RequestEnding::Shutdown, status, Some("shutting_down"));
                self.error_words("The service stopped before the answer was complete.");
                if let Some(attempt) = self.attempts.last_mut()
                    && attempt.outcome == RequestEnding::ClientGone.label()
                {
                    RequestEnding::Shutdown.label().clone_into(&mut attempt.outcome);
                }
            }
            Some(_) | None => {}
        }
    }

    /// Completes the row with what only the end knows.
    fn close(&mut self) {
        let duration = self.elapsed_ms();
        let row = &mut self.row;
        self.recorder.names.judge(row);
        row.ending = self.ending.label();
        row.duration_ms = i64::try_from(duration).unwrap_or(i64::MAX);
        row.attempt_count = i64::try_from(self.attempts.len()).unwrap_or(i64::MAX);
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.ended_ms.get_or_insert(duration);
            if self.ending != RequestEnding::Done && attempt.message.is_some() {
                row.error_message.clone_from(&attempt.message);
            }
        }
        // Plain values always have a JSON form.
        row.attempts = serde_json::to_string(&self.attempts).unwrap_or_else(|_| "[]".to_owned());
        row.routing = serde_json::to_string(&self.routing).unwrap_or_else(|_| "{}".to_owned());
    }
}

impl Drop for RequestRecord {
    fn drop(&mut self) {
        self.ask_why();
        self.close();
        let row = &mut self.row;
        let status = u16::try_from(row.status).unwrap_or(CLIENT_GONE);
        let seconds = self.started.elapsed().as_secs_f64();
        self.recorder.metrics.request(row.route, status, row.ending, seconds);
        log_line(row, status, self.attempts.len());
        if !self.rides {
            self.recorder.writer.enqueue(Write::Request(Box::new(std::mem::take(row))));
        }
    }
}

/// A client may have put its key into a member that the error's words repeat.
fn without_secrets(words: &str) -> String {
    let looks_secret = |word: &str| ["sk-", "eyJ", "sso="].iter().any(|mark| word.contains(mark));
    let words = words.split_inclusive(char::is_whitespace);
    words.map(|word| if looks_secret(word) { "[removed] " } else { word }).collect()
}

/// The program that a user agent names first, without its version: `OpenAI/Python 1.40.0` is `OpenAI/Python`.
fn client_program(user_agent: &str) -> Option<String> {
    let bytes = user_agent.as_bytes();
    let version = |at: usize| matches!(bytes[at], b' ' | b'/') && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
    let comment = |at: usize| bytes[at..].starts_with(b" (");
    let end = (0..bytes.len()).find(|at| version(*at) || comment(*at)).unwrap_or(bytes.len());
    let name: String = user_agent.get(..end)?.trim().chars().take(CLIENT).collect();
    (!name.is_empty()).then_some(name)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_named_without_its_version() {
        let cases = [
            ("OpenAI/Python 1.40.0", Some("OpenAI/Python")),
            ("curl/8.5.0", Some("curl")),
            ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", Some("Mozilla")),
            ("python-requests/2.32", Some("python-requests")),
            ("Cherry Studio (mac)", Some("Cherry Studio")),
            ("Größe/1", Some("Größe")),
            ("node", Some("node")),
            ("", None),
            (" ", None),
        ];
        for (agent, name) in cases {
            assert_eq!(client_program(agent).as_deref(), name, "{agent}");
        }
        assert_eq!(client_program(&"x".repeat(500)).unwrap().len(), CLIENT);
    }
}
