//! Scripts as REST frames (UPSTREAM.md 5). The module `socket` is its sibling: it renders the same steps its own way.

mod body;
mod chunk;
mod frames;
mod renderer;
mod response;
mod template;

pub(crate) use body::Answer;
pub(crate) use chunk::{Envelope, members};
pub(crate) use renderer::{Form, Renderer};
pub(crate) use response::{conversation_json, final_layout, response_json};
pub(crate) use template::{PreparedAnswer, TemplateKey, prepare};
