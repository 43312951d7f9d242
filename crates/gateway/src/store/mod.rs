//! All SQL of the service, one file per table.
//!
//! The dialect is the part that SQLite and PostgreSQL share: `$1` placeholders in binding order, `TEXT` ids, times as `BIGINT`
//! milliseconds, `ON CONFLICT … DO UPDATE`, no compile-time query macros. SQLite runs with a write-ahead log, one writing
//! connection and a few reading ones, and flushes at every commit: what a caller was told is stored survives a power cut.
//! Look-ups return `Option`; whether "not found" is an error is for the edge to say.

pub(crate) mod account_history;
pub(crate) mod accounts;
pub(crate) mod admin_tokens;
pub(crate) mod admins;
pub(crate) mod api_keys;
pub(crate) mod audit_trail;
pub(crate) mod conversation_list;
pub(crate) mod conversations;
pub(crate) mod drift;
pub(crate) mod images;
pub(crate) mod imported;
pub(crate) mod jobs;
pub(crate) mod request_log;
pub(crate) mod requests;
pub(crate) mod search;
pub(crate) mod settings_history;
pub(crate) mod statistics;
pub(crate) mod statistics_read;
mod writer;

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};

pub(crate) use writer::{TurnCommit, Write, Writer};

/// Reading connections: look-ups take about 0.1 ms each, so a few serve many requests.
const READERS: u32 = 3;

/// Most connections for lists and statistics. They are apart from the others, so that no chat waits behind them; no more than half as
/// many as there are processors, so that enough are left; and closed when nobody looks.
const REPORTERS: usize = 4;

/// How long such a connection stays open unused.
const REPORTER_IDLE: Duration = Duration::from_secs(60);

/// How long a statement waits for the database file when another process holds it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// What can go wrong between us and the database.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("database: {0}")]
    Sql(#[from] sqlx::Error),
    #[error("database migration: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    #[error("the database writer has stopped")]
    WriterGone,
    #[error("{0}")]
    Unsupported(String),
}

impl StoreError {
    /// Whether a unique column already holds the value.
    pub(crate) fn is_duplicate(&self) -> bool {
        matches!(self, Self::Sql(sqlx::Error::Database(error)) if error.is_unique_violation())
    }
}

/// Makes the database file readable by its owner only, whatever the directory's mode; SQLite gives its side files the same.
fn create_private(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let created = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    created.map(drop).map_err(|error| StoreError::Unsupported(format!("{}: {error}", path.display())))
}

/// A cheap handle to the database.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    write: SqlitePool,
    read: SqlitePool,
    report: SqlitePool,
}

impl Store {
    /// Opens the database that `url` names (`sqlite:PATH`) or, without one, the file in the data directory; creates and
    /// migrates it.
    pub(crate) async fn open(data_dir: &Path, url: Option<&str>) -> Result<Self, StoreError> {
        let options = match url {
            None => {
                let path = data_dir.join("grok2api.db");
                create_private(&path)?;
                SqliteConnectOptions::new().filename(path)
            }
            Some(url) if url.starts_with("sqlite:") => SqliteConnectOptions::from_str(url)?,
            Some(url) => {
                let scheme = url.split(':').next().unwrap_or_default();
                return Err(StoreError::Unsupported(format!(
                    "databases of the kind `{scheme}:` are not supported by this version; leave --database-url out to use \
                     SQLite in the data directory"
                )));
            }
        };
        let options = options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true)
            .statement_cache_capacity(256);
        let write = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
        sqlx::migrate!("./migrations").run(&write).await?;
        let options = options.read_only(true);
        let read = SqlitePoolOptions::new().max_connections(READERS).connect_with(options.clone()).await?;
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let reporters = u32::try_from((processors / 2).clamp(1, REPORTERS)).unwrap_or(1);
        let report = SqlitePoolOptions::new().max_connections(reporters).idle_timeout(REPORTER_IDLE);
        let report = report.connect_lazy_with(options);
        Ok(Self { write, read, report })
    }

    /// The pool for reading.
    pub(crate) fn reader(&self) -> &SqlitePool {
        &self.read
    }

    /// The pool for lists and statistics.
    pub(crate) fn reports(&self) -> &SqlitePool {
        &self.report
    }

    /// The pool for writing: one connection, so writers queue.
    pub(crate) fn writer(&self) -> &SqlitePool {
        &self.write
    }

    /// Whether the database answers.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.read).await?;
        Ok(())
    }

    /// What the database takes up, in bytes.
    pub(crate) async fn bytes(&self) -> Result<i64, StoreError> {
        let query = sqlx::query_scalar("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()");
        Ok(query.fetch_one(&self.read).await?)
    }

    /// Waits for what is under way and closes the files.
    pub(crate) async fn close(&self) {
        self.read.close().await;
        self.report.close().await;
        self.write.close().await;
    }
}
