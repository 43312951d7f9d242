//! `/imports/preview`: what an import would add, before it does.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;

use super::AdminState;
use super::body::LargeMembers;
use super::caller::Caller;
use super::described::{AdminErrorBody, PreviewRequest};
use super::error::AdminError;
use super::identifiers::ResourceId;
use crate::imports::{Preview, PreviewView};

/// Most texts of one import.
const MOST_FILES: usize = 50;

/// Longest name of a file that is kept, in characters.
const FILE_NAME: usize = 80;

/// One of several texts.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedText {
    #[serde(default)]
    name: String,
    text: String,
}

/// `POST /imports/preview` `{text}` or `{files:[{name, text}]}`: accounts in whatever form people have them.
#[utoipa::path(
    post,
    path = "/imports/preview",
    operation_id = "imports_preview",
    tag = "jobs",
    request_body = PreviewRequest,
    responses((status = 201, description = "What was read. A job of the kind `accounts.import` adds it.", body = PreviewView), (status = 413, description = "More than 32 MB.", body = AdminErrorBody)),
)]
pub(super) async fn preview(
    State(state): State<AdminState>,
    _: Caller,
    LargeMembers(mut body): LargeMembers,
) -> Result<Response, AdminError> {
    let text = body.text("text");
    let files = body.values("files");
    let mut sources: Vec<(String, String)> = text.map(|text| (String::new(), text)).into_iter().collect();
    for file in files.into_iter().flatten() {
        match serde_json::from_value::<NamedText>(file) {
            Ok(NamedText { name, text }) => {
                let name = name.chars().filter(|character| !character.is_control()).take(FILE_NAME).collect();
                sources.push((name, text));
            }
            Err(_) => drop(body.refuse::<()>("files", "type", "must be a list of objects with a name and a text")),
        }
    }
    if sources.is_empty() {
        body.refuse::<()>("text", "required", "is required, or files");
    }
    if sources.len() > MOST_FILES {
        body.refuse::<()>("files", "max", format!("must be at most {MOST_FILES}"));
    }
    body.finish()?;
    let accounts = state.accounts.clone();
    let read = tokio::task::spawn_blocking(move || Preview::read(&sources, &accounts));
    let preview = read.await.map_err(AdminError::internal)?;
    Ok((StatusCode::CREATED, Json(state.jobs.previews().keep(preview))).into_response())
}

/// `GET /imports/preview/{id}`
#[utoipa::path(
    get,
    path = "/imports/preview/{id}",
    operation_id = "imports_show",
    tag = "jobs",
    params(
        ("id" = String, Path, description = "The preview.", example = "prv_0190a1b2c3d47e8f"),
    ),
    responses((status = 200, description = "What was read.", body = PreviewView)),
)]
pub(super) async fn show(
    State(state): State<AdminState>,
    _: Caller,
    id: ResourceId,
) -> Result<Json<PreviewView>, AdminError> {
    let id = id.of_kind("prv_")?;
    let preview = state.jobs.previews().show(&id);
    preview.map(Json).ok_or_else(|| AdminError::not_found("there is no such preview; it may have been used or expired"))
}
