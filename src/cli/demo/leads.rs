//! The leads of the demo, sent in over the public REST API as any CRM would.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;

use super::world::World;
use crate::cli::error::CliError;
use crate::cli::running::http_client;
use crate::model::{Clock, Entropy, LeadId, time};

/// Between two leads: long enough to see each arrive.
const PAUSE: Duration = Duration::from_secs(2);

/// One request of the story.
pub struct Step {
    /// Which of the story's leads.
    lead: usize,
    /// Whether the lead is new.
    is_new: bool,
    /// The request's body, without the id.
    body: &'static str,
    /// What is said about it.
    pub summary: &'static str,
}

/// What happens after a site is connected.
pub const STORY: &[Step] = &[
    Step {
        lead: 0,
        is_new: true,
        body: r#"{"source": "kailua-homes.test", "first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com",
                  "role": "Buyer", "timeframe": "1-3 months"}"#,
        summary: "created  Ada Lovelace asks about a house",
    },
    Step {
        lead: 1,
        is_new: true,
        body: r#"{"source": "kailua-homes.test", "first_name": "Kaʻiulani", "last_name": "Kealoha", "email": "kaiulani@example.com",
                  "phone": "+1 808 555 0101", "role": "Seller"}"#,
        summary: "created  Kaʻiulani Kealoha wants to sell one",
    },
    Step {
        lead: 0,
        is_new: false,
        body: r#"{"urgency": "Hot", "phone": "+1 808 555 0199", "notes": "Call after five."}"#,
        summary: "updated  Ada Lovelace leaves her number",
    },
];

/// Sends leads with the source's credentials.
pub struct LeadSender {
    http: reqwest::Client,
    gateway_url: String,
    username: String,
    password: String,
    clock: Arc<dyn Clock>,
    ids: [LeadId; 2],
}

impl LeadSender {
    pub fn new(world: &World, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<Self, CliError> {
        Ok(Self {
            http: http_client()?,
            gateway_url: world.gateway_url.clone(),
            username: world.source.username.as_str().to_owned(),
            password: world.source.password.expose().to_owned(),
            clock,
            ids: [LeadId::random(&*entropy), LeadId::random(&*entropy)],
        })
    }

    /// Waits a moment.
    pub async fn pause(&self) {
        self.clock.sleep_until(time::after(self.clock.now(), PAUSE)).await;
    }

    /// Sends one request of the story.
    pub async fn send(&self, site: &str, step: &Step) -> Result<(), CliError> {
        let failed = |cause: String| CliError::DemoLead(cause);
        let leads = format!("{}/rest/sites/{site}/leads", self.gateway_url);
        let id = self.ids[step.lead].to_string();
        let mut body: serde_json::Value = serde_json::from_str(step.body).map_err(|error| failed(error.to_string()))?;
        let (method, url) = if step.is_new {
            body["id"] = id.into();
            (Method::POST, leads)
        } else {
            (Method::PATCH, format!("{leads}/{id}"))
        };
        let request = self.http.request(method, url).basic_auth(&self.username, Some(&self.password)).json(&body);
        let answer = request.send().await.map_err(|error| failed(error.to_string()))?;
        if answer.status().is_success() {
            Ok(())
        } else {
            Err(failed(format!("the gateway answered {}", answer.status())))
        }
    }
}
