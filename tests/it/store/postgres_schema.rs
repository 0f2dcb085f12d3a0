//! The schema on PostgreSQL, and how it comes to be.

use leadgate::store;

use crate::harness::postgres::Database;

/// Tables of sites that a PostgreSQL which shards by `site_uuid` could not spread: this is not their first column, or they have
/// a unique key without it, or none.
const UNSHARDED: &str = "SELECT t.relname || ': ' || coalesce(k.relname, 'no key')
     FROM pg_class t
     JOIN pg_attribute a ON a.attrelid = t.oid AND a.attname = 'site_uuid'
     LEFT JOIN pg_index i ON i.indrelid = t.oid AND i.indisunique
     LEFT JOIN pg_class k ON k.oid = i.indexrelid
     WHERE t.relkind IN ('r', 'p') AND NOT t.relispartition
       AND (a.attnum <> 1 OR i.indexrelid IS NULL OR a.attnum <> ALL (i.indkey))
     ORDER BY 1";

#[test]
fn every_table_of_sites_leads_with_the_site_and_has_it_in_its_keys() {
    let database = Database::new();
    let tables = "SELECT count(*) FROM pg_attribute WHERE attname = 'site_uuid' AND attrelid IN (
                      SELECT oid FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition)";
    assert!(database.number(tables) > 10);
    // No key of the log could say anything: it would have to contain the time.
    assert_eq!(database.texts(UNSHARDED), ["delivery_log: no key"]);
}

#[tokio::test]
async fn a_migration_that_cannot_get_its_locks_gives_up_and_changes_nothing() {
    let database = Database::empty();
    let other = database.session().await;
    other.batch_execute("BEGIN; CREATE TABLE users ()").await.unwrap();
    let refused = store::migrate(&database.url()).await.unwrap_err().to_string();
    assert!(refused.contains("lock timeout"), "{refused}");
    assert_eq!(database.number("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), 0);
    other.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(store::migrate(&database.url()).await.unwrap(), ["0001_initial"]);
}
