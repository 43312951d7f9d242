//! What has to be known before anything runs: command line, environment, data directory, and what a first start makes.
//!
//! These values need a restart to change; everything else is a setting. Secrets come from the environment only: a command line
//! can be read by every user of the machine.

mod data_directory;
mod first_start;
mod health_check;

use std::ffi::OsString;
use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::settings::WebAddress;

pub(crate) use data_directory::{DataDirectory, prepare_data_dir};
pub(crate) use first_start::{FirstStartNotice, first_start, gateway_address, seed_demo};
pub use health_check::check_health;

/// Turns Grok web accounts into an OpenAI-compatible API.
#[derive(Debug, Parser)]
#[command(name = "grok2api", version, about, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeOptions,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the gateway; this is also what happens without a command.
    Serve(ServeOptions),
    /// Runs the gateway with a simulated upstream on a throw-away data directory: everything can be tried with no account.
    Demo(DemoOptions),
    /// Prints the OpenAPI document of the admin API and of /v1.
    Openapi,
    /// Asks the gateway that runs on this machine whether it lives; ends with 0 if so. For containers.
    Healthcheck(HealthOptions),
    /// Tells the state of a data directory: database, schema, damage, key, counts. Changes nothing; ends with 1 where something
    /// is wrong.
    Check(CheckOptions),
    /// Takes over a data directory of the Python Grok2API. The gateway must not be running; nothing in DIR is changed.
    Import(ImportOptions),
}

/// Options of `grok2api healthcheck`.
#[derive(Clone, Copy, Debug, Args)]
struct HealthOptions {
    /// Address that the gateway was told to listen on.
    #[arg(long, env = "GROK2API_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8000", value_parser = listen_address)]
    listen: SocketAddr,
}

/// Options of `grok2api check`.
#[derive(Clone, Debug, Args)]
struct CheckOptions {
    /// The directory to look at.
    #[arg(long, env = "GROK2API_DATA_DIR", default_value = "data", value_name = "DIR")]
    data_dir: PathBuf,
    /// Database instead of the one in the data directory: sqlite:PATH.
    #[arg(long, env = "GROK2API_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: Option<String>,
}

/// Options of `grok2api import`.
#[derive(Clone, Debug, Args)]
struct ImportOptions {
    /// The directory with tokens.json, api_keys.json and conversations.json.
    #[arg(value_name = "DIR")]
    from: PathBuf,
    /// Data directory to take them into; made when it is missing.
    #[arg(long, env = "GROK2API_DATA_DIR", default_value = "data", value_name = "DATA_DIR")]
    data_dir: PathBuf,
    /// Database instead of the one in the data directory: sqlite:PATH.
    #[arg(long, env = "GROK2API_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: Option<String>,
}

/// Options of `grok2api serve`.
#[derive(Clone, Debug, Args)]
struct ServeOptions {
    /// Address to listen on.
    #[arg(long, env = "GROK2API_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8000", value_parser = listen_address)]
    listen: SocketAddr,
    /// Directory of settings, database, keys and images; made when it is missing.
    #[arg(long, env = "GROK2API_DATA_DIR", default_value = "data", value_name = "DIR")]
    data_dir: PathBuf,
    /// Database instead of the one in the data directory: sqlite:PATH.
    #[arg(long, env = "GROK2API_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: Option<String>,
    /// Not supported by this version.
    #[arg(long, env = "GROK2API_REDIS_URL", value_name = "URL", hide = true, hide_env_values = true)]
    redis_url: Option<String>,
    /// Where the upstream is.
    #[arg(long, env = "GROK2API_UPSTREAM_URL", default_value = "https://grok.com", value_name = "URL", value_parser = origin)]
    upstream_url: String,
    /// Where the upstream's images and files are.
    #[arg(long, env = "GROK2API_ASSETS_URL", default_value = "https://assets.grok.com", value_name = "URL", value_parser = origin)]
    assets_url: String,
    /// File with a certificate authority, as PEM, to trust for the upstream beside the usual ones.
    #[arg(long, env = "GROK2API_UPSTREAM_CA", value_name = "FILE")]
    upstream_ca: Option<OsString>,
    /// Form of log lines.
    #[arg(long, env = "GROK2API_LOG_FORMAT", default_value = "text")]
    log_format: LogFormat,
    /// Address for /metrics without a token; leave it out for none.
    #[arg(long, env = "GROK2API_METRICS_LISTEN", value_name = "ADDRESS")]
    metrics_listen: Option<String>,
}

/// Options of `grok2api demo`.
#[derive(Clone, Debug, Args)]
struct DemoOptions {
    /// Address to listen on; of this machine only, because the demo's password and key are known to everybody.
    #[arg(long, env = "GROK2API_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8000", value_parser = loopback_address)]
    listen: SocketAddr,
    /// Form of log lines.
    #[arg(long, env = "GROK2API_LOG_FORMAT", default_value = "text")]
    log_format: LogFormat,
}

/// Form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// What to run.
#[derive(Clone, Debug)]
pub enum Mode {
    /// The gateway.
    Serve(Bootstrap),
    /// The gateway with a simulated upstream.
    Demo(Demo),
    /// Nothing but printing the OpenAPI document.
    Openapi,
    /// Nothing but asking whether the gateway at this address lives.
    Healthcheck(SocketAddr),
    /// Taking over another gateway's data directory.
    Import(Import),
    /// Nothing but telling the state of a data directory.
    Check(Check),
}

/// Everything a check has to know.
#[derive(Clone, Debug)]
pub struct Check {
    pub data_dir: PathBuf,
    /// `None`: SQLite in the data directory.
    pub database_url: Option<String>,
    pub secrets: SeedSecrets,
}

/// Everything an import has to know.
#[derive(Clone, Debug)]
pub struct Import {
    /// The directory that is read.
    pub from: PathBuf,
    /// The directory that is written to.
    pub data_dir: PathBuf,
    /// `None`: SQLite in the data directory.
    pub database_url: Option<String>,
    pub secrets: SeedSecrets,
}

/// Everything the gateway has to know before it starts.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    pub listen: SocketAddr,
    pub data_dir: PathBuf,
    /// `None`: SQLite in the data directory.
    pub database_url: Option<String>,
    /// Scheme and host, without a slash at the end.
    pub upstream_url: String,
    /// Scheme and host, without a slash at the end.
    pub assets_url: String,
    /// PEM file of a certificate authority to trust for the upstream beside the usual ones.
    pub upstream_ca: Option<PathBuf>,
    pub log_format: LogFormat,
    pub metrics_listen: Option<SocketAddr>,
    pub secrets: SeedSecrets,
}

/// Everything the demo has to know before it starts; the rest it makes up.
#[derive(Clone, Copy, Debug)]
pub struct Demo {
    /// A loopback address.
    pub listen: SocketAddr,
    pub log_format: LogFormat,
}

/// Secrets from the environment.
#[derive(Clone, Default)]
pub struct SeedSecrets {
    /// Password of the first admin, `admin`.
    pub admin_password: Option<String>,
    /// The first API key.
    pub api_key: Option<String>,
    /// Seals account tokens, instead of the key file.
    pub secret_key: Option<String>,
}

impl fmt::Debug for SeedSecrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |secret: &Option<String>| if secret.is_some() { "set" } else { "not set" };
        formatter
            .debug_struct("SeedSecrets")
            .field("admin_password", &shown(&self.admin_password))
            .field("api_key", &shown(&self.api_key))
            .field("secret_key", &shown(&self.secret_key))
            .finish()
    }
}

/// Why the gateway cannot start. Every message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    #[error("Redis is not supported by this version: start without --redis-url and GROK2API_REDIS_URL")]
    Redis,
    #[error("{name}: {problem}")]
    BadOption { name: &'static str, problem: String },
    #[error("{0} is not readable text: set it to ASCII characters or leave it out")]
    NotText(&'static str),
    #[error("{name} is set to the well-known value of the demo: choose another, or leave it out and one is made")]
    WellKnown { name: &'static str },
    #[error("{name} cannot be used: it {problem}")]
    BadSecret { name: &'static str, problem: String },
    #[error("{}: {problem}. Choose another directory with --data-dir or GROK2API_DATA_DIR, or correct this one", path.display())]
    DataDirectory { path: PathBuf, problem: String },
    #[error("{} is in use by another running gateway: stop that one first, or choose another directory with --data-dir", path.display())]
    DataDirectoryInUse { path: PathBuf },
    #[error("{0}")]
    Start(String),
}

impl Cli {
    /// What the command line asks for. `secrets` are those of [`SeedSecrets::from_environment`].
    pub fn into_mode(self, secrets: SeedSecrets) -> Result<Mode, BootstrapError> {
        let options = match self.command {
            Some(Command::Demo(DemoOptions { listen, log_format })) => {
                return Ok(Mode::Demo(Demo { listen, log_format }));
            }
            Some(Command::Openapi) => return Ok(Mode::Openapi),
            Some(Command::Healthcheck(HealthOptions { listen })) => return Ok(Mode::Healthcheck(listen)),
            Some(Command::Import(ImportOptions { from, data_dir, database_url })) => {
                let database_url = database_url.filter(|url| !url.is_empty());
                return Ok(Mode::Import(Import { from, data_dir, database_url, secrets }));
            }
            Some(Command::Check(CheckOptions { data_dir, database_url })) => {
                let database_url = database_url.filter(|url| !url.is_empty());
                return Ok(Mode::Check(Check { data_dir, database_url, secrets }));
            }
            Some(Command::Serve(options)) => options,
            None => self.serve,
        };
        // Compose files pass on variables that are not set as empty ones.
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        if given(options.redis_url).is_some() {
            return Err(BootstrapError::Redis);
        }
        let metrics_listen = given(options.metrics_listen).map(|text| listen_address(&text)).transpose();
        let metrics_listen =
            metrics_listen.map_err(|problem| BootstrapError::BadOption { name: "--metrics-listen", problem })?;
        Ok(Mode::Serve(Bootstrap {
            listen: options.listen,
            data_dir: options.data_dir,
            database_url: given(options.database_url),
            upstream_url: options.upstream_url,
            assets_url: options.assets_url,
            upstream_ca: options.upstream_ca.filter(|path| !path.is_empty()).map(PathBuf::from),
            log_format: options.log_format,
            metrics_listen,
            secrets,
        }))
    }
}

impl SeedSecrets {
    /// Reads `GROK2API_ADMIN_PASSWORD`, `GROK2API_API_KEY` and `GROK2API_SECRET_KEY`; an empty one counts as not set.
    pub fn from_environment() -> Result<Self, BootstrapError> {
        Ok(Self {
            admin_password: secret_variable("GROK2API_ADMIN_PASSWORD")?,
            api_key: secret_variable("GROK2API_API_KEY")?,
            secret_key: secret_variable("GROK2API_SECRET_KEY")?,
        })
    }
}

fn secret_variable(name: &'static str) -> Result<Option<String>, BootstrapError> {
    let Some(value) = std::env::var_os(name) else { return Ok(None) };
    let value = value.into_string().map_err(|_| BootstrapError::NotText(name))?;
    Ok(Some(value).filter(|value| !value.trim().is_empty()))
}

/// An address to listen on; a host name such as `localhost` is looked up.
fn listen_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let example = "an address with a port is expected, such as 127.0.0.1:8000 or 0.0.0.0:8000";
    let Some((host, _)) = text.rsplit_once(':').filter(|(host, _)| !host.is_empty()) else {
        return Err(example.to_owned());
    };
    let mut addresses = text.to_socket_addrs().map_err(|error| format!("{example} ({error})"))?;
    addresses.next().ok_or_else(|| format!("{host} has no address"))
}

fn loopback_address(text: &str) -> Result<SocketAddr, String> {
    let address = listen_address(text)?;
    if !address.ip().is_loopback() {
        return Err("the demo listens on this machine only, such as 127.0.0.1:8000".to_owned());
    }
    Ok(address)
}

/// An address with nothing behind the host, because paths are added to it.
fn origin(text: &str) -> Result<String, String> {
    let usable = |address: &WebAddress<'_>| {
        matches!(address.scheme, "http" | "https") && address.credentials.is_none() && address.is_bare()
    };
    match WebAddress::parse(text).filter(usable) {
        Some(address) => Ok(format!("{}://{}", address.scheme, address.authority)),
        None => Err("scheme and host are expected and nothing behind them, such as https://grok.com".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(arguments: &[&str]) -> Result<Mode, String> {
        let cli = Cli::try_parse_from([&["grok2api"], arguments].concat()).map_err(|error| error.to_string())?;
        cli.into_mode(SeedSecrets::default()).map_err(|error| error.to_string())
    }

    fn bootstrap(arguments: &[&str]) -> Bootstrap {
        match mode(arguments) {
            Ok(Mode::Serve(bootstrap)) => bootstrap,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn serve_is_what_happens_without_a_command() {
        for arguments in
            [vec!["--listen", "[::1]:9", "--data-dir", "d"], vec!["serve", "--listen", "[::1]:9", "--data-dir", "d"]]
        {
            let bootstrap = bootstrap(&arguments);
            assert_eq!(bootstrap.listen, "[::1]:9".parse().unwrap());
            assert_eq!(bootstrap.data_dir, PathBuf::from("d"));
            assert_eq!((bootstrap.database_url, bootstrap.metrics_listen), (None, None));
        }
    }

    #[test]
    fn addresses_may_be_names() {
        assert_eq!(bootstrap(&["--listen", "localhost:8123"]).listen.port(), 8123);
        for wrong in ["8000", ":8000", "127.0.0.1", "127.0.0.1:99999", ""] {
            let error = mode(&["--listen", wrong]).unwrap_err();
            assert!(error.contains("127.0.0.1:8000"), "{wrong}: {error}");
        }
    }

    #[test]
    fn the_upstream_is_a_bare_http_address() {
        for (text, expected) in
            [("http://127.0.0.1:9000", "http://127.0.0.1:9000"), ("https://grok.com/", "https://grok.com")]
        {
            assert_eq!(bootstrap(&["--upstream-url", text]).upstream_url, expected);
            assert_eq!(bootstrap(&["--assets-url", text]).assets_url, expected);
        }
        for wrong in [
            "grok.com",
            "ftp://grok.com",
            "https://grok.com/rest",
            "https://grok.com?x",
            "https://a:b@grok.com",
            "https://",
            "",
        ] {
            assert!(mode(&["--upstream-url", wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_demo_stays_on_this_machine() {
        assert!(matches!(mode(&["demo", "--listen", "127.0.0.1:0"]), Ok(Mode::Demo(demo)) if demo.listen.port() == 0));
        assert!(mode(&["demo", "--listen", "0.0.0.0:8000"]).unwrap_err().contains("this machine only"));
        assert!(mode(&["demo", "--data-dir", "data"]).is_err(), "its directory is thrown away");
    }

    #[test]
    fn an_empty_option_is_as_good_as_none() {
        assert_eq!(
            bootstrap(&["--metrics-listen", "127.0.0.1:9"]).metrics_listen,
            Some(SocketAddr::from(([127, 0, 0, 1], 9)))
        );
        assert_eq!(bootstrap(&["--metrics-listen", ""]).metrics_listen, None);
        assert_eq!(bootstrap(&["--upstream-ca", ""]).upstream_ca, None);
        assert!(mode(&["--metrics-listen", "9"]).unwrap_err().contains("--metrics-listen"));
    }

    #[test]
    fn redis_is_refused_with_a_sentence() {
        assert!(mode(&["--redis-url", "redis://host"]).unwrap_err().contains("Redis is not supported"));
        assert!(mode(&["--redis-url", ""]).is_ok());
    }

    #[test]
    fn seed_secrets_are_not_printed() {
        let secrets = SeedSecrets { api_key: Some("very-secret".to_owned()), ..SeedSecrets::default() };
        let text = format!("{secrets:?}");
        assert!(!text.contains("very-secret") && text.contains("not set"), "{text}");
    }
}
