//! Looking names up. The operating system's look-up blocks a thread and cannot be broken off, so the threads are few and our own, a
//! name is looked up once whoever waits for it, and nobody waits for ever.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Names looked up at the same time. Connections are kept, so there are few to look up.
const AT_ONCE: usize = 8;

/// Patience with one name, its wait for a thread included.
const PATIENCE: Duration = Duration::from_secs(8);

type LookUp = dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// What came of a look-up; `None` while it runs.
type Outcome = Option<Result<Arc<[SocketAddr]>, NotFound>>;

/// Why a name leads nowhere.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct NotFound {
    message: Arc<str>,
    /// The operating system's code, where it gave one.
    code: Option<i32>,
}

/// A cheap handle to one set of threads that look names up. Each purpose has its own, so that names which never resolve stand in the way of
/// their own kind only.
#[derive(Clone)]
pub(super) struct Names {
    look_up: Arc<LookUp>,
    threads: Arc<Semaphore>,
    under_way: Arc<Mutex<HashMap<String, watch::Receiver<Outcome>>>>,
}

impl Names {
    /// By the operating system.
    pub(super) fn new() -> Self {
        Self::looked_up_by(|name| (name, 0).to_socket_addrs().map(Iterator::collect))
    }

    fn looked_up_by(look_up: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static) -> Self {
        Self { look_up: Arc::new(look_up), threads: Arc::new(Semaphore::new(AT_ONCE)), under_way: Arc::default() }
    }

    /// The addresses of a name.
    pub(super) async fn addresses(&self, name: &str) -> Result<Arc<[SocketAddr]>, NotFound> {
        let found = tokio::time::timeout(PATIENCE, self.found(name)).await;
        found.unwrap_or_else(|_| Err(NotFound::new(format!("{name} was not found within {} s", PATIENCE.as_secs()))))
    }

    async fn found(&self, name: &str) -> Result<Arc<[SocketAddr]>, NotFound> {
        let mut outcome = match self.running(name) {
            Some(outcome) => outcome,
            None => {
                let thread = Arc::clone(&self.threads).acquire_owned().await;
                let thread = thread.map_err(|_| NotFound::new("names are no longer looked up".to_owned()))?;
                self.begin(name, thread)?
            }
        };
        let told = outcome.wait_for(Option::is_some).await;
        let told = told.ok().and_then(|outcome| (*outcome).clone());
        told.unwrap_or_else(|| Err(NotFound::new(format!("the look-up of {name} broke off"))))
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<String, watch::Receiver<Outcome>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self, name: &str) -> Option<watch::Receiver<Outcome>> {
        self.under_way().get(name).cloned()
    }

    /// Begins a look-up, unless somebody has in the meantime. Its thread is given back when the operating system answers, however
    /// late that is.
    fn begin(&self, name: &str, thread: OwnedSemaphorePermit) -> Result<watch::Receiver<Outcome>, NotFound> {
        let mut under_way = self.under_way();
        if let Some(running) = under_way.get(name) {
            return Ok(running.clone());
        }
        let (sender, receiver) = watch::channel(None);
        let (names, owned) = (self.clone(), name.to_owned());
        let look_up = move || {
            let found = (names.look_up)(&owned).map_err(|error| NotFound::of(&owned, &error));
            names.under_way().remove(&owned);
            drop(thread);
            // Nobody may be waiting any more.
            let _ = sender.send(Some(found.map(Arc::from)));
        };
        let begun = std::thread::Builder::new().name("look-up".to_owned()).spawn(look_up);
        begun.map_err(|error| NotFound::of(name, &error))?;
        under_way.insert(name.to_owned(), receiver.clone());
        Ok(receiver)
    }
}

impl NotFound {
    fn new(message: String) -> Self {
        Self { message: message.into(), code: None }
    }

    fn of(name: &str, error: &io::Error) -> Self {
        // Without a file descriptor the look-up only says that it did not work; what else would work tells why.
        let code = error.raw_os_error().or_else(|| std::fs::File::open("/dev/null").err()?.raw_os_error());
        Self { message: format!("{name} was not found: {error}").into(), code }
    }
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let names = self.clone();
        Box::pin(async move {
            let found = names.addresses(name.as_str()).await.map_err(passed_on)?;
            let addresses: Addrs = Box::new(Vec::from(&*found).into_iter());
            Ok(addresses)
        })
    }
}

/// The error as the HTTP client passes it on; with the operating system's code, from which want of file descriptors is known.
pub(super) fn passed_on(error: NotFound) -> Box<dyn std::error::Error + Send + Sync> {
    match error.code.map(io::Error::from_raw_os_error) {
        Some(code) if super::error::is_exhaustion(&code) => Box::new(code),
        _ => Box::new(error),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Condvar;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;

    use super::*;

    /// Look-ups that hang until they are let go, counted.
    #[derive(Default)]
    struct Slow {
        running: AtomicUsize,
        most: AtomicUsize,
        begun: AtomicUsize,
        is_let_go: Mutex<bool>,
        let_go: Condvar,
    }

    fn names(slow: &Arc<Slow>) -> Names {
        let slow = Arc::clone(slow);
        Names::looked_up_by(move |name| {
            slow.begun.fetch_add(1, Ordering::SeqCst);
            let running = slow.running.fetch_add(1, Ordering::SeqCst) + 1;
            slow.most.fetch_max(running, Ordering::SeqCst);
            if name.starts_with("slow") {
                let guard = slow.is_let_go.lock().unwrap();
                drop(slow.let_go.wait_while(guard, |is_let_go| !*is_let_go).unwrap());
            }
            slow.running.fetch_sub(1, Ordering::SeqCst);
            match name {
                "nowhere" => Err(io::Error::other("no such name")),
                _ => Ok(vec!["203.0.113.7:0".parse().unwrap()]),
            }
        })
    }

    #[tokio::test(start_paused = true)]
    async fn names_that_never_resolve_hold_few_threads_and_nobody_for_ever() {
        let slow = Arc::<Slow>::default();
        let names = names(&slow);
        let asked: Vec<_> = (0..200).map(|number| format!("slow-{}", number % 40)).collect();
        let answers = join_all(asked.iter().map(|name| names.addresses(name))).await;
        assert!(answers.iter().all(Result::is_err));
        assert!(answers[0].as_ref().unwrap_err().to_string().contains("within 8 s"));
        // Asked again and again, nothing grows.
        for _ in 0..20 {
            names.addresses("slow-1").await.unwrap_err();
            names.addresses("another").await.unwrap_err();
        }
        assert!(slow.begun.load(Ordering::SeqCst) <= AT_ONCE && slow.most.load(Ordering::SeqCst) <= AT_ONCE);
        assert!(names.under_way().len() <= AT_ONCE);

        *slow.is_let_go.lock().unwrap() = true;
        slow.let_go.notify_all();
        while slow.running.load(Ordering::SeqCst) > 0 || names.threads.available_permits() < AT_ONCE {
            std::thread::yield_now();
        }
        assert!(names.under_way().is_empty());
    }

    #[tokio::test]
    async fn one_name_is_looked_up_once_whoever_asks_and_anew_when_asked_again() {
        let slow = Arc::<Slow>::default();
        let names = names(&slow);
        let asking = join_all((0..50).map(|_| names.addresses("slow-but-there")));
        let let_go = async {
            tokio::task::yield_now().await;
            *slow.is_let_go.lock().unwrap() = true;
            slow.let_go.notify_all();
        };
        let (answers, ()) = tokio::join!(asking, let_go);
        assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|found| found.len() == 1)));
        assert!(slow.begun.load(Ordering::SeqCst) <= AT_ONCE, "shared by those that asked at the same time");
        let before = slow.begun.load(Ordering::SeqCst);
        names.addresses("slow-but-there").await.unwrap();
        assert_eq!(slow.begun.load(Ordering::SeqCst), before + 1);
        let error = names.addresses("nowhere").await.unwrap_err();
        assert_eq!(error.to_string(), "nowhere was not found: no such name");
    }

    #[tokio::test]
    async fn want_of_file_descriptors_is_passed_on_as_what_it_is() {
        let names = Names::looked_up_by(|_| Err(io::Error::from_raw_os_error(libc::EMFILE)));
        let error = passed_on(names.addresses("any").await.unwrap_err());
        assert_eq!(error.downcast_ref::<io::Error>().unwrap().raw_os_error(), Some(libc::EMFILE));
        let names = Names::looked_up_by(|_| Err(io::Error::other("temporary failure")));
        let error = passed_on(names.addresses("any").await.unwrap_err());
        assert!(error.downcast_ref::<io::Error>().is_none(), "{error}");
    }
}
