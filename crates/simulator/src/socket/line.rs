//! One upgraded connection: bytes in and out.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Poll, ready},
    time::Duration,
};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};

use super::wire::{Broken, Decoder, Opcode, Received, push_frame};

/// How long the client may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// Close code of a server that goes away.
const GOING_AWAY: u16 = 1001;

/// Close code for a client that does not speak the protocol.
const PROTOCOL_ERROR: u16 = 1002;

pub(crate) struct Line {
    stream: TokioIo<Upgraded>,
    decoder: Decoder,
    reads: u64,
}

impl Line {
    pub(crate) fn new(upgraded: Upgraded) -> Self {
        Self { stream: TokioIo::new(upgraded), decoder: Decoder::default(), reads: 0 }
    }

    /// The next message; none if the client is gone. Can be dropped and called again without losing anything.
    pub(crate) async fn receive(&mut self) -> Option<Result<Received, Broken>> {
        loop {
            match self.decoder.next() {
                Ok(Some(message)) => return Some(Ok(message)),
                Ok(None) => {}
                Err(broken) => return Some(Err(broken)),
            }
            if self.fill().await.ok()? == 0 {
                return None;
            }
        }
    }

    /// How often something was read. What came with one read was sent without seeing an answer to any of it.
    pub(crate) fn reads(&self) -> u64 {
        self.reads
    }

    /// Reads what is there. The buffer lives only while there is something to read.
    async fn fill(&mut self) -> io::Result<usize> {
        let Self { stream, decoder, reads } = self;
        poll_fn(|context| {
            let mut bytes = [0; 4096];
            let mut buffer = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer))?;
            decoder.feed(buffer.filled());
            *reads += 1;
            Poll::Ready(Ok(buffer.filled().len()))
        })
        .await
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Says goodbye, and waits until the client has too: a connection that is dropped earlier may take back what was sent.
    pub(crate) async fn close(mut self, fault: Option<Broken>) {
        let code = if fault.is_some() { PROTOCOL_ERROR } else { GOING_AWAY };
        let mut payload = code.to_be_bytes().to_vec();
        payload.extend(fault.map_or("", |Broken(reason)| reason).bytes());
        let mut frame = Vec::new();
        push_frame(&mut frame, Opcode::Close, true, &payload);
        let goodbye = async {
            self.send(&frame).await?;
            AsyncWriteExt::shutdown(&mut self.stream).await?;
            while self.fill().await? > 0 {
                self.decoder = Decoder::default();
            }
            io::Result::Ok(())
        };
        // A client that is already gone needs no goodbye.
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    }
}
