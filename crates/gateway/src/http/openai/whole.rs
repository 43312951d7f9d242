//! An answer that is not streamed: the same events, folded.

use std::future::poll_fn;

use protocol::openai::{ChunkMeta, CompletionBuilder, Usage};
use protocol::translate::ChatEvent;

use super::meta::{meta, with_member};
use super::stream::{AnswerTokens, StreamOptions};
use crate::chat::{Answer, ChatError, Step};

/// Waits for the whole answer and writes it as one object.
pub(super) async fn whole_answer(answer: &mut Answer, options: &StreamOptions) -> Result<Vec<u8>, ChatError> {
    let mut builder = CompletionBuilder::new();
    let mut tokens = AnswerTokens::default();
    let mut body = Vec::new();
    loop {
        let step = poll_fn(|context| {
            answer.poll_step(context, &mut |event: ChatEvent<'_>| {
                tokens.add(&event);
                builder.event(&event);
            })
        });
        match step.await {
            Step::Events => {}
            Step::Told => {
                let usage = tokens.usage(options.prompt_tokens);
                body = write(std::mem::take(&mut builder), answer, options, &usage);
                if let Some(accounts) = &options.meta {
                    body = with_member(&body, "meta", meta(answer, options, accounts, Some(&usage)));
                }
                answer.told(&usage, body.len());
            }
            Step::Done => return Ok(body),
            Step::Failed(error) => return Err(error),
        }
    }
}

fn write(builder: CompletionBuilder, answer: &Answer, options: &StreamOptions, usage: &Usage) -> Vec<u8> {
    let meta = ChunkMeta {
        id: &format!("chatcmpl-{}", answer.turn_id()),
        model: &options.model,
        created: options.created,
        conversation_id: answer.conversation_id(),
        reasoning: options.format,
    };
    builder.finish(&meta, "stop", usage)
}
