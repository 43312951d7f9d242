//! `grok2api healthcheck`: asks a running gateway of this machine whether it lives. For containers, whose images hold nothing else that
//! could ask.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Patience with connecting, and with the answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Whether the gateway that listens on `listen` answers `/healthz` with 200; else what it did.
pub fn check_health(listen: SocketAddr) -> Result<(), String> {
    let address = reachable(listen);
    let head = ask(address).map_err(|error| format!("{address} does not answer: {error}"))?;
    if head.starts_with("HTTP/1.1 200 ") {
        return Ok(());
    }
    Err(format!("{address} answered {}", head.lines().next().unwrap_or("nothing")))
}

/// Who listens everywhere is asked on the loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut head = Vec::new();
    stream.take(4_096).read_to_end(&mut head)?;
    Ok(String::from_utf8_lossy(&head).into_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Answers one request with these bytes.
    fn server(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.extend_from_slice(&byte);
            }
            assert!(request.starts_with(b"GET /healthz HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        address
    }

    #[test]
    fn only_a_good_answer_is_health() {
        assert_eq!(check_health(server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")), Ok(()));
        let everywhere = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), server("HTTP/1.1 200 OK\r\n\r\n").port());
        assert_eq!(check_health(everywhere), Ok(()));
        for bad in ["HTTP/1.1 503 Service Unavailable\r\n\r\n", "", "SSH-2.0\r\n"] {
            assert!(check_health(server(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn nobody_there_is_told() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(check_health(free).unwrap_err().contains("does not answer"));
    }
}
