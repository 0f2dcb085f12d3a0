//! The pool: how many connections a node holds, and how long anybody waits for one.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{
    Manager, ManagerConfig, Pool as Connections, PoolConfig, QueueMode, RecyclingMethod, Runtime, Timeouts,
};
use tokio::sync::Semaphore;
use tokio_postgres::Config;

use super::dial::Dial;
use super::error::{closed, too_slow};
use super::server::Server;
use super::statements::Db;
use crate::store::{OpenError, Result};

/// Connections of one node at most. Together with the line to the other nodes, this is what a node takes of the server's
/// `max_connections`.
pub(super) const CONNECTIONS: u32 = 16;

/// How long a caller waits for its turn: longer than a full queue of callers takes when the database is well.
const TURN: Duration = Duration::from_secs(20);

/// A pool of connections.
pub(super) struct Pool {
    connections: Connections,
    /// Handed out in the order of asking. Once all are back, nothing is under way.
    turns: Arc<Semaphore>,
}

impl Pool {
    /// A pool that makes its connections when they are needed.
    pub(super) fn new(server: &Server, dial: &Dial) -> std::result::Result<Self, OpenError> {
        let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_connect(Config::new(), dial.clone(), config);
        let size = CONNECTIONS as usize;
        // The connection that was used last goes first: its server process still has at hand what it needs.
        let queue_mode = QueueMode::Lifo;
        let timeouts = Timeouts { wait: Some(TURN), create: Some(dial.limit()), recycle: Some(dial.limit()) };
        let connections = Connections::builder(manager)
            .config(PoolConfig { timeouts, queue_mode, ..PoolConfig::new(size) })
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| OpenError::Failed { path: server.to_string(), cause: error.to_string() })?;
        Ok(Self { connections, turns: Arc::new(Semaphore::new(size)) })
    }

    /// A connection, when it is this caller's turn.
    pub(super) async fn get(&self) -> Result<Db> {
        let turn = tokio::time::timeout(TURN, self.turns.clone().acquire_owned()).await;
        let turn = turn.map_err(|_| too_slow())?.map_err(|_| closed())?;
        Ok(Db::new(self.connections.get().await?, turn))
    }

    /// Closes the connections, once what is under way is finished.
    pub(super) async fn close(&self) {
        // It fails only if the pool is closed already.
        let _all = self.turns.acquire_many(CONNECTIONS).await;
        self.turns.close();
        self.connections.close();
    }
}
