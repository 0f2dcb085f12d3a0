//! How a patch changes a lead's fields: the rule that "a change that changes nothing sends nothing" rests on.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{Fields, Patch};

impl Fields {
    /// Fields as a store kept them.
    pub fn from_json(map: Map<String, Value>) -> Self {
        Self(map)
    }

    /// The fields as a store keeps them.
    pub fn as_json(&self) -> &Map<String, Value> {
        &self.0
    }

    /// A field that is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// The e-mail, folded so that equal addresses are equal text (API.md §4: compared case-insensitively).
    pub fn email_key(&self) -> Option<String> {
        self.text("email").and_then(email_key)
    }

    /// Those of a new lead.
    pub(super) fn of(patch: &Patch) -> Self {
        let set = patch.fields.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        let mut fields = Map::with_capacity(patch.fields.len() + patch.if_absent.len());
        fields.extend(set.map(|(name, value)| (name.clone(), value.clone())));
        let mut fields = Self(fields);
        for (name, value) in &patch.if_absent {
            fields.fill_in(name, || value.clone());
        }
        fields
    }

    /// Sets a field that is not there.
    pub(super) fn fill_in(&mut self, name: &str, value: impl FnOnce() -> Value) {
        self.0.entry(name).or_insert_with(value);
    }

    /// Applies `patch`. Returns the fields that are different now, with their new values; `""` for one that was unset.
    pub fn apply(&mut self, patch: &Patch) -> Map<String, Value> {
        let mut changed = Map::new();
        let mut unset = HashSet::new();
        for (name, value) in &patch.fields {
            match value {
                Some(value) if self.0.get(name) != Some(value) => {
                    self.0.insert(name.clone(), value.clone());
                    changed.insert(name.clone(), value.clone());
                }
                Some(_) => {}
                None => {
                    unset.insert(name.as_str());
                }
            }
        }
        // In one pass: to keep the order, removing a single field moves all that stand behind it.
        self.0.retain(|name, _| {
            let stays = !unset.contains(name.as_str());
            if !stays {
                changed.insert(name.clone(), Value::String(String::new()));
            }
            stays
        });
        for (name, value) in &patch.if_absent {
            if !self.0.contains_key(name) {
                self.0.insert(name.clone(), value.clone());
                changed.insert(name.clone(), value.clone());
            }
        }
        changed
    }
}

impl Patch {
    /// The e-mail that the patch sets, folded as [`Fields::email_key`] does.
    pub fn email_key(&self) -> Option<String> {
        let email = self.fields.iter().find(|(name, _)| name == "email");
        email.and_then(|(_, value)| value.as_ref()?.as_str()).and_then(email_key)
    }
}

fn email_key(email: &str) -> Option<String> {
    let key = email.trim().to_lowercase();
    (!key.is_empty()).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn applying_a_patch_twice_changes_nothing_the_second_time() {
        let mut fields = Fields::default();
        let patch = Patch {
            fields: vec![("city".into(), Some(json!("Kailua"))), ("zip".into(), None)],
            if_absent: vec![("role".into(), json!("Buyer"))],
        };
        assert_eq!(fields.apply(&patch).len(), 2);
        assert!(fields.apply(&patch).is_empty());
        let unset = Patch { fields: vec![("city".into(), None)], if_absent: vec![] };
        assert_eq!(Value::Object(fields.apply(&unset)), json!({"city": ""}));
        assert!(fields.apply(&unset).is_empty());
    }

    #[test]
    fn what_is_unset_goes_and_the_rest_keeps_its_order() {
        let map = (0..100).map(|n| (format!("f{n}"), json!(n))).collect();
        let mut fields = Fields::from_json(map);
        let even = (0..100).step_by(2).map(|n| (format!("f{n}"), None)).collect();
        let changed = fields.apply(&Patch { fields: even, if_absent: vec![] });
        assert!(changed.len() == 50 && changed.values().all(|value| value == ""));
        let left: Vec<_> = fields.as_json().keys().cloned().collect();
        assert_eq!(left, (1..100).step_by(2).map(|n| format!("f{n}")).collect::<Vec<_>>());
    }
}
