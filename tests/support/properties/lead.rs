//! The JSON of leads: what is taken in is kept as it came, and taking it in again changes nothing.

use leadgate::domain::fields::{has_nul, is_empty};
use leadgate::domain::leads::parse::{activity_list, new_lead, update};
use leadgate::domain::leads::{Empties, Kind};
use leadgate::http::json;
use leadgate::model::lead::{ENVELOPE, Fields, Patch};
use serde_json::{Map, Value};

/// `input` is the body of a request.
pub fn lead(input: &[u8]) {
    if let Ok(list) = json::list(input) {
        let count = list.len();
        assert!(activity_list(list).is_ok_and(|activities| activities.len() == count) || count > 0);
    }
    let Ok(body) = json::object(input) else { return };
    let again = serde_json::to_vec(&body).expect("a JSON map is always JSON");
    assert!(json::object(&again).as_ref() == Ok(&body));

    for kind in [Kind::Ordinary, Kind::PotentialSeller] {
        match new_lead(body.clone(), kind) {
            Ok(lead) => {
                // Its role goes without saying there, whatever the caller says.
                let ignored = if kind == Kind::PotentialSeller { &["role"][..] } else { &[] };
                kept(&body, &lead.patch, Empties::LeftAlone, ignored);
                assert!(!body.get("source").is_none_or(is_empty));
            }
            Err(faults) => assert_ne!(faults.to_json(), Value::Object(Map::new())),
        }
    }
    for empties in [Empties::LeftAlone, Empties::Unset] {
        match update(body.clone(), empties) {
            Ok((patch, _)) => kept(&body, &patch, empties, &[]),
            Err(faults) => assert_ne!(faults.to_json(), Value::Object(Map::new())),
        }
    }
}

/// The patch says of each field what the body says, and of none that is the gateway's own.
fn kept(body: &Map<String, Value>, patch: &Patch, empties: Empties, ignored: &[&str]) {
    let ours = |name: &str| ENVELOPE.contains(&name) || ignored.contains(&name);
    let said = body.iter().filter(|(name, value)| !ours(name) && (empties == Empties::Unset || !is_empty(value)));
    let expected: Vec<_> =
        said.map(|(name, value)| (name.clone(), Some(value).filter(|value| !is_empty(value)).cloned())).collect();
    assert_eq!(patch.fields, expected);
    for (name, value) in &patch.fields {
        assert!(value.as_ref().is_none_or(|value| !name.contains('\0') && !has_nul(value)), "{name:?}");
    }

    let mut fields = Fields::default();
    fields.apply(patch);
    let once = fields.clone();
    assert!(fields.apply(patch).is_empty() && fields == once);
    let stored = serde_json::to_vec(fields.as_json()).expect("a JSON map is always JSON");
    assert!(json::object(&stored).as_ref() == Ok(fields.as_json()));
}
