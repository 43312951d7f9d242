//! The ordinary chat: every turn goes on natively, nothing is sent twice, nobody meets another.

use serde_json::json;

use crate::harness::{KEY, Rig, system};
use crate::transports::over_both_transports;

over_both_transports! {
    every_turn_after_the_first_sends_only_the_new_message,
    two_hundred_turns_are_one_conversation,
    any_script_and_any_emoji_is_continued,
    system_text_is_sent_once_and_again_only_when_it_changed,
    two_keys_with_the_same_words_never_meet,
    equal_first_requests_are_separate_conversations_and_stay_so,
    a_restart_in_between_is_not_noticed,
    an_expired_conversation_is_gone_by_name_and_replayed_by_history,
}

async fn every_turn_after_the_first_sends_only_the_new_message() {
    for stream in [false, true] {
        let rig = Rig::new(&["anna", "bert"]).await;
        let mut talk = rig.talk(stream);
        let first = talk.say("the first question").await;
        assert_eq!(first.turn(), "new");
        let opening = rig.last_question();
        assert_eq!((opening.route, opening.message.as_deref()), ("new", Some("the first question")));
        for question in ["the second question", "the third question", "the fourth question", "the fifth question"] {
            let reply = talk.say(question).await;
            assert_eq!((reply.turn(), reply.conversation_id()), ("native", first.conversation_id()));
            let call = rig.last_question();
            assert_eq!((call.route, call.message.as_deref()), ("responses", Some(question)));
            assert_eq!(call.account, opening.account);
        }
        assert_eq!(talk.recite().await.turn(), "native");
        let report = rig.simulator.report();
        assert_eq!((report.count("new"), report.count("responses"), report.count("share")), (1, 5, 0));
        rig.no_violations();
    }
}

async fn two_hundred_turns_are_one_conversation() {
    for stream in [false, true] {
        let rig = Rig::new(&["anna"]).await;
        let mut talk = rig.talk(stream);
        for number in 1..200 {
            let reply = talk.say(&format!("question number {number:03}")).await;
            assert_eq!(reply.turn(), if number == 1 { "new" } else { "native" });
        }
        assert_eq!(talk.recite().await.turn(), "native");
        assert_eq!(rig.simulator.report().count("new"), 1);
        rig.no_violations();
    }
}

async fn any_script_and_any_emoji_is_continued() {
    let questions = [
        "你好，请用中文回答。",
        "絵文字👩‍👩‍👧‍👦と🏳️‍🌈は？",
        "مرحبا، كيف الحال؟",
        "e\u{301}tude is not \u{e9}tude; nor is \u{fb01} fi",
        "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 \u{200b}zero\u{200d}width\u{feff} \u{10ffff}",
        "नमस्ते दुनिया",
        "a\u{a0}b\u{2003}c\u{3000}d",
    ];
    for stream in [false, true] {
        let rig = Rig::new(&["anna"]).await;
        let mut talk = rig.talk(stream);
        for (index, question) in questions.iter().enumerate() {
            let reply = talk.say(question).await;
            assert_eq!(reply.turn(), if index == 0 { "new" } else { "native" }, "{question}");
            assert_eq!(rig.last_question().message.as_deref(), Some(*question));
        }
        assert_eq!(talk.recite().await.turn(), "native");
        rig.no_violations();
    }
}

async fn system_text_is_sent_once_and_again_only_when_it_changed() {
    for stream in [false, true] {
        let rig = Rig::new(&["anna"]).await;
        let mut talk = rig.talk(stream).system("It is nine o'clock.");
        let first = talk.say("first question").await;
        assert_eq!(rig.last_question().message.as_deref(), Some("It is nine o'clock.\n\nfirst question"));
        assert_eq!(talk.say("second question").await.turn(), "native");
        assert_eq!(rig.last_question().message.as_deref(), Some("second question"));

        talk.messages[0] = system("It is ten o'clock.");
        let reply = talk.say("third question").await;
        assert_eq!((reply.turn(), reply.conversation_id()), ("native", first.conversation_id()));
        assert_eq!(rig.last_question().message.as_deref(), Some("It is ten o'clock.\n\nthird question"));
        assert_eq!(talk.say("fourth question").await.turn(), "native");
        assert_eq!(rig.last_question().message.as_deref(), Some("fourth question"));

        // Left out, the model still has it; said again, it is not news.
        let with_system = talk.messages.clone();
        talk.messages.remove(0);
        assert_eq!(talk.say("fifth question").await.turn(), "native");
        assert_eq!(rig.last_question().message.as_deref(), Some("fifth question"));
        let fifth = talk.messages[talk.messages.len() - 2..].to_vec();
        talk.messages = with_system.into_iter().chain(fifth).collect();
        assert_eq!(talk.say("sixth question").await.turn(), "native");
        assert_eq!(rig.last_question().message.as_deref(), Some("sixth question"));
        assert_eq!(rig.simulator.report().count("new"), 1);
        rig.no_violations();
    }
}

async fn two_keys_with_the_same_words_never_meet() {
    for stream in [false, true] {
        let rig = Rig::new(&["anna"]).await;
        let mut ours = rig.talk(stream);
        let first = ours.say("hello there").await;
        ours.say("and a second question").await;

        let mut theirs = ours.clone();
        theirs.key = rig.add_key("other").await;
        // Even the whole history, word for word, does not open another key's conversation.
        let stranger = theirs.ask("what did I say?").await.ok();
        assert_eq!(stranger.turn(), "replayed");
        assert_ne!(stranger.conversation_id(), first.conversation_id());

        let message = json!([{ "role": "user", "content": "what did I say?" }]);
        let by_conversation =
            theirs.send(json!({ "messages": message, "conversation_id": first.conversation_id() })).await;
        assert_eq!(by_conversation.status, 404);
        assert_eq!(by_conversation.error()["code"], "conversation_not_found");
        let by_response = theirs.send(json!({ "messages": message, "previous_response_id": first.id() })).await;
        assert_eq!((by_response.status, by_response.error()["code"].as_str()), (404, Some("response_not_found")));
        assert_eq!(rig.simulator.report().count("new"), 2);

        assert_eq!(ours.key, KEY);
        assert_eq!(ours.recite().await.turn(), "native");
        rig.no_violations();
    }
}

async fn equal_first_requests_are_separate_conversations_and_stay_so() {
    for stream in [false, true] {
        let rig = Rig::new(&["anna"]).await;
        let (mut one, mut other) = (rig.talk(stream), rig.talk(stream));
        let first = one.say("hello there").await;
        let second = other.say("hello there").await;
        assert_eq!((first.turn(), second.turn()), ("new", "new"));
        assert_ne!(first.conversation_id(), second.conversation_id());
        // From here on they differ; neither may hear of the other.
        assert_eq!(one.say("I like cats").await.turn(), "native");
        assert_eq!(other.say("I like dogs").await.turn(), "native");
        assert_eq!(one.recite().await.turn(), "native");
        assert_eq!(other.recite().await.turn(), "native");
        assert_eq!(rig.simulator.report().count("new"), 2);
        rig.no_violations();
    }
}

async fn a_restart_in_between_is_not_noticed() {
    for stream in [false, true] {
        let mut rig = Rig::new(&["anna", "bert"]).await;
        let mut talk = rig.talk(stream).system("Be brief.");
        let first = talk.say("first question").await;
        talk.say("second question").await;
        let messages = talk.messages;

        rig.restart().await;
        let mut talk = rig.talk(stream);
        talk.messages = messages;
        let third = talk.say("third question").await;
        assert_eq!((third.turn(), third.conversation_id()), ("native", first.conversation_id()));
        assert_eq!(rig.last_question().message.as_deref(), Some("third question"));
        // The same question again, this time to a gateway that knows the turn only from its database.
        let messages = talk.messages;
        rig.restart().await;
        let mut talk = rig.talk(stream);
        talk.messages = messages;
        let again = talk.first(5).recite().await;
        assert_eq!((again.turn(), again.conversation_id()), ("branched", first.conversation_id()));
        assert_eq!(talk.recite().await.turn(), "native");
        assert_eq!(rig.simulator.report().count("new"), 1);
        rig.no_violations();
    }
}

async fn an_expired_conversation_is_gone_by_name_and_replayed_by_history() {
    for stream in [false, true] {
        let rig = Rig::with_settings(&["anna"], json!({ "conversation_ttl": 3600 })).await;
        let mut talk = rig.talk(stream);
        let first = talk.say("my cat is called Tom").await;
        rig.advance(3600);
        assert_eq!(talk.say("still here?").await.turn(), "native");
        rig.advance(3601);

        let message = json!([{ "role": "user", "content": "and now?" }]);
        for (member, id, code) in [
            ("conversation_id", first.conversation_id(), "conversation_not_found"),
            ("previous_response_id", first.id(), "response_not_found"),
        ] {
            let reply = talk.send(json!({ "messages": message, member: id })).await;
            assert_eq!((reply.status, reply.error()["code"].as_str()), (404, Some(code)));
            assert_eq!(reply.error()["param"], member);
        }
        let replayed = talk.say("and now?").await;
        assert_eq!(replayed.turn(), "replayed");
        assert_ne!(replayed.conversation_id(), first.conversation_id());
        let call = rig.last_question();
        assert_eq!(call.route, "new");
        assert!(call.message.unwrap().contains("my cat is called Tom"));
        assert_eq!(talk.say("go on").await.turn(), "native");
        rig.no_violations();
    }
}
