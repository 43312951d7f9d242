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
};
use crate::{
    account::mode_of,
    calls::{StreamGuard, Transport},
    ids,
    prepared::Shape,
    rest::{Answer, Envelope, Form, PreparedAnswer, Renderer, TemplateKey, conversation_json, prepare},
    script::{BeforeHeaders, Plan, Question, Reply, Script},
    state::{Conversation, State as Store},
    turn::{Asked, Keep, Keeper, Turn, Wanted, admit, begin, branch},
};

const NEW: Route = Route::streaming("new");
const RESPONSES: Route = Route::streaming("responses");

pub(super) async fn new(State(shared): State<App>, request: Request) -> Answered {
    check_route(&shared, NEW)?;
    let entry = enter(&shared, NEW, None, request).await?;
    answer_call(shared, entry, None).await
}

pub(super) async fn responses(
    State(shared): State<App>,
    Path(conversation): Path<String>,
    request: Request,
) -> Answered {
    check_route(&shared, RESPONSES)?;
    let entry = enter(&shared, RESPONSES, Some(&conversation), request).await?;
    answer_call(shared, entry, Some(conversation)).await
}

/// The chat routes may be gone while all others work (UPSTREAM.md 16).
fn check_route(shared: &App, route: Route) -> Result<(), Refusal> {
    if shared.switches.rest_chat() {
        return Ok(());
    }
    *shared.state().counts.entry(route.name).or_default() += 1;
    Err(answer::no_route())
}

/// How an accepted call is answered.
enum Accepted {
    /// From a prepared buffer.
    Prepared(TemplateKey, Box<Asked>),
    /// Step by step.
    Play(Script, Form, Box<Turn>),
}

async fn answer_call(shared: App, entry: Entry, conversation: Option<String>) -> Answered {
    let keep = shared.keep();
    let accepted = {
        let mut state = shared.state();
        state.count_transport(Transport::Rest);
        let final_metadata = entry.body["sendFinalMetadata"] == true;
        let wanted = wanted(entry, conversation);
        let asked = admit(&mut state, wanted, keep).map_err(|fault| answer::inadmissible(ErrorForm::Wrapped, fault))?;
        accept(&mut state, asked, final_metadata, keep)?
    };
    Ok(match accepted {
        Accepted::Prepared(key, asked) => prepared(&shared, key, *asked),
        Accepted::Play(script, form, turn) => play(shared, keep, script, form, *turn).await,
    })
}

fn wanted(entry: Entry, conversation: Option<String>) -> Wanted {
    let Entry { sso, body } = entry;
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    let files = body["fileAttachments"].as_array().map(Vec::as_slice).unwrap_or_default();
    Wanted {
        sso,
        message: text("message").unwrap_or_default(),
        mode: mode_of(&body),
        conversation,
        parent: text("parentResponseId"),
        files: files.iter().map(|file| file.as_str().unwrap_or_default().to_owned()).collect(),
        temporary: body["temporary"] == true,
        input_chunks: None,
    }
}

/// Takes the account's next reply, and a call from its quota if that reply is an answer.
fn accept(state: &mut Store, asked: Asked, final_metadata: bool, keep: Keep) -> Result<Accepted, Refusal> {
    let account = state.accounts.get_mut(&asked.sso).expect("the cookie was just checked");
    if account.quota(&asked.mode).remaining <= 0 {
        return Err(answer::too_many_requests(ErrorForm::Wrapped));
    }
    let reply = account.next_reply();
    if keep == Keep::Nothing
        && let Some(shape) = Shape::of(&reply)
    {
        account.quota(&asked.mode).remaining -= 1;
        let key = TemplateKey { envelope: envelope(&asked), final_metadata, shape };
        return Ok(Accepted::Prepared(key, Box::new(asked)));
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
            let (form, turn) = formed(state, asked, final_metadata, keep);
            Ok(Accepted::Play(script, form, Box::new(turn)))
        }
    }
}

fn envelope(asked: &Asked) -> Envelope {
    if asked.continued.is_some() { Envelope::Flat } else { Envelope::New }
}

/// Stores the question, and tells which form its answer has.
fn formed(state: &mut Store, asked: Asked, final_metadata: bool, keep: Keep) -> (Form, Turn) {
    let envelope = envelope(&asked);
    let new = Conversation::new(&asked.sso, "New conversation", asked.temporary);
    let conversation = if envelope == Envelope::New { conversation_json(&new) } else { Value::Null };
    (Form { envelope, final_metadata, conversation }, begin(state, asked, new, keep))
}

fn prepared(shared: &App, key: TemplateKey, asked: Asked) -> Response {
    let guard = StreamGuard::open(&shared.counters);
    let conversation_id = match &asked.continued {
        Some(continued) => continued.conversation.clone(),
        None => ids::fresh(),
    };
    let prepared = shared.rest_answers.get(key, || {
        // One rendering serves every call: it is made as for a new conversation, whose id has the length of an id.
        let asked = Asked { continued: None, ..asked };
        let (form, mut turn) = formed(&mut Store::default(), asked, key.final_metadata, Keep::Nothing);
        turn.user.message = "hello".to_owned();
        prepare(Form { envelope: key.envelope, ..form }, turn, key.shape)
    });
    stream(Body::new(PreparedAnswer::new(prepared, conversation_id, guard)))
}

/// Sends headers and body as the script has it.
pub(super) async fn play(shared: App, keep: Keep, script: Script, form: Form, turn: Turn) -> Response {
    let guard = StreamGuard::open(&shared.counters);
    let before_headers = script.before_headers;
    // Made before the wait: whoever leaves during it drops the answer, which settles the tree.
    let answer = Answer::new(Keeper::new(shared, keep), script, Renderer::new(form, turn), guard);
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
