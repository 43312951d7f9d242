//! Stored messages, and conversations that move between accounts.

use grok2api_simulator::Reply;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Turn, World, body_json};

#[tokio::test]
async fn the_tree_shows_every_message_and_its_parent() {
    let world = World::new().await;
    let first = world.new_chat("a", "One").await;
    let second = world.next_chat("a", &first, "Two").await;

    let tree = body_json(world.get("a", &first.path("response-node?includeThreads=true")).await).await;
    let nodes = tree["responseNodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 4);
    assert_eq!(nodes[0]["sender"], "human");
    assert!(nodes[0].get("parentResponseId").is_none());
    assert_eq!(nodes[1]["responseId"], first.response.as_str());
    assert_eq!(nodes[1]["sender"], "ASSISTANT");
    assert_eq!(nodes[2]["parentResponseId"], first.response.as_str());
    assert_eq!(nodes[3]["responseId"], second.response.as_str());
    assert_eq!(tree["inflightResponses"], json!([]));

    let body = json!({"responseIds": [second.response, first.response]});
    let loaded = body_json(world.post("a", &first.path("load-responses"), body).await).await;
    let messages: Vec<&Value> = loaded["responses"].as_array().unwrap().iter().map(|each| &each["message"]).collect();
    assert_eq!(messages, [&json!(second.text()), &json!(first.text())]);
    assert_eq!(loaded["responses"][0]["steps"][0]["text"][0], second.text());

    let all = body_json(world.get("a", &first.path("responses")).await).await;
    assert_eq!(all["responses"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn an_answer_that_is_being_streamed_is_in_flight_and_partial_once_the_client_left() {
    let world = World::new().await;
    world.simulator.account("a").push(Reply::hang_after(2));
    let body = json!({"message": "One", "modeId": "fast"});
    let mut response = world.post("a", crate::client::NEW, body).await;
    let mut raw = String::new();
    while raw.matches("\"final\"").count() < 2 {
        raw.push_str(std::str::from_utf8(&response.chunk().await.unwrap().unwrap()).unwrap());
    }
    let turn = Turn::from_raw(raw);
    let tree = body_json(world.get("a", &turn.path("response-node")).await).await;
    assert_eq!(tree["inflightResponses"][0]["responseId"], turn.response.as_str());
    assert_eq!(tree["inflightResponses"][0]["status"], "RESPONSE_STATUS_ACTIVE");
    assert_eq!(world.simulator.report().open_streams, 1);

    drop(response);
    crate::endings::until(|| world.simulator.report().streams_aborted == 1).await;
    let body = json!({"responseIds": [turn.response]});
    let loaded = body_json(world.post("a", &turn.path("load-responses"), body).await).await;
    assert_eq!(loaded["responses"][0]["partial"], true);
    assert_eq!(loaded["responses"][0]["message"], turn.text());
}

#[tokio::test]
async fn a_shared_branch_is_cloned_with_new_ids_and_can_be_continued() {
    let world = World::new().await;
    let first = world.new_chat("a", "first message").await;
    let second = world.next_chat("a", &first, "second message").await;
    world.next_chat("a", &first, "another branch").await;

    let share = json!({"responseId": second.response, "allowIndexing": false});
    let shared = body_json(world.post("a", &first.path("share"), share).await).await;
    let link = shared["shareLinkId"].as_str().unwrap();
    let cloned = body_json(world.post("b", &format!("/rest/app-chat/share_links/{link}/clone"), json!({})).await).await;

    let responses = cloned["responses"].as_array().unwrap();
    let messages: Vec<&str> = responses.iter().map(|each| each["message"].as_str().unwrap()).collect();
    assert_eq!(messages, ["first message", first.text().as_str(), "second message", second.text().as_str()]);
    assert_eq!(responses[3]["parentResponseId"], responses[2]["responseId"]);
    assert!(responses[0].get("parentResponseId").is_none());
    let last = responses[3]["responseId"].as_str().unwrap();
    assert_ne!(last, second.response);

    let copy = Turn {
        conversation: cloned["conversation"]["conversationId"].as_str().unwrap().to_owned(),
        response: last.to_owned(),
        objects: Vec::new(),
        raw: String::new(),
    };
    assert_ne!(copy.conversation, first.conversation);
    let recited = world.next_chat("b", &copy, "recite").await;
    assert_eq!(recited.text().lines().count(), 5);
    assert!(!recited.text().contains("another branch"));
    assert_eq!(world.violations(), [] as [&str; 0]);
}

#[tokio::test]
async fn sharing_for_search_engines_is_a_violation() {
    let world = World::new().await;
    let first = world.new_chat("a", "One").await;
    for body in [json!({"responseId": first.response}), json!({"responseId": first.response, "allowIndexing": true})] {
        assert_eq!(world.post("a", &first.path("share"), body).await.status(), 200);
    }
    let unknown = json!({"responseId": "nothing", "allowIndexing": false});
    assert_eq!(world.post("a", &first.path("share"), unknown).await.status(), 404);
    let foreign = json!({"responseId": first.response, "allowIndexing": false});
    assert_eq!(world.post("b", &first.path("share"), foreign).await.status(), 404);
    assert_eq!(world.violations(), ["share_indexed", "share_indexed", "unknown_response", "foreign_conversation"]);
}

#[tokio::test]
async fn sharing_and_cloning_can_be_made_to_fail() {
    let world = World::new().await;
    let first = world.new_chat("a", "One").await;
    let share = json!({"responseId": first.response, "allowIndexing": false});
    world.simulator.account("a").fail_share(true);
    let failed = world.post("a", &first.path("share"), share.clone()).await;
    assert_eq!(failed.status(), 500);
    assert_eq!(body_json(failed).await["code"], 13);
    world.simulator.account("a").fail_share(false);
    let shared = body_json(world.post("a", &first.path("share"), share).await).await;
    let clone = format!("/rest/app-chat/share_links/{}/clone", shared["shareLinkId"].as_str().unwrap());
    world.simulator.account("b").fail_clone(true);
    assert_eq!(world.post("b", &clone, json!({})).await.status(), 500);
    world.simulator.account("b").fail_clone(false);
    assert_eq!(world.post("b", &clone, json!({})).await.status(), 200);
    assert_eq!(world.post("b", "/rest/app-chat/share_links/none/clone", json!({})).await.status(), 404);
}

#[tokio::test]
async fn conversations_are_listed_renamed_deleted_and_restored() {
    let world = World::new().await;
    let first = world.new_chat("a", "One").await;
    let private = json!({"message": "secret", "modeId": "fast", "temporary": true});
    Turn::read(world.post("a", crate::client::NEW, private).await).await;
    world.new_chat("a", "Two").await;

    let listed = async |page: String| {
        body_json(world.get("a", &format!("/rest/app-chat/conversations?pageSize=1&pageToken={page}")).await).await
    };
    let page = listed(String::new()).await;
    assert_eq!(page["conversations"].as_array().unwrap().len(), 1);
    assert_eq!(page["conversations"][0]["title"], "Two");
    let next = listed(page["nextPageToken"].as_str().unwrap().to_owned()).await;
    assert_eq!(next["conversations"][0]["title"], "One");
    assert_eq!(next["nextPageToken"], "");

    let path = format!("/rest/app-chat/conversations/{}", first.conversation);
    let rename = world.request(Method::PUT, "a", &path).header("content-type", "application/json");
    assert_eq!(rename.body(r#"{"title":"Uno"}"#).send().await.unwrap().status(), 200);
    let shown = world.get("a", &format!("/rest/app-chat/conversations_v2/{}", first.conversation)).await;
    assert_eq!(body_json(shown).await["conversation"]["title"], "Uno");

    let soft = format!("/rest/app-chat/conversations/soft/{}", first.conversation);
    assert_eq!(world.request(Method::DELETE, "b", &soft).send().await.unwrap().status(), 404);
    assert_eq!(world.request(Method::DELETE, "a", &soft).send().await.unwrap().status(), 200);
    let exists = format!("/rest/app-chat/conversations/exists/{}", first.conversation);
    assert_eq!(body_json(world.get("a", &exists).await).await["exists"], false);
    let restore = json!({"conversationId": first.conversation});
    assert_eq!(world.post("a", "/rest/app-chat/conversations/restore", restore).await.status(), 200);
    assert_eq!(body_json(world.get("a", &exists).await).await["exists"], true);
    assert_eq!(world.request(Method::DELETE, "a", &path).send().await.unwrap().status(), 200);
    assert_eq!(world.get("a", &first.path("response-node")).await.status(), 404);
    assert_eq!(world.simulator.account("a").conversations().len(), 2);
}
