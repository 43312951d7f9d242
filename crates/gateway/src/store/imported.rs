//! Tables `imported_conversations` and `imported_keys`: what was taken over and is not settled yet.

use sqlx::FromRow;

use super::conversations::{ConversationRow, TurnNote, TurnRow, insert_turns, upsert_conversations};
use super::{Store, StoreError};

/// A conversation that was taken over and whose history is not known yet.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct ImportedRow {
    pub(crate) conversation_id: String,
    pub(crate) turn_id: String,
    pub(crate) history_hash: String,
}

impl Store {
    /// Stores a conversation with its one known turn; `false` when a conversation of this id is there already.
    pub(crate) async fn insert_imported(
        &self,
        conversation: &ConversationRow,
        turn: &TurnRow,
        history_hash: &str,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let known: Option<String> = sqlx::query_scalar("SELECT id FROM conversations WHERE id = $1")
            .bind(&conversation.id)
            .fetch_optional(&mut *transaction)
            .await?;
        if known.is_some() {
            return Ok(false);
        }
        upsert_conversations(&mut transaction, &[conversation]).await?;
        insert_turns(&mut transaction, &[(turn, &TurnNote::default())]).await?;
        sqlx::query("INSERT INTO imported_conversations (conversation_id, turn_id, history_hash) VALUES ($1, $2, $3)")
            .bind(&conversation.id)
            .bind(&turn.id)
            .bind(history_hash)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }

    pub(crate) async fn insert_imported_key(&self, key_id: &str) -> Result<(), StoreError> {
        let insert = sqlx::query("INSERT INTO imported_keys (key_id) VALUES ($1) ON CONFLICT DO NOTHING").bind(key_id);
        self.execute(insert).await?;
        Ok(())
    }

    pub(crate) async fn imported_keys(&self) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar("SELECT key_id FROM imported_keys").fetch_all(self.reader()).await?)
    }

    /// The imported conversation of this id, if it is nobody's or this key's.
    pub(crate) async fn imported_conversation(
        &self,
        id: &str,
        key_id: &str,
    ) -> Result<Option<ImportedRow>, StoreError> {
        let row = sqlx::query_as(
            "SELECT i.* FROM imported_conversations i JOIN conversations c ON c.id = i.conversation_id \
             WHERE i.conversation_id = $1 AND c.key_id IN ('', $2)",
        );
        Ok(row.bind(id).bind(key_id).fetch_optional(self.reader()).await?)
    }

    /// Up to two imported conversations with this fingerprint that are nobody's or this key's.
    pub(crate) async fn imported_by_history(
        &self,
        history_hash: &str,
        key_id: &str,
    ) -> Result<Vec<ImportedRow>, StoreError> {
        let rows = sqlx::query_as(
            "SELECT i.* FROM imported_conversations i JOIN conversations c ON c.id = i.conversation_id \
             WHERE i.history_hash = $1 AND c.key_id IN ('', $2) LIMIT 2",
        );
        Ok(rows.bind(history_hash).bind(key_id).fetch_all(self.reader()).await?)
    }

    /// Gives an imported conversation to a key; with `learned`, its turn gets the hashes of the history that was resent. `false`
    /// when another key was faster.
    pub(crate) async fn claim_imported(
        &self,
        conversation_id: &str,
        key_id: &str,
        learned: Option<&TurnRow>,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let claimed = sqlx::query("UPDATE conversations SET key_id = $2 WHERE id = $1 AND key_id IN ('', $2)")
            .bind(conversation_id)
            .bind(key_id)
            .execute(&mut *transaction)
            .await?;
        if claimed.rows_affected() == 0 {
            return Ok(false);
        }
        if let Some(turn) = learned {
            sqlx::query(
                "UPDATE turns SET depth = $2, chain = $3, user_hash = $4, user_lines = $5, answer_hash = $6, \
                 answer_length = $7, system_hash = $8, base = $9 WHERE id = $1",
            )
            .bind(&turn.id)
            .bind(turn.depth)
            .bind(turn.chain.to_string())
            .bind(turn.user.to_string())
            .bind(turn.lines.to_text())
            .bind(turn.answer.to_string())
            .bind(turn.answer_length)
            .bind(turn.system.map(|hash| hash.to_string()))
            .bind(turn.base.map(|hash| hash.to_string()))
            .execute(&mut *transaction)
            .await?;
            sqlx::query("DELETE FROM imported_conversations WHERE conversation_id = $1")
                .bind(conversation_id)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(true)
    }
}
