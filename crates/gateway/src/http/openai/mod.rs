//! The routes of OpenAI's clients.

mod chat;
mod models;
mod stream;
mod turn;
mod whole;

pub(super) use chat::{chat_completions, responses};
pub(super) use models::{get_model, list_models};
