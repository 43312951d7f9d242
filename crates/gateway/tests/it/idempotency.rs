//! `Idempotency-Key` in the admin API: what was done is not done again.

use serde_json::{Value, json};

use crate::harness::Rig;

async fn post(rig: &Rig, token: &str, path: &str, key: &str, body: &Value) -> (u16, Value, bool) {
    let request = rig.http().post(rig.url(&format!("/admin/api/v1{path}"))).bearer_auth(token);
    let response = request.header("idempotency-key", key).json(body).send().await.unwrap();
    let (status, replayed) = (response.status().as_u16(), response.headers().contains_key("idempotency-replayed"));
    (status, response.json().await.unwrap_or_default(), replayed)
}

async fn keys(rig: &Rig) -> u64 {
    rig.admin("GET", "/keys", None).await.1["total"].as_u64().unwrap()
}

#[tokio::test]
async fn the_same_again_is_answered_by_what_was_made_the_first_time() {
    let rig = Rig::new(&[]).await;
    let (_, token) = rig.add_token(&["all"]).await;
    let before = keys(&rig).await;
    let body = json!({ "name": "once" });
    let (status, made, replayed) = post(&rig, &token, "/keys", "a", &body).await;
    assert_eq!((status, replayed), (201, false), "{made}");
    let again = post(&rig, &token, "/keys", "a", &body).await;
    assert_eq!(again, (201, made.clone(), true), "the secret too, for the answer may not have arrived");
    assert_eq!(keys(&rig).await, before + 1);

    let (status, refused, _) = post(&rig, &token, "/keys", "a", &json!({ "name": "other" })).await;
    assert_eq!((status, &refused["error"]["code"]), (409, &json!("idempotency_mismatch")), "{refused}");
    // Another key, another route, another caller: other requests.
    assert!(!post(&rig, &token, "/keys", "b", &body).await.2);
    let (_, other) = rig.add_token(&["all"]).await;
    let (_, others, replayed) = post(&rig, &other, "/keys", "a", &body).await;
    assert!(!replayed && others != made);
    assert_eq!(keys(&rig).await, before + 3);

    // A failure may be mended under the same key.
    let (status, ..) = post(&rig, &token, "/accounts", "c", &json!({ "token": "not a token" })).await;
    assert_eq!(status, 422);
    let (status, account, _) = post(&rig, &token, "/accounts", "c", &json!({ "token": "anna" })).await;
    assert_eq!(status, 201, "{account}");
    let (status, ..) = post(&rig, &token, "/accounts", &"x".repeat(256), &json!({ "token": "bert" })).await;
    assert_eq!(status, 400);

    // A day later it is a new request; a token that is gone gets nothing.
    rig.advance(24 * 3_600);
    assert!(!post(&rig, &token, "/keys", "a", &body).await.2);
    let (id, last) = rig.add_token(&["all"]).await;
    post(&rig, &last, "/keys", "d", &body).await;
    rig.admin("DELETE", &format!("/tokens/{id}"), None).await;
    assert_eq!(post(&rig, &last, "/keys", "d", &body).await.0, 401);
}

#[tokio::test]
async fn of_many_at_once_one_is_done() {
    let rig = Rig::new(&[]).await;
    let (_, token) = rig.add_token(&["all"]).await;
    let before = keys(&rig).await;
    let body = json!({ "name": "once" });
    let all = futures_util::future::join_all((0..24).map(|_| post(&rig, &token, "/keys", "a", &body))).await;
    assert!(all.iter().all(|(status, ..)| [201, 409].contains(status)), "{all:?}");
    let made: Vec<_> = all.iter().filter(|(status, ..)| *status == 201).collect();
    assert!(made.iter().all(|(_, body, _)| *body == made[0].1), "one answer for all that were answered");
    assert_eq!(keys(&rig).await, before + 1);
}

#[tokio::test]
async fn a_person_s_session_may_use_keys_too_and_signing_in_needs_none() {
    let rig = Rig::new(&[]).await;
    let before = keys(&rig).await;
    for _ in 0..2 {
        let headers = [("idempotency-key", "a")];
        let (status, made) = rig.admin_with("POST", "/keys", Some(json!({ "name": "once" })), &headers).await;
        assert_eq!(status, 201, "{made}");
    }
    assert_eq!(keys(&rig).await, before + 1);
    let unknown = rig.http().post(rig.url("/admin/api/v1/keys")).header("idempotency-key", "a").body("{}");
    assert_eq!(unknown.send().await.unwrap().status(), 401);
}
