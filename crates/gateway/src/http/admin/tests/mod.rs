//! The admin API as scripts and browsers meet it, over the router alone.

mod access;
mod forms;
mod resources;
mod settings;

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, Method, Request, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::caller::SESSION_COOKIE;
use super::*;
use crate::audit::DriftLog;
use crate::chat::ChatRooms;
use crate::http::client_address::{ClientAddress, Way};
use crate::http::request_id::RequestId;
use crate::images::{ImageFiles, ImageRooms, Images};
use crate::jobs::{JobRooms, Jobs};
use crate::keys::KeyTerms;
use crate::secrets::Cipher;
use crate::store::{Store, Writer};
use crate::upstream::UpstreamOptions;

const PASSWORD: &str = "correct horse battery";
const TOKEN: &str = "eyJhbGciOi.secret-account-token.signature";

struct Fixture {
    _directory: tempfile::TempDir,
    state: AdminState,
    router: axum::Router,
    cookie: Option<String>,
}

/// What came back.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
    text: String,
}

impl Answer {
    fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    fn error(&self) -> (u16, &str) {
        (self.status, self.body["error"]["code"].as_str().unwrap_or_else(|| panic!("{self:?}")))
    }

    fn paths(&self) -> Vec<&str> {
        self.body["error"]["fields"].as_array().unwrap().iter().map(|field| field["path"].as_str().unwrap()).collect()
    }
}

impl Fixture {
    async fn unclaimed() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let clock = Clock::manual(1_772_366_400_000);
        let settings = SettingsHandle::open(&path.join("config.json"), clock.clone()).unwrap();
        let store = Store::open_beside(path).await.unwrap();
        let writer = Writer::start(store.clone(), &TaskTracker::new(), CancellationToken::new());
        let cipher = Cipher::load_or_create(path, None).unwrap();
        let claim_file = path.join("claim.hash");
        let events = Events::new(&clock);
        let options = UpstreamOptions {
            base_url: "http://127.0.0.1:9".to_owned(),
            assets_url: "http://127.0.0.1:9".to_owned(),
            additional_ca: None,
        };
        let upstream = Upstream::new(options, TaskTracker::new()).unwrap();
        let images = Images::load(ImageRooms {
            settings: settings.clone(),
            store: store.clone(),
            upstream: upstream.clone(),
            files: ImageFiles::new(path.join("images")),
            credentials: std::sync::Arc::new(|_| None),
            events: events.clone(),
            clock: clock.clone(),
            tasks: TaskTracker::new(),
        });
        let images = images.await.unwrap();
        let accounts = AccountPool::load(store.clone(), writer.clone(), cipher.clone(), clock.clone()).await.unwrap();
        let exit = ExitBreaker::new(settings.clone(), clock.clone());
        let conversations = Conversations::new(store.clone(), writer.clone(), clock.clone());
        let chat = ChatService::new(ChatRooms {
            settings: settings.clone(),
            accounts: accounts.clone(),
            conversations: conversations.clone(),
            upstream: upstream.clone(),
            exit: exit.clone(),
            drift: DriftLog::new(writer.clone(), Metrics::new(), clock.clone()),
            assets_url: "http://127.0.0.1:9".to_owned(),
            images: images.clone(),
            tasks: TaskTracker::new(),
        });
        let rooms = JobRooms {
            store: store.clone(),
            accounts: accounts.clone(),
            chat: chat.clone(),
            recorder: Recorder::new(writer.clone(), Metrics::new(), clock.clone()),
            conversations: conversations.clone(),
            images: images.clone(),
            settings: settings.clone(),
            events: events.clone(),
            cipher: cipher.clone(),
            clock: clock.clone(),
        };
        let state = AdminState {
            trail: Trail::new(store.clone(), events.clone(), clock.clone()),
            events,
            history: SettingsHistory::load(settings.clone(), store.clone(), cipher.clone(), clock.clone())
                .await
                .unwrap(),
            store: store.clone(),
            writer: writer.clone(),
            exit,
            upstream,
            conversations,
            chat,
            recorder: Recorder::new(writer.clone(), Metrics::new(), clock.clone()),
            images,
            started_at: clock.now_ms(),
            keys: ApiKeys::load(store.clone(), writer.clone(), clock.clone()).await.unwrap(),
            admins: Admins::load(store.clone(), settings.clone(), cipher.clone(), clock.clone(), claim_file)
                .await
                .unwrap(),
            accounts,
            jobs: Jobs::load(rooms, TaskTracker::new(), CancellationToken::new()).await.unwrap(),
            records: Records::new(store, clock.clone()),
            metrics: Metrics::new(),
            settings,
            clock,
        };
        // Mounted as the service mounts it.
        let router = axum::Router::new().nest("/admin/api/v1", router(state.clone()));
        Self { _directory: directory, state, router, cookie: None }
    }

    /// An admin who is signed in.
    async fn signed_in() -> Self {
        let mut fixture = Self::unclaimed().await;
        fixture.state.admins.seed_admin("admin", PASSWORD).await.unwrap();
        let answer = fixture.sign_in(PASSWORD).await;
        fixture.cookie = Some(cookie_of(&answer));
        fixture
    }

    async fn sign_in(&self, password: &str) -> Answer {
        self.post("/session", json!({ "username": "admin", "password": password })).await
    }

    /// A request as the console makes it, to be altered.
    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let mut request = Request::builder().method(method).uri(format!("/admin/api/v1{path}"));
        request = request.header("host", "gateway:8000").header("x-requested-with", "console");
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", format!("other=1; {cookie}"));
        }
        request
    }

    async fn send(&self, request: http::request::Builder, body: Option<&Value>) -> Answer {
        let request = match body {
            Some(body) => request.header("content-type", "application/json").body(Body::from(body.to_string())),
            None => request.body(Body::empty()),
        };
        self.deliver(request.unwrap()).await
    }

    async fn deliver(&self, mut request: Request<Body>) -> Answer {
        request.extensions_mut().insert(RequestId(Arc::from("req-test")));
        request.extensions_mut().insert(ClientAddress(IpAddr::from([203, 0, 113, 1]), Way::Straight));
        let response: Response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() };
        Answer { status: parts.status.as_u16(), headers: parts.headers, body, text }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path), None).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, path), Some(&body)).await
    }

    async fn patch(&self, path: &str, version: &str, body: Value) -> Answer {
        let request = self.request(Method::PATCH, path).header("if-match", format!("\"{version}\""));
        self.send(request, Some(&body)).await
    }

    async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path), None).await
    }
}

/// The part of `Set-Cookie` that a browser sends back.
fn cookie_of(answer: &Answer) -> String {
    answer.header(header::SET_COOKIE).split(';').next().unwrap().to_owned()
}
