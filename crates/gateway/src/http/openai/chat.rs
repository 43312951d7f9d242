//! `POST /v1/chat/completions`, and `POST /v1/responses` in its short form.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use protocol::openai::RequestError;

use super::stream::{AnswerStream, StreamOptions};
use super::turn::{Turn, TurnBody};
use super::whole::whole_answer;
use crate::audit::{Interruption, RequestEnding, RequestRecord};
use crate::chat::{Answer, Receipt};
use crate::http::ApiState;
use crate::http::body;
use crate::http::caller::{Asking, authenticate};
use crate::http::client_address::ClientAddress;
use crate::http::error::ApiError;
use crate::http::key_limits;
use crate::http::public_url::public_url;
use crate::http::request_id::RequestId;
use crate::http::streamed::LongAnswer;
use crate::keys::{Admission, ApiKey, CONSOLE_KEY, Verified};
use crate::reading;
use crate::settings::Settings;

/// Which way the turn took.
const X_TURN: HeaderName = HeaderName::from_static("x-grok2api-turn");

/// The public conversation id.
const X_CONVERSATION: HeaderName = HeaderName::from_static("x-grok2api-conversation");

/// Members of the body that were accepted and not used.
const X_IGNORED: HeaderName = HeaderName::from_static("x-grok2api-ignored");

/// Longest list of ignored members; some clients send many, and headers have limits.
const IGNORED: usize = 1_000;

type Read = fn(&[u8]) -> Result<TurnBody, RequestError>;

pub(in crate::http) async fn chat_completions(State(state): State<ApiState>, request: Request<Body>) -> Response {
    serve(state, request, "/v1/chat/completions", TurnBody::of_chat).await
}

pub(in crate::http) async fn responses(State(state): State<ApiState>, request: Request<Body>) -> Response {
    serve(state, request, "/v1/responses", TurnBody::of_message).await
}

async fn serve(state: ApiState, request: Request<Body>, route: &'static str, read: Read) -> Response {
    let (parts, body) = request.into_parts();
    let request_id = parts.extensions.get::<RequestId>().cloned().unwrap_or_else(|| RequestId::of(&parts.headers));
    let client = parts.extensions.get::<ClientAddress>().copied();
    // Before the body: a stranger's hundred megabytes are not read. Before the record: what anybody can send is not in the log.
    let asking = Asking { route, headers: &parts.headers, request_id: &request_id, client };
    let key = match authenticate(&state, &asking) {
        Ok(key) => key,
        Err(error) => {
            body::discard(body).await;
            return error.into_response(&request_id.0);
        }
    };
    let user_agent = parts.headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
    let address = client.map(|client| client.0.to_string());
    let mut record = state.recorder.open(&request_id.0, route, address, user_agent);
    record.row.key_id = Some(key.id.clone());
    if let Some(interruption) = parts.extensions.get::<Interruption>() {
        record.watch(interruption);
    }
    let settings = state.settings.current();
    let admission = match state.keys.admit(&key).map_err(|reached| key_limits::refusal(&reached)) {
        Ok(admission) => admission,
        Err(error) => {
            body::discard(body).await;
            return refuse(error, &mut record, &request_id);
        }
    };
    let rate = admission.rate;
    let mut response = match read_turn(admission.key(), &settings, &parts.headers, body, read, &mut record).await {
        Ok(mut turn) => {
            turn.ask.public_url = public_url(&parts.headers, client.map(|client| client.1), &settings);
            let options = options(&state, &settings, &turn, admission, &request_id, &record);
            let answered = Box::pin(answer(state, turn, record, options)).await;
            answered.unwrap_or_else(|error| error.into_response(&request_id.0))
        }
        Err(error) => refuse(error, &mut record, &request_id),
    };
    if let Some(rate) = rate {
        key_limits::mark(&rate, response.headers_mut());
    }
    response
}

async fn read_turn(
    key: &ApiKey,
    settings: &Settings,
    headers: &HeaderMap,
    body: Body,
    read: Read,
    record: &mut RequestRecord,
) -> Result<Turn, ApiError> {
    let limit = usize::try_from(settings.max_body_mb.saturating_mul(1024 * 1024)).unwrap_or(usize::MAX);
    let body = body::read(headers, body, limit).await;
    let body = body.map_err(|error| ApiError::of_body(error, settings.max_body_mb))?;
    record.read();
    let body = reading::read(body.len(), move || read(&body)).await?;
    let turn = Turn::new(body, key, settings, headers);
    note_turn(&turn, key, settings, record)?;
    Ok(turn)
}

/// Notes what is asked, and refuses what is switched off and what the key may not.
fn note_turn(turn: &Turn, key: &ApiKey, settings: &Settings, record: &mut RequestRecord) -> Result<(), ApiError> {
    record.row.model = Some(turn.model.chars().take(128).collect());
    record.row.mode = Some(turn.ask.model.mode.id().chars().take(128).collect());
    record.row.stream = turn.stream;
    record.row.prompt_tokens = i64::try_from(turn.prompt_tokens).ok();
    if !settings.is_model_enabled(&turn.model) {
        return Err(ApiError::model_disabled(&turn.model));
    }
    if !key.allows(&turn.model) && !key.allows(&turn.ask.model.id) {
        return Err(ApiError::model_not_allowed(&turn.model));
    }
    Ok(())
}

fn refuse(error: ApiError, record: &mut RequestRecord, request_id: &RequestId) -> Response {
    refused(error, record).into_response(&request_id.0)
}

/// Notes a refusal.
fn refused(error: ApiError, record: &mut RequestRecord) -> ApiError {
    record.end(RequestEnding::Failed, error.status.as_u16(), Some(error.code));
    record.error_words(error.message());
    error
}

/// What is asked by the console.
pub(in crate::http) struct ConsoleAsk {
    /// A chat completion request.
    pub(in crate::http) body: Vec<u8>,
    /// The key whose limits and models apply; its conversations are not touched.
    pub(in crate::http) as_key: Option<String>,
    /// The only account that may serve.
    pub(in crate::http) account: Option<String>,
}

/// Answers the console as a client is answered, under its own name and with more to tell.
pub(in crate::http) async fn console_chat(
    state: ApiState,
    ask: ConsoleAsk,
    headers: &HeaderMap,
    mut record: RequestRecord,
    request_id: RequestId,
) -> Result<Response, ApiError> {
    record.row.key_id = Some(CONSOLE_KEY.to_owned());
    let settings = state.settings.current();
    let turn = async {
        let admission = admit_console(&state, ask.as_key.as_deref())?;
        record.read();
        let body = reading::read(ask.body.len(), move || TurnBody::of_chat(&ask.body)).await?;
        let mut turn = Turn::new(body, admission.key(), &settings, headers);
        note_turn(&turn, admission.key(), &settings, &mut record)?;
        // Whatever key's limits apply: the conversations are the console's.
        CONSOLE_KEY.clone_into(&mut turn.ask.key_id);
        turn.ask.account = ask.account;
        Ok((turn, admission))
    };
    let (turn, admission) = match Box::pin(turn).await {
        Ok(admitted) => admitted,
        Err(error) => return Err(refused(error, &mut record)),
    };
    let meta = Some(state.accounts.clone());
    let options = StreamOptions { meta, ..options(&state, &settings, &turn, admission, &request_id, &record) };
    Box::pin(answer(state, turn, record, options)).await
}

fn admit_console(state: &ApiState, as_key: Option<&str>) -> Result<Admission, ApiError> {
    let key = match as_key.map(|id| state.keys.by_id(id)) {
        None => Arc::new(ApiKey::console()),
        Some(Verified::Ok(key)) => key,
        Some(Verified::Disabled) => return Err(ApiError::disabled_key()),
        Some(Verified::Expired | Verified::Replaced) => return Err(ApiError::expired_key()),
        Some(Verified::Unknown) => return Err(ApiError::unknown_key()),
    };
    state.keys.admit(&key).map_err(|reached| key_limits::refusal(&reached))
}

fn options(
    state: &ApiState,
    settings: &Settings,
    turn: &Turn,
    admission: Admission,
    request_id: &RequestId,
    record: &RequestRecord,
) -> StreamOptions {
    StreamOptions {
        at_most: Duration::from_secs(settings.stream_timeout.saturating_add(settings.client_timeout)),
        interruption: record.interruption().clone(),
        model: turn.model.clone(),
        created: state.clock.now_ms() / 1_000,
        format: turn.format,
        include_usage: turn.include_usage,
        prompt_tokens: turn.prompt_tokens,
        keep_alive: Duration::from_secs(settings.keep_alive_interval),
        request_id: request_id.clone(),
        clock: state.clock.clone(),
        admission: Some(admission),
        meta: None,
    }
}

/// The answer to a turn, or why there is none.
async fn answer(
    state: ApiState,
    turn: Turn,
    record: RequestRecord,
    options: StreamOptions,
) -> Result<Response, ApiError> {
    let ignored = ignored_header(&turn.ignored);
    let chat = state.chat.clone();
    let mut response = if turn.stream {
        let mut starting = Box::pin(async move { chat.start(turn.ask, record).await });
        // A silent start must not outlast the patience of proxies: then the answer begins with a keep-alive, and attempts go
        // on behind it.
        match tokio::time::timeout(options.keep_alive, &mut starting).await {
            Ok(Ok(answer)) => {
                let (conversation, receipt) = (answer.conversation_id().to_owned(), answer.receipt());
                let mut response = event_stream(AnswerStream::streaming(answer, options));
                mark(response.headers_mut(), &conversation, receipt);
                response
            }
            Ok(Err((error, mut record))) => {
                return Err(refused(ApiError::of_chat(&error, state.clock.now_ms()), &mut record));
            }
            Err(_) => event_stream(AnswerStream::starting(starting, options)),
        }
    } else {
        match chat.start(turn.ask, record).await {
            Ok(answer) => whole(answer, options).await?,
            Err((error, mut record)) => {
                return Err(refused(ApiError::of_chat(&error, state.clock.now_ms()), &mut record));
            }
        }
    };
    if let Some(ignored) = ignored {
        response.headers_mut().insert(X_IGNORED, ignored);
    }
    Ok(response)
}

fn event_stream(body: AnswerStream) -> Response {
    let at_most = body.at_most();
    let mut response = Body::new(body).into_response();
    response.extensions_mut().insert(LongAnswer { at_most });
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Some reverse proxies collect a response before they pass it on.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

async fn whole(mut answer: Answer, options: StreamOptions) -> Result<Response, ApiError> {
    let (conversation, receipt) = (answer.conversation_id().to_owned(), answer.receipt());
    match whole_answer(&mut answer, &options).await {
        Ok(body) => {
            let mut response = (StatusCode::OK, body).into_response();
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            mark(response.headers_mut(), &conversation, receipt);
            Ok(response)
        }
        // Nothing has left yet, so a late failure still gets its status.
        Err(error) => Err(refused(ApiError::of_chat(&error, options.clock.now_ms()), &mut answer.record)),
    }
}

fn mark(headers: &mut HeaderMap, conversation: &str, receipt: Receipt) {
    headers.insert(X_TURN, HeaderValue::from_static(receipt.label()));
    if let Ok(conversation) = HeaderValue::from_str(conversation) {
        headers.insert(X_CONVERSATION, conversation);
    }
}

fn ignored_header(names: &[String]) -> Option<HeaderValue> {
    let mut list = String::new();
    for name in names.iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')) {
        if list.len() + name.len() > IGNORED {
            break;
        }
        if !list.is_empty() {
            list.push_str(", ");
        }
        list.push_str(name);
    }
    (!list.is_empty()).then(|| HeaderValue::from_str(&list).ok()).flatten()
}
