//! What the cases share: signing in at the account's own page, and its forms.

use leadgate::model::person::User;

use crate::harness::{Answer, Gate, PASSWORD};
use crate::oauth::visitor::{Form, Visitor};

/// A password that nobody has yet.
pub const OTHER: &str = "another long password";

/// A new browser in which this person has signed in at the account's page.
pub async fn sign_in<'g>(gate: &'g Gate, user: &User) -> Visitor<'g> {
    let mut browser = Visitor::new(gate);
    let home = submit_login(&mut browser, user.email.as_str(), PASSWORD).await;
    assert_eq!((home.status, home.header("location")), (303, "/account/"), "{}", home.text);
    browser
}

/// Fills in the sign-in form.
pub async fn submit_login(browser: &mut Visitor<'_>, email: &str, password: &str) -> Answer {
    let page = browser.get("/account/login/").await;
    let form = Form::of(&page, "login").with("email", email).with("password", password);
    browser.submit(&form).await
}

/// Whether the browser sees its account.
pub async fn is_signed_in(browser: &mut Visitor<'_>) -> bool {
    let home = browser.get("/account/").await;
    match home.status {
        200 => true,
        303 => {
            assert_eq!(home.header("location"), "/account/login/");
            false
        }
        other => panic!("{other} {}", home.text),
    }
}

/// The form with which a password is set by a link or changed, filled in.
pub fn new_password(form: Form, new: &str) -> Form {
    form.with("new", new).with("again", new)
}
