//! Keys and accounts.

use super::*;

#[tokio::test]
async fn a_key_tells_its_secret_once() {
    let fixture = Fixture::signed_in().await;
    let made = fixture.post("/keys", json!({ "name": "user", "count": 2 })).await;
    assert_eq!(made.status, 201);
    let key = &made.body["keys"][0];
    let (id, secret) = (key["id"].as_str().unwrap(), key["key"].as_str().unwrap());
    assert_eq!(key["name"], "user-1");
    assert!(secret.starts_with("sk-"));

    let list = fixture.get("/keys").await;
    assert_eq!(list.body["total"], 2);
    let one = fixture.get(&format!("/keys/{id}")).await;
    assert!(!list.text.contains(secret) && !one.text.contains(secret));
    assert_eq!(
        one.body,
        json!({ "id": id, "name": "user-1", "preview": key["preview"], "enabled": true, "state": "enabled", "reasoning": null,
                "expires_at": null, "requests_per_minute": null, "requests_per_day": null, "concurrent_requests": null,
                "models": null, "previous_secret_until": null, "in_flight": 0, "requests_today": 0, "requests_total": 0,
                "created_at": "2026-03-01T12:00:00.000Z", "last_used_at": null, "version": 1 })
    );
}

#[tokio::test]
async fn a_key_is_edited_and_deleted() {
    let fixture = Fixture::signed_in().await;
    let id = fixture.state.keys.create("a", 1, &KeyTerms::default()).await.unwrap().pop().unwrap().key.id;
    let path = format!("/keys/{id}");

    let edited = fixture.patch(&path, "1", json!({ "enabled": false, "reasoning": "hidden" })).await;
    assert_eq!((edited.status, edited.header(header::ETAG)), (200, "\"2\""));
    assert_eq!((&edited.body["enabled"], &edited.body["reasoning"]), (&json!(false), &json!("hidden")));

    let stale = fixture.patch(&path, "1", json!({ "name": "b" })).await;
    assert_eq!((stale.error(), &stale.body["error"]["current"]), ((412, "version_mismatch"), &json!(2)));
    let freed = fixture.patch(&path, "2", json!({ "reasoning": null })).await;
    assert_eq!(freed.body["reasoning"], Value::Null);
    let wrong = fixture.patch(&path, "3", json!({ "reasoning": "loud", "enabled": null, "nmae": "b" })).await;
    assert_eq!((wrong.error(), wrong.paths()), ((422, "validation_failed"), vec!["/enabled", "/reasoning", "/nmae"]));

    assert_eq!(fixture.delete(&path).await.status, 204);
    assert_eq!(fixture.delete(&path).await.error(), (404, "not_found"));
    assert_eq!(fixture.get(&path).await.error(), (404, "not_found"));
}

#[tokio::test]
async fn an_account_is_added_once_and_its_token_never_comes_out() {
    let fixture = Fixture::signed_in().await;
    let made =
        fixture.post("/accounts", json!({ "token": TOKEN, "label": "first", "tags": [" a", "b", "a", ""] })).await;
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.body["id"].as_str().unwrap();
    assert_eq!(made.header(header::LOCATION), format!("/admin/api/v1/accounts/{id}"));
    assert_eq!((&made.body["tags"], &made.body["enabled"]), (&json!(["a", "b"]), &json!(true)));

    let again = fixture.post("/accounts", json!({ "token": format!("sso={TOKEN}") })).await;
    assert_eq!((again.error(), again.body["error"]["existing"].as_str()), ((409, "already_exists"), Some(id)));

    let list = fixture.get("/accounts?state=available&tag=a,z&q=fir&sort=-label&offset=0&limit=10").await;
    assert_eq!((list.status, &list.body["total"]), (200, &json!(1)), "{list:?}");
    let summary = fixture.get("/accounts/summary").await;
    assert_eq!(summary.body["total"], 1);
    for answer in [&made, &again, &list, &fixture.get(&format!("/accounts/{id}")).await] {
        assert!(!answer.text.contains("secret-account-token"));
    }
}

#[tokio::test]
async fn a_bad_token_is_refused_without_being_repeated() {
    let fixture = Fixture::signed_in().await;
    for token in ["", "two words", "a=b; c=d"] {
        let answer = fixture.post("/accounts", json!({ "token": token })).await;
        assert_eq!((answer.error(), answer.paths()), ((422, "validation_failed"), vec!["/token"]), "{token}");
        assert!(token.is_empty() || !answer.text.contains(token));
    }
    let answer = fixture.post("/accounts", json!({ "label": 7, "tags": ["a,b"], "tokne": TOKEN })).await;
    assert_eq!(answer.paths(), ["/token", "/label", "/tags", "/tokne"]);
    assert!(!answer.text.contains(TOKEN));
}

#[tokio::test]
async fn an_account_is_edited_rested_and_deleted() {
    let fixture = Fixture::signed_in().await;
    let id = fixture.post("/accounts", json!({ "token": TOKEN })).await.body["id"].as_str().unwrap().to_owned();
    let path = format!("/accounts/{id}");

    let edited =
        fixture.patch(&path, "1", json!({ "enabled": false, "label": "spare", "tags": [], "tier": "super" })).await;
    assert_eq!(
        (edited.status, &edited.body["label"], &edited.body["state"]["name"]),
        (200, &json!("spare"), &json!("disabled"))
    );
    assert_eq!(edited.header(header::ETAG), format!("\"{}\"", edited.body["version"]));
    assert_eq!(fixture.patch(&path, "1", json!({})).await.error(), (412, "version_mismatch"));
    let cleared = fixture.send(fixture.request(Method::POST, &format!("{path}/actions/clear_cooldown")), None).await;
    assert_eq!(cleared.status, 200);

    assert_eq!(fixture.delete(&path).await.status, 204);
    assert_eq!(fixture.get(&path).await.error(), (404, "not_found"));
}

#[tokio::test]
async fn a_slip_in_a_list_query_is_told() {
    let fixture = Fixture::signed_in().await;
    for (query, path) in [
        ("state=coling", "state"),
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("offset=-1", "offset"),
        ("sort=colour", "sort"),
        ("satte=cooling", "satte"),
    ] {
        let answer = fixture.get(&format!("/accounts?{query}")).await;
        assert_eq!((answer.error(), answer.paths()), ((422, "validation_failed"), vec![path]), "{query}");
    }
}
