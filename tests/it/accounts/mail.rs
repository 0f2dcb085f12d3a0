//! Letters on their way: to whom they are handed, and to whom not. Links for passwords are in them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use leadgate::egress::Mailer;
use leadgate::model::Timestamp;
use leadgate::model::mail::{Encryption, Letter};
use lettre::transport::smtp::client::Certificate;

use crate::harness::mail_server::{PostBox, Said};
use crate::harness::process::Home;
use crate::harness::{on_every_engine, tls};

on_every_engine!(check_tries_the_mail_server_and_its_certificate);

fn letter() -> Letter {
    Letter {
        to: "kim@example.com".parse().unwrap(),
        subject: "Your new password".into(),
        text: "Grüße: http://127.0.0.1/account/password/set/?token=lgp_1".into(),
        id: "1".into(),
        date: Timestamp::UNIX_EPOCH,
    }
}

/// A mailer that expects this encryption of the server, and trusts its certificate.
fn mailer(post: &PostBox, encryption: Encryption) -> Mailer {
    Mailer::new(post.expecting(encryption)).trusting(Certificate::from_pem(tls::AUTHORITY).unwrap())
}

/// Sends a letter; why that fails.
async fn refusal(mailer: Mailer) -> String {
    mailer.send(&letter()).await.unwrap_err().to_string()
}

/// The words with which what was said in the clear, or not, began.
fn words(said: &[Said], encrypted: bool) -> Vec<&str> {
    let lines = said.iter().filter(|said| said.encrypted == encrypted);
    lines.map(|said| said.line.split([' ', ':']).next().unwrap()).collect()
}

#[tokio::test]
async fn login_and_letter_travel_inside_of_tls_alone() {
    for (encryption, in_the_clear) in [(Encryption::Tls, vec![]), (Encryption::StartTls, vec!["EHLO", "STARTTLS"])] {
        let mut post = PostBox::start_with(encryption).await;
        mailer(&post, encryption).send(&letter()).await.unwrap();
        let received = post.letter().await;
        assert_eq!(received.to, "kim@example.com");
        assert!(received.text.contains("Subject: Your new password"), "{}", received.text);
        let said = post.heard();
        assert_eq!(words(&said, false), in_the_clear, "{encryption:?}");
        assert_eq!(words(&said, true)[..5], ["EHLO", "AUTH", "MAIL", "RCPT", "DATA"], "{encryption:?}");
        let login = said.iter().find_map(|said| said.line.strip_prefix("AUTH PLAIN ")).unwrap();
        assert_eq!(STANDARD.decode(login).unwrap(), b"\0kim@example.com\0p/w of Kim");
    }
}

#[tokio::test]
async fn where_starttls_is_not_offered_nothing_is_sent() {
    let mut post = PostBox::start().await;
    let mailer = mailer(&post, Encryption::StartTls);
    let refused = refusal(mailer.clone()).await;
    assert!(refused.contains("STARTTLS is not supported"), "{refused}");
    assert!(mailer.try_out().await.unwrap_err().to_string().contains("STARTTLS is not supported"));
    assert!(post.is_empty());
    let said = post.heard();
    assert!(words(&said, false).iter().all(|word| ["EHLO", "QUIT"].contains(word)), "{said:?}");
}

#[tokio::test]
async fn a_mail_server_that_nobody_vouches_for_is_told_nothing() {
    for encryption in [Encryption::Tls, Encryption::StartTls] {
        let mut post = PostBox::start_with(encryption).await;
        let refused = refusal(Mailer::new(post.expecting(encryption))).await;
        assert!(refused.contains("UnknownIssuer"), "{encryption:?}: {refused}");
        let mut elsewhere = post.expecting(encryption);
        elsewhere.server.host = "127.0.0.1".into();
        let authority = Certificate::from_pem(tls::AUTHORITY).unwrap();
        let refused = refusal(Mailer::new(elsewhere).trusting(authority)).await;
        assert!(refused.contains("not valid for name"), "{encryption:?}: {refused}");
        assert!(post.is_empty());
        let said = post.heard();
        assert!(words(&said, true).is_empty(), "{said:?}");
        assert!(words(&said, false).iter().all(|word| ["EHLO", "STARTTLS", "QUIT"].contains(word)), "{said:?}");
    }
}

/// What `check` says of the server when the system trusts the authorities in this file.
async fn checked(post: &PostBox, authorities: &str) -> String {
    let file = format!("{}/tests/it/harness/tls/{authorities}", env!("CARGO_MANIFEST_DIR"));
    let home = Home::of_case()
        .with("LEADGATE_SMTP_URL", format!("smtps://kim:hush@localhost:{}", post.address.port()))
        .with("LEADGATE_SMTP_FROM", "leads@example.com")
        .with("SSL_CERT_FILE", file);
    let ran = tokio::task::spawn_blocking(move || home.run("check")).await.unwrap();
    ran.stdout + &ran.stderr
}

/// As the program does it: by default it trusts whom the system trusts.
async fn check_tries_the_mail_server_and_its_certificate() {
    let mut post = PostBox::start_with(Encryption::Tls).await;
    let stranger = checked(&post, "certificate.pem").await;
    assert!(stranger.contains("UnknownIssuer") && !stranger.contains("hush"), "{stranger}");
    assert_eq!(post.heard(), []);
    let trusted = checked(&post, "authority.pem").await;
    assert!(!trusted.contains("mail server"), "{trusted}");
    assert_eq!(words(&post.heard(), true)[..2], ["EHLO", "AUTH"]);
}
