//! The admin API at the front door: what it changes takes effect on `/v1`, lasts, and gives nothing away.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{KEY, PASSWORD, Reply, Rig};

/// One question, with the key.
async fn ask(rig: &Rig, key: &str) -> Reply {
    let body = json!({ "model": "grok-4.2", "messages": [{ "role": "user", "content": "hello there" }] });
    rig.chat_as(key, body, &[]).await
}

fn code(reply: &Reply) -> (u16, &str) {
    (reply.status, reply.error()["code"].as_str().unwrap_or_default())
}

/// All files below a directory.
fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// Changes settings as the console does: with the version that it saw.
async fn change_settings(rig: &Rig, cookie: &str, patch: Value) -> u16 {
    let (_, settings) = rig.admin("GET", "/settings", None).await;
    let request = rig.http().patch(rig.url("/admin/api/v1/settings")).json(&patch).header("cookie", cookie);
    let request = request.header("x-requested-with", "console");
    let request = request.header("if-match", format!("\"{}\"", settings["version"].as_str().unwrap()));
    request.send().await.unwrap().status().as_u16()
}

async fn sign_in(rig: &Rig) -> String {
    let body = json!({ "username": "admin", "password": PASSWORD, "remember": true });
    let response = rig.http().post(rig.url("/admin/api/v1/session")).json(&body).send().await.unwrap();
    assert_eq!(response.status(), 204);
    response.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_key_works_until_it_is_switched_off_or_deleted() {
    let rig = Rig::new(&["anna"]).await;
    let (_, made) = rig.admin("POST", "/keys", Some(json!({ "name": "phone" }))).await;
    let (id, secret) = (made["keys"][0]["id"].as_str().unwrap(), made["keys"][0]["key"].as_str().unwrap());
    let path = format!("/keys/{id}");
    ask(&rig, secret).await.ok();
    let (_, key) = rig.admin("GET", &path, None).await;
    assert_eq!(key["last_used_at"], "2026-09-01T00:00:00.000Z");

    rig.admin("PATCH", &path, Some(json!({ "enabled": false }))).await;
    assert_eq!(code(&ask(&rig, secret).await), (403, "api_key_disabled"));
    rig.admin("PATCH", &path, Some(json!({ "enabled": true }))).await;
    ask(&rig, secret).await.ok();

    assert_eq!(rig.admin("DELETE", &path, None).await.0, 204);
    assert_eq!(code(&ask(&rig, secret).await), (401, "invalid_api_key"));
    ask(&rig, KEY).await.ok();
}

#[tokio::test]
async fn an_account_serves_from_the_moment_it_is_added_until_it_is_switched_off() {
    let rig = Rig::new(&[]).await;
    assert_eq!(code(&ask(&rig, KEY).await), (503, "no_account_available"));

    let id = rig.add_account("anna").await;
    ask(&rig, KEY).await.ok();
    let again = rig.admin("POST", "/accounts", Some(json!({ "token": "sso=anna" }))).await;
    assert_eq!((again.0, again.1["error"]["existing"].as_str()), (409, Some(id.as_str())));

    let path = format!("/accounts/{id}");
    rig.admin("PATCH", &path, Some(json!({ "enabled": false }))).await;
    assert_eq!(code(&ask(&rig, KEY).await), (503, "no_account_available"));
    rig.admin("PATCH", &path, Some(json!({ "enabled": true }))).await;
    ask(&rig, KEY).await.ok();
    assert_eq!(rig.admin("DELETE", &path, None).await.0, 204);
    assert_eq!(code(&ask(&rig, KEY).await), (503, "no_account_available"));
}

#[tokio::test]
async fn sessions_keys_accounts_and_settings_survive_a_restart() {
    let mut rig = Rig::new(&["anna"]).await;
    let cookie = sign_in(&rig).await;
    let key = rig.add_key("phone").await;
    assert_eq!(change_settings(&rig, &cookie, json!({ "max_attempts": 2 })).await, 200);
    let (_, accounts) = rig.admin("GET", "/accounts", None).await;

    rig.restart().await;

    ask(&rig, &key).await.ok();
    let settings = rig.http().get(rig.url("/admin/api/v1/settings")).header("cookie", &cookie).send().await.unwrap();
    assert_eq!(settings.status(), 200, "the session goes on");
    let settings: Value = settings.json().await.unwrap();
    assert_eq!(settings["values"]["max_attempts"], 2);
    let (_, after) = rig.admin("GET", "/accounts", None).await;
    let identity = |page: &Value| (page["items"][0]["id"].clone(), page["items"][0]["fingerprint"].clone());
    assert_eq!(identity(&after), identity(&accounts));
}

#[tokio::test]
async fn a_settings_change_is_in_force_for_the_next_request() {
    let rig = Rig::new(&["anna"]).await;
    let cookie = sign_in(&rig).await;
    let long = json!({ "model": "grok-4.2", "messages": [{ "role": "user", "content": "x".repeat(2 << 20) }] });
    assert_eq!(rig.chat(long.clone()).await.status, 200);

    assert_eq!(change_settings(&rig, &cookie, json!({ "max_body_mb": 1 })).await, 200);
    assert_eq!(rig.chat(long.clone()).await.status, 413);

    // An editor does the same, and a slip in it changes nothing.
    let file = rig.directory.path().join("config.json");
    std::fs::write(&file, "{ \"max_body_mb\": 3 }").unwrap();
    rig.until("the edit is in force", async |rig| rig.chat(long.clone()).await.status == 200).await;
    std::fs::write(&file, "{ \"max_body_mb\": 0 }").unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(2_500)).await;
    assert_eq!(rig.chat(long).await.status, 200);
    assert_eq!(change_settings(&rig, &cookie, json!({ "max_attempts": 1 })).await, 409, "the slip is not overwritten");
}

#[tokio::test]
async fn nothing_on_the_disk_holds_a_secret_in_clear_and_nobody_else_can_read_it() {
    let rig = Rig::new(&["anna-secret-token"]).await;
    let cookie = sign_in(&rig).await;
    let key = rig.add_key("phone").await;
    ask(&rig, &key).await.ok();
    let session = cookie.split_once('=').unwrap().1;
    let found = files(rig.directory.path());
    assert!(
        found.iter().any(|file| file.ends_with("grok2api.db")) && found.iter().any(|file| file.ends_with("secret.key"))
    );
    for file in found {
        let bytes = std::fs::read(&file).unwrap();
        for secret in [key.as_str(), KEY, PASSWORD, session] {
            let holds = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!holds, "{} holds {secret}", file.display());
        }
    }
    // The rig gives the account its token as label, so only what belongs to the token is looked at.
    let pool =
        sqlx::SqlitePool::connect(&format!("sqlite:{}", rig.directory.path().join("grok2api.db").display())).await;
    let sealed: String =
        sqlx::query_scalar("SELECT token_sealed FROM accounts").fetch_one(&pool.unwrap()).await.unwrap();
    assert!(!sealed.contains("anna"));
    #[cfg(unix)]
    for name in ["config.json", "secret.key", "secret.check"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(rig.directory.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn keys_and_sessions_are_not_mistaken_for_each_other() {
    let rig = Rig::new(&["anna"]).await;
    let cookie = sign_in(&rig).await;
    let admin = rig.http().get(rig.url("/admin/api/v1/keys"));
    assert_eq!(admin.bearer_auth(KEY).send().await.unwrap().status(), 401);
    let session = cookie.split_once('=').unwrap().1;
    assert_eq!(code(&ask(&rig, session).await), (401, "invalid_api_key"));
}

#[tokio::test]
async fn errors_of_the_admin_api_carry_the_id_of_the_request() {
    let rig = Rig::new(&[]).await;
    let request = rig.http().get(rig.url("/admin/api/v1/nowhere")).header("x-request-id", "mine-1");
    let response = request.send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["x-request-id"].to_str().unwrap()), (404, "mine-1"));
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert!(!response.headers().contains_key("access-control-allow-origin"), "no page of another site reads this");
    let body: Value = response.json().await.unwrap();
    assert_eq!((&body["error"]["code"], &body["error"]["request_id"]), (&json!("not_found"), &json!("mine-1")));
}

#[tokio::test]
async fn an_admin_is_slowed_down_per_address_and_told_when_to_come_back() {
    let rig = Rig::with_settings(&[], json!({ "trusted_proxies": ["127.0.0.0/8"] })).await;
    let try_once = async |address: &str, name: &str| {
        let body = json!({ "username": name, "password": "wrong" });
        let request = rig.http().post(rig.url("/admin/api/v1/session")).json(&body).header("x-forwarded-for", address);
        request.send().await.unwrap()
    };
    for name in ["a", "b", "c", "d", "e"] {
        assert_eq!(try_once("198.51.100.1", name).await.status(), 401);
    }
    let throttled = try_once("198.51.100.1", "f").await;
    assert_eq!((throttled.status().as_u16(), throttled.headers()["retry-after"].to_str().unwrap()), (429, "60"));
    assert_eq!(try_once("198.51.100.2", "f").await.status(), 401, "another address is not held up");
    rig.advance(60);
    assert_eq!(try_once("198.51.100.1", "f").await.status(), 401);
}

#[tokio::test]
async fn guesses_for_a_name_lock_their_own_address_and_not_its_owner() {
    let rig = Rig::with_settings(&[], json!({ "trusted_proxies": ["127.0.0.0/8"] })).await;
    let try_once = async |address: &str, password: &str, cookies: &str| {
        let body = json!({ "username": "admin", "password": password });
        let request = rig.http().post(rig.url("/admin/api/v1/session")).json(&body).header("x-forwarded-for", address);
        request.header("cookie", cookies).send().await.unwrap()
    };
    let opened = try_once("192.0.2.1", PASSWORD, "").await;
    assert_eq!(opened.status(), 204);
    let cookies: Vec<&str> =
        opened.headers().get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
    let device =
        cookies.iter().find_map(|cookie| cookie.split(';').next().filter(|pair| pair.starts_with("grok2api_device=")));
    let device = device.unwrap();
    assert!(cookies[1].contains("; HttpOnly; SameSite=Strict; Path=/admin; Max-Age=31536000"), "{cookies:?}");
    for round in 0..8 {
        let status = try_once("2001:db8:1:2::1", "wrong", "").await.status();
        assert_eq!(status, if round < 5 { 401 } else { 429 }, "{round}");
    }
    assert_eq!(try_once("2001:db8:1:2:ffff::9", PASSWORD, "").await.status(), 429, "the same household");
    for (address, cookies) in [("192.0.2.1", ""), ("203.0.113.77", ""), ("2001:db8:1:2::1", device)] {
        assert_eq!(try_once(address, PASSWORD, cookies).await.status(), 204, "{address} {cookies}");
    }
}

#[tokio::test]
async fn a_session_is_for_tls_where_the_public_address_has_it() {
    let rig = Rig::with_settings(&[], json!({ "base_url": "https://grok.example.com" })).await;
    let sign_in = async |origin: Option<&str>| {
        let body = json!({ "username": "admin", "password": PASSWORD });
        let request = rig.http().post(rig.url("/admin/api/v1/session")).json(&body).header("host", "192.168.1.5:8000");
        let request = if let Some(origin) = origin { request.header("origin", origin) } else { request };
        let response = request.send().await.unwrap();
        let secure = response
            .headers()
            .get_all("set-cookie")
            .iter()
            .map(|cookie| cookie.to_str().unwrap().ends_with("; Secure"));
        let secure: Vec<bool> = secure.collect();
        (response.status().as_u16(), secure, response.json::<Value>().await.unwrap_or_default())
    };
    for origin in [None, Some("https://grok.example.com")] {
        let (status, secure, _) = sign_in(origin).await;
        assert_eq!((status, secure), (204, vec![true, true]), "{origin:?}");
    }
    let (status, secure, _) = sign_in(Some("http://192.168.1.5:8000")).await;
    assert_eq!((status, secure), (204, vec![false, false]), "a browser at home, past the proxy, is not locked out");
    let (status, secure, body) = sign_in(Some("http://grok.example.com")).await;
    assert_eq!((status, secure), (403, vec![]));
    assert_eq!(body["error"]["code"], "https_required");
    assert!(body["error"]["message"].as_str().unwrap().contains("https://grok.example.com"), "{body}");
}

#[tokio::test]
async fn the_console_address_answers_a_page_that_runs_nothing_foreign() {
    let rig = Rig::new(&[]).await;
    for path in ["/admin", "/admin/claim"] {
        let response = rig.http().get(rig.url(path)).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    }
}
