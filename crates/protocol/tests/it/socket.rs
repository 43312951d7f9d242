//! The WebSocket dialect: the same answers in another dress, whatever the messages are cut into.

use proptest::prelude::*;
use protocol::socket::Step;
use protocol::translate::Ending;
use serde_json::{Value, json};

use crate::script::{Act, Form, messages, rest_frames, script};
use crate::support::{Answer, Fixture, answer_of, answer_of_frames, answer_of_messages, new_session};

/// What must not depend on the dialect. Only a new conversation is told its id, and failures have names of their own.
fn essence(answer: &Answer) -> String {
    let ending = match &answer.ending {
        Ending::Failed(failure) => format!("failed {:?} {}", failure.kind, failure.message),
        ending => format!("{ending:?}"),
    };
    let ids = &answer.ids;
    format!(
        "reasoning: {}\ntext: {}\n{ending}\n{:?} {:?} {:?}\n{:?}",
        answer.reasoning(),
        answer.text(),
        ids.user_message_id,
        ids.response_id,
        ids.title,
        answer.sources
    )
}

fn answer_of_values(messages: &[Value]) -> Answer {
    let messages: Vec<_> = messages.iter().map(Value::to_string).collect();
    answer_of_messages(messages.iter().map(String::as_bytes))
}

#[test]
fn a_fixture_of_rest_gives_the_same_answer_over_the_socket_in_both_forms() {
    let mut compared = 0;
    for form in ["socket/chunk/", "socket/delta/"] {
        for fixture in Fixture::all_in(form) {
            let rest = Fixture::read(fixture.name.trim_start_matches(form));
            let answer = answer_of_messages(fixture.lines().iter().map(|line| line.as_bytes()));
            assert_eq!(essence(&answer), essence(&answer_of([rest.bytes.as_slice()])), "{}", fixture.name);
            assert_eq!(answer.unknown.len(), 0, "{}: {:?}", fixture.name, answer.unknown);
            compared += 1;
        }
    }
    assert!(compared > 50, "fixtures are missing: {compared}");
}

#[test]
fn the_session_says_when_to_send_and_when_it_is_over() {
    let fixture = Fixture::read("socket/chunk/new_conversation");
    let mut session = new_session();
    let mut steps = Vec::new();
    for line in fixture.lines() {
        let step = session.receive(line.as_bytes(), &mut |_| {});
        if steps.last() != Some(&step) {
            steps.push(step);
        }
    }
    assert!(
        matches!(steps.as_slice(), [Step::Wait, Step::Send(sent), Step::Wait, Step::Done] if sent.len() == 2),
        "{steps:?}"
    );
    assert!(session.is_accepted() && session.is_persisted());
}

/// All of the socket's fixtures.
fn fixtures() -> Vec<Fixture> {
    ["socket/", "socket/chunk/", "socket/delta/"].into_iter().flat_map(Fixture::all_in).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_script_is_the_same_answer_in_every_dialect(acts in script()) {
        let rest = essence(&answer_of_frames(&rest_frames(&acts)));
        for form in [Form::Chunk, Form::DeltaCardFirst, Form::DeltaCardNext, Form::DeltaCardLast] {
            prop_assert_eq!(essence(&answer_of_values(&messages(&acts, form))), rest.as_str(), "{:?}", form);
        }
    }

    /// An independent account of what must be shown: every word once, every source as its number.
    #[test]
    fn text_is_neither_lost_nor_doubled_and_markup_does_not_show(acts in script()) {
        let acts: Vec<_> = acts.into_iter().filter(|act| matches!(act, Act::Text(_) | Act::Cite { .. })).collect();
        let (mut expected, mut cited) = (String::new(), Vec::new());
        for act in &acts {
            match act {
                Act::Text(text) => expected.push_str(text),
                Act::Cite { url, .. } => {
                    if !cited.contains(url) {
                        cited.push(url.clone());
                    }
                    let number = cited.iter().position(|known| known == url).unwrap() + 1;
                    let link = format!("[[{number}]]({url})");
                    if !expected.ends_with(&link) {
                        expected.push_str(&link);
                    }
                }
                _ => {}
            }
        }
        for form in [Form::Chunk, Form::DeltaCardFirst, Form::DeltaCardNext, Form::DeltaCardLast] {
            prop_assert_eq!(answer_of_values(&messages(&acts, form)).text(), expected.as_str(), "{:?}", form);
        }
    }

    #[test]
    fn any_grouping_of_objects_into_messages_is_the_same_answer(which in any::<prop::sample::Index>(), sizes in prop::collection::vec(1usize..6, 1..20), glue in prop::sample::select(vec!["", " ", "\n", "\r\n\t"])) {
        let fixtures = fixtures();
        let fixture = which.get(&fixtures);
        let text = fixture.lines().concat();
        let objects: Vec<String> =
            serde_json::Deserializer::from_str(&text).into_iter::<Value>().map(|object| object.unwrap().to_string()).collect();
        let single = answer_of_messages(objects.iter().map(String::as_bytes));
        let mut groups = Vec::new();
        let mut rest = objects.as_slice();
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (group, behind) = rest.split_at((*size).min(rest.len()));
            groups.push(group.join(glue));
            rest = behind;
        }
        prop_assert_eq!(answer_of_messages(groups.iter().map(String::as_bytes)), single, "{}", fixture.name);
    }

    #[test]
    fn any_bytes_are_survived(messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..6)) {
        answer_of_messages(messages.iter().map(Vec::as_slice));
    }

    #[test]
    fn any_object_is_survived(text in "[{}\\[\\]\":,a-z0-9_\\\\ ]{0,80}") {
        for prefix in ["", "{\"event\":{\"type\":\"response.chunk\",\"chunk\":{"] {
            let message = format!("{prefix}{text}");
            answer_of_messages([message.as_bytes()]);
        }
    }

    #[test]
    fn a_conversation_with_any_member_replaced_is_still_read(
        which in any::<prop::sample::Index>(), line in any::<prop::sample::Index>(), place in any::<prop::sample::Index>(), odd in crate::robustness::odd_value(),
    ) {
        let fixtures = fixtures();
        let fixture = which.get(&fixtures);
        let mut lines: Vec<String> = fixture.lines().into_iter().map(str::to_owned).collect();
        let changed = line.index(lines.len());
        let Ok(mut frame) = serde_json::from_str::<Value>(&lines[changed]) else { return Ok(()) };
        let mut found = Vec::new();
        crate::robustness::places(&frame, "", &mut found);
        *frame.pointer_mut(&found[place.index(found.len())]).unwrap() = odd;
        lines[changed] = frame.to_string();
        answer_of_messages(lines.iter().map(String::as_bytes));
    }

    #[test]
    fn an_odd_member_beside_the_text_does_not_cost_the_text(odd in crate::robustness::odd_value(), name in prop::sample::select(vec![
        "metadata", "tool_usage_card", "tool_result", "ui_layout", "progress_report", "phase_marker", "render_citation", "render_start",
        "render_searched_image", "render_generated_image", "card_attachment", "follow_up_suggestions", "somethingNew",
    ])) {
        let mut chunk = json!({"text": {"text": "the words", "channel": "CHANNEL_ASSISTANT_RESPONSE"}});
        chunk[name] = odd;
        let mut messages = messages(&[], Form::Chunk);
        let end = messages.iter().position(|message| message["event"]["type"] == "response.done").unwrap();
        messages.insert(end, json!({"event": {"type": "response.chunk", "chunk": chunk}}));
        let answer = answer_of_values(&messages);
        prop_assert!(answer.text().starts_with("the words"), "{name}: {:?}", answer.shown);
    }
}

#[test]
fn deep_nesting_is_refused_or_passed_over_without_a_crash() {
    let objects = "{\"event\":".repeat(100_000) + "1" + &"}".repeat(100_000);
    let deep = "[".repeat(200_000) + &"]".repeat(200_000);
    let chunk =
        format!("{{\"event\":{{\"type\":\"response.chunk\",\"chunk\":{{\"new\":{deep},\"tool_result\":{deep}}}}}}}");
    let opening = messages(&[], Form::Chunk)[..4].iter().map(Value::to_string).collect::<String>();
    answer_of_messages([opening.as_bytes(), objects.as_bytes(), chunk.as_bytes()]);
}
