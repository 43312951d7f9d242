//! The one writer of everything that requests cause: it takes what has gathered, writes it in one transaction with one
//! statement per table, and tells who waits.
//!
//! A turn waits for its commit (a client that saw the end can continue, whatever happens to us), and its record is written with
//! it. Other records and account states wait for nobody: they ride along with the next turn, or go after [`LINGER`]. A full queue
//! drops records and counts them, because a chat never waits for a log row.
//!
//! When the database as a whole refuses (a full disk, a lock), the batch is kept and tried again until it is taken, so an outage
//! costs nothing that was queued. Turns wait at most [`TURN_PATIENCE`], each from its own beginning and all together for the one
//! attempt: whoever gave up is not written any more. While it lasts the writer tries a heartbeat, so that the service recovers
//! without anybody's request.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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
use super::heartbeat::write_heartbeat;
use super::requests::{RequestRow, insert_requests};
use super::statistics::add_to_statistics;
use super::{Store, StoreError};

/// Turns and records that may wait to be written.
const QUEUE: usize = 8192;

/// Most entries in one transaction: 256 rows × 30 columns stay well below SQLite's 32,766 bound values.
const BATCH: usize = 256;

/// How long an answer waits to be stored, all attempts together.
const TURN_PATIENCE: Duration = Duration::from_secs(8);

/// How long somebody who wants to read waits for what is being written.
const SETTLED: Duration = Duration::from_secs(2);

/// How long records wait for company.
const LINGER: Duration = Duration::from_millis(200);

/// How long what keys have done waits for it. It is queued when a request begins, and counts by the end of its answer.
const LONG_LINGER: Duration = Duration::from_secs(5);

/// Pause before a batch that the database refused is tried again; it doubles from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LAST_PAUSE: Duration = Duration::from_millis(500);

/// A heartbeat goes with a batch at most this often.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// How long an orderly stop tries to write what is left.
const LAST_TRIES: Duration = Duration::from_secs(5);

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
}

impl Writer {
    /// Starts the writer. It ends after `stop`, when the queue is empty.
    pub(crate) fn start(store: Store, tasks: &TaskTracker, stop: CancellationToken) -> Self {
        let (queue, receiver) = mpsc::channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let worker = Worker {
            store,
            queue: receiver,
            batch: Vec::with_capacity(BATCH),
            pause: None,
            heartbeat: None,
            dropped: Arc::clone(&dropped),
        };
        tasks.spawn(worker.run(stop));
        Self { queue, dropped }
    }

    /// Stores a turn; returns once it is on the disk, or with an error after [`TURN_PATIENCE`].
    pub(crate) async fn commit_turn(&self, commit: TurnCommit) -> Result<(), StoreError> {
        let (answer, committed) = oneshot::channel();
        let write = Write::Turn(Box::new(commit), answer);
        let stored = async {
            self.queue.send(write).await.map_err(|_| StoreError::WriterGone)?;
            match committed.await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(message)) => Err(StoreError::Unsupported(message)),
                Err(_) => Err(StoreError::WriterGone),
            }
        };
        tokio::time::timeout(TURN_PATIENCE, stored).await.unwrap_or(Err(StoreError::Busy))
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

    /// Entries dropped because the queue was full or could not be written.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Entries waiting.
    pub(crate) fn waiting(&self) -> usize {
        QUEUE - self.queue.capacity()
    }
}

/// The writer's own side.
struct Worker {
    store: Store,
    queue: mpsc::Receiver<Write>,
    /// What was taken from the queue and is not written yet.
    batch: Vec<Write>,
    /// The database refused the batch: how long to wait before the next attempt.
    pause: Option<Duration>,
    /// When the last heartbeat was written.
    heartbeat: Option<Instant>,
    dropped: Arc<AtomicU64>,
}

impl Worker {
    async fn run(mut self, stop: CancellationToken) {
        while stop.run_until_cancelled(self.gather()).await.is_some_and(|more| more) {
            self.flush().await;
        }
        self.queue.close();
        let until = Instant::now() + LAST_TRIES;
        loop {
            self.take_waiting();
            if self.batch.is_empty() {
                return;
            }
            self.flush().await;
            if let Some(pause) = self.pause {
                // Deleted files take nothing any more, however often they are asked.
                if Instant::now() + pause > until || self.store.is_replaced() {
                    return self.give_up();
                }
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// Waits until there is something to write; `false` when nothing will ever come again. May be dropped at any time: what was
    /// taken is in the batch.
    async fn gather(&mut self) -> bool {
        if self.pause.is_none() && self.store.health.is_failing() {
            // Somebody else's write was refused. Chats are refused until one succeeds, so one has to be tried.
            self.pause = Some(FIRST_PAUSE);
        }
        if let Some(pause) = self.pause {
            tokio::time::sleep(pause).await;
            self.take_waiting();
            return true;
        }
        if self.queue.recv_many(&mut self.batch, BATCH).await == 0 {
            return false;
        }
        self.linger().await;
        true
    }

    /// Fills the batch with what is in the queue already.
    fn take_waiting(&mut self) {
        while self.batch.len() < BATCH
            && let Ok(write) = self.queue.try_recv()
        {
            self.batch.push(write);
        }
    }

    /// Waits for company unless somebody waits for the batch.
    async fn linger(&mut self) {
        let began = Instant::now();
        while self.batch.len() < BATCH
            && !self.batch.iter().any(|write| matches!(write, Write::Turn(..) | Write::Mark(_)))
        {
            let room = BATCH - self.batch.len();
            let may_wait = self.batch.iter().all(|write| matches!(write, Write::KeyUse(_)));
            let until = began + if may_wait { LONG_LINGER } else { LINGER };
            match tokio::time::timeout_at(until, self.queue.recv_many(&mut self.batch, room)).await {
                Ok(received) if received > 0 => {}
                _ => return,
            }
        }
    }

    /// Writes the batch. What the database as a whole refuses stays in it.
    async fn flush(&mut self) {
        let mut batch = std::mem::take(&mut self.batch);
        // The clients of these were told that their turns were not stored.
        batch.retain(|write| !matches!(write, Write::Turn(_, waiting) if waiting.is_closed()));
        let health = self.store.health.clone();
        let _under_way = health.begin();
        match self.write_batch(&batch).await {
            Ok(()) => {
                batch.drain(..).for_each(|write| acknowledge(write, Ok(())));
                self.batch = batch;
                self.pause = None;
            }
            Err(error) if error.trouble_kind().is_some() => self.refused(batch, &error),
            Err(error) => {
                tracing::warn!(%error, entries = batch.len(), "a batch was refused; writing its entries one by one");
                self.write_singly(batch).await;
            }
        }
    }

    /// One bad entry must not take the others with it.
    async fn write_singly(&mut self, batch: Vec<Write>) {
        let mut entries = batch.into_iter();
        while let Some(write) = entries.next() {
            match self.write_batch(std::slice::from_ref(&write)).await {
                Err(error) if error.trouble_kind().is_some() => {
                    return self.refused(std::iter::once(write).chain(entries).collect(), &error);
                }
                written => self.written_alone(write, written).await,
            }
        }
        self.pause = None;
    }

    /// The database as a whole does not take writes: `batch` is kept.
    fn refused(&mut self, mut batch: Vec<Write>, error: &StoreError) {
        if let Some(kind) = error.trouble_kind() {
            self.store.health.failed(kind, error);
        }
        self.pause = Some(self.pause.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LAST_PAUSE)));
        // Who wants to read waits no longer: what there is will have to do.
        for mark in batch.extract_if(.., |write| matches!(write, Write::Mark(_))) {
            acknowledge(mark, Ok(()));
        }
        self.batch = batch;
    }

    /// An entry was written, or refused, by itself.
    async fn written_alone(&self, write: Write, written: Result<(), StoreError>) {
        let Err(error) = written else { return acknowledge(write, Ok(())) };
        // A commit that failed may have reached the disk all the same.
        if error.is_duplicate() && self.is_stored(&write).await {
            return acknowledge(write, Ok(()));
        }
        tracing::error!(%error, "the database refused an entry");
        if !matches!(write, Write::Turn(..) | Write::Mark(_)) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        acknowledge(write, Err(error.to_string()));
    }

    async fn is_stored(&self, write: &Write) -> bool {
        let stored = match write {
            Write::Turn(commit, _) => {
                self.store.conversation_of_turn(&commit.turn.id).await.map(|found| found.is_some())
            }
            Write::Request(row) => self.store.has_request(&row.id).await,
            _ => return false,
        };
        stored.unwrap_or(false)
    }

    /// The service ends and the database takes nothing.
    fn give_up(mut self) {
        while let Ok(write) = self.queue.try_recv() {
            self.batch.push(write);
        }
        tracing::error!(entries = self.batch.len(), "the database takes no writes; what waited for it is lost");
        for write in self.batch {
            acknowledge(write, Err("the database takes no writes".to_owned()));
        }
    }

    async fn write_batch(&mut self, batch: &[Write]) -> Result<(), StoreError> {
        let health = &self.store.health;
        let is_due = health.is_failing() || self.heartbeat.is_none_or(|last| last.elapsed() >= HEARTBEAT);
        let heartbeat = is_due.then(|| health.next_heartbeat());
        let mut transaction = self.store.write.begin().await?;
        if let Some(sequence) = heartbeat {
            write_heartbeat(&mut transaction, sequence).await?;
        }
        write_turns(&mut transaction, batch).await?;
        write_rows(&mut transaction, batch).await?;
        transaction.commit().await?;
        if let Some(sequence) = heartbeat {
            self.store.health.acknowledge(sequence);
            self.heartbeat = Some(Instant::now());
        }
        Ok(())
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
