//! The images of a turn, given to the account that serves it.

use protocol::failure::FailureKind;
use protocol::openai::Image;
use protocol::rest;

use super::Shared;
use crate::settings::Settings;
use crate::upstream::{CallError, Credential, UpstreamError, UpstreamErrorKind};

/// Uploads `images`; answers their ids, in order. Files belong to an account, so every attempt uploads its own.
pub(super) async fn upload(
    shared: &Shared,
    images: &[Image],
    credential: &Credential,
    settings: &Settings,
) -> Result<Vec<String>, UpstreamError> {
    let mut ids = Vec::with_capacity(images.len());
    for image in images {
        let uploaded = shared.upstream.call(credential, rest::upload(image), settings, rest::read_upload).await;
        ids.push(uploaded.map_err(|error| match error {
            CallError::Upstream(error) => not_the_conversation(error),
            CallError::Unreadable(words) => UpstreamErrorKind::Protocol(words).into(),
        })?);
    }
    Ok(ids)
}

/// An upload that finds nothing says nothing about the conversation, which would else be taken for lost.
fn not_the_conversation(error: UpstreamError) -> UpstreamError {
    match error.kind {
        UpstreamErrorKind::Failure(failure) if failure.kind == FailureKind::NotFound => {
            UpstreamErrorKind::Protocol(failure.message).into()
        }
        kind => kind.into(),
    }
}
