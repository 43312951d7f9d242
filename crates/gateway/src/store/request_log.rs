//! Reading the table `requests`: windows of it, counts of a part of it, one row.
//!
//! No statement here reads more rows than it is told to. A window lies between two places in the log's order, and the further one is
//! found first, by the index alone; so a filter that matches nothing costs no more than one that matches everything.

use sqlx::QueryBuilder;
use sqlx::sqlite::Sqlite;

use super::requests::Cut;
use super::{Store, StoreError};

/// What a filter can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    RequestId,
    Outcome,
    Status,
    Model,
    Mode,
    Key,
    Account,
    Conversation,
    ErrorCode,
    Client,
    Ip,
    Route,
    Transport,
    Receipt,
    Stream,
}

impl Field {
    /// A text in SQL.
    fn expression(self) -> &'static str {
        match self {
            Self::RequestId => "request_id",
            Self::Outcome => {
                "CASE WHEN ending = 'done' THEN 'succeeded' WHEN ending IN ('client_gone', 'shutdown') THEN 'cancelled' ELSE 'failed' END"
            }
            Self::Status => "CAST(status AS TEXT)",
            Self::Model => "model",
            Self::Mode => "mode",
            Self::Key => "key_id",
            Self::Account => "account_id",
            Self::Conversation => "conversation_id",
            Self::ErrorCode => "error_code",
            Self::Client => "client",
            Self::Ip => "client_ip",
            Self::Route => "route",
            Self::Transport => "transport",
            Self::Receipt => "turn",
            Self::Stream => "CASE WHEN stream THEN 'true' ELSE 'false' END",
        }
    }

    /// Whether an index orders the rows of one value, and how few those usually are.
    fn index_rank(self) -> Option<u8> {
        match self {
            Self::RequestId => Some(0),
            Self::Conversation => Some(1),
            Self::Account => Some(2),
            Self::ErrorCode => Some(3),
            Self::Key => Some(4),
            _ => None,
        }
    }
}

/// Figures that can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Figure {
    Duration,
    FirstToken,
    Attempts,
}

impl Figure {
    fn column(self) -> &'static str {
        match self {
            Self::Duration => "duration_ms",
            Self::FirstToken => "first_token_ms",
            Self::Attempts => "attempt_count",
        }
    }
}

/// How a figure is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Less,
    AtMost,
    More,
    AtLeast,
}

impl Comparison {
    fn sign(self) -> &'static str {
        match self {
            Self::Less => " < ",
            Self::AtMost => " <= ",
            Self::More => " > ",
            Self::AtLeast => " >= ",
        }
    }
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Clause {
    /// One of these values, or none of them.
    OneOf {
        field: Field,
        values: Vec<String>,
        not: bool,
    },
    /// Known or not.
    Exists {
        field: Field,
        exists: bool,
    },
    Figure {
        figure: Figure,
        comparison: Comparison,
        value: i64,
    },
    /// A part of the error's code or words.
    Words(String),
}

/// What to look for; all clauses must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestFilter {
    pub(crate) from: Option<i64>,
    pub(crate) until: Option<i64>,
    pub(crate) clauses: Vec<Clause>,
}

impl RequestFilter {
    /// The clause whose index the rows are read by; without one they are read in the order of time.
    fn driver(&self) -> Option<usize> {
        let ranks = self.clauses.iter().enumerate().filter_map(|(position, clause)| match clause {
            Clause::OneOf { field, values, not: false } if values.len() == 1 => Some((field.index_rank()?, position)),
            _ => None,
        });
        ranks.min().map(|(_, position)| position)
    }

    /// Whether every row that the index offers matches.
    pub(crate) fn needs_no_scan(&self) -> bool {
        self.clauses.len() == usize::from(self.driver().is_some())
    }

    fn push_driver(&self, window: &Window, query: &mut QueryBuilder<Sqlite>) {
        query.push(" WHERE 1 = 1");
        let (lower, upper) = match window.direction {
            Direction::Older => (&window.end, &window.start),
            Direction::Newer => (&window.start, &window.end),
        };
        // Only the tighter of two bounds: an index is entered by one, and it may be the wrong one.
        match (self.from, lower) {
            (Some(from), place) if place.as_ref().is_none_or(|(at, _)| *at < from) => {
                query.push(" AND at >= ").push_bind(from);
            }
            (_, Some(place)) => window.direction.push_lower(place, query),
            _ => {}
        }
        match (self.until, upper) {
            (Some(until), place) if place.as_ref().is_none_or(|(at, _)| *at >= until) => {
                query.push(" AND at < ").push_bind(until);
            }
            (_, Some(place)) => window.direction.push_upper(place, query),
            _ => {}
        }
        if let Some(Clause::OneOf { field, values, .. }) = self.driver().map(|position| &self.clauses[position]) {
            query.push(" AND ").push(field.expression()).push(" = ").push_bind(values[0].clone());
        }
    }

    fn push(&self, window: &Window, query: &mut QueryBuilder<Sqlite>) {
        self.push_driver(window, query);
        let driver = self.driver();
        for (position, clause) in self.clauses.iter().enumerate() {
            if Some(position) != driver {
                clause.push(query);
            }
        }
    }
}

impl Clause {
    /// Columns are wrapped so that no other index than the driver's is chosen: the window is one in the driver's order.
    fn push(&self, query: &mut QueryBuilder<Sqlite>) {
        match self {
            Self::OneOf { field, values, not } => {
                query.push(" AND COALESCE(").push(field.expression()).push(", '')");
                query.push(if *not { " NOT IN (" } else { " IN (" });
                let mut list = query.separated(", ");
                for value in values {
                    list.push_bind(value.clone());
                }
                query.push(")");
            }
            Self::Exists { field, exists } => {
                query.push(" AND COALESCE(").push(field.expression()).push(", '')");
                query.push(if *exists { " <> ''" } else { " = ''" });
            }
            Self::Figure { figure, comparison, value } => {
                query.push(" AND ").push(figure.column()).push(comparison.sign()).push_bind(*value);
            }
            Self::Words(words) => {
                let pattern = format!("%{}%", escaped(&words.to_lowercase()));
                query.push(" AND (LOWER(COALESCE(error_message, '')) LIKE ").push_bind(pattern.clone());
                query.push(" ESCAPE '\\' OR LOWER(COALESCE(error_code, '')) LIKE ").push_bind(pattern);
                query.push(" ESCAPE '\\')");
            }
        }
    }
}

/// A text as part of a pattern, its own signs taken literally.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

/// Which way a window is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From newer to older.
    Older,
    Newer,
}

impl Direction {
    fn order(self) -> &'static str {
        match self {
            Self::Older => " ORDER BY at DESC, id DESC",
            Self::Newer => " ORDER BY at, id",
        }
    }

    /// The older end of a window; excluded where the window comes from there.
    fn push_lower(self, place: &Cut, query: &mut QueryBuilder<Sqlite>) {
        push_place(if self == Self::Newer { " AND (at, id) > (" } else { " AND (at, id) >= (" }, place, query);
    }

    /// The newer end.
    fn push_upper(self, place: &Cut, query: &mut QueryBuilder<Sqlite>) {
        push_place(if self == Self::Older { " AND (at, id) < (" } else { " AND (at, id) <= (" }, place, query);
    }
}

/// A part of the log: what follows `start` (excluded) up to `end` (included).
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) direction: Direction,
    pub(crate) start: Option<Cut>,
    pub(crate) end: Option<Cut>,
}

fn push_place(comparison: &'static str, (at, id): &Cut, query: &mut QueryBuilder<Sqlite>) {
    query.push(comparison).push_bind(*at).push(", ").push_bind(id.clone()).push(")");
}

/// One row as lists show it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct LogRow {
    pub(crate) id: String,
    pub(crate) request_id: String,
    pub(crate) at: i64,
    pub(crate) key_id: Option<String>,
    pub(crate) route: String,
    pub(crate) model: Option<String>,
    pub(crate) mode: Option<String>,
    pub(crate) stream: bool,
    pub(crate) status: i64,
    pub(crate) ending: String,
    pub(crate) error_code: Option<String>,
    pub(crate) error_message: Option<String>,
    pub(crate) account_id: Option<String>,
    pub(crate) conversation_id: Option<String>,
    pub(crate) turn: Option<String>,
    pub(crate) transport: Option<String>,
    pub(crate) attempt_count: i64,
    pub(crate) queue_ms: Option<i64>,
    pub(crate) first_byte_ms: Option<i64>,
    pub(crate) first_token_ms: Option<i64>,
    pub(crate) duration_ms: i64,
    pub(crate) bytes: i64,
    pub(crate) prompt_tokens: Option<i64>,
    pub(crate) completion_tokens: Option<i64>,
    pub(crate) reasoning_tokens: Option<i64>,
    pub(crate) client_ip: Option<String>,
    pub(crate) user_agent: Option<String>,
    pub(crate) client: Option<String>,
}

const LOG_ROW: &str = "SELECT id, request_id, at, key_id, route, model, mode, stream, status, ending, error_code, error_message, \
                       account_id, conversation_id, turn, transport, attempt_count, queue_ms, first_byte_ms, first_token_ms, \
                       duration_ms, bytes, prompt_tokens, completion_tokens, reasoning_tokens, client_ip, user_agent, client \
                       FROM requests";

/// How often a value of a field occurs.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct FieldCount {
    /// Position of the field in the question.
    pub(crate) field: i64,
    pub(crate) value: String,
    pub(crate) requests: i64,
}

/// How many requests of one ending fall into a slot of time.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct SlotCount {
    pub(crate) slot: i64,
    pub(crate) outcome: String,
    pub(crate) requests: i64,
}

impl Store {
    /// The place `count` rows further; `None` when the log ends before. Only the filter's index is read.
    pub(crate) async fn log_boundary(
        &self,
        filter: &RequestFilter,
        direction: Direction,
        start: Option<&Cut>,
        count: i64,
    ) -> Result<Option<Cut>, StoreError> {
        let mut query = QueryBuilder::new("SELECT at, id FROM requests");
        filter.push_driver(&Window { direction, start: start.cloned(), end: None }, &mut query);
        query.push(direction.order()).push(" LIMIT 1 OFFSET ").push_bind(count - 1);
        Ok(query.build_query_as().fetch_optional(self.reports()).await?)
    }

    /// The matching rows of a window, at most `limit`, in its direction.
    pub(crate) async fn log_rows(
        &self,
        filter: &RequestFilter,
        window: &Window,
        limit: i64,
    ) -> Result<Vec<LogRow>, StoreError> {
        let mut query = QueryBuilder::new(LOG_ROW);
        filter.push(window, &mut query);
        query.push(window.direction.order()).push(" LIMIT ").push_bind(limit);
        Ok(query.build_query_as().fetch_all(self.reports()).await?)
    }

    /// One row, by its own id or by what `X-Request-ID` said (then the newest).
    pub(crate) async fn log_row(&self, id: &str) -> Result<Option<LogRow>, StoreError> {
        let query = format!("{LOG_ROW} WHERE id = $1");
        let row = sqlx::query_as(sqlx::AssertSqlSafe(query)).bind(id).fetch_optional(self.reports()).await?;
        if row.is_some() {
            return Ok(row);
        }
        let query = format!("{LOG_ROW} WHERE request_id = $1 ORDER BY at DESC, id DESC LIMIT 1");
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(query)).bind(id).fetch_optional(self.reports()).await?)
    }

    /// What is kept of a request's attempts and routing, as JSON.
    pub(crate) async fn log_detail(&self, id: &str) -> Result<Option<(String, String)>, StoreError> {
        let query = sqlx::query_as("SELECT attempts, routing FROM requests WHERE id = $1");
        Ok(query.bind(id).fetch_optional(self.reports()).await?)
    }

    /// How often the values of these fields occur among the matching rows of a window.
    pub(crate) async fn log_counts(
        &self,
        filter: &RequestFilter,
        window: &Window,
        fields: &[Field],
    ) -> Result<Vec<FieldCount>, StoreError> {
        let mut query = QueryBuilder::new("WITH sample AS MATERIALIZED (SELECT 1 AS one");
        for (position, field) in fields.iter().enumerate() {
            query.push(", ").push(field.expression()).push(format_args!(" AS field_{position}"));
        }
        query.push(" FROM requests");
        filter.push(window, &mut query);
        query.push(")");
        for position in 0..fields.len() {
            query.push(if position == 0 { " " } else { " UNION ALL " });
            query.push(format_args!(
                "SELECT {position} AS field, field_{position} AS value, COUNT(*) AS requests FROM sample \
                 WHERE field_{position} IS NOT NULL GROUP BY field_{position}"
            ));
        }
        Ok(query.build_query_as().fetch_all(self.reports()).await?)
    }

    /// How the matching rows of a window lie in time, in slots of so many milliseconds.
    pub(crate) async fn log_slots(
        &self,
        filter: &RequestFilter,
        window: &Window,
        slot_ms: i64,
    ) -> Result<Vec<SlotCount>, StoreError> {
        let mut query = QueryBuilder::new("SELECT at / ");
        query.push(slot_ms).push(" AS slot, ").push(Field::Outcome.expression());
        query.push(" AS outcome, COUNT(*) AS requests FROM requests");
        filter.push(window, &mut query);
        query.push(" GROUP BY 1, 2");
        Ok(query.build_query_as().fetch_all(self.reports()).await?)
    }

    /// How many rows the filter's index offers, counted up to `most`.
    pub(crate) async fn log_count(&self, filter: &RequestFilter, most: i64) -> Result<i64, StoreError> {
        let mut query = QueryBuilder::new("SELECT COUNT(*) FROM (SELECT at FROM requests");
        filter.push_driver(&Window { direction: Direction::Older, start: None, end: None }, &mut query);
        query.push(" LIMIT ").push_bind(most).push(") AS counted");
        Ok(query.build_query_scalar().fetch_one(self.reports()).await?)
    }

    /// When the oldest request of the log arrived.
    pub(crate) async fn oldest_request(&self) -> Result<Option<i64>, StoreError> {
        Ok(sqlx::query_scalar("SELECT MIN(at) FROM requests").fetch_one(self.reports()).await?)
    }
}
