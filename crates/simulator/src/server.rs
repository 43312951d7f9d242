//! The accept loop: HTTP/1.1 and HTTP/2 on one port, with or without TLS.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use axum::{Router, body::Body};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::{Request, Response, Version, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{ServerConfig, pki_types::PrivatePkcs8KeyDer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    calls::Counters,
    socket::{self, Upgraded},
};

/// Connections that may wait to be accepted: a bench opens thousands at once.
const BACKLOG: u32 = 4096;

/// As many as the upstream's front allows on one HTTP/2 connection.
const HTTP2_STREAMS: u32 = 100;

pub(crate) struct Tls {
    pub acceptor: TlsAcceptor,
    pub ca_pem: String,
}

impl Tls {
    /// A certificate authority and a certificate for this address, valid as long as the process runs.
    pub(crate) fn generate(address: IpAddr) -> io::Result<Self> {
        let (chain, key, ca_pem) = certificates(address).map_err(io::Error::other)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key.into()))
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), ca_pem })
    }
}

type Certificates = (Vec<rustls::pki_types::CertificateDer<'static>>, PrivatePkcs8KeyDer<'static>, String);

fn certificates(address: IpAddr) -> Result<Certificates, rcgen::Error> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, "simulated upstream authority");
    let authority_key = KeyPair::generate()?;
    let authority_certificate = authority.self_signed(&authority_key)?;
    let mut server = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned(), address.to_string()])?;
    server.distinguished_name.push(DnType::CommonName, "simulated upstream");
    let server_key = KeyPair::generate()?;
    let certificate = server.signed_by(&server_key, &Issuer::new(authority, authority_key))?;
    let key = PrivatePkcs8KeyDer::from(server_key.serialize_der());
    Ok((vec![certificate.der().clone()], key, authority_certificate.pem()))
}

pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts until told to stop, then breaks what is open: scripted streams may never end by themselves.
pub(crate) async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    counters: Arc<Counters>,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // An error belongs to one connection (reset before it was accepted) or passes (no descriptors left).
                let Ok((stream, _)) = accepted else {
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                    continue;
                };
                connections.spawn(serve(stream, tls.clone(), router.clone(), counters.clone()));
            }
            Some(_) = connections.join_next() => {}
            // An error means that the last handle is gone.
            _ = stop.changed() => break,
        }
    }
    drop(listener);
    connections.shutdown().await;
}

async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, router: Router, counters: Arc<Counters>) {
    counters.connections.fetch_add(1, Ordering::Relaxed);
    let _open = OpenConnection(counters.clone());
    // Failing costs only delay.
    let _ = stream.set_nodelay(true);
    match tls {
        None => serve_http(stream, router, counters).await,
        Some(acceptor) => {
            // A client that fails the handshake has nothing more to say.
            if let Ok(stream) = acceptor.accept(stream).await {
                serve_http(stream, router, counters).await;
            }
        }
    }
}

async fn serve_http<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    router: Router,
    counters: Arc<Counters>,
) {
    let streams = Arc::new(ConnectionStreams { open: AtomicU64::new(0), counters });
    let routes = TowerToHyperService::new(router);
    let upgraded = Upgraded::default();
    let service_upgraded = upgraded.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        // HTTP/1 has one request at a time; only HTTP/2 is worth counting.
        let counted = (request.version() == Version::HTTP_2).then(|| OpenStream::new(&streams));
        if counted.is_none() {
            request.extensions_mut().insert(service_upgraded.clone());
        }
        let answer = hyper::service::Service::call(&routes, request);
        async move {
            let response: Response<Body> = answer.await?;
            Ok::<_, std::convert::Infallible>(match counted {
                None => response,
                Some(open) => response.map(|body| Body::new(CountedBody { body, _open: open })),
            })
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http2().max_concurrent_streams(HTTP2_STREAMS);
    // On the heap, so that a socket that outlives it does not carry its size along. A broken connection is the client's
    // affair; the answer's guard has counted it.
    let _ = Box::pin(builder.serve_connection_with_upgrades(TokioIo::new(stream), service)).await;
    if let Some((on_upgrade, accepted)) = upgraded.take() {
        Box::pin(socket::serve(on_upgrade, accepted)).await;
    }
}

struct OpenConnection(Arc<Counters>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections_closed.fetch_add(1, Ordering::Relaxed);
    }
}

/// Requests at once on one HTTP/2 connection.
struct ConnectionStreams {
    open: AtomicU64,
    counters: Arc<Counters>,
}

struct OpenStream(Arc<ConnectionStreams>);

impl OpenStream {
    fn new(streams: &Arc<ConnectionStreams>) -> Self {
        let open = streams.open.fetch_add(1, Ordering::Relaxed) + 1;
        streams.counters.http2_streams_max.fetch_max(open, Ordering::Relaxed);
        Self(streams.clone())
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

struct CountedBody {
    body: Body,
    _open: OpenStream,
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
