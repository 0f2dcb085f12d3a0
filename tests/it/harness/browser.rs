//! A real browser: headless Chromium, driven through its driver. A missing one fails the test; `scripts/test` installs it.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use nix::sys::signal::{Signal, killpg};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::process;

/// What Chromium is told: no window, no profile, no conversation with anybody but the pages, and to ask for a page again when
/// its user goes back: which pages it would keep differs from version to version.
const ARGUMENTS: [&str; 9] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-back-forward-cache",
];

/// A browser with an empty profile. It ends when this is dropped.
pub struct Browser {
    pub page: Client,
    driver: Child,
    _profile: TempDir,
}

/// A screen, and the colours that its owner likes.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    pub width: u32,
    pub height: u32,
    pub dark: bool,
}

impl Browser {
    pub async fn start() -> Self {
        Self::start_with("normal").await
    }

    /// One that does not wait until a page is there before it does the next thing.
    pub async fn start_impatient() -> Self {
        Self::start_with("none").await
    }

    async fn start_with(page_load_strategy: &str) -> Self {
        let (driver, port) = start_driver();
        let profile = tempfile::tempdir().unwrap();
        let mut arguments: Vec<String> = ARGUMENTS.map(str::to_owned).into();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let options = json!({"goog:chromeOptions": {"args": arguments}, "pageLoadStrategy": page_load_strategy});
        let capabilities = options.as_object().unwrap().clone();
        let page = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("Chromium starts");
        Self { page, driver, _profile: profile }
    }

    /// Shows its pages like this from now on.
    pub async fn look(&self, look: Look) {
        let screen = json!({"width": look.width, "height": look.height, "deviceScaleFactor": 1, "mobile": false});
        self.tell("Emulation.setDeviceMetricsOverride", screen).await;
        let scheme = if look.dark { "dark" } else { "light" };
        let colours = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.tell("Emulation.setEmulatedMedia", colours).await;
    }

    /// Gives Chromium a command of its DevTools protocol.
    async fn tell(&self, command: &'static str, parameters: Value) {
        self.page.issue_cmd(DevTools { command, parameters }).await.unwrap();
    }

    /// The text that a person sees.
    pub async fn text(&self) -> String {
        self.page.find(fantoccini::Locator::Css("body")).await.unwrap().text().await.unwrap()
    }
}

/// A command of the DevTools protocol, sent through the driver.
#[derive(Debug)]
struct DevTools {
    command: &'static str,
    parameters: Value,
}

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        let body = json!({"cmd": self.command, "params": self.parameters});
        (http::Method::POST, Some(body.to_string()))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A killed driver leaves its browser behind: so the whole group goes, also after a test that failed. It may have
        // ended by itself.
        let _ = killpg(process::pid(&self.driver), Signal::SIGKILL);
        let _ = self.driver.wait();
    }
}

/// Starts a driver; it, and its port. It looks for a port that is free on one family of addresses and ends if that is taken on
/// the other: then another one may choose better.
fn start_driver() -> (Child, u16) {
    for _ in 0..10 {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("chromedriver starts; `scripts/test` installs it");
        match port_of(&mut driver) {
            Some(port) => return (driver, port),
            None => drop(driver.wait()),
        }
    }
    panic!("chromedriver ended ten times before it said where it listens");
}

/// Reads the port that the driver chose from its first lines; `None` if it ends before.
fn port_of(driver: &mut Child) -> Option<u16> {
    let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    for line in lines {
        let line = line.unwrap();
        if let Some((_, port)) = line.split_once("started successfully on port ") {
            return Some(port.trim_end_matches('.').parse().unwrap());
        }
    }
    None
}
