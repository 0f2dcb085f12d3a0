//! Bursts: updates of one lead that wait for one receiver, sent as one. Pure, and the same for every engine.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{ENVELOPE, Lead, MAX_FIELDS, Message};
use crate::model::delivery::Action;
use crate::model::partner::Slug;

impl Message {
    /// The body of one `updated` in place of two: of the one that waits with the body `waiting`, and of this one, which made
    /// `lead` what it is. It has every field that either changed, as that is now (so it is also right if the lead changed in
    /// between, and the receiver was not told), and whatever else this one says.
    ///
    /// `None` if both are to be sent: if this is no update; if only one of them was caused by the receiver itself, who may
    /// pass over what bears its own name; or if they are too large together.
    pub fn merged_into(&self, waiting: &[u8], receiver: &Slug, lead: &Lead) -> Option<Bytes> {
        if self.action != Action::Updated {
            return None;
        }
        let (mut body, waiting) = (object(&self.body)?, object(waiting)?);
        if is_own(&body, receiver) != is_own(&waiting, receiver) {
            return None;
        }
        for name in waiting.keys().filter(|name| !ENVELOPE.contains(&name.as_str())) {
            if !body.contains_key(name) {
                let value = lead.fields.as_json().get(name).cloned();
                body.insert(name.clone(), value.unwrap_or_else(|| Value::String(String::new())));
            }
        }
        let body = serde_json::to_vec(&body).expect("a JSON map is always JSON");
        (body.len() <= MAX_FIELDS).then(|| body.into())
    }
}

fn object(body: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(body).ok()
}

/// Whether the receiver caused the change itself.
fn is_own(body: &Map<String, Value>, receiver: &Slug) -> bool {
    body.get("source_system").and_then(Value::as_str) == Some(receiver.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::lead::Fields;
    use crate::model::{LeadId, SiteId};
    use serde_json::json;

    fn lead(fields: Value) -> Lead {
        let Value::Object(fields) = fields else { panic!("not an object: {fields}") };
        Lead { site: SiteId::from_bytes([1; 16]), id: LeadId::from_bytes([2; 16]), fields: Fields::from_json(fields) }
    }

    fn update(body: &Value) -> Message {
        Message { action: Action::Updated, body: body.to_string().into() }
    }

    fn merged(waiting: &Value, new: &Value, lead: &Lead) -> Option<String> {
        let merged = update(new).merged_into(waiting.to_string().as_bytes(), &"piesync".parse().unwrap(), lead);
        merged.map(|body| String::from_utf8(body.to_vec()).unwrap())
    }

    #[test]
    fn each_changed_field_is_there_once_as_it_is_now() {
        let lead = lead(json!({"source": "web", "city": "Kona", "zip": 1.50, "state": "HI"}));
        let waiting = json!({"action": "updated", "id": "old", "site_domain": "old.com", "source": "form",
            "source_system": "crm", "city": "Hilo", "state": "", "phone": "1"});
        let new = json!({"action": "updated", "id": "new", "site_domain": "new.com", "source": "web",
            "source_system": "portal", "zip": 1.50, "city": "Kona"});
        let expected = json!({"action": "updated", "id": "new", "site_domain": "new.com", "source": "web",
            "source_system": "portal", "zip": 1.50, "city": "Kona", "state": "HI", "phone": ""});
        assert_eq!(merged(&waiting, &new, &lead), Some(expected.to_string()));
    }

    #[test]
    fn what_the_receiver_did_itself_stays_apart_from_what_others_did() {
        let (own, others) = (json!({"source_system": "piesync", "zip": 1}), json!({"source_system": "crm", "zip": 2}));
        let lead = lead(json!({"zip": 3}));
        assert_eq!(merged(&own, &others, &lead), None);
        assert_eq!(merged(&others, &own, &lead), None);
        assert!(merged(&own, &own, &lead).is_some() && merged(&others, &others, &lead).is_some());
    }

    #[test]
    fn nothing_is_merged_into_or_out_of_what_is_no_update() {
        let created = Message { action: Action::Created, body: r#"{"zip":1}"#.into() };
        let (lead, receiver) = (lead(json!({"zip": 1})), "piesync".parse().unwrap());
        assert_eq!(created.merged_into(br#"{"zip":1}"#, &receiver, &lead), None);
        assert_eq!(update(&json!({"zip": 1})).merged_into(b"no JSON", &receiver, &lead), None);
    }

    #[test]
    fn names_of_fields_that_came_and_went_do_not_pile_up_for_ever() {
        let many = |name: &str| json!({name.repeat(MAX_FIELDS / 2): ""});
        let lead = lead(json!({}));
        assert!(merged(&many("a"), &many("a"), &lead).is_some());
        assert_eq!(merged(&many("a"), &many("b"), &lead), None);
    }
}
