//! What the person rewrote must reach the model: then the history is replayed, once, and the chat goes on from there.

use grok2api_simulator::Reply as Scripted;
use serde_json::json;

use crate::harness::{Rig, assistant, holds_all, user};
use crate::transports::over_both_transports;

over_both_transports! {
    a_rewritten_answer_reaches_the_model,
    the_original_can_still_be_continued_beside_the_rewritten_one,
    a_history_from_elsewhere_is_replayed_once_and_then_native,
    histories_that_differ_in_an_answer_alone_are_two_conversations,
    the_same_answer_to_another_question_is_another_turn,
    a_chat_that_begins_with_a_greeting_is_like_any_other,
    an_answer_that_is_rewritten_again_after_a_replay_reaches_the_model,
    a_history_from_elsewhere_that_ends_with_an_answer_is_gone_on_with,
    a_stopped_answer_that_the_client_kept_reaches_the_model,
    the_reasoning_is_not_replayed,
    what_was_deleted_is_replayed,
}

async fn a_rewritten_answer_reaches_the_model() {
    for stream in [false, true] {
        for place in ["the last answer", "an earlier answer", "the first answer"] {
            let mut rig = Rig::new(&["anna", "bert"]).await;
            let mut talk = rig.talk(stream).system("Be kind.");
            let first = talk.say("question one").await;
            for question in ["question two", "question three", "question four"] {
                talk.say(question).await;
            }
            let index = match place {
                "the last answer" => 8,
                "an earlier answer" => 6,
                _ => 2,
            };
            talk.messages[index] = assistant("The capital of Atlantis is Poseidonis.");
            let replayed = talk.say("question five").await;
            assert_eq!(replayed.turn(), "replayed", "{place}");
            assert_ne!(replayed.conversation_id(), first.conversation_id(), "{place}");
            let call = rig.last_question();
            assert_eq!(call.route, "new", "{place}");
            let message = call.message.unwrap();
            assert!(message.starts_with("Be kind.\n\n"), "{message}");
            holds_all(&message, &talk.messages[..talk.messages.len() - 1]);

            // It is a conversation like any other now.
            let next = talk.say("question six").await;
            assert_eq!((next.turn(), next.conversation_id()), ("native", replayed.conversation_id()), "{place}");
            assert_eq!(rig.last_question().message.as_deref(), Some("question six"));
            let again = talk.first(talk.messages.len() - 2).ask("question six").await.ok();
            assert_eq!((again.turn(), again.conversation_id()), ("branched", replayed.conversation_id()), "{place}");
            let messages = talk.messages;
            rig.restart().await;
            let mut talk = rig.talk(stream);
            talk.messages = messages;
            assert_eq!(talk.say("question seven").await.turn(), "native", "{place}");
            assert_eq!(rig.simulator.report().count("new"), 2);
            rig.no_violations();
        }
    }
}

async fn the_original_can_still_be_continued_beside_the_rewritten_one() {
    for stream in [false, true] {
        let rig = Rig::new(&["anna"]).await;
        let mut talk = rig.talk(stream);
        talk.say("question one").await;
        talk.say("question two").await;
        let mut rewritten = talk.clone();
        rewritten.messages[1] = assistant("Certainly not.");
        assert_eq!(rewritten.say("question three").await.turn(), "replayed");
        assert_eq!(talk.say("question three").await.turn(), "native");
        assert_eq!(talk.recite().await.turn(), "native");
        assert_eq!(rewritten.say("question four").await.turn(), "native");
        assert_eq!(rig.simulator.report().count("new"), 2);
        rig.no_violations();
    }
}

async fn a_history_from_elsewhere_is_replayed_once_and_then_native() {
    for stream in [false, true] {
        let rig = Rig::new(&["anna"]).await;
        let mut talk = rig.talk(stream);
        for number in 1..=3 {
            let (question, answer) = (format!("imported question {number}"), format!("imported answer {number}"));
            talk.messages.extend([user(&question), assistant(&answer)]);
        }
        let replayed = talk.say("the first question here").await;
        assert_eq!(replayed.turn(), "replayed");
        let message = rig.last_question().message.unwrap();
        assert!((1..=3).all(|number| message.matches(&format!("imported answer {number}")).count() == 1), "{message}");
        for question in ["the second question here", "the third question here"] {
            let reply = talk.say(question).await;
            assert_eq!((reply.turn(), reply.conversation_id()), ("native", replayed.conversation_id()));
            assert_eq!(rig.last_question().message.as_deref(), Some(question));
        }
        // The same import with another word in it is another conversation.
        talk.messages[1] = assistant("imported answer 1, corrected");
        let other = talk.first(6).ask("the first question here").await.ok();
        assert_eq!(other.turn(), "replayed");
        assert_ne!(other.conversation_id(), replayed.conversation_id());
        rig.no_violations();
    }
}

async fn histories_that_differ_in_an_answer_alone_are_two_conversations() {
    for stream in [false, true] {
        let mut rig = Rig::new(&["anna"]).await;
        let mut chats = Vec::new();
        for answer in ["imported: yes", "imported: no"] {
            let mut talk = rig.talk(stream);
            talk.messages = vec![user("an imported question"), assistant(answer)];
            rig.simulator.account("anna").push(Scripted::text("Red."));
            let reply = talk.say("pick a colour").await;
            assert_eq!(reply.turn(), "replayed");
            chats.push((talk.messages, reply.conversation_id()));
        }
        for (question, receipt) in [("why?", "native"), ("why not?", "branched")] {
            for (messages, id) in &chats {
                let mut talk = rig.talk(stream);
                talk.messages.clone_from(messages);
                let reply = talk.ask(question).await.ok();
                assert_eq!((reply.turn(), &reply.conversation_id()), (receipt, id));
            }
            rig.restart().await;
        }
        rig.no_violations();
    }
}

async fn the_same_answer_to_another_question_is_another_turn() {
    for stream in [false, true] {
        for answer in ["Yes.", "Yes, and there is a lot more to be said about it."] {
            let rig = Rig::new(&["anna"]).await;
            let mut talk = rig.talk(stream);
            rig.simulator.account("anna").push(Scripted::text(answer));
            let first = talk.say("is it red?").await;
            talk.messages[0] = user("is it blue?");
            let reply = talk.ask("are you sure?").await.ok();
            assert_eq!(reply.turn(), "replayed");
            assert_ne!(reply.conversation_id(), first.conversation_id());
            assert!(rig.last_question().message.unwrap().contains("is it blue?"));
            rig.no_violations();
        }
    }
}

async fn a_chat_that_begins_with_a_greeting_is_like_any_other() {
    for stream in [false, true] {
        let mut rig = Rig::new(&["anna"]).await;
        let mut talk = rig.talk(stream).system("You are a pirate.");
        talk.messages.push(assistant("Ahoy! What brings ye to my ship?"));
        let first = talk.say("I am looking for work").await;
        assert_eq!(first.turn(), "replayed");
        assert!(rig.last_question().message.unwrap().contains("Ahoy! What brings ye to my ship?"));
        for question in ["I can cook", "I can sing"] {
            let reply = talk.say(question).await;
            assert_eq!((reply.turn(), reply.conversation_id()), ("native", first.conversation_id()));
            assert_eq!(rig.last_question().message.as_deref(), Some(question));
        }
        let messages = talk.messages;
        rig.restart().await;
        let mut talk = rig.talk(stream);
        talk.messages = messages;
        assert_eq!(talk.first(4).ask("I can fight").await.ok().turn(), "branched");
        assert_eq!(rig.simulator.report().count("new"), 1);
        rig.no_violations();
    }
}

async fn an_answer_that_is_rewritten_again_after_a_replay_reaches_the_model() {
    for stream in [false, true] {
        let rig = Rig::new(&["anna"]).await;
        let mut talk = rig.talk(stream);
        for question in ["question one", "question two"] {
            talk.say(question).await;
        }
        talk.messages[1] = assistant("The capital of Atlantis is Poseidonis.");
        assert_eq!(talk.say("question three").await.turn(), "replayed");
        assert_eq!(talk.say("question four").await.turn(), "native");
        talk.messages[1] = assistant("The capital of Atlantis is Basileia.");
        assert_eq!(talk.say("question five").await.turn(), "replayed");
        holds_all(&rig.last_question().message.unwrap(), &talk.messages[..talk.messages.len() - 1]);
        // What was put in front of everything else is as new.
        talk.messages.splice(..0, [user("question zero"), assistant("The answer to it.")]);
        assert_eq!(talk.say("question six").await.turn(), "replayed");
        holds_all(&rig.last_question().message.unwrap(), &talk.messages[..talk.messages.len() - 1]);
        assert_eq!(talk.say("question seven").await.turn(), "native");
        rig.no_violations();
    }
}

async fn a_history_from_elsewhere_that_ends_with_an_answer_is_gone_on_with() {
    for stream in [false, true] {
        for earlier in [0, 2] {
            let rig = Rig::new(&["anna"]).await;
            let mut talk = rig.talk(stream);
            for number in 0..=earlier {
                talk.messages
                    .extend([user(&format!("question {number}")), assistant(&format!("the answer {number} is"))]);
            }
            rig.simulator.account("anna").push(Scripted::text(" this."));
            let more = talk.send(json!({ "messages": talk.messages })).await.ok();
            assert_eq!((more.turn(), more.text().as_str()), ("replayed", " this."));
            assert!(rig.last_question().message.unwrap().contains(&format!("the answer {earlier} is")));
            let last = talk.messages.len() - 1;
            talk.messages[last] = assistant(&format!("the answer {earlier} is this."));
            let reply = talk.say("and then?").await;
            assert_eq!((reply.turn(), reply.conversation_id()), ("native", more.conversation_id()));
            assert_eq!(rig.last_question().message.as_deref(), Some("and then?"));
            assert_eq!(talk.say("and after that?").await.turn(), "native");
            rig.no_violations();
        }
    }
}

async fn a_stopped_answer_that_the_client_kept_reaches_the_model() {
    for stream in [false, true] {
        let rig = Rig::new(&["anna"]).await;
        let mut talk = rig.talk(stream);
        talk.say("question one").await;
        let before = talk.messages.clone();
        // The stream was stopped, so the turn never was: but the client shows what had come, and resends it.
        talk.messages.extend([user("question two"), assistant("Half of an ans")]);
        assert_eq!(talk.say("question three").await.turn(), "replayed");
        holds_all(&rig.last_question().message.unwrap(), &talk.messages[..talk.messages.len() - 1]);
        assert_eq!(talk.say("question four").await.turn(), "native");
        talk.messages = before;
        assert_eq!(talk.recite().await.turn(), "native");
        rig.no_violations();
    }
}

// Over the WebSocket there is no session without a name.
#[tokio::test]
async fn an_answer_without_ids_cannot_be_continued_but_is_replayed() {
    for stream in [false, true] {
        let rig = Rig::with_settings(&["anna"], json!({ "upstream_transport": "rest" })).await;
        let mut talk = rig.talk(stream);
        // No envelope that names the conversation, only words.
        let frame = r#"{"result":{"token":"Words without a name.","isThinking":false,"isSoftStop":false,"messageTag":"final"}}"#;
        let end = r#"{"result":{"modelResponse":{"message":"Words without a name.","partial":false}}}"#;
        rig.simulator.account("anna").push(Scripted::Frames(vec![frame.to_owned(), end.to_owned()]));
        let first = talk.say("question one").await;
        assert_eq!((first.turn(), first.text().as_str()), ("new", "Words without a name."));
        let by_name = talk.send(json!({ "conversation_id": first.conversation_id(), "messages": [user("x")] })).await;
        assert_eq!((by_name.status, by_name.error()["code"].as_str()), (404, Some("conversation_not_found")));
        assert_eq!(talk.say("question two").await.turn(), "replayed");
        assert_eq!(talk.say("question three").await.turn(), "native");
        rig.no_violations();
    }
}

async fn the_reasoning_is_not_replayed() {
    for stream in [false, true] {
        let rig = Rig::new(&["anna"]).await;
        let mut talk = rig.talk(stream);
        let thought = "<think>\nsecret musings\n</think>\n\nThe visible answer, from another gateway.";
        talk.messages = vec![user("an old question"), assistant(thought)];
        assert_eq!(talk.ask("and now?").await.ok().turn(), "replayed");
        let message = rig.last_question().message.unwrap();
        assert!(
            message.contains("The visible answer, from another gateway.") && !message.contains("musings"),
            "{message}"
        );
        rig.no_violations();
    }
}

async fn what_was_deleted_is_replayed() {
    for stream in [false, true] {
        let mut rig = Rig::new(&["anna"]).await;
        let mut talk = rig.talk(stream);
        let first = talk.say("my dog is called Rex").await;
        talk.say("question two").await;
        let messages = talk.messages;
        rig.execute("DELETE FROM turns").await;
        rig.execute("DELETE FROM conversations").await;
        rig.restart().await;
        let mut talk = rig.talk(stream);
        talk.messages = messages;
        let gone = talk.send(json!({ "conversation_id": first.conversation_id(), "messages": talk.asking("x") })).await;
        assert_eq!((gone.status, gone.error()["code"].as_str()), (404, Some("conversation_not_found")));
        let reply = talk.say("what is my dog called?").await;
        assert_eq!(reply.turn(), "replayed");
        assert!(rig.last_question().message.unwrap().contains("my dog is called Rex"));
        assert_eq!(talk.say("go on").await.turn(), "native");
        rig.no_violations();
    }
}
