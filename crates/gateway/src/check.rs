//! `grok2api check`: the state of a data directory in a few lines. It changes nothing, also beside a running gateway.

use std::fmt;
use std::path::Path;

use crate::accounts::TOKEN_CONTEXT;
use crate::app::StartError;
use crate::bootstrap::Check;
use crate::secrets::{Cipher, has_sealed_data};
use crate::store::RECOVERY;
use crate::store::inspect::{Contents, DatabaseState, inspect};

/// What was found, line by line.
#[derive(Debug, Default)]
pub struct CheckReport {
    lines: Vec<(&'static str, String)>,
    problems: usize,
}

impl CheckReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problems == 0
    }

    fn line(&mut self, name: &'static str, text: impl Into<String>) {
        self.lines.push((name, text.into()));
    }

    fn problem(&mut self, name: &'static str, text: impl fmt::Display) {
        self.problems += 1;
        self.lines.push((name, format!("PROBLEM: {text}")));
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, text) in &self.lines {
            writeln!(formatter, "{name:<15} {text}")?;
        }
        match self.problems {
            0 => writeln!(formatter, "{:<15} nothing is wrong", "Result"),
            1 => writeln!(formatter, "{:<15} 1 problem", "Result"),
            count => writeln!(formatter, "{:<15} {count} problems", "Result"),
        }
    }
}

/// Looks at a data directory.
///
/// # Errors
///
/// When the database's address is not understood.
pub async fn run_check(check: &Check) -> Result<CheckReport, StartError> {
    let mut report = CheckReport::default();
    directory(&mut report, &check.data_dir);
    let inspection = inspect(&check.data_dir, check.database_url.as_deref()).await?;
    let was_used = has_sealed_data(&check.data_dir);
    let path = inspection.path.as_deref().map_or("in memory".to_owned(), |path| path.display().to_string());
    report.line("Gateway", if inspection.is_held { "running" } else { "not running" });
    match inspection.state {
        DatabaseState::Missing if !was_used => report.line("Database", format!("{path}: not made yet")),
        DatabaseState::Missing => report.problem(
            "Database",
            format!("{path} is missing or empty, and there was data here. Put it back together with its -wal file, or restore a backup"),
        ),
        DatabaseState::Empty if !was_used => report.line("Database", format!("{path}: empty")),
        DatabaseState::Empty => report.problem(
            "Database",
            format!("{path} has no tables, and there was data here. Its -wal file is missing; put it back, or restore a backup"),
        ),
        DatabaseState::Unreadable(error) => report.problem("Database", format!("{path} cannot be read: {error}. {RECOVERY}")),
        DatabaseState::Readable(contents) => {
            report.line("Database", path);
            schema(&mut report, &contents);
            key(&mut report, check, &contents.sealed_tokens);
            let counts = contents.counts.iter().map(|(what, count)| format!("{count} {what}"));
            report.line("Contents", counts.collect::<Vec<_>>().join(", "));
        }
    }
    Ok(report)
}

fn directory(report: &mut CheckReport, path: &Path) {
    let shown = path.display();
    match std::fs::metadata(path) {
        Err(error) => report.problem("Data directory", format!("{shown}: {error}")),
        Ok(metadata) if !metadata.is_dir() => report.problem("Data directory", format!("{shown} is not a directory")),
        Ok(metadata) => {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = metadata.permissions().mode() & 0o777;
            match mode & 0o077 {
                0 => report.line("Data directory", format!("{shown}, mode {mode:o}")),
                _ => report.problem(
                    "Data directory",
                    format!("{shown} has mode {mode:o}: other users of this machine can read it; chmod 700 {shown}"),
                ),
            }
        }
    }
}

fn schema(report: &mut CheckReport, contents: &Contents) {
    match (contents.pending, contents.unknown) {
        (0, 0) => report.line("Schema", "as this version needs it"),
        (pending, 0) => report.line("Schema", format!("of an older version; the next start makes {pending} changes")),
        (_, unknown) => {
            report.problem("Schema", format!("of a newer version ({unknown} unknown changes); use that version"));
        }
    }
    match &contents.damage {
        None => report.line("Pages", "sound"),
        Some(damage) => report.problem("Pages", format!("damaged: {damage}. {RECOVERY}")),
    }
}

fn key(report: &mut CheckReport, check: &Check, sealed_tokens: &[String]) {
    if !has_sealed_data(&check.data_dir) {
        return report.line("Key", "no token was sealed yet");
    }
    let cipher = match Cipher::load_or_create(&check.data_dir, check.secrets.secret_key.as_deref()) {
        Ok(cipher) => cipher,
        Err(error) => return report.problem("Key", error),
    };
    let closed = sealed_tokens.iter().filter(|sealed| cipher.open(sealed, TOKEN_CONTEXT).is_err()).count();
    match closed {
        0 => report.line("Key", "opens all tokens"),
        _ => report.problem(
            "Key",
            format!("does not open the tokens of {closed} accounts: they were sealed with another key; put that one back, or replace the tokens"),
        ),
    }
}
