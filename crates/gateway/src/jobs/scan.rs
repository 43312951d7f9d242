//! Asking the upstream about many accounts.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::JobRooms;
use super::work::ItemResult;
use crate::accounts::TOKEN_UNREADABLE;
use crate::chat::CheckFailure;
use crate::store::jobs::JobItemRow;

/// So many accounts in a row that the way out is refused for, and a job waits for a person.
const REFUSED_IN_A_ROW: usize = 3;

/// Reads quota and plan. Gives why the rest should wait for a person, if it should.
pub(super) async fn check_quota(rooms: &JobRooms, items: &mut [JobItemRow]) -> Option<String> {
    let answers = join_all(items.iter().map(|item| ask(rooms, &item.subject))).await;
    write(rooms, items, answers)
}

/// Has each account answer a line of chat; how long a thing took is the time to the first word.
pub(super) async fn test(rooms: &JobRooms, items: &mut [JobItemRow], model: &str) -> Option<String> {
    let answers = items.iter().map(|item| async {
        let began = Instant::now();
        match rooms.chat.try_account(&item.subject, model, &rooms.recorder).await {
            Ok(first) => (Ok(()), first),
            Err(failure) => (Err(failure), began.elapsed()),
        }
    });
    let answers = join_all(answers).await;
    write(rooms, items, answers)
}

fn write(
    rooms: &JobRooms,
    items: &mut [JobItemRow],
    answers: Vec<(Result<(), CheckFailure>, Duration)>,
) -> Option<String> {
    if let Some(refusal) = refusal(&answers) {
        return Some(refusal);
    }
    let now = rooms.clock.now_ms();
    for (item, (answer, took)) in items.iter_mut().zip(answers) {
        answer.map_or_else(failed, |()| ItemResult::succeeded()).write(item, took, now);
    }
    None
}

/// Finds accounts that nothing but a new token can bring back, and changes nothing else. Only what the upstream says about the account
/// itself counts: a limit, a broken answer or trouble of the way out says nothing about it.
pub(super) async fn find_dead(rooms: &JobRooms, items: &mut [JobItemRow], may_ask: bool) -> Option<String> {
    let asked = items.iter().map(|item| async {
        match rooms.accounts.invalid_reason(&item.subject) {
            None if may_ask => ask(rooms, &item.subject).await,
            _ => (Ok(()), Duration::ZERO),
        }
    });
    let answers = join_all(asked).await;
    if let Some(refusal) = refusal(&answers) {
        return Some(refusal);
    }
    let now = rooms.clock.now_ms();
    for (item, (answer, took)) in items.iter_mut().zip(answers) {
        let result = match (rooms.accounts.invalid_reason(&item.subject), answer) {
            // The upstream was never asked: with the right key it may well be alive.
            (Some(reason), _) if reason == TOKEN_UNREADABLE => ItemResult::of("skipped", &reason),
            (Some(reason), _) => ItemResult::of("succeeded", &reason),
            (None, _) if rooms.accounts.get(&item.subject).is_none() => ItemResult::of("skipped", "not_found"),
            (None, Ok(())) => ItemResult::of("skipped", "alive"),
            (None, Err(failure)) => failed(failure),
        };
        result.write(item, took, now);
    }
    None
}

async fn ask(rooms: &JobRooms, id: &str) -> (Result<(), CheckFailure>, Duration) {
    let began = Instant::now();
    (rooms.chat.check_account(id).await, began.elapsed())
}

/// The refusal of the way out, when it met all that were asked.
fn refusal(answers: &[(Result<(), CheckFailure>, Duration)]) -> Option<String> {
    let exit = |answer: &Result<(), CheckFailure>| answer.as_ref().is_err_and(|failure| failure.is_exit);
    let all = answers.len() >= REFUSED_IN_A_ROW && answers.iter().all(|(answer, _)| exit(answer));
    let first = answers.first().filter(|_| all)?.0.as_ref().err()?;
    Some(format!("the way to the upstream is refused: {first}"))
}

fn failed(failure: CheckFailure) -> ItemResult {
    ItemResult {
        // Deleted meanwhile; with a status it is the upstream that did not find something.
        outcome: if failure.code == "not_found" && failure.status.is_none() { "skipped" } else { "failed" },
        code: Some(failure.code),
        message: Some(failure.message),
        upstream_status: failure.status.map(i64::from),
    }
}
