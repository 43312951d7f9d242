//! The web console, as it was built into the binary: `/admin` and whatever below it is not the API.

use std::borrow::Cow;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::missing_console;

/// What `web` was built to; in development builds read from there at each request.
#[derive(RustEmbed)]
#[folder = "../../web/dist"]
struct Built;

const PAGE: &str = "index.html";

/// Nothing foreign loads or runs, and no script makes markup out of text.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; \
     worker-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; object-src 'none'; \
     require-trusted-types-for 'script'";

/// What browsers may do for the console: nothing that it does not need.
const PERMISSIONS: &str = "camera=(), geolocation=(), microphone=(), payment=(), usb=()";

static COMMON: LazyLock<HeaderMap> = LazyLock::new(|| {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), PERMISSIONS),
    ];
    headers.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect()
});

/// The page. Every place of the console is the same page; its script reads the address.
pub(crate) async fn page() -> Response {
    match Built::get(PAGE) {
        Some(file) => answer(PAGE, file, &HeaderMap::new()),
        None => missing_console::page(),
    }
}

/// A file of the console, or the page for its places.
pub(crate) async fn file(Path(path): Path<String>, headers: HeaderMap) -> Response {
    // A file that is not there is an error, not the page: a script must never be read as one.
    let is_file = path.starts_with("assets/") || path.rsplit('/').next().is_some_and(|name| name.contains('.'));
    match Built::get(&path) {
        Some(file) if path != PAGE => answer(&path, file, &headers),
        _ if is_file => (COMMON.clone(), StatusCode::NOT_FOUND).into_response(),
        _ => page().await,
    }
}

fn answer(path: &str, file: EmbeddedFile, request: &HeaderMap) -> Response {
    let mut headers = COMMON.clone();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(path)));
    // Names of assets change with what is in them; all else is asked for again.
    let is_named_by_content = path.starts_with("assets/");
    let caching = if is_named_by_content { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    if let Ok(tag) = HeaderValue::try_from(format!("\"{}\"", hexadecimal(&file.metadata.sha256_hash()[..16]))) {
        if request.get(header::IF_NONE_MATCH) == Some(&tag) {
            headers.insert(header::ETAG, tag);
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    let accepts = request.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let takes_gzip = accepts.split(',').any(|one| one.trim().split(';').next() == Some("gzip"));
    let compressed = takes_gzip.then(|| Built::get(&format!("{path}.gz"))).flatten();
    let data = match compressed {
        Some(compressed) => {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            compressed.data
        }
        None => file.data,
    };
    match data {
        Cow::Borrowed(bytes) => (headers, bytes).into_response(),
        Cow::Owned(bytes) => (headers, bytes).into_response(),
    }
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
