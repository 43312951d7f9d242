//! Several clients, so that no HTTP/2 connection is asked for more streams than it carries.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Streams on one client before the next is used. Upstreams commonly allow 100 per connection, and the client library does
/// not tell.
const STREAMS_PER_SHARD: usize = 80;

/// Clients at most: 80 × 512 streams are more than one machine relays.
const SHARDS: usize = 512;

/// Makes a client, for the next shard.
pub(super) type MakeClient = Box<dyn Fn() -> Result<reqwest::Client, reqwest::Error> + Send + Sync>;

/// The clients of one configuration.
pub(super) struct Shards {
    make: MakeClient,
    shards: Mutex<Vec<Arc<Shard>>>,
}

struct Shard {
    client: reqwest::Client,
    in_flight: AtomicUsize,
}

/// One slot on a shard; gives it back when dropped.
pub(super) struct Slot(Arc<Shard>);

impl Shards {
    pub(super) fn new(make: MakeClient) -> Result<Self, reqwest::Error> {
        let first = Shard { client: make()?, in_flight: AtomicUsize::new(0) };
        Ok(Self { make, shards: Mutex::new(vec![Arc::new(first)]) })
    }

    /// A slot on the first client with room: few connections while there is little to do.
    pub(super) fn slot(&self) -> Result<Slot, reqwest::Error> {
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        let with_room = shards.iter().find(|shard| shard.in_flight.load(Ordering::Relaxed) < STREAMS_PER_SHARD);
        let shard = match with_room {
            Some(shard) => Arc::clone(shard),
            None if shards.len() < SHARDS => {
                let shard = Arc::new(Shard { client: (self.make)()?, in_flight: AtomicUsize::new(0) });
                shards.push(Arc::clone(&shard));
                shard
            }
            None => {
                let least = shards.iter().min_by_key(|shard| shard.in_flight.load(Ordering::Relaxed));
                Arc::clone(least.expect("there is always one shard"))
            }
        };
        shard.in_flight.fetch_add(1, Ordering::Relaxed);
        Ok(Slot(shard))
    }
}

impl Slot {
    pub(super) fn client(&self) -> &reqwest::Client {
        &self.0.client
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
