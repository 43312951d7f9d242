//! Giving images to the account that serves: both routes, and whose fault a refusal is.

use serde_json::{Value, json};

use crate::harness::{Rig, user};
use crate::reply::Reply;

const PNG: &str = "iVBORw0KGgoAAAAN";

async fn show(rig: &Rig, count: usize) -> Reply {
    let image = json!({ "type": "image_url", "image_url": { "url": format!("data:image/png;base64,{PNG}") } });
    let mut parts = vec![json!({ "type": "text", "text": "what is this?" })];
    parts.extend(std::iter::repeat_n(image, count));
    rig.chat(json!({ "model": "grok-4.2", "messages": [{ "role": "user", "content": parts }] })).await
}

async fn state_of(rig: &Rig, account: &str) -> Value {
    rig.account(account).await["state"]["name"].clone()
}

fn count(rig: &Rig, route: &str) -> usize {
    rig.simulator.calls().into_iter().filter(|call| call.route == route).count()
}

#[tokio::test]
async fn the_second_route_is_taken_where_the_first_is_gone() {
    let rig = Rig::new(&["anna"]).await;
    rig.simulator.set_upload_routes(false, true);
    show(&rig, 1).await.ok();
    show(&rig, 1).await.ok();
    let uploads = rig.simulator.uploads();
    assert_eq!(uploads.len(), 2);
    for file in &uploads {
        assert_eq!((file.name.as_str(), file.content_type.as_str()), ("image.png", "image/png"));
        assert_eq!(file.content, b"\x89PNG\r\n\x1a\n\0\0\0\r");
    }
    assert_eq!((count(&rig, "upload"), count(&rig, "upload_direct")), (1, 2), "what is gone is not asked for again");
    rig.no_violations();
}

#[tokio::test]
async fn without_either_route_nobody_is_to_blame() {
    let rig = Rig::with_settings(&["anna", "bert"], json!({ "failures_before_cooldown": 1 })).await;
    rig.simulator.set_upload_routes(false, false);
    let reply = show(&rig, 1).await;
    assert_eq!((reply.status, &reply.error()["code"]), (502, &json!("upstream_route_missing")), "{}", reply.body);
    assert_eq!((state_of(&rig, "anna").await, state_of(&rig, "bert").await), (json!("available"), json!("available")));
    rig.chat(json!({ "model": "grok-4.2", "messages": [user("no picture")] })).await.ok();
    // Both come back: the first is asked again.
    rig.simulator.set_upload_routes(true, true);
    show(&rig, 1).await.ok();
    assert_eq!(rig.simulator.uploads().len(), 1);
    rig.no_violations();
}

#[tokio::test]
async fn a_refused_file_is_the_clients_and_a_limit_of_uploads_is_not_one_of_chats() {
    let rig = Rig::with_settings(&["anna", "bert"], json!({ "failures_before_cooldown": 1 })).await;
    let status = |code: i64, message: &str| json!({ "code": code, "message": message, "details": [] }).to_string();
    for (refusal, body) in [
        (400, status(3, "Unsupported file")),
        (413, status(3, "File too large")),
        (200, json!({ "uploadId": "u", "terminalError": { "message": "Unsupported file" } }).to_string()),
    ] {
        // The form of the newer route, which is asked where the first is gone.
        rig.simulator.set_upload_routes(refusal != 200, true);
        rig.simulator.refuse_upload(refusal, &body);
        let reply = show(&rig, 1).await;
        assert_eq!((reply.status, &reply.error()["code"]), (400, &json!("invalid_attachment")), "{}", reply.body);
        assert_eq!(rig.simulator.uploads().len(), 0);
    }
    assert_eq!((state_of(&rig, "anna").await, state_of(&rig, "bert").await), (json!("available"), json!("available")));
    rig.simulator.set_upload_routes(true, true);

    rig.simulator.refuse_upload(400, &status(3, "Content moderated by safety checks"));
    assert_eq!(show(&rig, 1).await.error()["code"], "content_policy_violation");

    // One account takes no more files: the other does, and both still chat.
    rig.simulator.refuse_upload(429, &status(8, "Too many uploads"));
    show(&rig, 1).await.ok();
    assert_eq!((state_of(&rig, "anna").await, state_of(&rig, "bert").await), (json!("available"), json!("available")));
    for _ in 0..2 {
        rig.simulator.refuse_upload(429, &status(8, "Too many uploads"));
    }
    let reply = show(&rig, 1).await;
    assert_eq!((reply.status, &reply.error()["code"]), (429, &json!("upstream_rate_limited")), "{}", reply.body);
    assert_eq!((state_of(&rig, "anna").await, state_of(&rig, "bert").await), (json!("available"), json!("available")));

    // A dead credential is one, wherever it is told.
    rig.simulator
        .refuse_upload(401, &status(16, "Failed to look up session ID. [WKE=unauthenticated:invalid-credentials]"));
    show(&rig, 1).await.ok();
    let states = [state_of(&rig, "anna").await, state_of(&rig, "bert").await];
    assert_eq!(states.iter().filter(|state| **state == "invalid").count(), 1, "{states:?}");
}

#[tokio::test]
async fn several_images_keep_their_order() {
    let rig = Rig::new(&["anna"]).await;
    let images: Vec<Value> = (0_u8..9)
        .map(|index| {
            let bytes = [b"\x89PNG\r\n\x1a\n".as_slice(), &[index]].concat();
            let content = base64_of(&bytes);
            json!({ "type": "image_url", "image_url": { "url": format!("data:image/png;base64,{content}") } })
        })
        .collect();
    rig.chat(json!({ "model": "grok-4.2", "messages": [{ "role": "user", "content": images }] })).await.ok();
    let uploads = rig.simulator.uploads();
    let question = rig.last_question().body.to_string();
    assert_eq!(uploads.len(), 9);
    // They may arrive in any order; the message names them in that of the client.
    let place = |id: &str| question.find(id).unwrap_or_else(|| panic!("{id} is not in {question}"));
    let mut by_place: Vec<_> = uploads.iter().map(|file| (place(&file.id), *file.content.last().unwrap())).collect();
    by_place.sort_unstable();
    assert_eq!(by_place.iter().map(|(_, index)| *index).collect::<Vec<_>>(), (0..9).collect::<Vec<_>>());
    assert!(question.contains("Look at the attached image"), "{question}");
    rig.no_violations();
}

fn base64_of(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let mut bits = 0_u32;
        for index in 0..3 {
            bits = bits << 8 | u32::from(group.get(index).copied().unwrap_or(0));
        }
        for index in 0..=group.len() {
            text.push(char::from(DIGITS[(bits >> (18 - 6 * index) & 63) as usize]));
        }
    }
    text
}
