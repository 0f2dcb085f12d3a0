//! Subscriptions are set, set again, imported beside others, and removed.

use leadgate::store::NewSubscription;
use proptest::prelude::*;

use super::world::{DOMAINS, SLUGS, Same, World, often_the_first};
use crate::harness::make;

/// Something that is done to subscriptions.
#[derive(Debug, Clone)]
pub enum Step {
    Set { partner: usize, site: usize, url: u8 },
    Import { partner: usize, site: usize, url: u8 },
    Remove { partner: usize, site: usize },
}

pub fn steps() -> impl Strategy<Value = Step> {
    let site = || often_the_first(DOMAINS.len());
    let slug = || often_the_first(SLUGS.len());
    let new = || (slug(), site(), 0..2_u8);
    prop_oneof![
        4 => new().prop_map(|(partner, site, url)| Step::Set { partner, site, url }),
        2 => new().prop_map(|(partner, site, url)| Step::Import { partner, site, url }),
        2 => (slug(), site()).prop_map(|(partner, site)| Step::Remove { partner, site }),
    ]
}

impl Step {
    pub async fn take(&self, world: &mut World) -> Same {
        match *self {
            Step::Set { partner, site, url } => {
                let new = subscription(world, partner, site, url);
                world.both(async |store| store.replace_subscription(new.clone()).await).await?;
            }
            Step::Import { partner, site, url } => {
                let new = subscription(world, partner, site, url);
                world.both(async |store| store.import_subscription(new.clone()).await).await?;
            }
            Step::Remove { partner, site } => {
                let (partner, site, now) = (world.partners[partner].id, world.sites[site].id, world.now);
                world.both(async |store| store.remove_subscription(partner, site, now).await).await?;
            }
        }
        Ok(())
    }
}

fn subscription(world: &mut World, partner: usize, site: usize, url: u8) -> NewSubscription {
    let (partner, site) = (world.partners[partner].id, world.sites[site].id);
    let url = format!("http://{url}.example/leads");
    let new = make::subscription(&world.entropy, world.now, partner, site, &url);
    world.subscriptions.push(new.id);
    new
}
