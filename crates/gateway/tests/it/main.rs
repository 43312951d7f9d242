//! The service, tested through its front door: real requests, real SQLite, the simulated upstream behind. One binary, so that
//! it links once.

mod admin;
mod conversations;
mod durability;
mod harness;
mod moving;
mod rooms;
mod smoke;
