//! Fingerprints of a message list: how a conversation is recognised from whatever history a client resends.
//!
//! A message list is read as pairs of a *user side* (everything that is not the assistant's since its last message) and the
//! *answer* that followed, and the last user side, which is what is asked now. System text stands apart. Clients alter what
//! they resend, so texts are normalised before hashing: see [`normalise`] and [`normalise_answer`].

mod difference;
mod stripped;

use std::collections::HashSet;
use std::fmt;

use sha2::{Digest as _, Sha256};

use stripped::{replayed_answer, without_leading_quotation, without_links, without_reasoning};

use crate::openai::{ImageSource, Message, Role};
use crate::{scan, steps};

pub use difference::Difference;

/// Line fingerprints kept of one user side; of a longer one the first and the last half are kept.
const LINES_KEPT: usize = 128;

/// An answer shorter than this does not identify a conversation on its own.
pub const TELLING_ANSWER_CHARACTERS: usize = 32;

/// Sent when a client asks to go on with an unfinished answer (its history ends with the assistant's message).
pub const CONTINUE_MESSAGE: &str = "Continue exactly where your last message ended, without repeating it.";

/// Sent with images that come without a word: the upstream answers messages.
pub const SHOW_MESSAGE: &str = "Look at the attached image.";

/// 128 bits of SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash([u8; 16]);

impl Hash {
    /// The hash of `parts`, each preceded by its length, so that no two lists of parts collide by concatenation.
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            steps::add(part.len() + 1);
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let digest = hasher.finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self(bytes)
    }

    /// Reads the form that [`fmt::Display`] writes.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 32 || !text.is_ascii() {
            return None;
        }
        let mut bytes = [0; 16];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[index * 2..index * 2 + 2], 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// The raw bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The same hash, bound to an owner: equal texts of two owners do not have equal hashes.
    #[must_use]
    pub fn scoped(&self, scope: &str) -> Self {
        Self::of(&[b"scope", scope.as_bytes(), &self.0])
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(formatter, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// One user side: the words of everybody but the assistant between two of its answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSide {
    /// The words as they go to the model.
    pub text: String,
    /// The images that came with them.
    pub images: Vec<ImageSource>,
    /// Hash of the normalised words and of the images.
    pub hash: Hash,
    /// Hashes of its lines, for the question that was wrapped when asked and comes back bare.
    pub lines: Lines,
}

impl UserSide {
    fn new(text: String, images: Vec<ImageSource>) -> Self {
        let normal = normalise(&text);
        let hash = question_hash(&normal, &images);
        let mut lines = Lines::of(&normal);
        // The same words about another picture are another question.
        lines.0.extend(images.iter().map(|image| short_hash(&format!("image {}", image.digest()))));
        Self { text, images, hash, lines }
    }

    /// Whether nothing is said or shown.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.images.is_empty() && self.text.trim().is_empty()
    }
}

/// The hash of a question: of its words, which are normal already, and of its images.
fn question_hash(normal: &str, images: &[ImageSource]) -> Hash {
    let words = Hash::of(&[b"user", normal.as_bytes()]);
    images.iter().fold(words, |hash, image| Hash::of(&[b"shown", hash.bytes(), image.digest().bytes()]))
}

/// Short hashes of the non-empty lines of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines(Vec<u64>);

impl Lines {
    fn of(normal: &str) -> Self {
        let mut lines: Vec<u64> =
            normal.lines().map(str::trim).filter(|line| !line.is_empty()).map(short_hash).collect();
        if lines.len() > LINES_KEPT {
            let tail = lines.split_off(lines.len() - LINES_KEPT / 2);
            lines.truncate(LINES_KEPT / 2);
            lines.extend(tail);
        }
        Self(lines)
    }

    /// Whether there is at least one line here and every one of them is among `other`'s.
    #[must_use]
    pub fn are_all_in(&self, other: &Self) -> bool {
        !self.0.is_empty() && self.missing_in(other) == 0
    }

    /// How many of the lines are not among `other`'s. A message may hold any number of images, and each counts for a line.
    fn missing_in(&self, other: &Self) -> usize {
        steps::add(self.0.len() + other.0.len());
        let others: HashSet<&u64> = other.0.iter().collect();
        self.0.iter().filter(|line| !others.contains(line)).count()
    }

    /// Text form for the database.
    #[must_use]
    pub fn to_text(&self) -> String {
        use fmt::Write as _;
        let mut text = String::with_capacity(self.0.len() * 16);
        for line in &self.0 {
            write!(text, "{line:016x}").expect("writing to a string cannot fail");
        }
        text
    }

    /// Reads [`Lines::to_text`]; damaged parts are left out.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        let lines = text.as_bytes().chunks_exact(16).filter_map(|chunk| std::str::from_utf8(chunk).ok());
        Self(lines.filter_map(|hex| u64::from_str_radix(hex, 16).ok()).collect())
    }
}

fn short_hash(text: &str) -> u64 {
    let hash = Hash::of(&[b"line", text.as_bytes()]);
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash.0[..8]);
    u64::from_le_bytes(bytes)
}

/// An answer as the client resent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResentAnswer {
    /// The words as the client has them.
    pub text: String,
    /// Hashes it may have been stored under, the likeliest first: clients put the reasoning in front as a quotation.
    pub hashes: Vec<Hash>,
    /// Length of the normalised words in characters.
    pub characters: usize,
}

impl ResentAnswer {
    fn new(text: String) -> Self {
        let normal = normalise_answer(&text);
        let mut hashes = vec![answer_hash_of_normal(&normal)];
        let characters = normal.chars().count();
        hashes.extend(without_leading_quotation(&text).into_iter().map(answer_hash));
        Self { text, hashes, characters }
    }

    /// Whether this is the answer stored under `hash`.
    #[must_use]
    pub fn is(&self, hash: &Hash) -> bool {
        self.hashes.contains(hash)
    }
}

/// A user side and the answer that followed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// `None` where the client's window begins with an answer.
    pub user: Option<UserSide>,
    /// What the assistant said.
    pub answer: ResentAnswer,
}

/// A message list, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// All system and developer text, in order.
    pub system: Option<String>,
    /// What went before.
    pub pairs: Vec<Pair>,
    /// What is asked now. `None`: the list ends with an answer that is to be continued.
    pub last: Option<UserSide>,
    /// See [`History::system_hash`].
    system_hash: Option<Hash>,
    /// See [`History::base_of`]: of one pair, of two, and so on.
    bases: Vec<Hash>,
}

impl History {
    /// Reads a message list.
    #[must_use]
    pub fn read(messages: &[Message]) -> Self {
        let mut reader = Reader::default();
        for message in messages {
            reader.take(message);
        }
        reader.finish()
    }

    /// How long the words are that went before.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.pairs
            .iter()
            .map(|pair| pair.user.as_ref().map_or(0, |user| user.text.len()) + pair.answer.text.len())
            .sum()
    }

    /// Hash of the system text.
    #[must_use]
    pub fn system_hash(&self) -> Option<Hash> {
        self.system_hash
    }

    /// The chain of the first `pairs` user sides (see [`chain`]), from the owner's root.
    #[must_use]
    pub fn chain_of(&self, owner: &str, pairs: usize) -> Hash {
        let sides = self.pairs[..pairs].iter().map(|pair| pair.user.as_ref().map(|user| &user.hash));
        sides.fold(chain_root(owner), |hash, user| chain(&hash, user))
    }

    /// [`History::chain_of`] the first pair, the first two, and so on, to all.
    #[must_use]
    pub fn chains(&self, owner: &str) -> Vec<Hash> {
        let mut hash = chain_root(owner);
        let mut next = |pair: &Pair| {
            hash = chain(&hash, pair.user.as_ref().map(|user| &user.hash));
            hash
        };
        self.pairs.iter().map(&mut next).collect()
    }

    /// Fingerprint of everything before what is asked now; `None` when there is nothing. Kept with a turn that replayed a
    /// history, so that the same history is known again.
    #[must_use]
    pub fn base_of(&self, pairs: usize) -> Option<Hash> {
        pairs.checked_sub(1).map(|last| self.bases[last])
    }

    /// [`History::base_of`] no pair, the first pair, and so on, to all.
    pub fn bases(&self) -> impl Iterator<Item = Option<Hash>> {
        std::iter::once(None).chain(self.bases.iter().copied().map(Some))
    }

    /// The whole history as one labelled message, for an upstream conversation that starts anew. `attached`: how many of each
    /// user side's images go along; the others are told of.
    #[must_use]
    pub fn replay(&self, attached: &[usize]) -> String {
        let mut text = String::from("This is our conversation so far. Go on from it; do not repeat or summarise it.\n");
        for (index, pair) in self.pairs.iter().enumerate() {
            if let Some(user) = &pair.user {
                text.push_str("\n[User]\n");
                text.push_str(user.text.trim());
                let attached = attached.get(index).copied().unwrap_or(0);
                if attached > 0 {
                    text.push_str("\n[with attached images]");
                }
                match user.images.len().saturating_sub(attached) {
                    0 => {}
                    1 => text.push_str("\n[with an image that is no longer attached]"),
                    missing => text.push_str(&format!("\n[with {missing} images that are no longer attached]")),
                }
                text.push('\n');
            }
            text.push_str("\n[Assistant]\n");
            text.push_str(replayed_answer(&pair.answer.text).trim());
            text.push('\n');
        }
        text.push_str("\n[User, now]\n");
        text
    }
}

/// `chain(turn) = H(chain(parent) ‖ user side)`.
#[must_use]
pub fn chain(parent: &Hash, user: Option<&Hash>) -> Hash {
    Hash::of(&[b"chain", parent.bytes(), user.map_or(&[0; 16][..], |hash| &hash.bytes()[..])])
}

/// `base(pairs) = H(base(earlier pairs) ‖ user side ‖ answer)`.
fn base(earlier: Option<Hash>, pair: &Pair) -> Hash {
    let earlier = earlier.unwrap_or_else(|| Hash::of(&[b"base"]));
    let user = pair.user.as_ref().map_or([0; 16], |user| *user.hash.bytes());
    let answer = pair.answer.hashes.first().map_or([0; 16], |answer| *answer.bytes());
    Hash::of(&[earlier.bytes(), &user, &answer])
}

/// Where the chains of one owner begin.
#[must_use]
pub fn chain_root(owner: &str) -> Hash {
    Hash::of(&[b"root", owner.as_bytes()])
}

/// The hash under which a visible answer is stored.
#[must_use]
pub fn answer_hash(visible: &str) -> Hash {
    answer_hash_of_normal(&normalise_answer(visible))
}

fn answer_hash_of_normal(normal: &str) -> Hash {
    Hash::of(&[b"answer", normal.as_bytes()])
}

/// What is kept of a visible answer: the hash under which it is stored, and its length in characters after normalising.
#[must_use]
pub fn answer_print(visible: &str) -> (Hash, usize) {
    let normal = normalise_answer(visible);
    (answer_hash_of_normal(&normal), normal.chars().count())
}

#[derive(Default)]
struct Reader {
    system: Vec<String>,
    pairs: Vec<Pair>,
    user: Vec<String>,
    images: Vec<ImageSource>,
    user_system: Vec<String>,
    answer: Option<String>,
}

impl Reader {
    fn take(&mut self, message: &Message) {
        match message.role {
            Role::Assistant => {
                self.user_system.clear();
                match &mut self.answer {
                    // Two answers in a row: a client joined or split them around a tool call.
                    Some(answer) => {
                        answer.push_str("\n\n");
                        answer.push_str(&message.text);
                    }
                    None => self.answer = Some(message.text.clone()),
                }
            }
            Role::System => {
                self.system.push(message.text.clone());
                self.user_system.push(message.text.clone());
            }
            Role::User | Role::Tool => {
                self.close_pair();
                self.images.extend_from_slice(&message.images);
                self.user.push(if message.role == Role::Tool {
                    format!("[Tool result]\n{}", message.text)
                } else {
                    message.text.clone()
                });
            }
        }
    }

    fn close_pair(&mut self) {
        let Some(answer) = self.answer.take() else { return };
        let words = std::mem::take(&mut self.user);
        let images = std::mem::take(&mut self.images);
        let user = (!words.is_empty()).then(|| UserSide::new(words.join("\n\n"), images));
        self.pairs.push(Pair { user, answer: ResentAnswer::new(answer) });
    }

    fn finish(mut self) -> History {
        let mut asked = None;
        if self.answer.is_some() {
            self.close_pair();
            if !self.user_system.is_empty() {
                // A request that ends with a system message (a summary) asks by it.
                self.system.truncate(self.system.len() - self.user_system.len());
                asked = Some(UserSide::new(self.user_system.join("\n\n"), Vec::new()));
            }
        } else if !self.user.is_empty() {
            asked = Some(UserSide::new(self.user.join("\n\n"), std::mem::take(&mut self.images)));
        } else if let Some(text) = self.system.pop() {
            asked = Some(UserSide::new(text, Vec::new()));
        }
        let system = self.system.iter().filter(|text| !text.trim().is_empty()).map(String::as_str).collect::<Vec<_>>();
        let system = (!system.is_empty()).then(|| system.join("\n\n"));
        let system_hash = system.as_deref().map(|text| Hash::of(&[b"system", normalise(text).as_bytes()]));
        let bases = self.pairs.iter().scan(None, |earlier, pair| {
            *earlier = Some(base(*earlier, pair));
            *earlier
        });
        History { system, system_hash, bases: bases.collect(), pairs: self.pairs, last: asked }
    }
}

/// Line ends unified, white space at line ends and around the text removed, empty lines removed (joins of parts differ from
/// client to client), links reduced to host and path (signed links change with every request).
#[must_use]
pub fn normalise(text: &str) -> String {
    steps::add(text.len());
    let mut normal = String::with_capacity(text.len());
    for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        if !normal.is_empty() {
            normal.push('\n');
        }
        push_with_short_links(line, &mut normal);
    }
    let trimmed = normal.trim();
    if trimmed.len() == normal.len() { normal } else { trimmed.to_owned() }
}

/// [`normalise`] for an answer: reasoning blocks, image Markdown and numbered source links go as well.
#[must_use]
pub fn normalise_answer(text: &str) -> String {
    normalise(&without_links(&without_reasoning(text)))
}

/// Appends `line` with the query and fragment of every http(s) link cut off.
fn push_with_short_links(line: &str, out: &mut String) {
    let mut rest = line;
    while let Some(scheme) = find_scheme(rest) {
        let link = &rest[scheme..];
        let end = scan::find_character(link, |character| !is_link_character(character)).unwrap_or(link.len());
        let shown = scan::find_character(&link[..end], |character| matches!(character, '?' | '#')).unwrap_or(end);
        out.push_str(&rest[..scheme + shown]);
        rest = &rest[scheme + end..];
    }
    out.push_str(rest);
}

fn find_scheme(text: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(position) = scan::find(&text[from..], "://") {
        let colon = from + position;
        for scheme in ["https", "http"] {
            if text[..colon].ends_with(scheme) {
                return Some(colon - scheme.len());
            }
        }
        from = colon + 3;
    }
    None
}

fn is_link_character(character: char) -> bool {
    character.is_ascii_graphic()
        && !matches!(character, '"' | '\'' | '<' | '>' | '(' | ')' | '[' | ']' | '{' | '}' | '`' | '|' | '\\')
}

#[cfg(test)]
mod tests {
    use super::stripped::QUOTATIONS_TRIED;
    use super::*;

    #[test]
    fn line_ends_empty_lines_and_outer_white_space_do_not_count() {
        assert_eq!(normalise("  a \r\n\r\nb\t\n"), "a\nb");
        assert_eq!(normalise("a\nb"), normalise("a\n\n\nb  "));
    }

    #[test]
    fn signed_links_are_reduced_to_host_and_path() {
        assert_eq!(
            normalise("see ![x](https://h.example/p/f.png?sig=1&e=2) and http://a.b/c#d."),
            "see ![x](https://h.example/p/f.png) and http://a.b/c"
        );
        assert_eq!(normalise("链接 https://h.example/p?x=1，好"), "链接 https://h.example/p，好");
    }

    #[test]
    fn reasoning_images_and_source_links_do_not_count_in_an_answer() {
        let shown =
            "<think>\nhm\n</think>\n\nParis[[1]](https://a.example/x) it is.\n\n![cat](https://h/images/1.png)\n";
        assert_eq!(answer_hash(shown), answer_hash("Paris it is."));
        assert_eq!(normalise_answer("a[0][1](b) ![open"), "a[0][1](b) ![open");
        assert_eq!(normalise_answer("<think> never closed"), "<think> never closed");
    }

    #[test]
    fn a_replay_names_made_images_and_not_where_they_are() {
        let id = "0123456789abcdef0123456789abcdef";
        let answer = format!(
            "Here: ![Red kite](https://nas.example:8000/images/{id}.jpg) and ![a](/images/{id}.png), \
             ![other](https://h.example/images/1.png) ![open"
        );
        assert_eq!(
            replayed_answer(&answer),
            "Here: [image you made: Red kite] and [image you made: a], ![other](https://h.example/images/1.png) ![open"
        );
        assert_eq!(replayed_answer("<think>x</think>/images/ y"), "/images/ y");
    }

    #[test]
    fn a_quotation_in_front_may_be_reasoning_or_may_not() {
        let resent = ResentAnswer::new("> thinking\n> more\n\nParis.".to_owned());
        assert!(resent.is(&answer_hash("Paris.")));
        assert!(resent.is(&answer_hash("> thinking\n> more\n\nParis.")));
        assert!(ResentAnswer::new("> only a quotation".to_owned()).hashes.len() == 1);
        assert!(ResentAnswer::new("no quotation\n\n> but later".to_owned()).hashes.len() == 1);
        let resent = ResentAnswer::new("> thinking\n\n> a citation\n\nParis.\n\n> another".to_owned());
        assert!(resent.is(&answer_hash("> a citation\n\nParis.\n\n> another")));
        assert!(resent.is(&answer_hash("Paris.\n\n> another")));
        assert!(!resent.is(&answer_hash("> another")));
        let quotations = "> so\n\n".repeat(50);
        assert_eq!(ResentAnswer::new(quotations).hashes.len(), 1 + QUOTATIONS_TRIED);
    }

    #[test]
    fn hashes_survive_their_text_form() {
        let hash = Hash::of(&[b"x"]);
        assert_eq!(Hash::from_hex(&hash.to_string()), Some(hash));
        assert_eq!(Hash::from_hex("zz"), None);
        let lines = Lines::of("a\nb");
        assert_eq!(Lines::from_text(&lines.to_text()), lines);
    }
}
