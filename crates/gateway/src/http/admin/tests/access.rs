//! Who gets in, and who does not.

use super::*;

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
        (Method::POST, "/accounts/acc_1/actions/check_quota"),
        (Method::POST, "/accounts/acc_1/actions/clear_cooldown"),
        (Method::GET, "/keys"),
        (Method::POST, "/keys"),
        (Method::GET, "/keys/key_1"),
        (Method::PATCH, "/keys/key_1"),
        (Method::DELETE, "/keys/key_1"),
        (Method::GET, "/settings"),
        (Method::GET, "/settings/schema"),
        (Method::PATCH, "/settings"),
        (Method::POST, "/settings/reset"),
        (Method::POST, "/settings/validate"),
        (Method::GET, "/settings/history"),
        (Method::POST, "/settings/history/set_1/actions/revert"),
        (Method::POST, "/settings/test/proxy"),
        (Method::POST, "/settings/test/public_url"),
        (Method::POST, "/keys/key_1/actions/rotate"),
        (Method::GET, "/sessions"),
        (Method::DELETE, "/sessions"),
        (Method::DELETE, "/sessions/ses_1"),
        (Method::GET, "/tokens"),
        (Method::POST, "/tokens"),
        (Method::GET, "/tokens/tok_1"),
        (Method::DELETE, "/tokens/tok_1"),
        (Method::GET, "/audit"),
        (Method::GET, "/events"),
        (Method::PUT, "/events/es_1/topics"),
        (Method::GET, "/system"),
        (Method::GET, "/system/health"),
        (Method::GET, "/attention"),
        (Method::GET, "/search"),
    ];
    for (method, path) in routes {
        let answer = fixture.send(fixture.request(method.clone(), path), Some(&json!({}))).await;
        assert_eq!(answer.error(), (401, "unauthenticated"), "{method} {path}");
    }
    // An API key opens /v1, never this.
    let key = fixture.state.keys.create("a", 1, &KeyTerms::default()).await.unwrap().pop().unwrap().secret;
    let answer = fixture
        .send(fixture.request(Method::GET, "/keys").header("authorization", format!("Bearer {key}")), None)
        .await;
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
    assert_eq!(session.body["server_time"], "2026-03-01T12:00:00.000Z");
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
    assert_eq!(fixture.state.keys.len(), 0);
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
