//! A streamed answer: a body that is pulled, writes all events of one upstream read as one piece, and says a word every few
//! seconds of silence.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use protocol::openai::{ChunkMeta, ChunkWriter, ReasoningFormat, TokenCount, Usage};
use protocol::translate::ChatEvent;
use tokio::time::{Instant, Sleep};

use super::meta::{meta, write_frame};
use crate::accounts::AccountPool;
use crate::audit::{Interrupted, Interruption, RequestEnding, RequestRecord};
use crate::chat::{Answer, ChatError, Step};
use crate::clock::Clock;
use crate::http::error::ApiError;
use crate::http::request_id::RequestId;
use crate::keys::Admission;

/// A piece is handed over when it has grown to this, even if more is ready.
const PIECE: usize = 32 * 1024;

/// How an answer is shown.
pub(super) struct StreamOptions {
    pub(super) model: String,
    /// Unix seconds.
    pub(super) created: i64,
    pub(super) format: ReasoningFormat,
    pub(super) include_usage: bool,
    pub(super) prompt_tokens: u64,
    pub(super) keep_alive: Duration,
    pub(super) request_id: RequestId,
    pub(super) clock: Clock,
    /// Given back when the answer's last word is written, not when the connection notices: whoever saw the end may ask again.
    pub(super) admission: Option<Admission>,
    /// Whether the answer also tells how it came about; with the accounts, whose names it tells.
    pub(super) meta: Option<AccountPool>,
    /// How long its client may take for all of it.
    pub(super) at_most: Duration,
    /// Where the connection says that it has to come to an end.
    pub(super) interruption: Interruption,
}

/// Estimated tokens of an answer.
#[derive(Default)]
pub(super) struct AnswerTokens {
    text: TokenCount,
    reasoning: TokenCount,
}

impl AnswerTokens {
    pub(super) fn add(&mut self, event: &ChatEvent<'_>) {
        match event {
            ChatEvent::Text(text) => self.text.add(text),
            ChatEvent::Reasoning(text) => self.reasoning.add(text),
        }
    }

    pub(super) fn usage(&self, prompt_tokens: u64) -> Usage {
        let reasoning_tokens = self.reasoning.tokens();
        Usage { prompt_tokens, completion_tokens: self.text.tokens() + reasoning_tokens, reasoning_tokens }
    }
}

type Starting = Pin<Box<dyn Future<Output = Result<Answer, (ChatError, RequestRecord)>> + Send>>;

/// The body of a streamed answer.
pub(super) struct AnswerStream {
    state: State,
    out: Vec<u8>,
    /// The answer's last lines, while the turn is being stored.
    end: Vec<u8>,
    tokens: AnswerTokens,
    options: StreamOptions,
    last_piece: Instant,
    /// The last piece was handed over and nothing was asked for since.
    is_with_client: bool,
    silence: Pin<Box<Sleep>>,
}

enum State {
    /// Attempts are still being made behind the keep-alive.
    Starting(Starting),
    Streaming(Box<(Answer, ChunkWriter)>),
    Ended,
}

impl AnswerStream {
    /// An answer that has begun.
    pub(super) fn streaming(answer: Answer, options: StreamOptions) -> Self {
        let mut body = Self::new(State::Ended, options);
        body.begin(answer);
        body
    }

    /// An answer that is waited for; the client gets a keep-alive at once.
    pub(super) fn starting(starting: Starting, options: StreamOptions) -> Self {
        let mut body = Self::new(State::Starting(starting), options);
        body.out.extend_from_slice(ChunkWriter::KEEP_ALIVE);
        body
    }

    fn new(state: State, options: StreamOptions) -> Self {
        let silence = Box::pin(tokio::time::sleep(options.keep_alive));
        Self {
            state,
            out: Vec::new(),
            end: Vec::new(),
            tokens: AnswerTokens::default(),
            options,
            last_piece: Instant::now(),
            is_with_client: false,
            silence,
        }
    }

    /// How long the client may take for all of it.
    pub(super) fn at_most(&self) -> Duration {
        self.options.at_most
    }

    fn begin(&mut self, mut answer: Answer) {
        answer.record.row.status = 200;
        let mut writer = ChunkWriter::new(&ChunkMeta {
            id: &format!("chatcmpl-{}", answer.turn_id()),
            model: &self.options.model,
            created: self.options.created,
            conversation_id: answer.conversation_id(),
            reasoning: self.options.format,
        });
        if let Some(accounts) = &self.options.meta {
            write_frame(&meta(&answer, &self.options, accounts, None), &mut self.out);
        }
        writer.start(&mut self.out);
        self.state = State::Streaming(Box::new((answer, writer)));
    }

    /// Writes what is ready into `out`; `Pending` when more is to come.
    fn poll_out(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.out.len() < PIECE {
            match &mut self.state {
                State::Starting(starting) => match starting.as_mut().poll(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(answer)) => self.begin(answer),
                    Poll::Ready(Err((error, mut record))) => {
                        let error = ApiError::of_chat(&error, self.options.clock.now_ms());
                        record.end(RequestEnding::Failed, 200, Some(error.code));
                        record.error_words(error.message());
                        self.fail(&error);
                    }
                },
                State::Streaming(streaming) => {
                    let (answer, writer) = &mut **streaming;
                    let (out, tokens) = (&mut self.out, &mut self.tokens);
                    let step = answer.poll_step(context, &mut |event: ChatEvent<'_>| {
                        tokens.add(&event);
                        writer.event(&event, out);
                    });
                    match step {
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(Step::Events) => {}
                        Poll::Ready(Step::Told) => self.prepare_end(),
                        Poll::Ready(Step::Done) => self.finish(),
                        Poll::Ready(Step::Failed(error)) => {
                            let error = ApiError::of_chat(&error, self.options.clock.now_ms());
                            self.fail(&error);
                        }
                    }
                }
                State::Ended => return Poll::Ready(()),
            }
        }
        Poll::Ready(())
    }

    /// Everything has been told: the end is written, and waits for the turn to be stored.
    fn prepare_end(&mut self) {
        if let State::Streaming(streaming) = &mut self.state {
            let (answer, writer) = &mut **streaming;
            let usage = self.tokens.usage(self.options.prompt_tokens);
            // A copy, for an answer that cannot be stored ends otherwise.
            let mut writer = writer.clone();
            writer.finish("stop", self.options.include_usage.then_some(&usage), &mut self.end);
            if let Some(accounts) = &self.options.meta {
                write_frame(&meta(answer, &self.options, accounts, Some(&usage)), &mut self.end);
            }
            self.end.extend_from_slice(ChunkWriter::DONE);
            answer.told(&usage, self.out.len() + self.end.len());
        }
    }

    fn finish(&mut self) {
        self.out.append(&mut self.end);
        self.state = State::Ended;
    }

    /// Ends the stream with an error event, and without `[DONE]`: a broken answer must not look whole.
    fn fail(&mut self, error: &ApiError) {
        self.options.admission = None;
        let object = error.object(&self.options.request_id.0);
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Streaming(streaming) => {
                let (_, mut writer) = *streaming;
                writer.error(&object, &mut self.out);
            }
            State::Starting(_) | State::Ended => {
                self.out.extend_from_slice(b"data: ");
                self.out.extend_from_slice(&object.body());
                self.out.extend_from_slice(b"\n\n");
            }
        }
    }

    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.silence.as_mut().poll(context).is_ready() {
            let due = self.last_piece + self.options.keep_alive;
            if due <= Instant::now() {
                self.out.extend_from_slice(ChunkWriter::KEEP_ALIVE);
                self.silence.as_mut().reset(Instant::now() + self.options.keep_alive);
                return Poll::Ready(());
            }
            self.silence.as_mut().reset(due);
        }
        Poll::Pending
    }

    fn take_piece(&mut self) -> Bytes {
        self.last_piece = Instant::now();
        self.is_with_client = true;
        // With the end the bytes before it have been counted, too.
        if let State::Streaming(streaming) = &mut self.state
            && self.end.is_empty()
        {
            streaming.0.record.row.bytes += i64::try_from(self.out.len()).unwrap_or(0);
        }
        Bytes::from(std::mem::take(&mut self.out))
    }
}

impl Body for AnswerStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if std::mem::take(&mut self.is_with_client) {
            let took = self.last_piece.elapsed();
            if let State::Streaming(streaming) = &mut self.state {
                streaming.0.client_took(took);
            }
        }
        // Asked at every piece: it costs less than to be woken for it, and whoever says it polls.
        if self.options.interruption.get() == Some(Interrupted::Shutdown) && !matches!(self.state, State::Ended) {
            self.fail(&ApiError::shutting_down());
        }
        let polled = self.poll_out(context);
        if self.out.is_empty() {
            if polled.is_ready() {
                return Poll::Ready(None);
            }
            if self.poll_silence(context).is_pending() {
                return Poll::Pending;
            }
        }
        Poll::Ready(Some(Ok(Frame::data(self.take_piece()))))
    }
}
