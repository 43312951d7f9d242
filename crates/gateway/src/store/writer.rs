//! The one writer of everything that requests cause: it takes what has gathered, writes it in one transaction with one
//! statement per table, and tells who waits.
//!
//! A turn waits for its commit (a client that saw the end can continue, whatever happens to us), and its record is written with
//! it. Other records and account states wait for nobody: they ride along with the next turn, or go after [`LINGER`]. A full queue
//! drops records and counts them, because a chat never waits for a log row.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sqlx::sqlite::SqliteConnection;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::account_history::insert_account_history;
use super::accounts::{AccountState, QuotaRow, upsert_quota, write_account_state};
use super::api_keys::{KeyUse, write_key_use};
use super::conversations::{
    ConversationRow, MoveRow, Place, TurnNote, TurnRow, insert_move, insert_turns, move_turn, upsert_conversations,
};
use super::drift::{DriftRow, add_drift};
use super::requests::{RequestRow, insert_requests};
use super::statistics::add_to_statistics;
use super::{Store, StoreError};

/// Turns and records that may wait to be written.
const QUEUE: usize = 8192;

/// Most entries in one transaction: 256 rows × 30 columns stay well below SQLite's 32,766 bound values.
const BATCH: usize = 256;

/// A write that takes longer hangs.
const STUCK_MS: u64 = 3_000;

/// How long somebody who wants to read waits for what is being written.
const SETTLED: Duration = Duration::from_secs(2);

/// How long records wait for company.
const LINGER: Duration = Duration::from_millis(200);

/// One answered turn on its way to the disk.
#[derive(Debug)]
pub(crate) struct TurnCommit {
    pub(crate) conversation: ConversationRow,
    pub(crate) turn: TurnRow,
    pub(crate) note: TurnNote,
    /// The conversation changed its account with this turn.
    pub(crate) movement: Option<MoveRow>,
    /// Earlier turns that now stand in the new place (the conversation was carried to another account).
    pub(crate) moved: Vec<(String, Place)>,
    /// The record of the request, so that a turn whose end a client saw is also in the log.
    pub(crate) request: Option<Box<RequestRow>>,
}

/// Something to write.
#[derive(Debug)]
pub(crate) enum Write {
    Turn(Box<TurnCommit>, oneshot::Sender<Result<(), String>>),
    Request(Box<RequestRow>),
    Account(Box<AccountState>),
    Quota(Box<QuotaRow>),
    Drift(Box<DriftRow>),
    KeyUse(Box<KeyUse>),
    /// Nothing: who sends it wants to know when all before it is written.
    Mark(oneshot::Sender<()>),
}

/// Sends to the writer; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    queue: mpsc::Sender<Write>,
    dropped: Arc<AtomicU64>,
    health: Arc<Health>,
}

/// Whether the database takes what is written.
#[derive(Debug)]
struct Health {
    made: Instant,
    /// Milliseconds after `made` when the write under way began; 0 when none is.
    began: AtomicU64,
    /// The last write was refused.
    failing: AtomicBool,
}

impl Health {
    fn milliseconds(&self) -> u64 {
        u64::try_from(self.made.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Writer {
    /// Starts the writer. It ends after `stop`, when the queue is empty.
    pub(crate) fn start(store: Store, tasks: &TaskTracker, stop: CancellationToken) -> Self {
        let (queue, receiver) = mpsc::channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let health =
            Arc::new(Health { made: Instant::now(), began: AtomicU64::new(0), failing: AtomicBool::new(false) });
        tasks.spawn(run(store, receiver, stop, Arc::clone(&dropped), Arc::clone(&health)));
        Self { queue, dropped, health }
    }

    /// Stores a turn; returns once it is on the disk.
    pub(crate) async fn commit_turn(&self, commit: TurnCommit) -> Result<(), StoreError> {
        let (answer, committed) = oneshot::channel();
        let write = Write::Turn(Box::new(commit), answer);
        self.queue.send(write).await.map_err(|_| StoreError::WriterGone)?;
        match committed.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(message)) => Err(StoreError::Unsupported(message)),
            Err(_) => Err(StoreError::WriterGone),
        }
    }

    /// Returns once all that was queued until now is written, or when that takes too long.
    pub(crate) async fn settled(&self) {
        let (answer, written) = oneshot::channel();
        let wait = async {
            // A writer that has ended has written everything.
            if self.queue.send(Write::Mark(answer)).await.is_ok() {
                let _ = written.await;
            }
        };
        if tokio::time::timeout(SETTLED, wait).await.is_err() {
            tracing::warn!("the database is slow: what happened last is not yet shown");
        }
    }

    /// Waits until there is room for more than what requests cause; whether there is.
    pub(crate) async fn has_room(&self) -> bool {
        let until = Instant::now() + SETTLED;
        while self.waiting() > QUEUE / 4 {
            if Instant::now() > until {
                return false;
            }
            tokio::time::sleep(LINGER / 10).await;
        }
        true
    }

    /// Queues something that nobody waits for.
    pub(crate) fn enqueue(&self, write: Write) {
        if self.queue.try_send(write).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether the last write was refused, or one hangs (a locked file, a full or dead disk).
    pub(crate) fn is_stuck(&self) -> bool {
        let began = self.health.began.load(Ordering::Relaxed);
        let hangs = began != 0 && self.health.milliseconds().saturating_sub(began) > STUCK_MS;
        hangs || self.health.failing.load(Ordering::Relaxed)
    }

    /// Entries dropped because the queue was full or could not be written.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Entries waiting.
    pub(crate) fn waiting(&self) -> usize {
        QUEUE - self.queue.capacity()
    }
}

async fn run(
    store: Store,
    mut queue: mpsc::Receiver<Write>,
    stop: CancellationToken,
    dropped: Arc<AtomicU64>,
    health: Arc<Health>,
) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let stopping = tokio::select! {
            biased;
            received = queue.recv_many(&mut batch, BATCH) => received == 0,
            () = stop.cancelled() => true,
        };
        if stopping {
            queue.close();
            while queue.recv_many(&mut batch, BATCH).await > 0 {
                flush(&store, &mut batch, &dropped, &health).await;
            }
            return;
        }
        linger(&mut queue, &mut batch).await;
        flush(&store, &mut batch, &dropped, &health).await;
    }
}

/// Waits for company unless somebody waits for the batch.
async fn linger(queue: &mut mpsc::Receiver<Write>, batch: &mut Vec<Write>) {
    let until = Instant::now() + LINGER;
    while batch.len() < BATCH && !batch.iter().any(|write| matches!(write, Write::Turn(..) | Write::Mark(_))) {
        let room = BATCH - batch.len();
        match tokio::time::timeout_at(until, queue.recv_many(batch, room)).await {
            Ok(received) if received > 0 => {}
            _ => return,
        }
    }
}

async fn flush(store: &Store, batch: &mut Vec<Write>, dropped: &AtomicU64, health: &Health) {
    if batch.is_empty() {
        return;
    }
    health.began.store(health.milliseconds().max(1), Ordering::Relaxed);
    let written = write_batch(store, batch).await;
    health.began.store(0, Ordering::Relaxed);
    health.failing.store(written.is_err(), Ordering::Relaxed);
    match written {
        Ok(()) => batch.drain(..).for_each(|write| acknowledge(write, Ok(()))),
        Err(error) if batch.len() == 1 => {
            let message = error.to_string();
            tracing::error!(error = %message, "the database refused a write");
            for write in batch.drain(..) {
                if !matches!(write, Write::Turn(..) | Write::Mark(_)) {
                    dropped.fetch_add(1, Ordering::Relaxed);
                }
                acknowledge(write, Err(message.clone()));
            }
        }
        Err(error) => {
            // One bad entry must not take the others with it.
            tracing::warn!(error = %error, entries = batch.len(), "a batch was refused; writing its entries one by one");
            for write in std::mem::take(batch) {
                Box::pin(flush(store, &mut vec![write], dropped, health)).await;
            }
        }
    }
}

fn acknowledge(write: Write, result: Result<(), String>) {
    // Nobody waits any more when the client has left.
    match write {
        Write::Turn(_, waiting) => drop(waiting.send(result)),
        Write::Mark(waiting) => drop(waiting.send(())),
        _ => {}
    }
}

async fn write_batch(store: &Store, batch: &[Write]) -> Result<(), StoreError> {
    let mut transaction = store.writer().begin().await?;
    write_turns(&mut transaction, batch).await?;
    write_rows(&mut transaction, batch).await?;
    transaction.commit().await?;
    Ok(())
}

async fn write_turns(connection: &mut SqliteConnection, batch: &[Write]) -> Result<(), sqlx::Error> {
    let mut turns = Vec::new();
    let mut movements = Vec::new();
    // The last turn of a conversation in this batch decides its head.
    let mut conversations: HashMap<&str, &ConversationRow> = HashMap::new();
    for write in batch {
        if let Write::Turn(commit, _) = write {
            turns.push((&commit.turn, &commit.note));
            movements.extend(&commit.movement);
            conversations.insert(&commit.conversation.id, &commit.conversation);
            for (turn_id, place) in &commit.moved {
                move_turn(connection, turn_id, place).await?;
            }
        }
    }
    if turns.is_empty() {
        return Ok(());
    }
    insert_turns(connection, &turns).await?;
    let conversations: Vec<_> = conversations.into_values().collect();
    upsert_conversations(connection, &conversations).await?;
    for movement in movements {
        insert_move(connection, movement).await?;
    }
    Ok(())
}

async fn write_rows(connection: &mut SqliteConnection, batch: &[Write]) -> Result<(), sqlx::Error> {
    let mut requests = Vec::new();
    // The last state of an account in this batch is the one that counts.
    let mut accounts: HashMap<&str, &AccountState> = HashMap::new();
    let mut history = Vec::new();
    // The same of a key; several threads may have queued theirs in another order than they counted.
    let mut uses: HashMap<&str, &KeyUse> = HashMap::new();
    for write in batch {
        match write {
            Write::Turn(commit, _) => requests.extend(commit.request.as_deref()),
            Write::Request(row) => requests.push(&**row),
            Write::Account(state) => {
                history.extend(&state.history);
                accounts.insert(&state.id, state);
            }
            Write::Quota(row) => upsert_quota(connection, row).await?,
            Write::Drift(row) => add_drift(connection, row).await?,
            Write::KeyUse(key_use) => {
                let latest = uses.entry(&key_use.id).or_insert(key_use);
                if latest.total < key_use.total {
                    *latest = key_use;
                }
            }
            Write::Mark(_) => {}
        }
    }
    for state in accounts.into_values() {
        write_account_state(connection, state).await?;
    }
    insert_account_history(connection, &history).await?;
    for key_use in uses.into_values() {
        write_key_use(connection, key_use).await?;
    }
    if requests.is_empty() {
        return Ok(());
    }
    insert_requests(connection, &requests).await?;
    add_to_statistics(connection, &requests).await
}
