//! `grant_type=refresh_token` (checklist 83 to 91).

use std::time::Duration;

use super::door::{Door, assert_refused, pair};
use crate::harness::{Answer, answer, on_every_engine};

on_every_engine!(
    oauth_083_every_refresh_gives_a_new_pair,
    oauth_084_an_old_token_kills_the_family,
    oauth_085_a_lost_answer_can_be_asked_for_again_within_a_minute,
    oauth_085_but_not_later,
    oauth_087_another_partner_cannot_use_or_harm_a_token,
    oauth_088_scope_can_narrow_and_widen_back_but_not_exceed,
    oauth_089_no_other_token_is_a_refresh_token,
    oauth_090_refresh_tokens_live_for_180_days,
    oauth_090_a_grant_ends_with_the_partner,
    oauth_090_a_grant_ends_with_the_person_who_gave_it,
    oauth_090_a_grant_outlives_the_subscription,
    oauth_091_a_missing_token_is_an_invalid_request,
);

impl Door {
    async fn refresh_to(&self, token: &str, scope: &str) -> Answer {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token), ("scope", scope)]).await
    }
}

async fn oauth_083_every_refresh_gives_a_new_pair() {
    let door = Door::open().await;
    let (first_access, first) = door.tokens().await;
    let (second_access, second) = pair(&door.refresh(&first).await);
    assert!(first != second && first_access != second_access);
    assert!(door.opens(&second_access).await);
    assert_eq!(door.refresh(&second).await.status, 200);
}

async fn oauth_084_an_old_token_kills_the_family() {
    let door = Door::open().await;
    let (_, first) = door.tokens().await;
    let (_, second) = pair(&door.refresh(&first).await);
    let (access, third) = pair(&door.refresh(&second).await);
    assert_refused(&door.refresh(&first).await, 400, "invalid_grant");
    assert_refused(&door.refresh(&third).await, 400, "invalid_grant");
    assert!(!door.opens(&access).await);
}

async fn oauth_085_a_lost_answer_can_be_asked_for_again_within_a_minute() {
    let door = Door::open().await;
    let (_, first) = door.tokens().await;
    pair(&door.refresh(&first).await);
    door.gate.clock.advance(Duration::from_secs(60));
    let (access, again) = pair(&door.refresh(&first).await);
    assert!(door.opens(&access).await);
    assert_eq!(door.refresh(&again).await.status, 200);
}

async fn oauth_085_but_not_later() {
    let door = Door::open().await;
    let (_, first) = door.tokens().await;
    let (access, second) = pair(&door.refresh(&first).await);
    door.gate.clock.advance(Duration::from_millis(60_001));
    assert_refused(&door.refresh(&first).await, 400, "invalid_grant");
    assert_refused(&door.refresh(&second).await, 400, "invalid_grant");
    assert!(!door.opens(&access).await);
}

async fn oauth_087_another_partner_cannot_use_or_harm_a_token() {
    let door = Door::open().await;
    let other = door.gate.partner("cinc").await;
    let (_, refresh) = door.tokens().await;
    let stolen = door.gate.post("/cinc/oauth/token/").header("content-type", "application/x-www-form-urlencoded");
    let stolen = stolen.basic_auth(other.partner.client_id.as_str(), Some(&other.secret));
    let stolen = stolen.body(format!("grant_type=refresh_token&refresh_token={refresh}"));
    assert_refused(&answer(stolen).await, 400, "invalid_grant");
    assert_eq!(door.refresh(&refresh).await.status, 200);
}

async fn oauth_088_scope_can_narrow_and_widen_back_but_not_exceed() {
    let door = Door::open().await;
    let (_, refresh) = door.tokens().await;
    let narrow = door.refresh_to(&refresh, "leadrouter:send").await;
    assert_eq!(narrow.json()["scope"], "leadrouter:send");
    let wide = door.refresh(&pair(&narrow).1).await;
    assert_eq!(wide.json()["scope"], "leadrouter:connect leadrouter:send");

    let code = door.code_for(&[("scope", Some("leadrouter:send"))]).await;
    let (_, refresh) = pair(&door.redeem(&code).await);
    for wider in ["leadrouter:connect leadrouter:send", "leadrouter:connect", "unknown"] {
        assert_refused(&door.refresh_to(&refresh, wider).await, 400, "invalid_scope");
    }
    assert_eq!(door.refresh(&refresh).await.json()["scope"], "leadrouter:send");
}

async fn oauth_089_no_other_token_is_a_refresh_token() {
    let door = Door::open().await;
    let code = door.code().await;
    let (access, refresh) = door.tokens().await;
    for other in [&access, &code, "x"] {
        assert_refused(&door.refresh(other).await, 400, "invalid_grant");
    }
    assert_refused(&door.redeem(&refresh).await, 400, "invalid_grant");
    assert_eq!(door.refresh(&refresh).await.status, 200);
    assert!(door.opens(&access).await);
    assert!(!door.opens(&refresh).await && !door.opens(&code).await);
}

async fn oauth_090_refresh_tokens_live_for_180_days() {
    let door = Door::open().await;
    let (_, refresh) = door.tokens().await;
    let day = Duration::from_secs(24 * 3600);
    door.gate.clock.advance(day * 180 - Duration::from_millis(1));
    let (_, next) = pair(&door.refresh(&refresh).await);
    door.gate.clock.advance(day * 180);
    assert_refused(&door.refresh(&next).await, 400, "invalid_grant");
}

async fn oauth_090_a_grant_ends_with_the_partner() {
    let door = Door::open().await;
    let (access, refresh) = door.tokens().await;
    door.gate.store.remove_partner(&door.partner.partner.slug, door.gate.now()).await.unwrap();
    assert_refused(&door.refresh(&refresh).await, 401, "invalid_client");
    assert!(!door.opens(&access).await);
}

async fn oauth_090_a_grant_ends_with_the_person_who_gave_it() {
    let door = Door::open().await;
    let (access, refresh) = door.tokens().await;
    door.gate.store.remove_user(&door.owner.email).await.unwrap();
    assert_refused(&door.refresh(&refresh).await, 400, "invalid_grant");
    assert!(!door.opens(&access).await);
}

async fn oauth_090_a_grant_outlives_the_subscription() {
    let door = Door::open().await;
    let (access, refresh) = door.tokens().await;
    let path = door.subscription();
    let delete = || answer(door.gate.request(reqwest::Method::DELETE, &path).bearer_auth(&access));
    assert_eq!((delete().await.status, delete().await.status), (204, 204));
    assert!(door.opens(&access).await);
    assert_eq!(door.refresh(&refresh).await.status, 200);
}

async fn oauth_091_a_missing_token_is_an_invalid_request() {
    let door = Door::open().await;
    assert_refused(&door.token(&[("grant_type", "refresh_token")]).await, 400, "invalid_request");
}
