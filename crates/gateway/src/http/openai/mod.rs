//! The routes of OpenAI's clients.

mod chat;
mod meta;
mod models;
mod stream;
mod turn;
mod whole;

pub(super) use chat::{ConsoleAsk, chat_completions, console_chat, responses};
pub(super) use models::{get_model, list_models};
