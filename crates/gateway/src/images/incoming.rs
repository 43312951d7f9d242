//! Images of a question that are named by an address: fetched before the question goes upstream.

use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use protocol::openai::{Image, ImageLink, ImageSource, LARGEST_IMAGE};
use tokio::time::Instant;

use crate::settings::Settings;
use crate::upstream::{Upstream, WebError};

/// Fetched at the same time for one request.
const AT_ONCE: usize = 4;

/// For all images of earlier questions together: the account that waits for them is not to blame.
const EARLIER_PATIENCE: Duration = Duration::from_secs(15);

/// All images of one turn together; they are held in memory until they are uploaded.
const ALL_TOGETHER: usize = 64 * 1024 * 1024;

/// Why an image of a request cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ImageProblem {
    /// Constant name for clients.
    pub(crate) code: &'static str,
    /// Where it stands in the request.
    pub(crate) param: String,
    pub(crate) message: String,
}

impl ImageProblem {
    fn new(code: &'static str, link: &ImageLink, what: &str) -> Self {
        Self { code, param: link.param.clone(), message: format!("`{}` {what}.", link.param) }
    }

    fn of_web(link: &ImageLink, error: &WebError) -> Self {
        let code = match error {
            WebError::TooLarge(_) => "image_too_large",
            _ => "invalid_image_url",
        };
        Self::new(code, link, &error.to_string())
    }
}

/// The images of a question, in order; an image that cannot be had is the client's to mend.
pub(crate) async fn fetch_all(
    upstream: &Upstream,
    sources: &[ImageSource],
    settings: &Settings,
) -> Result<Vec<Image>, ImageProblem> {
    let most = usize::try_from(settings.max_images).unwrap_or(usize::MAX);
    if sources.len() > most {
        let message = format!("One message may hold {most} images; this one holds {}.", sources.len());
        return Err(ImageProblem { code: "too_many_images", param: "messages".to_owned(), message });
    }
    let fetching = stream::iter(sources.to_vec()).map(|source| fetch(upstream, source, settings));
    let images: Vec<Image> = fetching.buffered(AT_ONCE).try_collect().await?;
    let mut size = 0;
    for (source, image) in sources.iter().zip(&images) {
        size += image.bytes().len();
        if let ImageSource::Link(link) = source
            && size > ALL_TOGETHER
        {
            let most = ALL_TOGETHER / 1024 / 1024;
            let what = format!("is too much: the images of one message may have {most} MiB together");
            return Err(ImageProblem::new("image_too_large", link, &what));
        }
    }
    Ok(images)
}

/// The images of earlier questions, to be shown again, at most `most` of them and the newest first: what can no longer be had is
/// `None`, for a link that has expired must not end a conversation.
pub(crate) async fn fetch_what_is_there(
    upstream: &Upstream,
    sources: &[ImageSource],
    most: usize,
    settings: &Settings,
) -> Vec<Option<Image>> {
    let left_out = sources.len().saturating_sub(most);
    let until = Instant::now() + EARLIER_PATIENCE;
    let fetching = stream::iter(sources[left_out..].to_vec()).map(|source| async move {
        match tokio::time::timeout_at(until, fetch(upstream, source, settings)).await {
            Ok(Ok(image)) => Some(image),
            Ok(Err(problem)) => {
                tracing::info!(error = %problem, "an image of an earlier message can no longer be fetched");
                None
            }
            Err(_) => None,
        }
    });
    let mut images = vec![None; left_out];
    images.extend(fetching.buffered(AT_ONCE).collect::<Vec<_>>().await);
    let mut size = 0;
    for image in images.iter_mut().rev() {
        size += image.as_ref().map_or(0, |image| image.bytes().len());
        if size > ALL_TOGETHER {
            *image = None;
        }
    }
    images
}

async fn fetch(upstream: &Upstream, source: ImageSource, settings: &Settings) -> Result<Image, ImageProblem> {
    let link = match source {
        ImageSource::Inline(image) => return Ok(image),
        ImageSource::Link(link) => link,
    };
    let fetched = upstream.fetch_from_web(&link.url, LARGEST_IMAGE, settings).await;
    let bytes = fetched.map_err(|error| ImageProblem::of_web(&link, &error))?;
    let what = "does not lead to a PNG, JPEG, GIF or WebP image";
    Image::of_bytes(bytes.into()).ok_or_else(|| ImageProblem::new("unsupported_content", &link, what))
}
