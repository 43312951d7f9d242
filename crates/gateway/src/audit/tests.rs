//! A log that is too large to be counted at once.

use std::time::Duration;

use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;
use crate::clock::Clock;
use crate::store::request_log::{Clause, Comparison, Direction, Field, Figure, RequestFilter};
use crate::store::requests::RequestRow;
use crate::store::{Store, Write, Writer};

const HOUR: i64 = 3_600_000;

/// 1 September 2026, 00:00 UTC.
const NOW: i64 = 1_788_220_800_000;

/// More than is counted for one answer.
const ROWS: i64 = 12_000;

/// Every so many rows a failed one.
const FAILED: i64 = 10;

struct Log {
    _directory: tempfile::TempDir,
    records: Records,
}

/// Twelve hours of requests, a thousand an hour; the very first is the only one of its model.
async fn log() -> Log {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open_beside(directory.path()).await.unwrap();
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let writer = Writer::start(store.clone(), &tasks, stop.clone());
    for number in 0..ROWS {
        let failed = number % FAILED == 0;
        let row = RequestRow {
            id: format!("req_{number:08}"),
            request_id: format!("req-{number}"),
            at: NOW - 12 * HOUR + number * 12 * HOUR / ROWS,
            key_id: Some(format!("key_{}", number % 3)),
            route: "/v1/chat/completions",
            model: Some(if number == 0 { "rare" } else { "usual" }.to_owned()),
            status: if failed { 429 } else { 200 },
            ending: if failed { "failed" } else { "done" },
            error_code: failed.then(|| "no_account_available".to_owned()),
            account_id: Some(format!("acc_{}", number % 5)),
            attempts: "[]".to_owned(),
            routing: "{}".to_owned(),
            duration_ms: number % 1_000,
            ..RequestRow::default()
        };
        while writer.waiting() > 4_000 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        writer.enqueue(Write::Request(Box::new(row)));
    }
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    assert_eq!(writer.dropped(), 0);
    Log { records: Records::new(store, Clock::manual(NOW)), _directory: directory }
}

fn of(clauses: Vec<Clause>) -> RequestFilter {
    RequestFilter { clauses, ..RequestFilter::default() }
}

fn is(field: Field, value: &str) -> Clause {
    Clause::OneOf { field, values: vec![value.to_owned()], not: false }
}

fn slower(than: i64) -> Clause {
    Clause::Figure { figure: Figure::Duration, comparison: Comparison::AtLeast, value: than }
}

#[tokio::test]
async fn a_search_that_takes_too_long_stops_and_goes_on_where_it_stopped() {
    let log = log().await;
    for direction in [Direction::Older, Direction::Newer] {
        let mut start = None;
        let (mut found, mut stops, mut last) = (Vec::new(), 0, i64::MAX);
        loop {
            let filter = of(vec![is(Field::Model, "rare")]);
            let query = PageQuery { filter, direction, start: start.clone(), limit: 10 };
            let page = log.records.page_within(&query, Duration::ZERO).await.unwrap();
            found.extend(page.rows.into_iter().map(|row| row.id));
            let Some(searched_to) = page.searched_to else { break };
            stops += 1;
            start = if direction == Direction::Older { page.next } else { page.prev };
            if direction == Direction::Older {
                assert!(searched_to < last);
                last = searched_to;
            }
        }
        assert_eq!((found, stops), (vec!["req_00000000".to_owned()], 12), "{direction:?}");
    }
    // An index needs no search.
    let filter = of(vec![is(Field::Key, "key_1")]);
    let query = PageQuery { filter, direction: Direction::Older, start: None, limit: 5_000 };
    let page = log.records.page_within(&query, Duration::ZERO).await.unwrap();
    assert_eq!((page.rows.len(), page.searched_to, page.next), (4_000, None, None));
}

#[tokio::test]
async fn a_large_log_is_counted_from_the_sums_or_from_its_newest_rows_and_says_so() {
    let log = log().await;
    let facet = async |filter: RequestFilter, field: Field| {
        let facet = log.records.facets(&filter, &[field]).await.unwrap().pop().unwrap();
        (facet.basis, facet.values)
    };
    let text = |values: &[(&str, i64)]| -> Vec<(String, i64)> {
        values.iter().map(|(value, count)| ((*value).to_owned(), *count)).collect()
    };
    let keys = text(&[("key_0", 4_000), ("key_1", 4_000), ("key_2", 4_000)]);
    assert_eq!(facet(of(vec![]), Field::Key).await, (Basis::Statistics, keys));
    let outcomes = text(&[("succeeded", 10_800), ("failed", 1_200)]);
    assert_eq!(facet(of(vec![]), Field::Outcome).await, (Basis::Statistics, outcomes.clone()));
    // Its own filter does not count.
    assert_eq!(facet(of(vec![is(Field::Outcome, "failed")]), Field::Outcome).await, (Basis::Statistics, outcomes));
    let failed = facet(of(vec![is(Field::Outcome, "failed")]), Field::Model).await;
    assert_eq!(failed, (Basis::Statistics, text(&[("usual", 1_199), ("rare", 1)])));
    // No sum knows durations.
    let (basis, values) = facet(of(vec![slower(500)]), Field::Model).await;
    let since = NOW - 12 * HOUR + (ROWS - 5_000) * 12 * HOUR / ROWS;
    assert_eq!((basis, values), (Basis::Newest { since }, text(&[("usual", 2_500)])));
    // Few rows are counted one by one.
    let (basis, values) = facet(of(vec![is(Field::ErrorCode, "no_account_available"), slower(500)]), Field::Key).await;
    assert_eq!((basis, values.iter().map(|(_, count)| count).sum::<i64>()), (Basis::Log, 600));

    assert_eq!(log.records.estimate(&of(vec![])).await.unwrap(), Some(12_000));
    assert_eq!(log.records.estimate(&of(vec![is(Field::Account, "acc_3")])).await.unwrap(), Some(2_400));
    assert_eq!(log.records.estimate(&of(vec![slower(1)])).await.unwrap(), None);
}

#[tokio::test]
async fn a_histogram_tells_where_it_knows_nothing() {
    let log = log().await;
    let range = Range { from: NOW - 24 * HOUR, until: NOW + 1 };
    let histogram = async |clauses: Vec<Clause>| {
        let histogram = log.records.histogram(&of(clauses), range, 3_600, &TimeZone::UTC).await.unwrap();
        let total = |count: &Option<Outcomes>| count.map(|count| count.succeeded + count.failed + count.cancelled);
        (histogram.basis, histogram.counts.iter().map(total).collect::<Vec<_>>())
    };
    let (basis, counts) = histogram(vec![]).await;
    assert_eq!(basis, Basis::Statistics);
    assert_eq!((&counts[..12], &counts[12..24]), (&[None; 12][..], &[Some(1_000); 12][..]));
    assert_eq!(histogram(vec![is(Field::Key, "key_1"), is(Field::Outcome, "succeeded")]).await.1[20], Some(300));
    let (basis, counts) = histogram(vec![slower(500)]).await;
    assert!(matches!(basis, Basis::Newest { .. }));
    assert_eq!((counts[18], counts[19], counts[23]), (None, Some(500), Some(500)), "{counts:?}");
}
