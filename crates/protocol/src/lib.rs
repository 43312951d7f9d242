//! What the wires mean: the upstream's forms and the OpenAI forms, as pure functions. Bytes in, values out.
//!
//! The crate knows no network, clock or randomness. An answer runs through it like this:
//!
//! ```text
//! upstream bytes ─ frame ─► object ─ rest::decode ───┐
//! upstream messages ───────────── socket::Session ─┴► GrokEvent ─ translate ─► ChatEvent ─ openai ─► client bytes
//! ```
//!
//! [`event::GrokEvent`] is where dialects end: nothing behind it knows how the upstream spelled things.
//! [`translate::ChatEvent`] is where the upstream ends: nothing behind it knows Grok.

#![cfg_attr(test, expect(clippy::disallowed_methods, reason = "tests search as they like"))]

pub mod drift;
pub mod event;
pub mod failure;
pub mod frame;
pub mod halves;
pub mod headers;
pub mod history;
#[cfg(test)]
mod law;
mod lenient;
pub mod markup;
pub mod model;
pub mod openai;
mod payload;
pub mod rest;
mod scan;
pub mod size;
pub mod socket;
pub mod steps;
pub mod translate;
pub mod turn;
