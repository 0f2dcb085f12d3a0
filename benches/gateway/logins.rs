//! People who log in, many at once, while a partner asks for its subscription at a calm pace.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::cast::{CALLBACK, Cast, LOGIN_PASSWORD};
use crate::client::client;
use crate::gateway::Nodes;
use crate::latency::{Percentiles, percentiles};
use crate::letter::Letter;
use crate::pace::{ONE_SITE, Pace};

/// Logins at once.
pub const AT_ONCE: usize = 64;

/// How the partner asks meanwhile.
const PACE: Pace = Pace { per_second: 200, duration: DURATION, first: 0, sites: ONE_SITE, uneven: false };
const DURATION: Duration = Duration::from_secs(5);

/// How long GET subscription takes at a calm pace.
pub async fn subscription_at_pace(cast: &Cast, nodes: &Nodes) -> Percentiles {
    let get = Letter::gets(&format!("/piesync/subscription/{}/", cast.site), &cast.token);
    let exchanges = PACE.send(get, nodes.addresses()).await;
    percentiles(exchanges[PACE.warming()..].iter().map(|exchange| exchange.answered - exchange.sent).collect())
}

/// The same while [`AT_ONCE`] people log in over and over. Returns also how many logins succeeded per second.
pub async fn subscription_beside_logins(cast: &Cast, nodes: &Nodes) -> (Percentiles, f64) {
    cast.owners(AT_ONCE).await;
    let urls = nodes.urls("");
    let mut people = JoinSet::new();
    for n in 0..AT_ONCE {
        let person = Person::arrive(cast, &urls[n % urls.len()], n).await;
        people.spawn(person.log_in_for(DURATION));
    }
    let times = subscription_at_pace(cast, nodes).await;
    let logins: u32 = people.join_all().await.into_iter().sum();
    (times, f64::from(logins) / DURATION.as_secs_f64())
}

/// Somebody at the login page.
struct Person {
    client: reqwest::Client,
    action: String,
    cookie: String,
    fields: Vec<(String, String)>,
}

impl Person {
    async fn arrive(cast: &Cast, url: &str, n: usize) -> Self {
        let client = client();
        let asking = [("client_id", cast.client_id.as_str()), ("response_type", "code"), ("redirect_uri", CALLBACK)];
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(asking).finish();
        let answer = client.get(format!("{url}/piesync/oauth/authorize/?{query}")).send().await.expect("an answer");
        let cookie =
            answer.headers()["set-cookie"].to_str().expect("ASCII").split(';').next().expect("a pair").to_owned();
        let page = answer.text().await.expect("a page");
        let form = page.split("<form ").find(|form| form.contains("/authorize/login/\"")).expect("a login form");
        let hidden = form.split("<input type=\"hidden\" ").skip(1);
        let mut fields: Vec<_> = hidden.map(|input| (attribute(input, "name"), attribute(input, "value"))).collect();
        fields.push(("email".to_owned(), format!("{n}@example.com")));
        fields.push(("password".to_owned(), LOGIN_PASSWORD.to_owned()));
        Self { client, action: format!("{url}{}", attribute(form, "action")), cookie, fields }
    }

    /// Logs in with the same form until the time is over. Returns how often that was done.
    async fn log_in_for(self, duration: Duration) -> u32 {
        let end = Instant::now() + duration;
        let mut done = 0;
        while Instant::now() < end {
            let request = self.client.post(&self.action).header("cookie", &self.cookie).form(&self.fields);
            match request.send().await.expect("an answer").status().as_u16() {
                303 => done += 1,
                503 => {} // too many wait already: this one is asked to try again
                other => panic!("{other} is no answer to a right password"),
            }
        }
        done
    }
}

fn attribute(tag: &str, name: &str) -> String {
    let (_, rest) = tag.split_once(&format!("{name}=\"")).expect("the attribute");
    rest.split('"').next().expect("its value").to_owned()
}
