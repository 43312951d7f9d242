//! `upstream_transport: auto`: the WebSocket where it is, REST where it is not, and what is remembered of it.

use grok2api_simulator::{Options, Reply as Upstream, Transport};
use serde_json::{Value, json};

use crate::harness::{Rig, user};
use crate::probes::question;

fn without(socket: bool, rest_chat: bool) -> Options {
    Options { socket, rest_chat, ..Options::default() }
}

async fn rig(options: Options) -> Rig {
    Rig::start(options, &["anna"], json!({})).await
}

/// Turns that came over the WebSocket and over REST.
fn over(rig: &Rig) -> (u64, u64) {
    let report = rig.simulator.report();
    (report.over(Transport::Socket), report.over(Transport::Rest))
}

async fn system(rig: &Rig) -> Value {
    rig.admin("GET", "/system", None).await.1["upstream"].clone()
}

#[tokio::test]
async fn with_both_there_the_websocket_is_taken_and_the_account_asked_for_once() {
    let rig = rig(Options::default()).await;
    let mut talk = rig.talk(true);
    for number in 0..3 {
        assert_eq!(talk.say(&format!("question {number}")).await.turn(), if number == 0 { "new" } else { "native" });
    }
    assert_eq!(over(&rig), (3, 0));
    assert_eq!(rig.simulator.report().count("session"), 1, "the user id is kept with the account");
    let anna = rig.account("anna").await;
    assert_eq!((&anna["transport"], &anna["websocket_missing_until"]), (&json!("websocket"), &Value::Null));
    assert_eq!(system(&rig).await, json!({ "transport": "auto", "accounts": { "websocket": 1 } }));
    assert_eq!(rig.metric("grok2api_upstream_answers_total{transport=\"websocket\"}").await, 3);
    rig.until("every socket is closed", async |rig| rig.simulator.report().open_sockets == 0).await;
    rig.no_violations();
}

#[tokio::test]
async fn without_the_websocket_rest_is_taken_for_half_an_hour_also_after_a_restart() {
    let mut rig = rig(without(false, true)).await;
    let mut talk = rig.talk(false);
    talk.say("question one").await;
    assert_eq!(talk.say("question two").await.turn(), "native");
    assert_eq!((over(&rig), rig.simulator.report().count("socket")), ((0, 2), 1), "asked once, then remembered");
    let (_, log) = rig.admin("GET", "/requests", None).await;
    let attempts = async |entry: usize| {
        let id = log["items"][entry]["id"].as_str().unwrap();
        rig.admin("GET", &format!("/requests/{id}"), None).await.1["attempts"][0].clone()
    };
    let (second, first) = (attempts(0).await, attempts(1).await);
    assert_eq!((&first["transport"], &first["transport_left"]), (&json!("rest"), &json!("no_route")));
    assert_eq!((&second["transport"], &second["transport_left"]), (&json!("rest"), &json!(null)));
    let anna = rig.account("anna").await;
    assert_eq!(
        (&anna["transport"], &anna["websocket_missing_until"]),
        (&json!("rest"), &json!("2026-09-01T00:30:00.000Z"))
    );
    assert_eq!((&anna["state"]["name"], &anna["consecutive_failures"]), (&json!("available"), &json!(0)));

    let messages = talk.messages;
    rig.simulator.set_socket(true);
    rig.restart().await;
    let mut talk = rig.talk(false);
    talk.messages = messages;
    assert_eq!(talk.say("question three").await.turn(), "native");
    assert_eq!(over(&rig), (0, 3), "what was learnt survives a restart");
    rig.advance(1_801);
    assert_eq!(talk.say("question four").await.turn(), "native");
    assert_eq!(over(&rig), (1, 3), "and is not believed for ever");
    assert_eq!(rig.account("anna").await["websocket_missing_until"], Value::Null);
    assert_eq!(rig.metric("grok2api_upstream_attempts_total{verdict=\"ok\"}").await, 2);
    rig.no_violations();
}

#[tokio::test]
async fn without_rest_chats_go_over_the_websocket_and_the_rest_stays_where_it_is() {
    for stream in [false, true] {
        let rig = rig(without(true, false)).await;
        let mut talk = rig.talk(stream);
        talk.say("question one").await;
        rig.add_account("bert").await;
        rig.simulator.account("anna").push(Upstream::rate_limited(true));
        let moved = talk.say("question two").await;
        assert_eq!(moved.turn(), "moved", "sharing and cloning stay on REST");
        assert_eq!(over(&rig), (2, 0));
        rig.no_violations();
    }
}

#[tokio::test]
async fn a_route_that_goes_away_in_between_is_left_for_the_other() {
    for stream in [false, true] {
        let rig = rig(Options::default()).await;
        let mut talk = rig.talk(stream);
        talk.say("question one").await;
        rig.simulator.set_socket(false);
        assert_eq!(talk.say("question two").await.turn(), "native");
        assert_eq!(over(&rig), (1, 1));
        // Now REST goes as well, while the WebSocket is believed to be missing, and the WebSocket comes back.
        rig.simulator.set_socket(true);
        rig.simulator.set_rest_chat(false);
        assert_eq!(talk.say("question three").await.turn(), "native");
        assert_eq!(over(&rig), (2, 1));
        assert_eq!(rig.account("anna").await["transport"], "websocket");
        talk.recite().await;
        rig.no_violations();
    }
}

#[tokio::test]
async fn with_neither_there_nobody_is_charged_and_the_client_is_told() {
    let rig = rig(without(false, false)).await;
    for stream in [false, true] {
        let reply = rig.chat(question("hello there", stream)).await;
        assert_eq!((reply.status, reply.error()["code"].as_str()), (502, Some("upstream_route_missing")));
    }
    let anna = rig.account("anna").await;
    assert_eq!((&anna["state"]["name"], &anna["consecutive_failures"]), (&json!("available"), &json!(0)));
}

#[tokio::test]
async fn a_transport_that_is_asked_for_alone_is_not_left() {
    for (transport, options, expected) in [
        ("websocket", without(false, true), "upstream_route_missing"),
        ("rest", without(true, false), "upstream_route_missing"),
    ] {
        let rig = Rig::start(options, &["anna"], json!({ "upstream_transport": transport })).await;
        let reply = rig.chat(question("hello there", false)).await;
        assert_eq!((reply.status, reply.error()["code"].as_str()), (502, Some(expected)), "{transport}");
        assert_eq!(over(&rig), (0, 0), "{transport}");
        assert_eq!(rig.account("anna").await["consecutive_failures"], 0, "{transport}");
    }
}

#[tokio::test]
async fn a_conversation_is_not_called_gone_when_it_is_the_route_that_is() {
    let rig = Rig::start(without(true, true), &["anna"], json!({ "upstream_transport": "rest" })).await;
    let mut talk = rig.talk(false);
    let id = talk.say("question one").await.conversation_id();
    rig.simulator.set_rest_chat(false);
    let missing = (502, Some("upstream_route_missing"));
    let resent = talk.ask("question two").await;
    assert_eq!((resent.status, resent.error()["code"].as_str()), missing);
    let named = talk.send(json!({ "conversation_id": id, "messages": [user("question two")] })).await;
    assert_eq!((named.status, named.error()["code"].as_str()), missing);
    assert_eq!(rig.account("anna").await["consecutive_failures"], 0);
    rig.simulator.set_rest_chat(true);
    assert_eq!(talk.say("question two").await.turn(), "native", "it was there all the time");
    rig.no_violations();
}

#[tokio::test]
async fn a_refused_upgrade_is_judged_like_a_refused_request() {
    for (reply, state, code) in [
        (Upstream::unauthorized(), "invalid", "no_account_available"),
        (Upstream::blocked(), "invalid", "no_account_available"),
        (Upstream::challenge(), "available", "exit_refused"),
        (Upstream::empty_403(), "available", "exit_refused"),
        (Upstream::rate_limited(true), "cooling", "no_account_available"),
        (Upstream::html_502(), "available", "upstream_error"),
    ] {
        let rig = rig(Options::default()).await;
        rig.simulator.account("anna").always_upgrade(Some(reply));
        let refused = rig.chat(question("hello there", false)).await;
        assert_eq!(refused.error()["code"], code);
        assert_eq!(rig.account("anna").await["state"]["name"], state, "{code}");
        assert_eq!(over(&rig), (0, 0), "a refusal is no reason to try the other door");
    }
}

#[tokio::test]
async fn a_conversation_that_one_transport_does_not_know_goes_on_over_the_other() {
    for stream in [false, true] {
        let rig = rig(Options::default()).await;
        let mut talk = rig.talk(stream);
        talk.say("question one").await;
        // The WebSocket says that it does not know the conversation; REST does.
        rig.simulator.account("anna").push(Upstream::named("session-not-found").unwrap());
        assert_eq!(talk.say("question two").await.turn(), "native");
        assert_eq!(over(&rig), (1, 1));
        assert_eq!(rig.account("anna").await["websocket_missing_until"], Value::Null, "the route is there");
        assert_eq!(talk.say("question three").await.turn(), "native");
        assert_eq!(over(&rig), (2, 1));
        rig.no_violations();
    }
}

#[tokio::test]
async fn a_session_that_is_disowned_makes_the_account_invalid() {
    let rig = rig(Options::default()).await;
    rig.simulator.account("anna").set_credential(grok2api_simulator::CredentialState::Blocked);
    assert_eq!(rig.chat(question("hello there", false)).await.error()["code"], "no_account_available");
    assert_eq!(rig.account("anna").await["state"]["reason"]["code"], "user_blocked");
    assert_eq!(rig.simulator.report().count("socket"), 0);
}

#[tokio::test]
async fn ten_turns_that_change_transport_and_account_twice_recite_their_whole_branch() {
    for stream in [false, true] {
        let rig = rig(Options::default()).await;
        let mut talk = rig.talk(stream);
        let mut receipts = Vec::new();
        for number in 1..=10 {
            match number {
                // To REST on the same account.
                3 => drop(rig.change_settings(json!({ "upstream_transport": "rest" })).await),
                // To another account, still over REST.
                5 => {
                    rig.add_account("bert").await;
                    rig.simulator.account("anna").push(Upstream::rate_limited(true));
                }
                // Back to the WebSocket.
                7 => drop(rig.change_settings(json!({ "upstream_transport": "websocket" })).await),
                // To a third account, over the WebSocket.
                9 => {
                    rig.add_account("carl").await;
                    rig.simulator.account("bert").push(Upstream::rate_limited(true));
                }
                _ => {}
            }
            receipts.push(talk.say(&format!("question {number}")).await.turn().to_owned());
        }
        let expected = ["new", "native", "native", "native", "moved", "native", "native", "native", "moved", "native"];
        assert_eq!(receipts, expected);
        // The one over REST that was limited was read as well; over the WebSocket the upgrade was refused.
        assert_eq!(over(&rig), (6, 5));
        talk.recite().await;
        // And a branch from the middle, which began over REST on another account.
        let branch = talk.first(4);
        assert_eq!(branch.recite().await.turn(), "branched");
        rig.no_violations();
    }
}
