//! Scripts as events of the WebSocket (UPSTREAM.md 16). The module `rest` is its sibling: both render the same steps and
//! share the tree of messages.

mod chunks;
mod client_event;
mod connection;
mod events;
mod line;
mod play;
mod renderer;
mod session;
mod wire;

pub(crate) use connection::{Origin, Upgraded, serve};
pub(crate) use wire::accept_key;
