//! The operator's settings: read once at the start, from `default.toml`, the file and the environment, and typed.

mod error;
pub mod key_file;
mod layers;
mod values;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use url::{Host, Url};

use crate::model::mail::MailRoute;
use crate::model::seal::Keyring;
use crate::model::session::Lives;
use crate::model::throttle::Limit;
use crate::store::DatabaseUrl;

pub use error::SettingsError;
pub use layers::{DEFAULTS, KEYS, variable};
use values::Reader;

/// Every setting, as `default.toml` describes it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the data is kept.
    pub database_url: DatabaseUrl,
    /// The gateway's address.
    pub listen: SocketAddr,
    /// Where browsers and partners reach it.
    pub public_url: PublicUrl,
    /// Whose `X-Forwarded-*` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// What encrypts subscription secrets; `None`: the key file beside the SQLite database.
    pub secret_key: Option<Arc<Keyring>>,
    /// The metrics page's address; `None`: no metrics.
    pub metrics_listen: Option<SocketAddr>,
    /// How leads go out.
    pub delivery: DeliverySettings,
    /// Lives of codes and tokens.
    pub oauth: OAuthSettings,
    /// How mail is sent; `None`: no mail.
    pub mail: Option<MailRoute>,
    /// How long people stay signed in.
    pub sessions: Lives,
    /// How often somebody may be wrong.
    pub throttle: ThrottleSettings,
}

/// How leads go out.
#[derive(Debug, Clone)]
pub struct DeliverySettings {
    /// Networks that may be reached although they are not public.
    pub allow_networks: Vec<IpNet>,
    /// The wait after each failed attempt; at least one.
    pub retry_schedule: Vec<Duration>,
    /// How long an attempt may take as a whole.
    pub timeout: Duration,
    /// Requests under way at once to one subscription.
    pub max_per_subscription: NonZeroUsize,
    /// Bytes of bodies that are held at once.
    pub memory: usize,
    /// Finished deliveries are deleted after this.
    pub retention: Duration,
}

/// Lives of codes and tokens.
#[derive(Debug, Clone)]
pub struct OAuthSettings {
    /// Life of an access token.
    pub access_token_ttl: Duration,
    /// Life of a refresh token.
    pub refresh_token_ttl: Duration,
    /// Life of an authorization code.
    pub code_ttl: Duration,
}

/// How often a password or secret may be wrong.
#[derive(Debug, Clone)]
pub struct ThrottleSettings {
    /// For one account.
    pub per_account: Limit,
    /// For one address.
    pub per_address: Limit,
}

/// `public_url`: http or https with a host, and nothing else: the pages' links begin at the root of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(String);

impl PublicUrl {
    /// Parses it; slashes at the end are removed.
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let web = matches!(url.scheme(), "http" | "https") && url.has_host();
        let bare = url.username().is_empty() && url.password().is_none();
        let plain = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        (web && bare && plain).then(|| Self(url.as_str().trim_end_matches('/').to_owned()))
    }

    /// The default: plain HTTP at the address that is listened on.
    pub fn of(listen: SocketAddr) -> Self {
        Self::parse(&format!("http://{listen}")).expect("an address and a port are a URL's authority")
    }

    /// The URL, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether passwords and tokens travel where others can read them: by plain http, to another machine.
    pub fn is_exposed(&self) -> bool {
        let url = Url::parse(&self.0).expect("it was parsed");
        let loopback = match url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        !self.is_https() && !loopback
    }

    /// Whether browsers come by https.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https:")
    }
}

impl Settings {
    /// Reads all settings; what the environment sets wins over the file.
    pub fn load(
        file: Option<&Path>,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Self, SettingsError> {
        let reader = Reader(layers::layered(file, environment)?);
        let address = "an address and port such as 127.0.0.1:8080";
        let listen = reader.required("listen", address, |text| text.parse().ok())?;
        let database = "sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE";
        let url = "an http or https URL without path, query and fragment, such as https://leads.example.com";
        Ok(Self {
            database_url: reader.required("database_url", database, |text| text.parse().ok())?,
            listen,
            public_url: reader.text("public_url", url, PublicUrl::parse)?.unwrap_or(PublicUrl::of(listen)),
            trusted_proxies: reader.list("trusted_proxies", NETWORKS, values::network)?,
            secret_key: secret_key(&reader)?,
            metrics_listen: reader.text("metrics_listen", address, |text| text.parse().ok())?,
            delivery: DeliverySettings::read(&reader)?,
            oauth: OAuthSettings::read(&reader)?,
            mail: mail_route(&reader)?,
            sessions: session_lives(&reader)?,
            throttle: ThrottleSettings::read(&reader)?,
        })
    }

    /// The settings once the listener is bound to `address`: where `listen` left the port open, the default
    /// `public_url` names the one that the system chose.
    pub fn bound_to(self, address: SocketAddr) -> Self {
        let was_default = self.public_url == PublicUrl::of(self.listen);
        let public_url = if was_default { PublicUrl::of(address) } else { self.public_url };
        Self { listen: address, public_url, ..self }
    }
}

const NETWORKS: &str = "a list of networks such as 10.0.0.0/8";
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

fn secret_key(reader: &Reader) -> Result<Option<Arc<Keyring>>, SettingsError> {
    let expected = "32 bytes in hex (64 digits), or a list of such keys";
    let keys = reader.list("secret_key", expected, |key| Keyring::parse(key).ok().map(|_| key.to_owned()))?;
    if keys.is_empty() {
        return Ok(None);
    }
    let keyring = Keyring::parse(&keys.join(",")).expect("each key was parsed");
    Ok(Some(Arc::new(keyring)))
}

impl DeliverySettings {
    fn read(reader: &Reader) -> Result<Self, SettingsError> {
        let count = |text: &str| text.parse::<NonZeroUsize>().ok().filter(|count| count.get() <= 1000);
        Ok(Self {
            allow_networks: reader.list("delivery.allow_networks", NETWORKS, values::network)?,
            retry_schedule: retry_schedule(reader)?,
            timeout: reader.duration("delivery.timeout", "a duration from 1s to 5m", SECOND..=5 * MINUTE)?,
            max_per_subscription: reader.required("delivery.max_per_subscription", "a number from 1 to 1000", count)?,
            memory: reader.required("delivery.memory", "a size from 1MiB to 64GiB", memory)?,
            retention: reader.duration("delivery.retention", "a duration from 1h to 3650d", HOUR..=3650 * DAY)?,
        })
    }
}

fn memory(text: &str) -> Option<usize> {
    values::size(text).filter(|bytes| (1 << 20..=64 << 30).contains(bytes))
}

fn retry_schedule(reader: &Reader) -> Result<Vec<Duration>, SettingsError> {
    let expected = "a list of 1 to 50 durations from 1s to 7d";
    let wait = |text: &str| values::duration(text).filter(|wait| (SECOND..=7 * DAY).contains(wait));
    let waits = reader.list("delivery.retry_schedule", expected, wait)?;
    if !(1..=50).contains(&waits.len()) {
        return Err(reader.fault("delivery.retry_schedule", expected));
    }
    Ok(waits)
}

fn mail_route(reader: &Reader) -> Result<Option<MailRoute>, SettingsError> {
    let url = "smtps://USER:PASSWORD@HOST:PORT or smtp://USER:PASSWORD@HOST:PORT";
    let address = "an e-mail address such as leads@example.com, or with a name, such as Leads <leads@example.com>";
    let server = reader.text("smtp.url", url, |text| text.parse().ok())?;
    let from = reader.text("smtp.from", address, |text| text.parse().ok())?;
    match (server, from) {
        (None, _) => Ok(None),
        (Some(server), Some(from)) => Ok(Some(MailRoute { server, from })),
        (Some(_), None) => Err(SettingsError::Missing { key: "smtp.from", because: "smtp.url" }),
    }
}

fn session_lives(reader: &Reader) -> Result<Lives, SettingsError> {
    Ok(Lives {
        idle: reader.duration("sessions.idle_ttl", "a duration from 5m to 90d", 5 * MINUTE..=90 * DAY)?,
        absolute: reader.duration("sessions.ttl", "a duration from 5m to 365d", 5 * MINUTE..=365 * DAY)?,
    })
}

impl OAuthSettings {
    fn read(reader: &Reader) -> Result<Self, SettingsError> {
        let refresh = "a duration from 1h to 3650d";
        Ok(Self {
            access_token_ttl: reader.duration("oauth.access_token_ttl", "a duration from 1m to 24h", MINUTE..=DAY)?,
            refresh_token_ttl: reader.duration("oauth.refresh_token_ttl", refresh, HOUR..=3650 * DAY)?,
            code_ttl: reader.duration("oauth.code_ttl", "a duration from 1s to 10m", SECOND..=10 * MINUTE)?,
        })
    }
}

impl ThrottleSettings {
    fn read(reader: &Reader) -> Result<Self, SettingsError> {
        let expected = "a number from 1 to 10000 and a duration from 10s to 24h, such as 10/10m";
        Ok(Self {
            per_account: reader.required("throttle.per_account", expected, values::limit)?,
            per_address: reader.required("throttle.per_address", expected, values::limit)?,
        })
    }
}

#[cfg(test)]
mod tests;
