//! The event stream of the admin API, read as a browser does.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::Rig;

/// One event as it arrived.
#[derive(Debug)]
struct Event {
    id: Option<u64>,
    name: String,
    data: Value,
}

/// An open stream.
struct Stream {
    response: reqwest::Response,
    text: String,
}

impl Stream {
    async fn open(rig: &Rig, query: &str, last: Option<u64>) -> Self {
        let (_, token) = rig.add_token(&["read"]).await;
        Self::open_as(rig, &token, query, last).await
    }

    async fn open_as(rig: &Rig, token: &str, query: &str, last: Option<u64>) -> Self {
        let mut request = rig.http().get(rig.url(&format!("/admin/api/v1/events{query}"))).bearer_auth(token);
        if let Some(last) = last {
            request = request.header("last-event-id", last.to_string());
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        for (name, value) in
            [("content-type", "text/event-stream"), ("cache-control", "no-store"), ("x-accel-buffering", "no")]
        {
            assert_eq!(response.headers()[name], value);
        }
        Self { response, text: String::new() }
    }

    /// The next event; `None` at the end.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                if let Some(event) = parse(&event) {
                    return Some(event);
                }
                continue;
            }
            let waiting = tokio::time::timeout(Duration::from_secs(10), self.response.chunk()).await;
            let piece = waiting.expect("an event within ten seconds").unwrap()?;
            self.text.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }

    async fn named(&mut self, name: &str) -> Event {
        loop {
            let event = self.next().await.unwrap_or_else(|| panic!("no {name}"));
            if event.name == name {
                return event;
            }
        }
    }
}

fn parse(text: &str) -> Option<Event> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let name = field("event")?.to_owned();
    Some(Event {
        id: field("id").map(|id| id.parse().unwrap()),
        name,
        data: serde_json::from_str(field("data").unwrap()).unwrap(),
    })
}

#[tokio::test]
async fn a_console_is_told_what_changes() {
    let rig = Rig::new(&["anna"]).await;
    let mut stream = Stream::open(&rig, "?topics=keys,accounts,settings", None).await;
    let hello = stream.next().await.unwrap();
    assert_eq!((hello.name.as_str(), &hello.data["resumed"]), ("hello", &json!(false)));
    assert_eq!(hello.data["server_time"], "2026-09-01T00:00:00.000Z");

    let (_, made) = rig.admin("POST", "/keys", Some(json!({ "name": "phone" }))).await;
    let id = made["keys"][0]["id"].as_str().unwrap();
    let secret = made["keys"][0]["key"].as_str().unwrap();
    assert_eq!(stream.named("key.list_changed").await.data, json!({ "created": [id] }));
    rig.admin("PATCH", &format!("/keys/{id}"), Some(json!({ "enabled": false }))).await;
    let key = stream.named("key").await;
    assert!(key.id > hello.id);
    assert_eq!((&key.data["id"], &key.data["patch"]["enabled"]), (&json!(id), &json!(false)));
    assert!(!key.data.to_string().contains(secret));

    let account = rig.account("anna").await["id"].as_str().unwrap().to_owned();
    rig.admin("PATCH", &format!("/accounts/{account}"), Some(json!({ "enabled": false }))).await;
    assert_eq!(stream.named("account").await.data["patch"]["state"]["name"], "disabled");
    let summary = stream.named("accounts.summary").await;
    assert_eq!(summary.data["total"], 1);

    let (_, settings) = rig.admin("GET", "/settings", None).await;
    let version = format!("\"{}\"", settings["version"].as_str().unwrap());
    let patch = Some(json!({ "max_attempts": 1 }));
    rig.admin_with("PATCH", "/settings", patch, &[("if-match", &version)]).await;
    assert_ne!(stream.named("settings").await.data["version"], settings["version"]);
}

#[tokio::test]
async fn a_key_that_a_page_shows_is_followed_while_clients_use_it() {
    let rig = Rig::new(&["anna"]).await;
    let (_, made) = rig.admin("POST", "/keys", Some(json!({ "name": "phone" }))).await;
    let (id, secret) = (made["keys"][0]["id"].as_str().unwrap(), made["keys"][0]["key"].as_str().unwrap());
    let mut stream = Stream::open(&rig, "?topics=settings", None).await;
    let hello = stream.next().await.unwrap();
    let path = format!("/events/{}/topics", hello.data["stream"].as_str().unwrap());
    let topics = json!({ "topics": [format!("key:{id}")] });
    let (_, reader) = rig.add_token(&["keys"]).await;
    assert_eq!(rig.admin_as(&reader, "PUT", &path, Some(topics.clone())).await.0, 204, "any token may");
    assert_eq!(rig.admin("PUT", "/events/es_gone/topics", Some(topics)).await.0, 404);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    rig.chat_as(secret, crate::probes::question("hello there", false), &[]).await.ok();
    let event = stream.named("key").await;
    assert_eq!((&event.data["id"], &event.data["patch"]["requests_total"]), (&json!(id), &json!(1)));
}

#[tokio::test]
async fn a_stream_that_broke_goes_on_and_one_that_missed_too_much_is_told() {
    let rig = Rig::new(&[]).await;
    let (_, token) = rig.add_token(&["read"]).await;
    let mut stream = Stream::open_as(&rig, &token, "?topics=keys", None).await;
    stream.next().await.unwrap();
    rig.add_key("seen").await;
    let seen = stream.named("key.list_changed").await;
    drop(stream);
    rig.add_key("missed").await;

    let mut again = Stream::open_as(&rig, &token, "?topics=keys", seen.id).await;
    assert_eq!(again.next().await.unwrap().data["resumed"], true);
    assert!(again.named("key.list_changed").await.id > seen.id);

    let mut foreign = Stream::open_as(&rig, &token, "?topics=keys", Some(7)).await;
    assert_eq!(foreign.next().await.unwrap().data["resumed"], false);
    let resync = foreign.next().await.unwrap();
    assert_eq!(resync.name, "resync");
    drop(foreign);
    let mut after = Stream::open_as(&rig, &token, "", resync.id).await;
    assert_eq!(after.next().await.unwrap().data["resumed"], true, "its place holds");
}

#[tokio::test]
async fn a_stream_ends_with_the_token_and_with_the_service() {
    let mut rig = Rig::new(&[]).await;
    let (id, token) = rig.add_token(&["read"]).await;
    let mut revoked = Stream::open_as(&rig, &token, "", None).await;
    let mut other = Stream::open(&rig, "", None).await;
    rig.admin("DELETE", &format!("/tokens/{id}"), None).await;
    let bye = revoked.named("bye").await;
    assert_eq!(bye.data["reason"], "session_ended");
    assert!(revoked.next().await.is_none());

    let began = std::time::Instant::now();
    let (_, bye) = tokio::join!(rig.take_gateway().stop(), other.named("bye"));
    assert_eq!(bye.data["reason"], "shutting_down");
    assert!(other.next().await.is_none());
    assert!(began.elapsed() < Duration::from_secs(5), "streams hold nothing up");
}

#[tokio::test]
async fn streams_are_few() {
    let rig = Rig::new(&[]).await;
    let (_, token) = rig.add_token(&["read"]).await;
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(Stream::open_as(&rig, &token, "", None).await);
    }
    let refused = rig.admin_as(&token, "GET", "/events", None).await;
    assert_eq!((refused.0, &refused.1["error"]["code"]), (429, &json!("too_many_streams")), "one token has its share");
    // However many tokens read, the console has its stream.
    let mut others = Vec::new();
    for _ in 0..5 {
        let (_, token) = rig.add_token(&["read"]).await;
        for _ in 0..8 {
            others.push(Stream::open_as(&rig, &token, "", None).await);
        }
    }
    let (_, late) = rig.add_token(&["read"]).await;
    assert_eq!(rig.admin_as(&late, "GET", "/events", None).await.0, 503);
    let cookie = rig.sign_in().await;
    let console = async || {
        let request = rig.http().get(rig.url("/admin/api/v1/events")).header("cookie", &cookie);
        request.send().await.unwrap()
    };
    let mut tabs = Vec::new();
    for _ in 0..8 {
        let tab = console().await;
        assert_eq!(tab.status(), 200);
        tabs.push(tab);
    }
    assert_eq!(console().await.status(), 429);
    open.pop();
    let free = async |rig: &Rig| {
        let request = rig.http().get(rig.url("/admin/api/v1/events")).bearer_auth(&token);
        request.send().await.unwrap().status() == 200
    };
    rig.until("a stream is free", free).await;
    for query in
        [format!("?topics={}", "a".repeat(129)), format!("?topics={}", "a,".repeat(257)), "?topic=a".to_owned()]
    {
        assert_eq!(rig.admin_as(&token, "GET", &format!("/events{query}"), None).await.0, 422);
    }
}

#[tokio::test]
async fn a_conversation_that_is_looked_at_tells_what_becomes_of_it() {
    let rig = Rig::new(&["anna"]).await;
    let mut talk = rig.talk(false);
    let id = talk.say("question one").await.conversation_id();
    let mut stream = Stream::open(&rig, &format!("?topics=conversation:{id}"), None).await;
    // The first look only remembers what the reader has just loaded, so it is used until one is told.
    let mut told = None;
    while told.is_none() {
        talk.say("another question").await;
        told = tokio::time::timeout(Duration::from_millis(300), stream.named("conversation")).await.ok();
    }
    let told = told.unwrap().data;
    assert_eq!(told["id"], json!(id));
    assert!(told["patch"]["turns"].as_u64() >= Some(2), "{told}");
    let path = format!("/conversations/{id}");
    rig.admin("PATCH", &path, Some(json!({ "title": "Ours" }))).await;
    while stream.named("conversation").await.data["patch"]["title"] != "Ours" {}
    rig.admin("DELETE", &path, None).await;
    loop {
        if stream.named("conversation").await.data == json!({ "id": id, "deleted": true }) {
            break;
        }
    }
}

#[tokio::test]
async fn images_that_come_and_go_are_told() {
    let rig = Rig::new(&["anna"]).await;
    let mut stream = Stream::open(&rig, "?topics=images", None).await;
    rig.simulator.account("anna").push(grok2api_simulator::Reply::image());
    crate::images_out::image_link(&rig, true).await;
    let made = stream.named("image.list_changed").await;
    let id = made.data["created"].as_str().unwrap().to_owned();
    assert_eq!(rig.admin("DELETE", &format!("/images/{id}"), None).await.0, 204);
    assert_eq!(stream.named("image.list_changed").await.data, json!({ "deleted": 1 }));
}
