//! The account pool at the front door: what each answer of the upstream means, who rests, who serves instead.

use std::time::{Duration, Instant};

use grok2api_simulator::{Reply as Upstream, Step};
use serde_json::{Value, json};

use crate::harness::{Reply, Rig, START_MS};
use crate::probes::{conversation_gone, question, refusal};
use crate::transports::{self, over_both_transports};

over_both_transports! {
    every_verdict_has_its_status_its_charge_and_its_label,
    another_account_answers_where_that_can_help,
    a_mode_that_is_used_up_rests_alone_and_until_the_upstream_says,
    without_the_rate_limits_route_the_settings_decide_how_long,
    five_failures_in_a_row_are_an_hour_and_a_success_begins_anew,
    one_request_tries_three_accounts_and_charges_one_per_cause,
    answers_that_break_at_the_same_time_are_one_failure,
    the_time_to_the_first_event_is_one_for_all_attempts,
}

const HOUR: i64 = 3_600;

/// One answer of the upstream and what must follow from it.
struct Row {
    name: &'static str,
    settings: Value,
    /// What the client is told when there is no other account.
    refusal: (u16, &'static str),
    /// The account afterwards: its state, the reason of it, and how long it rests.
    state: (&'static str, Option<&'static str>, Option<i64>),
    /// Rest of the one mode that was asked for: reason and seconds.
    mode_rest: Option<(&'static str, i64)>,
    failures: i64,
    /// Whether a second account answers the same request.
    other_answers: bool,
    verdict: &'static str,
}

impl Row {
    /// Nobody is to blame, and another account may try.
    fn new(name: &'static str, refusal: (u16, &'static str), verdict: &'static str) -> Self {
        Self {
            name,
            settings: json!({}),
            refusal,
            state: ("available", None, None),
            mode_rest: None,
            failures: 0,
            other_answers: true,
            verdict,
        }
    }

    fn state(self, name: &'static str, reason: &'static str, seconds: Option<i64>) -> Self {
        Self { state: (name, Some(reason), seconds), ..self }
    }

    fn failure(self) -> Self {
        Self { failures: 1, ..self }
    }
}

fn rows() -> Vec<Row> {
    let limited = (429, "no_account_available");
    let dead = (503, "no_account_available");
    let exit = (503, "exit_refused");
    let broken = (502, "upstream_error");
    let quota_left = Some(5 * HOUR);
    vec![
        Row::new("rate-limited", limited, "rate_limited").state("cooling", "rate_limited_quota_left", quota_left),
        Row {
            mode_rest: Some(("rate_limited_no_quota", 7_200)),
            ..Row::new("quota-exhausted", limited, "rate_limited")
        },
        Row::new("in-band-rate-limit", limited, "rate_limited").state("cooling", "rate_limited_quota_left", quota_left),
        // The words say that nothing is left, the rate-limits route says otherwise: it knows better.
        Row::new("usage-limit", limited, "rate_limited_quota_gone").state(
            "cooling",
            "rate_limited_quota_left",
            quota_left,
        ),
        Row::new("stream-usage-limit", limited, "rate_limited_quota_gone").state(
            "cooling",
            "rate_limited_quota_left",
            quota_left,
        ),
        Row::new("unauthorized", dead, "credential_dead").state("invalid", "credential_dead", None),
        Row::new("bad-credentials", dead, "credential_dead").state("invalid", "credential_dead", None),
        Row::new("blocked", dead, "user_blocked").state("invalid", "user_blocked", None),
        Row {
            mode_rest: Some(("mode_unavailable", HOUR)),
            ..Row::new("model-not-found", (404, "model_not_found"), "model_unavailable")
        },
        Row::new("challenge", exit, "exit_challenge"),
        Row::new("challenge-200", exit, "exit_challenge"),
        Row::new("anti-bot", exit, "exit_anti_bot"),
        Row::new("in-band-anti-bot", exit, "exit_anti_bot"),
        Row::new("empty-403", exit, "exit_refused"),
        Row::new("plain-403", exit, "exit_refused"),
        Row::new("unknown-403", exit, "exit_unknown"),
        Row::new("region", exit, "exit_region"),
        Row {
            other_answers: false,
            ..Row::new("moderated-prompt", (400, "content_policy_violation"), "rejected_moderated")
        },
        Row { other_answers: false, ..Row::new("bad-request", (400, "upstream_rejected"), "rejected_bad_request") },
        Row {
            other_answers: false,
            ..Row::new("stream-too-long", (400, "context_length_exceeded"), "rejected_too_long")
        },
        // A new conversation cannot be gone: over REST it is the route that is.
        match transports::over() {
            Some("rest") => {
                Row { other_answers: false, ..Row::new("not-found", (502, "upstream_route_missing"), "no_route") }
            }
            _ => Row::new("not-found", broken, "protocol").failure(),
        },
        Row::new("server-error", broken, "unavailable").failure(),
        Row::new("html-502", broken, "unavailable").failure(),
        Row::new("in-band-error", broken, "unavailable").failure(),
        Row::new("stream-error", broken, "unavailable").failure(),
        Row::new("empty-answer", (502, "upstream_empty_answer"), "empty_answer").failure(),
        Row {
            settings: json!({ "request_timeout": 1 }),
            // The time is the whole request's.
            other_answers: false,
            ..Row::new("hang", (504, "upstream_timeout"), "timeout_first_event").failure()
        },
        Row {
            settings: json!({ "request_timeout": 1 }),
            // The time is the whole request's.
            other_answers: false,
            ..Row::new("hang-after-headers", (504, "upstream_timeout"), "timeout_first_event").failure()
        },
        Row::new("cut-before-text-for-good", (502, "upstream_truncated"), "truncated").failure(),
    ]
}

fn upstream_reply(name: &str) -> Upstream {
    match name {
        "cut-before-text-for-good" => Upstream::cut(0, false),
        "not-found" => conversation_gone(),
        name => Upstream::named(name).unwrap(),
    }
}

/// Seconds from the start of the rig's clock to an RFC 3339 time of the admin API.
fn seconds_from_start(time: &Value) -> i64 {
    let time: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
    (time.as_millisecond() - START_MS) / 1_000
}

/// What an account's state comes to: name, reason, seconds of rest.
fn state_of(account: &Value) -> (String, Option<String>, Option<i64>) {
    let state = &account["state"];
    let until = (!state["until"].is_null()).then(|| seconds_from_start(&state["until"]));
    (state["name"].as_str().unwrap().to_owned(), state["reason"]["code"].as_str().map(str::to_owned), until)
}

async fn ask(rig: &Rig) -> Reply {
    rig.chat(question("hello there", false)).await
}

/// Waits until the quota has been asked as often as accounts were limited.
async fn quota_asked(rig: &Rig, times: u64) {
    rig.until("the quota was asked and taken in", async |rig| {
        let (_, accounts) = rig.admin("GET", "/accounts", None).await;
        let known = accounts["items"].as_array().unwrap().iter().filter(|each| each["quota"] != json!([])).count();
        rig.simulator.report().count("rate_limits") >= times && u64::try_from(known).unwrap() >= times
    })
    .await;
}

async fn every_verdict_has_its_status_its_charge_and_its_label() {
    for row in rows() {
        let name = row.name;
        let rig = Rig::with_settings(&["anna"], row.settings.clone()).await;
        rig.simulator.account("anna").always(Some(upstream_reply(name)));
        let reply = ask(&rig).await;
        assert_eq!(refusal(&reply), row.refusal, "{name}");
        if row.verdict.starts_with("rate_limited") {
            quota_asked(&rig, 1).await;
        }
        let account = rig.account("anna").await;
        let (state, reason, seconds) = row.state;
        assert_eq!(state_of(&account), (state.to_owned(), reason.map(str::to_owned), seconds), "{name}: {account}");
        assert_eq!(account["consecutive_failures"], row.failures, "{name}");
        assert_eq!(account["in_flight"], 0, "{name}");
        match row.mode_rest {
            None => assert_eq!(account["rests"], json!([]), "{name}"),
            Some((reason, seconds)) => {
                let rest = &account["rests"][0];
                assert_eq!((rest["mode"].as_str(), rest["reason"].as_str()), (Some("auto"), Some(reason)), "{name}");
                assert_eq!(seconds_from_start(&rest["until"]), seconds, "{name}");
            }
        }
        // Over the WebSocket a used-up quota is told in words of its own.
        let verdict = match name {
            "quota-exhausted" if transports::over() == Some("websocket") => "rate_limited_quota_gone",
            _ => row.verdict,
        };
        assert!(rig.attempts(verdict).await > 0, "{name}: no attempt {verdict}");
        assert_eq!(rig.turn_count().await, 0, "{name}");
    }
}

async fn another_account_answers_where_that_can_help() {
    for row in rows() {
        let name = row.name;
        let rig = Rig::with_settings(&["anna", "bert"], row.settings.clone()).await;
        rig.simulator.account("anna").always(Some(upstream_reply(name)));
        let reply = ask(&rig).await;
        if row.other_answers {
            assert_eq!(reply.ok().text(), "Answer 1: you said \"hello there\".", "{name}");
            assert_eq!(rig.callers(), ["anna", "bert"], "{name}");
        } else {
            assert_eq!(refusal(&reply), row.refusal, "{name}");
            assert_eq!(rig.callers(), ["anna"], "{name}");
        }
        assert_eq!(state_of(&rig.account("bert").await).0, "available", "{name}");
    }
}

async fn a_mode_that_is_used_up_rests_alone_and_until_the_upstream_says() {
    let rig = Rig::new(&["anna"]).await;
    rig.simulator.account("anna").set_quota("auto", 1, 20, Some(900));
    ask(&rig).await.ok();
    assert_eq!(refusal(&ask(&rig).await), (429, "no_account_available"));
    quota_asked(&rig, 1).await;
    let limited = ask(&rig).await;
    assert_eq!(refusal(&limited), (429, "no_account_available"));
    assert_eq!(limited.header("x-grok2api-accounts"), "rate_limited_no_quota=1");
    assert_eq!(limited.header("retry-after"), "901");

    let mut fast = rig.talk(false);
    fast.model = "grok-fast".to_owned();
    fast.say("hello there").await;
    let account = rig.account("anna").await;
    let quota = account["quota"].as_array().unwrap().iter().find(|quota| quota["mode"] == "auto").unwrap();
    assert_eq!((&quota["remaining"], &quota["total"]), (&json!(0), &json!(20)));

    rig.advance(899);
    assert_eq!(ask(&rig).await.status, 429);
    rig.simulator.account("anna").set_quota("auto", 20, 20, None);
    rig.advance(1);
    ask(&rig).await.ok();
}

async fn without_the_rate_limits_route_the_settings_decide_how_long() {
    // Over REST a 429 does not tell what is left, over the WebSocket a used-up quota has words of its own.
    let exhausted = match transports::over() {
        Some("websocket") => ("quota-exhausted", 10, "rate_limited_no_quota"),
        _ => ("quota-exhausted", 5, "rate_limited_quota_left"),
    };
    for (name, hours, reason) in [
        ("rate-limited", 5, "rate_limited_quota_left"),
        exhausted,
        ("usage-limit", 10, "rate_limited_no_quota"),
        ("stream-usage-limit", 10, "rate_limited_no_quota"),
    ] {
        let rig = Rig::new(&["anna"]).await;
        rig.simulator.account("anna").rate_limits_throttled(true);
        rig.simulator.account("anna").push(Upstream::named(name).unwrap());
        let limited = ask(&rig).await;
        assert_eq!(limited.status, 429, "{name}");
        rig.until("the quota was asked in vain", async |rig| rig.simulator.report().count("rate_limits") == 1).await;
        rig.quiet().await;
        let rested = ("cooling".to_owned(), Some(reason.to_owned()), Some(hours * HOUR));
        assert_eq!(state_of(&rig.account("anna").await), rested, "{name}");
        // The whole account rests, for nobody knows which mode is meant.
        let mut fast = question("hello there", false);
        fast["model"] = json!("grok-fast");
        assert_eq!(rig.chat(fast).await.status, 429, "{name}");
        assert_eq!(rig.chat_calls(), 1, "{name}");
    }
}

async fn five_failures_in_a_row_are_an_hour_and_a_success_begins_anew() {
    let rig = Rig::new(&["anna"]).await;
    let fail = async |times: usize| {
        for _ in 0..times {
            rig.simulator.account("anna").push(Upstream::server_error());
            assert_eq!(refusal(&ask(&rig).await), (502, "upstream_error"));
        }
    };
    fail(4).await;
    assert_eq!(rig.account("anna").await["consecutive_failures"], 4);
    ask(&rig).await.ok();
    assert_eq!(rig.account("anna").await["consecutive_failures"], 0);
    fail(5).await;
    let rested = ("cooling".to_owned(), Some("consecutive_failures".to_owned()), Some(HOUR));
    assert_eq!(state_of(&rig.account("anna").await), rested);
    assert_eq!(ask(&rig).await.header("x-grok2api-accounts"), "consecutive_failures=1");
}

async fn one_request_tries_three_accounts_and_charges_one_per_cause() {
    let names = ["anna", "bert", "carl", "dora", "emil"];
    let rig = Rig::new(&names).await;
    names.iter().for_each(|name| rig.simulator.account(name).always(Some(Upstream::server_error())));
    assert_eq!(refusal(&ask(&rig).await), (502, "upstream_error"));
    assert_eq!(rig.callers(), ["anna", "bert", "carl"]);
    let mut failures = Vec::new();
    for name in names {
        failures.push(rig.account(name).await["consecutive_failures"].as_i64().unwrap());
    }
    assert_eq!(failures, [1, 0, 0, 0, 0]);

    let rig = Rig::new(&names).await;
    rig.simulator.account("anna").push(Upstream::unauthorized());
    rig.simulator.account("bert").push(Upstream::server_error());
    rig.simulator.account("carl").push(Upstream::rate_limited(true));
    assert_eq!(ask(&rig).await.status, 429);
    assert_eq!(state_of(&rig.account("anna").await).0, "invalid");
    assert_eq!(rig.account("bert").await["consecutive_failures"], 1);
    assert_eq!(state_of(&rig.account("carl").await).0, "cooling");
    assert_eq!(rig.chat_calls(), 3);

    // Two accounts that are limited by one request may share one cause, say an address.
    let rig = Rig::new(&names).await;
    names.iter().for_each(|name| {
        rig.simulator.account(name).always(Some(Upstream::rate_limited(true)));
        rig.simulator.account(name).rate_limits_throttled(true);
    });
    assert_eq!(ask(&rig).await.status, 429);
    let (_, summary) = rig.admin("GET", "/accounts/summary", None).await;
    assert_eq!(summary["states"]["cooling"], 1, "{summary}");
}

async fn answers_that_break_at_the_same_time_are_one_failure() {
    let rig = Rig::new(&["anna"]).await;
    for _ in 0..8 {
        rig.simulator.account("anna").push(Upstream::steps(vec![
            grok2api_simulator::Step::Wait(std::time::Duration::from_millis(400)),
            grok2api_simulator::Step::TopLevelError { code: 13.into(), message: "no".into() },
        ]));
    }
    let asked = (0..4).map(|number| rig.chat(question(&format!("question {number}"), true)));
    for reply in futures_util::future::join_all(asked).await {
        assert_eq!(refusal(&reply), (502, "upstream_error"));
    }
    let anna = rig.account("anna").await;
    assert_eq!((&anna["state"]["name"], &anna["in_flight"]), (&json!("available"), &json!(0)), "{anna}");
    assert!(anna["consecutive_failures"].as_i64().unwrap() <= 2, "{anna}");
}

async fn the_time_to_the_first_event_is_one_for_all_attempts() {
    let settings = json!({ "request_timeout": 2, "max_attempts": 3 });
    let rig = Rig::with_settings(&["anna", "bert", "carl"], settings).await;
    // The first takes most of the time before it fails; what is left is not enough to blame the second.
    rig.simulator.account("anna").always(Some(Upstream::answer(vec![
        Step::Wait(Duration::from_millis(1_400)),
        Step::TopLevelError { code: 13.into(), message: "Internal error".to_owned() },
    ])));
    for account in ["bert", "carl"] {
        rig.simulator.account(account).always(Some(Upstream::hang()));
    }
    let began = Instant::now();
    let reply = ask(&rig).await;
    assert_eq!(refusal(&reply), (504, "upstream_timeout"));
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(1_900) && took < Duration::from_millis(3_000), "{took:?}");
    let callers = rig.callers();
    assert_eq!(callers.len(), 2, "{callers:?}");
    assert_eq!(rig.account(&callers[1]).await["consecutive_failures"], 0);
}
