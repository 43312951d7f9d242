//! The images that the model made: fetched from the upstream with the account's cookies, kept, and served.
//!
//! An answer links to an image before anybody has it. It is fetched beside the answer; whoever follows the link in the meantime
//! waits for the same fetch. An image that could not be kept is fetched again when it is asked for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use protocol::openai::Image;
use protocol::translate::MadeImage;
use serde_json::{Value, json};
use tokio::sync::{OnceCell, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::files::ImageFiles;
use crate::clock::Clock;
use crate::events::Events;
use crate::settings::{Settings, SettingsHandle};
use crate::store::images::{ImageFilter, ImageRow, ImageTotals};
use crate::store::{Store, StoreError};
use crate::upstream::{Credential, Room, Upstream};

/// In front of ids where things of all kinds are named; links have them without.
pub(crate) const ID_PREFIX: &str = "img_";

/// The largest image that is fetched.
const LARGEST: usize = 32 * 1024 * 1024;

/// Fetched at the same time, whoever waits: each may be as large as is permitted.
const AT_ONCE: usize = 8;

/// Pauses before a failed fetch is tried again: what was made this moment need not be everywhere at the upstream yet.
const AGAIN: [Duration; 2] = [Duration::from_millis(400), Duration::from_millis(1_200)];

/// How long a failed fetch stands before a visitor causes another.
const FAILURE_STANDS: Duration = Duration::from_secs(30);

/// Failures that are remembered before old ones are looked for.
const FAILURES_KEPT: usize = 256;

/// How long the end of an answer waits for its images.
const END_WAITS: Duration = Duration::from_secs(10);

/// How long it is known where an image was of which nothing is kept.
const FORGET_MS: i64 = 7 * 24 * 3_600_000;

/// Images deleted by one statement.
const BATCH: i64 = 200;

/// Finds the credential of an account by its id.
pub(crate) type FindCredential = Arc<dyn Fn(&str) -> Option<Credential> + Send + Sync>;

/// What the cache works with.
pub(crate) struct ImageRooms {
    pub(crate) settings: SettingsHandle,
    pub(crate) store: Store,
    pub(crate) upstream: Upstream,
    pub(crate) files: ImageFiles,
    pub(crate) credentials: FindCredential,
    pub(crate) events: Events,
    pub(crate) clock: Clock,
    /// Owns fetches that go on behind an answer.
    pub(crate) tasks: TaskTracker,
}

/// A cheap handle to the images that were made.
#[derive(Clone)]
pub(crate) struct Images {
    shared: Arc<Shared>,
}

struct Shared {
    rooms: ImageRooms,
    under_way: Mutex<HashMap<String, Arc<Fetch>>>,
    /// Size of all that is kept.
    bytes: AtomicI64,
    /// Visits that are not stored yet.
    hits: Mutex<HashMap<String, i64>>,
    trimming: tokio::sync::Mutex<()>,
    fetching: Semaphore,
}

/// One fetch, whoever waits for it.
struct Fetch {
    row: ImageRow,
    outcome: OnceCell<Result<Picture, Failed>>,
}

#[derive(Clone)]
struct Failed {
    words: Arc<str>,
    at: Instant,
}

/// An image as it is served.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    pub(crate) bytes: Bytes,
    pub(crate) media_type: &'static str,
}

/// Why an image cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImageError {
    #[error("there is no such image; it may have been deleted, or it was the oldest when the cache was full")]
    NotFound,
    #[error("the image could not be fetched from the upstream: {0}")]
    Fetch(Arc<str>),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the image cannot be read: {0}")]
    Read(#[from] std::io::Error),
}

/// Which answer an image belongs to.
#[derive(Clone, Debug)]
pub(crate) struct ImageOrigin {
    pub(crate) account_id: String,
    pub(crate) key_id: Option<String>,
    pub(crate) request_id: String,
    pub(crate) model: Option<String>,
}

/// The images of one answer that are being fetched.
#[derive(Default)]
pub(crate) struct PendingImages(Vec<JoinHandle<()>>);

impl PendingImages {
    /// Waits for them, within bounds. They are fetched on where that was not enough.
    pub(crate) async fn settled(self) {
        let waiting = async {
            for task in self.0 {
                // It notes its own failures.
                let _ = task.await;
            }
        };
        let _ = tokio::time::timeout(END_WAITS, waiting).await;
    }
}

impl Images {
    /// Takes up what earlier runs kept.
    pub(crate) async fn load(rooms: ImageRooms) -> Result<Self, StoreError> {
        let totals = rooms.store.image_totals(&ImageFilter::default()).await?;
        let shared = Shared {
            rooms,
            under_way: Mutex::default(),
            bytes: AtomicI64::new(totals.bytes),
            hits: Mutex::default(),
            trimming: tokio::sync::Mutex::default(),
            fetching: Semaphore::new(AT_ONCE),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Fetches the images of an answer beside it. From now on they can be asked for.
    pub(crate) fn keep(&self, origin: &ImageOrigin, made: Vec<MadeImage>, pending: &mut PendingImages) {
        for MadeImage { id, source } in made {
            let row = ImageRow {
                id: id.clone(),
                account_id: origin.account_id.clone(),
                key_id: origin.key_id.clone(),
                request_id: origin.request_id.clone(),
                model: origin.model.clone(),
                source,
                media_type: None,
                bytes: 0,
                created_at: self.shared.rooms.clock.now_ms(),
                hits: 0,
            };
            let fetch = Arc::new(Fetch { row, outcome: OnceCell::new() });
            let known = self.under_way().insert(id.clone(), Arc::clone(&fetch));
            if let Some(known) = known {
                // Told again, by a replay of the same answer.
                self.under_way().insert(id, known);
                continue;
            }
            let images = self.clone();
            pending.0.push(self.shared.rooms.tasks.spawn(async move {
                if let Err(error) = images.shared.rooms.store.insert_image(&fetch.row).await {
                    tracing::error!(error = %error, "an image could not be noted; its link will not last");
                }
                if let Err(failed) = images.finish(&fetch).await {
                    let ImageRow { id, account_id, request_id, .. } = &fetch.row;
                    tracing::warn!(
                        image = id, account = account_id, request.id = request_id, error = %failed.words,
                        "an image could not be fetched; it is tried again when its link is followed"
                    );
                }
                images.tell(&json!({ "created": format!("{ID_PREFIX}{}", fetch.row.id) }));
            }));
        }
    }

    /// An image, from what is kept or from the upstream.
    pub(crate) async fn get(&self, id: &str) -> Result<Picture, ImageError> {
        let fetch = match self.fetch_under_way(id) {
            Some(fetch) => fetch,
            None => {
                let row = self.shared.rooms.store.image(id).await?.ok_or(ImageError::NotFound)?;
                if row.bytes > 0
                    && let Some(bytes) = self.shared.rooms.files.get(id).await?
                    && let Some(media_type) = kind_of(&bytes)
                {
                    return Ok(Picture { bytes, media_type });
                }
                let fetch = Arc::new(Fetch { row, outcome: OnceCell::new() });
                Arc::clone(self.under_way().entry(id.to_owned()).or_insert(fetch))
            }
        };
        self.finish(&fetch).await.map_err(|failed| ImageError::Fetch(failed.words))
    }

    /// Counts a visit.
    pub(crate) fn visited(&self, id: &str) {
        *self.shared.hits.lock().unwrap_or_else(PoisonError::into_inner).entry(id.to_owned()).or_default() += 1;
    }

    /// A window of those that match, newest first, and how many match.
    pub(crate) async fn list(
        &self,
        filter: &ImageFilter,
        offset: i64,
        limit: i64,
    ) -> Result<(Vec<ImageRow>, i64), StoreError> {
        self.store_visits().await?;
        let total = self.totals(filter).await?.count;
        Ok((self.shared.rooms.store.images(filter, offset, limit).await?, total))
    }

    /// The ids of all that match, the newest first.
    pub(crate) async fn ids(&self, filter: &ImageFilter) -> Result<Vec<String>, StoreError> {
        self.shared.rooms.store.image_ids(filter).await
    }

    /// What is known of one.
    pub(crate) async fn show(&self, id: &str) -> Result<Option<ImageRow>, StoreError> {
        self.store_visits().await?;
        self.shared.rooms.store.image(id).await
    }

    /// How many match, and what they take up.
    pub(crate) async fn totals(&self, filter: &ImageFilter) -> Result<ImageTotals, StoreError> {
        self.shared.rooms.store.image_totals(filter).await
    }

    /// Those that would go next.
    pub(crate) async fn next_to_go(&self, count: i64) -> Result<Vec<ImageRow>, StoreError> {
        self.shared.rooms.store.oldest_kept_images(count).await
    }

    /// Deletes all that match, batch by batch; `deleted` is told of each batch and says whether to go on.
    pub(crate) async fn delete_matching(
        &self,
        filter: &ImageFilter,
        mut deleted: impl FnMut(&[ImageRow]) -> bool,
    ) -> Result<u64, StoreError> {
        let mut count = 0;
        loop {
            let rows = self.shared.rooms.store.delete_images(filter, BATCH).await?;
            self.remove_files(&rows).await;
            count += u64::try_from(rows.len()).unwrap_or(0);
            if !deleted(&rows) || i64::try_from(rows.len()).is_ok_and(|rows| rows < BATCH) {
                return Ok(count);
            }
        }
    }

    /// Stores the visits that were counted.
    pub(crate) async fn store_visits(&self) -> Result<(), StoreError> {
        let hits = std::mem::take(&mut *self.shared.hits.lock().unwrap_or_else(PoisonError::into_inner));
        if hits.is_empty() {
            return Ok(());
        }
        self.shared.rooms.store.add_image_hits(&hits.into_iter().collect::<Vec<_>>()).await
    }

    /// Keeps the cache to its size, oldest out, and forgets what is long gone.
    pub(crate) async fn trim(&self) -> Result<u64, StoreError> {
        let forgotten = self.shared.rooms.store.forget_images(self.shared.rooms.clock.now_ms() - FORGET_MS).await?;
        Ok(forgotten + self.trim_to_size().await?)
    }

    /// Removes files that belong to no image, as a crash or an older copy of the database leaves them.
    pub(crate) async fn sweep(&self) -> Result<usize, ImageError> {
        let rooms = &self.shared.rooms;
        let mut strangers = Vec::new();
        for name in rooms.files.names().await? {
            let is_known = self.fetch_under_way(&name).is_some() || rooms.store.image(&name).await?.is_some();
            if !is_known && is_id(&name) {
                strangers.push(name);
            }
        }
        let count = strangers.len();
        rooms.files.remove(strangers).await?;
        Ok(count)
    }

    async fn trim_to_size(&self) -> Result<u64, StoreError> {
        // Whoever holds it does the work of all.
        let Ok(_trimming) = self.shared.trimming.try_lock() else { return Ok(0) };
        let rooms = &self.shared.rooms;
        let mut count = 0;
        loop {
            let mut excess = self.shared.bytes.load(Ordering::Relaxed) - capacity(&rooms.settings.current());
            if excess <= 0 {
                return Ok(count);
            }
            let mut ids = Vec::new();
            for row in rooms.store.oldest_kept_images(BATCH).await? {
                if excess > 0 {
                    excess -= row.bytes;
                    ids.push(row.id);
                }
            }
            if ids.is_empty() {
                self.shared.bytes.store(0, Ordering::Relaxed);
                return Ok(count);
            }
            let rows =
                rooms.store.delete_images(&ImageFilter { ids: Some(ids), ..ImageFilter::default() }, BATCH).await?;
            self.remove_files(&rows).await;
            count += u64::try_from(rows.len()).unwrap_or(0);
            if rows.is_empty() {
                return Ok(count);
            }
        }
    }

    async fn remove_files(&self, rows: &[ImageRow]) {
        if rows.is_empty() {
            return;
        }
        let mut names = Vec::with_capacity(rows.len());
        for row in rows {
            self.under_way().remove(&row.id);
            self.shared.bytes.fetch_sub(row.bytes, Ordering::Relaxed);
            names.push(row.id.clone());
        }
        if let Err(error) = self.shared.rooms.files.remove(names).await {
            tracing::warn!(error = %error, "the files of deleted images could not all be removed");
        }
        self.tell(&json!({ "deleted": rows.len() }));
    }

    /// Tells consoles that the list is another one.
    fn tell(&self, what: &Value) {
        self.shared.rooms.events.publish("image.list_changed", "images", "", what);
    }

    fn under_way(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Fetch>>> {
        self.shared.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fetch of an image, unless it failed long enough ago to be tried again.
    fn fetch_under_way(&self, id: &str) -> Option<Arc<Fetch>> {
        let mut under_way = self.under_way();
        let fetch = Arc::clone(under_way.get(id)?);
        if fetch.is_over() {
            under_way.remove(id);
            return None;
        }
        Some(fetch)
    }

    /// Runs a fetch to its end, or waits for whoever runs it.
    async fn finish(&self, fetch: &Arc<Fetch>) -> Result<Picture, Failed> {
        let outcome = fetch.outcome.get_or_init(|| self.fetch_and_keep(&fetch.row)).await.clone();
        let mut under_way = self.under_way();
        if outcome.is_ok() {
            // Unless another one has taken its place.
            if under_way.get(&fetch.row.id).is_some_and(|current| Arc::ptr_eq(current, fetch)) {
                under_way.remove(&fetch.row.id);
            }
        } else if under_way.len() > FAILURES_KEPT {
            under_way.retain(|_, fetch| !fetch.is_over());
        }
        outcome
    }

    async fn fetch_and_keep(&self, row: &ImageRow) -> Result<Picture, Failed> {
        let settings = self.shared.rooms.settings.current();
        let mut pauses = AGAIN.iter();
        let bytes = loop {
            match self.fetch(row, &settings).await {
                Ok(bytes) => break bytes,
                Err(words) => match pauses.next() {
                    Some(pause) => tokio::time::sleep(*pause).await,
                    None => return Err(Failed::now(&words)),
                },
            }
        };
        let media_type =
            kind_of(&bytes).ok_or_else(|| Failed::now("what came is not a PNG, JPEG, GIF or WebP image"))?;
        let picture = Picture { bytes, media_type };
        self.keep_bytes(row, &picture, &settings).await;
        Ok(picture)
    }

    async fn fetch(&self, row: &ImageRow, settings: &Settings) -> Result<Bytes, String> {
        let _place = self.shared.fetching.acquire().await.map_err(|error| error.to_string())?;
        let ImageRooms { upstream, credentials, .. } = &self.shared.rooms;
        if !upstream.is_asset(&row.source) {
            // Some images lie in the open. Nobody's cookies go there.
            return upstream
                .fetch_from_web(&row.source, LARGEST, &Room::new(LARGEST), settings)
                .await
                .map_err(|error| format!("it {error}"));
        }
        let credential = credentials(&row.account_id).ok_or("the account that made it is gone")?;
        upstream.fetch_asset(&credential, &row.source, LARGEST, settings).await.map_err(|error| error.to_string())
    }

    /// An image that cannot be kept is served all the same.
    async fn keep_bytes(&self, row: &ImageRow, picture: &Picture, settings: &Settings) {
        let size = i64::try_from(picture.bytes.len()).unwrap_or(i64::MAX);
        if size > capacity(settings) {
            return;
        }
        let ImageRooms { files, store, .. } = &self.shared.rooms;
        if let Err(error) = files.put(&row.id, picture.bytes.clone()).await {
            tracing::warn!(image = row.id, error = %error, "an image could not be kept on the disk; it is fetched again when it is asked for");
            return;
        }
        match store.image_kept(&row.id, picture.media_type, size).await {
            Ok(true) => {
                // What was kept of it before, and was lost, is in the sum already.
                self.shared.bytes.fetch_add(size - row.bytes, Ordering::Relaxed);
                if let Err(error) = self.trim_to_size().await {
                    tracing::warn!(error = %error, "the image cache could not be trimmed");
                }
            }
            Ok(false) => {
                // Deleted in the meantime. If the file cannot be removed, the next start does it.
                let _ = files.remove(vec![row.id.clone()]).await;
            }
            Err(error) => tracing::warn!(image = row.id, error = %error, "a kept image could not be noted"),
        }
    }
}

impl Fetch {
    /// It failed, and that has stood long enough.
    fn is_over(&self) -> bool {
        matches!(self.outcome.get(), Some(Err(failed)) if failed.at.elapsed() > FAILURE_STANDS)
    }
}

impl Failed {
    fn now(words: &str) -> Self {
        Self { words: words.into(), at: Instant::now() }
    }
}

/// Whether this can be the id of an image.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The ending of links to images of this type; any ending leads to the image.
pub(crate) fn extension_of(media_type: Option<&str>) -> &'static str {
    match media_type {
        Some("image/png") => "png",
        Some("image/gif") => "gif",
        Some("image/webp") => "webp",
        _ => "jpg",
    }
}

fn kind_of(bytes: &[u8]) -> Option<&'static str> {
    Image::media_type_of(bytes)
}

fn capacity(settings: &Settings) -> i64 {
    i64::try_from(settings.max_image_cache_mb.saturating_mul(1024 * 1024)).unwrap_or(i64::MAX)
}
