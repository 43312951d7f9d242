//! Answers on a socket that end badly, late or never, and messages in odd pieces.

use std::time::Duration;

use grok2api_simulator::{Reply, SCENARIO_TEXT, Script, Step, TurnEnd, When};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::{
    client::{World, body_json},
    endings::until,
    socket_client::{SocketClient, chunks, loading},
};

async fn asked(world: &World, reply: Reply) -> SocketClient {
    world.simulator.account("a").push(reply);
    let mut socket = world.socket("a").await;
    socket.open(chunks()).await;
    socket.put("hello").await;
    socket
}

fn text(envelopes: &[Value]) -> String {
    envelopes.iter().filter_map(|envelope| envelope["event"]["chunk"]["text"]["text"].as_str()).collect()
}

fn last_type(envelopes: &[Value]) -> &str {
    envelopes.last().and_then(|envelope| envelope["event"]["type"].as_str()).unwrap_or_default()
}

async fn stored_partial(world: &World, socket: &SocketClient) -> Value {
    let path = format!("/rest/app-chat/conversations/{}/responses", socket.session.as_deref().unwrap());
    body_json(world.get("a", &path).await).await["responses"][1]["partial"].clone()
}

#[tokio::test]
async fn turns_end_badly_in_every_way_before_and_after_text() {
    let world = World::new().await;
    for when in [When::BeforeText, When::AfterText] {
        for (end, last, status, closes) in [
            (TurnEnd::Closed, "", "", true),
            (TurnEnd::SessionEnded, "session.ended", "", true),
            (TurnEnd::Error, "error", "", false),
            (TurnEnd::Incomplete, "response.done", "incomplete", false),
            (TurnEnd::Failed, "response.done", "failed", false),
            (TurnEnd::Cancelled, "response.done", "cancelled", false),
            (TurnEnd::NoStatus, "response.done", "", false),
            (TurnEnd::Silence, "", "", false),
        ] {
            let mut socket = asked(&world, Reply::ended(end, when)).await;
            let said = if closes {
                let (said, goodbye) = socket.drain().await;
                assert!(goodbye, "{end:?}");
                said
            } else {
                socket.settle().await
            };
            assert!(last.is_empty() || last_type(&said) == last, "{end:?} {when:?}: {}", last_type(&said));
            assert_eq!(text(&said).is_empty(), when == When::BeforeText, "{end:?}");
            let done = said.last().map(|said| said["event"]["response"]["status"].clone()).unwrap_or_default();
            assert_eq!(done.as_str().unwrap_or_default(), status);
            if end != TurnEnd::Silence {
                let partial = stored_partial(&world, &socket).await;
                assert_eq!(partial, end != TurnEnd::NoStatus, "{end:?}: no status counts as completed");
            }
        }
    }
    until(|| world.simulator.report().open_sockets == 0).await;
    assert_eq!(world.simulator.report().open_streams, 0);
}

#[tokio::test]
async fn the_socket_is_healthy_after_a_turn_that_failed() {
    let world = World::new().await;
    for name in [
        "ends-failed",
        "ends-incomplete-after-text",
        "in-band-error",
        "stream-error",
        "output-throttled",
        "stored-error",
    ] {
        world.simulator.account("a").push(Reply::named(name).unwrap());
        let mut socket = world.socket("a").await;
        socket.open(chunks()).await;
        assert_ne!(socket.ask("hello").await.status(), "completed", "{name}");
        socket.parent = None;
        assert_eq!(socket.ask("again").await.status(), "completed", "{name}");
    }
}

#[tokio::test]
async fn errors_have_the_words_and_codes_of_the_socket() {
    let world = World::new().await;
    for (name, code) in
        [("in-band-anti-bot", "anti_bot"), ("in-band-rate-limit", "resource_exhausted"), ("in-band-error", "internal")]
    {
        let mut socket = asked(&world, Reply::named(name).unwrap()).await;
        let error = socket.settle().await.pop().unwrap();
        assert_eq!(error["event"]["error"]["code"], code, "{name}");
    }
    for (name, kind) in [
        ("usage-limit", "usage_limit_reached"),
        ("stream-usage-limit-after-text", "usage_limit_reached"),
        ("stream-too-long", "beyond_context_length"),
        ("output-entitlement", "entitlement_required"),
    ] {
        world.simulator.account("a").push(Reply::named(name).unwrap());
        let turn = world.ask("a", "hello").await;
        assert_eq!(turn.of_type("response.grok.output")[0]["output"]["stream_error"]["kind"], kind, "{name}");
        assert_eq!(turn.status(), "incomplete", "{name}");
    }
    world.simulator.account("a").words_before_limit(4);
    world.simulator.account("a").set_quota("fast", 0, 30, None);
    let late = world.ask("a", "hello").await;
    assert_eq!((late.text().as_str(), late.status()), ("the sea was calm", "incomplete"));
}

#[tokio::test]
async fn whoever_comes_back_finds_the_answer_that_went_on() {
    let world = World::new().await;
    let mut socket = asked(&world, Reply::drop_after_item()).await;
    let (said, _) = socket.drain().await;
    assert_eq!(last_type(&said), "conversation.item.added");
    let user = said.last().unwrap()["event"]["item"]["id"].as_str().unwrap().to_owned();
    let conversation = socket.session.clone().unwrap();
    let path = |call: &str| format!("/rest/app-chat/conversations/{conversation}/{call}");
    let tree = body_json(world.get("a", &path("response-node")).await).await;
    assert_eq!(tree["responseNodes"][0]["responseId"], user);
    let answer = tree["inflightResponses"][0]["responseId"].as_str().unwrap().to_owned();
    assert_eq!(tree["inflightResponses"][0]["parentResponseId"], user);

    let complete = async || {
        let tree = body_json(world.get("a", &path("response-node")).await).await;
        tree["inflightResponses"] == json!([])
    };
    let waiting = async {
        while !complete().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(10), waiting).await.unwrap();
    let loaded = world.post("a", &path("load-responses"), json!({"responseIds": [answer]})).await;
    let loaded = body_json(loaded).await;
    assert_eq!(loaded["responses"][0]["message"], SCENARIO_TEXT);
    let stored = loaded["responses"][0]["outputChunks"].as_array().unwrap();
    assert!(stored.iter().any(|chunk| chunk["text"]["text"] == SCENARIO_TEXT), "{stored:?}");

    let mut back = world.socket("a").await;
    back.open(loading(&conversation)).await;
    back.parent = Some(answer);
    assert_eq!(back.ask("go on").await.status(), "completed");
    assert_eq!(world.violations(), [] as [&str; 0]);
}

#[tokio::test]
async fn a_cut_answer_is_replayed_over_rest() {
    let world = World::new().await;
    let mut socket = asked(&world, Reply::cut(4, true)).await;
    let (said, goodbye) = socket.drain().await;
    assert!(goodbye && SCENARIO_TEXT.starts_with(&text(&said)) && !text(&said).is_empty());
    let created = said.iter().find(|said| said["event"]["type"] == "response.created").unwrap();
    let id = created["event"]["response"]["id"].as_str().unwrap();
    let path = format!("/rest/app-chat/conversations/reconnect-response-v2/{id}");
    let again = crate::client::Turn::read(world.get("a", &path).await).await;
    assert_eq!(again.text(), SCENARIO_TEXT);
}

#[tokio::test]
async fn a_reset_breaks_the_socket_inside_a_message() {
    let world = World::new().await;
    let mut socket = asked(&world, Reply::reset(2)).await;
    let (said, goodbye) = socket.drain().await;
    assert!(!goodbye && text(&said).len() > 1);
}

#[tokio::test]
async fn pings_are_answered_in_silence_or_not_at_all() {
    let world = World::new().await;
    let mut socket = asked(&world, Reply::quiet(Duration::from_millis(300))).await;
    while text(&socket.settle().await).is_empty() {}
    let mut beats = 0;
    while text(&socket.settle().await).is_empty() {
        beats += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(beats > 3, "{beats}");

    world.simulator.account("a").push(Reply::no_pongs());
    let mut dead = world.socket("a").await;
    dead.session = Some("11111111-2222-4333-8444-555555555555".to_owned());
    dead.send(json!({"type": "session.create", "session": {"model": "fast", "x_grok": chunks()}})).await;
    dead.receive().await;
    dead.receive().await;
    dead.put("hello").await;
    futures_util::SinkExt::send(&mut dead.stream, Message::Ping(b"?".as_slice().into())).await.unwrap();
    assert!(timeout(Duration::from_millis(300), dead.settle()).await.is_err(), "no pong in an event");
    let pong = timeout(Duration::from_millis(100), futures_util::StreamExt::next(&mut dead.stream)).await;
    assert!(pong.is_err(), "and none in a control frame");
    assert_eq!(world.simulator.report().open_streams, 1);
    drop(dead);
    until(|| world.simulator.report().streams_aborted == 1).await;
}

#[tokio::test]
async fn an_answer_may_begin_late_or_never() {
    let world = World::new().await;
    let begun = std::time::Instant::now();
    let mut slow = asked(&world, Reply::slow_first_byte(Duration::from_millis(120))).await;
    while last_type(&slow.settle().await) != "response.chunk" {}
    assert!(begun.elapsed() >= Duration::from_millis(120));
    for name in ["hang", "hang-after-headers"] {
        let mut never = asked(&world, Reply::named(name).unwrap()).await;
        let said = never.settle().await;
        assert_eq!(last_type(&said), "conversation.queue.updated", "{name}");
        assert!(timeout(Duration::from_millis(100), never.receive()).await.is_err());
    }
}

#[tokio::test]
async fn sessions_fail_to_open_in_every_way() {
    let world = World::new().await;
    let open = async |name: &str| {
        world.simulator.account("a").push(Reply::named(name).unwrap());
        let mut socket = world.socket("a").await;
        socket.send(json!({"type": "session.create", "session": {"model": "fast", "x_grok": chunks()}})).await;
        socket
    };
    assert_eq!(open("session-silent").await.settle().await, [] as [Value; 0]);
    world.simulator.account("a").clear();
    assert_eq!(open("session-closed").await.drain().await, (Vec::new(), true));
    world.simulator.account("a").clear();
    for (name, code) in [("session-not-found", "conversation_not_found"), ("session-anti-bot", "anti_bot")] {
        let said = open(name).await.settle().await;
        assert_eq!((said.len(), &said[0]["event"]["error"]["code"]), (1, &json!(code)));
        assert_eq!(said[0]["event"]["client_event_id"], "evt_test_1");
        world.simulator.account("a").clear();
    }
}

#[tokio::test]
async fn an_oversized_message_is_sent_to_whoever_takes_it() {
    let world = World::new().await;
    let mut socket = asked(&world, Reply::oversized()).await;
    let error = loop {
        match socket.message().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error.to_string(),
            None => panic!("it ended well"),
        }
    };
    assert!(error.contains("too long") || error.contains("capacity") || error.contains("size"), "{error}");
    drop(socket);
    until(|| world.simulator.report().open_sockets == 0).await;

    let script =
        Script::answer(vec![Step::Text("before ".into()), Step::Oversized(1 << 20), Step::Text("after".into())]);
    world.simulator.account("a").push(Reply::Script(script));
    let turn = world.ask("a", "hello").await;
    assert_eq!(turn.text(), "before after");
    assert_eq!(turn.of_type("conversation.padding").len(), 1);
}

/// Texts of the messages in which an answer comes, and the control pings before its end.
async fn messages(world: &World, reply: Reply) -> (Vec<String>, usize) {
    let mut socket = asked(world, reply).await;
    let (mut texts, mut pings) = (Vec::new(), 0);
    loop {
        match socket.message().await.unwrap().unwrap() {
            Message::Text(text) => {
                texts.push(text.to_string());
                if text.contains("follow_up_suggestions") {
                    return (texts, pings);
                }
            }
            Message::Ping(_) => pings += 1,
            _ => {}
        }
    }
}

fn objects(messages: &[String]) -> Vec<Value> {
    let all = messages.concat();
    serde_json::Deserializer::from_str(&all).into_iter::<Value>().collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn messages_come_in_fragments_and_several_at_once() {
    let world = World::new().await;
    let (split, pings) = messages(&world, Reply::split_everywhere()).await;
    assert_eq!(text(&objects(&split)), SCENARIO_TEXT);
    assert!(pings >= split.len() - 1, "a control ping inside each message: {pings}");

    for name in ["glued", "crlf", "blank-lines", "no-last-newline", "glued-split"] {
        let (glued, _) = messages(&world, Reply::named(name).unwrap()).await;
        let objects = objects(&glued);
        assert_eq!(text(&objects), SCENARIO_TEXT, "{name}");
        assert!(glued.len() < objects.len() / 2, "{name}: {} messages", glued.len());
    }
}

#[tokio::test]
async fn what_nobody_knows_comes_in_every_place() {
    let world = World::new().await;
    let (texts, pings) = messages(&world, Reply::unknown_kinds()).await;
    assert!(pings == 1 && texts.iter().any(|text| serde_json::from_str::<Value>(text).is_err()));
    let all = texts.join("\n");
    for word in ["conversation.hologram.updated", "render_hologram", "CHANNEL_FROM_THE_FUTURE", "quantum_entanglement"]
    {
        assert!(all.contains(word), "{word}");
    }
}

#[tokio::test]
async fn the_opening_may_be_swapped_and_foreign() {
    let world = World::new().await;
    let opening = async |name: &str| {
        world.simulator.account("a").push(Reply::named(name).unwrap());
        let mut socket = world.socket("a").await;
        let said = socket.open(chunks()).await;
        (said.iter().map(|said| said["event"]["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>(), said, socket)
    };
    let (kinds, _, mut socket) = opening("order-swap").await;
    assert_eq!(kinds, ["conversation.attached", "session.created"]);
    assert_eq!(socket.ask("hello").await.text(), SCENARIO_TEXT);
    let (kinds, said, mut socket) = opening("foreign-frames").await;
    assert_eq!(kinds[2..], ["session.created", "session.created", "conversation.attached"]);
    assert_ne!(said[0]["session_id"], said[3]["session_id"]);
    assert_eq!(said[2]["session_id"], said[3]["session_id"], "ours, but an answer to somebody else");
    assert_eq!(socket.ask("hello").await.text(), SCENARIO_TEXT);
    let (kinds, _, mut socket) = opening("history").await;
    assert_eq!(kinds.iter().filter(|kind| *kind == "conversation.history.item").count(), 300);
    assert_eq!(socket.ask("hello").await.text(), SCENARIO_TEXT);
}

#[tokio::test]
async fn late_headings_name_no_answer() {
    let world = World::new().await;
    world.simulator.account("a").push(Reply::named("thinking-after-the-end").unwrap());
    let turn = world.ask("a", "hello").await;
    let late = turn
        .of_type("response.chunk")
        .into_iter()
        .filter(|event| event["chunk"]["text"]["text"].as_str().is_some_and(|text| text.starts_with("LATE HEADING")));
    let ids: Vec<_> = late.map(|event| event["response_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, [turn.response(), turn.response(), String::new()]);
}

#[tokio::test]
async fn tools_and_citations_come_in_every_disorder() {
    let world = World::new().await;
    world.simulator.account("a").push(Reply::named("tools-out-of-order").unwrap());
    let tools = world.ask("a", "hello").await;
    let results = tools.payloads("tool_result");
    let ids: Vec<_> =
        results.iter().map(|result| result["tool_call_id"].as_str().map(|id| id[..8].to_owned())).collect();
    let id = |id: &str| Some(id.to_owned());
    assert_eq!(ids, [id("00000002"), id("00000003"), id("00000001"), None]);
    assert_eq!(results[0]["x_post"]["posts"], json!([]));
    assert_eq!(results[1]["web_search"]["webpages"].as_array().unwrap().len(), 1);
    assert_eq!(results[3]["code_execution"]["exit_code"], 0);
    assert_eq!(tools.payloads("tool_usage_card").len(), 4);

    world.simulator.account("a").push(Reply::named("citations-repeated").unwrap());
    let cited = world.ask("a", "hello").await;
    let citations = cited.payloads("render_citation");
    assert_eq!(citations[0]["url"], citations[1]["url"]);
    assert!(citations[4].get("url").is_none());
    assert_eq!(citations[5]["kind"], "CITATION_KIND_HOLOGRAM");
    assert_eq!(citations.len(), 26);
}

#[tokio::test]
async fn events_are_scripted_over_http_too() {
    let world = World::new().await;
    let events = json!([
        {"type": "response.created", "response": {"id": "$response", "status": "in_progress"}},
        {"type": "response.chunk", "response_id": "$response", "chunk": {"text": {"text": "raw", "channel": "CHANNEL_ASSISTANT_RESPONSE"}}},
        {"type": "response.done", "response": {"id": "$response", "status": "completed"}},
    ]);
    let control = world.bare(reqwest::Method::POST, "/__simulator/accounts/a/reply");
    control.body(json!({"events": events}).to_string()).send().await.unwrap();
    let mut socket = world.socket("a").await;
    socket.open(chunks()).await;
    assert_eq!(socket.ask("hello").await.text(), "raw");
    let recited = socket.ask("recite").await;
    assert_eq!(recited.text(), "human: hello\nassistant: raw\nhuman: recite");
    assert_eq!(world.violations(), [] as [&str; 0]);
}

#[tokio::test]
async fn every_named_reply_can_be_asked_for_on_a_socket() {
    let world = World::new().await;
    for name in Reply::names() {
        let account = world.simulator.account("a");
        account.push(Reply::named(name).unwrap());
        // A refusal meets the upgrade, and some openings fail: what counts is that nothing is left over.
        let Ok((stream, _)) = tokio_tungstenite::connect_async(world.upgrade("a")).await else {
            assert_eq!(account.queued(), 0, "{name}");
            continue;
        };
        let mut socket = SocketClient::over(stream);
        let create = json!({"type": "session.create", "session": {"model": "fast", "x_grok": chunks()}});
        socket.send(create).await;
        let opening = async {
            loop {
                let said = socket.receive_any().await?;
                let session = said["session_id"].as_str().unwrap_or_default();
                if said["event"]["type"] == "conversation.attached" && !session.starts_with("f0f0f0f0") {
                    return Some(session.to_owned());
                }
            }
        };
        if let Ok(Some(session)) = timeout(Duration::from_millis(100), opening).await {
            socket.session = Some(session);
            socket.put("hello").await;
            let reading = async { while socket.receive_any().await.is_some() {} };
            let _ = timeout(Duration::from_millis(30), reading).await;
        }
        drop(socket);
        account.clear();
        account.set_quota("fast", 1000, 1000, None);
    }
    until(|| world.simulator.report().open_sockets == 0).await;
    let report = world.simulator.report();
    assert_eq!((report.open_streams, world.violations()), (0, Vec::new()));
    assert!(report.over(grok2api_simulator::Transport::Socket) > 70, "{:?}", report.transports);
}
