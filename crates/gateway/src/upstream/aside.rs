//! A thread of its own for what clients have fetched from the open web: a server that clients name may be anybody's, and must not take the
//! time of the threads that relay answers. The HTTP client cannot be made to pause in every loop of its own.

use std::future::Future;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;

/// The thread, begun when it is first needed. It ends when this is dropped.
#[derive(Default)]
pub(super) struct Aside {
    thread: OnceLock<(Handle, DropGuard)>,
}

impl Aside {
    /// Runs work on the thread, as long as it is waited for. `None`: it broke off.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        AbortOnDropHandle::new(self.handle()?.spawn(work)).await.ok()
    }

    fn handle(&self) -> Option<&Handle> {
        if self.thread.get().is_none() {
            match begin() {
                // Somebody may have been faster; then this one ends again.
                Ok(begun) => drop(self.thread.set(begun)),
                Err(error) => tracing::error!(%error, "the thread for fetches from the web could not be started"),
            }
        }
        self.thread.get().map(|(handle, _)| handle)
    }
}

fn begin() -> std::io::Result<(Handle, DropGuard)> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (handle, ended) = (runtime.handle().clone(), CancellationToken::new());
    let guard = ended.clone().drop_guard();
    std::thread::Builder::new().name("web".to_owned()).spawn(move || runtime.block_on(ended.cancelled()))?;
    Ok((handle, guard))
}
