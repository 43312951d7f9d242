//! The simulator over real HTTP, as a gateway or a test suite meets it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod account;
mod binary;
mod chat;
mod checks;
mod client;
mod control;
mod endings;
mod files;
mod load;
mod refusals;
mod scenarios;
mod socket;
mod socket_checks;
mod socket_client;
mod socket_ends;
mod socket_forms;
mod socket_load;
mod transport;
mod tree;
mod upgrades;
