//! Conversations through the front door: which turn a request continues, proven by what the upstream then recites.

mod altered;
mod branches;
mod continuing;
mod explicit;
mod replayed;
mod shapes;
mod window;
