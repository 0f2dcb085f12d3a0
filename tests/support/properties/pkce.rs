//! PKCE: a code opens for the verifier of its challenge, and for nothing else.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use leadgate::model::oauth::{GrantRefused, NewTokens, PkceChallenge, PkceVerifier, Redemption, StoredCode};
use leadgate::model::token::Plain;
use leadgate::model::{PartnerId, Timestamp};
use sha2::{Digest, Sha256};

use super::halves;

/// `input` is two texts, each of which may be a verifier or a challenge.
pub fn pkce(input: &[u8]) {
    let (first, second) = halves(input);
    let (Ok(first), Ok(second)) = (str::from_utf8(first), str::from_utf8(second)) else { return };
    challenge(first);
    let first = verifier(first);
    let second = verifier(second);
    let asked = first.as_ref().map(PkceVerifier::challenge);
    let shown = second.as_ref().map(PkceVerifier::challenge);
    let opens = judge(&asked, &shown);
    match (first, second) {
        (None, None) => assert_eq!(opens, Ok(())),
        (Some(first), Some(second)) if first == second => assert_eq!(opens, Ok(())),
        _ => assert_eq!(opens, Err(GrantRefused::Verifier)),
    }
}

fn challenge(text: &str) {
    let base64url = text.len() == 43 && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    match text.parse::<PkceChallenge>() {
        Ok(challenge) => assert!(base64url && challenge.as_str() == text),
        Err(_) => assert!(!base64url, "{text}"),
    }
}

fn verifier(text: &str) -> Option<PkceVerifier> {
    let unreserved = text.chars().all(|c| c.is_ascii_alphanumeric() || "-._~".contains(c));
    let verifier = text.parse::<PkceVerifier>().ok();
    assert_eq!(verifier.is_some(), unreserved && (43..=128).contains(&text.len()), "{text}");
    if let Some(verifier) = &verifier {
        let digest = Sha256::digest(text).to_vec();
        let challenge = verifier.challenge();
        assert_eq!(URL_SAFE_NO_PAD.decode(challenge.as_str()), Ok(digest));
        assert_eq!(challenge.as_str().parse(), Ok(challenge.clone()));
    }
    verifier
}

/// What becomes of a code that has nothing else wrong with it.
fn judge(asked: &Option<PkceChallenge>, shown: &Option<PkceChallenge>) -> Result<(), GrantRefused> {
    let (partner, now) = (PartnerId::from_bytes([1; 16]), Timestamp::UNIX_EPOCH);
    let code = StoredCode {
        partner,
        redirect_uri: String::new(),
        challenge: asked.clone(),
        expires: Timestamp::MAX,
        used: false,
        revoked: false,
        owned: true,
    };
    let tokens = NewTokens {
        access: Plain::received("access").hash(),
        access_expires: now,
        refresh: Plain::received("refresh").hash(),
        refresh_expires: now,
    };
    let (code_hash, challenge) = (Plain::received("code").hash(), shown.clone());
    code.judge(&Redemption { code: code_hash, partner, redirect_uri: String::new(), challenge, tokens, now })
}
