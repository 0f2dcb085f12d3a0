//! A real browser: headless Chromium, driven through its driver. A missing one fails the test; `scripts/test` installs it.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use fantoccini::{Client, ClientBuilder};
use nix::sys::signal::{Signal, killpg};
use serde_json::json;
use tempfile::TempDir;

use super::process;

/// What Chromium is told: no window, no profile, and no conversation with anybody but the pages.
const ARGUMENTS: [&str; 8] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// A browser with an empty profile. It ends when this is dropped.
pub struct Browser {
    pub page: Client,
    driver: Child,
    _profile: TempDir,
}

impl Browser {
    pub async fn start() -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("chromedriver starts; `scripts/test` installs it");
        let port = port_of(&mut driver);
        let profile = tempfile::tempdir().unwrap();
        let mut arguments: Vec<String> = ARGUMENTS.map(str::to_owned).into();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let options = json!({"goog:chromeOptions": {"args": arguments}});
        let capabilities = options.as_object().unwrap().clone();
        let page = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("Chromium starts");
        Self { page, driver, _profile: profile }
    }

    /// The text that a person sees.
    pub async fn text(&self) -> String {
        self.page.find(fantoccini::Locator::Css("body")).await.unwrap().text().await.unwrap()
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

/// Reads the port that the driver chose from its first lines.
fn port_of(driver: &mut Child) -> u16 {
    let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    for line in lines {
        let line = line.unwrap();
        if let Some((_, port)) = line.split_once("started successfully on port ") {
            return port.trim_end_matches('.').parse().unwrap();
        }
    }
    panic!("chromedriver ended before it said where it listens");
}
