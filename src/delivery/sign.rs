//! The headers of a delivery (API.md §5), signed for one attempt.

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};

use crate::model::Timestamp;
use crate::model::delivery::Leased;
use crate::model::signature::{
    ACTION_HEADER, MESSAGE_ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, WEBHOOK_ID_HEADER, WEBHOOK_SIGNATURE_HEADER,
    WEBHOOK_TIMESTAMP_HEADER, lead_router, standard_webhook,
};

const PROGRAM: &str = concat!("Leadgate/", env!("CARGO_PKG_VERSION"));

const ACTION: HeaderName = HeaderName::from_static(ACTION_HEADER);
const MESSAGE_ID: HeaderName = HeaderName::from_static(MESSAGE_ID_HEADER);
const TIMESTAMP: HeaderName = HeaderName::from_static(TIMESTAMP_HEADER);
const SIGNATURE: HeaderName = HeaderName::from_static(SIGNATURE_HEADER);
const WEBHOOK_ID: HeaderName = HeaderName::from_static(WEBHOOK_ID_HEADER);
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static(WEBHOOK_TIMESTAMP_HEADER);
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static(WEBHOOK_SIGNATURE_HEADER);

/// All headers for an attempt that begins at `now`, signed with `secret`.
pub fn headers(delivery: &Leased, secret: &[u8], now: Timestamp) -> HeaderMap {
    let id = delivery.id.to_string();
    let seconds = now.as_second().to_string();
    let standard = standard_webhook(secret, &id, &seconds, &delivery.body);
    let id = value(id);
    let mut headers = HeaderMap::with_capacity(12);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static(PROGRAM));
    headers.insert(ACTION, HeaderValue::from_static(delivery.action.as_str()));
    headers.insert(MESSAGE_ID, id.clone());
    headers.insert(TIMESTAMP, value(rfc3339(delivery.changed)));
    headers.insert(SIGNATURE, value(lead_router(secret, &delivery.body)));
    headers.insert(WEBHOOK_ID, id);
    headers.insert(WEBHOOK_TIMESTAMP, value(seconds));
    headers.insert(WEBHOOK_SIGNATURE, value(standard));
    headers
}

/// RFC 3339 in UTC, always with milliseconds.
fn rfc3339(at: Timestamp) -> String {
    format!("{at:.3}")
}

fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("ids, digits, hex and base64 are visible ASCII")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::model::delivery::Action;
    use crate::model::seal::Sealed;

    fn delivery() -> Leased {
        Leased {
            id: "0190a5e2-0000-7000-8000-000000000001".parse().unwrap(),
            lease: "0190a5e2-0000-7000-8000-000000000002".parse().unwrap(),
            until: Timestamp::MAX,
            site: "aa808177-d2cc-415d-b504-a36abf39ac00".parse().unwrap(),
            partner: "0190a5e2-0000-7000-8000-000000000003".parse().unwrap(),
            subscription: "0190a5e2-0000-7000-8000-000000000004".parse().unwrap(),
            lead: "a27c20af4497415d9e4e7334dd1d40d2".parse().unwrap(),
            action: Action::Created,
            changed: "2026-03-01T12:00:00Z".parse().unwrap(),
            body: Bytes::from_static(br#"{"action":"created"}"#),
            attempts: 0,
            url: "http://api.piesync.com/v1/realgeeks".parse().unwrap(),
            secret: Sealed::from_bytes(vec![]),
        }
    }

    #[test]
    fn the_headers_are_those_of_the_contract() {
        let headers = headers(&delivery(), b"s3cret", "2026-03-01T12:00:30.999Z".parse().unwrap());
        let expected = [
            ("content-type", "application/json"),
            ("user-agent", concat!("Leadgate/", env!("CARGO_PKG_VERSION"))),
            ("x-lead-router-action", "created"),
            ("x-lead-router-message-id", "0190a5e2-0000-7000-8000-000000000001"),
            ("x-lead-router-timestamp", "2026-03-01T12:00:00.000Z"),
            ("x-lead-router-signature", "4cba2b9c2501fa00baeb133cfe10ef0c66a8097a1a9b934fc46452a70522568f"),
            ("webhook-id", "0190a5e2-0000-7000-8000-000000000001"),
            ("webhook-timestamp", "1772366430"),
            ("webhook-signature", "v1,YKPufm3iDWgBiPVbjk8KQzaE6Hig8vfUYcU+8cbZRUs="),
        ];
        for (name, value) in expected {
            assert_eq!(headers[name], value, "{name}");
        }
        assert_eq!(headers.len(), expected.len());
    }
}
