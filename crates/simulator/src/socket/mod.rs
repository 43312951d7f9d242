//! Scripts as events of the WebSocket (UPSTREAM.md 16). The module `rest` is its sibling: both render the same steps and
//! share the tree of messages.

mod chunks;
mod client_event;
mod connection;
mod deltas;
mod events;
mod failures;
mod line;
mod markup;
mod opening;
mod out;
mod play;
mod renderer;
mod session;
mod template;
mod turn;
mod wire;

pub(crate) use connection::{Accepted, Origin, Upgraded, serve};
pub(crate) use template::TemplateKey;
pub(crate) use wire::accept_key;
