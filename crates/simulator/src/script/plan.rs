//! From a queued reply to what is sent.

use std::time::Duration;

use super::{
    default_answer::{self, Question},
    reply::Reply,
    step::{Script, Step, Thinking, tokens_of},
};

/// What a reply comes to.
pub(crate) enum Plan {
    /// A streamed answer.
    Stream(Script),
    /// An answer that is not a stream.
    Http { status: u16, content_type: String, body: String },
    /// 429, code 8.
    RateLimited { quota_left: bool },
}

impl Reply {
    /// What this reply answers to a question.
    pub(crate) fn plan(self, question: &Question<'_>) -> Plan {
        Plan::Stream(match self {
            Reply::Default => default_answer::answer(question),
            Reply::Text(text) => Script::answer(tokens_of(&text).collect()),
            Reply::Tokens { tokens, interval, thinking } => Script::of(paced_steps(tokens, interval, thinking)),
            Reply::Frames(frames) => Script::of(frames.into_iter().map(Step::Raw).collect()),
            Reply::Events(events) => Script::of(events.into_iter().map(Step::Event).collect()),
            Reply::Recite => Script::answer(tokens_of(&default_answer::recite(question)).collect()),
            Reply::Stall => Script::of(stall_steps()),
            Reply::Script(script) => script,
            Reply::Http { status, content_type, body } => {
                return Plan::Http { status, content_type, body };
            }
            Reply::RateLimited { quota_left } => return Plan::RateLimited { quota_left },
        })
    }
}

/// A whole answer of so many one-word tokens, each but the first after a pause.
pub(crate) fn paced_steps(tokens: usize, interval: Duration, thinking: usize) -> Vec<Step> {
    let thoughts = (0..thinking).map(|index| match index {
        0 => Thinking::header(0, "Thinking about your request"),
        _ => Thinking::summary(0, "- One more thing to consider.\n"),
    });
    let mut steps = vec![Step::Opening];
    for (index, step) in thoughts.chain(default_answer::words(tokens)).enumerate() {
        if index > 0 && !interval.is_zero() {
            steps.push(Step::Wait(interval));
        }
        steps.push(step);
    }
    steps.extend(Script::ending());
    steps
}

/// The usual start, one token, silence.
pub(crate) fn stall_steps() -> Vec<Step> {
    let mut steps = vec![Step::Opening];
    steps.extend(default_answer::words(1));
    steps.push(Step::Hang);
    steps
}
