//! One turn, from what a client asks to the end of the answer: plan, lease, bind, send, translate, settle, commit.
//!
//! [`ChatService::start`] is the policy: which account, which attempt, when to stop trying. It returns at the *commit point*,
//! the first visible event; until then nothing has left and another account may be tried, afterwards an error travels inside
//! the stream. The [`Answer`] is pulled by whoever writes to the client and settles itself when it is dropped.

mod answer;
mod background;
mod bind;
mod check;
mod error;
mod manage;
mod open;
mod pictures;
mod settle;
mod start;
mod stream;
mod trial;
mod upload;

use std::sync::Arc;

use protocol::history::History;
use protocol::model::Model;
use tokio_util::task::TaskTracker;

use crate::accounts::AccountPool;
use crate::audit::DriftLog;
use crate::conversations::{Conversations, Wanted};
use crate::images::{ImageMemory, Images};
use crate::settings::SettingsHandle;
use crate::upstream::{ExitBreaker, Upstream};

pub(crate) use answer::{Answer, Step};
pub(crate) use bind::CarryError;
pub(crate) use check::CheckFailure;
pub(crate) use error::ChatError;
pub(crate) use manage::{Deletion, ManageError, TurnTexts, call_label};

/// A cheap handle to the service.
#[derive(Clone)]
pub(crate) struct ChatService {
    shared: Arc<Shared>,
}

/// What the service works with.
pub(crate) struct ChatRooms {
    pub(crate) settings: SettingsHandle,
    pub(crate) accounts: AccountPool,
    pub(crate) conversations: Conversations,
    pub(crate) upstream: Upstream,
    pub(crate) exit: ExitBreaker,
    pub(crate) drift: DriftLog,
    pub(crate) images: Images,
    /// Where images come from, without a slash at the end.
    pub(crate) assets_url: String,
    /// Owns what goes on behind an answer.
    pub(crate) tasks: TaskTracker,
}

struct Shared {
    rooms: ChatRooms,
    background: background::Background,
    upload_routes: upload::UploadRoutes,
    image_memory: ImageMemory,
}

impl std::ops::Deref for Shared {
    type Target = ChatRooms;

    fn deref(&self) -> &ChatRooms {
        &self.rooms
    }
}

/// What a client asks.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) key_id: String,
    pub(crate) model: Model,
    pub(crate) history: History,
    pub(crate) wanted: Wanted,
    /// Only this account may serve; `None`: any.
    pub(crate) account: Option<String>,
    pub(crate) show_thinking: bool,
    pub(crate) show_search: bool,
    /// Whether the model may search.
    pub(crate) search: bool,
    /// Address of this gateway, for links to images; without a slash at the end.
    pub(crate) public_url: String,
}

/// Which way a turn took; sent with every answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Receipt {
    /// A new conversation.
    New,
    /// The upstream's own conversation, continued at its end.
    Native,
    /// The upstream's own conversation, continued at a turn that had been continued before.
    Branched,
    /// Carried to another account and continued there.
    Moved,
    /// The history was sent again.
    Replayed,
}

impl Receipt {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Native => "native",
            Self::Branched => "branched",
            Self::Moved => "moved",
            Self::Replayed => "replayed",
        }
    }
}

impl ChatService {
    pub(crate) fn new(rooms: ChatRooms) -> Self {
        let (background, upload_routes) = (background::Background::default(), upload::UploadRoutes::default());
        Self { shared: Arc::new(Shared { rooms, background, upload_routes, image_memory: ImageMemory::default() }) }
    }

    /// The accounts that finished new turns since this was last asked; only they can have too many conversations.
    pub(crate) fn take_busy_accounts(&self) -> Vec<String> {
        self.shared.background.take_busy_accounts()
    }
}
