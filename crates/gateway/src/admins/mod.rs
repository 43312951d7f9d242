//! Who may use the admin API: admins, their passwords and sessions, tokens for scripts, and the one-time claim of a fresh gateway;
//! and the audit trail of what they changed.
//!
//! Admins and sessions are in memory, so that recognising a session costs a hash and a look-up; the database has what a restart
//! needs. Passwords are hashed slowly, on threads for blocking work, a few at a time. Everything that can be guessed at is
//! throttled, in a way that does not lock its owner out (see [`throttle`]).

mod claim;
mod device;
mod password;
mod session;
mod throttle;
mod token;
mod trail;

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;

use crate::clock::Clock;
use crate::secrets::Cipher;
use crate::settings::{FieldError, SettingsHandle};
use crate::store::admins::AdminRow;
use crate::store::{Store, StoreError};

pub(crate) use claim::{Claim, ClaimCode};
pub(crate) use session::{NewSession, Session, SessionError, SessionView};
pub(crate) use token::{Scope, TOKEN_PREFIX, TokenError, TokenRate, TokenView};
pub(crate) use trail::{Actor, ActorKind, AuditEntry, Change, Trail};

use password::Passwords;
use session::Sessions;
use throttle::{Admission, Subject, Throttle};
use token::Tokens;

/// Longest name in characters.
const USERNAME: usize = 64;

/// Shortest password that a person may choose, in characters.
pub(crate) const SHORTEST_PASSWORD: usize = 10;

/// Longest password in bytes: far beyond any password, short enough to hash.
const LONGEST_PASSWORD: usize = 1024;

/// Why a sign-in, a claim or a change of password was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminsError {
    #[error("the name or the password is wrong")]
    WrongCredentials,
    #[error("the claim code is wrong")]
    WrongCode,
    #[error("there is an admin already")]
    ClaimClosed,
    #[error("too many tries; try again in {} s", retry_after.as_secs())]
    Throttled { retry_after: Duration },
    #[error("there is no such thing")]
    NotFound,
    #[error("{} {}", .0.path, .0.message)]
    Invalid(FieldError),
    #[error("passwords cannot be checked: {0}")]
    Hashing(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A try to sign in.
#[derive(Clone)]
pub(crate) struct SignIn {
    pub(crate) username: String,
    pub(crate) password: String,
    /// Whether the session outlives the browser and does not end when idle.
    pub(crate) remember: bool,
    pub(crate) browser: Browser,
}

/// Who is at the other end.
#[derive(Clone, Debug)]
pub(crate) struct Browser {
    pub(crate) address: IpAddr,
    pub(crate) user_agent: Option<String>,
    /// The value that an earlier sign-in gave to this browser.
    pub(crate) device: Option<String>,
}

/// A cheap handle to admins and sessions.
#[derive(Clone)]
pub(crate) struct Admins {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    settings: SettingsHandle,
    clock: Clock,
    passwords: Passwords,
    throttle: Arc<Mutex<Throttle>>,
    cipher: Cipher,
    state: Mutex<State>,
    /// Holds the hash of the claim code while nobody has claimed the gateway.
    claim_file: PathBuf,
}

struct State {
    /// Name to password hash.
    admins: HashMap<String, String>,
    sessions: Sessions,
    tokens: Tokens,
    /// Hash of the claim code.
    claim: Option<String>,
}

impl Admins {
    /// Reads admins and sessions. `claim_file` is where the hash of the claim code is kept (`claim.hash` in the data directory).
    pub(crate) async fn load(
        store: Store,
        settings: SettingsHandle,
        cipher: Cipher,
        clock: Clock,
        claim_file: PathBuf,
    ) -> Result<Self, StoreError> {
        let (admins, sessions, tokens) =
            tokio::try_join!(store.admins(), store.admin_sessions(), store.admin_tokens())?;
        let known = store.sign_in_addresses(i64::try_from(throttle::KNOWN).unwrap_or(i64::MAX)).await?;
        let mut throttle = Throttle::default();
        let known = known.iter().rev().filter_map(|address| address.parse().ok());
        known.for_each(|address| throttle.remember(address));
        let state = State {
            admins: admins.into_iter().map(|row| (row.username, row.password_hash)).collect(),
            sessions: Sessions::new(sessions),
            tokens: Tokens::new(tokens),
            claim: None,
        };
        let shared = Shared {
            store,
            settings,
            clock,
            passwords: Passwords::new(),
            throttle: Arc::new(Mutex::new(throttle)),
            cipher,
            state: Mutex::new(state),
            claim_file,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Makes the first admin with a password from the operator; `false` when there is an admin already.
    pub(crate) async fn seed_admin(&self, username: &str, password: &str) -> Result<bool, AdminsError> {
        if !self.claim_needed() {
            return Ok(false);
        }
        let username = checked_username(username)?;
        if password.is_empty() || password.len() > LONGEST_PASSWORD {
            let params = json!({ "min": 1, "max": LONGEST_PASSWORD });
            return Err(invalid("/password", "length", params, "must not be empty"));
        }
        Ok(self.insert_first(username, password).await?.is_some())
    }

    /// Checks name and password and opens a session. All failures look the same and take the same time.
    pub(crate) async fn sign_in(&self, sign_in: SignIn) -> Result<NewSession, AdminsError> {
        let SignIn { username, password, remember, browser } = sign_in;
        let username = username.trim();
        let device = browser.device.as_deref().and_then(|value| device::name(&self.shared.cipher, username, value));
        let subject = device.map_or_else(|| Subject::address(browser.address), Subject::Device);
        let hash = self.check_password(username, &password, subject, browser.address).await?;
        self.open_session(username, &hash, remember, browser).await
    }

    /// Gives the owner of a session a new password and ends the other sessions. Of two changes of one password one is made.
    pub(crate) async fn change_password(
        &self,
        session: &Session,
        current: &str,
        new: &str,
        address: IpAddr,
    ) -> Result<(), AdminsError> {
        let username = &session.username;
        check_new_password("/new", new, username)?;
        // Whoever guesses here has a session, and answers for it.
        let subject = Subject::Device(session.id.clone());
        let checked = self.check_password(username, current, subject, address).await?;
        let hash = self.shared.passwords.hash(new).await?;
        if !self.shared.store.update_admin_password(username, &checked, &hash, &session.id_hash).await? {
            return Err(AdminsError::WrongCredentials);
        }
        let mut state = self.state();
        state.admins.insert(username.clone(), hash);
        state.sessions.end_others(username, &session.id_hash);
        Ok(())
    }

    /// The hash that the password was right for.
    async fn check_password(
        &self,
        username: &str,
        password: &str,
        subject: Subject,
        address: IpAddr,
    ) -> Result<String, AdminsError> {
        // Counted before the check, so that many tries at the same time are not many free tries.
        let admission = self.admit(subject, Some(username))?;
        if !admission.delay.is_zero() {
            tokio::time::sleep(admission.delay).await;
        }
        let hash = self.state().admins.get(username).cloned();
        let is_right = self.shared.passwords.verify(password, hash.clone(), admission.is_stranger).await?;
        let hash = hash.filter(|_| is_right).ok_or(AdminsError::WrongCredentials)?;
        admission.was_right(address);
        Ok(hash)
    }

    fn admit(&self, subject: Subject, name: Option<&str>) -> Result<Admission, AdminsError> {
        throttle::admit(&self.shared.throttle, subject, name, self.shared.clock.now_ms())
    }

    /// The hash of the password, if there was no admin before.
    async fn insert_first(&self, username: String, password: &str) -> Result<Option<String>, AdminsError> {
        let password_hash = self.shared.passwords.hash(password).await?;
        let row = AdminRow { username, password_hash, created_at: self.shared.clock.now_ms() };
        if !self.shared.store.insert_first_admin(&row).await? {
            return Ok(None);
        }
        self.state().admins.insert(row.username, row.password_hash.clone());
        self.end_claim();
        Ok(Some(row.password_hash))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Plain data that is changed in single steps: a panic elsewhere leaves nothing half done.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn checked_username(username: &str) -> Result<String, AdminsError> {
    let username = username.trim();
    let length = username.chars().count();
    if length == 0 || length > USERNAME || username.chars().any(char::is_control) {
        let message = format!("must have 1 to {USERNAME} characters and no line breaks");
        return Err(invalid("/username", "length", json!({ "min": 1, "max": USERNAME }), message));
    }
    Ok(username.to_owned())
}

/// A password that a person chooses.
fn check_new_password(path: &str, password: &str, username: &str) -> Result<(), AdminsError> {
    if password.chars().count() < SHORTEST_PASSWORD {
        let message = format!("must have at least {SHORTEST_PASSWORD} characters");
        return Err(invalid(path, "min_length", json!({ "min": SHORTEST_PASSWORD }), message));
    }
    if password.len() > LONGEST_PASSWORD {
        let message = format!("must have at most {LONGEST_PASSWORD} bytes");
        return Err(invalid(path, "max_length", json!({ "max": LONGEST_PASSWORD }), message));
    }
    if password == username {
        return Err(invalid(path, "same_as_username", json!({}), "must not be the name"));
    }
    Ok(())
}

fn invalid(path: &str, code: &'static str, params: serde_json::Value, message: impl Into<String>) -> AdminsError {
    AdminsError::Invalid(FieldError::new(path, code, params, message))
}

#[cfg(test)]
mod tests;
