//! Callers: so many at once, each sending one request after the other, spread evenly over the gateways.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;

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

/// Posts so many leads, as fast as they are accepted.
pub async fn post_so_many(cast: &Cast, nodes: &Nodes, callers: usize, leads: usize) {
    let urls = Arc::new(nodes.urls(&format!("/rest/sites/{}/leads", cast.site)));
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let numbers = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..callers)
        .map(|_| {
            let (client, urls, numbers) = (client.clone(), urls.clone(), numbers.clone());
            let password = cast.password.clone();
            tokio::spawn(async move {
                loop {
                    let n = numbers.fetch_add(1, Ordering::Relaxed);
                    if n >= leads {
                        return;
                    }
                    let lead = cast::lead(n).to_string();
                    let request = client.post(&urls[n % urls.len()]).basic_auth("portal", Some(&password)).body(lead);
                    let answer = request.send().await.expect("an answer");
                    assert!(answer.status().is_success(), "{}", answer.status());
                    answer.bytes().await.expect("a body");
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.expect("no caller fails");
    }
}

/// Gets the partner's subscription. Returns how many answers came per second.
pub async fn get_subscription(cast: &Cast, nodes: &Nodes, callers: usize) -> f64 {
    let urls = nodes.urls(&format!("/piesync/subscription/{}/", cast.site));
    let token = cast.token.clone();
    rate(callers, move |client, n| client.get(&urls[n % urls.len()]).bearer_auth(&token)).await
}

/// Answers per second to the requests that `request` makes: each is given a number of its own.
pub async fn rate<F>(callers: usize, request: F) -> f64
where
    F: Fn(&reqwest::Client, usize) -> reqwest::RequestBuilder + Send + Sync + 'static,
{
    let (request, numbers) = (Arc::new(request), Arc::new(AtomicUsize::new(0)));
    let client = client();
    per_second((0..callers).map(|_| Numbered {
        client: client.clone(),
        request: request.clone(),
        numbers: numbers.clone(),
    }))
    .await
}

/// Sends requests that share their numbers with other callers'.
struct Numbered<F> {
    client: reqwest::Client,
    request: Arc<F>,
    numbers: Arc<AtomicUsize>,
}

#[async_trait]
impl<F> Caller for Numbered<F>
where
    F: Fn(&reqwest::Client, usize) -> reqwest::RequestBuilder + Send + Sync + 'static,
{
    async fn call(&mut self) {
        let n = self.numbers.fetch_add(1, Ordering::Relaxed);
        success((self.request)(&self.client, n)).await;
    }
}

/// Somebody who sends one request after the other.
#[async_trait]
pub trait Caller: Send + 'static {
    /// Sends the next request and waits for its answer.
    async fn call(&mut self);
}

/// A client of the gateway, with its own connections.
pub fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().expect("a client")
}

/// The body of the answer, which is a success.
pub async fn success(request: reqwest::RequestBuilder) -> bytes::Bytes {
    let answer = request.send().await.expect("an answer");
    assert!(answer.status().is_success(), "{}", answer.status());
    answer.bytes().await.expect("a body")
}

/// Answers per second that these callers get.
pub async fn per_second(callers: impl Iterator<Item = impl Caller>) -> f64 {
    let begin = Instant::now() + WARM_UP;
    let end = begin + COUNTED;
    let callers: Vec<_> = callers
        .map(|mut caller| {
            tokio::spawn(async move {
                let mut counted = 0;
                loop {
                    caller.call().await;
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
