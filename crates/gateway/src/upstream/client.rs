//! Calls to the upstream over REST.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use protocol::failure::classify_http;
use protocol::headers::{HeaderValues, browser_headers, cookie_header, statsig_error_form};
use protocol::rest::{self, Method, Route};
use protocol::turn::TurnRequest;
use reqwest::Version;
use reqwest::header::{CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

use super::shards::{Shards, Slot};
use super::{AnswerBody, Credential, UpstreamError, UpstreamErrorKind};
use crate::settings::Settings;

/// An error's body is read up to here; what is told of it fits many times over.
const ERROR_BODY: usize = 64 * 1024;

/// The largest answer of a unary call. A clone repeats a whole conversation.
const UNARY_BODY: usize = 32 * 1024 * 1024;

/// Patience with a unary call.
const UNARY_TIMEOUT: Duration = Duration::from_secs(20);

/// Unused connections are closed after this.
const POOL_IDLE: Duration = Duration::from_secs(90);

/// Where the upstream is. From the command line; a change needs a restart.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamOptions {
    /// Without a slash at the end.
    pub(crate) base_url: String,
    /// A certificate authority besides the public ones, PEM.
    pub(crate) additional_ca: Option<Vec<u8>>,
}

/// A cheap handle to the upstream.
#[derive(Clone)]
pub(crate) struct Upstream {
    shared: Arc<Shared>,
}

struct Shared {
    base_url: String,
    tls: rustls::ClientConfig,
    /// Each thread has connections of its own, so that an answer's bytes never cross threads.
    generations: Mutex<HashMap<ThreadId, Generation>>,
    /// Whether TLS connections are taken to speak HTTP/2 from the start. Then the client opens one and lets the others wait for
    /// it; unsure, it opens one for every request that comes before the first stands. Given up where the way out (a proxy
    /// that inspects TLS) speaks HTTP/1.1 only.
    assume_http2: AtomicBool,
    http2_proven: AtomicBool,
}

/// The clients of one set of connection settings.
struct Generation {
    proxy_url: String,
    connect_timeout: u64,
    assume_http2: bool,
    shards: Arc<Shards>,
}

/// Why a unary call gave no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The answer could not be understood.
    #[error("{0}")]
    Unreadable(String),
}

impl Upstream {
    pub(crate) fn new(options: UpstreamOptions) -> Result<Self, String> {
        let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(pem) = &options.additional_ca {
            use rustls_pki_types::pem::PemObject as _;
            for certificate in rustls_pki_types::CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| format!("additional certificate authority: {error}"))?;
                roots.add(certificate).map_err(|error| format!("additional certificate authority: {error}"))?;
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS: {error}"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let assume_http2 = AtomicBool::new(options.base_url.starts_with("https://"));
        let http2_proven = AtomicBool::new(false);
        let shared =
            Shared { base_url: options.base_url, tls, generations: Mutex::default(), assume_http2, http2_proven };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Sends a turn; answers when the upstream's answer has begun.
    pub(crate) async fn chat(
        &self,
        credential: &Credential,
        turn: &TurnRequest<'_>,
        settings: &Settings,
    ) -> Result<AnswerBody, UpstreamError> {
        self.stream(credential, rest::chat(turn), settings).await
    }

    /// Takes up an answer that was cut off. The upstream tells it again from its beginning.
    pub(crate) async fn reconnect(
        &self,
        credential: &Credential,
        conversation: &str,
        response: &str,
        settings: &Settings,
    ) -> Result<AnswerBody, UpstreamError> {
        self.stream(credential, rest::reconnect(conversation, response), settings).await
    }

    async fn stream(
        &self,
        credential: &Credential,
        route: Route,
        settings: &Settings,
    ) -> Result<AnswerBody, UpstreamError> {
        let (response, slot) = self.send(credential, route, settings).await?;
        let (status, content_type) = (response.status().as_u16(), content_type(&response));
        let is_page = content_type.as_deref().is_some_and(|kind| kind.starts_with("text/html"));
        if status == 200 && !is_page {
            return Ok(AnswerBody::new(response, slot));
        }
        let body = read_body(response, ERROR_BODY).await.unwrap_or_default();
        Err(UpstreamError::from(classify_http(status, content_type.as_deref(), &body)).with_status(status))
    }

    /// Makes a unary call and reads its answer.
    pub(crate) async fn call<T>(
        &self,
        credential: &Credential,
        route: Route,
        settings: &Settings,
        read: impl FnOnce(&[u8]) -> Result<T, rest::ReadError>,
    ) -> Result<T, CallError> {
        let patience = UpstreamErrorKind::Timeout(super::Patience::Total(UNARY_TIMEOUT));
        let body = tokio::time::timeout(UNARY_TIMEOUT, self.unary(credential, route, settings))
            .await
            .map_err(|_| UpstreamError::from(patience))??;
        read(&body).map_err(|error| CallError::Unreadable(error.to_string()))
    }

    async fn unary(&self, credential: &Credential, route: Route, settings: &Settings) -> Result<Bytes, UpstreamError> {
        let (response, _slot) = self.send(credential, route, settings).await?;
        let (status, content_type) = (response.status().as_u16(), content_type(&response));
        let limit = if status == 200 { UNARY_BODY } else { ERROR_BODY };
        let body = read_body(response, limit).await?;
        let is_page = content_type.as_deref().is_some_and(|kind| kind.starts_with("text/html"));
        if status == 200 && !is_page {
            return Ok(body);
        }
        Err(UpstreamError::from(classify_http(status, content_type.as_deref(), &body)).with_status(status))
    }

    async fn send(
        &self,
        credential: &Credential,
        route: Route,
        settings: &Settings,
    ) -> Result<(reqwest::Response, Slot), UpstreamError> {
        let headers = headers(credential, settings)?;
        let url = format!("{}{}", self.shared.base_url, route.path);
        let method = match route.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
        };
        loop {
            let slot = self.shards(settings)?.slot()?;
            let request = slot.client().request(method.clone(), &url).headers(headers.clone()).body(route.body.clone());
            match request.send().await {
                Ok(response) => {
                    self.shared.http2_proven.fetch_or(response.version() == Version::HTTP_2, Ordering::Relaxed);
                    return Ok((response, slot));
                }
                // Nothing has ever come back in HTTP/2: the other side may not speak it, and then has understood nothing.
                Err(error) if self.assumes_http2() && !self.shared.http2_proven.load(Ordering::Relaxed) => {
                    tracing::info!(error = %error.without_url(), "no HTTP/2 answer; going on with what the upstream offers");
                    self.shared.assume_http2.store(false, Ordering::Relaxed);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn assumes_http2(&self) -> bool {
        self.shared.assume_http2.load(Ordering::Relaxed)
    }

    /// The clients for the present settings. New ones are built completely before the old ones are let go; requests under way
    /// keep theirs.
    fn shards(&self, settings: &Settings) -> Result<Arc<Shards>, UpstreamError> {
        let thread = std::thread::current().id();
        let mut generations = self.shared.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(current) = generations.get(&thread)
            && current.proxy_url == settings.proxy_url
            && current.connect_timeout == settings.connect_timeout
            && current.assume_http2 == self.assumes_http2()
        {
            return Ok(Arc::clone(&current.shards));
        }
        let tls = self.shared.tls.clone();
        let (proxy_url, connect_timeout) = (settings.proxy_url.clone(), settings.connect_timeout);
        let assume_http2 = self.assumes_http2();
        let make = Box::new(move || build_client(tls.clone(), &proxy_url, connect_timeout, assume_http2));
        let shards = Arc::new(Shards::new(make)?);
        let proxy_url = settings.proxy_url.clone();
        let generation = Generation { proxy_url, connect_timeout, assume_http2, shards: Arc::clone(&shards) };
        generations.insert(thread, generation);
        Ok(shards)
    }
}

fn build_client(
    tls: rustls::ClientConfig,
    proxy_url: &str,
    connect_timeout: u64,
    assume_http2: bool,
) -> Result<reqwest::Client, reqwest::Error> {
    let builder = reqwest::Client::builder();
    let builder = if assume_http2 { builder.http2_prior_knowledge() } else { builder };
    let builder = builder
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(connect_timeout))
        .pool_idle_timeout(POOL_IDLE)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(30))
        .http2_keep_alive_timeout(Duration::from_secs(20))
        // The environment's proxy variables are somebody else's; ours is a setting.
        .no_proxy();
    if proxy_url.is_empty() { builder } else { builder.proxy(reqwest::Proxy::all(proxy_url)?) }.build()
}

fn headers(credential: &Credential, settings: &Settings) -> Result<HeaderMap, UpstreamError> {
    let unusable = |what: &str| UpstreamErrorKind::Protocol(format!("{what} cannot be sent as a header"));
    let Some(token) = credential.token() else {
        let words = "the account's token cannot be opened: data/secret.key was replaced; add the account again";
        return Err(UpstreamErrorKind::Protocol(words.to_owned()).into());
    };
    let statsig = if settings.statsig_id.is_empty() {
        statsig_error_form(crate::secrets::random_array())
    } else {
        settings.statsig_id.clone()
    };
    let request_id = Uuid::new_v4().to_string();
    let values = HeaderValues { user_agent: &settings.user_agent, statsig_id: &statsig, request_id: &request_id };
    let mut headers = HeaderMap::with_capacity(16);
    for (name, value) in browser_headers(values) {
        let value = HeaderValue::from_str(&value).map_err(|_| unusable(name))?;
        headers.insert(HeaderName::from_static(name), value);
    }
    let cookies = cookie_header(&token, &settings.clearance_cookies);
    let mut cookies = HeaderValue::from_str(&cookies).map_err(|_| unusable("clearance_cookies"))?;
    cookies.set_sensitive(true);
    headers.insert(COOKIE, cookies);
    Ok(headers)
}

fn content_type(response: &reqwest::Response) -> Option<String> {
    let value = response.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.to_ascii_lowercase())
}

/// Reads a body up to `limit`.
async fn read_body(mut response: reqwest::Response, limit: usize) -> Result<Bytes, UpstreamError> {
    let mut body = BytesMut::new();
    while let Some(piece) = response.chunk().await? {
        let room = limit - body.len();
        body.extend_from_slice(&piece[..piece.len().min(room)]);
        if body.len() == limit {
            break;
        }
    }
    Ok(body.freeze())
}
