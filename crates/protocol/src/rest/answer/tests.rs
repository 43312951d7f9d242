use super::*;
use crate::event::GrokEvent;

#[test]
fn a_share_tells_its_link() {
    assert_eq!(read_share(br#"{"shareLinkId": "bGVn_1", "x": 1}"#).as_deref(), Ok("bGVn_1"));
    for body in ["{}", r#"{"shareLinkId": ""}"#, r#"{"shareLinkId": 7}"#, "", "<html>", "null"] {
        assert!(read_share(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn a_clone_tells_its_messages_and_where_to_go_on() {
    let body = br#"{"conversation":{"conversationId":"c2"},"responses":[
        {"responseId":"u","message":"hi","sender":"human"},
        {"responseId":"a","message":"4","sender":"ASSISTANT","parentResponseId":"u"},
        {"message":"without an id"},
        {"responseId":"u2","sender":"human","parentResponseId":"a"}]}"#;
    let clone = read_clone(body).expect("a whole answer");
    assert_eq!(clone.conversation_id, "c2");
    assert_eq!(clone.responses.len(), 3);
    let leaf = clone.leaf().expect("there are messages");
    assert_eq!((leaf.id.as_str(), leaf.parent.as_deref(), leaf.message.as_str()), ("a", Some("u"), "4"));
    for (body, missing) in [
        (r#"{"responses":[{"responseId":"a"}]}"#, "conversationId"),
        (r#"{"conversation":{},"responses":[{"responseId":"a"}]}"#, "conversationId"),
        (r#"{"conversation":{"conversationId":"c"}}"#, "responses"),
        (r#"{"conversation":{"conversationId":"c"},"responses":[]}"#, "responses"),
        ("7", "unknown shape"),
        (r#"{"responses":"x"}"#, "unknown shape"),
        ("<html>secret", "not JSON"),
    ] {
        let error = read_clone(body.as_bytes()).expect_err("something is missing");
        assert!(error.message.contains(missing), "{}", error.message);
        assert!(!error.message.contains("secret"));
    }
}

#[test]
fn an_account_is_known_by_any_spelling_of_its_id_unless_it_is_disowned() {
    for body in [
        r#"{"status":"authenticated","session":{"userId":"u","id":"s"}}"#,
        r#"{"user":{"id":"u"}}"#,
        r#"{"user":{"userId":"u","id":""},"id":7}"#,
        r#"{"user":{"sub":" u "}}"#,
        r#"{"userId":"u"}"#,
        r#"{"id":"u","session":null}"#,
        r#"{"sub":"u","user":"x"}"#,
    ] {
        assert_eq!(read_account(body.as_bytes()), Ok(Account::Known { user_id: "u".to_owned() }), "{body}");
    }
    for (body, kind) in [
        (r#"{"status":"unauthenticated","session":{"userId":"u"}}"#, FailureKind::CredentialDead),
        (r#"{"session":{"userId":"u","status":"BLOCKED"}}"#, FailureKind::UserBlocked),
        (r#"{"status":"blocked"}"#, FailureKind::UserBlocked),
    ] {
        match read_account(body.as_bytes()) {
            Ok(Account::Refused(failure)) => assert_eq!(failure.kind, kind, "{body}"),
            other => panic!("{body}: {other:?}"),
        }
    }
    for body in ["{}", r#"{"status":"authenticated"}"#, r#"{"session":{"id":"s"}}"#, "null", "<html>", "[]"] {
        assert!(read_account(body.as_bytes()).is_err(), "{body} condemns nobody");
    }
}

#[test]
fn absent_figures_are_unknown_and_never_zero() {
    let limits = |remaining, total, window_seconds, wait_seconds| {
        Ok(RateLimits { remaining, total, window_seconds, wait_seconds })
    };
    for (body, expected) in [
        (
            r#"{"windowSizeSeconds":7200,"remainingQueries":45,"totalQueries":50}"#,
            limits(Some(45), Some(50), Some(7200), None),
        ),
        (
            r#"{"windowSizeSeconds":7200,"remainingQueries":0,"waitTimeSeconds":1800,"totalQueries":50}"#,
            limits(Some(0), Some(50), Some(7200), Some(1800)),
        ),
        (
            r#"{"windowSizeSeconds":7200,"remainingQueries":8,"totalQueries":8,"remainingTokens":52,"totalTokens":80,"lowEffortRateLimits":{"cost":1}}"#,
            limits(Some(52), Some(80), Some(7200), None),
        ),
        (r#"{"remainingQueries":"3"}"#, limits(Some(3), None, None, None)),
        (r#"{"waitTimeSeconds":60}"#, limits(None, None, None, Some(60))),
        (r#"{"remainingQueries":3,"waitTimeSeconds":0}"#, limits(Some(3), None, None, None)),
    ] {
        assert_eq!(read_rate_limits(body.as_bytes()), expected, "{body}");
    }
    assert!(read_rate_limits(b"{}").is_err());
    assert!(read_rate_limits(br#"{"windowSizeSeconds":7200}"#).is_err());
}

#[test]
fn a_tree_tells_what_is_stored_and_what_is_under_way() {
    let body = br#"{"responseNodes":[{"responseId":"u", "sender":"human"}, {"responseId":"a", "sender":"ASSISTANT", "parentResponseId":"u"}],
        "inflightResponses":[{"responseId":"b","status":"RESPONSE_STATUS_ACTIVE","parentResponseId":"u"},
        {"responseId":"c","status":"RESPONSE_STATUS_ERROR"},{"responseId":"d"}]}"#;
    let tree = read_response_nodes(body).expect("a whole answer");
    let nodes: Vec<_> =
        tree.nodes.iter().map(|node| (node.id.as_str(), node.parent.as_deref(), node.is_assistant)).collect();
    assert_eq!(nodes, [("u", None, false), ("a", Some("u"), true)]);
    let active: Vec<_> = tree.in_flight.iter().map(|answer| (answer.id.as_str(), answer.active)).collect();
    assert_eq!(active, [("b", true), ("c", false), ("d", true)]);
    assert!(read_response_nodes(b"{}").is_err());
    assert_eq!(read_response_nodes(br#"{"responseNodes":[],"inflightResponses":null}"#), Ok(ResponseNodes::default()));
}

#[test]
fn a_loaded_answer_becomes_a_frame() {
    let body = br#"{"responses": [{"responseId": "u", "sender": "human", "message": "hi"},
        {"responseId": "half", "sender": "assistant", "message": "4", "partial": true},
        {"responseId": "a", "sender": "ASSISTANT", "message": "4 \u003c 5", "partial": false, "metadata": {"a b": 1}}]}"#;
    let frame = stored_answer_frame(body).expect("there is a finished answer");
    let mut stored = Vec::new();
    crate::rest::decode(&frame, |event| match event {
        GrokEvent::Stored(answer) => {
            stored.push((answer.response_id.as_deref().map(str::to_owned), answer.message.to_string()))
        }
        other => panic!("{other:?}"),
    });
    assert_eq!(stored, [(Some("a".to_owned()), "4 < 5".to_owned())]);
    assert!(stored_answer_frame(br#"{"responses":[{"sender":"assistant","partial":true}]}"#).is_err());
    assert!(stored_answer_frame(b"{}").is_err());
    assert_eq!(read_responses(body).expect("a whole answer").len(), 3);
}

#[test]
fn a_message_made_over_the_websocket_has_its_words_in_chunks() {
    let body = br#"{"responses":[
        {"responseId":"q","sender":"human","inputChunks":[{"text":{"text":"What is "}},{"text":{"text":"2+2?"}}]},
        {"responseId":"a","sender":"ASSISTANT","parentResponseId":"q","outputChunks":[
            {"text":{"text":"Thinking","channel":"CHANNEL_ASSISTANT_NOTETAKER_HEADER"},"metadata":{"stepId":1}},
            {"toolUsageCard":{"toolUsageCardId":"t"}},
            {"text":{"text":"It is ","channel":"CHANNEL_ASSISTANT_RESPONSE"}},
            {"text":{"text":"4.","channel":"CHANNEL_ASSISTANT_RESPONSE"}}]},
        {"responseId":"b","sender":"assistant","message":"told","outputChunks":[{"text":{"text":"not this"}}]}]}"#;
    let responses = read_responses(body).expect("they are there");
    let words: Vec<&str> = responses.iter().map(|response| response.message.as_str()).collect();
    assert_eq!(words, ["What is 2+2?", "It is 4.", "told"]);
}
