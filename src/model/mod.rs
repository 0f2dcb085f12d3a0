//! The nouns, pure: what a site, a partner, a grant, a lead or a delivery is, and the rules that hold within one.
//! Nothing here waits, reads a clock, draws randomness or knows how it is stored.

pub mod delivery;
pub mod device;
pub mod entropy;
pub mod ids;
pub mod lead;
pub mod mail;
pub mod oauth;
pub mod partner;
pub mod password;
pub mod person;
pub mod scope;
pub mod seal;
pub mod session;
pub mod signature;
pub mod site;
pub mod source;
pub mod subscription;
pub mod throttle;
pub mod time;
pub mod token;
pub mod vitals;
pub mod web_url;

pub use entropy::{Entropy, OsEntropy};
pub use ids::{
    ChangeId, DeliveryId, FlowId, GrantId, LeadId, LeaseToken, PartnerId, SessionId, SiteId, SourceId, SubscriptionId,
    UserId,
};
pub use scope::Scopes;
pub use time::{Clock, SystemClock, Timestamp};
