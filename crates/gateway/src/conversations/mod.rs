//! Conversations are trees of turns, and this room knows which turn a request continues.
//!
//! Everything is under the API key: a conversation of another key does not exist here. A request names what it continues, or
//! its resent history is recognised ([`matching`]); either way the result is a [`Plan`]. A turn enters the tree only when its
//! answer is complete, and is on the disk before the client sees the end of it; a client that leaves in the middle leaves
//! nothing behind.

mod cache;
mod imported;
mod list;
mod manage;
mod matching;
mod plan;
mod probe;
mod tree;
mod trim;

use std::collections::HashSet;
use std::sync::Arc;

use protocol::history::{History, answer_print};
use tokio::sync::OnceCell;

use crate::clock::Clock;
use crate::reading;
use crate::store::conversations::TurnRow;
use crate::store::{Store, StoreError, Writer};

use cache::Cache;
pub(crate) use imported::Imported;
pub(crate) use list::{ListQuery, MOST_COUNTED};
pub(crate) use plan::{Finished, Plan, Recognised};
pub(crate) use probe::{Alike, Probe, Side, WhyNot};
pub(crate) use tree::Conversation;
pub(crate) use trim::Limits;

/// A cheap handle to the room.
#[derive(Clone)]
pub(crate) struct Conversations {
    store: Store,
    writer: Writer,
    cache: Arc<Cache>,
    clock: Clock,
    /// Keys that may claim imported conversations.
    heirs: Arc<OnceCell<HashSet<String>>>,
}

/// What a request says about what it continues.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// `conversation_id` of the body.
    pub(crate) conversation_id: Option<String>,
    /// `previous_response_id` of the body: an answer's id.
    pub(crate) previous_response_id: Option<String>,
    /// The chat id that some clients send in a header with every request of a chat. Only decides between equal matches: such
    /// clients resend the history, and send the same id with side requests.
    pub(crate) client_chat: Option<String>,
}

/// Why no plan could be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    #[error("there is no such conversation")]
    ConversationNotFound,
    #[error("there is no such response")]
    ResponseNotFound,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Conversations {
    pub(crate) fn new(store: Store, writer: Writer, clock: Clock) -> Self {
        Self { store, writer, cache: Arc::new(Cache::new()), clock, heirs: Arc::default() }
    }

    /// Which turn `history` goes on from. `ttl` is how long an unused conversation lives, in seconds.
    pub(crate) async fn plan(
        &self,
        key_id: &str,
        wanted: &Wanted,
        history: History,
        ttl: u64,
    ) -> Result<Plan, PlanError> {
        let owner = Owner::new(key_id, self.clock.now_ms(), ttl);
        let client_chat = wanted.client_chat.as_deref().map(|chat| client_chat_hash(key_id, chat));
        let located = self.locate(&owner, wanted, &history, client_chat.as_deref(), Claims::Make).await?;
        let Located { conversation, parent, recognised } = located;
        Ok(Plan::new(key_id, conversation, (parent, recognised), history, client_chat))
    }

    /// What `history` goes on from. The one place where that is decided, for chats as for probes.
    async fn locate(
        &self,
        owner: &Owner<'_>,
        wanted: &Wanted,
        history: &History,
        client_chat: Option<&str>,
        claims: Claims,
    ) -> Result<Located, PlanError> {
        if let Some(id) = &wanted.previous_response_id {
            let (conversation, turn) = self.turn(owner, id).await?.ok_or(PlanError::ResponseNotFound)?;
            if wanted.conversation_id.as_ref().is_some_and(|wanted| *wanted != conversation.id) {
                return Err(PlanError::ResponseNotFound);
            }
            return Ok(Located::at(conversation, Some(turn), Recognised::ResponseId));
        }
        if let Some(id) = &wanted.conversation_id {
            if let Some((conversation, known)) = self.claim_named(owner, id, history, claims).await? {
                let parent = if history.pairs.is_empty() { conversation.head() } else { known };
                return Ok(Located::at(conversation, parent, Recognised::ConversationId));
            }
            let conversation = self.conversation(owner, id).await?.ok_or(PlanError::ConversationNotFound)?;
            let parent = if history.pairs.is_empty() {
                conversation.head()
            } else {
                matching::inside(&conversation, owner.key_id, history)
            };
            return Ok(Located::at(conversation, parent, Recognised::ConversationId));
        }
        if let Some((conversation, turn, recognised)) = self.recognise(owner, history, client_chat).await? {
            return Ok(Located::at(conversation, Some(turn), recognised));
        }
        match self.claim_by_history(owner, history, claims).await? {
            Some((conversation, turn)) => Ok(Located::at(conversation, Some(turn), Recognised::Imported)),
            None => Ok(Located { conversation: None, parent: None, recognised: Recognised::None }),
        }
    }

    /// Whether the database takes no turns at present: an answer that cannot be kept is not worth asking for.
    pub(crate) fn cannot_store(&self) -> bool {
        self.store.cannot_store()
    }

    /// A conversation of this owner.
    async fn conversation(&self, owner: &Owner<'_>, id: &str) -> Result<Option<Arc<Conversation>>, StoreError> {
        Ok(self.load(id).await?.filter(|conversation| owner.may_use(conversation)))
    }

    /// A turn of this owner, by the id of its answer as clients know it or by its bare id.
    async fn turn(
        &self,
        owner: &Owner<'_>,
        answer_id: &str,
    ) -> Result<Option<(Arc<Conversation>, Arc<TurnRow>)>, StoreError> {
        let id = answer_id.split_once('-').map_or(answer_id, |(_, id)| id);
        let Some(conversation_id) = self.store.conversation_of_turn(id).await? else { return Ok(None) };
        let Some(conversation) = self.conversation(owner, &conversation_id).await? else { return Ok(None) };
        let turn = conversation.turn(id);
        Ok(turn.map(|turn| (conversation, turn)))
    }

    async fn load(&self, id: &str) -> Result<Option<Arc<Conversation>>, StoreError> {
        if let Some(conversation) = self.cache.conversation(id) {
            return Ok(Some(conversation));
        }
        let Some(row) = self.store.conversation(id).await? else { return Ok(None) };
        let turns = self.store.turns_of_conversation(id).await?;
        Ok(Some(self.cache.keep_loaded(Conversation::new(row, turns))))
    }

    /// Puts a finished turn into the tree. It is on the disk when this returns.
    pub(crate) async fn commit(&self, plan: &Plan, finished: Finished<'_>) -> Result<(), StoreError> {
        let now = self.clock.now_ms();
        let whole = plan.whole_answer(finished.visible);
        let print = reading::read(whole.len(), move || answer_print(&whole)).await;
        let commit = plan.commit(finished, print, now);
        let (row, turn, moved) = (commit.conversation.clone(), commit.turn.clone(), commit.moved.clone());
        self.writer.commit_turn(commit).await?;
        self.cache.add_turn(plan.conversation(), row, turn, &moved);
        Ok(())
    }

    /// Notes a share link that was made ahead of need.
    pub(crate) async fn keep_share_link(
        &self,
        conversation_id: &str,
        turn_id: &str,
        link: &str,
    ) -> Result<(), StoreError> {
        self.store.set_share_link(turn_id, link).await?;
        if let Some(conversation) = self.cache.conversation(conversation_id) {
            conversation.set_share_link(turn_id, link);
        }
        Ok(())
    }
}

/// What a request continues.
struct Located {
    conversation: Option<Arc<Conversation>>,
    parent: Option<Arc<TurnRow>>,
    recognised: Recognised,
}

impl Located {
    fn at(conversation: Arc<Conversation>, parent: Option<Arc<TurnRow>>, recognised: Recognised) -> Self {
        Self { conversation: Some(conversation), parent, recognised }
    }
}

/// Whether a conversation that was taken over becomes the key's own when it is recognised, or would only.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Claims {
    Make,
    Pretend,
}

/// Whose conversations may be used, and how old they may be.
struct Owner<'a> {
    key_id: &'a str,
    oldest_use: i64,
    now: i64,
}

impl<'a> Owner<'a> {
    fn new(key_id: &'a str, now: i64, ttl: u64) -> Self {
        Self { key_id, oldest_use: oldest_use(now, ttl), now }
    }

    fn may_use(&self, conversation: &Conversation) -> bool {
        conversation.key_id == self.key_id && self.is_fresh(conversation)
    }

    fn is_fresh(&self, conversation: &Conversation) -> bool {
        conversation.is_fresh(self.oldest_use, self.now)
    }
}

/// What was not used since then has had its time.
fn oldest_use(now: i64, ttl: u64) -> i64 {
    now.saturating_sub_unsigned(ttl.saturating_mul(1_000))
}

/// Client chat ids are kept as hashes: they may be personal.
fn client_chat_hash(key_id: &str, chat: &str) -> String {
    protocol::history::Hash::of(&[b"client chat", key_id.as_bytes(), chat.as_bytes()]).to_string()
}
