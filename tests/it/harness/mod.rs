//! What the cases of all rooms are made with.

pub mod clock;
pub mod entropy;
pub mod make;
