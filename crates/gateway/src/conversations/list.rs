//! The list of conversations for people, in bounded time: a filter that no index serves is looked for in stretches until a page is
//! full or the time is up, and the answer says how far that was.

use std::time::{Duration, Instant};

use super::Conversations;
use crate::store::StoreError;
use crate::store::conversation_list::{ConversationFilter, ListDirection, ListWindow, ListedConversation, TreeTurn};
use crate::store::conversations::MoveRow;
use crate::store::requests::Cut;

/// How long one call looks for conversations.
const PATIENCE: Duration = Duration::from_millis(12);

/// Rows looked at in the first stretch, and in the longest.
const FIRST_STRETCH: i64 = 500;
const LONGEST_STRETCH: i64 = 4_000;

/// Counted up to here; beyond, a figure would cost more than it tells.
pub(crate) const MOST_COUNTED: i64 = 10_000;

/// Ids that are read at once where all are wanted.
const IDS_AT_ONCE: usize = 500;

/// Conversations whose id begins as asked, at most.
const SAME_BEGINNING: i64 = 200;

/// Which part of the list is asked for.
#[derive(Clone, Debug)]
pub(crate) struct ListQuery {
    pub(crate) filter: ConversationFilter,
    /// A conversation's id or its beginning, or the id of one of its answers.
    pub(crate) id: Option<String>,
    pub(crate) direction: ListDirection,
    /// The place from which it goes on, itself excluded.
    pub(crate) start: Option<Cut>,
    pub(crate) limit: usize,
}

/// A part of the list, in the direction that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct ListPage {
    pub(crate) rows: Vec<ListedConversation>,
    /// Where it goes on; `None`: that was all.
    pub(crate) next: Option<Cut>,
    /// The search took too long to fill the page and stopped here.
    pub(crate) searched_to: Option<i64>,
    /// How many match, up to [`MOST_COUNTED`]; `None` where only looking at all of them would tell.
    pub(crate) count: Option<i64>,
}

impl Conversations {
    /// A part of the list.
    pub(crate) async fn list(&self, mut query: ListQuery) -> Result<ListPage, StoreError> {
        if let Some(id) = query.id.take() {
            query.filter.ids = Some(self.ids_like(&id).await?);
        }
        let ListQuery { filter, direction, limit, start, .. } = &query;
        let count = match filter.needs_no_scan() {
            true => Some(self.store.count_conversations(filter, MOST_COUNTED + 1).await?),
            false => None,
        };
        // One more than asked for tells whether the list goes on.
        let wanted = |found: usize| i64::try_from(limit + 1 - found).unwrap_or(i64::MAX);
        let mut window = ListWindow { direction: *direction, start: start.clone(), end: None };
        let (began, mut stretch) = (Instant::now(), FIRST_STRETCH);
        let mut rows: Vec<ListedConversation> = Vec::new();
        loop {
            if !filter.needs_no_scan() {
                window.end =
                    self.store.conversation_boundary(filter, *direction, window.start.as_ref(), stretch).await?;
            }
            rows.extend(self.store.list_conversations(filter, &window, wanted(rows.len())).await?);
            if rows.len() > *limit {
                rows.truncate(*limit);
                let next = rows.last().map(|row| (row.last_used_at, row.id.clone()));
                return Ok(ListPage { rows, next, searched_to: None, count });
            }
            let Some(end) = window.end.take() else {
                return Ok(ListPage { rows, next: None, searched_to: None, count });
            };
            if began.elapsed() > PATIENCE {
                return Ok(ListPage { rows, searched_to: Some(end.0), next: Some(end), count });
            }
            window.start = Some(end);
            stretch = (stretch * 2).min(LONGEST_STRETCH);
        }
    }

    async fn ids_like(&self, id: &str) -> Result<Vec<String>, StoreError> {
        let bare = id.split_once('-').map_or(id, |(_, bare)| bare);
        if let Some(conversation) = self.store.conversation_of_turn(bare).await? {
            return Ok(vec![conversation]);
        }
        let found = self.store.find_conversations(id, SAME_BEGINNING).await?;
        Ok(found.into_iter().map(|found| found.id).collect())
    }

    /// The ids of all that match, the newest first.
    pub(crate) async fn ids(&self, filter: &ConversationFilter) -> Result<Vec<String>, StoreError> {
        let mut ids = Vec::new();
        let mut query = ListQuery {
            filter: filter.clone(),
            id: None,
            direction: ListDirection::Older,
            start: None,
            limit: IDS_AT_ONCE,
        };
        loop {
            let page = self.list(query.clone()).await?;
            ids.extend(page.rows.into_iter().map(|row| row.id));
            query.start = page.next;
            if query.start.is_none() {
                return Ok(ids);
            }
        }
    }

    /// One conversation as lists show it.
    pub(crate) async fn listed(&self, id: &str) -> Result<Option<ListedConversation>, StoreError> {
        self.store.listed_conversation(id).await
    }

    /// Its turns and its changes of account, oldest first.
    pub(crate) async fn history_of(&self, id: &str) -> Result<(Vec<TreeTurn>, Vec<MoveRow>), StoreError> {
        Ok((self.store.tree_of_conversation(id).await?, self.store.moves_of_conversation(id).await?))
    }
}
