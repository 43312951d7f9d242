//! The thin line through every room.

use serde_json::json;

use crate::harness::Rig;

#[tokio::test]
async fn a_first_question_is_answered_streamed_and_whole() {
    let rig = Rig::new(&["anna"]).await;
    for stream in [false, true] {
        let reply = rig.talk(stream).ask("hello there").await.ok();
        assert_eq!(reply.text(), "Answer 1: you said \"hello there\".");
        assert_eq!(reply.turn(), "new");
        assert!(reply.conversation_id().starts_with("conv-"));
    }
    assert!(rig.simulator.report().violations.is_empty(), "{:?}", rig.simulator.report().violations);
}

#[tokio::test]
async fn five_turns_are_five_upstream_calls_and_the_model_knows_them_all() {
    for stream in [false, true] {
        let rig = Rig::new(&["anna", "bert"]).await;
        let mut talk = rig.talk(stream);
        talk.say("first question").await;
        for question in ["second question", "third question", "fourth question"] {
            assert_eq!(talk.say(question).await.turn(), "native");
        }
        let recited = talk.say("recite").await.text();
        let expected = [
            "human: first question",
            "assistant: Answer 1: you said \"first question\".",
            "human: second question",
            "assistant: Answer 2: you said \"second question\".",
            "human: third question",
            "assistant: Answer 3: you said \"third question\".",
            "human: fourth question",
            "assistant: Answer 4: you said \"fourth question\".",
            "human: recite",
        ];
        assert_eq!(recited.lines().collect::<Vec<_>>(), expected);
        let report = rig.simulator.report();
        assert_eq!((report.count("new"), report.count("responses")), (1, 4));
        assert!(report.violations.is_empty(), "{:?}", report.violations);
    }
}

#[tokio::test]
async fn health_answers_without_a_key() {
    let rig = Rig::new(&[]).await;
    for path in ["/health", "/healthz", "/readyz"] {
        assert_eq!(rig.http().get(rig.url(path)).send().await.unwrap().status(), 200, "{path}");
    }
    let metrics = rig.http().get(rig.url("/metrics")).send().await.unwrap();
    assert_eq!(metrics.status(), 401);
    let address = rig.gateway().metrics_address().unwrap();
    let metrics = rig.http().get(format!("http://{address}/metrics")).send().await.unwrap();
    assert!(metrics.text().await.unwrap().contains("grok2api_accounts"));
    let reply = rig.chat(json!({ "model": "grok-4.2", "messages": [{ "role": "user", "content": "x" }] })).await;
    assert_eq!((reply.status, reply.error()["code"].as_str()), (503, Some("no_account_available")));
}
