//! The crate through its front door: fixtures of the upstream's streams in, what a client sees out.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
#![expect(clippy::disallowed_methods, reason = "tests search as they like")]

mod cuts;
mod golden;
mod halves;
mod markup;
mod requests;
mod resume;
mod robustness;
mod script;
mod socket;
mod stored;
mod support;
mod writing;
