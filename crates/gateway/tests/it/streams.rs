//! Streamed answers: the form of their chunks, reasoning, keep-alives, cuts and errors. And that both forms say the same.

use std::time::Duration;

use grok2api_simulator::{Reply as Upstream, SCENARIO_TEXT, Severity, Step, Thinking, When};
use serde_json::{Value, json};

use crate::harness::{KEY, Reply, Rig};
use crate::probes::{question, refusal};
use crate::transports::over_both_transports;

over_both_transports! {
    chunks_have_the_form_that_clients_read,
    usage_is_estimated_and_only_streamed_when_asked_for,
    reasoning_shows_as_the_request_the_key_or_the_settings_say,
    search_steps_show_among_the_reasoning_when_wanted,
    both_forms_of_every_answer_say_the_same,
    a_comment_keeps_silent_streams_alive,
    a_failure_behind_a_keep_alive_is_an_error_event,
    a_cut_is_mended_without_a_word_twice,
    a_cut_that_cannot_be_mended_ends_with_an_error,
    a_connection_that_breaks_is_a_cut,
    an_error_after_text_ends_the_stream_and_charges_the_account,
    an_error_before_the_first_event_has_a_status_of_its_own,
    silence_and_length_of_a_stream_are_limited,
    request_ids_are_kept_or_made,
    members_that_are_not_used_are_named,
}

const THOUGHTS: &str = "Weighing the options";

/// The visible content as sent, tags included.
fn content(reply: &Reply) -> String {
    match reply.chunks.is_empty() {
        true => reply.body["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned(),
        false => reply.deltas("content"),
    }
}

/// Reasoning in a member of its own.
fn reasoning_content(reply: &Reply) -> String {
    match reply.chunks.is_empty() {
        true => reply.body["choices"][0]["message"]["reasoning_content"].as_str().unwrap_or_default().to_owned(),
        false => reply.deltas("reasoning_content"),
    }
}

/// Role first, finish last, one kind of thing in each chunk between: clients lose the second one.
fn one_kind_each(chunks: &[Value]) {
    for (index, chunk) in chunks.iter().enumerate() {
        let choices = chunk["choices"].as_array().unwrap();
        assert_eq!(choices.len(), 1);
        let members: Vec<&String> = choices[0]["delta"].as_object().unwrap().keys().collect();
        let is_last = index + 1 == chunks.len();
        assert_eq!(choices[0]["finish_reason"], if is_last { json!("stop") } else { Value::Null });
        match index {
            0 => assert_eq!(members, ["content", "role"]),
            _ if is_last => assert!(members.is_empty(), "{chunk}"),
            _ => assert_eq!(members.len(), 1, "{chunk}"),
        }
    }
}

fn text_with(steps: Vec<Step>) -> Upstream {
    let word = |word: &str| Step::Text(word.to_owned());
    Upstream::answer([vec![word("one "), word("two ")], steps, vec![word("three")]].concat())
}

async fn chunks_have_the_form_that_clients_read() {
    let rig = Rig::new(&["anna"]).await;
    rig.simulator.account("anna").push(Upstream::named("thinking").unwrap());
    let mut body = question("hello there", true);
    body["reasoning_format"] = json!("reasoning_content");
    body["stream_options"] = json!({ "include_usage": true });
    let reply = rig.chat(body).await.ok();
    assert!(reply.header("content-type").starts_with("text/event-stream"));
    assert_eq!((reply.header("cache-control"), reply.header("x-accel-buffering")), ("no-cache", "no"));
    assert!(reply.conversation_id().starts_with("conv-"));

    let (usage, chunks) = reply.chunks.split_last().unwrap();
    assert_eq!(usage["choices"], json!([]));
    let first = &chunks[0]["choices"][0]["delta"];
    assert_eq!((&first["role"], &first["content"]), (&json!("assistant"), &json!("")));
    one_kind_each(chunks);
    for chunk in chunks {
        assert_eq!(chunk["object"], "chat.completion.chunk");
        assert_eq!(chunk["id"], chunks[0]["id"]);
        assert_eq!(chunk["conversation_id"], chunks[0]["conversation_id"]);
        assert_eq!(chunk["model"], "grok-4.2");
        assert!(chunk.get("usage").is_none());
    }
    assert!(chunks[0]["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert_eq!(chunks[0]["created"], 1_788_220_800);
    assert_eq!(reply.text(), SCENARIO_TEXT);
    assert!(reasoning_content(&reply).contains(THOUGHTS));
}

async fn usage_is_estimated_and_only_streamed_when_asked_for() {
    let rig = Rig::new(&["anna"]).await;
    let plain = rig.chat(question("hello there", true)).await.ok();
    assert!(plain.chunks.iter().all(|chunk| chunk.get("usage").is_none() && chunk["choices"] != json!([])));

    let whole = rig.chat(question("hello there", false)).await.ok();
    let mut body = question("hello there", true);
    body["stream_options"] = json!({ "include_usage": true });
    let streamed = rig.chat(body).await.ok();
    let usage = &streamed.chunks.last().unwrap()["usage"];
    assert_eq!(usage, &whole.body["usage"]);
    assert_eq!(usage["estimated"], true);
    let figure = |name: &str| usage[name].as_u64().unwrap();
    assert!(figure("prompt_tokens") > 0 && figure("completion_tokens") > 0);
    assert_eq!(figure("total_tokens"), figure("prompt_tokens") + figure("completion_tokens"));
}

async fn reasoning_shows_as_the_request_the_key_or_the_settings_say() {
    let rig = Rig::new(&["anna"]).await;
    rig.simulator.account("anna").always(Upstream::named("thinking"));
    let shown_as = async |key: &str, members: Value, stream: bool| {
        let mut body = question("hello there", stream);
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let reply = rig.chat_as(key, body, &[]).await.ok();
        assert_eq!(reply.text(), SCENARIO_TEXT);
        let (content, reasoning) = (content(&reply), reasoning_content(&reply));
        assert_eq!(content.matches("<think>").count(), content.matches("</think>").count());
        match (content.starts_with("<think>\n") && content.contains(THOUGHTS), reasoning.contains(THOUGHTS)) {
            (true, false) => "think_tags",
            (false, true) => "reasoning_content",
            (false, false) => {
                assert_eq!((content.as_str(), reasoning.as_str()), (SCENARIO_TEXT, ""));
                "hidden"
            }
            (true, true) => "both",
        }
    };
    let (_, made) = rig.admin("POST", "/keys", Some(json!({ "name": "phone" }))).await;
    let (id, key) = (made["keys"][0]["id"].as_str().unwrap(), made["keys"][0]["key"].as_str().unwrap());
    for stream in [false, true] {
        // By setting.
        for format in ["think_tags", "reasoning_content"] {
            rig.change_settings(json!({ "reasoning_format": format })).await;
            assert_eq!(shown_as(KEY, json!({}), stream).await, format);
        }
        rig.change_settings(json!({ "show_thinking": false })).await;
        assert_eq!(shown_as(KEY, json!({}), stream).await, "hidden");
        // By key, over the setting.
        for reasoning in ["think_tags", "reasoning_content", "hidden"] {
            rig.admin("PATCH", &format!("/keys/{id}"), Some(json!({ "reasoning": reasoning }))).await;
            assert_eq!(shown_as(key, json!({}), stream).await, reasoning);
            rig.change_settings(json!({ "show_thinking": true })).await;
            assert_eq!(shown_as(key, json!({}), stream).await, reasoning);
        }
        // By request, over both.
        assert_eq!(shown_as(key, json!({ "show_thinking": true }), stream).await, "reasoning_content");
        let tags = json!({ "show_thinking": true, "reasoning_format": "think_tags" });
        assert_eq!(shown_as(key, tags, stream).await, "think_tags");
        assert_eq!(shown_as(KEY, json!({ "reasoning_effort": "none" }), stream).await, "hidden");
        assert_eq!(shown_as(KEY, json!({ "thinking": { "type": "disabled" } }), stream).await, "hidden");
    }
}

async fn search_steps_show_among_the_reasoning_when_wanted() {
    let rig = Rig::new(&["anna"]).await;
    for stream in [false, true] {
        for (settings, shown) in [
            (json!({ "show_search": true, "show_thinking": true }), true),
            (json!({ "show_search": false, "show_thinking": true }), false),
            (json!({ "show_search": true, "show_thinking": false }), false),
        ] {
            rig.change_settings(settings.clone()).await;
            let reply = rig.chat(question("please search", stream)).await.ok();
            assert_eq!(content(&reply).contains("🔍"), shown, "{settings}: {}", content(&reply));
            assert!(reply.text().contains("https://example.org/alps"), "{}", reply.text());
        }
    }
}

async fn both_forms_of_every_answer_say_the_same() {
    let settings = json!({ "request_timeout": 1, "stream_idle_timeout": 1, "reasoning_format": "reasoning_content" });
    let mut answered = 0;
    for name in Upstream::names() {
        let rig = Rig::with_settings(&["anna"], settings.clone()).await;
        let scenario = Upstream::named(name).unwrap();
        let (mut shown, mut recited) = (Vec::new(), Vec::new());
        for stream in [false, true] {
            rig.simulator.account("anna").clear();
            rig.simulator.account("anna").push(scenario.clone());
            let mut talk = rig.talk(stream);
            let reply = talk.ask("hello there").await;
            if reply.status != 200 || !reply.error().is_null() {
                assert!(!reply.done, "{name}: an answer that failed must not look whole");
                shown.push(None);
                let id = rig.account("anna").await["id"].as_str().unwrap().to_owned();
                rig.admin("POST", &format!("/accounts/{id}/actions/clear_cooldown"), None).await;
                rig.simulator.account("anna").set_quota("auto", 100, 100, None);
                continue;
            }
            let reply = reply.ok();
            one_kind_each(&reply.chunks);
            shown.push(Some((without_image_names(&reply.text()), reasoning_content(&reply))));
            talk.messages.push(json!({ "role": "user", "content": "hello there" }));
            talk.messages.push(json!({ "role": "assistant", "content": reply.text() }));
            let next = talk.ask("recite").await.ok();
            assert_eq!(next.turn(), "native", "{name}");
            recited.push(without_image_names(&next.text()));
        }
        assert_eq!(shown[0], shown[1], "{name}");
        if let [whole, streamed] = recited.as_slice() {
            assert_eq!(whole, streamed, "{name}");
            assert!(whole.starts_with("human: hello there\nassistant: "), "{name}: {whole}");
            answered += 1;
        }
        let violations = rig.simulator.report().violations;
        assert!(violations.is_empty(), "{name}: {violations:?}");
    }
    assert!(answered >= 30, "only {answered} answered");
}

async fn a_comment_keeps_silent_streams_alive() {
    let rig = Rig::with_settings(&["anna"], json!({ "keep_alive_interval": 1 })).await;
    rig.simulator.account("anna").push(text_with(vec![Step::Wait(Duration::from_millis(2_300))]));
    let reply = rig.chat(question("hello there", true)).await.ok();
    assert_eq!((reply.text().as_str(), reply.comments), ("one two three", 2));

    // Before the first event: the answer begins with a comment, and attempts go on behind it.
    rig.simulator.account("anna").push(Upstream::slow_first_byte(Duration::from_millis(2_300)));
    let reply = rig.chat(question("hello there", true)).await.ok();
    assert_eq!((reply.text().as_str(), reply.comments), (SCENARIO_TEXT, 2));
    assert!(reply.chunks[0]["conversation_id"].as_str().unwrap().starts_with("conv-"));

    // Whole answers have nothing to keep alive.
    rig.simulator.account("anna").push(Upstream::slow_first_byte(Duration::from_millis(1_200)));
    assert_eq!(rig.chat(question("hello there", false)).await.ok().text(), SCENARIO_TEXT);
}

async fn a_failure_behind_a_keep_alive_is_an_error_event() {
    let rig = Rig::with_settings(&["anna"], json!({ "keep_alive_interval": 1 })).await;
    let steps =
        vec![Step::Wait(Duration::from_millis(1_300)), Step::TopLevelError { code: 13.into(), message: "no".into() }];
    rig.simulator.account("anna").push(Upstream::steps(steps));
    let reply = rig.chat(question("hello there", true)).await;
    assert_eq!((reply.status, reply.comments > 0, reply.done), (200, true, false));
    assert_eq!(reply.error()["code"], "upstream_error");
    assert_eq!(reply.error()["request_id"], reply.header("x-request-id"));
    assert_eq!(reply.chunks.len(), 1);
    let rows = rig.requests(1).await;
    let ending: String = sqlx::Row::get(&rows[0], "ending");
    assert_eq!(ending, "failed");
}

async fn a_cut_is_mended_without_a_word_twice() {
    for name in ["cut", "cut-before-text"] {
        for stream in [false, true] {
            let rig = Rig::new(&["anna"]).await;
            rig.simulator.account("anna").push(Upstream::named(name).unwrap());
            let mut talk = rig.talk(stream);
            assert_eq!(talk.say("hello there").await.text(), SCENARIO_TEXT, "{name}");
            let report = rig.simulator.report();
            assert_eq!((report.count("new"), report.count("reconnect")), (1, 1), "{name}");
            assert_eq!(talk.say("and now").await.turn(), "native", "{name}");
            assert_eq!(rig.account("anna").await["consecutive_failures"], 0);
        }
    }
}

async fn a_cut_that_cannot_be_mended_ends_with_an_error() {
    for (name, fail_reconnect, reconnects) in [("cut-for-good", false, 0), ("cut", true, 1)] {
        for stream in [false, true] {
            let rig = Rig::new(&["anna"]).await;
            rig.simulator.account("anna").fail_reconnect(fail_reconnect);
            rig.simulator.account("anna").push(Upstream::named(name).unwrap());
            let reply = rig.chat(question("hello there", stream)).await;
            assert_eq!(reply.error()["code"], "upstream_truncated", "{name}");
            assert_eq!((reply.status, reply.done), (if stream { 200 } else { 502 }, false), "{name}");
            if stream {
                assert_eq!(reply.text(), "Grüße! The \"quick\" brown", "{name}");
            }
            let report = rig.simulator.report();
            // Something had left already or might have: not tried with anybody else, and asked for once.
            assert_eq!((report.count("new"), report.count("response_node")), (1, 1), "{name}");
            assert_eq!(report.count("reconnect"), reconnects, "{name}");
            assert_eq!(rig.account("anna").await["consecutive_failures"], 1, "{name}");
            assert_eq!(rig.attempts("truncated").await, 1, "{name}");
            assert_eq!(rig.turn_count().await, 0, "{name}");
        }
    }
}

async fn a_connection_that_breaks_is_a_cut() {
    for stream in [false, true] {
        let rig = Rig::new(&["anna"]).await;
        rig.simulator.account("anna").push(Upstream::reset(4));
        let reply = rig.chat(question("hello there", stream)).await;
        assert_eq!((reply.status, reply.done), (if stream { 200 } else { 502 }, false));
        assert_eq!(reply.error()["code"], "upstream_error");
        assert_eq!(rig.simulator.report().count("response_node"), 1);
    }
}

async fn an_error_after_text_ends_the_stream_and_charges_the_account() {
    for (name, code, state) in [
        ("in-band-error-after-text", "upstream_error", "available"),
        ("stream-error-after-text", "upstream_error", "available"),
        ("in-band-rate-limit-after-text", "upstream_rate_limited", "cooling"),
        ("stream-usage-limit-after-text", "upstream_rate_limited", "cooling"),
    ] {
        for stream in [false, true] {
            let rig = Rig::new(&["anna", "bert"]).await;
            rig.simulator.account("anna").push(Upstream::named(name).unwrap());
            let reply = rig.chat(question("hello there", stream)).await;
            assert_eq!(reply.error()["code"], code, "{name}");
            assert!(!reply.done, "{name}");
            if stream {
                assert_eq!((reply.status, reply.text().as_str()), (200, "Grüße! The \"quick\""), "{name}");
                assert_eq!(reply.chunks.last().unwrap()["error"]["code"], code, "nothing follows the error: {name}");
                assert_eq!(reply.chunks.last().unwrap()["detail"]["error"]["code"], code);
            } else {
                assert!(reply.status >= 429, "{name}");
            }
            // Something had been told: nobody else may begin anew.
            assert_eq!(rig.callers(), ["anna"], "{name}");
            let account = rig.account("anna").await;
            assert_eq!(account["state"]["name"], state, "{name}");
            assert_eq!(account["consecutive_failures"] == 1, state == "available", "{name}");
            assert_eq!(rig.turn_count().await, 0, "{name}");
        }
    }
}

async fn an_error_before_the_first_event_has_a_status_of_its_own() {
    let rig = Rig::new(&["anna"]).await;
    rig.simulator.account("anna").push(Upstream::stream_error(
        "beyondContextLength",
        Severity::Fatal,
        When::BeforeText,
    ));
    let reply = rig.chat(question("hello there", true)).await;
    assert_eq!(refusal(&reply), (400, "context_length_exceeded"));
    assert!(reply.header("content-type").starts_with("application/json"));
    // Thinking that is not shown is no event: the next account may still try.
    rig.change_settings(json!({ "show_thinking": false })).await;
    rig.add_account("bert").await;
    let steps = vec![Step::Opening, Thinking::summary(0, "- Hm.\n"), Step::Cut { reconnectable: false }];
    rig.simulator.account("anna").push(Upstream::steps(steps));
    rig.chat(question("hello there", true)).await.ok();
    assert_eq!(rig.callers(), ["anna", "anna", "bert"]);
}

async fn silence_and_length_of_a_stream_are_limited() {
    let tokens = Upstream::Tokens { tokens: 40, interval: Duration::from_millis(100), thinking: 0 };
    let after_mending = Upstream::steps(
        [
            vec![Step::Opening, Step::Text("one".to_owned()), Step::Cut { reconnectable: true }],
            vec![Step::Text(" two".to_owned()), Step::Hang],
        ]
        .concat(),
    );
    for (settings, reply, verdict) in [
        (json!({ "stream_idle_timeout": 1 }), Upstream::hang_after(3), "timeout_idle"),
        (json!({ "stream_idle_timeout": 1 }), Upstream::Stall, "timeout_idle"),
        (json!({ "stream_idle_timeout": 1 }), after_mending, "timeout_idle"),
        (json!({ "request_timeout": 1, "stream_timeout": 1 }), tokens, "timeout_total"),
    ] {
        for stream in [false, true] {
            let rig = Rig::with_settings(&["anna"], settings.clone()).await;
            rig.simulator.account("anna").push(reply.clone());
            let reply = rig.chat(question("hello there", stream)).await;
            assert_eq!((reply.status, reply.done), (if stream { 200 } else { 504 }, false), "{verdict}");
            assert_eq!(reply.error()["code"], "upstream_timeout", "{verdict}");
            assert_eq!(rig.attempts(verdict).await, 1, "{verdict}");
            assert_eq!(rig.account("anna").await["consecutive_failures"], 1, "{verdict}");
            rig.quiet().await;
        }
    }
}

async fn request_ids_are_kept_or_made() {
    let rig = Rig::new(&["anna"]).await;
    let (long, good) = ("x".repeat(129), "my-id_1.2:3");
    for stream in [false, true] {
        let reply = rig.chat_as(KEY, question("hello there", stream), &[("x-request-id", good)]).await.ok();
        assert_eq!(reply.header("x-request-id"), good);
        for bad in ["", "a b", "a\"b", "ü", long.as_str()] {
            let reply = rig.chat_as(KEY, question("hello there", stream), &[("x-request-id", bad)]).await.ok();
            assert!(reply.header("x-request-id").starts_with("req-"), "{bad:?}: {}", reply.header("x-request-id"));
        }
        let reply = rig.chat_as("sk-wrong", question("hello there", stream), &[("x-request-id", good)]).await;
        assert_eq!((reply.header("x-request-id"), reply.error()["request_id"].as_str()), (good, Some(good)));
    }
    let made = (rig.chat(question("a", false)).await, rig.chat(question("b", false)).await);
    assert_ne!(made.0.header("x-request-id"), made.1.header("x-request-id"));
}

async fn members_that_are_not_used_are_named() {
    let rig = Rig::new(&["anna"]).await;
    for stream in [false, true] {
        let plain = rig.chat(question("hello there", stream)).await.ok();
        assert_eq!(plain.header("x-grok2api-ignored"), "");
        let mut body = question("hello there", stream);
        body["temperature"] = json!(0.7);
        body["logit_bias"] = json!({ "50256": -100 });
        body["seed"] = Value::Null;
        let reply = rig.chat(body).await.ok();
        assert_eq!(reply.header("x-grok2api-ignored"), "logit_bias, temperature");
    }
}

/// Names of images are made anew for every answer, so that nobody can guess them.
fn without_image_names(text: &str) -> String {
    let mut parts = text.split("/images/");
    let mut named = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        named.push_str("/images/…");
        named.push_str(part.trim_start_matches(|character: char| character.is_ascii_alphanumeric()));
    }
    named
}
