//! How much memory answers may take: each one alone, and all that are open together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{UpstreamError, UpstreamErrorKind};
use crate::settings::Settings;

const MEGABYTE: usize = 1024 * 1024;

/// What an answer may hold without asking. Nearly all answers stay below it: they cost no shared counter, and they go on when
/// the budget is used up.
const FREE: usize = 64 * 1024;

/// What is asked for at once, so that a growing answer asks rarely.
const STEP: usize = 256 * 1024;

/// How often a byte of an answer is in memory when it ends: as it came, as it is shown, as it is collected, as it is written.
const COPIES: usize = 4;

/// Bytes on the wire for each byte that an answer may have: a token of a few characters comes in an object of a few hundred.
const WIRE: u64 = 64;

/// What one answer may bring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnswerLimits {
    /// Of text, reasoning, and what belongs to them.
    pub(crate) answer: usize,
    /// At once, in one object or message.
    pub(super) message: usize,
    /// In all, decompressed.
    pub(super) wire: u64,
    /// All open answers together.
    together: usize,
}

impl AnswerLimits {
    pub(crate) fn new(settings: &Settings) -> Self {
        let bytes = |megabytes: u64| usize::try_from(megabytes).unwrap_or(usize::MAX).saturating_mul(MEGABYTE);
        let answer = bytes(settings.max_answer_mb);
        // The stored answer comes in one piece, with escapes, and beside it the question.
        let message = answer.saturating_add(bytes(settings.max_body_mb)).saturating_mul(2).saturating_add(MEGABYTE);
        let wire = settings.max_answer_mb.saturating_mul(MEGABYTE as u64).saturating_mul(WIRE);
        let wire = wire.saturating_add(u64::try_from(message).unwrap_or(u64::MAX));
        Self { answer, message, wire, together: bytes(settings.max_answers_mb) }
    }

    /// The complaint about an answer that is larger.
    pub(crate) fn exceeded(&self) -> UpstreamError {
        UpstreamErrorKind::TooLarge { limit_mb: self.answer / MEGABYTE }.into()
    }
}

/// A cheap handle to what all open answers together hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct AnswerMemory {
    held: Arc<AtomicUsize>,
}

/// What one answer holds; gives it back when dropped.
#[derive(Debug)]
pub(crate) struct HeldMemory {
    memory: AnswerMemory,
    bytes: usize,
}

impl AnswerMemory {
    /// Nothing yet.
    pub(crate) fn hold(&self) -> HeldMemory {
        HeldMemory { memory: self.clone(), bytes: 0 }
    }

    /// What is held beyond what answers hold freely.
    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}

impl HeldMemory {
    /// The answer has grown to `answer` bytes, and `buffered` bytes of it wait to be read.
    ///
    /// # Errors
    /// Says that all answers together have no room for that.
    pub(crate) fn grow(&mut self, answer: usize, buffered: usize, limits: &AnswerLimits) -> Result<(), UpstreamError> {
        let wanted = answer.saturating_mul(COPIES).saturating_add(buffered);
        if wanted <= self.bytes || wanted <= FREE * COPIES {
            return Ok(());
        }
        let more = wanted.next_multiple_of(STEP) - self.bytes;
        let room = |held: usize| held.checked_add(more).filter(|held| *held <= limits.together);
        let reserved = self.memory.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room);
        reserved.map_err(|_| UpstreamError::from(UpstreamErrorKind::NoMemory))?;
        self.bytes += more;
        Ok(())
    }
}

impl Drop for HeldMemory {
    fn drop(&mut self) {
        self.memory.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(together_mb: u64) -> AnswerLimits {
        AnswerLimits::new(&Settings { max_answers_mb: together_mb, ..Settings::default() })
    }

    #[test]
    fn small_answers_are_free_and_large_ones_share_what_there_is() {
        let (memory, limits) = (AnswerMemory::default(), limits(16));
        let mut large = memory.hold();
        for size in [0, 1, FREE, 100_000, MEGABYTE, 3 * MEGABYTE] {
            large.grow(size, 0, &limits).unwrap();
            assert_eq!(memory.bytes() == 0, size <= FREE, "{size}");
            assert!(memory.bytes() == 0 || memory.bytes() >= size * COPIES);
        }
        let mut second = memory.hold();
        second.grow(FREE, 0, &limits).unwrap();
        let error = second.grow(2 * MEGABYTE, 0, &limits).unwrap_err();
        assert_eq!(error.label(), "answers_too_large");
        assert!(memory.bytes() <= 16 * MEGABYTE);
        // What one gives back is there for the next.
        drop(large);
        second.grow(2 * MEGABYTE, 0, &limits).unwrap();
        drop(second);
        assert_eq!(memory.bytes(), 0);
    }

    #[test]
    fn what_waits_for_its_end_counts_too() {
        let (memory, limits) = (AnswerMemory::default(), limits(16));
        let mut held = memory.hold();
        held.grow(0, 15 * MEGABYTE, &limits).unwrap();
        assert!(memory.hold().grow(MEGABYTE, 0, &limits).is_err());
        assert!(held.grow(0, 17 * MEGABYTE, &limits).is_err());
    }
}
