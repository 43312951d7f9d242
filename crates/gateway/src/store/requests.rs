//! Table `requests`: one row per request to the chat routes. Reading it is in `request_log`.

use sqlx::QueryBuilder;
use sqlx::sqlite::{Sqlite, SqliteConnection};

use super::{Store, StoreError};

/// What happened to one request. No prompt, answer, key or token is in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestRow {
    pub(crate) id: String,
    /// What `X-Request-ID` says; a client may send the same twice.
    pub(crate) request_id: String,
    /// When it arrived.
    pub(crate) at: i64,
    pub(crate) key_id: Option<String>,
    pub(crate) route: &'static str,
    pub(crate) model: Option<String>,
    pub(crate) mode: Option<String>,
    pub(crate) stream: bool,
    pub(crate) status: i64,
    pub(crate) ending: &'static str,
    pub(crate) error_code: Option<String>,
    /// The upstream's words, or what the client was told.
    pub(crate) error_message: Option<String>,
    /// The account of the last attempt.
    pub(crate) account_id: Option<String>,
    pub(crate) conversation_id: Option<String>,
    /// The receipt: which way the turn took.
    pub(crate) turn: Option<&'static str>,
    /// How the last attempt went upstream: `rest`, `websocket`.
    pub(crate) transport: Option<&'static str>,
    pub(crate) attempt_count: i64,
    /// JSON list, one entry per attempt.
    pub(crate) attempts: String,
    /// JSON object: why this account, why this receipt, marks on the time line.
    pub(crate) routing: String,
    /// Until the first attempt began.
    pub(crate) queue_ms: Option<i64>,
    /// Until the last attempt's answer began.
    pub(crate) first_byte_ms: Option<i64>,
    pub(crate) first_token_ms: Option<i64>,
    pub(crate) duration_ms: i64,
    pub(crate) bytes: i64,
    pub(crate) prompt_tokens: Option<i64>,
    /// Estimated, the reasoning included.
    pub(crate) completion_tokens: Option<i64>,
    pub(crate) reasoning_tokens: Option<i64>,
    pub(crate) client_ip: Option<String>,
    pub(crate) user_agent: Option<String>,
    /// The program that the user agent names.
    pub(crate) client: Option<String>,
    /// Not stored: which of its names the statistics count together with others.
    pub(crate) shared: SharedNames,
}

/// Names that are counted together with others, because clients made up too many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SharedNames {
    pub(crate) model: bool,
    pub(crate) mode: bool,
    pub(crate) client: bool,
}

/// Where the log is cut: this row and all before it go.
pub(crate) type Cut = (i64, String);

impl Store {
    /// Whether there is such a row.
    pub(super) async fn has_request(&self, id: &str) -> Result<bool, StoreError> {
        let query = sqlx::query_scalar::<_, i64>("SELECT 1 FROM requests WHERE id = $1").bind(id);
        Ok(query.fetch_optional(self.reader()).await?.is_some())
    }

    /// The newest row beyond the `keep` newest ones.
    pub(crate) async fn requests_beyond(&self, keep: i64) -> Result<Option<Cut>, StoreError> {
        let query = sqlx::query_as("SELECT at, id FROM requests ORDER BY at DESC, id DESC LIMIT 1 OFFSET $1");
        Ok(query.bind(keep).fetch_optional(self.reports()).await?)
    }

    /// The newest row from before `at`.
    pub(crate) async fn requests_before(&self, at: i64) -> Result<Option<Cut>, StoreError> {
        let query = sqlx::query_as("SELECT at, id FROM requests WHERE at < $1 ORDER BY at DESC, id DESC LIMIT 1");
        Ok(query.bind(at).fetch_optional(self.reports()).await?)
    }

    /// The beginnings of the stretches of such a length that hold rows from before `at`, oldest first.
    pub(crate) async fn hours_of_requests(&self, at: i64, length: i64) -> Result<Vec<i64>, StoreError> {
        let query =
            sqlx::query_scalar("SELECT DISTINCT at / $2 * $2 AS beginning FROM requests WHERE at < $1 ORDER BY 1");
        Ok(query.bind(at).bind(length).fetch_all(self.reports()).await?)
    }

    /// How many rows are from before `at`.
    pub(crate) async fn count_requests_before(&self, at: i64) -> Result<i64, StoreError> {
        let query = sqlx::query_scalar("SELECT COUNT(*) FROM requests WHERE at < $1");
        Ok(query.bind(at).fetch_one(self.reports()).await?)
    }

    /// Deletes the oldest rows up to `cut`, at most `limit` of them; answers how many went.
    pub(crate) async fn trim_requests(&self, cut: &Cut, limit: i64) -> Result<u64, StoreError> {
        let done = sqlx::query(
            "DELETE FROM requests WHERE id IN \
             (SELECT id FROM requests WHERE (at, id) <= ($1, $2) ORDER BY at, id LIMIT $3)",
        );
        let done = done.bind(cut.0).bind(&cut.1).bind(limit);
        self.execute(done).await
    }
}

/// Adds rows, in one statement.
pub(super) async fn insert_requests(
    connection: &mut SqliteConnection,
    rows: &[&RequestRow],
) -> Result<(), sqlx::Error> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "INSERT INTO requests (id, request_id, at, key_id, route, model, mode, stream, status, ending, error_code, \
         error_message, account_id, conversation_id, turn, transport, attempt_count, attempts, routing, queue_ms, \
         first_byte_ms, first_token_ms, duration_ms, bytes, prompt_tokens, completion_tokens, reasoning_tokens, client_ip, \
         user_agent, client) ",
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
            .push_bind(&row.error_message)
            .push_bind(&row.account_id)
            .push_bind(&row.conversation_id)
            .push_bind(row.turn)
            .push_bind(row.transport)
            .push_bind(row.attempt_count)
            .push_bind(&row.attempts)
            .push_bind(&row.routing)
            .push_bind(row.queue_ms)
            .push_bind(row.first_byte_ms)
            .push_bind(row.first_token_ms)
            .push_bind(row.duration_ms)
            .push_bind(row.bytes)
            .push_bind(row.prompt_tokens)
            .push_bind(row.completion_tokens)
            .push_bind(row.reasoning_tokens)
            .push_bind(&row.client_ip)
            .push_bind(&row.user_agent)
            .push_bind(&row.client);
    });
    query.build().execute(connection).await?;
    Ok(())
}
