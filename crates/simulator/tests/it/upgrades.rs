//! What an upgrade must bring, and how it is refused.

use std::time::Duration;

use grok2api_simulator::{CredentialState, Reply, SCENARIO_TEXT};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::connect_async;

use crate::{
    client::{NEW, World, body_json},
    socket_client::{SocketClient, chunks},
};

#[tokio::test]
async fn only_the_account_itself_gets_in() {
    let world = World::new().await;
    let uid = world.simulator.account("a").user_id();
    assert_eq!(uid, uid.to_lowercase());
    let (status, body) = world.refused_upgrade(world.bare_upgrade(&format!("/ws/mgw/?uid={uid}"))).await;
    assert_eq!(status, 401, "{body}");
    assert_eq!(world.violations(), ["missing_header", "missing_header", "missing_cookie"]);

    for (cookie, path, expected) in [
        ("sso=nobody", format!("/ws/mgw/?uid={uid}"), (401, "unknown_cookie")),
        ("sso=b", format!("/ws/mgw/?uid={uid}"), (403, "wrong_uid")),
        ("sso=a", "/ws/mgw/".to_owned(), (403, "wrong_uid")),
    ] {
        let mut request = world.upgrade("a");
        *request.uri_mut() = world.bare_upgrade(&path).uri().clone();
        request.headers_mut().insert("cookie", cookie.parse().unwrap());
        assert_eq!(world.refused_upgrade(request).await.0, expected.0, "{cookie} {path}");
        assert_eq!(world.violations().last(), Some(&expected.1));
    }
    let seen = world.violations().len();
    let mut request = world.upgrade("a");
    request.headers_mut().insert("cookie", format!("sso=a; x-userid={}", uid.replace('-', "")).parse().unwrap());
    connect_async(request).await.unwrap();
    assert_eq!(world.violations()[seen..], ["wrong_uid"], "reported, but let in");
}

#[tokio::test]
async fn a_plain_request_is_no_upgrade() {
    let world = World::new().await;
    let path = format!("/ws/mgw/?uid={}", world.simulator.account("a").user_id());
    assert_eq!(world.request(Method::GET, "a", &path).send().await.unwrap().status(), 400);
    assert_eq!(world.violations(), ["no_upgrade"]);
}

#[tokio::test]
async fn upgrades_are_refused_as_scripted() {
    let world = World::new().await;
    let account = world.simulator.account("a");
    for (name, status, word) in [
        ("challenge", 403, "Just a moment"),
        ("empty-403", 403, ""),
        ("blocked", 403, "blocked-user"),
        ("unauthorized", 401, "invalid-credentials"),
        ("rate-limited", 429, "Too many requests"),
        ("server-error", 500, "Internal error"),
        ("html-502", 502, "Bad Gateway"),
        ("unavailable", 503, "upstream connect error"),
        ("no-route", 404, "Not Found"),
    ] {
        account.push_upgrade(Reply::named(name).unwrap());
        let (seen, body) = world.refused_upgrade(world.upgrade("a")).await;
        assert_eq!(seen, status, "{name}");
        assert!(body.contains(word) && (word.is_empty() == body.is_empty()), "{name}: {body}");
    }
    account.set_credential(CredentialState::Blocked);
    assert_eq!(world.refused_upgrade(world.upgrade("a")).await.0, 403);
    account.set_credential(CredentialState::Unknown);
    assert_eq!(world.refused_upgrade(world.upgrade("a")).await.0, 401);
    account.set_credential(CredentialState::Valid);
    account.always_upgrade(Some(Reply::empty_403()));
    for _ in 0..2 {
        assert_eq!(world.refused_upgrade(world.upgrade("a")).await.0, 403);
    }
    account.clear_upgrades();
    world.ask("a", "hello").await;
    assert_eq!(world.violations(), [] as [&str; 0], "the script did this, not the client");
    assert_eq!(world.simulator.report().sockets_opened, 1);
}

#[tokio::test]
async fn a_refusal_in_the_queue_of_calls_meets_the_upgrade() {
    let world = World::new().await;
    let account = world.simulator.account("a");
    account.push(Reply::anti_bot());
    account.push(Reply::rate_limited(true));
    account.push(Reply::text("after them"));
    assert_eq!(world.refused_upgrade(world.upgrade("a")).await.0, 403);
    assert_eq!(world.refused_upgrade(world.upgrade("a")).await.0, 429);
    assert_eq!(world.ask("a", "hello").await.text(), "after them");
    account.always(Some(Reply::server_error()));
    assert_eq!(world.refused_upgrade(world.upgrade("a")).await.0, 500);
}

#[tokio::test]
async fn refusals_that_find_the_socket_open_are_errors_on_it() {
    let world = World::new().await;
    let mut socket = world.socket("a").await;
    socket.open(chunks()).await;
    let error = async |socket: &mut SocketClient, reply| {
        world.simulator.account("a").push(reply);
        socket.parent = None;
        let turn = socket.ask("hello").await;
        (turn.of_type("error").first().map(|event| event["error"].clone()).unwrap_or_default(), turn)
    };
    let (anti_bot, _) = error(&mut socket, Reply::anti_bot()).await;
    assert_eq!(anti_bot["code"], "anti_bot");
    let (unauthorized, _) = error(&mut socket, Reply::unauthorized()).await;
    assert_eq!(unauthorized["code"], "unauthenticated");
    let (none, limited) = error(&mut socket, Reply::rate_limited(false)).await;
    assert_eq!((none, limited.status()), (Value::Null, "incomplete"));
    assert_eq!(world.simulator.account("a").remaining("fast"), 0);
    world.simulator.account("a").set_quota("fast", 9, 9, None);
    world.simulator.account("a").push(Reply::challenge());
    socket.put("hello").await;
    assert!(socket.drain().await.1, "a page cannot be said on a socket: it is closed");
}

#[tokio::test]
async fn a_handshake_may_come_late_or_never() {
    let world = World::new().await;
    let account = world.simulator.account("a");
    account.push_upgrade(Reply::hang());
    let waiting = timeout(Duration::from_millis(200), connect_async(world.upgrade("a"))).await;
    assert!(waiting.is_err(), "no answer at all");
    account.push_upgrade(Reply::slow_first_byte(Duration::from_millis(120)));
    let begun = std::time::Instant::now();
    world.socket("a").await;
    assert!(begun.elapsed() >= Duration::from_millis(120));
}

#[tokio::test]
async fn each_form_of_the_chat_can_be_taken_away() {
    let world = World::new().await;
    let chat = json!({"message": "hi", "modeId": "fast"});
    world.simulator.set_rest_chat(false);
    let refused = world.post("a", NEW, chat.clone()).await;
    assert_eq!((refused.status().as_u16(), body_json(refused).await["code"].clone()), (404, json!(5)));
    let turn = world.ask("a", "hello").await;
    let rest = turn.rest();
    assert_eq!(world.post("a", &rest.path("responses"), chat.clone()).await.status(), 404);
    assert_eq!(world.get("a", &rest.path("response-node")).await.status(), 200, "the others go on");

    let switch = |body: Value| world.bare(Method::POST, "/__simulator/routes").body(body.to_string()).send();
    let now = body_json(switch(json!({"socket": false, "rest_chat": true})).await.unwrap()).await;
    assert_eq!(now, json!({"socket": false, "rest_chat": true}));
    assert_eq!(world.refused_upgrade(world.upgrade("a")).await.0, 404);
    assert_eq!(world.post("a", NEW, chat).await.status(), 200);
    world.simulator.set_socket(true);
    world.ask("a", "hello").await;
    assert_eq!(world.violations(), [] as [&str; 0]);
}

#[tokio::test]
async fn upgrades_are_scripted_over_http_too() {
    let world = World::new().await;
    let control = |method: Method, body: Value| {
        world.bare(method, "/__simulator/accounts/a/upgrade").body(body.to_string()).send()
    };
    let queued = body_json(control(Method::POST, json!({"name": "challenge"})).await.unwrap()).await;
    assert_eq!(queued["queued"], 1);
    assert_eq!(world.refused_upgrade(world.upgrade("a")).await.0, 403);
    control(Method::POST, json!({"status": 503, "sticky": true})).await.unwrap();
    assert_eq!(world.refused_upgrade(world.upgrade("a")).await.0, 503);
    control(Method::DELETE, Value::Null).await.unwrap();
    world.simulator.account("a").push(Reply::text(SCENARIO_TEXT));
    assert_eq!(world.ask("a", "hello").await.text(), SCENARIO_TEXT);
}

#[tokio::test]
async fn sessions_are_looked_up_and_counted() {
    let world = World::new().await;
    let session = body_json(world.get("a", "/api/auth/session").await).await;
    assert_eq!(session["session"]["userId"], world.simulator.account("a").user_id());
    world.get("b", "/api/auth/session").await;
    assert_eq!(world.simulator.report().count("session"), 2);
}
