//! The handle: starts the server, scripts accounts, tells what happened.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use tokio::{sync::watch, task::JoinHandle};

use crate::{
    account::{Account, AccountState},
    calls::{Call, Report},
    routes, server,
    state::Shared,
};

/// How a simulator is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Serve TLS with a certificate made at start; see [`Simulator::ca_pem`].
    pub tls: bool,
    /// Keep conversations and the log of calls. Without them memory does not grow, every parent is accepted, and answers
    /// come from a prepared buffer: the form for load.
    pub keep_tree: bool,
    /// Calls that each account has in each mode.
    pub default_quota: i64,
    /// Whether the WebSocket route exists; see [`Simulator::set_socket`].
    pub socket: bool,
    /// Whether the REST chat routes exist; see [`Simulator::set_rest_chat`].
    pub rest_chat: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            tls: false,
            keep_tree: true,
            default_quota: 1000,
            socket: true,
            rest_chat: true,
        }
    }
}

/// A running simulator. Handles are cheap to clone; when the last one is gone the server stops.
#[derive(Clone)]
pub struct Simulator {
    shared: Arc<Shared>,
    server: Arc<Server>,
}

struct Server {
    address: SocketAddr,
    ca_pem: Option<String>,
    stop: watch::Sender<bool>,
    task: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Simulator {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Simulator").field("url", &self.url()).finish_non_exhaustive()
    }
}

impl Simulator {
    /// Listens and serves in the background of the current runtime.
    pub async fn start(options: Options) -> io::Result<Self> {
        let listener = server::listen(options.listen)?;
        let address = listener.local_addr()?;
        let tls = options.tls.then(|| server::Tls::generate(address.ip())).transpose()?;
        let ca_pem = tls.as_ref().map(|tls| tls.ca_pem.clone());
        let shared = Arc::new(Shared::new(options));
        let (stop, stopped) = watch::channel(false);
        let acceptor = tls.map(|tls| tls.acceptor);
        let accepting =
            server::accept(listener, acceptor, routes::router(shared.clone()), shared.counters.clone(), stopped);
        let task = tokio::sync::Mutex::new(Some(tokio::spawn(accepting)));
        Ok(Self { shared, server: Arc::new(Server { address, ca_pem, stop, task }) })
    }

    /// Where it listens, for example `http://127.0.0.1:40123`. Assets are served from the same origin, with or without
    /// `/assets` in front of their path.
    pub fn url(&self) -> String {
        let scheme = if self.server.ca_pem.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.server.address)
    }

    /// The certificate to trust when it serves TLS.
    pub fn ca_pem(&self) -> Option<String> {
        self.server.ca_pem.clone()
    }

    /// Adds an account, or gives the handle of one that is there.
    pub fn add_account(&self, sso: &str) -> Account {
        let default_quota = self.shared.options.default_quota;
        let mut state = self.shared.state();
        state.accounts.entry(sso.to_owned()).or_insert_with(|| AccountState::new(sso, default_quota));
        drop(state);
        Account { shared: self.shared.clone(), sso: sso.to_owned() }
    }

    /// The handle of an account.
    ///
    /// # Panics
    /// If it was never added.
    pub fn account(&self, sso: &str) -> Account {
        assert!(self.shared.state().accounts.contains_key(sso), "no account {sso:?} in this simulator");
        Account { shared: self.shared.clone(), sso: sso.to_owned() }
    }

    /// What has happened so far.
    pub fn report(&self) -> Report {
        self.shared.report()
    }

    /// The requests so far, in order of arrival; empty without [`Options::keep_tree`].
    pub fn calls(&self) -> Vec<Call> {
        self.shared.state().calls.clone()
    }

    /// Empties the log of requests; counts and violations stay.
    pub fn clear_calls(&self) {
        self.shared.state().calls.clear();
    }

    /// Forgets conversations, files, calls, counts, violations and scripts; accounts stay known, with full quota.
    pub fn reset(&self) {
        self.shared.state().reset(self.shared.options.default_quota);
    }

    /// Whether the WebSocket route exists. Without it upgrades are answered 404; open sockets stay.
    pub fn set_socket(&self, exists: bool) {
        self.shared.switches.set_socket(exists);
    }

    /// Whether a chat can be asked over REST. Without it `…/conversations/new` and `POST …/responses` are answered 404, and
    /// all other routes go on.
    pub fn set_rest_chat(&self, exists: bool) {
        self.shared.switches.set_rest_chat(exists);
    }

    /// Which of the two upload routes exist. Without one it is answered 404.
    pub fn set_upload_routes(&self, first: bool, direct: bool) {
        let faults = &mut self.shared.state().file_faults;
        (faults.no_upload, faults.no_direct_upload) = (!first, !direct);
    }

    /// Answers the next upload, by either route, with this.
    pub fn refuse_upload(&self, status: u16, body: &str) {
        self.shared.state().file_faults.refusals.push_back((status, body.to_owned()));
    }

    /// Answers every file of the assets host with this status; `None`: as it should be.
    pub fn set_assets_status(&self, status: Option<u16>) {
        self.shared.state().file_faults.assets_status = status;
    }

    /// Lets every file of the assets host be waited for.
    pub fn set_assets_wait(&self, wait: std::time::Duration) {
        self.shared.state().file_faults.assets_wait = wait;
    }

    /// The files that accounts were given, in order.
    pub fn uploads(&self) -> Vec<crate::UploadedFile> {
        self.shared.state().uploads.clone()
    }

    /// Stops listening and breaks all connections.
    pub async fn shutdown(&self) {
        self.server.stop.send_replace(true);
        if let Some(task) = self.server.task.lock().await.take() {
            // The task ends by itself; an error here is its panic, already printed.
            let _ = task.await;
        }
    }
}
