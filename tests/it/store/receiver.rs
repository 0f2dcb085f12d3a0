//! A receiver as the contract has it: it applies what it is sent, in the order in which that comes, and each message once.

use std::collections::HashMap;

use bytes::Bytes;
use leadgate::model::delivery::{Action, Leased};
use leadgate::model::lead::{ENVELOPE, Lead};
use leadgate::model::{DeliveryId, LeadId};
use serde_json::{Map, Value};

/// What it knows of leads, and the messages by which it does.
#[derive(Default)]
pub struct Receiver {
    leads: HashMap<LeadId, Map<String, Value>>,
    messages: HashMap<DeliveryId, Bytes>,
}

impl Receiver {
    /// A request arrives. The same message is never another one.
    pub fn take(&mut self, sent: &Leased) {
        if let Some(before) = self.messages.insert(sent.id, sent.body.clone()) {
            assert_eq!(before, sent.body, "{}", sent.id);
            return;
        }
        let Value::Object(body) = serde_json::from_slice(&sent.body).unwrap() else { panic!("{sent:?}") };
        assert_eq!(self.leads.contains_key(&sent.lead), sent.action == Action::Updated, "{sent:?}");
        let lead = self.leads.entry(sent.lead).or_default();
        for (name, value) in body.into_iter().filter(|(name, _)| !ENVELOPE.contains(&name.as_str())) {
            match value == "" {
                true => drop(lead.remove(&name)),
                false => drop(lead.insert(name, value)),
            }
        }
    }

    /// How many messages it got.
    pub fn messages(&self) -> usize {
        self.messages.len()
    }

    /// Fails unless it knows the lead as it is.
    pub fn assert_knows(&self, lead: &Lead) {
        assert_eq!(&self.leads[&lead.id], lead.fields.as_json());
    }
}
