//! How a delivery proves where it comes from (API.md §5): two signatures over the raw body, and their verification for
//! receivers. The first is Real Geeks' own; the second is Standard Webhooks 1.0 (standardwebhooks.com), which also covers
//! message id and time, so that a recorded request cannot be sent again later.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::Timestamp;

/// What kind of change it is: `created` or `updated`.
pub const ACTION_HEADER: &str = "x-lead-router-action";
/// The message id, the same on every retry.
pub const MESSAGE_ID_HEADER: &str = "x-lead-router-message-id";
/// When the change was committed, RFC 3339.
pub const TIMESTAMP_HEADER: &str = "x-lead-router-timestamp";
/// [`lead_router`]'s signature.
pub const SIGNATURE_HEADER: &str = "x-lead-router-signature";
/// The message id again, as Standard Webhooks wants it.
pub const WEBHOOK_ID_HEADER: &str = "webhook-id";
/// When this attempt was signed, in seconds since 1970.
pub const WEBHOOK_TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// [`standard_webhook`]'s signature; receivers must expect several, separated by spaces.
pub const WEBHOOK_SIGNATURE_HEADER: &str = "webhook-signature";

/// How far `webhook-timestamp` may be from the receiver's clock; what Standard Webhooks' own libraries use.
pub const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// A request was not signed with this secret, or not now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotVerified {
    /// The signature is another one.
    #[error("the signature does not match")]
    Signature,
    /// The timestamp is no number, or too far from the receiver's clock: perhaps a replay.
    #[error("the timestamp is too far from now")]
    Time,
}

/// `X-Lead-Router-Signature`: lower-case hex of HMAC-SHA256 over the raw body.
pub fn lead_router(secret: &[u8], body: &[u8]) -> String {
    hex::encode(mac(secret, &[body]).finalize().into_bytes())
}

/// `webhook-signature`: `v1,` and base64 of HMAC-SHA256 over `{id}.{timestamp}.{body}`. `timestamp` is the text of
/// the `webhook-timestamp` header.
pub fn standard_webhook(secret: &[u8], id: &str, timestamp: &str, body: &[u8]) -> String {
    let tag = standard_mac(secret, id, timestamp, body).finalize().into_bytes();
    format!("v1,{}", STANDARD.encode(tag))
}

/// Checks a received `X-Lead-Router-Signature`.
///
/// # Errors
/// [`NotVerified::Signature`].
pub fn verify_lead_router(secret: &[u8], body: &[u8], signature: &str) -> Result<(), NotVerified> {
    let tag = hex::decode(signature).map_err(|_| NotVerified::Signature)?;
    // Compares in constant time.
    mac(secret, &[body]).verify_slice(&tag).map_err(|_| NotVerified::Signature)
}

/// The three headers of Standard Webhooks, as they were received.
#[derive(Debug, Clone, Copy)]
pub struct WebhookHeaders<'a> {
    /// `webhook-id`.
    pub id: &'a str,
    /// `webhook-timestamp`.
    pub timestamp: &'a str,
    /// `webhook-signature`: one or more, separated by spaces; those of unknown versions are passed over.
    pub signature: &'a str,
}

/// Checks the received Standard Webhooks headers: a signature is right, and the timestamp within [`TOLERANCE`] of `now`.
///
/// # Errors
/// [`NotVerified`] says which of the two is not so.
pub fn verify_standard_webhook(
    secret: &[u8],
    received: WebhookHeaders<'_>,
    body: &[u8],
    now: Timestamp,
) -> Result<(), NotVerified> {
    let mac = standard_mac(secret, received.id, received.timestamp, body);
    let matches = |signature: &str| {
        let tag = signature.strip_prefix("v1,").and_then(|tag| STANDARD.decode(tag).ok());
        tag.is_some_and(|tag| mac.clone().verify_slice(&tag).is_ok())
    };
    if !received.signature.split(' ').any(matches) {
        return Err(NotVerified::Signature);
    }
    let signed: i64 = received.timestamp.parse().map_err(|_| NotVerified::Time)?;
    let near = now.as_second().abs_diff(signed) <= TOLERANCE.as_secs();
    if near { Ok(()) } else { Err(NotVerified::Time) }
}

fn standard_mac(secret: &[u8], id: &str, timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
    mac(secret, &[id.as_bytes(), b".", timestamp.as_bytes(), b".", body])
}

fn mac(secret: &[u8], message: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    for part in message {
        mac.update(part);
    }
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_vector_of_the_contract() {
        let signature = "4cba2b9c2501fa00baeb133cfe10ef0c66a8097a1a9b934fc46452a70522568f";
        assert_eq!(lead_router(b"s3cret", br#"{"action":"created"}"#), signature);
        assert_eq!(verify_lead_router(b"s3cret", br#"{"action":"created"}"#, signature), Ok(()));
        assert_eq!(verify_lead_router(b"s3cret", br#"{"action":"updated"}"#, signature), Err(NotVerified::Signature));
        assert_eq!(verify_lead_router(b"other", br#"{"action":"created"}"#, signature), Err(NotVerified::Signature));
        assert_eq!(verify_lead_router(b"s3cret", b"", "not hex"), Err(NotVerified::Signature));
    }

    /// The vector of the specification's reference libraries, whose secrets are base64 with a prefix: here its bytes.
    #[test]
    fn the_test_vector_of_standard_webhooks() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let (id, timestamp, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", br#"{"test": 2432232314}"#);
        let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(standard_webhook(&secret, id, timestamp, body), signature);

        let at = |seconds: i64| Timestamp::from_second(1_614_265_330 + seconds).unwrap();
        let verify = |signature: &str, now| {
            verify_standard_webhook(&secret, WebhookHeaders { id, timestamp, signature }, body, now)
        };
        assert_eq!(verify(signature, at(0)), Ok(()));
        assert_eq!(verify(signature, at(300)), Ok(()));
        assert_eq!(verify(&format!("v1a,xx v1,AAAA {signature}"), at(-300)), Ok(()));
        assert_eq!(verify(signature, at(301)), Err(NotVerified::Time));
        assert_eq!(verify(signature, at(-301)), Err(NotVerified::Time));
        assert_eq!(verify("", at(0)), Err(NotVerified::Signature));
        assert_eq!(verify(&signature.replace("v1,", "v2,"), at(0)), Err(NotVerified::Signature));
    }
}
