//! The two routes that stream answers: a new conversation, and a turn in one (UPSTREAM.md 3 and 4).

use axum::{
    body::Body,
    extract::{Path, Request, State},
    http::{HeaderValue, header},
    response::Response,
};
use serde_json::Value;

use super::{
    App,
    answer::{self, Answered, ErrorForm, Refusal},
    entry::{Entry, Route, enter},
    question::{Asked, Continued, read},
};
use crate::{
    calls::StreamGuard,
    ids,
    rest::{Answer, Envelope, Keep, PreparedAnswer, Renderer, TemplateKey, TemplateShape, Turn, conversation_json},
    script::{BeforeHeaders, Plan, Question, Reply, Script, paced_steps, stall_steps},
    state::{Conversation, Node, Sender, State as Store},
};

const NEW: Route = Route::streaming("new");
const RESPONSES: Route = Route::streaming("responses");

/// Characters of the first message that make the title.
const TITLE_CHARACTERS: usize = 40;

pub(super) async fn new(State(shared): State<App>, request: Request) -> Answered {
    let entry = enter(&shared, NEW, None, request).await?;
    answer_call(shared, entry, None).await
}

pub(super) async fn responses(
    State(shared): State<App>,
    Path(conversation): Path<String>,
    request: Request,
) -> Answered {
    let entry = enter(&shared, RESPONSES, Some(&conversation), request).await?;
    answer_call(shared, entry, Some(conversation)).await
}

/// How an accepted call is answered.
enum Accepted {
    /// From a prepared buffer.
    Prepared(TemplateKey, Asked),
    /// Step by step.
    Play(Script, Box<Turn>),
}

async fn answer_call(shared: App, entry: Entry, conversation: Option<String>) -> Answered {
    let keep = if shared.options.keep_tree { Keep::Tree } else { Keep::Nothing };
    let accepted = {
        let mut state = shared.state();
        let asked = read(&mut state, entry, conversation, keep)?;
        accept(&mut state, asked, keep)?
    };
    Ok(match accepted {
        Accepted::Prepared(key, asked) => prepared(&shared, key, asked),
        Accepted::Play(script, turn) => play(shared, keep, script, *turn).await,
    })
}

/// Takes the account's next reply, and a call from its quota if that reply is an answer.
fn accept(state: &mut Store, asked: Asked, keep: Keep) -> Result<Accepted, Refusal> {
    let account = state.accounts.get_mut(&asked.sso).expect("the cookie was just checked");
    if account.quota(&asked.mode).remaining <= 0 {
        return Err(answer::too_many_requests(ErrorForm::Wrapped));
    }
    let reply = account.next_reply();
    if keep == Keep::Nothing
        && let Some(shape) = shape(&reply)
    {
        account.quota(&asked.mode).remaining -= 1;
        let key = TemplateKey { envelope: asked.envelope(), final_metadata: asked.final_metadata, shape };
        return Ok(Accepted::Prepared(key, asked));
    }
    let branch = match &reply {
        Reply::Default | Reply::Recite => branch(state, &asked),
        _ => Vec::new(),
    };
    let plan = reply.plan(&Question { branch: &branch });
    let quota = state.accounts.get_mut(&asked.sso).expect("the cookie was just checked").quota(&asked.mode);
    match plan {
        Plan::Http { status, content_type, body } => Err(answer::raw(status, &content_type, body.into_bytes()).into()),
        Plan::RateLimited { quota_left } => {
            if !quota_left {
                quota.remaining = 0;
            }
            Err(answer::too_many_requests(ErrorForm::Wrapped))
        }
        Plan::Stream(script) => {
            quota.remaining -= 1;
            Ok(Accepted::Play(script, Box::new(begin(state, asked, keep))))
        }
    }
}

/// Replies that are sent from a prepared buffer under load.
fn shape(reply: &Reply) -> Option<TemplateShape> {
    match *reply {
        Reply::Tokens { tokens, interval, thinking } => Some(TemplateShape::Tokens { tokens, thinking, interval }),
        Reply::Stall => Some(TemplateShape::Stall),
        _ => None,
    }
}

/// The stored branch that is continued, and the message asked now.
fn branch(state: &Store, asked: &Asked) -> Vec<(&'static str, String)> {
    let mut branch = Vec::new();
    if let Some(Continued { conversation, parent: Some(parent) }) = &asked.continued
        && let Some(conversation) = state.conversations.get(conversation)
    {
        branch.extend(conversation.branch(parent).iter().map(|node| (node.sender.name(), node.message.clone())));
    }
    branch.push((Sender::Human.name(), asked.message.clone()));
    branch
}

/// Stores the question and the still empty answer.
fn begin(state: &mut Store, asked: Asked, keep: Keep) -> Turn {
    let envelope = asked.envelope();
    let title = title(&asked.message);
    let user_id = state.accounts.get(&asked.sso).map(|account| account.user_id.clone());
    let mut user = Node::new(ids::fresh(), None, Sender::Human, &asked.message, &asked.mode);
    user.files = asked.files;
    let mut answer = Node::new(ids::fresh(), None, Sender::Assistant, "", &asked.mode);
    answer.parent = Some(user.id.clone());
    let mut conversation = Conversation::new(&asked.sso, "New conversation", asked.temporary);
    let shown = if envelope == Envelope::New { conversation_json(&conversation) } else { Value::Null };
    if let Some(continued) = asked.continued {
        user.parent = continued.parent;
        conversation.id = continued.conversation;
    }
    let conversation_id = conversation.id.clone();
    if keep == Keep::Tree {
        title.clone_into(&mut conversation.title);
        let stored = state.conversations.entry(conversation_id.clone()).or_insert(conversation);
        stored.nodes.extend([user.clone(), answer.clone()]);
    }
    Turn {
        envelope,
        final_metadata: asked.final_metadata,
        conversation_id,
        conversation: shown,
        title,
        user_id: user_id.unwrap_or_default(),
        user,
        answer,
    }
}

fn title(message: &str) -> String {
    let line = message.trim().lines().next_back().unwrap_or_default();
    let title: String = line.chars().take(TITLE_CHARACTERS).collect();
    if title.is_empty() { "New conversation".to_owned() } else { title }
}

fn prepared(shared: &App, key: TemplateKey, asked: Asked) -> Response {
    let guard = StreamGuard::open(&shared.counters);
    let conversation_id = match &asked.continued {
        Some(continued) => continued.conversation.clone(),
        None => ids::fresh(),
    };
    let template = shared.templates.get(key, || {
        let steps = match key.shape {
            TemplateShape::Tokens { tokens, thinking, interval } => paced_steps(tokens, interval, thinking),
            TemplateShape::Stall => stall_steps(),
        };
        // One rendering serves every call: it is made as for a new conversation, whose id has the length of an id.
        let mut turn = begin(&mut Store::default(), Asked { continued: None, ..asked }, Keep::Nothing);
        turn.envelope = key.envelope;
        turn.user.message = "hello".to_owned();
        (turn, steps)
    });
    stream(Body::new(PreparedAnswer::new(template, conversation_id, guard)))
}

/// Sends headers and body as the script has it.
pub(super) async fn play(shared: App, keep: Keep, script: Script, turn: Turn) -> Response {
    let guard = StreamGuard::open(&shared.counters);
    let before_headers = script.before_headers;
    // Made before the wait: whoever leaves during it drops the answer, which settles the tree.
    let answer = Answer::new(shared, keep, script, Renderer::new(turn), guard);
    match before_headers {
        BeforeHeaders::Send => {}
        BeforeHeaders::Wait(wait) => tokio::time::sleep(wait).await,
        BeforeHeaders::Hang => std::future::pending().await,
    }
    stream(Body::new(answer))
}

fn stream(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
