//! Callers: so many at once, so many requests in all, spread evenly over the gateways.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::cast::{self, Cast};
use crate::gateway::Nodes;

/// Posts `leads` leads. Returns how many were accepted per second.
pub async fn post_leads(cast: &Cast, nodes: &Nodes, callers: usize, leads: usize) -> f64 {
    let urls = nodes.urls(&format!("/rest/sites/{}/leads", cast.site));
    let password = cast.password.clone();
    rate(callers, leads, move |client, n| {
        client.post(&urls[n % urls.len()]).basic_auth("portal", Some(&password)).body(cast::lead(n).to_string())
    })
    .await
}

/// Gets the partner's subscription `requests` times. Returns how many answers came per second.
pub async fn get_subscription(cast: &Cast, nodes: &Nodes, callers: usize, requests: usize) -> f64 {
    let urls = nodes.urls(&format!("/piesync/subscription/{}/", cast.site));
    let token = cast.token.clone();
    rate(callers, requests, move |client, n| client.get(&urls[n % urls.len()]).bearer_auth(&token)).await
}

async fn rate<F>(callers: usize, requests: usize, request: F) -> f64
where
    F: Fn(&reqwest::Client, usize) -> reqwest::RequestBuilder + Send + Sync + 'static,
{
    let (request, next) = (Arc::new(request), Arc::new(AtomicUsize::new(0)));
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let begun = Instant::now();
    let callers: Vec<_> = (0..callers)
        .map(|_| {
            let (client, request, next) = (client.clone(), request.clone(), next.clone());
            tokio::spawn(async move {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= requests {
                        return;
                    }
                    let answer = request(&client, n).send().await.expect("an answer");
                    assert!(answer.status().is_success(), "{}", answer.status());
                    answer.bytes().await.expect("a body");
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.expect("no caller fails");
    }
    requests as f64 / begun.elapsed().as_secs_f64()
}
