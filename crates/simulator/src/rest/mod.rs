//! Scripts as REST frames (UPSTREAM.md 5). Another dialect would be a sibling of this module: it renders the same steps
//! its own way and shares the tree of messages.

mod body;
mod cards;
mod chunk;
mod frames;
mod renderer;
mod response;
mod template;

pub(crate) use body::{Answer, Keep};
pub(crate) use chunk::Envelope;
pub(crate) use renderer::{Renderer, Turn};
pub(crate) use response::{conversation_json, response_json};
pub(crate) use template::{PreparedAnswer, TemplateCache, TemplateKey, TemplateShape};
