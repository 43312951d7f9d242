//! All SQL of the service, one file per table.
//!
//! The dialect is the part that SQLite and PostgreSQL share: `$1` placeholders in binding order, `TEXT` ids, times as `BIGINT`
//! milliseconds, `ON CONFLICT … DO UPDATE`, no compile-time query macros. SQLite runs with a write-ahead log, one writing
//! connection ([`transaction`]) and a few reading ones, and flushes at every commit: what a caller was told is stored survives a
//! power cut. Whether that holds at present is for [`health`] to say.
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
mod file;
mod health;
mod heartbeat;
pub(crate) mod images;
pub(crate) mod imported;
pub(crate) mod inspect;
mod integrity;
pub(crate) mod jobs;
pub(crate) mod request_log;
pub(crate) mod requests;
pub(crate) mod search;
pub(crate) mod settings_history;
pub(crate) mod statistics;
pub(crate) mod statistics_read;
mod transaction;
mod writer;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::migrate::MigrateError;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use crate::secrets::{SEAL_CHECK_FILE, has_sealed_data};

use file::DatabaseFile;
use health::Health;
pub(crate) use health::{Trouble, TroubleKind};
use transaction::WriteConnection;
pub(crate) use writer::{TurnCommit, Write, Writer};

/// The database's file in the data directory.
pub(crate) const DATABASE_FILE: &str = "grok2api.db";

/// What to do about a database that cannot be read.
pub(crate) const RECOVERY: &str = "Make a copy of the data directory first; then restore a backup, or save what can be read with \
                                   `sqlite3 grok2api.db .recover`";

/// All that has become of the schema, in order.
static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// Reading connections: look-ups take about 0.1 ms each, so a few serve many requests.
const READERS: u32 = 3;

/// Most connections for lists and statistics. They are apart from the others, so that no chat waits behind them; no more than half as
/// many as there are processors, so that enough are left; and closed when nobody looks.
const REPORTERS: usize = 4;

/// How long such a connection stays open unused.
const REPORTER_IDLE: Duration = Duration::from_secs(60);

/// How long one statement waits for a lock that another process holds; who wants to wait longer tries again.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// What can go wrong between us and the database.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("database: {0}")]
    Sql(#[from] sqlx::Error),
    #[error("database migration: {0}")]
    Migrate(#[from] MigrateError),
    #[error("the database writer has stopped")]
    WriterGone,
    #[error("the database did not take the change in time; try again in a moment")]
    Busy,
    #[error("the database files were deleted or replaced while the service was running")]
    Replaced,
    #[error(
        "{} is in use by another running gateway: stop that one first, or choose another directory with --data-dir",
        path.display()
    )]
    InUse { path: PathBuf },
    #[error(
        "there was data here: {} is missing or empty, although {} has sealed account tokens. Put the database back, together \
         with the file of the same name that ends in -wal if there is one, or restore a backup; to start over with nothing, \
         delete {SEAL_CHECK_FILE} from that directory",
        database.display(),
        data_dir.display()
    )]
    DataMissing { database: PathBuf, data_dir: PathBuf },
    #[error(
        "{} is damaged ({error}). {RECOVERY}. `grok2api check` tells more",
        path.display()
    )]
    Damaged { path: PathBuf, error: Box<StoreError> },
    #[error("{0}")]
    Unsupported(String),
}

/// The primary result codes of SQLite that say something about the database as a whole and nothing about the statement.
mod code {
    pub(super) const BUSY: u32 = 5;
    pub(super) const LOCKED: u32 = 6;
    pub(super) const OUT_OF_MEMORY: u32 = 7;
    pub(super) const READ_ONLY: u32 = 8;
    pub(super) const IO_ERROR: u32 = 10;
    pub(super) const CORRUPT: u32 = 11;
    pub(super) const FULL: u32 = 13;
    pub(super) const CANNOT_OPEN: u32 = 14;
    pub(super) const PROTOCOL: u32 = 15;
    pub(super) const NO_DATABASE: u32 = 26;
}

impl StoreError {
    /// Whether a unique column already holds the value.
    pub(crate) fn is_duplicate(&self) -> bool {
        matches!(self, Self::Sql(sqlx::Error::Database(error)) if error.is_unique_violation())
    }

    /// Whether another process holds a lock.
    fn is_locked(&self) -> bool {
        matches!(self, Self::Sql(error) if matches!(sqlite_code(error), Some(code::BUSY | code::LOCKED)))
    }

    /// What is wrong with the database as a whole; `None` where only this statement was refused.
    fn trouble_kind(&self) -> Option<TroubleKind> {
        match self {
            Self::Sql(error) => trouble_of(error),
            Self::Migrate(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => trouble_of(error),
            Self::Replaced => Some(TroubleKind::Replaced),
            Self::Busy => Some(TroubleKind::Locked),
            Self::WriterGone => Some(TroubleKind::Stuck),
            Self::Migrate(_)
            | Self::InUse { .. }
            | Self::DataMissing { .. }
            | Self::Damaged { .. }
            | Self::Unsupported(_) => None,
        }
    }

    /// The same in words, for who asked for the change.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        self.trouble_kind().map(Trouble::from)
    }
}

/// What an error of the driver says of the database as a whole.
fn trouble_of(error: &sqlx::Error) -> Option<TroubleKind> {
    match error {
        sqlx::Error::Database(_) => match sqlite_code(error)? {
            code::BUSY | code::LOCKED => Some(TroubleKind::Locked),
            code::FULL => Some(TroubleKind::DiskFull),
            code::CORRUPT | code::NO_DATABASE => Some(TroubleKind::Damaged),
            code::OUT_OF_MEMORY | code::READ_ONLY | code::IO_ERROR | code::CANNOT_OPEN | code::PROTOCOL => {
                Some(TroubleKind::DiskError)
            }
            _ => None,
        },
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Protocol(_) => Some(TroubleKind::DiskError),
        _ => None,
    }
}

/// SQLite's primary result code.
fn sqlite_code(error: &sqlx::Error) -> Option<u32> {
    let sqlx::Error::Database(error) = error else { return None };
    Some(error.code()?.parse::<u32>().ok()? & 0xff)
}

/// Where a database is, and how it is opened.
pub(crate) struct Location {
    options: SqliteConnectOptions,
}

impl Location {
    /// What `url` names (`sqlite:PATH`) or, without one, the file in the data directory.
    pub(crate) fn of(data_dir: &Path, url: Option<&str>) -> Result<Self, StoreError> {
        let options = match url {
            None => SqliteConnectOptions::new().filename(data_dir.join(DATABASE_FILE)),
            Some(url) if url.starts_with("sqlite:") => SqliteConnectOptions::from_str(url)?,
            Some(url) => {
                let scheme = url.split(':').next().unwrap_or_default();
                return Err(StoreError::Unsupported(format!(
                    "databases of the kind `{scheme}:` are not supported by this version; leave --database-url out to use \
                     SQLite in the data directory"
                )));
            }
        };
        Ok(Self { options })
    }

    /// The file; `None` for a database in memory.
    pub(crate) fn path(&self) -> Option<&Path> {
        let path = self.options.get_filename();
        let is_in_memory = path.as_os_str().is_empty() || path.to_string_lossy().contains(":memory:");
        (!is_in_memory && !path.to_string_lossy().starts_with("file:")).then_some(path)
    }

    /// Whether there is nothing at the path, or a file of no bytes.
    fn has_no_bytes(&self) -> bool {
        self.path().is_some_and(|path| std::fs::metadata(path).map_or(true, |metadata| metadata.len() == 0))
    }
}

/// Whether the database was ever migrated: a file that lost its write-ahead log too early never was.
async fn has_schema(connection: &mut SqliteConnection) -> Result<bool, StoreError> {
    let query = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM sqlite_master WHERE name = '_sqlx_migrations'");
    Ok(query.fetch_one(connection).await? > 0)
}

/// A cheap handle to the database.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    write: WriteConnection,
    read: SqlitePool,
    report: SqlitePool,
    health: Health,
}

impl Store {
    /// Opens the database of a data directory, creates it on the first start, and migrates it.
    pub(crate) async fn open(data_dir: &Path, url: Option<&str>) -> Result<Self, StoreError> {
        let location = Location::of(data_dir, url)?;
        // Before the file is made: an empty database in the place of a lost one would hide the loss.
        let missing = location
            .path()
            .filter(|_| has_sealed_data(data_dir))
            .map(|path| StoreError::DataMissing { database: path.to_owned(), data_dir: data_dir.to_owned() });
        let missing = match missing {
            Some(missing) if location.has_no_bytes() => return Err(missing),
            missing => missing,
        };
        let file = location.path().map(DatabaseFile::hold).transpose()?;
        let path = location.path().map(Path::to_owned);
        Self::connect(location, file, missing).await.map_err(|error| match path {
            Some(path) if error.trouble_kind() == Some(TroubleKind::Damaged) => {
                StoreError::Damaged { path, error: Box::new(error) }
            }
            _ => error,
        })
    }

    /// A database that another store of this process has open as well, for tests of what a restart finds.
    #[cfg(test)]
    pub(crate) async fn open_beside(data_dir: &Path) -> Result<Self, StoreError> {
        Self::connect(Location::of(data_dir, None)?, None, None).await
    }

    /// Opens all connections. `missing` is the error for a database that has no schema.
    async fn connect(
        location: Location,
        file: Option<DatabaseFile>,
        missing: Option<StoreError>,
    ) -> Result<Self, StoreError> {
        let options = location
            .options
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true)
            .statement_cache_capacity(256)
            // What is slow or refused is told here, in our words.
            .disable_statement_logging();
        // The file is there. Where it vanishes later, an empty one in its place would hide that.
        let later = options.clone().create_if_missing(false);
        let mut connection = options.create_if_missing(file.is_none()).connect().await?;
        if let Some(missing) = missing
            && !has_schema(&mut connection).await?
        {
            return Err(missing);
        }
        MIGRATIONS.run(&mut connection).await?;
        let sequence = sqlx::query_scalar("SELECT sequence FROM heartbeat WHERE id = 1");
        let health = Health::new(sequence.fetch_one(&mut connection).await?);
        let write = WriteConnection::new(connection, later.clone(), file, health.clone());
        let options = later.read_only(true);
        let read = SqlitePoolOptions::new().max_connections(READERS).connect_with(options.clone()).await?;
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let reporters = u32::try_from((processors / 2).clamp(1, REPORTERS)).unwrap_or(1);
        let report = SqlitePoolOptions::new().max_connections(reporters).idle_timeout(REPORTER_IDLE);
        let report = report.connect_lazy_with(options);
        Ok(Self { write, read, report, health })
    }

    /// The pool for reading.
    pub(crate) fn reader(&self) -> &SqlitePool {
        &self.read
    }

    /// The pool for lists and statistics.
    pub(crate) fn reports(&self) -> &SqlitePool {
        &self.report
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
