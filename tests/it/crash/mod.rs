//! How a gateway ends: told to, or killed; and what the others do then. All of them together owe everything that they
//! acknowledged, in order.

pub mod crm;
mod failover;
mod kill;
mod nodes;
mod stop;
