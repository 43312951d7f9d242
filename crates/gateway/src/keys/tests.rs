//! Keys as their owners and clients meet them.

use std::time::Duration;

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
    let store = Store::open(directory.path(), None).await.unwrap();
    ApiKeys::load(store, clock.clone()).await.unwrap()
}

fn ids(keys: &ApiKeys) -> Vec<String> {
    keys.list().into_iter().map(|key| key.name).collect()
}

#[tokio::test]
async fn a_new_key_opens_and_still_does_after_a_restart() {
    let fixture = Fixture::new().await;
    let made = fixture.keys.create("laptop", 1).await.unwrap();
    let NewKey { key, secret } = &made[0];
    assert_eq!((key.name.as_str(), secret.len()), ("laptop", 46));
    assert!(secret.starts_with("sk-") && key.id.starts_with("key_"));

    for keys in [fixture.keys.clone(), fixture.restarted().await] {
        let Verified::Ok(found) = keys.verify(secret) else { panic!("not recognised") };
        assert_eq!((&found.id, &found.name), (&key.id, &key.name));
        for wrong in ["", "sk-", &secret[1..], &secret[..45], &format!("{secret}x"), &secret.to_lowercase()] {
            assert_eq!(keys.verify(wrong), Verified::Unknown, "{wrong}");
        }
    }
}

#[tokio::test]
async fn a_secret_is_nowhere_in_what_is_shown_or_stored() {
    let fixture = Fixture::new().await;
    let secret = fixture.keys.create("laptop", 1).await.unwrap().remove(0).secret;
    let shown = format!("{:?}", fixture.keys.list());
    assert!(!shown.contains(&secret[3..]) && shown.contains(&format!("sk-…{}", &secret[42..])), "{shown}");
    for entry in std::fs::read_dir(fixture.directory.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(20).any(|window| window == &secret.as_bytes()[3..23]));
    }
}

#[tokio::test]
async fn a_batch_is_numbered_and_its_size_limited() {
    let fixture = Fixture::new().await;
    let made = fixture.keys.create(" team ", 3).await.unwrap();
    assert_eq!(made.iter().map(|new| new.key.name.as_str()).collect::<Vec<_>>(), ["team-1", "team-2", "team-3"]);
    assert_eq!(ids(&fixture.keys), ["team-1", "team-2", "team-3"], "listed in the order in which they were made");
    assert_eq!(fixture.keys.create("all", 500).await.unwrap().len(), 500);
    for count in [0, 501] {
        assert!(
            matches!(fixture.keys.create("x", count).await, Err(KeyError::Invalid(error)) if error.path == "/count")
        );
    }
    for name in ["", "  ", "a\nb", &"x".repeat(121)] {
        assert!(matches!(fixture.keys.create(name, 1).await, Err(KeyError::Invalid(error)) if error.path == "/name"));
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
    let NewKey { key, secret } = fixture.keys.create("laptop", 1).await.unwrap().remove(0);
    let switch = |enabled| KeyPatch { enabled: Some(enabled), ..KeyPatch::default() };

    fixture.keys.patch(&key.id, switch(false), None).await.unwrap();
    assert_eq!(fixture.keys.verify(&secret), Verified::Disabled);
    assert_eq!(fixture.restarted().await.verify(&secret), Verified::Disabled);

    fixture.keys.patch(&key.id, switch(true), None).await.unwrap();
    assert!(matches!(fixture.keys.verify(&secret), Verified::Ok(_)));
}

#[tokio::test]
async fn an_edit_changes_what_it_names_and_the_version_only_when_something_changed() {
    let fixture = Fixture::new().await;
    let id = fixture.keys.create("laptop", 1).await.unwrap().remove(0).key.id;
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
    let NewKey { key, secret } = fixture.keys.create("laptop", 1).await.unwrap().remove(0);
    fixture.keys.touch(&key.id, 5);
    fixture.keys.delete(&key.id).await.unwrap();

    assert_eq!(fixture.keys.verify(&secret), Verified::Unknown);
    assert!(fixture.keys.get(&key.id).is_none());
    assert!(matches!(fixture.keys.delete(&key.id).await, Err(KeyError::NotFound)));
    assert!(matches!(fixture.keys.patch(&key.id, KeyPatch::default(), None).await, Err(KeyError::NotFound)));
    fixture.keys.flush_usage().await.unwrap();
    assert_eq!(fixture.restarted().await.len(), 0);
}

#[tokio::test]
async fn the_last_use_is_seen_at_once_and_survives_a_restart_after_a_flush() {
    let fixture = Fixture::new().await;
    let id = fixture.keys.create("laptop", 1).await.unwrap().remove(0).key.id;
    assert_eq!(fixture.keys.get(&id).unwrap().last_used_at, None);

    fixture.clock.advance(Duration::from_secs(1));
    fixture.keys.touch(&id, fixture.clock.now_ms());
    fixture.keys.touch(&id, fixture.clock.now_ms() - 1);
    let rename = KeyPatch { name: Some("phone".to_owned()), ..KeyPatch::default() };
    assert_eq!(fixture.keys.patch(&id, rename, None).await.unwrap().last_used_at, Some(1_001_000));
    assert_eq!(fixture.restarted().await.get(&id).unwrap().last_used_at, None, "not written yet");

    fixture.keys.flush_usage().await.unwrap();
    assert_eq!(fixture.restarted().await.get(&id).unwrap().last_used_at, Some(1_001_000));
}

#[tokio::test]
async fn uses_that_could_not_be_stored_are_kept_for_the_next_time() {
    let fixture = Fixture::new().await;
    let id = fixture.keys.create("laptop", 1).await.unwrap().remove(0).key.id;
    fixture.keys.touch(&id, 1_234_567);
    fixture.keys.shared.store.close().await;

    assert!(fixture.keys.flush_usage().await.is_err());

    assert_eq!(fixture.keys.take_uses(), [(id, 1_234_567)]);
    assert!(fixture.keys.take_uses().is_empty());
}
