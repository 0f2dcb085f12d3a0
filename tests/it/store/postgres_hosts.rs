//! A database with several hosts: which one a node finds. What happens to one that dies under load is in `crash/failover`.

use std::net::TcpListener;

use leadgate::store::{self, Purpose};

use crate::harness::postgres::Database;
use crate::harness::soon;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_takes_calls_and_never_answers_is_given_up_for_the_next() {
    let database = Database::new();
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    // Like a primary that was stopped: its system still takes the calls.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let hosts = [dead, silent.local_addr().unwrap().to_string(), database.address().to_string()].join(",");
    let url = database.url_text().replace(&database.address().to_string(), &hosts);
    let store = soon("it opens", store::open(&url.parse().unwrap(), Purpose::Serve)).await.unwrap();
    soon("it answers", store.ping()).await.unwrap();
    store.close().await;
}
