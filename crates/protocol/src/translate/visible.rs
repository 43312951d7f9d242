//! The text a client has been given, and the skipping of what it already has when an answer is replayed.

use super::ChatEvent;
use crate::steps;

/// Everything visible so far.
#[derive(Debug, Default)]
pub(super) struct VisibleText {
    text: String,
    replay: Replay,
}

/// Whether the stream repeats what was shown before.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Replay {
    /// New text is shown.
    #[default]
    Live,
    /// The replay has come this far into the text that was shown.
    At(usize),
    /// The replay says something else than was shown. Nothing can be shown behind text that is not its beginning.
    Diverged,
}

impl VisibleText {
    /// The text of an earlier stream, to be skipped in a replay of it.
    pub(super) fn skipping(previous: Self) -> Self {
        let replay = if previous.text.is_empty() { Replay::Live } else { Replay::At(0) };
        Self { text: previous.text, replay }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// What this stream has said so far; shorter than `text` while it replays.
    pub(super) fn said(&self) -> &str {
        match self.replay {
            Replay::At(position) => &self.text[..position],
            Replay::Live | Replay::Diverged => &self.text,
        }
    }

    pub(super) fn has_diverged(&self) -> bool {
        self.replay == Replay::Diverged
    }

    /// Shows a piece, or as much of it as has not been shown.
    pub(super) fn write(&mut self, piece: &str, out: &mut impl FnMut(ChatEvent<'_>)) {
        let new = match self.replay {
            Replay::Live => piece,
            Replay::Diverged => return,
            Replay::At(position) => match self.behind_shown(position, piece) {
                Some(new) => new,
                None => return,
            },
        };
        if !new.is_empty() {
            steps::add(new.len());
            self.text.push_str(new);
            out(ChatEvent::Text(new));
        }
    }

    /// Compares a replayed piece with what was shown and returns what goes beyond it.
    fn behind_shown<'p>(&mut self, position: usize, piece: &'p str) -> Option<&'p str> {
        steps::add(piece.len());
        let shown = &self.text[position..];
        if let Some(new) = piece.strip_prefix(shown) {
            self.replay = Replay::Live;
            return Some(new);
        }
        self.replay = if shown.starts_with(piece) { Replay::At(position + piece.len()) } else { Replay::Diverged };
        None
    }

    /// Shows what `whole` has beyond the text, if the text is its beginning.
    pub(super) fn complete_with(&mut self, whole: &str, out: &mut impl FnMut(ChatEvent<'_>)) -> bool {
        if !whole.starts_with(self.text.as_str()) {
            return false;
        }
        let suffix = &whole[self.text.len()..];
        self.replay = Replay::Live;
        self.write(suffix, out);
        true
    }
}
