//! The visible answer: markup to Markdown (UPSTREAM.md 6).

use std::collections::{HashMap, VecDeque};

use super::ChatEvent;
use super::RenderOptions;
use super::images::{ImageTrouble, Images, MadeImage, image_markdown, link_target};
use super::visible::VisibleText;
use crate::event::{Card, CardKind, ImageProgress};
use crate::markup::{MarkupEvent, MarkupScanner};
use crate::steps;

/// Cards kept per answer; real answers have a few dozen.
const CARDS_LIMIT: usize = 4096;

/// Longer than the fences that documents hold themselves. The document's text is not known when its fence is opened.
const FENCE: &str = "````";

/// The visible answer as it is written.
#[derive(Debug)]
pub(super) struct Page {
    visible: VisibleText,
    images: Images,
    cards: HashMap<String, CardKind>,
    /// The number of each address that was cited, in the order of first use.
    cited: HashMap<String, usize>,
    /// An image or a document was the last thing written: what follows starts a paragraph of its own.
    is_behind_block: bool,
    /// Inside a fenced document nothing else may be written.
    is_in_document: bool,
    /// Text behind a reference whose card is awaited. `None`: nothing is awaited.
    waiting: Option<Box<Waiting>>,
    /// Whether a reference waits for its card.
    waits_for_cards: bool,
}

/// What cannot be written before a card has come.
#[derive(Debug)]
struct Waiting {
    card_id: String,
    behind: VecDeque<Held>,
}

/// A piece that waits.
#[derive(Debug)]
enum Held {
    Text(String),
    Reference(String),
    DocumentStart {
        title: String,
        language: String,
    },
    DocumentText(String),
    DocumentEnd,
    /// Markdown of an image that became ready.
    Image(String),
}

impl Page {
    pub(super) fn new(options: &RenderOptions) -> Self {
        Self {
            visible: VisibleText::default(),
            images: Images::new(options.assets_url.clone(), options.image_links.clone()),
            cards: HashMap::new(),
            cited: HashMap::new(),
            is_behind_block: false,
            is_in_document: false,
            waiting: None,
            waits_for_cards: false,
        }
    }

    /// Takes over what an earlier stream showed, to be skipped. The stored answer may come without the cards it refers to.
    pub(super) fn skip_shown(&mut self, previous: Self) {
        self.cards = previous.cards;
        self.visible = VisibleText::skipping(previous.visible);
    }

    pub(super) fn text(&self) -> &str {
        self.visible.text()
    }

    /// Nothing was shown yet.
    pub(super) fn is_blank(&self) -> bool {
        self.visible.text().is_empty()
    }

    /// Whether reasoning may still be shown: the answer has not begun, not even with text that waits.
    pub(super) fn takes_reasoning(&self) -> bool {
        self.is_blank() && self.waiting.is_none()
    }

    /// There is more than white space.
    pub(super) fn has_content(&self) -> bool {
        !self.visible.text().trim().is_empty()
    }

    pub(super) fn has_diverged(&self) -> bool {
        self.visible.has_diverged()
    }

    pub(super) fn add_card(&mut self, card: Card, out: &mut impl FnMut(ChatEvent<'_>)) {
        let is_awaited = self.waiting.as_ref().is_some_and(|waiting| waiting.card_id == card.id);
        if is_awaited || self.cards.len() < CARDS_LIMIT || self.cards.contains_key(&card.id) {
            self.cards.insert(card.id, card.kind);
        }
        if is_awaited {
            self.go_on(out);
        }
    }

    /// From here on, a reference to a card that is not known holds up what stands behind it until the card comes.
    pub(super) fn wait_for_cards(&mut self) {
        self.waits_for_cards = true;
    }

    /// No more cards will come: writes what waits.
    pub(super) fn stop_waiting(&mut self, out: &mut impl FnMut(ChatEvent<'_>)) {
        self.waits_for_cards = false;
        self.go_on(out);
    }

    /// Writes what waited, up to the next reference whose card is not known.
    fn go_on(&mut self, out: &mut impl FnMut(ChatEvent<'_>)) {
        let Some(waiting) = self.waiting.take() else { return };
        self.reference(&waiting.card_id, out);
        let mut behind = waiting.behind;
        while let Some(held) = behind.pop_front() {
            steps::add(1);
            match held {
                Held::Text(text) => self.markup(MarkupEvent::Text(&text), out),
                Held::Reference(card_id) => self.place(&card_id, out),
                Held::DocumentStart { title, language } => {
                    self.markup(MarkupEvent::ArtifactStart { title: &title, language: &language }, out);
                }
                Held::DocumentText(text) => self.markup(MarkupEvent::ArtifactText(&text), out),
                Held::DocumentEnd => self.markup(MarkupEvent::ArtifactEnd, out),
                Held::Image(markdown) => {
                    self.images.give_back(markdown);
                    self.show_ready_images(out);
                }
            }
            if let Some(waiting) = &mut self.waiting {
                // What stands behind is not moved: there may be as many references as there are words.
                for held in waiting.behind.drain(..).rev() {
                    behind.push_front(held);
                }
                waiting.behind = behind;
                break;
            }
        }
    }

    /// Writes one piece of scanned text.
    pub(super) fn markup(&mut self, event: MarkupEvent<'_>, out: &mut impl FnMut(ChatEvent<'_>)) {
        if let Some(waiting) = &mut self.waiting {
            return waiting.hold(event);
        }
        match event {
            MarkupEvent::Text(text) => self.inline(text, out),
            MarkupEvent::Citation { card_id }
            | MarkupEvent::SearchedImage { card_id }
            | MarkupEvent::OtherCard { card_id } => self.place(card_id, out),
            // Generated images show when they are ready, which is seldom when their tag is.
            MarkupEvent::GeneratedImage { .. } | MarkupEvent::ToolCardRemoved => {}
            MarkupEvent::ArtifactStart { title, language } => self.begin_document(title, language, out),
            MarkupEvent::ArtifactText(text) => self.visible.write(text, out),
            MarkupEvent::ArtifactEnd => self.end_document(out),
        }
    }

    /// The text refers to a card here.
    pub(super) fn place(&mut self, card_id: &str, out: &mut impl FnMut(ChatEvent<'_>)) {
        if let Some(waiting) = &mut self.waiting {
            waiting.behind.push_back(Held::Reference(card_id.to_owned()));
        } else if self.waits_for_cards && !self.is_in_document && !self.cards.contains_key(card_id) {
            self.waiting = Some(Box::new(Waiting { card_id: card_id.to_owned(), behind: VecDeque::new() }));
        } else {
            self.reference(card_id, out);
        }
    }

    fn inline(&mut self, text: &str, out: &mut impl FnMut(ChatEvent<'_>)) {
        if self.is_behind_block && !text.is_empty() {
            self.is_behind_block = false;
            if !text.starts_with('\n') {
                self.visible.write("\n\n", out);
            }
        }
        self.visible.write(text, out);
    }

    /// A card that is not known renders to nothing.
    fn reference(&mut self, card_id: &str, out: &mut impl FnMut(ChatEvent<'_>)) {
        if self.is_in_document {
            // Inside a fenced block a link would stand as it is written.
            return;
        }
        let markdown = match self.cards.get(card_id) {
            Some(CardKind::Citation { url }) => link_target(url)
                .map(|target| {
                    let number = citation_number(&mut self.cited, &target);
                    format!("[[{number}]]({target})")
                })
                // The same source twice without a word between says nothing more.
                .filter(|markdown| !self.visible.said().ends_with(markdown.as_str())),
            Some(CardKind::SearchedImage { url, title }) => {
                link_target(url).map(|target| image_markdown(title, &target))
            }
            Some(CardKind::GeneratedImage(_) | CardKind::Other) | None => None,
        };
        if let Some(markdown) = markdown {
            self.inline(&markdown, out);
        }
    }

    fn begin_document(&mut self, title: &str, language: &str, out: &mut impl FnMut(ChatEvent<'_>)) {
        self.begin_block(out);
        if !title.is_empty() {
            self.visible.write(&format!("**{title}**\n\n"), out);
        }
        self.visible.write(&format!("{FENCE}{language}\n"), out);
        self.is_in_document = true;
    }

    fn end_document(&mut self, out: &mut impl FnMut(ChatEvent<'_>)) {
        if !self.visible.said().ends_with('\n') {
            self.visible.write("\n", out);
        }
        self.visible.write(FENCE, out);
        self.is_behind_block = true;
        self.is_in_document = false;
        self.show_ready_images(out);
    }

    /// Makes sure that what follows starts a paragraph.
    fn begin_block(&mut self, out: &mut impl FnMut(ChatEvent<'_>)) {
        self.is_behind_block = false;
        let said = self.visible.said();
        let gap = match said {
            "" => "",
            _ if said.ends_with("\n\n") => "",
            _ if said.ends_with('\n') => "\n",
            _ => "\n\n",
        };
        self.visible.write(gap, out);
    }

    pub(super) fn announce_image(&mut self) {
        self.images.announce();
    }

    pub(super) fn image(&mut self, image: &ImageProgress, out: &mut impl FnMut(ChatEvent<'_>)) {
        self.images.progress(image);
        self.show_ready_images(out);
    }

    /// Whether images were shown that [`Self::take_made_images`] has not given away.
    pub(super) fn has_made_images(&self) -> bool {
        self.images.has_made()
    }

    pub(super) fn take_made_images(&mut self) -> Vec<MadeImage> {
        self.images.take_made()
    }

    fn show_ready_images(&mut self, out: &mut impl FnMut(ChatEvent<'_>)) {
        if self.is_in_document {
            return;
        }
        for markdown in self.images.take_ready() {
            if let Some(waiting) = &mut self.waiting {
                waiting.behind.push_back(Held::Image(markdown));
                continue;
            }
            self.begin_block(out);
            self.visible.write(&markdown, out);
            self.is_behind_block = true;
        }
    }

    /// Keeps what the stored answer knows about cards and images until the stream has ended.
    pub(super) fn add_stored_images(&mut self, cards: Vec<Card>, urls: &[String], out: &mut impl FnMut(ChatEvent<'_>)) {
        for card in cards {
            match &card.kind {
                CardKind::GeneratedImage(Some(image)) => self.images.keep_stored(image.clone()),
                CardKind::GeneratedImage(None) => self.images.announce(),
                _ => {}
            }
            self.add_card(card, out);
        }
        self.images.keep_stored_urls(urls);
    }

    pub(super) fn has_stored_images(&self) -> bool {
        self.images.has_stored()
    }

    pub(super) fn show_stored_images(&mut self, out: &mut impl FnMut(ChatEvent<'_>)) {
        self.images.use_stored();
        self.show_ready_images(out);
    }

    /// One line about images that did not come.
    pub(super) fn show_image_trouble(&mut self, out: &mut impl FnMut(ChatEvent<'_>)) {
        let line = match self.images.trouble() {
            None => return,
            Some(ImageTrouble::Moderated) => "*The upstream's moderation withheld the image.*",
            Some(ImageTrouble::Failed) => "*The upstream could not make the image.*",
            Some(ImageTrouble::OneModerated) => "*The upstream's moderation withheld another image.*",
            Some(ImageTrouble::OneFailed) => "*The upstream could not make another image.*",
        };
        self.begin_block(out);
        self.visible.write(line, out);
    }

    /// The text that a whole message would have shown, with the cards known now and without generated images.
    pub(super) fn render_whole(&self, message: &str) -> String {
        let mut page = Page::new(&RenderOptions::default());
        page.cards.clone_from(&self.cards);
        let mut scanner = MarkupScanner::new();
        scanner.push(message, |event| page.markup(event, &mut |_| {}));
        scanner.finish(|event| page.markup(event, &mut |_| {}));
        page.visible.text().to_owned()
    }

    /// Shows what `whole` has beyond the text, if the text is its beginning.
    pub(super) fn complete_with(&mut self, whole: &str, out: &mut impl FnMut(ChatEvent<'_>)) -> bool {
        self.visible.complete_with(whole, out)
    }
}

impl Waiting {
    fn hold(&mut self, event: MarkupEvent<'_>) {
        let held = match event {
            MarkupEvent::Text(text) => {
                if let Some(Held::Text(last)) = self.behind.back_mut() {
                    return last.push_str(text);
                }
                Held::Text(text.to_owned())
            }
            MarkupEvent::Citation { card_id }
            | MarkupEvent::SearchedImage { card_id }
            | MarkupEvent::OtherCard { card_id } => Held::Reference(card_id.to_owned()),
            MarkupEvent::GeneratedImage { .. } | MarkupEvent::ToolCardRemoved => return,
            MarkupEvent::ArtifactStart { title, language } => {
                Held::DocumentStart { title: title.to_owned(), language: language.to_owned() }
            }
            MarkupEvent::ArtifactText(text) => {
                if let Some(Held::DocumentText(last)) = self.behind.back_mut() {
                    return last.push_str(text);
                }
                Held::DocumentText(text.to_owned())
            }
            MarkupEvent::ArtifactEnd => Held::DocumentEnd,
        };
        self.behind.push_back(held);
    }
}

/// The number of a source: its place in the order of first use.
fn citation_number(cited: &mut HashMap<String, usize>, target: &str) -> usize {
    if let Some(number) = cited.get(target) {
        return *number;
    }
    let number = cited.len() + 1;
    cited.insert(target.to_owned(), number);
    number
}
