//! `leadgate listen`: a receiver for partner developers. It checks each delivery's signatures, prints a line, and can
//! pass the delivery on to the application that is being written.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use clap::Args;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use url::Url;

use super::error::CliError;
use super::output::{Output, printable, remark};
use super::running::{StopSignals, address_of, http_client};
use super::secret_input::optional_secret;
use crate::app;
use crate::model::signature::{self, NotVerified, WebhookHeaders};
use crate::model::{Clock, SystemClock, Timestamp, web_url};

/// Longest delivery that is taken in, in bytes.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// Headers that belong to one connection and are not passed on (RFC 9110 §7.6.1).
const NOT_PASSED_ON: [HeaderName; 6] =
    [header::HOST, header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::TE, header::UPGRADE];

#[derive(Debug, Args)]
pub struct ListenArgs {
    /// Where to receive deliveries
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4000")]
    listen: SocketAddr,
    /// Pass each delivery on to this URL, and give its answer back
    #[arg(long, value_name = "URL", value_parser = forward_url)]
    forward_to: Option<Url>,
    /// Read the subscription's secret from stdin
    #[arg(long)]
    secret_stdin: bool,
}

fn forward_url(text: &str) -> Result<Url, String> {
    web_url::parse(text).ok_or("expected an http or https URL".to_owned())
}

/// What every delivery is handled with.
struct Receiver {
    secret: Option<String>,
    forward: Option<(reqwest::Client, Url)>,
    lines: mpsc::UnboundedSender<Line>,
}

/// One delivery, as it is printed.
struct Line {
    time: Timestamp,
    action: String,
    message: String,
    lead: String,
    verdict: Verdict,
    answer: u16,
    body: Value,
}

/// What the signatures say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Every signature that is there is right.
    Verified,
    /// One of them is wrong.
    Wrong,
    /// They are right, but from another time: perhaps a replay.
    OtherTime,
    /// There is none.
    Missing,
    /// No secret was given.
    Unchecked,
}

/// Receives until it is told to stop, or until nobody reads what it prints.
pub async fn run(args: ListenArgs, output: &Output) -> Result<(), CliError> {
    let mut signals = StopSignals::new()?;
    let listener = app::listen(args.listen).await?;
    let secret = optional_secret(args.secret_stdin)?;
    let checked = if secret.is_some() { "signatures are checked" } else { "signatures are not checked: no secret" };
    remark(format!("listening on http://{} ({checked}); Ctrl-C stops", address_of(&listener)?));

    let forward = args.forward_to.map(|url| Ok::<_, CliError>((http_client()?, url))).transpose()?;
    let (lines, mut printed) = mpsc::unbounded_channel();
    let receiver = Arc::new(Receiver { secret, forward, lines });
    let router = Router::new().fallback(receive).layer(DefaultBodyLimit::max(MAX_BODY)).with_state(receiver);
    let server = tokio::spawn(axum::serve(listener, router).into_future());
    loop {
        tokio::select! {
            () = signals.received() => break,
            Some(line) = printed.recv() => output.show(&line.document(), line.text())?,
        }
    }
    server.abort();
    Ok(())
}

async fn receive(State(receiver): State<Arc<Receiver>>, method: Method, headers: HeaderMap, body: Bytes) -> Response {
    if method != Method::POST {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "POST")]).into_response();
    }
    let time = SystemClock.now();
    let verdict = judge(receiver.secret.as_deref(), &headers, &body, time);
    let answer = match &receiver.forward {
        Some((client, url)) => pass_on(client, url, &headers, body.clone()).await,
        None if verdict.is_acceptable() => StatusCode::NO_CONTENT.into_response(),
        None => StatusCode::UNAUTHORIZED.into_response(),
    };
    let document: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let line = Line {
        time,
        action: text(&headers, signature::ACTION_HEADER).to_owned(),
        message: text(&headers, signature::MESSAGE_ID_HEADER).to_owned(),
        lead: document.get("id").and_then(Value::as_str).unwrap_or_default().to_owned(),
        verdict,
        answer: answer.status().as_u16(),
        body: document,
    };
    // Whoever prints is gone only when the program ends.
    let _ = receiver.lines.send(line);
    answer
}

/// Checks both kinds of signature, as far as they are there.
fn judge(secret: Option<&str>, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Verdict {
    let Some(secret) = secret.map(str::as_bytes) else { return Verdict::Unchecked };
    let lead_router = text(headers, signature::SIGNATURE_HEADER);
    let standard = WebhookHeaders {
        id: text(headers, signature::WEBHOOK_ID_HEADER),
        timestamp: text(headers, signature::WEBHOOK_TIMESTAMP_HEADER),
        signature: text(headers, signature::WEBHOOK_SIGNATURE_HEADER),
    };
    let first = (!lead_router.is_empty()).then(|| signature::verify_lead_router(secret, body, lead_router));
    let second =
        (!standard.signature.is_empty()).then(|| signature::verify_standard_webhook(secret, standard, body, now));
    match (first, second) {
        (None, None) => Verdict::Missing,
        (Some(Err(_)), _) | (_, Some(Err(NotVerified::Signature))) => Verdict::Wrong,
        (_, Some(Err(NotVerified::Time))) => Verdict::OtherTime,
        _ => Verdict::Verified,
    }
}

/// Passes a delivery on as it came; its answer is ours.
async fn pass_on(client: &reqwest::Client, url: &Url, headers: &HeaderMap, body: Bytes) -> Response {
    let kept = |headers: &HeaderMap| -> HeaderMap {
        let pairs = headers.iter().filter(|(name, _)| !NOT_PASSED_ON.contains(name));
        pairs.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    let failed = |cause: reqwest::Error| {
        remark(format!("cannot pass the delivery on to {url}: {}", root_cause(&cause)));
        StatusCode::BAD_GATEWAY.into_response()
    };
    let answer = match client.post(url.clone()).headers(kept(headers)).body(body).send().await {
        Ok(answer) => answer,
        Err(cause) => return failed(cause),
    };
    let (status, headers) = (answer.status(), kept(answer.headers()));
    match answer.bytes().await {
        Ok(body) => (status, headers, body).into_response(),
        Err(cause) => failed(cause),
    }
}

/// The innermost cause: the outer ones only say that there was one.
fn root_cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), root_cause)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map(HeaderValue::to_str).and_then(Result::ok).unwrap_or_default()
}

impl Verdict {
    fn is_acceptable(self) -> bool {
        matches!(self, Verdict::Verified | Verdict::Unchecked)
    }

    /// The word for programs.
    fn word(self) -> &'static str {
        match self {
            Verdict::Verified => "verified",
            Verdict::Wrong => "wrong",
            Verdict::OtherTime => "other_time",
            Verdict::Missing => "missing",
            Verdict::Unchecked => "unchecked",
        }
    }

    /// The words for people.
    fn words(self) -> &'static str {
        match self {
            Verdict::Verified => "signature verified",
            Verdict::Wrong => "WRONG SIGNATURE",
            Verdict::OtherTime => "SIGNED AT ANOTHER TIME",
            Verdict::Missing => "NO SIGNATURE",
            Verdict::Unchecked => "signature not checked",
        }
    }
}

impl Line {
    fn document(&self) -> Value {
        json!({
            "time": self.time.to_string(),
            "action": self.action,
            "message_id": self.message,
            "lead_id": self.lead,
            "signature": self.verdict.word(),
            "answer": self.answer,
            "body": self.body,
        })
    }

    fn text(&self) -> String {
        let (action, lead) = (printable(&self.action), printable(&self.lead));
        format!("{:.0}  {action:<8}  {lead:<32}  {}  -> {}", self.time, self.verdict.words(), self.answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"action":"created"}"#;

    fn signed(secret: &str, at: &str) -> HeaderMap {
        let key = secret.as_bytes();
        let standard = signature::standard_webhook(key, "m", at, BODY);
        let pairs = [
            (signature::SIGNATURE_HEADER, signature::lead_router(key, BODY)),
            (signature::WEBHOOK_ID_HEADER, "m".to_owned()),
            (signature::WEBHOOK_TIMESTAMP_HEADER, at.to_owned()),
            (signature::WEBHOOK_SIGNATURE_HEADER, standard),
        ];
        pairs.into_iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn every_signature_that_is_there_has_to_be_right_and_recent() {
        let now = Timestamp::from_second(1_772_366_430).unwrap();
        let judge = |secret, headers: &HeaderMap| judge(secret, headers, BODY, now);
        assert_eq!(judge(Some("s3cret"), &signed("s3cret", "1772366400")), Verdict::Verified);
        assert_eq!(judge(Some("other"), &signed("s3cret", "1772366400")), Verdict::Wrong);
        assert_eq!(judge(Some("s3cret"), &signed("s3cret", "1772360000")), Verdict::OtherTime);
        assert_eq!(judge(Some("s3cret"), &HeaderMap::new()), Verdict::Missing);
        assert_eq!(judge(None, &HeaderMap::new()), Verdict::Unchecked);
        let mut half = signed("s3cret", "1772366400");
        half.insert(signature::SIGNATURE_HEADER, "00".parse().unwrap());
        assert_eq!(judge(Some("s3cret"), &half), Verdict::Wrong);
    }
}
