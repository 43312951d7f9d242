//! Real failures of real system calls: strace makes those of a running process fail.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// strace, attached to a process.
pub(crate) struct Strace {
    child: Child,
    injected: Arc<AtomicUsize>,
}

impl Strace {
    /// Attaches to a process: from now on its `call` fails with `error`, in each thread from the `from`th one on. `None` where
    /// this machine does not let processes be traced.
    pub(crate) async fn attach(process: u32, call: &str, error: &str, from: usize) -> Option<Self> {
        let inject = format!("inject={call}:error={error}:when={from}+");
        let mut command = Command::new("strace");
        command.args(["-f", "-p", &process.to_string(), "-e", &format!("trace={call}"), "-e", &inject]);
        let mut child = match command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn() {
            Ok(child) => child,
            Err(error) => {
                needed("strace", &error.to_string());
                return None;
            }
        };
        let injected = Arc::new(AtomicUsize::new(0));
        let (tell, attached) = tokio::sync::oneshot::channel();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let counter = Arc::clone(&injected);
        std::thread::spawn(move || {
            let mut tell = Some(tell);
            for line in lines.map_while(Result::ok) {
                if line.contains("(INJECTED)") {
                    counter.fetch_add(1, Ordering::SeqCst);
                } else if let Some(tell) = tell.take_if(|_| line.contains("attach")) {
                    let _ = tell.send(line);
                }
            }
        });
        let line = tokio::time::timeout(Duration::from_secs(20), attached).await.expect("it attaches or ends");
        match line {
            Ok(line) if line.contains("attached") => Some(Self { child, injected }),
            refused => {
                let _ = child.wait();
                not_here("tracing is not permitted", &format!("{refused:?}"));
                None
            }
        }
    }

    /// Calls that failed so far.
    pub(crate) fn injected(&self) -> usize {
        self.injected.load(Ordering::SeqCst)
    }

    /// Lets go of the process: its calls work again.
    pub(crate) fn detach(mut self) {
        let ended = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(ended.unwrap().success());
        self.child.wait().unwrap();
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program is missing: CI installs it, so there it is a failure; elsewhere the test says that it did not run.
pub(crate) fn needed(program: &str, why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{program} is missing ({why}); CI installs it");
    not_here(&format!("{program} is missing"), why);
}

/// Says on the terminal, past the test runner's capture, that a test could not run here.
pub(crate) fn not_here(what: &str, why: &str) {
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = writeln!(std::io::stderr().lock(), "NOT RUN HERE: {name}: {what} ({why})");
}
