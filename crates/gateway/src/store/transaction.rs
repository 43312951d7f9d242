//! The one connection that writes, and the rule that keeps its word true.
//!
//! A connection that met an error is closed, and the next transaction opens a new one. SQLite ends a transaction by itself after
//! some errors (a full disk, a failed write) and leaves it open after others; a driver that counts transactions can then believe
//! itself inside one that is long over, and turn every later COMMIT into the release of a savepoint that nothing ever commits.
//! Closing is the one act that is right in every case: what was committed stays, the rest is rolled back. (The driver, sqlx-sqlite 0.9.0,
//! counts like that: its worker lowers its depth only when its `ROLLBACK` succeeds, and after an error by which SQLite has rolled back
//! already it never does.)
//!
//! So transactions are begun and committed here by plain statements. `BEGIN` fails inside a transaction, which makes each of
//! them a check that the one before has ended.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::Instant;

use super::file::{DatabaseFile, SideFiles};
use super::health::Health;
use super::{Store, StoreError, TroubleKind};

/// How long a change that a person or a job makes waits for its turn and for a lock that another process holds, in all.
const PATIENCE: Duration = Duration::from_secs(8);

/// The writing connection's only owner; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct WriteConnection {
    options: SqliteConnectOptions,
    /// `None` where the database is not a file.
    file: Option<DatabaseFile>,
    slot: Arc<Mutex<Slot>>,
    health: Health,
}

/// Where the connection is, between transactions and during one.
#[derive(Debug)]
enum Slot {
    Open(Opened),
    /// It met an error; the next transaction opens another.
    Discarded,
    /// The store is closed: there will be no other.
    Closed,
}

impl Slot {
    fn opened(&mut self) -> Option<&mut Opened> {
        match self {
            Self::Open(opened) => Some(opened),
            Self::Discarded | Self::Closed => None,
        }
    }
}

#[derive(Debug)]
struct Opened {
    connection: SqliteConnection,
    /// The side files that this connection writes to, once it has written.
    side_files: Option<SideFiles>,
}

impl WriteConnection {
    /// Takes over a connection that is ready for use. `options` open further ones; they must not make a database.
    pub(super) fn new(
        connection: SqliteConnection,
        options: SqliteConnectOptions,
        file: Option<DatabaseFile>,
        health: Health,
    ) -> Self {
        let opened = Opened { connection, side_files: None };
        Self { options, file, slot: Arc::new(Mutex::new(Slot::Open(opened))), health }
    }

    /// Whether the files are still those that were opened.
    pub(super) fn is_in_place(&self) -> bool {
        self.file.as_ref().is_none_or(DatabaseFile::is_in_place)
    }

    /// Begins a transaction; waits for the one under way. A lock that another process holds is waited for as long as the
    /// connection's busy time-out says.
    pub(super) async fn begin(&self) -> Result<Transaction, StoreError> {
        let slot = Arc::clone(&self.slot).lock_owned().await;
        let mut transaction = Transaction { slot, health: self.health.clone(), is_over: false };
        match self.start(&mut transaction).await {
            Ok(()) => Ok(transaction),
            Err(error) => {
                drop(transaction);
                self.note(&error);
                Err(error)
            }
        }
    }

    async fn start(&self, transaction: &mut Transaction) -> Result<(), StoreError> {
        if !self.is_in_place() {
            // The connection stays: it is the way to what the deleted file holds.
            transaction.is_over = true;
            return Err(StoreError::Replaced);
        }
        if matches!(*transaction.slot, Slot::Discarded) {
            let connection = self.options.connect().await?;
            *transaction.slot = Slot::Open(Opened { connection, side_files: None });
        }
        let Some(opened) = transaction.slot.opened() else {
            transaction.is_over = true;
            return Err(sqlx::Error::PoolClosed.into());
        };
        // Without waiting for the first write: with it a lock is met here, where nothing is lost, and nowhere else.
        sqlx::query("BEGIN IMMEDIATE").execute(&mut opened.connection).await?;
        let Some(file) = &self.file else { return Ok(()) };
        match (opened.side_files, file.side_files()) {
            (Some(known), now) if now != known => {
                sqlx::query("ROLLBACK").execute(&mut opened.connection).await?;
                transaction.is_over = true;
                Err(StoreError::Replaced)
            }
            (None, now) => {
                opened.side_files = Some(now);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn note(&self, error: &StoreError) {
        if let Some(kind) = error.trouble_kind() {
            self.health.failed(kind, error);
        }
    }

    /// Saves what the deleted files hold into a new file beside them; its name.
    async fn rescue(&self, now: i64) -> Result<Option<String>, StoreError> {
        let Some(file) = &self.file else { return Ok(None) };
        let mut slot = self.slot.lock().await;
        let Some(opened) = slot.opened() else { return Ok(None) };
        let rescued = file.new_neighbour(&format!("rescued-{now}"))?;
        let copy = sqlx::query("VACUUM INTO $1").bind(rescued.to_string_lossy().into_owned());
        if let Err(error) = copy.execute(&mut opened.connection).await {
            // Half a copy helps nobody.
            let _ = std::fs::remove_file(&rescued);
            return Err(error.into());
        }
        Ok(rescued.file_name().map(|name| name.to_string_lossy().into_owned()))
    }

    pub(super) async fn close(&self) {
        let mut slot = self.slot.lock().await;
        if let Slot::Open(opened) = std::mem::replace(&mut *slot, Slot::Closed) {
            // What is committed is on the disk; closing only moves it from the log into the database.
            if let Err(error) = opened.connection.close().await {
                tracing::warn!(%error, "the database was not closed in order");
            }
        }
    }
}

/// A transaction; nothing else writes until it is committed or dropped. Dropped, it is rolled back and its connection closed.
#[derive(Debug)]
pub(super) struct Transaction {
    slot: OwnedMutexGuard<Slot>,
    health: Health,
    is_over: bool,
}

impl Transaction {
    /// Makes the changes last: they are on the disk when this returns.
    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        let committed = sqlx::query("COMMIT").execute(self.deref_mut()).await;
        match committed {
            Ok(_) => {
                self.is_over = true;
                self.health.succeeded();
                Ok(())
            }
            Err(error) => {
                let error = StoreError::from(error);
                if let Some(kind) = error.trouble_kind() {
                    self.health.failed(kind, &error);
                }
                Err(error)
            }
        }
    }
}

impl Deref for Transaction {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        match &*self.slot {
            Slot::Open(opened) => &opened.connection,
            Slot::Discarded | Slot::Closed => unreachable!("a transaction is made with a connection and keeps it"),
        }
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        match &mut *self.slot {
            Slot::Open(opened) => &mut opened.connection,
            Slot::Discarded | Slot::Closed => unreachable!("a transaction is made with a connection and keeps it"),
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.is_over {
            *self.slot = Slot::Discarded;
        }
    }
}

impl Store {
    /// Whether the files were deleted or replaced.
    pub(crate) fn is_replaced(&self) -> bool {
        !self.write.is_in_place() || self.health.write_trouble() == Some(TroubleKind::Replaced)
    }

    /// Saves what deleted or replaced files hold, as long as this process still has them open.
    pub(crate) async fn rescue(&self, now: i64) -> Result<(), StoreError> {
        if let Some(name) = self.write.rescue(now).await? {
            tracing::error!(
                name,
                "the database files were deleted or replaced; what they held is saved under this name"
            );
            self.health.set_rescued(name);
        }
        Ok(())
    }

    /// Begins a transaction on behalf of an admin, a job or the maintenance.
    pub(super) async fn begin(&self) -> Result<Transaction, StoreError> {
        let until = Instant::now() + PATIENCE;
        loop {
            let begun = match tokio::time::timeout_at(until, self.write.begin()).await {
                Ok(begun) => begun,
                Err(_) => return Err(StoreError::Busy),
            };
            match begun {
                // Its place in the queue is given up in between, so that nobody waits behind somebody who waits in vain.
                Err(error) if error.is_locked() && Instant::now() < until => {}
                begun => return begun,
            }
        }
    }

    /// Runs one statement in a transaction of its own; how many rows it changed.
    pub(super) async fn execute(&self, query: Query<'_, Sqlite, SqliteArguments>) -> Result<u64, StoreError> {
        let mut transaction = self.begin().await?;
        let done = query.execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(done.rows_affected())
    }
}
