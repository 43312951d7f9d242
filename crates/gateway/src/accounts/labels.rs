//! Names of accounts for lists that hold their ids.

use std::collections::HashMap;

use serde::Serialize;

use super::AccountPool;

/// An account as other lists name it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct AccountLabel {
    pub(crate) label: String,
    pub(crate) fingerprint: String,
}

impl AccountPool {
    /// The names of these accounts; who has been deleted has none.
    pub(crate) fn labels<'a>(&self, ids: impl Iterator<Item = &'a str>) -> HashMap<&'a str, AccountLabel> {
        let state = self.state();
        ids.filter_map(|id| {
            let entry = state.entry(state.find(id)?)?;
            Some((id, AccountLabel { label: entry.label.clone(), fingerprint: entry.fingerprint.clone() }))
        })
        .collect()
    }
}
