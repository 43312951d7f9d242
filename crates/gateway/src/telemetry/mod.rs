//! What is measured, and how it is named. Labels are constant strings, never an id.

mod log_file;
mod logging;
mod metrics;

pub use logging::Logging;
pub(crate) use metrics::{Metrics, StreamGuard};
