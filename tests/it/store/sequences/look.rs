//! What both stores show.

use leadgate::model::delivery::{DeliveryFilter, State};
use leadgate::model::token::AnyToken;

use super::directory::USERNAMES;
use super::guesses;
use super::leasing::{self, Terms};
use super::world::{Pair, Same, World};

/// Every delivery, newest first.
pub async fn at_the_log(world: &mut World) -> Same {
    let filter = DeliveryFilter { site: None, state: None, limit: usize::MAX };
    let listed = world.both(async |store| store.deliveries(filter.clone()).await).await?;
    for delivery in listed.iter().rev() {
        if !world.deliveries.contains(&delivery.id) {
            world.deliveries.push(delivery.id);
        }
    }
    Ok(())
}

/// All that can be asked for; and, an hour later, what is to be sent.
pub async fn at_everything(world: &mut World) -> Same {
    at_the_directory(world).await?;
    at_tokens(world).await?;
    guesses::look(world).await?;
    at_subscriptions(world).await?;
    at_leads(world).await?;
    at_deliveries(world).await?;
    world.now = world.after(3600);
    leasing::lease(world, &Terms::AMPLE).await
}

async fn at_the_directory(world: &World) -> Same {
    world.both(async |store| store.users().await).await?;
    world.both(async |store| store.sites().await).await?;
    world.both(async |store| store.partners().await).await?;
    world.both(async |store| store.sources().await).await?;
    for user in &world.users {
        world.both(async |store| store.user_by_email(&user.email).await).await?;
        world.both(async |store| store.sites_of(user.id).await).await?;
    }
    for site in &world.sites {
        world.both(async |store| store.site(site.id).await).await?;
        world.both(async |store| store.owners_of(site.id).await).await?;
    }
    for partner in &world.partners {
        world.both(async |store| store.partner_by_slug(&partner.slug).await).await?;
        world.both(async |store| store.partner_by_client_id(&partner.client_id).await).await?;
    }
    for username in USERNAMES {
        let username = username.parse().unwrap();
        world.both(async |store| store.source_by_username(&username).await).await?;
    }
    Ok(())
}

async fn at_tokens(world: &World) -> Same {
    for session in &world.sessions {
        world.both(async |store| store.session(&session.hash, world.now).await).await?;
        world.both(async |store| store.sessions_of(session.user, world.now).await).await?;
    }
    for link in &world.links {
        world.both(async |store| store.link_user(link, world.now).await).await?;
    }
    for Pair { access, refresh, .. } in &world.tokens {
        let shown = async |store: &dyn leadgate::store::Store| {
            let grant = store.access_grant(access, world.now).await?;
            Ok(grant.map(|grant| {
                let holder = (grant.grant, grant.partner, grant.slug, grant.user);
                (holder, grant.site, grant.scopes, grant.issued, grant.expires)
            }))
        };
        world.both(shown).await?;
        world.both(async |store| store.held_subscription(access, world.now).await).await?;
        for token in [AnyToken::Access(*access), AnyToken::Refresh(*refresh)] {
            world.both(async |store| store.live_token(token, world.now).await).await?;
        }
    }
    Ok(())
}

async fn at_subscriptions(world: &World) -> Same {
    for site in &world.sites {
        for partner in &world.partners {
            world.both(async |store| store.subscription(partner.id, site.id).await).await?;
        }
    }
    Ok(())
}

async fn at_leads(world: &World) -> Same {
    for site in &world.sites {
        for lead in &world.leads {
            world.both(async |store| store.lead(site.id, *lead).await).await?;
        }
    }
    Ok(())
}

async fn at_deliveries(world: &World) -> Same {
    let sites = world.sites.iter().map(|site| Some(site.id)).chain([None]);
    let states = || State::ALL.into_iter().map(Some).chain([None]);
    let filters = sites.flat_map(|site| states().map(move |state| (site, state)));
    for (site, state) in filters {
        // All of a site, and few of all sites.
        let limit = if site.is_some() { usize::MAX } else { 2 };
        let filter = DeliveryFilter { site, state, limit };
        world.both(async |store| store.deliveries(filter.clone()).await).await?;
    }
    for delivery in &world.deliveries {
        world.both(async |store| store.delivery(*delivery).await).await?;
    }
    Ok(())
}
