//! What an admin does to conversations: recognise, read, keep, move, delete.

use grok2api_simulator::CredentialState;
use serde_json::{Value, json};

use crate::harness::{KEY, Rig, assistant, system, user};
use crate::transports::over_both_transports;

over_both_transports! {
    texts_are_read_from_the_upstream_and_kept_nowhere,
    a_conversation_is_moved_by_an_admin_and_goes_on_there,
    a_conversation_is_deleted_here_and_at_every_account_that_holds_a_copy,
}

async fn call(rig: &Rig, method: &str, path: &str, body: Value) -> Value {
    let (status, answer) = rig.admin(method, path, Some(body)).await;
    assert_eq!(status, 200, "{method} {path}: {answer}");
    answer
}

async fn tree(rig: &Rig, id: &str) -> Value {
    rig.admin("GET", &format!("/conversations/{id}/tree"), None).await.1
}

async fn account_id(rig: &Rig, label: &str) -> String {
    rig.account(label).await["id"].as_str().unwrap().to_owned()
}

async fn first_key(rig: &Rig) -> String {
    rig.admin("GET", "/keys", None).await.1["items"][0]["id"].as_str().unwrap().to_owned()
}

/// Everything that the database holds, by table and row.
async fn rows(rig: &Rig) -> Vec<i64> {
    let mut counts = Vec::new();
    for table in ["conversations", "turns", "requests", "conversation_moves", "audit_trail", "imported_conversations"] {
        counts.push(rig.count_of(format!("SELECT COUNT(*) FROM {table}")).await);
    }
    counts
}

#[tokio::test]
async fn a_probe_finds_what_a_chat_would_find_and_writes_nothing() {
    let rig = Rig::new(&["anna"]).await;
    let key = first_key(&rig).await;
    let mut talk = rig.talk(false).system("Be kind.");
    let long = "Tell me of the sea, in a few words that are long enough to be told apart";
    let id = talk.say(long).await.conversation_id();
    talk.say("question two").await;
    talk.say("question three").await;
    rig.requests(3).await;
    let before = rows(&rig).await;
    let probe = async |messages: Vec<Value>| {
        call(&rig, "POST", "/conversations/match", json!({ "key_id": key, "messages": messages })).await
    };
    let (whole, turns) = (talk.asking("question four"), tree(&rig, &id).await["turns"].clone());
    let turn = |index: usize| turns[index]["id"].clone();

    let found = probe(whole.clone()).await;
    assert_eq!((&found["receipt"], &found["recognised"]), (&json!("native"), &json!("chain")), "{found}");
    assert_eq!((&found["conversation_id"], &found["turn_id"]), (&json!(id), &turn(2)));
    assert_eq!((&found["account"]["label"], &found["why_not"]), (&json!("anna"), &Value::Null));
    let branch = probe(talk.first(3).asking("another")).await;
    assert_eq!((&branch["receipt"], &branch["turn_id"]), (&json!("branched"), &turn(0)));
    let window = probe([&[system("Be kind.")], &whole[3..]].concat()).await;
    assert_eq!((&window["recognised"], &window["turn_id"]), (&json!("window"), &turn(2)), "{window}");
    let wrapped = probe([&[user("Tell me of the sea,\nin a few words")], &whole[2..]].concat()).await;
    assert_eq!(wrapped["recognised"], "window", "{wrapped}");

    let named = json!({ "key_id": key, "conversation_id": id, "messages": [user("and now?")] });
    let named = call(&rig, "POST", "/conversations/match", named).await;
    assert_eq!((&named["recognised"], &named["turn_id"]), (&json!("conversation_id"), &turn(2)));
    let answer = format!("chatcmpl-{}", turns[1]["id"].as_str().unwrap());
    let named = json!({ "key_id": key, "previous_response_id": answer, "messages": [user("and now?")] });
    let named = call(&rig, "POST", "/conversations/match", named).await;
    assert_eq!((&named["recognised"], &named["turn_id"]), (&json!("response_id"), &turn(1)));
    let unknown = json!({ "key_id": key, "conversation_id": "conv-x", "messages": [user("and now?")] });
    let unknown = call(&rig, "POST", "/conversations/match", unknown).await;
    assert_eq!((&unknown["receipt"], &unknown["why_not"]["code"]), (&Value::Null, &json!("conversation_not_found")));

    assert_eq!(rows(&rig).await, before, "nothing was written");
    // And a chat finds what the probe said.
    assert_eq!(talk.say("question four").await.turn(), "native");
    rig.no_violations();
}

#[tokio::test]
async fn a_probe_says_what_differs_first() {
    let rig = Rig::new(&["anna"]).await;
    let key = first_key(&rig).await;
    let mut talk = rig.talk(false).system("Be kind.");
    for question in ["What is the sea?", "And what is salt, in one word", "And the moon"] {
        talk.say(question).await;
    }
    let whole = talk.asking("now?");
    let probe = async |messages: Vec<Value>, key: &str| {
        call(&rig, "POST", "/conversations/match", json!({ "key_id": key, "messages": messages })).await
    };
    // As many as are needed for no window to be left: the difference is in the last pair.
    let cut = |messages: &[Value]| [messages, &[user("now?")]].concat();
    let changed = |index: usize, message: Value| {
        let mut messages = whole[..whole.len() - 1].to_vec();
        messages[index] = message;
        messages
    };
    for (messages, code, text) in [
        (changed(5, user("And the\nmoon")), "line_break_more", "user message 3 differs: one line break more"),
        (changed(5, user("And the moon.")), "character_more", "user message 3 differs: one character more"),
        (changed(5, user("And  the moon")), "spaces", "user message 3 differs: more spaces within lines"),
        (
            changed(5, user("And the sun\nthen")),
            "lines",
            "user message 3 differs: 2 lines that were not asked, 1 that were are missing",
        ),
    ] {
        let told = probe(cut(&messages), &key).await;
        let difference = &told["alike"]["difference"];
        assert_eq!((&difference["code"], &difference["message"]), (&json!(code), &json!(5)), "{told}");
        assert_eq!((&difference["text"], &told["alike"]["equal_pairs"]), (&json!(text), &json!(2)));
        assert_eq!((&told["receipt"], &told["turn_id"]), (&json!("replayed"), &Value::Null));
    }
    let rewritten = probe(cut(&changed(6, assistant("I never said that."))), &key).await;
    assert_eq!(
        (&rewritten["alike"]["difference"]["text"], &rewritten["why_not"]["code"]),
        (
            &json!("assistant message 3 differs: other words than were answered (18 characters now, 34 then)"),
            &json!("differs")
        )
    );
    let new = probe(vec![user("hello")], &key).await;
    assert_eq!((&new["receipt"], &new["why_not"]["code"]), (&json!("new"), &json!("no_history")));
    let unknown = probe(vec![user("a"), assistant("b"), user("c")], &key).await;
    assert_eq!((&unknown["why_not"]["code"], &unknown["alike"]), (&json!("unknown"), &Value::Null));
    rig.add_key("phone").await;
    let phone = rig.admin("GET", "/keys?q=phone", None).await.1["items"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(probe(whole.clone(), &phone).await["why_not"]["code"], "unknown", "never across keys");
    rig.advance(72_001);
    let expired = probe(whole, &key).await;
    assert_eq!(expired["why_not"]["code"], "expired", "{expired}");

    for body in [
        json!({ "key_id": "key_none", "messages": [user("a")] }),
        json!({ "key_id": key, "messages": [] }),
        json!({ "key_id": key, "messages": [{ "role": "user", "content": 7 }] }),
        json!({ "messages": [user("a")], "colour": 1 }),
    ] {
        assert_eq!(rig.admin("POST", "/conversations/match", Some(body.clone())).await.0, 422, "{body}");
    }
}

async fn texts_are_read_from_the_upstream_and_kept_nowhere() {
    let rig = Rig::new(&["anna"]).await;
    let mut talk = rig.talk(false).system("Be kind.");
    let id = talk.say("question one").await.conversation_id();
    talk.say("question two").await;
    talk.first(3).ask("another second").await.ok();
    rig.simulator.clear_calls();
    let path = format!("/conversations/{id}/actions/fetch_content");
    let content = call(&rig, "POST", &path, json!({})).await;
    let texts = |content: &Value| -> Vec<(String, String)> {
        let text = |turn: &Value, role: &str| turn[role].as_str().unwrap_or("-").to_owned();
        content["turns"].as_array().unwrap().iter().map(|turn| (text(turn, "user"), text(turn, "assistant"))).collect()
    };
    let said = |index: usize| talk.messages[index]["content"].as_str().unwrap().to_owned();
    let all = texts(&content);
    assert_eq!(all[0], ("Be kind.\n\nquestion one".to_owned(), said(2)), "{content}");
    assert_eq!(all[1], ("question two".to_owned(), said(4)));
    assert_eq!(all[2].0, "another second");
    let calls = rig.simulator.calls();
    assert!(calls.iter().all(|call| matches!(call.route, "response_node" | "load_responses")), "{calls:?}");
    let turn = content["turns"][1]["turn_id"].clone();
    let one = call(&rig, "POST", &path, json!({ "turns": [turn] })).await;
    assert_eq!(texts(&one), [all[1].clone()]);
    for table in ["conversations", "turns", "requests", "audit_trail"] {
        let path = rig.directory.path().join("grok2api.db");
        let bytes = std::fs::read(&path).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("question two"), "{table}");
    }
    rig.simulator.account("anna").set_credential(CredentialState::Unknown);
    let refused = call(&rig, "POST", &path, json!({})).await;
    assert_eq!(refused["turns"][0]["error"]["code"], "credential_dead", "{refused}");
    let anna = account_id(&rig, "anna").await;
    rig.admin("DELETE", &format!("/accounts/{anna}"), None).await;
    let refused = call(&rig, "POST", &path, json!({})).await;
    assert_eq!(refused["turns"][0]["error"]["code"], "account_gone");
    rig.no_violations();
}

async fn a_conversation_is_moved_by_an_admin_and_goes_on_there() {
    for restart in [false, true] {
        let mut rig = Rig::new(&["anna"]).await;
        let mut talk = rig.talk(false);
        let id = talk.say("question one").await.conversation_id();
        talk.say("question two").await;
        talk.first(2).ask("another second").await.ok();
        let bert = rig.add_account("bert").await;
        let path = format!("/conversations/{id}/actions/move");
        // The newest turn is that of the branch: its path goes along, the other turn stays.
        let moved = call(&rig, "POST", &path, json!({ "account_id": bert })).await;
        assert_eq!((&moved["moved_turns"], &moved["left_turns"]), (&json!(2), &json!(1)), "{moved}");
        assert_eq!(
            (&moved["conversation"]["account"]["label"], &moved["conversation"]["moves"]),
            (&json!("bert"), &json!(1))
        );
        let shown = tree(&rig, &id).await;
        assert_eq!((&shown["moves"][0]["kind"], &shown["moves"][0]["request_id"]), (&json!("carried"), &Value::Null));
        let trail = rig.admin("GET", "/audit?limit=1", None).await.1;
        assert_eq!(
            (&trail["items"][0]["action"], &trail["items"][0]["subject"]),
            (&json!("conversation.move"), &json!(id))
        );
        let messages = talk.messages.clone();
        if restart {
            rig.restart().await;
        }
        let mut talk = rig.talk(false);
        talk.messages = messages;
        rig.simulator.clear_calls();
        let branch = talk.first(2).recite().await;
        assert_eq!((branch.turn(), branch.conversation_id()), ("branched", id.clone()));
        assert_eq!(rig.last_question().account.as_deref(), Some("bert"));
        assert_eq!(talk.recite().await.turn(), "native");
        assert_eq!(rig.last_question().account.as_deref(), Some("anna"), "what stayed goes on where it is");
        rig.no_violations();

        let anna = account_id(&rig, "anna").await;
        assert_eq!(rig.admin("POST", &path, Some(json!({ "account_id": "acc_none" }))).await.0, 422);
        assert_eq!(rig.admin("POST", &path, Some(json!({ "account_id": anna }))).await.0, 409, "it is there now");
        rig.simulator.account("bert").fail_clone(true);
        let (status, refused) = rig.admin("POST", &path, Some(json!({ "account_id": bert }))).await;
        assert_eq!((status, refused["error"]["code"].as_str()), (502, Some("upstream_error")), "{refused}");
        rig.admin("PATCH", &format!("/accounts/{bert}"), Some(json!({ "enabled": false }))).await;
        assert_eq!(rig.admin("POST", &path, Some(json!({ "account_id": bert }))).await.0, 409);
        assert_eq!(
            rig.admin("POST", "/conversations/conv-x/actions/move", Some(json!({ "account_id": bert }))).await.0,
            404
        );
    }
}

async fn a_conversation_is_deleted_here_and_at_every_account_that_holds_a_copy() {
    let rig = Rig::new(&["anna"]).await;
    let mut talk = rig.talk(false);
    let id = talk.say("question one").await.conversation_id();
    let bert = rig.add_account("bert").await;
    call(&rig, "POST", &format!("/conversations/{id}/actions/move"), json!({ "account_id": bert })).await;
    talk.say("question two").await;
    let held = |rig: &Rig| ["anna", "bert"].map(|account| rig.simulator.account(account).conversations().len());
    assert_eq!(held(&rig), [1, 1], "the copy and what the move left behind");
    // One account cannot be asked: it is kept here, and says so.
    rig.simulator.account("bert").set_credential(CredentialState::Unknown);
    let path = format!("/conversations/{id}?upstream=true");
    let (status, kept) = rig.admin("DELETE", &path, None).await;
    assert_eq!((status, &kept["deleted"]), (502, &json!(false)), "{kept}");
    let outcomes = |answer: &Value| -> Vec<(String, String)> {
        let copies = answer["upstream"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut all: Vec<_> = copies.map(|copy| (text(&copy["account"]["label"]), text(&copy["outcome"]))).collect();
        all.sort();
        all
    };
    let named = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(account, outcome)| ((*account).to_owned(), (*outcome).to_owned())).collect()
    };
    assert_eq!(outcomes(&kept), named(&[("anna", "deleted"), ("bert", "failed")]));
    assert_eq!((held(&rig), rig.admin("GET", &format!("/conversations/{id}"), None).await.0), ([0, 1], 200));

    rig.simulator.account("bert").set_credential(CredentialState::Valid);
    let (status, gone) = rig.admin("DELETE", &path, None).await;
    assert_eq!((status, &gone["deleted"]), (200, &json!(true)), "{gone}");
    assert_eq!(outcomes(&gone), named(&[("anna", "already_gone"), ("bert", "deleted")]));
    assert_eq!((held(&rig), rig.admin("GET", &format!("/conversations/{id}"), None).await.0), ([0, 0], 404));
    assert_eq!(
        rig.count("SELECT COUNT(*) FROM turns").await + rig.count("SELECT COUNT(*) FROM conversation_moves").await,
        0
    );
    assert_eq!(talk.ask("question three").await.turn(), "replayed", "nothing is left in memory either");
    assert_eq!(rig.admin("DELETE", &path, None).await.0, 404);
}

#[tokio::test]
async fn only_here_means_only_here() {
    let rig = Rig::new(&["anna"]).await;
    let id = rig.talk(false).say("question one").await.conversation_id();
    let (status, gone) = rig.admin("DELETE", &format!("/conversations/{id}"), None).await;
    assert_eq!((status, gone), (200, json!({ "id": id, "deleted": true, "upstream": [] })));
    assert_eq!(rig.simulator.account("anna").conversations().len(), 1);
    assert_eq!(rig.admin("DELETE", &format!("/conversations/{id}?upstream=perhaps"), None).await.0, 422);
}

#[tokio::test]
async fn a_conversation_that_is_kept_outlives_its_time_and_the_cap() {
    let settings = json!({ "max_conversations_per_token": 1 });
    let mut rig = Rig::with_settings(&["anna"], settings).await;
    let mut talk = rig.talk(false);
    let id = talk.say("question one").await.conversation_id();
    let path = format!("/conversations/{id}");
    let kept = call(&rig, "PATCH", &path, json!({ "title": " Ours ", "expires_at": "2026-09-04T00:00:00Z" })).await;
    assert_eq!(
        (&kept["title"], &kept["expires_at"], &kept["keep_until"]),
        (&json!("Ours"), &json!("2026-09-04T00:00:00.000Z"), &json!("2026-09-04T00:00:00.000Z"))
    );
    for body in [
        json!({ "expires_at": "2026-09-01T12:00:00Z" }),
        json!({ "expires_at": "soon" }),
        json!({ "title": "x".repeat(201) }),
        json!({ "colour": 1 }),
    ] {
        assert_eq!(rig.admin("PATCH", &path, Some(body.clone())).await.0, 422, "{body}");
    }
    rig.advance(2 * 86_400);
    assert_eq!(talk.recite().await.turn(), "native", "in memory");
    let messages = talk.messages.clone();
    rig.restart().await;
    rig.advance(7 * 3_600);
    let mut talk = rig.talk(false);
    talk.messages = messages;
    let mut other = rig.talk(false);
    other.say("something else").await;
    assert_eq!(
        rig.chat_as(KEY, json!({ "model": "grok-4.2", "messages": talk.asking("two") }), &[]).await.turn(),
        "branched"
    );
    // As any other again.
    let freed = call(&rig, "PATCH", &path, json!({ "expires_at": null, "title": null })).await;
    assert_eq!((&freed["keep_until"], &freed["title"]), (&Value::Null, &Value::Null));
    rig.advance(72_001);
    assert_eq!(talk.ask("three").await.turn(), "replayed");
}
