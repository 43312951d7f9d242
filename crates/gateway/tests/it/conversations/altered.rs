//! Clients alter what they resend; as long as the words are the same, the conversation is.

use grok2api_simulator::Reply as Scripted;
use serde_json::{Value, json};

use crate::harness::{Rig, assistant, user};
use crate::transports::over_both_transports;

over_both_transports! {
    an_answer_that_came_back_altered_is_the_same_answer,
    reasoning_that_was_shown_may_come_back_in_any_form_or_not_at_all,
    every_kind_of_answer_is_continued_as_the_client_has_it,
    a_quotation_that_is_part_of_the_answer_is_not_taken_for_reasoning,
    images_and_source_links_that_a_client_dropped_do_not_matter,
    a_question_that_came_back_altered_is_the_same_question,
    parts_and_messages_may_be_joined_in_another_way,
}

type Alter = fn(&str) -> String;

/// What clients do to an answer before they send it back.
const ANSWERS: [(&str, Alter); 12] = [
    ("as it was", str::to_owned),
    ("trimmed", |text| text.trim().to_owned()),
    ("white space around", |text| format!("\n  {text} \n\n")),
    ("line ends of Windows", |text| text.replace('\n', "\r\n")),
    ("white space at line ends", |text| text.lines().map(|line| format!("{line} \t\n")).collect()),
    ("more empty lines", |text| text.replace("\n\n", "\n\n\n\n")),
    ("no empty lines", |text| text.replace("\n\n", "\n")),
    ("reasoning in tags", |text| format!("<think>\nFirst this.\n\nThen that.\n</think>\n\n{text}")),
    ("reasoning in other tags", |text| format!("<reasoning>so</reasoning>\n{text}")),
    ("reasoning folded", |text| {
        format!(
            "<details type=\"reasoning\" done=\"true\" duration=\"2\">\n<summary>Thought</summary>\n> so\n</details>\n{text}"
        )
    }),
    ("reasoning as a quotation", |text| format!("> First this.\n>\n> Then that.\n\n{text}")),
    ("reasoning as a quotation, Windows", |text| format!("> so\r\n\r\n{}", text.replace('\n', "\r\n"))),
];

async fn an_answer_that_came_back_altered_is_the_same_answer() {
    const ANSWER: &str =
        "Here is the plan.\n\n  An indented line.  \n\n- buy bread\n- eat it\n\n> a quotation of mine\n\nDone.\n";
    for stream in [false, true] {
        let rig = Rig::new(&["anna"]).await;
        for (name, alter) in ANSWERS {
            let mut talk = rig.talk(stream);
            let id = talk.say(&format!("a chat about: {name}")).await.conversation_id();
            rig.simulator.account("anna").push(Scripted::text(ANSWER));
            let answer = talk.say("what is the plan?").await;
            // Altered while it is the last answer, and once more while it is an earlier one.
            talk.messages[3] = assistant(&alter(&answer.content()));
            let next = talk.say("and then?").await;
            assert_eq!((next.turn(), next.conversation_id()), ("native", id.clone()), "{name}");
            assert_eq!(rig.last_question().message.as_deref(), Some("and then?"), "{name}");
            let later = talk.say("and after that?").await;
            assert_eq!((later.turn(), later.conversation_id()), ("native", id), "{name}");
        }
        rig.no_violations();
    }
}

async fn reasoning_that_was_shown_may_come_back_in_any_form_or_not_at_all() {
    for settings in [json!({}), json!({ "reasoning_format": "reasoning_content" }), json!({ "show_thinking": false })] {
        let is_in_tags = settings == json!({});
        for stream in [false, true] {
            let rig = Rig::with_settings(&["anna"], settings.clone()).await;
            let mut talk = rig.talk(stream);
            talk.say("first question").await;
            let answer = talk.say("now think and search").await;
            assert_eq!(answer.content().starts_with("<think>"), is_in_tags, "{}", answer.content());
            let quoted: String = answer.content().lines().map(|line| format!("> {line}\n")).collect();
            let forms = [answer.content(), answer.text(), format!("{quoted}\n{}", answer.text())];
            for (index, form) in forms.iter().enumerate() {
                talk.messages[3] = assistant(form);
                let reply = talk.ask(&format!("form {index}")).await.ok();
                assert_eq!(reply.turn(), if index == 0 { "native" } else { "branched" }, "{form}");
                assert_eq!(rig.simulator.report().count("new"), 1, "{form}");
            }
            rig.no_violations();
        }
    }
}

async fn every_kind_of_answer_is_continued_as_the_client_has_it() {
    for stream in [false, true] {
        for format in ["think_tags", "reasoning_content"] {
            let rig = Rig::with_settings(&["anna"], json!({ "reasoning_format": format })).await;
            let anna = rig.simulator.account("anna");
            let mut answered = 0;
            // A hanging answer is no answer, and waits out the time-out to say so; a limit is none, and lasts.
            let no_answers =
                ["hang", "stall", "slow", "limit", "exhausted", "silent", "quiet", "unattached", "no-pongs"];
            for name in Scripted::names().filter(|name| !no_answers.iter().any(|word| name.contains(word))) {
                let mut talk = rig.talk(stream);
                let id = talk.say(&format!("about {name}")).await.conversation_id();
                anna.push(Scripted::named(name).unwrap());
                let reply = talk.ask("the question").await;
                rig.clear_cooldown("anna").await;
                if reply.status != 200 || !reply.error().is_null() || reply.content().trim().is_empty() {
                    continue;
                }
                answered += 1;
                talk.messages = talk.asking("the question");
                talk.messages.push(assistant(&reply.content()));
                let next = talk.ask("the next question").await.ok();
                assert_eq!((next.turn(), next.conversation_id()), ("native", id), "{name}: {:?}", reply.content());
            }
            assert!(answered >= 25, "{answered}");
            rig.no_violations();
        }
    }
}

async fn a_quotation_that_is_part_of_the_answer_is_not_taken_for_reasoning() {
    for stream in [false, true] {
        let rig = Rig::new(&["anna"]).await;
        for answer in
            ["> To be, or not to be.\n\nSo says Hamlet.", "> To be, or not to be.", "> One.\n\n> Two.\n\nThree."]
        {
            let mut talk = rig.talk(stream);
            talk.say(&format!("about {answer}")).await;
            rig.simulator.account("anna").push(Scripted::text(answer));
            let reply = talk.say("cite something").await;
            let reasoning = "> First this.\n>\n> Then that.\n\n";
            for (index, form) in [reply.text(), format!("{reasoning}{}", reply.text())].iter().enumerate() {
                talk.messages[3] = assistant(form);
                let next = talk.ask(&format!("form {index}")).await.ok();
                assert_eq!(next.turn(), if index == 0 { "native" } else { "branched" }, "{form}");
                assert_eq!(next.conversation_id(), reply.conversation_id());
            }
        }
        rig.no_violations();
    }
}

/// Takes out everything from `open` to the next `close`.
fn without(text: &str, open: &str, close: char) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(open) {
        kept.push_str(before);
        rest = after.split_once(close).expect("it is closed").1;
    }
    kept + rest
}

async fn images_and_source_links_that_a_client_dropped_do_not_matter() {
    for stream in [false, true] {
        let rig = Rig::new(&["anna"]).await;
        let mut talk = rig.talk(stream);
        talk.say("first question").await;
        let answer = talk.say("search for cats and draw one").await.text();
        assert!(answer.contains("[[1]](https://"), "{answer}");
        assert!(answer.contains("!["), "{answer}");
        let without_images = without(&answer, "![", ')');
        let without_links = without(&answer, "[[", ')');
        let without_both = without(&without_images, "[[", ')');
        assert!(!without_both.contains("](") && without_both.contains("Answer 2"), "{without_both}");
        for (index, form) in [answer.clone(), without_images, without_links, without_both].iter().enumerate() {
            talk.messages[3] = assistant(form);
            let reply = talk.ask("which colour was it?").await.ok();
            assert_eq!(reply.turn(), if index == 0 { "native" } else { "branched" }, "{form}");
            assert_eq!(rig.last_question().message.as_deref(), Some("which colour was it?"));
        }
        assert_eq!(rig.simulator.report().count("new"), 1);
        rig.no_violations();
    }
}

/// A question as it was asked, and as it comes back with the next request.
const QUESTIONS: [(&str, &str); 6] = [
    (
        "Use these search results:\n[1] Paris is rainy.\n[2] Lyon is dry.\n\n---\nQuestion:\nHow is the weather\nin France?",
        "How is the weather\nin France?",
    ),
    (
        "look at https://files.example.org/a/cat.png?sig=one&expires=1 and say what it is",
        "look at https://files.example.org/a/cat.png?sig=two&expires=2#top and say what it is",
    ),
    (
        "see ![photo](https://h.example/f.png?X-Amz-Signature=abc), please",
        "see ![photo](https://h.example/f.png), please",
    ),
    ("a line\nanother line", "a line\r\n\r\nanother line  "),
    ("  indented at the start", "indented at the start\n"),
    ("first paragraph\n\nsecond paragraph", "first paragraph\nsecond paragraph"),
];

async fn a_question_that_came_back_altered_is_the_same_question() {
    for stream in [false, true] {
        for (asked, resent) in QUESTIONS {
            let mut rig = Rig::new(&["anna"]).await;
            // At the very beginning, and in the middle.
            for earlier in [0, 2] {
                let mut talk = rig.talk(stream);
                for number in 0..earlier {
                    talk.say(&format!("earlier question {number}")).await;
                }
                let answer = talk.say(asked).await;
                talk.messages[2 * earlier] = user(resent);
                for question in ["the next question", "one more question"] {
                    let reply = talk.say(question).await;
                    assert_eq!(
                        (reply.turn(), reply.conversation_id()),
                        ("native", answer.conversation_id()),
                        "{asked}"
                    );
                    assert_eq!(rig.last_question().message.as_deref(), Some(question));
                }
                let messages = talk.messages;
                rig.restart().await;
                let mut talk = rig.talk(stream);
                talk.messages = messages;
                assert_eq!(talk.say("after a restart").await.turn(), "native", "{asked}");
                assert_eq!(talk.first(2 * (earlier + 1)).ask("a branch").await.ok().turn(), "branched", "{asked}");
            }
            rig.no_violations();
        }
    }
}

fn parts(texts: &[&str]) -> Value {
    let parts: Vec<Value> = texts.iter().map(|text| json!({ "type": "text", "text": text })).collect();
    json!({ "role": "user", "content": parts })
}

async fn parts_and_messages_may_be_joined_in_another_way() {
    let forms = [
        vec![parts(&["look at this", "and at that"])],
        vec![user("look at this\nand at that")],
        vec![user("look at this\n\nand at that")],
        vec![user("look at this"), user("and at that")],
        vec![parts(&["look at this\n", "\nand at that"])],
    ];
    for stream in [false, true] {
        let rig = Rig::new(&["anna"]).await;
        for asked in &forms {
            let mut talk = rig.talk(stream);
            let answer = talk.send(json!({ "messages": asked })).await.ok();
            assert_eq!(answer.turn(), "new");
            for (index, resent) in forms.iter().enumerate() {
                talk.messages = resent.clone();
                talk.messages.push(assistant(&answer.text()));
                let reply = talk.ask(&format!("form {index}")).await.ok();
                let receipt = if index == 0 { "native" } else { "branched" };
                assert_eq!((reply.turn(), reply.conversation_id()), (receipt, answer.conversation_id()));
            }
        }
        rig.no_violations();
    }
}
