//! The accept loop: HTTP/1.1 on our own hyper connections, which take half the memory of the framework's.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Front;

/// Connections that may wait to be accepted. The usual 128 loses some of a burst of 200, and they come back a second later.
const BACKLOG: u32 = 4_096;

/// Patience with the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

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

/// Serves until `stop`, then takes no more connections and lets the present ones finish their request; `hard` ends them.
pub(crate) async fn serve(
    listener: Listener,
    front: Front,
    connections: TaskTracker,
    stop: CancellationToken,
    hard: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.0.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = connection(stream, peer, front.clone(), stop.clone());
                let hard = hard.clone();
                connections.spawn(async move {
                    tokio::select! {
                        () = connection => {}
                        () = hard.cancelled() => {}
                    }
                });
            }
            Err(error) => {
                tracing::warn!(error = %error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, front: Front, stop: CancellationToken) {
    // Without it small pieces wait for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        front.clone().answer(request.map(axum::body::Body::new), peer.ip())
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Clients leave all the time.
        tracing::debug!(error = %error, "a connection ended with an error");
    }
}
