//! `grok2api demo`: the gateway and a simulated upstream in one process, on a throw-away data directory. Nothing leaves the
//! machine.

use std::path::{Path, PathBuf};

use grok2api_simulator::{Options, Simulator};

use crate::accounts::NewAccount;
use crate::app::{Gateway, StartError};
use crate::bootstrap::{Bootstrap, Demo, SeedSecrets, seed_demo};
use crate::clock::Clock;
use crate::secrets::random_token;
use crate::telemetry::Logging;

/// The demo's accounts.
const ACCOUNTS: [&str; 3] = ["demo-anna", "demo-bert", "demo-cleo"];

/// A directory that goes when the demo ends.
struct ThrowAway(PathBuf);

impl Drop for ThrowAway {
    fn drop(&mut self) {
        // What cannot be removed stays in the system's directory for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs the demo until SIGTERM or Ctrl-C.
pub async fn run_demo(demo: Demo) -> Result<(), StartError> {
    let logging = Logging::start(demo.log_format);
    let simulator = Simulator::start(Options::default())
        .await
        .map_err(|error| StartError::Component(format!("the simulated upstream cannot start: {error}")))?;
    let directory = ThrowAway(std::env::temp_dir().join(format!("grok2api-demo-{}", random_token(9))));
    let gateway = Gateway::start(bootstrap(&demo, &simulator, &directory.0), Clock::system(), Some(logging)).await?;
    let api = gateway.api();
    seed_demo(&api.admins, &api.keys).await?;
    for name in ACCOUNTS {
        simulator.add_account(name);
        let account =
            NewAccount { token: name.to_owned(), label: Some(name.to_owned()), tags: Vec::new(), enabled: true };
        api.accounts.add(account, "demo").await.map_err(|error| StartError::Component(error.to_string()))?;
    }
    announce(&gateway, &simulator);
    gateway.run_until_signal().await;
    simulator.shutdown().await;
    Ok(())
}

fn bootstrap(demo: &Demo, simulator: &Simulator, directory: &Path) -> Bootstrap {
    Bootstrap {
        listen: demo.listen,
        data_dir: directory.to_owned(),
        database_url: None,
        upstream_url: simulator.url(),
        assets_url: simulator.url(),
        upstream_ca: None,
        log_format: demo.log_format,
        metrics_listen: None,
        secrets: SeedSecrets::default(),
    }
}

#[expect(clippy::print_stdout, reason = "the demo tells the person who starts it what to do with it")]
fn announce(gateway: &Gateway, simulator: &Simulator) {
    let base = format!("http://{}", gateway.address());
    println!("Grok2API demo: a simulated upstream at {}, nothing leaves this machine.\n", simulator.url());
    println!("  API      {base}/v1      key sk-test");
    println!("  Console  {base}/admin   name admin, password admin\n");
    println!("Try it:\n");
    println!("  curl {base}/v1/chat/completions -H 'Authorization: Bearer sk-test' \\");
    println!("    -H 'Content-Type: application/json' \\");
    println!("    -d '{{\"model\":\"grok-4.2\",\"messages\":[{{\"role\":\"user\",\"content\":\"hello\"}}]}}'\n");
    println!("Ctrl-C ends it and removes everything.");
}
