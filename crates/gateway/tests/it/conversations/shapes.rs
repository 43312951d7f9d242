//! Requests as particular clients make them beside or instead of the plain next question.

use serde_json::json;

use crate::harness::{KEY, Reply, Rig, Talk, assistant, recitation, system, user};
use crate::transports::over_both_transports;

over_both_transports! {
    a_question_that_got_no_answer_is_asked_with_the_next,
    a_history_that_ends_with_an_answer_asks_to_go_on_with_it,
    a_request_that_ends_with_a_system_message_asks_by_it,
    a_title_request_inside_the_history_does_not_disturb_the_chat,
    a_title_request_with_the_chats_own_id_does_not_disturb_the_chat,
    equal_chats_are_told_apart_by_the_id_that_the_client_sends,
    equal_chats_without_ids_do_not_grow_together,
    an_equal_chat_that_began_after_a_restart_is_another_one,
    tool_results_and_empty_assistant_messages_are_part_of_what_was_said,
}

async fn post(rig: &Rig, talk: &Talk<'_>, messages: serde_json::Value, chat: &str) -> Reply {
    let body = json!({ "model": talk.model, "stream": talk.stream, "messages": messages });
    rig.chat_as(KEY, body, &[("X-OpenWebUI-Chat-Id", chat)]).await.ok()
}

async fn a_question_that_got_no_answer_is_asked_with_the_next() {
    for stream in [false, true] {
        let rig = Rig::new(&["anna"]).await;
        let mut talk = rig.talk(stream);
        let id = talk.say("question one").await.conversation_id();
        talk.messages.push(user("question two, stopped"));
        let reply = talk.say("question three").await;
        assert_eq!((reply.turn(), reply.conversation_id()), ("native", id.clone()));
        assert_eq!(rig.last_question().message.as_deref(), Some("question two, stopped\n\nquestion three"));
        let reply = talk.say("question four").await;
        assert_eq!((reply.turn(), reply.conversation_id()), ("native", id));
        assert_eq!(rig.last_question().message.as_deref(), Some("question four"));
        rig.no_violations();
    }
}

async fn a_history_that_ends_with_an_answer_asks_to_go_on_with_it() {
    for stream in [false, true] {
        let mut rig = Rig::new(&["anna"]).await;
        let mut talk = rig.talk(stream);
        let id = talk.say("question one").await.conversation_id();
        talk.say("tell me a story").await;
        let unfinished = talk.messages[3]["content"].as_str().unwrap().to_owned();
        let more = talk.send(json!({ "messages": talk.messages })).await.ok();
        assert_eq!((more.turn(), more.conversation_id()), ("native", id.clone()));
        let call = rig.last_question();
        assert_eq!(call.route, "responses");
        let asked = call.message.unwrap();
        assert!(!asked.contains("tell me a story") && !asked.contains(&unfinished), "{asked}");

        // The client keeps both parts as one answer, joined with or without a space.
        let mut stored = talk.messages.clone();
        stored.extend([user(&asked), assistant(&more.text())]);
        talk.messages[3] = assistant(&format!("{unfinished}{}", more.text()));
        let reply = talk.ask("recite").await.ok();
        assert_eq!((reply.turn(), reply.conversation_id()), ("native", id.clone()));
        stored.push(user("recite"));
        assert_eq!(reply.text().lines().collect::<Vec<_>>(), recitation(&stored));
        let messages = talk.messages;
        rig.restart().await;
        let mut talk = rig.talk(stream);
        talk.messages = messages;
        let reply = talk.say("and the end?").await;
        assert_eq!((reply.turn(), reply.conversation_id()), ("branched", id));
        assert_eq!(talk.say("thank you").await.turn(), "native");
        assert_eq!(rig.simulator.report().count("new"), 1);
        rig.no_violations();
    }
}

async fn a_request_that_ends_with_a_system_message_asks_by_it() {
    const SUMMARISE: &str = "Summarise the discussion briefly in 200 words or less.";
    for stream in [false, true] {
        let rig = Rig::new(&["anna"]).await;
        let mut talk = rig.talk(stream);
        let id = talk.say("question one").await.conversation_id();
        talk.say("question two").await;
        let mut messages = talk.messages.clone();
        messages.push(system(SUMMARISE));
        let summary = talk.send(json!({ "messages": messages })).await.ok();
        assert_eq!((summary.turn(), summary.conversation_id()), ("native", id.clone()));
        assert_eq!(rig.last_question().message.as_deref(), Some(SUMMARISE));

        // Going on with an answer takes system text along as any other turn does.
        let more = [&[system("Be brief.")], talk.messages.as_slice()].concat();
        let more = talk.send(json!({ "messages": more })).await.ok();
        assert_eq!((more.turn(), more.conversation_id()), ("branched", id.clone()));
        assert!(rig.last_question().message.unwrap().starts_with("Be brief.\n\n"));
        let joined = format!("{}{}", talk.messages[3]["content"].as_str().unwrap(), more.text());
        let mut after = talk.clone();
        after.messages.insert(0, system("Be brief."));
        after.messages[4] = assistant(&joined);
        assert_eq!(after.say("question three").await.turn(), "native");
        assert_eq!(rig.last_question().message.as_deref(), Some("question three"));

        // The chat goes on beside it, and has never heard of the summary.
        let recited = talk.recite().await;
        assert_eq!((recited.turn(), recited.conversation_id()), ("branched", id.clone()));

        // Later the summary stands in front as system text, and reaches the model once.
        talk.messages.insert(0, system("Summary so far: two questions were asked."));
        let reply = talk.say("question three").await;
        assert_eq!(reply.conversation_id(), id);
        let sent = rig.last_question().message.unwrap();
        assert_eq!(sent, "Summary so far: two questions were asked.\n\nquestion three");
        assert_eq!(talk.say("question four").await.turn(), "native");
        assert_eq!(rig.last_question().message.as_deref(), Some("question four"));
        assert_eq!(rig.simulator.report().count("new"), 1);
        rig.no_violations();
    }
}

async fn a_title_request_inside_the_history_does_not_disturb_the_chat() {
    for stream in [false, true] {
        let rig = Rig::new(&["anna", "bert"]).await;
        let mut talk = rig.talk(stream);
        let id = talk.say("question one").await.conversation_id();
        let title = "Return a four-word title of this chat, without punctuation.";
        // The title is asked for while the next question is under way.
        let asking = talk.clone();
        let (side, next) = tokio::join!(asking.ask(title), talk.say("question two"));
        for reply in [&side.ok(), &next] {
            assert!(["native", "branched"].contains(&reply.turn()), "{}", reply.turn());
            assert_eq!(reply.conversation_id(), id);
        }
        assert_eq!(talk.recite().await.turn(), "native");
        assert_eq!(rig.simulator.report().count("new"), 1);
        rig.no_violations();
    }
}

async fn a_title_request_with_the_chats_own_id_does_not_disturb_the_chat() {
    for stream in [false, true] {
        let rig = Rig::new(&["anna", "bert"]).await;
        let mut talk = rig.talk(stream);
        let first = post(&rig, &talk, json!(talk.asking("question one")), "chat-1").await;
        talk.messages = talk.asking("question one");
        talk.messages.push(assistant(&first.text()));
        let prompt =
            format!("### Task:\nGenerate a title.\n### Chat History:\nUSER: question one\nASSISTANT: {}", first.text());
        let side = post(&rig, &talk, json!([user(&prompt)]), "chat-1").await;
        assert_eq!(side.turn(), "new");
        assert_ne!(side.conversation_id(), first.conversation_id());

        for question in ["question two", "question three"] {
            let reply = post(&rig, &talk, json!(talk.asking(question)), "chat-1").await;
            assert_eq!((reply.turn(), reply.conversation_id()), ("native", first.conversation_id()));
            assert_eq!(rig.last_question().message.as_deref(), Some(question));
            talk.messages = talk.asking(question);
            talk.messages.push(assistant(&reply.text()));
        }
        assert_eq!(talk.recite().await.turn(), "native");
        rig.no_violations();
    }
}

async fn equal_chats_are_told_apart_by_the_id_that_the_client_sends() {
    for stream in [false, true] {
        let mut rig = Rig::new(&["anna", "bert"]).await;
        let mut ids = Vec::new();
        let talk = rig.talk(stream);
        let mut messages = talk.asking("question one");
        for chat in ["chat-1", "chat-2", "chat-3"] {
            let reply = post(&rig, &talk, json!(messages), chat).await;
            assert_eq!(reply.turn(), "new");
            ids.push((chat, reply.conversation_id()));
            if ids.len() == 3 {
                messages.extend([assistant(&reply.text()), user("question two")]);
            }
        }
        for restart in [false, true] {
            if restart {
                rig.restart().await;
            }
            let talk = rig.talk(stream);
            for (chat, id) in &ids {
                let reply = post(&rig, &talk, json!(messages), chat).await;
                let receipt = if restart { "branched" } else { "native" };
                assert_eq!((reply.turn(), &reply.conversation_id()), (receipt, id), "{chat}");
            }
        }
        rig.no_violations();
    }
}

async fn equal_chats_without_ids_do_not_grow_together() {
    for stream in [false, true] {
        let mut rig = Rig::new(&["anna", "bert"]).await;
        let mut talk = rig.talk(stream);
        let old = talk.say("question one").await;
        let messages = talk.messages;
        rig.restart().await;
        let mut one = rig.talk(stream);
        let new = one.say("question one").await;
        assert_eq!(one.messages, messages);
        let mut other = one.clone();
        // One after the other goes on, in a conversation of its own.
        let (first, second) = (one.say("I like cats").await, other.say("I like dogs").await);
        assert_eq!((first.turn(), second.turn()), ("native", "native"));
        let mut ids = [first.conversation_id(), second.conversation_id()];
        let mut expected = [old.conversation_id(), new.conversation_id()];
        ids.sort();
        expected.sort();
        assert_eq!(ids, expected);
        for talk in [one, other] {
            assert_eq!(talk.recite().await.turn(), "native");
        }
        rig.no_violations();
    }
}

async fn an_equal_chat_that_began_after_a_restart_is_another_one() {
    for stream in [false, true] {
        let mut rig = Rig::new(&["anna", "bert"]).await;
        let talk = rig.talk(stream);
        let question = talk.asking("question one");
        let old = post(&rig, &talk, json!(question), "chat-1").await;
        rig.restart().await;
        let talk = rig.talk(stream);
        let new = post(&rig, &talk, json!(question), "chat-2").await;
        let mut messages = question;
        messages.extend([assistant(&old.text()), user("question two")]);
        for (chat, first) in [("chat-1", &old), ("chat-2", &new)] {
            let reply = post(&rig, &talk, json!(messages), chat).await;
            assert_eq!((reply.turn(), reply.conversation_id()), ("native", first.conversation_id()), "{chat}");
        }
        rig.no_violations();
    }
}

async fn tool_results_and_empty_assistant_messages_are_part_of_what_was_said() {
    for stream in [false, true] {
        let rig = Rig::new(&["anna"]).await;
        let talk = rig.talk(stream);
        let call = json!({ "role": "assistant", "content": null,
            "tool_calls": [{ "id": "call_1", "type": "function", "function": { "name": "clock", "arguments": "{}" } }] });
        let result = json!({ "role": "tool", "tool_call_id": "call_1", "content": "It is half past nine." });
        let first = talk.ask("what time is it?").await.ok();
        let messages = json!([user("what time is it?"), call, result]);
        let reply = talk.send(json!({ "messages": messages })).await.ok();
        // Nobody said the empty answer, so nothing is continued; but the result reaches the model.
        assert_ne!(reply.conversation_id(), first.conversation_id());
        let message = rig.last_question().message.unwrap();
        assert!(message.contains("what time is it?") && message.contains("It is half past nine."), "{message}");
        let mut history = messages.as_array().unwrap().clone();
        history.extend([assistant(&reply.text()), user("thank you")]);
        let next = talk.send(json!({ "messages": history })).await.ok();
        assert_eq!((next.turn(), next.conversation_id()), ("native", reply.conversation_id()));
        assert_eq!(rig.last_question().message.as_deref(), Some("thank you"));
        rig.no_violations();
    }
}
