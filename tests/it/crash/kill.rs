//! `kill -9` while leads come in and deliveries go out.

use super::crm::{Crm, Delivered};
use crate::harness::engine::Data;
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::{on_every_engine, soon};

const LEADS: usize = 40;
const UPDATES: usize = 3;

on_every_engine!(everything_acknowledged_arrives_in_order_although_the_gateway_is_killed_three_times);

async fn everything_acknowledged_arrives_in_order_although_the_gateway_is_killed_three_times() {
    let mut receiver = Receiver::start().await;
    let data = Data::new();
    let crm = Crm::at(&data.url(), &receiver).await;
    let mut delivered = Delivered::default();

    // Each round, all changes are acknowledged, some requests are at the receiver without an answer, and then the gateway
    // is killed.
    for version in 0..UPDATES {
        let gateway = crm.serve();
        for n in 0..LEADS {
            assert!(crm.send(&gateway.address, n, version).await);
            if n % 3 == 0 {
                let arrival = receiver.next().await;
                delivered.take(&arrival.request);
                arrival.answer(Reply::status(200));
            }
        }
        let unanswered = receiver.next().await;
        gateway.program.kill();
        drop(unanswered);
    }

    let gateway = crm.serve();
    while delivered.count() < LEADS * UPDATES {
        delivered.take(&receiver.answer(Reply::status(204)).await);
    }
    delivered.assert_complete(LEADS, UPDATES);
    // Repeats are allowed, but only of what was under way when the gateway was killed: 16 requests at the receiver, and as
    // many answers that were not on disk yet.
    assert!(delivered.repeats <= UPDATES * 32, "{}", delivered.repeats);
    soon("it stops", tokio::task::spawn_blocking(|| gateway.program.terminate())).await.unwrap();
}
