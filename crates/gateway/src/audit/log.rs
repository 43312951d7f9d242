//! Reading the log in bounded time. A filter that an index serves is answered at once; any other is looked for in stretches of the
//! log until a page is full or the time is up, and the answer says how far that was.

use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::store::request_log::{Clause, Direction, LogRow, RequestFilter, Window};
use crate::store::requests::Cut;
use crate::store::{Store, StoreError};

/// How long one call looks for rows.
const PATIENCE: Duration = Duration::from_millis(15);

/// Rows looked at in the first stretch, and in the longest. In between, as many as the time left allows.
const FIRST_STRETCH: i64 = 1_000;
const LONGEST_STRETCH: i64 = 50_000;

/// A cheap handle to the log and the statistics.
#[derive(Clone)]
pub(crate) struct Records {
    pub(super) store: Store,
    pub(super) clock: Clock,
}

/// Which window of the log is asked for.
#[derive(Clone, Debug)]
pub(crate) struct PageQuery {
    pub(crate) filter: RequestFilter,
    pub(crate) direction: Direction,
    /// The place from which it goes on, itself excluded; `None`: the log's end that the direction comes from.
    pub(crate) start: Option<Cut>,
    pub(crate) limit: usize,
}

/// A window of the log, newest first.
#[derive(Clone, Debug)]
pub(crate) struct LogPage {
    pub(crate) rows: Vec<LogRow>,
    /// Where older rows go on; `None`: there are none.
    pub(crate) next: Option<Cut>,
    /// Where newer rows go on.
    pub(crate) prev: Option<Cut>,
    /// The search took too long to fill the page and stopped here.
    pub(crate) searched_to: Option<i64>,
}

/// One request with all that is kept of it.
#[derive(Clone, Debug)]
pub(crate) struct LogEntry {
    pub(crate) row: LogRow,
    pub(crate) attempts: Vec<super::Attempt>,
    pub(crate) routing: super::Routing,
}

impl Records {
    pub(crate) fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// A window of the log.
    pub(crate) async fn page(&self, query: &PageQuery) -> Result<LogPage, StoreError> {
        self.page_within(query, PATIENCE).await
    }

    pub(super) async fn page_within(&self, query: &PageQuery, patience: Duration) -> Result<LogPage, StoreError> {
        if let Some(row) = self.named(query).await? {
            let place = Some(place(&row));
            return Ok(LogPage { rows: vec![row], next: None, prev: place, searched_to: None });
        }
        let (mut rows, rest) = self.search(query, patience).await?;
        if query.direction == Direction::Newer {
            rows.reverse();
        }
        let first = rows.first().map(place);
        let last = rows.last().map(place);
        let stopped = match &rest {
            Rest::Stopped(at) => Some(at.clone()),
            Rest::Ended | Rest::Full => None,
        };
        let searched_to = stopped.as_ref().map(|(at, _)| *at);
        let (next, prev) = match query.direction {
            Direction::Older => {
                let next = if matches!(rest, Rest::Full) { last } else { stopped };
                (next, first.or_else(|| query.start.clone()))
            }
            Direction::Newer => {
                (last.or_else(|| query.start.clone()), stopped.or(first).or_else(|| query.start.clone()))
            }
        };
        Ok(LogPage { rows, next, prev, searched_to })
    }

    /// The one request whose id the words are, if they are one.
    async fn named(&self, query: &PageQuery) -> Result<Option<LogRow>, StoreError> {
        match query.filter.clauses.as_slice() {
            [Clause::Words(words)] if query.start.is_none() => self.store.log_row(words).await,
            _ => Ok(None),
        }
    }

    /// One request, by its own id or by what `X-Request-ID` said.
    pub(crate) async fn entry(&self, id: &str) -> Result<Option<LogEntry>, StoreError> {
        let Some(row) = self.store.log_row(id).await? else { return Ok(None) };
        let Some((attempts, routing)) = self.store.log_detail(&row.id).await? else { return Ok(None) };
        // Written by us; what an older version wrote in another form is not shown.
        let attempts = serde_json::from_str(&attempts).unwrap_or_default();
        let routing = serde_json::from_str(&routing).unwrap_or_default();
        Ok(Some(LogEntry { row, attempts, routing }))
    }

    /// Rows of the search, in its direction.
    async fn search(&self, query: &PageQuery, patience: Duration) -> Result<(Vec<LogRow>, Rest), StoreError> {
        let PageQuery { filter, direction, start, limit } = query;
        let (direction, limit) = (*direction, *limit);
        // One more than asked for tells whether the log goes on.
        let wanted = |found: usize| i64::try_from(limit + 1 - found).unwrap_or(i64::MAX);
        let mut rows: Vec<LogRow> = Vec::new();
        let mut window = Window { direction, start: start.clone(), end: None };
        let began = Instant::now();
        let (mut stretch, mut looked_at) = (FIRST_STRETCH, 0);
        loop {
            if !filter.needs_no_scan() {
                window.end = self.store.log_boundary(filter, direction, window.start.as_ref(), stretch).await?;
            }
            rows.extend(self.store.log_rows(filter, &window, wanted(rows.len())).await?);
            if rows.len() > limit {
                rows.truncate(limit);
                return Ok((rows, Rest::Full));
            }
            let Some(end) = window.end.take() else { return Ok((rows, Rest::Ended)) };
            looked_at += stretch;
            stretch = affordable(looked_at, began.elapsed(), patience);
            if stretch < FIRST_STRETCH {
                return Ok((rows, Rest::Stopped(end)));
            }
            window.start = Some(end);
        }
    }
}

/// How many more rows the time left allows, at the speed so far.
fn affordable(looked_at: i64, elapsed: Duration, patience: Duration) -> i64 {
    let left = patience.saturating_sub(elapsed).as_secs_f64();
    // Speed differs from stretch to stretch: a little less, and no more than four times as many at once.
    let rows = looked_at as f64 / elapsed.as_secs_f64().max(0.000_1) * left * 0.8;
    (rows as i64).min(looked_at * 4).min(LONGEST_STRETCH)
}

/// What is left of a search.
enum Rest {
    /// The log has nothing further.
    Ended,
    /// The page is full, and the log goes on.
    Full,
    /// The time was up here.
    Stopped(Cut),
}

/// A row's place in the log.
fn place(row: &LogRow) -> Cut {
    (row.at, row.id.clone())
}
