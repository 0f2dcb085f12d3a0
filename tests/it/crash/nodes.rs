//! Three nodes on one PostgreSQL under load, one of which is killed, stopped, or cut off from the database.

mod record;

use std::sync::Arc;

use futures_util::future::join_all;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use self::record::Record;
use super::crm::{Callers, Crm, Node};
use crate::harness::postgres::Database;
use crate::harness::proxy::Proxy;
use crate::harness::receiver::Receiver;
use crate::harness::soon;

const LEADS: usize = 24;
const CHANGES: usize = 24;

/// What happens to one node.
#[derive(Debug, Clone, Copy)]
enum Blow {
    /// `kill -9`.
    Killed,
    /// SIGSTOP, and later SIGCONT.
    Stopped,
    /// Nothing passes between it and the database; later everything does, also what was sent meanwhile.
    CutOff,
    /// The same, but its connections are lost.
    Disconnected,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_arrives_in_order_although_a_node_is_killed() {
    all_arrives_in_order(Blow::Killed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_arrives_in_order_although_a_node_stands_still_for_longer_than_its_leases() {
    all_arrives_in_order(Blow::Stopped).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_arrives_in_order_although_a_node_is_cut_off_from_the_database() {
    all_arrives_in_order(Blow::CutOff).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_arrives_in_order_although_a_node_loses_its_connections_to_the_database() {
    all_arrives_in_order(Blow::Disconnected).await;
}

/// The blow falls when an eighth has arrived and a request of the victim is at the receiver, without an answer. When the
/// others have taken that delivery over, the victim comes back, and the last third of the load begins.
async fn all_arrives_in_order(blow: Blow) {
    let receiver = Receiver::start().await;
    let database = Database::new();
    let crm = Arc::new(Crm::at(database.url_text(), &receiver).await);
    let mut nodes = Nodes::start(&crm, &database, blow).await;
    let callers = Callers::start(&crm, &nodes.addresses(), LEADS, CHANGES);

    let mut record = Record::new(receiver, nodes.others(), LEADS * CHANGES / 8);
    record.run(|record| record.holds_one()).await;
    nodes.strike();
    record.run(|record| record.is_taken_over()).await;
    nodes.heal();
    record.let_go();
    callers.go_on();
    record.run(|record| record.all.count() == LEADS * CHANGES).await;
    callers.end().await;
    record.all.assert_complete(LEADS, CHANGES);

    // The victim is a node like the others again.
    if let Some(back) = nodes.victim.as_ref().map(|victim| [victim.address.clone()]) {
        soon("it serves again", crm.insist(&back, LEADS, 0)).await;
        record.run(|record| record.all.count() == LEADS * CHANGES + 1).await;
    }
    record.run_while(nodes.stop()).await;
    println!("{blow:?}: {}", record.explain_repeats(&crm));
}

/// The nodes.
struct Nodes {
    blow: Blow,
    /// `None` when it is dead.
    victim: Option<Node>,
    /// Between the victim and the database.
    network: Proxy,
    others: Vec<Node>,
}

impl Nodes {
    async fn start(crm: &Crm, database: &Database, blow: Blow) -> Self {
        let network = Proxy::to(database.address()).await;
        let url = database.url_text().replace(&database.address().to_string(), &network.address().to_string());
        let victim = Some(crm.serve_on(&url));
        Self { blow, victim, network, others: vec![crm.serve(), crm.serve()] }
    }

    /// Where they all listen, the victim first.
    fn addresses(&self) -> Vec<String> {
        self.victim.iter().chain(&self.others).map(|node| node.address.clone()).collect()
    }

    /// The processes of all but the victim.
    fn others(&self) -> Vec<Pid> {
        self.others.iter().map(|node| node.program.pid()).collect()
    }

    fn strike(&mut self) {
        match self.blow {
            Blow::Killed => self.victim.take().unwrap().program.kill(),
            Blow::Stopped => self.victim.as_ref().unwrap().program.signal(Signal::SIGSTOP),
            Blow::CutOff | Blow::Disconnected => self.network.stall(),
        }
    }

    fn heal(&self) {
        match self.blow {
            Blow::Killed => {}
            Blow::Stopped => self.victim.as_ref().unwrap().program.signal(Signal::SIGCONT),
            Blow::CutOff => self.network.go_on(),
            Blow::Disconnected => {
                self.network.hang_up();
                self.network.go_on();
            }
        }
    }

    /// Stops those that are left.
    async fn stop(self) {
        let stops = self
            .victim
            .into_iter()
            .chain(self.others)
            .map(|node| tokio::task::spawn_blocking(|| assert_eq!(node.program.terminate(), Some(0))));
        soon("they stop", join_all(stops)).await.into_iter().for_each(Result::unwrap);
    }
}
