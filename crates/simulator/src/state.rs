//! What the simulator remembers: accounts, conversation trees, share links, files, calls.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use serde_json::Value;
use tokio::time::Instant;

use crate::{
    account::AccountState,
    calls::{Call, Counters, Report, Transport, Violation},
    ids,
    prepared::Cache,
    rest,
    script::Step,
    simulator::Options,
    socket,
    turn::Keep,
};

/// Violations that are kept; what comes after the first thousands says nothing new.
const VIOLATIONS: usize = 10_000;

/// What all connections share.
pub(crate) struct Shared {
    pub options: Options,
    pub counters: Arc<Counters>,
    /// Answers prepared for load, by the form they are sent in.
    pub rest_answers: Cache<rest::TemplateKey>,
    pub socket_answers: Cache<socket::TemplateKey>,
    pub switches: Switches,
    state: Mutex<State>,
}

/// Which forms of the chat there are, changeable while it runs.
pub(crate) struct Switches {
    socket: AtomicBool,
    rest_chat: AtomicBool,
}

impl Switches {
    fn new(options: &Options) -> Self {
        Self { socket: AtomicBool::new(options.socket), rest_chat: AtomicBool::new(options.rest_chat) }
    }

    pub(crate) fn socket(&self) -> bool {
        self.socket.load(Ordering::Relaxed)
    }

    pub(crate) fn rest_chat(&self) -> bool {
        self.rest_chat.load(Ordering::Relaxed)
    }

    pub(crate) fn set_socket(&self, exists: bool) {
        self.socket.store(exists, Ordering::Relaxed);
    }

    pub(crate) fn set_rest_chat(&self, exists: bool) {
        self.rest_chat.store(exists, Ordering::Relaxed);
    }
}

#[derive(Default)]
pub(crate) struct State {
    pub accounts: HashMap<String, AccountState>,
    pub conversations: HashMap<String, Conversation>,
    /// Deleted conversations that can be restored.
    pub deleted: HashMap<String, Conversation>,
    pub share_links: HashMap<String, ShareLink>,
    /// Uploaded and generated files by path on the assets host.
    pub assets: HashMap<String, Asset>,
    /// Owner of each uploaded file id.
    pub file_owners: HashMap<String, String>,
    /// Every upload that was taken, in order.
    pub uploads: Vec<UploadedFile>,
    pub file_faults: FileFaults,
    pub calls: Vec<Call>,
    pub counts: BTreeMap<&'static str, u64>,
    pub transports: BTreeMap<&'static str, u64>,
    pub violations: Vec<Violation>,
}

/// A file that an account was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadedFile {
    /// The id that chats name it by.
    pub id: String,
    /// The account's `sso`.
    pub account: String,
    /// Its name.
    pub name: String,
    /// Its content type as it was told.
    pub content_type: String,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// What is wrong with uploads and the assets host.
#[derive(Default)]
pub(crate) struct FileFaults {
    pub no_upload: bool,
    pub no_direct_upload: bool,
    /// Statuses and bodies of the next uploads.
    pub refusals: VecDeque<(u16, String)>,
    /// The status with which every file is answered.
    pub assets_status: Option<u16>,
    /// How long every file is waited for.
    pub assets_wait: Duration,
}

pub(crate) struct ShareLink {
    pub conversation: String,
    pub response: String,
}

pub(crate) struct Asset {
    pub owner: String,
    pub content_type: String,
    pub content: AssetContent,
}

pub(crate) enum AssetContent {
    Uploaded(Vec<u8>),
    /// Drawn when it is fetched, from its id.
    Generated(String),
}

/// A conversation: a tree of messages.
#[derive(Clone)]
pub(crate) struct Conversation {
    pub id: String,
    pub owner: String,
    pub title: String,
    pub temporary: bool,
    /// Whether it was begun on a socket by a session without `x_grok`: such ones cannot be loaded there (UPSTREAM.md 16.8).
    pub bare: bool,
    pub created: SystemTime,
    pub nodes: Vec<Node>,
}

/// A stored message.
#[derive(Clone)]
pub(crate) struct Node {
    pub id: String,
    pub parent: Option<String>,
    pub sender: Sender,
    pub message: String,
    /// As last written; see [`Node::progress`].
    progress: Progress,
    pub mode: String,
    pub created: SystemTime,
    pub files: Vec<String>,
    /// Members of the stored form that differ from the usual.
    pub overrides: Value,
    pub cards: Vec<String>,
    pub images: Vec<String>,
    pub sources: Vec<Value>,
    /// The message in pieces, if it was sent over the socket (UPSTREAM.md 16.10).
    pub chunks: Option<Vec<Value>>,
    /// An answer whose stream was cut and that goes on without a reader.
    pub background: Option<Background>,
}

/// The rest of a cut answer. The node already holds what it will be; until then it counts as in flight.
#[derive(Clone)]
pub(crate) struct Background {
    /// What reconnecting replays, from the beginning.
    pub steps: Arc<[Step]>,
    /// When it is done, and how it ends.
    pub done: Instant,
    pub outcome: Progress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    Human,
    Assistant,
}

/// How far an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Being streamed, or going on in the background after a cut.
    InFlight,
    /// Complete.
    Finished,
    /// Ended early: the client left, or the script broke it.
    Partial,
}

impl Sender {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Sender::Human => "human",
            Sender::Assistant => "assistant",
        }
    }
}

impl Shared {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            switches: Switches::new(&options),
            options,
            counters: Arc::default(),
            rest_answers: Cache::default(),
            socket_answers: Cache::default(),
            state: Mutex::default(),
        }
    }

    pub(crate) fn keep(&self) -> Keep {
        if self.options.keep_tree { Keep::Tree } else { Keep::Nothing }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves plain data; the test that panicked says so itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    pub(crate) fn report(&self) -> Report {
        let state = self.state();
        let mut report =
            Report { violations: state.violations.clone(), calls: state.counts.clone(), ..Report::default() };
        report.transports.clone_from(&state.transports);
        drop(state);
        self.counters.fill(&mut report);
        report
    }
}

impl State {
    pub(crate) fn violate(&mut self, kind: &'static str, detail: impl Into<String>) {
        // A load client that leaves out a header would otherwise fill the memory with the same line.
        if self.violations.len() >= VIOLATIONS {
            return;
        }
        self.violations.push(Violation { kind, detail: detail.into() });
    }

    /// Whether two logins are one user: what one has made is the other's.
    pub(crate) fn is_one_user(&self, sso: &str, other: &str) -> bool {
        let user_of = |sso: &str| self.accounts.get(sso).map(|account| &account.user_id);
        sso == other || user_of(sso).is_some_and(|user| user_of(other) == Some(user))
    }

    /// Counts a chat call by how it came.
    pub(crate) fn count_transport(&mut self, transport: Transport) {
        *self.transports.entry(transport.name()).or_default() += 1;
    }

    /// Forgets everything but which accounts there are.
    pub(crate) fn reset(&mut self, default_quota: i64) {
        let accounts = self.accounts.drain().map(|(sso, _)| {
            let account = AccountState::new(&sso, default_quota);
            (sso, account)
        });
        *self = State { accounts: accounts.collect(), ..State::default() };
    }
}

impl Conversation {
    pub(crate) fn new(owner: &str, title: &str, temporary: bool) -> Self {
        Self {
            id: ids::fresh(),
            owner: owner.to_owned(),
            title: title.to_owned(),
            temporary,
            bare: false,
            created: SystemTime::now(),
            nodes: Vec::new(),
        }
    }

    pub(crate) fn node(&self, id: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == id)
    }

    pub(crate) fn node_mut(&mut self, id: &str) -> Option<&mut Node> {
        self.nodes.iter_mut().find(|node| node.id == id)
    }

    /// The newest answer, where a turn goes that names no parent.
    pub(crate) fn newest_answer(&self) -> Option<&Node> {
        self.nodes.iter().rev().find(|node| node.sender == Sender::Assistant)
    }

    /// The path from the root to `id`.
    pub(crate) fn branch(&self, id: &str) -> Vec<&Node> {
        let mut branch = Vec::new();
        let mut next = self.node(id);
        while let Some(node) = next {
            branch.push(node);
            next = node.parent.as_deref().and_then(|parent| self.node(parent));
        }
        branch.reverse();
        branch
    }
}

impl Node {
    /// The message as it is now, under another id.
    pub(crate) fn copy(&self, id: String, parent: Option<String>) -> Self {
        let progress = match self.progress() {
            Progress::InFlight => Progress::Partial,
            settled => settled,
        };
        Self { id, parent, progress, background: None, ..self.clone() }
    }

    pub(crate) fn set_progress(&mut self, progress: Progress) {
        self.progress = progress;
    }

    /// How far it is by now.
    pub(crate) fn progress(&self) -> Progress {
        match &self.background {
            Some(background) if self.progress == Progress::InFlight && background.done <= Instant::now() => {
                background.outcome
            }
            _ => self.progress,
        }
    }

    pub(crate) fn new(id: String, parent: Option<String>, sender: Sender, message: &str, mode: &str) -> Self {
        let progress = match sender {
            Sender::Human => Progress::Finished,
            Sender::Assistant => Progress::InFlight,
        };
        Self {
            id,
            parent,
            sender,
            message: message.to_owned(),
            progress,
            mode: mode.to_owned(),
            created: SystemTime::now(),
            files: Vec::new(),
            overrides: Value::Null,
            cards: Vec::new(),
            images: Vec::new(),
            sources: Vec::new(),
            chunks: None,
            background: None,
        }
    }
}
