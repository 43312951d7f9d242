use serde_json::json;

use super::decode;
use crate::event::{CardKind, Channel, GrokEvent, Severity, Source};
use crate::failure::FailureKind;

/// The events of a frame, without what it borrows.
fn events(frame: &serde_json::Value) -> Vec<String> {
    events_of_text(&frame.to_string())
}

fn events_of_text(frame: &str) -> Vec<String> {
    let mut events = Vec::new();
    decode(frame, |event| events.push(brief(&event)));
    events
}

/// One line per event, enough to tell them apart.
fn brief(event: &GrokEvent<'_>) -> String {
    match event {
        GrokEvent::Text { channel, text, step, rollout, .. } => {
            let (step, rollout) = (step.unwrap_or(-1), rollout.as_deref().unwrap_or("-"));
            format!("{channel:?} {text} {step} {rollout}")
        }
        GrokEvent::ToolCall(call) => format!(
            "call {} {} {} {}",
            call.id.as_deref().unwrap_or("-"),
            call.name,
            call.argument.as_deref().unwrap_or("-"),
            call.rollout.as_deref().unwrap_or("-"),
        ),
        GrokEvent::ToolResult(result) => format!("result {:?} {:?} {}", result.id, result.count, result.sources.len()),
        GrokEvent::Card(card) => format!("card {} {:?}", card.id, card.kind),
        GrokEvent::Stored(stored) => format!("stored {}", stored.message),
        GrokEvent::Failed(failure) => format!("failed {}", failure.kind.label()),
        GrokEvent::Warned(failure) => format!("warned {}", failure.kind.label()),
        GrokEvent::Unknown { kind, .. } => format!("Unknown {{ kind: {kind:?} }}"),
        other => format!("{other:?}"),
    }
}

#[test]
fn both_envelopes_say_the_same() {
    let members = json!({"token": "Hé\"", "isThinking": false, "isSoftStop": true, "messageTag": "final",
        "messageStepId": 3, "rolloutId": "Grok", "responseId": "r"});
    let expected = ["Answer { id: \"r\" }", "Final Hé\" 3 Grok", "SoftStop"];
    assert_eq!(events(&json!({"result": {"response": members}})), expected);
    assert_eq!(events(&json!({"result": members})), expected);
    let together =
        json!({"result": {"conversation": {"conversationId": "c"}, "title": {"newTitle": "t"}, "response": members}});
    assert_eq!(
        events(&together),
        ["Answer { id: \"r\" }", "Conversation { id: \"c\" }", "Title(\"t\")", "Final Hé\" 3 Grok", "SoftStop"]
    );
}

#[test]
fn tags_choose_the_channel_and_tools_hide_their_text() {
    let channel = |tag: Option<&str>, is_thinking: bool| {
        let frame = json!({"result": {"token": "x", "messageTag": tag, "isThinking": is_thinking}});
        let mut found = None;
        decode(&frame.to_string(), |event| {
            if let GrokEvent::Text { channel, .. } = event {
                found = Some(channel);
            }
        });
        found
    };
    assert_eq!(channel(Some("final"), false), Some(Channel::Final));
    assert_eq!(channel(None, false), Some(Channel::Final));
    assert_eq!(channel(None, true), Some(Channel::Thinking));
    assert_eq!(channel(Some("analysis"), true), Some(Channel::Thinking));
    assert_eq!(channel(Some("analysis"), false), Some(Channel::Final));
    assert_eq!(channel(Some("header"), true), Some(Channel::ThinkingHeader));
    assert_eq!(channel(Some("summary"), true), Some(Channel::ThinkingSummary));
    for tag in ["tool_usage_card", "raw_function_result", "tool_partial_output"] {
        assert_eq!(channel(Some(tag), false), None);
        let stored = json!({"result": {"token": "x", "messageTag": tag, "modelResponse": {"message": "draft"}}});
        assert_eq!(events(&stored), ["stored "], "a stored text under a tool's tag is hidden too");
    }
}

#[test]
fn empty_tokens_are_signs_of_life_and_nothing_else() {
    assert_eq!(events(&json!({"result": {"token": "", "isSoftStop": false}})), ["Heartbeat"]);
    assert_eq!(events(&json!({"result": {"token": "", "isSoftStop": true}})), ["SoftStop"]);
    assert_eq!(events(&json!({"result": {"token": "", "messageTag": "raw_function_result"}})), [""; 0]);
    assert_eq!(events(&json!({"result": {"keepAlive": {}}})), ["Heartbeat"]);
}

#[test]
fn the_second_alternative_is_dropped() {
    let side = |index: i64| {
        events(&json!({"result": {"response": {"token": "x", "sideBySideIndex": index, "responseId": "r"}}}))
    };
    assert_eq!(side(0), ["Answer { id: \"r\" }", "Final x -1 -"]);
    assert_eq!(side(1), [""; 0]);
}

#[test]
fn the_users_own_id_is_not_the_answers() {
    let frame =
        json!({"result": {"response": {"userResponse": {"responseId": "u", "message": "hi"}, "responseId": "u"}}});
    assert_eq!(events(&frame), ["UserMessage { id: \"u\" }"]);
}

const XML: &str = "<xai:tool_usage_card>\n <xai:tool_usage_card_id>t1</xai:tool_usage_card_id>\n <xai:tool_name>web_search</xai:tool_name>\n \
                   <xai:tool_args><![CDATA[{\"query\":\"a </xai:tool_args> b\",\"num_results\":\"10\"}]]></xai:tool_args>\n</xai:tool_usage_card>";

#[test]
fn a_tool_call_is_read_from_either_form_and_told_once() {
    let tag = "tool_usage_card";
    let structured = json!({"toolUsageCardId": "t1", "intent": "look", "webSearch": {"args": {"query": "q"}}});
    for (frame, expected) in [
        (
            json!({"token": XML, "messageTag": tag, "rolloutId": "Agent 1"}),
            "call t1 web_search a </xai:tool_args> b Agent 1",
        ),
        (json!({"token": XML, "messageTag": tag, "toolUsageCard": structured}), "call t1 web_search q -"),
        (json!({"toolUsageCard": structured}), "call t1 web_search q -"),
        (
            json!({"token": XML, "messageTag": tag, "toolUsageCard": {"webSearch": {"args": {}}}}),
            "call t1 web_search a </xai:tool_args> b -",
        ),
        (
            json!({"toolUsageCardId": "t2", "toolUsageCard": {"codeExecution": {"args": {"code": "1+1"}}}}),
            "call t2 code_execution 1+1 -",
        ),
        (
            json!({"toolUsageCard": {"chatroomSend": {"args": {"message": "draft", "to": "x"}}}}),
            "call - chatroom_send - -",
        ),
        (json!({"toolUsageCard": {"renderFile": {}}}), "call - render_file - -"),
        (json!({"queryAction": {"query": "q", "type": "webSearch"}}), "call - web_search q -"),
    ] {
        assert_eq!(events(&json!({"result": {"response": frame}})), [expected]);
    }
    let cut = json!({"result": {"token": "<xai:tool_usage_card>\n <xai:tool_na", "messageTag": tag}});
    assert_eq!(events(&cut), [""; 0], "half of a call says nothing");
}

#[test]
fn results_come_as_lists_and_as_objects() {
    let results = json!([
        {"url": "https://a.example", "title": "A"},
        {"username": "alpine", "name": "Alpine", "postId": "19", "text": "t"},
        {"username": "a/../b", "postId": "19"},
        {"url": "ftp://x"},
        7,
    ]);
    let mut found = Vec::new();
    for frame in [
        json!({"result": {"webSearchResults": {"results": results}, "toolUsageCardId": "t"}}),
        json!({"result": {"xSearchResults": results, "toolUsageCardId": "t"}}),
    ] {
        decode(&frame.to_string(), |event| {
            let GrokEvent::ToolResult(result) = event else { panic!("{event:?}") };
            found.push(result);
        });
    }
    for result in found {
        assert_eq!((result.id.as_deref(), result.count), (Some("t"), Some(5)));
        let source = |url: &str, title: &str| Source { url: url.to_owned(), title: title.to_owned() };
        assert_eq!(
            result.sources,
            [source("https://a.example", "A"), source("https://x.com/alpine/status/19", "Alpine")]
        );
    }
    let code = json!({"result": {"codeExecutionResult": {"stdout": "4\n"}}});
    assert_eq!(events(&code), ["result None None 0"]);
}

#[test]
fn cards_come_in_several_wrappings() {
    let card =
        json!({"id": "a", "type": "render_inline_citation", "cardType": "citation_card", "url": "https://a.example"});
    let expected = ["card a Citation { url: \"https://a.example\" }"];
    for frame in [
        json!({"cardAttachment": {"jsonData": card.to_string()}}),
        json!({"cardAttachment": {"jsonData": card}}),
        json!({"cardAttachment": card}),
        json!({"cardAttachments": [{"jsonData": card.to_string()}]}),
        json!({"cardAttachments": [card.to_string()]}),
    ] {
        assert_eq!(events(&json!({"result": frame})), expected, "{frame}");
    }
    let kind = |card: serde_json::Value| {
        let mut found = None;
        decode(&json!({"result": {"cardAttachment": {"jsonData": card.to_string()}}}).to_string(), |event| {
            if let GrokEvent::Card(card) = event {
                found = Some(card.kind);
            }
        });
        found.expect("a card")
    };
    let generated = kind(json!({"id": "k", "type": "render_file", "cardType": "generated_image_card",
        "image_chunk": {"imageUrl": "u", "imageTitle": "t", "progress": 100, "moderated": false, "systemErrCode": 0}}));
    let CardKind::GeneratedImage(Some(image)) = generated else { panic!("{generated:?}") };
    assert_eq!(
        (image.url.as_str(), image.title.as_str(), image.is_last(), image.moderated, image.error),
        ("u", "t", true, false, None)
    );
    assert_eq!(
        kind(json!({"id": "k", "type": "render_generated_image", "image_chunk": null})),
        CardKind::GeneratedImage(None)
    );
    assert_eq!(kind(json!({"id": "k", "type": "render_file", "cardType": "rendered_file_card"})), CardKind::Other);
    assert_eq!(
        kind(json!({"id": "k", "cardType": "image_card", "image": {"thumbnail": "https://t", "title": ""}})),
        CardKind::SearchedImage { url: "https://t".to_owned(), title: String::new() }
    );
}

#[test]
fn errors_are_found_wherever_they_stand() {
    let fatal = "STREAM_ERROR_SEVERITY_FATAL";
    let normal = "STREAM_ERROR_SEVERITY_NORMAL";
    for (frame, expected) in [
        (json!({"error": {"code": 8, "message": "Too many requests", "details": []}}), "failed rate_limited"),
        (json!({"error": {"code": "7", "message": "Request rejected by anti-bot rules."}}), "failed exit_anti_bot"),
        (json!({"error": "Too many requests"}), "failed rate_limited"),
        (
            json!({"result": {"response": {"error": {"message": "x", "severity": fatal, "contentModerated": {}}}}}),
            "failed rejected_moderated",
        ),
        (
            json!({"result": {"error": {"message": "x", "severity": normal, "toolCallFailed": {"toolName": "t"}}}}),
            "warned unavailable",
        ),
        (json!({"result": {"error": {"message": "x"}}}), "failed unavailable"),
        (json!({"result": {"error": {"message": "no", "code": 13}}}), "failed unavailable"),
        (json!({"result": {"error": "You've reached your usage limit"}}), "failed rate_limited_quota_gone"),
    ] {
        assert_eq!(events(&frame), [expected], "{frame}");
    }
    let with_card =
        json!({"result": {"error": {"message": "x"}, "cardAttachment": {"id": "a", "type": "z"}, "token": "t"}});
    assert_eq!(events(&with_card), ["card a Other", "Final t -1 -", "failed unavailable"], "errors come last");
}

#[test]
fn the_stored_answer_brings_its_errors_cards_and_sources() {
    let frame = json!({"result": {"response": {"modelResponse": {
        "responseId": "r", "parentResponseId": "u", "model": "grok-3", "message": "m", "sender": "ASSISTANT",
        "cardAttachmentsJson": [json!({"id": "a", "type": "render_inline_citation", "url": "https://a.example"}).to_string(), {"id": "b"}, 3],
        "generatedImageUrls": ["users/i.jpg", 4],
        "webSearchResults": [{"url": "https://w.example", "title": "W"}],
        "xposts": {"results": [{"username": "u", "postId": "1"}]},
        "streamErrors": [{"message": "x", "usageLimitReached": {}}, {"message": "y", "severity": "STREAM_ERROR_SEVERITY_FATAL"}],
        "metadata": {"request_metadata": {"stream_errors": [{"message": "too many requests"}]}},
        "error": "2025",
    }}}});
    let mut found = None;
    decode(&frame.to_string(), |event| {
        if let GrokEvent::Stored(stored) = event {
            let errors: Vec<_> = stored.errors.iter().map(|error| (error.severity, error.failure.kind)).collect();
            found = Some((stored.cards.len(), stored.sources.len(), stored.generated_image_urls.clone(), errors));
            assert_eq!(stored.response_id.as_deref(), Some("r"));
            assert_eq!(stored.parent_response_id.as_deref(), Some("u"));
            assert_eq!(stored.model.as_deref(), Some("grok-3"));
        }
    });
    let errors = vec![
        (Severity::Normal, FailureKind::RateLimited { quota_left: Some(false) }),
        (Severity::Fatal, FailureKind::Unavailable),
        (Severity::Normal, FailureKind::RateLimited { quota_left: None }),
        (Severity::Normal, FailureKind::Unavailable),
    ];
    assert_eq!(found, Some((2, 2, vec!["users/i.jpg".to_owned()], errors)));
}

#[test]
fn what_is_not_known_is_named_and_costs_nothing_else() {
    let frame =
        r#"{"result":{"response":{"newThing":{"a":[1]},"token":"x","survey":{},"throttle":null},"other":1},"top":2}"#;
    assert_eq!(
        events_of_text(frame),
        ["Unknown { kind: \"newThing\" }", "Unknown { kind: \"other\" }", "Unknown { kind: \"top\" }", "Final x -1 -"]
    );
    let odd = json!({"result": {"response": {"modelResponse": "text", "uiLayout": 4, "cardAttachment": {"jsonData": "{"},
        "token": {"not": "a string"}, "isThinking": "yes", "messageStepId": "2", "responseId": 5}}});
    assert_eq!(
        events(&odd),
        [
            "Unknown { kind: \"cardAttachment\" }",
            "Unknown { kind: \"modelResponse\" }",
            "Unknown { kind: \"uiLayout\" }"
        ]
    );
    for (frame, kind) in [
        ("[1]", "frame"),
        ("{\"result\":7}", "result"),
        ("{\"result\":{\"response\":\"x\"}}", "response"),
        ("{", "malformed"),
    ] {
        assert_eq!(events_of_text(frame), [format!("Unknown {{ kind: {kind:?} }}")]);
    }
    assert_eq!(events_of_text("{}"), [""; 0]);
    assert_eq!(events_of_text("{\"result\":null}"), [""; 0]);
    assert_eq!(events_of_text("{\"result\":{\"error\":null,\"modelResponse\":null}}"), [""; 0]);
}

#[test]
fn what_is_not_known_brings_its_shape_along() {
    for (frame, kind, sample) in [
        (
            r#"{"result":{"newThing":{"kind":"NEW_KIND","text":"secret"}}}"#,
            "newThing",
            "{kind:\"NEW_KIND\",text:string}",
        ),
        (r#"{"result":{"uiLayout":7}}"#, "uiLayout", "number"),
        (
            r#"{"result":{"token":"secret","messageTag":"new_tag"}}"#,
            "tag:new_tag",
            "{result:{token:string,messageTag:\"new_tag\"}}",
        ),
        (r#"{"error":{"code":"new_code","message":"secret"}}"#, "error:new_code", "{code:\"new_code\",message:string}"),
        (
            r#"{"result":{"error":{"message":"secret","newDetail":{"id":"secret"}}}}"#,
            "error:newDetail",
            "{message:string,newDetail:{id:string}}",
        ),
        ("{\"a secret", "malformed", "{ not JSON"),
    ] {
        let mut found = Vec::new();
        decode(frame, |event| {
            if let GrokEvent::Unknown { kind, specimen } = event {
                found.push((kind.into_owned(), specimen.sample()));
            }
        });
        assert_eq!(found, [(kind.to_owned(), sample.to_owned())], "{frame}");
    }
    for known in [
        r#"{"error":{"code":13,"message":"Internal error"}}"#,
        r#"{"error":{"code":"13","message":"x"}}"#,
        r#"{"result":{"error":{"message":"x","severity":"STREAM_ERROR_SEVERITY_FATAL","usageLimitReached":{}}}}"#,
        r#"{"result":{"error":{"message":"x","attachmentLoadFailed":{}}}}"#,
    ] {
        decode(known, |event| assert!(matches!(event, GrokEvent::Failed(_)), "{known}: {event:?}"));
    }
}

#[test]
fn escaped_names_and_texts_are_read_too() {
    let frame = "{\"result\":{\"to\\u006ben\":\"\\u003cb\\u003e\",\"\\u0074itle2\":1}}";
    assert_eq!(events_of_text(frame), ["Unknown { kind: \"title2\" }", "Final <b> -1 -"]);
}
