//! Makers of nouns, with everything that a case does not care about filled in.

use std::time::Duration;

use leadgate::model::oauth::{NewCode, NewTokens};
use leadgate::model::partner::{ClientId, Partner};
use leadgate::model::person::User;
use leadgate::model::seal::Sealed;
use leadgate::model::session::{NewSession, UserAgent};
use leadgate::model::site::Site;
use leadgate::model::source::{Reach, Source};
use leadgate::model::token::{Access, Code, Credential, Plain, Refresh, Session};
use leadgate::model::{
    Entropy, FlowId, GrantId, PartnerId, Scopes, SessionId, SiteId, SourceId, SubscriptionId, Timestamp, UserId, time,
};
use leadgate::store::NewSubscription;

/// A partner with one redirect URI, whose changes come back to it.
pub fn partner(entropy: &dyn Entropy, now: Timestamp, slug: &str) -> Partner {
    Partner {
        id: PartnerId::random(entropy),
        slug: slug.parse().unwrap(),
        name: format!("The {slug} company"),
        client_id: ClientId::generate(entropy),
        secret: Plain::<Credential>::generate(entropy).hash(),
        redirect_uris: vec![format!("https://{slug}.example/cb").parse().unwrap()],
        echo: true,
        merge_updates: false,
        require_pkce: false,
        created: now,
    }
}

/// A person who is no operator.
pub fn user(entropy: &dyn Entropy, now: Timestamp, email: &str) -> User {
    User {
        id: UserId::random(entropy),
        email: email.parse().unwrap(),
        name: "Some One".into(),
        operator: false,
        created: now,
    }
}

/// A session that has just begun, and ends at `expires` if it is not used.
pub fn session(entropy: &dyn Entropy, now: Timestamp, user: UserId, expires: Timestamp) -> NewSession {
    NewSession {
        id: SessionId::random(entropy),
        hash: Plain::<Session>::generate(entropy).hash(),
        user,
        agent: UserAgent::received("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        created: now,
        expires,
    }
}

/// A site.
pub fn site(entropy: &dyn Entropy, now: Timestamp, domain: &str) -> Site {
    Site { id: SiteId::random(entropy), domain: domain.parse().unwrap(), created: now }
}

/// A source with this reach.
pub fn source(entropy: &dyn Entropy, now: Timestamp, username: &str, reach: Reach) -> Source {
    Source {
        id: SourceId::random(entropy),
        username: username.parse().unwrap(),
        password: Plain::<Credential>::generate(entropy).hash(),
        reach,
        created: now,
    }
}

/// A subscription; its secret is not really sealed, which only those notice who open it.
pub fn subscription(
    entropy: &dyn Entropy,
    now: Timestamp,
    partner: PartnerId,
    site: SiteId,
    url: &str,
) -> NewSubscription {
    NewSubscription {
        id: SubscriptionId::random(entropy),
        site,
        partner,
        url: url.parse().unwrap(),
        secret: Sealed::from_bytes(url.as_bytes().to_vec()),
        by: None,
        now,
    }
}

/// An approval of all scopes, whose code lives for a minute.
pub fn approval(entropy: &dyn Entropy, now: Timestamp, partner: &Partner, site: SiteId, user: UserId) -> NewCode {
    NewCode {
        flow: FlowId::random(entropy),
        grant: GrantId::random(entropy),
        code: Plain::<Code>::generate(entropy).hash(),
        partner: partner.id,
        user,
        site,
        scopes: Scopes::ALL,
        redirect_uri: partner.redirect_uris[0].clone(),
        challenge: None,
        now,
        expires: time::after(now, Duration::from_secs(60)),
    }
}

/// A pair of tokens: an hour and 180 days.
pub fn tokens(entropy: &dyn Entropy, now: Timestamp) -> NewTokens {
    NewTokens {
        access: Plain::<Access>::generate(entropy).hash(),
        access_expires: time::after(now, Duration::from_secs(3600)),
        refresh: Plain::<Refresh>::generate(entropy).hash(),
        refresh_expires: time::after(now, Duration::from_secs(180 * 24 * 3600)),
    }
}
