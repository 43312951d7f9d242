//! The load client of `make bench`: asks for streamed answers and says when the first token came.
//!
//! `load` runs a number of requests over a number of connections and prints one JSON line. `hold` opens streams, prints
//! `open N` when every one of them has had its first token, and keeps them until its input closes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::{Args, Parser, Subcommand, ValueEnum};
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

type Error = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Many answers, to their end.
    Load(Load),
    /// Many answers, held open.
    Hold(Hold),
}

#[derive(Args, Clone)]
struct Target {
    /// Host and port.
    #[arg(long)]
    address: String,
    /// Whose form to speak.
    #[arg(long)]
    form: Form,
    /// Accounts of the simulator that the upstream form takes in turn.
    #[arg(long, default_value_t = 1)]
    accounts: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    /// The upstream's own.
    Upstream,
    /// OpenAI's.
    Gateway,
}

#[derive(Args)]
struct Load {
    #[command(flatten)]
    target: Target,
    #[arg(long)]
    requests: usize,
    #[arg(long)]
    connections: usize,
}

#[derive(Args)]
struct Hold {
    #[command(flatten)]
    target: Target,
    #[arg(long)]
    streams: usize,
    /// How many are being opened at a time: what is measured is an idle stream, not the rush to open it.
    #[arg(long, default_value_t = 64)]
    opening: usize,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    match Cli::parse().command {
        Command::Load(load) => run_load(load).await,
        Command::Hold(hold) => run_hold(hold).await,
    }
}

#[expect(clippy::print_stdout, reason = "the figures are for the script that runs it")]
async fn run_load(load: Load) -> Result<(), Error> {
    let next = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..load.connections {
        let (next, target, requests) = (Arc::clone(&next), load.target.clone(), load.requests);
        tasks.push(tokio::spawn(async move {
            let mut connection = connect(&target.address).await?;
            let mut latencies = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= requests {
                    return Ok::<_, Error>(latencies);
                }
                latencies.push(answer(&mut connection, &target, number).await?);
            }
        }));
    }
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    let elapsed = began.elapsed();
    latencies.sort_unstable();
    let at = |share: f64| {
        let index = (latencies.len() as f64 * share) as usize;
        latencies[index.min(latencies.len() - 1)].as_secs_f64() * 1e3
    };
    println!(
        "{{\"requests\":{},\"seconds\":{:.3},\"first_token_ms\":{{\"p50\":{:.3},\"p90\":{:.3},\"p99\":{:.3}}}}}",
        latencies.len(),
        elapsed.as_secs_f64(),
        at(0.5),
        at(0.9),
        at(0.99),
    );
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the script waits for this line")]
async fn run_hold(hold: Hold) -> Result<(), Error> {
    let open = Arc::new(AtomicUsize::new(0));
    let opening = Arc::new(Semaphore::new(hold.opening));
    for number in 0..hold.streams {
        let (open, target) = (Arc::clone(&open), hold.target.clone());
        let permit = Arc::clone(&opening).acquire_owned().await?;
        tokio::spawn(async move {
            let mut connection = connect(&target.address).await?;
            let mut body = connection.send_request(request(&target, number)?).await?.into_body();
            let mut seen = Vec::new();
            while let Some(frame) = body.frame().await {
                if let Some(data) = frame?.data_ref() {
                    seen.extend_from_slice(data);
                    if has_token(&seen, target.form) {
                        open.fetch_add(1, Ordering::Relaxed);
                        drop(permit);
                        break;
                    }
                }
            }
            // Held: keep-alives are read, nothing else comes.
            while let Some(frame) = body.frame().await {
                frame?;
            }
            Ok::<_, Error>(())
        });
    }
    for _ in 0..600 {
        if open.load(Ordering::Relaxed) == hold.streams {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("open {}", open.load(Ordering::Relaxed));
    let mut rest = Vec::new();
    tokio::io::stdin().read_to_end(&mut rest).await?;
    Ok(())
}

async fn connect(address: &str) -> Result<SendRequest<Full<Bytes>>, Error> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// One answer to its end; the time to its first token.
async fn answer(connection: &mut SendRequest<Full<Bytes>>, target: &Target, number: usize) -> Result<Duration, Error> {
    let request = request(target, number)?;
    if connection.ready().await.is_err() {
        // A server may close a connection between two requests.
        *connection = connect(&target.address).await?;
        connection.ready().await?;
    }
    let began = Instant::now();
    let response = connection.send_request(request).await?;
    if response.status() != 200 {
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        return Err(format!("status {status}: {}", String::from_utf8_lossy(&body)).into());
    }
    let mut body = response.into_body();
    let mut first = None;
    let mut seen = Vec::new();
    let mut last = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if first.is_none() {
            seen.extend_from_slice(&data);
            if has_token(&seen, target.form) {
                first = Some(began.elapsed());
            }
        }
        last.clear();
        last.extend_from_slice(&data);
    }
    if matches!(target.form, Form::Gateway) && !last.ends_with(b"data: [DONE]\n\n") {
        return Err("the answer did not end with [DONE]".into());
    }
    first.ok_or_else(|| "an answer without a token".into())
}

fn has_token(seen: &[u8], form: Form) -> bool {
    let find = |needle: &[u8]| seen.windows(needle.len()).position(|window| window == needle);
    match form {
        Form::Upstream => find(b"\"messageTag\":\"final\"").is_some(),
        Form::Gateway => {
            let needle = b"\"content\":\"";
            let mut rest = seen;
            while let Some(at) = rest.windows(needle.len()).position(|window| window == needle) {
                rest = &rest[at + needle.len()..];
                if rest.first().is_some_and(|byte| *byte != b'"') {
                    return true;
                }
            }
            false
        }
    }
}

fn request(target: &Target, number: usize) -> Result<Request<Full<Bytes>>, Error> {
    let builder = Request::post(match target.form {
        Form::Upstream => "/rest/app-chat/conversations/new",
        Form::Gateway => "/v1/chat/completions",
    })
    .header("host", target.address.as_str())
    .header("content-type", "application/json")
    .header("user-agent", "grok2api-load");
    let request = match target.form {
        Form::Gateway => builder.header("authorization", "Bearer sk-bench").body(Full::from(format!(
            "{{\"model\":\"grok-4.2\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"question {number}\"}}]}}"
        ))),
        Form::Upstream => {
            let account = number % target.accounts;
            builder
                .header("accept", "*/*")
                .header("origin", "https://grok.com")
                .header("referer", "https://grok.com/")
                .header("sec-fetch-dest", "empty")
                .header("sec-fetch-mode", "cors")
                .header("sec-fetch-site", "same-origin")
                .header("x-statsig-id", "eDE6VHlwZUVycm9y")
                .header("x-xai-request-id", "0b9e2f6c-7f53-4d0c-9d5e-0a4b6d8c1e2f")
                .header("cookie", format!("sso=sim-{account}; sso-rw=sim-{account}"))
                .body(Full::from(format!("{{\"temporary\":true,\"modeId\":\"auto\",\"message\":\"question {number}\"}}")))
        }
    };
    Ok(request?)
}
