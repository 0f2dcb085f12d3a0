//! What nearly every part begins with: a receiver, and a database in which its subscription is.

use crate::cast::Cast;
use crate::gateway::Nodes;
use crate::receiver::Receiver;
use crate::setup::Setup;

pub struct Scene {
    pub setup: Setup,
    pub cast: Cast,
    pub receiver: Receiver,
}

impl Scene {
    pub async fn new(setup: Setup) -> Self {
        let (cast, receiver) = (Cast::new(setup.engine()).await, Receiver::start().await);
        cast.subscribe(&receiver.url()).await;
        Self { setup, cast, receiver }
    }

    /// Starts its gateways.
    pub async fn start(&self) -> Nodes {
        Nodes::start(&self.cast, self.setup).await
    }
}
