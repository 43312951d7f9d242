use serde_json::{Value, json};

use super::{Session, SessionIds, Step};
use crate::event::{Channel, GrokEvent};
use crate::model::Mode;
use crate::turn::{Parent, TurnRequest};

const CONVERSATION: &str = "3b0c6a5e-18b7-4f0c-8f4e-6f5d8a1b2c3d";

fn ids() -> SessionIds {
    SessionIds {
        init_event: "evt_init_1".to_owned(),
        message_event: "evt_msg_1".to_owned(),
        response_event: "evt_resp_1".to_owned(),
        client_message: "77aa0c11-2d3e-4f50-8a6b-7c8d9e0f1a2b".to_owned(),
    }
}

fn session(parent: Option<Parent<'_>>) -> Session {
    let mode = Mode::Id("fast".into());
    let turn = TurnRequest { parent, ..TurnRequest::new("What is 2+2?", &mode) };
    Session::new(&turn, ids())
}

fn continued() -> Session {
    session(Some(Parent { conversation_id: CONVERSATION, response_id: Some("leaf") }))
}

/// An event in our session.
fn ours(event: Value) -> Value {
    json!({"session_id": CONVERSATION, "event": event})
}

fn created() -> Value {
    ours(json!({"type": "session.created", "client_event_id": "evt_init_1", "session": {"model": "fast"}}))
}

fn attached(id: &str) -> Value {
    ours(json!({"type": "conversation.attached", "conversation": {"id": id, "object": "realtime.conversation"}}))
}

fn answering() -> Value {
    ours(
        json!({"type": "response.created", "client_event_id": "evt_resp_1", "response": {"id": "r", "status": "in_progress"}}),
    )
}

fn chunk(chunk: Value) -> Value {
    ours(json!({"type": "response.chunk", "response_id": "r", "item_id": "r", "chunk": chunk}))
}

fn text(text: &str, channel: &str) -> Value {
    chunk(json!({"text": {"text": text, "channel": channel}}))
}

fn answer(piece: &str) -> Value {
    text(piece, "CHANNEL_ASSISTANT_RESPONSE")
}

fn done(status: &str) -> Value {
    ours(json!({"type": "response.done", "response": {"id": "r", "status": status}}))
}

/// One line per event.
fn brief(event: &GrokEvent<'_>) -> String {
    match event {
        GrokEvent::Text { channel: Channel::Final, text, .. } => format!("text {text}"),
        GrokEvent::Text { channel, text, .. } => format!("{channel:?} {text}"),
        GrokEvent::Failed(failure) => format!("failed {}", failure.kind.label()),
        GrokEvent::Warned(failure) => format!("warned {}", failure.kind.label()),
        GrokEvent::Unknown { kind, .. } => format!("unknown {kind}"),
        other => format!("{other:?}"),
    }
}

/// What a session makes of these messages: all events, and the last step.
fn run(session: &mut Session, messages: &[Value]) -> (Vec<String>, Step) {
    let mut events = Vec::new();
    let mut step = Step::Wait;
    for message in messages {
        step = session.receive(message.to_string().as_bytes(), &mut |event| events.push(brief(&event)));
    }
    (events, step)
}

/// A session whose answer has begun.
fn begun() -> Session {
    let mut session = session(None);
    run(&mut session, &[created(), attached(CONVERSATION), answering()]);
    session
}

#[test]
fn a_new_conversation_is_opened_asked_and_answered() {
    let mut session = session(None);
    let opening: Value = serde_json::from_str(&session.opening()).unwrap();
    assert_eq!(opening.get("session_id"), None);
    assert_eq!(opening["event"]["type"], "session.create");
    assert_eq!(opening["event"]["event_id"], "evt_init_1");

    let (events, step) = run(&mut session, &[created()]);
    assert_eq!((events.len(), step), (0, Step::Wait), "the conversation is still missing");
    let (events, step) = run(&mut session, &[attached(CONVERSATION)]);
    assert_eq!(events, [format!("Conversation {{ id: {CONVERSATION:?} }}")]);
    let Step::Send(messages) = step else { panic!("{step:?}") };
    let messages: Vec<Value> = messages.iter().map(|message| serde_json::from_str(message).unwrap()).collect();
    assert_eq!(
        messages,
        [
            ours(
                json!({"type": "conversation.item.create", "event_id": "evt_msg_1", "item": {"type": "message", "role": "user",
                "x_grok": {"client_message_id": "77aa0c11-2d3e-4f50-8a6b-7c8d9e0f1a2b", "input_chunks": [{"text": {"text": "What is 2+2?"}}]}}})
            ),
            ours(json!({"type": "response.create", "event_id": "evt_resp_1"})),
        ]
    );
    assert!(!session.is_accepted());
    let item = ours(json!({"type": "conversation.item.added", "item": {"id": "u", "role": "user"}}));
    assert_eq!(run(&mut session, &[item]), (vec!["UserMessage { id: \"u\" }".to_owned()], Step::Wait));
    assert!(session.is_accepted());
    let (events, step) = run(&mut session, &[answering(), answer("4"), answer("4"), done("completed")]);
    assert_eq!(events, ["Answer { id: \"r\" }", "text 4", "text 4", "SoftStop"]);
    assert_eq!(step, Step::Done);
}

#[test]
fn a_conversation_is_continued_under_its_own_id() {
    let mut session = continued();
    let opening: Value = serde_json::from_str(&session.opening()).unwrap();
    assert_eq!(opening["session_id"], CONVERSATION);
    let options = &opening["event"]["session"]["x_grok"];
    assert_eq!(options["conversation_id"], CONVERSATION);
    assert_eq!((&options["load_existing"], &options["needs_history"]), (&json!(true), &json!(false)));
    assert_eq!(options.get("is_temporary"), None);
    let (events, step) = run(&mut session, &[created(), attached(CONVERSATION)]);
    assert_eq!(events, [""; 0], "the conversation is known");
    let Step::Send(messages) = step else { panic!("{step:?}") };
    assert!(messages[0].contains(r#""parent_response_id":"leaf""#), "{}", messages[0]);
}

#[test]
fn another_conversation_than_the_one_asked_for_is_a_failure() {
    for messages in [
        vec![created(), ours(json!({"type": "conversation.attached", "conversation": {"id": "other"}}))],
        // The upstream chose another session, and so another conversation.
        vec![
            json!({"session_id": "other", "event": {"type": "session.created", "client_event_id": "evt_init_1"}}),
            json!({"session_id": "other", "event": {"type": "conversation.attached", "conversation": {"id": "other"}}}),
        ],
    ] {
        assert_eq!(run(&mut continued(), &messages), (vec!["failed not_found".to_owned()], Step::Done));
    }
}

#[test]
fn the_order_of_the_opening_does_not_matter_and_foreign_sessions_are_passed_over() {
    let foreign = |event: Value| json!({"session_id": "foreign", "event": event});
    let foreign_created = foreign(json!({"type": "session.created", "client_event_id": "evt_init_2"}));
    let foreign_attached = foreign(json!({"type": "conversation.attached", "conversation": {"id": "foreign"}}));
    for messages in [
        vec![attached(CONVERSATION), created()],
        vec![foreign_created.clone(), created(), foreign_attached.clone(), attached(CONVERSATION)],
        vec![foreign_attached.clone(), foreign_created.clone(), created(), attached(CONVERSATION)],
        vec![foreign_attached.clone(), attached(CONVERSATION), foreign_created.clone(), created()],
        vec![attached(CONVERSATION), foreign_attached, foreign_created, created()],
    ] {
        for mut session in [session(None), continued()] {
            let (_, step) = run(&mut session, &messages);
            let Step::Send(sent) = step else { panic!("{step:?} after {messages:?}") };
            let prefix = format!("{{\"session_id\":\"{CONVERSATION}\",\"event\":{{\"type\":");
            assert!(sent.iter().all(|message| message.starts_with(&prefix)), "{sent:?}");
        }
    }
    let mut session = begun();
    let others = [
        foreign(json!({"type": "response.chunk", "chunk": {"text": {"text": "FOREIGN"}}})),
        foreign(json!({"type": "error", "error": {"code": "invalid_envelope"}})),
        foreign(json!({"type": "response.done", "response": {"status": "completed"}})),
        foreign(json!({"type": "something.new"})),
    ];
    assert_eq!(run(&mut session, &others), (vec![], Step::Wait));
}

#[test]
fn what_comes_before_the_answer_is_history() {
    let mut session = continued();
    let history = ours(json!({"type": "conversation.history.item", "item": {"id": "h", "role": "assistant",
        "x_grok": {"output_chunks": [{"text": {"text": "OLD"}}]}}}));
    let (events, _) = run(
        &mut session,
        &[
            history.clone(),
            answer("OLD"),
            created(),
            attached(CONVERSATION),
            history,
            answer("OLD"),
            ours(json!({"type": "conversation.history.done"})),
            ours(json!({"type": "response.created", "client_event_id": "evt_resp_0", "response": {"id": "old"}})),
            answer("OLD"),
            answering(),
            answer("new"),
            done("completed"),
        ],
    );
    assert_eq!(events, ["Answer { id: \"r\" }", "text new", "SoftStop"]);
}

#[test]
fn the_question_is_the_users_last_message_before_the_answer() {
    let item =
        |id: &str, role: &str| ours(json!({"type": "conversation.item.added", "item": {"id": id, "role": role}}));
    let mut session = continued();
    let (events, _) = run(
        &mut session,
        &[
            item("before", "user"),
            created(),
            attached(CONVERSATION),
            item("old", "user"),
            item("a", "assistant"),
            item("u", "user"),
            answering(),
            item("next", "user"),
        ],
    );
    assert_eq!(events, ["UserMessage { id: \"old\" }", "UserMessage { id: \"u\" }", "Answer { id: \"r\" }"]);
    assert_eq!(run(&mut begun(), &[item("u", "")]).0, ["UserMessage { id: \"u\" }"], "in the other order");
}

#[test]
fn another_answers_events_are_not_ours() {
    let mut session = begun();
    let other = ours(json!({"type": "response.chunk", "response_id": "other", "chunk": {"text": {"text": "OTHER"}}}));
    let other_end = ours(json!({"type": "response.done", "response": {"id": "other", "status": "failed"}}));
    assert_eq!(run(&mut session, &[other, other_end]), (vec![], Step::Wait));
}

#[test]
fn headings_come_late_and_are_thinking_until_the_end() {
    let mut session = begun();
    let heading = |words: &str| {
        ours(json!({"type": "response.chunk", "response_id": "", "item_id": "",
            "chunk": {"metadata": {"step_id": 1}, "text": {"text": words, "channel": "CHANNEL_ASSISTANT_NOTETAKER_HEADER"}}}))
    };
    let (events, step) = run(
        &mut session,
        &[answer("a"), heading("between"), answer("b"), heading("after"), done("completed"), heading("late")],
    );
    assert_eq!(events, ["text a", "ThinkingHeader between", "text b", "ThinkingHeader after", "SoftStop"]);
    assert_eq!(step, Step::Done);
    let title = ours(json!({"type": "conversation.title.updated", "title": "t"}));
    let persisted = ours(json!({"type": "response.persisted", "status": "ok"}));
    assert!(!session.is_persisted());
    let (events, step) = run(&mut session, &[persisted, title, ours(json!({"type": "something.new"}))]);
    assert_eq!(events, ["Title(\"t\")", "unknown event:something.new"]);
    assert_eq!(step, Step::Done);
    assert!(session.is_persisted());
}

#[test]
fn channels_that_are_not_known_are_thinking_and_counted() {
    let (events, _) = run(
        &mut begun(),
        &[
            text("a", "CHANNEL_NEW"),
            text("b", ""),
            text("c", "CHANNEL_ANALYSIS"),
            text("d", "CHANNEL_ASSISTANT_NOTETAKER_SUMMARY"),
            chunk(json!({"text": {"text": "e"}})),
            chunk(json!({"text": {"text": ""}})),
        ],
    );
    let odd = |channel: Value| run(&mut begun(), &[chunk(json!({"text": {"text": "x", "channel": channel}}))]).0;
    assert_eq!(odd(json!(7)), ["unknown channel:CHANNEL_7", "Thinking x"]);
    assert_eq!(odd(json!({"a": 1})), ["unknown channel:shape", "Thinking x"]);
    assert_eq!((odd(json!(0)), odd(json!(null))), (vec!["text x".to_owned()], vec!["text x".to_owned()]));
    assert_eq!(
        events,
        ["unknown channel:CHANNEL_NEW", "Thinking a", "text b", "Thinking c", "ThinkingSummary d", "text e"]
    );
}

#[test]
fn only_the_leaders_answer_is_the_answer() {
    let by = |rollout: &str, words: &str| chunk(json!({"metadata": {"rollout_id": rollout}, "text": {"text": words}}));
    let layout =
        |rollouts: Value| chunk(json!({"ui_layout": {"reasoning_ui_layout": "HEAVY", "rollout_ids": rollouts}}));
    let texts = |messages: &[Value]| -> Vec<String> {
        run(&mut begun(), messages).0.into_iter().filter(|event| event.starts_with("text")).collect()
    };
    let words = [by("Agent 1", "draft"), by("Grok", "answer"), answer(" goes on")];
    assert_eq!(texts(&[&[layout(json!(["Agent 1", "Grok"]))], &words[..]].concat()), ["text answer", "text  goes on"]);
    assert_eq!(
        texts(&[&[layout(json!(["Agent 1", "Agent 2"]))], &words[..]].concat()),
        ["text draft", "text  goes on"]
    );
    let unlisted = texts(&[layout(json!(["Agent 1", "Agent 2"])), by("Agent 2", "draft"), by("Leader", "answer")]);
    assert_eq!(unlisted, ["text answer"], "whoever is not listed is no helper");
    assert_eq!(texts(&words[1..]), ["text answer", "text  goes on"], "without a list");
}

#[test]
fn how_the_answer_ends_is_told() {
    let ended = |response: Value| {
        let end = ours(json!({"type": "response.done", "response": response}));
        run(&mut begun(), &[answer("half a sen"), end]).0.pop().unwrap()
    };
    for (response, end) in [
        (json!({"status": "completed"}), "SoftStop"),
        (json!({"id": "r"}), "SoftStop"),
        (json!(null), "SoftStop"),
        (json!({"status": "incomplete"}), "failed unavailable"),
        (json!({"status": "incomplete", "status_details": {"reason": "stream_error"}}), "failed unavailable"),
        (
            json!({"status": "incomplete", "status_details": {"reason": "usage_limit_reached"}}),
            "failed rate_limited_quota_gone",
        ),
        (
            json!({"status": "failed", "status_details": {"error": {"code": "anti_bot", "message": "x"}}}),
            "failed exit_anti_bot",
        ),
        (json!({"status": "failed", "statusDetails": {"reason": "content_moderated"}}), "failed rejected_moderated"),
        (json!({"status": "cancelled"}), "failed unavailable"),
    ] {
        assert_eq!(ended(response.clone()), end, "{response}");
    }
    let end = ours(json!({"type": "response.done", "response": {"status": "new_end"}}));
    assert_eq!(run(&mut begun(), &[end]).0, ["unknown status:new_end", "failed unavailable"]);
    let end = ours(json!({"type": "response.done", "response": {"status": 9}}));
    assert_eq!(run(&mut begun(), &[end]).0, ["unknown status:?", "failed unavailable"]);
}

#[test]
fn a_stream_error_is_the_failure_whatever_the_end_says() {
    let error = |error: Value| ours(json!({"type": "response.grok.output", "output": {"stream_error": error}}));
    let cut = ours(
        json!({"type": "response.done", "response": {"status": "incomplete", "status_details": {"reason": "stream_error"}}}),
    );
    for (told, failure) in [
        (
            json!({"kind": "usage_limit_reached", "message": "You've reached your usage limit."}),
            "rate_limited_quota_gone",
        ),
        (json!({"kind": "anti_bot", "message": "x"}), "exit_anti_bot"),
        (json!({"kind": "new", "message": "Request rejected by anti-bot rules."}), "exit_anti_bot"),
        (json!({"kind": "throttled", "message": "Too many requests"}), "rate_limited"),
        (json!({"kind": "x", "message": "", "details": {"reason": "Too many requests"}}), "rate_limited"),
        (json!({"message": "x", "severity": "FATAL", "attachmentFileTooLarge": {}}), "rejected_attachment"),
        (json!({"message": "x", "concurrency_limit": {}}), "rate_limited_quota_left"),
        (json!({"code": 13, "message": "Internal error"}), "unavailable"),
        (json!("User is blocked"), "user_blocked"),
    ] {
        for text in [&[][..], &[answer("half a sen")]] {
            let (events, step) = run(&mut begun(), &[text, &[error(told.clone()), cut.clone()]].concat());
            let failures: Vec<_> = events.iter().filter(|event| event.starts_with("failed")).collect();
            assert_eq!(failures, [&format!("failed {failure}")], "{told}");
            assert_eq!(step, Step::Done);
        }
    }
    // One tool's trouble is not the answer's, unless the answer ends with it.
    let tool = error(json!({"kind": "tool_call_failed", "message": "Too many requests"}));
    assert_eq!(
        run(&mut begun(), &[tool.clone(), answer("x"), done("completed")]).0,
        ["warned unavailable", "text x", "SoftStop"]
    );
    assert_eq!(run(&mut begun(), &[tool, cut]).0, ["warned unavailable", "failed unavailable"]);
    // Before the answer has a name.
    let mut session = session(None);
    run(&mut session, &[created(), attached(CONVERSATION)]);
    let limit = error(json!({"kind": "usage_limit_reached", "message": "x"}));
    assert_eq!(run(&mut session, &[limit]), (vec!["failed rate_limited_quota_gone".to_owned()], Step::Done));
}

#[test]
fn an_error_event_ends_the_turn_wherever_it_comes() {
    let events = |event: Value| {
        let (events, step) = run(&mut session(None), &[json!({"event": event.clone()})]);
        assert_eq!(step, Step::Done, "{event}");
        let mut later = begun();
        assert_eq!(run(&mut later, &[answer("x"), ours(event)]).1, Step::Done);
        events
    };
    for (error, expected) in [
        (json!({"code": "conversation_not_found", "message": "Conversation not found"}), "failed not_found"),
        (json!({"code": "invalid_envelope", "message": "x"}), "failed rejected_bad_request"),
        (json!({"code": "anti_bot", "message": "x"}), "failed exit_anti_bot"),
        (json!({"code": "rate_limited", "message": "x"}), "failed rate_limited"),
        (json!({"code": 16, "message": "x"}), "failed credential_dead"),
        (json!("Request rejected by anti-bot rules."), "failed exit_anti_bot"),
        (json!({}), "failed unavailable"),
    ] {
        assert_eq!(events(json!({"type": "error", "error": error})), [expected], "{error}");
    }
    assert_eq!(events(json!({"type": "response.error", "message": "Too many requests"})), ["failed rate_limited"]);
    assert_eq!(events(json!({"type": "error", "code": "not_found", "message": ""})), ["failed not_found"]);
    assert_eq!(
        events(json!({"type": "error", "error": {"code": "new_code", "message": "User is blocked"}})),
        ["unknown error:new_code", "failed user_blocked"]
    );
}

#[test]
fn a_session_that_ends_before_the_answer_is_a_cut() {
    let ended = ours(json!({"type": "session.ended"}));
    assert_eq!(run(&mut session(None), &[json!({"event": {"type": "session.ended"}})]), (vec![], Step::Closed));
    assert_eq!(run(&mut begun(), &[answer("x"), ended.clone()]), (vec!["text x".to_owned()], Step::Closed));
    assert_eq!(run(&mut begun(), &[done("completed"), ended]).1, Step::Done);
}

#[test]
fn pings_are_counted_until_they_are_answered() {
    let mut session = session(None);
    assert_eq!(session.ping(), r#"{"event":{"type":"ping","event_id":"evt_hb_1"}}"#);
    session.ping();
    assert_eq!(session.unanswered_pings(), 2);
    assert_eq!(run(&mut session, &[json!({"event": {"type": "pong"}})]), (vec!["Heartbeat".to_owned()], Step::Wait));
    assert_eq!(session.unanswered_pings(), 0);
}

#[test]
fn closing_text_counts_only_if_no_other_came() {
    let text_done = ours(json!({"type": "response.output_text.done", "response_id": "r", "text": "whole"}));
    let completed = ours(json!({"type": "response.completed", "response": {"id": "r", "status": "completed",
        "output": [{"type": "reasoning", "content": [{"type": "reasoning_text", "text": "no"}]},
            {"type": "message", "content": [{"type": "output_text", "text": "who"}, {"type": "output_text", "text": "le"}]}]}}));
    let texts = |messages: &[Value]| -> Vec<String> {
        run(&mut begun(), messages).0.into_iter().filter(|event| event.starts_with("text")).collect()
    };
    for closing in [&text_done, &completed] {
        assert_eq!(texts(&[closing.clone(), done("completed")]), ["text whole"]);
    }
    assert_eq!(texts(&[text_done.clone(), completed.clone(), done("completed")]), ["text whole"]);
    assert_eq!(texts(&[answer("wh"), answer("ole"), text_done.clone(), completed.clone()]), ["text wh", "text ole"]);
    let delta = ours(json!({"type": "response.output_text.delta", "response_id": "r", "delta": "whole"}));
    assert_eq!(texts(&[delta, text_done.clone(), completed]), ["text whole"]);
    let thinking = ours(json!({"type": "response.output_text.delta", "delta": "hm", "x_grok": {"is_thinking": true}}));
    assert_eq!(texts(&[thinking, text_done]), ["text whole"], "thinking is no answer");
}

#[test]
fn names_in_camel_case_say_the_same() {
    let mut session = session(None);
    let camel = |event: Value| json!({"sessionId": CONVERSATION, "event": event});
    let (events, _) = run(
        &mut session,
        &[
            camel(json!({"type": "session.created", "clientEventId": "evt_init_1"})),
            camel(json!({"type": "conversation.attached", "conversation": {"id": CONVERSATION}})),
            camel(json!({"type": "response.created", "clientEventId": "evt_resp_1", "response": {"id": "r"}})),
            camel(
                json!({"type": "response.chunk", "responseId": "r", "itemId": "r", "chunk": {"metadata": {"stepId": "2", "rolloutId": "Grok"},
                "uiLayout": {"reasoningUiLayout": "UNIFIED", "rolloutIds": ["Grok"]}}}),
            ),
            camel(
                json!({"type": "response.chunk", "responseId": "r", "chunk": {"toolUsageCard": {"toolUsageCardId": "t", "webSearch": {"args": {"query": "q"}}}}}),
            ),
            camel(
                json!({"type": "response.chunk", "responseId": "r", "chunk": {"toolResult": {"toolCallId": "t", "webSearch": {"webpages": [{"url": "https://a.example"}]}}}}),
            ),
            camel(
                json!({"type": "response.chunk", "responseId": "r", "chunk": {"renderCitation": {"id": "c", "url": "https://a.example"}}}),
            ),
            camel(json!({"type": "response.chunk", "responseId": "other", "chunk": {"text": {"text": "OTHER"}}})),
        ],
    );
    assert_eq!(
        events[1..],
        [
            "Answer { id: \"r\" }",
            "Layout { name: \"UNIFIED\", rollouts: [\"Grok\"] }",
            "ToolCall(ToolCall { id: Some(\"t\"), name: \"web_search\", argument: Some(\"q\"), rollout: None })",
            "ToolResult(ToolResult { id: Some(\"t\"), sources: [Source { url: \"https://a.example\", title: \"\" }], count: Some(1) })",
            "Card(Card { id: \"c\", kind: Citation { url: \"https://a.example\" } })",
            "CardPlace { id: \"c\" }",
        ]
    );
}

#[test]
fn what_is_not_known_is_named_and_costs_nothing_else() {
    let odd = ours(json!({"type": "response.chunk", "new_member": 1, "response_id": "r", "chunk": {
        "metadata": {"step_id": 1, "new_meta": 2}, "new_payload": {"kind": "KIND_NEW"}, "render_citation": 7, "ui_layout": 4,
        "client_tool_call": {"name": "x"}, "phase_marker": {"kind": "KIND_RESPONSE_START"}, "progress_report": {},
        "text": {"text": "words", "new_text": true}}}));
    let (events, _) = run(&mut begun(), &[odd]);
    let (text, unknown): (Vec<_>, Vec<_>) = events.into_iter().partition(|event| event.starts_with("text "));
    assert_eq!(text, ["text words"]);
    let mut unknown: Vec<_> = unknown.iter().map(|event| event.trim_start_matches("unknown ")).collect();
    unknown.sort_unstable();
    assert_eq!(
        unknown,
        [
            "chunk.client_tool_call",
            "chunk.new_payload",
            "chunk.render_citation",
            "chunk.ui_layout",
            "event.new_member",
            "metadata.new_meta",
            "text.new_text"
        ]
    );
    let silent = ours(json!({"type": "conversation.queue.updated", "whatever": [1]}));
    assert_eq!(run(&mut begun(), &[silent]).0, [""; 0]);
    let untyped = json!({"session_id": CONVERSATION, "event": {"chunk": {"text": {"text": "x"}}}});
    assert_eq!(run(&mut begun(), &[untyped, json!({"event": 7})]).0, ["unknown untyped", "unknown untyped"]);
}

#[test]
fn a_damaged_message_costs_what_is_damaged() {
    let (a, b) = (answer("a").to_string(), answer("b").to_string());
    let malformed = ["unknown malformed"];
    for (message, expected) in [
        (format!("{a}{b}"), vec!["text a", "text b"]),
        (format!(" {a}\r\n\t{b}\n"), vec!["text a", "text b"]),
        (format!("{a}{{\"broken\":}}{b}"), vec!["text a", "text b", "unknown malformed"]),
        (format!("{a}nonsense\n{b}"), vec!["text a", "text b", "unknown malformed"]),
        (format!("{a}{{\"event\":{{"), vec!["text a", "unknown malformed"]),
        ("nonsense".to_owned(), malformed.to_vec()),
        (String::new(), vec![]),
    ] {
        let mut events = Vec::new();
        begun().receive(message.as_bytes(), &mut |event| events.push(brief(&event)));
        assert_eq!(events, expected, "{message}");
    }
    let mut events = Vec::new();
    begun().receive(&[0xff, 0xfe, b'{'], &mut |event| events.push(brief(&event)));
    assert_eq!(events, malformed);
}

#[test]
fn ten_thousand_sessions_are_small() {
    assert!(size_of::<Session>() <= 128, "{}", size_of::<Session>());
    fn is_send<T: Send + 'static>(_: &T) {}
    is_send(&begun());
}
