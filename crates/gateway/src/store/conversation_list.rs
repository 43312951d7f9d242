//! Reading `conversations` and `turns` for people: windows of the list, one conversation with its turns and moves.
//!
//! As in the request log, no statement reads more rows than it is told to: a filter that no index serves is applied to a window of
//! the list whose further end was found by the index alone.

use sqlx::sqlite::Sqlite;
use sqlx::{FromRow, QueryBuilder};

use super::conversations::MoveRow;
use super::requests::Cut;
use super::{Store, StoreError};

/// Which conversations are meant; all conditions must hold. An empty list means any.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConversationFilter {
    pub(crate) keys: Vec<String>,
    pub(crate) accounts: Vec<String>,
    pub(crate) models: Vec<String>,
    /// Whether it has changed its account.
    pub(crate) moved: Option<bool>,
    /// Whether its account is gone from the pool.
    pub(crate) orphaned: Option<bool>,
    /// Last used at this time or later.
    pub(crate) from: Option<i64>,
    /// Last used before.
    pub(crate) until: Option<i64>,
    /// Kept by an admin no longer than until then.
    pub(crate) kept_until: Option<i64>,
    /// One of these, whatever else is asked.
    pub(crate) ids: Option<Vec<String>>,
}

/// The index by which a window of the list is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Driver {
    Ids,
    Account,
    Key,
    Model,
    Moved,
    Use,
}

impl ConversationFilter {
    fn driver(&self) -> Driver {
        if self.ids.is_some() {
            Driver::Ids
        } else if self.accounts.len() == 1 {
            Driver::Account
        } else if self.keys.len() == 1 {
            Driver::Key
        } else if self.models.len() == 1 {
            Driver::Model
        } else if self.moved == Some(true) {
            Driver::Moved
        } else {
            Driver::Use
        }
    }

    /// Whether every row that the index offers matches.
    pub(crate) fn needs_no_scan(&self) -> bool {
        let driver = self.driver();
        let is_served = |is_unset: bool, own: Driver| is_unset || driver == own;
        driver == Driver::Ids
            || is_served(self.accounts.is_empty(), Driver::Account)
                && is_served(self.keys.is_empty(), Driver::Key)
                && is_served(self.models.is_empty(), Driver::Model)
                && is_served(self.moved.is_none(), Driver::Moved)
                && self.orphaned.is_none()
                && self.kept_until.is_none()
    }

    /// The window and the driver's condition.
    fn push_driver(&self, window: &ListWindow, query: &mut QueryBuilder<Sqlite>) {
        query.push(" WHERE 1 = 1");
        let (lower, upper) = match window.direction {
            ListDirection::Older => (&window.end, &window.start),
            ListDirection::Newer => (&window.start, &window.end),
        };
        let is_older = window.direction == ListDirection::Older;
        // Only the tighter of two bounds: an index is entered by one, and it may be the wrong one.
        match (self.from, lower) {
            (Some(from), place) if place.as_ref().is_none_or(|(at, _)| *at < from) => {
                query.push(" AND c.last_used_at >= ").push_bind(from);
            }
            (_, Some(place)) => push_place(if is_older { " >= (" } else { " > (" }, place, query),
            _ => {}
        }
        match (self.until, upper) {
            (Some(until), place) if place.as_ref().is_none_or(|(at, _)| *at >= until) => {
                query.push(" AND c.last_used_at < ").push_bind(until);
            }
            (_, Some(place)) => push_place(if is_older { " < (" } else { " <= (" }, place, query),
            _ => {}
        }
        match self.driver() {
            Driver::Account => drop(query.push(" AND c.account_id = ").push_bind(self.accounts[0].clone())),
            Driver::Key => drop(query.push(" AND c.key_id = ").push_bind(self.keys[0].clone())),
            Driver::Model => drop(query.push(" AND c.model = ").push_bind(self.models[0].clone())),
            Driver::Moved => drop(query.push(" AND c.moves > 0")),
            Driver::Ids => push_list(" AND c.id IN (", self.ids.as_deref().unwrap_or_default(), query),
            Driver::Use => {}
        }
    }

    /// All conditions. Columns are wrapped so that no other index than the driver's is chosen.
    fn push(&self, window: &ListWindow, query: &mut QueryBuilder<Sqlite>) {
        self.push_driver(window, query);
        let driver = self.driver();
        for (values, own, condition) in [
            (&self.accounts, Driver::Account, " AND COALESCE(c.account_id, '') IN ("),
            (&self.keys, Driver::Key, " AND COALESCE(c.key_id, '') IN ("),
            (&self.models, Driver::Model, " AND COALESCE(c.model, '') IN ("),
        ] {
            if !values.is_empty() && driver != own {
                push_list(condition, values, query);
            }
        }
        match self.moved {
            Some(true) if driver != Driver::Moved => drop(query.push(" AND COALESCE(c.moves, 0) > 0")),
            Some(false) => drop(query.push(" AND COALESCE(c.moves, 0) = 0")),
            _ => {}
        }
        if let Some(orphaned) = self.orphaned {
            query.push(if orphaned { " AND NOT EXISTS" } else { " AND EXISTS" });
            query.push(" (SELECT 1 FROM accounts a WHERE a.id = c.account_id AND a.deleted_at IS NULL)");
        }
        if let Some(until) = self.kept_until {
            query.push(" AND COALESCE(c.keep_until, 0) <= ").push_bind(until);
        }
    }
}

fn push_place(comparison: &'static str, (at, id): &Cut, query: &mut QueryBuilder<Sqlite>) {
    query.push(" AND (c.last_used_at, c.id)").push(comparison);
    query.push_bind(*at).push(", ").push_bind(id.clone()).push(")");
}

fn push_list(condition: &'static str, values: &[String], query: &mut QueryBuilder<Sqlite>) {
    query.push(condition);
    let mut list = query.separated(", ");
    for value in values {
        list.push_bind(value.clone());
    }
    query.push(")");
}

/// Which way the list is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListDirection {
    /// From the last used one on.
    Older,
    Newer,
}

impl ListDirection {
    fn order(self) -> &'static str {
        match self {
            Self::Older => " ORDER BY c.last_used_at DESC, c.id DESC",
            Self::Newer => " ORDER BY c.last_used_at, c.id",
        }
    }
}

/// A part of the list: what follows `start` (excluded) up to `end` (included).
#[derive(Clone, Debug)]
pub(crate) struct ListWindow {
    pub(crate) direction: ListDirection,
    pub(crate) start: Option<Cut>,
    pub(crate) end: Option<Cut>,
}

/// One conversation as lists show it.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct ListedConversation {
    pub(crate) id: String,
    pub(crate) key_id: String,
    pub(crate) account_id: String,
    pub(crate) head_turn_id: String,
    pub(crate) title: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) keep_until: Option<i64>,
    pub(crate) moves: i64,
    pub(crate) created_at: i64,
    pub(crate) last_used_at: i64,
    pub(crate) turns: i64,
    /// Of the newest turn.
    pub(crate) receipt: Option<String>,
    pub(crate) recognised: Option<String>,
}

const LISTED: &str = "SELECT c.id, c.key_id, c.account_id, c.head_turn_id, c.title, c.model, c.keep_until, c.moves, c.created_at, \
                      c.last_used_at, (SELECT COUNT(*) FROM turns t WHERE t.conversation_id = c.id) AS turns, h.receipt, h.recognised \
                      FROM conversations c LEFT JOIN turns h ON h.id = c.head_turn_id";

/// One turn as its tree shows it: no hashes, no link by which it could be read.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct TreeTurn {
    pub(crate) id: String,
    pub(crate) parent_id: Option<String>,
    pub(crate) depth: i64,
    pub(crate) answer_length: i64,
    pub(crate) account_id: String,
    pub(crate) upstream_conversation_id: String,
    pub(crate) upstream_response_id: String,
    pub(crate) is_shared: bool,
    pub(crate) created_at: i64,
    pub(crate) request_id: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) receipt: Option<String>,
    pub(crate) recognised: Option<String>,
}

impl Store {
    /// The place `count` rows further; `None` when the list ends before. Only the filter's index is read.
    pub(crate) async fn conversation_boundary(
        &self,
        filter: &ConversationFilter,
        direction: ListDirection,
        start: Option<&Cut>,
        count: i64,
    ) -> Result<Option<Cut>, StoreError> {
        let mut query = QueryBuilder::new("SELECT c.last_used_at, c.id FROM conversations c");
        filter.push_driver(&ListWindow { direction, start: start.cloned(), end: None }, &mut query);
        query.push(direction.order()).push(" LIMIT 1 OFFSET ").push_bind(count - 1);
        Ok(query.build_query_as().fetch_optional(self.reports()).await?)
    }

    /// The matching conversations of a window, at most `limit`, in its direction.
    pub(crate) async fn list_conversations(
        &self,
        filter: &ConversationFilter,
        window: &ListWindow,
        limit: i64,
    ) -> Result<Vec<ListedConversation>, StoreError> {
        let mut query = QueryBuilder::new(LISTED);
        filter.push(window, &mut query);
        query.push(window.direction.order()).push(" LIMIT ").push_bind(limit);
        Ok(query.build_query_as().fetch_all(self.reports()).await?)
    }

    /// How many conversations the filter's index offers, counted up to `most`.
    pub(crate) async fn count_conversations(&self, filter: &ConversationFilter, most: i64) -> Result<i64, StoreError> {
        let mut query = QueryBuilder::new("SELECT COUNT(*) FROM (SELECT 1 FROM conversations c");
        filter.push_driver(&ListWindow { direction: ListDirection::Older, start: None, end: None }, &mut query);
        query.push(" LIMIT ").push_bind(most).push(") AS counted");
        Ok(query.build_query_scalar().fetch_one(self.reports()).await?)
    }

    /// One conversation as lists show it.
    pub(crate) async fn listed_conversation(&self, id: &str) -> Result<Option<ListedConversation>, StoreError> {
        let mut query = QueryBuilder::new(LISTED);
        query.push(" WHERE c.id = ").push_bind(id);
        Ok(query.build_query_as().fetch_optional(self.reports()).await?)
    }

    /// All turns of a conversation, oldest first.
    pub(crate) async fn tree_of_conversation(&self, id: &str) -> Result<Vec<TreeTurn>, StoreError> {
        let rows = sqlx::query_as(
            "SELECT id, parent_id, depth, answer_length, account_id, upstream_conversation_id, upstream_response_id, \
             share_link IS NOT NULL AS is_shared, created_at, request_id, model, receipt, recognised FROM turns \
             WHERE conversation_id = $1 ORDER BY created_at, id",
        );
        Ok(rows.bind(id).fetch_all(self.reports()).await?)
    }

    /// All moves of a conversation, oldest first.
    pub(crate) async fn moves_of_conversation(&self, id: &str) -> Result<Vec<MoveRow>, StoreError> {
        let rows = sqlx::query_as("SELECT * FROM conversation_moves WHERE conversation_id = $1 ORDER BY at, id");
        Ok(rows.bind(id).fetch_all(self.reports()).await?)
    }
}
