//! Keys as their owners and clients meet them.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;

struct Fixture {
    directory: tempfile::TempDir,
    keys: ApiKeys,
    clock: Clock,
}

impl Fixture {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Clock::manual(1_000_000);
        let keys = load(&directory, &clock).await;
        Self { directory, keys, clock }
    }

    async fn restarted(&self) -> ApiKeys {
        load(&self.directory, &self.clock).await
    }
}

async fn load(directory: &tempfile::TempDir, clock: &Clock) -> ApiKeys {
    let store = Store::open_beside(directory.path()).await.unwrap();
    let writer = Writer::start(store.clone(), &TaskTracker::new(), CancellationToken::new());
    ApiKeys::load(store, writer, clock.clone()).await.unwrap()
}

fn all() -> KeyQuery {
    KeyQuery { limit: usize::MAX, ..KeyQuery::default() }
}

fn names(keys: &ApiKeys, query: &KeyQuery) -> Vec<String> {
    keys.list(query).items.into_iter().map(|key| key.name).collect()
}

impl Fixture {
    async fn key(&self, name: &str) -> NewKey {
        self.keys.create(name, 1, &KeyTerms::default()).await.unwrap().remove(0)
    }

    async fn limited(&self, limits: KeyLimits) -> NewKey {
        self.keys.create("limited", 1, &KeyTerms { limits, ..KeyTerms::default() }).await.unwrap().remove(0)
    }
}

/// The key behind a secret.
fn opened(keys: &ApiKeys, secret: &str) -> Arc<ApiKey> {
    match keys.verify(secret) {
        Verified::Ok(key) => key,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_new_key_opens_and_still_does_after_a_restart() {
    let fixture = Fixture::new().await;
    let NewKey { key, secret } = &fixture.key("laptop").await;
    assert_eq!((key.name.as_str(), secret.len()), ("laptop", 46));
    assert!(secret.starts_with("sk-") && key.id.starts_with("key_"));

    for keys in [fixture.keys.clone(), fixture.restarted().await] {
        let Verified::Ok(found) = keys.verify(secret) else { panic!("not recognised") };
        assert_eq!((&found.id, &found.name), (&key.id, &key.name));
        for wrong in ["", "sk-", &secret[1..], &secret[..45], &format!("{secret}x"), &secret.to_lowercase()] {
            assert!(matches!(keys.verify(wrong), Verified::Unknown), "{wrong}");
        }
    }
}

#[tokio::test]
async fn a_secret_is_nowhere_in_what_is_shown_or_stored() {
    let fixture = Fixture::new().await;
    let secret = fixture.key("laptop").await.secret;
    let shown = format!("{:?}", fixture.keys.list(&all()));
    assert!(!shown.contains(&secret[3..]) && shown.contains(&format!("sk-…{}", &secret[42..])), "{shown}");
    for entry in std::fs::read_dir(fixture.directory.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(20).any(|window| window == &secret.as_bytes()[3..23]));
    }
}

#[tokio::test]
async fn a_batch_is_numbered_and_its_size_limited() {
    let fixture = Fixture::new().await;
    let made = fixture.keys.create(" team ", 3, &KeyTerms::default()).await.unwrap();
    assert_eq!(made.iter().map(|new| new.key.name.as_str()).collect::<Vec<_>>(), ["team-1", "team-2", "team-3"]);
    assert_eq!(
        names(&fixture.keys, &all()),
        ["team-1", "team-2", "team-3"],
        "listed in the order in which they were made"
    );
    assert_eq!(fixture.keys.create("all", 500, &KeyTerms::default()).await.unwrap().len(), 500);
    for count in [0, 501] {
        assert!(
            matches!(fixture.keys.create("x", count, &KeyTerms::default()).await, Err(KeyError::Invalid(error)) if error.path == "/count")
        );
    }
    for name in ["", "  ", "a\nb", &"x".repeat(121)] {
        assert!(
            matches!(fixture.keys.create(name, 1, &KeyTerms::default()).await, Err(KeyError::Invalid(error)) if error.path == "/name")
        );
    }
    assert_eq!(fixture.keys.len(), 503);
}

#[tokio::test]
async fn a_key_of_the_operators_choice_is_made_once() {
    let fixture = Fixture::new().await;
    let first = fixture.keys.create_with_secret("default", " my-own-secret\n").await.unwrap();
    let second = fixture.keys.create_with_secret("other", "my-own-secret").await.unwrap();
    assert_eq!(first, second);
    assert_eq!(fixture.keys.len(), 1);
    assert_eq!(first.preview, "…", "a short secret shows nothing of itself");
    assert!(matches!(fixture.keys.verify("my-own-secret"), Verified::Ok(_)));
    for secret in ["", "short", "with space", "ünïcode", &"x".repeat(257)] {
        assert!(matches!(fixture.keys.create_with_secret("x", secret).await, Err(KeyError::Invalid(_))), "{secret}");
    }
}

#[tokio::test]
async fn a_disabled_key_opens_nothing_until_it_is_enabled_again() {
    let fixture = Fixture::new().await;
    let NewKey { key, secret } = fixture.key("laptop").await;
    let switch = |enabled| KeyPatch { enabled: Some(enabled), ..KeyPatch::default() };

    fixture.keys.patch(&key.id, switch(false), None).await.unwrap();
    assert!(matches!(fixture.keys.verify(&secret), Verified::Disabled));
    assert!(matches!(fixture.restarted().await.verify(&secret), Verified::Disabled));

    fixture.keys.patch(&key.id, switch(true), None).await.unwrap();
    assert!(matches!(fixture.keys.verify(&secret), Verified::Ok(_)));
}

#[tokio::test]
async fn an_edit_changes_what_it_names_and_the_version_only_when_something_changed() {
    let fixture = Fixture::new().await;
    let id = fixture.key("laptop").await.key.id;
    let rename = KeyPatch { name: Some("phone".to_owned()), ..KeyPatch::default() };
    let renamed = fixture.keys.patch(&id, rename.clone(), Some(1)).await.unwrap();
    assert_eq!((renamed.name.as_str(), renamed.enabled, renamed.version), ("phone", true, 2));
    assert_eq!(fixture.keys.patch(&id, rename.clone(), None).await.unwrap().version, 2);

    let stale = fixture.keys.patch(&id, rename, Some(1)).await;
    assert!(matches!(stale, Err(KeyError::VersionMismatch { current: 2 })));

    for reasoning in KeyReasoning::ALL.map(Some).into_iter().chain([None]) {
        let patch = KeyPatch { reasoning: Some(reasoning), ..KeyPatch::default() };
        let patched = fixture.keys.patch(&id, patch, None).await.unwrap();
        assert_eq!(patched.reasoning, reasoning);
        assert_eq!(fixture.restarted().await.get(&id).unwrap(), patched);
    }
}

#[tokio::test]
async fn a_deleted_key_is_gone() {
    let fixture = Fixture::new().await;
    let NewKey { key, secret } = fixture.key("laptop").await;
    fixture.keys.touch(&opened(&fixture.keys, &secret));
    fixture.keys.delete(&key.id, None).await.unwrap();

    assert!(matches!(fixture.keys.verify(&secret), Verified::Unknown));
    assert!(fixture.keys.get(&key.id).is_none());
    assert!(matches!(fixture.keys.delete(&key.id, None).await, Err(KeyError::NotFound)));
    assert!(matches!(fixture.keys.patch(&key.id, KeyPatch::default(), None).await, Err(KeyError::NotFound)));
    fixture.keys.flush_usage().await.unwrap();
    assert_eq!(fixture.restarted().await.len(), 0);
}

#[tokio::test]
async fn the_last_use_is_seen_at_once_and_survives_a_restart_after_a_flush() {
    let fixture = Fixture::new().await;
    let NewKey { key, secret } = fixture.key("laptop").await;
    assert_eq!(key.last_used_at, None);

    fixture.clock.advance(Duration::from_secs(1));
    let opened = opened(&fixture.keys, &secret);
    fixture.keys.touch(&opened);
    opened.meter.touch(5);
    let rename = KeyPatch { name: Some("phone".to_owned()), ..KeyPatch::default() };
    assert_eq!(fixture.keys.patch(&key.id, rename, None).await.unwrap().last_used_at, Some(1_001_000));
    assert_eq!(fixture.restarted().await.get(&key.id).unwrap().last_used_at, None, "not written yet");

    fixture.keys.flush_usage().await.unwrap();
    assert_eq!(fixture.restarted().await.get(&key.id).unwrap().last_used_at, Some(1_001_000));
}

#[tokio::test]
async fn uses_that_could_not_be_stored_are_kept_for_the_next_time() {
    let fixture = Fixture::new().await;
    let NewKey { key, secret } = fixture.key("laptop").await;
    fixture.keys.touch(&opened(&fixture.keys, &secret));
    fixture.keys.shared.store.close().await;

    assert!(fixture.keys.flush_usage().await.is_err());

    let uses = fixture.keys.take_uses();
    assert_eq!((uses.len(), &uses[0].id, uses[0].last_used_at), (1, &key.id, 1_000_000));
    assert!(fixture.keys.take_uses().is_empty());
}

#[tokio::test]
async fn a_key_opens_until_its_time_is_over() {
    let fixture = Fixture::new().await;
    let terms = KeyTerms { expires_at: Some(1_060_000), ..KeyTerms::default() };
    let NewKey { key, secret } = fixture.keys.create("guest", 1, &terms).await.unwrap().remove(0);
    fixture.clock.advance(Duration::from_millis(59_999));
    opened(&fixture.keys, &secret);
    fixture.clock.advance(Duration::from_millis(1));
    assert!(matches!(fixture.keys.verify(&secret), Verified::Expired));
    assert_eq!(fixture.keys.get(&key.id).unwrap().state, KeyState::Expired);

    let over = KeyPatch { expires_at: Some(Some(1_060_000 - 1)), ..KeyPatch::default() };
    assert!(
        matches!(fixture.keys.patch(&key.id, over, None).await, Err(KeyError::Invalid(error)) if error.path == "/expires_at")
    );
    // A form that sends back what it was shown must not fail over an end that has passed.
    let same = KeyPatch { expires_at: Some(Some(1_060_000)), name: Some("old".to_owned()), ..KeyPatch::default() };
    assert_eq!(fixture.keys.patch(&key.id, same, None).await.unwrap().name, "old");
    let never = KeyPatch { expires_at: Some(None), ..KeyPatch::default() };
    fixture.keys.patch(&key.id, never, None).await.unwrap();
    opened(&fixture.keys, &secret);
}

#[tokio::test]
async fn a_rotated_key_takes_both_secrets_for_a_while() {
    let fixture = Fixture::new().await;
    let first = fixture.key("laptop").await;
    let second = fixture.keys.rotate(&first.key.id, 60, Some(1)).await.unwrap();
    assert_eq!((&second.key.id, second.key.version, second.key.previous_until), (&first.key.id, 2, Some(1_060_000)));
    assert_ne!(second.secret, first.secret);
    for keys in [&fixture.keys, &fixture.restarted().await] {
        for secret in [&first.secret, &second.secret] {
            assert_eq!(opened(keys, secret).id, first.key.id);
        }
    }
    fixture.clock.advance(Duration::from_secs(60));
    assert!(matches!(fixture.keys.verify(&first.secret), Verified::Replaced));
    opened(&fixture.keys, &second.secret);

    let third = fixture.keys.rotate(&first.key.id, 0, None).await.unwrap();
    assert!(matches!(fixture.keys.verify(&first.secret), Verified::Unknown), "of old secrets one is kept");
    assert!(matches!(fixture.keys.verify(&second.secret), Verified::Replaced), "no grace");
    opened(&fixture.keys, &third.secret);
    assert!(fixture.keys.rotate(&first.key.id, 30 * 86_400 + 1, None).await.is_err());
    assert!(matches!(
        fixture.keys.rotate(&first.key.id, 0, Some(1)).await,
        Err(KeyError::VersionMismatch { current: 3 })
    ));
}

#[tokio::test]
async fn limits_are_exact_for_many_threads_at_once() {
    let fixture = Fixture::new().await;
    let limits = KeyLimits { requests_per_minute: Some(500), requests_per_day: Some(700), concurrent_requests: None };
    let secret = fixture.limited(limits).await.secret;
    let admitted_by_all = || {
        let keys = &fixture.keys;
        let secret = &secret;
        std::thread::scope(|scope| {
            let thread = || (0..20).filter(|_| keys.admit(&opened(keys, secret)).is_ok()).count();
            let threads: Vec<_> = (0..64).map(|_| scope.spawn(thread)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
        })
    };
    assert_eq!(admitted_by_all(), 500);
    fixture.clock.advance(Duration::from_secs(59));
    assert_eq!(admitted_by_all(), 0);
    fixture.clock.advance(Duration::from_secs(1));
    assert_eq!(admitted_by_all(), 200, "the rest of the day");
    fixture.clock.advance(Duration::from_secs(60));
    let refused = fixture.keys.admit(&opened(&fixture.keys, &secret)).unwrap_err();
    assert_eq!((refused.kind, refused.limit), (LimitKind::Day, 700));
    assert_eq!(refused.wait_ms, 86_400_000 - 1_120_000, "midnight");
    assert_eq!(fixture.keys.list(&KeyQuery { states: vec![KeyState::Exhausted], ..all() }).total, 1);

    fixture.clock.advance(Duration::from_millis(u64::try_from(refused.wait_ms).unwrap()));
    assert_eq!(admitted_by_all(), 500);
}

#[tokio::test]
async fn a_place_is_free_again_when_its_request_ends() {
    let fixture = Fixture::new().await;
    let limits = KeyLimits { concurrent_requests: Some(2), requests_per_minute: Some(9), ..KeyLimits::default() };
    let NewKey { key, secret } = fixture.limited(limits).await;
    let opened = opened(&fixture.keys, &secret);
    let first = fixture.keys.admit(&opened).unwrap();
    let second = fixture.keys.admit(&opened).unwrap();
    assert_eq!(fixture.keys.admit(&opened).unwrap_err().kind, LimitKind::Concurrent);
    assert_eq!(fixture.keys.get(&key.id).unwrap().in_flight, 2);

    // An edit in between takes nothing from what is counted.
    let one = KeyPatch { concurrent_requests: Some(Some(1)), ..KeyPatch::default() };
    fixture.keys.patch(&key.id, one, None).await.unwrap();
    drop(first);
    let Verified::Ok(edited) = fixture.keys.verify(&secret) else { panic!() };
    assert!(fixture.keys.admit(&edited).is_err());
    drop(second);
    let third = fixture.keys.admit(&edited).unwrap();
    assert_eq!(third.rate, Some(Rate { limit: 9, remaining: 6, reset_ms: 60_000 }), "what was refused does not count");
    drop(third);
    assert_eq!(fixture.keys.get(&key.id).unwrap().in_flight, 0);
}

#[tokio::test]
async fn the_requests_of_the_day_survive_a_restart_without_a_flush() {
    let fixture = Fixture::new().await;
    let limits = KeyLimits { requests_per_day: Some(5), ..KeyLimits::default() };
    let NewKey { key, secret } = fixture.limited(limits).await;
    for _ in 0..3 {
        drop(fixture.keys.admit(&opened(&fixture.keys, &secret)).unwrap());
    }
    let stored = async || fixture.restarted().await.get(&key.id).unwrap().requests_today == 3;
    for _ in 0..500 {
        if stored().await {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let restarted = fixture.restarted().await;
    let admitted = (0..9).filter(|_| restarted.admit(&opened(&restarted, &secret)).is_ok()).count();
    assert_eq!(admitted, 2);
    assert_eq!(restarted.get(&key.id).unwrap().requests_total, 5);
    fixture.clock.advance(Duration::from_secs(86_400));
    assert_eq!(restarted.get(&key.id).unwrap().requests_today, 0, "another day");
}

#[tokio::test]
async fn limits_and_models_that_mean_nothing_are_refused() {
    let fixture = Fixture::new().await;
    let refused = async |terms: KeyTerms| match fixture.keys.create("x", 1, &terms).await {
        Err(KeyError::Invalid(error)) => error.path,
        other => panic!("{:?}", other.map(|_| "made")),
    };
    let limits = |limits| KeyTerms { limits, ..KeyTerms::default() };
    let models = |models: &[&str]| {
        let models = Some(models.iter().map(|model| (*model).to_owned()).collect());
        KeyTerms { models, ..KeyTerms::default() }
    };
    for limit in [0, 1_000_001] {
        let of = |limit| Some(limit);
        let minute = KeyLimits { requests_per_minute: of(limit), ..KeyLimits::default() };
        let day = KeyLimits { requests_per_day: of(limit), ..KeyLimits::default() };
        let concurrent = KeyLimits { concurrent_requests: of(limit), ..KeyLimits::default() };
        assert_eq!(refused(limits(minute)).await, "/requests_per_minute");
        assert_eq!(refused(limits(day)).await, "/requests_per_day");
        assert_eq!(refused(limits(concurrent)).await, "/concurrent_requests");
    }
    assert_eq!(refused(models(&[])).await, "/models");
    assert_eq!(refused(models(&["grok-3", " "])).await, "/models/1");
    assert_eq!(refused(models(&["a\nb"])).await, "/models/0");
    assert_eq!(fixture.keys.len(), 0);

    let NewKey { key, secret } = fixture.keys.create("x", 1, &models(&[" grok-3 ", "GROK-3"])).await.unwrap().remove(0);
    assert_eq!(key.models, Some(vec!["grok-3".to_owned()]));
    let restarted = fixture.restarted().await;
    let opened = opened(&restarted, &secret);
    assert!(opened.allows("Grok-3 ") && !opened.allows("grok-3-mini") && !opened.allows(""));
}

#[tokio::test]
async fn a_list_is_filtered_ordered_and_cut() {
    let fixture = Fixture::new().await;
    let made = fixture.keys.create("user", 5, &KeyTerms::default()).await.unwrap();
    fixture.keys.create("Admin {n}", 1, &KeyTerms::default()).await.unwrap();
    for _ in 0..2 {
        drop(fixture.keys.admit(&opened(&fixture.keys, &made[2].secret)).unwrap());
    }
    drop(fixture.keys.admit(&opened(&fixture.keys, &made[4].secret)).unwrap());
    let off = KeyPatch { enabled: Some(false), ..KeyPatch::default() };
    fixture.keys.patch(&made[1].key.id, off, None).await.unwrap();
    let list = |query: KeyQuery| names(&fixture.keys, &query);

    assert_eq!(list(KeyQuery { limit: 2, offset: 1, ..all() }), ["user-2", "user-3"]);
    assert_eq!(list(KeyQuery { limit: 2, is_descending: true, ..all() }), ["Admin 1", "user-5"]);
    assert_eq!(list(KeyQuery { order: KeyOrder::Name, limit: 2, ..all() }), ["Admin 1", "user-1"]);
    let most_used = KeyQuery { order: KeyOrder::RequestsToday, is_descending: true, limit: 2, ..all() };
    assert_eq!(list(most_used), ["user-3", "user-5"]);
    assert_eq!(list(KeyQuery { states: vec![KeyState::Disabled], ..all() }), ["user-2"]);
    assert_eq!(list(KeyQuery { q: Some("ADM".to_owned()), ..all() }), ["Admin 1"]);
    assert_eq!(list(KeyQuery { q: Some(made[3].key.id.clone()), ..all() }), ["user-4"]);
    assert_eq!(list(KeyQuery { after: Some(made[3].key.id.clone()), ..all() }), ["user-5", "Admin 1"]);
    let beyond = fixture.keys.list(&KeyQuery { offset: 99, ..all() });
    assert_eq!((beyond.items.len(), beyond.total), (0, 6));
    let beyond = fixture.keys.list(&KeyQuery { offset: 99, order: KeyOrder::Name, ..all() });
    assert_eq!((beyond.items.len(), beyond.total), (0, 6));
}
