//! Which things a job is meant for.

use std::collections::HashSet;
use std::sync::Arc;

use super::{JobError, Jobs, parse_work, purge};
use crate::accounts::AccountQuery;
use crate::store::conversation_list::ConversationFilter;
use crate::store::images::ImageFilter;

/// What kind of things a job works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    Accounts,
    Conversations,
    Images,
    /// Stretches of time of the request log.
    Requests,
}

impl Resource {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Conversations => "conversations",
            Self::Images => "images",
            Self::Requests => "requests",
        }
    }
}

/// What a list is narrowed to.
#[derive(Clone, Debug)]
pub(crate) enum Filter {
    Accounts(Box<AccountQuery>),
    Conversations(Box<ConversationFilter>),
    Images(Box<ImageFilter>),
    /// From before this time; all that there are.
    Requests {
        before: Option<i64>,
    },
}

/// The things that are meant.
#[derive(Clone, Debug)]
pub(crate) enum Scope {
    /// These.
    Ids(Vec<String>),
    /// All of a list of accounts as it was seen, but these.
    View { view: String, except: Vec<String> },
    /// All that match now.
    Filter(Filter),
    /// The things of another job with this outcome: what a scan found, what failed.
    Job { id: String, outcome: String },
}

impl Jobs {
    /// The ids that are meant, each once, in order.
    pub(super) async fn resolve(&self, scope: &Scope, resource: Resource) -> Result<Vec<Arc<str>>, JobError> {
        let rooms = &self.shared.rooms;
        let shared = |ids: Vec<String>| ids.into_iter().map(Arc::from).collect();
        let mut ids: Vec<Arc<str>> = match scope {
            Scope::Ids(ids) => ids.iter().map(|id| id.as_str().into()).collect(),
            Scope::View { view, except } => {
                let left_out: HashSet<&str> = except.iter().map(String::as_str).collect();
                let ids = rooms.accounts.ids_of_view(view)?;
                ids.iter().filter(|id| !left_out.contains(&***id)).cloned().collect()
            }
            Scope::Filter(Filter::Accounts(query)) => rooms.accounts.matching(query)?,
            Scope::Filter(Filter::Conversations(filter)) => shared(rooms.conversations.ids(filter).await?),
            Scope::Filter(Filter::Images(filter)) => shared(rooms.images.ids(filter).await?),
            Scope::Filter(Filter::Requests { before }) => shared(purge::stretches(rooms, *before).await?),
            Scope::Job { id, outcome } => {
                let row = self.row(id).await?;
                let other = parse_work(&row.kind, &row.options).ok().map(|work| work.resource());
                if other != Some(resource) {
                    let message = format!("is not a job on {}", resource.name());
                    return Err(JobError::Invalid { path: "/scope/job", message });
                }
                shared(rooms.store.job_subjects(id, outcome).await?)
            }
        };
        let mut seen = HashSet::new();
        ids.retain(|id| seen.insert(Arc::clone(id)));
        Ok(ids)
    }
}
