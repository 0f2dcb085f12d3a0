//! Leads as the callers write them, and how the receiver knows them again.

use memchr::memmem;
use serde_json::{Value, json};

/// Where the listing is that somebody asked for. It tells which lead this is, and the how manieth change of it.
const LISTING: &str = "https://www.zillow.com/homes/";

/// The `number`th lead: about one KiB, like those of real portals.
pub fn lead(number: usize) -> Value {
    lead_called(&format!("{number:07}"), "0")
}

/// The lead that is called so.
pub fn lead_called(number: &str, version: &str) -> Value {
    json!({
        "source": "Zillow", "source_details": format!("{LISTING}{number}.{version}"),
        "email": format!("lead{number}@example.com"),
        "first_name": "Ann", "last_name": format!("Number {number}"), "phone": "+1 808 555 0100",
        "street_address": "12 Main St", "city": "Kailua", "state": "HI", "zip": "96734", "role": "Buyer",
        "timeframe": "3-6 months", "urgency": "Warm", "tags": ["portal", "web"], "notes": "n".repeat(600),
    })
}

/// A change of that lead.
pub fn update_called(number: &str, version: &str) -> Value {
    json!({ "source_details": format!("{LISTING}{number}.{version}"), "timeframe": format!("{version} months") })
}

/// Which lead a delivery is about, and which change of it: 0 is its creation.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mark {
    pub lead: u32,
    pub version: u8,
}

impl Mark {
    /// What the body of a delivery tells.
    pub fn of(body: &[u8]) -> Self {
        let at = memmem::find(body, LISTING.as_bytes()).expect("each change names its listing") + LISTING.len();
        let digits = std::str::from_utf8(&body[at..at + 9]).expect("ASCII");
        let (lead, version) = digits.split_once('.').expect("a number and a version");
        Self { lead: lead.parse().expect("a number"), version: version.parse().expect("a version") }
    }
}
