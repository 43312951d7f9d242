//! Signing in, staying signed in and claiming, as people meet them.

use super::*;

const PASSWORD: &str = "a long password";
const START: i64 = 1_700_000_000_000;

struct Fixture {
    directory: tempfile::TempDir,
    admins: Admins,
    clock: Clock,
}

impl Fixture {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Clock::manual(START);
        let admins = load(&directory, &clock).await;
        Self { directory, admins, clock }
    }

    async fn seeded() -> Self {
        let fixture = Self::new().await;
        assert!(fixture.admins.seed_admin("admin", PASSWORD).await.unwrap());
        fixture
    }

    async fn restarted(&self) -> Admins {
        load(&self.directory, &self.clock).await
    }

    async fn sign_in(&self, username: &str, password: &str) -> Result<NewSession, AdminsError> {
        self.sign_in_from("192.0.2.1", username, password).await
    }

    async fn sign_in_from(&self, address: &str, username: &str, password: &str) -> Result<NewSession, AdminsError> {
        let (username, password) = (username.to_owned(), password.to_owned());
        self.admins.sign_in(SignIn { username, password, remember: false, browser: browser(address) }).await
    }

    async fn sign_in_with(
        &self,
        device: &str,
        address: &str,
        username: &str,
        password: &str,
    ) -> Result<NewSession, AdminsError> {
        let (username, password) = (username.to_owned(), password.to_owned());
        let browser = Browser { device: Some(device.to_owned()), ..browser(address) };
        self.admins.sign_in(SignIn { username, password, remember: false, browser }).await
    }

    async fn claim(&self, code: &str, password: &str) -> Result<NewSession, AdminsError> {
        let (code, password) = (code.to_owned(), password.to_owned());
        self.admins.claim(Claim { code, username: "ada".to_owned(), password, browser: browser("192.0.2.9") }).await
    }

    fn minutes(&self, minutes: u64) {
        self.clock.advance(Duration::from_secs(minutes * 60));
    }
}

async fn load(directory: &tempfile::TempDir, clock: &Clock) -> Admins {
    let store = Store::open_beside(directory.path()).await.unwrap();
    let settings = SettingsHandle::open(&directory.path().join("config.json"), clock.clone()).unwrap();
    let cipher = Cipher::load_or_create(directory.path(), None).unwrap();
    Admins::load(store, settings, cipher, clock.clone(), directory.path().join("claim.hash")).await.unwrap()
}

fn browser(address: &str) -> Browser {
    Browser { address: address.parse().unwrap(), user_agent: Some("Firefox".to_owned()), device: None }
}

fn is_expired(admins: &Admins, token: &str) -> bool {
    admins.authenticate(token) == Err(SessionError::Expired)
}

#[tokio::test]
async fn the_right_password_opens_a_session_and_nothing_else_does() {
    let fixture = Fixture::seeded().await;
    for (username, password) in [("admin", "wrong"), ("admin", ""), ("Admin", PASSWORD), ("", "")] {
        let refused = fixture.sign_in(username, password).await.map(|_| ()).unwrap_err();
        assert_eq!(refused.to_string(), "the name or the password is wrong", "{username}");
    }
    let NewSession { token, session, .. } = fixture.sign_in("admin", PASSWORD).await.unwrap();
    assert_eq!(session.username, "admin");
    assert_eq!(fixture.admins.authenticate(&token).unwrap(), session);
    assert_eq!(
        fixture.admins.authenticate(&session.id_hash),
        Err(SessionError::Unknown),
        "the stored hash opens nothing"
    );
    assert_eq!(fixture.admins.authenticate(""), Err(SessionError::Unknown));
}

#[tokio::test]
async fn a_seed_never_replaces_an_admin() {
    let fixture = Fixture::seeded().await;
    assert!(!fixture.admins.seed_admin("admin", "another password").await.unwrap());
    assert!(!fixture.restarted().await.seed_admin("other", "another password").await.unwrap());
    assert!(fixture.sign_in("admin", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn an_empty_seed_is_refused() {
    let fixture = Fixture::new().await;
    assert!(matches!(fixture.admins.seed_admin("admin", "").await, Err(AdminsError::Invalid(_))));
    assert!(fixture.admins.claim_needed());
}

#[tokio::test]
async fn guessing_is_slowed_down_even_for_the_right_password() {
    let fixture = Fixture::seeded().await;
    for _ in 0..5 {
        assert!(matches!(fixture.sign_in("admin", "wrong").await, Err(AdminsError::WrongCredentials)));
    }
    assert!(matches!(fixture.sign_in("admin", PASSWORD).await, Err(AdminsError::Throttled { .. })));
    let other_name = fixture.sign_in("other", "wrong").await;
    assert!(matches!(other_name, Err(AdminsError::Throttled { .. })), "whoever it tries for");

    fixture.minutes(1);
    assert!(fixture.sign_in("admin", PASSWORD).await.is_ok());
    assert!(matches!(fixture.sign_in("admin", "wrong").await, Err(AdminsError::WrongCredentials)), "forgiven");
}

#[tokio::test]
async fn wrong_guesses_for_a_name_do_not_lock_its_owner_out() {
    let fixture = Fixture::seeded().await;
    for guess in 0..60 {
        let refused = fixture.sign_in_from("203.0.113.9", "admin", &format!("guess {guess}")).await;
        assert!(matches!(refused, Err(AdminsError::WrongCredentials | AdminsError::Throttled { .. })));
    }
    // At a place where the owner never was.
    let begun = std::time::Instant::now();
    assert!(fixture.sign_in_from("192.0.2.7", "admin", PASSWORD).await.is_ok());
    assert!(begun.elapsed() < Duration::from_secs(20), "after a few seconds at most: {:?}", begun.elapsed());
}

#[tokio::test]
async fn many_guessers_do_not_hold_up_whoever_signed_in_before() {
    let fixture = Fixture::seeded().await;
    let device = fixture.sign_in_from("192.0.2.1", "admin", PASSWORD).await.unwrap().device;
    let guesses = (0..200).map(|number| {
        let (fixture, address) = (&fixture, format!("10.0.{}.{}", number / 100, number % 100));
        async move { fixture.sign_in_from(&address, "admin", "wrong").await.map(|_| ()) }
    });
    let owner = async {
        // Somewhere in the middle of it, and the guesses wait seconds each.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let known = fixture.sign_in_from("192.0.2.1", "admin", PASSWORD).await;
        let elsewhere = fixture.sign_in_with(&device, "10.0.0.1", "admin", PASSWORD).await;
        assert!(known.is_ok() && elsewhere.is_ok());
        assert!(fixture.admins.shared.throttle.lock().unwrap().has_strangers(), "they are still waiting");
    };
    let (guesses, ()) = tokio::join!(futures_util::future::join_all(guesses), owner);
    assert!(guesses.iter().all(Result::is_err));
    assert!(!fixture.admins.shared.throttle.lock().unwrap().has_strangers());
}

#[tokio::test]
async fn a_browser_that_signed_in_before_is_not_locked_with_its_address() {
    let fixture = Fixture::seeded().await;
    let device = fixture.sign_in("admin", PASSWORD).await.unwrap().device;
    // All the world behind one address: a proxy that the settings do not name.
    let throttled = |result: &Result<NewSession, AdminsError>| matches!(result, Err(AdminsError::Throttled { .. }));
    for _ in 0..50 {
        assert!(fixture.sign_in("admin", "wrong").await.is_err());
    }
    assert!(throttled(&fixture.sign_in("admin", PASSWORD).await));
    let again = fixture.sign_in_with(&device, "192.0.2.1", "admin", PASSWORD).await.unwrap();
    assert_eq!(again.device, device, "it keeps its name");
    assert!(throttled(&fixture.sign_in("admin", PASSWORD).await), "who guesses at its address gains nothing by it");
    for _ in 0..50 {
        assert!(fixture.sign_in("admin", "wrong").await.is_err());
    }
    let restarted = fixture.restarted().await;
    let browser = Browser { device: Some(device.clone()), ..browser("192.0.2.1") };
    let sign_in = SignIn { username: "admin".to_owned(), password: PASSWORD.to_owned(), remember: false, browser };
    assert!(restarted.sign_in(sign_in).await.is_ok(), "it outlives a restart");
    // It answers for itself, and is nobody else's.
    for _ in 0..5 {
        assert!(!throttled(&fixture.sign_in_with(&device, "192.0.2.9", "admin", "wrong").await));
    }
    assert!(throttled(&fixture.sign_in_with(&device, "192.0.2.9", "admin", PASSWORD).await));
    for forged in ["", "x", &device[1..], &format!("{device}x"), &"x".repeat(4_000)] {
        assert!(throttled(&fixture.sign_in_with(forged, "192.0.2.1", "admin", PASSWORD).await), "{forged}");
    }
    assert!(throttled(&fixture.sign_in_with(&device, "192.0.2.1", "other", PASSWORD).await), "another's name");
}

#[tokio::test]
async fn an_address_stays_known_over_a_restart() {
    let mut fixture = Fixture::seeded().await;
    fixture.sign_in_from("2001:db8::1", "admin", PASSWORD).await.unwrap();
    let trail = Trail::new(
        fixture.admins.shared.store.clone(),
        crate::events::Events::new(&fixture.clock),
        fixture.clock.clone(),
    );
    let address = Some("2001:db8::1".parse().unwrap());
    let actor = Actor { kind: ActorKind::Session, name: "admin".to_owned(), address, request_id: None };
    trail.record(&actor, Change::new("session.create", "ses_1")).await;
    fixture.admins = fixture.restarted().await;
    for _ in 0..10 {
        let _ = fixture.sign_in_from("2001:db8::2", "admin", "wrong").await;
    }
    fixture.minutes(1);
    assert!(fixture.sign_in_from("2001:db8::3", "admin", PASSWORD).await.is_ok(), "a minute at most, not two");
}

#[tokio::test]
async fn tries_at_the_same_time_are_not_free() {
    let fixture = Fixture::seeded().await;
    let tries = (0..20).map(|_| fixture.sign_in("admin", "wrong"));
    let results = futures_util::future::join_all(tries).await;
    let checked = results.iter().filter(|result| matches!(result, Err(AdminsError::WrongCredentials))).count();
    assert_eq!(checked, 5);
}

#[tokio::test]
async fn a_session_ends_when_idle_and_lives_on_when_used() {
    let fixture = Fixture::seeded().await;
    let token = fixture.sign_in("admin", PASSWORD).await.unwrap().token;
    for _ in 0..3 {
        fixture.minutes(29);
        assert!(fixture.admins.authenticate(&token).is_ok());
    }
    fixture.minutes(30);
    assert!(is_expired(&fixture.admins, &token));
    assert_eq!(fixture.admins.authenticate(&token), Err(SessionError::Unknown), "and is forgotten");
}

#[tokio::test]
async fn the_idle_time_is_a_setting() {
    let fixture = Fixture::seeded().await;
    let token = fixture.sign_in("admin", PASSWORD).await.unwrap().token;
    fixture.admins.shared.settings.patch(&json!({ "session_idle_minutes": 5 }), None).unwrap();
    fixture.minutes(5);
    assert!(is_expired(&fixture.admins, &token));
}

#[tokio::test]
async fn a_session_in_constant_use_ends_after_twelve_hours() {
    let fixture = Fixture::seeded().await;
    let token = fixture.sign_in("admin", PASSWORD).await.unwrap().token;
    for _ in 0..47 {
        fixture.minutes(15);
        assert!(fixture.admins.authenticate(&token).is_ok());
    }
    fixture.minutes(15);
    assert!(is_expired(&fixture.admins, &token));
}

#[tokio::test]
async fn a_remembered_device_may_idle_for_thirty_days() {
    let fixture = Fixture::seeded().await;
    let (username, password) = ("admin".to_owned(), PASSWORD.to_owned());
    let sign_in = SignIn { username, password, remember: true, browser: browser("::1") };
    let token = fixture.admins.sign_in(sign_in).await.unwrap().token;
    fixture.minutes(30 * 24 * 60 - 1);
    assert!(fixture.admins.authenticate(&token).is_ok());
    fixture.minutes(1);
    assert!(is_expired(&fixture.admins, &token));
}

#[tokio::test]
async fn sessions_survive_a_restart_with_the_time_of_their_last_use() {
    let fixture = Fixture::seeded().await;
    let token = fixture.sign_in("admin", PASSWORD).await.unwrap().token;
    fixture.minutes(20);
    fixture.admins.authenticate(&token).unwrap();
    fixture.admins.flush().await.unwrap();
    fixture.minutes(20);
    assert!(fixture.restarted().await.authenticate(&token).is_ok());
}

#[tokio::test]
async fn ended_sessions_stay_ended_after_a_restart() {
    let fixture = Fixture::seeded().await;
    let NewSession { token: out, session, .. } = fixture.sign_in("admin", PASSWORD).await.unwrap();
    let idle = fixture.sign_in("admin", PASSWORD).await.unwrap().token;
    fixture.admins.sign_out(&session).await.unwrap();
    assert_eq!(fixture.admins.authenticate(&out), Err(SessionError::Unknown));
    assert_eq!(fixture.restarted().await.authenticate(&out), Err(SessionError::Unknown));

    fixture.minutes(31);
    fixture.admins.flush().await.unwrap();
    assert_eq!(fixture.restarted().await.authenticate(&idle), Err(SessionError::Unknown));
    assert!(fixture.admins.shared.store.admin_sessions().await.unwrap().is_empty());
}

#[tokio::test]
async fn too_many_sessions_push_out_the_one_used_longest_ago() {
    let fixture = Fixture::seeded().await;
    let hash = fixture.admins.state().admins["admin"].clone();
    let open = || async { fixture.admins.open_session("admin", &hash, false, browser("::1")).await.unwrap().token };
    let first = open().await;
    fixture.clock.advance(Duration::from_secs(1));
    let second = open().await;
    fixture.clock.advance(Duration::from_secs(1));
    fixture.admins.authenticate(&first).unwrap();
    for _ in 0..99 {
        open().await;
    }
    assert_eq!(fixture.admins.authenticate(&second), Err(SessionError::Unknown));
    assert!(fixture.admins.authenticate(&first).is_ok());
    fixture.admins.flush().await.unwrap();
    assert_eq!(fixture.admins.shared.store.admin_sessions().await.unwrap().len(), 100);
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions() {
    let fixture = Fixture::seeded().await;
    let NewSession { token, session, .. } = fixture.sign_in("admin", PASSWORD).await.unwrap();
    let other = fixture.sign_in("admin", PASSWORD).await.unwrap().token;
    let address = "192.0.2.1".parse().unwrap();

    let wrong = fixture.admins.change_password(&session, "wrong", "a new password", address).await;
    assert!(matches!(wrong, Err(AdminsError::WrongCredentials)));
    for bad in ["short", "123456789", &"x".repeat(1025)] {
        let refused = fixture.admins.change_password(&session, PASSWORD, bad, address).await;
        assert!(matches!(refused, Err(AdminsError::Invalid(error)) if error.path == "/new"), "{bad}");
    }
    fixture.admins.change_password(&session, PASSWORD, "a new password", address).await.unwrap();

    for admins in [fixture.admins.clone(), fixture.restarted().await] {
        assert!(admins.authenticate(&token).is_ok());
        assert_eq!(admins.authenticate(&other), Err(SessionError::Unknown));
    }
    assert!(fixture.sign_in("admin", PASSWORD).await.is_err());
    assert!(fixture.sign_in("admin", "a new password").await.is_ok());
}

#[tokio::test]
async fn of_two_changes_of_one_password_one_is_made() {
    for round in 0..5 {
        let fixture = Fixture::seeded().await;
        let (one, two) =
            (fixture.sign_in("admin", PASSWORD).await.unwrap(), fixture.sign_in("admin", PASSWORD).await.unwrap());
        // From two browsers, or twice from one.
        let second = if round % 2 == 0 { &one.session } else { &two.session };
        let address = "192.0.2.1".parse().unwrap();
        let (first, other) = tokio::join!(
            fixture.admins.change_password(&one.session, PASSWORD, "the first password", address),
            fixture.admins.change_password(second, PASSWORD, "the other password", address),
        );
        assert!(first.is_ok() != other.is_ok(), "{first:?} {other:?}");
        let refused = first.as_ref().err().or(other.as_ref().err());
        assert!(matches!(refused, Some(AdminsError::WrongCredentials)));
        let (made, lost) = if first.is_ok() {
            ("the first password", "the other password")
        } else {
            ("the other password", "the first password")
        };
        for admins in [fixture.admins.clone(), fixture.restarted().await] {
            let sign_in = |password: &str| SignIn {
                username: "admin".to_owned(),
                password: password.to_owned(),
                remember: false,
                browser: browser("192.0.2.1"),
            };
            assert!(admins.sign_in(sign_in(made)).await.is_ok());
            assert!(admins.sign_in(sign_in(lost)).await.is_err());
        }
    }
}

#[tokio::test]
async fn a_session_with_the_old_password_does_not_slip_past_its_change() {
    let fixture = Fixture::seeded().await;
    let own = fixture.sign_in("admin", PASSWORD).await.unwrap();
    // Checked before the change, opened after it.
    let old = fixture.admins.state().admins["admin"].clone();
    let address = "192.0.2.1".parse().unwrap();
    fixture.admins.change_password(&own.session, PASSWORD, "a new password", address).await.unwrap();
    let late = fixture.admins.open_session("admin", &old, false, browser("192.0.2.1")).await;
    assert!(matches!(late, Err(AdminsError::WrongCredentials)));
    assert_eq!(fixture.admins.sessions().len(), 1);
    assert_eq!(fixture.admins.shared.store.admin_sessions().await.unwrap().len(), 1);
}

#[tokio::test]
async fn whoever_has_the_code_claims_the_gateway_once() {
    let fixture = Fixture::new().await;
    let ClaimCode::New(code) = fixture.admins.prepare_claim().unwrap() else { panic!("no code") };
    assert!(matches!(fixture.claim("0000-0000", PASSWORD).await, Err(AdminsError::WrongCode)));
    assert!(
        matches!(fixture.claim(&code, "too short").await, Err(AdminsError::Invalid(error)) if error.path == "/password")
    );

    let token = fixture.claim(&code.to_lowercase(), PASSWORD).await.unwrap().token;

    assert_eq!(fixture.admins.authenticate(&token).unwrap().username, "ada");
    assert!(fixture.sign_in("ada", PASSWORD).await.is_ok());
    assert!(matches!(fixture.claim(&code, PASSWORD).await, Err(AdminsError::ClaimClosed)));
    assert!(!fixture.directory.path().join("claim.hash").exists());
    assert_eq!(fixture.restarted().await.prepare_claim().unwrap(), ClaimCode::NotNeeded);
}

#[tokio::test]
async fn the_code_is_given_once_and_works_after_a_restart() {
    let mut fixture = Fixture::new().await;
    let ClaimCode::New(code) = fixture.admins.prepare_claim().unwrap() else { panic!("no code") };
    let kept = std::fs::read_to_string(fixture.directory.path().join("claim.hash")).unwrap();
    assert!(!kept.contains(&code[..4]), "only a hash is kept");

    fixture.admins = fixture.restarted().await;
    assert_eq!(fixture.admins.prepare_claim().unwrap(), ClaimCode::Printed);
    assert!(fixture.claim(&code, PASSWORD).await.is_ok());
}

#[tokio::test]
async fn nobody_claims_before_a_code_was_made_and_an_empty_code_is_none() {
    let fixture = Fixture::new().await;
    assert!(matches!(fixture.claim("", PASSWORD).await, Err(AdminsError::WrongCode)));
    std::fs::write(fixture.directory.path().join("claim.hash"), "").unwrap();
    fixture.admins.prepare_claim().unwrap();
    assert!(matches!(fixture.claim("", PASSWORD).await, Err(AdminsError::WrongCode)));
}

#[tokio::test]
async fn guessing_the_code_is_slowed_down() {
    let fixture = Fixture::new().await;
    let ClaimCode::New(code) = fixture.admins.prepare_claim().unwrap() else { panic!("no code") };
    for _ in 0..5 {
        assert!(matches!(fixture.claim("0000-0000", PASSWORD).await, Err(AdminsError::WrongCode)));
    }
    assert!(matches!(fixture.claim(&code, PASSWORD).await, Err(AdminsError::Throttled { .. })));
}

#[tokio::test]
async fn two_claims_at_the_same_time_make_one_admin() {
    let fixture = Fixture::new().await;
    let ClaimCode::New(code) = fixture.admins.prepare_claim().unwrap() else { panic!("no code") };
    let (one, two) = tokio::join!(fixture.claim(&code, PASSWORD), fixture.claim(&code, "another password"));
    assert!(one.is_ok() != two.is_ok());
    assert_eq!(fixture.admins.shared.store.admins().await.unwrap().len(), 1);
}
