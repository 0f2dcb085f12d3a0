//! A PostgreSQL with a synchronous standby: what is committed on the one is on both.

use super::postgres_server::{Keeper, free_port};

/// The primary is on port `$2`, the standby on `$3`. Reads what is to be done.
const PAIR: &str = r#"
make primary && start primary "$2" -c fsync=off -c synchronous_standby_names="'*'" &&
    "$bin/pg_basebackup" --host 127.0.0.1 --port "$2" --username leadgate --pgdata standby --write-recovery-conf \
        --checkpoint fast --no-sync >>log 2>&1 && start standby "$3" -c fsync=off &&
    "$bin/createdb" --host 127.0.0.1 --port "$2" --username leadgate leads >>log 2>&1 || give_up
echo ready
while read -r command; do
    case $command in
        crash) crash primary ;;
        promote) "$bin/pg_ctl" --pgdata standby --silent --wait promote >>log 2>&1 ;;
    esac || give_up
    echo done
done
"#;

/// The two servers.
pub struct Pair {
    ports: [u16; 2],
    keeper: Keeper,
}

impl Pair {
    /// Starts both. There is an empty database.
    pub fn start() -> Self {
        let ports = [free_port(), free_port()];
        Self { ports, keeper: Keeper::start(PAIR, &ports.map(|port| port.to_string())) }
    }

    /// The URL of the database, which names both.
    pub fn url(&self) -> String {
        let [primary, standby] = self.ports;
        format!("postgres://leadgate@127.0.0.1:{primary},127.0.0.1:{standby}/leads")
    }

    /// The primary dies.
    pub fn crash(&mut self) {
        self.keeper.tell("crash");
    }

    /// The standby becomes the primary.
    pub fn promote(&mut self) {
        self.keeper.tell("promote");
    }
}
