//! Callers: so many at once, each sending one request after the other, spread evenly over the gateways.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::cast::{self, Cast};
use crate::gateway::Nodes;

/// Meanwhile connections are made and statements are compiled: what is answered does not count.
const WARM_UP: Duration = Duration::from_millis(500);

/// How long answers are counted.
const COUNTED: Duration = Duration::from_millis(2000);

/// Posts leads. Returns how many were accepted per second.
pub async fn post_leads(cast: &Cast, nodes: &Nodes, callers: usize) -> f64 {
    let urls = nodes.urls(&format!("/rest/sites/{}/leads", cast.site));
    let password = cast.password.clone();
    rate(callers, move |client, n| {
        client.post(&urls[n % urls.len()]).basic_auth("portal", Some(&password)).body(cast::lead(n).to_string())
    })
    .await
}

/// Gets the partner's subscription. Returns how many answers came per second.
pub async fn get_subscription(cast: &Cast, nodes: &Nodes, callers: usize) -> f64 {
    let urls = nodes.urls(&format!("/piesync/subscription/{}/", cast.site));
    let token = cast.token.clone();
    rate(callers, move |client, n| client.get(&urls[n % urls.len()]).bearer_auth(&token)).await
}

/// Answers per second to the requests that `request` makes: each is given a number of its own.
async fn rate<F>(callers: usize, request: F) -> f64
where
    F: Fn(&reqwest::Client, usize) -> reqwest::RequestBuilder + Send + Sync + 'static,
{
    let (request, numbers) = (Arc::new(request), Arc::new(AtomicUsize::new(0)));
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let begin = Instant::now() + WARM_UP;
    let end = begin + COUNTED;
    let callers: Vec<_> = (0..callers)
        .map(|_| {
            let (client, request, numbers) = (client.clone(), request.clone(), numbers.clone());
            tokio::spawn(async move {
                let mut counted = 0;
                loop {
                    let n = numbers.fetch_add(1, Ordering::Relaxed);
                    let answer = request(&client, n).send().await.expect("an answer");
                    assert!(answer.status().is_success(), "{}", answer.status());
                    answer.bytes().await.expect("a body");
                    match Instant::now() {
                        now if now < begin => {}
                        now if now < end => counted += 1,
                        _ => return counted,
                    }
                }
            })
        })
        .collect();
    let mut answers = 0;
    for caller in callers {
        answers += caller.await.expect("no caller fails");
    }
    f64::from(answers) / COUNTED.as_secs_f64()
}
