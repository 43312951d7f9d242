//! What a request continues, and what it leaves in the tree.

use std::sync::Arc;

use protocol::history::{CONTINUE_MESSAGE, Hash, History, SHOW_MESSAGE, chain};
use protocol::openai::ImageSource;
use uuid::Uuid;

use super::Conversation;
use crate::reading;
use crate::store::TurnCommit;
use crate::store::conversations::{ConversationRow, MoveRow, Place, TurnNote, TurnRow};
use crate::store::requests::RequestRow;

/// How a conversation came to another account: shared and copied, or by sending its history again.
pub(super) const CARRIED: &str = "carried";
const REPLAYED: &str = "replayed";

/// What one request continues. Made once per request; the account is decided later.
pub(crate) struct Plan {
    /// The public id.
    pub(crate) conversation_id: String,
    /// The id of the turn to be, which is also the id of the answer.
    pub(crate) turn_id: String,
    pub(crate) parent: Option<Arc<TurnRow>>,
    pub(crate) recognised: Recognised,
    pub(crate) history: Arc<History>,
    key_id: String,
    conversation: Option<Arc<Conversation>>,
    client_chat: Option<String>,
}

/// By what a request's conversation was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recognised {
    /// The answer that it names.
    ResponseId,
    /// The conversation that it names.
    ConversationId,
    /// The chain of everything before the last question.
    Chain,
    /// The last answer, and every pair before it.
    Answer,
    /// The newest pairs only; the client dropped what is older.
    Window,
    /// As one that was taken over from another gateway.
    Imported,
    /// Not at all: it is new, or its history is replayed.
    None,
}

impl Recognised {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::ResponseId => "response_id",
            Self::ConversationId => "conversation_id",
            Self::Chain => "chain",
            Self::Answer => "answer",
            Self::Window => "window",
            Self::Imported => "imported",
            Self::None => "none",
        }
    }
}

/// See [`protocol::history::answer_print`].
pub(super) type AnswerPrint = (Hash, usize);

/// A complete answer.
pub(crate) struct Finished<'a> {
    /// The visible text.
    pub(crate) visible: &'a str,
    pub(crate) place: Place,
    pub(crate) title: Option<&'a str>,
    /// Earlier turns that now stand in the new place.
    pub(crate) moved: Vec<(String, Place)>,
    /// The record of the request, to be written with the turn.
    pub(crate) request: Option<Box<RequestRow>>,
}

impl Plan {
    pub(super) fn new(
        key_id: &str,
        conversation: Option<Arc<Conversation>>,
        (parent, recognised): (Option<Arc<TurnRow>>, Recognised),
        history: History,
        client_chat: Option<String>,
    ) -> Self {
        let conversation_id = conversation
            .as_ref()
            .map_or_else(|| format!("conv-{}", Uuid::now_v7().simple()), |conversation| conversation.id.clone());
        Self {
            conversation_id,
            turn_id: Uuid::now_v7().simple().to_string(),
            parent,
            recognised,
            history: Arc::new(history),
            key_id: key_id.to_owned(),
            conversation,
            client_chat,
        }
    }

    pub(super) fn conversation(&self) -> Option<&Arc<Conversation>> {
        self.conversation.as_ref()
    }

    /// Whether the turn to be continued has been answered further, so that this turn begins a branch.
    pub(crate) fn branches(&self) -> bool {
        match (&self.conversation, &self.parent) {
            (Some(conversation), Some(parent)) => conversation.has_children(&parent.id),
            _ => false,
        }
    }

    /// The turns from the root to the parent that stand in the parent's upstream conversation.
    pub(crate) fn upstream_path(&self) -> Vec<Arc<TurnRow>> {
        match (&self.conversation, &self.parent) {
            (Some(conversation), Some(parent)) => conversation.upstream_path(parent),
            _ => Vec::new(),
        }
    }

    /// Whether everything said so far came with the request, so that it can be replayed.
    pub(crate) fn can_replay(&self) -> bool {
        self.parent.is_none() || !self.history.pairs.is_empty()
    }

    /// The words that go upstream when the parent is continued there: what is new, with the system text in front if it
    /// changed since the parent.
    pub(crate) fn continuing_message(&self) -> String {
        let system_changed = self.history.system_hash() != self.parent.as_ref().and_then(|parent| parent.system);
        self.with_system(self.asked().to_owned(), system_changed)
    }

    /// The words that go upstream when a conversation begins there: system text, what went before, what is asked. `attached`:
    /// how many images of each earlier question go along.
    pub(crate) async fn opening_message(&self, attached: &[usize]) -> String {
        let message = if self.history.pairs.is_empty() {
            self.asked().to_owned()
        } else {
            let (history, attached) = (Arc::clone(&self.history), attached.to_vec());
            let replay = reading::read(history.bytes(), move || history.replay(&attached));
            replay.await + self.asked()
        };
        self.with_system(message, true)
    }

    /// The images of what is asked now.
    pub(crate) fn asked_images(&self) -> &[ImageSource] {
        self.history.last.as_ref().map_or(&[], |user| &user.images)
    }

    /// The images of what was asked before, pair by pair: a conversation that begins anew has none of them.
    pub(crate) fn earlier_images(&self) -> impl Iterator<Item = &[ImageSource]> {
        self.history.pairs.iter().map(|pair| pair.user.as_ref().map_or(&[][..], |user| &user.images))
    }

    fn with_system(&self, message: String, wanted: bool) -> String {
        match &self.history.system {
            Some(system) if wanted => format!("{}\n\n{message}", system.trim()),
            _ => message,
        }
    }

    fn asked(&self) -> &str {
        match &self.history.last {
            None => CONTINUE_MESSAGE,
            Some(user) if user.text.trim().is_empty() && !user.images.is_empty() => SHOW_MESSAGE,
            Some(user) => &user.text,
        }
    }

    /// The rows of the finished turn.
    pub(super) fn commit(&self, finished: Finished<'_>, print: AnswerPrint, now: i64) -> TurnCommit {
        let turn = match self.unfinished() {
            Some(_) => self.continued_turn(print, &finished, now),
            None => self.new_turn(print, &finished, now),
        };
        let request = finished.request.as_deref();
        let note = TurnNote {
            request_id: request.map(|request| request.id.clone()),
            model: request.and_then(|request| request.model.clone()),
            receipt: request.and_then(|request| request.turn),
            recognised: Some(self.recognised.label()),
        };
        let conversation = ConversationRow {
            id: self.conversation_id.clone(),
            key_id: self.key_id.clone(),
            account_id: turn.place.account_id.clone(),
            head_turn_id: turn.id.clone(),
            title: finished.title.map(str::to_owned),
            model: note.model.clone(),
            keep_until: None,
            client_chat: match &self.conversation {
                Some(conversation) => conversation.client_chat.clone(),
                None => self.client_chat.clone(),
            },
            created_at: self.conversation.as_ref().map_or(now, |conversation| conversation.created_at),
            last_used_at: now,
        };
        let movement = self.movement(&turn, &finished, &note);
        TurnCommit { conversation, turn, note, movement, moved: finished.moved, request: finished.request }
    }

    /// The answer that is continued, if one is.
    fn unfinished(&self) -> Option<&str> {
        match (&self.history.last, self.history.pairs.last()) {
            (None, Some(unfinished)) => Some(&unfinished.answer.text),
            _ => None,
        }
    }

    /// The words that the client has as the answer: a continued answer replaces the unfinished one.
    pub(super) fn whole_answer(&self, visible: &str) -> String {
        format!("{}{visible}", self.unfinished().unwrap_or_default())
    }

    /// The change of account that this turn made, if it did: against its parent, or where the history was replayed without one,
    /// against where the conversation stood.
    fn movement(&self, turn: &TurnRow, finished: &Finished<'_>, note: &TurnNote) -> Option<MoveRow> {
        let before = self.parent.clone().or_else(|| self.conversation.as_ref()?.head())?;
        if before.place.account_id == turn.place.account_id {
            return None;
        }
        let is_carried = !finished.moved.is_empty();
        Some(MoveRow {
            id: format!("move_{}", Uuid::now_v7().simple()),
            conversation_id: self.conversation_id.clone(),
            at: turn.created_at,
            turn_id: if is_carried { before.id.clone() } else { turn.id.clone() },
            from_account_id: before.place.account_id.clone(),
            to_account_id: turn.place.account_id.clone(),
            from_upstream_conversation_id: before.place.upstream_conversation_id.clone(),
            kind: if is_carried { CARRIED } else { REPLAYED }.to_owned(),
            request_id: note.request_id.clone(),
        })
    }

    fn new_turn(&self, (answer, characters): AnswerPrint, finished: &Finished<'_>, now: i64) -> TurnRow {
        let (user, lines) = match &self.history.last {
            Some(user) => (user.hash, user.lines.clone()),
            None => unknown_question(),
        };
        let pairs = self.history.pairs.len();
        let (parent_chain, depth, base) = match &self.parent {
            Some(parent) => (parent.chain, parent.depth + 1, None),
            None => (
                self.history.chain_of(&self.key_id, pairs),
                i64::try_from(pairs).unwrap_or(i64::MAX - 1) + 1,
                self.history.base_of(pairs),
            ),
        };
        TurnRow {
            id: self.turn_id.clone(),
            conversation_id: self.conversation_id.clone(),
            parent_id: self.parent.as_ref().map(|parent| parent.id.clone()),
            depth,
            chain: chain(&parent_chain, Some(&user)),
            user,
            lines,
            answer: answer.scoped(&self.key_id),
            answer_length: i64::try_from(characters).unwrap_or(i64::MAX),
            system: self.system_of(finished),
            base,
            place: finished.place.clone(),
            share_link: None,
            created_at: now,
        }
    }

    /// Hash of the system text that the model has now. A request without any leaves it with the one it had, unless the
    /// history was replayed.
    fn system_of(&self, finished: &Finished<'_>) -> Option<Hash> {
        let continues = |parent: &&Arc<TurnRow>| {
            !finished.moved.is_empty()
                || parent.place.upstream_conversation_id == finished.place.upstream_conversation_id
        };
        self.history.system_hash().or_else(|| self.parent.as_ref().filter(continues).and_then(|parent| parent.system))
    }

    /// A continued answer replaces the unfinished one for the client: it stands beside it, with both parts as its words.
    fn continued_turn(&self, (answer, characters): AnswerPrint, finished: &Finished<'_>, now: i64) -> TurnRow {
        let earlier = self.history.pairs.len() - 1;
        let answer = answer.scoped(&self.key_id);
        let answer_length = i64::try_from(characters).unwrap_or(i64::MAX);
        let (id, place, system) = (self.turn_id.clone(), finished.place.clone(), self.system_of(finished));
        match &self.parent {
            Some(parent) => TurnRow {
                id,
                answer,
                answer_length,
                system,
                place,
                share_link: None,
                created_at: now,
                ..TurnRow::clone(parent)
            },
            None => {
                let user = self.history.pairs[earlier].user.as_ref();
                let parent_chain = self.history.chain_of(&self.key_id, earlier);
                TurnRow {
                    id,
                    conversation_id: self.conversation_id.clone(),
                    parent_id: None,
                    depth: i64::try_from(earlier).unwrap_or(i64::MAX - 1) + 1,
                    chain: chain(&parent_chain, user.map(|user| &user.hash)),
                    user: user.map_or_else(|| unknown_question().0, |user| user.hash),
                    lines: user.map(|user| user.lines.clone()).unwrap_or_default(),
                    answer,
                    answer_length,
                    system,
                    base: self.history.base_of(earlier),
                    place,
                    share_link: None,
                    created_at: now,
                }
            }
        }
    }
}

/// The hash of no words at all, for a turn whose question is not known.
fn unknown_question() -> (Hash, protocol::history::Lines) {
    (Hash::of(&[b"no question"]), protocol::history::Lines::default())
}
