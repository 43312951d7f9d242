//! The admin API as scripts and browsers meet it, over the router alone.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::*;
use crate::http::client_address::ClientAddress;
use crate::http::request_id::RequestId;
use crate::secrets::Cipher;
use crate::store::{Store, Writer};

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
        let store = Store::open(path, None).await.unwrap();
        let writer = Writer::start(store.clone(), &TaskTracker::new(), CancellationToken::new());
        let cipher = Cipher::load_or_create(path, None).unwrap();
        let claim_file = path.join("claim.hash");
        let state = AdminState {
            keys: ApiKeys::load(store.clone(), clock.clone()).await.unwrap(),
            admins: Admins::load(store.clone(), settings.clone(), clock.clone(), claim_file).await.unwrap(),
            accounts: AccountPool::load(store, writer, cipher, clock.clone()).await.unwrap(),
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
        request.extensions_mut().insert(ClientAddress(IpAddr::from([203, 0, 113, 1])));
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

#[tokio::test]
async fn nothing_is_open_without_a_session() {
    let fixture = Fixture::unclaimed().await;
    let routes = [
        (Method::GET, "/session"),
        (Method::DELETE, "/session"),
        (Method::PUT, "/me/password"),
        (Method::GET, "/accounts"),
        (Method::POST, "/accounts"),
        (Method::GET, "/accounts/summary"),
        (Method::GET, "/accounts/acc_1"),
        (Method::PATCH, "/accounts/acc_1"),
        (Method::DELETE, "/accounts/acc_1"),
        (Method::POST, "/accounts/acc_1/actions/clear_cooldown"),
        (Method::GET, "/keys"),
        (Method::POST, "/keys"),
        (Method::GET, "/keys/key_1"),
        (Method::PATCH, "/keys/key_1"),
        (Method::DELETE, "/keys/key_1"),
        (Method::GET, "/settings"),
        (Method::PATCH, "/settings"),
        (Method::POST, "/settings/reset"),
    ];
    for (method, path) in routes {
        let answer = fixture.send(fixture.request(method.clone(), path), Some(&json!({}))).await;
        assert_eq!(answer.error(), (401, "unauthenticated"), "{method} {path}");
    }
    // An API key opens /v1, never this.
    let key = fixture.state.keys.create("a", 1).await.unwrap().pop().unwrap().secret;
    let answer = fixture.send(fixture.request(Method::GET, "/keys").header("authorization", format!("Bearer {key}")), None).await;
    assert_eq!(answer.error(), (401, "unauthenticated"));
}

#[tokio::test]
async fn signing_in_sets_a_cookie_that_scripts_of_a_page_cannot_read() {
    let mut fixture = Fixture::unclaimed().await;
    fixture.state.admins.seed_admin("admin", PASSWORD).await.unwrap();

    let answer = fixture.sign_in(PASSWORD).await;
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    let cookie = answer.header(header::SET_COOKIE);
    let (secret, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(attributes, "HttpOnly; SameSite=Strict; Path=/admin");
    assert_eq!(secret.len(), SESSION_COOKIE.len() + "=".len() + 43);

    fixture.cookie = Some(cookie_of(&answer));
    let session = fixture.get("/session").await;
    assert_eq!(session.status, 200);
    assert_eq!(session.body["username"], "admin");
    assert_eq!(session.body["expires_at"], "2026-03-02T00:00:00.000Z");
    assert_eq!(session.body["idle_expires_at"], "2026-03-01T12:30:00.000Z");

    let answer = fixture.delete("/session").await;
    assert_eq!(answer.status, 204);
    assert!(answer.header(header::SET_COOKIE).contains("Max-Age=0"));
    assert_eq!(fixture.get("/session").await.error(), (401, "unauthenticated"), "the server has forgotten it, too");
}

#[tokio::test]
async fn a_remembered_device_keeps_its_cookie_and_a_tls_proxy_makes_it_secure() {
    let fixture = Fixture::signed_in().await;
    let body = json!({ "username": "admin", "password": PASSWORD, "remember": true });
    let by_tls = || fixture.request(Method::POST, "/session").header("x-forwarded-proto", "https");

    let answer = fixture.send(by_tls(), Some(&body)).await;
    let cookie = answer.header(header::SET_COOKIE);
    assert!(cookie.contains("; Max-Age=2592000") && !cookie.contains("Secure"), "no proxy is trusted: {cookie}");

    fixture.state.settings.patch(&json!({ "trusted_proxies": ["10.0.0.0/8"] }), None).unwrap();
    let answer = fixture.send(by_tls(), Some(&body)).await;
    assert!(answer.header(header::SET_COOKIE).ends_with("; Secure"), "{answer:?}");
}

#[tokio::test]
async fn signing_in_anew_ends_the_session_before() {
    let fixture = Fixture::signed_in().await;
    assert_eq!(fixture.sign_in(PASSWORD).await.status, 204);
    assert_eq!(fixture.get("/session").await.status, 401);
}

#[tokio::test]
async fn all_failures_to_sign_in_look_the_same_and_many_are_slowed_down() {
    let fixture = Fixture::unclaimed().await;
    fixture.state.admins.seed_admin("admin", PASSWORD).await.unwrap();
    let wrong_password = fixture.sign_in("wrong").await;
    let wrong_name = fixture.post("/session", json!({ "username": "nobody", "password": PASSWORD })).await;
    assert_eq!(wrong_password.error(), (401, "unauthenticated"));
    assert_eq!(wrong_password.text, wrong_name.text);

    for _ in 0..3 {
        fixture.sign_in("wrong").await;
    }
    let throttled = fixture.sign_in(PASSWORD).await;
    assert_eq!(throttled.error(), (429, "rate_limited"));
    assert_eq!(throttled.header(header::RETRY_AFTER), "60");
    assert_eq!(throttled.body["error"]["retry_after_s"], 60);
    assert_eq!(throttled.body["error"]["retryable"], true);
}

#[tokio::test]
async fn a_session_that_ended_says_so() {
    let fixture = Fixture::signed_in().await;
    fixture.state.clock.advance(std::time::Duration::from_secs(31 * 60));
    assert_eq!(fixture.get("/keys").await.error(), (401, "session_expired"));
    assert_eq!(fixture.get("/keys").await.error(), (401, "unauthenticated"));
}

#[tokio::test]
async fn a_foreign_page_cannot_use_the_session() {
    let fixture = Fixture::signed_in().await;
    let cookie = fixture.cookie.clone().unwrap();
    let body = json!({ "name": "a" }).to_string();
    let forged = |headers: &[(&'static str, &'static str)]| {
        let mut request = Request::builder().method(Method::POST).uri("/admin/api/v1/keys").header("cookie", &cookie);
        request = request.header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::from(body.clone())).unwrap()
    };
    let console = ("x-requested-with", "console");
    let host = ("host", "gateway:8000");
    let refused: [&[(&str, &str)]; 5] = [
        &[host],
        &[host, ("x-requested-with", "other")],
        &[host, console, ("origin", "https://evil.example")],
        &[host, console, ("origin", "http://gateway:9000")],
        &[host, console, ("origin", "null")],
    ];
    for headers in refused {
        assert_eq!(fixture.deliver(forged(headers)).await.error(), (403, "csrf"), "{headers:?}");
    }
    assert_eq!(fixture.state.keys.list(), []);
    for headers in [&[host, console][..], &[host, console, ("origin", "http://gateway:8000")]] {
        assert_eq!(fixture.deliver(forged(headers)).await.status, 201, "{headers:?}");
    }

    let behind_proxy = [host, console, ("origin", "https://grok.example")];
    assert_eq!(fixture.deliver(forged(&behind_proxy)).await.error(), (403, "csrf"));
    fixture.state.settings.patch(&json!({ "base_url": "https://grok.example/" }), None).unwrap();
    assert_eq!(fixture.deliver(forged(&behind_proxy)).await.status, 201);
}

#[tokio::test]
async fn a_foreign_page_cannot_sign_its_visitor_in() {
    let fixture = Fixture::unclaimed().await;
    for path in ["/session", "/claim"] {
        let request = fixture.request(Method::POST, path).header("origin", "https://evil.example");
        let answer = fixture.send(request, Some(&json!({ "username": "a", "password": "b", "code": "c" }))).await;
        assert_eq!(answer.error(), (403, "csrf"), "{path}");
    }
}

#[tokio::test]
async fn a_fresh_gateway_is_claimed_with_the_printed_code() {
    let mut fixture = Fixture::unclaimed().await;
    let crate::admins::ClaimCode::New(code) = fixture.state.admins.prepare_claim().unwrap() else { panic!() };
    let session = fixture.get("/session").await;
    assert_eq!((session.status, &session.body["error"]["context"]), (401, &json!({ "claim_needed": true })));
    let claim = |code: &str, password: &str| json!({ "code": code, "username": "me", "password": password });

    assert_eq!(fixture.post("/claim", claim("WRONG", PASSWORD)).await.error(), (403, "forbidden"));
    let short = fixture.post("/claim", claim(&code, "short")).await;
    assert_eq!((short.error(), short.paths()), ((422, "validation_failed"), vec!["/password"]));

    let claimed = fixture.post("/claim", claim(&code, PASSWORD)).await;
    assert_eq!(claimed.status, 204);
    assert_eq!(fixture.post("/claim", claim(&code, PASSWORD)).await.error(), (410, "claim_closed"));
    let session = fixture.get("/session").await;
    assert_eq!(session.body["error"]["context"], json!({ "claim_needed": false }));
    fixture.cookie = Some(cookie_of(&claimed));
    assert_eq!(fixture.get("/session").await.body["username"], "me");
}

#[tokio::test]
async fn a_password_is_changed_by_who_knows_the_present_one() {
    let fixture = Fixture::signed_in().await;
    let change = async |current: &str, new: &str| {
        let body = json!({ "current": current, "new": new });
        fixture.send(fixture.request(Method::PUT, "/me/password"), Some(&body)).await
    };
    let wrong = change("wrong", "another password").await;
    assert_eq!((wrong.error(), wrong.paths()), ((422, "validation_failed"), vec!["/current"]));
    let short = change(PASSWORD, "short").await;
    assert_eq!((short.error(), short.paths()), ((422, "validation_failed"), vec!["/new"]));

    assert_eq!(change(PASSWORD, "another password").await.status, 204);
    assert_eq!(fixture.get("/session").await.status, 200, "this session goes on");
    assert_eq!(fixture.sign_in(PASSWORD).await.status, 401);
    assert_eq!(fixture.sign_in("another password").await.status, 204);
}

#[tokio::test]
async fn a_key_tells_its_secret_once() {
    let fixture = Fixture::signed_in().await;
    let made = fixture.post("/keys", json!({ "name": "user", "count": 2 })).await;
    assert_eq!(made.status, 201);
    let key = &made.body["keys"][0];
    let (id, secret) = (key["id"].as_str().unwrap(), key["key"].as_str().unwrap());
    assert_eq!(key["name"], "user-1");
    assert!(secret.starts_with("sk-"));

    let list = fixture.get("/keys").await;
    assert_eq!(list.body["total"], 2);
    let one = fixture.get(&format!("/keys/{id}")).await;
    assert!(!list.text.contains(secret) && !one.text.contains(secret));
    assert_eq!(
        one.body,
        json!({ "id": id, "name": "user-1", "preview": key["preview"], "enabled": true, "reasoning": null,
                "created_at": "2026-03-01T12:00:00.000Z", "last_used_at": null, "version": 1 })
    );
}

#[tokio::test]
async fn a_key_is_edited_and_deleted() {
    let fixture = Fixture::signed_in().await;
    let id = fixture.state.keys.create("a", 1).await.unwrap().pop().unwrap().key.id;
    let path = format!("/keys/{id}");

    let edited = fixture.patch(&path, "1", json!({ "enabled": false, "reasoning": "hidden" })).await;
    assert_eq!((edited.status, edited.header(header::ETAG)), (200, "\"2\""));
    assert_eq!((&edited.body["enabled"], &edited.body["reasoning"]), (&json!(false), &json!("hidden")));

    let stale = fixture.patch(&path, "1", json!({ "name": "b" })).await;
    assert_eq!((stale.error(), &stale.body["error"]["current"]), ((412, "version_mismatch"), &json!(2)));
    let freed = fixture.patch(&path, "2", json!({ "reasoning": null })).await;
    assert_eq!(freed.body["reasoning"], Value::Null);
    let wrong = fixture.patch(&path, "3", json!({ "reasoning": "loud", "enabled": null, "nmae": "b" })).await;
    assert_eq!((wrong.error(), wrong.paths()), ((422, "validation_failed"), vec!["/enabled", "/reasoning", "/nmae"]));

    assert_eq!(fixture.delete(&path).await.status, 204);
    assert_eq!(fixture.delete(&path).await.error(), (404, "not_found"));
    assert_eq!(fixture.get(&path).await.error(), (404, "not_found"));
}

#[tokio::test]
async fn an_account_is_added_once_and_its_token_never_comes_out() {
    let fixture = Fixture::signed_in().await;
    let made = fixture.post("/accounts", json!({ "token": TOKEN, "label": "first", "tags": [" a", "b", "a", ""] })).await;
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.body["id"].as_str().unwrap();
    assert_eq!(made.header(header::LOCATION), format!("/admin/api/v1/accounts/{id}"));
    assert_eq!((&made.body["tags"], &made.body["enabled"]), (&json!(["a", "b"]), &json!(true)));

    let again = fixture.post("/accounts", json!({ "token": format!("sso={TOKEN}") })).await;
    assert_eq!((again.error(), again.body["error"]["existing"].as_str()), ((409, "already_exists"), Some(id)));

    let list = fixture.get("/accounts?state=available&tag=a,z&q=fir&sort=-label&offset=0&limit=10").await;
    assert_eq!((list.status, &list.body["total"]), (200, &json!(1)), "{list:?}");
    let summary = fixture.get("/accounts/summary").await;
    assert_eq!(summary.body["total"], 1);
    for answer in [&made, &again, &list, &fixture.get(&format!("/accounts/{id}")).await] {
        assert!(!answer.text.contains("secret-account-token"));
    }
}

#[tokio::test]
async fn a_bad_token_is_refused_without_being_repeated() {
    let fixture = Fixture::signed_in().await;
    for token in ["", "two words", "a=b; c=d"] {
        let answer = fixture.post("/accounts", json!({ "token": token })).await;
        assert_eq!((answer.error(), answer.paths()), ((422, "validation_failed"), vec!["/token"]), "{token}");
        assert!(token.is_empty() || !answer.text.contains(token));
    }
    let answer = fixture.post("/accounts", json!({ "label": 7, "tags": ["a,b"], "tokne": TOKEN })).await;
    assert_eq!(answer.paths(), ["/token", "/label", "/tags", "/tokne"]);
    assert!(!answer.text.contains(TOKEN));
}

#[tokio::test]
async fn an_account_is_edited_rested_and_deleted() {
    let fixture = Fixture::signed_in().await;
    let id = fixture.post("/accounts", json!({ "token": TOKEN })).await.body["id"].as_str().unwrap().to_owned();
    let path = format!("/accounts/{id}");

    let edited = fixture.patch(&path, "1", json!({ "enabled": false, "label": "spare", "tags": [], "tier": "super" })).await;
    assert_eq!((edited.status, &edited.body["label"], &edited.body["state"]["name"]), (200, &json!("spare"), &json!("disabled")));
    assert_eq!(edited.header(header::ETAG), format!("\"{}\"", edited.body["version"]));
    assert_eq!(fixture.patch(&path, "1", json!({})).await.error(), (412, "version_mismatch"));
    let cleared = fixture.send(fixture.request(Method::POST, &format!("{path}/actions/clear_cooldown")), None).await;
    assert_eq!(cleared.status, 200);

    assert_eq!(fixture.delete(&path).await.status, 204);
    assert_eq!(fixture.get(&path).await.error(), (404, "not_found"));
}

#[tokio::test]
async fn a_slip_in_a_list_query_is_told() {
    let fixture = Fixture::signed_in().await;
    for (query, path) in [
        ("state=coling", "state"),
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("offset=-1", "offset"),
        ("sort=colour", "sort"),
        ("satte=cooling", "satte"),
    ] {
        let answer = fixture.get(&format!("/accounts?{query}")).await;
        assert_eq!((answer.error(), answer.paths()), ((422, "validation_failed"), vec![path]), "{query}");
    }
}

#[tokio::test]
async fn settings_are_read_changed_and_reset() {
    let fixture = Fixture::signed_in().await;
    let before = fixture.get("/settings").await;
    let version = before.body["version"].as_str().unwrap().to_owned();
    assert_eq!(before.header(header::ETAG), format!("\"{version}\""));
    assert_eq!((&before.body["values"]["request_timeout"], &before.body["defaults"]["request_timeout"]), (&json!(120), &json!(120)));

    let unconditional = fixture.send(fixture.request(Method::PATCH, "/settings"), Some(&json!({ "max_attempts": 1 }))).await;
    assert_eq!(unconditional.error(), (428, "precondition_required"));
    let changed = fixture.patch("/settings", &version, json!({ "max_attempts": 1 })).await;
    assert_eq!((changed.status, &changed.body["values"]["max_attempts"]), (200, &json!(1)));
    assert_eq!(fixture.state.settings.current().max_attempts, 1);

    let stale = fixture.patch("/settings", &version, json!({ "max_attempts": 2 })).await;
    assert_eq!((stale.error(), &stale.body["error"]["current"]), ((412, "version_mismatch"), &changed.body["version"]));
    let version = changed.body["version"].as_str().unwrap();
    let wrong = fixture.patch("/settings", version, json!({ "max_attempts": 9, "max_atempts": 1 })).await;
    assert_eq!((wrong.error(), wrong.paths()), ((422, "validation_failed"), vec!["/max_atempts"]));
    let wrong = fixture.patch("/settings", version, json!({ "max_attempts": 9 })).await;
    assert_eq!(wrong.body["error"]["fields"][0], json!({ "path": "/max_attempts", "code": "max", "params": { "max": 3 }, "message": "must be ≤ 3" }));

    assert_eq!(fixture.post("/settings/reset", json!({})).await.paths(), ["/keys"]);
    let reset = fixture.post("/settings/reset", json!({ "keys": ["max_attempts"] })).await;
    assert_eq!((reset.status, &reset.body["values"]["max_attempts"]), (200, &json!(3)));
}

#[tokio::test]
async fn settings_never_show_a_secret() {
    let fixture = Fixture::signed_in().await;
    let version = fixture.state.settings.version();
    let secrets = json!({ "proxy_url": "http://me:hunter2@proxy:3128", "clearance_cookies": "cf_clearance=hunter3" });
    let changed = fixture.patch("/settings", &version, secrets).await;
    let shown = fixture.get("/settings").await;
    for answer in [&changed, &shown] {
        assert!(!answer.text.contains("hunter"), "{}", answer.text);
        assert_eq!(answer.body["values"]["clearance_cookies"], "***");
    }
}

#[tokio::test]
async fn a_broken_settings_file_is_told_and_not_overwritten() {
    let fixture = Fixture::signed_in().await;
    let file = fixture._directory.path().join("config.json");
    std::fs::write(&file, "{ \"max_attempts\": 7 }").unwrap();
    let answer = fixture.patch("/settings", "any", json!({ "max_attempts": 1 })).await;
    assert_eq!(answer.error(), (409, "conflict"));
    assert!(answer.body["error"]["message"].as_str().unwrap().contains("/max_attempts"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{ \"max_attempts\": 7 }");
}

#[tokio::test]
async fn unknown_routes_methods_and_ids_get_the_same_error_object() {
    let fixture = Fixture::signed_in().await;
    for path in ["/nowhere", "/accounts/acc_1/actions/explode", "/keys/acc_1", "/keys/key_a%2Fb", "/keys/%FF", "/accounts/key_1"] {
        assert_eq!(fixture.get(path).await.error(), (404, "not_found"), "{path}");
    }
    let answer = fixture.delete("/settings").await;
    assert_eq!(answer.error(), (405, "method_not_allowed"));
    assert!(answer.header(header::ALLOW).contains("PATCH"), "{answer:?}");
    let error = &answer.body["error"];
    assert_eq!(
        *error,
        json!({ "code": "method_not_allowed", "type": "invalid_request_error", "status": 405, "message": error["message"],
                "request_id": "req-test", "retryable": false, "retry_after_s": null, "fields": [], "context": {} })
    );
}

#[tokio::test]
async fn bodies_are_read_strictly() {
    let fixture = Fixture::signed_in().await;
    let send = async |content_type: Option<&str>, body: Vec<u8>| {
        let mut request = fixture.request(Method::POST, "/keys");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        fixture.deliver(request.body(Body::from(body)).unwrap()).await
    };
    let json = Some("application/json; charset=utf-8");
    assert_eq!(send(None, b"{\"name\":\"a\"}".to_vec()).await.error(), (415, "unsupported_media_type"));
    assert_eq!(send(Some("text/plain"), b"{\"name\":\"a\"}".to_vec()).await.error(), (415, "unsupported_media_type"));
    assert_eq!(send(json, b"{\"name\":".to_vec()).await.error(), (400, "invalid_request"));
    assert_eq!(send(json, b"[]".to_vec()).await.error(), (422, "validation_failed"));
    assert_eq!(send(json, b"\"\xff\"".to_vec()).await.error(), (400, "invalid_request"));
    assert_eq!(send(json, vec![b' '; 2 << 20]).await.error(), (413, "too_large"));
    let wrong = send(json, b"{\"count\":-1,\"a/b\":1}".to_vec()).await;
    assert_eq!((wrong.error(), wrong.paths()), ((422, "validation_failed"), vec!["/name", "/count", "/a~1b"]));
    assert_eq!(send(json, b"{\"name\":\"a\"}".to_vec()).await.status, 201);
}

#[tokio::test]
async fn answers_are_kept_out_of_caches() {
    let fixture = Fixture::signed_in().await;
    for answer in [fixture.get("/settings").await, fixture.get("/nowhere").await] {
        assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
        assert_eq!(answer.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
    }
}

#[tokio::test]
async fn the_page_without_console_loads_and_runs_nothing() {
    let response = page().await;
    assert_eq!(response.status(), StatusCode::OK);
    let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"));
    let text = String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
    assert!(text.contains("The web console is not part of this build") && text.contains("此构建不含网页控制台"));
    assert!(!text.contains("<script") && !text.contains(" style="));
}
