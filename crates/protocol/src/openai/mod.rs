//! The OpenAI forms: what clients send and what they are sent.

mod body;
pub mod chunk;
pub mod completion;
mod content;
pub mod error;
pub mod image;
pub mod request;
pub mod turn;
pub mod usage;

pub use chunk::{ChunkMeta, ChunkWriter, ReasoningFormat};
pub use completion::CompletionBuilder;
pub use error::ErrorObject;
pub use image::{Image, ImageLink, ImageSource, LARGEST_IMAGE};
pub use request::{ChatRequest, Message, ReasoningChoice, RequestError, Role, read_chat_request};
pub use turn::{TurnMessage, read_turn_request};
pub use usage::{TokenCount, Usage, estimate_tokens};
