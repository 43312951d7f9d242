//! Token counts. The upstream tells none, so they are estimated from the text and say so.

use serde::ser::{Serialize, SerializeStruct, Serializer};

/// Estimated usage of one turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// What was asked.
    pub prompt_tokens: u64,
    /// What was answered, reasoning included.
    pub completion_tokens: u64,
    /// The part of the answer that was reasoning.
    pub reasoning_tokens: u64,
}

impl Serialize for Usage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct PromptDetails {
            cached_tokens: u64,
        }
        #[derive(serde::Serialize)]
        struct CompletionDetails {
            reasoning_tokens: u64,
        }
        let mut usage = serializer.serialize_struct("Usage", 6)?;
        usage.serialize_field("prompt_tokens", &self.prompt_tokens)?;
        usage.serialize_field("completion_tokens", &self.completion_tokens)?;
        usage.serialize_field("total_tokens", &self.prompt_tokens.saturating_add(self.completion_tokens))?;
        usage.serialize_field("prompt_tokens_details", &PromptDetails { cached_tokens: 0 })?;
        let details = CompletionDetails { reasoning_tokens: self.reasoning_tokens };
        usage.serialize_field("completion_tokens_details", &details)?;
        usage.serialize_field("estimated", &true)?;
        usage.end()
    }
}

/// Estimates the tokens of a text.
pub fn estimate_tokens(text: &str) -> u64 {
    let mut count = TokenCount::default();
    count.add(text);
    count.tokens()
}

/// An estimate that grows piece by piece and does not depend on how the text was cut.
///
/// Tokenizers take about four ASCII characters to a token, one Chinese, Japanese or Korean character, and two characters of
/// other scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TokenCount {
    ascii: u64,
    east_asian: u64,
    other: u64,
}

impl TokenCount {
    /// Adds a piece of text.
    pub fn add(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                0..0x80 => self.ascii += 1,
                // Not the first byte of a character.
                0x80..0xc0 => {}
                // First bytes of U+3000 to U+DFFF: kana, ideographs, Hangul.
                0xe3..=0xed => self.east_asian += 1,
                _ => self.other += 1,
            }
        }
    }

    /// The estimate; a text that is not empty has at least one token.
    pub fn tokens(&self) -> u64 {
        self.ascii.div_ceil(4) + self.east_asian + self.other.div_ceil(2)
    }
}
