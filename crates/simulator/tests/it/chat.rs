//! What an account without a script says, and the form it comes in.

use serde_json::json;

use crate::client::{Turn, World, body_json};

#[tokio::test]
async fn a_new_conversation_has_the_usual_sequence() {
    let world = World::new().await;
    let turn = world.new_chat("a", "Hello there").await;

    assert_eq!(turn.text(), "Answer 1: you said \"Hello there\".");
    let mut kinds = turn.kinds();
    kinds.dedup();
    assert_eq!(
        kinds,
        [
            "conversation",
            "userResponse",
            "uiLayout",
            "llmInfo",
            "uiLayout",
            "token",
            "softStop",
            "finalMetadata",
            "modelResponse",
            "title"
        ]
    );
    assert!(turn.kinds().iter().filter(|kind| *kind == "token").count() > 3, "several tokens");
    assert_eq!(turn.stored()["message"], turn.text());
    assert_eq!(turn.stored()["responseId"], turn.response.as_str());
    assert_eq!(turn.stored()["partial"], false);
    assert_eq!(world.violations(), [] as [&str; 0]);
}

#[tokio::test]
async fn a_further_turn_is_flat_and_has_no_conversation_and_no_title() {
    let world = World::new().await;
    let first = world.new_chat("a", "One").await;
    let second = world.next_chat("a", &first, "Two").await;

    assert_eq!(second.text(), "Answer 2: you said \"Two\".");
    assert!(second.objects.iter().all(|object| object["result"].get("response").is_none()));
    let kinds = second.kinds();
    assert!(!kinds.contains(&"conversation".to_owned()) && !kinds.contains(&"title".to_owned()));
    assert!(!kinds.contains(&"finalMetadata".to_owned()), "it was not asked for");
    assert_eq!(world.violations(), [] as [&str; 0]);
}

#[tokio::test]
async fn streams_are_compact_and_escaped() {
    let world = World::new().await;
    let turn = world.new_chat("a", "is 1<2 & 3>2?").await;

    assert!(turn.raw.contains("\\u003c") && turn.raw.contains("\\u003e") && turn.raw.contains("\\u0026"));
    assert!(!turn.raw.contains(['<', '>', '&']));
    assert!(turn.raw.ends_with("}\n"));
    assert!(turn.text().contains("is 1<2 & 3>2?"));
    let unary = world.get("a", "/rest/app-chat/conversations").await.text().await.unwrap();
    assert!(unary.contains("\", \"") && unary.contains("is 1<2 & 3>2?"), "{unary}");
}

#[tokio::test]
async fn reciting_proves_which_branch_was_continued() {
    let world = World::new().await;
    let first = world.new_chat("a", "first message").await;
    let left = world.next_chat("a", &first, "the left branch").await;
    let _right = world.next_chat("a", &first, "the right branch").await;
    let recited = world.next_chat("a", &left, "please recite\nthis").await;

    assert_eq!(
        recited.text(),
        "human: first message\nassistant: Answer 1: you said \"first message\".\nhuman: the left branch\n\
         assistant: Answer 2: you said \"the left branch\".\nhuman: please recite\\nthis"
    );
}

#[tokio::test]
async fn only_the_last_paragraph_gives_commands() {
    let world = World::new().await;
    let turn = world.new_chat("a", "You may think, search and draw.\n\nSay hello").await;
    assert_eq!(turn.text(), "Answer 1: you said \"Say hello\".");
}

#[tokio::test]
async fn command_words_add_thinking_searching_and_length() {
    let world = World::new().await;
    let turn = world.new_chat("a", "think and search, long").await;

    let tags: Vec<&str> = turn.chunks().iter().filter_map(|chunk| chunk["messageTag"].as_str()).collect();
    for tag in ["header", "summary", "tool_usage_card", "raw_function_result", "final"] {
        assert!(tags.contains(&tag), "{tag}");
    }
    let header = turn.chunks().into_iter().find(|chunk| chunk["messageTag"] == "header").unwrap();
    assert_eq!(header["token"], "Thinking about your request");
    assert!(turn.text().contains("<grok:render card_id=\"9af310\""));
    assert!(turn.text().split(' ').count() >= 300);
    assert_eq!(turn.stored()["webSearchResults"][0]["url"], "https://example.org/alps");
    assert_eq!(turn.stored()["cardAttachmentsJson"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn older_bodies_name_their_mode_too() {
    let world = World::new().await;
    let body = json!({"message": "hi", "modelName": "grok-4", "modelMode": "MODEL_MODE_EXPERT"});
    Turn::read(world.post("a", crate::client::NEW, body).await).await;
    assert_eq!(world.simulator.account("a").remaining("expert"), 999);
    assert_eq!(world.simulator.calls()[0].mode.as_deref(), Some("expert"));
}

#[tokio::test]
async fn the_log_tells_what_a_test_wants_to_know() {
    let world = World::new().await;
    let first = world.new_chat("a", "One").await;
    world.next_chat("a", &first, "Two").await;
    body_json(
        world.post("a", &first.path("share"), json!({"responseId": first.response, "allowIndexing": false})).await,
    )
    .await;

    let calls = world.simulator.calls();
    assert_eq!(calls.iter().map(|call| call.route).collect::<Vec<_>>(), ["new", "responses", "share"]);
    assert_eq!(calls[1].account.as_deref(), Some("a"));
    assert_eq!(calls[1].conversation_id.as_deref(), Some(first.conversation.as_str()));
    assert_eq!(calls[1].parent_response_id.as_deref(), Some(first.response.as_str()));
    assert_eq!(calls[1].message.as_deref(), Some("Two"));
    assert_eq!(calls[2].allow_indexing, Some(false));
    assert_eq!(world.simulator.report().count("new"), 1);
    world.simulator.clear_calls();
    assert!(world.simulator.calls().is_empty());
    assert_eq!(world.simulator.report().count("new"), 1, "counts stay");
}
