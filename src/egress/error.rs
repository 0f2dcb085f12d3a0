//! Why no answer came, in words for the delivery log: partners read it, so it says what they can act on and nothing of
//! this machine.

use std::error::Error;
use std::io;

use rustls::CertificateError;

use super::wire::TooMuch;

/// The request was not answered, or the answer cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The host has no address that may be reached.
    #[error("this address may not be reached")]
    Forbidden,
    /// The port is another service's.
    #[error("this port may not be reached: other services than receivers listen there")]
    ForbiddenPort,
    /// The host name does not resolve.
    #[error("the host name cannot be resolved")]
    Dns,
    /// Nothing listens there.
    #[error("the connection was refused")]
    Refused,
    /// No connection, for another reason.
    #[error("no connection could be made")]
    NoConnection,
    /// No connection in time.
    #[error("time-out while connecting")]
    ConnectTimeout,
    /// The certificate does not prove that this is the host.
    #[error("TLS failed: {0}")]
    Certificate(&'static str),
    /// TLS did not come about for another reason.
    #[error("TLS failed")]
    Tls,
    /// No answer in time.
    #[error("time-out while waiting for the answer")]
    Timeout,
    /// An answer began, but did not end in time.
    #[error("time-out in the middle of the answer")]
    AnswerTimeout {
        /// The status it began with.
        status: u16,
    },
    /// The receiver hung up without an answer.
    #[error("the connection was closed without an answer")]
    Closed,
    /// An answer began, but the connection broke before its end.
    #[error("the connection broke in the middle of the answer")]
    Broken {
        /// The status it began with.
        status: u16,
    },
    /// What came is not HTTP.
    #[error("the answer is not valid HTTP")]
    Garbage,
    /// Anything else.
    #[error("the request failed")]
    Other,
}

impl SendError {
    /// The status of the answer that began, if one did.
    pub fn status(&self) -> Option<u16> {
        match *self {
            SendError::AnswerTimeout { status } | SendError::Broken { status } => Some(status),
            _ => None,
        }
    }

    /// Why no connection came about.
    pub(super) fn of_connect(error: &(dyn Error + 'static)) -> Self {
        if find::<AllForbidden>(error).is_some() {
            return SendError::Forbidden;
        }
        if find::<Unresolved>(error).is_some() {
            return SendError::Dns;
        }
        if let Some(error) = find_tls(error) {
            return of_tls(error);
        }
        match find::<io::Error>(error).map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => SendError::Refused,
            Some(io::ErrorKind::TimedOut) => SendError::ConnectTimeout,
            _ => SendError::NoConnection,
        }
    }

    /// What went wrong on a connection, where no answer had begun.
    pub(super) fn of_exchange(error: &hyper::Error) -> Self {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
        if let Some(error) = find_tls(error) {
            return of_tls(error);
        }
        let is_too_much = error.is_parse_too_large() || find_in_io::<TooMuch>(error).is_some();
        if error.is_parse() || error.is_parse_status() || is_too_much {
            return SendError::Garbage;
        }
        if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
            return SendError::Closed;
        }
        match find::<io::Error>(error).map(io::Error::kind) {
            Some(BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof) => SendError::Closed,
            _ if find::<h2::Error>(error).is_some_and(h2::Error::is_go_away) => SendError::Closed,
            _ => SendError::Other,
        }
    }
}

/// Whether the receiver says that it has not looked at the request (RFC 9113, 8.7). Or it cannot have: a request that waits until
/// the receiver takes another stream is dropped when it closes the connection meanwhile, which hyper counts as ours.
pub(super) fn was_refused(error: &hyper::Error) -> bool {
    if error.is_user() {
        return true;
    }
    find::<h2::Error>(error).is_some_and(|error| {
        error.is_remote()
            && match error.reason() {
                Some(h2::Reason::NO_ERROR) => error.is_go_away(),
                Some(h2::Reason::REFUSED_STREAM) => error.is_reset(),
                _ => false,
            }
    })
}

/// Whether an HTTP/2 connection goes on although this request failed.
pub(super) fn is_about_one_request(error: &hyper::Error) -> bool {
    find::<h2::Error>(error).is_some_and(h2::Error::is_reset)
}

/// Every address of the name was filtered out.
#[derive(Debug, thiserror::Error)]
#[error("every address of this name is one that may not be reached")]
pub(super) struct AllForbidden;

/// The name has no addresses now.
#[derive(Debug, thiserror::Error)]
#[error("the name does not resolve")]
pub(super) struct Unresolved(#[source] pub(super) io::Error);

fn of_tls(error: &rustls::Error) -> SendError {
    let rustls::Error::InvalidCertificate(fault) = error else { return SendError::Tls };
    SendError::Certificate(match fault {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "the certificate has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the certificate is not valid yet"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the certificate is for another host"
        }
        CertificateError::UnknownIssuer => "the certificate's issuer is not known",
        CertificateError::Revoked => "the certificate was revoked",
        _ => "the certificate is not valid",
    })
}

/// The first error of type `E` among `error`'s causes.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// rustls's error hides inside an I/O error.
fn find_tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    find::<rustls::Error>(error).or_else(|| find_in_io(error))
}

/// An I/O error does not name what is inside as its cause.
fn find_in_io<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let io = find::<io::Error>(error)?;
    let mut inner: &(dyn Error + 'static) = io.get_ref()?;
    while let Some(deeper) = inner.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        inner = deeper;
    }
    inner.downcast_ref()
}
