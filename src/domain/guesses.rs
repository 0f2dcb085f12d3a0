//! Guesses at passwords and secrets: how often anybody may be wrong (RFC 6749 §2.3.1, §10.10).
//!
//! Who is wrong too often is told to wait, and so is whoever is right meanwhile: the answer says nothing about the secret. The
//! buckets (`model::throttle`) are refilled all the time. What was right is not counted; and nobody uses up the guesses
//! of somebody else for good:
//!
//! - **Passwords** count by account and by address. A browser in which the account has logged in before (`model::device`)
//!   has a bucket of its own instead: a stranger empties neither that nor its neighbours'.
//! - **Client secrets and sources' passwords** count by account *at* an address, and by address. They are random, so that
//!   guesses from many addresses lead nowhere; and so a stranger elsewhere cannot stop a partner or a source.
//! - **Links for forgotten passwords** count by address, each of them: nobody is told whether there is such an account. How
//!   many letters one person gets is bounded by account (`domain::links`).

use std::net::IpAddr;
use std::time::Duration;

use super::passwords::Checked;
use super::{Gateway, StoreError};
use crate::model::UserId;
use crate::model::device::Device;
use crate::model::person::{Email, PasswordHash};
use crate::model::throttle::{Bucket, BucketKey, Empty, Limit, neighbourhood};
use crate::model::time;

/// How often somebody may be wrong: the operator's choice.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// At one account (`throttle.per_account`).
    pub per_account: Limit,
    /// From one address (`throttle.per_address`).
    pub per_address: Limit,
}

/// Too many wrong guesses; nobody has looked whether this one was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many wrong guesses, try again later")]
pub struct Throttled {
    /// After how long there is a guess again.
    pub wait: Duration,
}

/// A secret that machines present: random, so that comparing it costs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Credential {
    /// A partner's, at its OAuth endpoints.
    ClientSecret,
    /// A source's, in HTTP Basic.
    SourcePassword,
}

/// Someone's attempt to be right.
#[derive(Debug)]
pub(super) struct Guess {
    secret: &'static str,
    address: IpAddr,
    buckets: Vec<Bucket>,
}

impl Guess {
    /// At a person's password. `known` is who has this e-mail, if anybody has; who has not is counted alike.
    pub(super) fn at_password(
        gateway: &Gateway,
        email: &str,
        known: Option<(UserId, &PasswordHash)>,
        device: &Device,
        address: IpAddr,
    ) -> Self {
        let limits = gateway.policy.guesses;
        let device = known.and_then(|(user, hash)| Some((user, device.of(user, hash, &gateway.keys)?)));
        let buckets = match device {
            Some((user, nonce)) => vec![per_account(limits, "password, device", &[user.as_bytes(), &nonce])],
            None => {
                let email = email.parse::<Email>().map_or_else(|_| email.to_lowercase(), |email| email.to_string());
                let account = per_account(limits, "password, account", &[email.as_bytes()]);
                vec![account, per_address(limits, "password, address", address)]
            }
        };
        Self { secret: "password", address, buckets }
    }

    /// At a credential of one of these accounts, which are readings of the same name.
    pub(super) fn at_credential<'a>(
        gateway: &Gateway,
        credential: Credential,
        accounts: impl Iterator<Item = &'a str>,
        address: IpAddr,
    ) -> Self {
        let limits = gateway.policy.guesses;
        let (secret, account, by_address) = match credential {
            Credential::ClientSecret => ("client secret", "client, account", "client, address"),
            Credential::SourcePassword => ("source password", "source, account", "source, address"),
        };
        let at = network(address);
        let mut buckets = vec![per_address(limits, by_address, address)];
        buckets.extend(accounts.map(|name| per_account(limits, account, &[name.as_bytes(), &at])));
        buckets.sort_by_key(|bucket| bucket.key);
        buckets.dedup_by_key(|bucket| bucket.key);
        Self { secret, address, buckets }
    }

    /// At who has an account, by asking for a link.
    pub(super) fn at_account(gateway: &Gateway, address: IpAddr) -> Self {
        let buckets = vec![per_address(gateway.policy.guesses, "link, address", address)];
        Self { secret: "forgotten password", address, buckets }
    }

    /// Where it would be counted.
    pub(super) fn buckets(&self) -> Vec<BucketKey> {
        self.buckets.iter().map(|bucket| bucket.key).collect()
    }

    /// Tells the operator who has to wait; `who` is the account, if there is one of that name.
    pub(super) fn report(&self, throttled: Throttled, who: Option<&str>) -> Throttled {
        tracing::warn!(secret = self.secret, who, address = %self.address, wait = ?throttled.wait, "guesses are throttled");
        throttled
    }
}

fn per_account(limits: Limits, kind: &str, parts: &[&[u8]]) -> Bucket {
    Bucket { key: BucketKey::new(kind, parts), limit: limits.per_account }
}

fn per_address(limits: Limits, kind: &str, address: IpAddr) -> Bucket {
    Bucket { key: BucketKey::new(kind, &[&network(address)]), limit: limits.per_address }
}

/// Where guesses come from, as a part of a key: of one length, so that IPv4 is told from IPv6.
fn network(address: IpAddr) -> [u8; 16] {
    match neighbourhood(address) {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

type Allowed<T> = Result<Result<T, Throttled>, StoreError>;

impl Gateway {
    /// Whether this guess may be made; counts nothing. For credentials, which are nearly always right: whoever is wrong is
    /// counted afterwards, with [`Gateway::count_wrong`].
    pub(super) async fn may_guess(&self, guess: &Guess) -> Allowed<()> {
        let now = self.clock.now();
        Ok(self.store.see_guess(&guess.buckets, now).await?.map_err(|empty| self.throttled(empty)))
    }

    /// Counts a wrong guess, unless others meanwhile have used up what there was.
    pub(super) async fn count_wrong(&self, guess: &Guess) -> Allowed<()> {
        let now = self.clock.now();
        Ok(self.store.take_guess(&guess.buckets, now).await?.map_err(|empty| self.throttled(empty)))
    }

    /// Checks a password. The guess is counted before the work and given back if it was right, so that guesses beside
    /// each other are no more than those after each other; and one that is throttled costs no work. It is counted when its
    /// turn has come: so of many people of one office who log in at once, only those are counted whose work is under way.
    pub(super) async fn check_password(
        &self,
        guess: &Guess,
        password: &str,
        stored: Option<PasswordHash>,
    ) -> Allowed<Checked> {
        if let Err(throttled) = self.may_guess(guess).await? {
            return Ok(Err(throttled));
        }
        let Some(turn) = self.passwords.turn().await else { return Ok(Ok(Checked::Busy)) };
        if let Err(throttled) = self.count_wrong(guess).await? {
            return Ok(Err(throttled));
        }
        let checked = turn.check(password, stored, &*self.entropy).await;
        if checked != Checked::Wrong {
            self.store.give_guess_back(&guess.buckets).await?;
        }
        Ok(Ok(checked))
    }

    fn throttled(&self, empty: Empty) -> Throttled {
        Throttled { wait: time::until(self.clock.now(), empty.until) }
    }
}
