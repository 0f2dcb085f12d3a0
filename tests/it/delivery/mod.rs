//! Leads out (API.md §5): the driver on a store, against real receivers on loopback.

mod answers;
mod backing_off;
mod bursts;
mod failures;
mod fairness;
mod lanes;
mod late;
mod letting_go;
mod lifecycle;
mod nodes;
mod recall;
mod request;
mod retries;
mod straight;
mod world;
