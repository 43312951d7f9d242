//! An answer that is not streamed: the same events, folded.

use std::future::poll_fn;

use protocol::openai::{ChunkMeta, CompletionBuilder};
use protocol::translate::ChatEvent;

use super::stream::{AnswerTokens, StreamOptions};
use crate::chat::{Answer, ChatError, Step};

/// Waits for the whole answer and writes it as one object.
pub(super) async fn whole_answer(answer: &mut Answer, options: &StreamOptions) -> Result<Vec<u8>, ChatError> {
    let mut builder = CompletionBuilder::new();
    let mut tokens = AnswerTokens::default();
    loop {
        let step = poll_fn(|context| {
            answer.poll_step(context, &mut |event: ChatEvent<'_>| {
                tokens.add(&event);
                builder.event(&event);
            })
        });
        match step.await {
            Step::Events => {}
            Step::Done => break,
            Step::Failed(error) => return Err(error),
        }
    }
    let usage = tokens.usage(options.prompt_tokens);
    answer.record.row.completion_tokens = i64::try_from(usage.completion_tokens).ok();
    answer.record.row.reasoning_tokens = i64::try_from(usage.reasoning_tokens).ok();
    let meta = ChunkMeta {
        id: &format!("chatcmpl-{}", answer.turn_id()),
        model: &options.model,
        created: options.created,
        conversation_id: answer.conversation_id(),
        reasoning: options.format,
    };
    Ok(builder.finish(&meta, "stop", &usage))
}
