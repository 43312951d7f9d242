//! Whether the database keeps what it is given: what the writes met, and whether a reader sees what was acknowledged.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::{Store, StoreError};

/// A write that takes longer hangs.
const STUCK: Duration = Duration::from_secs(3);

/// How long another process may hold the write lock before chats are refused: a copy being made takes it for a moment.
const LOCKED_GRACE: Duration = Duration::from_secs(3);

/// How long a reader may take to answer.
const READ_PATIENCE: Duration = Duration::from_secs(5);

/// What is wrong with the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TroubleKind {
    /// The disk or a quota is full.
    DiskFull,
    /// The disk reports errors, or the files cannot be written to.
    DiskError,
    /// Another process holds the write lock.
    Locked,
    /// The files were deleted or replaced while the service runs.
    Replaced,
    /// Pages of the database are damaged.
    Damaged,
    /// A write hangs.
    Stuck,
    /// A reader does not see what the writer acknowledged.
    Behind,
    /// Reading fails.
    Unreadable,
}

/// What is wrong with the database, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) kind: TroubleKind,
    /// What is wrong and what to do. No path and no row is in it.
    pub(crate) message: String,
    /// The file in which the content of deleted files was saved.
    pub(crate) saved_as: Option<String>,
}

impl TroubleKind {
    fn message(self) -> &'static str {
        match self {
            Self::DiskFull => {
                "The disk is full, so nothing can be stored. Free some space; the service continues by itself."
            }
            Self::DiskError => {
                "The database cannot be written to. Check the disk and the permissions of the data directory; the service \
                 continues by itself once writing succeeds."
            }
            Self::Locked => {
                "Another process holds the database's write lock. Close programs that have the database open; the service \
                 continues by itself."
            }
            Self::Replaced => {
                "The database files were deleted or replaced while the service was running. Stop the service, put the \
                 files back and start it again."
            }
            Self::Damaged => {
                "The database is damaged. Stop the service, make a copy of the data directory and run `grok2api check`."
            }
            Self::Stuck => "A write to the database hangs. Check the disk.",
            Self::Behind => {
                "What was written last cannot be read back. Stop the service and run `grok2api check` before starting it again."
            }
            Self::Unreadable => "The database cannot be read. The log has the reason.",
        }
    }
}

impl From<TroubleKind> for Trouble {
    fn from(kind: TroubleKind) -> Self {
        Self { kind, message: kind.message().to_owned(), saved_as: None }
    }
}

/// What is known of the database's health; shared by all who write.
#[derive(Clone, Debug)]
pub(super) struct Health(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    made: Instant,
    /// Milliseconds after `made` when the write under way began; 0 when none is.
    began: AtomicU64,
    /// The newest heartbeat that was committed.
    acknowledged: AtomicI64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What the last write met, and since when none succeeds.
    failing: Option<(TroubleKind, Instant)>,
    /// What the check of the pages found.
    damage: Option<String>,
    /// The name of the file in which the content of deleted files was saved.
    rescued: Option<String>,
}

impl Health {
    pub(super) fn new(acknowledged: i64) -> Self {
        Self(Arc::new(Shared {
            made: Instant::now(),
            began: AtomicU64::new(0),
            acknowledged: AtomicI64::new(acknowledged),
            state: Mutex::default(),
        }))
    }

    /// A write begins; it has ended when the value is dropped.
    pub(super) fn begin(&self) -> UnderWay<'_> {
        self.0.began.store(self.milliseconds().max(1), Ordering::Relaxed);
        UnderWay(self)
    }

    /// A transaction was committed.
    pub(super) fn succeeded(&self) {
        if let Some((kind, since)) = self.state().failing.take() {
            tracing::info!(?kind, for_ms = since.elapsed().as_millis(), "the database takes writes again");
        }
    }

    /// The database as a whole refused a write.
    pub(super) fn failed(&self, kind: TroubleKind, error: &StoreError) {
        let mut state = self.state();
        match &mut state.failing {
            Some((known, _)) if *known == kind => tracing::debug!(%error, "the database still refuses writes"),
            Some((known, _)) => {
                *known = kind;
                tracing::error!(%error, "the database refuses writes");
            }
            none => {
                *none = Some((kind, Instant::now()));
                tracing::error!(%error, "the database refuses writes");
            }
        }
    }

    /// The next heartbeat's number.
    pub(super) fn next_heartbeat(&self) -> i64 {
        self.0.acknowledged.load(Ordering::Acquire) + 1
    }

    /// A heartbeat was committed.
    pub(super) fn acknowledge(&self, heartbeat: i64) {
        self.0.acknowledged.fetch_max(heartbeat, Ordering::Release);
    }

    /// The pages were checked.
    pub(super) fn set_damage(&self, damage: Option<String>) {
        self.state().damage = damage;
    }

    /// The content of deleted files was saved.
    pub(super) fn set_rescued(&self, name: String) {
        self.state().rescued = Some(name);
    }

    /// What is said of a kind of trouble now.
    fn describe(&self, kind: TroubleKind) -> Trouble {
        match &self.state().rescued {
            Some(name) if kind == TroubleKind::Replaced => Trouble {
                kind,
                saved_as: Some(name.clone()),
                message: format!(
                    "The database files were deleted or replaced while the service was running. What they held is saved in \
                     {name}: stop the service, give that file the name of the database (without -wal and -shm files beside \
                     it) and start the service again."
                ),
            },
            _ => kind.into(),
        }
    }

    pub(super) fn damage(&self) -> Option<String> {
        self.state().damage.clone()
    }

    /// Whether no write succeeds at present, whatever the reason.
    pub(super) fn is_failing(&self) -> bool {
        self.state().failing.is_some()
    }

    /// Why an answer could not be stored now, if so. Costs no look at the disk.
    pub(super) fn write_trouble(&self) -> Option<TroubleKind> {
        match self.state().failing {
            Some((TroubleKind::Locked, since)) if since.elapsed() < LOCKED_GRACE => {}
            Some((kind, _)) => return Some(kind),
            None => {}
        }
        let began = self.0.began.load(Ordering::Relaxed);
        let hangs = began != 0 && self.milliseconds().saturating_sub(began) > milliseconds(STUCK);
        hangs.then_some(TroubleKind::Stuck)
    }

    fn milliseconds(&self) -> u64 {
        milliseconds(self.0.made.elapsed())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Single assignments: a panic elsewhere leaves nothing half done.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A write under way.
pub(super) struct UnderWay<'a>(&'a Health);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.0.began.store(0, Ordering::Relaxed);
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Store {
    /// What is wrong with the database, if anything is: the one answer for `/readyz`, the console's health line and its list of
    /// what needs a person. It looks at the files, at what the last writes met, and reads back what was acknowledged last.
    pub(crate) async fn trouble(&self) -> Option<Trouble> {
        if !self.write.is_in_place() {
            return Some(self.health.describe(TroubleKind::Replaced));
        }
        if let Some(kind) = self.health.write_trouble() {
            return Some(self.health.describe(kind));
        }
        let acknowledged = self.health.0.acknowledged.load(Ordering::Acquire);
        match tokio::time::timeout(READ_PATIENCE, self.heartbeat()).await {
            Ok(Ok(seen)) if seen >= acknowledged => None,
            Ok(Ok(seen)) => {
                tracing::error!(acknowledged, seen, "the database does not give back what it acknowledged");
                Some(TroubleKind::Behind.into())
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "the database cannot be read");
                Some(error.trouble_kind().unwrap_or(TroubleKind::Unreadable).into())
            }
            Err(_) => Some(TroubleKind::Unreadable.into()),
        }
    }

    /// What the check of the database's pages found, if they are damaged.
    pub(crate) fn damage(&self) -> Option<String> {
        self.health.damage()
    }

    /// Whether an answer could not be stored now, as far as the last writes tell.
    pub(crate) fn cannot_store(&self) -> bool {
        self.health.write_trouble().is_some()
    }
}
