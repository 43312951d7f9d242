//! What a first start makes: an admin or a way to become it, and an API key.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use super::{BootstrapError, SeedSecrets};
use crate::admins::{Admins, AdminsError, ClaimCode};
use crate::keys::{ApiKeys, KeyError, KeyTerms};

/// The admin whose password comes from the environment.
const ADMIN: &str = "admin";

/// The name of the first key.
const FIRST_KEY: &str = "default";

/// What the demo uses and everybody knows.
const DEMO_PASSWORD: &str = "admin";
const DEMO_KEY: &str = "sk-test";

/// A password from the environment below this length is used, with a warning.
const SHORT_PASSWORD: usize = crate::admins::SHORTEST_PASSWORD;

/// What the operator has to be told, once and at once: nothing of it can be shown again.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct FirstStartNotice {
    /// Makes whoever opens it the admin.
    pub(crate) claim_link: Option<String>,
    /// The first API key.
    pub(crate) api_key: Option<String>,
}

impl FirstStartNotice {
    pub(crate) fn is_empty(&self) -> bool {
        self.claim_link.is_none() && self.api_key.is_none()
    }
}

impl fmt::Debug for FirstStartNotice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Link and key are secrets.
        formatter.write_str("FirstStartNotice")
    }
}

impl fmt::Display for FirstStartNotice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(link) = &self.claim_link {
            writeln!(
                formatter,
                "Open this link to choose the console's name and password (it works once):\n\n    {link}\n"
            )?;
        }
        if let Some(key) = &self.api_key {
            writeln!(formatter, "The first API key (it is not shown again):\n\n    {key}\n")?;
        }
        Ok(())
    }
}

/// Seeds admin and key from the environment, or makes a claim link and a key. On later starts it makes nothing: a gateway that
/// is still unclaimed is told how to get a new link. `address` is where people reach the gateway.
///
/// Call it when nothing can fail any more before the notice is printed, above all after the address was bound.
pub(crate) async fn first_start(
    admins: &Admins,
    keys: &ApiKeys,
    secrets: &SeedSecrets,
    claim_file: &Path,
    address: &str,
) -> Result<FirstStartNotice, BootstrapError> {
    refuse_well_known(secrets)?;
    // Nobody is admin and no code was given out: this is the first start, or as good as one.
    let is_first = admins.claim_needed() && !claim_file.exists();
    if let Some(password) = &secrets.admin_password {
        seed_admin(admins, password).await?;
    }
    let api_key = first_key(keys, secrets, is_first).await?;
    let prepared = admins.prepare_claim().map_err(|error| {
        BootstrapError::Start(format!("the claim code cannot be kept in {}: {error}", claim_file.display()))
    })?;
    let claim_link = match prepared {
        ClaimCode::NotNeeded => None,
        ClaimCode::New(code) => Some(format!("{address}/admin/claim#{code}")),
        ClaimCode::Printed => {
            tracing::warn!(
                "nobody has claimed this gateway yet; the link was printed at its first start. For a new one, delete {} and \
                 start again",
                claim_file.display()
            );
            None
        }
    };
    Ok(FirstStartNotice { claim_link, api_key })
}

/// Gives the demo the admin and the key that its documentation names.
pub(crate) async fn seed_demo(admins: &Admins, keys: &ApiKeys) -> Result<(), BootstrapError> {
    admins.seed_admin(ADMIN, DEMO_PASSWORD).await.map_err(|error| BootstrapError::Start(error.to_string()))?;
    keys.create_with_secret("demo", DEMO_KEY).await.map_err(|error| BootstrapError::Start(error.to_string()))?;
    Ok(())
}

/// Where people reach a gateway that listens there. An address that stands for all interfaces is no place to go to.
pub(crate) fn gateway_address(listen: SocketAddr, base_url: &str) -> String {
    if !base_url.is_empty() {
        return base_url.to_owned();
    }
    match listen.ip() {
        ip if ip.is_unspecified() => format!("http://localhost:{}", listen.port()),
        IpAddr::V4(ip) => format!("http://{ip}:{}", listen.port()),
        IpAddr::V6(ip) => format!("http://[{ip}]:{}", listen.port()),
    }
}

fn refuse_well_known(secrets: &SeedSecrets) -> Result<(), BootstrapError> {
    let is = |secret: &Option<String>, known: &str| secret.as_deref().is_some_and(|secret| secret.trim() == known);
    if is(&secrets.admin_password, DEMO_PASSWORD) {
        return Err(BootstrapError::WellKnown { name: "GROK2API_ADMIN_PASSWORD" });
    }
    if is(&secrets.api_key, DEMO_KEY) {
        return Err(BootstrapError::WellKnown { name: "GROK2API_API_KEY" });
    }
    Ok(())
}

async fn seed_admin(admins: &Admins, password: &str) -> Result<(), BootstrapError> {
    let seeded = admins.seed_admin(ADMIN, password).await.map_err(|error| match error {
        AdminsError::Invalid(error) => {
            BootstrapError::BadSecret { name: "GROK2API_ADMIN_PASSWORD", problem: error.message }
        }
        error => BootstrapError::Start(error.to_string()),
    })?;
    if seeded && password.chars().count() < SHORT_PASSWORD {
        tracing::warn!("GROK2API_ADMIN_PASSWORD is shorter than {SHORT_PASSWORD} characters; change it in the console");
    }
    Ok(())
}

/// The key from the environment when there is no key yet, or on a first start a random one, which is returned.
async fn first_key(keys: &ApiKeys, secrets: &SeedSecrets, is_first: bool) -> Result<Option<String>, BootstrapError> {
    let start_error = |error: KeyError| match error {
        KeyError::Invalid(error) => BootstrapError::BadSecret { name: "GROK2API_API_KEY", problem: error.message },
        error => BootstrapError::Start(error.to_string()),
    };
    if keys.len() > 0 {
        return Ok(None);
    }
    if let Some(secret) = &secrets.api_key {
        keys.create_with_secret(FIRST_KEY, secret).await.map_err(start_error)?;
        return Ok(None);
    }
    if !is_first {
        return Ok(None);
    }
    let made = keys.create(FIRST_KEY, 1, &KeyTerms::default()).await.map_err(start_error)?;
    Ok(made.into_iter().next().map(|new| new.secret))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::admins::{Browser, Claim, SignIn};
    use crate::clock::Clock;
    use crate::keys::{KeyQuery, Verified};
    use crate::settings::SettingsHandle;
    use crate::store::{Store, Writer};
    use tokio_util::sync::CancellationToken;
    use tokio_util::task::TaskTracker;

    /// One start of a gateway.
    struct Start {
        admins: Admins,
        keys: ApiKeys,
        notice: Result<FirstStartNotice, BootstrapError>,
    }

    async fn start(directory: &Path, secrets: &SeedSecrets) -> Start {
        let clock = Clock::manual(1_700_000_000_000);
        let store = Store::open_beside(directory).await.unwrap();
        let settings = SettingsHandle::open(&directory.join("config.json"), clock.clone()).unwrap();
        let claim_file = directory.join("claim.hash");
        let writer = Writer::start(store.clone(), &TaskTracker::new(), CancellationToken::new());
        let keys = ApiKeys::load(store.clone(), writer, clock.clone()).await.unwrap();
        let cipher = crate::secrets::Cipher::load_or_create(directory, None).unwrap();
        let admins = Admins::load(store, settings, cipher, clock, claim_file.clone()).await.unwrap();
        let notice = first_start(&admins, &keys, secrets, &claim_file, "http://localhost:8000").await;
        Start { admins, keys, notice }
    }

    fn browser() -> Browser {
        Browser { address: Ipv4Addr::LOCALHOST.into(), user_agent: None, device: None }
    }

    async fn can_sign_in(admins: &Admins, password: &str) -> bool {
        let (username, password) = ("admin".to_owned(), password.to_owned());
        admins.sign_in(SignIn { username, password, remember: false, browser: browser() }).await.is_ok()
    }

    #[tokio::test]
    async fn the_first_start_prints_link_and_key_and_the_second_prints_none() {
        let directory = tempfile::tempdir().unwrap();
        let none = SeedSecrets::default();
        let first = start(directory.path(), &none).await;
        let notice = first.notice.unwrap();
        let (link, key) = (notice.claim_link.clone().unwrap(), notice.api_key.clone().unwrap());
        assert!(link.starts_with("http://localhost:8000/admin/claim#"));
        assert!(notice.to_string().contains(&link) && notice.to_string().contains(&key));
        assert!(matches!(first.keys.verify(&key), Verified::Ok(_)));
        assert!(!can_sign_in(&first.admins, "admin").await);
        assert!(matches!(first.keys.verify("sk-test"), Verified::Unknown));

        let second = start(directory.path(), &none).await;
        assert!(second.notice.unwrap().is_empty());
        assert_eq!(second.keys.len(), 1);

        let code = link.split_once('#').unwrap().1.to_owned();
        let claim =
            Claim { code, username: "ada".to_owned(), password: "a long password".to_owned(), browser: browser() };
        second.admins.claim(claim).await.map(|_| ()).unwrap();
        let third = start(directory.path(), &none).await;
        assert!(third.notice.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_lost_link_is_replaced_when_its_file_is_deleted() {
        let directory = tempfile::tempdir().unwrap();
        let none = SeedSecrets::default();
        let first = start(directory.path(), &none).await.notice.unwrap();
        std::fs::remove_file(directory.path().join("claim.hash")).unwrap();
        let again = start(directory.path(), &none).await.notice.unwrap();
        assert!(again.claim_link.is_some() && again.claim_link != first.claim_link);
        assert_eq!(again.api_key, None, "the key of the first start is still there");
    }

    #[tokio::test]
    async fn the_environment_seeds_admin_and_key_and_prints_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let secrets = SeedSecrets {
            admin_password: Some("from the environment".to_owned()),
            api_key: Some("sk-from-the-environment".to_owned()),
            secret_key: None,
        };
        for _ in 0..2 {
            let start = start(directory.path(), &secrets).await;
            assert!(start.notice.unwrap().is_empty());
            assert!(can_sign_in(&start.admins, "from the environment").await);
            assert!(matches!(start.keys.verify("sk-from-the-environment"), Verified::Ok(_)));
            assert_eq!(start.keys.len(), 1);
        }
        let changed = SeedSecrets {
            admin_password: Some("another".to_owned()),
            api_key: Some("sk-another".to_owned()),
            secret_key: None,
        };
        let later = start(directory.path(), &changed).await;
        assert!(!can_sign_in(&later.admins, "another").await, "seeds count once");
        assert!(matches!(later.keys.verify("sk-another"), Verified::Unknown));
    }

    #[tokio::test]
    async fn a_password_without_a_key_makes_a_key_once() {
        let directory = tempfile::tempdir().unwrap();
        let secrets = SeedSecrets { admin_password: Some("from the environment".to_owned()), ..SeedSecrets::default() };
        let first = start(directory.path(), &secrets).await;
        let notice = first.notice.unwrap();
        assert!(notice.claim_link.is_none() && notice.api_key.is_some());
        let id = first.keys.list(&KeyQuery { limit: 1, ..KeyQuery::default() }).items.remove(0).id;
        first.keys.delete(&id, None).await.unwrap();

        let second = start(directory.path(), &secrets).await;
        assert!(second.notice.unwrap().is_empty());
        assert_eq!(second.keys.len(), 0, "a deleted key does not come back");
    }

    #[tokio::test]
    async fn well_known_and_unusable_secrets_are_refused_before_anything_is_made() {
        let cases = [(Some("admin"), None), (None, Some("sk-test")), (None, Some("short")), (None, Some("with space"))];
        for (password, key) in cases {
            let directory = tempfile::tempdir().unwrap();
            let secrets = SeedSecrets {
                admin_password: password.map(str::to_owned),
                api_key: key.map(str::to_owned),
                secret_key: None,
            };
            let start = start(directory.path(), &secrets).await;
            let error = start.notice.unwrap_err().to_string();
            assert!(error.contains("GROK2API_"), "{error}");
            assert_eq!((start.keys.len(), start.admins.claim_needed()), (0, true));
            assert!(!directory.path().join("claim.hash").exists());
        }
    }

    #[tokio::test]
    async fn the_demo_has_what_its_documentation_says() {
        let directory = tempfile::tempdir().unwrap();
        let start = start(directory.path(), &SeedSecrets::default()).await;
        seed_demo(&start.admins, &start.keys).await.unwrap();
        assert!(can_sign_in(&start.admins, "admin").await);
        assert!(matches!(start.keys.verify("sk-test"), Verified::Ok(_)));
    }

    #[test]
    fn a_link_leads_to_where_the_gateway_can_be_reached() {
        let cases = [
            ("127.0.0.1:8000", "", "http://127.0.0.1:8000"),
            ("0.0.0.0:80", "", "http://localhost:80"),
            ("[::]:80", "", "http://localhost:80"),
            ("[fd00::1]:80", "", "http://[fd00::1]:80"),
            ("0.0.0.0:80", "https://chat.example.com", "https://chat.example.com"),
        ];
        for (listen, base_url, expected) in cases {
            assert_eq!(gateway_address(listen.parse().unwrap(), base_url), expected);
        }
    }
}
