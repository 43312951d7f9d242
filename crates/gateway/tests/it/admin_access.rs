//! Who uses the admin API besides the person at the console, and what is written down of it.

use serde_json::{Value, json};

use crate::harness::{KEY, PASSWORD, Rig};

fn code(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["error"]["code"].as_str().unwrap_or_default())
}

fn actions(trail: &Value) -> Vec<&str> {
    trail["items"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_token_may_do_what_its_scopes_say() {
    let rig = Rig::new(&["anna"]).await;
    let (_, read) = rig.add_token(&["read"]).await;
    let (_, keys) = rig.add_token(&["keys"]).await;
    let (_, accounts) = rig.add_token(&["accounts", "settings"]).await;
    let (_, all) = rig.add_token(&["all"]).await;
    for token in [&read, &keys, &accounts, &all] {
        assert_eq!(rig.admin_as(token, "GET", "/accounts", None).await.0, 200);
        assert_eq!(rig.admin_as(token, "GET", "/audit", None).await.0, 200);
        let me = rig.admin_as(token, "GET", "/session", None).await.1;
        assert_eq!((&me["username"], &me["role"]), (&json!("script"), &json!("token")));
    }
    let calls = [
        ("POST", "/keys", json!({ "name": "made" })),
        ("POST", "/accounts", json!({ "token": "bert" })),
        ("POST", "/settings/validate", json!({})),
        ("POST", "/tokens", json!({ "name": "child" })),
    ];
    let may = async |token: &str| {
        let mut may = String::new();
        for (method, path, body) in &calls {
            let answer = rig.admin_as(token, method, path, Some(body.clone())).await;
            match code(&answer) {
                (403, "forbidden") => may.push('-'),
                (200..300, "") | (409, "already_exists") => may.push('+'),
                other => panic!("{method} {path}: {other:?}"),
            }
        }
        may
    };
    assert_eq!(may(&read).await, "----");
    assert_eq!(may(&keys).await, "+---");
    assert_eq!(may(&accounts).await, "-++-");
    assert_eq!(may(&all).await, "++++");
    // What is about the person at the console is not for scripts.
    for (method, path) in [("DELETE", "/session"), ("DELETE", "/sessions"), ("PUT", "/me/password")] {
        let body = json!({ "current": PASSWORD, "new": "another long one" });
        assert_eq!(code(&rig.admin_as(&all, method, path, Some(body)).await), (403, "forbidden"), "{path}");
    }
}

#[tokio::test]
async fn a_token_is_shown_once_ends_with_its_time_and_can_be_deleted() {
    let mut rig = Rig::new(&[]).await;
    let body = json!({ "name": " nightly ", "scopes": ["keys", "read"], "expires_at": "2026-09-01T01:00:00Z" });
    let (status, made) = rig.admin("POST", "/tokens", Some(body)).await;
    assert_eq!(status, 201);
    let (id, secret) = (made["id"].as_str().unwrap().to_owned(), made["token"].as_str().unwrap().to_owned());
    assert!(secret.starts_with("adm_") && made["preview"] == format!("adm_…{}", &secret[secret.len() - 4..]));
    let read = async |rig: &Rig| rig.admin_as(&secret, "GET", "/keys", None).await;
    assert_eq!(read(&rig).await.0, 200);
    rig.restart().await;
    assert_eq!(read(&rig).await.0, 200);
    let (_, shown) = rig.admin("GET", &format!("/tokens/{id}"), None).await;
    assert_eq!(
        (&shown["name"], &shown["scopes"], &shown["created_by"], &shown["last_used_at"]),
        (&json!("nightly"), &json!(["keys", "read"]), &json!("admin"), &json!("2026-09-01T00:00:00.000Z"))
    );
    let (_, list) = rig.admin("GET", "/tokens", None).await;
    assert!(list["total"] == 1 && !list.to_string().contains(&secret));

    rig.advance(3_600);
    assert_eq!(code(&read(&rig).await), (401, "token_expired"));
    let (_, second) = rig.add_token(&["read"]).await;
    let tokens = rig.admin("GET", "/tokens", None).await.1;
    let second_id = tokens["items"][1]["id"].as_str().unwrap();
    assert_eq!(rig.admin("DELETE", &format!("/tokens/{second_id}"), None).await.0, 204);
    assert_eq!(code(&rig.admin_as(&second, "GET", "/keys", None).await), (401, "unauthenticated"));
    assert_eq!(rig.admin("DELETE", &format!("/tokens/{second_id}"), None).await.0, 404);
    for body in [
        json!({ "name": "x", "scopes": [] }),
        json!({ "name": "x", "scopes": ["everything"] }),
        json!({ "name": "", "scopes": ["read"] }),
        json!({ "name": "x", "expires_at": "2020-01-01T00:00:00Z" }),
        json!({ "name": "x", "expires_at": "soon" }),
    ] {
        assert_eq!(code(&rig.admin("POST", "/tokens", Some(body)).await), (422, "validation_failed"));
    }
}

#[tokio::test]
async fn a_token_is_slowed_down_and_told() {
    let rig = Rig::new(&[]).await;
    let (_, secret) = rig.add_token(&["settings"]).await;
    let validate = async || {
        let request = rig.http().post(rig.url("/admin/api/v1/settings/validate")).bearer_auth(&secret);
        request.json(&json!({})).send().await.unwrap()
    };
    for round in 1..=60 {
        let answer = validate().await;
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!((answer.status().as_u16(), header("ratelimit-limit")), (204, "60".to_owned()));
        assert_eq!(header("ratelimit-remaining"), (60 - round).to_string());
    }
    let refused = validate().await;
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (429, "60"));
    assert_eq!(rig.admin_as(&secret, "GET", "/keys", None).await.0, 200, "reads are counted apart");
    rig.advance(60);
    assert_eq!(validate().await.status(), 204);
}

#[tokio::test]
async fn metrics_open_for_a_token_and_v1_does_not() {
    let rig = Rig::new(&["anna"]).await;
    let (_, secret) = rig.add_token(&["read"]).await;
    let get = async |path: &str, bearer: &str| {
        rig.http().get(rig.url(path)).bearer_auth(bearer).send().await.unwrap().status().as_u16()
    };
    assert_eq!((get("/metrics", &secret).await, get("/metrics", KEY).await), (200, 401));
    assert_eq!((get("/v1/models", &secret).await, get("/v1/models", KEY).await), (401, 200));
}

#[tokio::test]
async fn sessions_are_listed_and_ended() {
    let rig = Rig::new(&[]).await;
    let other = rig.sign_in().await;
    let request = rig.http().get(rig.url("/admin/api/v1/session")).header("cookie", &other);
    assert_eq!(request.send().await.unwrap().status(), 200);
    let (_, list) = rig.admin("GET", "/sessions", None).await;
    assert_eq!(list["total"], 2);
    let items = list["items"].as_array().unwrap();
    let id = |current: bool| items.iter().find(|item| item["current"] == current).unwrap()["id"].as_str().unwrap();
    assert_eq!(items[0]["address"], "127.0.0.1");
    let secret = other.split_once('=').unwrap().1;
    assert!(!list.to_string().contains(secret));

    assert_eq!(rig.admin("DELETE", &format!("/sessions/{}", id(false)), None).await.0, 204);
    let request = rig.http().get(rig.url("/admin/api/v1/session")).header("cookie", &other);
    assert_eq!(request.send().await.unwrap().status(), 401);
    assert_eq!(rig.admin("DELETE", &format!("/sessions/{}", id(false)), None).await.0, 404);

    rig.sign_in().await;
    rig.sign_in().await;
    assert_eq!(rig.admin("DELETE", "/sessions", None).await.0, 204);
    let (_, left) = rig.admin("GET", "/sessions", None).await;
    assert_eq!((&left["total"], &left["items"][0]["id"]), (&json!(1), &json!(id(true))));
}

#[tokio::test]
async fn the_audit_trail_says_who_changed_what_without_secrets() {
    let rig = Rig::new(&["anna"]).await;
    let (token_id, token) = rig.add_token(&["all"]).await;
    let (_, made) = rig.admin("POST", "/keys", Some(json!({ "name": "phone" }))).await;
    let (id, secret) = (made["keys"][0]["id"].as_str().unwrap(), made["keys"][0]["key"].as_str().unwrap());
    let patch = json!({ "requests_per_minute": 5, "enabled": false });
    rig.admin_as(&token, "PATCH", &format!("/keys/{id}"), Some(patch)).await;
    rig.admin_as(&token, "PATCH", &format!("/keys/{id}"), Some(json!({ "requests_per_minute": 5, "nmae": 1 }))).await;
    rig.admin("POST", &format!("/keys/{id}/actions/rotate"), Some(json!({}))).await;
    rig.admin("DELETE", &format!("/keys/{id}"), None).await;

    let (_, trail) = rig.admin("GET", &format!("/audit?subject={id}"), None).await;
    assert_eq!(actions(&trail), ["key.delete", "key.rotate", "key.update", "key.create"], "newest first, no refusals");
    let update = &trail["items"][2];
    assert_eq!(
        (&update["actor_kind"], &update["actor"], &update["before"]["enabled"], &update["after"]["enabled"]),
        (&json!("token"), &json!("script"), &json!(true), &json!(false))
    );
    assert_eq!(update["after"]["requests_per_minute"], 5);
    assert!(update["after"].get("name").is_none(), "only what changed: {update}");
    assert_eq!((&update["address"], &update["at"]), (&json!("127.0.0.1"), &json!("2026-09-01T00:00:00.000Z")));
    assert!(update["request_id"].as_str().unwrap().starts_with("req-"));

    let (_, all) = rig.admin("GET", "/audit?limit=500", None).await;
    for action in ["session.create", "account.create", "token.create"] {
        assert!(actions(&all).contains(&action), "{action}");
    }
    assert!(![secret, &token, "anna-token", PASSWORD].iter().any(|secret| all.to_string().contains(secret)));
    let (_, of_token) = rig.admin("GET", "/audit?actor=script&action=key", None).await;
    assert_eq!(actions(&of_token), ["key.update"]);
    assert_eq!(actions(&rig.admin("GET", "/audit?action=tok", None).await.1), Vec::<&str>::new(), "no part of a word");
    assert_eq!(
        rig.admin("GET", &format!("/audit?subject={token_id}"), None).await.1["items"][0]["action"],
        "token.create"
    );
}

#[tokio::test]
async fn the_audit_trail_is_walked_both_ways_while_it_grows() {
    let rig = Rig::new(&[]).await;
    for number in 0..7 {
        rig.add_key(&format!("key-{number}")).await;
    }
    let page = async |query: &str| rig.admin("GET", &format!("/audit?action=key.create&limit=3{query}"), None).await.1;
    let names = |page: &Value| {
        let items = page["items"].as_array().unwrap();
        items.iter().map(|entry| entry["after"]["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let first = page("").await;
    assert_eq!(names(&first), ["key-6", "key-5", "key-4"]);
    rig.add_key("key-7").await;
    let second = page(&format!("&before={}", first["next"].as_str().unwrap())).await;
    assert_eq!(names(&second), ["key-3", "key-2", "key-1"]);
    let third = page(&format!("&before={}", second["next"].as_str().unwrap())).await;
    assert_eq!((names(&third), &third["next"]), (vec!["key-0".to_owned()], &Value::Null));
    let back = page(&format!("&after={}", second["prev"].as_str().unwrap())).await;
    assert_eq!(names(&back), ["key-6", "key-5", "key-4"]);
    let newest = page(&format!("&after={}", back["prev"].as_str().unwrap())).await;
    assert_eq!(names(&newest), ["key-7"]);
    assert_eq!(rig.admin("GET", "/audit?before=a&after=b", None).await.0, 422);
}
