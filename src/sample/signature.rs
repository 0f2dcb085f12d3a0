//! Step 4: is this delivery really from the gateway?

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Checks `X-Lead-Router-Signature`: HMAC-SHA256 over the raw body, keyed with the subscription's secret, in hex.
///
/// The raw body means the bytes as they came, not JSON that was parsed and written again. The comparison takes the same
/// time wherever the first difference is, so that nobody can feel his way to the right signature.
pub fn verify(secret: &str, body: &[u8], signature: &str) -> bool {
    let Ok(signature) = hex::decode(signature) else { return false };
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(body);
    mac.verify_slice(&signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::verify;

    /// Try your own implementation with these.
    #[test]
    fn the_documented_example_is_verified_and_nothing_else() {
        let signature = "4cba2b9c2501fa00baeb133cfe10ef0c66a8097a1a9b934fc46452a70522568f";
        assert!(verify("s3cret", br#"{"action":"created"}"#, signature));
        assert!(!verify("s3cret", br#"{"action": "created"}"#, signature));
        assert!(!verify("secret", br#"{"action":"created"}"#, signature));
        assert!(!verify("s3cret", br#"{"action":"created"}"#, &signature[..62]));
        assert!(!verify("s3cret", br#"{"action":"created"}"#, "not hex"));
    }
}
