//! Peculiar but whole answers.

use grok2api_simulator::{Reply, SCENARIO_TEXT};
use serde_json::{Value, json};

use crate::client::{NEW, Turn, World};

async fn play(reply: Reply) -> Turn {
    let world = World::new().await;
    world.simulator.account("a").push(reply);
    let turn = world.new_chat("a", "hello").await;
    assert_eq!(world.violations(), [] as [&str; 0]);
    turn
}

/// Sizes of the pieces in which a body arrives, and the body.
async fn pieces(reply: Reply) -> (Vec<usize>, String) {
    let world = World::new().await;
    world.simulator.account("a").push(reply);
    let mut response = world.post("a", NEW, json!({"message": "hello", "modeId": "fast"})).await;
    let (mut sizes, mut body) = (Vec::new(), Vec::new());
    while let Some(chunk) = response.chunk().await.unwrap() {
        sizes.push(chunk.len());
        body.extend_from_slice(&chunk);
    }
    (sizes, String::from_utf8(body).unwrap())
}

#[tokio::test]
async fn every_name_stands_for_a_reply_and_all_are_different() {
    let names: Vec<&str> = Reply::names().collect();
    let mut unique = names.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), names.len());
    for name in names {
        assert!(Reply::named(name).is_some(), "{name}");
        assert!(name.chars().all(|character| character.is_ascii_lowercase() || "-0123456789".contains(character)));
    }
    assert!(Reply::named("nothing").is_none());
}

/// All whose visible text, wherever it stands, is the scenario text.
#[tokio::test]
async fn scenarios_about_form_keep_the_text() {
    for name in [
        "text",
        "untagged",
        "crlf",
        "blank-lines",
        "no-last-newline",
        "interleave",
        "late-thinking",
        "placeholder",
        "heartbeats",
        "unknown-kinds",
        "side-by-side",
        "thinking",
        "stream-error-normal",
    ] {
        let turn = play(Reply::named(name).unwrap()).await;
        assert_eq!(turn.text(), SCENARIO_TEXT, "{name}");
        assert_eq!(turn.stored()["message"], SCENARIO_TEXT, "{name}");
    }
}

#[tokio::test]
async fn bytes_are_cut_one_by_one() {
    let (sizes, body) = pieces(Reply::split_everywhere()).await;
    assert!(sizes.iter().filter(|size| **size == 1).count() * 10 > sizes.len() * 9, "nearly all pieces are one byte");
    assert_eq!(Turn::from_raw(body).text(), SCENARIO_TEXT);
}

#[tokio::test]
async fn glued_objects_have_nothing_between_them() {
    let (_, body) = pieces(Reply::glued()).await;
    assert!(!body.contains('\n') && body.contains("}{"));
    let turn = Turn::from_raw(body.replace("}{\"result\"", "}\n{\"result\""));
    assert_eq!(turn.text(), SCENARIO_TEXT);
}

#[tokio::test]
async fn event_lines_end_in_done() {
    let (_, body) = pieces(Reply::named("event-lines").unwrap()).await;
    assert!(body.starts_with("data: {") && body.ends_with("}\n\ndata: [DONE]\n\n"));
}

#[tokio::test]
async fn text_may_stand_in_the_stored_answer_alone_or_in_part() {
    let none = play(Reply::no_tokens()).await;
    assert_eq!((none.text().as_str(), none.stored()["message"].as_str()), ("", Some(SCENARIO_TEXT)));
    let short = play(Reply::short_tokens()).await;
    assert!(SCENARIO_TEXT.starts_with(&short.text()) && short.text().len() < SCENARIO_TEXT.len());
    assert_eq!(short.stored()["message"], SCENARIO_TEXT);
}

#[tokio::test]
async fn an_empty_answer_has_a_stored_answer_without_text() {
    let turn = play(Reply::empty_answer()).await;
    assert_eq!(turn.text(), "");
    assert_eq!(turn.stored()["message"], "");
    assert!(turn.kinds().contains(&"softStop".to_owned()));
}

#[tokio::test]
async fn tags_are_cut_at_each_character() {
    let turn = play(Reply::split_tags()).await;
    let visible = |chunk: &&Value| chunk["messageTag"] == "final";
    let tokens: Vec<&str> =
        turn.chunks().into_iter().filter(visible).filter_map(|chunk| chunk["token"].as_str()).collect();
    assert!(tokens.iter().all(|token| token.chars().count() == 1));
    assert!(turn.text().contains("<grok:renderer> and a<b stay ") && turn.text().ends_with('<'));
    assert_eq!(turn.stored()["message"], turn.text());
}

#[tokio::test]
async fn tool_markup_leaks_into_visible_tokens_and_the_stored_answer() {
    let turn = play(Reply::tool_leak()).await;
    assert!(turn.text().starts_with("Before.<xai:tool_usage_card>") && turn.text().ends_with(" After."));
    assert!(turn.stored()["message"].as_str().unwrap().contains("SECRET DRAFT"));
}

#[tokio::test]
async fn several_agents_think_while_a_tag_is_open() {
    let turn = play(Reply::interleave()).await;
    let rollouts: std::collections::BTreeSet<&str> =
        turn.chunks().into_iter().filter_map(|chunk| chunk["rolloutId"].as_str()).collect();
    assert!(rollouts.len() >= 3, "{rollouts:?}");
    let first_text = turn.chunks().iter().position(|chunk| chunk["messageTag"] == "final").unwrap();
    assert!(turn.chunks()[first_text..].iter().any(|chunk| chunk["isThinking"] == true));
}

#[tokio::test]
async fn an_image_may_come_after_the_soft_stop() {
    let turn = play(Reply::soft_stop_then_image()).await;
    let kinds = turn.kinds();
    let position = |kind: &str| kinds.iter().position(|each| each == kind).unwrap();
    let last_card = kinds.iter().rposition(|kind| kind == "cardAttachment").unwrap();
    assert!(position("softStop") < last_card && last_card < position("modelResponse"));
}

#[tokio::test]
async fn images_are_withdrawn_or_fail() {
    let last_card = |turn: &Turn| {
        let mut cards = turn.chunks().into_iter().filter_map(|chunk| chunk["cardAttachment"]["jsonData"].as_str());
        serde_json::from_str::<Value>(cards.next_back().unwrap()).unwrap()["image_chunk"].clone()
    };
    let moderated = last_card(&play(Reply::moderated_image()).await);
    assert_eq!((&moderated["moderated"], &moderated["progress"]), (&json!(true), &json!(100)));
    let failed = last_card(&play(Reply::failed_image()).await);
    assert_eq!((&failed["systemErrCode"], &failed["imageUrl"]), (&json!(1006), &json!("")));
}

#[tokio::test]
async fn citations_have_a_card_before_each_tag() {
    let turn = play(Reply::citations()).await;
    assert_eq!(turn.text().matches("<grok:render card_id=").count(), 3);
    assert_eq!(turn.stored()["cardAttachmentsJson"].as_array().unwrap().len(), 3);
    assert_eq!(turn.stored()["webSearchResults"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn side_by_side_marks_both_alternatives() {
    let turn = play(Reply::side_by_side()).await;
    let index = |wanted: i64| turn.chunks().iter().filter(|chunk| chunk["sideBySideIndex"] == wanted).count();
    assert_eq!(index(0), index(1));
    assert!(index(0) > 3);
}

#[tokio::test]
async fn raw_frames_get_ids_and_make_a_stored_answer() {
    let world = World::new().await;
    world.simulator.account("a").push(Reply::Frames(vec![
        r#"{"result":{"conversation":{"conversationId":"$conversation"}}}"#.to_owned(),
        r#"{"result":{"response":{"token":"raw","isThinking":false,"isSoftStop":false,"responseId":"$response"}}}"#
            .to_owned(),
        r#"{"result":{"response":{"modelResponse":{"message":"raw answer","responseId":"$response"},"isThinking":false}}}"#
            .to_owned(),
    ]));
    let turn = world.new_chat("a", "hello").await;
    assert_eq!(turn.objects.len(), 3);
    let recited = world.next_chat("a", &turn, "recite").await;
    assert_eq!(recited.text(), "human: hello\nassistant: raw answer\nhuman: recite");
    assert_eq!(world.violations(), [] as [&str; 0]);
}
