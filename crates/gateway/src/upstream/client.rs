//! Calls to the upstream.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use protocol::failure::classify_http;
use protocol::headers::{HeaderValues, browser_headers, cookie_header, statsig_error_form};
use protocol::rest::{self, Method, Route, Upload};
use protocol::turn::TurnRequest;
use reqwest::Version;
use reqwest::header::{CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::aside::Aside;
use super::names::Names;
use super::rest_answer::RestAnswer;
use super::shards::{Shards, Slot};
use super::socket_answer::SocketAnswer;
use super::upload_body::UploadBody;
use super::{
    AnswerLimits, AnswerMemory, Credential, HeldMemory, UpstreamAnswer, UpstreamError, UpstreamErrorKind, socket,
};
use crate::settings::Settings;

/// An error's body is read up to here; what is told of it fits many times over.
const ERROR_BODY: usize = 64 * 1024;

/// The largest answer of a unary call. A clone repeats a whole conversation.
const UNARY_BODY: usize = 32 * 1024 * 1024;

/// Patience with a unary call.
const UNARY_TIMEOUT: Duration = Duration::from_secs(20);

/// Patience with an upload: a large image over a slow line takes its time.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(60);

/// Unused connections are closed after this.
const POOL_IDLE: Duration = Duration::from_secs(90);

/// Where the upstream is. From the command line; a change needs a restart.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamOptions {
    /// Without a slash at the end.
    pub(crate) base_url: String,
    /// Where its files are; without a slash at the end.
    pub(crate) assets_url: String,
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
    assets_url: String,
    tls: rustls::ClientConfig,
    tasks: TaskTracker,
    memory: AnswerMemory,
    /// Names of the upstream and the proxy.
    names: Names,
    /// Names that clients choose.
    web_names: Names,
    aside: Aside,
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
    clients: Clients,
}

#[derive(Clone)]
struct Clients {
    shards: Arc<Shards>,
    /// For upgrades.
    sockets: reqwest::Client,
    /// For files, which are on another host.
    files: reqwest::Client,
}

/// One call, perhaps with a body that is written while it is sent.
struct Call {
    route: Route,
    upload: Option<Arc<Upload>>,
}

impl Call {
    fn of(route: Route) -> Self {
        Self { route, upload: None }
    }
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
    /// `tasks` owns what goes on behind an answer.
    pub(crate) fn new(options: UpstreamOptions, tasks: TaskTracker) -> Result<Self, String> {
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
        let shared = Shared {
            base_url: options.base_url,
            assets_url: options.assets_url,
            tls,
            tasks,
            memory: AnswerMemory::default(),
            names: Names::new(),
            web_names: Names::new(),
            aside: Aside::default(),
            generations: Mutex::default(),
            assume_http2,
            http2_proven,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// What all open answers together hold.
    pub(crate) fn memory(&self) -> &AnswerMemory {
        &self.shared.memory
    }

    pub(super) fn web_names(&self) -> &Names {
        &self.shared.web_names
    }

    pub(super) fn aside(&self) -> &Aside {
        &self.shared.aside
    }

    pub(super) fn base_url(&self) -> &str {
        &self.shared.base_url
    }

    pub(super) fn assets_url(&self) -> &str {
        &self.shared.assets_url
    }

    /// The client for files.
    pub(super) fn file_client(&self, settings: &Settings) -> Result<reqwest::Client, UpstreamError> {
        Ok(self.clients(settings)?.files)
    }

    /// A client of its own for a probe, which speaks whatever the other side does.
    pub(super) fn probe_client(&self, settings: &Settings) -> Result<reqwest::Client, reqwest::Error> {
        self.shared.client_builder(self.shared.tls.clone(), settings)?.build()
    }

    /// A client of its own that goes straight to where it is sent, and not through the proxy.
    pub(super) fn direct_builder(&self, settings: &Settings) -> Result<reqwest::ClientBuilder, reqwest::Error> {
        client_builder(self.shared.tls.clone(), &self.shared.web_names, "", settings.connect_timeout)
    }

    /// Sends a turn over REST; answers when the upstream's answer has begun.
    pub(crate) async fn chat_over_rest(
        &self,
        credential: &Credential,
        turn: &TurnRequest<'_>,
        settings: &Settings,
    ) -> Result<UpstreamAnswer, UpstreamError> {
        self.stream(credential, rest::chat(turn), settings).await
    }

    /// Asks a turn over a WebSocket of its own; answers when the socket is open. `user_id`: the account's id at the upstream.
    pub(crate) async fn chat_over_websocket(
        &self,
        credential: &Credential,
        user_id: &str,
        turn: &TurnRequest<'_>,
        settings: &Settings,
    ) -> Result<UpstreamAnswer, UpstreamError> {
        let client = self.clients(settings)?.sockets;
        let socket = socket::connect(&client, &self.shared.base_url, credential, user_id, settings).await?;
        let answer = SocketAnswer::ask(socket, turn, AnswerLimits::new(settings), self.shared.tasks.clone());
        Ok(UpstreamAnswer::Websocket(Box::new(answer)))
    }

    /// Takes up an answer that was cut off. The upstream tells it again from its beginning.
    pub(crate) async fn reconnect(
        &self,
        credential: &Credential,
        conversation: &str,
        response: &str,
        settings: &Settings,
    ) -> Result<UpstreamAnswer, UpstreamError> {
        self.stream(credential, rest::reconnect(conversation, response), settings).await
    }

    async fn stream(
        &self,
        credential: &Credential,
        route: Route,
        settings: &Settings,
    ) -> Result<UpstreamAnswer, UpstreamError> {
        let (response, slot) = self.send(credential, Call::of(route), settings).await?;
        let (status, content_type) = (response.status().as_u16(), content_type(&response));
        let is_page = content_type.as_deref().is_some_and(|kind| kind.starts_with("text/html"));
        if status == 200 && !is_page {
            return Ok(UpstreamAnswer::Rest(RestAnswer::new(response, slot, AnswerLimits::new(settings))));
        }
        let body = read_error_body(response).await;
        Err(refusal(credential, status, content_type.as_deref(), &body))
    }

    /// Makes a unary call and reads its answer.
    pub(crate) async fn call<T>(
        &self,
        credential: &Credential,
        route: Route,
        settings: &Settings,
        read: impl FnOnce(&[u8]) -> Result<T, rest::ReadError>,
    ) -> Result<T, CallError> {
        self.call_within(UNARY_TIMEOUT, credential, Call::of(route), settings, read).await
    }

    /// The same for an upload.
    pub(crate) async fn upload<T>(
        &self,
        credential: &Credential,
        upload: Upload,
        settings: &Settings,
        read: impl FnOnce(&[u8]) -> Result<T, rest::ReadError>,
    ) -> Result<T, CallError> {
        let call = Call { route: upload.route.clone(), upload: Some(Arc::new(upload)) };
        self.call_within(UPLOAD_TIMEOUT, credential, call, settings, read).await
    }

    async fn call_within<T>(
        &self,
        patience: Duration,
        credential: &Credential,
        call: Call,
        settings: &Settings,
        read: impl FnOnce(&[u8]) -> Result<T, rest::ReadError>,
    ) -> Result<T, CallError> {
        let (body, _held) = tokio::time::timeout(patience, self.unary(credential, call, settings))
            .await
            .map_err(|_| UpstreamError::from(UpstreamErrorKind::Timeout(super::Patience::Total(patience))))??;
        read(&body).map_err(|error| CallError::Unreadable(error.to_string()))
    }

    /// A whole answer, and what it holds of the memory for answers.
    async fn unary(
        &self,
        credential: &Credential,
        call: Call,
        settings: &Settings,
    ) -> Result<(Bytes, HeldMemory), UpstreamError> {
        let (mut response, _slot) = self.send(credential, call, settings).await?;
        let (status, content_type) = (response.status().as_u16(), content_type(&response));
        let is_page = content_type.as_deref().is_some_and(|kind| kind.starts_with("text/html"));
        if status != 200 || is_page {
            let body = read_error_body(response).await;
            return Err(refusal(credential, status, content_type.as_deref(), &body));
        }
        let (limits, mut held) = (AnswerLimits::new(settings), self.shared.memory.hold());
        let mut body = BytesMut::new();
        while let Some(piece) = next_piece(&mut response).await? {
            if body.len() + piece.len() > UNARY_BODY {
                let words = format!("the answer to a call is larger than {UNARY_BODY} bytes");
                return Err(UpstreamErrorKind::Oversized(words).into());
            }
            body.extend_from_slice(&piece);
            held.grow(0, body.len(), &limits)?;
        }
        Ok((body.freeze(), held))
    }

    async fn send(
        &self,
        credential: &Credential,
        Call { route, upload }: Call,
        settings: &Settings,
    ) -> Result<(reqwest::Response, Slot), UpstreamError> {
        let mut headers = headers(credential, settings)?;
        if let Some(content_type) = &route.content_type {
            let value = HeaderValue::from_str(content_type).map_err(|_| unusable_header("content-type"))?;
            headers.insert(CONTENT_TYPE, value);
        }
        // Cheap to send again, whatever its size.
        let bytes = Bytes::from(route.body);
        let body = || match &upload {
            Some(upload) => UploadBody::new(Arc::clone(upload)).into(),
            None => reqwest::Body::from(bytes.clone()),
        };
        let url = format!("{}{}", self.shared.base_url, route.path);
        let method = match route.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Delete => reqwest::Method::DELETE,
        };
        loop {
            let slot = self.clients(settings)?.shards.slot()?;
            let request = slot.client().request(method.clone(), &url).headers(headers.clone()).body(body());
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
    fn clients(&self, settings: &Settings) -> Result<Clients, UpstreamError> {
        let thread = std::thread::current().id();
        let mut generations = self.shared.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let assume_http2 = self.assumes_http2();
        if let Some(current) = generations.get(&thread)
            && current.proxy_url == settings.proxy_url
            && current.connect_timeout == settings.connect_timeout
            && current.assume_http2 == assume_http2
        {
            return Ok(current.clients.clone());
        }
        let (proxy_url, connect_timeout) = (settings.proxy_url.clone(), settings.connect_timeout);
        let mut tls = self.shared.tls.clone();
        let sockets = {
            // An upgrade is HTTP/1.1, and its connection is never used again.
            tls.alpn_protocols = vec![b"http/1.1".to_vec()];
            let builder = self.shared.client_builder(tls, settings)?;
            builder.http1_only().pool_max_idle_per_host(0).build()?
        };
        let files = self.shared.client_builder(self.shared.tls.clone(), settings)?.build()?;
        let (tls, names) = (self.shared.tls.clone(), self.shared.names.clone());
        let make = Box::new(move || {
            let builder = client_builder(tls.clone(), &names, &proxy_url, connect_timeout)?;
            if assume_http2 { builder.http2_prior_knowledge() } else { builder }.build()
        });
        let clients = Clients { shards: Arc::new(Shards::new(make)?), sockets, files };
        let proxy_url = settings.proxy_url.clone();
        generations.insert(thread, Generation { proxy_url, connect_timeout, assume_http2, clients: clients.clone() });
        Ok(clients)
    }
}

/// What a refused call means.
pub(super) fn refusal(credential: &Credential, status: u16, content_type: Option<&str>, body: &[u8]) -> UpstreamError {
    let body = credential.hidden_in(body);
    UpstreamError::from(classify_http(status, content_type, &body)).with_status(status)
}

impl Shared {
    /// A client that goes out as the settings say.
    fn client_builder(
        &self,
        tls: rustls::ClientConfig,
        settings: &Settings,
    ) -> Result<reqwest::ClientBuilder, reqwest::Error> {
        client_builder(tls, &self.names, &settings.proxy_url, settings.connect_timeout)
    }
}

fn client_builder(
    tls: rustls::ClientConfig,
    names: &Names,
    proxy_url: &str,
    connect_timeout: u64,
) -> Result<reqwest::ClientBuilder, reqwest::Error> {
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .dns_resolver(Arc::new(names.clone()))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(connect_timeout))
        .pool_idle_timeout(POOL_IDLE)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(30))
        .http2_keep_alive_timeout(Duration::from_secs(20))
        // The environment's proxy variables are somebody else's; ours is a setting.
        .no_proxy();
    Ok(if proxy_url.is_empty() { builder } else { builder.proxy(reqwest::Proxy::all(proxy_url)?) })
}

fn headers(credential: &Credential, settings: &Settings) -> Result<HeaderMap, UpstreamError> {
    let token = credential.open()?;
    let statsig = if settings.statsig_id.is_empty() {
        statsig_error_form(crate::secrets::random_array())
    } else {
        settings.statsig_id.clone()
    };
    let request_id = Uuid::new_v4().to_string();
    let values = HeaderValues { user_agent: &settings.user_agent, statsig_id: &statsig, request_id: &request_id };
    let mut headers = HeaderMap::with_capacity(16);
    for (name, value) in browser_headers(values) {
        let value = HeaderValue::from_str(&value).map_err(|_| unusable_header(name))?;
        headers.insert(HeaderName::from_static(name), value);
    }
    headers.insert(COOKIE, cookie_value(&token, settings)?);
    Ok(headers)
}

/// Only the cookies.
pub(super) fn cookies(credential: &Credential, settings: &Settings) -> Result<HeaderMap, UpstreamError> {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(COOKIE, cookie_value(&credential.open()?, settings)?);
    Ok(headers)
}

fn cookie_value(token: &str, settings: &Settings) -> Result<HeaderValue, UpstreamError> {
    let cookies = cookie_header(token, &settings.clearance_cookies);
    let mut cookies = HeaderValue::from_str(&cookies).map_err(|_| unusable_header("clearance_cookies"))?;
    cookies.set_sensitive(true);
    Ok(cookies)
}

pub(super) fn unusable_header(what: &str) -> UpstreamError {
    UpstreamErrorKind::Protocol(format!("{what} cannot be sent as a header")).into()
}

pub(super) fn content_type(response: &reqwest::Response) -> Option<String> {
    let value = response.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.to_ascii_lowercase())
}

/// Reads what came with a refusal; nothing where that fails.
pub(super) async fn read_error_body(response: reqwest::Response) -> Bytes {
    read_body(response, ERROR_BODY).await.unwrap_or_default()
}

/// The next piece of a body; decompression hands over a few KiB at a time. A body that never stops lets others have the thread.
pub(super) async fn next_piece(response: &mut reqwest::Response) -> Result<Option<Bytes>, reqwest::Error> {
    tokio::task::coop::consume_budget().await;
    response.chunk().await
}

/// Reads a body up to `limit`.
pub(super) async fn read_body(mut response: reqwest::Response, limit: usize) -> Result<Bytes, UpstreamError> {
    let mut body = BytesMut::new();
    while let Some(piece) = next_piece(&mut response).await? {
        let room = limit - body.len();
        body.extend_from_slice(&piece[..piece.len().min(room)]);
        if body.len() == limit {
            break;
        }
    }
    Ok(body.freeze())
}
