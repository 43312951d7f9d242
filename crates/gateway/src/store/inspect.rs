//! A database as it lies there, without changing anything: for `grok2api check`.

use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use super::file::is_held;
use super::integrity::first_damage;
use super::{Location, MIGRATIONS, StoreError, has_schema};

/// Tables whose rows are counted, with what they hold.
const COUNTED: [(&str, &str); 6] = [
    ("accounts WHERE deleted_at IS NULL", "accounts"),
    ("api_keys", "API keys"),
    ("admins", "admins"),
    ("conversations", "conversations"),
    ("turns", "turns"),
    ("requests", "requests in the log"),
];

/// What a database is like.
#[derive(Debug)]
pub(crate) struct Inspection {
    pub(crate) path: Option<PathBuf>,
    /// A running gateway has it.
    pub(crate) is_held: bool,
    pub(crate) state: DatabaseState,
}

/// What is in it.
#[derive(Debug)]
pub(crate) enum DatabaseState {
    /// There is no file, or one of no bytes.
    Missing,
    /// A database that was never migrated.
    Empty,
    /// It cannot be opened.
    Unreadable(StoreError),
    Readable(Contents),
}

/// What a readable database holds.
#[derive(Debug)]
pub(crate) struct Contents {
    /// Migrations that this version has and the database lacks; they are made at the next start.
    pub(crate) pending: usize,
    /// Migrations of a newer version.
    pub(crate) unknown: usize,
    /// The first damage, in SQLite's words.
    pub(crate) damage: Option<String>,
    /// What there is, and how much of it.
    pub(crate) counts: Vec<(&'static str, i64)>,
    /// The sealed tokens of all accounts.
    pub(crate) sealed_tokens: Vec<String>,
}

/// Looks at the database of a data directory.
pub(crate) async fn inspect(data_dir: &Path, url: Option<&str>) -> Result<Inspection, StoreError> {
    let location = Location::of(data_dir, url)?;
    let path = location.path().map(Path::to_owned);
    if location.has_no_bytes() {
        return Ok(Inspection { path, is_held: false, state: DatabaseState::Missing });
    }
    let is_held = path.as_deref().is_some_and(is_held);
    let options = location.options.create_if_missing(false).read_only(true);
    let state = match options.connect().await {
        Ok(mut connection) => {
            let state = state(&mut connection).await.unwrap_or_else(DatabaseState::Unreadable);
            connection.close().await?;
            state
        }
        Err(error) => DatabaseState::Unreadable(error.into()),
    };
    Ok(Inspection { path, is_held, state })
}

async fn state(connection: &mut SqliteConnection) -> Result<DatabaseState, StoreError> {
    if !has_schema(connection).await? {
        return Ok(DatabaseState::Empty);
    }
    let damage = first_damage(connection).await?;
    let applied: Vec<i64> =
        sqlx::query_scalar("SELECT version FROM _sqlx_migrations").fetch_all(&mut *connection).await?;
    let known: Vec<i64> = MIGRATIONS.iter().map(|migration| migration.version).collect();
    let mut counts = Vec::new();
    for (table, what) in COUNTED {
        let count = sqlx::query_scalar(AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}")));
        // What an older version did not have yet, or what cannot be read any more, is left out.
        match count.fetch_one(&mut *connection).await {
            Ok(count) => counts.push((what, count)),
            Err(error) => tracing::debug!(%error, what, "not counted"),
        }
    }
    let sealed_tokens = sqlx::query_scalar("SELECT token_sealed FROM accounts").fetch_all(&mut *connection).await?;
    Ok(DatabaseState::Readable(Contents {
        pending: known.iter().filter(|version| !applied.contains(version)).count(),
        unknown: applied.iter().filter(|version| !known.contains(version)).count(),
        damage,
        counts,
        sealed_tokens,
    }))
}
