//! Grok2API: Grok web accounts as an OpenAI-compatible API.
//!
//! A request goes through the rooms in one direction:
//!
//! ```text
//! http ─▶ chat ─▶ accounts, conversations, audit ─▶ upstream ─▶ settings ─▶ store, secrets, clock
//! ```
//!
//! `docs/ARCHITECTURE.md` says what each room is for; the test `rooms_import_only_lower_rooms` holds the arrows.

mod accounts;
mod admins;
mod app;
mod audit;
mod bootstrap;
mod chat;
mod check;
mod clock;
mod conversations;
mod demo;
mod events;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod import;
mod imports;
mod jobs;

mod images;
mod keys;
mod limits;
mod reading;
mod secrets;
mod settings;
mod store;
mod telemetry;
mod upkeep;
mod upstream;

pub use app::{Gateway, StartError};
pub use bootstrap::{Bootstrap, BootstrapError, Check, Cli, Demo, Import, LogFormat, Mode, SeedSecrets, check_health};
pub use check::{CheckReport, run_check};
pub use clock::Clock;
pub use demo::run_demo;
pub use import::{ImportReport, run_import};
pub use telemetry::Logging;

/// The OpenAPI document of the admin API and of `/v1`, as JSON.
#[must_use]
pub fn openapi_document() -> &'static str {
    http::openapi::text()
}
