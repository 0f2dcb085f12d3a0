//! The JSON that a lead becomes: for the receiver of a change (API.md §5), and for one who asks (§4).

use serde::ser::{SerializeMap, Serializer};
use serde_json::{Map, Value};

use super::{Activity, Lead};
use crate::model::site::Site;

/// Names that the gateway itself writes into a body; a lead's unknown keys never shadow them.
pub const ENVELOPE: [&str; 6] = ["action", "id", "site_uuid", "site_domain", "source_system", "activities"];

/// Body of `created`: every field that the lead has, and its activities.
pub fn created_body(site: &Site, lead: &Lead, system: &str, activities: &[Activity]) -> Vec<u8> {
    let activities = activities.iter().map(|activity| &activity.0).collect::<Vec<_>>();
    write("created", site, lead, system, lead.fields.as_json(), Some(&activities))
}

/// Body of `updated`: the changed fields alone.
pub fn updated_body(site: &Site, lead: &Lead, system: &str, changed: &Map<String, Value>) -> Vec<u8> {
    write("updated", site, lead, system, changed, None)
}

/// What every body begins with, and then these fields: written as they stand, because most leads are written once and read
/// by nobody here.
fn write(
    action: &str,
    site: &Site,
    lead: &Lead,
    system: &str,
    fields: &Map<String, Value>,
    activities: Option<&[&Map<String, Value>]>,
) -> Vec<u8> {
    let source = lead.fields.text("source").unwrap_or_default();
    let mut bytes = Vec::with_capacity(1024);
    let mut serializer = serde_json::Serializer::new(&mut bytes);
    let written = serializer.serialize_map(None).and_then(|mut body| {
        body.serialize_entry("action", action)?;
        body.serialize_entry("id", &lead.id.to_string())?;
        body.serialize_entry("site_uuid", &site.id.to_string())?;
        body.serialize_entry("site_domain", site.domain.as_str())?;
        body.serialize_entry("source", source)?;
        body.serialize_entry("source_system", system)?;
        for (name, value) in fields.iter().filter(|(name, _)| *name != "source" && !ENVELOPE.contains(&name.as_str())) {
            body.serialize_entry(name, value)?;
        }
        if let Some(activities) = activities {
            body.serialize_entry("activities", activities)?;
        }
        body.end()
    });
    written.expect("JSON values are always JSON, and memory takes what is written");
    bytes
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

fn activities_json(activities: &[Activity]) -> Value {
    activities.iter().map(|activity| Value::Object(activity.0.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Fields;
    use super::*;
    use crate::model::{LeadId, SiteId, Timestamp};

    fn site() -> Site {
        let created = Timestamp::UNIX_EPOCH;
        Site { id: SiteId::from_bytes([1; 16]), domain: "www.site.com".parse().unwrap(), created }
    }

    fn map(json: &str) -> Map<String, Value> {
        serde_json::from_str(json).unwrap()
    }

    fn lead(fields: &str) -> Lead {
        Lead { site: site().id, id: LeadId::from_bytes([2; 16]), fields: Fields::from_json(map(fields)) }
    }

    const BEGINNING: &str = r#""id":"02020202020202020202020202020202","site_uuid":"01010101-0101-0101-0101-010101010101","site_domain":"www.site.com","source":"Zillow","source_system":"portal""#;

    #[test]
    fn a_body_has_the_envelope_first_then_the_fields_as_they_came_and_nothing_twice() {
        let lead =
            lead(r#"{"zip":"1","source":"Zillow","action":"x","activities":3,"worth":1.50,"a":{"b":[null,""]}}"#);
        let created = format!(
            r#"{{"action":"created",{BEGINNING},"zip":"1","worth":1.50,"a":{{"b":[null,""]}},"activities":[]}}"#
        );
        assert_eq!(String::from_utf8(created_body(&site(), &lead, "portal", &[])).unwrap(), created);
        let activity = Activity(map(r#"{"type":"note","n":0.10}"#));
        let with_one = created.replace("[]}", r#"[{"type":"note","n":0.10}]}"#);
        assert_eq!(String::from_utf8(created_body(&site(), &lead, "portal", &[activity])).unwrap(), with_one);
        let changed = map(r#"{"worth":2.0,"source":"Zillow","zip":"","id":"x"}"#);
        let updated = format!(r#"{{"action":"updated",{BEGINNING},"worth":2.0,"zip":""}}"#);
        assert_eq!(String::from_utf8(updated_body(&site(), &lead, "portal", &changed)).unwrap(), updated);
    }
}
