//! Conversations taken over from the Python Grok2API, which knew neither whose they are nor what was answered.
//!
//! It kept a fingerprint of the system text and the questions only. The first imported key that names such a conversation, or
//! resends its history, becomes its owner; from the resent history its turn learns the hashes that every other turn has.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::Arc;

use protocol::history::{Hash, History};
use sha2::{Digest as _, Sha256};

use super::{Claims, Conversation, Conversations, Owner};
use crate::store::StoreError;
use crate::store::conversations::{ConversationRow, Place, TurnRow};

/// With several imported keys, fewer characters of questions than this do not tell whose conversation it is: the fingerprint holds
/// no answers, and everybody begins with `hello`.
const TELLING_QUESTIONS: usize = 16;

/// A conversation as it is taken over.
pub(crate) struct Imported {
    pub(crate) id: String,
    pub(crate) place: Place,
    /// The other gateway's fingerprint of system text and questions.
    pub(crate) history_hash: String,
    pub(crate) created_at: i64,
    pub(crate) last_used_at: i64,
}

impl Conversations {
    /// Takes a conversation over, as nobody's; `false` when there is one of this id already.
    pub(crate) async fn import(&self, imported: Imported) -> Result<bool, StoreError> {
        let unknown = Hash::of(&[b"imported", imported.id.as_bytes()]);
        let turn = TurnRow {
            id: uuid::Uuid::now_v7().simple().to_string(),
            conversation_id: imported.id.clone(),
            parent_id: None,
            depth: 1,
            chain: unknown,
            user: unknown,
            lines: protocol::history::Lines::default(),
            answer: unknown,
            answer_length: 0,
            system: None,
            base: None,
            place: imported.place,
            // The other gateway kept links of earlier answers when a later one could not be shared; a new link is made when needed.
            share_link: None,
            created_at: imported.last_used_at,
        };
        let conversation = ConversationRow {
            id: imported.id,
            key_id: String::new(),
            account_id: turn.place.account_id.clone(),
            head_turn_id: turn.id.clone(),
            title: None,
            model: None,
            keep_until: None,
            client_chat: None,
            created_at: imported.created_at,
            last_used_at: imported.last_used_at,
        };
        self.store.insert_imported(&conversation, &turn, &imported.history_hash).await
    }

    /// Makes an imported conversation that is named the key's own. When it is only pretended: the conversation, and its turn if the
    /// history is known to lead to it.
    pub(super) async fn claim_named(
        &self,
        owner: &Owner<'_>,
        id: &str,
        history: &History,
        claims: Claims,
    ) -> Result<Option<(Arc<Conversation>, Option<Arc<TurnRow>>)>, StoreError> {
        if !self.heirs().await?.contains(owner.key_id) {
            return Ok(None);
        }
        let Some(row) = self.store.imported_conversation(id, owner.key_id).await? else { return Ok(None) };
        // It did not refresh its fingerprint after every answer, so that of an earlier part counts as well.
        let is_known = fingerprints(history).any(|fingerprint| fingerprint == row.history_hash);
        if claims == Claims::Pretend {
            let conversation = self.load(id).await?.filter(|conversation| owner.is_fresh(conversation));
            return Ok(conversation.map(|conversation| {
                let turn = conversation.turn(&row.turn_id).filter(|_| is_known);
                (conversation, turn)
            }));
        }
        let learned =
            if is_known { self.learn(owner, &row.conversation_id, &row.turn_id, history).await? } else { None };
        self.store.claim_imported(id, owner.key_id, learned.as_ref()).await?;
        self.cache.forget(id);
        Ok(None)
    }

    /// The imported conversation whose fingerprint this history has, made the key's own.
    pub(super) async fn claim_by_history(
        &self,
        owner: &Owner<'_>,
        history: &History,
        claims: Claims,
    ) -> Result<Option<(Arc<Conversation>, Arc<TurnRow>)>, StoreError> {
        let pairs = history.pairs.len();
        let heirs = self.heirs().await?;
        if pairs == 0 || !heirs.contains(owner.key_id) {
            return Ok(None);
        }
        if heirs.len() > 1 && words(history, pairs).chars().count() < TELLING_QUESTIONS {
            return Ok(None);
        }
        let rows = self.store.imported_by_history(&fingerprint(history, pairs), owner.key_id).await?;
        let [row] = rows.as_slice() else { return Ok(None) };
        let learned = self.learn(owner, &row.conversation_id, &row.turn_id, history).await?;
        if claims == Claims::Pretend {
            let conversation = self.load(&row.conversation_id).await?.filter(|_| learned.is_some());
            return Ok(conversation.and_then(|conversation| {
                let turn = conversation.turn(&row.turn_id)?;
                Some((conversation, turn))
            }));
        }
        if learned.is_none() || !self.store.claim_imported(&row.conversation_id, owner.key_id, learned.as_ref()).await?
        {
            return Ok(None);
        }
        self.cache.forget(&row.conversation_id);
        let Some(conversation) = self.conversation(owner, &row.conversation_id).await? else { return Ok(None) };
        Ok(conversation.turn(&row.turn_id).map(|turn| (conversation, turn)))
    }

    /// Ids of the imported keys. They are added while no gateway runs, so one look is enough.
    async fn heirs(&self) -> Result<&HashSet<String>, StoreError> {
        self.heirs.get_or_try_init(async || Ok(self.store.imported_keys().await?.into_iter().collect())).await
    }

    /// The imported turn with the hashes of the history that leads to it; `None` when it is too old or gone.
    async fn learn(
        &self,
        owner: &Owner<'_>,
        conversation_id: &str,
        turn_id: &str,
        history: &History,
    ) -> Result<Option<TurnRow>, StoreError> {
        let Some(last) = history.pairs.last() else { return Ok(None) };
        let Some(conversation) = self.load(conversation_id).await? else { return Ok(None) };
        let turn = conversation.turn(turn_id).filter(|_| owner.is_fresh(&conversation));
        let (Some(turn), Some(answer)) = (turn, last.answer.hashes.first()) else { return Ok(None) };
        let pairs = history.pairs.len();
        Ok(Some(TurnRow {
            depth: i64::try_from(pairs).unwrap_or(i64::MAX),
            chain: history.chain_of(owner.key_id, pairs),
            user: last.user.as_ref().map_or(turn.user, |user| user.hash),
            lines: last.user.as_ref().map(|user| user.lines.clone()).unwrap_or_default(),
            answer: answer.scoped(owner.key_id),
            answer_length: i64::try_from(last.answer.characters).unwrap_or(i64::MAX),
            system: history.system_hash(),
            base: history.base_of(pairs - 1),
            ..TurnRow::clone(&turn)
        }))
    }
}

/// What the other gateway hashes: system text and questions, one labelled line each.
fn words(history: &History, pairs: usize) -> String {
    let system = history.system.iter().map(|text| format!("system:{text}"));
    let questions = history.pairs[..pairs].iter().filter_map(|pair| pair.user.as_ref());
    system.chain(questions.map(|user| format!("user:{}", user.text))).collect::<Vec<_>>().join("\n")
}

/// Its fingerprint: the first 64 bits of SHA-256, in hexadecimal.
fn fingerprint(history: &History, pairs: usize) -> String {
    in_hexadecimal(&Sha256::digest(words(history, pairs).as_bytes()))
}

/// The fingerprints of the first pair, the first two, and so on, to all: each question is hashed once.
fn fingerprints(history: &History) -> impl Iterator<Item = String> {
    let mut hasher = Sha256::new();
    let mut is_first = true;
    let mut line = move |hasher: &mut Sha256, label: &str, text: &str| {
        let line_break = if std::mem::take(&mut is_first) { "" } else { "\n" };
        for piece in [line_break, label, text] {
            hasher.update(piece.as_bytes());
        }
    };
    if let Some(system) = &history.system {
        line(&mut hasher, "system:", system);
    }
    history.pairs.iter().map(move |pair| {
        if let Some(user) = &pair.user {
            line(&mut hasher, "user:", &user.text);
        }
        in_hexadecimal(&hasher.clone().finalize())
    })
}

fn in_hexadecimal(digest: &[u8]) -> String {
    digest[..8].iter().fold(String::with_capacity(16), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}
