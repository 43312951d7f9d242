//! Accounts out of whatever people have: lines, cookie lines, tables, JSON of this and other gateways. Read and shown first
//! ([`Previews`]), added by a job afterwards.

mod parse;
mod preview;

#[cfg(feature = "fuzzing")]
pub(crate) use parse::fuzz;

pub(crate) use preview::{Preview, PreviewView, Previews};
