//! Step 3: taking deliveries in. The gateway sends each change of a lead as one POST.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

use super::Sample;
use super::memory::Message;
use super::signature;

/// A delivery for one site. Answer soon (within 15 s) and do slow work later; 2xx means "I have it", and anything but
/// 2xx, 406 and 410 means "send it again later".
pub async fn receive(
    State(sample): State<Sample>,
    Path(site): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // 410 Gone says: we no longer want this site's leads.
    let Some(secret) = sample.memory.secret(&site) else { return StatusCode::GONE };

    // First the signature: until it is checked, this could come from anybody. This sample shows those who fail, so that
    // you can see it happen; a real application logs them.
    let verified = signature::verify(&secret, &body, header("x-lead-router-signature"));
    let Ok(change) = serde_json::from_slice::<Map<String, Value>>(&body) else { return StatusCode::BAD_REQUEST };
    let message = Message {
        id: header("x-lead-router-message-id").to_owned(),
        verified,
        action: header("x-lead-router-action").to_owned(),
        time: header("x-lead-router-timestamp").to_owned(),
        change,
    };
    // A delivery can come twice, when our first answer was lost on its way. Its message id is the same then; `keep` drops
    // the second.
    sample.memory.keep(message);
    if verified { StatusCode::NO_CONTENT } else { StatusCode::UNAUTHORIZED }
}
