//! Why a turn could not be answered, in the service's words.

use crate::accounts::NoAccount;
use crate::conversations::PlanError;
use crate::images::ImageProblem;
use crate::store::StoreError;
use crate::upstream::{ExitClosed, UpstreamError};

/// Why a turn was not answered, or not to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChatError {
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Nobody can serve. `last` is what the last attempt of this request met.
    #[error("no account can serve this request")]
    NoAccount { why: NoAccount, last: Option<UpstreamError> },
    /// The way out is being left alone.
    #[error("the upstream refuses this gateway's exit ({})", .0.label)]
    ExitClosed(ExitClosed),
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The conversation cannot be taken over by another account, and the request brought no history to replay.
    #[error("the account that holds this conversation cannot serve it")]
    ConversationUnavailable,
    /// The answer is complete but could not be stored.
    #[error("the answer could not be stored: {0}")]
    NotStored(#[source] StoreError),
    /// The database takes no turns at present, so none is begun.
    #[error("the database does not take turns at present")]
    StorageUnavailable,
    /// An image of the question cannot be used.
    #[error(transparent)]
    Image(#[from] ImageProblem),
    /// Other requests hold all the memory for images.
    #[error("too many images are under way")]
    ImagesBusy,
    #[error("there is nothing to answer")]
    NothingAsked,
}
