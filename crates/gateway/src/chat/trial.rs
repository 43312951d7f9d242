//! A line of chat with one account, to see whether it answers. Its conversation is deleted afterwards, here and at the upstream.

use std::future::poll_fn;
use std::time::Duration;

use protocol::history::History;
use protocol::model;
use protocol::openai::{Message, Role};
use tokio::time::Instant;
use uuid::Uuid;

use super::{Ask, ChatError, ChatService, CheckFailure, Step};
use crate::audit::{Recorder, RequestEnding};
use crate::conversations::Wanted;
use crate::keys::CONSOLE_KEY;
use crate::upstream::{Blame, UpstreamError};

/// What is asked.
const LINE: &str = "Say OK.";

/// As the request log names it.
const ROUTE: &str = "accounts.test";

/// What the request log says where the account did not answer.
const FAILED: u16 = 502;

impl ChatService {
    /// Has an account answer a line; how long its first word took.
    ///
    /// # Errors
    /// Says whose fault it was. What a chat's failure costs an account, this costs it too.
    pub(crate) async fn try_account(
        &self,
        account_id: &str,
        model: &str,
        recorder: &Recorder,
    ) -> Result<Duration, CheckFailure> {
        if self.shared.accounts.get(account_id).is_none() {
            return Err(failure("not_found", "there is no such account".to_owned(), None));
        }
        let settings = self.shared.settings.current();
        self.shared.background.check_pace.turn(settings.quota_checks_per_second).await;
        let mut record = recorder.open(&format!("req-{}", Uuid::now_v7().simple()), ROUTE, None, None);
        record.read();
        record.row.key_id = Some(CONSOLE_KEY.to_owned());
        record.row.model = Some(model.to_owned());
        let message = Message {
            role: Role::User,
            text: LINE.to_owned(),
            images: Vec::new(),
            tool_calls: None,
            tool_call_id: None,
            name: None,
        };
        let ask = Ask {
            key_id: CONSOLE_KEY.to_owned(),
            model: model::find(model),
            history: History::read(&[message]),
            wanted: Wanted::default(),
            account: Some(account_id.to_owned()),
            show_thinking: false,
            show_search: false,
            search: false,
            public_url: String::new(),
        };
        let began = Instant::now();
        let mut answer = match self.start(ask, record).await {
            Ok(answer) => answer,
            Err((error, mut record)) => {
                let failure = told(&error);
                record.end(RequestEnding::Failed, FAILED, Some("upstream_error"));
                record.error_words(&failure.message);
                return Err(failure);
            }
        };
        let first = began.elapsed();
        let conversation = answer.conversation_id().to_owned();
        loop {
            match poll_fn(|context| answer.poll_step(context, &mut |_| {})).await {
                Step::Events | Step::Told => {}
                Step::Done => break,
                Step::Failed(error) => {
                    answer.record.end(RequestEnding::Failed, FAILED, Some("upstream_error"));
                    return Err(told(&error));
                }
            }
        }
        if let Err(error) = self.delete_conversation(&conversation, true).await {
            tracing::info!(account = account_id, %error, "the conversation of a test could not be deleted; it goes with its time");
        }
        Ok(first)
    }
}

fn failure(code: &str, message: String, status: Option<u16>) -> CheckFailure {
    CheckFailure { code: code.to_owned(), message, status, is_exit: false }
}

fn told(error: &ChatError) -> CheckFailure {
    let of = |error: &UpstreamError| {
        let verdict = error.verdict();
        CheckFailure {
            is_exit: verdict.blame == Blame::Exit,
            ..failure(verdict.label, error.to_string(), error.status)
        }
    };
    match error {
        ChatError::Upstream(error) | ChatError::NoAccount { last: Some(error), .. } => of(error),
        // Switched off, resting: nothing was asked.
        ChatError::NoAccount { why, last: None } => {
            let reason = why.reasons.keys().next().map_or("no_account", String::as_str);
            failure(reason, error.to_string(), None)
        }
        ChatError::ExitClosed(closed) => {
            CheckFailure { is_exit: true, ..failure(closed.label, error.to_string(), None) }
        }
        error => failure("failed", error.to_string(), None),
    }
}
