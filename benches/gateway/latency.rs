//! How long a lead takes from its sender to its receiver, at a calm pace.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::cast::{self, Cast};
use crate::gateway::Nodes;
use crate::receiver::Receiver;

/// How long it took to the receiver's first byte.
pub struct Times {
    pub since_sent: Percentiles,
    pub since_accepted: Percentiles,
}

/// In milliseconds.
pub struct Percentiles {
    pub p50: f64,
    pub p99: f64,
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
    nodes: &Nodes,
    receiver: &mut Receiver,
    per_second: u32,
    duration: Duration,
) -> Times {
    let leads = (duration.as_secs() * u64::from(per_second)) as usize;
    let urls = nodes.urls(&format!("/rest/sites/{}/leads", cast.site));
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let mut pace = tokio::time::interval(Duration::from_secs(1) / per_second);
    let mut posts = JoinSet::new();
    for n in 0..leads {
        pace.tick().await;
        let lead = cast::lead(n);
        let request =
            client.post(&urls[n % urls.len()]).basic_auth("portal", Some(&cast.password)).body(lead.to_string());
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

pub fn percentiles(mut times: Vec<Duration>) -> Percentiles {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)].as_secs_f64() * 1000.0;
    Percentiles { p50: at(50), p99: at(99) }
}
