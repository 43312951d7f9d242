//! `POST /claim`: the first admin of a fresh gateway, for whoever has the code that was printed at its start.

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};

use super::AdminState;
use super::body::StrangersMembers;
use super::caller::check_origin;
use super::described::ClaimRequest;
use super::error::AdminError;
use super::session::{Security, opening_cookies};
use crate::admins::{Actor, ActorKind, Browser, Change, Claim};
use crate::http::request_id::RequestId;

/// `POST /claim`. Signs in, too: name and password were just given.
#[utoipa::path(
    post,
    path = "/claim",
    operation_id = "claim_claim",
    tag = "session",
    request_body = ClaimRequest,
    responses((status = 204, description = "The gateway is claimed and the caller signed in.")),
)]
pub(super) async fn claim(
    State(state): State<AdminState>,
    browser: Browser,
    headers: HeaderMap,
    Extension(request_id): Extension<RequestId>,
    StrangersMembers(mut body): StrangersMembers,
) -> Result<Response, AdminError> {
    check_origin(&headers, &state.settings.current())?;
    let security = Security::of(&headers, &state.settings.current())?;
    let code = body.required_text("code");
    let (username, password) = (body.required_text("username"), body.required_text("password"));
    body.finish()?;
    let address = browser.address;
    let new = match state.admins.claim(Claim { code, username, password, browser }).await {
        Ok(new) => new,
        Err(error) => {
            tracing::warn!(%address, %error, "a claim was refused");
            return Err(error.into());
        }
    };
    let actor = Actor {
        kind: ActorKind::Session,
        name: new.session.username.clone(),
        address: Some(address),
        request_id: Some(request_id.0),
    };
    state.trail.record(&actor, Change::new("admin.claim", &new.session.username)).await;
    Ok((StatusCode::NO_CONTENT, opening_cookies(&new, security)).into_response())
}
