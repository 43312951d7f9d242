//! What was taken over and what was not, for the person who asked. It holds names and ids, never a secret.

use std::fmt;

/// One kind of thing.
#[derive(Debug, Default)]
pub struct Tally {
    pub taken: usize,
    /// What was left out, and why.
    pub skipped: Vec<(String, String)>,
}

impl Tally {
    pub(super) fn taken(&mut self) {
        self.taken += 1;
    }

    pub(super) fn skip(&mut self, what: &str, why: &str) {
        self.skipped.push((what.to_owned(), why.to_owned()));
    }
}

/// What an import did.
#[derive(Debug, Default)]
pub struct ImportReport {
    pub accounts: Tally,
    pub keys: Tally,
    pub conversations: Tally,
    pub settings: Tally,
    /// Files that are missing or not taken over.
    pub notes: Vec<String>,
}

impl fmt::Display for ImportReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [
            ("accounts", &self.accounts),
            ("keys", &self.keys),
            ("conversations", &self.conversations),
            ("settings", &self.settings),
        ];
        for (name, tally) in kinds {
            writeln!(formatter, "{name}: {} taken over, {} skipped", tally.taken, tally.skipped.len())?;
            for (what, why) in &tally.skipped {
                writeln!(formatter, "  {what}: {why}")?;
            }
        }
        self.notes.iter().try_for_each(|note| writeln!(formatter, "{note}"))
    }
}
