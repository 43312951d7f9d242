//! Regenerated answers are siblings, edited questions are branches, and every branch can be taken up again.

use grok2api_simulator::Reply as Scripted;

use crate::harness::{Rig, assistant, user};
use crate::transports::over_both_transports;

over_both_transports! {
    a_regenerated_answer_is_a_sibling_and_both_can_be_continued,
    an_edited_question_is_a_branch_and_the_old_one_stays,
    an_edited_first_question_is_a_conversation_of_its_own,
    two_requests_at_once_are_two_branches_that_both_go_on,
}

async fn a_regenerated_answer_is_a_sibling_and_both_can_be_continued() {
    for stream in [false, true] {
        let mut rig = Rig::new(&["anna"]).await;
        let mut talk = rig.talk(stream);
        let id = talk.say("first question").await.conversation_id();
        rig.simulator.account("anna").push(Scripted::text("Red."));
        assert_eq!(talk.say("pick a colour").await.turn(), "native");
        assert_eq!(talk.say("why that one?").await.turn(), "native");

        rig.simulator.account("anna").push(Scripted::text("Blue."));
        let blue = talk.first(2).ask("pick a colour").await.ok();
        assert_eq!((blue.turn(), blue.text().as_str(), blue.conversation_id()), ("branched", "Blue.", id.clone()));
        assert_eq!(rig.last_question().message.as_deref(), Some("pick a colour"));

        let mut other = talk.first(2);
        other.messages.extend([user("pick a colour"), assistant("Blue.")]);
        assert_eq!(other.recite().await.turn(), "native");
        assert_eq!(talk.recite().await.turn(), "native");
        // A third answer to the last question, beside the one that was not liked.
        let again = talk.first(4).recite().await;
        assert_eq!((again.turn(), again.conversation_id()), ("branched", id.clone()));

        let (messages, others) = (talk.messages, other.messages);
        rig.restart().await;
        for messages in [messages, others] {
            let mut talk = rig.talk(stream);
            talk.messages = messages;
            let reply = talk.recite().await;
            assert_eq!((reply.turn(), reply.conversation_id()), ("branched", id.clone()));
        }
        assert_eq!(rig.simulator.report().count("new"), 1);
        rig.no_violations();
    }
}

async fn an_edited_question_is_a_branch_and_the_old_one_stays() {
    for stream in [false, true] {
        let rig = Rig::new(&["anna", "bert"]).await;
        let mut talk = rig.talk(stream).system("Be kind.");
        let id = talk.say("question one").await.conversation_id();
        for question in ["question two", "question three", "question four"] {
            talk.say(question).await;
        }
        let mut edited = talk.first(3);
        let reply = edited.say("question two, put better").await;
        assert_eq!((reply.turn(), reply.conversation_id()), ("branched", id.clone()));
        assert_eq!(rig.last_question().message.as_deref(), Some("question two, put better"));
        assert_eq!(edited.say("another question").await.turn(), "native");
        assert_eq!(edited.recite().await.turn(), "native");

        // Back on the old branch, at its end and in its middle.
        let back = talk.recite().await;
        assert_eq!((back.turn(), back.conversation_id()), ("native", id.clone()));
        let middle = talk.first(7).recite().await;
        assert_eq!((middle.turn(), middle.conversation_id()), ("branched", id));
        assert_eq!(rig.simulator.report().count("new"), 1);
        rig.no_violations();
    }
}

async fn an_edited_first_question_is_a_conversation_of_its_own() {
    for stream in [false, true] {
        let rig = Rig::new(&["anna"]).await;
        let mut talk = rig.talk(stream);
        let first = talk.say("question one").await;
        talk.say("question two").await;
        let mut edited = rig.talk(stream);
        let reply = edited.say("question one, put better").await;
        assert_eq!(reply.turn(), "new");
        assert_ne!(reply.conversation_id(), first.conversation_id());
        assert_eq!(edited.recite().await.turn(), "native");
        assert_eq!(talk.recite().await.turn(), "native");
        rig.no_violations();
    }
}

async fn two_requests_at_once_are_two_branches_that_both_go_on() {
    for stream in [false, true] {
        let mut rig = Rig::new(&["anna", "bert"]).await;
        let mut talk = rig.talk(stream);
        let id = talk.say("question one").await.conversation_id();
        let (mut left, mut right) = (talk.clone(), talk.clone());
        let (one, other) = tokio::join!(left.say("to the left"), right.say("to the right"));
        for reply in [&one, &other] {
            assert!(["native", "branched"].contains(&reply.turn()), "{}", reply.turn());
            assert_eq!(reply.conversation_id(), id);
        }
        assert_eq!(left.recite().await.turn(), "native");
        assert_eq!(right.recite().await.turn(), "native");
        let branches = [left.messages, right.messages];
        rig.restart().await;
        for messages in branches {
            let mut talk = rig.talk(stream);
            talk.messages = messages;
            assert_eq!(talk.recite().await.turn(), "branched");
        }
        assert_eq!(rig.simulator.report().count("new"), 1);
        rig.no_violations();
    }
}
