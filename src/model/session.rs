//! Sessions: a person who is signed in at one browser.

use std::time::Duration;

use super::person::User;
use super::token::{Hashed, Session};
use super::{SessionId, Timestamp, UserId, time};

/// A session to be started: one browser in which `user` has logged in.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Its id.
    pub id: SessionId,
    /// Hash of the cookie.
    pub hash: Hashed<Session>,
    /// Who logged in.
    pub user: UserId,
    /// What the browser calls itself.
    pub agent: UserAgent,
    /// When.
    pub created: Timestamp,
    /// From then on the session is dead, unless it is used before.
    pub expires: Timestamp,
}

/// A session that is alive, as its user and the operator see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSession {
    /// Its id.
    pub id: SessionId,
    /// What the browser calls itself.
    pub agent: UserAgent,
    /// When the user logged in.
    pub created: Timestamp,
    /// When it was used last, give or take what [`Lives::is_noted`] lets pass.
    pub used: Timestamp,
    /// From then on it is dead, unless it is used before.
    pub expires: Timestamp,
}

/// Who is signed in, and with which session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// Who.
    pub user: User,
    /// With what.
    pub session: LiveSession,
}

/// How long sessions live.
#[derive(Debug, Clone, Copy)]
pub struct Lives {
    /// After so long without a use a session is dead.
    pub idle: Duration,
    /// So long after its start it is dead, however much it is used.
    pub absolute: Duration,
}

impl Lives {
    /// When a session ends that began at `created` and was used at `used`, and is not used again.
    pub fn end(&self, created: Timestamp, used: Timestamp) -> Timestamp {
        time::after(used, self.idle).min(time::after(created, self.absolute))
    }

    /// Whether its last use that is written down is recent enough at `now`. A use is written down at most ten times in an
    /// idle life, so that looking at a page seldom writes; so a session may end a tenth sooner than its user thinks.
    pub fn is_noted(&self, session: &LiveSession, now: Timestamp) -> bool {
        now < time::after(session.used, self.idle / 10)
    }
}

/// What a browser calls itself: its `User-Agent`, cut to 300 characters, and without those that do not print. Empty if it
/// says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserAgent(String);

/// The most characters that are kept.
const MAX_CHARS: usize = 300;

/// What a `User-Agent` of this browser has that those of the browsers behind it do not: nearly every one also claims to be
/// Chrome or Safari.
const BROWSERS: [(&str, &str); 6] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
];

/// The same for systems: Android also claims to be Linux, and an iPhone to be like Mac OS X.
const SYSTEMS: [(&str, &str); 7] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
];

impl UserAgent {
    /// What came in a header, or what a store kept.
    pub fn received(text: &str) -> Self {
        let printable = text.chars().filter(|c| !c.is_control()).take(MAX_CHARS).collect::<String>();
        Self(printable.trim().to_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// In words that people know, such as "Firefox on Linux".
    pub fn in_words(&self) -> String {
        let find = |known: &[(&str, &'static str)]| {
            known.iter().find(|(sign, _)| self.0.contains(sign)).map(|(_, name)| *name)
        };
        match (find(&BROWSERS), find(&SYSTEMS)) {
            (Some(browser), Some(system)) => format!("{browser} on {system}"),
            (Some(one), None) | (None, Some(one)) => one.to_owned(),
            (None, None) if self.0.is_empty() => "Unknown browser".to_owned(),
            (None, None) => self.0.chars().take(60).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_when_it_is_unused_or_old() {
        let lives = Lives { idle: Duration::from_secs(100), absolute: Duration::from_secs(250) };
        let at = |seconds: i64| time::from_millis(seconds * 1000);
        assert_eq!(lives.end(at(0), at(0)), at(100));
        assert_eq!(lives.end(at(0), at(140)), at(240));
        assert_eq!(lives.end(at(0), at(160)), at(250));
    }

    #[test]
    fn a_use_is_noted_at_most_ten_times_in_an_idle_life() {
        let lives = Lives { idle: Duration::from_secs(100), absolute: Duration::from_secs(250) };
        let used = time::from_millis(0);
        let session = LiveSession {
            id: SessionId::from_bytes([1; 16]),
            agent: UserAgent::default(),
            created: used,
            used,
            expires: Timestamp::MAX,
        };
        assert!(lives.is_noted(&session, time::from_millis(9_999)));
        assert!(!lives.is_noted(&session, time::from_millis(10_000)));
    }

    #[test]
    fn browsers_are_told_in_words() {
        for (text, words) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 \
                 Safari/537.36 Edg/140.0.0.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                 Version/18.5 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            ("curl/8.5.0", "curl/8.5.0"),
            ("", "Unknown browser"),
        ] {
            assert_eq!(UserAgent::received(text).in_words(), words);
        }
    }

    #[test]
    fn what_does_not_print_is_dropped_and_the_rest_is_bounded() {
        assert_eq!(UserAgent::received(" a\u{1b}[2J\0\nb ").as_str(), "a[2Jb");
        assert_eq!(UserAgent::received(&"ü".repeat(1000)).as_str().chars().count(), 300);
    }
}
