//! Reading the JSON of a lead: known fields are checked, unknown ones kept as they came.

use serde_json::{Map, Value};

use crate::domain::fields::{BLANK, FieldErrors, NON_FIELD, NOT_TEXT, NUL, has_nul, is_empty, required_text};
use crate::model::LeadId;
use crate::model::lead::{Activity, ENVELOPE, Patch};

use super::Kind;

const NOT_A_LIST: &str = "Not a valid list.";
const NOT_A_CHOICE: &str = "Not a valid choice.";
const NOT_A_TIME: &str = "Not a valid datetime.";
const NOT_A_UUID: &str = "Not a valid UUID.";
const NOT_AN_OBJECT: &str = "Not a valid object.";
const ONE_OF: &str = "At least one of name, e-mail, phone or address is required.";
const POTENTIAL_SELLER: &str = "Potential Seller";

const TEXTS: [&str; 16] = [
    "source",
    "source_details",
    "email",
    "second_email",
    "first_name",
    "last_name",
    "phone",
    "phone2",
    "address",
    "street_address",
    "city",
    "state",
    "zip",
    "region",
    "timeframe",
    "notes",
];
const ROLES: [&str; 4] = ["Buyer", "Seller", "Buyer and Seller", "Renter"];
const URGENCIES: [&str; 5] = ["Cold", "Warm", "Hot", "Contacted", "Not Contacted"];
const STATUSES: [&str; 5] = ["Active", "Cancelled", "In Escrow", "Closed Escrow", "Dead"];

/// By one of these a person can be reached or told apart.
const HANDLES: [&str; 8] =
    ["first_name", "last_name", "email", "second_email", "phone", "phone2", "address", "street_address"];

/// What an empty value in an update means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Empties {
    /// The field is left alone (`/rest`).
    LeftAlone,
    /// The field is unset (`/v2/rest`).
    Unset,
}

/// A lead as a POST describes it.
#[derive(Debug)]
pub struct NewLead {
    /// The id that the caller gave.
    pub id: Option<LeadId>,
    /// Its fields.
    pub patch: Patch,
    /// Its activities.
    pub activities: Vec<Activity>,
}

/// Reads the body of a POST.
///
/// # Errors
/// Everything that is wrong with it.
pub fn new_lead(mut body: Map<String, Value>, kind: Kind) -> Result<NewLead, FieldErrors> {
    let mut errors = FieldErrors::default();
    let id = given_id(&body, &mut errors);
    let mut if_absent = Vec::new();
    if kind == Kind::PotentialSeller {
        body.shift_remove("role");
        if_absent.push(("role".to_owned(), POTENTIAL_SELLER.into()));
    }
    if body.get("source").is_none_or(is_empty) {
        errors.add("source", BLANK);
    }
    if !HANDLES.iter().any(|name| body.get(*name).is_some_and(|value| !is_empty(value))) {
        errors.add(NON_FIELD, ONE_OF);
    }
    let activities = take_activities(&mut body, &mut errors);
    let patch = Patch { fields: changes(body, Empties::LeftAlone, &mut errors), if_absent };
    errors.or(NewLead { id, patch, activities })
}

/// Reads the body of a PATCH.
///
/// # Errors
/// Everything that is wrong with it.
pub fn update(mut body: Map<String, Value>, empties: Empties) -> Result<(Patch, Vec<Activity>), FieldErrors> {
    let mut errors = FieldErrors::default();
    let activities = take_activities(&mut body, &mut errors);
    for name in ["source", "created"] {
        if empties == Empties::Unset && body.get(name).is_some_and(is_empty) {
            errors.add(name, BLANK);
        }
    }
    let patch = Patch { fields: changes(body, empties, &mut errors), if_absent: Vec::new() };
    errors.or((patch, activities))
}

/// Reads a list of activities.
///
/// # Errors
/// Everything that is wrong with any of them.
pub fn activity_list(items: Vec<Value>) -> Result<Vec<Activity>, FieldErrors> {
    let mut errors = FieldErrors::default();
    let activities = activities(items, &mut errors);
    errors.or(activities)
}

fn given_id(body: &Map<String, Value>, errors: &mut FieldErrors) -> Option<LeadId> {
    match body.get("id")? {
        value if is_empty(value) => None,
        Value::String(text) => text.parse().map_err(|_| errors.add("id", NOT_A_UUID)).ok(),
        _ => {
            errors.add("id", NOT_A_UUID);
            None
        }
    }
}

/// The changes that the remaining fields ask for. `id` is the path's business, and names that the gateway itself writes
/// into bodies are not a lead's to set.
fn changes(body: Map<String, Value>, empties: Empties, errors: &mut FieldErrors) -> Vec<(String, Option<Value>)> {
    let mut changes = Vec::with_capacity(body.len());
    for (name, value) in body {
        if ENVELOPE.contains(&name.as_str()) {
            continue;
        }
        if is_empty(&value) {
            if empties == Empties::Unset {
                changes.push((name, None));
            }
        } else if let Some(fault) = fault(&name, &value) {
            errors.add(name, fault);
        } else {
            changes.push((name, Some(value)));
        }
    }
    changes
}

/// What is wrong with a field that is not empty.
fn fault(name: &str, value: &Value) -> Option<&'static str> {
    if name.contains('\0') || has_nul(value) {
        return Some(NUL);
    }
    match name {
        "role" => choice(value, &ROLES),
        "urgency" => choice(value, &URGENCIES),
        "status" => choice(value, &STATUSES),
        "tags" => tags(value),
        "created" => time(value),
        name if TEXTS.contains(&name) && !value.is_string() => Some(NOT_TEXT),
        _ => None,
    }
}

fn choice(value: &Value, choices: &[&str]) -> Option<&'static str> {
    match value.as_str() {
        Some(text) if choices.contains(&text) => None,
        Some(_) => Some(NOT_A_CHOICE),
        None => Some(NOT_TEXT),
    }
}

fn tags(value: &Value) -> Option<&'static str> {
    match value.as_array() {
        Some(tags) if tags.iter().all(Value::is_string) => None,
        Some(_) => Some(NOT_TEXT),
        None => Some(NOT_A_LIST),
    }
}

/// ISO 8601: a date, or a date and a time, with or without an offset.
fn time(value: &Value) -> Option<&'static str> {
    let Some(text) = value.as_str() else { return Some(NOT_TEXT) };
    let is_time = text.parse::<jiff::Timestamp>().is_ok() || text.parse::<jiff::civil::DateTime>().is_ok();
    (!is_time).then_some(NOT_A_TIME)
}

fn take_activities(body: &mut Map<String, Value>, errors: &mut FieldErrors) -> Vec<Activity> {
    match body.shift_remove("activities") {
        Some(Value::Array(items)) => activities(items, errors),
        Some(value) if !is_empty(&value) => {
            errors.add("activities", NOT_A_LIST);
            Vec::new()
        }
        _ => Vec::new(),
    }
}

fn activities(items: Vec<Value>, errors: &mut FieldErrors) -> Vec<Activity> {
    let mut activities = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let at = format!("activities.{index}");
        match item {
            Value::Object(map) => {
                let mut faults = FieldErrors::default();
                check_activity(&map, &mut faults);
                errors.adopt(&at, faults);
                activities.push(Activity(map));
            }
            _ => errors.add(at, NOT_AN_OBJECT),
        }
    }
    activities
}

fn check_activity(map: &Map<String, Value>, errors: &mut FieldErrors) {
    for name in ["type", "source", "description"] {
        required_text(map, name, errors);
    }
    for (name, value) in map {
        let required = matches!(name.as_str(), "type" | "source" | "description");
        if name.contains('\0') || (!required && has_nul(value)) {
            errors.add(name.clone(), NUL);
        }
    }
    if let Some(fault) = map.get("created").filter(|value| !is_empty(value)).and_then(time) {
        errors.add("created", fault);
    }
}
