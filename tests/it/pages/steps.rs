//! What a person does on each page.

use fantoccini::Locator;
use fantoccini::elements::Element;

use crate::harness::{Browser, PASSWORD};

impl Browser {
    /// Fills in the login form, when it is there.
    pub async fn sign_in(&self, email: &str, password: &str) {
        let field = self.sees("input[name=email]").await;
        field.clear().await.unwrap();
        field.send_keys(email).await.unwrap();
        self.sees("input[name=password]").await.send_keys(password).await.unwrap();
        self.presses("form[action*=login] button").await;
    }

    /// Fills in the login form with the password of all tests.
    pub async fn signs_in(&self, email: &str) {
        self.sign_in(email, PASSWORD).await;
    }

    /// Fills in the form for another password.
    pub async fn changes_password(&self, old: &str, new: &str) {
        for (name, text) in [("old", old), ("new", new), ("again", new)] {
            self.sees(&format!("input[name={name}]")).await.send_keys(text).await.unwrap();
        }
        self.presses("form[action*=password] button").await;
    }

    /// Chooses the first site.
    pub async fn chooses_a_site(&self) {
        self.presses("input[name=site]").await;
        self.presses("form[action*=site] button").await;
    }

    /// Says yes.
    pub async fn approves(&self) {
        self.presses("button[name=decision][value=approve]").await;
    }

    /// Starts the same request from the beginning, on a page that says why.
    pub async fn starts_again(&self, why: &str) {
        self.reads(why).await;
        self.presses("a.primary").await;
    }

    /// Waits for a heading.
    pub async fn reads(&self, heading: &str) {
        let heading = format!("//h1[normalize-space()='{heading}']");
        self.page.wait().for_element(Locator::XPath(&heading)).await.expect(&heading);
    }

    /// Waits for an element, and clicks it.
    pub async fn presses(&self, css: &str) {
        self.sees(css).await.click().await.unwrap();
    }

    /// Waits for an element.
    pub async fn sees(&self, css: &str) -> Element {
        self.page.wait().for_element(Locator::Css(css)).await.expect(css)
    }
}
