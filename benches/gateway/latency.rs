//! How long a lead takes from its sender to its receiver, at a calm pace.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::cast::{self, Cast};
use crate::gateway::Process;
use crate::receiver::Receiver;

/// p50 and p99, as text.
pub struct Times {
    pub since_sent: String,
    pub since_accepted: String,
}

/// When a lead was sent, and when its 2xx was there.
struct Accepted {
    email: String,
    sent: Instant,
    answered: Instant,
}

/// Posts `per_second` leads a second for `duration`, each by a caller of its own, and waits for their deliveries.
pub async fn at_pace(
    cast: &Cast,
    gateway: &Process,
    receiver: &mut Receiver,
    per_second: u32,
    duration: Duration,
) -> Times {
    let leads = (duration.as_secs() * u64::from(per_second)) as usize;
    let url = format!("http://{}/rest/sites/{}/leads", gateway.address, cast.site);
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let mut pace = tokio::time::interval(Duration::from_secs(1) / per_second);
    let mut posts = JoinSet::new();
    for n in 0..leads {
        pace.tick().await;
        let lead = cast::lead(n);
        let request = client.post(&url).basic_auth("portal", Some(&cast.password)).body(lead.to_string());
        let email = lead["email"].as_str().expect("text").to_owned();
        posts.spawn(async move {
            let sent = Instant::now();
            let answer = request.send().await.expect("an answer");
            assert!(answer.status().is_success());
            Accepted { email, sent, answered: Instant::now() }
        });
    }
    let accepted: HashMap<_, _> = posts.join_all().await.into_iter().map(|a| (a.email.clone(), a)).collect();
    let (mut since_sent, mut since_accepted) = (Vec::new(), Vec::new());
    for _ in 0..leads {
        let arrival = receiver.next().await;
        let body: serde_json::Value = serde_json::from_slice(&arrival.body).expect("JSON");
        let lead = &accepted[body["email"].as_str().expect("text")];
        since_sent.push(arrival.at.duration_since(lead.sent));
        // The delivery may arrive before the sender has read its own answer: that counts as no time at all.
        since_accepted.push(arrival.at.saturating_duration_since(lead.answered));
    }
    Times { since_sent: percentiles(since_sent), since_accepted: percentiles(since_accepted) }
}

fn percentiles(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)].as_secs_f64() * 1000.0;
    format!("{:.1} / {:.1} ms", at(50), at(99))
}
