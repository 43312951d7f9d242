//! `PUT /me/password`

use axum::extract::State;
use http::StatusCode;

use super::AdminState;
use super::body::Members;
use super::caller::Person;
use super::described::PasswordRequest;
use super::error::AdminError;
use crate::admins::{AdminsError, Browser, Change};

/// Replaces the caller's password and ends their other sessions.
#[utoipa::path(
    put,
    path = "/me/password",
    operation_id = "password_change",
    tag = "session",
    request_body = PasswordRequest,
    responses((status = 204, description = "The password is changed; other sessions have ended.")),
)]
pub(super) async fn change(
    State(state): State<AdminState>,
    browser: Browser,
    person: Person,
    mut body: Members,
) -> Result<StatusCode, AdminError> {
    let (current, new) = (body.required_text("current"), body.required_text("new"));
    body.finish()?;
    let address = browser.address;
    match state.admins.change_password(&person.session, &current, &new, address).await {
        Ok(()) => {}
        // Not 401: the session is fine, and a client that took it for ended would throw the form away.
        Err(AdminsError::WrongCredentials) => {
            return Err(AdminError::field("/current", "wrong", "is not the present password"));
        }
        Err(error) => return Err(error.into()),
    }
    let change = Change::new("admin.change_password", &person.session.username);
    state.note(&person.caller, change).await;
    Ok(StatusCode::NO_CONTENT)
}
