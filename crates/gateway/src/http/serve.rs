//! The way in: one acceptor, and as many workers as the machine has cores.
//!
//! Each worker is a thread with a runtime of its own, and a connection stays on its worker together with everything upstream
//! that it causes. A token then wakes one thread and never crosses to another, which halves what relaying it costs.
//! Connections are hyper's own HTTP/1.1, which take half the memory of the framework's; for the time of a long answer there is
//! none at all ([`streamed`]).

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, ready};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioTimer;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Front;
use super::heads::{self, Head, Heads, Phase};
use super::pace::{Pace, Paced};
use super::streamed::{self, Asked, HandedOver, Handover, Socket};
use crate::audit::{Interrupted, Interruption};

/// Connections that may wait to be accepted. The usual 128 loses some of a burst of 200, and they come back a second later.
const BACKLOG: u32 = 4_096;

/// Accepted connections that may wait for their worker.
const HANDED_OVER: usize = 4_096;

/// So many connections share a worker before the next gets any: while there is little to do, one thread that wakes for several
/// streams at once costs less than several that wake for one each.
const TOGETHER: usize = 64;

/// Patience with the head of a request, and with a connection that asks for nothing.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// After the hard end an answer may say that it was cut, for so long.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Pause after a failed accept, usually for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A bound address.
pub(crate) struct Listener(TcpListener);

impl Listener {
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(Self(socket.listen(BACKLOG)?))
    }

    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// How connections end. Soft: no new ones, the present ones finish their request. Hard: all end.
#[derive(Clone)]
pub(crate) struct Ends {
    pub(crate) soft: CancellationToken,
    pub(crate) hard: CancellationToken,
    /// Counts what is still open.
    pub(crate) connections: TaskTracker,
}

/// The threads that serve.
pub(crate) struct Workers {
    workers: Vec<Worker>,
    threads: Vec<JoinHandle<()>>,
}

/// The acceptor's side of one worker.
#[derive(Clone)]
struct Worker {
    handed_over: mpsc::Sender<Accepted>,
    open: Arc<AtomicUsize>,
    heads: Heads,
}

struct Accepted {
    stream: std::net::TcpStream,
    peer: SocketAddr,
    front: Front,
    heads: Heads,
}

impl Workers {
    /// Starts one worker per core.
    pub(crate) fn start(ends: &Ends) -> io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let (mut workers, mut threads) = (Vec::new(), Vec::new());
        let heads = Heads::default();
        for number in 0..cores {
            let (handed_over, accepted) = mpsc::channel(HANDED_OVER);
            let open = Arc::new(AtomicUsize::new(0));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let (ends, counter) = (ends.clone(), Arc::clone(&open));
            let thread = std::thread::Builder::new().name(format!("worker-{number}"));
            threads.push(thread.spawn(move || runtime.block_on(work(accepted, counter, ends)))?);
            workers.push(Worker { handed_over, open, heads: heads.clone() });
        }
        Ok(Self { workers, threads })
    }

    /// Accepts until the soft end, and hands each connection to a worker: the first with few, else the one with the fewest.
    pub(crate) fn accept(&self, listener: Listener, front: Front, ends: &Ends) -> impl Future<Output = ()> + use<> {
        let (workers, soft) = (self.workers.clone(), ends.soft.clone());
        async move {
            while let Some(accepted) = soft.run_until_cancelled(listener.0.accept()).await {
                let handed_over =
                    accepted.and_then(|(stream, peer)| hand_over(&workers, stream.into_std()?, peer, front.clone()));
                if let Err(error) = handed_over {
                    tracing::warn!(error = %error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Ends the threads; what still runs on them ends too. Blocks.
    pub(crate) fn join(self) {
        drop(self.workers);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a worker thread panicked");
            }
        }
    }
}

fn hand_over(workers: &[Worker], stream: std::net::TcpStream, peer: SocketAddr, front: Front) -> io::Result<()> {
    let open = |worker: &&Worker| worker.open.load(Ordering::Relaxed);
    let worker = workers.iter().find(|worker| open(worker) < TOGETHER).or_else(|| workers.iter().min_by_key(open));
    let worker = worker.ok_or_else(|| io::Error::other("there is no worker"))?;
    let accepted = Accepted { stream, peer, front, heads: worker.heads.clone() };
    worker.handed_over.try_send(accepted).map_err(|_| io::Error::other("the workers are overloaded"))?;
    worker.open.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

async fn work(mut accepted: mpsc::Receiver<Accepted>, open: Arc<AtomicUsize>, ends: Ends) {
    while let Some(accepted) = accepted.recv().await {
        let open = Arc::clone(&open);
        let connection = connection(accepted, ends.soft.clone(), ends.hard.clone());
        ends.connections.spawn(async move {
            connection.await;
            open.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

async fn connection(accepted: Accepted, soft: CancellationToken, hard: CancellationToken) {
    let Accepted { stream, peer, front, heads } = accepted;
    let Ok(stream) = TcpStream::from_std(stream) else { return };
    // Without it small pieces wait for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let pause = front.client_timeout();
    let (phase, interruption) = (Phase::default(), Interruption::default());
    let head = Head::new(heads, phase.clone());
    let mut socket = Socket::new(stream, head, Pace::of_answer(pause), interruption.clone());
    loop {
        let handover = Handover::default();
        let service = {
            let (front, handover) = (front.clone(), handover.clone());
            let (phase, interruption) = (phase.clone(), interruption.clone());
            service_fn(move |request: http::Request<Incoming>| {
                let (front, handover, asked) = (front.clone(), handover.clone(), Asked::of(&request));
                let (phase, interruption) = (phase.clone(), interruption.clone());
                phase.serving();
                async move {
                    let request = request.map(|body| Body::new(Paced::new(body, pause)));
                    let response = front.answer(request, peer.ip(), interruption).await?;
                    phase.answered();
                    Ok::<_, Infallible>(handover.pass(asked, response).await)
                }
            })
        };
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT.min(pause)).max_buf_size(heads::LONGEST);
        // Boxed, so that a connection that has handed over takes no more room for it.
        let connection = Box::new(builder.serve_connection(socket, service));
        let Some((handed_over, returned)) = run(connection, &handover, &interruption, &soft, &hard).await else {
            return;
        };
        let mut sending = std::pin::pin!(streamed::send(handed_over, returned));
        let sent = tokio::select! {
            biased;
            sent = &mut sending => sent,
            () = hard.cancelled() => {
                interruption.set(Interrupted::Shutdown);
                let Ok(sent) = tokio::time::timeout(LAST_WORDS, sending).await else { return };
                sent
            }
        };
        match sent {
            Ok(Some(returned)) if !soft.is_cancelled() => socket = returned,
            Ok(Some(returned)) => return returned.close().await,
            Ok(None) => return,
            Err(error) => return told(&error),
        }
    }
}

/// Runs a server connection until it has ended, or hands an answer over together with the socket.
async fn run<S>(
    mut connection: Box<http1::Connection<Socket, S>>,
    handover: &Handover,
    interruption: &Interruption,
    soft: &CancellationToken,
    hard: &CancellationToken,
) -> Option<(HandedOver, Socket)>
where
    S: HttpService<Incoming, ResBody = Body>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (mut soft, mut hard) = (std::pin::pin!(soft.cancelled()), std::pin::pin!(hard.cancelled()));
    let mut going_down = false;
    let mut last_words: Option<Pin<Box<tokio::time::Sleep>>> = None;
    let ended = std::future::poll_fn(|context| {
        loop {
            let polled = Pin::new(&mut *connection).poll(context);
            if let Some(handed_over) = handover.take() {
                return Poll::Ready(Ok(Some(handed_over)));
            }
            if let Poll::Ready(ended) = polled {
                return Poll::Ready(ended.map(|()| None));
            }
            if let Some(last_words) = &mut last_words {
                ready!(Future::poll(last_words.as_mut(), context));
                return Poll::Ready(Ok(None));
            }
            // The hard end always comes with the soft one, so that a running connection watches one thing only.
            if going_down {
                ready!(hard.as_mut().poll(context));
                // The next poll of the connection is told.
                interruption.set(Interrupted::Shutdown);
                last_words = Some(Box::pin(tokio::time::sleep(LAST_WORDS)));
                continue;
            }
            ready!(soft.as_mut().poll(context));
            going_down = true;
            Pin::new(&mut *connection).graceful_shutdown();
        }
    });
    match ended.await {
        Ok(handed_over) => {
            let handed_over = handed_over?;
            let parts = connection.into_parts();
            let mut socket = parts.io;
            socket.put_back(parts.read_buf);
            Some((handed_over, socket))
        }
        Err(error) => {
            told(&error);
            None
        }
    }
}

/// Clients leave all the time.
fn told(error: &impl std::error::Error) {
    tracing::debug!(error = %error, "a connection ended with an error");
}
