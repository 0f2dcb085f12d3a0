//! SQLite's own way with subscriptions that have no room: nobody else has room for them.

use leadgate::model::delivery::{Space, Verdict};
use leadgate::store::Signal;

use super::courier::TestCourier;
use super::fixture::Fixture;

#[tokio::test]
async fn the_only_driver_need_not_be_told_of_what_waits_while_it_has_its_hands_full() {
    let f = &Fixture::sqlite().await;
    let (site, _, _) = f.subscribed_site(1).await;
    let courier = TestCourier::of(&*f.store);
    for (space, told) in [(Space::Full, vec![]), (Space::For(1), vec![Signal::Work])] {
        courier.have_space(space);
        f.heard();
        f.lead(&site, &format!("{}@b.com", told.len())).await;
        assert_eq!(f.heard(), told, "{space:?}");
        f.record(&f.lease().await[0], Verdict::Delivered).await;
    }
}
