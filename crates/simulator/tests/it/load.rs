//! The forms for load: nothing is kept, answers come from prepared buffers.

use std::time::Duration;

use grok2api_simulator::{Options, Reply};
use serde_json::json;

use crate::client::{NEW, Turn, World, body_json};

async fn stateless() -> World {
    World::with(Options { keep_tree: false, ..Options::default() }).await
}

#[tokio::test]
async fn prepared_answers_differ_in_their_ids_only() {
    let world = stateless().await;
    let reply = Reply::Tokens { tokens: 50, interval: Duration::ZERO, thinking: 3 };
    world.simulator.account("a").always(Some(reply));
    let first = world.new_chat("a", "hello").await;
    let second = world.new_chat("a", "hello").await;

    assert_eq!(first.text().split(' ').count(), 50);
    assert_eq!(first.stored()["message"], first.text());
    assert_eq!(first.stored()["responseId"], first.response.as_str());
    assert_ne!(first.conversation, second.conversation);
    assert_ne!(first.response, second.response);
    let replaced =
        first.raw.replace(&first.conversation, &second.conversation).replace(&first.response, &second.response);
    // The trace id is the response id without dashes and is not patched.
    assert_eq!(replaced, second.raw);
}

#[tokio::test]
async fn prepared_and_played_answers_have_the_same_form() {
    let reply = Reply::Tokens { tokens: 10, interval: Duration::from_millis(1), thinking: 2 };
    let (kept, load) = (World::new().await, stateless().await);
    for world in [&kept, &load] {
        world.simulator.account("a").always(Some(reply.clone()));
    }
    let (kept_first, load_first) = (kept.new_chat("a", "hello").await, load.new_chat("a", "hello").await);
    assert_eq!(kept_first.kinds(), load_first.kinds());
    let (kept_next, load_next) =
        (kept.next_chat("a", &kept_first, "more").await, load.next_chat("a", &load_first, "more").await);
    assert_eq!(kept_next.kinds(), load_next.kinds());
    assert_eq!(kept_next.text(), load_next.text());
}

#[tokio::test]
async fn nothing_is_kept_and_every_parent_is_accepted() {
    let world = stateless().await;
    let body = json!({"message": "hi", "modeId": "fast", "parentResponseId": "whatever"});
    let path = "/rest/app-chat/conversations/00000000-0000-4000-8000-000000000000/responses";
    assert_eq!(Turn::read(world.post("a", path, body).await).await.text(), "Answer 1: you said \"hi\".");
    assert!(world.simulator.calls().is_empty());
    assert!(world.simulator.account("a").conversations().is_empty());
    let report = world.simulator.report();
    assert_eq!(report.count("responses"), 1, "counts are kept");
    assert_eq!(report.violations, []);
}

#[tokio::test]
async fn many_stalled_answers_wait_until_their_clients_leave() {
    let world = stateless().await;
    world.simulator.account("a").always(Some(Reply::Stall));
    let mut open = Vec::new();
    for _ in 0..100 {
        open.push(world.post("a", NEW, json!({"message": "hi", "modeId": "fast"})).await);
    }
    assert_eq!(world.simulator.report().open_streams, 100);
    let mut first = open.swap_remove(0);
    let piece = first.chunk().await.unwrap().unwrap();
    assert!(String::from_utf8(piece.to_vec()).unwrap().contains("\"token\":\"the\""));
    drop((open, first));
    crate::endings::until(|| world.simulator.report().streams_aborted == 100).await;
}

#[tokio::test]
async fn sharing_and_cloning_go_through_without_a_tree() {
    let world = stateless().await;
    let first = world.new_chat("a", "hello").await;
    let share = json!({"responseId": first.response, "allowIndexing": false});
    let link = body_json(world.post("a", &first.path("share"), share).await).await;
    let clone = format!("/rest/app-chat/share_links/{}/clone", link["shareLinkId"].as_str().unwrap());
    let cloned = body_json(world.post("b", &clone, json!({})).await).await;
    assert_ne!(cloned["conversation"]["conversationId"], first.conversation.as_str());
    assert_eq!(cloned["responses"], json!([]));
    assert!(world.simulator.account("b").conversations().is_empty());
}

#[tokio::test]
async fn the_list_of_violations_is_bounded() {
    let world = stateless().await;
    let violations = 10_500;
    for _ in 0..violations / 5 {
        // Five headers are missing: the request costs five violations and is refused for its cookie.
        world.bare(reqwest::Method::POST, NEW).body("{}").send().await.unwrap();
    }
    assert_eq!(world.simulator.report().violations.len(), 10_000);
}
