//! How a gateway ends: told to, or killed. Either way it owes everything that it acknowledged, in order.

mod kill;
mod stop;
