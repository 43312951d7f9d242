//! An upstream that answers with bytes as they are, once or for ever. It stands where a proxy stands, so that a running gateway can be
//! turned to it and back by a setting.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// What is answered: this once, then that for ever; an upgrade is accepted first. Nothing for ever: the connection ends.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) once: Vec<u8>,
    pub(crate) for_ever: Vec<u8>,
}

/// Runs on threads of its own: it must not share one with what it tests.
pub(crate) struct RawUpstream {
    port: u16,
    open: Arc<AtomicUsize>,
}

impl RawUpstream {
    pub(crate) fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let open = Arc::<AtomicUsize>::default();
        let counter = Arc::clone(&open);
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let (answer, counter) = (answer.clone(), Arc::clone(&counter));
                counter.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || {
                    // It goes on until the other side leaves.
                    let _ = serve(stream, &answer);
                    counter.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { port, open }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Connections that are being answered.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

fn serve(mut stream: TcpStream, answer: &Answer) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head);
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim())
    });
    if let Some(key) = key {
        let accept = derive_accept_key(key.as_bytes());
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {accept}\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
    }
    stream.write_all(&answer.once)?;
    while !answer.for_ever.is_empty() {
        stream.write_all(&answer.for_ever)?;
    }
    // What was sent must arrive before the end does.
    stream.shutdown(std::net::Shutdown::Write)?;
    stream.read_to_end(&mut Vec::new())?;
    Ok(())
}
