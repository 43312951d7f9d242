//! Looking things up by what a person has at hand: a request's id from an error message, the beginning of a conversation's id.

use sqlx::FromRow;

use super::{Store, StoreError};

/// A request, as far as it is recognised by.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct FoundRequest {
    pub(crate) id: String,
    pub(crate) request_id: String,
    pub(crate) at: i64,
    pub(crate) status: i64,
    pub(crate) model: Option<String>,
}

/// A conversation, as far as it is recognised by.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct FoundConversation {
    pub(crate) id: String,
    pub(crate) title: Option<String>,
    pub(crate) last_used_at: i64,
}

impl Store {
    /// Requests by either of their ids, whole; newest first.
    pub(crate) async fn find_requests(&self, id: &str, limit: i64) -> Result<Vec<FoundRequest>, StoreError> {
        let query = sqlx::query_as(
            "SELECT id, request_id, at, status, model FROM requests WHERE id = $1 OR request_id = $1 \
             ORDER BY at DESC LIMIT $2",
        );
        Ok(query.bind(id).bind(limit).fetch_all(self.reader()).await?)
    }

    /// Conversations whose id begins so.
    pub(crate) async fn find_conversations(
        &self,
        beginning: &str,
        limit: i64,
    ) -> Result<Vec<FoundConversation>, StoreError> {
        // A range, for an index serves it; ids are ASCII.
        let query = sqlx::query_as(
            "SELECT id, title, last_used_at FROM conversations WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3",
        );
        Ok(query.bind(beginning).bind(format!("{beginning}~")).bind(limit).fetch_all(self.reader()).await?)
    }
}
