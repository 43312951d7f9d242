//! Images that the model makes: linked in the answer, fetched, kept and served.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use grok2api_simulator::{ImageForm, ImageStage, ImageStep, Reply as Scripted, Step};
use http::HeaderMap;
use serde_json::{Value, json};

use crate::harness::{KEY, Rig, assistant, user};
use crate::transports::over_both_transports;

over_both_transports! {
    the_link_of_an_image_loads,
    a_chat_with_images_goes_on_natively_whatever_stands_in_front_of_its_links,
    images_are_there_after_the_account_has_changed,
    an_answer_does_not_wait_for_its_images_before_its_end,
    an_answer_arrives_when_its_image_cannot_be_fetched,
    what_became_of_an_image_is_said_in_words,
}

/// The links of images in an answer.
pub(crate) fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| target.contains("/images/")).map(str::to_owned).collect()
}

pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub(crate) async fn get(rig: &Rig, url: &str) -> Got {
    request(rig, "GET", url, &[]).await
}

async fn request(rig: &Rig, method: &str, url: &str, headers: &[(&str, &str)]) -> Got {
    let mut request = rig.http().request(method.parse().unwrap(), url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Got { status, headers, body: response.bytes().await.unwrap().to_vec() }
}

/// Asks for an image; the answer's text and its one link.
pub(crate) async fn image_link(rig: &Rig, stream: bool) -> (String, String) {
    let reply = rig.talk(stream).send(json!({ "messages": [user("draw a red kite")] })).await.ok();
    let text = reply.text();
    let links = links(&text);
    assert_eq!(links.len(), 1, "{text}");
    (text, links[0].clone())
}

fn script(rig: &Rig, account: &str, reply: Scripted) {
    rig.simulator.account(account).push(reply);
}

fn kept_files(rig: &Rig) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(rig.directory.path().join("images")) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

async fn the_link_of_an_image_loads() {
    let rig = Rig::new(&["anna"]).await;
    let replies = [Scripted::image, Scripted::image_member, Scripted::soft_stop_then_image];
    for (index, reply) in replies.into_iter().enumerate() {
        script(&rig, "anna", reply());
        let (text, link) = image_link(&rig, index % 2 == 0).await;
        assert!(link.starts_with(&rig.url("/images/")), "the client's own address: {link}");
        assert!(text.contains("!["), "{text}");
        let picture = get(&rig, &link).await;
        assert_eq!(picture.status, 200);
        assert!(picture.body.starts_with(&[0xFF, 0xD8, 0xFF]), "a JPEG");
        for (name, value) in [
            ("content-type", "image/jpeg"),
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "default-src 'none'; sandbox"),
            ("cache-control", "private, max-age=31536000, immutable"),
            ("accept-ranges", "bytes"),
        ] {
            assert_eq!(picture.header(name), value, "{name}");
        }
    }
    assert_eq!(rig.count("SELECT COUNT(*) FROM images WHERE bytes > 0 AND media_type = 'image/jpeg'").await, 3);
    assert_eq!(
        rig.count("SELECT COUNT(*) FROM images JOIN requests ON requests.request_id = images.request_id").await,
        3
    );
    assert_eq!(kept_files(&rig).len(), 3);
    let fetches = rig.simulator.calls().into_iter().filter(|call| call.route == "asset").count();
    assert_eq!(fetches, 3, "each is fetched once");
    rig.no_violations();
}

async fn a_chat_with_images_goes_on_natively_whatever_stands_in_front_of_its_links() {
    let rig = Rig::new(&["anna"]).await;
    for host in [None, Some("https://elsewhere.example"), Some("http://127.0.0.1:1"), Some("")] {
        script(&rig, "anna", Scripted::image());
        let (text, link) = image_link(&rig, true).await;
        let resent = match host {
            Some(host) => text.replace(&rig.url(""), host),
            None => text.clone(),
        };
        assert_eq!(resent.contains(&link), host.is_none());
        let messages = json!([user("draw a red kite"), assistant(&resent), user("recite")]);
        let reply = rig.talk(false).send(json!({ "messages": messages })).await.ok();
        assert_eq!(reply.turn(), "native", "{resent}");
    }
    rig.no_violations();
}

async fn images_are_there_after_the_account_has_changed() {
    let rig = Rig::new(&["anna"]).await;
    script(&rig, "anna", Scripted::image());
    let (text, first) = image_link(&rig, true).await;
    rig.add_account("bert").await;
    script(&rig, "anna", Scripted::rate_limited(true));
    script(&rig, "bert", Scripted::image());
    let messages = json!([user("draw a red kite"), assistant(&text), user("another one")]);
    let reply = rig.talk(true).send(json!({ "messages": messages })).await.ok();
    assert_eq!(reply.turn(), "moved");
    let second = links(&reply.text()).pop().unwrap();
    assert_ne!(first, second);
    for link in [first, second] {
        assert_eq!(get(&rig, &link).await.status, 200, "{link}");
    }
    assert_eq!(rig.count("SELECT COUNT(DISTINCT account_id) FROM images").await, 2);
    rig.no_violations();
}

async fn an_answer_does_not_wait_for_its_images_before_its_end() {
    let rig = Rig::new(&["anna"]).await;
    let wait = Duration::from_secs(2);
    rig.simulator.set_assets_wait(wait);
    let image = ImageStep {
        card_id: "k3b9q".to_owned(),
        image_id: "9a8b7c6d-5e4f-4a3b-8c2d-1e0f9a8b7c6d".to_owned(),
        prompt: "a red kite".to_owned(),
        form: ImageForm::Card,
        stage: ImageStage::Final,
    };
    let steps = vec![Step::Text("Here: ".to_owned()), Step::Image(image), Step::Text("Enjoy.".to_owned())];
    script(&rig, "anna", Scripted::answer(steps));
    let body = json!({ "model": "grok-4.2", "stream": true, "messages": [user("draw")] });
    let began = Instant::now();
    let request = rig.http().post(rig.url("/v1/chat/completions")).bearer_auth(KEY).json(&body);
    let mut pieces = request.send().await.unwrap().bytes_stream();
    let (mut text, mut told) = (String::new(), None);
    while let Some(piece) = pieces.next().await {
        text.push_str(std::str::from_utf8(&piece.unwrap()).unwrap());
        if told.is_none() && text.contains("Enjoy.") {
            told = Some(began.elapsed());
        }
    }
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    let (told, whole) = (told.unwrap(), began.elapsed());
    assert!(told < wait, "the text behind the image took {told:?}");
    assert!(whole >= wait, "whoever sees the end can follow the link, after {whole:?}");
    let link = text.split("](").nth(1).unwrap().split(')').next().unwrap();
    let before = Instant::now();
    assert_eq!(get(&rig, link).await.status, 200);
    assert!(before.elapsed() < wait, "it was there already");
    rig.no_violations();
}

async fn an_answer_arrives_when_its_image_cannot_be_fetched() {
    let mut rig = Rig::new(&["anna"]).await;
    rig.simulator.set_assets_status(Some(500));
    script(&rig, "anna", Scripted::image());
    let (_, link) = image_link(&rig, true).await;
    let picture = get(&rig, &link).await;
    let error: Value = serde_json::from_slice(&picture.body).unwrap();
    assert_eq!((picture.status, &error["error"]["code"]), (502, &json!("image_unavailable")), "{error}");
    assert_eq!(picture.header("cache-control"), "", "a failure must not be kept");
    assert_eq!(rig.account("anna").await["state"]["name"], "available", "the account is not to blame");
    // The upstream is well again: the link works after all.
    rig.simulator.set_assets_status(None);
    rig.restart().await;
    let path = link.split("/images/").nth(1).unwrap();
    assert_eq!(get(&rig, &rig.url(&format!("/images/{path}"))).await.status, 200);
    assert_eq!(kept_files(&rig).len(), 1);
    rig.no_violations();
}

async fn what_became_of_an_image_is_said_in_words() {
    let rig = Rig::new(&["anna"]).await;
    for (reply, words) in [
        (Scripted::moderated_image(), "moderation withheld the image"),
        (Scripted::failed_image(), "could not make the image"),
    ] {
        script(&rig, "anna", reply);
        let reply = rig.talk(true).send(json!({ "messages": [user("draw")] })).await.ok();
        assert!(reply.text().contains(words), "{}", reply.text());
        assert!(links(&reply.text()).is_empty());
    }
    script(&rig, "anna", Scripted::image_member());
    let reply = rig.talk(true).send(json!({ "messages": [user("draw")], "reasoning_format": "parsed" })).await.ok();
    assert!(!reply.deltas("content").contains("50 %"), "progress is no part of the answer");
    assert_eq!(rig.count("SELECT COUNT(*) FROM images").await, 1);
    rig.no_violations();
}

#[tokio::test]
async fn a_replay_does_not_tell_the_upstream_where_images_are_served() {
    let rig = Rig::with_settings(&["anna", "bert"], json!({ "share_mode": "off" })).await;
    for account in ["anna", "bert"] {
        script(&rig, account, Scripted::image());
    }
    let (text, link) = image_link(&rig, false).await;
    let owner = rig.last_question().account.unwrap();
    script(&rig, &owner, Scripted::rate_limited(true));
    let messages = json!([user("draw a red kite"), assistant(&text), user("in blue")]);
    let reply = rig.talk(false).send(json!({ "messages": messages })).await.ok();
    assert_eq!(reply.turn(), "replayed");
    let asked = rig.last_question().body.to_string();
    assert!(asked.contains("[image you made: ") && !asked.contains("/images/") && !asked.contains(&link), "{asked}");
}

#[tokio::test]
async fn progress_shows_in_the_reasoning() {
    let rig = Rig::new(&["anna"]).await;
    script(&rig, "anna", Scripted::soft_stop_then_image());
    let body = json!({ "messages": [user("draw")], "reasoning_format": "reasoning_content" });
    let reply = rig.talk(true).send(body).await.ok();
    let reasoning = reply.deltas("reasoning_content");
    assert!(reasoning.contains("making an image") && reasoning.contains("50 %"), "{reasoning}");
}

#[tokio::test]
async fn the_public_address_stands_in_front_where_it_is_set() {
    let rig = Rig::with_settings(&["anna"], json!({ "base_url": "https://grok.example" })).await;
    script(&rig, "anna", Scripted::image());
    let (_, link) = image_link(&rig, false).await;
    assert!(link.starts_with("https://grok.example/images/"), "{link}");
    assert_eq!(get(&rig, &link.replace("https://grok.example", &rig.url(""))).await.status, 200);
}

#[tokio::test]
async fn kept_images_survive_a_restart_and_the_upstream() {
    let mut rig = Rig::new(&["anna"]).await;
    script(&rig, "anna", Scripted::image());
    let (_, link) = image_link(&rig, false).await;
    let before = get(&rig, &link).await;
    rig.simulator.set_assets_status(Some(404));
    let stray = rig.directory.path().join("images").join("0123456789abcdef0123456789abcdef");
    std::fs::write(&stray, b"left by a crash").unwrap();
    rig.restart().await;
    let path = link.split("/images/").nth(1).unwrap().to_owned();
    let after = get(&rig, &rig.url(&format!("/images/{path}"))).await;
    assert_eq!((after.status, after.body), (200, before.body));
    rig.until("the stray file is gone", async |_| !stray.exists()).await;
    // A file that was lost is fetched again; while the upstream has it no more, it is not there.
    let name = kept_files(&rig).pop().unwrap();
    std::fs::remove_file(rig.directory.path().join("images").join(&name)).unwrap();
    assert_eq!(get(&rig, &rig.url(&format!("/images/{path}"))).await.status, 502);
}

#[tokio::test]
async fn images_that_cannot_be_kept_are_served_all_the_same() {
    let rig = Rig::with_settings(&["anna"], json!({ "max_image_cache_mb": 0 })).await;
    script(&rig, "anna", Scripted::image());
    let (_, link) = image_link(&rig, true).await;
    assert_eq!(get(&rig, &link).await.status, 200);
    assert!(kept_files(&rig).is_empty());

    let rig = Rig::new(&["anna"]).await;
    // Where the files should go, something else stands.
    std::fs::write(rig.directory.path().join("images"), b"in the way").unwrap();
    script(&rig, "anna", Scripted::image());
    let (_, link) = image_link(&rig, true).await;
    assert_eq!(rig.count("SELECT COUNT(*) FROM images WHERE bytes = 0").await, 1);
    std::fs::remove_file(rig.directory.path().join("images")).unwrap();
    assert_eq!(get(&rig, &link).await.status, 200);
    assert_eq!(rig.count("SELECT COUNT(*) FROM images WHERE bytes > 0").await, 1);
}

#[tokio::test]
async fn the_oldest_go_when_the_cache_is_full() {
    let mut rig = Rig::new(&["anna"]).await;
    let mut paths = Vec::new();
    for _ in 0..3 {
        rig.advance(10);
        script(&rig, "anna", Scripted::image());
        let (_, link) = image_link(&rig, false).await;
        paths.push(link.replace(&rig.url(""), ""));
    }
    // As if each had 600 KiB.
    rig.execute("UPDATE images SET bytes = 614400").await;
    rig.restart().await;
    let (_, usage) = rig.admin("GET", "/images/usage", None).await;
    assert_eq!((&usage["count"], &usage["bytes"]), (&json!(3), &json!(1_843_200)), "{usage}");
    assert_eq!(usage["next_to_go"][0]["path"], json!(paths[0]), "{usage}");
    let (status, body) =
        rig.admin_with("PATCH", "/settings", Some(json!({ "max_image_cache_mb": 1 })), &[("if-match", "*")]).await;
    assert_eq!(status, 200, "{body}");
    rig.until("two are gone", async |rig| rig.count("SELECT COUNT(*) FROM images").await == 1).await;
    rig.until("their files, too", async |rig| kept_files(rig).len() == 1).await;
    let mut statuses = Vec::new();
    for path in &paths {
        statuses.push(get(&rig, &rig.url(path)).await.status);
    }
    assert_eq!(statuses, [404, 404, 200]);
}

#[tokio::test]
async fn names_that_are_none_lead_nowhere() {
    let rig = Rig::new(&["anna"]).await;
    script(&rig, "anna", Scripted::image());
    let (_, link) = image_link(&rig, false).await;
    let id = link.rsplit('/').next().unwrap().split('.').next().unwrap().to_owned();
    let address = rig.gateway().address();
    for path in [
        "/images/".to_owned(),
        "/images/..%2fconfig.json".to_owned(),
        "/images/../config.json".to_owned(),
        "/images/%2e%2e/config.json".to_owned(),
        "/images/..%5cgrok2api.db".to_owned(),
        "/images//etc/passwd".to_owned(),
        "/images/%00.jpg".to_owned(),
        "/images/%ff%fe.jpg".to_owned(),
        format!("/images/{id}"),
        format!("/images/{id}.html"),
        format!("/images/{id}.svg"),
        format!("/images/{id}.jpg/x"),
        format!("/images/{id}.jpg.html"),
        format!("/images/{}.jpg", id.to_uppercase()),
        format!("/images/{}.jpg", &id[1..]),
        "/images/00000000000000000000000000000000.jpg".to_owned(),
        format!("/images/{}.jpg", "0".repeat(9_000)),
    ] {
        // By hand, so that no client tidies the path up.
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let mut bytes = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut bytes).await.unwrap();
        answer.push_str(&String::from_utf8_lossy(&bytes));
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
    }
    // Any ending of a picture leads to it, and its bytes say what it is.
    let other = get(&rig, &rig.url(&format!("/images/{id}.png"))).await;
    assert_eq!((other.status, other.header("content-type")), (200, "image/jpeg"));
}

#[tokio::test]
async fn clients_need_not_load_an_image_twice_or_whole() {
    let rig = Rig::new(&["anna"]).await;
    script(&rig, "anna", Scripted::image());
    let (_, link) = image_link(&rig, false).await;
    let whole = get(&rig, &link).await;
    let (tag, length) = (whole.header("etag").to_owned(), whole.body.len());
    let known = request(&rig, "GET", &link, &[("if-none-match", &tag)]).await;
    assert_eq!((known.status, known.body.len(), known.header("etag")), (304, 0, tag.as_str()));
    assert_eq!(request(&rig, "GET", &link, &[("if-none-match", "\"other\"")]).await.status, 200);
    let head = request(&rig, "HEAD", &link, &[]).await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, length.to_string().as_str(), 0));
    for (range, status, content_range, body) in [
        ("bytes=0-3", 206, format!("bytes 0-3/{length}"), &whole.body[..4]),
        ("bytes=10-", 206, format!("bytes 10-{}/{length}", length - 1), &whole.body[10..]),
        ("bytes=-5", 206, format!("bytes {}-{}/{length}", length - 5, length - 1), &whole.body[length - 5..]),
        ("bytes=0-99999999", 206, format!("bytes 0-{}/{length}", length - 1), &whole.body[..]),
        ("bytes=99999999-", 416, format!("bytes */{length}"), &[][..]),
        ("bytes=-0", 416, format!("bytes */{length}"), &[][..]),
        ("bytes=5-2", 200, String::new(), &whole.body[..]),
        ("bytes=0-1,3-4", 200, String::new(), &whole.body[..]),
        ("lines=1-2", 200, String::new(), &whole.body[..]),
    ] {
        let part = request(&rig, "GET", &link, &[("range", range)]).await;
        assert_eq!((part.status, part.header("content-range")), (status, content_range.as_str()), "{range}");
        assert_eq!(part.body, body, "{range}");
    }
    let stale = request(&rig, "GET", &link, &[("range", "bytes=0-3"), ("if-range", "\"other\"")]).await;
    assert_eq!(stale.status, 200);
}
