//! Log lines, on the error stream and in a file.

use std::path::Path;

use tracing_subscriber::fmt::writer::MakeWriterExt as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, reload};

use super::log_file::LogFile;
use crate::bootstrap::LogFormat;

/// Handle to the running log; its level can change.
#[derive(Clone)]
pub struct Logging {
    filter: reload::Handle<EnvFilter, Registry>,
    file: LogFile,
}

impl Logging {
    /// Starts logging at `info`. A second start in one process has no effect of its own.
    #[must_use]
    pub fn start(format: LogFormat) -> Self {
        let (filter, handle) = reload::Layer::new(filter("info"));
        let file = LogFile::default();
        let registry = tracing_subscriber::registry().with(filter);
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr.and(file.clone())).with_target(false);
        // Already started: the first one stays.
        let _ = match format {
            LogFormat::Text => registry.with(lines.with_ansi(false)).try_init(),
            LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
        };
        Self { filter: handle, file }
    }

    /// Writes lines of this level and above.
    pub(crate) fn set_level(&self, level: &str) {
        if let Err(error) = self.filter.reload(filter(level)) {
            tracing::warn!(error = %error, "the log level could not be changed");
        }
    }

    /// Writes the lines to a file in `directory` as well. Without it the service runs all the same.
    pub(crate) fn open_file(&self, directory: &Path, most_mb: u64) {
        if let Err(error) = self.file.open(directory, most_mb) {
            tracing::warn!(path = %directory.display(), error = %error, "the log file cannot be opened");
        }
    }

    /// Sets the size at which a log file is put aside.
    pub(crate) fn set_file_limit(&self, most_mb: u64) {
        self.file.limit(most_mb);
    }

    /// Lines that could not be written to the file.
    pub(crate) fn dropped_lines(&self) -> u64 {
        self.file.dropped()
    }

    /// Writes what waits for the file.
    pub(crate) fn close_file(&self) {
        self.file.close();
    }
}

/// Our own lines at `level`; libraries, whose lines may hold more than ours, only when something is wrong.
fn filter(level: &str) -> EnvFilter {
    EnvFilter::new(format!("warn,grok2api={level}"))
}
