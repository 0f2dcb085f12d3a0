//! What is logged, even at its most talkative: no code, token, secret, password, `Authorization` header or callback URL
//! (checklist 120). A real process, and everything that it says.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::sync::mpsc::{Receiver, channel};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::door::{CALLBACK, pair};
use super::visitor::{Form, SentBack, Visitor};
use crate::harness::engine::Data;
use crate::harness::process::{Home, Running};
use crate::harness::receiver::{self, Reply};
use crate::harness::{Answer, JsonBody, answer, install_crypto, on_every_engine};

on_every_engine!(oauth_120_nothing_secret_is_ever_logged);

const KEY: &str = "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e";
const SUBSCRIPTION_SECRET: &str = "hush-subscription-secret";
const WRONG_PASSWORD: &str = "hush wrong password";
const PASSWORD: &str = "correct horse battery";

/// A gateway in a process of its own that logs all it can, and everybody's secrets.
struct Town {
    gateway: Running,
    lines: Receiver<String>,
    log: Vec<String>,
    base: String,
    http: reqwest::Client,
    site: String,
    client_id: String,
    /// What must not be in the log, each with what it is.
    secrets: Vec<(&'static str, String)>,
}

impl Town {
    fn start(data: &Data) -> Self {
        install_crypto();
        let home = Home::new()
            .with("LEADGATE_DATABASE_URL", data.url())
            .with("LEADGATE_SECRET_KEY", KEY)
            .with("LEADGATE_LISTEN", "127.0.0.1:0")
            .with("LEADGATE_DELIVERY_ALLOW_NETWORKS", "127.0.0.0/8")
            .with("LEADGATE_THROTTLE_PER_ACCOUNT", "1/24h")
            .with("LEADGATE_LOG", "trace");
        let mut log = Vec::new();
        let mut run = |arguments: &str| -> Value {
            let ran = home.run(&format!("{arguments} --json"));
            log.push(ran.stderr);
            serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {log:?}"))
        };
        home.add_user("kim@example.com");
        let site = run("site add www.site.com --owner kim@example.com")["uuid"].as_str().unwrap().to_owned();
        let partner = run(&format!("partner add piesync --name PieSync --redirect-uri {CALLBACK}"));
        let source = run("source add portal");
        let invitation = run("user invite lou@example.com");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let secrets = vec![
            ("secret_key", KEY.to_owned()),
            ("password", PASSWORD.to_owned()),
            ("client secret", text(&partner["client_secret"])),
            ("source's password", text(&source["password"])),
            ("link", text(&invitation["link"]).split_once("token=").expect("the token is its query").1.to_owned()),
        ];
        let mut gateway = home.start("serve");
        let (sender, lines) = channel();
        let stderr = gateway.take_stderr();
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut town = Self {
            gateway,
            lines,
            log,
            base: String::new(),
            http: reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap(),
            site,
            client_id: text(&partner["client_id"]),
            secrets,
        };
        town.base = town.wait_until_it_serves();
        town
    }

    fn wait_until_it_serves(&mut self) -> String {
        loop {
            let line = self.lines.recv().expect("the gateway serves");
            self.log.push(line.clone());
            if let Some((_, address)) = line.split_once("address=").filter(|_| line.contains("serving")) {
                return format!("http://{}", address.split_whitespace().next().unwrap());
            }
        }
    }

    fn secret(&self, what: &str) -> String {
        let (_, secret) = self.secrets.iter().find(|(known, _)| *known == what).unwrap();
        secret.clone()
    }

    fn hide(&mut self, what: &'static str, secret: impl Into<String>) {
        self.secrets.push((what, secret.into()));
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    async fn token(&self, secret: &str, form: &[(&str, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.request(Method::POST, "/piesync/oauth/token/").basic_auth(&self.client_id, Some(secret));
        answer(request.header("content-type", "application/x-www-form-urlencoded").body(body)).await
    }

    /// Logs in, wrong and right, and approves; the code.
    async fn approve(&mut self) -> String {
        let (http, base) = (self.http.clone(), self.base.clone());
        let mut browser = Visitor::at_url(&http, &base);
        let asking = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("client_id", self.client_id.as_str()), ("response_type", "code")])
            .extend_pairs([("redirect_uri", CALLBACK), ("state", "hush-state-of-the-partner")])
            .finish();
        let page = browser.get(&format!("/piesync/oauth/authorize/?{asking}")).await;
        let login = Form::of(&page, "login").with("email", "kim@example.com");
        for expected in [403, 429] {
            let wrong = login.clone().with("password", WRONG_PASSWORD).with("email", "nobody@example.com");
            assert_eq!(browser.submit(&wrong).await.status, expected);
        }
        let consent = browser.submit_and_follow(&login.clone().with("password", PASSWORD)).await;
        let answered = browser.approve(&consent).await;
        for (name, value) in [("flow", login.field("flow")), ("csrf_token", login.field("csrf_token"))] {
            self.hide(name, value);
        }
        let decision = Form::of(&consent, "decision");
        self.hide("csrf_token", decision.field("csrf_token"));
        self.hide("callback URL with its code", answered.header("location"));
        let cookies: BTreeMap<_, _> = browser.cookies;
        self.secrets.extend(cookies.into_values().map(|value| ("cookie", value)));
        SentBack::read(&answered).code().to_owned()
    }

    /// Sets a password by the link, and changes it.
    async fn set_passwords(&mut self) {
        let (http, base) = (self.http.clone(), self.base.clone());
        let mut browser = Visitor::at_url(&http, &base);
        let page = browser.get(&format!("/account/password/set/?token={}", self.secret("link"))).await;
        let [first, second] = ["hush first password", "hush second password"];
        let chosen = Form::of(&page, "set").with("new", first).with("again", first);
        assert_eq!(browser.submit(&chosen).await.status, 303);
        let login = Form::of(&browser.get("/account/login/").await, "login").with("email", "lou@example.com");
        assert_eq!(browser.submit(&login.with("password", first)).await.status, 303);
        let change = Form::of(&browser.get("/account/password/").await, "password").with("old", first);
        assert_eq!(browser.submit(&change.with("new", second).with("again", second)).await.status, 303);
        self.secrets.extend([("new password", first.to_owned()), ("new password", second.to_owned())]);
        self.secrets.extend(browser.cookies.into_values().map(|value| ("cookie", value)));
    }

    /// What was logged until the gateway has stopped.
    fn stop(mut self) -> (String, Vec<(&'static str, String)>) {
        assert_eq!(self.gateway.terminate(), Some(0));
        self.log.extend(self.lines.iter());
        (self.log.join("\n"), self.secrets)
    }
}

async fn oauth_120_nothing_secret_is_ever_logged() {
    let data = Data::new();
    let mut receiver = receiver::Receiver::start().await;
    let mut town = Town::start(&data);
    town.hide("wrong password", WRONG_PASSWORD);
    town.hide("state", "hush-state-of-the-partner");
    town.hide("subscription secret", SUBSCRIPTION_SECRET);
    town.hide("callback URL", CALLBACK);
    town.set_passwords().await;
    let code = town.approve().await;
    town.hide("code", &code);

    let secret = town.secret("client secret");
    town.hide("Authorization header", STANDARD.encode(format!("{}:{secret}", town.client_id)));
    let exchange = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", CALLBACK)];
    let (access, refresh) = pair(&town.token(&secret, &exchange).await);
    let (newer_access, newer_refresh) =
        pair(&town.token(&secret, &[("grant_type", "refresh_token"), ("refresh_token", &refresh)]).await);
    let subscription = format!("/piesync/subscription/{}/", town.site);
    let in_query = town.request(Method::GET, &format!("{subscription}?access_token={newer_access}"));
    assert_eq!(answer(in_query).await.status, 401);
    assert_eq!(answer(town.request(Method::GET, &format!("/{newer_access}"))).await.status, 404);
    for (what, token) in [
        ("access token", access),
        ("access token", newer_access.clone()),
        ("refresh token", refresh),
        ("refresh token", newer_refresh),
        ("wrong secret", "hush-wrong-secret".to_owned()),
    ] {
        town.hide(what, token);
    }
    use_the_apis(&mut town, &mut receiver, &subscription, &newer_access).await;
    // What is refused is not logged either.
    assert_eq!(town.token(&secret, &exchange).await.status, 400);
    for expected in [401, 429] {
        assert_eq!(town.token("hush-wrong-secret", &exchange).await.status, expected);
    }

    let (log, secrets) = town.stop();
    for talk in [" TRACE ", "logged in", "approved", "guesses are throttled", "answered"] {
        assert!(log.contains(talk), "no {talk} in {log}");
    }
    for (what, secret) in secrets {
        let found = log.lines().find(|line| line.contains(&secret));
        assert_eq!(found, None, "this has a {what}");
    }
}

/// Subscribes, and sends a lead that is delivered.
async fn use_the_apis(town: &mut Town, receiver: &mut receiver::Receiver, subscription: &str, access: &str) {
    let destination = receiver.url("/hook?key=hush-destination");
    town.hide("destination's key", "hush-destination");
    let wish = json!({"url": destination, "secret": SUBSCRIPTION_SECRET});
    let put = town.request(Method::PUT, subscription).bearer_auth(access).json_body(&wish);
    assert_eq!(answer(put).await.status, 200);
    let password = town.secret("source's password");
    town.hide("Authorization header", STANDARD.encode(format!("portal:{password}")));
    let leads = format!("/rest/sites/{}/leads/", town.site);
    let post = town.request(Method::POST, &leads).basic_auth("portal", Some(&password));
    let lead = json!({"source": "portal", "email": "lead@example.com"});
    assert_eq!(answer(post.json_body(&lead)).await.status, 201);
    let delivered = receiver.answer(Reply::status(200)).await;
    for header in ["x-lead-router-signature", "webhook-signature"] {
        town.hide("signature", delivered.header(header));
    }
    let wrong = town.request(Method::POST, &leads).basic_auth("portal", Some("hush-wrong-source-password"));
    town.hide("wrong password of a source", "hush-wrong-source-password");
    assert_eq!(answer(wrong.json_body(&lead)).await.status, 401);
}
