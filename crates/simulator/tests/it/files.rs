//! Uploads, attachments and generated images.

use grok2api_simulator::Reply;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{NEW, Turn, World, body_json};

async fn upload(world: &World) -> Value {
    let body = json!({"fileName": "note.txt", "fileMimeType": "text/plain", "content": "aGVsbG8="});
    body_json(world.post("a", "/rest/app-chat/upload-file", body).await).await
}

#[tokio::test]
async fn an_uploaded_file_can_be_attached_and_fetched_by_its_owner() {
    let world = World::new().await;
    let file = upload(&world).await;
    let id = file["fileMetadataId"].as_str().unwrap();
    let body = json!({"message": "read this", "modeId": "fast", "fileAttachments": [id]});
    let turn = Turn::read(world.post("a", NEW, body.clone()).await).await;
    assert_eq!(turn.chunks()[0]["userResponse"]["fileAttachments"][0], id);

    let uri = file["fileUri"].as_str().unwrap();
    for path in [format!("/{uri}"), format!("/assets/{uri}")] {
        let fetched = world.get("a", &path).await;
        assert_eq!(fetched.headers()["content-type"], "text/plain");
        assert_eq!(fetched.text().await.unwrap(), "hello");
        assert_eq!(world.get("b", &path).await.status(), 403);
    }
    assert_eq!(world.violations(), ["foreign_asset", "foreign_asset"]);
    assert_eq!(world.post("b", NEW, body).await.status(), 400, "the file of another account");
}

#[tokio::test]
async fn an_unknown_attachment_is_400() {
    let world = World::new().await;
    let body = json!({"message": "read this", "modeId": "fast", "fileAttachments": ["nothing"]});
    let response = world.post("a", NEW, body).await;
    assert_eq!(response.status(), 400);
    assert_eq!(world.violations(), ["unknown_file"]);
}

#[tokio::test]
async fn forms_upload_too() {
    let world = World::new().await;
    let part = reqwest::multipart::Part::bytes(vec![7_u8; 3_000_000]).file_name("a.png").mime_str("image/png").unwrap();
    let form = reqwest::multipart::Form::new().text("file_source", "SELF_UPLOAD_FILE_SOURCE").part("file", part);
    let request = world.request(Method::POST, "a", "/http/upload-file-v2/direct").multipart(form);
    let uploaded = body_json(request.send().await.unwrap()).await;
    assert_eq!(uploaded["terminalError"], json!({}));
    assert_eq!(uploaded["fileMetadata"]["fileName"], "a.png");
    let uri = uploaded["fileMetadata"]["fileUri"].as_str().unwrap();
    assert_eq!(world.get("a", &format!("/{uri}")).await.bytes().await.unwrap().len(), 3_000_000);
    assert_eq!(world.violations(), [] as [&str; 0]);
}

#[tokio::test]
async fn content_that_is_not_base64_is_400() {
    let world = World::new().await;
    let body = json!({"fileName": "note.txt", "fileMimeType": "text/plain", "content": "???"});
    assert_eq!(world.post("a", "/rest/app-chat/upload-file", body).await.status(), 400);
}

#[tokio::test]
async fn drawing_gives_cards_and_a_picture() {
    let world = World::new().await;
    let turn = world.new_chat("a", "draw a red kite").await;
    assert!(turn.text().contains("card_type=\"generated_image_card\""));
    let card = |chunk: &&Value| serde_json::from_str::<Value>(chunk["cardAttachment"]["jsonData"].as_str()?).ok();
    let cards: Vec<Value> = turn.chunks().iter().filter_map(card).collect();
    assert_eq!(cards[0]["image_chunk"], Value::Null);
    assert_eq!(cards[1]["image_chunk"]["progress"], 50);
    let path = cards[2]["image_chunk"]["imageUrl"].as_str().unwrap();
    assert_eq!(cards[2]["image_chunk"]["progress"], 100);
    assert_eq!(turn.stored()["cardAttachmentsJson"].as_array().unwrap().len(), 1, "the newest state of the one card");

    let picture = world.get("a", &format!("/assets/{path}")).await;
    assert_eq!(picture.headers()["content-type"], "image/jpeg");
    assert!(picture.bytes().await.unwrap().starts_with(&[0xFF, 0xD8]));
    assert_eq!(world.bare(Method::GET, &format!("/assets/{path}")).send().await.unwrap().status(), 403, "no cookie");
    assert_eq!(world.get("a", "/assets/users/x/generated/y/image.jpg").await.status(), 404);
}

#[tokio::test]
async fn the_older_form_of_images_repeats_its_path_in_the_stored_answer() {
    let world = World::new().await;
    world.simulator.account("a").push(Reply::image_member());
    let turn = world.new_chat("a", "a kite").await;
    let url = turn.stored()["generatedImageUrls"][0].as_str().unwrap();
    assert_eq!(world.get("a", &format!("/{url}")).await.status(), 200);
    let progress: Vec<i64> = turn
        .chunks()
        .iter()
        .filter_map(|chunk| chunk["streamingImageGenerationResponse"]["progress"].as_i64())
        .collect();
    assert_eq!(progress, [50, 100]);
}
