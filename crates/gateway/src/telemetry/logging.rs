//! Log lines, on the error stream.

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, reload};

use crate::bootstrap::LogFormat;

/// Handle to the running log; its level can change.
#[derive(Clone)]
pub struct Logging {
    filter: reload::Handle<EnvFilter, Registry>,
}

impl Logging {
    /// Starts logging at `info`. A second start in one process has no effect of its own.
    #[must_use]
    pub fn start(format: LogFormat) -> Self {
        let (filter, handle) = reload::Layer::new(filter("info"));
        let registry = tracing_subscriber::registry().with(filter);
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
        // Already started: the first one stays.
        let _ = match format {
            LogFormat::Text => registry.with(lines.with_ansi(false)).try_init(),
            LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
        };
        Self { filter: handle }
    }

    /// Writes lines of this level and above.
    pub(crate) fn set_level(&self, level: &str) {
        if let Err(error) = self.filter.reload(filter(level)) {
            tracing::warn!(error = %error, "the log level could not be changed");
        }
    }
}

/// Our own lines at `level`; libraries, whose lines may hold more than ours, only when something is wrong.
fn filter(level: &str) -> EnvFilter {
    EnvFilter::new(format!("warn,grok2api={level}"))
}
