//! A PostgreSQL that speaks TLS alone. Its certificate is for `localhost`, and an authority of the tests' own signed it.
//!
//! `tls/authority.pem` and `tls/localhost.pem` were made with openssl for 100 years: the first like `tls/certificate.pem`,
//! the other with `openssl x509 -req -CA authority.pem` and subjectAltName=DNS:localhost.

use super::postgres_server::{Keeper, free_port};

/// The server.
pub struct Encrypted {
    port: u16,
    _keeper: Keeper,
}

impl Encrypted {
    /// Starts it.
    pub fn start() -> Self {
        let port = free_port();
        Self { port, _keeper: Keeper::start(&script(), &[port.to_string()]) }
    }

    /// The URL of its empty database under this host name, with these options.
    pub fn url(&self, host: &str, options: &str) -> String {
        format!("postgres://leadgate@{host}:{}/postgres{options}", self.port)
    }
}

/// Keeps the server on port `$2`. It refuses connections without TLS.
fn script() -> String {
    let (certificate, key) = (include_str!("tls/localhost.pem"), include_str!("tls/localhost-key.pem"));
    format!(
        r#"
make db || give_up
umask 077
cat >db/server.crt <<END
{certificate}
END
cat >db/server.key <<END
{key}
END
echo "hostssl all all 127.0.0.1/32 trust" >db/pg_hba.conf
start db "$2" -c fsync=off -c ssl=on || give_up
echo ready
cat >/dev/null
"#
    )
}
