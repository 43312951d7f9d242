//! The simulator as a process of its own: a load target, or an upstream to try a gateway against.

use std::{net::SocketAddr, process::ExitCode, time::Duration};

use clap::Parser;
use grok2api_simulator::{Options, Reply, Simulator};
use tokio::signal::unix::{SignalKind, signal};

/// Stands in for the upstream: checks what reaches it, plays every fault by script.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Accounts to begin with; their cookies are sim-0, sim-1, …
    #[arg(long, default_value_t = 1)]
    accounts: usize,
    /// What every call is answered with over either transport, by name; `--reply list` prints the names.
    #[arg(long, default_value = "default")]
    reply: String,
    /// Tokens of each answer, with `--reply tokens`.
    #[arg(long, default_value_t = 100)]
    tokens: usize,
    /// Time between two tokens, with `--reply tokens`.
    #[arg(long, default_value_t = 5)]
    interval_ms: u64,
    /// Thinking chunks in front, with `--reply tokens`.
    #[arg(long, default_value_t = 0)]
    thinking: usize,
    /// Calls that each account has in each mode.
    #[arg(long, default_value_t = 1_000_000_000)]
    quota: i64,
    /// Serve TLS with a certificate made at start.
    #[arg(long)]
    tls: bool,
    /// Where to write the certificate to trust, with `--tls`.
    #[arg(long, requires = "tls")]
    ca_file: Option<std::path::PathBuf>,
    /// Keep no conversations and no log, and answer from prepared buffers.
    #[arg(long)]
    stateless: bool,
    /// Answer 404 to WebSocket upgrades.
    #[arg(long)]
    no_socket: bool,
    /// Answer 404 to chat calls over REST; all other routes go on.
    #[arg(long)]
    no_rest_chat: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.reply == "list" {
        Reply::names().for_each(say);
        return ExitCode::SUCCESS;
    }
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> std::io::Result<()> {
    let Some(reply) = reply(&arguments) else {
        return Err(std::io::Error::other(format!(
            "no reply is named {:?}; --reply list prints the names",
            arguments.reply
        )));
    };
    // Registered before the address is printed: whoever starts this may stop it as soon as it reads that line.
    let mut terminate = signal(SignalKind::terminate())?;
    let simulator = Simulator::start(Options {
        listen: arguments.listen,
        tls: arguments.tls,
        keep_tree: !arguments.stateless,
        default_quota: arguments.quota,
        socket: !arguments.no_socket,
        rest_chat: !arguments.no_rest_chat,
    })
    .await?;
    for index in 0..arguments.accounts {
        simulator.add_account(&format!("sim-{index}")).always(Some(reply.clone()));
    }
    if let (Some(path), Some(pem)) = (&arguments.ca_file, simulator.ca_pem()) {
        std::fs::write(path, pem)?;
    }
    say(&format!("listening on {}", simulator.url()));
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    simulator.shutdown().await;
    Ok(())
}

fn reply(arguments: &Arguments) -> Option<Reply> {
    if arguments.reply != "tokens" {
        return Reply::named(&arguments.reply);
    }
    Some(Reply::Tokens {
        tokens: arguments.tokens,
        interval: Duration::from_millis(arguments.interval_ms),
        thinking: arguments.thinking,
    })
}

#[expect(clippy::print_stdout, reason = "the address on standard output is this program's interface")]
fn say(line: &str) {
    println!("{line}");
}

#[expect(clippy::print_stderr, reason = "a command line program tells its errors there")]
fn complain(line: &str) {
    eprintln!("error: {line}");
}
