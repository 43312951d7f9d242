//! What admins and background jobs do to a conversation, whoever owns it.

use std::sync::Arc;

use uuid::Uuid;

use super::plan::CARRIED;
use super::{Conversation, Conversations};
use crate::store::StoreError;
use crate::store::conversations::{MoveRow, Place, TurnRow};

impl Conversations {
    /// A conversation, whosever it is and however old.
    pub(crate) async fn any(&self, id: &str) -> Result<Option<Arc<Conversation>>, StoreError> {
        self.load(id).await
    }

    /// Gives it another title; `false` when it is gone.
    pub(crate) async fn rename(&self, id: &str, title: Option<&str>) -> Result<bool, StoreError> {
        self.store.rename_conversation(id, title).await
    }

    /// Keeps it until a time, whether it is used or not; `None`: as long as any other. `false` when it is gone.
    pub(crate) async fn keep_until(&self, id: &str, until: Option<i64>) -> Result<bool, StoreError> {
        let is_there = self.store.keep_conversation_until(id, until).await?;
        if let Some(conversation) = self.cache.conversation(id) {
            conversation.keep_until(until);
        }
        Ok(is_there)
    }

    /// Deletes it here; `false` when it was gone.
    pub(crate) async fn delete_one(&self, id: &str) -> Result<bool, StoreError> {
        let is_there = self.store.conversation(id).await?.is_some();
        self.delete(&[id.to_owned()]).await?;
        Ok(is_there)
    }

    /// All places at the upstream where something of it stands: of its turns, and what moves have left behind.
    pub(crate) async fn places(&self, id: &str) -> Result<Vec<(String, String)>, StoreError> {
        let (turns, moves) = self.history_of(id).await?;
        let turns = turns.into_iter().map(|turn| (turn.account_id, turn.upstream_conversation_id));
        let left = moves.into_iter().map(|one| (one.from_account_id, one.from_upstream_conversation_id));
        let mut places: Vec<_> = turns.chain(left).collect();
        places.sort_unstable();
        places.dedup();
        Ok(places)
    }

    /// Notes that an admin had it carried over: `moved` turns stand elsewhere now, `head` last.
    pub(crate) async fn carried_over(
        &self,
        conversation: &Conversation,
        head: &TurnRow,
        place: &Place,
        moved: &[(String, Place)],
    ) -> Result<(), StoreError> {
        let movement = MoveRow {
            id: format!("move_{}", Uuid::now_v7().simple()),
            conversation_id: conversation.id.clone(),
            at: self.clock.now_ms(),
            turn_id: head.id.clone(),
            from_account_id: head.place.account_id.clone(),
            to_account_id: place.account_id.clone(),
            from_upstream_conversation_id: head.place.upstream_conversation_id.clone(),
            kind: CARRIED.to_owned(),
            request_id: None,
        };
        self.store.move_conversation(&movement, moved).await?;
        conversation.put_in_place(moved);
        // Read again when it is next asked for: somebody may hold an older copy.
        self.cache.forget(&conversation.id);
        Ok(())
    }
}
