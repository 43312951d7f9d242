//! Fetching what a client names from the open web: without an account, without the proxy (that one is for the upstream), and
//! only from addresses that were checked. Names are resolved once, by us; the connection goes to what was checked.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, LOCATION, USER_AGENT};
use reqwest::{Client, Response, Url};

use super::client::next_piece;
use super::names::{Names, passed_on};
use super::public_address::{NotPublic, is_permitted, permitted};
use super::{Upstream, UpstreamError};
use crate::settings::{Network, Settings};

/// For one thing, with all that leads to it. Shorter than the silence after which a streamed answer begins with a keep-alive,
/// so that a failure still has its status.
const PATIENCE: Duration = Duration::from_secs(12);

/// Redirects that are followed, each checked like the first address.
const REDIRECTS: usize = 3;

/// Ports below this belong to services that are no web servers, but for the two of the web.
const FIRST_FREE_PORT: u16 = 1024;

/// Why something could not be fetched. Never holds the address: it may carry a signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WebError {
    /// The address itself will not do.
    #[error("{0}")]
    Address(&'static str),
    #[error("leads to an address that is not on the public internet")]
    NotPublic,
    #[error("could not be fetched: {0}")]
    Unreachable(String),
    #[error("could not be fetched: its server answered {0}")]
    Status(u16),
    #[error("leads on to other addresses more than {REDIRECTS} times")]
    TooManyRedirects,
    #[error("is larger than {} MiB", .0 / 1024 / 1024)]
    TooLarge(usize),
    #[error("is too much: the images of one message may have {} MiB together", .0 / 1024 / 1024)]
    TooMuch(usize),
    #[error("did not arrive within {} s", PATIENCE.as_secs())]
    TooSlow,
}

/// How many bytes several fetches may bring together.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    left: Arc<AtomicUsize>,
    whole: usize,
}

impl Room {
    pub(crate) fn new(bytes: usize) -> Self {
        Self { left: Arc::new(AtomicUsize::new(bytes)), whole: bytes }
    }

    /// Takes a part of what is left.
    pub(crate) fn take(&self, bytes: usize) -> Result<(), WebError> {
        let less = |left: usize| left.checked_sub(bytes);
        let taken = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        taken.map(|_| ()).map_err(|_| WebError::TooMuch(self.whole))
    }

    /// Gives back what did not become anything.
    fn give_back(&self, bytes: usize) {
        self.left.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Upstream {
    /// Fetches from the open web, up to `limit` bytes and to what `room` has left.
    pub(crate) async fn fetch_from_web(
        &self,
        url: &str,
        limit: usize,
        room: &Room,
        settings: &Settings,
    ) -> Result<Bytes, WebError> {
        let fetch = Fetch {
            client: self.web_client(settings).map_err(unreachable)?,
            allowed: settings.image_url_allow.as_slice().into(),
            user_agent: settings.user_agent.clone(),
        };
        let (url, room) = (url.to_owned(), room.clone());
        let fetched = self.aside().run(async move {
            let fetched = tokio::time::timeout(PATIENCE, async {
                let response = fetch.follow(&url).await?;
                read_whole(response, limit, &room).await
            });
            fetched.await.unwrap_or(Err(WebError::TooSlow))
        });
        fetched.await.unwrap_or_else(|| Err(WebError::Unreachable("the fetch broke off".to_owned())))
    }

    /// One client per fetch: no connection outlives the check that allowed it.
    fn web_client(&self, settings: &Settings) -> Result<Client, reqwest::Error> {
        let allowed = settings.image_url_allow.as_slice().into();
        let names = self.web_names().clone();
        self.direct_builder(settings)?.dns_resolver(Arc::new(CheckedResolver { names, allowed })).build()
    }
}

/// What one fetch needs.
struct Fetch {
    client: Client,
    allowed: Arc<[Network]>,
    user_agent: String,
}

impl Fetch {
    async fn follow(&self, url: &str) -> Result<Response, WebError> {
        let mut url = Url::parse(url).map_err(|_| WebError::Address("is not a valid address"))?;
        for _ in 0..=REDIRECTS {
            check(&url, &self.allowed)?;
            let request = self.client.get(url.clone());
            let request = request.header(USER_AGENT, &self.user_agent).header(ACCEPT, "image/*,*/*;q=0.5");
            let response = request.send().await.map_err(unreachable)?;
            let status = response.status();
            if status.is_success() {
                return Ok(response);
            }
            let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let Some(location) = location.filter(|_| status.is_redirection()) else {
                return Err(WebError::Status(status.as_u16()));
            };
            url = url.join(location).map_err(|_| WebError::Address("leads on to what is not a valid address"))?;
        }
        Err(WebError::TooManyRedirects)
    }
}

fn check(url: &Url, allowed: &[Network]) -> Result<(), WebError> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(WebError::Address("leads to something that is neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(WebError::Address("must not hold a user name or password"));
    }
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    if host.is_empty() {
        return Err(WebError::Address("is not a valid address"));
    }
    // Written as `2130706433` or `0x7f.1`, it has been read by the parser as the address that it is.
    if let Ok(address) = host.parse::<IpAddr>()
        && !is_permitted(address, allowed)
    {
        return Err(WebError::NotPublic);
    }
    match url.port_or_known_default() {
        Some(80 | 443 | FIRST_FREE_PORT..) => Ok(()),
        _ => Err(WebError::Address("names a port on which no web server is expected")),
    }
}

/// Resolves names to addresses that may be connected to, and to no others.
struct CheckedResolver {
    names: Names,
    allowed: Arc<[Network]>,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (names, allowed) = (self.names.clone(), Arc::clone(&self.allowed));
        Box::pin(async move {
            let found = names.addresses(name.as_str()).await.map_err(passed_on)?;
            let addresses: Addrs = Box::new(permitted(found.iter().copied(), &allowed)?.into_iter());
            Ok(addresses)
        })
    }
}

fn unreachable(error: reqwest::Error) -> WebError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(error) = cause {
        if error.is::<NotPublic>() {
            return WebError::NotPublic;
        }
        cause = error.source();
    }
    WebError::Unreachable(UpstreamError::from(error).to_string())
}

async fn read_whole(mut response: Response, limit: usize, room: &Room) -> Result<Bytes, WebError> {
    let announced = usize::try_from(response.content_length().unwrap_or(0)).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(WebError::TooLarge(limit));
    }
    // What is announced is taken first, so that nothing is read that could not be kept.
    let mut taken = Taken { room, bytes: 0 };
    taken.grow(announced)?;
    let mut body = Vec::with_capacity(announced);
    while let Some(piece) = next_piece(&mut response).await.map_err(unreachable)? {
        let length = body.len() + piece.len();
        if length > limit {
            return Err(WebError::TooLarge(limit));
        }
        taken.grow(length)?;
        if length > body.capacity() {
            // By an eighth and not to the double: a few of these are in memory at the same time.
            body.reserve_exact(piece.len().max(body.len() / 8));
        }
        body.extend_from_slice(&piece);
    }
    taken.keep(body.len());
    Ok(body.into())
}

/// What one fetch has taken of the room; gives it back unless it is kept.
struct Taken<'a> {
    room: &'a Room,
    bytes: usize,
}

impl Taken<'_> {
    fn grow(&mut self, bytes: usize) -> Result<(), WebError> {
        let more = bytes.saturating_sub(self.bytes);
        self.room.take(more)?;
        self.bytes += more;
        Ok(())
    }

    /// So much of it has become something; the rest is given back.
    fn keep(mut self, bytes: usize) {
        self.bytes -= bytes;
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.room.give_back(self.bytes);
    }
}

/// What may be fetched is on the web, on a port of the web, and never inside.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(text: &str) {
    let Ok(url) = Url::parse(text) else { return };
    if check(&url, &[]).is_err() {
        return;
    }
    assert!(matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none());
    match url.host() {
        None => panic!("an address without a host"),
        Some(host) => {
            let address = host.to_string().trim_matches(['[', ']']).parse::<IpAddr>();
            assert!(address.ok().is_none_or(|address| is_permitted(address, &[])), "{url}");
        }
    }
    assert!(url.port_or_known_default().is_some_and(|port| matches!(port, 80 | 443 | FIRST_FREE_PORT..)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_before_anybody_is_asked() {
        let nas: Network = "127.0.0.2".parse().unwrap();
        let checked = |url: &str| check(&Url::parse(url).unwrap(), &[nas]);
        for good in [
            "https://h.example/a.png",
            "http://1.1.1.1:8080/",
            "http://127.0.0.2:5000/a.png",
            "http://[::ffff:127.0.0.2]/",
            "http://0x7f000002/",
        ] {
            assert_eq!(checked(good), Ok(()), "{good}");
        }
        for hidden in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://017700000001/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://[::127.0.0.1]/",
            "http://169.254.169.254/latest/meta-data/",
            "http://0/",
            "http://10.1.2.3/",
            "http://[fd00::1]/",
        ] {
            assert_eq!(checked(hidden), Err(WebError::NotPublic), "{hidden}");
        }
        for bad in ["http://me@h.example/", "http://me:secret@h.example/", "ftp://h.example/", "http://h.example:22/"] {
            assert!(matches!(checked(bad), Err(WebError::Address(_))), "{bad}");
        }
    }
}
