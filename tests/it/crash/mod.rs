//! What a gateway that is killed owes: everything that it acknowledged, in order.

mod kill;
