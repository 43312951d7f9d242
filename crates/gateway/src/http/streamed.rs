//! Long answers over HTTP/1.1, without the buffers of a server connection.
//!
//! hyper reads the request and hands over here when the answer is a [`LongAnswer`]: its connection keeps two buffers of 8 KiB
//! each for as long as it lives, and an answer may be silent for minutes. Here an answer holds no buffer between two pieces.
//! Afterwards the socket goes back to a new server connection, together with what the client has already sent of its next
//! request.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use bytes::{Buf as _, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Request, Response, Version, response};
use http_body::Body as _;
use hyper::rt::ReadBufCursor;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::heads::Head;
use super::pace::{Pace, Waiting};
use crate::audit::{Interrupted, Interruption};

/// Marks a response whose body takes its time and is not limited in length: put it into the response's extensions.
#[derive(Clone, Copy, Debug)]
pub(super) struct LongAnswer {
    /// A client that is still not done with it after so long is waited for no more. The body has a clock of its own, which stands
    /// still while nobody asks it for more.
    pub(super) at_most: Duration,
}

/// So much of a following request is kept while an answer is under way. A client that sends more has its bytes left in the
/// socket; whether it leaves then shows only when it is written to.
const SENT_AHEAD: usize = 16 * 1024;

/// So much of a head is read at once.
const HEAD_PIECE: usize = 4 * 1024;

/// An answer that a server connection has handed over.
pub(super) struct HandedOver {
    head: response::Parts,
    body: Body,
    at_most: Duration,
    /// The client wants the connection closed afterwards.
    close: bool,
}

/// Where a connection's service leaves an answer for whoever drives the connection.
#[derive(Clone, Default)]
pub(super) struct Handover(Arc<Mutex<Option<HandedOver>>>);

impl Handover {
    /// The response to `request` as the server connection is to send it. Never ready when the answer has been handed over.
    pub(super) async fn pass(&self, request: Asked, response: Response<Body>) -> Response<Body> {
        let Some(LongAnswer { at_most }) = response.extensions().get().copied().filter(|_| request.may_be_handed_over)
        else {
            return response;
        };
        let (head, body) = response.into_parts();
        let handed_over = HandedOver { head, body, at_most, close: request.close };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(handed_over);
        std::future::pending().await
    }

    pub(super) fn take(&self) -> Option<HandedOver> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// What of a request decides about the form of its answer.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    /// Older clients do not know chunks.
    may_be_handed_over: bool,
    close: bool,
}

impl Asked {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let may_be_handed_over = request.version() == Version::HTTP_11 && request.method() != http::Method::HEAD;
        Self { may_be_handed_over, close: wants_close(request.headers()) }
    }
}

fn wants_close(headers: &HeaderMap) -> bool {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|option| option.trim().eq_ignore_ascii_case("close"))
}

/// Sends the answer to its end. `None` when the connection is to be closed: the client has left, or asked for it.
pub(super) async fn send(handed_over: HandedOver, mut socket: Socket) -> io::Result<Option<Socket>> {
    let HandedOver { head, mut body, at_most, close } = handed_over;
    socket.head.release();
    socket.writing.end_at(Some(Instant::now() + at_most));
    let mut out = Vec::with_capacity(1024);
    write_head(head, close, &mut out);
    loop {
        match std::future::poll_fn(|context| socket.poll_piece(&mut body, context)).await? {
            Next::Piece(piece) => write_chunk(&piece, &mut out),
            Next::End => break,
            Next::ClientGone => return Ok(None),
        }
        socket.write_all(&std::mem::take(&mut out)).await?;
        if socket.writing.is_over() {
            return Err(socket.cut());
        }
    }
    drop(body);
    out.extend_from_slice(b"0\r\n\r\n");
    socket.write_all(&out).await?;
    socket.writing.end_at(None);
    Ok((!close).then_some(socket))
}

enum Next {
    Piece(Bytes),
    End,
    ClientGone,
}

/// A client's socket, with what it sent that nobody has read yet.
pub(super) struct Socket {
    stream: TokioIo<TcpStream>,
    unread: BytesMut,
    head: Head,
    writing: Waiting,
    interruption: Interruption,
}

impl Socket {
    /// `pace` is how patient we are with what the client is sent. A client that takes nothing for too long is cut, and
    /// `interruption` says so.
    pub(super) fn new(stream: TcpStream, head: Head, pace: Pace, interruption: Interruption) -> Self {
        let writing = Waiting::new(pace);
        Self { stream: TokioIo::new(stream), unread: BytesMut::new(), head, writing, interruption }
    }

    /// Puts back what a server connection had read beyond its request.
    pub(super) fn put_back(&mut self, read: Bytes) {
        if !read.is_empty() {
            let later = std::mem::take(&mut self.unread);
            self.unread.extend_from_slice(&read);
            self.unread.extend_from_slice(&later);
        }
    }

    pub(super) async fn close(mut self) {
        // The client may be gone already.
        let _ = self.stream.inner_mut().shutdown().await;
    }

    async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = std::future::poll_fn(|context| {
                let polled = hyper::rt::Write::poll_write(Pin::new(&mut self.stream), context, bytes);
                self.watch(polled, context)
            });
            match written.await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => bytes = &bytes[written..],
            }
        }
        Ok(())
    }

    /// What a write came to, or that the client takes nothing for too long.
    fn watch(&mut self, written: Poll<io::Result<usize>>, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => self.writing.moved(bytes),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                ready!(self.writing.poll_late(context));
                return Poll::Ready(Err(self.cut()));
            }
        }
        written
    }

    /// Notes that the client does not read. To be dropped then.
    fn cut(&self) -> io::Error {
        self.interruption.set(Interrupted::ClientNotReading);
        // What the system has taken would else be offered to the client for minutes to come, out of its memory.
        let _ = self.stream.inner().set_zero_linger();
        io::Error::new(io::ErrorKind::TimedOut, "the client does not read")
    }

    fn poll_piece(&mut self, body: &mut Body, context: &mut Context<'_>) -> Poll<io::Result<Next>> {
        loop {
            match Pin::new(&mut *body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(piece) if !piece.is_empty() => return Poll::Ready(Ok(Next::Piece(piece))),
                    // Trailers are not announced, so there are none; an empty chunk would mean the end.
                    Ok(_) | Err(_) => {}
                },
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(io::Error::other(error))),
                Poll::Ready(None) => return Poll::Ready(Ok(Next::End)),
                Poll::Pending => break,
            }
        }
        ready!(self.poll_gone(context))?;
        Poll::Ready(Ok(Next::ClientGone))
    }

    /// Ready when the client has closed its side.
    fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut piece = [0; 512];
        while self.unread.len() < SENT_AHEAD {
            ready!(self.stream.inner().poll_read_ready(context))?;
            match self.stream.inner().try_read(&mut piece) {
                Ok(0) => return Poll::Ready(Ok(())),
                Ok(length) => self.unread.extend_from_slice(&piece[..length]),
                // The readiness was stale; asking again registers for the next.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Pending
    }
}

fn write_head(head: response::Parts, close: bool, out: &mut Vec<u8>) {
    let mut headers = head.headers;
    headers.remove(CONTENT_LENGTH);
    headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    if close {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(date) = http_date() {
        headers.entry(DATE).or_insert(date);
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(head.status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(head.status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
    for (name, value) in &headers {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

fn http_date() -> Option<HeaderValue> {
    let now = jiff::Timestamp::try_from(SystemTime::now()).ok()?;
    let text = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).ok()?;
    HeaderValue::try_from(text).ok()
}

fn write_chunk(piece: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(piece.len() + 20);
    let significant = (usize::BITS - piece.len().leading_zeros()).div_ceil(4);
    for digit in (0..significant).rev() {
        out.push(DIGITS[(piece.len() >> (digit * 4)) & 15]);
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(piece);
    out.extend_from_slice(b"\r\n");
}

impl hyper::rt::Read for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.unread.is_empty() {
            if !self.head.is_reading() {
                return Pin::new(&mut self.stream).poll_read(context, buffer);
            }
            // By way of the stack, because a cursor does not tell how much was put into it.
            let mut piece = [const { MaybeUninit::uninit() }; HEAD_PIECE];
            let room = buffer.remaining().min(HEAD_PIECE);
            let mut piece = ReadBuf::uninit(&mut piece[..room]);
            ready!(AsyncRead::poll_read(Pin::new(self.stream.inner_mut()), context, &mut piece))?;
            buffer.put_slice(piece.filled());
            let taken = self.head.takes(piece.filled().len());
            return Poll::Ready(if taken { Ok(()) } else { Err(io::Error::other("too many requests are unfinished")) });
        }
        let length = self.unread.len().min(buffer.remaining());
        buffer.put_slice(&self.unread[..length]);
        self.unread.advance(length);
        if self.unread.is_empty() {
            self.unread = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(written, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.watch(written, context)
    }
}
