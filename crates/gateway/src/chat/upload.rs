//! The images of a turn, given to the account that serves it.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use protocol::failure::{FailureKind, Rejection};
use protocol::openai::Image;
use protocol::rest::{self, Uploaded};
use tokio::time::Instant;

use super::Shared;
use crate::settings::Settings;
use crate::upstream::{CallError, Credential, UpstreamError, UpstreamErrorKind};

/// Uploaded at the same time for one turn.
const AT_ONCE: usize = 4;

/// How long the first route is left alone after the upstream said that it is not there.
const MISSING: Duration = Duration::from_secs(1_800);

/// Which of the upstream's two routes takes files (UPSTREAM.md 10).
#[derive(Default)]
pub(super) struct UploadRoutes {
    first_missing_until: Mutex<Option<Instant>>,
}

impl UploadRoutes {
    fn first_is_missing(&self) -> bool {
        let until = *self.first_missing_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| until > Instant::now())
    }

    fn note_first_missing(&self) {
        *self.first_missing_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + MISSING);
    }
}

/// Uploads `images`; answers their ids, in order. Files belong to an account, so every attempt uploads its own.
pub(super) async fn upload(
    shared: &Shared,
    images: &[Image],
    credential: &Credential,
    settings: &Settings,
) -> Result<Vec<String>, UpstreamError> {
    let uploading = stream::iter(images.to_vec()).map(|image| upload_one(shared, image, credential, settings));
    uploading.buffered(AT_ONCE).try_collect().await
}

async fn upload_one(
    shared: &Shared,
    image: Image,
    credential: &Credential,
    settings: &Settings,
) -> Result<String, UpstreamError> {
    let routes = &shared.upload_routes;
    if !routes.first_is_missing() {
        let told = shared.upstream.upload(credential, rest::upload(&image), settings, rest::read_upload).await;
        match told {
            Err(error) if is_no_route(&error) => {
                tracing::info!(error = %error, "the upstream takes no uploads by the first route; trying the second");
            }
            told => return told_of_upload(told),
        }
    }
    let told =
        shared.upstream.upload(credential, rest::upload_direct(&image), settings, rest::read_upload_direct).await;
    if let Err(error) = &told
        && is_no_route(error)
    {
        return Err(UpstreamErrorKind::NoUpload(error.to_string()).into());
    }
    // Only now: whatever is in the way of both is not the routes' absence.
    routes.note_first_missing();
    told_of_upload(told)
}

/// An upload that finds nothing has not found its route: it names nothing else that could be missing.
fn is_no_route(error: &CallError) -> bool {
    let CallError::Upstream(error) = error else { return false };
    matches!(error.status, Some(404 | 405 | 410))
        || matches!(&error.kind, UpstreamErrorKind::Failure(failure) if failure.kind == FailureKind::NotFound)
}

/// Whose fault a refused upload is. What is said of the credential or of the way out counts as ever; the rest is about the file.
fn told_of_upload(told: Result<Uploaded, CallError>) -> Result<String, UpstreamError> {
    let error = match told {
        Ok(Uploaded::As(id)) => return Ok(id),
        Ok(Uploaded::Refused(words)) => return Err(UpstreamErrorKind::FileRefused(words).into()),
        Err(CallError::Unreadable(words)) => return Err(UpstreamErrorKind::Protocol(words).into()),
        Err(CallError::Upstream(error)) => error,
    };
    let status = error.status;
    let kind = match error.kind {
        UpstreamErrorKind::Failure(failure) => match failure.kind {
            FailureKind::Rejected { reason: Rejection::BadRequest | Rejection::TooLong | Rejection::Attachment } => {
                UpstreamErrorKind::FileRefused(failure.message)
            }
            // It says nothing about the chats that the account has left.
            FailureKind::RateLimited { .. } => UpstreamErrorKind::UploadsLimited(failure.message),
            _ => UpstreamErrorKind::Failure(failure),
        },
        kind => kind,
    };
    Err(UpstreamError { kind, status })
}
