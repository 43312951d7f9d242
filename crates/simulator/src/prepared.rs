//! Answers for load: rendered once, then copied with fresh ids.
//!
//! What costs a simulated answer is rendering it, not sending it. Under load the same few replies come over and over, so
//! their bytes are kept with the places of the ids that differ from answer to answer.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use memchr::memmem;

use crate::script::{Reply, Step, paced_steps, stall_steps};

/// The replies that are prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Shape {
    Tokens { tokens: usize, thinking: usize, interval: Duration },
    Stall,
}

/// A rendered answer.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub pieces: Vec<Piece>,
    /// Whether silence follows, and no end.
    pub hangs: bool,
}

/// Bytes that leave together.
#[derive(Debug)]
pub(crate) struct Piece {
    /// Pause before it.
    pub wait: Duration,
    bytes: Box<[u8]>,
    /// Where each of the ids stands.
    places: Vec<Vec<usize>>,
}

/// Rendered answers by what they look like.
#[derive(Debug)]
pub(crate) struct Cache<K>(Mutex<HashMap<K, Arc<Prepared>>>);

impl<K> Default for Cache<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> Cache<K> {
    /// The answer for `key`, made if it is not there yet.
    pub(crate) fn get(&self, key: K, make: impl FnOnce() -> Prepared) -> Arc<Prepared> {
        let mut prepared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        prepared.entry(key).or_insert_with(|| Arc::new(make())).clone()
    }
}

impl Shape {
    pub(crate) fn of(reply: &Reply) -> Option<Self> {
        match *reply {
            Reply::Tokens { tokens, interval, thinking } => Some(Self::Tokens { tokens, thinking, interval }),
            Reply::Stall => Some(Self::Stall),
            _ => None,
        }
    }

    pub(crate) fn steps(self) -> Vec<Step> {
        match self {
            Self::Tokens { tokens, thinking, interval } => paced_steps(tokens, interval, thinking),
            Self::Stall => stall_steps(),
        }
    }
}

impl Prepared {
    /// Renders steps, and cuts at their pauses. `ids` are what will be replaced by others of the same length.
    pub(crate) fn render(steps: &[Step], ids: &[&str], mut render: impl FnMut(&Step, &mut Vec<u8>)) -> Self {
        let mut pieces = Vec::new();
        let (mut bytes, mut wait, mut hangs) = (Vec::new(), Duration::ZERO, false);
        for step in steps {
            match step {
                Step::Wait(pause) => {
                    if !bytes.is_empty() {
                        pieces.push(Piece::new(std::mem::take(&mut wait), std::mem::take(&mut bytes), ids));
                    }
                    wait += *pause;
                }
                Step::Hang => {
                    hangs = true;
                    break;
                }
                step => render(step, &mut bytes),
            }
        }
        pieces.push(Piece::new(wait, bytes, ids));
        Self { pieces, hangs }
    }
}

impl Piece {
    fn new(wait: Duration, bytes: Vec<u8>, ids: &[&str]) -> Self {
        let places = ids.iter().map(|id| memmem::find_iter(&bytes, id.as_bytes()).collect()).collect();
        Self { wait, bytes: bytes.into(), places }
    }

    /// The bytes with these ids, in the order of those that they were rendered with.
    pub(crate) fn patched(&self, ids: &[&str]) -> Vec<u8> {
        let mut bytes = self.bytes.to_vec();
        for (places, id) in self.places.iter().zip(ids) {
            for place in places {
                bytes[*place..*place + id.len()].copy_from_slice(id.as_bytes());
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_cut_at_their_pauses_and_ids_replaced() {
        let second = Duration::from_secs(1);
        let text = |text: &str| Step::Text(text.to_owned());
        let steps =
            [Step::Wait(second), text("id1;"), text("b"), Step::Wait(second), text("id2id1"), Step::Hang, text("c")];
        let prepared = Prepared::render(&steps, &["id1", "id2"], |step, out| {
            if let Step::Text(text) = step {
                out.extend(text.bytes());
            }
        });
        let seen: Vec<_> = prepared.pieces.iter().map(|piece| (piece.wait, piece.patched(&["AAA", "BBB"]))).collect();
        assert_eq!(seen, [(second, b"AAA;b".to_vec()), (second, b"BBBAAA".to_vec())]);
        assert!(prepared.hangs);
    }
}
