//! `POST /conversations/match`: which turn a list of messages would go on from, by the look-up that chats use. Nothing is asked of
//! the upstream and nothing is written.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use protocol::history::{Difference, History};
use protocol::openai::{RequestError, read_chat_request};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::AdminState;
use super::body::LargeMembers;
use super::caller::Caller;
use super::conversations::NamedAccount;
use super::described::MatchRequest;
use super::error::{AdminError, pointer};
use crate::conversations::{Alike, PlanError, Probe, Side, Wanted, WhyNot};
use crate::keys::CONSOLE_KEY;
use crate::reading::{self, LARGE_BYTES};

/// The body is read as a chat request is, and that names a model.
const MODEL: &str = "grok-4.2";

/// What a request with these messages would do.
#[derive(Serialize, ToSchema)]
pub(super) struct MatchView {
    /// The receipt that it would get while the conversation's account can serve: `native`, `branched`, `new`, `replayed`; `null`
    /// when it would be refused.
    receipt: Option<&'static str>,
    /// By which rule: `response_id`, `conversation_id`, `chain`, `answer`, `window`, `imported`, `none`.
    recognised: &'static str,
    conversation_id: Option<String>,
    /// The turn that it would go on from.
    turn_id: Option<String>,
    /// That holds this turn.
    account: Option<NamedAccount>,
    /// Why no turn is recognised.
    why_not: Option<MatchReason>,
    /// The conversation that is most like it, and what differs first.
    alike: Option<AlikeView>,
}

/// A reason, for programs and for people.
#[derive(Serialize, ToSchema)]
pub(super) struct MatchReason {
    /// `no_history`, `expired`, `too_short`, `ambiguous`, `too_common`, `differs`, `unknown`, `conversation_not_found`,
    /// `response_not_found`.
    code: &'static str,
    params: Value,
    message: String,
}

/// A conversation that is like the messages, up to a place.
#[derive(Serialize, ToSchema)]
pub(super) struct AlikeView {
    conversation_id: String,
    /// The last turn that is equal.
    turn_id: Option<String>,
    /// Questions with their answers that are equal, from the beginning.
    equal_pairs: usize,
    /// What differs behind it; `null`: the conversation has nothing behind it.
    difference: Option<DifferenceView>,
}

/// What differs first.
#[derive(Serialize, ToSchema)]
pub(super) struct DifferenceView {
    /// Its place in `messages`, from 0.
    message: Option<usize>,
    /// `user` or `assistant`.
    role: &'static str,
    /// The first, second, … of that role.
    number: usize,
    /// `line_break_more`, `line_break_fewer`, `spaces`, `character_more`, `images`, `lines`, `rewritten`.
    code: &'static str,
    params: Value,
    /// `user message 2 differs: one line break more`.
    text: String,
}

/// `POST /conversations/match` `{key_id, messages, conversation_id, previous_response_id, client_chat}`
#[utoipa::path(
    post,
    path = "/conversations/match",
    operation_id = "conversations_match",
    tag = "conversations",
    request_body = MatchRequest,
    responses((status = 200, description = "Which turn would be gone on from and by which rule, or why none.", body = MatchView)),
)]
pub(super) async fn probe(
    State(state): State<AdminState>,
    _: Caller,
    LargeMembers(mut body): LargeMembers,
) -> Result<Json<MatchView>, AdminError> {
    let key_id = body.required_text("key_id");
    if !key_id.is_empty() && key_id != CONSOLE_KEY && state.keys.get(&key_id).is_none() {
        body.refuse::<()>("key_id", "unknown", "is not the id of a key");
    }
    let wanted = Wanted {
        conversation_id: body.text("conversation_id"),
        previous_response_id: body.text("previous_response_id"),
        client_chat: body.text("client_chat"),
    };
    let messages = body.required_value("messages");
    body.finish()?;
    let (roles, history) = reading::read(LARGE_BYTES + 1, move || {
        let roles = roles(&messages);
        let request =
            serde_json::to_vec(&json!({ "model": MODEL, "messages": messages })).map_err(AdminError::internal)?;
        let history = History::read(&read_chat_request(&request).map_err(of_request)?.messages);
        Ok::<_, AdminError>((roles, Arc::new(history)))
    })
    .await?;
    let ttl = state.settings.current().conversation_ttl;
    let probe = match state.conversations.probe(&key_id, &wanted, &history, ttl).await {
        Ok(probe) => probe,
        Err(PlanError::Store(error)) => return Err(error.into()),
        Err(error) => return Ok(Json(refused(&error))),
    };
    Ok(Json(view(&state, &probe, &history, &roles)))
}

/// A request that chats would refuse, in the words of the admin API.
fn of_request(error: RequestError) -> AdminError {
    AdminError::field(&pointer(&error.param.unwrap_or_default()), error.code, error.message)
}

fn refused(error: &PlanError) -> MatchView {
    let code = match error {
        PlanError::ResponseNotFound => "response_not_found",
        PlanError::ConversationNotFound | PlanError::Store(_) => "conversation_not_found",
    };
    MatchView {
        receipt: None,
        recognised: "none",
        conversation_id: None,
        turn_id: None,
        account: None,
        why_not: Some(MatchReason { code, params: json!({}), message: error.to_string() }),
        alike: None,
    }
}

fn view(state: &AdminState, probe: &Probe, history: &History, roles: &Roles) -> MatchView {
    let receipt = match (&probe.turn, history.pairs.is_empty()) {
        (Some(_), _) if probe.branches => "branched",
        (Some(_), _) => "native",
        (None, true) => "new",
        (None, false) => "replayed",
    };
    let account = probe.turn.as_ref().map(|turn| {
        let id = turn.place.account_id.as_str();
        let labels = state.accounts.labels(std::iter::once(id));
        NamedAccount::of(id, labels.get(id))
    });
    MatchView {
        receipt: Some(receipt),
        recognised: probe.recognised.label(),
        conversation_id: probe.conversation.as_ref().map(|conversation| conversation.id.clone()),
        turn_id: probe.turn.as_ref().map(|turn| turn.id.clone()),
        account,
        why_not: probe.why_not.map(reason),
        alike: probe.alike.as_ref().map(|alike| alike_view(alike, roles)),
    }
}

fn reason(why_not: WhyNot) -> MatchReason {
    let (code, params, message) = match why_not {
        WhyNot::NoHistory => (
            "no_history",
            json!({}),
            "there is no answer in it: such a request always begins a conversation".to_owned(),
        ),
        WhyNot::Expired => ("expired", json!({}), "it would have been recognised, but its time is over".to_owned()),
        WhyNot::TooShort => (
            "too_short",
            json!({ "min": protocol::history::TELLING_ANSWER_CHARACTERS }),
            "only the newest answer is known, and it is too short to tell one chat from another".to_owned(),
        ),
        WhyNot::Ambiguous(count) => ("ambiguous", json!({ "turns": count }), format!("{count} turns fit equally well")),
        WhyNot::TooCommon => ("too_common", json!({}), "too many turns have the last answer".to_owned()),
        WhyNot::Differs => ("differs", json!({}), "a conversation is like it, up to a difference".to_owned()),
        WhyNot::Unknown => ("unknown", json!({}), "nothing of it is known under this key".to_owned()),
    };
    MatchReason { code, params, message }
}

fn alike_view(alike: &Alike, roles: &Roles) -> AlikeView {
    let difference = alike.side.map(|side| {
        let (role, message) = match side {
            Side::Question(_) => ("user", roles.user.get(alike.equal_pairs)),
            Side::Answer { .. } => ("assistant", roles.assistant.get(alike.equal_pairs)),
        };
        let (code, params, words) = words(side);
        let number = alike.equal_pairs + 1;
        let text = format!("{role} message {number} differs: {words}");
        DifferenceView { message: message.copied(), role, number, code, params, text }
    });
    AlikeView {
        conversation_id: alike.conversation.id.clone(),
        turn_id: alike.turn.as_ref().map(|turn| turn.id.clone()),
        equal_pairs: alike.equal_pairs,
        difference,
    }
}

fn words(side: Side) -> (&'static str, Value, String) {
    let plain = |code, words: &str| (code, json!({}), words.to_owned());
    match side {
        Side::Question(Difference::LineBreakMore) => plain("line_break_more", "one line break more"),
        Side::Question(Difference::LineBreakFewer) => plain("line_break_fewer", "one line break fewer"),
        Side::Question(Difference::Spaces) => plain("spaces", "more spaces within lines"),
        Side::Question(Difference::CharacterMore) => plain("character_more", "one character more"),
        Side::Question(Difference::Images) => plain("images", "other images"),
        Side::Question(Difference::Lines { added, missing }) => {
            let words = format!("{added} lines that were not asked, {missing} that were are missing");
            ("lines", json!({ "added": added, "missing": missing }), words)
        }
        Side::Answer { now, then } => {
            let words = format!("other words than were answered ({now} characters now, {then} then)");
            ("rewritten", json!({ "characters": now, "answered": then }), words)
        }
    }
}

/// Where the sides of a history begin in the list of messages.
#[derive(Default)]
struct Roles {
    user: Vec<usize>,
    assistant: Vec<usize>,
}

fn roles(messages: &Value) -> Roles {
    let mut roles = Roles::default();
    for (index, message) in messages.as_array().into_iter().flatten().enumerate() {
        match message["role"].as_str().unwrap_or_default() {
            "system" | "developer" => {}
            // Several in a row are one answer.
            "assistant" if roles.assistant.len() < roles.user.len() => roles.assistant.push(index),
            // The window begins with an answer: it has no question.
            "assistant" if roles.assistant.is_empty() => {
                roles.user.push(index);
                roles.assistant.push(index);
            }
            "assistant" => {}
            _ if roles.user.len() == roles.assistant.len() => roles.user.push(index),
            _ => {}
        }
    }
    roles
}
