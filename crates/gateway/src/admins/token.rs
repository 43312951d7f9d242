//! Tokens of the admin API for scripts: made by a person, shown once, confined to scopes, slowed down per minute.

use std::collections::HashMap;

use serde_json::json;
use uuid::Uuid;

use super::{Admins, AdminsError, invalid};
use crate::limits::MinuteWindow;
use crate::secrets::{hash_secret, random_token};
use crate::store::StoreError;
use crate::store::admin_tokens::AdminTokenRow;

/// What the secrets begin with: neither a session nor an API key is mistaken for one.
pub(crate) const TOKEN_PREFIX: &str = "adm_";

/// Random bytes of a secret.
const SECRET_BYTES: usize = 32;

/// Calls per minute: enough for any script, too few for a loop gone wrong.
const READS_PER_MINUTE: u32 = 300;
const WRITES_PER_MINUTE: u32 = 60;

/// Tokens at the same time.
const MOST_TOKENS: usize = 200;

/// Longest name in characters.
const NAME: usize = 120;

/// What a token may change. Every token may read everything: nothing that is read is a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Read,
    Accounts,
    Keys,
    Settings,
    All,
}

impl Scope {
    pub(crate) const ALL: [Self; 5] = [Self::Read, Self::Accounts, Self::Keys, Self::Settings, Self::All];

    /// The name in the database and in the admin API.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Accounts => "accounts",
            Self::Keys => "keys",
            Self::Settings => "settings",
            Self::All => "all",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }
}

/// A token that was recognised.
#[derive(Clone, Debug)]
pub(crate) struct AdminToken {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) rate: TokenRate,
}

/// How a token stands with its calls of the minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TokenRate {
    pub(crate) limit: u32,
    pub(crate) remaining: u32,
    /// Seconds until all calls are free again.
    pub(crate) reset_s: i64,
}

/// A token as it is shown: never with its secret. Times are milliseconds since 1970.
#[derive(Clone, Debug)]
pub(crate) struct TokenView {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) preview: String,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) created_by: String,
    pub(crate) created_at: i64,
    pub(crate) expires_at: Option<i64>,
    pub(crate) last_used_at: Option<i64>,
}

/// A token just made, with the only copy of its secret.
#[derive(Clone)]
pub(crate) struct NewToken {
    pub(crate) token: TokenView,
    pub(crate) secret: String,
}

/// Why a token opens nothing, or not this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("there is no such token")]
    Unknown,
    #[error("the token has expired")]
    Expired,
    #[error("the token lacks the scope `{}`", .0.as_str())]
    Scope(Scope),
    #[error("more than {} calls in a minute", .0.limit)]
    Throttled(TokenRate),
}

/// All tokens.
#[derive(Default)]
pub(super) struct Tokens {
    by_hash: HashMap<String, Entry>,
}

struct Entry {
    row: AdminTokenRow,
    scopes: Vec<Scope>,
    reads: MinuteWindow,
    writes: MinuteWindow,
    used: bool,
}

impl Tokens {
    pub(super) fn new(rows: Vec<AdminTokenRow>) -> Self {
        let mut tokens = Self::default();
        rows.into_iter().for_each(|row| tokens.insert(row));
        tokens
    }

    fn insert(&mut self, row: AdminTokenRow) {
        let names: Vec<String> = serde_json::from_str(&row.scopes).unwrap_or_default();
        let scopes = names.iter().filter_map(|name| Scope::parse(name)).collect();
        let entry = Entry {
            scopes,
            reads: MinuteWindow::default(),
            writes: MinuteWindow::default(),
            used: false,
            row: row.clone(),
        };
        self.by_hash.insert(row.secret_hash, entry);
    }

    fn named(&self, id: &str) -> Option<&Entry> {
        self.by_hash.values().find(|entry| entry.row.id == id)
    }

    /// What is to be stored of their use.
    pub(super) fn take_uses(&mut self) -> Vec<(String, i64)> {
        let uses = self.by_hash.values_mut().filter_map(|entry| {
            let used = std::mem::take(&mut entry.used);
            used.then(|| entry.row.last_used_at.map(|at| (entry.row.id.clone(), at))).flatten()
        });
        uses.collect()
    }

    pub(super) fn put_back(&mut self, uses: &[(String, i64)]) {
        for entry in self.by_hash.values_mut() {
            entry.used |= uses.iter().any(|(id, _)| *id == entry.row.id);
        }
    }
}

impl Entry {
    fn is_over(&self, now: i64) -> bool {
        self.row.expires_at.is_some_and(|end| now >= end)
    }

    fn view(&self) -> TokenView {
        let row = &self.row;
        TokenView {
            id: row.id.clone(),
            name: row.name.clone(),
            preview: row.preview.clone(),
            scopes: self.scopes.clone(),
            created_by: row.created_by.clone(),
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
        }
    }
}

impl Admins {
    /// Recognises a token by its secret, checks that it may make the call and counts it. `needed` is the scope of a call that
    /// changes something; [`Scope::Read`] every token has.
    pub(crate) fn authenticate_token(&self, secret: &str, needed: Option<Scope>) -> Result<AdminToken, TokenError> {
        let hash = hash_secret(secret);
        let mut state = self.state();
        let now = self.shared.clock.now_ms();
        let Some(entry) = state.tokens.by_hash.get_mut(&hash) else { return Err(TokenError::Unknown) };
        if entry.is_over(now) {
            return Err(TokenError::Expired);
        }
        let (window, limit) = match needed {
            None => (&mut entry.reads, READS_PER_MINUTE),
            Some(_) => (&mut entry.writes, WRITES_PER_MINUTE),
        };
        let in_window = window.advance(now);
        let wait = window.wait(limit as usize, in_window);
        if wait > 0 {
            let reset_s = wait.div_euclid(1_000) + i64::from(wait % 1_000 > 0);
            return Err(TokenError::Throttled(TokenRate { limit, remaining: 0, reset_s }));
        }
        window.push(in_window);
        let remaining = limit - u32::try_from(window.len()).unwrap_or(limit);
        let rate = TokenRate { limit, remaining, reset_s: window.reset(in_window).div_euclid(1_000) };
        if let Some(needed) = needed
            && needed != Scope::Read
            && !entry.scopes.iter().any(|scope| *scope == needed || *scope == Scope::All)
        {
            return Err(TokenError::Scope(needed));
        }
        entry.row.last_used_at = Some(now);
        entry.used = true;
        Ok(AdminToken { id: entry.row.id.clone(), name: entry.row.name.clone(), rate })
    }

    /// Whether a token that was recognised before still opens something.
    pub(crate) fn token_lives(&self, id: &str) -> bool {
        let now = self.shared.clock.now_ms();
        self.state().tokens.named(id).is_some_and(|entry| !entry.is_over(now))
    }

    /// All tokens, oldest first.
    pub(crate) fn tokens(&self) -> Vec<TokenView> {
        let mut views: Vec<TokenView> = self.state().tokens.by_hash.values().map(Entry::view).collect();
        views.sort_unstable_by(|left, right| left.id.cmp(&right.id));
        views
    }

    pub(crate) fn token(&self, id: &str) -> Option<TokenView> {
        self.state().tokens.named(id).map(Entry::view)
    }

    /// Makes a token.
    pub(crate) async fn create_token(
        &self,
        name: &str,
        scopes: &[Scope],
        expires_at: Option<i64>,
        created_by: &str,
    ) -> Result<NewToken, AdminsError> {
        let name = checked_name(name)?;
        let now = self.shared.clock.now_ms();
        if scopes.is_empty() {
            return Err(invalid("/scopes", "required", json!({}), "must name at least one scope"));
        }
        if expires_at.is_some_and(|end| end <= now) {
            return Err(invalid("/expires_at", "past", json!({}), "must be in the future, or null for never"));
        }
        if self.state().tokens.by_hash.len() >= MOST_TOKENS {
            let message = format!("there are {MOST_TOKENS} tokens already; delete one first");
            return Err(invalid("", "max", json!({ "max": MOST_TOKENS }), message));
        }
        let secret = format!("{TOKEN_PREFIX}{}", random_token(SECRET_BYTES));
        let mut names: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let row = AdminTokenRow {
            id: format!("tok_{}", Uuid::now_v7().simple()),
            name,
            secret_hash: hash_secret(&secret),
            preview: format!("{TOKEN_PREFIX}…{}", &secret[secret.len() - 4..]),
            scopes: json!(names).to_string(),
            created_by: created_by.to_owned(),
            created_at: now,
            expires_at,
            last_used_at: None,
        };
        self.shared.store.insert_admin_token(&row).await?;
        let id = row.id.clone();
        self.state().tokens.insert(row);
        let token = self.token(&id).ok_or(AdminsError::NotFound)?;
        Ok(NewToken { token, secret })
    }

    /// Deletes a token; it opens nothing from now on.
    pub(crate) async fn delete_token(&self, id: &str) -> Result<TokenView, AdminsError> {
        let view = self.token(id).ok_or(AdminsError::NotFound)?;
        self.shared.store.delete_admin_token(id).await?;
        self.state().tokens.by_hash.retain(|_, entry| entry.row.id != id);
        Ok(view)
    }

    /// Stores when tokens were last used, if any were.
    pub(super) async fn flush_tokens(&self) -> Result<(), StoreError> {
        let uses = self.state().tokens.take_uses();
        if uses.is_empty() {
            return Ok(());
        }
        let result = self.shared.store.touch_admin_tokens(&uses).await;
        if result.is_err() {
            self.state().tokens.put_back(&uses);
        }
        result
    }
}

fn checked_name(name: &str) -> Result<String, AdminsError> {
    let name = name.trim();
    let length = name.chars().count();
    if length == 0 || length > NAME || name.chars().any(char::is_control) {
        let message = format!("must have 1 to {NAME} characters and no line breaks");
        return Err(invalid("/name", "length", json!({ "min": 1, "max": NAME }), message));
    }
    Ok(name.to_owned())
}
