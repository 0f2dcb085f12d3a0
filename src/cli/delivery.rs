//! `leadgate delivery`: the delivery log, and sending again by hand.

use clap::Subcommand;
use serde_json::{Value, json};

use super::error::CliError;
use super::output::{Output, printable};
use crate::domain::admin::Admin;
use crate::model::delivery::{Attempt, Delivery, DeliveryDetails, DeliveryFilter, Replay, State};
use crate::model::{DeliveryId, SiteId, Timestamp};

#[derive(Debug, Subcommand)]
pub enum DeliveryCommand {
    /// List deliveries, newest first
    List {
        /// Of this site alone
        #[arg(long, value_name = "UUID")]
        site: Option<SiteId>,
        /// In this state alone: waiting, delivered, refused, failed or cancelled
        #[arg(long, value_parser = state)]
        state: Option<State>,
        /// How many at most
        #[arg(long, default_value_t = 50, value_parser = limit)]
        limit: usize,
    },
    /// Show one delivery: its body, and every attempt
    Show {
        /// The message id
        id: DeliveryId,
    },
    /// Send deliveries again that were finished
    Replay {
        /// The message ids
        #[arg(required_unless_present = "failed")]
        ids: Vec<DeliveryId>,
        /// All failed ones of a site
        #[arg(long, requires = "site", conflicts_with = "ids")]
        failed: bool,
        /// The site
        #[arg(long, value_name = "UUID", requires = "failed")]
        site: Option<SiteId>,
    },
}

fn state(text: &str) -> Result<State, String> {
    text.parse().map_err(|_| "expected waiting, delivered, refused, failed or cancelled".to_owned())
}

fn limit(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|limit| (1..=10_000).contains(limit)).ok_or("expected a number from 1 to 10000".to_owned())
}

impl DeliveryCommand {
    pub async fn run(self, admin: &Admin, output: &Output) -> Result<(), CliError> {
        match self {
            DeliveryCommand::List { site, state, limit } => {
                list(&admin.deliveries(DeliveryFilter { site, state, limit }).await?, output)
            }
            DeliveryCommand::Show { id } => show(&admin.delivery(id).await?, output),
            DeliveryCommand::Replay { ids, site, .. } => {
                // With --failed, which needs --site, there are no ids; without it there is no site.
                let replay = site.map_or(Replay::These(ids), Replay::FailedOf);
                let sent: Vec<_> = admin.replay(replay).await?.iter().map(DeliveryId::to_string).collect();
                let text = match sent.len() {
                    0 => "Nothing to send again: they wait already, or their subscription is gone.".to_owned(),
                    count => format!("{count} will be sent again."),
                };
                output.show(&json!({ "replayed": sent }), text)
            }
        }
    }
}

fn time(at: Option<Timestamp>) -> Option<String> {
    at.map(|at| at.to_string())
}

fn document(delivery: &Delivery) -> Value {
    json!({
        "id": delivery.id.to_string(),
        "site_uuid": delivery.site.to_string(),
        "lead_id": delivery.lead.to_string(),
        "subscription_id": delivery.subscription.to_string(),
        "partner_id": delivery.partner.to_string(),
        "action": delivery.action.as_str(),
        "state": delivery.state.as_str(),
        "attempts": delivery.attempts,
        "changed": delivery.changed.to_string(),
        "due": time(delivery.due),
        "finished": time(delivery.finished),
    })
}

fn list(deliveries: &[Delivery], output: &Output) -> Result<(), CliError> {
    let row = |delivery: &Delivery| {
        vec![
            delivery.id.to_string(),
            delivery.changed.to_string(),
            delivery.state.as_str().to_owned(),
            delivery.action.as_str().to_owned(),
            delivery.lead.to_string(),
            delivery.attempts.to_string(),
            time(delivery.due).unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = deliveries.iter().map(row).collect();
    let heads = ["ID", "CHANGED", "STATE", "ACTION", "LEAD", "ATTEMPTS", "NEXT ATTEMPT"];
    output.list(deliveries.iter().map(document).collect(), &heads, &rows, "There are no such deliveries.")
}

fn show(details: &DeliveryDetails, output: &Output) -> Result<(), CliError> {
    let body = String::from_utf8_lossy(&details.body);
    let mut document = document(&details.delivery);
    // The count makes way for the story.
    document["attempts"] = details.attempts.iter().map(attempt_document).collect();
    document["body"] = serde_json::from_slice(&details.body).unwrap_or_else(|_| body.clone().into());
    output.show(&document, description(details, &body))
}

fn attempt_document(attempt: &Attempt) -> Value {
    json!({
        "started": attempt.started.to_string(),
        "duration_ms": u64::try_from(attempt.duration.as_millis()).unwrap_or(u64::MAX),
        "status": attempt.status,
        "error": attempt.error,
        "response": attempt.response,
    })
}

fn description(details: &DeliveryDetails, body: &str) -> String {
    let delivery = &details.delivery;
    let due = delivery.due.map(|due| format!(", next attempt {due}")).unwrap_or_default();
    let mut lines = vec![
        format!("delivery  {}", delivery.id),
        format!("site      {}", delivery.site),
        format!("lead      {}", delivery.lead),
        format!("change    {} at {}", delivery.action.as_str(), delivery.changed),
        format!("state     {}{due}", delivery.state.as_str()),
        format!("body      {}", printable(body)),
    ];
    lines.extend(details.attempts.iter().map(attempt_line));
    lines.join("\n")
}

fn attempt_line(attempt: &Attempt) -> String {
    let result = match (&attempt.error, attempt.status) {
        (Some(error), _) => error.clone(),
        (None, Some(status)) => format!("{status} {}", attempt.response),
        (None, None) => "no answer".to_owned(),
    };
    format!("attempt   {} ({} ms)  {}", attempt.started, attempt.duration.as_millis(), printable(result.trim_end()))
}
