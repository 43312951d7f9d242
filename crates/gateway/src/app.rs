//! Every handle, built once and in order; start and orderly stop.

use std::net::SocketAddr;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accounts::AccountPool;
use crate::admins::{Admins, Trail};
use crate::audit::{DriftLog, Recorder, Records, Retention};
use crate::bootstrap::{
    Bootstrap, BootstrapError, DataDirectory, FirstStartNotice, first_start, gateway_address, prepare_data_dir,
};
use crate::chat::{ChatRooms, ChatService};
use crate::clock::Clock;
use crate::conversations::Conversations;
use crate::events::Events;
use crate::http::admin::{self, AdminState};
use crate::http::console;
use crate::http::{ApiState, Ends, Front, Listener, Workers};
use crate::images::{ImageFiles, ImageRooms, Images};
use crate::jobs::{JobRooms, Jobs};
use crate::keys::ApiKeys;
use crate::secrets::{Cipher, SecretError};
use crate::settings::{SettingsError, SettingsHandle, SettingsHistory};
use crate::store::{Store, StoreError, Writer};
use crate::telemetry::{Logging, Metrics};
use crate::upkeep;
use crate::upstream::{ExitBreaker, Upstream, UpstreamOptions};

/// What is still under way after the connections have ended (a commit, a quota question) gets this long.
const LAST_TASKS: Duration = Duration::from_secs(10);

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
    #[error("{0}")]
    Component(String),
    #[error("cannot listen on {address}: {error}")]
    Listen { address: SocketAddr, error: std::io::Error },
}

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> Self {
        Self::Component(error.to_string())
    }
}

impl From<SecretError> for StartError {
    fn from(error: SecretError) -> Self {
        Self::Component(error.to_string())
    }
}

impl From<SettingsError> for StartError {
    fn from(error: SettingsError) -> Self {
        Self::Component(error.to_string())
    }
}

/// A running gateway.
pub struct Gateway {
    address: SocketAddr,
    metrics_address: Option<SocketAddr>,
    notice: FirstStartNotice,
    api: ApiState,
    events: Events,
    stop: Stop,
    workers: Workers,
    logging: Option<Logging>,
    _directory: DataDirectory,
}

/// What an orderly stop needs.
struct Stop {
    ends: Ends,
    writer: CancellationToken,
    chat_tasks: TaskTracker,
    background: TaskTracker,
    writer_tasks: TaskTracker,
}

impl Gateway {
    /// Builds everything and begins to serve.
    pub async fn start(bootstrap: Bootstrap, clock: Clock, logging: Option<Logging>) -> Result<Self, StartError> {
        let directory = prepare_data_dir(&bootstrap.data_dir)?;
        let settings = SettingsHandle::open(&directory.config_file(), clock.clone())?;
        if let Some(logging) = &logging {
            logging.open_file(&directory.logs(), settings.current().max_log_file_mb);
        }
        // In this order: the cipher leaves a mark that there are data, and a mark beside no database means that they were lost.
        let store = Store::open(directory.path(), bootstrap.database_url.as_deref()).await?;
        let cipher = Cipher::load_or_create(directory.path(), bootstrap.secrets.secret_key.as_deref())?;
        let history = SettingsHistory::load(settings.clone(), store.clone(), cipher.clone(), clock.clone()).await?;
        let stop = Stop::new();
        let writer = Writer::start(store.clone(), &stop.writer_tasks, stop.writer.clone());
        let keys = ApiKeys::load(store.clone(), writer.clone(), clock.clone()).await?;
        let (claim_file, sealing) = (directory.claim_file(), cipher.clone());
        let admins = Admins::load(store.clone(), settings.clone(), sealing, clock.clone(), claim_file).await?;
        let accounts = AccountPool::load(store.clone(), writer.clone(), cipher.clone(), clock.clone()).await?;
        let conversations = Conversations::new(store.clone(), writer.clone(), clock.clone());
        let exit = ExitBreaker::new(settings.clone(), clock.clone());
        let metrics = Metrics::new();
        let upstream = upstream(&bootstrap, &stop.chat_tasks)?;
        let events = Events::new(&clock);
        let images = Images::load(ImageRooms {
            settings: settings.clone(),
            store: store.clone(),
            upstream: upstream.clone(),
            files: ImageFiles::new(directory.images()),
            credentials: {
                let accounts = accounts.clone();
                std::sync::Arc::new(move |account_id| accounts.credential(account_id))
            },
            events: events.clone(),
            clock: clock.clone(),
            tasks: stop.chat_tasks.clone(),
        })
        .await?;
        let chat = ChatService::new(ChatRooms {
            settings: settings.clone(),
            accounts: accounts.clone(),
            conversations: conversations.clone(),
            upstream: upstream.clone(),
            exit: exit.clone(),
            drift: DriftLog::new(writer.clone(), metrics.clone(), clock.clone()),
            images: images.clone(),
            assets_url: bootstrap.assets_url.clone(),
            tasks: stop.chat_tasks.clone(),
        });
        let trail = Trail::new(store.clone(), events.clone(), clock.clone());
        let api = ApiState {
            settings: settings.clone(),
            keys: keys.clone(),
            admins: admins.clone(),
            accounts: accounts.clone(),
            chat: chat.clone(),
            images: images.clone(),
            recorder: Recorder::new(writer.clone(), metrics.clone(), clock.clone()),
            metrics: metrics.clone(),
            store: store.clone(),
            writer,
            exit,
            clock: clock.clone(),
        };
        let listener = bind(bootstrap.listen)?;
        let address = listener.address().map_err(|error| StartError::Listen { address: bootstrap.listen, error })?;
        let job_rooms = JobRooms {
            store: store.clone(),
            accounts: accounts.clone(),
            chat: chat.clone(),
            recorder: api.recorder.clone(),
            conversations: conversations.clone(),
            images: images.clone(),
            settings: settings.clone(),
            events: events.clone(),
            cipher,
            clock: clock.clone(),
        };
        let jobs = Jobs::load(job_rooms, stop.background.clone(), stop.ends.soft.clone()).await?;
        let admin = admin_state(
            &api,
            trail.clone(),
            events.clone(),
            history.clone(),
            upstream,
            (conversations.clone(), jobs.clone()),
        );
        let front = Front::new(api.clone(), admin_router(admin.clone()));
        let metrics_listener = bootstrap.metrics_listen.map(bind).transpose()?;
        let public_address = gateway_address(address, &settings.current().base_url);
        let notice = first_start(&admins, &keys, &bootstrap.secrets, &directory.claim_file(), &public_address).await?;
        let upkeep = upkeep::Upkeep {
            settings,
            history,
            events: events.clone(),
            store,
            keys,
            admins,
            trail,
            accounts,
            conversations,
            chat,
            images,
            jobs,
            logging: logging.clone(),
            metrics,
            clock,
        };
        upkeep.spawn(&stop.background, &stop.ends.soft);
        let soft = stop.ends.soft.clone();
        stop.background.spawn(async move { soft.run_until_cancelled(admin::tell_consoles(admin)).await });
        let metrics_address = metrics_listener.as_ref().and_then(|listener| listener.address().ok());
        let workers = Workers::start(&stop.ends)
            .map_err(|error| StartError::Component(format!("the workers cannot start: {error}")))?;
        if let Some(listener) = metrics_listener {
            stop.background.spawn(workers.accept(listener, Front::metrics_only(api.clone()), &stop.ends));
        }
        stop.background.spawn(workers.accept(listener, front, &stop.ends));
        Ok(Self { address, metrics_address, notice, api, events, stop, workers, logging, _directory: directory })
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of `/metrics` without a token, if there is one.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// The claim link and the first key, if this start made them. They cannot be shown again.
    #[must_use]
    pub fn notice(&self) -> String {
        self.notice.to_string()
    }

    /// Looks at the settings file now, as it does every few seconds.
    pub fn poll_settings(&self) {
        self.api.settings.poll();
    }

    /// Trims the request log, the statistics and the bin of accounts now, as it does every minute.
    pub async fn trim(&self) {
        let retention = Retention::of(&self.api.settings.current());
        if let Err(error) = retention.apply(&self.api.store, &self.api.clock).await {
            tracing::warn!(error = %error, "the request log could not be trimmed");
        }
        if let Err(error) = self.api.accounts.empty_bin().await {
            tracing::warn!(error = %error, "the bin could not be emptied");
        }
    }

    /// Reads the quota of the accounts that are due now, as it does every minute.
    pub async fn check_due_accounts(&self) {
        self.api.chat.check_due_accounts(std::time::Duration::from_secs(60)).await;
    }

    pub(crate) fn api(&self) -> &ApiState {
        &self.api
    }

    /// Tells the operator where it is, and the notice of a first start.
    #[expect(clippy::print_stdout, reason = "the notice is for the person who starts it, and must not be in a log")]
    pub fn announce(&self) {
        let base = gateway_address(self.address, &self.api.settings.current().base_url);
        println!("Grok2API {} listens on {base}", env!("CARGO_PKG_VERSION"));
        println!("  API      {base}/v1");
        println!("  Console  {base}/admin\n");
        if !self.notice.is_empty() {
            println!("{}", self.notice);
        }
    }

    /// Serves until SIGTERM, SIGHUP or Ctrl-C, then stops in order; a second SIGTERM or Ctrl-C ends everything at once.
    pub async fn run_until_signal(self) {
        let stop = [SignalKind::terminate(), SignalKind::interrupt()];
        // A terminal that is closed often hangs up twice, through its shell and by itself, so that never means haste.
        let first = if is_hangup_ignored() { stop.to_vec() } else { [&stop[..], &[SignalKind::hangup()]].concat() };
        wait_for_signal(&first).await;
        tracing::info!("stopping: no new connections, running answers may finish");
        let hard = self.stop.ends.hard.clone();
        tokio::select! {
            () = self.stop() => {}
            () = async { wait_for_signal(&stop).await; hard.cancel(); std::future::pending::<()>().await } => {}
        }
    }

    /// Stops in order: nothing new, running answers up to the grace, then what is left to write.
    pub async fn stop(self) {
        let Self { api, events, stop, workers, logging, _directory, .. } = self;
        let grace = Duration::from_secs(api.settings.current().shutdown_grace);
        let Ends { soft, hard, connections } = &stop.ends;
        soft.cancel();
        // They would never end by themselves.
        events.close();
        connections.close();
        let drained = tokio::select! {
            drained = tokio::time::timeout(grace, connections.wait()) => drained.is_ok(),
            () = hard.cancelled() => false,
        };
        if !drained {
            tracing::warn!(grace_s = grace.as_secs(), "some answers were still running and are ended");
            hard.cancel();
            connections.wait().await;
        }
        stop.background.close();
        stop.chat_tasks.close();
        let _ = tokio::time::timeout(LAST_TASKS, async {
            stop.background.wait().await;
            stop.chat_tasks.wait().await;
        })
        .await;
        api.accounts.flush().await;
        if let Err(error) = api.keys.flush_usage().await {
            tracing::warn!(error = %error, "when the keys were last used could not be stored");
        }
        if let Err(error) = api.images.store_visits().await {
            tracing::warn!(error = %error, "how often images were seen could not be stored");
        }
        if let Err(error) = api.admins.flush().await {
            tracing::warn!(error = %error, "when the console's sessions were last used could not be stored");
        }
        stop.writer.cancel();
        stop.writer_tasks.close();
        stop.writer_tasks.wait().await;
        let _ = tokio::task::spawn_blocking(|| workers.join()).await;
        api.store.close().await;
        tracing::info!("stopped");
        if let Some(logging) = logging {
            let _ = tokio::task::spawn_blocking(move || logging.close_file()).await;
        }
    }
}

impl Stop {
    fn new() -> Self {
        let hard = CancellationToken::new();
        Self {
            ends: Ends { soft: hard.child_token(), hard, connections: TaskTracker::new() },
            writer: CancellationToken::new(),
            chat_tasks: TaskTracker::new(),
            background: TaskTracker::new(),
            writer_tasks: TaskTracker::new(),
        }
    }
}

fn bind(address: SocketAddr) -> Result<Listener, StartError> {
    Listener::bind(address).map_err(|error| StartError::Listen { address, error })
}

fn upstream(bootstrap: &Bootstrap, tasks: &TaskTracker) -> Result<Upstream, StartError> {
    let additional_ca = match &bootstrap.upstream_ca {
        None => None,
        Some(path) => Some(std::fs::read(path).map_err(|error| {
            StartError::Component(format!("--upstream-ca: {} cannot be read: {error}", path.display()))
        })?),
    };
    let options = UpstreamOptions {
        base_url: bootstrap.upstream_url.clone(),
        assets_url: bootstrap.assets_url.clone(),
        additional_ca,
    };
    Upstream::new(options, tasks.clone()).map_err(StartError::Component)
}

fn admin_state(
    api: &ApiState,
    trail: Trail,
    events: Events,
    history: SettingsHistory,
    upstream: Upstream,
    (conversations, jobs): (Conversations, Jobs),
) -> AdminState {
    AdminState {
        trail,
        events,
        history,
        store: api.store.clone(),
        writer: api.writer.clone(),
        exit: api.exit.clone(),
        upstream,
        started_at: api.clock.now_ms(),
        settings: api.settings.clone(),
        keys: api.keys.clone(),
        admins: api.admins.clone(),
        accounts: api.accounts.clone(),
        conversations,
        chat: api.chat.clone(),
        recorder: api.recorder.clone(),
        images: api.images.clone(),
        jobs,
        records: Records::new(api.store.clone(), api.clock.clone()),
        metrics: api.metrics.clone(),
        clock: api.clock.clone(),
    }
}

fn admin_router(state: AdminState) -> Router {
    Router::new()
        .nest("/admin/api/v1", admin::router(state.clone()))
        .nest("/admin/api", admin::compatible_router(state))
        .route("/admin", get(console::page))
        .route("/admin/", get(console::page))
        .route("/admin/{*path}", get(console::file))
}

async fn wait_for_signal(kinds: &[SignalKind]) {
    let signals: Result<Vec<_>, _> = kinds.iter().map(|kind| signal(*kind)).collect();
    let Ok(mut signals) = signals else {
        tracing::error!("signals cannot be received; stop the process by other means");
        return std::future::pending().await;
    };
    std::future::poll_fn(|context| {
        let arrived = signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
        if arrived { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Whether whoever started us wants hang-ups ignored, as `nohup` does: then we must not begin to listen. Where the system does not
/// tell, nobody asked for it.
fn is_hangup_ignored() -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return false };
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}
