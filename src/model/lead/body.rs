//! The JSON that a lead becomes: for the receiver of a change (API.md §5), and for one who asks (§4).

use serde_json::{Map, Value};

use super::{Activity, Lead};
use crate::model::site::Site;

/// Names that the gateway itself writes into a body; a lead's unknown keys never shadow them.
pub const ENVELOPE: [&str; 6] = ["action", "id", "site_uuid", "site_domain", "source_system", "activities"];

/// Body of `created`: every field that the lead has, and its activities.
pub fn created_body(site: &Site, lead: &Lead, system: &str, activities: &[Activity]) -> Vec<u8> {
    let mut body = envelope("created", site, lead, system);
    for (name, value) in lead.fields.as_json() {
        body.entry(name.clone()).or_insert_with(|| value.clone());
    }
    body.insert("activities".into(), activities_json(activities));
    to_bytes(&body)
}

/// Body of `updated`: the changed fields alone.
pub fn updated_body(site: &Site, lead: &Lead, system: &str, changed: &Map<String, Value>) -> Vec<u8> {
    let mut body = envelope("updated", site, lead, system);
    for (name, value) in changed {
        if !ENVELOPE.contains(&name.as_str()) {
            body.insert(name.clone(), value.clone());
        }
    }
    to_bytes(&body)
}

/// The lead as `GET` shows it.
pub fn lead_json(lead: &Lead, activities: &[Activity]) -> Value {
    let mut body = Map::new();
    body.insert("id".into(), lead.id.to_string().into());
    for (name, value) in lead.fields.as_json() {
        body.entry(name.clone()).or_insert_with(|| value.clone());
    }
    body.insert("activities".into(), activities_json(activities));
    Value::Object(body)
}

fn envelope(action: &str, site: &Site, lead: &Lead, system: &str) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("action".into(), action.into());
    body.insert("id".into(), lead.id.to_string().into());
    body.insert("site_uuid".into(), site.id.to_string().into());
    body.insert("site_domain".into(), site.domain.as_str().into());
    body.insert("source".into(), lead.fields.text("source").unwrap_or_default().into());
    body.insert("source_system".into(), system.into());
    body
}

fn activities_json(activities: &[Activity]) -> Value {
    activities.iter().map(|activity| Value::Object(activity.0.clone())).collect()
}

fn to_bytes(body: &Map<String, Value>) -> Vec<u8> {
    serde_json::to_vec(body).expect("a JSON map is always JSON")
}
