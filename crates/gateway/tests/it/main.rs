//! The service, tested through its front door: real requests, real SQLite, the simulated upstream behind. One binary, so that
//! it links once.

mod admin;
mod harness;
mod rooms;
mod smoke;
