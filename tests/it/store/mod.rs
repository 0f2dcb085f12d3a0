//! The store's suite: what its traits say, sentence by sentence. Each case is written once and stamped over every engine;
//! `sqlite_files`, `sqlite_line`, `postgres_nodes` and `postgres_partitions` are about one engine's own matters. `sequences`
//! compares the engines with each other.

mod fixture;

mod directory;
mod leads;
mod leases;
mod lifecycle;
mod oauth;
mod outbox;
mod outcomes;
mod postgres_nodes;
mod postgres_partitions;
mod purge;
mod replay;
mod sequences;
mod sqlite_files;
mod sqlite_line;
mod subscriptions;
