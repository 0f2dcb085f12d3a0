//! Many sites, each with a subscription of its own: made by SQL, because so many PUTs would take long.

use std::ops::Range;

use leadgate::model::seal::Keyring;
use leadgate::model::subscription::secret_context;
use leadgate::model::{OsEntropy, SiteId, SubscriptionId};
use uuid::Uuid;

use crate::cast::{self, Cast, SECRET};
use crate::data::Data;
use crate::letter::SITE;

/// Rows in one statement.
const AT_ONCE: usize = 500;

/// The id of the site with the number in place of [`SITE`].
pub fn site_pattern() -> String {
    format!("00000000-0000-4000-8000-00000{SITE}")
}

/// Adds the sites with these numbers; deliveries go to the `url` of each.
pub fn add(cast: &Cast, sites: Range<usize>, url: &dyn Fn(usize) -> String) {
    let keys = Keyring::parse(&cast.key).expect("a generated key");
    let crowd = Crowd { cast, keys, url, now: cast::now().as_millisecond() };
    let numbers: Vec<_> = sites.collect();
    let statements: String = numbers.chunks(AT_ONCE).map(|numbers| crowd.insert(numbers)).collect();
    cast.data.run(&format!("BEGIN; {statements} COMMIT;"));
    if let Data::Postgres(_) = cast.data {
        // As autovacuum would have left it.
        cast.data.run("VACUUM (ANALYZE) sites, subscriptions");
    }
}

struct Crowd<'a> {
    cast: &'a Cast,
    keys: Keyring,
    url: &'a dyn Fn(usize) -> String,
    now: i64,
}

impl Crowd<'_> {
    fn insert(&self, numbers: &[usize]) -> String {
        let now = self.now;
        let sites = numbers.iter().map(|n| format!("({}, 'www.site.com', {now})", self.id(site(*n).as_bytes())));
        let subscriptions = numbers.iter().map(|n| self.subscription(site(*n), &(self.url)(*n)));
        format!(
            "INSERT INTO sites (site_uuid, domain, created_at) VALUES {};
             INSERT INTO subscriptions (site_uuid, id, partner_id, url, secret, created_at, updated_at) VALUES {};",
            sites.collect::<Vec<_>>().join(", "),
            subscriptions.collect::<Vec<_>>().join(", ")
        )
    }

    fn subscription(&self, site: SiteId, url: &str) -> String {
        let (partner, now) = (self.cast.partner, self.now);
        let secret = self.keys.seal(SECRET.as_bytes(), &secret_context(partner, site), &OsEntropy);
        let id = SubscriptionId::random(&OsEntropy);
        let [site, id, partner] = [site.as_bytes(), id.as_bytes(), partner.as_bytes()].map(|id| self.id(id));
        format!("({site}, {id}, {partner}, '{url}', {}, {now}, {now})", self.bytes(secret.as_bytes()))
    }

    fn id(&self, id: &[u8; 16]) -> String {
        match self.cast.data {
            Data::Sqlite(_) => self.bytes(id),
            Data::Postgres(_) => format!("'{}'", Uuid::from_bytes(*id)),
        }
    }

    fn bytes(&self, bytes: &[u8]) -> String {
        match self.cast.data {
            Data::Sqlite(_) => format!("x'{}'", hex::encode(bytes)),
            Data::Postgres(_) => format!(r"'\x{}'", hex::encode(bytes)),
        }
    }
}

fn site(number: usize) -> SiteId {
    let id = site_pattern().replace(SITE, &format!("{number:07}"));
    SiteId::from_bytes(id.parse::<Uuid>().expect("a UUID").into_bytes())
}
