//! What all answers have in common.

use super::*;

#[tokio::test]
async fn unknown_routes_methods_and_ids_get_the_same_error_object() {
    let fixture = Fixture::signed_in().await;
    for path in [
        "/nowhere",
        "/accounts/acc_1/actions/explode",
        "/keys/acc_1",
        "/keys/key_a%2Fb",
        "/keys/%FF",
        "/accounts/key_1",
    ] {
        assert_eq!(fixture.get(path).await.error(), (404, "not_found"), "{path}");
    }
    let answer = fixture.delete("/settings").await;
    assert_eq!(answer.error(), (405, "method_not_allowed"));
    assert!(answer.header(header::ALLOW).contains("PATCH"), "{answer:?}");
    let error = &answer.body["error"];
    assert_eq!(
        *error,
        json!({ "code": "method_not_allowed", "type": "invalid_request_error", "status": 405, "message": error["message"],
                "request_id": "req-test", "retryable": false, "retry_after_s": null, "fields": [], "context": {} })
    );
}

#[tokio::test]
async fn bodies_are_read_strictly() {
    let fixture = Fixture::signed_in().await;
    let send = async |content_type: Option<&str>, body: Vec<u8>| {
        let mut request = fixture.request(Method::POST, "/keys");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        fixture.deliver(request.body(Body::from(body)).unwrap()).await
    };
    let json = Some("application/json; charset=utf-8");
    assert_eq!(send(None, b"{\"name\":\"a\"}".to_vec()).await.error(), (415, "unsupported_media_type"));
    assert_eq!(send(Some("text/plain"), b"{\"name\":\"a\"}".to_vec()).await.error(), (415, "unsupported_media_type"));
    assert_eq!(send(json, b"{\"name\":".to_vec()).await.error(), (400, "invalid_request"));
    assert_eq!(send(json, b"[]".to_vec()).await.error(), (422, "validation_failed"));
    assert_eq!(send(json, b"\"\xff\"".to_vec()).await.error(), (400, "invalid_request"));
    assert_eq!(send(json, vec![b' '; 2 << 20]).await.error(), (413, "too_large"));
    let wrong = send(json, b"{\"count\":-1,\"a/b\":1}".to_vec()).await;
    assert_eq!((wrong.error(), wrong.paths()), ((422, "validation_failed"), vec!["/name", "/count", "/a~1b"]));
    assert_eq!(send(json, b"{\"name\":\"a\"}".to_vec()).await.status, 201);
}

#[tokio::test]
async fn answers_are_kept_out_of_caches() {
    let fixture = Fixture::signed_in().await;
    for answer in [fixture.get("/settings").await, fixture.get("/nowhere").await] {
        assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
        assert_eq!(answer.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
    }
}
