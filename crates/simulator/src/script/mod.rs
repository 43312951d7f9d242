//! What the simulator says: replies that a test queues, and the scripts they become.
//!
//! A [`Script`] is neutral about the wire: its [`Step`]s say what happens ("a thinking header", "a citation"). The module
//! `rest` renders them as REST frames and the module `socket` as events.

mod default_answer;
mod framing;
mod named;
mod plan;
mod reply;
mod scenarios;
mod socket_replies;
mod socket_scenarios;
mod socket_sessions;
mod step;

pub use framing::{BeforeHeaders, Framing, NetworkCut, Separator};
pub use reply::{Reply, When};
pub use scenarios::SCENARIO_TEXT;
pub use socket_replies::TurnEnd;
pub use step::{
    Chunk, Citation, ImageForm, ImageStage, ImageStep, Script, Severity, Step, Thinking, ThinkingKind, ToolCall,
    ToolResult,
};

pub(crate) use default_answer::{Question, words};
pub(crate) use plan::{Plan, paced_steps, stall_steps};
pub(crate) use scenarios::CHALLENGE_PAGE;
pub(crate) use step::tokens_of;
