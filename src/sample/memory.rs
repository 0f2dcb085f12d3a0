//! What a real application keeps in its database: connections, leads, and which messages it has seen.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard};

use serde_json::{Map, Value};

use super::gateway::Tokens;

/// How many messages are kept, newest first.
const MESSAGES: usize = 500;

/// Everything that the application knows.
#[derive(Default)]
pub struct Memory(Mutex<Contents>);

#[derive(Default)]
struct Contents {
    connections: BTreeMap<String, Connection>,
    leads: HashMap<String, Map<String, Value>>,
    seen: HashSet<String>,
    messages: VecDeque<Shown>,
}

/// A connected site.
struct Connection {
    tokens: Tokens,
    /// What its leads are signed with.
    secret: String,
}

/// A delivery as it came in.
pub struct Message {
    /// `X-Lead-Router-Message-Id`.
    pub id: String,
    /// Whether the signature is right.
    pub verified: bool,
    /// `X-Lead-Router-Action`.
    pub action: String,
    /// `X-Lead-Router-Timestamp`.
    pub time: String,
    /// The body.
    pub change: Map<String, Value>,
}

/// A delivery as the page shows it.
#[derive(Clone)]
pub struct Shown {
    pub id: String,
    pub verified: bool,
    pub action: String,
    pub time: String,
    pub name: String,
    pub email: String,
    pub domain: String,
    /// What `updated` changed: name and value.
    pub changes: Vec<(String, String)>,
}

impl Memory {
    /// Remembers a connection. Returns its secret: the one that it has, if the site was connected before, since
    /// deliveries signed with that one can still be on their way.
    pub fn connect(&self, tokens: Tokens, fresh_secret: String) -> String {
        let mut contents = self.contents();
        let old = contents.connections.remove(&tokens.site_uuid);
        let secret = old.map_or(fresh_secret, |connection| connection.secret);
        contents.connections.insert(tokens.site_uuid.clone(), Connection { tokens, secret: secret.clone() });
        secret
    }

    /// Forgets a connection.
    pub fn disconnect(&self, site: &str) {
        self.contents().connections.remove(site);
    }

    /// Replaces a connection's tokens by fresh ones.
    pub fn keep_tokens(&self, tokens: Tokens) {
        if let Some(connection) = self.contents().connections.get_mut(&tokens.site_uuid) {
            connection.tokens = tokens;
        }
    }

    /// The tokens of a connected site.
    pub fn tokens(&self, site: &str) -> Option<Tokens> {
        self.contents().connections.get(site).map(|connection| connection.tokens.clone())
    }

    /// The secret of a connected site.
    pub fn secret(&self, site: &str) -> Option<String> {
        self.contents().connections.get(site).map(|connection| connection.secret.clone())
    }

    /// The connected sites: UUID and domain.
    pub fn sites(&self) -> Vec<(String, String)> {
        let contents = self.contents();
        let sites = contents.connections.values().map(|connection| &connection.tokens);
        sites.map(|tokens| (tokens.site_uuid.clone(), tokens.site_domain.clone())).collect()
    }

    /// Messages, newest first.
    pub fn messages(&self) -> Vec<Shown> {
        self.contents().messages.iter().cloned().collect()
    }

    /// Keeps a message, unless it was seen before.
    pub fn keep(&self, message: Message) {
        let mut contents = self.contents();
        // One with a wrong signature must not keep the real one from being taken in.
        if message.verified && !contents.seen.insert(message.id.clone()) {
            return;
        }
        let shown = contents.apply(message);
        contents.messages.push_front(shown);
        if contents.messages.len() > MESSAGES
            && let Some(oldest) = contents.messages.pop_back()
        {
            contents.seen.remove(&oldest.id);
        }
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        // A panic elsewhere does not make what is kept here wrong.
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Contents {
    /// Brings our copy of the lead up to date: `created` has every field, `updated` only those that changed, and `""`
    /// stands for one that was unset. Nothing is applied of a message that is not verified.
    fn apply(&mut self, message: Message) -> Shown {
        let Message { id, verified, action, time, change } = message;
        let lead_id = text(&change, "id");
        let mut unverified = Map::new();
        let lead = if verified { self.leads.entry(lead_id).or_default() } else { &mut unverified };
        let mut changes = Vec::new();
        for (field, value) in &change {
            if ENVELOPE.contains(&field.as_str()) {
                continue;
            }
            if action == "updated" {
                changes.push((field.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
            }
            match value.as_str() {
                Some("") => lead.remove(field),
                _ => lead.insert(field.clone(), value.clone()),
            };
        }
        let name = format!("{} {}", text(lead, "first_name"), text(lead, "last_name")).trim().to_owned();
        Shown {
            id,
            verified,
            action,
            time,
            name,
            email: text(lead, "email"),
            domain: text(&change, "site_domain"),
            changes,
        }
    }
}

/// What is in a body beside the lead's own fields.
const ENVELOPE: [&str; 7] = ["action", "id", "site_uuid", "site_domain", "source", "source_system", "activities"];

fn text(map: &Map<String, Value>, field: &str) -> String {
    map.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: &str, action: &str, verified: bool, body: &str) -> Message {
        let change = serde_json::from_str(body).unwrap();
        Message { id: id.into(), verified, action: action.into(), time: "2026-03-01T12:00:00Z".into(), change }
    }

    #[test]
    fn a_repeated_message_is_kept_once_and_updates_build_on_what_is_known() {
        let memory = Memory::default();
        memory.keep(message("1", "created", true, r#"{"id":"a","first_name":"Ann","email":"ann@example.com"}"#));
        memory.keep(message("1", "created", true, r#"{"id":"a","first_name":"Ann","email":"ann@example.com"}"#));
        memory.keep(message("2", "updated", true, r#"{"id":"a","action":"updated","email":"","last_name":"Lee"}"#));
        let shown = memory.messages();
        assert_eq!(shown.len(), 2);
        assert_eq!((shown[0].name.as_str(), shown[0].email.as_str()), ("Ann Lee", ""));
        assert_eq!(shown[0].changes, [("email".into(), "".into()), ("last_name".into(), "Lee".into())]);
    }

    #[test]
    fn a_forged_message_changes_no_lead_and_does_not_shadow_the_real_one() {
        let memory = Memory::default();
        memory.keep(message("1", "created", false, r#"{"id":"a","first_name":"Eve"}"#));
        memory.keep(message("1", "created", true, r#"{"id":"a","last_name":"Lee"}"#));
        let shown = memory.messages();
        assert_eq!((shown[0].name.as_str(), shown[0].verified), ("Lee", true));
        assert_eq!((shown[1].name.as_str(), shown[1].verified), ("Eve", false));
    }
}
