//! The service, tested through its front door: real requests, real SQLite, the simulated upstream behind. One binary, so that
//! it links once.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod account_history;
mod admin;
mod admin_access;
mod auto;
mod bad_input;
mod clean_up;
mod compat;
mod connections;
mod contract;
mod conversation_admin;
mod conversation_list;
mod conversations;
mod drift;
mod durability;
mod endings;
mod events;
mod exit;
mod exports;
mod front;
mod harness;
mod idempotency;
mod images_admin;
mod images_by_url;
mod images_in;
mod images_out;
mod import;
mod jobs;
mod keys;
mod models;
mod moving;
mod playground;
mod pool;
mod probes;
mod quota;
mod records;
mod reply;
mod resting;
mod rooms;
mod settings_history;
mod settings_hot;
mod slow_clients;
mod smoke;
mod storage;
mod streams;
mod system;
mod talk;
mod transports;
mod uploads;
mod web_server;
