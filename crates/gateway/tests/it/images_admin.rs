//! The images of the admin API.

use grok2api_simulator::Reply as Scripted;
use serde_json::{Value, json};

use crate::harness::{KEY, Rig};
use crate::images_out::{get, image_link};
use crate::web_server::{WebServer, page, redirect};

/// Three images, ten seconds apart; the last one under another key's name is not needed.
pub(crate) async fn rig_with_images() -> (Rig, Vec<String>) {
    let rig = Rig::new(&["anna"]).await;
    let mut links = Vec::new();
    for _ in 0..3 {
        rig.advance(10);
        rig.simulator.account("anna").push(Scripted::image());
        links.push(image_link(&rig, false).await.1);
    }
    (rig, links)
}

#[tokio::test]
async fn images_are_listed_newest_first_and_filtered() {
    let (rig, links) = rig_with_images().await;
    let (status, list) = rig.admin("GET", "/images?limit=2", None).await;
    assert_eq!((status, &list["total"], list["items"].as_array().unwrap().len()), (200, &json!(3), 2), "{list}");
    let newest = &list["items"][0];
    assert!(links[2].ends_with(newest["path"].as_str().unwrap()), "{newest}");
    assert_eq!((&newest["media_type"], &newest["model"]), (&json!("image/jpeg"), &json!("grok-4.2")), "{newest}");
    assert_eq!(newest["url"], Value::Null, "no public address is set");
    assert!(newest["bytes"].as_i64().unwrap() > 100, "{newest}");
    assert!(newest["id"].as_str().unwrap().starts_with("img_"), "{newest}");
    let (_, rest) = rig.admin("GET", "/images?limit=2&offset=2", None).await;
    assert!(links[0].ends_with(rest["items"][0]["path"].as_str().unwrap()), "{rest}");

    let (account, key) = (newest["account_id"].as_str().unwrap(), newest["key_id"].as_str().unwrap());
    let (request, at) = (newest["request_id"].as_str().unwrap(), newest["created_at"].as_str().unwrap());
    for (filter, count) in [
        (format!("account={account}"), 3),
        ("account=acc_other".to_owned(), 0),
        (format!("key={key}&model=grok-4.2&type=image/jpeg"), 3),
        ("type=image/png".to_owned(), 0),
        (format!("request_id={request}"), 1),
        (format!("from={at}"), 1),
        (format!("until={at}"), 2),
    ] {
        let (status, list) = rig.admin("GET", &format!("/images?{filter}"), None).await;
        assert_eq!((status, &list["total"]), (200, &json!(count)), "{filter}: {list}");
    }
    for wrong in ["from=yesterday", "limit=0", "colour=red"] {
        assert_eq!(rig.admin("GET", &format!("/images?{wrong}"), None).await.0, 422, "{wrong}");
    }

    // Visits count, and looks of this list do not.
    for _ in 0..2 {
        get(&rig, &links[2]).await;
    }
    let (_, shown) = rig.admin("GET", &format!("/images/{}", newest["id"].as_str().unwrap()), None).await;
    assert_eq!(shown["hits"], json!(2), "{shown}");
    let (_, usage) = rig.admin("GET", "/images/usage", None).await;
    assert_eq!((&usage["count"], &usage["kept"]), (&json!(3), &json!(3)), "{usage}");
    assert_eq!(usage["limit_bytes"], json!(500 * 1024 * 1024));
    assert!(links[0].ends_with(usage["next_to_go"][0]["path"].as_str().unwrap()), "{usage}");
}

#[tokio::test]
async fn a_deleted_image_is_gone_and_the_trail_says_by_whom() {
    let (rig, links) = rig_with_images().await;
    let (_, list) = rig.admin("GET", "/images", None).await;
    let id = list["items"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(rig.admin("DELETE", &format!("/images/{id}"), None).await.0, 204);
    assert_eq!(get(&rig, &links[2]).await.status, 404);
    assert_eq!(get(&rig, &links[1]).await.status, 200);
    let file = rig.directory.path().join("images").join(id.trim_start_matches("img_"));
    assert!(!file.exists());
    assert_eq!(rig.admin("DELETE", &format!("/images/{id}"), None).await.0, 404);
    for other in ["img_1", "img_..", "acc_1", "img_00000000000000000000000000000000"] {
        assert_eq!(rig.admin("GET", &format!("/images/{other}"), None).await.0, 404, "{other}");
    }
    let (_, trail) = rig.admin("GET", &format!("/audit?subject={id}"), None).await;
    assert_eq!(trail["items"][0]["action"], "image.delete", "{trail}");
    let (_, usage) = rig.admin("GET", "/images/usage", None).await;
    assert_eq!(usage["count"], json!(2));
}

#[tokio::test]
async fn a_link_is_tried_and_what_is_wrong_is_said() {
    let (rig, _) = rig_with_images().await;
    let (_, list) = rig.admin("GET", "/images", None).await;
    let path = format!("/images/{}/actions/test_link", list["items"][0]["id"].as_str().unwrap());
    let (status, body) = rig.admin("POST", &path, None).await;
    assert_eq!(status, 422, "without a public address there is none to try: {body}");

    let set = async |base_url: &str| {
        let patch = json!({ "base_url": base_url });
        let (status, body) = rig.admin_with("PATCH", "/settings", Some(patch), &[("if-match", "*")]).await;
        assert_eq!(status, 200, "{body}");
    };
    set(&rig.url("")).await;
    let (_, test) = rig.admin("POST", &path, None).await;
    assert_eq!((&test["ok"], &test["outcome"], &test["status"]), (&json!(true), &json!("this_image"), &json!(200)));
    assert_eq!(test["warnings"], json!(["loopback"]), "{test}");
    assert!(test["message"].as_str().unwrap().contains("loopback"), "{test}");

    let other = WebServer::start("127.0.0.1", |path| match path {
        path if path.starts_with("/login/") => redirect("https://login.example/"),
        path if path.starts_with("/page/") => page("200 OK", "text/html", b"<html>"),
        _ => page("404 Not Found", "text/plain", b"no"),
    })
    .await;
    for (prefix, outcome) in [("/login", "redirected"), ("/page", "no_image"), ("", "refused")] {
        set(&format!("http://127.0.0.1:{}{prefix}", other.port())).await;
        let (_, test) = rig.admin("POST", &path, None).await;
        assert_eq!((&test["ok"], &test["outcome"]), (&json!(false), &json!(outcome)), "{test}");
        assert!(!test["message"].as_str().unwrap().is_empty());
    }
    let heads = other.heads().join("\n");
    assert!(!heads.contains("cookie") && !heads.contains(KEY), "{heads}");
    set("http://127.0.0.1:9").await;
    let (_, test) = rig.admin("POST", &path, None).await;
    assert_eq!(test["outcome"], "unreachable", "{test}");
}
