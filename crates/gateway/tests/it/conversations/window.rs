//! Clients that send only the newest part of a long chat.

use grok2api_simulator::Reply as Scripted;
use serde_json::Value;

use crate::harness::{Rig, Talk, assistant, system, user};
use crate::transports::over_both_transports;

over_both_transports! {
    the_newest_pairs_are_enough,
    a_window_that_slides_with_every_turn_stays_in_its_conversation,
    one_pair_is_enough_only_if_its_answer_is_telling,
    a_window_that_fits_two_conversations_fits_none,
    the_middle_may_be_missing_and_the_first_answer_may_be_a_notice,
    a_window_that_was_replayed_slides_on_natively,
    a_rewritten_answer_inside_the_window_is_replayed,
}

/// At least as long as an answer must be to identify a conversation alone.
const TELLING: &str = "This answer is long enough to be told from any other one.";

async fn six_turns(talk: &mut Talk<'_>) -> String {
    let mut id = String::new();
    for question in ["question one", "question two", "question three", "question four", "question five", "question six"]
    {
        id = talk.say(question).await.conversation_id();
    }
    id
}

async fn the_newest_pairs_are_enough() {
    for stream in [false, true] {
        let mut rig = Rig::new(&["anna", "bert"]).await;
        let mut talk = rig.talk(stream);
        let id = six_turns(&mut talk).await;
        let all = talk.messages.clone();
        // From the message with this index on: pairs dropped, down to the last two; windows that begin with an answer.
        for (number, from) in [2, 4, 6, 8, 1, 3, 5, 7].into_iter().enumerate() {
            if number == 4 {
                rig.restart().await;
            }
            let mut talk = rig.talk(stream);
            talk.messages = all[from..].to_vec();
            let question = format!("from message {from}");
            let reply = talk.ask(&question).await.ok();
            let receipt = if number == 0 { "native" } else { "branched" };
            assert_eq!((reply.turn(), reply.conversation_id()), (receipt, id.clone()), "{from}");
            assert_eq!(rig.last_question().message, Some(question));
        }
        assert_eq!(rig.simulator.report().count("new"), 1);
        rig.no_violations();
    }
}

async fn a_window_that_slides_with_every_turn_stays_in_its_conversation() {
    for stream in [false, true] {
        let rig = Rig::new(&["anna"]).await;
        let mut whole = rig.talk(stream);
        let id = six_turns(&mut whole).await;
        for number in 7..15 {
            let question = format!("question {number}");
            let mut window = whole.clone();
            window.messages = whole.messages[whole.messages.len() - 4..].to_vec();
            window.messages.insert(0, system(&format!("Summary of the first {} turns.", number - 3)));
            let reply = window.ask(&question).await.ok();
            assert_eq!((reply.turn(), reply.conversation_id()), ("native", id.clone()), "{number}");
            // The summary changes with every turn, so it is news each time.
            let expected = format!("Summary of the first {} turns.\n\n{question}", number - 3);
            assert_eq!(rig.last_question().message, Some(expected));
            whole.messages.extend([user(&question), assistant(&reply.text())]);
        }
        assert_eq!(rig.simulator.report().count("new"), 1);
        rig.no_violations();
    }
}

async fn one_pair_is_enough_only_if_its_answer_is_telling() {
    for stream in [false, true] {
        for (answer, receipt) in [("Red.", "replayed"), (TELLING, "native")] {
            let rig = Rig::new(&["anna"]).await;
            let mut talk = rig.talk(stream);
            let id = talk.say("question one").await.conversation_id();
            rig.simulator.account("anna").push(Scripted::text(answer));
            talk.say("question two").await;
            talk.messages.drain(..2);
            let reply = talk.ask("question three").await.ok();
            assert_eq!(reply.turn(), receipt, "{answer}");
            assert_eq!(reply.conversation_id() == id, receipt == "native", "{answer}");
            if receipt == "replayed" {
                let message = rig.last_question().message.unwrap();
                assert!(message.contains("question two") && message.contains(answer), "{message}");
            }
            // Without its question the answer alone has to tell as much.
            talk.messages.drain(..1);
            let reply = talk.ask("question three").await.ok();
            let receipt = if receipt == "native" { "branched" } else { receipt };
            assert_eq!(reply.turn(), receipt, "{answer}");
            rig.no_violations();
        }
    }
}

async fn a_window_that_fits_two_conversations_fits_none() {
    for stream in [false, true] {
        let rig = Rig::new(&["anna"]).await;
        let mut windows: Vec<(Vec<Value>, String)> = Vec::new();
        for beginning in ["one beginning", "another beginning"] {
            let mut talk = rig.talk(stream);
            talk.say(beginning).await;
            for question in ["question two", "question three"] {
                rig.simulator.account("anna").push(Scripted::text(TELLING));
                talk.say(question).await;
            }
            let id = talk.say("question four").await.conversation_id();
            windows.push((talk.messages.clone(), id));
        }
        let mut talk = rig.talk(stream);
        talk.messages = windows[0].0[2..].to_vec();
        assert_eq!(talk.messages, windows[1].0[2..]);
        let reply = talk.ask("question five").await.ok();
        assert_eq!(reply.turn(), "replayed");
        assert!(windows.iter().all(|(_, id)| *id != reply.conversation_id()));
        let message = rig.last_question().message.unwrap();
        assert!(message.contains("question four") && message.contains(TELLING), "{message}");
        // With the beginning it is clear which one is meant.
        for (messages, id) in &windows {
            talk.messages.clone_from(messages);
            let reply = talk.recite().await;
            assert_eq!((reply.turn(), &reply.conversation_id()), ("native", id));
        }
        rig.no_violations();
    }
}

async fn the_middle_may_be_missing_and_the_first_answer_may_be_a_notice() {
    for stream in [false, true] {
        let rig = Rig::new(&["anna"]).await;
        let mut talk = rig.talk(stream);
        let id = six_turns(&mut talk).await;
        // Cline: the first question stays, its answer becomes a notice, the turns after it are cut out.
        let mut messages = talk.messages[..1].to_vec();
        messages.push(assistant("[NOTE] Some previous conversation history has been removed."));
        messages.extend_from_slice(&talk.messages[6..]);
        talk.messages = messages;
        for question in ["question seven", "question eight"] {
            let reply = talk.say(question).await;
            assert_eq!((reply.turn(), reply.conversation_id()), ("native", id.clone()));
            assert_eq!(rig.last_question().message.as_deref(), Some(question));
        }
        rig.no_violations();
    }
}

async fn a_window_that_was_replayed_slides_on_natively() {
    for stream in [false, true] {
        let rig = Rig::new(&["anna"]).await;
        let mut whole = rig.talk(stream);
        for number in 0..4 {
            whole.messages.extend([
                user(&format!("imported question {number}")),
                assistant(&format!("imported answer {number}, and some more words")),
            ]);
        }
        for number in 4..10 {
            let mut window = whole.clone();
            window.messages = whole.messages[whole.messages.len() - 6..].to_vec();
            let reply = window.ask(&format!("question {number}")).await.ok();
            assert_eq!(reply.turn(), if number == 4 { "replayed" } else { "native" }, "{number}");
            whole.messages.extend([user(&format!("question {number}")), assistant(&reply.text())]);
        }
        rig.no_violations();
    }
}

async fn a_rewritten_answer_inside_the_window_is_replayed() {
    for stream in [false, true] {
        let rig = Rig::new(&["anna"]).await;
        let mut talk = rig.talk(stream);
        let id = six_turns(&mut talk).await;
        talk.messages.drain(..6);
        talk.messages[3] = assistant("The capital of Atlantis is Poseidonis.");
        let reply = talk.ask("question seven").await.ok();
        assert_eq!(reply.turn(), "replayed");
        assert_ne!(reply.conversation_id(), id);
        assert!(rig.last_question().message.unwrap().contains("The capital of Atlantis is Poseidonis."));
        rig.no_violations();
    }
}
