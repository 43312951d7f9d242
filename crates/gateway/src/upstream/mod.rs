//! The upstream, spoken to: the only room that knows the HTTP client and the dialects.
//!
//! It sends a turn and hands back the answer as bytes to be pulled, makes the unary calls, and says what a failure means
//! ([`Verdict`]). One connection of HTTP/2 carries about a hundred streams and lets the next one wait in silence, so requests
//! are spread over several clients and the open streams of each are counted here.

mod answer;
mod client;
mod credential;
mod error;
mod exit;
mod probe;
mod shards;
mod verdict;

pub(crate) use answer::AnswerBody;
pub(crate) use client::{CallError, Upstream, UpstreamOptions};
pub(crate) use credential::Credential;
pub(crate) use error::{Patience, UpstreamError, UpstreamErrorKind};
pub(crate) use exit::{BreakerLimits, ExitBreaker, ExitClosed};
pub(crate) use verdict::{Blame, Retry, Verdict};
