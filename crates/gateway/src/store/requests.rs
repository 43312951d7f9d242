//! Table `requests`: one row per request to the chat routes.

use sqlx::QueryBuilder;
use sqlx::sqlite::{Sqlite, SqliteConnection};

use super::{Store, StoreError};

/// What happened to one request. No prompt, answer, key or token is in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestRow {
    pub(crate) id: String,
    /// What `X-Request-ID` says; a client may send the same twice.
    pub(crate) request_id: String,
    pub(crate) at: i64,
    pub(crate) key_id: Option<String>,
    pub(crate) route: &'static str,
    pub(crate) model: Option<String>,
    pub(crate) mode: Option<String>,
    pub(crate) stream: bool,
    pub(crate) status: i64,
    pub(crate) ending: &'static str,
    pub(crate) error_code: Option<String>,
    pub(crate) account_id: Option<String>,
    pub(crate) conversation_id: Option<String>,
    pub(crate) turn: Option<&'static str>,
    /// JSON list, one entry per attempt.
    pub(crate) attempts: String,
    pub(crate) first_token_ms: Option<i64>,
    pub(crate) duration_ms: i64,
    pub(crate) bytes: i64,
    pub(crate) prompt_tokens: Option<i64>,
    pub(crate) completion_tokens: Option<i64>,
    pub(crate) client_ip: Option<String>,
    pub(crate) user_agent: Option<String>,
}

impl Store {
    /// Deletes the oldest rows beyond `keep`, at most `limit` of them; answers how many went.
    pub(crate) async fn trim_requests(&self, keep: i64, limit: i64) -> Result<u64, StoreError> {
        let done = sqlx::query(
            "DELETE FROM requests WHERE id IN (SELECT id FROM requests WHERE at <= \
             (SELECT at FROM requests ORDER BY at DESC LIMIT 1 OFFSET $1) LIMIT $2)",
        );
        Ok(done.bind(keep).bind(limit).execute(self.writer()).await?.rows_affected())
    }
}

/// Adds rows, in one statement.
pub(super) async fn insert_requests(
    connection: &mut SqliteConnection,
    rows: &[&RequestRow],
) -> Result<(), sqlx::Error> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "INSERT INTO requests (id, request_id, at, key_id, route, model, mode, stream, status, ending, error_code, account_id, \
         conversation_id, turn, attempts, first_token_ms, duration_ms, bytes, prompt_tokens, completion_tokens, client_ip, \
         user_agent) ",
    );
    query.push_values(rows, |mut values, row| {
        values
            .push_bind(&row.id)
            .push_bind(&row.request_id)
            .push_bind(row.at)
            .push_bind(&row.key_id)
            .push_bind(row.route)
            .push_bind(&row.model)
            .push_bind(&row.mode)
            .push_bind(row.stream)
            .push_bind(row.status)
            .push_bind(row.ending)
            .push_bind(&row.error_code)
            .push_bind(&row.account_id)
            .push_bind(&row.conversation_id)
            .push_bind(row.turn)
            .push_bind(&row.attempts)
            .push_bind(row.first_token_ms)
            .push_bind(row.duration_ms)
            .push_bind(row.bytes)
            .push_bind(row.prompt_tokens)
            .push_bind(row.completion_tokens)
            .push_bind(&row.client_ip)
            .push_bind(&row.user_agent);
    });
    query.build().execute(connection).await?;
    Ok(())
}
