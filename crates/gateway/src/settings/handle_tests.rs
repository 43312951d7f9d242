//! Reading, changing and watching the file, as an operator meets it.

use std::time::Duration;

use serde_json::json;

use super::*;

struct Fixture {
    directory: tempfile::TempDir,
    settings: SettingsHandle,
}

impl Fixture {
    fn new() -> Self {
        Self::with_file(None)
    }

    fn with_file(text: Option<&str>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        if let Some(text) = text {
            fs::write(&path, text).unwrap();
        }
        let settings = SettingsHandle::open(&path, Clock::manual(0)).unwrap();
        Self { directory, settings }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("config.json")
    }

    fn edit(&self, text: &str) {
        fs::write(self.path(), text).unwrap();
        self.settings.poll();
    }

    fn file(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.path()).unwrap()).unwrap()
    }
}

fn invalid_paths(result: Result<Arc<Settings>, SettingsError>) -> Vec<String> {
    match result {
        Err(SettingsError::Invalid { fields }) => fields.into_iter().map(|field| field.path).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_first_start_writes_a_file_that_shows_every_setting() {
    let fixture = Fixture::new();
    let file = fixture.file();
    assert_eq!(file["request_timeout"], 120);
    assert_eq!(file["conversation_ttl"], 72_000);
    assert_eq!(file.get("user_agent"), None, "follows the releases of the program");
    assert_eq!(*fixture.settings.current(), Settings::default());
}

#[cfg(unix)]
#[test]
fn the_file_is_readable_by_its_owner_only_whoever_wrote_it() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |fixture: &Fixture| fs::metadata(fixture.path()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&Fixture::new()), 0o600);

    let fixture = Fixture::with_file(Some("{}"));
    assert_eq!(mode(&fixture), 0o600, "written before the first start");

    fs::set_permissions(fixture.path(), fs::Permissions::from_mode(0o644)).unwrap();
    fixture.edit(r#"{"max_attempts": 2}"#);
    assert_eq!(mode(&fixture), 0o600, "left open by an editor");
}

#[test]
fn a_file_written_before_the_first_start_is_honoured_and_left_alone() {
    let text = r#"{"request_timeout":30,"mine":{"a":1}}"#;
    let fixture = Fixture::with_file(Some(text));
    assert_eq!(fixture.settings.current().request_timeout, 30);
    assert_eq!(fs::read_to_string(fixture.path()).unwrap(), text);
}

#[test]
fn a_bad_file_at_the_start_is_an_error_that_names_path_and_place_and_stays_as_it_is() {
    for (text, expected) in
        [(r#"{"request_timeout": 0}"#, "/request_timeout"), ("{\n\"a\": ,}", "line 2"), ("[]", "object")]
    {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        fs::write(&path, text).unwrap();

        let error = SettingsHandle::open(&path, Clock::manual(0)).unwrap_err().to_string();

        assert!(error.contains("config.json") && error.contains(expected), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn a_patch_takes_effect_at_once_and_survives_a_restart() {
    let fixture = Fixture::new();
    let before = fixture.settings.version();
    let mut versions = fixture.settings.subscribe();

    fixture
        .settings
        .patch(&json!({ "request_timeout": 60, "trusted_proxies": ["10.0.0.0/8"] }), Some(&before))
        .unwrap();

    assert_eq!(fixture.settings.current().request_timeout, 60);
    assert_ne!(fixture.settings.version(), before);
    assert!(versions.has_changed().unwrap());
    assert_eq!(*versions.borrow_and_update(), fixture.settings.version());
    let again = SettingsHandle::open(&fixture.path(), Clock::manual(0)).unwrap();
    assert_eq!(again.current(), fixture.settings.current());
}

#[test]
fn a_stale_version_changes_nothing() {
    let fixture = Fixture::new();
    let stale = fixture.settings.version();
    fixture.settings.patch(&json!({ "max_attempts": 2 }), None).unwrap();

    let result = fixture.settings.patch(&json!({ "max_attempts": 1 }), Some(&stale));

    assert!(matches!(result, Err(SettingsError::VersionMismatch { current }) if current == fixture.settings.version()));
    assert_eq!(fixture.settings.current().max_attempts, 2);
}

#[test]
fn a_bad_patch_is_refused_as_a_whole_with_all_its_paths() {
    let fixture = Fixture::new();
    let before = fs::read(fixture.path()).unwrap();

    let result =
        fixture.settings.patch(&json!({ "max_attempts": 9, "request_timeout": "soon", "show_search": false }), None);
    assert_eq!(invalid_paths(result), ["/max_attempts", "/request_timeout"]);
    assert_eq!(invalid_paths(fixture.settings.patch(&json!({ "request_timeuot": 5 }), None)), ["/request_timeuot"]);
    assert_eq!(invalid_paths(fixture.settings.patch(&json!({ "stream_timeout": 60 }), None)), ["/stream_timeout"]);
    assert_eq!(invalid_paths(fixture.settings.patch(&json!([]), None)), [""]);

    assert!(fixture.settings.current().show_search);
    assert_eq!(fs::read(fixture.path()).unwrap(), before);
}

#[test]
fn unknown_names_in_the_file_are_kept_when_it_is_written() {
    let fixture = Fixture::with_file(Some(r#"{"from_tomorrow": [1, 2], "max_attempts": 2}"#));
    fixture.settings.patch(&json!({ "max_attempts": 1 }), None).unwrap();
    assert_eq!(fixture.file(), json!({ "from_tomorrow": [1, 2], "max_attempts": 1 }));
    assert!(!fixture.settings.shown().0.contains_key("from_tomorrow"));
}

#[test]
fn a_hand_edit_is_taken_at_the_next_look() {
    let fixture = Fixture::new();
    fixture.edit(r#"{"max_attempts": 2}"#);
    assert_eq!(fixture.settings.current().max_attempts, 2);
    assert!(!fixture.settings.subscribe().borrow().is_empty());
}

#[test]
fn a_bad_hand_edit_is_refused_and_neither_used_nor_overwritten() {
    let fixture = Fixture::new();
    fixture.edit(r#"{"max_attempts": 2}"#);
    fixture.edit(r#"{"max_attempts": 77}"#);
    assert_eq!(fixture.settings.current().max_attempts, 2, "the last good snapshot");

    let error = fixture.settings.patch(&json!({ "show_search": false }), None).unwrap_err();
    assert!(matches!(&error, SettingsError::File { problem, .. } if problem.contains("/max_attempts")), "{error}");
    assert_eq!(fixture.file(), json!({ "max_attempts": 77 }), "the operator's text is still there to be corrected");

    fixture.edit(r#"{"max_attempts": 1}"#);
    assert_eq!(fixture.settings.current().max_attempts, 1);
    fixture.settings.patch(&json!({ "show_search": false }), None).unwrap();
}

#[test]
fn a_hand_edit_and_a_patch_are_both_kept() {
    let fixture = Fixture::new();
    let seen = fixture.settings.version();
    fs::write(fixture.path(), r#"{"max_attempts": 2}"#).unwrap();

    let stale = fixture.settings.patch(&json!({ "show_search": false }), Some(&seen));
    assert!(matches!(stale, Err(SettingsError::VersionMismatch { .. })), "the caller has not seen the edit");

    fixture.settings.patch(&json!({ "show_search": false }), None).unwrap();
    assert_eq!(fixture.file(), json!({ "max_attempts": 2, "show_search": false }));
}

#[test]
fn a_deleted_file_changes_nothing_and_is_written_at_the_next_change() {
    let fixture = Fixture::with_file(Some(r#"{"max_attempts": 2}"#));
    fs::remove_file(fixture.path()).unwrap();
    fixture.settings.poll();
    assert_eq!(fixture.settings.current().max_attempts, 2);

    fixture.settings.patch(&json!({ "show_search": false }), None).unwrap();
    assert_eq!(fixture.file(), json!({ "max_attempts": 2, "show_search": false }));
}

#[test]
fn a_file_that_looks_the_same_is_read_again_only_while_it_is_fresh() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.json");
    fs::write(&path, r#"{"max_attempts": 1}"#).unwrap();
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    let same_look = |text: &str| {
        fs::write(&path, text).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    };
    let clock = Clock::manual(Stamp::of(&path).unwrap().modified_ms);
    let settings = SettingsHandle::open(&path, clock.clone()).unwrap();

    same_look(r#"{"max_attempts": 2}"#);
    settings.poll();
    assert_eq!(settings.current().max_attempts, 2, "fresh: the contents decide");

    clock.advance(Duration::from_secs(60));
    same_look(r#"{"max_attempts": 3}"#);
    settings.poll();
    assert_eq!(settings.current().max_attempts, 2, "old: length and time decide");
}

#[test]
fn reset_gives_back_defaults() {
    let fixture = Fixture::with_file(Some(r#"{"max_attempts": 1, "show_search": false}"#));
    let result = fixture.settings.reset(&["max_attempts".to_owned(), "nonsense".to_owned()], None);
    assert_eq!(invalid_paths(result), ["/keys/1"]);

    fixture.settings.reset(&["max_attempts".to_owned()], None).unwrap();
    assert_eq!(fixture.settings.current().max_attempts, 3);
    assert_eq!(fixture.file(), json!({ "show_search": false }));
}

#[test]
fn secrets_are_shown_masked_and_the_mask_changes_nothing() {
    let fixture = Fixture::new();
    let secrets = json!({ "proxy_url": "http://me:hunter2@proxy:3128", "clearance_cookies": "cf_clearance=hunter3" });
    fixture.settings.patch(&secrets, None).unwrap();
    let (shown, version) = fixture.settings.shown();
    assert!(!serde_json::to_string(&shown).unwrap().contains("hunter"));

    fixture.settings.patch(&Value::Object(shown), Some(&version)).unwrap();

    let current = fixture.settings.current();
    assert_eq!(
        (current.proxy_url.as_str(), current.clearance_cookies.as_str()),
        ("http://me:hunter2@proxy:3128", "cf_clearance=hunter3")
    );
}

#[test]
fn a_change_that_cannot_be_written_is_not_in_force() {
    let fixture = Fixture::new();
    // A directory in the place of the file makes the write fail whoever runs the test.
    fs::remove_file(fixture.path()).unwrap();
    let gone = fixture.directory.path().to_owned();
    fs::remove_dir_all(&gone).unwrap();

    let result = fixture.settings.patch(&json!({ "max_attempts": 1 }), None);

    assert!(matches!(result, Err(SettingsError::Write { .. })), "{result:?}");
    assert_eq!(fixture.settings.current().max_attempts, 3);
}
