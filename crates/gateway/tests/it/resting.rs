//! Who rests and who is chosen: ends of rests, probation, restarts, the order of use, and what is told when nobody can serve.

use std::time::Duration;

use grok2api_simulator::{Reply as Upstream, Step};
use serde_json::{Value, json};

use crate::harness::{Reply, Rig};
use crate::probes::{Connection, conversation_gone, question, refusal};
use crate::transports::over_both_transports;

over_both_transports! {
    a_rest_ends_by_its_deadline_and_then_one_request_goes_first,
    a_failure_on_probation_is_a_rest_at_once,
    a_shorter_rest_does_not_end_a_longer_one,
    rests_and_invalid_accounts_survive_a_restart,
    clear_cooldown_ends_every_rest_and_lasts,
    accounts_that_are_switched_off_do_nothing,
    fewest_in_flight_serve_first_and_then_who_was_used_longest_ago,
    when_all_rest_the_client_is_told_why_and_until_when,
    when_only_invalid_accounts_are_left_waiting_does_not_help,
    a_conversation_that_is_gone_upstream_begins_anew_on_the_same_account,
}

async fn ask(rig: &Rig) -> Reply {
    rig.chat(question("hello there", false)).await
}

async fn state(rig: &Rig, label: &str) -> String {
    rig.account(label).await["state"]["name"].as_str().unwrap().to_owned()
}

/// Lets an account rest for an hour.
async fn wear_out(rig: &Rig, label: &str) {
    for _ in 0..5 {
        rig.simulator.account(label).push(Upstream::server_error());
        assert_eq!(refusal(&ask(rig).await), (502, "upstream_error"));
    }
    assert_eq!(state(rig, label).await, "cooling");
}

/// Lets an account rest for five hours, whatever the upstream's figures say.
async fn limit(rig: &Rig, label: &str) {
    rig.simulator.account(label).rate_limits_throttled(true);
    rig.simulator.account(label).push(Upstream::rate_limited(true));
    assert_eq!(ask(rig).await.status, 429);
    rig.until("the account rests", async |rig| state(rig, label).await == "cooling").await;
}

/// A streamed answer that stands still after its first word, held open.
async fn standing_answer(rig: &Rig, label: &str) -> Connection {
    rig.simulator.account(label).push(Upstream::Stall);
    let mut connection = rig.connect().await;
    connection.send_chat(&question("hello there", true)).await;
    connection.read_until("the").await;
    connection
}

async fn switch(rig: &Rig, label: &str, enabled: bool) {
    let id = rig.account(label).await["id"].as_str().unwrap().to_owned();
    let (status, _) = rig.admin("PATCH", &format!("/accounts/{id}"), Some(json!({ "enabled": enabled }))).await;
    assert_eq!(status, 200);
}

async fn clear_cooldown(rig: &Rig, label: &str) -> Value {
    let id = rig.account(label).await["id"].as_str().unwrap().to_owned();
    let (status, account) = rig.admin("POST", &format!("/accounts/{id}/actions/clear_cooldown"), None).await;
    assert_eq!(status, 200, "{account}");
    account
}

async fn a_rest_ends_by_its_deadline_and_then_one_request_goes_first() {
    let rig = Rig::new(&["anna"]).await;
    wear_out(&rig, "anna").await;
    rig.advance(3_599);
    assert_eq!(ask(&rig).await.status, 429);
    rig.advance(1);
    assert_eq!(state(&rig, "anna").await, "probation");

    let first = standing_answer(&rig, "anna").await;
    let second = ask(&rig).await;
    assert_eq!(refusal(&second), (429, "no_account_available"));
    assert_eq!((second.header("x-grok2api-accounts"), second.header("retry-after")), ("busy=1", "2"));
    assert_eq!(second.header("x-should-retry"), "");
    drop(first);
    rig.quiet().await;
    // A client that left proves nothing.
    assert_eq!(state(&rig, "anna").await, "probation");

    ask(&rig).await.ok();
    assert_eq!(state(&rig, "anna").await, "available");
    let _several = (standing_answer(&rig, "anna").await, standing_answer(&rig, "anna").await);
    ask(&rig).await.ok();
}

async fn a_failure_on_probation_is_a_rest_at_once() {
    let rig = Rig::new(&["anna"]).await;
    wear_out(&rig, "anna").await;
    rig.advance(3_600);
    rig.simulator.account("anna").push(Upstream::server_error());
    assert_eq!(refusal(&ask(&rig).await), (502, "upstream_error"));
    assert_eq!(state(&rig, "anna").await, "cooling");
    assert_eq!(ask(&rig).await.header("retry-after"), "3601");

    rig.advance(3_600);
    limit(&rig, "anna").await;
    assert_eq!(ask(&rig).await.header("retry-after"), "18001");
    rig.advance(18_000);
    ask(&rig).await.ok();
    assert_eq!(state(&rig, "anna").await, "available");
}

async fn a_shorter_rest_does_not_end_a_longer_one() {
    let rig = Rig::with_settings(&["anna"], json!({ "failures_before_cooldown": 1 })).await;
    rig.simulator.account("anna").push(Upstream::steps(vec![
        Step::Opening,
        Step::Text("one".to_owned()),
        Step::Wait(Duration::from_millis(600)),
        Step::TopLevelError { code: 13.into(), message: "Internal error".to_owned() },
    ]));
    let failing = async { rig.chat(question("hello there", true)).await };
    let limited = async {
        rig.until("it is being answered", async |rig| rig.chat_calls() == 1).await;
        limit(&rig, "anna").await;
    };
    let (failed, ()) = tokio::join!(failing, limited);
    assert_eq!(refusal(&failed), (200, "upstream_error"));
    assert_eq!(ask(&rig).await.header("retry-after"), "18001");
    // The other way round the longer one takes over.
    let rig = Rig::with_settings(&["anna"], json!({ "failures_before_cooldown": 1 })).await;
    rig.simulator.account("anna").rate_limits_throttled(true);
    rig.simulator.account("anna").push(Upstream::steps(vec![
        Step::Opening,
        Step::Text("one".to_owned()),
        Step::Wait(Duration::from_millis(600)),
        Step::TopLevelError { code: 8.into(), message: "Too many requests".to_owned() },
    ]));
    let failing = async { rig.chat(question("hello there", true)).await };
    let broken = async {
        rig.until("it is being answered", async |rig| rig.chat_calls() == 1).await;
        rig.simulator.account("anna").push(Upstream::server_error());
        assert_eq!(refusal(&ask(&rig).await), (502, "upstream_error"));
        assert_eq!(ask(&rig).await.header("retry-after"), "3601");
    };
    let (failed, ()) = tokio::join!(failing, broken);
    assert_eq!(refusal(&failed), (200, "upstream_rate_limited"));
    assert_eq!(ask(&rig).await.header("retry-after"), "18001");
}

async fn rests_and_invalid_accounts_survive_a_restart() {
    let mut rig = Rig::new(&["anna"]).await;
    wear_out(&rig, "anna").await;
    rig.add_account("bert").await;
    rig.simulator.account("bert").push(Upstream::unauthorized());
    assert_eq!(ask(&rig).await.status, 429);
    rig.add_account("carl").await;
    rig.simulator.account("carl").set_quota("auto", 0, 20, Some(900));
    assert_eq!(ask(&rig).await.status, 429);
    rig.until("the mode rests", async |rig| rig.account("carl").await["rests"] != json!([])).await;
    rig.add_account("dora").await;
    for _ in 0..3 {
        rig.simulator.account("dora").push(Upstream::server_error());
        ask(&rig).await;
    }
    let mut before = Vec::new();
    for label in ["anna", "bert", "carl", "dora"] {
        before.push(rig.account(label).await);
    }
    assert_eq!(before[3]["consecutive_failures"], 3);

    rig.restart().await;
    for account in before {
        assert_eq!(rig.account(account["label"].as_str().unwrap()).await, account);
    }
    rig.simulator.clear_calls();
    ask(&rig).await.ok();
    assert_eq!(rig.callers(), ["dora"]);

    // A rest that ends while nobody looks still ends in probation.
    rig.advance(3_000);
    let gateway = rig.take_gateway();
    gateway.stop().await;
    rig.advance(600);
    rig.start_again().await;
    assert_eq!(state(&rig, "anna").await, "probation");
    assert_eq!(state(&rig, "bert").await, "invalid");
}

async fn clear_cooldown_ends_every_rest_and_lasts() {
    let mut rig = Rig::new(&["anna"]).await;
    limit(&rig, "anna").await;
    assert_eq!(clear_cooldown(&rig, "anna").await["state"]["name"], "probation");
    ask(&rig).await.ok();

    rig.simulator.account("anna").push(Upstream::model_not_found());
    assert_eq!(refusal(&ask(&rig).await), (404, "model_not_found"));
    assert_eq!(ask(&rig).await.status, 429);
    assert_eq!(clear_cooldown(&rig, "anna").await["rests"], json!([]));
    ask(&rig).await.ok();

    rig.simulator.account("anna").push(Upstream::blocked());
    assert_eq!(ask(&rig).await.status, 503);
    clear_cooldown(&rig, "anna").await;
    rig.restart().await;
    ask(&rig).await.ok();
    assert_eq!(state(&rig, "anna").await, "available");
}

async fn accounts_that_are_switched_off_do_nothing() {
    let rig = Rig::new(&["anna", "bert"]).await;
    switch(&rig, "anna", false).await;
    for _ in 0..4 {
        ask(&rig).await.ok();
    }
    assert_eq!(rig.callers(), ["bert"; 4]);
    switch(&rig, "bert", false).await;
    let nobody = ask(&rig).await;
    assert_eq!(refusal(&nobody), (503, "no_account_available"));
    assert_eq!(nobody.header("x-grok2api-accounts"), "disabled=2");
    assert_eq!((nobody.header("x-should-retry"), nobody.header("retry-after")), ("false", ""));

    // Its conversation goes on elsewhere while it is off, without a call in its name.
    switch(&rig, "anna", true).await;
    let mut talk = rig.talk(false);
    talk.say("a question for anna").await;
    switch(&rig, "anna", false).await;
    switch(&rig, "bert", true).await;
    rig.simulator.clear_calls();
    assert_eq!(talk.say("recite").await.turn(), "replayed");
    assert!(rig.simulator.calls().iter().all(|call| call.account.as_deref() == Some("bert")));
}

async fn fewest_in_flight_serve_first_and_then_who_was_used_longest_ago() {
    let rig = Rig::new(&["anna", "bert", "carl"]).await;
    for _ in 0..6 {
        ask(&rig).await.ok();
    }
    assert_eq!(rig.callers(), ["anna", "bert", "carl", "anna", "bert", "carl"]);

    let standing = standing_answer(&rig, "anna").await;
    assert_eq!(rig.account("anna").await["in_flight"], 1);
    rig.simulator.clear_calls();
    for _ in 0..4 {
        ask(&rig).await.ok();
    }
    assert_eq!(rig.callers(), ["bert", "carl", "bert", "carl"]);
    let more = (standing_answer(&rig, "bert").await, standing_answer(&rig, "carl").await);
    rig.simulator.clear_calls();
    // All are equally busy: the order of use decides again.
    ask(&rig).await.ok();
    assert_eq!(rig.callers(), ["anna"]);
    drop((standing, more));
    rig.quiet().await;
}

async fn when_all_rest_the_client_is_told_why_and_until_when() {
    let rig = Rig::new(&["anna"]).await;
    limit(&rig, "anna").await;
    rig.add_account("bert").await;
    wear_out(&rig, "bert").await;
    rig.add_account("carl").await;
    rig.simulator.account("carl").push(Upstream::unauthorized());
    ask(&rig).await;
    rig.add_account("dora").await;
    switch(&rig, "dora", false).await;
    rig.advance(600);

    for stream in [false, true] {
        let reply = rig.chat(question("hello there", stream)).await;
        assert_eq!(refusal(&reply), (429, "no_account_available"));
        assert_eq!(reply.error()["type"], "rate_limit_error");
        let reasons = "consecutive_failures=1, disabled=1, invalid=1, rate_limited_quota_left=1";
        assert_eq!(reply.header("x-grok2api-accounts"), reasons);
        let message = reply.error()["message"].as_str().unwrap();
        let told = "No account can serve this request now: the accounts are at the upstream's rate limit, paused after several \
                    failures, refused by the upstream, or switched off. Service returns in 51 minutes.";
        assert_eq!(message, told);
        assert_eq!(reply.header("retry-after"), "3001");
        assert_eq!(reply.header("x-should-retry"), "false");
    }
    // So near the end an SDK may wait by itself.
    rig.advance(2_900);
    let reply = ask(&rig).await;
    assert_eq!((reply.header("retry-after"), reply.header("x-should-retry")), ("101", ""));
}

async fn when_only_invalid_accounts_are_left_waiting_does_not_help() {
    let rig = Rig::new(&["anna", "bert"]).await;
    rig.simulator.account("anna").push(Upstream::unauthorized());
    rig.simulator.account("bert").push(Upstream::blocked());
    for _ in 0..2 {
        let reply = ask(&rig).await;
        assert_eq!(refusal(&reply), (503, "no_account_available"));
        assert_eq!(reply.header("x-grok2api-accounts"), "invalid=2");
        assert_eq!((reply.header("x-should-retry"), reply.header("retry-after")), ("false", ""));
    }
    assert_eq!(rig.chat_calls(), 2);
}

async fn a_conversation_that_is_gone_upstream_begins_anew_on_the_same_account() {
    let rig = Rig::new(&["anna", "bert"]).await;
    let mut talk = rig.talk(true);
    talk.say("first question").await;
    rig.simulator.account("anna").push(conversation_gone());
    assert_eq!(talk.say("second question").await.turn(), "replayed");
    assert_eq!(rig.callers(), ["anna", "anna", "anna"]);
    assert_eq!(talk.say("third question").await.turn(), "native");
    assert_eq!(state(&rig, "anna").await, "available");
}
