//! A conversation stays with its account while that can serve, is carried to another one if not, and is replayed as the last
//! resort.

use grok2api_simulator::{CredentialState, Reply as Scripted};
use serde_json::{Value, json};

use crate::harness::{KEY, Rig, Talk, assistant, holds_all, user};
use crate::probes::conversation_gone;
use crate::transports::over_both_transports;

over_both_transports! {
    a_limited_owner_hands_the_whole_branch_over,
    an_owner_that_rests_already_is_not_asked_but_to_share,
    a_branch_that_stayed_behind_is_handed_over_when_it_is_wanted,
    two_requests_at_once_are_both_handed_over,
    a_dead_owner_leaves_its_words_to_the_next,
    what_cannot_be_carried_over_is_replayed,
    what_was_shared_ahead_outlives_its_owner,
    a_dead_owner_and_no_history_is_a_conflict,
    a_conversation_that_is_gone_upstream_is_replayed_with_its_own_account,
    an_owner_that_rests_for_another_mode_stays_the_owner,
    a_conversation_moves_as_often_as_it_must,
    system_text_that_a_replay_lacked_is_sent_when_it_comes_back,
    who_takes_over_may_be_limited_too,
    a_removed_or_disabled_owner_is_handled_like_any_other,
}

/// A rig whose conversations begin with `anna`; `bert` and `carl` are there to take over.
async fn rig(settings: Value) -> Rig {
    let rig = Rig::with_settings(&["anna"], settings).await;
    rig.simulator.add_account("bert");
    rig
}

/// Three turns with `anna`; the conversation's id.
async fn three_turns_with_anna(rig: &Rig, talk: &mut Talk<'_>) -> String {
    let mut id = String::new();
    for question in ["question one", "question two", "question three"] {
        id = talk.say(question).await.conversation_id();
    }
    assert!(rig.questions().iter().all(|call| call.account.as_deref() == Some("anna")));
    id
}

/// Who was called for what, since the log was cleared; what goes with any transport is left out.
fn route_of_calls(rig: &Rig) -> Vec<(&'static str, String)> {
    let asked: Vec<_> = rig.questions().iter().map(|call| call.time).collect();
    let calls = rig.simulator.calls().into_iter().filter_map(|call| {
        let route = match call.route {
            _ if asked.contains(&call.time) => "ask",
            "rate_limits" | "session" | "socket" => return None,
            route => route,
        };
        Some((route, call.account.unwrap_or_default()))
    });
    calls.collect()
}

fn expected(calls: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    calls.iter().map(|(route, account)| (*route, (*account).to_owned())).collect()
}

async fn a_limited_owner_hands_the_whole_branch_over() {
    for stream in [false, true] {
        let mut rig = rig(json!({})).await;
        let mut talk = rig.talk(stream).system("Be kind.");
        let id = three_turns_with_anna(&rig, &mut talk).await;
        rig.add_account("bert").await;
        rig.simulator.account("anna").push(Scripted::rate_limited(true));
        rig.simulator.clear_calls();

        let reply = talk.recite().await;
        assert_eq!((reply.turn(), reply.conversation_id()), ("moved", id.clone()));
        let calls = [("ask", "anna"), ("share", "anna"), ("clone", "bert"), ("ask", "bert")];
        assert_eq!(route_of_calls(&rig), expected(&calls));
        let share = rig.simulator.calls().into_iter().find(|call| call.route == "share").unwrap();
        assert_eq!(share.allow_indexing, Some(false));
        assert_eq!(rig.last_question().message.as_deref(), Some("recite"));
        talk.messages.extend([user("recite"), assistant(&reply.text())]);

        // At home there now, for the next turn as for a branch from any earlier one.
        rig.simulator.clear_calls();
        assert_eq!(talk.say("question five").await.turn(), "native");
        let messages = talk.messages;
        for restart in [false, true] {
            if restart {
                rig.restart().await;
            }
            let mut talk = rig.talk(stream);
            talk.messages = messages.clone();
            for count in [3, 5, 7, 9] {
                let reply = talk.first(count).recite_by(&format!("recite from message {count}")).await;
                assert_eq!((reply.turn(), reply.conversation_id()), ("branched", id.clone()), "{count}");
            }
        }
        assert!(route_of_calls(&rig).iter().all(|call| *call == ("ask", "bert".to_owned())));
        assert_eq!((rig.simulator.report().count("share"), rig.simulator.report().count("clone")), (1, 1));
        rig.no_violations();
    }
}

async fn an_owner_that_rests_already_is_not_asked_but_to_share() {
    for stream in [false, true] {
        let rig = rig(json!({})).await;
        let mut talk = rig.talk(stream);
        let id = three_turns_with_anna(&rig, &mut talk).await;
        rig.simulator.account("anna").push(Scripted::rate_limited(true));
        assert_eq!(talk.ask("anything").await.status, 429);
        rig.add_account("bert").await;
        rig.simulator.clear_calls();
        let reply = talk.recite().await;
        assert_eq!((reply.turn(), reply.conversation_id()), ("moved", id));
        let calls = [("share", "anna"), ("clone", "bert"), ("ask", "bert")];
        assert_eq!(route_of_calls(&rig), expected(&calls));
        rig.no_violations();
    }
}

async fn a_branch_that_stayed_behind_is_handed_over_when_it_is_wanted() {
    for stream in [false, true] {
        let rig = rig(json!({})).await;
        let mut talk = rig.talk(stream);
        let id = three_turns_with_anna(&rig, &mut talk).await;
        let mut other = talk.first(2);
        assert_eq!(other.say("question two, put better").await.turn(), "branched");
        rig.add_account("bert").await;
        rig.simulator.account("anna").push(Scripted::rate_limited(true));
        assert_eq!(talk.say("question four").await.turn(), "moved");
        let reply = other.say("question three of the other branch").await;
        assert_eq!((reply.turn(), reply.conversation_id()), ("moved", id));
        for talk in [&talk, &other] {
            assert_eq!(talk.recite().await.turn(), "native");
            assert_eq!(rig.last_question().account.as_deref(), Some("bert"));
        }
        assert_eq!(talk.first(2).recite().await.turn(), "branched");
        assert_eq!(rig.simulator.report().count("new"), 1);
        rig.no_violations();
    }
}

async fn two_requests_at_once_are_both_handed_over() {
    for stream in [false, true] {
        let mut rig = rig(json!({})).await;
        let mut talk = rig.talk(stream);
        let id = three_turns_with_anna(&rig, &mut talk).await;
        rig.simulator.account("anna").push(Scripted::rate_limited(true));
        assert_eq!(talk.ask("anything").await.status, 429);
        rig.add_account("bert").await;
        let (mut left, mut right) = (talk.clone(), talk.clone());
        let (one, other) = tokio::join!(left.say("to the left"), right.say("to the right"));
        for reply in [&one, &other] {
            // Whoever comes second may already find the conversation in its new place.
            assert!(["moved", "native", "branched"].contains(&reply.turn()), "{}", reply.turn());
            assert_eq!(reply.conversation_id(), id);
        }
        let branches = [left.messages, right.messages];
        for restart in [false, true] {
            if restart {
                rig.restart().await;
            }
            for messages in &branches {
                let mut talk = rig.talk(stream);
                talk.messages.clone_from(messages);
                let reply = talk.recite().await;
                assert_eq!(reply.turn(), if restart { "branched" } else { "native" });
            }
        }
        assert_eq!(rig.simulator.report().count("new"), 1);
        rig.no_violations();
    }
}

/// Asserts that the next question begins anew upstream with every word said so far, and that the chat then goes on natively.
async fn is_replayed(rig: &Rig, talk: &mut Talk<'_>, on: &str) {
    let reply = talk.say("the question after").await;
    assert_eq!(reply.turn(), "replayed");
    let call = rig.last_question();
    assert_eq!((call.route, call.account.as_deref()), ("new", Some(on)));
    holds_all(&call.message.unwrap(), &talk.messages[..talk.messages.len() - 1]);
    assert_eq!(talk.say("and one more").await.turn(), "native");
    let call = rig.last_question();
    assert_eq!((call.message.as_deref(), call.account.as_deref()), (Some("and one more"), Some(on)));
    let message = [user("and by name")];
    let by_name = json!({ "conversation_id": reply.conversation_id(), "messages": message });
    assert_eq!(talk.send(by_name).await.ok().turn(), "native");
}

async fn a_dead_owner_leaves_its_words_to_the_next() {
    for stream in [false, true] {
        for reply in [Scripted::unauthorized(), Scripted::blocked()] {
            let rig = rig(json!({})).await;
            let mut talk = rig.talk(stream).system("Be kind.");
            let id = three_turns_with_anna(&rig, &mut talk).await;
            rig.add_account("bert").await;
            rig.simulator.account("anna").push(reply);
            is_replayed(&rig, &mut talk, "bert").await;
            // It stays the same conversation for the client.
            assert_eq!(talk.ask("the last one").await.ok().conversation_id(), id);
            assert_eq!(rig.simulator.report().count("share"), 0);
            rig.no_violations();
        }
    }
}

async fn what_cannot_be_carried_over_is_replayed() {
    for stream in [false, true] {
        for obstacle in ["share fails", "clone fails", "sharing is off"] {
            let settings = if obstacle == "sharing is off" { json!({ "share_mode": "off" }) } else { json!({}) };
            let rig = rig(settings).await;
            let mut talk = rig.talk(stream).system("Be kind.");
            three_turns_with_anna(&rig, &mut talk).await;
            rig.add_account("bert").await;
            rig.simulator.account("anna").push(Scripted::rate_limited(true));
            match obstacle {
                "share fails" => rig.simulator.account("anna").fail_share(true),
                "clone fails" => rig.simulator.account("bert").fail_clone(true),
                _ => {}
            }
            is_replayed(&rig, &mut talk, "bert").await;
            let (shares, clones) = match obstacle {
                "share fails" => (1, 0),
                "clone fails" => (1, 1),
                _ => (0, 0),
            };
            let report = rig.simulator.report();
            assert_eq!((report.count("share"), report.count("clone")), (shares, clones), "{obstacle}");
            // Nobody is to blame for what only made the way longer.
            let bert = rig.account("bert").await;
            assert_eq!(
                (&bert["state"]["name"], &bert["consecutive_failures"]),
                (&json!("available"), &json!(0)),
                "{bert}"
            );
            rig.no_violations();
        }
    }
}

async fn what_was_shared_ahead_outlives_its_owner() {
    for stream in [false, true] {
        for restart in [false, true] {
            let mut rig = rig(json!({ "share_mode": "eager" })).await;
            let mut talk = rig.talk(stream);
            let id = three_turns_with_anna(&rig, &mut talk).await;
            rig.until("every turn is shared", async |rig| {
                rig.count("SELECT COUNT(*) FROM turns WHERE share_link IS NOT NULL").await == 3
            })
            .await;
            assert!(
                rig.simulator.calls().iter().all(|call| call.route != "share" || call.allow_indexing == Some(false))
            );
            let messages = talk.messages;
            if restart {
                rig.restart().await;
            }
            rig.add_account("bert").await;
            rig.simulator.account("anna").set_credential(CredentialState::Unknown);
            let mut talk = rig.talk(stream);
            talk.messages = messages;
            rig.simulator.clear_calls();
            let reply = talk.recite().await;
            assert_eq!((reply.turn(), reply.conversation_id()), ("moved", id.clone()));
            assert_eq!(rig.questions().len(), 2);
            assert!(rig.simulator.calls().iter().any(|call| call.route == "clone"));
            assert_eq!(talk.first(2).recite().await.turn(), "branched");
            assert_eq!(rig.simulator.report().count("new"), 1);
            rig.no_violations();
        }
    }
}

async fn a_dead_owner_and_no_history_is_a_conflict() {
    for stream in [false, true] {
        let rig = rig(json!({})).await;
        let mut talk = rig.talk(stream);
        let id = three_turns_with_anna(&rig, &mut talk).await;
        rig.add_account("bert").await;
        rig.simulator.account("anna").set_credential(CredentialState::Unknown);
        let message = [user("and now?")];
        let by_name = talk.send(json!({ "conversation_id": id, "messages": message })).await;
        let body = json!({ "conversation_id": id, "message": "and now?", "stream": stream });
        let short = rig.post("/v1/responses", KEY, body, &[]).await;
        for reply in [by_name, short] {
            assert_eq!((reply.status, reply.error()["code"].as_str()), (409, Some("conversation_unavailable")));
            assert!(
                reply.error()["message"].as_str().unwrap().contains("Send the whole history"),
                "{:?}",
                reply.error()
            );
            assert_eq!(reply.header("x-should-retry"), "false");
        }
        assert_eq!(rig.simulator.report().count("new"), 1);
        // With the history the same conversation goes on elsewhere.
        let reply = talk.send(json!({ "conversation_id": id, "messages": talk.asking("and now?") })).await.ok();
        assert_eq!((reply.turn(), reply.conversation_id()), ("replayed", id));
        let bert = rig.account("bert").await;
        assert_eq!((&bert["state"]["name"], &bert["in_flight"]), (&json!("available"), &json!(0)), "{bert}");
        rig.no_violations();
    }
}

async fn a_conversation_that_is_gone_upstream_is_replayed_with_its_own_account() {
    for stream in [false, true] {
        let rig = rig(json!({})).await;
        let mut talk = rig.talk(stream).system("Be kind.");
        let id = three_turns_with_anna(&rig, &mut talk).await;
        rig.add_account("bert").await;
        rig.simulator.account("anna").push(conversation_gone());
        let by_name = talk.send(json!({ "conversation_id": id, "messages": [user("and now?")] })).await;
        assert_eq!((by_name.status, by_name.error()["code"].as_str()), (409, Some("conversation_unavailable")));
        assert!(by_name.error()["message"].as_str().unwrap().contains("history"), "{:?}", by_name.error());

        rig.simulator.account("anna").push(conversation_gone());
        is_replayed(&rig, &mut talk, "anna").await;
        assert_eq!(rig.simulator.report().count("share"), 0);
        let anna = rig.account("anna").await;
        assert_eq!((&anna["state"]["name"], &anna["consecutive_failures"]), (&json!("available"), &json!(0)), "{anna}");
        rig.no_violations();
    }
}

async fn an_owner_that_rests_for_another_mode_stays_the_owner() {
    for stream in [false, true] {
        let rig = rig(json!({})).await;
        let mut talk = rig.talk(stream);
        three_turns_with_anna(&rig, &mut talk).await;
        rig.simulator.account("anna").set_quota("expert", 0, 20, Some(600));
        let mut expert = rig.talk(stream);
        expert.model = "grok-expert".to_owned();
        assert_eq!(expert.ask("a hard question").await.status, 429);
        rig.until("only one mode rests", async |rig| {
            let account = rig.account("anna").await;
            account["rests"].as_array().is_some_and(|rests| rests.len() == 1 && rests[0]["mode"] == "expert")
        })
        .await;
        rig.add_account("bert").await;
        let reply = talk.recite().await;
        assert_eq!((reply.turn(), rig.last_question().account.as_deref()), ("native", Some("anna")));
        // Asked in the mode that rests, the conversation moves; and it stays where it went.
        let mut expert = talk.clone();
        expert.model = "grok-expert".to_owned();
        assert_eq!(expert.say("a hard question").await.turn(), "moved");
        expert.model.clone_from(&talk.model);
        assert_eq!(expert.recite().await.turn(), "native");
        assert_eq!(rig.last_question().account.as_deref(), Some("bert"));
        rig.no_violations();
    }
}

async fn a_conversation_moves_as_often_as_it_must() {
    for stream in [false, true] {
        let rig = rig(json!({})).await;
        let mut talk = rig.talk(stream);
        let id = three_turns_with_anna(&rig, &mut talk).await;
        for (owner, next) in [("anna", "bert"), ("bert", "carl"), ("carl", "dora")] {
            rig.add_account(next).await;
            rig.simulator.account(owner).push(Scripted::rate_limited(true));
            let reply = talk.say(&format!("question for {next}")).await;
            assert_eq!((reply.turn(), reply.conversation_id()), ("moved", id.clone()));
            assert_eq!(talk.say(&format!("second question for {next}")).await.turn(), "native");
            assert_eq!(rig.last_question().account.as_deref(), Some(next));
        }
        // Rested, the first owner has nothing to do with it any more.
        rig.advance(36_001);
        assert_eq!(talk.recite().await.turn(), "native");
        assert_eq!(rig.last_question().account.as_deref(), Some("dora"));
        assert_eq!(talk.first(2).recite().await.turn(), "branched");
        assert_eq!(rig.last_question().account.as_deref(), Some("dora"));
        assert_eq!(rig.simulator.report().count("new"), 1);
        rig.no_violations();
    }
}

async fn system_text_that_a_replay_lacked_is_sent_when_it_comes_back() {
    for stream in [false, true] {
        let rig = rig(json!({})).await;
        let mut talk = rig.talk(stream).system("Be kind.");
        three_turns_with_anna(&rig, &mut talk).await;
        rig.add_account("bert").await;
        rig.simulator.account("anna").push(Scripted::unauthorized());
        let system = talk.messages.remove(0);
        assert_eq!(talk.say("question four").await.turn(), "replayed");
        assert!(!rig.last_question().message.unwrap().contains("Be kind."));
        talk.messages.insert(0, system);
        assert_eq!(talk.say("question five").await.turn(), "native");
        assert_eq!(rig.last_question().message.as_deref(), Some("Be kind.\n\nquestion five"));
        rig.no_violations();
    }
}

async fn who_takes_over_may_be_limited_too() {
    for stream in [false, true] {
        let rig = rig(json!({})).await;
        let mut talk = rig.talk(stream);
        let id = three_turns_with_anna(&rig, &mut talk).await;
        rig.add_account("bert").await;
        for account in ["anna", "bert"] {
            rig.simulator.account(account).push(Scripted::rate_limited(true));
        }
        // Nobody is left, and nothing is lost by it.
        assert_eq!(talk.ask("anything").await.status, 429);
        rig.advance(36_001);
        assert_eq!(talk.recite().await.turn(), "native");
        assert_eq!(rig.last_question().account.as_deref(), Some("anna"));

        rig.add_account("carl").await;
        for account in ["anna", "bert"] {
            rig.simulator.account(account).always(Some(Scripted::rate_limited(true)));
        }
        let reply = talk.recite_by("recite once more").await;
        assert_eq!((reply.turn(), reply.conversation_id()), ("moved", id));
        assert_eq!(rig.last_question().account.as_deref(), Some("carl"));
        assert_eq!(talk.first(2).recite().await.turn(), "branched");
        assert_eq!(rig.simulator.report().count("new"), 1);
        rig.no_violations();
    }
}

async fn a_removed_or_disabled_owner_is_handled_like_any_other() {
    for stream in [false, true] {
        for disabled in [false, true] {
            let rig = rig(json!({})).await;
            let mut talk = rig.talk(stream);
            three_turns_with_anna(&rig, &mut talk).await;
            rig.add_account("bert").await;
            let anna = rig.account("anna").await;
            let path = format!("/accounts/{}", anna["id"].as_str().unwrap());
            let (status, body) = if disabled {
                rig.admin("PATCH", &path, Some(json!({ "enabled": false }))).await
            } else {
                rig.admin("DELETE", &path, None).await
            };
            assert!((200..300).contains(&status), "{status} {body}");
            is_replayed(&rig, &mut talk, "bert").await;
            rig.no_violations();
        }
    }
}
