//! A PostgreSQL dies under load, and its synchronous standby takes over.

use std::sync::Arc;

use super::crm::{Callers, Crm, Delivered};
use crate::harness::pair::Pair;
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::soon;

const LEADS: usize = 8;
const CHANGES: usize = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_a_standby_takes_over() {
    let mut receiver = Receiver::start().await;
    let mut servers = Pair::start();
    let crm = Arc::new(Crm::at(&servers.url(), &receiver).await);
    let gateway = crm.serve();
    let callers = Callers::start(&crm, std::slice::from_ref(&gateway.address), LEADS, CHANGES);
    let mut delivered = Delivered::default();
    while delivered.count() < LEADS * CHANGES / 8 {
        delivered.take(&receiver.answer(Reply::status(204)).await);
    }

    servers.crash();
    assert!(crm.is_away(&gateway.address).await);
    servers.promote();

    callers.go_on();
    while delivered.count() < LEADS * CHANGES {
        delivered.take(&receiver.answer(Reply::status(204)).await);
    }
    callers.end().await;
    delivered.assert_complete(LEADS, CHANGES);
    assert_eq!(soon("it stops", tokio::task::spawn_blocking(|| gateway.program.terminate())).await.unwrap(), Some(0));
}
