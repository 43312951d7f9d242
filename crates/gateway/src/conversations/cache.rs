//! Recently used conversations in memory, so that a running chat is recognised without the database.

use std::sync::Arc;
use std::time::Duration;

use protocol::history::Hash;

use super::Conversation;
use crate::store::conversations::{ConversationRow, Place, TurnReference, TurnRow};

/// Turns kept in memory, about 1 KiB each.
const TURNS: u64 = 30_000;

/// Chains kept in memory, about 200 bytes each.
const CHAINS: u64 = 60_000;

/// What has not been used for so long goes: the database has it.
const IDLE: Duration = Duration::from_secs(15 * 60);

/// Turns remembered under one chain; more stand in the database.
const PER_CHAIN: usize = 32;

pub(super) struct Cache {
    conversations: moka::sync::Cache<String, Arc<Conversation>>,
    chains: moka::sync::Cache<Hash, Arc<[TurnReference]>>,
}

impl Cache {
    pub(super) fn new() -> Self {
        let weigh = |_: &String, conversation: &Arc<Conversation>| {
            u32::try_from(conversation.turn_count() + 1).unwrap_or(u32::MAX)
        };
        Self {
            conversations: moka::sync::Cache::builder().max_capacity(TURNS).weigher(weigh).time_to_idle(IDLE).build(),
            chains: moka::sync::Cache::builder().max_capacity(CHAINS).time_to_idle(IDLE).build(),
        }
    }

    pub(super) fn conversation(&self, id: &str) -> Option<Arc<Conversation>> {
        self.conversations.get(id)
    }

    /// Keeps a conversation that was read; one that is here already is newer.
    pub(super) fn keep_loaded(&self, conversation: Conversation) -> Arc<Conversation> {
        let id = conversation.id.clone();
        self.conversations.get_with(id, || Arc::new(conversation))
    }

    /// Turns that were committed with this chain lately; the database may know more.
    pub(super) fn chain(&self, chain: &Hash) -> Option<Arc<[TurnReference]>> {
        self.chains.get(chain)
    }

    /// Adds a turn that is on the disk.
    pub(super) fn add_turn(
        &self,
        known: Option<&Arc<Conversation>>,
        row: ConversationRow,
        turn: TurnRow,
        moved: &[(String, Place)],
    ) {
        let reference = (turn.id.clone(), turn.conversation_id.clone());
        let chain = turn.chain;
        let conversation = match self.conversations.get(&row.id).or_else(|| known.cloned()) {
            Some(conversation) => {
                conversation.add(Arc::new(turn), row.head_turn_id, row.last_used_at, moved);
                conversation
            }
            None => Arc::new(Conversation::new(row, vec![turn])),
        };
        // Inserted again because its weight has changed.
        self.conversations.insert(conversation.id.clone(), conversation);
        self.chains.entry(chain).and_upsert_with(|entry| {
            let mut references = vec![reference];
            if let Some(entry) = entry {
                references.extend(entry.into_value().iter().take(PER_CHAIN - 1).cloned());
            }
            references.into()
        });
    }

    pub(super) fn forget(&self, conversation_id: &str) {
        self.conversations.invalidate(conversation_id);
    }
}
