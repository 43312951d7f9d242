//! The reasoning channel: thinking, and a line for each search or other tool call (UPSTREAM.md 5.6 to 5.8).

use std::collections::{HashMap, HashSet};

use super::{ChatEvent, RenderOptions};
use crate::event::{Channel, ToolCall, ToolResult};
use crate::halves::{Halves, Seam};
use crate::markup::{MarkupEvent, MarkupScanner};
use crate::{scan, steps};

/// The fixed heading with which nearly every thinking answer begins; it says nothing.
const FIXED_HEADER: &str = "Thinking about your request";

/// A tool call's argument is cut to this many characters.
const ARGUMENT_LIMIT_CHARACTERS: usize = 160;

/// Calls remembered as shown; one call may be told several times.
const CALLS_LIMIT: usize = 1024;

/// Agents whose texts are told apart; real answers have a dozen. Further ones share a lane.
const LANES_LIMIT: usize = 64;

/// The reasoning channel of one answer.
#[derive(Debug)]
pub(super) struct Reasoning {
    show_thinking: bool,
    show_search: bool,
    /// One scanner per agent: agents' texts interleave, and a tag may be open in one of them.
    lanes: Lanes,
    place: Place,
    bytes: usize,
    is_at_line_start: bool,
    /// How much of a replay is still to be skipped.
    skip_bytes: usize,
    is_shown: bool,
    calls: HashSet<String>,
    /// How far images are, as it was last told, in percent.
    image_percent: Option<u8>,
}

/// The lanes of an answer, by the names of their agents. An upstream may name as many as it likes.
#[derive(Debug, Default)]
struct Lanes {
    lanes: Vec<Lane>,
    numbers: HashMap<String, usize>,
    /// The agent that spoke last is usually the one that speaks next.
    last: Option<(String, usize)>,
}

#[derive(Debug, Default)]
struct Lane {
    scanner: MarkupScanner,
    seam: Seam,
}

impl Lanes {
    /// The number of an agent's lane.
    fn of(&mut self, rollout: &str) -> usize {
        if let Some((last, number)) = &self.last
            && last == rollout
        {
            return *number;
        }
        steps::add(rollout.len() + 1);
        let number = match self.numbers.get(rollout) {
            Some(number) => *number,
            None if self.lanes.len() < LANES_LIMIT => {
                self.lanes.push(Lane::default());
                self.numbers.insert(rollout.to_owned(), self.lanes.len() - 1);
                self.lanes.len() - 1
            }
            // The last one takes all further agents.
            None => return LANES_LIMIT - 1,
        };
        self.last = Some((rollout.to_owned(), number));
        number
    }
}

/// The step that the last text belonged to.
#[derive(Debug, Default)]
struct Place {
    rollout: String,
    step: Option<i64>,
}

impl Reasoning {
    pub(super) fn new(options: &RenderOptions) -> Self {
        Self {
            show_thinking: options.show_thinking,
            show_search: options.show_search,
            lanes: Lanes::default(),
            place: Place::default(),
            bytes: 0,
            is_at_line_start: true,
            skip_bytes: 0,
            is_shown: false,
            calls: HashSet::new(),
            image_percent: None,
        }
    }

    /// Skips what an earlier stream showed. A replay says the same again, so counting is enough.
    pub(super) fn skip_shown(&mut self, previous: &Self) {
        self.skip_bytes = previous.bytes();
        self.is_shown = previous.is_shown;
    }

    /// All there was: what this stream said, and what an earlier one said beyond that.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.skip_bytes
    }

    pub(super) fn is_shown(&self) -> bool {
        self.is_shown
    }

    /// Reads a piece of thinking.
    pub(super) fn text(
        &mut self,
        channel: Channel,
        (text, halves): (&str, Halves),
        (rollout, step): (&str, Option<i64>),
        out: &mut impl FnMut(ChatEvent<'_>),
    ) {
        if channel == Channel::ThinkingHeader {
            return self.header(text, out);
        }
        self.move_to(rollout, step, out);
        let number = self.lanes.of(rollout);
        let mut lane = std::mem::take(&mut self.lanes.lanes[number]);
        let text = lane.seam.join(text, halves);
        lane.scanner.push(&text, |event| self.markup(event, out));
        self.lanes.lanes[number] = lane;
    }

    /// Writes a heading as a line of its own. It is complete in one piece, so its markup can be.
    fn header(&mut self, text: &str, out: &mut impl FnMut(ChatEvent<'_>)) {
        let mut header = String::with_capacity(text.len());
        let mut collect = |event: MarkupEvent<'_>| {
            if let MarkupEvent::Text(text) | MarkupEvent::ArtifactText(text) = event {
                header.push_str(text);
            }
        };
        let mut scanner = MarkupScanner::new();
        scanner.push(text, &mut collect);
        scanner.finish(&mut collect);
        let header = header.trim();
        if !header.is_empty() && header != FIXED_HEADER {
            self.line(header, out);
        }
    }

    /// One line for a call, as soon as it is known what it is about.
    pub(super) fn tool_call(&mut self, call: &ToolCall, out: &mut impl FnMut(ChatEvent<'_>)) {
        let Some(argument) = call.argument.as_deref().map(one_line).filter(|argument| !argument.is_empty()) else {
            return;
        };
        if !self.show_search {
            return;
        }
        steps::add(argument.len());
        let key = call.id.clone().unwrap_or_else(|| format!("{} {argument}", call.name));
        if self.calls.contains(&key) || self.calls.len() >= CALLS_LIMIT {
            return;
        }
        self.calls.insert(key);
        let line = format!("{} {argument}", tool_sign(&call.name));
        self.line(&line, out);
    }

    /// How much a search found. Results of calls that were not shown are not shown either.
    pub(super) fn tool_result(&mut self, result: &ToolResult, out: &mut impl FnMut(ChatEvent<'_>)) {
        let is_of_hidden_call = result.id.as_ref().is_some_and(|id| !self.calls.contains(id));
        let Some(count) = result.count else { return };
        if !self.show_search || is_of_hidden_call {
            return;
        }
        match count {
            0 => self.line("→ nothing found", out),
            1 => self.line("→ 1 result", out),
            _ => self.line(&format!("→ {count} results"), out),
        }
    }

    /// The model has begun to make an image.
    pub(super) fn image_begun(&mut self, out: &mut impl FnMut(ChatEvent<'_>)) {
        if self.show_search && self.image_percent.is_none() {
            self.image_percent = Some(0);
            self.line("🎨 making an image", out);
        }
    }

    /// An image is this far, in percent.
    pub(super) fn image_progress(&mut self, progress: f64, out: &mut impl FnMut(ChatEvent<'_>)) {
        // `as` saturates, which is right for a figure that is out of range.
        let percent = progress.clamp(0.0, 100.0) as u8;
        if self.show_search && percent > 0 && self.image_percent != Some(percent) {
            self.image_percent = Some(percent);
            self.line(&format!("🎨 the image is {percent} % done"), out);
        }
    }

    /// No more reasoning will be shown: releases what was held back.
    pub(super) fn close(&mut self, out: &mut impl FnMut(ChatEvent<'_>)) {
        for mut lane in std::mem::take(&mut self.lanes).lanes {
            if let Some(half) = lane.seam.end() {
                lane.scanner.push(half, |event| self.markup(event, out));
            }
            lane.scanner.finish(|event| self.markup(event, out));
        }
    }

    /// Texts of different agents or steps do not share a line; nothing but this separates them.
    fn move_to(&mut self, rollout: &str, step: Option<i64>, out: &mut impl FnMut(ChatEvent<'_>)) {
        let is_other_step = matches!((self.place.step, step), (Some(last), Some(next)) if last != next);
        let is_other_agent = self.place.rollout != rollout;
        if is_other_agent {
            rollout.clone_into(&mut self.place.rollout);
        }
        if step.is_some() {
            self.place.step = step;
        }
        if is_other_agent || is_other_step {
            self.start_line(out);
        }
    }

    fn markup(&mut self, event: MarkupEvent<'_>, out: &mut impl FnMut(ChatEvent<'_>)) {
        if let MarkupEvent::Text(text) | MarkupEvent::ArtifactText(text) = event {
            self.write(text, out);
        }
    }

    fn line(&mut self, line: &str, out: &mut impl FnMut(ChatEvent<'_>)) {
        self.start_line(out);
        self.write(&format!("{line}\n"), out);
    }

    fn start_line(&mut self, out: &mut impl FnMut(ChatEvent<'_>)) {
        if !self.is_at_line_start {
            self.write("\n", out);
        }
    }

    fn write(&mut self, text: &str, out: &mut impl FnMut(ChatEvent<'_>)) {
        steps::add(text.len());
        self.bytes += text.len();
        self.is_at_line_start = text.ends_with('\n');
        let skipped = text.ceil_char_boundary(self.skip_bytes.min(text.len()));
        self.skip_bytes = self.skip_bytes.saturating_sub(text.len());
        let new = &text[skipped..];
        if self.show_thinking && !new.is_empty() {
            self.is_shown = true;
            out(ChatEvent::Reasoning(new));
        }
    }
}

fn tool_sign(name: &str) -> &'static str {
    match name {
        "browse_page" | "open_page" => "🌐",
        "code_execution" | "bash" => "⚙️",
        "generate_image" | "edit_image" => "🎨",
        name if scan::contains(name, "search") => "🔍",
        _ => "🔧",
    }
}

/// The first line of an argument, shortened.
fn one_line(argument: &str) -> String {
    let line = argument.trim().lines().next().unwrap_or_default().trim();
    if line.chars().count() <= ARGUMENT_LIMIT_CHARACTERS {
        return line.to_owned();
    }
    let mut short: String = line.chars().take(ARGUMENT_LIMIT_CHARACTERS - 1).collect();
    short.push('…');
    short
}
