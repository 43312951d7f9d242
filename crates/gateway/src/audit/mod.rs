//! The request log and what is counted from it.
//!
//! Every request to the chat routes that carries a valid key opens a [`RequestRecord`], a guard that is closed however the request ends; its row and the
//! sums it adds to are written in one transaction, behind the requests. Reading them is for the console: [`Records`] answers in
//! bounded time, whatever the log holds, and says where it looked no further.

mod attempt;
mod buckets;
mod counts;
mod drift;
mod interruption;
mod log;
mod metric;
mod names;
mod record;
mod rejected;
mod retention;
mod statistics;
#[cfg(test)]
mod tests;

pub(crate) use attempt::{Attempt, Choice, FailedAttempt, Routing};
pub(crate) use buckets::{MOST_BUCKETS, Range, automatic_step};
pub(crate) use counts::{Basis, Facet, Outcomes};
pub(crate) use drift::DriftLog;
pub(crate) use interruption::{Interrupted, Interruption};
pub(crate) use log::{LogEntry, PageQuery, Records};
pub(crate) use metric::Metric;
pub(crate) use record::{Recorder, RequestEnding, RequestRecord};
pub(crate) use rejected::{Rejected, RejectedRequest};
pub(crate) use retention::{Retention, purge_requests};
pub(crate) use statistics::{Group, GroupValue, HourOfWeek, SeriesQuery};
