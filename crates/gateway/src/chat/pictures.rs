//! The images of a turn, as far as they are needed: those of the question always, those of earlier questions only where the
//! history is replayed.

use protocol::openai::Image;
use tokio::sync::{OnceCell, OwnedSemaphorePermit};

use super::{ChatError, Shared};
use crate::conversations::Plan;
use crate::images::{fetch_all, fetch_what_is_there, keep_what_is_needed};
use crate::settings::Settings;

/// The images of one request, fetched once, however many attempts it takes.
pub(super) struct Pictures {
    asked: Vec<Image>,
    earlier: OnceCell<Earlier>,
    /// Memory for what was fetched of the question.
    _reserved: OwnedSemaphorePermit,
}

/// What there is of the images of earlier questions.
#[derive(Default)]
struct Earlier {
    images: Vec<Image>,
    /// How many of them belong to each pair of the history.
    per_pair: Vec<usize>,
    _reserved: Option<OwnedSemaphorePermit>,
}

impl Pictures {
    /// Fetches those of the question.
    pub(super) async fn of_question(shared: &Shared, plan: &Plan, settings: &Settings) -> Result<Self, ChatError> {
        let sources = plan.asked_images();
        let mut reserved = shared.image_memory.reserve(sources).await.ok_or(ChatError::ImagesBusy)?;
        let asked =
            if sources.is_empty() { Vec::new() } else { fetch_all(&shared.upstream, sources, settings).await? };
        keep_what_is_needed(&mut reserved, &asked);
        Ok(Self { asked, earlier: OnceCell::new(), _reserved: reserved })
    }

    /// Those of the question.
    pub(super) fn asked(&self) -> Vec<Image> {
        self.asked.clone()
    }

    /// All of them, oldest first, for a conversation that begins anew, and how many belong to each pair of the history.
    pub(super) async fn all(&self, shared: &Shared, plan: &Plan, settings: &Settings) -> (Vec<Image>, &[usize]) {
        let earlier = self.earlier.get_or_init(|| self.fetch_earlier(shared, plan, settings)).await;
        (earlier.images.iter().chain(&self.asked).cloned().collect(), &earlier.per_pair)
    }

    async fn fetch_earlier(&self, shared: &Shared, plan: &Plan, settings: &Settings) -> Earlier {
        let by_pair: Vec<_> = plan.earlier_images().collect();
        let sources: Vec<_> = by_pair.iter().flat_map(|sources| sources.iter().cloned()).collect();
        if sources.is_empty() {
            return Earlier::default();
        }
        let most = usize::try_from(settings.max_images).unwrap_or(usize::MAX).saturating_sub(self.asked.len());
        // Without room they are left out, as what can no longer be had.
        let Some(mut reserved) = shared.image_memory.reserve(&sources).await else {
            tracing::info!("images of earlier messages are left out: too many are under way");
            return Earlier::default();
        };
        let mut fetched = fetch_what_is_there(&shared.upstream, &sources, most, settings).await.into_iter();
        let mut earlier = Earlier::default();
        for sources in by_pair {
            let before = earlier.images.len();
            earlier.images.extend(fetched.by_ref().take(sources.len()).flatten());
            earlier.per_pair.push(earlier.images.len() - before);
        }
        keep_what_is_needed(&mut reserved, &earlier.images);
        earlier._reserved = Some(reserved);
        earlier
    }
}
