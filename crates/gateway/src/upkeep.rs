//! Periodic work, beside the requests: settings edited by hand, usage to be stored, quota to be read, what has grown too old.

use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accounts::AccountPool;
use crate::admins::{Actor, ActorKind, Admins, Trail};
use crate::audit::Retention;
use crate::chat::ChatService;
use crate::clock::Clock;
use crate::conversations::{Conversations, Limits};
use crate::events::Events;
use crate::http::admin::{settings_change, settings_event};
use crate::images::Images;
use crate::jobs::Jobs;
use crate::keys::ApiKeys;
use crate::settings::{FILE, SettingsHandle, SettingsHistory};
use crate::store::Store;
use crate::telemetry::{Logging, Metrics};

/// How often the settings file is looked at. Looking, not listening: change events do not cross many container mounts.
const LOOK_AT_SETTINGS: Duration = Duration::from_secs(2);

/// How often it is stored when accounts and keys were last used.
const STORE_USAGE: Duration = Duration::from_secs(30);

/// How often what is too old or too much goes.
const TRIM: Duration = Duration::from_secs(60);

/// How often it is looked whose quota is to be read.
const CHECK_QUOTA: Duration = Duration::from_secs(60);

/// How often it is looked whether the database files are still there.
const LOOK_AT_FILES: Duration = Duration::from_secs(2);

/// How often the pages of the database are checked.
const CHECK_PAGES: Duration = Duration::from_secs(86_400);

/// The handles that the work needs.
pub(crate) struct Upkeep {
    pub(crate) settings: SettingsHandle,
    pub(crate) history: SettingsHistory,
    pub(crate) events: Events,
    pub(crate) store: Store,
    pub(crate) keys: ApiKeys,
    pub(crate) admins: Admins,
    pub(crate) trail: Trail,
    pub(crate) accounts: AccountPool,
    pub(crate) conversations: Conversations,
    pub(crate) chat: ChatService,
    pub(crate) images: Images,
    pub(crate) jobs: Jobs,
    pub(crate) logging: Option<Logging>,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Clock,
}

impl Upkeep {
    /// Starts the work; it ends with `stop`.
    pub(crate) fn spawn(self, tasks: &TaskTracker, stop: &CancellationToken) {
        // On its own, because a large log takes its time.
        let log = LogTrimming { settings: self.settings.clone(), store: self.store.clone(), clock: self.clock.clone() };
        let (stop, log_stop) = (stop.clone(), stop.clone());
        // On its own, because it keeps to a pace.
        let (chat, quota_stop) = (self.chat.clone(), stop.clone());
        tasks.spawn(async move { quota_stop.run_until_cancelled(check_quota(chat)).await });
        // Once, and on its own, because there may be many files.
        let (images, images_stop) = (self.images.clone(), stop.clone());
        tasks.spawn(async move { images_stop.run_until_cancelled(Self::sweep_images(images)).await });
        let (files, clock, files_stop) = (self.store.clone(), self.clock.clone(), stop.clone());
        tasks.spawn(async move { files_stop.run_until_cancelled(watch_files(files, clock)).await });
        // On its own, because it takes its time on purpose.
        let (pages, pages_stop) = (self.store.clone(), stop.clone());
        tasks.spawn(async move { pages_stop.run_until_cancelled(check_pages(pages)).await });
        tasks.spawn(async move { log_stop.run_until_cancelled(log.run()).await });
        tasks.spawn(async move { stop.run_until_cancelled(self.run()).await });
    }

    async fn run(self) {
        let mut look = every(LOOK_AT_SETTINGS);
        let mut store_usage = every(STORE_USAGE);
        let mut trim = every(TRIM);
        let mut changes = self.settings.subscribe();
        self.apply_log_settings();
        loop {
            tokio::select! {
                _ = look.tick() => {
                    self.settings.poll();
                    self.count_dropped_lines();
                }
                _ = changes.changed() => {
                    let version = changes.borrow_and_update().clone();
                    self.settings_changed(&version).await;
                }
                _ = store_usage.tick() => self.store_usage().await,
                _ = trim.tick() => self.trim().await,
            }
        }
    }

    async fn settings_changed(&self, version: &str) {
        self.apply_log_settings();
        self.trim_images().await;
        self.events.publish("settings", "settings", "", &settings_event(version));
        match self.history.notice().await {
            Ok(changes) if changes.is_empty() => {}
            // Whoever changes them by the admin API is in the trail already.
            Ok(changes) => {
                let actor = Actor { kind: ActorKind::System, name: FILE.to_owned(), address: None, request_id: None };
                self.trail.record(&actor, settings_change("settings.update", &changes)).await;
            }
            Err(error) => tracing::warn!(error = %error, "a change of the settings could not be written down"),
        }
    }

    fn apply_log_settings(&self) {
        if let Some(logging) = &self.logging {
            let settings = self.settings.current();
            logging.set_level(settings.log_level.as_str());
            logging.set_file_limit(settings.max_log_file_mb);
        }
    }

    fn count_dropped_lines(&self) {
        if let Some(logging) = &self.logging {
            self.metrics.log_dropped(logging.dropped_lines());
        }
    }

    async fn store_usage(&self) {
        self.accounts.flush().await;
        if let Err(error) = self.keys.flush_usage().await {
            tracing::warn!(error = %error, "when the keys were last used could not be stored");
        }
        if let Err(error) = self.images.store_visits().await {
            tracing::warn!(error = %error, "how often images were seen could not be stored");
        }
        if let Err(error) = self.admins.flush().await {
            tracing::warn!(error = %error, "when the console's sessions were last used could not be stored");
        }
    }

    async fn sweep_images(images: Images) {
        match images.sweep().await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "files of images that nobody knows are gone"),
            Err(error) => tracing::warn!(error = %error, "the image cache could not be looked through"),
        }
    }

    async fn trim_images(&self) {
        match self.images.trim().await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "the oldest images are gone"),
            Err(error) => tracing::warn!(error = %error, "the image cache could not be trimmed"),
        }
    }

    async fn trim(&self) {
        let settings = self.settings.current();
        let limits = Limits { ttl: settings.conversation_ttl, per_account: settings.max_conversations_per_token };
        match self.conversations.trim(limits, &self.chat.take_busy_accounts()).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "conversations that were too old or too many are gone"),
            Err(error) => tracing::warn!(error = %error, "conversations could not be trimmed"),
        }
        self.trim_images().await;
        match self.accounts.empty_bin().await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "accounts that were deleted a week ago are gone for good"),
            Err(error) => tracing::warn!(error = %error, "the bin could not be emptied"),
        }
        if let Err(error) = self.jobs.trim().await {
            tracing::warn!(error = %error, "old jobs could not be trimmed");
        }
        if let Err(error) = self.accounts.trim_history().await {
            tracing::warn!(error = %error, "the accounts' history could not be trimmed");
        }
        if let Err(error) = self.trail.trim().await {
            tracing::warn!(error = %error, "the audit trail could not be trimmed");
        }
    }
}

/// Reads the quota of accounts that were not read for long.
async fn check_quota(chat: ChatService) {
    let mut due = every(CHECK_QUOTA);
    loop {
        due.tick().await;
        chat.check_due_accounts(CHECK_QUOTA).await;
    }
}

/// Saves what the database files hold when they were deleted or replaced; once, for then nothing is written any more.
async fn watch_files(store: Store, clock: Clock) {
    while !store.is_replaced() {
        tokio::time::sleep(LOOK_AT_FILES).await;
    }
    if let Err(error) = store.rescue(clock.now_ms()).await {
        tracing::error!(%error, "the database files were deleted or replaced, and what they held could not be saved");
    }
}

/// Looks for damaged pages, at the start and then daily.
async fn check_pages(store: Store) {
    loop {
        if let Err(error) = store.check_pages().await {
            tracing::warn!(%error, "the database's pages could not be checked");
        }
        tokio::time::sleep(CHECK_PAGES).await;
    }
}

/// Keeps the request log and the statistics to their size and age.
struct LogTrimming {
    settings: SettingsHandle,
    store: Store,
    clock: Clock,
}

impl LogTrimming {
    async fn run(self) {
        let mut trim = every(TRIM);
        loop {
            trim.tick().await;
            match Retention::of(&self.settings.current()).apply(&self.store, &self.clock).await {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "entries of the request log that were too old or too many are gone"),
                Err(error) => tracing::warn!(error = %error, "the request log could not be trimmed"),
            }
        }
    }
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
