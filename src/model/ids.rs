//! Identifiers. Each noun has its own id type, so that a site's id can never be passed where a lead's is meant.

use std::fmt;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Entropy, Timestamp};

/// The text is not a UUID in one of the two forms that API.md accepts (32 hex digits, or with dashes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID")]
pub struct NotAUuid;

/// Parses a UUID in any case, with or without dashes; braces, URNs and other spellings are refused.
fn parse_uuid(text: &str) -> Result<Uuid, NotAUuid> {
    match text.len() {
        32 | 36 => Uuid::try_parse(text).map_err(|_| NotAUuid),
        _ => Err(NotAUuid),
    }
}

/// Declares an id type over a UUID whose text form is `hyphenated` or `simple`.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $form:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// A random (version 4) id.
            pub fn random(entropy: &dyn Entropy) -> Self {
                let mut bytes = [0; 16];
                entropy.fill(&mut bytes);
                Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
            }

            /// The id with these 16 bytes, as a store keeps it.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The 16 bytes, as a store keeps them.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl std::str::FromStr for $name {
            type Err = NotAUuid;
            fn from_str(text: &str) -> Result<Self, NotAUuid> {
                parse_uuid(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0.$form(), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

id!(
    /// One customer's website and its leads. Always printed with dashes (API.md).
    SiteId,
    hyphenated
);
id!(
    /// A person who logs in.
    UserId,
    hyphenated
);
id!(
    /// One browser in which a person is signed in. Not a secret: the cookie is.
    SessionId,
    hyphenated
);
id!(
    /// An integration partner; callers know it by its slug and its `client_id`.
    PartnerId,
    hyphenated
);
id!(
    /// A sender of leads with HTTP Basic credentials.
    SourceId,
    hyphenated
);
id!(
    /// A prospect. Printed without dashes, "as today" (API.md §5).
    LeadId,
    simple
);
id!(
    /// One partner's standing wish to receive one site's leads.
    SubscriptionId,
    hyphenated
);
id!(
    /// What a user's consent created: the family of all tokens that descend from one authorization code.
    GrantId,
    hyphenated
);
id!(
    /// One authorization request, from the first page to the decision; it can be approved once.
    FlowId,
    hyphenated
);
id!(
    /// One committed change of a lead.
    ChangeId,
    hyphenated
);
id!(
    /// One change on its way to one subscription: the `X-Lead-Router-Message-Id`.
    DeliveryId,
    hyphenated
);
id!(
    /// Proof that a delivery was leased to this holder; an outcome is recorded only against it.
    LeaseToken,
    hyphenated
);

impl LeaseToken {
    /// Nobody's, and void: of a delivery whose holder gave it back or has died. It may have been on its way all the same.
    pub const NOBODYS: Self = Self::from_bytes([0; 16]);

    /// Another lease of the same holder: its first half is the same, the rest is random.
    pub fn another(&self, entropy: &dyn Entropy) -> Self {
        let mut bytes = *Self::random(entropy).as_bytes();
        bytes[..8].copy_from_slice(&self.as_bytes()[..8]);
        Self::from_bytes(bytes)
    }

    /// Whether both leases have the same holder.
    pub fn has_holder_of(&self, other: Self) -> bool {
        self.as_bytes()[..8] == other.as_bytes()[..8]
    }
}

impl ChangeId {
    /// A time-ordered (version 7) id, so that rows of one time lie together in an index.
    pub fn at(now: Timestamp, entropy: &dyn Entropy) -> Self {
        Self(time_ordered(now, entropy))
    }
}

impl LeadId {
    /// A time-ordered (version 7) id for a lead that its caller gave none. The lanes of leads that came one after another
    /// lie together in an index: so what a delivery costs does not depend on how many others wait.
    pub fn at(now: Timestamp, entropy: &dyn Entropy) -> Self {
        Self(time_ordered(now, entropy))
    }
}

fn time_ordered(now: Timestamp, entropy: &dyn Entropy) -> Uuid {
    let mut random = [0; 10];
    entropy.fill(&mut random);
    // Before 1970 there is nothing; a clock that says so is clamped instead of wrapping.
    let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

impl DeliveryId {
    /// The id of the delivery of `change` to `subscription`. Derived, not drawn, because how many subscriptions
    /// a change reaches is known only inside the store's transaction.
    pub fn derive(change: ChangeId, subscription: SubscriptionId) -> Self {
        let digest = Sha256::new().chain_update(change.as_bytes()).chain_update(subscription.as_bytes()).finalize();
        let mut bytes = *change.as_bytes();
        // Keep the 48 bits of time in front; the rest is unique for the pair.
        bytes[6..].copy_from_slice(&digest[..10]);
        Self(uuid::Builder::from_bytes(bytes).with_version(uuid::Version::SortRand).into_uuid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_read_in_any_case_with_or_without_dashes_and_in_no_other_form() {
        let plain: SiteId = "AA808177D2CC415DB504A36ABF39AC00".parse().unwrap();
        let dashed: SiteId = "aa808177-d2cc-415d-b504-a36abf39ac00".parse().unwrap();
        assert_eq!(plain, dashed);
        assert_eq!(plain.to_string(), "aa808177-d2cc-415d-b504-a36abf39ac00");
        for bad in ["", "x", "{aa808177-d2cc-415d-b504-a36abf39ac00}", "urn:uuid:aa808177-d2cc-415d-b504-a36abf39ac00"]
        {
            assert_eq!(bad.parse::<SiteId>(), Err(NotAUuid), "{bad}");
        }
    }

    #[test]
    fn a_lead_is_printed_without_dashes() {
        let lead: LeadId = "a27c20af-4497-415d-9e4e-7334dd1d40d2".parse().unwrap();
        assert_eq!(lead.to_string(), "a27c20af4497415d9e4e7334dd1d40d2");
    }
}
