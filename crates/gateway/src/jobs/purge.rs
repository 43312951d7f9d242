//! Emptying the request log, an hour of it at a time. What was counted from it stays in the statistics.

use std::sync::Arc;

use super::JobRooms;
use super::work::ItemResult;
use crate::audit::purge_requests;
use crate::clock::{parse_timestamp, timestamp};
use crate::store::StoreError;
use crate::store::jobs::JobItemRow;

const HOUR_MS: i64 = 3_600_000;

/// The hours of the log that hold requests from before a time, oldest first, each with its end.
pub(super) async fn stretches(rooms: &JobRooms, before: Option<i64>) -> Result<Vec<String>, StoreError> {
    let before = before.unwrap_or(i64::MAX).min(rooms.clock.now_ms() + 1);
    let hours = rooms.store.hours_of_requests(before, HOUR_MS).await?;
    let stretch = |hour: i64| format!("{}/{}", timestamp(hour), timestamp((hour + HOUR_MS).min(before)));
    Ok(hours.into_iter().map(stretch).collect())
}

/// How many requests there are in such stretches.
pub(super) async fn count(rooms: &JobRooms, stretches: &[Arc<str>]) -> Result<i64, StoreError> {
    let end = stretches.iter().filter_map(|stretch| end_of(stretch)).max();
    rooms.store.count_requests_before(end.unwrap_or(0)).await
}

/// Deletes everything up to the end of each stretch: they come in order. The message of a result is how many went.
pub(super) async fn purge(rooms: &JobRooms, items: &[JobItemRow]) -> Result<Vec<ItemResult>, StoreError> {
    let mut results = Vec::with_capacity(items.len());
    for item in items {
        results.push(match end_of(&item.subject) {
            Some(end) => match purge_requests(&rooms.store, end).await? {
                0 => ItemResult::of("skipped", "unchanged"),
                gone => ItemResult { message: Some(gone.to_string()), ..ItemResult::succeeded() },
            },
            None => ItemResult::of("skipped", "not_found"),
        });
    }
    Ok(results)
}

fn end_of(stretch: &str) -> Option<i64> {
    parse_timestamp(stretch.split_once('/')?.1)
}
