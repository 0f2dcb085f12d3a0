//! The plans of the statements whose cost must not grow with what they do not need: every one is led by an index to its
//! rows, in their order. There are no statistics (ANALYZE is never run), so the plans here are those of production.

use rusqlite::Connection;

use super::deliveries::{lane, lease, line, log, merge, outbox, record, replay};
use super::leads::rows;
use super::{
    deliveries, migrate, oauth, passwords, purge, recalls, secrets, sessions, sites, statements, subscriptions,
    throttle, tokens,
};
use crate::model::SiteId;
use crate::model::delivery::{DeliveryFilter, State};

fn migrated() -> Connection {
    let mut connection = Connection::open_in_memory().unwrap();
    migrate::apply(&mut connection).unwrap();
    statements::keep_compiled(&connection).unwrap();
    connection
}

/// The steps of a statement's plan, as SQLite words them.
fn plan(sql: &str) -> Vec<String> {
    let connection = migrated();
    let mut explained = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let steps = explained.query_map(rusqlite::params_from_iter(unbound(sql)), |row| row.get("detail")).unwrap();
    steps.map(Result::unwrap).collect()
}

/// As many NULLs as the statement has parameters.
fn unbound(sql: &str) -> Vec<Option<i64>> {
    (1..=9).take_while(|number| sql.contains(&format!("?{number}"))).map(|_| None).collect()
}

/// Asserts that the statement starts with this step and never scans a table or sorts.
fn assert_led_by(sql: &str, first: &str) {
    let plan = plan(sql);
    assert_eq!(plan[0], first, "{plan:#?}");
    assert!(plan.iter().all(|step| !step.starts_with("SCAN") && !step.contains("TEMP B-TREE")), "{plan:#?}");
}

#[test]
fn leasing_reads_only_what_is_due() {
    assert_led_by(
        lease::IN_LINE,
        "SEARCH subscriptions USING INDEX subscriptions_due (next_due_at>? AND next_due_at<?)",
    );
    assert_led_by(lease::CALLED, "SEARCH subscriptions USING INDEX sqlite_autoindex_subscriptions_1 (id=?)");
    assert_led_by(lease::NEXT_IN_LINE, "SEARCH subscriptions USING INDEX subscriptions_due (next_due_at>?)");
    assert_led_by(lease::DUE, "SEARCH d USING INDEX deliveries_due (subscription_id=? AND due_at<?)");
    assert_led_by(
        lease::FIRST_DUE,
        "SEARCH deliveries USING COVERING INDEX deliveries_due (subscription_id=? AND due_at>?)",
    );
}

#[test]
fn who_stands_in_line_is_found_without_looking_at_the_others() {
    assert_led_by(line::WAITING, "SEARCH s USING INDEX subscriptions_due (next_due_at<?)");
}

#[test]
fn a_server_that_starts_reads_only_what_is_leased() {
    for sql in [deliveries::WAKE_LEASED, deliveries::FREE_LEASED] {
        let plan = plan(sql);
        assert!(plan.iter().any(|step| step.contains("INDEX deliveries_leased")), "{plan:#?}");
        assert!(plan.iter().all(|step| !step.starts_with("SCAN subscriptions")), "{plan:#?}");
    }
}

#[test]
fn a_server_that_starts_looks_only_at_subscriptions_that_wait_for_something() {
    let plan = plan(deliveries::WAKE_PASSED_OVER);
    assert!(plan[0].contains("INDEX subscriptions_due (next_due_at>?)"), "{plan:#?}");
    assert!(plan[2].contains("INDEX deliveries_due (subscription_id=? AND due_at<?)"), "{plan:#?}");
}

#[test]
fn the_ends_of_a_lane_are_found_at_once() {
    let lane = "SEARCH deliveries USING COVERING INDEX deliveries_lane (subscription_id=? AND lead_id=?)";
    assert_led_by(lane::FIRST, lane);
    assert_led_by(lane::LAST, lane);
    assert_led_by(
        replay::NEXT_LANE,
        "SEARCH deliveries USING COVERING INDEX deliveries_lane (subscription_id=? AND lead_id>?)",
    );
    assert_led_by(lane::WAITING, "SEARCH deliveries USING INDEX deliveries_lane (subscription_id=?)");
}

#[test]
fn what_is_under_a_lease_of_a_subscription_is_found_at_once() {
    assert_led_by(recalls::UNDER_LEASE, "SEARCH deliveries USING INDEX deliveries_leased (subscription_id=?)");
    assert_led_by(recalls::UNDER_THIS_LEASE, "SEARCH deliveries USING INDEX sqlite_autoindex_deliveries_1 (id=?)");
}

#[test]
fn an_outcome_finds_its_delivery_at_once() {
    for sql in [record::FINISH, record::WAIT] {
        assert_led_by(sql, "SEARCH deliveries USING INDEX sqlite_autoindex_deliveries_1 (id=?)");
    }
}

#[test]
fn what_a_change_is_merged_into_is_found_at_once() {
    let plan = plan(merge::LAST_UPDATE);
    assert_eq!(plan[0], "SEARCH d USING INTEGER PRIMARY KEY (rowid=?)", "{plan:#?}");
    let last = "SEARCH deliveries USING COVERING INDEX deliveries_lane (subscription_id=? AND lead_id=?)";
    assert!(plan.iter().any(|step| step == last), "{plan:#?}");
    assert!(plan.iter().all(|step| !step.starts_with("SCAN") && !step.contains("TEMP B-TREE")), "{plan:#?}");
}

#[test]
fn hot_reads_go_straight_to_their_rows() {
    assert_led_by(oauth::ACCESS_GRANT, "SEARCH t USING PRIMARY KEY (hash=?)");
    assert_led_by(subscriptions::HELD, "SEARCH t USING PRIMARY KEY (hash=?)");
    let held = "SEARCH u USING INDEX subscriptions_live (site_uuid=? AND partner_id=?) LEFT-JOIN";
    assert!(plan(subscriptions::HELD).iter().any(|step| step == held), "{:#?}", plan(subscriptions::HELD));
    assert_led_by(oauth::REFRESH, "SEARCH t USING PRIMARY KEY (hash=?)");
    assert_led_by(
        oauth::FORGET_EXPIRED,
        "SEARCH access_tokens USING INDEX access_tokens_by_grant (grant_id=? AND expires_at<?)",
    );
    assert_led_by(tokens::REVOKE_BY_ACCESS, "SEARCH grants USING PRIMARY KEY (id=?)");
    assert_led_by(tokens::REVOKE_BY_REFRESH, "SEARCH grants USING PRIMARY KEY (id=?)");
    assert_led_by(sessions::SESSION, "SEARCH s USING PRIMARY KEY (hash=?)");
    assert_led_by(passwords::LINK_USER, "SEARCH l USING INDEX sqlite_autoindex_password_links_1 (hash=?)");
    assert_led_by(subscriptions::OF_USER, "SEARCH subscriptions USING INDEX subscriptions_by_user (user_id=?)");
    assert_led_by(sites::OWNS, "SEARCH s USING PRIMARY KEY (site_uuid=?)");
    assert_led_by(rows::BY_ID, "SEARCH leads USING INDEX leads_by_id (site_uuid=? AND id=?)");
    assert_led_by(rows::BY_ALIAS, "SEARCH a USING PRIMARY KEY (site_uuid=? AND alias=?)");
    assert_led_by(rows::BY_EMAIL, "SEARCH leads USING INDEX leads_by_email (site_uuid=? AND email_key=?)");
    // The few rows that these find are sorted.
    assert_eq!(
        plan(subscriptions::LIVE)[0],
        "SEARCH subscriptions USING INDEX subscriptions_live (site_uuid=? AND partner_id=?)"
    );
    let receivers = plan(outbox::RECEIVERS);
    assert_eq!(receivers[0], "SEARCH s USING INDEX subscriptions_live (site_uuid=?)");
    let due = "SEARCH d USING COVERING INDEX deliveries_due (subscription_id=? AND due_at<?)";
    assert!(receivers.iter().any(|step| step == due), "{receivers:#?}");
    assert_eq!(
        plan(rows::ACTIVITIES)[0],
        "SEARCH activities USING INDEX activities_by_lead (site_uuid=? AND lead_id=?)"
    );
}

#[test]
fn the_log_is_read_from_its_new_end() {
    let listing = |site, state| log::listing(&DeliveryFilter { site, state, limit: 1 });
    let site = Some(SiteId::from_bytes([1; 16]));
    let by_site = "SEARCH d USING INDEX deliveries_by_site (site_uuid=?)";
    assert!(plan(&listing(None, None)).iter().any(|step| step == "SCAN d"), "in the order of its key");
    assert!(!plan(&listing(None, None)).iter().any(|step| step.contains("TEMP B-TREE")));
    for state in [None, Some(State::Delivered), Some(State::Cancelled)] {
        let plan = plan(&listing(site, state));
        assert!(plan.iter().any(|step| step == by_site), "{plan:#?}");
        assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{plan:#?}");
    }
    let failed = plan(&listing(site, Some(State::Failed)));
    assert!(failed.iter().any(|step| step.contains("deliveries_undelivered (site_uuid=? AND state=?)")), "{failed:#?}");
    assert_led_by(replay::FAILED, "SEARCH d USING INDEX deliveries_undelivered (site_uuid=? AND state=? AND rowid>?)");
}

#[test]
fn guesses_and_secrets_are_found_by_their_keys() {
    assert_led_by(throttle::LEVEL, "SEARCH guess_buckets USING PRIMARY KEY (key=?)");
    assert_led_by(secrets::SECRETS, "SEARCH subscriptions USING INDEX sqlite_autoindex_subscriptions_1 (id>?)");
}

#[test]
fn purging_scans_nothing() {
    for sql in
        purge::EXPIRED.iter().chain(&purge::LEFT_BY_SITE).chain([&purge::ENDED_GRANTS, &purge::FINISHED, &purge::SWEPT])
    {
        let plan = plan(sql);
        assert!(plan.iter().all(|step| !step.starts_with("SCAN")), "{sql}\n{plan:#?}");
    }
    assert!(plan(purge::SWEPT).iter().any(|step| step.contains("INDEX subscriptions_swept (removed_at")));
}
