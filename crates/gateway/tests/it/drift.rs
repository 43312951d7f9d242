//! What the upstream says and nobody here knows: counted, sampled without a word of anybody's, shown.

use grok2api_simulator::Reply as Upstream;
use serde_json::json;

use crate::harness::Rig;
use crate::probes::question;
use crate::transports::{self, over_both_transports};

over_both_transports! {
    what_is_not_known_is_counted_and_shown_without_anybodys_words,
}

async fn what_is_not_known_is_counted_and_shown_without_anybodys_words() {
    let mut rig = Rig::new(&["anna"]).await;
    let (_, nothing) = rig.admin("GET", "/system/drift", None).await;
    assert_eq!(nothing, json!({ "items": [] }));
    for _ in 0..2 {
        rig.simulator.account("anna").push(Upstream::unknown_kinds());
        rig.chat(question("a secret question", true)).await.ok();
    }
    let over = transports::over().unwrap();
    rig.until("it is written", async |rig| {
        let (_, drift) = rig.admin("GET", "/system/drift", None).await;
        drift["items"].as_array().unwrap().iter().any(|item| item["count"].as_i64().unwrap() >= 2)
    })
    .await;
    rig.restart().await;
    let (_, drift) = rig.admin("GET", "/system/drift", None).await;
    let items = drift["items"].as_array().unwrap();
    assert!(items.len() >= 2, "{drift}");
    for item in items {
        assert_eq!(item["transport"], over, "{item}");
        assert_eq!((&item["first_at"], &item["last_at"]), (&json!("2026-09-01T00:00:00.000Z"), &item["first_at"]));
        let sample = item["sample"].as_str().unwrap();
        assert!(!sample.is_empty() && sample.len() <= 520, "{item}");
        for word in ["secret", "question", "one two three"] {
            assert!(!sample.contains(word), "{word} in {item}");
        }
    }
    let (_, attention) = rig.admin("GET", "/attention", None).await;
    let codes: Vec<_> = attention["items"].as_array().unwrap().iter().map(|item| &item["code"]).collect();
    assert!(codes.contains(&&json!("upstream_drift")), "{attention}");

    assert_eq!(rig.admin("DELETE", "/system/drift", None).await.0, 204);
    assert_eq!(rig.admin("GET", "/system/drift", None).await.1, json!({ "items": [] }));
}
