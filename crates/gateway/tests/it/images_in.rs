//! Images that come with a question.

use grok2api_simulator::Reply as Scripted;
use serde_json::{Value, json};

use crate::harness::{Rig, assistant, user};
use crate::transports::over_both_transports;

over_both_transports! {
    an_image_is_uploaded_once_and_goes_along_when_the_history_is_replayed,
    an_image_is_given_to_the_account_that_takes_over,
}

/// The beginnings of a PNG and of a GIF, in base64.
const PNG: &str = "iVBORw0KGgoAAAAN";
const GIF: &str = "R0lGODlhAQABAAAA";

fn shown(text: &str, content: &str) -> Value {
    let url = format!("data:image/png;base64,{content}");
    let parts = json!([{ "type": "text", "text": text }, { "type": "image_url", "image_url": { "url": url } }]);
    json!({ "role": "user", "content": parts })
}

/// Who was given what, as which type.
fn uploads(rig: &Rig) -> Vec<(String, String, String)> {
    let calls = rig.simulator.calls().into_iter().filter(|call| call.route == "upload");
    let told = |call: &Value, name: &str| call[name].as_str().unwrap_or_default().to_owned();
    calls
        .map(|call| (call.account.unwrap_or_default(), told(&call.body, "fileMimeType"), told(&call.body, "content")))
        .collect()
}

fn upload(account: &str, kind: &str, content: &str) -> (String, String, String) {
    (account.to_owned(), kind.to_owned(), content.to_owned())
}

async fn an_image_is_uploaded_once_and_goes_along_when_the_history_is_replayed() {
    let rig = Rig::with_settings(&["anna"], json!({ "share_mode": "off" })).await;
    let talk = rig.talk(false);
    let first = shown("what is this?", PNG);
    let reply = talk.send(json!({ "messages": [first] })).await.ok();
    assert_eq!(uploads(&rig), [upload("anna", "image/png", PNG)]);
    assert_eq!(rig.attached().len(), 1);

    let history = [first, assistant(&reply.text())];
    let messages: Vec<_> = history.iter().cloned().chain([shown("and this?", GIF)]).collect();
    let second = talk.send(json!({ "messages": messages })).await.ok();
    assert_eq!(second.turn(), "native");
    assert_eq!(uploads(&rig)[1..], [upload("anna", "image/gif", GIF)], "typed by its bytes, and alone");
    assert_eq!(rig.attached().len(), 1);

    let other = [shown("what is this?", GIF), assistant(&reply.text()), user("and now?")];
    let third = talk.send(json!({ "messages": other })).await.ok();
    assert_eq!(third.turn(), "replayed", "the same words about another image are another question");
    assert_eq!(uploads(&rig)[2..], [upload("anna", "image/gif", GIF)]);
    assert_eq!(rig.attached().len(), 1);
    let plain = talk.send(json!({ "messages": [user("no picture")] })).await.ok();
    assert_eq!((plain.turn(), rig.attached().len()), ("new", 0));
    assert!(rig.simulator.report().violations.is_empty());
}

async fn an_image_is_given_to_the_account_that_takes_over() {
    let rig = Rig::new(&["anna"]).await;
    rig.simulator.add_account("bert");
    let talk = rig.talk(true);
    let first = shown("what is this?", PNG);
    let reply = talk.send(json!({ "messages": [first] })).await.ok();
    rig.add_account("bert").await;
    rig.simulator.account("anna").push(Scripted::rate_limited(true));
    let messages = json!([first, assistant(&reply.text()), shown("and this?", GIF)]);
    let moved = talk.send(json!({ "messages": messages })).await.ok();
    assert_eq!(moved.turn(), "moved");
    let last = uploads(&rig).pop().unwrap();
    assert_eq!(last, upload("bert", "image/gif", GIF), "{:?}", uploads(&rig));
    assert_eq!(rig.attached().len(), 1);
    assert!(rig.simulator.report().violations.is_empty());
}
