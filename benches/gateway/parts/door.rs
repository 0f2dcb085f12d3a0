//! The door's figures: tokens per second beside a peer, GET subscription beside a constant, and whether logins delay others.

use std::path::Path;

use crate::cast::Cast;
use crate::constant::Constant;
use crate::gateway::Nodes;
use crate::letter::Letter;
use crate::line::Line;
use crate::peer::Peer;
use crate::report::Report;
use crate::rounds::Rounds;
use crate::setup::Setup;
use crate::tokens::{CALLERS, Issuer, introspections, refreshes};
use crate::{load, logins};

const SUBSCRIPTION: &str = "16 callers ask for a partner's subscription, over and over. Beside it, an axum handler that returns a constant, in                             a process of its own.";

const TOKENS: &str = "16 callers refresh their tokens, or introspect one. Beside it node oidc-provider with its in-memory adapter, if it is                       there.";

const LOGINS: &str =
    "A partner gets its subscription 200 times per second; first alone, then beside people who log in all the time.";

/// GET subscription, and the same of a handler that returns a constant.
pub async fn subscription(rounds: &Rounds, report: &mut Report) {
    let mut section = report.section("GET subscription", SUBSCRIPTION);
    let [rates, constant] = rounds
        .measure("GET subscription", async |setup| {
            let cast = Cast::new(setup.engine()).await;
            cast.subscribe("http://127.0.0.1:9/").await;
            let nodes = Nodes::start(&cast, setup).await;
            let rate = load::get_subscription(&cast, &nodes, 16).await;
            drop(nodes);
            [rate, constant().await]
        })
        .await;
    section.row("GET subscription per second, 16 callers", 0, &rates);
    section.row("a handler that returns a constant, per second", 0, &constant);
    report.add(section);
}

async fn constant() -> f64 {
    let constant = Constant::start();
    let address = constant.address.clone();
    let get = Letter::gets("/piesync/subscription/site/", "token");
    load::gets(get, (0..16).map(move |_| Line::to(&address))).await
}

/// Refreshes and introspections per second; and the same of the peer, if it is installed in `peer`.
pub async fn tokens(rounds: &Rounds, peer: Option<&Path>, report: &mut Report) {
    let mut section = report.section("Tokens", TOKENS);
    let [refreshed, introspected] = rounds
        .measure("tokens", async |setup| {
            let cast = Cast::new(setup.engine()).await;
            let nodes = Nodes::start(&cast, setup).await;
            let issuers = Issuer::of_gateway(&cast, &nodes).await;
            [refreshes(&issuers).await, introspections(&Issuer::of_gateway(&cast, &nodes).await).await]
        })
        .await;
    section.row(&format!("refreshes per second, {CALLERS} callers"), 0, &refreshed);
    section.row(&format!("introspections per second, {CALLERS} callers"), 0, &introspected);
    if let Some(folder) = peer {
        let [refreshed, introspected] = rounds
            .measure("node oidc-provider", async |_| {
                let peer = Peer::start(folder);
                let issuers = [peer.issuer.clone()];
                let introspected = introspections(&issuers).await;
                [refreshes(&issuers).await, introspected]
            })
            .await;
        section.row("refreshes per second, node oidc-provider", 0, &refreshed);
        section.row("introspections per second, node oidc-provider", 0, &introspected);
    }
    report.add(section);
}

/// GET subscription at a calm pace, without logins and beside them.
pub async fn logins(rounds: &Rounds, report: &mut Report) {
    let mut section = report.section("Beside logins", LOGINS);
    let [calm_50, calm_99, busy_50, busy_99, per_second] =
        rounds.measure("GET subscription beside logins", beside).await;
    section.pair("GET subscription at 200 per second, p50 / p99, ms", 2, &calm_50, &calm_99);
    let name = format!("the same beside {} people who log in, p50 / p99, ms", logins::AT_ONCE);
    section.pair(&name, 2, &busy_50, &busy_99);
    section.row("logins per second meanwhile", 0, &per_second);
    report.add(section);
}

async fn beside(setup: Setup) -> [f64; 5] {
    let cast = Cast::new(setup.engine()).await;
    cast.subscribe("http://127.0.0.1:9/").await;
    let nodes = Nodes::start(&cast, setup).await;
    let calm = logins::subscription_at_pace(&cast, &nodes).await;
    let (busy, per_second) = logins::subscription_beside_logins(&cast, &nodes).await;
    [calm.p50, calm.p99, busy.p50, busy.p99, per_second]
}
