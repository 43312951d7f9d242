//! How requests end: clients that leave at any point, slow ones, and an orderly stop. Afterwards nothing may be left over.

use std::time::{Duration, Instant};

use grok2api_simulator::{Reply as Upstream, Step};
use serde_json::{Value, json};
use sqlx::Row as _;
use tokio::io::AsyncReadExt as _;

use crate::harness::Rig;
use crate::probes::question;
use crate::transports::over_both_transports;

over_both_transports! {
    a_client_that_leaves_before_the_first_byte_leaves_nothing,
    a_client_that_leaves_in_the_middle_breaks_no_conversation,
    a_client_that_leaves_right_after_the_end_has_its_turn,
    clients_that_leave_at_any_moment_leave_nothing,
    a_slow_reader_gets_everything,
    an_orderly_stop_lets_running_answers_finish,
    an_answer_that_hangs_is_ended_after_the_grace,
    whoever_waits_at_the_end_of_the_grace_is_told,
    one_connection_carries_many_requests,
}

/// The one record of the one request there was: status, ending, error code.
async fn only_record(rig: &Rig) -> (i64, String, Option<String>) {
    let rows = rig.requests(1).await;
    assert_eq!(rows.len(), 1, "exactly one record per request");
    (rows[0].get("status"), rows[0].get("ending"), rows[0].get("error_code"))
}

/// Nothing under way here or upstream, nobody charged, no open stream counted.
async fn nothing_is_left(rig: &Rig) {
    rig.quiet().await;
    let account = rig.account("anna").await;
    assert_eq!((&account["in_flight"], &account["consecutive_failures"]), (&json!(0), &json!(0)), "{account}");
    assert_eq!(account["state"]["name"], "available");
    assert_eq!(rig.metric("grok2api_open_streams").await, 0);
}

fn slow_text(pause: Duration) -> Upstream {
    let word = |word: &str| Step::Text(word.to_owned());
    Upstream::answer(vec![word("one"), Step::Wait(pause), word(" two")])
}

async fn a_client_that_leaves_before_the_first_byte_leaves_nothing() {
    for stream in [false, true] {
        let mut settings = json!({});
        // With one second the streamed answer has already begun with a comment.
        for keep_alive in [15, 1] {
            settings["keep_alive_interval"] = json!(keep_alive);
            let rig = Rig::with_settings(&["anna"], settings.clone()).await;
            rig.simulator.account("anna").push(Upstream::hang());
            let mut connection = rig.connect().await;
            connection.send_chat(&question("hello there", stream)).await;
            rig.until("the upstream is asked", async |rig| rig.simulator.report().open_streams == 1).await;
            if stream && keep_alive == 1 {
                connection.read_until(": keep-alive").await;
            }
            drop(connection);
            nothing_is_left(&rig).await;
            let (status, ending, code) = only_record(&rig).await;
            assert_eq!((ending.as_str(), code), ("client_gone", None), "{stream} {keep_alive}");
            assert_eq!(status, 499, "{stream} {keep_alive}");
            assert_eq!((rig.turn_count().await, rig.chat_calls()), (0, 1));
        }
    }
}

async fn a_client_that_leaves_in_the_middle_breaks_no_conversation() {
    for stream in [false, true] {
        let rig = Rig::new(&["anna"]).await;
        let mut talk = rig.talk(stream);
        talk.say("first question").await;
        let rows = rig.requests(1).await;
        let first: String = rows[0].get("id");

        rig.simulator.account("anna").push(Upstream::hang_after(3));
        let mut messages = talk.messages.clone();
        messages.push(json!({ "role": "user", "content": "second question" }));
        let body = json!({ "model": "grok-4.2", "stream": stream, "messages": messages });
        let mut connection = rig.connect().await;
        connection.send_chat(&body).await;
        if stream {
            connection.read_until("quick").await;
        } else {
            rig.until("the answer has begun", async |rig| rig.simulator.report().open_streams == 1).await;
        }
        drop(connection);
        nothing_is_left(&rig).await;
        let rows = rig.requests(2).await;
        assert_eq!(rows.len(), 2);
        let left = rows.iter().find(|row| row.get::<String, _>("id") != first).unwrap();
        assert_eq!(left.get::<String, _>("ending"), "client_gone");
        assert!(!stream || left.get::<Option<String>, _>("account_id").is_some(), "the attempt that answered is noted");

        // The same turn again, from the same history: the upstream's own conversation goes on after the first answer.
        let again = talk.say("second question").await;
        assert!(["native", "branched"].contains(&again.turn()), "{}", again.turn());
        let recited = talk.ask("recite").await.ok();
        assert_eq!(recited.turn(), "native");
        let lines = recited.text();
        assert_eq!(lines.matches("human: second question").count(), 1, "{lines}");
        assert!(lines.contains("human: first question"), "{lines}");
        let violations = rig.simulator.report().violations;
        assert!(violations.is_empty(), "{violations:?}");
    }
}

async fn a_client_that_leaves_right_after_the_end_has_its_turn() {
    let rig = Rig::new(&["anna"]).await;
    let mut connection = rig.connect().await;
    connection.send_chat(&question("hello there", true)).await;
    connection.read_until("data: [DONE]").await;
    drop(connection);
    nothing_is_left(&rig).await;
    assert_eq!(only_record(&rig).await, (200, "done".to_owned(), None));
    assert_eq!(rig.turn_count().await, 1);

    let mut talk = rig.talk(false);
    talk.messages.push(json!({ "role": "user", "content": "hello there" }));
    talk.messages.push(json!({ "role": "assistant", "content": "Answer 1: you said \"hello there\"." }));
    assert_eq!(talk.say("and now").await.turn(), "native");
}

async fn clients_that_leave_at_any_moment_leave_nothing() {
    let rig = Rig::new(&["anna"]).await;
    let requests: usize = 40;
    for round in 0..requests {
        let stream = round % 4 != 0;
        let mut connection = rig.connect().await;
        connection.send_chat(&question("say something long", stream)).await;
        // From not at all to past the end of the answer's first read.
        tokio::time::timeout(Duration::from_micros(200 * round as u64), connection.read_until("[DONE]")).await.ok();
    }
    nothing_is_left(&rig).await;
    let rows = rig.requests(1).await;
    for row in &rows {
        let (ending, status) = (row.get::<String, _>("ending"), row.get::<i64, _>("status"));
        assert!(["done", "client_gone"].contains(&ending.as_str()), "{ending} {status}");
    }
    assert!(rows.len() <= requests);
    rig.talk(true).say("still there").await;
}

async fn a_slow_reader_gets_everything() {
    const TOKENS: usize = 30_000;
    // The upstream has long said everything; a client that does not read is no silence of the upstream.
    let rig = Rig::with_settings(&["anna"], json!({ "stream_idle_timeout": 5, "keep_alive_interval": 1 })).await;
    rig.simulator.account("anna").push(Upstream::Tokens { tokens: TOKENS, interval: Duration::ZERO, thinking: 0 });
    let mut connection = rig.connect().await;
    connection.send_chat(&question("hello there", true)).await;
    connection.read_until("data: ").await;
    tokio::time::sleep(Duration::from_millis(5_500)).await;
    connection.read_until("data: [DONE]").await;
    assert_eq!(connection.text().matches("\"delta\":{\"content\":").count(), TOKENS);
    assert!(!connection.text().contains("\"error\""));
    nothing_is_left(&rig).await;
    assert_eq!(only_record(&rig).await.1, "done");
}

async fn an_orderly_stop_lets_running_answers_finish() {
    let mut rig = Rig::new(&["anna", "bert"]).await;
    let (address, pause) = (rig.gateway().address(), Duration::from_millis(400));
    let mut connections = Vec::new();
    for (account, stream) in [("anna", true), ("bert", false)] {
        rig.simulator.account(account).push(slow_text(pause));
        let mut connection = rig.connect().await;
        connection.send_chat(&question("hello there", stream)).await;
        rig.until("it is being answered", async |rig| {
            !rig.callers().is_empty() && rig.callers().last().unwrap() == account
        })
        .await;
        connections.push(connection);
    }
    connections[0].read_until("one").await;
    // A connection that waits between two requests must not hold up the stop.
    let idle = rig.connect().await;
    let (gateway, begun) = (rig.take_gateway(), Instant::now());
    let (_, ends) = tokio::join!(gateway.stop(), async {
        let mut ends = Vec::new();
        for connection in &mut connections {
            ends.push(connection.read_to_end().await);
        }
        ends
    });
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(ends[0].contains("data: [DONE]"), "{}", ends[0]);
    assert!(ends[1].contains("\"content\":\"one two\""), "{}", ends[1]);
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nothing new is taken");
    drop(idle);
    let rows = rig.requests(2).await;
    assert!(rows.iter().all(|row| row.get::<String, _>("ending") == "done"));
    assert_eq!(rig.turn_count().await, 2);
}

async fn an_answer_that_hangs_is_ended_after_the_grace() {
    let mut rig = Rig::with_settings(&["anna"], json!({ "shutdown_grace": 1 })).await;
    rig.simulator.account("anna").push(Upstream::Stall);
    let mut connection = rig.connect().await;
    connection.send_chat(&question("hello there", true)).await;
    connection.read_until("the").await;
    let (gateway, begun) = (rig.take_gateway(), Instant::now());
    let (_, end) = tokio::join!(gateway.stop(), connection.read_to_end());
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(20), "{took:?}");
    assert!(!end.contains("[DONE]"), "{end}");
    assert!(end.contains("\"code\":\"shutting_down\"") && end.ends_with("\r\n0\r\n\r\n"), "{end}");
    assert_eq!(only_record(&rig).await, (200, "shutdown".to_owned(), Some("shutting_down".to_owned())));
    assert_eq!(rig.turn_count().await, 0);
    rig.start_again().await;
    let (_, page) = rig.admin("GET", "/requests?outcome=cancelled", None).await;
    let id = page["items"][0]["id"].as_str().unwrap();
    let (_, request) = rig.admin("GET", &format!("/requests/{id}"), None).await;
    assert_eq!((&request["cause"]["code"], &request["outcome"]), (&json!("shutdown"), &json!("cancelled")));
    nothing_is_left(&rig).await;
    rig.talk(false).say("still there").await;
}

/// Whoever waits for an answer when the grace is over is told, at every stage and in every form.
async fn whoever_waits_at_the_end_of_the_grace_is_told() {
    // Streamed before the answer begins, streamed behind a keep-alive, streamed to a client that knows no chunks, whole.
    let cases = [
        (true, "1.1", 15, Upstream::hang(), None, "HTTP/1.1 503", 503),
        (true, "1.1", 1, Upstream::hang(), Some(": keep-alive"), "HTTP/1.1 200", 503),
        (true, "1.0", 15, Upstream::Stall, Some("the"), "HTTP/1.0 200", 200),
        (false, "1.1", 15, Upstream::hang(), None, "HTTP/1.1 503", 503),
        (false, "1.0", 15, Upstream::Stall, None, "HTTP/1.0 503", 503),
    ];
    for (stream, version, keep_alive, upstream, first, head, status) in cases {
        let name = format!("{stream} HTTP/{version} {first:?}");
        let settings = json!({ "shutdown_grace": 0, "keep_alive_interval": keep_alive });
        let mut rig = Rig::with_settings(&["anna"], settings).await;
        rig.simulator.account("anna").push(upstream);
        let mut connection = rig.connect().await;
        connection.send_chat_over(version, &question("hello there", stream)).await;
        rig.until("the upstream is asked", async |rig| rig.simulator.report().open_streams == 1).await;
        if let Some(first) = first {
            connection.read_until(first).await;
        }
        let gateway = rig.take_gateway();
        let (_, end) = tokio::join!(gateway.stop(), connection.read_to_end());
        assert!(end.starts_with(head) && !end.contains("[DONE]"), "{name}: {end}");
        assert_eq!(end.matches("\"code\":\"shutting_down\"").count(), 2, "{name}: {end}");
        let (recorded, ending, code) = only_record(&rig).await;
        assert_eq!((recorded, ending.as_str(), code.as_deref()), (status, "shutdown", Some("shutting_down")), "{name}");
        rig.start_again().await;
        nothing_is_left(&rig).await;
    }
}

async fn one_connection_carries_many_requests() {
    let rig = Rig::new(&["anna"]).await;
    let mut connection = rig.connect().await;
    for round in 1..=3 {
        connection.read.clear();
        connection.send_chat(&question("hello there", round % 2 == 1)).await;
        // The end of a chunked body, or of the JSON.
        connection.read_until(if round % 2 == 1 { "[DONE]\n\n\r\n0\r\n\r\n" } else { "\"estimated\":true}}" }).await;
    }
    let mut rest = [0; 1];
    let more = tokio::time::timeout(Duration::from_millis(50), connection.stream.read(&mut rest)).await;
    assert!(more.is_err(), "the connection stays open");
    nothing_is_left(&rig).await;
    assert_eq!(rig.requests(3).await.len(), 3);
    let _: Value = rig.http().get(rig.url("/health")).send().await.unwrap().json().await.unwrap();
}
