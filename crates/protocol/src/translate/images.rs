//! Generated images: which of their states may be shown, once each, and how (UPSTREAM.md 9.1).

use crate::event::ImageProgress;
use crate::history::Hash;
use crate::{scan, steps};

/// Images kept per answer; the upstream makes a handful.
const IMAGES_LIMIT: usize = 64;

/// Longest address that is linked, as it came.
const LONGEST_TARGET: usize = 8_192;

/// Longest title of an image, in characters.
const LONGEST_TITLE: usize = 1_000;

const ASSETS_ORIGIN: &str = "https://assets.grok.com/";

/// Endings of the addresses under which images are linked; any other picture's ends in the first.
const EXTENSIONS: [&str; 5] = ["jpg", "jpeg", "png", "gif", "webp"];

/// Where the gateway serves generated images itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageLinks {
    /// What the names of images are appended to, without a closing slash.
    pub base: String,
    /// Makes the names of one answer's images unguessable. A replay of the answer has the same, so that names stay what they are.
    pub salt: [u8; 16],
}

/// A generated image that the answer shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeImage {
    /// Its name in [`ImageLinks`], without an ending: 32 hexadecimal digits.
    pub id: String,
    /// Where the upstream has it.
    pub source: String,
}

impl ImageLinks {
    fn id(&self, source: &str) -> String {
        Hash::of(&[b"image link", &self.salt, source.as_bytes()]).to_string()
    }

    fn link(&self, id: &str, source: &str) -> String {
        let path =
            &source[..scan::find_character(source, |character| matches!(character, '?' | '#')).unwrap_or(source.len())];
        let ending = scan::rsplit_once(path, ".").map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
        let extension = EXTENSIONS.iter().find(|known| **known == ending).unwrap_or(&EXTENSIONS[0]);
        format!("{}/{id}.{extension}", self.base)
    }
}

/// The images of one answer.
#[derive(Debug)]
pub(super) struct Images {
    assets_url: String,
    links: Option<ImageLinks>,
    /// Shown, and not yet taken note of by whoever serves them.
    made: Vec<MadeImage>,
    /// Markdown that waits to be written.
    ready: Vec<String>,
    /// Targets written or waiting: an image is told in several places.
    known: Vec<String>,
    /// Targets that must not be shown, wherever else they are told.
    withheld: Vec<String>,
    stored: Vec<ImageProgress>,
    is_announced: bool,
    is_moderated: bool,
    is_failed: bool,
}

/// Why no image came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ImageTrouble {
    Moderated,
    Failed,
    /// Of several images at least one.
    OneModerated,
    OneFailed,
}

impl Images {
    pub(super) fn new(assets_url: String, links: Option<ImageLinks>) -> Self {
        Self {
            assets_url,
            links,
            made: Vec::new(),
            ready: Vec::new(),
            known: Vec::new(),
            withheld: Vec::new(),
            stored: Vec::new(),
            is_announced: false,
            is_moderated: false,
            is_failed: false,
        }
    }

    /// An image is to come.
    pub(super) fn announce(&mut self) {
        self.is_announced = true;
    }

    /// Takes note of a state; the last one of a good image becomes ready to be shown.
    pub(super) fn progress(&mut self, image: &ImageProgress) {
        self.is_announced = true;
        let target = self.target(&image.url);
        if image.moderated {
            self.is_moderated |= target.as_ref().is_none_or(|target| !self.known.contains(target));
            if let Some(target) = target
                && self.withheld.len() < IMAGES_LIMIT
            {
                self.withheld.push(target);
            }
            return;
        }
        if !image.is_last() {
            return;
        }
        let Some(target) = target else {
            let is_moderated = is_moderation(image.error.as_deref());
            self.is_moderated |= is_moderated;
            self.is_failed |= !is_moderated;
            return;
        };
        if !self.withheld.contains(&target) && !self.known.contains(&target) && self.known.len() < IMAGES_LIMIT {
            let link = match &self.links {
                Some(links) => {
                    let made = MadeImage { id: links.id(&target), source: target.clone() };
                    let link = links.link(&made.id, &target);
                    self.made.push(made);
                    link
                }
                None => target.clone(),
            };
            self.ready.push(image_markdown(&image.title, &link));
            self.known.push(target);
        }
    }

    pub(super) fn has_made(&self) -> bool {
        !self.made.is_empty()
    }

    pub(super) fn take_made(&mut self) -> Vec<MadeImage> {
        std::mem::take(&mut self.made)
    }

    pub(super) fn take_ready(&mut self) -> Vec<String> {
        std::mem::take(&mut self.ready)
    }

    /// Takes back what could not be written at once.
    pub(super) fn give_back(&mut self, markdown: String) {
        self.ready.push(markdown);
    }

    /// Keeps an image of the stored answer until the stream has ended: a later frame may still withhold it.
    pub(super) fn keep_stored(&mut self, image: ImageProgress) {
        if self.stored.len() < IMAGES_LIMIT {
            self.stored.push(image);
        }
    }

    /// As [`Self::keep_stored`], for bare addresses; the paths of partial images are passed over.
    pub(super) fn keep_stored_urls(&mut self, urls: &[String]) {
        for url in urls
            .iter()
            .filter(|url| !scan::contains(url, "-part-") && self.target(url).is_some())
            .cloned()
            .collect::<Vec<_>>()
        {
            self.keep_stored(ImageProgress { url, is_final: true, ..ImageProgress::default() });
        }
    }

    pub(super) fn has_stored(&self) -> bool {
        self.stored.iter().any(ImageProgress::is_last)
    }

    /// Makes the stored answer's images ready that the stream did not show.
    pub(super) fn use_stored(&mut self) {
        let stored = std::mem::take(&mut self.stored);
        // What is withheld anywhere is withheld everywhere, so all refusals are read first.
        for image in stored.iter().filter(|image| image.moderated).chain(stored.iter().filter(|image| !image.moderated))
        {
            self.progress(image);
        }
        self.stored = stored;
    }

    /// Why an image did not come that was to come. If none came, an announced image that was never told of again was taken out by
    /// moderation.
    pub(super) fn trouble(&self) -> Option<ImageTrouble> {
        match (self.known.is_empty(), self.is_failed) {
            (true, true) => Some(ImageTrouble::Failed),
            (true, false) => self.is_announced.then_some(ImageTrouble::Moderated),
            (false, _) if self.is_moderated => Some(ImageTrouble::OneModerated),
            (false, is_failed) => is_failed.then_some(ImageTrouble::OneFailed),
        }
    }

    /// Where an image is to be fetched: paths are those of the assets host. Other schemes are no images (`prompt://`) or not to
    /// be passed on (`data:`).
    fn target(&self, url: &str) -> Option<String> {
        let url = url.trim();
        let path = url.strip_prefix(ASSETS_ORIGIN).unwrap_or(url);
        if path.starts_with("https://") || path.starts_with("http://") {
            return link_target(path);
        }
        let path = path.trim_start_matches('/');
        if path.is_empty() || scan::contains(path, ":") {
            return None;
        }
        Some(format!("{}/{}", self.assets_url.trim_end_matches('/'), escape_target(path)))
    }
}

/// Checks of prompt and picture (UPSTREAM.md 9.1, `systemErrCode`).
fn is_moderation(code: Option<&str>) -> bool {
    matches!(
        code,
        Some(
            "1001"
                | "1002"
                | "1003"
                | "1004"
                | "ERR_CHECK_IMAGE_PROMPT"
                | "ERR_SUGGEST_MOD_RULES"
                | "ERR_CHECK_FINAL_IMAGE"
                | "ERR_CHECK_IMAGE"
        )
    )
}

/// A web address as a Markdown link target; anything but http and https has none, and nothing that is longer than addresses are:
/// a text can refer to it as often as it likes.
pub(super) fn link_target(url: &str) -> Option<String> {
    let url = url.trim();
    let is_link = (url.starts_with("https://") || url.starts_with("http://")) && url.len() <= LONGEST_TARGET;
    is_link.then(|| escape_target(url))
}

/// Encodes what would end a Markdown link target.
fn escape_target(target: &str) -> String {
    steps::add(target.len());
    let mut escaped = String::with_capacity(target.len());
    for character in target.chars() {
        match character {
            '(' => escaped.push_str("%28"),
            ')' => escaped.push_str("%29"),
            '<' => escaped.push_str("%3C"),
            '>' => escaped.push_str("%3E"),
            '"' => escaped.push_str("%22"),
            '\\' => escaped.push_str("%5C"),
            _ if character.is_whitespace() => escaped.push_str("%20"),
            _ if character.is_control() => {}
            _ => escaped.push(character),
        }
    }
    escaped
}

pub(super) fn image_markdown(title: &str, target: &str) -> String {
    let title: String = title
        .chars()
        .take(LONGEST_TITLE)
        .map(|character| if matches!(character, '[' | ']' | '\\') || character.is_control() { ' ' } else { character })
        .collect();
    let title = title.trim();
    format!("![{}]({target})", if title.is_empty() { "image" } else { title })
}
