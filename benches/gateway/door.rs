//! The door's figures: tokens per second beside a peer, GET subscription beside a constant, and whether logins delay others.

use std::path::Path;

use crate::cast::Cast;
use crate::constant::Constant;
use crate::gateway::Nodes;
use crate::letter::Letter;
use crate::line::Line;
use crate::peer::Peer;
use crate::rounds::Rounds;
use crate::setup::Setup;
use crate::table::Table;
use crate::tokens::{CALLERS, Issuer, introspections, refreshes};
use crate::{load, logins};

/// Refreshes and introspections per second; and the same of the peer, if it is installed in `peer`.
pub async fn tokens(rounds: &Rounds, peer: Option<&Path>, table: &mut Table) {
    let what = format!("tokens, {CALLERS} callers");
    let [refreshed, introspected] = rounds
        .medians(&what, async |setup| {
            let cast = Cast::new(setup.engine()).await;
            let nodes = Nodes::start(&cast, setup).await;
            let issuers = Issuer::of_gateway(&cast, &nodes).await;
            [refreshes(&issuers).await, introspections(&Issuer::of_gateway(&cast, &nodes).await).await]
        })
        .await;
    table.compared(&format!("refreshes per second, {CALLERS} callers"), 0, &refreshed);
    table.compared(&format!("introspections per second, {CALLERS} callers"), 0, &introspected);
    let Some(folder) = peer else { return };
    let alone = Rounds { setups: vec![rounds.setups[0]], count: rounds.count };
    let [refreshed, introspected] = alone
        .medians("node oidc-provider", async |_| {
            let peer = Peer::start(folder);
            let issuers = [peer.issuer.clone()];
            let introspected = introspections(&issuers).await;
            [refreshes(&issuers).await, introspected]
        })
        .await;
    table.note(format!(
        "node oidc-provider with its in-memory adapter, {CALLERS} callers: {:.0} refreshes and {:.0} introspections per second.",
        refreshed[0], introspected[0]
    ));
}

/// GET subscription of a handler that returns a constant.
pub async fn constant(rounds: &Rounds, table: &mut Table) {
    let alone = Rounds { setups: vec![rounds.setups[0]], count: rounds.count };
    let [rates] = alone
        .medians("a handler that returns a constant", async |_| {
            let constant = Constant::start();
            let address = constant.address.clone();
            let get = Letter::gets("/piesync/subscription/site/", "token");
            [load::gets(get, (0..16).map(move |_| Line::to(&address))).await]
        })
        .await;
    table.note(format!(
        "An axum handler that returns a constant, in a process of its own, 16 callers: {:.0} per second.",
        rates[0]
    ));
}

/// GET subscription at a calm pace, without logins and beside them.
pub async fn logins(rounds: &Rounds, table: &mut Table) {
    let [calm_50, calm_99, busy_50, busy_99, per_second] =
        rounds.medians("GET subscription beside logins", beside).await;
    table.row("GET subscription at 200 per second, p50, ms", 2, &calm_50);
    table.row("the same, p99, ms", 2, &calm_99);
    let name = format!("the same beside {} people who log in, p50, ms", logins::AT_ONCE);
    table.row(&name, 2, &busy_50);
    table.row("the same, p99, ms", 2, &busy_99);
    table.row("logins per second meanwhile", 0, &per_second);
}

async fn beside(setup: Setup) -> [f64; 5] {
    let cast = Cast::new(setup.engine()).await;
    cast.subscribe("http://127.0.0.1:9/").await;
    let nodes = Nodes::start(&cast, setup).await;
    let calm = logins::subscription_at_pace(&cast, &nodes).await;
    let (busy, per_second) = logins::subscription_beside_logins(&cast, &nodes).await;
    [calm.p50, calm.p99, busy.p50, busy.p99, per_second]
}
