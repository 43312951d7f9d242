//! Recognising a conversation from the history that a client resends.
//!
//! A candidate is a turn whose answer is the last one of the history. It is compared pair by pair towards the root. Three
//! outcomes: the whole path is the resent history ([`Grade::Full`]); its newest part is, and the client dropped or rewrote what
//! is older ([`Grade::Window`]); or it is not this conversation. An answer that the person rewrote under the same question
//! matches nothing: the new words must reach the model, so the history is replayed.

use std::sync::Arc;

use protocol::history::{Hash, History, Pair, TELLING_ANSWER_CHARACTERS};

use super::{Conversation, Conversations, Owner, Recognised};
use crate::store::StoreError;
use crate::store::conversations::{TurnReference, TurnRow};

/// Candidates looked at by one rule. More turns than this with one and the same answer do not identify anything.
const CANDIDATES: i64 = 64;

/// Conversations that are compared to tell why none fits.
const RELATED: usize = 16;

/// Pairs, the newest first, by which such conversations are looked for.
const RELATED_PAIRS: usize = 512;

/// Why the newest pairs alone did not identify a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoWindow {
    /// More turns than are looked at have this answer.
    TooMany,
    /// One pair is left, and its answer is too short to tell one chat from another.
    TooShort,
    /// So many fit equally well.
    Several(usize),
}

/// How well a candidate fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Grade {
    No,
    /// So many of the newest pairs fit.
    Window(usize),
    Full,
}

type Candidate = (Arc<Conversation>, Arc<TurnRow>, Grade);

impl Conversations {
    /// The turn that `history` goes on from, if there is exactly one such turn.
    pub(super) async fn recognise(
        &self,
        owner: &Owner<'_>,
        history: &History,
        client_chat: Option<&str>,
    ) -> Result<Option<(Arc<Conversation>, Arc<TurnRow>, Recognised)>, StoreError> {
        let Some(last) = history.pairs.last() else { return Ok(None) };
        let chain = history.chain_of(owner.key_id, history.pairs.len());
        if let Some(references) = self.cache.chain(&chain) {
            let candidates = self.grade(owner, history, &references).await?;
            if let Some((conversation, turn)) = best_full(&candidates, client_chat)
                && is_surely_meant(&conversation, &turn, client_chat)
            {
                return Ok(Some((conversation, turn, Recognised::Chain)));
            }
        }
        let references = self.store.turns_by_chain(&chain, CANDIDATES).await?;
        let candidates = self.grade(owner, history, &references).await?;
        if let Some((conversation, turn)) = best_full(&candidates, client_chat) {
            return Ok(Some((conversation, turn, Recognised::Chain)));
        }
        let (references, too_many) = self.answered_so(owner, last).await?;
        let candidates = self.grade(owner, history, &references).await?;
        if let Some((conversation, turn)) = best_full(&candidates, client_chat) {
            return Ok(Some((conversation, turn, Recognised::Answer)));
        }
        let window = if too_many { None } else { only_window(&candidates, last, client_chat) };
        Ok(window.map(|(conversation, turn)| (conversation, turn, Recognised::Window)))
    }

    /// Turns with the answer of a pair, and whether there are too many of them to tell anything.
    async fn answered_so(&self, owner: &Owner<'_>, pair: &Pair) -> Result<(Vec<TurnReference>, bool), StoreError> {
        let mut references: Vec<TurnReference> = Vec::new();
        for hash in &pair.answer.hashes {
            references.extend(self.store.turns_by_answer(&hash.scoped(owner.key_id), CANDIDATES + 1).await?);
        }
        let too_many = references.len() > usize::try_from(CANDIDATES).unwrap_or(usize::MAX);
        Ok((references, too_many))
    }

    /// Conversations that know a part of `history`: a beginning of its questions, or one of its answers.
    pub(super) async fn related(
        &self,
        owner: &Owner<'_>,
        history: &History,
    ) -> Result<Vec<Arc<Conversation>>, StoreError> {
        let mut related: Vec<Arc<Conversation>> = Vec::new();
        let chains = history.chains(owner.key_id);
        for (index, chain) in chains.iter().enumerate().rev().take(RELATED_PAIRS) {
            if related.len() == RELATED {
                break;
            }
            let mut references = self.store.turns_by_chain(chain, CANDIDATES).await?;
            references.extend(self.answered_so(owner, &history.pairs[index]).await?.0);
            for (_, conversation_id) in references {
                if related.len() < RELATED
                    && !related.iter().any(|known| known.id == conversation_id)
                    && let Some(conversation) = self.conversation(owner, &conversation_id).await?
                {
                    related.push(conversation);
                }
            }
        }
        Ok(related)
    }

    /// Why the newest pairs alone did not do, if turns have the last answer at all.
    pub(super) async fn why_no_window(
        &self,
        owner: &Owner<'_>,
        history: &History,
    ) -> Result<Option<NoWindow>, StoreError> {
        let Some(last) = history.pairs.last() else { return Ok(None) };
        let (references, too_many) = self.answered_so(owner, last).await?;
        if too_many {
            return Ok(Some(NoWindow::TooMany));
        }
        let candidates = self.grade(owner, history, &references).await?;
        let best = candidates
            .iter()
            .filter(|(_, _, grade)| matches!(grade, Grade::Window(_)))
            .map(|(_, _, grade)| *grade)
            .max();
        Ok(match best {
            Some(Grade::Window(1)) if last.answer.characters < TELLING_ANSWER_CHARACTERS => Some(NoWindow::TooShort),
            Some(best) => Some(NoWindow::Several(candidates.iter().filter(|(_, _, grade)| *grade == best).count())),
            None => None,
        })
    }

    async fn grade(
        &self,
        owner: &Owner<'_>,
        history: &History,
        references: &[TurnReference],
    ) -> Result<Vec<Candidate>, StoreError> {
        let mut candidates: Vec<Candidate> = Vec::new();
        for (turn_id, conversation_id) in references {
            let Some(conversation) = self.conversation(owner, conversation_id).await? else { continue };
            let Some(turn) = conversation.turn(turn_id) else { continue };
            let grade = compare(&conversation, &turn, owner.key_id, history);
            if grade != Grade::No && !candidates.iter().any(|(_, known, _)| known.id == turn.id) {
                candidates.push((conversation, turn, grade));
            }
        }
        Ok(candidates)
    }
}

/// The turn of a named conversation that `history` goes on from.
pub(super) fn inside(conversation: &Arc<Conversation>, key_id: &str, history: &History) -> Option<Arc<TurnRow>> {
    let last = history.pairs.last()?;
    let candidates: Vec<Candidate> = conversation
        .turns()
        .into_iter()
        .map(|turn| {
            let grade = compare(conversation, &turn, key_id, history);
            (Arc::clone(conversation), turn, grade)
        })
        .filter(|(_, _, grade)| *grade != Grade::No)
        .collect();
    best_full(&candidates, None).or_else(|| only_window(&candidates, last, None)).map(|(_, turn)| turn)
}

/// Whether no other conversation that reads the same could be preferred to this one: memory may know only some of them.
fn is_surely_meant(conversation: &Conversation, turn: &TurnRow, client_chat: Option<&str>) -> bool {
    let same_chat = client_chat.is_none() || conversation.client_chat.as_deref() == client_chat;
    same_chat && !conversation.has_children(&turn.id)
}

/// Of several conversations that read the same, the chat that the client named, then one that has not been continued yet, then
/// the newest.
fn best_full(candidates: &[Candidate], client_chat: Option<&str>) -> Option<(Arc<Conversation>, Arc<TurnRow>)> {
    candidates
        .iter()
        .filter(|(_, _, grade)| *grade == Grade::Full)
        .max_by_key(|(conversation, turn, _)| {
            let same_chat = client_chat.is_some() && conversation.client_chat.as_deref() == client_chat;
            (same_chat, !conversation.has_children(&turn.id), turn.created_at, turn.id.clone())
        })
        .map(|(conversation, turn, _)| (Arc::clone(conversation), Arc::clone(turn)))
}

/// A partial match counts only if it is telling and no other fits as well.
fn only_window(
    candidates: &[Candidate],
    last: &Pair,
    client_chat: Option<&str>,
) -> Option<(Arc<Conversation>, Arc<TurnRow>)> {
    let is_telling = |grade: &Grade| match grade {
        Grade::Window(1) => last.answer.characters >= TELLING_ANSWER_CHARACTERS,
        Grade::Window(_) => true,
        Grade::No | Grade::Full => false,
    };
    let telling: Vec<&Candidate> = candidates.iter().filter(|(_, _, grade)| is_telling(grade)).collect();
    let best = telling.iter().map(|(_, _, grade)| *grade).max()?;
    let mut best: Vec<&Candidate> = telling.into_iter().filter(|(_, _, grade)| *grade == best).collect();
    let of_chat = |candidate: &&Candidate| client_chat.is_some() && candidate.0.client_chat.as_deref() == client_chat;
    if best.iter().any(&of_chat) {
        best.retain(of_chat);
    }
    match best.as_slice() {
        [(conversation, turn, _)] => Some((Arc::clone(conversation), Arc::clone(turn))),
        _ => None,
    }
}

/// Compares a path, from `turn` towards the root, with the pairs, from the newest to the oldest.
fn compare(conversation: &Conversation, turn: &Arc<TurnRow>, key_id: &str, history: &History) -> Grade {
    let pairs = &history.pairs;
    let mut current = Arc::clone(turn);
    for (index, pair) in pairs.iter().enumerate().rev() {
        let matched = pairs.len() - 1 - index;
        match compare_pair(&current, pair, key_id) {
            PairGrade::Same => {}
            PairGrade::Rewritten => return Grade::No,
            PairGrade::Other => return window(matched),
        }
        let matched = matched + 1;
        if pair.user.is_none() {
            // The client's window begins with an answer.
            return window(matched);
        }
        let parent = current.parent_id.as_ref().map(|id| conversation.turn(id));
        match parent {
            Some(Some(parent)) => current = parent,
            // The parent was deleted.
            Some(None) => return window(matched),
            None if history.base_of(index) == current.base => return Grade::Full,
            // Nothing was dropped from what was replayed in front of it, so something was rewritten or added.
            None if i64::try_from(index).is_ok_and(|before| before >= current.depth - 1) => return Grade::No,
            None => return window(matched),
        }
    }
    window(pairs.len())
}

fn window(matched: usize) -> Grade {
    if matched == 0 { Grade::No } else { Grade::Window(matched) }
}

#[derive(PartialEq, Eq)]
pub(super) enum PairGrade {
    Same,
    /// The same question with another answer.
    Rewritten,
    Other,
}

pub(super) fn compare_pair(turn: &TurnRow, pair: &Pair, key_id: &str) -> PairGrade {
    let same_answer = pair.answer.hashes.iter().map(|hash| hash.scoped(key_id)).any(|hash: Hash| hash == turn.answer);
    let same_question = pair.user.as_ref().is_none_or(|user| user.hash == turn.user);
    match (same_answer, same_question) {
        (true, true) => PairGrade::Same,
        // Wrapped in search results when it was asked, bare now.
        (true, false) if pair.user.as_ref().is_some_and(|user| user.lines.are_all_in(&turn.lines)) => PairGrade::Same,
        (false, true) if pair.user.is_some() => PairGrade::Rewritten,
        _ => PairGrade::Other,
    }
}
