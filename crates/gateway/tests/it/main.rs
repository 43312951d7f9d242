//! The service, tested through its front door: real requests, real SQLite, the simulated upstream behind. One binary, so that
//! it links once.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod admin;
mod bad_input;
mod conversations;
mod durability;
mod endings;
mod exit;
mod front;
mod harness;
mod models;
mod moving;
mod pool;
mod probes;
mod records;
mod reply;
mod resting;
mod rooms;
mod settings_hot;
mod smoke;
mod storage;
mod streams;
mod talk;
