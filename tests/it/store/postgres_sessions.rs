//! What a node's sessions on PostgreSQL ask of the server, seen from inside of one.

use leadgate::store::{self, Purpose};

use super::fixture::Fixture;
use crate::harness::postgres::Database;

/// Has each new site written down with the settings of the session that makes it.
const LOOK: &str = r"
    CREATE TABLE seen (name TEXT, setting TEXT);
    CREATE FUNCTION look() RETURNS TRIGGER LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO seen SELECT name, setting FROM pg_settings WHERE name LIKE 'tcp\_%'; RETURN NEW; END
    $$;
    CREATE TRIGGER look AFTER INSERT ON sites FOR EACH ROW EXECUTE FUNCTION look();";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_notices_a_node_that_reads_no_more() {
    let database = Database::new();
    database.sql(LOOK);
    let f = Fixture::new(store::open(&database.url(), Purpose::Serve).await.unwrap(), Box::new(()));
    f.site("www.site.com").await;
    f.store.close().await;
    let seen = database.texts("SELECT name || ' ' || setting FROM seen ORDER BY name");
    assert_eq!(
        seen,
        ["tcp_keepalives_count 3", "tcp_keepalives_idle 10", "tcp_keepalives_interval 3", "tcp_user_timeout 10000"]
    );
}
