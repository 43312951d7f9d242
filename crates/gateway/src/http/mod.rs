//! The only room that knows axum: routes, who calls, what they are told.
//!
//! [`Front`] is what a connection talks to: it gives every request its id, its client address and its cross-origin rules,
//! answers preflights, and turns a panic into an error object. Behind it is one router.

pub(crate) mod admin;
mod body;
mod caller;
pub(crate) mod client_address;
pub(crate) mod console;
mod cors;
mod described;
mod error;
mod heads;
mod health;
mod host;
mod images;
mod key_limits;
mod missing_console;
mod openai;
pub(crate) mod openapi;
mod pace;
mod public_url;
pub(crate) mod request_id;
mod serve;
mod streamed;
mod when;

use std::convert::Infallible;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::FutureExt as _;
use http::{Method, Request, StatusCode, Uri};
use tower::ServiceExt as _;

use crate::accounts::AccountPool;
use crate::admins::Admins;
use crate::audit::{Interrupted, Interruption, Recorder};
use crate::chat::ChatService;
use crate::clock::Clock;
use crate::images::Images;
use crate::keys::ApiKeys;
use crate::settings::SettingsHandle;
use crate::store::{Store, Writer};
use crate::telemetry::Metrics;
use crate::upstream::ExitBreaker;

use client_address::ClientAddress;
use cors::{Cors, is_preflight};
use error::ApiError;
use request_id::{RequestId, X_REQUEST_ID};
pub(crate) use serve::{Ends, Listener, Workers};

/// What the handlers of the client routes work with; cheap to clone.
#[derive(Clone)]
pub(crate) struct ApiState {
    pub(crate) settings: SettingsHandle,
    pub(crate) keys: ApiKeys,
    pub(crate) admins: Admins,
    pub(crate) accounts: AccountPool,
    pub(crate) chat: ChatService,
    pub(crate) images: Images,
    pub(crate) recorder: Recorder,
    pub(crate) metrics: Metrics,
    pub(crate) store: Store,
    pub(crate) writer: Writer,
    pub(crate) exit: ExitBreaker,
    pub(crate) clock: Clock,
}

/// What one connection talks to.
#[derive(Clone)]
pub(crate) struct Front {
    router: Router,
    settings: SettingsHandle,
}

/// Clients differ in whether their base address ends in `/v1`, and some add it twice.
const PREFIXES: [&str; 3] = ["/v1", "", "/v1/v1"];

impl Front {
    pub(crate) fn new(api: ApiState, admin: Router) -> Self {
        let settings = api.settings.clone();
        let mut router = Router::new();
        for prefix in PREFIXES {
            router = router
                .route(&format!("{prefix}/chat/completions"), post(openai::chat_completions))
                .route(&format!("{prefix}/responses"), post(openai::responses))
                .route(&format!("{prefix}/models"), get(openai::list_models))
                .route(&format!("{prefix}/models/{{*id}}"), get(openai::get_model));
        }
        let router = router
            .route("/health", get(health::health))
            .route("/healthz", get(health::healthz))
            .route("/readyz", get(health::readyz))
            .route("/metrics", get(health::metrics))
            .route("/images/{name}", get(images::show))
            .route("/", get(root))
            .method_not_allowed_fallback(method_not_allowed)
            .fallback(not_found)
            .with_state(api)
            .merge(admin);
        Self { router, settings }
    }

    /// Only `/metrics`, without a token, for an address of its own.
    pub(crate) fn metrics_only(api: ApiState) -> Self {
        let settings = api.settings.clone();
        let render = |State(state): State<ApiState>| async move { health::render_metrics(&state) };
        let router = Router::new().route("/metrics", get(render)).fallback(not_found).with_state(api);
        Self { router, settings }
    }

    /// How long a client is waited for that neither sends nor reads.
    pub(crate) fn client_timeout(&self) -> Duration {
        Duration::from_secs(self.settings.current().client_timeout)
    }

    /// Answers one request of `peer`. `interruption` is where its connection says that it has to come to an end.
    pub(crate) async fn answer(
        self,
        mut request: Request<Body>,
        peer: IpAddr,
        interruption: Interruption,
    ) -> Result<Response, Infallible> {
        let settings = self.settings.current();
        let request_id = RequestId::of(request.headers());
        let named = host::check(&mut request);
        let is_admin = request.uri().path().starts_with("/admin");
        let refuse = |error: ApiError| {
            if is_admin { admin::refuse(error, &request_id) } else { error.into_response(&request_id.0) }
        };
        let cors = (!is_admin).then(|| Cors::of(&request, &settings.cors_allowed_origins));
        let mut response = if let Err(problem) = named {
            refuse(ApiError::bad_host(problem))
        } else if let Some(cors) = &cors
            && is_preflight(&request)
        {
            let mut response = StatusCode::NO_CONTENT.into_response();
            cors.mark_preflight(&request, response.headers_mut());
            response
        } else {
            let client = ClientAddress::of(peer, request.headers(), &settings.trusted_proxies);
            request.extensions_mut().insert(client);
            request.extensions_mut().insert(request_id.clone());
            request.extensions_mut().insert(interruption.clone());
            drop(settings);
            let mut serving = pin!(AssertUnwindSafe(self.router.oneshot(request)).catch_unwind());
            let served = std::future::poll_fn(|context| match interruption.get() {
                Some(Interrupted::Shutdown) => Poll::Ready(None),
                Some(Interrupted::ClientNotReading) | None => serving.as_mut().poll(context).map(Some),
            });
            match served.await {
                Some(Ok(Ok(response))) => response,
                Some(Ok(Err(never))) => match never {},
                Some(Err(_)) => {
                    tracing::error!(request.id = %request_id.0, "a handler panicked");
                    ApiError::internal().into_response(&request_id.0)
                }
                // Nothing has left yet, so whoever waits is told.
                None => refuse(ApiError::shutting_down()),
            }
        };
        let headers = response.headers_mut();
        if let Some(cors) = cors {
            cors.mark(headers);
        }
        headers.insert(X_REQUEST_ID, request_id.header());
        Ok(response)
    }
}

async fn root() -> Response {
    axum::response::Redirect::temporary("/admin").into_response()
}

async fn not_found(uri: Uri, request_id: axum::Extension<RequestId>) -> Response {
    ApiError::not_found(uri.path()).into_response(&request_id.0.0)
}

async fn method_not_allowed(method: Method, uri: Uri, request_id: axum::Extension<RequestId>) -> Response {
    ApiError::method_not_allowed(&method, uri.path()).into_response(&request_id.0.0)
}
