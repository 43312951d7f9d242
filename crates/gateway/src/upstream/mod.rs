//! The upstream, spoken to: the only room that knows the HTTP client and the dialects.
//!
//! It sends a turn and hands back the answer as bytes to be pulled, makes the unary calls, and says what a failure means
//! ([`Verdict`]). A turn goes over one of two transports, and what comes back is the same [`UpstreamAnswer`]. One connection of HTTP/2 carries about a hundred streams and lets the next one wait in silence, so requests
//! are spread over several clients and the open streams of each are counted here.

mod answer;
mod aside;
mod assets;
mod client;
mod credential;
mod error;
mod exit;
mod memory;
mod metered;
mod names;
mod probe;
mod public_address;
mod rest_answer;
mod shards;
mod socket;
mod socket_answer;
mod transport;
mod upload_body;
mod verdict;
mod web;

pub(crate) use answer::{Heard, UpstreamAnswer};
pub(crate) use client::{CallError, Upstream, UpstreamOptions};
pub(crate) use credential::Credential;
pub(crate) use error::{Patience, UpstreamError, UpstreamErrorKind};
pub(crate) use exit::{ExitBreaker, ExitClosed};
pub(crate) use memory::{AnswerLimits, AnswerMemory, HeldMemory};
pub(crate) use probe::LinkProbe;
pub(crate) use transport::Transport;
pub(crate) use verdict::{Blame, Retry, Verdict};
#[cfg(feature = "fuzzing")]
pub(crate) use web::fuzz as fuzz_image_address;
pub(crate) use web::{Room, WebError};
