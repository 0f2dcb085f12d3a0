//! Mail: the server that takes it, and letters.

use std::fmt;
use std::net::IpAddr;

use lettre::message::Mailbox;
use percent_encoding::percent_decode_str;
use url::{Host, Url};

use super::Timestamp;
use super::person::Email;

/// How to send mail.
#[derive(Debug, Clone)]
pub struct MailRoute {
    /// The server that takes it.
    pub server: MailServer,
    /// Who it is from.
    pub from: Mailbox,
}

/// A server that takes mail: `smtps://USER:PASSWORD@HOST:PORT`, or `smtp://…`.
#[derive(Clone, PartialEq, Eq)]
pub struct MailServer {
    /// How the connection is kept secret.
    pub encryption: Encryption,
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// User and password, if it wants them.
    pub login: Option<(String, String)>,
}

/// How a connection is kept secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// TLS from the first byte.
    Tls,
    /// TLS after `STARTTLS`; without it nothing is sent.
    StartTls,
    /// None: only to this machine itself.
    None,
}

/// The text is no mail server's URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an smtps:// or smtp:// URL of a mail server")]
pub struct InvalidMailServer;

impl std::str::FromStr for MailServer {
    type Err = InvalidMailServer;

    fn from_str(text: &str) -> Result<Self, InvalidMailServer> {
        let url = Url::parse(text).map_err(|_| InvalidMailServer)?;
        let plain = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        let host = url.host_str().filter(|host| plain && !host.is_empty()).ok_or(InvalidMailServer)?;
        let (encryption, port) = match url.scheme() {
            "smtps" => (Encryption::Tls, 465),
            "smtp" if is_loopback(host) => (Encryption::None, 25),
            "smtp" => (Encryption::StartTls, 587),
            _ => return Err(InvalidMailServer),
        };
        let decode =
            |text: &str| percent_decode_str(text).decode_utf8().map(String::from).map_err(|_| InvalidMailServer);
        let login = match (url.username(), url.password()) {
            ("", None) => None,
            ("", Some(_)) | (_, None) => return Err(InvalidMailServer),
            (user, Some(password)) => Some((decode(user)?, decode(password)?)),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { encryption, host, port: url.port().unwrap_or(port), login })
    }
}

fn is_loopback(host: &str) -> bool {
    match Host::parse(host) {
        Ok(Host::Domain(name)) => name == "localhost",
        Ok(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Ok(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        Err(_) => false,
    }
}

impl fmt::Debug for MailServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MailServer({self})")
    }
}

/// Host and port, for people.
impl fmt::Display for MailServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// A letter of plain text.
#[derive(Clone)]
pub struct Letter {
    /// Whom it goes to.
    pub to: Email,
    /// Its subject.
    pub subject: String,
    /// What it says. It can hold a secret.
    pub text: String,
    /// What tells it from other letters; unique.
    pub id: String,
    /// When it was written.
    pub date: Timestamp,
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Letter").field("to", &self.to).field("subject", &self.subject).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> MailServer {
        text.parse().unwrap_or_else(|_| panic!("{text}"))
    }

    #[test]
    fn passwords_travel_encrypted_or_not_at_all() {
        for (text, encryption, port) in [
            ("smtps://mail.example.com", Encryption::Tls, 465),
            ("smtp://mail.example.com", Encryption::StartTls, 587),
            ("smtp://mail.example.com:25/", Encryption::StartTls, 25),
            ("smtp://192.0.2.1", Encryption::StartTls, 587),
            ("smtp://localhost", Encryption::None, 25),
            ("smtp://127.0.0.1:2525", Encryption::None, 2525),
            ("smtp://[::1]", Encryption::None, 25),
            ("smtp://localhost.example.com", Encryption::StartTls, 587),
        ] {
            let server = parse(text);
            assert_eq!((server.encryption, server.port), (encryption, port), "{text}");
        }
        assert_eq!(parse("smtp://[::1]").host, "::1");
    }

    #[test]
    fn a_login_is_decoded_and_never_shown() {
        let server = parse("smtps://kim%40example.com:p%2Fw@mail.example.com");
        assert_eq!(server.login, Some(("kim@example.com".into(), "p/w".into())));
        assert_eq!(format!("{server:?}"), "MailServer(mail.example.com:465)");
    }

    #[test]
    fn anything_else_is_no_mail_server() {
        for text in
            ["", "mail.example.com", "http://mail.example.com", "smtp://", "smtps://kim@mail.example.com", "smtp://a/b"]
        {
            assert_eq!(text.parse::<MailServer>(), Err(InvalidMailServer), "{text}");
        }
    }
}
