//! Sending mail. The server is the operator's choice, and so may be anywhere.

use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use crate::model::mail::{Encryption, Letter, MailRoute};

/// How long the server may take for each step.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Sends letters, each over a connection of its own: there are few.
#[derive(Debug, Clone)]
pub struct Mailer {
    route: MailRoute,
    /// Whose certificates are good, if not those that the system trusts.
    authority: Option<Certificate>,
}

/// A letter was not sent.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The address is one for our log-in, but none for mail.
    #[error("mail cannot be sent to this address: {0}")]
    Address(String),
    /// The letter cannot be written.
    #[error("the letter cannot be written: {0}")]
    Letter(String),
    /// The server cannot be reached, or refuses.
    #[error("the mail server {server} does not take it: {cause}")]
    Server {
        /// Host and port.
        server: String,
        /// What it said, or why it cannot be reached.
        cause: String,
    },
}

impl Mailer {
    /// A mailer that sends this way, and trusts whom the system trusts.
    pub fn new(route: MailRoute) -> Self {
        Self { route, authority: None }
    }

    /// The same, but it trusts this authority alone.
    pub fn trusting(self, authority: Certificate) -> Self {
        Self { authority: Some(authority), ..self }
    }

    /// Sends a letter. When this returns, the server has taken it.
    pub async fn send(&self, letter: &Letter) -> Result<(), MailError> {
        let message = self.message(letter)?;
        self.transport()?.send(message).await.map(drop).map_err(|cause| self.failed(&cause))
    }

    /// Connects, logs in, and leaves again.
    pub async fn try_out(&self) -> Result<(), MailError> {
        match self.transport()?.test_connection().await {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.failed(&"it does not answer")),
            Err(cause) => Err(self.failed(&cause)),
        }
    }

    fn message(&self, letter: &Letter) -> Result<Message, MailError> {
        let address = letter.to.as_str().parse().map_err(|cause| MailError::Address(format!("{cause}")))?;
        let from = &self.route.from;
        Message::builder()
            .from(from.clone())
            .to(Mailbox::new(None, address))
            .subject(letter.subject.clone())
            .message_id(Some(format!("<{}@{}>", letter.id, from.email.domain())))
            .date(letter.date.into())
            .header(ContentType::TEXT_PLAIN)
            .body(letter.text.clone())
            .map_err(|cause| MailError::Letter(cause.to_string()))
    }

    fn transport(&self) -> Result<AsyncSmtpTransport<Tokio1Executor>, MailError> {
        let server = &self.route.server;
        let tls = match server.encryption {
            Encryption::None => Tls::None,
            Encryption::StartTls => Tls::Required(self.tls()?),
            Encryption::Tls => Tls::Wrapper(self.tls()?),
        };
        // "dangerous" is that it would not encrypt unless told to; it is told.
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&server.host)
            .port(server.port)
            .tls(tls)
            .timeout(Some(TIMEOUT));
        if let Some((user, password)) = &server.login {
            transport = transport.credentials(Credentials::new(user.clone(), password.clone()));
        }
        Ok(transport.build())
    }

    fn tls(&self) -> Result<TlsParameters, MailError> {
        let parameters = TlsParameters::builder(self.route.server.host.clone());
        let parameters = match &self.authority {
            None => parameters,
            Some(authority) => {
                parameters.certificate_store(CertificateStore::None).add_root_certificate(authority.clone())
            }
        };
        parameters.build().map_err(|cause| self.failed(&cause))
    }

    fn failed(&self, cause: &dyn std::fmt::Display) -> MailError {
        MailError::Server { server: self.route.server.to_string(), cause: cause.to_string() }
    }
}
