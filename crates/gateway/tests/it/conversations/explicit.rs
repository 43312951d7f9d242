//! Conversations that the client names: `conversation_id`, `previous_response_id`, and the short form of a turn.

use serde_json::{Value, json};

use crate::harness::{KEY, Rig, Talk, assistant, holds_all, recitation, user};
use crate::transports::over_both_transports;

over_both_transports! {
    a_named_conversation_and_a_new_message_go_on_at_the_head,
    a_named_conversation_with_its_history_goes_on_where_the_history_ends,
    a_named_conversation_whose_answer_was_rewritten_is_replayed_in_place,
    an_earlier_answer_can_be_named,
    the_short_form_takes_one_message,
}

/// A chat of three turns; the ids of its answers.
async fn three_turns(talk: &mut Talk<'_>) -> (String, Vec<String>) {
    let mut ids = Vec::new();
    let mut conversation_id = String::new();
    for question in ["question one", "question two", "question three"] {
        let reply = talk.say(question).await;
        conversation_id = reply.conversation_id();
        ids.push(reply.id());
    }
    (conversation_id, ids)
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

async fn a_named_conversation_and_a_new_message_go_on_at_the_head() {
    for stream in [false, true] {
        let mut rig = Rig::new(&["anna", "bert"]).await;
        let mut talk = rig.talk(stream);
        let (id, _) = three_turns(&mut talk).await;
        let said = talk.messages.clone();
        for restart in [false, true] {
            if restart {
                rig.restart().await;
            }
            let mut talk = rig.talk(stream);
            talk.messages = said.clone();
            let reply = talk.send(json!({ "conversation_id": id, "messages": [user("recite")] })).await.ok();
            assert_eq!(reply.conversation_id(), id);
            assert_eq!(rig.last_question().message.as_deref(), Some("recite"));
            if restart {
                // The head has moved on with the recitation before.
                assert_eq!(reply.turn(), "native");
                assert!(reply.text().starts_with(&recitation(&talk.asking("recite")).join("\n")));
            } else {
                assert_eq!(reply.turn(), "native");
                assert_eq!(lines(&reply.text()), recitation(&talk.asking("recite")));
            }
        }
        assert_eq!(rig.simulator.report().count("new"), 1);
        rig.no_violations();
    }
}

async fn a_named_conversation_with_its_history_goes_on_where_the_history_ends() {
    for stream in [false, true] {
        let rig = Rig::new(&["anna"]).await;
        let mut talk = rig.talk(stream);
        let (id, _) = three_turns(&mut talk).await;
        let cases = [
            (talk.asking("recite"), "native"),
            // The question before the last one, edited.
            (talk.first(2).asking("recite, but put better"), "branched"),
            (talk.first(4).asking("recite"), "branched"),
        ];
        for (messages, receipt) in cases {
            let reply = talk.send(json!({ "conversation_id": id, "messages": messages })).await.ok();
            assert_eq!((reply.turn(), reply.conversation_id()), (receipt, id.clone()));
            assert_eq!(lines(&reply.text()), recitation(&messages));
            assert_eq!(rig.last_question().message.as_deref(), messages.last().unwrap()["content"].as_str());
        }
        assert_eq!(rig.simulator.report().count("new"), 1);
        rig.no_violations();
    }
}

async fn a_named_conversation_whose_answer_was_rewritten_is_replayed_in_place() {
    for stream in [false, true] {
        let rig = Rig::new(&["anna"]).await;
        let mut talk = rig.talk(stream);
        let (id, _) = three_turns(&mut talk).await;
        talk.messages[3] = assistant("The capital of Atlantis is Poseidonis.");
        let reply = talk.send(json!({ "conversation_id": id, "messages": talk.asking("what next?") })).await.ok();
        assert_eq!((reply.turn(), reply.conversation_id()), ("replayed", id.clone()));
        let call = rig.last_question();
        assert_eq!(call.route, "new");
        holds_all(&call.message.unwrap(), &talk.asking("what next?"));
        // What was replayed is continued under the same name.
        let mut messages = talk.asking("what next?");
        messages.extend([assistant(&reply.text()), user("go on")]);
        let reply = talk.send(json!({ "conversation_id": id, "messages": messages })).await.ok();
        assert_eq!((reply.turn(), reply.conversation_id()), ("native", id));
        assert_eq!(rig.last_question().message.as_deref(), Some("go on"));
        rig.no_violations();
    }
}

async fn an_earlier_answer_can_be_named() {
    for stream in [false, true] {
        let mut rig = Rig::new(&["anna", "bert"]).await;
        let mut talk = rig.talk(stream);
        let (id, answers) = three_turns(&mut talk).await;
        let said = talk.messages.clone();
        rig.restart().await;
        for (index, answer) in answers.iter().enumerate() {
            let mut talk = rig.talk(stream);
            talk.messages = said[..2 * (index + 1)].to_vec();
            let members = json!({ "previous_response_id": answer, "messages": [user("recite")] });
            let reply = talk.send(members).await.ok();
            let receipt = if index == 2 { "native" } else { "branched" };
            assert_eq!((reply.turn(), reply.conversation_id()), (receipt, id.clone()));
            assert_eq!(lines(&reply.text()), recitation(&talk.asking("recite")));
            assert_eq!(rig.last_question().message.as_deref(), Some("recite"));
        }
        let talk = rig.talk(stream);
        let strange = json!({ "previous_response_id": "chatcmpl-0", "messages": [user("recite")] });
        let reply = talk.send(strange).await;
        assert_eq!((reply.status, reply.error()["code"].as_str()), (404, Some("response_not_found")));
        // An answer of one conversation under the name of another is nothing.
        let other = talk.ask("something else").await.ok().conversation_id();
        let members = json!({ "previous_response_id": answers[0], "conversation_id": other, "messages": [user("x")] });
        assert_eq!(talk.send(members).await.status, 404);
        rig.no_violations();
    }
}

async fn the_short_form_takes_one_message() {
    for stream in [false, true] {
        let rig = Rig::new(&["anna", "bert"]).await;
        let mut talk = rig.talk(stream);
        let (id, answers) = three_turns(&mut talk).await;
        let turn = async |members: Value| {
            let mut body = json!({ "model": "grok-4.2", "stream": stream, "message": "recite" });
            body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
            rig.post("/v1/responses", KEY, body, &[]).await
        };
        let reply = turn(json!({ "conversation_id": id })).await.ok();
        assert_eq!((reply.turn(), reply.conversation_id()), ("native", id.clone()));
        assert_eq!(lines(&reply.text()), recitation(&talk.asking("recite")));
        let reply = turn(json!({ "conversation_id": id, "previous_response_id": answers[1] })).await.ok();
        assert_eq!((reply.turn(), reply.conversation_id()), ("branched", id.clone()));
        assert_eq!(lines(&reply.text()), recitation(&talk.first(4).asking("recite")));
        assert_eq!(rig.last_question().message.as_deref(), Some("recite"));

        for members in [json!({}), json!({ "conversation_id": "" }), json!({ "conversation_id": null })] {
            let refused = turn(members).await;
            assert_eq!(refused.status, 400);
            let error = refused.error();
            assert_eq!(
                (&error["code"], &error["param"]),
                (&json!("missing_conversation_id"), &json!("conversation_id"))
            );
            assert_eq!(error["type"], "invalid_request_error");
            assert_eq!(error["request_id"], refused.header("x-request-id"));
            assert!(!refused.header("x-request-id").is_empty());
            assert_eq!(refused.body["detail"]["error"], refused.body["error"]);
        }
        let unknown = turn(json!({ "conversation_id": "conv-0" })).await;
        assert_eq!((unknown.status, unknown.error()["code"].as_str()), (404, Some("conversation_not_found")));
        assert_eq!(rig.simulator.report().count("new"), 1);
        rig.no_violations();
    }
}
