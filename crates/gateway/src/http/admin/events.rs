//! `GET /events`: what changes, as server-sent events; and which topics a stream is about.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::unfold;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::json;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::AdminState;
use super::body::Members;
use super::caller::Caller;
use super::described::{AdminErrorBody, TopicsRequest};
use super::error::AdminError;
use super::query::Parameters;
use crate::admins::Admins;
use crate::clock::timestamp;
use crate::events::{MOST_TOPICS, Next, Subscription, TooManyStreams};

/// Silence after which a comment is sent, so that proxies and browsers know that the stream lives.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// When the server goes: after this the browser tries again.
const RETRY_MS: u64 = 3_000;

/// Longest name of a topic.
const TOPIC: usize = 128;

/// One stream: what is to be sent and where more comes from.
struct Stream {
    subscription: Subscription,
    out: VecDeque<Bytes>,
    heartbeat: Interval,
    caller: Caller,
    admins: Admins,
    is_over: bool,
}

/// `GET /events?topics=`: all topics without the parameter. `Last-Event-ID` goes on where a stream broke off.
#[utoipa::path(
    get,
    path = "/events",
    operation_id = "events_stream",
    tag = "events",
    params(
        ("topics" = Option<String>, Query, description = "Topics, separated by commas: `accounts`, `accounts.summary`, `account:ID`, `keys`, `key:ID`, `settings`, `attention`, `audit`, `jobs`, `job:ID`, `images`; all unless given."),
        ("Last-Event-ID" = Option<String>, Header, description = "The last event that was seen."),
    ),
    responses((status = 200, description = "Server-sent events.", body = String, content_type = "text/event-stream"), (status = 429, description = "The caller has as many streams as one session or token may have.", body = AdminErrorBody), (status = 503, description = "There are as many streams as there may be; some are kept for people.", body = AdminErrorBody)),
)]
pub(super) async fn stream(
    State(state): State<AdminState>,
    caller: Caller,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, AdminError> {
    let topics = parameters.take("topics").map(|topics| {
        let topics = topics.split(',').map(str::trim).filter(|topic| !topic.is_empty());
        topics.map(str::to_owned).collect::<Vec<_>>()
    });
    if let Some(problem) = topics.as_deref().and_then(problem_of) {
        parameters.refuse("topics", "length", problem);
    }
    parameters.finish()?;
    let after = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    // What is no number was none of ours: the reader has a gap, and is told so.
    let after = after.filter(|id| !id.is_empty()).map(|id| id.parse().unwrap_or(0));
    let subscription = state
        .events
        .subscribe(caller.reader(), topics, after)
        .map_err(|error| AdminError::new(status_of(error), "too_many_streams", error.to_string()))?;
    let hello = json!({
        "stream": subscription.stream(),
        "server_time": timestamp(state.clock.now_ms()),
        "resumed": subscription.is_resumed(),
    });
    let mut heartbeat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let first = frame(Some(subscription.place()), "hello", &hello.to_string());
    let admins = state.admins.clone();
    let stream = Stream { subscription, out: VecDeque::from([first]), heartbeat, caller, admins, is_over: false };
    let body = Body::from_stream(unfold(stream, |mut stream| async move {
        let piece = stream.next().await?;
        Some((Ok::<_, Infallible>(piece), stream))
    }));
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

fn status_of(error: TooManyStreams) -> StatusCode {
    match error {
        TooManyStreams::OfReader => StatusCode::TOO_MANY_REQUESTS,
        TooManyStreams::OfAll => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// `PUT /events/{stream}/topics`: other topics for a stream that goes on.
#[utoipa::path(
    put,
    path = "/events/{stream}/topics",
    operation_id = "events_set_topics",
    tag = "events",
    params(
        ("stream" = String, Path, description = "The stream, as its first event names it."),
    ),
    request_body = TopicsRequest,
    responses((status = 204, description = "The stream has other topics.")),
)]
pub(super) async fn set_topics(
    State(state): State<AdminState>,
    _: Caller,
    path: Result<Path<String>, axum::extract::rejection::PathRejection>,
    mut body: Members,
) -> Result<StatusCode, AdminError> {
    let topics = match body.texts("topics") {
        Some(topics) => topics,
        None => body.refuse("topics", "required", "must name the topics").unwrap_or_default(),
    };
    if let Some(problem) = problem_of(&topics) {
        body.refuse::<()>("topics", "length", problem);
    }
    body.finish()?;
    let stream = path.map(|Path(stream)| stream).unwrap_or_default();
    if state.events.set_topics(&stream, topics) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(AdminError::not_found("there is no such stream; it may have ended"))
    }
}

fn problem_of(topics: &[String]) -> Option<String> {
    let is_wrong = topics.len() > MOST_TOPICS || topics.iter().any(|topic| topic.len() > TOPIC);
    is_wrong.then(|| format!("must hold at most {MOST_TOPICS} topics of at most {TOPIC} characters"))
}

impl Stream {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(piece) = self.out.pop_front() {
                return Some(piece);
            }
            if self.is_over {
                return None;
            }
            tokio::select! {
                next = self.subscription.next() => self.take(next),
                _ = self.heartbeat.tick() => self.beat(),
            }
        }
    }

    fn take(&mut self, next: Next) {
        self.heartbeat.reset();
        match next {
            // Who is out must not be told more, however busy the stream is.
            Next::Events(..) | Next::Resync(_) if !self.caller.is_still_in(&self.admins) => self.end("session_ended"),
            Next::Events(events, place) => {
                let mut frames = Vec::new();
                for event in &events {
                    // The last carries the place after all of them; a stream that breaks before tells them again.
                    let id = if event.id == events.last().map_or(0, |last| last.id) { place } else { event.id };
                    frames.extend_from_slice(&frame(Some(id), event.name, &event.data));
                }
                self.out.push_back(frames.into());
            }
            Next::Resync(place) => self.out.push_back(frame(Some(place), "resync", "{}")),
            Next::Closed => self.end("shutting_down"),
        }
    }

    fn beat(&mut self) {
        if self.caller.is_still_in(&self.admins) {
            // An event, not a comment: pages are not told of comments, and must know that the stream lives.
            self.out.push_back(frame(None, "keep-alive", "{}"));
        } else {
            self.end("session_ended");
        }
    }

    fn end(&mut self, reason: &str) {
        let bye = frame(None, "bye", &json!({ "reason": reason }).to_string());
        self.out.push_back([format!("retry: {RETRY_MS}\n").as_bytes(), &bye].concat().into());
        self.is_over = true;
    }
}

/// One event. JSON in one line has no line break that would end it.
fn frame(id: Option<u64>, name: &str, data: &str) -> Bytes {
    let id = id.map_or_else(String::new, |id| format!("id: {id}\n"));
    format!("{id}event: {name}\ndata: {data}\n\n").into()
}
