//! A browser without a screen: it keeps cookies and fills in forms, and follows nothing by itself.

use std::collections::BTreeMap;

use leadgate::model::OsEntropy;
use leadgate::model::person::User;
use leadgate::model::session::NewSession;
use leadgate::model::time;
use leadgate::model::token::{Plain, Session};
use reqwest::{Method, RequestBuilder};

use crate::harness::{Answer, Gate, PASSWORD, answer, make};

/// Somebody at a browser.
#[derive(Clone)]
pub struct Visitor<'g> {
    http: &'g reqwest::Client,
    /// What paths are appended to.
    base: String,
    pub cookies: BTreeMap<String, String>,
    /// What it calls itself.
    pub agent: String,
    /// Where a proxy says that it is.
    address: Option<&'static str>,
}

impl<'g> Visitor<'g> {
    /// With a browser that has never been here.
    pub fn new(gate: &'g Gate) -> Self {
        Self::at_url(&gate.http, &gate.url(""))
    }

    /// The same with a gateway in another process.
    pub fn at_url(http: &'g reqwest::Client, base: &str) -> Self {
        Self { http, base: base.to_owned(), cookies: BTreeMap::new(), agent: String::new(), address: None }
    }

    /// With a session, as if logged in before.
    pub async fn logged_in(gate: &'g Gate, user: &User) -> Self {
        let session = Plain::<Session>::generate(&OsEntropy);
        let expires = time::after(gate.now(), std::time::Duration::from_secs(3600));
        let new = make::session(&OsEntropy, gate.now(), user.id, expires);
        let new = NewSession { hash: session.hash(), ..new };
        gate.store.start_session(new).await.unwrap();
        let cookies = BTreeMap::from([("leadgate_session".to_owned(), session.expose().to_owned())]);
        Self { cookies, ..Self::new(gate) }
    }

    /// The same browser at another address, as a proxy tells.
    pub fn from(self, address: &'static str) -> Self {
        Self { address: Some(address), ..self }
    }

    /// The same browser, whose requests go to another node from now on.
    pub fn at(self, gate: &'g Gate) -> Self {
        Self { http: &gate.http, base: gate.url(""), ..self }
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.request(Method::GET, path).await
    }

    pub async fn request(&mut self, method: Method, path: &str) -> Answer {
        self.send(self.to(method, path)).await
    }

    pub async fn submit(&mut self, form: &Form) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&form.fields).finish();
        let request = self.to(Method::POST, &form.action);
        self.send(request.header("content-type", "application/x-www-form-urlencoded").body(body)).await
    }

    /// Fills in the login form of `page` with the right password, and goes where that leads.
    pub async fn log_in(&mut self, page: &Answer, user: &User) -> Answer {
        let form = Form::of(page, "login").with("email", user.email.as_str()).with("password", PASSWORD);
        self.submit_and_follow(&form).await
    }

    /// Submits a form that leads to another page of the gateway.
    pub async fn submit_and_follow(&mut self, form: &Form) -> Answer {
        let answer = self.submit(form).await;
        assert_eq!(answer.status, 303, "{}", answer.text);
        let next = answer.header("location").to_owned();
        self.get(&next).await
    }

    pub async fn approve(&mut self, consent: &Answer) -> Answer {
        self.submit(&Form::of(consent, "decision").with("decision", "approve")).await
    }

    pub async fn deny(&mut self, consent: &Answer) -> Answer {
        self.submit(&Form::of(consent, "decision").with("decision", "deny")).await
    }

    fn to(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    async fn send(&mut self, request: RequestBuilder) -> Answer {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = request.header("cookie", cookies.join("; ")).header("user-agent", &self.agent);
        let request = match self.address {
            Some(address) => request.header("x-forwarded-for", address),
            None => request,
        };
        let answer = answer(request).await;
        for set in answer.headers.get_all("set-cookie") {
            let (pair, rest) = set.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            match rest.contains("Max-Age=0") {
                true => self.cookies.remove(name),
                false => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        answer
    }
}

/// A form of a page: where it goes, and its hidden fields.
#[derive(Clone)]
pub struct Form {
    pub action: String,
    pub fields: Vec<(String, String)>,
}

impl Form {
    /// The form of this step. The pages write attributes in one order, so that this needs no parser.
    pub fn of(page: &Answer, step: &str) -> Self {
        let form = page.text.split("<form ").skip(1).find(|form| form.contains(&format!("/{step}/\"")));
        let form = form.unwrap_or_else(|| panic!("no form for {step} on this page: {} {}", page.status, page.text));
        let form = form.split("</form>").next().unwrap();
        let hidden = form.split("<input type=\"hidden\" ").skip(1);
        let fields = hidden.map(|input| (attribute(input, "name"), attribute(input, "value")));
        Self { action: attribute(form, "action"), fields: fields.collect() }
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(known, _)| known != name);
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(known, _)| known != name);
        self
    }

    pub fn field(&self, name: &str) -> &str {
        &self.fields.iter().find(|(known, _)| known == name).unwrap().1
    }
}

fn attribute(tag: &str, name: &str) -> String {
    let (_, rest) = tag.split_once(&format!("{name}=\"")).unwrap_or_else(|| panic!("no {name} in {tag}"));
    rest.split('"').next().unwrap().to_owned()
}

/// What a partner finds in the URL that the browser was sent back to.
pub struct SentBack {
    pub uri: String,
    params: Vec<(String, String)>,
}

impl SentBack {
    pub fn read(answer: &Answer) -> Self {
        assert_eq!(answer.status, 303, "{}", answer.text);
        Self::at(answer.header("location"))
    }

    /// What is in this URL.
    pub fn at(location: &str) -> Self {
        let location = url::Url::parse(location).unwrap();
        let params = location.query_pairs().into_owned().collect();
        let mut uri = location;
        uri.set_query(None);
        Self { uri: uri.into(), params }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.params.iter().filter(|(known, _)| known == name);
        let value = values.next();
        assert!(values.next().is_none(), "{name} is there twice");
        value.map(|(_, value)| value.as_str())
    }

    /// The code of a success.
    pub fn code(&self) -> &str {
        assert_eq!(self.get("error"), None);
        self.get("code").expect("a code")
    }

    /// The error of a failure, which has no code.
    pub fn error(&self) -> &str {
        assert_eq!(self.get("code"), None);
        self.get("error").expect("an error")
    }
}
