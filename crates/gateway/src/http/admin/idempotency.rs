//! `Idempotency-Key`: a script whose connection broke sends the same again and gets the first answer, instead of doing it twice.
//!
//! Answers are kept in memory alone, because some of them hold a secret that nobody is to see again: a restart forgets them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use sha2::{Digest, Sha256};

use super::AdminState;
use super::body::{MOST_LARGE_BYTES, unreadable};
use super::caller::Caller;
use super::error::AdminError;
use crate::http::body;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Says of an answer that it is an earlier one.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Longest key.
const LONGEST: usize = 255;

const KEPT_MS: i64 = 24 * 3_600_000;

/// Answers that are kept, and how large one may be.
const MOST: usize = 1_000;
const LARGEST: usize = 256 * 1024;

/// Routes that have no caller.
const NOBODY: [&str; 2] = ["/session", "/claim"];

/// Headers of an answer that belong to what was made.
const HEADERS: [HeaderName; 3] = [header::CONTENT_TYPE, header::LOCATION, header::ETAG];

type Digested = [u8; 32];

/// What was asked under keys. A cheap handle.
#[derive(Clone, Default)]
pub(super) struct Idempotency {
    asked: Arc<Mutex<HashMap<Digested, Asked>>>,
}

struct Asked {
    at: i64,
    body: Digested,
    /// `None` while it is under way.
    answer: Option<Kept>,
}

#[derive(Clone)]
struct Kept {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Idempotency {
    fn asked(&self) -> MutexGuard<'_, HashMap<Digested, Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known under a key; where nothing is, it is under way from now.
    fn begin(&self, id: Digested, body: Digested, now: i64) -> Option<(bool, Option<Kept>)> {
        let mut asked = self.asked();
        asked.retain(|_, one| one.at > now - KEPT_MS);
        if let Some(one) = asked.get(&id) {
            return Some((one.body == body, one.answer.clone()));
        }
        if asked.len() >= MOST
            && let Some(oldest) = asked.iter().min_by_key(|(_, one)| one.at).map(|(id, _)| *id)
        {
            asked.remove(&oldest);
        }
        asked.insert(id, Asked { at: now, body, answer: None });
        None
    }
}

/// Forgets what did not come to an end: the caller may have left, and must be able to ask again.
struct UnderWay {
    idempotency: Idempotency,
    id: Digested,
}

impl UnderWay {
    fn keep(&self, kept: Kept) {
        if let Some(one) = self.idempotency.asked().get_mut(&self.id) {
            one.answer = Some(kept);
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut asked = self.idempotency.asked();
        if asked.get(&self.id).is_some_and(|one| one.answer.is_none()) {
            asked.remove(&self.id);
        }
    }
}

/// Answers a `POST` with a known key by what it was answered before.
pub(super) async fn answer_once(
    State((state, idempotency)): State<(AdminState, Idempotency)>,
    request: Request,
    next: Next,
) -> Response {
    let Some(key) = request.headers().get(&KEY).filter(|_| request.method() == Method::POST) else {
        return next.run(request).await;
    };
    // Who signs in is nobody yet, and makes nothing that must not be made twice.
    if NOBODY.iter().any(|path| request.uri().path().ends_with(path)) {
        return next.run(request).await;
    }
    match once(state, idempotency, key.clone(), request, next).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn once(
    state: AdminState,
    idempotency: Idempotency,
    key: HeaderValue,
    request: Request,
    next: Next,
) -> Result<Response, AdminError> {
    if key.is_empty() || key.len() > LONGEST {
        return Err(AdminError::invalid_request(format!("Idempotency-Key must have 1 to {LONGEST} characters")));
    }
    let (mut parts, body) = request.into_parts();
    // Before anything of theirs is held in memory; the handler takes it over.
    let caller = Caller::from_request_parts(&mut parts, &state).await?;
    parts.extensions.insert(caller);
    let body = body::read(&parts.headers, body, MOST_LARGE_BYTES).await;
    let body = body.map_err(|error| unreadable(error, MOST_LARGE_BYTES))?;
    // Per caller: what one has made is not another's to see.
    let mut id = Sha256::new();
    for name in [header::AUTHORIZATION, header::COOKIE] {
        id.update(parts.headers.get(name).map_or(&[][..], HeaderValue::as_bytes));
        id.update([0]);
    }
    id.update(parts.uri.path_and_query().map_or("", |path| path.as_str()));
    id.update([0]);
    id.update(key.as_bytes());
    let id: Digested = id.finalize().into();
    if let Some((is_same, answer)) = idempotency.begin(id, Sha256::digest(&body).into(), state.clock.now_ms()) {
        return match (is_same, answer) {
            (false, _) => {
                let message = "this Idempotency-Key was used with another body";
                Err(AdminError::new(StatusCode::CONFLICT, "idempotency_mismatch", message))
            }
            (true, None) => {
                let message = "the first request with this Idempotency-Key is under way";
                Err(AdminError::new(StatusCode::CONFLICT, "conflict", message))
            }
            (true, Some(kept)) => {
                let mut response = (kept.status, kept.headers, kept.body).into_response();
                response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
                Ok(response)
            }
        };
    }
    let under_way = UnderWay { idempotency, id };
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    // A failure may be mended, and a stream is not kept.
    let is_json = |headers: &HeaderMap| {
        let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        kind.is_none_or(|kind| kind.starts_with(b"application/json"))
    };
    if !response.status().is_success() || !is_json(response.headers()) {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.map_err(AdminError::internal)?;
    if body.len() <= LARGEST {
        let named = HEADERS.iter().filter_map(|name| Some((name.clone(), parts.headers.get(name)?.clone())));
        under_way.keep(Kept { status: parts.status, headers: named.collect(), body: body.clone() });
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}
