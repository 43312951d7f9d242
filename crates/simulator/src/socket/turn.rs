//! The start of a turn on a socket: what is asked is checked and logged, and the account's next reply is taken.

use std::{sync::Arc, time::SystemTime};

use serde_json::{Value, json};

use super::{
    connection::Origin,
    play::Play,
    renderer::{Renderer, Wishes},
    session::{Refused, Session, invalid},
    template::{self, Copy, TemplateKey},
};
use crate::{
    calls::{Call, StreamGuard, Transport},
    prepared::Shape,
    script::{Plan, Question, Script, Severity, Step, words},
    state::{Conversation, Shared, State},
    turn::{Asked, Fault, Keep, Keeper, Wanted, admit, begin, branch},
};

const USAGE_LIMIT: &str = "You've reached your usage limit.";

/// Answers a `response.create` event.
pub(super) fn start(
    shared: &Arc<Shared>,
    origin: &Origin,
    session: &mut Session,
    event: &Value,
) -> Result<Play, Refused> {
    let keep = shared.keep();
    let mut state = shared.state();
    let items = std::mem::take(&mut session.items);
    log(&mut state, origin, session, &items, event, keep);
    if items.len() > 1 {
        state.violate("history_resent", format!("{} messages for one answer", items.len()));
    }
    let Some((item, item_event)) = items.into_iter().next_back() else {
        state.violate("missing_item", "response.create without a message");
        return Err(invalid("there is no message to respond to"));
    };
    for file in &item.files {
        if !item.mentioned.contains(file) {
            state.violate("file_not_mentioned", format!("the message does not mention file {file}"));
        }
    }
    let parent = item_event["parent_response_id"].as_str().map(str::to_owned);
    if let (Some(parent), false) = (&parent, session.existing) {
        state.violate("wrong_parent", format!("{parent} is continued in a new conversation"));
        return Err(refused(Fault::NoResponse));
    }
    let wanted = Wanted {
        sso: origin.sso.clone(),
        message: item.text,
        mode: session.mode.clone(),
        conversation: session.existing.then(|| session.id.clone()),
        parent,
        files: item.files,
        temporary: session.temporary,
        input_chunks: Some(item.input_chunks.into_iter().map(super::client_event::camel_case_members).collect()),
    };
    let asked = admit(&mut state, wanted, keep).map_err(refused)?;
    let played = played(&mut state, session, &asked, keep);
    let wishes = Wishes {
        form: session.form,
        client_event_id: event["event_id"].as_str().map(str::to_owned),
        new: !session.existing,
        temporary: session.temporary,
        follow_ups: session.follow_ups,
    };
    let mut new = Conversation::new(&asked.sso, "New conversation", asked.temporary);
    new.id.clone_from(&session.id);
    new.bare = session.bare;
    let turn = begin(&mut state, asked, new, keep);
    drop(state);
    session.existing = true;
    session.turns += 1;
    let guard = StreamGuard::open(&shared.counters);
    match played {
        Played::Script(script) => {
            session.mute |= script.mute;
            let renderer = Renderer::new(wishes, turn, &script.steps);
            Ok(Play::answer(Keeper::new(shared.clone(), keep), script, renderer, guard))
        }
        Played::Prepared(shape) => {
            let response = turn.answer.id.clone();
            let mut opening = Vec::new();
            let mut renderer = Renderer::new(wishes.clone(), turn.clone(), &[]);
            renderer.render(&Step::Opening, &mut session.events, &mut opening);
            let prepared = shared.socket_answers.get(TemplateKey::new(&wishes, shape), || {
                template::prepare(wishes.clone(), turn.clone(), session.events.clone(), shape)
            });
            Ok(Play::copy(Copy::new(prepared, response, template::bytes(opening), guard)))
        }
    }
}

fn refused(fault: Fault) -> Refused {
    let (code, message) = match fault {
        Fault::EmptyMessage => ("invalid_envelope", "Message must not be empty"),
        Fault::NoConversation => ("conversation_not_found", "Conversation not found"),
        Fault::NoResponse => ("response_not_found", "Response not found"),
        Fault::NoFile => ("file_not_found", "File attachment not found"),
    };
    Refused { code, message: message.to_owned() }
}

/// Counts the turn as the chat call that it is.
fn log(
    state: &mut State,
    origin: &Origin,
    session: &Session,
    items: &[(super::client_event::Item, Value)],
    event: &Value,
    keep: Keep,
) {
    let route = if session.existing { "responses" } else { "new" };
    *state.counts.entry(route).or_default() += 1;
    state.count_transport(Transport::Socket);
    if keep == Keep::Nothing {
        return;
    }
    let last = items.last();
    let item_event = last.map(|(_, event)| event.clone()).unwrap_or_default();
    state.calls.push(Call {
        route,
        transport: Transport::Socket,
        path: origin.path.clone(),
        account: Some(origin.sso.clone()),
        conversation_id: session.existing.then(|| session.id.clone()),
        parent_response_id: item_event["parent_response_id"].as_str().map(str::to_owned),
        message: last.map(|(item, _)| item.text.clone()),
        mode: session.mode.clone(),
        allow_indexing: None,
        body: json!({
            "session.create": session.created_by,
            "conversation.item.create": item_event,
            "response.create": event,
        }),
        headers: origin.headers.clone(),
        time: SystemTime::now(),
    });
}

/// How a turn is answered.
enum Played {
    /// Step by step.
    Script(Script),
    /// From a prepared buffer.
    Prepared(Shape),
}

/// The account's next reply, or the news that nothing is left of the mode.
fn played(state: &mut State, session: &Session, asked: &Asked, keep: Keep) -> Played {
    let account = state.accounts.get_mut(&asked.sso).expect("the cookie was checked at the upgrade");
    if account.quota(&asked.mode).remaining <= 0 {
        let mut steps = vec![Step::Opening];
        steps.extend(words(account.words_before_limit));
        steps.push(stream_error("usage_limit_reached", USAGE_LIMIT));
        return Played::Script(Script::of(steps));
    }
    let reply = account.next_reply();
    if keep == Keep::Nothing
        && let Some(shape) = Shape::of(&reply)
    {
        account.quota(&asked.mode).remaining -= 1;
        return Played::Prepared(shape);
    }
    let mut branch = branch(state, asked);
    if session.turns > 0 && !session.keep_context {
        branch.drain(..branch.len() - 1);
    }
    let plan = reply.plan(&Question { branch: &branch });
    let quota = state.accounts.get_mut(&asked.sso).expect("it was there above").quota(&asked.mode);
    Played::Script(match plan {
        Plan::Stream(script) if !session.images && has_image(&script) => {
            Script::of(vec![Step::Opening, stream_error("unsupported_request", "Image generation is not enabled.")])
        }
        Plan::Stream(script) => {
            quota.remaining -= 1;
            script
        }
        Plan::RateLimited { quota_left: false } => {
            quota.remaining = 0;
            Script::of(vec![Step::Opening, stream_error("usage_limit_reached", USAGE_LIMIT)])
        }
        Plan::RateLimited { quota_left: true } => {
            Script::of(vec![Step::Opening, stream_error("global_rate_limit", "Too many requests")])
        }
        Plan::Http { status, body, .. } => refusal(status, &body),
    })
}

fn has_image(script: &Script) -> bool {
    script.steps.iter().any(|step| matches!(step, Step::Image(_)))
}

fn stream_error(kind: &str, message: &str) -> Step {
    Step::StreamError { kind: kind.to_owned(), message: message.to_owned(), severity: Severity::Unknown }
}

/// An HTTP refusal that finds the socket already open: an error with the same code and words, or, if it is no status
/// object, the end of the socket.
fn refusal(status: u16, body: &str) -> Script {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let error = if body["error"].is_object() { &body["error"] } else { &body };
    match error["message"].as_str() {
        Some(message) => {
            let code = if error["code"].is_null() { status.into() } else { error["code"].clone() };
            Script::of(vec![Step::TopLevelError { code, message: message.to_owned() }])
        }
        None => Script::of(vec![Step::Cut { reconnectable: false }]),
    }
}
