//! How long a lead takes from its sender to its receiver, at a steady pace.

use std::time::Duration;

use crate::gateway::Nodes;
use crate::letter::Letter;
use crate::pace::Pace;
use crate::receiver::Receiver;

/// How long it took to the receiver's first byte.
#[derive(Clone, Copy)]
pub struct Times {
    pub since_sent: Percentiles,
    pub since_accepted: Percentiles,
    /// How many were accepted and delivered per second: fewer than were to be, when that is more than the gateway can.
    pub per_second: f64,
}

/// In milliseconds.
#[derive(Clone, Copy)]
pub struct Percentiles {
    pub p50: f64,
    pub p99: f64,
}

/// Posts leads at this pace, and waits for their deliveries.
pub async fn at_pace(create: Letter, nodes: &Nodes, receiver: &mut Receiver, pace: Pace) -> Times {
    let posting = pace.send(create, nodes.addresses());
    let (exchanges, arrivals) = tokio::join!(posting, receiver.take(pace.requests()));
    assert_eq!(arrivals.len(), exchanges.len(), "every lead arrives");
    let (mut since_sent, mut since_accepted) = (Vec::new(), Vec::new());
    let last = arrivals.iter().map(|arrival| arrival.at).max();
    for arrival in arrivals {
        let number = arrival.mark.lead as usize - pace.first;
        if number >= pace.warming() {
            since_sent.push(arrival.at.saturating_duration_since(exchanges[number].sent));
            // The delivery may arrive before the sender has read its own answer: that counts as no time at all.
            since_accepted.push(arrival.at.saturating_duration_since(exchanges[number].answered));
        }
    }
    let last = last.expect("some arrived");
    let per_second = since_sent.len() as f64 / (last - exchanges[pace.warming()].sent).as_secs_f64();
    let (since_sent, since_accepted) = (percentiles(since_sent), percentiles(since_accepted));
    Times { since_sent, since_accepted, per_second }
}

pub fn percentiles(mut times: Vec<Duration>) -> Percentiles {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)].as_secs_f64() * 1000.0;
    Percentiles { p50: at(50), p99: at(99) }
}
