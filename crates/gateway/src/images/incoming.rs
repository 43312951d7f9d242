//! Images of a question that are named by an address: fetched before the question goes upstream.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use protocol::openai::{Image, ImageLink, ImageSource, LARGEST_IMAGE};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::settings::Settings;
use crate::upstream::{Room, Upstream, WebError};

/// Fetched at the same time for one request.
const AT_ONCE: usize = 4;

/// For all images of earlier questions together: the account that waits for them is not to blame.
const EARLIER_PATIENCE: Duration = Duration::from_secs(15);

/// All images of one turn together; they are held in memory until they are uploaded.
const ALL_TOGETHER: usize = 64 * 1024 * 1024;

/// What the images of all requests together may take while they are fetched and given to an account.
const ALL_REQUESTS: usize = 256 * 1024 * 1024;

/// What is reserved at once: the counter is smaller than a machine's memory.
const UNIT: usize = 1024;

/// How long a request waits for its part of that.
const RESERVATION_PATIENCE: Duration = Duration::from_secs(30);

/// A cheap handle to the memory for images that are named by an address.
#[derive(Clone)]
pub(crate) struct ImageMemory(Arc<Semaphore>);

impl Default for ImageMemory {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ALL_REQUESTS / UNIT)))
    }
}

impl ImageMemory {
    /// Room for the images of one message that are to be fetched, however large they turn out to be, until it is dropped; `None` where
    /// there is none for too long. One reservation each, for whoever waited with a part in hand could wait for ever.
    pub(crate) async fn reserve(&self, sources: &[ImageSource]) -> Option<OwnedSemaphorePermit> {
        let links = sources.iter().filter(|source| matches!(source, ImageSource::Link(_))).count();
        let bytes = links.saturating_mul(LARGEST_IMAGE).min(ALL_TOGETHER);
        let reserving = Arc::clone(&self.0).acquire_many_owned(u32::try_from(bytes / UNIT).ok()?);
        tokio::time::timeout(RESERVATION_PATIENCE, reserving).await.ok()?.ok()
    }
}

/// Gives back what the images that came do not need.
pub(crate) fn keep_what_is_needed(reserved: &mut OwnedSemaphorePermit, images: &[Image]) {
    let needed = images.iter().map(|image| image.bytes().len()).sum::<usize>().div_ceil(UNIT);
    let unneeded = reserved.num_permits().saturating_sub(needed);
    drop(reserved.split(unneeded));
}

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
            WebError::TooLarge(_) | WebError::TooMuch(_) => "image_too_large",
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
    let room = Room::new(ALL_TOGETHER);
    for source in sources {
        // What the message itself holds is in memory anyway, and leaves that much less for what is fetched.
        if let ImageSource::Inline(image) = source {
            room.take(image.bytes().len()).ok();
        }
    }
    let fetching = stream::iter(sources.to_vec()).map(|source| fetch(upstream, source, &room, settings));
    fetching.buffered(AT_ONCE).try_collect().await
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
    let room = Room::new(ALL_TOGETHER);
    // The newest first: where there is not room for all, the oldest are left out.
    let newest_first: Vec<_> = sources[left_out..].iter().rev().cloned().collect();
    let room = &room;
    let fetching = stream::iter(newest_first).map(|source| async move {
        match tokio::time::timeout_at(until, fetch_earlier(upstream, source, room, settings)).await {
            Ok(Ok(image)) => Some(image),
            Ok(Err(problem)) => {
                tracing::info!(error = %problem, "an image of an earlier message can no longer be fetched");
                None
            }
            Err(_) => None,
        }
    });
    let mut images: Vec<_> = fetching.buffered(AT_ONCE).collect().await;
    images.resize(sources.len(), None);
    images.reverse();
    images
}

/// As [`fetch`]; here what a message held itself takes its part of the room too, or is left out.
async fn fetch_earlier(
    upstream: &Upstream,
    source: ImageSource,
    room: &Room,
    settings: &Settings,
) -> Result<Image, ImageProblem> {
    if let ImageSource::Inline(image) = &source
        && let Err(error) = room.take(image.bytes().len())
    {
        return Err(ImageProblem::of_web(&ImageLink::new("", "messages"), &error));
    }
    fetch(upstream, source, room, settings).await
}

async fn fetch(
    upstream: &Upstream,
    source: ImageSource,
    room: &Room,
    settings: &Settings,
) -> Result<Image, ImageProblem> {
    let link = match source {
        ImageSource::Inline(image) => return Ok(image),
        ImageSource::Link(link) => link,
    };
    let fetched = upstream.fetch_from_web(&link.url, LARGEST_IMAGE, room, settings).await;
    let bytes = fetched.map_err(|error| ImageProblem::of_web(&link, &error))?;
    let what = "does not lead to a PNG, JPEG, GIF or WebP image";
    Image::of_bytes(bytes.into()).ok_or_else(|| ImageProblem::new("unsupported_content", &link, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn requests_with_images_share_what_there_is() {
        let links = |count: usize| vec![ImageSource::Link(ImageLink::new("https://h.example/a.png", "x")); count];
        let memory = ImageMemory::default();
        assert_eq!(memory.reserve(&[]).await.unwrap().num_permits(), 0, "what holds none waits for nobody");
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(memory.reserve(&links(20)).await.unwrap());
        }
        assert!(memory.reserve(&links(1)).await.is_none(), "after its patience");
        let image = Image::of_bytes([b"\x89PNG\r\n\x1a\n".as_slice(), &[0; 4_000_000]].concat()).unwrap();
        keep_what_is_needed(&mut held[0], std::slice::from_ref(&image));
        assert_eq!(held[0].num_permits(), 3_907);
        assert!(memory.reserve(&links(2)).await.is_some());
        drop(held);
        assert_eq!(memory.0.available_permits(), ALL_REQUESTS / UNIT);
    }
}
