//! Which things a job is meant for.

use std::sync::Arc;

use super::{JobError, Jobs};
use crate::accounts::AccountQuery;

/// The accounts that are meant.
#[derive(Clone, Debug)]
pub(crate) enum Scope {
    /// These.
    Ids(Vec<String>),
    /// All of a list as it was seen, but these.
    View { view: String, except: Vec<String> },
    /// All that match now.
    Filter(Box<AccountQuery>),
    /// The things of another job with this outcome: what a scan found, what failed.
    Job { id: String, outcome: String },
}

impl Jobs {
    /// The ids that are meant, each once, in order.
    pub(super) async fn resolve(&self, scope: &Scope) -> Result<Vec<Arc<str>>, JobError> {
        let accounts = &self.shared.rooms.accounts;
        let mut ids: Vec<Arc<str>> = match scope {
            Scope::Ids(ids) => ids.iter().map(|id| id.as_str().into()).collect(),
            Scope::View { view, except } => {
                let left_out: std::collections::HashSet<&str> = except.iter().map(String::as_str).collect();
                let ids = accounts.ids_of_view(view)?;
                ids.iter().filter(|id| !left_out.contains(&***id)).cloned().collect()
            }
            Scope::Filter(query) => accounts.matching(query)?,
            Scope::Job { id, outcome } => {
                self.row(id).await?;
                let subjects = self.shared.rooms.store.job_subjects(id, outcome).await?;
                subjects.into_iter().map(Arc::from).collect()
            }
        };
        let mut seen = std::collections::HashSet::new();
        ids.retain(|id| seen.insert(Arc::clone(id)));
        Ok(ids)
    }
}
