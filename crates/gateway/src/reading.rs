//! Reading texts that others wrote, away from the threads that serve when there is much of it.
//!
//! A worker thread serves many connections, so whatever takes long there makes all of them wait. All readers take time in
//! proportion to what they read, which is nothing to speak of for ordinary texts and a tenth of a second for the longest.

use tokio::sync::Semaphore;

/// What is longer is not read on a thread that serves.
pub(crate) const LARGE_BYTES: usize = 256 * 1024;

/// Large texts that are read at the same time; the others wait. The rest of the machine is for those who are served.
const MAX_READERS: usize = 2;

static READERS: Semaphore = Semaphore::const_new(MAX_READERS);

/// Reads a text of so many bytes: at once if it is short, else on another thread. A caller that stops waiting leaves the queue;
/// what is being read then is read to its end for nobody, and keeps its place so long.
pub(crate) async fn read<T: Send + 'static>(length: usize, reader: impl FnOnce() -> T + Send + 'static) -> T {
    if length <= LARGE_BYTES {
        return reader();
    }
    let place = READERS.acquire().await;
    let reading = tokio::task::spawn_blocking(move || {
        let _place = place;
        reader()
    });
    match reading.await {
        Ok(read) => read,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Nothing is begun any more because the runtime ends, and with it whoever waits here.
            Err(_) => std::future::pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn short_texts_are_read_at_once_and_long_ones_elsewhere() {
        let here = std::thread::current().id();
        assert_eq!(read(LARGE_BYTES, || std::thread::current().id()).await, here);
        assert_ne!(read(LARGE_BYTES + 1, || std::thread::current().id()).await, here);
    }

    #[tokio::test]
    async fn no_more_than_a_few_read_at_once_and_whoever_leaves_frees_the_queue() {
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (goes_on, waits) = mpsc::channel::<()>();
        let waits = Arc::new(std::sync::Mutex::new(waits));
        let reader = || {
            let (running, most, waits) = (Arc::clone(&running), Arc::clone(&most), Arc::clone(&waits));
            move || {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let _ = waits.lock().unwrap().recv();
                running.fetch_sub(1, Ordering::SeqCst);
            }
        };
        let reads: Vec<_> = (0..8).map(|_| tokio::spawn(read(LARGE_BYTES + 1, reader()))).collect();
        while running.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        // Those that have not begun never will; those that have go on, and keep their places until they are done.
        reads.iter().for_each(|read| read.abort());
        for _ in 0..MAX_READERS {
            let _ = goes_on.send(());
        }
        drop(goes_on);
        read(LARGE_BYTES + 1, || ()).await;
        assert!(most.load(Ordering::SeqCst) <= MAX_READERS);
    }
}
