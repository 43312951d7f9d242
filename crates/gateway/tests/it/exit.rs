//! The way out: refusals of the exit charge nobody, and after several it is left alone for a while.

use std::time::Duration;

use grok2api_simulator::Reply as Upstream;
use serde_json::{Value, json};

use crate::harness::{Reply, Rig};
use crate::probes::{question, refusal};
use crate::transports::over_both_transports;

over_both_transports! {
    an_unreachable_upstream_or_proxy_charges_nobody,
    the_exit_breaker_opens_after_three_accounts_and_half_opens_after_its_rest,
    a_change_of_the_egress_closes_its_breaker_at_once,
    the_exit_breaker_counts_different_accounts_within_a_minute,
    a_trial_that_the_upstream_itself_refuses_shows_that_the_exit_works,
    a_trial_that_says_nothing_about_the_exit_leaves_the_next_one_to_the_next,
}

async fn ask(rig: &Rig) -> Reply {
    rig.chat(question("hello there", false)).await
}

async fn state(rig: &Rig, label: &str) -> String {
    rig.account(label).await["state"]["name"].as_str().unwrap().to_owned()
}

async fn an_unreachable_upstream_or_proxy_charges_nobody() {
    let rig = Rig::new(&["anna", "bert"]).await;
    rig.change_settings(json!({ "proxy_url": "http://127.0.0.1:9" })).await;
    let reply = ask(&rig).await;
    assert_eq!(refusal(&reply), (503, "exit_unreachable"));
    assert_eq!(reply.header("retry-after"), "10");
    rig.change_settings(json!({ "proxy_url": "" })).await;
    ask(&rig).await.ok();

    rig.simulator.shutdown().await;
    assert_eq!(refusal(&ask(&rig).await), (503, "exit_unreachable"));
    assert_eq!(rig.attempts("exit_unreachable").await, 4);
    for label in ["anna", "bert"] {
        assert_eq!(state(&rig, label).await, "available");
        assert_eq!(rig.account(label).await["consecutive_failures"], 0);
    }
}

async fn the_exit_breaker_opens_after_three_accounts_and_half_opens_after_its_rest() {
    let rig = Rig::new(&["anna", "bert", "carl", "dora"]).await;
    for account in ["anna", "bert", "carl", "dora"] {
        rig.simulator.account(account).always(Some(Upstream::challenge()));
    }
    // One request meets two accounts: trying a third would only meet the same exit.
    assert_eq!(refusal(&ask(&rig).await), (503, "exit_refused"));
    assert_eq!(rig.callers(), ["anna", "bert"]);
    let opening = ask(&rig).await;
    assert_eq!(refusal(&opening), (503, "exit_refused"));
    assert_eq!(rig.callers(), ["anna", "bert", "carl"]);

    let closed = ask(&rig).await;
    assert_eq!(refusal(&closed), (503, "exit_refused"));
    assert_eq!(closed.header("retry-after"), "31");
    assert!(closed.error()["message"].as_str().unwrap().contains("exit_challenge"), "{}", closed.error());
    assert_eq!(rig.chat_calls(), 3);
    assert_eq!(rig.metric("grok2api_exit_breaker_opened").await, 1);
    let ready: Value = rig.http().get(rig.url("/readyz")).send().await.unwrap().json().await.unwrap();
    assert_eq!(ready["components"]["upstream_exit"]["message"], "exit_challenge");

    // After the rest one request goes out; when it fails, the exit rests again.
    rig.advance(30);
    assert_eq!(refusal(&ask(&rig).await), (503, "exit_refused"));
    assert_eq!(rig.chat_calls(), 4);
    assert_eq!(refusal(&ask(&rig).await), (503, "exit_refused"));
    assert_eq!(rig.chat_calls(), 4);

    // While one request tries the exit the others wait; its success lets everybody through.
    rig.advance(30);
    for account in ["anna", "bert", "carl", "dora"] {
        rig.simulator.account(account).always(None);
    }
    let trying = ["anna", "bert", "carl", "dora"].map(|account| rig.simulator.account(account));
    trying.iter().for_each(|account| account.push(Upstream::slow_first_byte(Duration::from_millis(400))));
    let trial = async { ask(&rig).await };
    let meanwhile = async {
        rig.until("the trial is under way", async |rig| rig.simulator.report().open_streams == 1).await;
        ask(&rig).await
    };
    let (trial, meanwhile) = tokio::join!(trial, meanwhile);
    trial.ok();
    assert_eq!(refusal(&meanwhile), (503, "exit_refused"));
    trying.iter().for_each(grok2api_simulator::Account::clear);
    ask(&rig).await.ok();
    for account in ["anna", "bert", "carl", "dora"] {
        assert_eq!(state(&rig, account).await, "available");
    }
}

async fn a_change_of_the_egress_closes_its_breaker_at_once() {
    let accounts = ["anna", "bert", "carl"];
    for (cure, is_cure) in [
        (json!({ "proxy_url": "" }), true),
        (json!({ "user_agent": "Mozilla/5.0 another" }), true),
        (json!({ "clearance_cookies": "cf_clearance=another" }), true),
        (json!({ "statsig_id": "YW5vdGhlcg==" }), true),
        (json!({ "show_search": false }), false),
        (json!({ "exit_breaker_rest": 60 }), false),
    ] {
        let rig = Rig::new(&accounts).await;
        let mistaken_proxy = cure.get("proxy_url").is_some();
        if mistaken_proxy {
            rig.change_settings(json!({ "proxy_url": "http://127.0.0.1:9" })).await;
        } else {
            accounts.iter().for_each(|account| rig.simulator.account(account).always(Some(Upstream::challenge())));
        }
        for _ in 0..4 {
            assert_eq!(ask(&rig).await.status, 503);
        }
        assert_eq!(rig.metric("grok2api_exit_breaker_opened").await, 1, "{cure}");
        let calls = rig.chat_calls();
        accounts.iter().for_each(|account| rig.simulator.account(account).always(None));
        assert_eq!(refusal(&ask(&rig).await).0, 503, "{cure}");
        assert_eq!(rig.chat_calls(), calls, "{cure}: it is left alone until something changes");
        let (status, answer) = rig.change_settings(cure.clone()).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(ask(&rig).await.status, if is_cure { 200 } else { 503 }, "{cure}");
        let ready: Value = rig.http().get(rig.url("/readyz")).send().await.unwrap().json().await.unwrap();
        assert_eq!(ready["components"]["upstream_exit"]["message"].is_null(), is_cure, "{ready}");
    }
}

async fn the_exit_breaker_counts_different_accounts_within_a_minute() {
    let rig = Rig::new(&["anna", "bert", "carl"]).await;
    let refuse = |account: &str| rig.simulator.account(account).push(Upstream::anti_bot());
    refuse("anna");
    refuse("bert");
    assert_eq!(ask(&rig).await.status, 503);
    rig.advance(61);
    refuse("carl");
    ask(&rig).await.ok();
    assert_eq!(rig.metric("grok2api_exit_breaker_opened").await, 0);

    let alone = Rig::new(&["anna"]).await;
    alone.simulator.account("anna").always(Some(Upstream::anti_bot()));
    for calls in 1..=5 {
        assert_eq!(ask(&alone).await.status, 503);
        assert_eq!(alone.chat_calls(), calls, "one account alone never closes the exit");
    }
}

async fn a_trial_that_the_upstream_itself_refuses_shows_that_the_exit_works() {
    let rig = Rig::new(&["anna", "bert", "carl"]).await;
    for account in ["anna", "bert", "carl"] {
        rig.simulator.account(account).always(Some(Upstream::challenge()));
    }
    ask(&rig).await;
    ask(&rig).await;
    assert_eq!(rig.metric("grok2api_exit_breaker_opened").await, 1);
    rig.advance(30);
    // The upstream is reached again and complains about the accounts, one by one.
    for account in ["anna", "bert", "carl"] {
        rig.simulator.account(account).always(Some(Upstream::unauthorized()));
    }
    let reply = ask(&rig).await;
    assert_ne!(refusal(&reply), (503, "exit_refused"), "{}", reply.error());
    let reply = ask(&rig).await;
    assert_ne!(refusal(&reply), (503, "exit_refused"), "{}", reply.error());
}

async fn a_trial_that_says_nothing_about_the_exit_leaves_the_next_one_to_the_next() {
    let names = ["anna", "bert", "carl"];
    let rig = Rig::new(&names).await;
    names.iter().for_each(|name| rig.simulator.account(name).always(Some(Upstream::challenge())));
    ask(&rig).await;
    ask(&rig).await;
    assert_eq!(rig.metric("grok2api_exit_breaker_opened").await, 1);
    rig.advance(30);
    names.iter().for_each(|name| rig.simulator.account(name).always(Some(Upstream::server_error())));
    for _ in 0..2 {
        assert_eq!(refusal(&ask(&rig).await), (502, "upstream_error"));
    }

    let switch_all = async |enabled: bool| {
        for name in names {
            let id = rig.account(name).await["id"].as_str().unwrap().to_owned();
            rig.admin("PATCH", &format!("/accounts/{id}"), Some(json!({ "enabled": enabled }))).await;
        }
    };
    switch_all(false).await;
    assert_eq!(refusal(&ask(&rig).await), (503, "no_account_available"));
    switch_all(true).await;
    names.iter().for_each(|name| rig.simulator.account(name).always(None));
    ask(&rig).await.ok();
}
