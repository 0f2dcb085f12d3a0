//! What goes out: mail, by way of the operator's server; and which addresses may be reached, and the HTTP client that
//! obeys (API.md §5: "only public addresses are ever connected to, checked on the resolved address that is really dialled").

mod answer;
mod client;
mod connection;
mod dial;
mod error;
mod guard;
mod mailer;
mod message;
mod name_cache;
mod name_servers;
mod pool;
mod ports;
mod public;
mod resolve;
mod tls;
mod wire;

pub use answer::{Answer, MAX_ANSWER};
pub use client::{Client, ClientError};
pub use error::SendError;
pub use guard::{Guard, LOOKUP_TIMEOUT, Reach};
pub use mailer::{MailError, Mailer};
pub use public::is_public;
pub use resolve::{Resolve, SystemResolver};
pub use tls::{config as tls_config, trusting as tls_config_trusting};
