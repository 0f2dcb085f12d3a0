//! The cookies: which browser this is, who is logged in there, and who has logged in there before.
//!
//! `SameSite=Lax`, because with `Strict` a user who arrives from a partner would look logged out (OWASP; checklist 31). On
//! https they are `__Host-` cookies, which no other host, not even a subdomain, can plant.

use std::time::Duration;

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};

use super::App;
use crate::model::device::Device;
use crate::model::token::{Browser, Kind, Plain, Session};

/// A token that lives in a cookie.
pub trait Cookie: Kind {
    /// The cookie's name on plain http.
    const NAME: &'static str;
}

impl Cookie for Session {
    const NAME: &'static str = "leadgate_session";
}

impl Cookie for Browser {
    const NAME: &'static str = "leadgate_browser";
}

/// What a browser is known by. It outlives sessions: it is for the next time that somebody logs in.
const DEVICE: &str = "leadgate_device";
const DEVICE_LIFE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The cookie that the browser sent, if it has the form of one of ours.
pub fn read<C: Cookie>(headers: &HeaderMap, secure: bool) -> Option<Plain<C>> {
    values(headers, &name(C::NAME, secure)).find(|value| has_form::<C>(value)).map(Plain::received)
}

/// What the browser is known by; nothing, if it sent nothing of that form.
pub fn read_device(headers: &HeaderMap, secure: bool) -> Device {
    values(headers, &name(DEVICE, secure)).find_map(Device::parse).unwrap_or_default()
}

fn values<'h>(headers: &'h HeaderMap, name: &'h str) -> impl Iterator<Item = &'h str> {
    // Read as bytes: a neighbour on the same domain can plant cookies of any, beside which ours still count.
    let pairs = headers.get_all(COOKIE).iter().flat_map(|line| line.as_bytes().split(|&byte| byte == b';'));
    let values = pairs.filter_map(move |pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="));
    values.filter_map(|value| std::str::from_utf8(value).ok())
}

/// The value of `Set-Cookie` that signs the browser in, for as long as a session can live.
pub fn of_session(app: &App, session: &Plain<Session>) -> HeaderValue {
    set(session, Some(app.gateway.policy.sessions.absolute), app.settings.secure)
}

/// The value of `Set-Cookie` that lets the browser be known again until it is closed.
pub fn of_browser(app: &App, browser: &Plain<Browser>) -> HeaderValue {
    set(browser, None, app.settings.secure)
}

fn set<C: Cookie>(token: &Plain<C>, life: Option<Duration>, secure: bool) -> HeaderValue {
    let life = life.map(|life| format!("; Max-Age={}", life.as_secs())).unwrap_or_default();
    header(&format!("{}={}{life}", name(C::NAME, secure), token.expose()), secure)
}

/// The value of `Set-Cookie` that lets the browser be known the next time.
pub fn of_device(app: &App, device: &Device) -> HeaderValue {
    let (life, secure) = (DEVICE_LIFE.as_secs(), app.settings.secure);
    header(&format!("{}={}; Max-Age={life}", name(DEVICE, secure), device.to_text()), secure)
}

/// The value of `Set-Cookie` that takes the token away.
pub fn forget<C: Cookie>(secure: bool) -> HeaderValue {
    header(&format!("{}=; Max-Age=0", name(C::NAME, secure)), secure)
}

fn header(pair: &str, secure: bool) -> HeaderValue {
    let secure = if secure { "; Secure" } else { "" };
    let text = format!("{pair}; Path=/; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&text).expect("our tokens are visible ASCII")
}

fn name(name: &str, secure: bool) -> String {
    format!("{}{name}", if secure { "__Host-" } else { "" })
}

/// Prefix and 64 hex digits: an empty or guessable value never becomes what a form is bound to.
fn has_form<C: Cookie>(value: &str) -> bool {
    value.strip_prefix(C::PREFIX).is_some_and(|rest| rest.len() == 64 && rest.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::OsEntropy;

    fn sent(line: &str) -> HeaderMap {
        HeaderMap::from_iter([(COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap())])
    }

    #[test]
    fn oauth_031_cookies_are_host_only_on_https_and_usable_on_loopback() {
        let session = Plain::<Session>::received("lgs_1");
        assert_eq!(
            set(&session, Some(Duration::from_secs(43200)), true),
            "__Host-leadgate_session=lgs_1; Max-Age=43200; Path=/; HttpOnly; SameSite=Lax; Secure"
        );
        let browser = Plain::<Browser>::received("lgb_1");
        assert_eq!(set(&browser, None, false), "leadgate_browser=lgb_1; Path=/; HttpOnly; SameSite=Lax");
        assert_eq!(forget::<Session>(false), "leadgate_session=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax");
    }

    #[test]
    fn oauth_031_what_others_plant_beside_our_cookies_does_not_hide_them() {
        let token = Plain::<Session>::generate(&OsEntropy);
        for planted in ["theme=dunkelgrün", "\u{80}", "=", "leadgate_session=é", "leadgate_session", "x=\t"] {
            for line in [
                format!("{planted}; leadgate_session={}", token.expose()),
                format!("leadgate_session={};{planted}", token.expose()),
            ] {
                assert_eq!(read::<Session>(&sent(&line), false).unwrap().expose(), token.expose(), "{line}");
            }
        }
    }

    #[test]
    fn only_a_cookie_of_the_right_name_and_form_is_read() {
        let token = Plain::<Browser>::generate(&OsEntropy);
        let ours = format!("x=1; leadgate_browser=; leadgate_browser={}; y", token.expose());
        assert_eq!(read::<Browser>(&sent(&ours), false).unwrap().expose(), token.expose());
        assert!(read::<Browser>(&sent(&ours), true).is_none());
        assert!(read::<Session>(&sent(&ours), false).is_none());
        assert!(read::<Browser>(&sent("leadgate_browser=lgb_short"), false).is_none());
    }
}
