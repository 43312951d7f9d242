//! `GET /images/{name}`: the images that the model made. Whoever has the link may see them, as with any link that cannot be
//! guessed; clients show them without sending a key.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE, RANGE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::ApiState;
use super::error::ApiError;
use super::request_id::RequestId;
use crate::images::{ImageError, Picture, is_id};

/// Endings of names. What a picture is, its bytes say; the ending is for whoever reads the link.
const EXTENSIONS: [&str; 5] = ["jpg", "jpeg", "png", "gif", "webp"];

/// An image never changes under its name. Not for shared caches, which would keep what was deleted here.
const CACHING: HeaderValue = HeaderValue::from_static("private, max-age=31536000, immutable");

/// Opened by itself, a picture may do nothing at all.
const POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; sandbox");

/// Other sites' chats show it.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

pub(super) async fn show(
    State(state): State<ApiState>,
    request_id: axum::Extension<RequestId>,
    path: Result<Path<String>, axum::extract::rejection::PathRejection>,
    parts: Parts,
) -> Response {
    let Some(id) = path.as_ref().ok().and_then(|Path(name)| id_of(name)) else {
        return ApiError::not_found(parts.uri.path()).into_response(&request_id.0.0);
    };
    let tag = format!("\"{id}\"");
    // Whoever has it has it for good.
    if names_tag(parts.headers.get(IF_NONE_MATCH), &tag) {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        mark(response.headers_mut(), &tag);
        return response;
    }
    match state.images.get(id).await {
        Ok(picture) => {
            if parts.method != Method::HEAD {
                state.images.visited(id);
            }
            answer(&picture, &tag, &parts)
        }
        Err(error) => {
            if let ImageError::Store(_) | ImageError::Read(_) = &error {
                tracing::error!(image = id, error = %error, "an image could not be served");
            }
            ApiError::of_image(&error).into_response(&request_id.0.0)
        }
    }
}

/// The id in `<id>.<ending>`, if it is one.
fn id_of(name: &str) -> Option<&str> {
    let (id, ending) = name.split_once('.')?;
    (is_id(id) && EXTENSIONS.contains(&ending)).then_some(id)
}

fn answer(picture: &Picture, tag: &str, parts: &Parts) -> Response {
    let length = picture.bytes.len();
    let (status, body, range) = match wanted_range(&parts.headers, tag, length) {
        Wanted::All => (StatusCode::OK, picture.bytes.clone(), None),
        Wanted::Part(first, last) => {
            let range = format!("bytes {first}-{last}/{length}");
            (StatusCode::PARTIAL_CONTENT, picture.bytes.slice(first..=last), Some(range))
        }
        Wanted::Nowhere => (StatusCode::RANGE_NOT_SATISFIABLE, Bytes::new(), Some(format!("bytes */{length}"))),
    };
    let mut response = (status, Body::from(body)).into_response();
    let headers = response.headers_mut();
    mark(headers, tag);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(picture.media_type));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("inline"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Some(Ok(range)) = range.map(HeaderValue::try_from) {
        headers.insert(CONTENT_RANGE, range);
    }
    if parts.method == Method::HEAD {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    response
}

fn mark(headers: &mut HeaderMap, tag: &str) {
    headers.insert(CACHE_CONTROL, CACHING);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(ETAG, tag);
    }
}

/// Whether `If-None-Match` names the tag.
fn names_tag(value: Option<&HeaderValue>, tag: &str) -> bool {
    let list = value.and_then(|value| value.to_str().ok()).unwrap_or_default();
    list.split(',').map(|entry| entry.trim().trim_start_matches("W/")).any(|entry| entry == tag || entry == "*")
}

/// Which bytes are wanted.
enum Wanted {
    All,
    /// First and last.
    Part(usize, usize),
    Nowhere,
}

/// One range of bytes; several at once, or what is no range, get everything.
fn wanted_range(headers: &HeaderMap, tag: &str, length: usize) -> Wanted {
    if headers.get(IF_RANGE).is_some_and(|value| value.as_bytes() != tag.as_bytes()) {
        return Wanted::All;
    }
    let range = headers.get(RANGE).and_then(|value| value.to_str().ok()?.strip_prefix("bytes="));
    let Some((first, last)) = range.filter(|range| !range.contains(',')).and_then(|range| range.split_once('-')) else {
        return Wanted::All;
    };
    match (first.trim().parse::<usize>(), last.trim().parse::<usize>()) {
        (Ok(first), _) if first >= length => Wanted::Nowhere,
        (Ok(first), Ok(last)) if first <= last => Wanted::Part(first, last.min(length - 1)),
        (Ok(first), Err(_)) if last.trim().is_empty() => Wanted::Part(first, length - 1),
        (Err(_), Ok(0)) if first.trim().is_empty() => Wanted::Nowhere,
        (Err(_), Ok(count)) if first.trim().is_empty() => Wanted::Part(length.saturating_sub(count), length - 1),
        _ => Wanted::All,
    }
}
