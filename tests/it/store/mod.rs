//! The store's suite: what its traits say, sentence by sentence. Each case is written once and stamped over every engine;
//! files with an engine's name are about its own matters, and `sequences` compares the engines with each other.

mod courier;
mod fixture;
mod receiver;

mod born_leased;
mod directory;
mod leads;
mod leases;
mod lifecycle;
mod merge;
mod merge_sequences;
mod oauth;
mod outbox;
mod outcomes;
mod passwords;
mod postgres_bursts;
mod postgres_commits;
mod postgres_hosts;
mod postgres_nodes;
mod postgres_partitions;
mod postgres_plans;
mod postgres_schema;
mod postgres_sessions;
mod postgres_tls;
mod purge;
mod replay;
mod secrets;
mod sequences;
mod sessions;
mod sqlite_files;
mod subscriptions;
mod throttle;
