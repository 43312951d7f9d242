//! One conversation in memory: its turns and its head.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::store::conversations::{ConversationRow, Place, TurnRow};

/// A conversation and all its turns.
pub(crate) struct Conversation {
    pub(crate) id: String,
    pub(crate) key_id: String,
    pub(crate) created_at: i64,
    pub(crate) client_chat: Option<String>,
    state: Mutex<State>,
}

struct State {
    head: String,
    last_used_at: i64,
    keep_until: Option<i64>,
    turns: HashMap<String, Arc<TurnRow>>,
}

impl Conversation {
    pub(super) fn new(row: ConversationRow, turns: Vec<TurnRow>) -> Self {
        let turns = turns.into_iter().map(|turn| (turn.id.clone(), Arc::new(turn))).collect();
        Self {
            id: row.id,
            key_id: row.key_id,
            created_at: row.created_at,
            client_chat: row.client_chat,
            state: Mutex::new(State {
                head: row.head_turn_id,
                last_used_at: row.last_used_at,
                keep_until: row.keep_until,
                turns,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it was used since `oldest`, or is kept until after `now`.
    pub(super) fn is_fresh(&self, oldest: i64, now: i64) -> bool {
        let state = self.state();
        state.last_used_at >= oldest || state.keep_until.is_some_and(|until| until > now)
    }

    pub(super) fn keep_until(&self, until: Option<i64>) {
        self.state().keep_until = until;
    }

    pub(crate) fn turn(&self, id: &str) -> Option<Arc<TurnRow>> {
        self.state().turns.get(id).cloned()
    }

    /// The newest turn: where a client that only sends a new message goes on.
    pub(crate) fn head(&self) -> Option<Arc<TurnRow>> {
        let state = self.state();
        state.turns.get(&state.head).cloned()
    }

    pub(crate) fn turn_count(&self) -> usize {
        self.state().turns.len()
    }

    /// Whether a turn has been answered further.
    pub(crate) fn has_children(&self, turn_id: &str) -> bool {
        self.state().turns.values().any(|turn| turn.parent_id.as_deref() == Some(turn_id))
    }

    /// All turns, in no order.
    pub(crate) fn turns(&self) -> Vec<Arc<TurnRow>> {
        self.state().turns.values().cloned().collect()
    }

    /// The turns from the root to `turn`, as far as they stand in the same upstream conversation.
    pub(crate) fn upstream_path(&self, turn: &Arc<TurnRow>) -> Vec<Arc<TurnRow>> {
        let state = self.state();
        let mut path = vec![Arc::clone(turn)];
        let mut current = turn;
        while let Some(parent) = current.parent_id.as_ref().and_then(|id| state.turns.get(id)) {
            let same = parent.place.upstream_conversation_id == turn.place.upstream_conversation_id;
            // A damaged parent chain must not become an endless walk.
            if !same || path.len() > state.turns.len() {
                break;
            }
            path.push(Arc::clone(parent));
            current = parent;
        }
        path.reverse();
        path
    }

    pub(super) fn add(&self, turn: Arc<TurnRow>, head: String, now: i64, moved: &[(String, Place)]) {
        self.put_in_place(moved);
        let mut state = self.state();
        state.turns.insert(turn.id.clone(), turn);
        state.head = head;
        state.last_used_at = now;
    }

    /// Notes that turns stand elsewhere now.
    pub(super) fn put_in_place(&self, moved: &[(String, Place)]) {
        let mut state = self.state();
        for (id, place) in moved {
            if let Some(turn) = state.turns.get_mut(id) {
                let turn = Arc::make_mut(turn);
                turn.place = place.clone();
                turn.share_link = None;
            }
        }
    }

    pub(super) fn set_share_link(&self, turn_id: &str, link: &str) {
        if let Some(turn) = self.state().turns.get_mut(turn_id) {
            Arc::make_mut(turn).share_link = Some(link.to_owned());
        }
    }
}
