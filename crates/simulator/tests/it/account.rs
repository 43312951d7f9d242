//! Quota, plans and sessions.

use grok2api_simulator::{CredentialState, Reply, Subscription};
use serde_json::{Value, json};

use crate::client::{NEW, World, body_json};

async fn limits(world: &World, mode: &str) -> Value {
    body_json(world.post("a", "/rest/rate-limits", json!({"modelName": mode})).await).await
}

#[tokio::test]
async fn each_accepted_call_costs_one_of_its_mode() {
    let world = World::new().await;
    world.simulator.account("a").set_quota("fast", 2, 30, Some(1800));
    world.new_chat("a", "One").await;
    let left = limits(&world, "fast").await;
    assert_eq!(left["remainingQueries"], 1);
    assert_eq!(left["totalQueries"], 30);
    assert!(left.get("waitTimeSeconds").is_none());

    world.new_chat("a", "Two").await;
    let refused = world.post("a", NEW, json!({"message": "Three", "modeId": "fast"})).await;
    assert_eq!(refused.status(), 429);
    assert_eq!(body_json(refused).await["error"]["code"], 8);
    let gone = limits(&world, "fast").await;
    assert_eq!(gone["remainingQueries"], 0);
    assert_eq!(gone["waitTimeSeconds"], 1800);

    assert_eq!(limits(&world, "auto").await["remainingQueries"], 1000, "modes are counted apart");
    let old = json!({"requestKind": "DEFAULT", "modelName": "grok-3"});
    assert_eq!(body_json(world.post("a", "/rest/rate-limits", old).await).await["remainingQueries"], 0);
}

#[tokio::test]
async fn refused_calls_cost_nothing() {
    let world = World::new().await;
    let account = world.simulator.account("a");
    account.push(Reply::anti_bot());
    assert_eq!(world.post("a", NEW, json!({"message": "hi", "modeId": "fast"})).await.status(), 403);
    assert_eq!(account.remaining("fast"), 1000);
    assert!(account.conversations().is_empty());
}

#[tokio::test]
async fn a_rate_limit_may_or_may_not_mean_that_the_quota_is_gone() {
    let world = World::new().await;
    for (left, remaining) in [(true, 1000), (false, 0)] {
        world.simulator.account("a").push(Reply::rate_limited(left));
        assert_eq!(world.post("a", NEW, json!({"message": "hi", "modeId": "fast"})).await.status(), 429);
        assert_eq!(limits(&world, "fast").await["remainingQueries"], remaining);
    }
}

#[tokio::test]
async fn the_rate_limits_route_can_be_throttled_itself() {
    let world = World::new().await;
    world.simulator.account("a").rate_limits_throttled(true);
    let response = world.post("a", "/rest/rate-limits", json!({"modelName": "fast"})).await;
    assert_eq!(response.status(), 429);
    assert_eq!(body_json(response).await["code"], 8, "bare, as on every unary route");
}

#[tokio::test]
async fn subscriptions_are_empty_active_or_mixed() {
    let world = World::new().await;
    let read = async || body_json(world.get("a", "/rest/subscriptions").await).await;
    assert_eq!(read().await, json!({"subscriptions": []}));
    world.simulator.account("a").set_subscriptions(vec![
        Subscription::inactive("SUPER_GROK_LITE"),
        Subscription::active("SUBSCRIPTION_TIER_GROK_PRO"),
    ]);
    let rows = read().await;
    assert_eq!(rows["subscriptions"][0]["status"], "SUBSCRIPTION_STATUS_INACTIVE");
    assert_eq!(rows["subscriptions"][1]["tier"], "SUBSCRIPTION_TIER_GROK_PRO");
    assert_eq!(rows["subscriptions"][1]["xaiUserId"], world.simulator.account("a").user_id());
}

#[tokio::test]
async fn bans_and_revoked_sessions_show_everywhere() {
    let world = World::new().await;
    let account = world.simulator.account("a");
    let session = async || body_json(world.get("a", "/api/auth/session").await).await;
    assert_eq!(session().await["status"], "authenticated");
    assert_eq!(session().await["session"]["userId"], account.user_id());

    account.set_credential(CredentialState::Blocked);
    assert_eq!(session().await["status"], "blocked");
    let response = world.post("a", NEW, json!({"message": "hi", "modeId": "fast"})).await;
    assert_eq!(response.status(), 403);
    assert!(response.text().await.unwrap().contains("blocked-user"));

    account.set_credential(CredentialState::Unknown);
    assert_eq!(session().await["status"], "unauthenticated");
    assert_eq!(world.get("a", "/rest/subscriptions").await.status(), 401);
    assert_eq!(world.violations(), [] as [&str; 0], "the script did this, not the client");
}

#[tokio::test]
async fn modes_without_quota_need_an_upgrade() {
    let world = World::new().await;
    world.simulator.account("a").set_quota("heavy", 0, 0, None);
    let modes = body_json(world.post("a", "/rest/modes", json!({"locale": "en"})).await).await;
    let availability = |id: &str| {
        let modes = modes["modes"].as_array().unwrap();
        modes.iter().find(|mode| mode["id"] == id).unwrap()["availability"].clone()
    };
    assert!(availability("fast").get("available").is_some());
    assert!(availability("heavy").get("requiresUpgrade").is_some());
    assert_eq!(modes["defaultModeId"], "auto");
}

#[tokio::test]
async fn queued_replies_come_in_order_then_the_sticky_one() {
    let world = World::new().await;
    let account = world.simulator.account("a");
    account.always(Some(Reply::text("always")));
    account.push(Reply::text("first"));
    account.push(Reply::text("second"));
    assert_eq!(account.queued(), 2);
    for expected in ["first", "second", "always", "always"] {
        assert_eq!(world.new_chat("a", "hi").await.text(), expected);
    }
    account.always(None);
    assert_eq!(world.new_chat("a", "hi").await.text(), "Answer 1: you said \"hi\".");
    assert_eq!(world.new_chat("b", "hi").await.text(), "Answer 1: you said \"hi\".", "scripts are per account");
}
