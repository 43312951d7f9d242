//! What an account without a queue says: a friendly line, or what command words in the question ask for.

use super::{
    scenarios,
    step::{Citation, ImageForm, ImageStage, Script, Step, tokens_of},
};
use crate::ids;

/// Characters of the question that the plain answer repeats.
const ECHOED_CHARACTERS: usize = 60;

/// Tokens of the answer to `long`.
const LONG_TOKENS: usize = 300;

/// The branch that is being continued, as the default answer needs it.
pub(crate) struct Question<'a> {
    /// Sender and text of each message, root first, the new one last.
    pub branch: &'a [(&'static str, String)],
}

impl Question<'_> {
    fn message(&self) -> &str {
        self.branch.last().map_or("", |(_, message)| message)
    }

    /// The last paragraph: a gateway may put system text in front of what the user asked.
    fn asked(&self) -> &str {
        let message = self.message().trim_end();
        message.rsplit("\n\n").next().unwrap_or(message).trim()
    }

    fn turn(&self) -> usize {
        self.branch.iter().filter(|(sender, _)| *sender == "human").count()
    }
}

/// The answer by content: `think`, `search`, `draw`, `recite` and `long` as whole words, in any combination.
pub(crate) fn answer(question: &Question<'_>) -> Script {
    let asked = question.asked().to_lowercase();
    let has = |word: &str| asked.split(|character: char| !character.is_alphanumeric()).any(|each| each == word);
    let mut steps = Vec::new();
    if has("think") {
        steps.extend(scenarios::thinking_steps());
    }
    let search = has("search").then(ids::fresh);
    if let Some(id) = &search {
        steps.push(Step::ToolCall(scenarios::web_search(id, question.asked())));
        steps.push(Step::ToolResult(scenarios::web_results(id)));
    }
    if has("recite") {
        steps.extend(tokens_of(&recite(question)));
    } else if has("long") {
        steps.extend(words(LONG_TOKENS));
    } else {
        steps.extend(tokens_of(&echo(question)));
    }
    if search.is_some() {
        steps.push(Step::Citation(Citation::web("9af310", "https://example.org/alps", 0)));
    }
    if has("draw") {
        let stages = [ImageStage::Placeholder, ImageStage::Tag, ImageStage::Partial, ImageStage::Final];
        steps.push(Step::Text("\n\n".to_owned()));
        steps.extend(scenarios::image_steps(ImageForm::Card, question.asked(), &stages));
    }
    Script::answer(steps)
}

/// The branch, root first, one line per message: proof by content that the conversation was continued.
pub(crate) fn recite(question: &Question<'_>) -> String {
    let line = |(sender, message): &(&'static str, String)| format!("{sender}: {}", message.replace('\n', "\\n"));
    question.branch.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn echo(question: &Question<'_>) -> String {
    let asked = question.asked().replace('\n', " ");
    let start: String = asked.chars().take(ECHOED_CHARACTERS).collect();
    format!("Answer {}: you said \"{start}\".", question.turn())
}

/// So many short words, each a token.
pub(crate) fn words(count: usize) -> impl Iterator<Item = Step> {
    const WORDS: [&str; 8] = ["the", "sea", "was", "calm", "and", "light", "moved", "slowly"];
    (0..count).map(|index| {
        let space = if index == 0 { "" } else { " " };
        Step::Text(format!("{space}{}", WORDS[index % WORDS.len()]))
    })
}
