//! Images that a question names by an address.

use grok2api_simulator::UploadedFile;
use serde_json::{Value, json};

use crate::harness::{Rig, assistant, user};
use crate::transports::over_both_transports;
use crate::web_server::{WebServer, page, redirect};

over_both_transports! {
    an_image_is_fetched_and_reaches_the_account_as_it_is,
    the_account_that_takes_over_is_given_the_fetched_image_too,
    images_without_words_and_images_of_tools_are_shown_too,
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n of the web";
const GIF: &[u8] = b"GIF89a of the web";

/// The address that the settings of these tests allow; all others of this machine are forbidden.
const ALLOWED: &str = "127.0.0.2";

fn named(text: &str, url: &str) -> Value {
    let parts = json!([{ "type": "text", "text": text }, { "type": "image_url", "image_url": { "url": url } }]);
    json!({ "role": "user", "content": parts })
}

async fn web() -> WebServer {
    WebServer::start(ALLOWED, |path| match path.split('?').next().unwrap() {
        "/a.png" => page("200 OK", "image/jpeg", PNG),
        "/b.gif" => page("200 OK", "application/octet-stream", GIF),
        "/moved" => redirect("/a.png"),
        "/page" => page("200 OK", "image/png", b"<html>no image</html>"),
        "/empty" => page("200 OK", "image/png", b""),
        "/large" => b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n".to_vec(),
        "/endless" => {
            [b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n\x89PNG\r\n\x1a\n".as_slice(), &[0; 21 << 20]].concat()
        }
        "/loop" => redirect("/loop"),
        "/cut" => b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n\x89PNG".to_vec(),
        _ => page("404 Not Found", "text/plain", b"nothing"),
    })
    .await
}

async fn rig(accounts: &[&str], settings: Value) -> Rig {
    let mut settings = settings;
    settings["image_url_allow"] = json!([ALLOWED]);
    Rig::with_settings(accounts, settings).await
}

/// Who was given which bytes as what.
fn uploads(rig: &Rig) -> Vec<(String, String, Vec<u8>)> {
    rig.simulator.uploads().into_iter().map(told).collect()
}

fn told(file: UploadedFile) -> (String, String, Vec<u8>) {
    (file.account, file.content_type, file.content)
}

fn upload(account: &str, kind: &str, content: &[u8]) -> (String, String, Vec<u8>) {
    (account.to_owned(), kind.to_owned(), content.to_vec())
}

async fn an_image_is_fetched_and_reaches_the_account_as_it_is() {
    let (web, rig) = (web().await, rig(&["anna"], json!({})).await);
    let base = format!("http://{ALLOWED}:{}", web.port());
    let talk = rig.talk(false);
    let first = named("what is this?", &format!("{base}/a.png?signature=1"));
    let reply = talk.send(json!({ "messages": [first] })).await.ok();
    assert_eq!(uploads(&rig), [upload("anna", "image/png", PNG)], "typed by its bytes");
    let head = web.heads().pop().unwrap();
    assert!(head.starts_with("get /a.png?signature=1 "), "{head}");
    assert!(!head.contains("cookie:") && !head.contains("authorization") && !head.contains("sso"), "{head}");

    // Signed anew, it is the same image: the turn goes on natively, and only the new one is fetched.
    let resent = named("what is this?", &format!("{base}/a.png?signature=2"));
    let second = named("and this?", &format!("{base}/b.gif"));
    let messages = json!([resent, assistant(&reply.text()), second]);
    let reply = talk.send(json!({ "messages": messages })).await.ok();
    assert_eq!(reply.turn(), "native");
    assert_eq!(uploads(&rig)[1..], [upload("anna", "image/gif", GIF)]);
    assert_eq!(web.heads().len(), 2);

    // Other ways to write it: the bare address, and one that leads on.
    let bare = json!({ "role": "user", "content": [{ "type": "input_image", "image_url": format!("{base}/moved") }] });
    talk.send(json!({ "messages": [bare] })).await.ok();
    assert_eq!(uploads(&rig)[2..], [upload("anna", "image/png", PNG)]);
    rig.no_violations();
}

async fn the_account_that_takes_over_is_given_the_fetched_image_too() {
    let (web, rig) = (web().await, rig(&["anna", "bert"], json!({ "share_mode": "off" })).await);
    let base = format!("http://{ALLOWED}:{}", web.port());
    let talk = rig.talk(true);
    let first = named("what is this?", &format!("{base}/a.png"));
    let reply = talk.send(json!({ "messages": [first] })).await.ok();
    let owner = uploads(&rig)[0].0.clone();
    let other = if owner == "anna" { "bert" } else { "anna" };
    rig.simulator.account(&owner).push(grok2api_simulator::Reply::rate_limited(true));
    let messages = json!([first, assistant(&reply.text()), named("and this?", &format!("{base}/b.gif"))]);
    let replayed = talk.send(json!({ "messages": messages })).await.ok();
    assert_eq!(replayed.turn(), "replayed");
    let shown: Vec<_> = rig.attached().into_iter().map(told).collect();
    assert_eq!(shown, [upload(other, "image/png", PNG), upload(other, "image/gif", GIF)]);
    rig.no_violations();
}

async fn images_without_words_and_images_of_tools_are_shown_too() {
    let (web, rig) = (web().await, rig(&["anna"], json!({})).await);
    let base = format!("http://{ALLOWED}:{}", web.port());
    let image = |path: &str| json!([{ "type": "image_url", "image_url": { "url": format!("{base}{path}") } }]);
    let talk = rig.talk(false);
    let wordless = json!({ "role": "user", "content": image("/a.png") });
    let reply = talk.send(json!({ "messages": [wordless] })).await.ok();
    assert_eq!(uploads(&rig), [upload("anna", "image/png", PNG)]);
    let call = json!({ "role": "assistant", "content": reply.text(), "tool_calls": [] });
    let tool = json!({ "role": "tool", "tool_call_id": "1", "content": image("/b.gif") });
    let reply = talk.send(json!({ "messages": [wordless, call, tool] })).await.ok();
    assert_eq!(reply.turn(), "native");
    assert_eq!(uploads(&rig)[1..], [upload("anna", "image/gif", GIF)]);
    rig.no_violations();
}

/// Asks about an image at `url`; the code of the refusal, and its words.
async fn refused(rig: &Rig, url: &str) -> (String, String) {
    let body = json!({ "model": "grok-4.2", "messages": [user("hi"), named("what is this?", url)] });
    let reply = rig.chat(body).await;
    assert_eq!(reply.status, 400, "{url}: {}", reply.body);
    assert_eq!(reply.error()["param"], "messages[1].content[1].image_url.url", "{url}: {}", reply.body);
    let text = |name: &str| reply.error()[name].as_str().unwrap().to_owned();
    (text("code"), text("message"))
}

#[tokio::test]
async fn what_leads_into_private_networks_is_refused_before_anybody_is_asked() {
    let rig = rig(&["anna"], json!({})).await;
    let private = WebServer::start("127.0.0.1", |_| page("200 OK", "image/png", PNG)).await;
    let to_private = format!("http://127.0.0.1:{}/a.png", private.port());
    let redirects =
        [to_private.clone(), "http://169.254.169.254/latest/meta-data/".to_owned(), "http://[::1]/".to_owned()];
    let outside = WebServer::start(ALLOWED, move |path| match path.trim_start_matches('/').parse::<usize>() {
        Ok(index) => redirect(&redirects[index]),
        Err(_) => redirect("file:///etc/passwd"),
    })
    .await;
    let port = private.port();
    let hidden = [
        to_private,
        // A name that resolves to loopback.
        format!("http://localhost:{port}/a.png"),
        format!("http://2130706433:{port}/a.png"),
        format!("http://0x7f000001:{port}/a.png"),
        format!("http://0177.0.0.1:{port}/a.png"),
        format!("http://127.1:{port}/a.png"),
        format!("http://0:{port}/a.png"),
        format!("http://[::1]:{port}/a.png"),
        format!("http://[::]:{port}/a.png"),
        format!("http://[::ffff:127.0.0.1]:{port}/a.png"),
        format!("http://[::ffff:7f00:1]:{port}/a.png"),
        format!("http://[::127.0.0.1]:{port}/a.png"),
        format!("http://[64:ff9b::7f00:1]:{port}/a.png"),
        format!("http://[2002:7f00:1::]:{port}/a.png"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://10.0.0.1/".to_owned(),
        "http://172.16.0.1/".to_owned(),
        "http://192.168.0.1/".to_owned(),
        "http://100.64.0.1/".to_owned(),
        "http://[fd00::1]/".to_owned(),
        "http://[fe80::1]/".to_owned(),
        "http://255.255.255.255/".to_owned(),
        format!("http://{ALLOWED}:{}/0", outside.port()),
        format!("http://{ALLOWED}:{}/1", outside.port()),
        format!("http://{ALLOWED}:{}/2", outside.port()),
    ];
    for url in hidden {
        let (code, message) = refused(&rig, &url).await;
        assert_eq!(code, "invalid_image_url", "{url}: {message}");
        assert!(message.contains("not on the public internet"), "{url}: {message}");
    }
    for url in [
        format!("http://{ALLOWED}:{}/file", outside.port()),
        format!("http://me:pw@{ALLOWED}:{}/a.png", outside.port()),
        format!("http://{ALLOWED}:22/a.png"),
        "http://".to_owned(),
        "http://[nonsense]/".to_owned(),
        "http://no-such-host.invalid/a.png".to_owned(),
    ] {
        let (code, message) = refused(&rig, &url).await;
        assert_eq!(code, "invalid_image_url", "{url}: {message}");
        assert!(!message.contains("pw"), "{message}");
    }
    let (code, _) = refused(&rig, "ftp://h.example/a.png").await;
    assert_eq!(code, "unsupported_content");
    assert!(private.heads().is_empty(), "{:?}", private.heads());
    assert!(rig.simulator.calls().is_empty(), "nothing was asked upstream");
}

#[tokio::test]
async fn an_image_that_cannot_be_used_is_a_clear_complaint() {
    let (web, rig) = (web().await, rig(&["anna"], json!({ "max_images": 2 })).await);
    let base = format!("http://{ALLOWED}:{}", web.port());
    for (path, code, words) in [
        ("/page", "unsupported_content", "PNG, JPEG, GIF or WebP"),
        ("/empty", "unsupported_content", "PNG"),
        ("/none", "invalid_image_url", "answered 404"),
        ("/large", "image_too_large", "20 MiB"),
        ("/endless", "image_too_large", "20 MiB"),
        ("/loop", "invalid_image_url", "more than 3 times"),
        ("/cut", "invalid_image_url", "could not be fetched"),
    ] {
        let (told, message) = refused(&rig, &format!("{base}{path}")).await;
        assert_eq!(told, code, "{path}: {message}");
        assert!(message.contains(words), "{path}: {message}");
        assert!(message.starts_with("`messages[1].content[1].image_url.url` "), "{message}");
    }
    let part = json!({ "type": "image_url", "image_url": { "url": format!("{base}/a.png") } });
    let body = json!({ "model": "grok-4.2", "messages": [{ "role": "user", "content": [part, part, part] }] });
    let reply = rig.chat(body).await;
    assert_eq!((reply.status, &reply.error()["code"]), (400, &json!("too_many_images")), "{}", reply.body);
    assert!(rig.simulator.calls().is_empty(), "nothing was asked upstream");
    assert_eq!(rig.account("anna").await["state"]["name"], "available");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_waited_for_a_while_only() {
    let silent = WebServer::start(ALLOWED, |_| Vec::new()).await;
    let rig = rig(&["anna"], json!({})).await;
    let (code, message) = refused(&rig, &format!("http://{ALLOWED}:{}/a.png", silent.port())).await;
    assert_eq!(code, "invalid_image_url");
    assert!(message.contains("did not arrive within"), "{message}");
}

#[tokio::test]
async fn a_replay_shows_the_newest_images_and_tells_of_the_others() {
    let (web, rig) = (web().await, rig(&["anna"], json!({ "max_images": 2 })).await);
    let base = format!("http://{ALLOWED}:{}", web.port());
    let messages = json!([
        named("oldest", &format!("{base}/a.png")),
        assistant("I see one."),
        named("gone", &format!("{base}/none")),
        assistant("I see another."),
        named("newest", &format!("{base}/b.gif")),
    ]);
    let reply = rig.talk(false).send(json!({ "messages": messages })).await.ok();
    assert_eq!(reply.turn(), "replayed");
    assert_eq!(uploads(&rig), [upload("anna", "image/gif", GIF)]);
    let asked = rig.last_question().body.to_string();
    assert_eq!(asked.matches("[with an image that is no longer attached]").count(), 2, "{asked}");
    assert!(!asked.contains("[with attached images]"), "{asked}");
    rig.no_violations();
}
