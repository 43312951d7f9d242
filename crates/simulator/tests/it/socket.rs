//! The plain turn over the WebSocket.

use serde_json::json;

use crate::{
    client::{World, body_json},
    socket_client::{chunks, loading},
};

const NONE: [&str; 0] = [];

#[tokio::test]
async fn a_turn_has_the_usual_sequence() {
    let world = World::new().await;
    let mut socket = world.socket("a").await;
    let opened = socket.open(chunks()).await;
    let kinds: Vec<&str> = opened.iter().filter_map(|said| said["event"]["type"].as_str()).collect();
    assert_eq!(kinds, ["session.created", "conversation.attached"]);
    assert_eq!(opened[0]["event"]["client_event_id"], "evt_test_1");
    assert_eq!(opened[0]["event"]["session"]["model"], "fast");
    assert_eq!(opened[1]["event"]["conversation"]["id"], opened[1]["session_id"]);
    assert_eq!(opened[1]["event"]["mode"], "new");

    let turn = socket.ask("Hello there").await;
    assert_eq!(turn.text(), "Answer 1: you said \"Hello there\".");
    assert_eq!(
        turn.kinds(),
        [
            "conversation.queue.updated",
            "conversation.item.added",
            "response.created",
            "response.output_item.added",
            "response.content_part.added",
            "response.chunk",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.done",
            "response.persisted",
            "conversation.title.updated",
            "response.chunk"
        ]
    );
    assert_eq!(turn.status(), "completed");
    assert_eq!(turn.of_type("response.created")[0]["client_event_id"], "evt_test_3");
    assert_eq!(turn.of_type("response.output_text.done")[0]["text"], turn.text());
    assert_eq!(turn.of_type("conversation.title.updated")[0]["title"], "Hello there");
    assert!(turn.chunks().last().unwrap().get("follow_up_suggestions").is_some());
    assert!(turn.envelopes.iter().all(|envelope| envelope["session_id"] == turn.conversation.as_str()));
    assert_eq!(world.violations(), NONE);
}

#[tokio::test]
async fn events_are_counted_over_the_session() {
    let world = World::new().await;
    let mut socket = world.socket("a").await;
    let mut envelopes = socket.open(chunks()).await;
    envelopes.extend(socket.ask("One").await.envelopes);
    envelopes.extend(socket.ask("Two").await.envelopes);
    let ids: Vec<&str> = envelopes.iter().filter_map(|envelope| envelope["event"]["event_id"].as_str()).collect();
    let prefix = ids[0].strip_suffix('1').unwrap();
    assert_eq!(prefix.len(), "evt_".len() + 32 + "_".len());
    let expected: Vec<String> = (1..=ids.len()).map(|number| format!("{prefix}{number}")).collect();
    assert_eq!(ids, expected);
}

#[tokio::test]
async fn a_turn_on_the_socket_is_stored_as_any_other() {
    let world = World::new().await;
    let turn = world.ask("a", "please think and search").await;
    let rest = turn.rest();
    let tree = body_json(world.get("a", &rest.path("response-node")).await).await;
    let user = turn.of_type("conversation.item.added")[0]["item"]["id"].clone();
    assert_eq!(tree["responseNodes"][0]["responseId"], user);
    assert_eq!(tree["responseNodes"][1]["responseId"], turn.response());
    assert_eq!(tree["responseNodes"][1]["parentResponseId"], user);

    let ids = json!({"responseIds": [user, turn.response()]});
    let loaded = body_json(world.post("a", &rest.path("load-responses"), ids).await).await;
    assert_eq!(loaded["responses"][0]["inputChunks"], json!([{"text": {"text": "please think and search"}}]));
    let answer = &loaded["responses"][1];
    assert!(answer["message"].as_str().unwrap().contains("<grok:render card_id=\"9af310\""), "{answer}");
    assert_eq!(answer["cardAttachmentsJson"].as_array().unwrap().len(), 1);
    let chunks = answer["outputChunks"].as_array().unwrap();
    let texts: Vec<_> =
        chunks.iter().filter(|chunk| chunk["text"]["channel"] == "CHANNEL_ASSISTANT_RESPONSE").collect();
    assert_eq!(texts.len(), 1, "neighbouring texts are merged: {chunks:?}");
    assert_eq!(texts[0]["text"]["text"], turn.text());
    assert!(texts[0]["metadata"]["stepId"].is_u64());
    assert!(chunks.iter().any(|chunk| chunk["renderCitation"]["citationId"] == 0));
    assert!(chunks.iter().any(|chunk| chunk["toolUsageCard"]["webSearch"]["args"]["query"].is_string()));
    assert_eq!(world.violations(), NONE);
}

#[tokio::test]
async fn conversations_go_on_over_either_transport() {
    let world = World::new().await;
    let first = world.ask("a", "first message").await;
    let second = world.next_chat("a", &first.rest(), "second, over REST").await;

    let mut socket = world.socket("a").await;
    let opened = socket.open(loading(&first.conversation)).await;
    assert_eq!(opened[1]["event"]["conversation"]["id"], first.conversation);
    socket.parent = Some(second.response);
    let third = socket.ask("recite").await;
    assert_eq!(
        third.text(),
        "human: first message\nassistant: Answer 1: you said \"first message\".\nhuman: second, over REST\n\
         assistant: Answer 2: you said \"second, over REST\".\nhuman: recite"
    );
    assert!(third.of_type("conversation.title.updated").is_empty(), "only a new conversation gets a title");

    let elsewhere = world.new_chat("a", "begun over REST").await;
    let mut socket = world.socket("a").await;
    socket.open(loading(&elsewhere.conversation)).await;
    socket.parent = Some(elsewhere.response);
    assert_eq!(socket.ask("recite").await.text().lines().count(), 3);
    assert_eq!(world.violations(), NONE);
}

#[tokio::test]
async fn a_conversation_from_the_socket_moves_to_another_account() {
    let world = World::new().await;
    let first = world.ask("a", "begun on a socket").await;
    let share = json!({"responseId": first.response(), "allowIndexing": false});
    let link = body_json(world.post("a", &first.rest().path("share"), share).await).await;
    let clone = format!("/rest/app-chat/share_links/{}/clone", link["shareLinkId"].as_str().unwrap());
    let cloned = body_json(world.post("b", &clone, json!({})).await).await;
    assert_eq!(cloned["responses"][0]["inputChunks"], json!([{"text": {"text": "begun on a socket"}}]));
    assert!(cloned["responses"][1]["outputChunks"].as_array().is_some_and(|chunks| !chunks.is_empty()));

    let mut socket = world.socket("b").await;
    socket.open(loading(cloned["conversation"]["conversationId"].as_str().unwrap())).await;
    socket.parent = cloned["responses"][1]["responseId"].as_str().map(str::to_owned);
    assert_eq!(socket.ask("recite").await.text().lines().count(), 3);
    assert_eq!(world.violations(), NONE);
}

#[tokio::test]
async fn one_socket_carries_several_turns() {
    let world = World::new().await;
    let mut socket = world.socket("a").await;
    let mut wishes = chunks();
    wishes["keep_context"] = true.into();
    socket.open(wishes).await;
    socket.ask("One").await;
    assert_eq!(socket.ask("Two").await.text(), "Answer 2: you said \"Two\".");
    assert_eq!(socket.ask("recite").await.text().lines().count(), 5);
    assert_eq!(world.violations(), NONE);

    let mut forgetful = world.socket("a").await;
    let mut wishes = chunks();
    wishes["keep_context"] = false.into();
    forgetful.open(wishes).await;
    forgetful.ask("One").await;
    assert_eq!(forgetful.ask("recite").await.text(), "human: recite", "it was asked to forget");
}

#[tokio::test]
async fn each_turn_costs_one_of_its_mode_until_none_is_left() {
    let world = World::new().await;
    world.simulator.account("a").set_quota("fast", 1, 30, Some(1800));
    let mut socket = world.socket("a").await;
    socket.open(chunks()).await;
    socket.ask("One").await;
    assert_eq!(world.simulator.account("a").remaining("fast"), 0);

    let refused = socket.ask("Two").await;
    assert_eq!((refused.status(), refused.text().as_str()), ("incomplete", ""));
    let done = refused.of_type("response.done")[0];
    assert_eq!(done["response"]["status_details"]["reason"], "stream_error");
    let error = &refused.of_type("response.grok.output")[0]["output"]["stream_error"];
    assert_eq!(error["kind"], "usage_limit_reached");
    world.simulator.account("a").set_quota("fast", 5, 30, None);
    socket.parent = None;
    assert_eq!(socket.ask("Three").await.status(), "completed", "the socket is healthy");
    let limits = world.post("a", "/rest/rate-limits", json!({"modelName": "fast"})).await;
    assert_eq!(body_json(limits).await["remainingQueries"], 4);
}

#[tokio::test]
async fn the_log_and_the_report_tell_the_transport() {
    let world = World::new().await;
    let first = world.ask("a", "One").await;
    let mut socket = world.socket("a").await;
    socket.open(loading(&first.conversation)).await;
    socket.parent = Some(first.response());
    socket.ask("Two").await;
    world.new_chat("a", "Three").await;

    let calls = world.simulator.calls();
    let seen: Vec<_> = calls.iter().map(|call| (call.route, call.transport.name())).collect();
    let expected =
        [("socket", "socket"), ("new", "socket"), ("socket", "socket"), ("responses", "socket"), ("new", "rest")];
    assert_eq!(seen, expected);
    assert_eq!(calls[3].conversation_id.as_deref(), Some(first.conversation.as_str()));
    assert_eq!(calls[3].parent_response_id, Some(first.response()));
    assert_eq!((calls[3].message.as_deref(), calls[3].mode.as_deref()), (Some("Two"), Some("fast")));
    assert_eq!(calls[3].body["session.create"]["session"]["x_grok"]["load_existing"], true);
    assert_eq!(calls[1].headers["origin"], "https://grok.com");
    let report = world.simulator.report();
    assert_eq!((report.over(grok2api_simulator::Transport::Socket), report.count("socket")), (2, 2));
    assert_eq!((report.streams_finished, report.open_streams), (3, 0));
    drop(socket);
    crate::endings::until(|| world.simulator.report().open_sockets == 0).await;
    assert_eq!(world.simulator.report().sockets_opened, 2);
}
