//! A stand-in for the upstream: an HTTP and WebSocket server that behaves like it as far as it is known, checks what reaches it, and
//! plays every fault by script.
//!
//! Three uses: as a library inside tests, behind `grok2api demo`, and as a load target in a process of its own. It writes
//! JSON from plain values and shares no code with the crates it tests, so a misunderstanding there cannot hide here.
//!
//! The upstream's facts are in `docs/UPSTREAM.md`; comments cite its sections.

mod account;
mod calls;
mod ids;
mod image;
mod json;
mod prepared;
mod rest;
mod routes;
mod script;
mod server;
mod simulator;
mod socket;
mod state;
mod turn;

pub use account::{Account, CredentialState, Subscription, SubscriptionStatus};
pub use calls::{Call, Report, Transport, Violation};
pub use script::{
    BeforeHeaders, Chunk, Citation, Framing, ImageForm, ImageStage, ImageStep, NetworkCut, Reply, SCENARIO_TEXT,
    Script, Separator, Severity, Step, Thinking, ThinkingKind, ToolCall, ToolResult, TurnEnd, When,
};
pub use simulator::{Options, Simulator};
pub use state::UploadedFile;
