//! Sessions: opened by a sign-in, recognised by a random secret, ended by idling, by age or by their owner.

use std::collections::{HashMap, HashSet};

use super::{Admins, AdminsError, Browser, device};
use crate::secrets::{hash_secret, random_token};
use crate::store::StoreError;
use crate::store::admins::SessionRow;

/// Random bytes of a session's secret.
const TOKEN_BYTES: usize = 32;

const HOUR_MS: i64 = 3_600_000;

/// Longest life of a session.
const LIFE_MS: i64 = 12 * HOUR_MS;

/// The same for a device that is to be remembered.
const REMEMBERED_LIFE_MS: i64 = 30 * 24 * HOUR_MS;

/// Sessions per admin; a script that signs in anew for every call must not fill the table.
const SESSIONS_PER_ADMIN: usize = 100;

/// Hexadecimal digits of a session's name in lists.
const PUBLIC_ID: usize = 32;

/// Characters of a browser's name that are kept.
const USER_AGENT_LENGTH: usize = 256;

/// A session that was recognised. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub(super) id_hash: String,
    /// What it is called in lists; opens nothing.
    pub(crate) id: String,
    pub(crate) username: String,
    pub(crate) created_at: i64,
    /// It ends then, whatever happens.
    pub(crate) expires_at: i64,
    /// It ends then unless it is used before.
    pub(crate) idle_expires_at: i64,
    pub(crate) remember: bool,
}

/// A session in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionView {
    pub(crate) session: Session,
    pub(crate) last_seen_at: i64,
    pub(crate) address: Option<String>,
    pub(crate) user_agent: Option<String>,
}

/// A session just opened, with the only copy of its secret.
#[derive(Clone)]
pub(crate) struct NewSession {
    pub(crate) token: String,
    pub(crate) session: Session,
    /// By which the browser is known again when somebody signs in.
    pub(crate) device: String,
}

/// Why a session's secret opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SessionError {
    #[error("there is no such session")]
    Unknown,
    #[error("the session has ended")]
    Expired,
}

/// All sessions and what the database does not know of them yet.
pub(super) struct Sessions {
    by_hash: HashMap<String, SessionRow>,
    seen: HashSet<String>,
    ended: Vec<String>,
}

impl Sessions {
    pub(super) fn new(rows: Vec<SessionRow>) -> Self {
        let by_hash = rows.into_iter().map(|row| (row.id_hash.clone(), row)).collect();
        Self { by_hash, seen: HashSet::new(), ended: Vec::new() }
    }

    /// Ends all sessions of an admin but one; the caller has done the same in the database.
    pub(super) fn end_others(&mut self, username: &str, kept: &str) {
        self.by_hash.retain(|hash, row| hash == kept || row.username != username);
    }

    fn recognise(&mut self, id_hash: &str, now: i64, idle_ms: i64) -> Result<Session, SessionError> {
        let Some(row) = self.by_hash.get_mut(id_hash) else { return Err(SessionError::Unknown) };
        if now >= row.expires_at.min(idle_end(row, idle_ms)) {
            self.end(id_hash);
            return Err(SessionError::Expired);
        }
        row.last_seen_at = now.max(row.last_seen_at);
        self.seen.insert(id_hash.to_owned());
        Ok(session(row, idle_ms))
    }

    fn end(&mut self, id_hash: &str) {
        if self.by_hash.remove(id_hash).is_some() {
            self.ended.push(id_hash.to_owned());
        }
        self.seen.remove(id_hash);
    }

    fn end_expired(&mut self, now: i64, idle_ms: i64) {
        let expired = self.by_hash.values().filter(|row| now >= row.expires_at.min(idle_end(row, idle_ms)));
        let expired: Vec<String> = expired.map(|row| row.id_hash.clone()).collect();
        expired.iter().for_each(|id_hash| self.end(id_hash));
    }

    /// Ends the sessions of an admin that were used longest ago, so that one more is not too many.
    fn make_room(&mut self, username: &str) {
        let mut own: Vec<(i64, String)> = self
            .by_hash
            .values()
            .filter(|row| row.username == username)
            .map(|row| (row.last_seen_at, row.id_hash.clone()))
            .collect();
        own.sort_unstable();
        let surplus = (own.len() + 1).saturating_sub(SESSIONS_PER_ADMIN);
        own.iter().take(surplus).for_each(|(_, id_hash)| self.end(id_hash));
    }

    fn take_changes(&mut self) -> (Vec<(String, i64)>, Vec<String>) {
        let seen = std::mem::take(&mut self.seen);
        let seen = seen.into_iter().filter_map(|hash| self.by_hash.get(&hash).map(|row| (hash, row.last_seen_at)));
        (seen.collect(), std::mem::take(&mut self.ended))
    }

    fn put_back(&mut self, seen: Vec<(String, i64)>, ended: Vec<String>) {
        self.seen.extend(seen.into_iter().map(|(hash, _)| hash));
        self.ended.extend(ended);
    }
}

impl Admins {
    /// Recognises a session by its secret and notes that it is in use.
    pub(crate) fn authenticate(&self, token: &str) -> Result<Session, SessionError> {
        let id_hash = hash_secret(token);
        let (now, idle_ms) = (self.shared.clock.now_ms(), self.idle_ms());
        self.state().sessions.recognise(&id_hash, now, idle_ms)
    }

    /// Whether a session that was recognised before goes on; asking does not count as using it.
    pub(crate) fn session_lives(&self, session: &Session) -> bool {
        let (now, idle_ms) = (self.shared.clock.now_ms(), self.idle_ms());
        let state = self.state();
        let row = state.sessions.by_hash.get(&session.id_hash);
        row.is_some_and(|row| now < row.expires_at.min(idle_end(row, idle_ms)))
    }

    /// All sessions that go on, the last used first.
    pub(crate) fn sessions(&self) -> Vec<SessionView> {
        let (now, idle_ms) = (self.shared.clock.now_ms(), self.idle_ms());
        let state = self.state();
        let rows = state.sessions.by_hash.values().filter(|row| now < row.expires_at.min(idle_end(row, idle_ms)));
        let mut views: Vec<SessionView> = rows
            .map(|row| SessionView {
                session: session(row, idle_ms),
                last_seen_at: row.last_seen_at,
                address: row.ip.clone(),
                user_agent: row.user_agent.clone(),
            })
            .collect();
        views.sort_unstable_by(|left, right| {
            (right.last_seen_at, &right.session.id).cmp(&(left.last_seen_at, &left.session.id))
        });
        views
    }

    /// Ends a session, here and in the database.
    pub(crate) async fn sign_out(&self, session: &Session) -> Result<(), StoreError> {
        self.state().sessions.end(&session.id_hash);
        self.shared.store.delete_admin_session(&session.id_hash).await
    }

    /// Stores when sessions were last used and forgets those that have ended; called now and then and at the end.
    pub(crate) async fn flush(&self) -> Result<(), StoreError> {
        self.flush_tokens().await?;
        let (now, idle_ms) = (self.shared.clock.now_ms(), self.idle_ms());
        let (seen, ended) = {
            let mut state = self.state();
            state.sessions.end_expired(now, idle_ms);
            state.sessions.take_changes()
        };
        if seen.is_empty() && ended.is_empty() {
            return Ok(());
        }
        let result = self.shared.store.update_admin_sessions(&seen, &ended).await;
        if result.is_err() {
            self.state().sessions.put_back(seen, ended);
        }
        result
    }

    /// Opens a session for whoever has the password of this hash. Where it was changed in the meantime there is none: that ended all
    /// sessions but the one of whoever changed it.
    pub(super) async fn open_session(
        &self,
        username: &str,
        password_hash: &str,
        remember: bool,
        browser: Browser,
    ) -> Result<NewSession, AdminsError> {
        let token = random_token(TOKEN_BYTES);
        let now = self.shared.clock.now_ms();
        let row = SessionRow {
            id_hash: hash_secret(&token),
            username: username.to_owned(),
            created_at: now,
            last_seen_at: now,
            expires_at: now + if remember { REMEMBERED_LIFE_MS } else { LIFE_MS },
            remember,
            ip: Some(browser.address.to_string()),
            user_agent: browser.user_agent.map(|name| name.chars().take(USER_AGENT_LENGTH).collect()),
        };
        match self.shared.store.insert_admin_session(&row, password_hash).await {
            Ok(true) => {}
            Ok(false) => return Err(AdminsError::WrongCredentials),
            // The console is where a full disk is seen and emptied: the session holds until a restart.
            Err(error) if error.trouble().is_some() => {
                tracing::warn!(%error, "a session could not be stored; it ends when the service does");
            }
            Err(error) => return Err(error.into()),
        }
        let session = session(&row, self.idle_ms());
        let device = device::value(&self.shared.cipher, username, browser.device.as_deref());
        let mut state = self.state();
        if state.admins.get(username).is_none_or(|present| present != password_hash) {
            // Changed right now; the database has forgotten the session already.
            return Err(AdminsError::WrongCredentials);
        }
        state.sessions.make_room(username);
        state.sessions.by_hash.insert(row.id_hash.clone(), row);
        Ok(NewSession { token, session, device })
    }

    fn idle_ms(&self) -> i64 {
        i64::try_from(self.shared.settings.current().session_idle_minutes).unwrap_or(i64::MAX / 60_000) * 60_000
    }
}

/// A part of the hash of the secret: enough to tell sessions apart, nothing that opens one.
fn public_id(id_hash: &str) -> String {
    format!("ses_{}", id_hash.get(..PUBLIC_ID).unwrap_or_default())
}

/// A device that is to be remembered may idle; it stands where a console stays open.
fn idle_end(row: &SessionRow, idle_ms: i64) -> i64 {
    if row.remember { row.expires_at } else { row.last_seen_at.saturating_add(idle_ms) }
}

fn session(row: &SessionRow, idle_ms: i64) -> Session {
    Session {
        id: public_id(&row.id_hash),
        id_hash: row.id_hash.clone(),
        username: row.username.clone(),
        created_at: row.created_at,
        expires_at: row.expires_at,
        idle_expires_at: idle_end(row, idle_ms).min(row.expires_at),
        remember: row.remember,
    }
}
