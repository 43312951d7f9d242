//! The WebSocket dialect of the upstream: one turn over one socket (UPSTREAM.md 16).
//!
//! [`Session`] is the whole dialect as a state machine without input and output of its own: messages in, events and messages to
//! send out. It knows no socket and no clock, so its owner decides what silence and a closed socket mean.

mod answer;
mod frame;
mod name;
mod payload;
mod request;
mod session;

pub use request::upgrade_path;
pub use session::{Session, SessionIds, Step};
