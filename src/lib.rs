//! Leadgate: the door between a real-estate CRM and its integration partners.
//!
//! Data flows one way, and every room knows only what lies below it: `http` extracts, `domain` decides, `store`
//! commits, `delivery` sends. `docs/architecture.md` has the map; `tests/it/house_rules.rs` keeps it true.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod delivery;
pub mod domain;
pub mod egress;
pub mod http;
pub mod model;
pub mod store;
