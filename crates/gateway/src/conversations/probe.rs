//! Dry recognition: which turn a history would go on from, by the same look-up that chats use, or where it stops to be known.

use std::sync::Arc;

use protocol::history::{Difference, History, Pair};

use super::matching::{NoWindow, PairGrade, compare_pair};
use super::{Claims, Conversation, Conversations, Owner, PlanError, Recognised, Wanted, client_chat_hash};
use crate::reading::{self, LARGE_BYTES};
use crate::store::StoreError;
use crate::store::conversations::TurnRow;

/// What a request with this history would do.
pub(crate) struct Probe {
    pub(crate) recognised: Recognised,
    pub(crate) conversation: Option<Arc<Conversation>>,
    pub(crate) turn: Option<Arc<TurnRow>>,
    /// It would begin a branch, because that turn has been continued before.
    pub(crate) branches: bool,
    /// Why no turn.
    pub(crate) why_not: Option<WhyNot>,
    /// The conversation that is most like it, and how far.
    pub(crate) alike: Option<Alike>,
}

/// Why no turn was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhyNot {
    /// Without an answer in it, a request begins something new.
    NoHistory,
    /// It would have been recognised, but the time of the conversation is over.
    Expired,
    /// Only the newest pair is known, and its answer is too short to tell one chat from another.
    TooShort,
    /// So many turns fit equally well.
    Ambiguous(usize),
    /// Too many turns have the last answer.
    TooCommon,
    /// A conversation is alike, up to a difference.
    Differs,
    /// Nothing of it is known under this key.
    Unknown,
}

/// A conversation that is like a history, up to a place.
pub(crate) struct Alike {
    pub(crate) conversation: Arc<Conversation>,
    /// Pairs from the beginning that are equal, and the turn of the last of them.
    pub(crate) equal_pairs: usize,
    pub(crate) turn: Option<Arc<TurnRow>>,
    /// What differs in the pair behind it; `None`: the conversation has nothing behind it.
    pub(crate) side: Option<Side>,
}

/// What differs first in a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Question(Difference),
    /// Characters of the answer as it was resent, and as it was given.
    Answer {
        now: usize,
        then: i64,
    },
}

impl Conversations {
    /// Looks a history up as a chat would, and changes nothing.
    pub(crate) async fn probe(
        &self,
        key_id: &str,
        wanted: &Wanted,
        history: &Arc<History>,
        ttl: u64,
    ) -> Result<Probe, PlanError> {
        let owner = Owner::new(key_id, self.clock.now_ms(), ttl);
        let client_chat = wanted.client_chat.as_deref().map(|chat| client_chat_hash(key_id, chat));
        let located = self.locate(&owner, wanted, history, client_chat.as_deref(), Claims::Pretend).await?;
        let mut probe = Probe {
            recognised: located.recognised,
            branches: match (&located.conversation, &located.parent) {
                (Some(conversation), Some(parent)) => conversation.has_children(&parent.id),
                _ => false,
            },
            conversation: located.conversation,
            turn: located.parent,
            why_not: None,
            alike: None,
        };
        if probe.turn.is_none() {
            self.explain(&owner, wanted, history, &mut probe).await?;
        }
        Ok(probe)
    }

    async fn explain(
        &self,
        owner: &Owner<'_>,
        wanted: &Wanted,
        history: &Arc<History>,
        probe: &mut Probe,
    ) -> Result<(), PlanError> {
        if history.pairs.is_empty() {
            probe.why_not = Some(WhyNot::NoHistory);
            return Ok(());
        }
        let ever = Owner { key_id: owner.key_id, oldest_use: i64::MIN, now: owner.now };
        if probe.conversation.is_none() {
            let located = self.locate(&ever, wanted, history, None, Claims::Pretend).await?;
            if let Some(conversation) = located.conversation {
                let equal_pairs = history.pairs.len();
                probe.why_not = Some(WhyNot::Expired);
                probe.alike = Some(Alike { conversation, equal_pairs, turn: located.parent, side: None });
                return Ok(());
            }
        }
        let related = match &probe.conversation {
            Some(conversation) => vec![Arc::clone(conversation)],
            None => self.related(&ever, history).await?,
        };
        let (key_id, compared) = (owner.key_id.to_owned(), Arc::clone(history));
        // What differs is found by trying, which takes its time for any length.
        probe.alike = reading::read(LARGE_BYTES + 1, move || {
            let alike = related.into_iter().map(|conversation| compare(conversation, &key_id, &compared));
            alike.max_by_key(|alike| (alike.equal_pairs, alike.side.is_some_and(is_small)))
        })
        .await;
        probe.why_not = Some(self.why_not(&ever, history, probe).await?);
        Ok(())
    }

    async fn why_not(&self, ever: &Owner<'_>, history: &History, probe: &Probe) -> Result<WhyNot, StoreError> {
        // Inside a conversation that is named, only the difference tells.
        let window = match probe.conversation {
            Some(_) => None,
            None => self.why_no_window(ever, history).await?,
        };
        Ok(match window {
            Some(NoWindow::TooShort) => WhyNot::TooShort,
            Some(NoWindow::TooMany) => WhyNot::TooCommon,
            Some(NoWindow::Several(count)) if count > 1 => WhyNot::Ambiguous(count),
            _ if probe.alike.is_some() => WhyNot::Differs,
            _ => WhyNot::Unknown,
        })
    }
}

fn is_small(side: Side) -> bool {
    !matches!(side, Side::Question(Difference::Lines { .. }))
}

/// How far a history leads along a conversation from its beginning, and what differs there.
fn compare(conversation: Arc<Conversation>, key_id: &str, history: &History) -> Alike {
    let turns = conversation.turns();
    let begins = |turn: &&Arc<TurnRow>| turn.parent_id.is_none();
    let mut best: Option<(usize, Option<Arc<TurnRow>>)> = None;
    for root in turns.iter().filter(begins) {
        // What was replayed in front of a root is known only as a whole.
        let mut bases = history.bases().take(history.pairs.len());
        let Some(start) = bases.position(|base| base == root.base) else { continue };
        let reached = walk(&turns, root, key_id, history, start);
        if best.as_ref().is_none_or(|(known, _)| *known < reached.0) {
            best = Some(reached);
        }
    }
    let (equal_pairs, turn) = best.unwrap_or((0, None));
    let next = |other: &&Arc<TurnRow>| other.parent_id.as_deref() == turn.as_ref().map(|turn| turn.id.as_str());
    let pair = history.pairs.get(equal_pairs);
    let side = pair.and_then(|pair| {
        let sides = turns.iter().filter(next).filter_map(|turn| difference(turn, pair, key_id));
        sides.min_by_key(|side| match side {
            Side::Answer { .. } => 0,
            Side::Question(Difference::Lines { added, missing }) => 2 + added + missing,
            Side::Question(_) => 1,
        })
    });
    Alike { conversation, equal_pairs, turn, side }
}

/// The longest way from `root` whose turns are the pairs from `start` on: where it ends, and its last turn.
fn walk(
    turns: &[Arc<TurnRow>],
    root: &Arc<TurnRow>,
    key_id: &str,
    history: &History,
    start: usize,
) -> (usize, Option<Arc<TurnRow>>) {
    let mut best = (start, None);
    let mut open = vec![(Arc::clone(root), start)];
    while let Some((turn, index)) = open.pop() {
        let Some(pair) = history.pairs.get(index) else { continue };
        if compare_pair(&turn, pair, key_id) != PairGrade::Same {
            continue;
        }
        if index + 1 > best.0 {
            best = (index + 1, Some(Arc::clone(&turn)));
        }
        let children = turns.iter().filter(|other| other.parent_id.as_deref() == Some(turn.id.as_str()));
        open.extend(children.map(|child| (Arc::clone(child), index + 1)));
    }
    best
}

/// What differs first between a turn and a pair.
fn difference(turn: &TurnRow, pair: &Pair, key_id: &str) -> Option<Side> {
    match compare_pair(turn, pair, key_id) {
        PairGrade::Same => None,
        PairGrade::Rewritten => Some(Side::Answer { now: pair.answer.characters, then: turn.answer_length }),
        PairGrade::Other => {
            let user = pair.user.as_ref()?;
            Some(Side::Question(user.difference(&turn.user, &turn.lines)))
        }
    }
}
