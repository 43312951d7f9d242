//! Each rule that a correct client of the socket keeps, broken once.

use futures_util::SinkExt;
use grok2api_simulator::Reply;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    client::{World, body_json},
    socket_client::{SocketClient, chunks, loading},
};

/// Codes of the errors among what was said.
fn codes(said: &[Value]) -> Vec<&str> {
    let errors = said.iter().filter(|said| said["event"]["type"] == "error");
    errors.filter_map(|said| said["event"]["error"]["code"].as_str()).collect()
}

fn item(text: &str) -> Value {
    json!({"type": "conversation.item.create", "item": {"type": "message", "role": "user",
        "x_grok": {"input_chunks": [{"text": {"text": text}}]}}})
}

async fn opened(world: &World) -> SocketClient {
    let mut socket = world.socket("a").await;
    socket.open(chunks()).await;
    socket
}

#[tokio::test]
async fn pings_are_answered_at_any_time() {
    let world = World::new().await;
    let mut socket = world.socket("a").await;
    assert_eq!(socket.settle().await, [] as [Value; 0], "before any session");
    socket.stream.send(Message::Ping(b"abc".as_slice().into())).await.unwrap();
    assert_eq!(socket.message().await.unwrap().unwrap(), Message::Pong(b"abc".as_slice().into()));
    socket.open(chunks()).await;
    world.simulator.account("a").push(Reply::hang_after(2));
    socket.put("hello").await;
    let said = socket.settle().await;
    assert!(said.iter().any(|said| said["event"]["type"] == "response.created"));
    assert_eq!(socket.settle().await, [] as [Value; 0], "in the middle of an answer");
    assert_eq!(world.violations(), [] as [&str; 0]);
}

#[tokio::test]
async fn what_is_no_event_is_refused() {
    let world = World::new().await;
    let mut socket = world.socket("a").await;
    socket.send_text("no json".to_owned()).await;
    socket.send_text(json!({"event": {"no": "type"}}).to_string()).await;
    socket.stream.send(Message::binary(vec![1, 2])).await.unwrap();
    socket.send(json!({"type": "session.create"})).await;
    socket.send(json!({"type": "response.cancel"})).await;
    let said = socket.settle().await;
    assert_eq!(codes(&said), ["invalid_envelope"; 5]);
    assert_eq!(said[3]["event"]["client_event_id"], "evt_test_1");
    assert_eq!(world.violations(), ["bad_json", "bad_json", "bad_message", "invalid_envelope", "unknown_event"]);
}

#[tokio::test]
async fn only_an_own_conversation_can_be_loaded() {
    let world = World::new().await;
    let foreign = world.ask("b", "hello").await;
    let mut socket = world.socket("a").await;
    for (id, kind) in [
        (foreign.conversation.as_str(), "foreign_conversation"),
        ("00000000-0000-4000-8000-000000000000", "unknown_conversation"),
    ] {
        let said = socket.open(loading(id)).await;
        assert_eq!(codes(&said), ["conversation_not_found"]);
        assert_eq!(said.len(), 1, "no session");
        assert_eq!(world.violations().last(), Some(&kind));
    }
    let own = world.ask("a", "hello").await;
    let mut wishes = chunks();
    wishes["conversation_id"] = own.conversation.as_str().into();
    assert_eq!(codes(&socket.open(wishes).await), ["conversation_not_found"], "not without load_existing");
    assert_eq!(world.violations().last(), Some(&"missing_load_existing"));
}

#[tokio::test]
async fn a_bare_session_makes_a_conversation_that_cannot_be_loaded() {
    let world = World::new().await;
    let mut socket = world.socket("a").await;
    socket.send(json!({"type": "session.create", "session": {"model": "fast"}})).await;
    socket.session = socket.settle().await[0]["session_id"].as_str().map(str::to_owned);
    let content = json!([{"type": "input_text", "text": "in the Realtime form"}]);
    let item = json!({"type": "message", "role": "user", "content": content});
    socket.send(json!({"type": "conversation.item.create", "item": item})).await;
    socket.send(json!({"type": "response.create"})).await;
    let said = socket.settle().await;
    let deltas = said.iter().filter_map(|said| said["event"]["delta"].as_str());
    assert_eq!(deltas.collect::<String>(), "Answer 1: you said \"in the Realtime form\".");

    let id = socket.session.clone().unwrap();
    let mut later = world.socket("a").await;
    assert_eq!(codes(&later.open(loading(&id)).await), ["conversation_not_found"]);
    assert_eq!(world.violations(), [] as [&str; 0]);
}

#[tokio::test]
async fn every_message_names_its_session() {
    let world = World::new().await;
    let mut socket = opened(&world).await;
    let session = socket.session.take();
    socket.send(item("hello")).await;
    socket.session = Some("00000000-0000-4000-8000-000000000000".to_owned());
    socket.send(item("hello")).await;
    assert_eq!(codes(&socket.settle().await), ["invalid_envelope", "session_not_found"]);
    assert_eq!(world.violations(), ["missing_session_id", "unknown_session"]);
    socket.session = session;
    assert_eq!(socket.ask("hello").await.status(), "completed");
}

#[tokio::test]
async fn a_turn_is_a_message_and_a_request_and_one_at_a_time() {
    let world = World::new().await;
    let mut socket = opened(&world).await;
    socket.send(json!({"type": "response.create"})).await;
    assert_eq!(codes(&socket.settle().await), ["invalid_envelope"]);
    socket.send(item("hello")).await;
    let said = socket.settle().await;
    assert_eq!(said.len(), 1, "a message alone is not answered");
    assert_eq!(said[0]["event"]["type"], "conversation.queue.updated");
    assert_eq!(said[0]["event"]["queue"][0]["position"], 0);

    world.simulator.account("a").push(Reply::hang_after(1));
    socket.send(json!({"type": "response.create"})).await;
    socket.settle().await;
    socket.send(item("and another")).await;
    assert_eq!(codes(&socket.settle().await), ["response_in_progress"]);
    assert_eq!(world.violations(), ["missing_item", "overlapping_turn"]);
}

#[tokio::test]
async fn what_comes_before_the_session_is_there_is_lost() {
    let world = World::new().await;
    let mut socket = world.socket("a").await;
    world.simulator.account("a").push(Reply::named("session-unattached").unwrap());
    let said = socket.open(chunks()).await;
    assert_eq!(said.len(), 1, "created, but not attached");
    socket.put("too early").await;
    assert_eq!(socket.settle().await, [] as [Value; 0], "without a word");
    assert_eq!(world.violations(), ["early_turn", "early_turn"]);
}

#[tokio::test]
async fn a_turn_that_does_not_wait_for_the_session_is_lost() {
    let world = World::new().await;
    let first = world.ask("a", "hello").await;
    let mut socket = world.socket("a").await;
    let session = json!({"model": "fast", "x_grok": loading(&first.conversation)});
    let create = json!({"type": "session.create", "session": session});
    for event in [create, item("at once"), json!({"type": "response.create"})] {
        let envelope = json!({"session_id": first.conversation, "event": event});
        socket.stream.feed(Message::text(envelope.to_string())).await.unwrap();
    }
    socket.stream.flush().await.unwrap();
    assert_eq!(socket.settle().await.len(), 2, "the session opens and nothing else");
    assert_eq!(world.violations(), ["early_turn", "early_turn"]);
}

#[tokio::test]
async fn the_parent_must_be_an_answer_of_the_conversation() {
    let world = World::new().await;
    let other = world.ask("a", "elsewhere").await;
    let mut socket = opened(&world).await;
    socket.parent = Some(other.response());
    assert_eq!(codes(&socket.ask("hello").await.envelopes), ["response_not_found"], "a new conversation has no parent");
    socket.parent = None;
    let first = socket.ask("hello").await;
    for parent in [other.response(), first.of_type("conversation.item.added")[0]["item"]["id"].as_str().unwrap().into()]
    {
        socket.parent = Some(parent);
        assert_eq!(codes(&socket.ask("hello").await.envelopes), ["response_not_found"]);
    }
    assert_eq!(world.violations(), ["wrong_parent"; 3]);
    socket.parent = Some(first.response());
    assert_eq!(socket.ask("hello").await.status(), "completed");
}

#[tokio::test]
async fn history_is_not_resent() {
    let world = World::new().await;
    let mut socket = opened(&world).await;
    let first = socket.ask("a first message that is long").await;
    let history = format!("Earlier: a first message that is long\n{}\nNow: go on", first.text());
    socket.ask(&history).await;
    assert_eq!(world.violations(), ["history_resent"]);
    socket.send(item("an earlier turn as an item of its own")).await;
    socket.put("and the real one").await;
    socket.settle().await;
    assert_eq!(world.violations(), ["history_resent"; 2]);
}

#[tokio::test]
async fn an_empty_message_is_refused() {
    let world = World::new().await;
    let mut socket = opened(&world).await;
    assert_eq!(codes(&socket.ask("  ").await.envelopes), ["invalid_envelope"]);
    assert_eq!(world.violations(), ["empty_message"]);
}

#[tokio::test]
async fn files_are_known_in_every_spelling_and_must_be_mentioned() {
    let world = World::new().await;
    let upload = json!({"fileName": "a.txt", "fileMimeType": "text/plain", "content": "aGVsbG8="});
    let uploaded = body_json(world.post("a", "/rest/app-chat/upload-file", upload).await).await;
    let file = uploaded["fileMetadataId"].as_str().unwrap();
    let mention = |id: &str| json!({"mention": {"file_mention": {"file_id": id}}});
    let ask = async |chunk: Value, listed: Value| {
        let mut socket = opened(&world).await;
        let item =
            json!({"type": "message", "role": "user", "x_grok": {"input_chunks": [chunk, {"text": {"text": "look"}}]}});
        let mut event = json!({"type": "conversation.item.create", "item": item});
        event["file_attachment_ids"] = listed;
        socket.send(event).await;
        socket.send(json!({"type": "response.create"})).await;
        (codes(&socket.settle().await).join(","), socket.session.unwrap())
    };
    let camel = json!({"mention": {"fileMention": {"fileId": file}}});
    let nested = json!({"mention": {"target": {"file_mention": {"file_id": file}}}});
    for chunk in [mention(file), camel, nested] {
        let (codes, conversation) = ask(chunk, json!([file])).await;
        assert_eq!(codes, "");
        let path = format!("/rest/app-chat/conversations/{conversation}/responses");
        let stored = body_json(world.get("a", &path).await).await;
        assert_eq!(stored["responses"][0]["fileAttachments"], json!([file]));
    }
    assert_eq!(world.violations(), [] as [&str; 0]);
    assert_eq!(ask(mention("nothing"), json!([])).await.0, "file_not_found");
    assert_eq!(ask(json!({}), json!([file])).await.0, "");
    assert_eq!(world.violations(), ["unknown_file", "file_not_mentioned"]);
}

#[tokio::test]
async fn history_is_replayed_only_if_it_is_wanted() {
    let world = World::new().await;
    let first = world.ask("a", "please think").await;
    let second = world.next_chat("a", &first.rest(), "over REST").await;
    let mut wishes = loading(&first.conversation);
    wishes["needs_history"] = Value::Null;
    let mut socket = world.socket("a").await;
    let said = socket.open(wishes).await;
    let items: Vec<&Value> =
        said.iter().map(|said| &said["event"]).filter(|event| event["type"] == "conversation.history.item").collect();
    assert_eq!(items.len(), 4);
    assert_eq!((&items[0]["item"]["role"], &items[1]["item"]["role"]), (&json!("user"), &json!("assistant")));
    assert_eq!(items[3]["item"]["id"], second.response);
    let text = &items[1]["item"]["x_grok"]["output_chunks"].as_array().unwrap().last().unwrap()["text"]["text"];
    assert_eq!(*text, first.text());
    assert_eq!(said.last().unwrap()["event"]["type"], "conversation.history.done");
    socket.parent = Some(second.response);
    assert_eq!(socket.ask("recite").await.text().lines().count(), 5);
    let quiet = world.socket("a").await.open(loading(&first.conversation)).await;
    assert_eq!(quiet.len(), 2);
}

#[tokio::test]
async fn temporary_chats_are_unlisted_and_untitled_and_go_on_by_id() {
    let world = World::new().await;
    let mut socket = world.socket("a").await;
    let mut wishes = chunks();
    wishes["is_temporary"] = true.into();
    socket.open(wishes).await;
    let turn = socket.ask("a secret").await;
    for kind in ["response.persisted", "conversation.title.updated"] {
        assert!(turn.of_type(kind).is_empty(), "{kind}");
    }
    let listed = body_json(world.get("a", "/rest/app-chat/conversations").await).await;
    assert_eq!(listed["conversations"], json!([]));
    let mut later = world.socket("a").await;
    later.open(loading(&turn.conversation)).await;
    later.parent = Some(turn.response());
    assert_eq!(later.ask("recite").await.text().lines().count(), 3);
}

#[tokio::test]
async fn a_client_may_choose_the_session_id_and_keep_several() {
    let world = World::new().await;
    let mut socket = world.socket("a").await;
    let chosen = "11111111-2222-4333-8444-555555555555";
    let create = json!({"type": "session.create", "session": {"model": "fast", "x_grok": chunks()}});
    socket.session = Some(chosen.to_owned());
    socket.send(create).await;
    assert_eq!(socket.settle().await[0]["session_id"], chosen);
    let first = socket.ask("One").await;
    assert_eq!(first.status(), "completed");
    socket.parent = None;
    socket.open(chunks()).await;
    assert_ne!(socket.session.as_deref(), Some(chosen));
    assert_eq!(socket.ask("Two").await.text(), "Answer 1: you said \"Two\".", "another conversation");
    (socket.session, socket.parent) = (Some(chosen.to_owned()), Some(first.response()));
    assert_eq!(socket.ask("Three").await.text(), "Answer 2: you said \"Three\".");
    assert_eq!(world.violations(), [] as [&str; 0]);
}

#[tokio::test]
async fn the_mode_of_a_live_session_can_be_changed() {
    let world = World::new().await;
    let mut socket = opened(&world).await;
    socket.send(json!({"type": "session.update", "session": {"model": "expert"}})).await;
    let said = socket.settle().await;
    assert_eq!(
        (&said[0]["event"]["type"], &said[0]["event"]["session"]["model"]),
        (&json!("session.updated"), &json!("expert"))
    );
    let turn = socket.ask("hello").await;
    assert_eq!(turn.of_type("response.created")[0]["response"]["x_grok"]["model"], "expert");
    assert_eq!(world.simulator.account("a").remaining("expert"), 999);
}

#[tokio::test]
async fn a_client_that_does_not_speak_the_protocol_is_shown_out() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let world = World::new().await;
    let mut socket = world.socket("a").await;
    let tokio_tungstenite::MaybeTlsStream::Plain(stream) = socket.stream.get_mut() else { panic!("no TLS here") };
    stream.write_all(&[0x81, 0x01, b'a']).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(bytes[..4], [0x88, bytes[1], 0x03, 0xEA], "a close frame with code 1002");
    assert_eq!(world.violations(), ["bad_frame"]);
}
