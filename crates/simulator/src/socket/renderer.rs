//! Renders the steps of a turn as events of the socket (UPSTREAM.md 16.4 to 16.7).

use serde_json::{Value, json};

use super::{
    chunks::{self, Chunks},
    deltas,
    events::Events,
    failures::{error_code, stream_error},
    out::Out,
};
use crate::{
    script::{Severity, Step},
    turn::{Recorder, Turn},
};

/// The form in which an answer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Form {
    /// `response.chunk`
    Chunks,
    /// `response.output_text.delta` and `response.grok.output`
    Deltas,
}

/// How the client wants its answer.
#[derive(Clone, Debug)]
pub(super) struct Wishes {
    pub form: Form,
    /// `event_id` of the client's `response.create`.
    pub client_event_id: Option<String>,
    /// Whether the turn begins a conversation: only then a title follows.
    pub new: bool,
    pub temporary: bool,
    pub follow_ups: bool,
}

/// Renders one answer. The steps must have been recorded before.
pub(super) struct Renderer {
    wishes: Wishes,
    recorder: Recorder,
    chunks: Chunks,
    /// What the closing events say the text is, if it is not what was streamed.
    closing_text: Option<String>,
    item_added: bool,
    closed: bool,
    done: bool,
    follow_ups_due: bool,
}

impl Renderer {
    pub(super) fn new(wishes: Wishes, turn: Turn, steps: &[Step]) -> Self {
        let chunks = Chunks::new(turn.user_id.clone(), steps);
        let mut recorder = Recorder::new(turn);
        recorder.answer_mut().chunks = Some(Vec::new());
        let closing_text = steps.iter().find_map(|step| match step {
            Step::StoredWith(overrides) => overrides["message"].as_str().map(str::to_owned),
            _ => None,
        });
        Self {
            wishes,
            recorder,
            chunks,
            closing_text,
            item_added: false,
            closed: false,
            done: false,
            follow_ups_due: false,
        }
    }

    pub(super) fn recorder(&mut self) -> &mut Recorder {
        &mut self.recorder
    }

    /// Whether the client was told how the turn ended.
    pub(super) fn done(&self) -> bool {
        self.done
    }

    fn id(&self) -> &str {
        &self.recorder.answer().id
    }

    /// Appends what is sent for one step. Steps that are about time and ends render nothing.
    pub(super) fn render(&mut self, step: &Step, events: &mut Events, out: &mut Vec<Out>) {
        let mut texts = Vec::new();
        if matches!(step, Step::Opening) {
            self.opening(events, &mut texts);
        }
        self.content(step, events, &mut texts);
        match step {
            Step::ItemAdded => self.item_added(events, &mut texts),
            Step::SoftStop => self.close(events, &mut texts),
            Step::FinalMetadata => self.follow_ups_due = self.wishes.follow_ups && self.wishes.form == Form::Chunks,
            Step::Stored => self.completed(events, &mut texts),
            Step::StoredWith(overrides) => self.stored_with(overrides, events, &mut texts),
            Step::Title => texts.extend(self.title(events)),
            Step::Completed(text) => {
                self.closed = true;
                texts.push(self.whole_response(text, events));
            }
            Step::Done { status, reason } => {
                texts.push(self.end(status.as_deref(), reason.as_deref(), events));
            }
            Step::TopLevelError { code, message } => {
                self.done = true;
                texts.push(events.error(&error_code(code, message), message, None));
            }
            Step::StreamError { kind, message, severity } => {
                texts.push(stream_error(kind, message, *severity, events));
                if *severity != Severity::Normal {
                    texts.push(self.end(Some("incomplete"), Some("stream_error"), events));
                }
            }
            _ => {}
        }
        out.extend(texts.into_iter().map(Out::Text));
        self.raw(step, events, out);
    }

    /// Text, thinking, tools, sources and images, in the form that was asked for. The chunks are made in any case: they are
    /// what is stored.
    fn content(&mut self, step: &Step, events: &mut Events, out: &mut Vec<String>) {
        let chunks = self.keep_chunks(step);
        match self.wishes.form {
            Form::Chunks => {
                for chunk in chunks {
                    out.push(self.of_answer("response.chunk", json!({"chunk": chunk}), events));
                }
            }
            Form::Deltas => {
                for (kind, fields) in deltas::render(step, &self.recorder.turn().user_id) {
                    out.push(self.of_answer(kind, fields, events));
                }
            }
        }
    }

    /// Messages that the script writes itself. One that says that the turn is over ends it.
    fn raw(&mut self, step: &Step, events: &mut Events, out: &mut Vec<Out>) {
        let turn = self.recorder.turn();
        let ids = [
            ("$conversation", turn.conversation_id.as_str()),
            ("$user", turn.user.id.as_str()),
            ("$response", turn.answer.id.as_str()),
        ];
        let Some(message) = common(step, events, &ids) else { return };
        if let Out::Text(text) = &message
            && serde_json::from_str::<Value>(text).is_ok_and(|said| said["event"]["type"] == "response.done")
        {
            self.done = true;
        }
        out.push(message);
    }

    /// Makes the chunks of a step and keeps their stored form.
    pub(super) fn keep_chunks(&mut self, step: &Step) -> Vec<Value> {
        let chunks = self.chunks.render(step);
        if let Some(stored) = &mut self.recorder.answer_mut().chunks {
            chunks.iter().for_each(|chunk| chunks::store(stored, chunk));
        }
        chunks
    }

    /// What follows the script's last step.
    pub(super) fn end_of_script(&mut self, events: &mut Events, out: &mut Vec<Out>) {
        if std::mem::take(&mut self.follow_ups_due) && self.done {
            let suggestion = json!({"properties": {"message_type": "TEXT", "follow_up_type": "FOLLOW_UP"},
                "label": "Tell me more.", "tool_overrides": {}});
            let id = self.id();
            let chunk = json!({"follow_up_suggestions": {"suggestions": [suggestion]}});
            let fields = json!({"response_id": id, "item_id": id, "chunk": chunk});
            out.push(Out::Text(events.event("response.chunk", &fields)));
        }
    }

    fn opening(&mut self, events: &mut Events, out: &mut Vec<String>) {
        self.item_added(events, out);
        let answer = self.recorder.answer();
        let created = answer.created.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let mut fields = json!({"response": {"id": answer.id, "status": "in_progress", "output_modalities": ["text"],
            "x_grok": {"created_at": created.as_secs_f64() * 1000.0, "model": answer.mode}}});
        if let Some(id) = &self.wishes.client_event_id {
            fields["client_event_id"] = id.as_str().into();
        }
        out.push(events.event("response.created", &fields));
        let item = json!({"response_id": answer.id, "item": {"id": answer.id, "role": "assistant"}});
        out.push(events.event("response.output_item.added", &item));
        let part = json!({"response_id": answer.id, "item_id": answer.id, "part": {"type": "text"}});
        out.push(events.event("response.content_part.added", &part));
    }

    /// The message left the queue and is stored.
    fn item_added(&mut self, events: &mut Events, out: &mut Vec<String>) {
        if std::mem::replace(&mut self.item_added, true) {
            return;
        }
        out.push(events.event("conversation.queue.updated", &json!({"queue": []})));
        let user = &self.recorder.turn().user;
        out.push(events.event("conversation.item.added", &json!({"item": {"id": user.id, "role": "user"}})));
    }

    /// An event of this answer. Late ones, after its end, name none.
    fn of_answer(&self, kind: &str, mut fields: Value, events: &mut Events) -> String {
        let id = if self.done { "" } else { self.id() };
        fields["response_id"] = id.into();
        fields["item_id"] = id.into();
        events.event(kind, &fields)
    }

    /// The text as the closing events have it.
    fn whole_text(&self) -> String {
        let streamed = match self.wishes.form {
            Form::Chunks => self.chunks.text(),
            Form::Deltas => &self.recorder.answer().message,
        };
        self.closing_text.as_deref().unwrap_or(streamed).to_owned()
    }

    /// The three closing events.
    fn close(&mut self, events: &mut Events, out: &mut Vec<String>) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        let text = self.whole_text();
        out.push(self.of_answer("response.output_text.done", json!({"text": text}), events));
        let part = json!({"part": {"type": "text", "text": text}});
        out.push(self.of_answer("response.content_part.done", part, events));
        let item = json!({"id": self.id(), "role": "assistant", "status": "completed"});
        out.push(events.event("response.output_item.done", &json!({"response_id": self.id(), "item": item})));
    }

    fn completed(&mut self, events: &mut Events, out: &mut Vec<String>) {
        let told = self.closed && self.closing_text.is_some();
        self.close(events, out);
        if self.wishes.form == Form::Deltas && !told {
            out.push(self.whole_response(&self.whole_text(), events));
        }
        out.push(self.end(Some("completed"), None, events));
        if !self.wishes.temporary {
            out.push(events.event("response.persisted", &json!({"status": "ok"})));
        }
    }

    /// `response.completed`, which repeats the whole text.
    fn whole_response(&self, text: &str, events: &mut Events) -> String {
        let content = json!([{"type": "output_text", "text": text}]);
        let message = json!({"type": "message", "id": self.id(), "role": "assistant", "content": content});
        let response = json!({"id": self.id(), "status": "completed", "output": [message]});
        events.event("response.completed", &json!({"response": response}))
    }

    /// `response.done`
    fn end(&mut self, status: Option<&str>, reason: Option<&str>, events: &mut Events) -> String {
        let mut response = json!({"id": self.id(), "output_modalities": ["text"], "usage": {}});
        if let Some(status) = status {
            response["status"] = status.into();
        }
        if let Some(reason) = reason {
            response["status_details"] = json!({"reason": reason});
        }
        self.done = true;
        events.event("response.done", &json!({"response": response}))
    }

    /// A stored answer with errors in it ends badly.
    fn stored_with(&mut self, overrides: &Value, events: &mut Events, out: &mut Vec<String>) {
        let error = overrides["streamErrors"].as_array().and_then(|errors| errors.first());
        if let Some(error) = error {
            let kind = ["usageLimitReached", "internalError"].into_iter().find(|kind| error.get(*kind).is_some());
            let message = error["message"].as_str().unwrap_or_default();
            out.push(stream_error(kind.unwrap_or_default(), message, Severity::Unknown, events));
            out.push(self.end(Some("incomplete"), Some("stream_error"), events));
            return;
        }
        let errors = [&overrides["error"], &overrides["metadata"]["request_metadata"]["stream_errors"][0]["message"]];
        match errors.into_iter().find_map(Value::as_str) {
            Some(message) => out.push(self.end(Some("failed"), Some(message), events)),
            None => self.completed(events, out),
        }
    }

    fn title(&self, events: &mut Events) -> Option<String> {
        let titled = self.wishes.new && !self.wishes.temporary;
        titled.then(|| events.event("conversation.title.updated", &json!({"title": self.recorder.turn().title})))
    }
}

/// Messages that any part of a session can have, ids filled in.
pub(super) fn common(step: &Step, events: &mut Events, ids: &[(&str, &str)]) -> Option<Out> {
    let filled = |text: &str| ids.iter().fold(text.to_owned(), |text, (name, id)| text.replace(name, id));
    Some(match step {
        Step::Raw(text) => Out::Text(filled(text)),
        Step::Event(event) => {
            let mut event: Value = serde_json::from_str(&filled(&event.to_string())).unwrap_or_default();
            let kind = event.as_object_mut().and_then(|members| members.remove("type")).unwrap_or_default();
            Out::Text(events.event(kind.as_str().unwrap_or_default(), &event))
        }
        Step::Binary(bytes) => Out::Binary(bytes.clone()),
        Step::ControlPing => Out::ControlPing,
        Step::Oversized(length) => Out::Oversized(*length),
        _ => return None,
    })
}
