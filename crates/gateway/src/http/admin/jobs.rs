//! `/jobs`: work on many things, which goes on whoever looks.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde_json::{Map, Value, json};

use super::AdminState;
use super::body::Members;
use super::caller::Caller;
use super::described::{AdminErrorBody, JobRequest};
use super::error::AdminError;
use super::identifiers::ResourceId;
use super::query::Parameters;
use super::{accounts, conversations, images};
use crate::admins::Change;
use crate::jobs::{
    Created, DryRun, Filter, JobError, JobItemPage, JobPage, JobView, KINDS, NewJob, OUTCOMES, Resource, Scope,
    parse_work,
};

/// Most ids that a scope may name one by one.
const MOST_IDS: usize = 1_000;

/// Longest time that a caller may wait for the end of a job, in seconds.
const LONGEST_WAIT: usize = 60;

/// `GET /jobs?limit=&offset=`: newest first.
#[utoipa::path(
    get,
    path = "/jobs",
    operation_id = "jobs_list",
    tag = "jobs",
    params(
        ("limit" = Option<u32>, Query, description = "Items of the answer; 50 unless given.", minimum = 1, maximum = 500),
        ("offset" = Option<u32>, Query, description = "Items to skip.", minimum = 0, maximum = 1000000000),
    ),
    responses((status = 200, description = "Jobs, newest first.", body = JobPage)),
)]
pub(super) async fn list(
    State(state): State<AdminState>,
    _: Caller,
    mut parameters: Parameters,
) -> Result<Json<JobPage>, AdminError> {
    let (limit, offset) = (parameters.limit(), parameters.offset());
    parameters.finish()?;
    Ok(Json(state.jobs.list(limit, offset).await?))
}

/// `POST /jobs` `{kind, scope, options, preview_id, dry_run, confirm_token}`
#[utoipa::path(
    post,
    path = "/jobs",
    operation_id = "jobs_start",
    tag = "jobs",
    request_body = JobRequest,
    responses(
        (status = 202, description = "The job, which runs.", body = JobView, headers(("Location" = String))),
        (status = 200, description = "What the job would hit (`dry_run`).", body = DryRun),
        (status = 404, description = "There is no such job to take things from.", body = AdminErrorBody),
        (status = 409, description = "A job of this kind works on some of the same things; `existing` names it.", body = AdminErrorBody),
        (status = 410, description = "The view, preview or confirmation is no longer kept.", body = AdminErrorBody),
    ),
)]
pub(super) async fn start(
    State(state): State<AdminState>,
    caller: Caller,
    mut body: Members,
) -> Result<Response, AdminError> {
    let kind = body.required_text("kind");
    let options = body.optional_object("options").unwrap_or_default();
    let scope = body.optional_object("scope");
    let (preview_id, confirm_token) = (body.text("preview_id"), body.text("confirm_token"));
    let dry_run = body.flag("dry_run").unwrap_or(false);
    if !kind.is_empty() && !KINDS.contains(&kind.as_str()) {
        body.refuse::<()>("kind", "choice", format!("must be one of {}", KINDS.join(", ")));
    }
    body.finish()?;
    let work = parse_work(&kind, &Value::Object(options).to_string())
        .map_err(|message| AdminError::field("/options", "invalid", message))?;
    let scope = scope.map(|scope| read_scope(&state, scope, work.resource())).transpose()?;
    let created_by = caller.name().to_owned();
    match state.jobs.create(NewJob { work, scope, preview_id, dry_run, confirm_token, created_by }).await? {
        Created::Counted(counts) => Ok(Json(counts).into_response()),
        Created::Started(job) => {
            state.note(&caller, Change::new("job.create", &job.id).between(&Value::Null, &job)).await;
            let location = format!("/admin/api/v1/jobs/{}", job.id);
            Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(job)).into_response())
        }
    }
}

/// `GET /jobs/{id}?wait=`: with `wait`, the answer comes when the job ends, at the latest after so many seconds.
#[utoipa::path(
    get,
    path = "/jobs/{id}",
    operation_id = "jobs_show",
    tag = "jobs",
    params(
        ("id" = String, Path, description = "The job.", example = "job_0190a1b2c3d47e8f9a0b1c2d3e4f5a6b"),
        ("wait" = Option<u32>, Query, description = "Seconds to wait for its end.", minimum = 0, maximum = 60),
    ),
    responses((status = 200, description = "The job.", body = JobView)),
)]
pub(super) async fn show(
    State(state): State<AdminState>,
    _: Caller,
    id: ResourceId,
    mut parameters: Parameters,
) -> Result<Json<JobView>, AdminError> {
    let id = id.of_kind("job_")?;
    let wait = parameters.number("wait", 0..=LONGEST_WAIT).unwrap_or(0);
    parameters.finish()?;
    if wait > 0 {
        state.jobs.wait(&id, Duration::from_secs(wait as u64)).await;
    }
    Ok(Json(state.jobs.show(&id).await?))
}

/// `GET /jobs/{id}/items?outcome=&after=&limit=`
#[utoipa::path(
    get,
    path = "/jobs/{id}/items",
    operation_id = "jobs_items",
    tag = "jobs",
    params(
        ("id" = String, Path, description = "The job.", example = "job_0190a1b2c3d47e8f9a0b1c2d3e4f5a6b"),
        ("outcome" = Option<String>, Query, description = "`pending`, `succeeded`, `failed` or `skipped`; all unless given."),
        ("after" = Option<u32>, Query, description = "The position to go on after, as `next` of the page before says.", minimum = 0, maximum = 1000000000),
        ("limit" = Option<u32>, Query, description = "Items of the answer; 50 unless given.", minimum = 1, maximum = 500),
    ),
    responses((status = 200, description = "What became of its things, in order.", body = JobItemPage)),
)]
pub(super) async fn items(
    State(state): State<AdminState>,
    _: Caller,
    id: ResourceId,
    mut parameters: Parameters,
) -> Result<Json<JobItemPage>, AdminError> {
    let id = id.of_kind("job_")?;
    let outcome = parameters.choice("outcome", &OUTCOMES.map(|outcome| (outcome, outcome)));
    let after = parameters.number("after", 0..=1_000_000_000).unwrap_or(0);
    let limit = parameters.limit();
    parameters.finish()?;
    Ok(Json(state.jobs.items(&id, outcome, after, limit).await?))
}

/// `POST /jobs/{id}/actions/{action}`: `cancel`, `pause`, `resume`, `retry_failed`.
#[utoipa::path(
    post,
    path = "/jobs/{id}/actions/{action}",
    operation_id = "jobs_act",
    tag = "jobs",
    params(
        ("id" = String, Path, description = "The job.", example = "job_0190a1b2c3d47e8f9a0b1c2d3e4f5a6b"),
        ("action" = String, Path, description = "`cancel`, `pause`, `resume` or `retry_failed`.", example = "cancel"),
    ),
    responses((status = 200, description = "The job as it is now.", body = JobView), (status = 409, description = "The job's state does not allow it, or another works on the same.", body = AdminErrorBody)),
)]
pub(super) async fn act(
    State(state): State<AdminState>,
    caller: Caller,
    path: Result<axum::extract::Path<(String, String)>, axum::extract::rejection::PathRejection>,
) -> Result<Json<JobView>, AdminError> {
    let axum::extract::Path((id, action)) =
        path.map_err(|_| AdminError::not_found("there is nothing under this id"))?;
    let (name, job) = match action.as_str() {
        "cancel" => ("job.cancel", state.jobs.cancel(&id).await?),
        "pause" => ("job.pause", state.jobs.pause(&id).await?),
        "resume" => ("job.resume", state.jobs.resume(&id).await?),
        "retry_failed" => ("job.retry_failed", state.jobs.retry_failed(&id).await?),
        _ => return Err(AdminError::not_found("jobs can be told to cancel, pause, resume and retry_failed")),
    };
    state.note(&caller, Change::new(name, &id)).await;
    Ok(Json(job))
}

/// `DELETE /jobs/{id}`: forgets one that has ended.
#[utoipa::path(
    delete,
    path = "/jobs/{id}",
    operation_id = "jobs_delete",
    tag = "jobs",
    params(
        ("id" = String, Path, description = "The job.", example = "job_0190a1b2c3d47e8f9a0b1c2d3e4f5a6b"),
    ),
    responses((status = 204, description = "The job and its results are gone."), (status = 409, description = "It runs.", body = AdminErrorBody)),
)]
pub(super) async fn delete(
    State(state): State<AdminState>,
    caller: Caller,
    id: ResourceId,
) -> Result<StatusCode, AdminError> {
    let id = id.of_kind("job_")?;
    state.jobs.delete(&id).await?;
    state.note(&caller, Change::new("job.delete", &id)).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Reads `scope`: exactly one of `ids`, `view` (with `except`), `filter`, `job` (with `outcome`).
fn read_scope(state: &AdminState, mut scope: Map<String, Value>, resource: Resource) -> Result<Scope, AdminError> {
    let wrong = |path: &str, message: String| AdminError::field(path, "invalid", message);
    let texts = |name: &str, value: Value| {
        serde_json::from_value::<Vec<String>>(value)
            .ok()
            .filter(|texts| texts.len() <= MOST_IDS)
            .ok_or_else(|| wrong(&format!("/scope/{name}"), format!("must be a list of at most {MOST_IDS} ids")))
    };
    let text = |name: &str, value: Value| match value {
        Value::String(text) => Ok(text),
        _ => Err(wrong(&format!("/scope/{name}"), "must be a text".to_owned())),
    };
    let read = if let Some(ids) = scope.remove("ids") {
        if resource == Resource::Requests {
            return Err(wrong("/scope/ids", "is not for the request log; use filter".to_owned()));
        }
        Scope::Ids(texts("ids", ids)?)
    } else if let Some(view) = scope.remove("view") {
        if resource != Resource::Accounts {
            return Err(wrong("/scope/view", "is for accounts; use ids or filter".to_owned()));
        }
        let except = scope.remove("except").map(|except| texts("except", except)).transpose()?;
        Scope::View { view: text("view", view)?, except: except.unwrap_or_default() }
    } else if let Some(filter) = scope.remove("filter") {
        Scope::Filter(read_filter(state, filter, resource)?)
    } else if let Some(job) = scope.remove("job") {
        let outcome = scope.remove("outcome").map_or(Ok("succeeded".to_owned()), |outcome| text("outcome", outcome))?;
        if !OUTCOMES[1..].contains(&outcome.as_str()) {
            return Err(wrong("/scope/outcome", format!("must be one of {}", OUTCOMES[1..].join(", "))));
        }
        Scope::Job { id: text("job", job)?, outcome }
    } else {
        return Err(wrong("/scope", "must hold ids, view, filter or job".to_owned()));
    };
    match scope.keys().next() {
        Some(name) => Err(AdminError::field(&format!("/scope/{name}"), "unknown", "is not a member of this scope")),
        None => Ok(read),
    }
}

/// The filter of the list of such things, as an object: texts as in the query, or lists of texts.
fn read_filter(state: &AdminState, filter: Value, resource: Resource) -> Result<Filter, AdminError> {
    let Value::Object(members) = filter else {
        return Err(AdminError::field("/scope/filter", "type", "must be an object"));
    };
    // A variable that a script has not set must not mean everything.
    let is_empty = |value: &Value| match value {
        Value::String(text) => text.trim().is_empty(),
        Value::Array(texts) => texts.iter().all(|text| text.as_str().is_some_and(|text| text.trim().is_empty())),
        _ => false,
    };
    if let Some((name, _)) = members.iter().find(|(_, value)| is_empty(value)) {
        let message = "must not be empty; leave it out where all are meant";
        return Err(AdminError::field(&format!("/scope/filter/{name}"), "empty", message));
    }
    let pairs = members.into_iter().map(|(name, value)| match value {
        Value::String(text) => Ok((name, text)),
        Value::Bool(flag) => Ok((name, flag.to_string())),
        Value::Array(texts) if texts.iter().all(Value::is_string) => {
            let texts: Vec<&str> = texts.iter().filter_map(Value::as_str).collect();
            Ok((name, texts.join(",")))
        }
        _ => Err(AdminError::field(&format!("/scope/filter/{name}"), "type", "must be a text or a list of texts")),
    });
    let mut parameters = Parameters::of(pairs.collect::<Result<_, _>>()?);
    let filter = match resource {
        Resource::Accounts => Filter::Accounts(Box::new(accounts::filter(&mut parameters))),
        Resource::Conversations => Filter::Conversations(Box::new(conversations::filter(&mut parameters, state))),
        Resource::Images => Filter::Images(Box::new(images::filter(&mut parameters))),
        Resource::Requests => Filter::Requests { before: parameters.time("before") },
    };
    parameters.finish().map_err(|error| error.within("/scope/filter"))?;
    Ok(filter)
}

impl From<JobError> for AdminError {
    fn from(error: JobError) -> Self {
        let message = error.to_string();
        match error {
            JobError::NotFound => Self::not_found(message),
            JobError::Running { existing } => {
                Self::new(StatusCode::CONFLICT, "job_running", message).with_member("existing", json!(existing))
            }
            JobError::State { .. } => Self::new(StatusCode::CONFLICT, "conflict", message),
            JobError::Invalid { path, message } => Self::field(path, "invalid", message),
            JobError::PreviewExpired => Self::new(StatusCode::GONE, "preview_expired", message),
            JobError::ConfirmationExpired => Self::new(StatusCode::GONE, "confirmation_expired", message),
            JobError::Account(error) => error.into(),
            JobError::Store(error) => error.into(),
        }
    }
}
