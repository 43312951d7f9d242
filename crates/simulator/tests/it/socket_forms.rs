//! One script, three forms: REST tokens, chunks and deltas say the same.

use std::collections::BTreeMap;

use grok2api_simulator::{Reply, SCENARIO_TEXT};
use serde_json::{Value, json};

use crate::{
    client::{Turn, World},
    socket_client::{SocketTurn, chunks},
};

/// The visible answer as a client shows it: links for citations, marks for pictures, nothing for other tags.
#[derive(Debug, PartialEq)]
struct Shown {
    text: String,
    /// Addresses of finished pictures.
    pictures: Vec<String>,
}

const TAG: &str = "<grok:render ";

/// What is shown of a text with markup and of its cards.
fn shown_markup(text: &str, cards: &[Value]) -> Shown {
    let mut known: BTreeMap<&str, &Value> = BTreeMap::new();
    for card in cards {
        known.insert(card["id"].as_str().unwrap_or_default(), card);
    }
    let attribute = |tag: &str, name: &str| {
        let start = tag.find(&format!("{name}=\"")).map(|at| at + name.len() + 2)?;
        tag[start..].split('"').next().map(str::to_owned)
    };
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(inner) = rest.strip_prefix("<xai:tool_usage_card>") {
            rest = inner.split_once("</xai:tool_usage_card>").map_or("", |(_, rest)| rest);
            continue;
        }
        if !rest.starts_with(TAG) {
            out.push('<');
            rest = &rest[1..];
            continue;
        }
        let opening = rest.find('>').unwrap() + 1;
        let end = if rest[..opening].ends_with("/>") {
            opening
        } else {
            rest.find("</grok:render>").unwrap() + "</grok:render>".len()
        };
        let (tag, after) = rest.split_at(end);
        rest = after;
        let card = attribute(tag, "card_id").and_then(|id| known.get(id.as_str()).copied());
        out.push_str(&match card.and_then(|card| card["cardType"].as_str()) {
            Some("citation_card") => link(&card.unwrap()["url"]),
            Some("image_card") => format!("![{}]", card.unwrap()["image"]["original"].as_str().unwrap()),
            Some("generated_image_card") => "![generated]".to_owned(),
            _ => String::new(),
        });
    }
    out.push_str(rest);
    let finished = cards.iter().filter_map(|card| picture(&card["image_chunk"]));
    Shown { text: out, pictures: finished.collect() }
}

fn link(url: &Value) -> String {
    url.as_str().filter(|url| !url.is_empty()).map_or_else(String::new, |url| format!("[{url}]"))
}

fn picture(chunk: &Value) -> Option<String> {
    let done = chunk["progress"] == 100 && chunk["moderated"] == false;
    // The image's own id is new in every answer.
    let url = chunk["imageUrl"].as_str().filter(|url| done && !url.is_empty())?;
    Some(url.replace(chunk["imageUuid"].as_str()?, "ID"))
}

fn shown_rest(turn: &Turn) -> Shown {
    let cards = turn.chunks().into_iter().filter_map(|chunk| chunk["cardAttachment"]["jsonData"].as_str());
    let cards: Vec<Value> = cards.map(|card| serde_json::from_str(card).unwrap()).collect();
    let streamed = turn.text();
    let text = if streamed.is_empty() { turn.stored()["message"].as_str().unwrap().to_owned() } else { streamed };
    let mut shown = shown_markup(&text, &cards);
    let members = turn.chunks().into_iter().filter_map(|chunk| chunk.get("streamingImageGenerationResponse"));
    shown.pictures.extend(members.filter_map(|member| {
        let done = member["progress"] == 100 && member["moderated"] == false;
        done.then(|| member["imageUrl"].as_str().unwrap().replace(member["imageId"].as_str().unwrap(), "ID"))
    }));
    shown
}

fn shown_chunks(turn: &SocketTurn) -> Shown {
    let mut shown = Shown { text: String::new(), pictures: Vec::new() };
    for chunk in turn.chunks() {
        let text = &chunk["text"];
        if text["channel"].is_null() || text["channel"] == "CHANNEL_ASSISTANT_RESPONSE" {
            shown.text.push_str(text["text"].as_str().unwrap_or_default());
        }
        if let Some(citation) = chunk.get("render_citation") {
            shown.text.push_str(&link(&citation["url"]));
        }
        if let Some(image) = chunk.get("render_searched_image") {
            shown.text.push_str(&format!("![{}]", image["image"]["original"].as_str().unwrap()));
        }
        if chunk.get("render_start").is_some() {
            shown.text.push_str("![generated]");
        }
        shown.pictures.extend(picture(&chunk["render_generated_image"]["image_chunk"]));
    }
    if shown.text.is_empty() {
        shown.text = closing_text(turn);
    }
    shown
}

fn closing_text(turn: &SocketTurn) -> String {
    let done = turn.of_type("response.output_text.done").first().map(|event| event["text"].clone());
    let completed =
        turn.of_type("response.completed").first().map(|e| e["response"]["output"][0]["content"][0]["text"].clone());
    let texts = [done, completed].into_iter().flatten();
    texts.filter_map(|text| text.as_str().map(str::to_owned)).find(|text| !text.is_empty()).unwrap_or_default()
}

fn deltas(turn: &SocketTurn) -> String {
    let visible = turn.of_type("response.output_text.delta").into_iter();
    visible.filter(|event| event["x_grok"]["is_thinking"] != true).filter_map(|event| event["delta"].as_str()).collect()
}

fn shown_deltas(turn: &SocketTurn) -> Shown {
    let output = turn.of_type("response.grok.output").into_iter();
    let cards: Vec<Value> = output.filter_map(|event| event["output"].get("card_attachment").cloned()).collect();
    let streamed = deltas(turn);
    shown_markup(&if streamed.is_empty() { closing_text(turn) } else { streamed }, &cards)
}

async fn over_socket(world: &World, wishes: Value, message: &str) -> SocketTurn {
    let mut socket = world.socket("a").await;
    socket.open(wishes).await;
    socket.ask(message).await
}

fn delta_wishes() -> Value {
    json!({"enable_image_generation": true})
}

/// All whole answers by name. Not `short-tokens`, whose rest is in REST's stored answer alone.
const WHOLE: &[&str] = &[
    "default",
    "text",
    "recite",
    "thinking",
    "untagged",
    "artifact",
    "citations",
    "image",
    "image-member",
    "soft-stop-then-image",
    "moderated-image",
    "failed-image",
    "split-tags",
    "tool-leak",
    "interleave",
    "late-thinking",
    "no-tokens",
    "placeholder",
    "unknown-kinds",
    "side-by-side",
    "empty-answer",
    "stream-error-normal",
    "order-swap",
    "foreign-frames",
    "history",
    "thinking-after-the-end",
    "repeated-tokens",
    "tools-out-of-order",
    "citations-repeated",
    "searched-image",
    "image-never-done",
    "card-before-tag",
    "card-after-tag",
    "card-after-text",
    "card-missing",
    "only-completed",
    "double-payloads",
    "distrusted",
];

#[tokio::test]
async fn all_forms_of_an_answer_show_the_same() {
    let world = World::new().await;
    for name in WHOLE {
        let account = world.simulator.account("a");
        let reply = Reply::named(name).unwrap();
        account.push(reply.clone());
        let rest = shown_rest(&world.new_chat("a", "hello").await);
        account.push(reply.clone());
        let in_chunks = over_socket(&world, chunks(), "hello").await;
        account.push(reply);
        let in_deltas = over_socket(&world, delta_wishes(), "hello").await;
        assert_eq!(in_chunks.status(), "completed", "{name}");
        assert_eq!(shown_deltas(&in_deltas), rest, "{name} in deltas");
        assert_eq!(shown_chunks(&in_chunks), rest, "{name} in chunks");
        assert!(!in_chunks.text().contains(TAG), "{name}: chunks have no markup");
    }
    assert_eq!(world.violations(), [] as [&str; 0]);
}

#[tokio::test]
async fn scenarios_about_form_keep_the_text_on_the_socket() {
    let world = World::new().await;
    for name in ["order-swap", "foreign-frames", "history", "unknown-kinds", "interleave", "thinking-after-the-end"] {
        world.simulator.account("a").push(Reply::named(name).unwrap());
        let turn = over_socket(&world, chunks(), "hello").await;
        assert_eq!(turn.text(), SCENARIO_TEXT, "{name}");
        let loaded =
            world.post("a", &turn.rest().path("load-responses"), json!({"responseIds": [turn.response()]})).await;
        assert_eq!(crate::client::body_json(loaded).await["responses"][0]["message"], SCENARIO_TEXT, "{name}");
    }
}

#[tokio::test]
async fn command_words_work_in_both_forms() {
    let world = World::new().await;
    let message = "think, search and draw";
    let in_chunks = over_socket(&world, chunks(), message).await;
    let channels: Vec<&str> =
        in_chunks.payloads("text").into_iter().filter_map(|text| text["channel"].as_str()).collect();
    assert!(channels.contains(&"CHANNEL_ASSISTANT_NOTETAKER_HEADER"));
    assert!(channels.contains(&"CHANNEL_ASSISTANT_NOTETAKER_SUMMARY"));
    let call = in_chunks.payloads("tool_usage_card")[0];
    assert!(call["web_search"]["args"]["query"].is_string() && call["web_search"]["args"].get("num_results").is_none());
    let result = in_chunks.payloads("tool_result")[0];
    assert_eq!(result["tool_call_id"], call["tool_usage_card_id"]);
    assert_eq!(result["web_search"]["webpages"][0]["snippet"], "Mont Blanc, 4805.59 m …");
    assert_eq!(in_chunks.payloads("render_citation")[0]["kind"], "CITATION_KIND_WEB_PAGE");
    let images = in_chunks.payloads("render_generated_image");
    assert_eq!(images.iter().map(|image| &image["image_chunk"]["progress"]).collect::<Vec<_>>(), [50, 100]);
    assert!(images[0]["image_chunk"]["imageUrl"].as_str().unwrap().starts_with("data:image/jpeg;base64,"));
    let path = images[1]["image_chunk"]["imageUrl"].as_str().unwrap();
    assert_eq!(world.get("a", &format!("/{path}")).await.status(), 200, "its file is served");

    let in_deltas = over_socket(&world, delta_wishes(), message).await;
    assert!(deltas(&in_deltas).contains("<grok:render card_id=\"9af310\""));
    assert_eq!(in_deltas.of_type("response.completed").len(), 1);
    let closing = in_deltas.of_type("response.output_text.done")[0]["text"].as_str().unwrap();
    assert_eq!(closing, deltas(&in_deltas), "with its markup");
    assert!(in_deltas.of_type("response.search.result")[0]["result"]["web_results"][0]["url"].is_string());
    let thinking = in_deltas.of_type("response.output_text.delta").into_iter();
    assert!(thinking.filter(|event| event["x_grok"]["is_thinking"] == true).count() > 2);
    assert_eq!(world.violations(), [] as [&str; 0]);
}

#[tokio::test]
async fn a_session_without_image_generation_draws_nothing() {
    let world = World::new().await;
    let turn = over_socket(&world, json!({"use_chunk": true}), "draw a kite").await;
    assert_eq!(turn.status(), "incomplete");
    assert_eq!(turn.of_type("response.grok.output")[0]["output"]["stream_error"]["kind"], "unsupported_request");
}
