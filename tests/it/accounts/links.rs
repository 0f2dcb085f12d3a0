//! Links with which passwords are set: invitations, and for those who have forgotten theirs.

use std::time::Duration;

use leadgate::domain::admin::Admin;
use leadgate::egress::Mailer;
use leadgate::model::throttle::Limit;
use reqwest::Method;

use super::forms::{OTHER, is_signed_in, new_password, sign_in, submit_login};
use crate::harness::mail_server::PostBox;
use crate::harness::on_every_engine;
use crate::harness::{Answer, Gate, PASSWORD};
use crate::oauth::door::assert_page;
use crate::oauth::visitor::{Form, Visitor};

on_every_engine!(
    somebody_who_is_invited_sets_a_password_and_signs_in,
    looking_at_a_link_uses_nothing_up,
    a_link_is_good_for_a_day_and_once,
    a_newer_invitation_and_a_new_password_end_older_links,
    a_bad_new_password_does_not_use_up_the_link,
    a_link_signs_nobody_in,
    a_link_lets_its_owner_in_while_a_stranger_guesses,
    an_invitation_is_sent_by_mail_if_that_is_set_up,
    somebody_who_has_forgotten_the_password_is_sent_a_link,
    whoever_asks_for_a_link_is_answered_alike,
    a_person_is_not_flooded_with_links,
    an_address_that_asks_for_many_links_waits,
    without_mail_the_pages_say_whom_to_ask,
);

fn admin(gate: &Gate, mailer: Option<Mailer>) -> Admin {
    let gateway = gate.gateway();
    let (store, clock, entropy) = (gateway.store.clone(), gateway.clock.clone(), gateway.entropy.clone());
    Admin { store, clock, entropy, public_url: gateway.policy.public_url.clone(), mailer }
}

/// The path and query of a link for this person.
async fn invite(gate: &Gate, email: &str) -> String {
    let invitation = admin(gate, None).invite(email.parse().unwrap(), "Kim".into(), &[]).await.unwrap();
    assert!(invitation.mailed.is_none());
    invitation.link.strip_prefix(&gate.url("")).unwrap().to_owned()
}

async fn choose(browser: &mut Visitor<'_>, link: &str, new: &str) -> Answer {
    let page = browser.get(link).await;
    browser.submit(&new_password(Form::of(&page, "set"), new)).await
}

async fn somebody_who_is_invited_sets_a_password_and_signs_in() {
    let gate = Gate::start().await;
    let site = gate.site("www.site.com", &[]).await;
    let invitation = admin(&gate, None).invite("Kim@Example.com".parse().unwrap(), "Kim".into(), &[site.id]).await;
    let link = invitation.unwrap().link;
    let mut browser = Visitor::new(&gate);
    let page = browser.get(link.strip_prefix(&gate.url("")).unwrap()).await;
    assert_page(&page, 200);
    assert!(page.text.contains("kim@example.com"), "{}", page.text);
    let set = browser.submit(&new_password(Form::of(&page, "set"), OTHER)).await;
    assert_eq!((set.status, set.header("location")), (303, "/account/password/done/"), "{}", set.text);
    assert_page(&browser.get("/account/password/done/").await, 200);
    assert_eq!(submit_login(&mut browser, "kim@example.com", OTHER).await.status, 303);
    let user = gate.store.user_by_email(&"kim@example.com".parse().unwrap()).await.unwrap().unwrap().0;
    assert_eq!(user.name, "Kim");
    assert_eq!(gate.store.sites_of(user.id).await.unwrap(), [site]);
}

async fn looking_at_a_link_uses_nothing_up() {
    let gate = Gate::start().await;
    let link = invite(&gate, "kim@example.com").await;
    for method in [Method::GET, Method::HEAD, Method::GET] {
        let page = Visitor::new(&gate).request(method, &link).await;
        assert_eq!((page.status, page.header("referrer-policy")), (200, "no-referrer"));
    }
    assert_eq!(choose(&mut Visitor::new(&gate), &link, OTHER).await.status, 303);
}

async fn a_link_is_good_for_a_day_and_once() {
    let gate = Gate::start().await;
    let link = invite(&gate, "kim@example.com").await;
    let mut browser = Visitor::new(&gate);
    let page = browser.get(&link).await;
    let form = new_password(Form::of(&page, "set"), OTHER);
    assert_eq!(browser.submit(&form).await.status, 303);
    assert_page(&browser.submit(&form).await, 410);
    assert_page(&browser.get(&link).await, 410);

    let link = invite(&gate, "kim@example.com").await;
    let form = new_password(Form::of(&browser.get(&link).await, "set"), "yet another password");
    gate.clock.advance(Duration::from_secs(24 * 3600) - Duration::from_millis(1));
    assert_page(&browser.get(&link).await, 200);
    gate.clock.advance(Duration::from_millis(1));
    assert_page(&browser.get(&link).await, 410);
    assert_page(&browser.submit(&form).await, 410);
    for wrong in ["/account/password/set/", "/account/password/set/?token=", "/account/password/set/?token=lgp_00"] {
        assert_page(&browser.get(wrong).await, 410);
    }
    assert_eq!(submit_login(&mut browser, "kim@example.com", OTHER).await.status, 303);
}

async fn a_newer_invitation_and_a_new_password_end_older_links() {
    let gate = Gate::start().await;
    let (old, new) = (invite(&gate, "kim@example.com").await, invite(&gate, "kim@example.com").await);
    assert_page(&Visitor::new(&gate).get(&old).await, 410);
    let user = gate.store.user_by_email(&"kim@example.com".parse().unwrap()).await.unwrap().unwrap().0;
    gate.set_password(&user, OTHER).await;
    assert_page(&Visitor::new(&gate).get(&new).await, 410);
}

async fn a_bad_new_password_does_not_use_up_the_link() {
    let gate = Gate::start().await;
    let link = invite(&gate, "kim@example.com").await;
    let mut browser = Visitor::new(&gate);
    let form = Form::of(&browser.get(&link).await, "set");
    for (new, again) in [("short", "short"), ("password", "password"), (OTHER, "something else")] {
        let refused = browser.submit(&form.clone().with("new", new).with("again", again)).await;
        assert_page(&refused, 403);
        Form::of(&refused, "set");
    }
    assert_page(&browser.submit(&form.clone().without("csrf_token")).await, 403);
    assert_page(&Visitor::new(&gate).submit(&new_password(form.clone(), OTHER)).await, 403);
    assert_eq!(browser.submit(&new_password(form, OTHER)).await.status, 303);
}

async fn a_link_signs_nobody_in() {
    let gate = Gate::start().await;
    let (kim, lou) = (gate.person("kim@example.com").await, gate.person("lou@example.com").await);
    let mut kims = sign_in(&gate, &kim).await;
    let mut lous = sign_in(&gate, &lou).await;
    let link = invite(&gate, "kim@example.com").await;
    assert_eq!(choose(&mut lous, &link, OTHER).await.status, 303);
    assert!(!is_signed_in(&mut kims).await, "all sessions of who has a new password end");
    assert!(!is_signed_in(&mut lous).await, "nobody goes on here as somebody else");
}

async fn a_link_lets_its_owner_in_while_a_stranger_guesses() {
    let gate = Gate::start().await;
    gate.person("kim@example.com").await;
    let (mut kim, mut stranger) = (Visitor::new(&gate), Visitor::new(&gate));
    while submit_login(&mut stranger, "kim@example.com", "wrong password").await.status != 429 {}
    assert_page(&submit_login(&mut kim, "kim@example.com", PASSWORD).await, 429);

    let link = invite(&gate, "kim@example.com").await;
    assert_eq!(choose(&mut kim, &link, OTHER).await.status, 303);
    assert_page(&submit_login(&mut stranger, "kim@example.com", OTHER).await, 429);
    assert_eq!(submit_login(&mut kim, "kim@example.com", OTHER).await.status, 303);
}

async fn an_invitation_is_sent_by_mail_if_that_is_set_up() {
    let mut post = PostBox::start().await;
    let gate = Gate::start().await;
    let admin = admin(&gate, Some(Mailer::new(post.route())));
    let invitation = admin.invite("kim@example.com".parse().unwrap(), "Kim".into(), &[]).await.unwrap();
    assert!(matches!(invitation.mailed, Some(Ok(()))));
    let letter = post.letter().await;
    assert_eq!(letter.to, "kim@example.com");
    assert!(letter.text.contains(&invitation.link) && letter.text.contains("Hello Kim,"), "{}", letter.text);
    for head in ["From: Leads <leads@example.com>", "Subject: Your invitation", "Content-Type: text/plain"] {
        assert!(letter.text.contains(head), "{}", letter.text);
    }
    assert_eq!(choose(&mut Visitor::new(&gate), &letter.link(), OTHER).await.status, 303);

    let address = post.address;
    drop(post);
    let invitation = admin.invite("kim@example.com".parse().unwrap(), String::new(), &[]).await.unwrap();
    let Some(Err(error)) = invitation.mailed else { panic!("nobody was there to take it") };
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

async fn gate_with(post: &PostBox) -> Gate {
    Gate::start_with(|settings| settings.mail = Some(post.route())).await
}

async fn ask(browser: &mut Visitor<'_>, email: &str) -> Answer {
    let form = Form::of(&browser.get("/account/password/forgotten/").await, "forgotten");
    browser.submit(&form.with("email", email)).await
}

async fn somebody_who_has_forgotten_the_password_is_sent_a_link() {
    let mut post = PostBox::start().await;
    let gate = gate_with(&post).await;
    gate.person("kim@example.com").await;
    let mut browser = Visitor::new(&gate);
    assert!(browser.get("/account/login/").await.text.contains("\"/account/password/forgotten/\""));
    ask(&mut browser, "KIM@example.com").await;
    let letter = post.letter().await;
    assert_eq!(letter.to, "kim@example.com");
    assert_eq!(choose(&mut browser, &letter.link(), OTHER).await.status, 303);
    assert_eq!(submit_login(&mut browser, "kim@example.com", OTHER).await.status, 303);

    gate.clock.advance(Duration::from_secs(3600));
    ask(&mut Visitor::new(&gate), "kim@example.com").await;
    let late = post.letter().await.link();
    gate.clock.advance(Duration::from_secs(3600));
    assert_page(&Visitor::new(&gate).get(&late).await, 410);
}

async fn whoever_asks_for_a_link_is_answered_alike() {
    let mut post = PostBox::start().await;
    let gate = gate_with(&post).await;
    gate.person("kim@example.com").await;
    let mut browser = Visitor::new(&gate);
    for email in ["nobody@example.com", "no address", "", "kim@example.com"] {
        let answer = ask(&mut browser, email).await;
        assert_eq!(
            (answer.status, answer.header("location"), answer.text.as_str()),
            (303, "/account/password/sent/", "")
        );
    }
    assert_page(&browser.get("/account/password/sent/").await, 200);
    assert_eq!(post.letter().await.to, "kim@example.com");
    assert!(post.is_empty(), "nobody else gets any");
}

async fn a_person_is_not_flooded_with_links() {
    let mut post = PostBox::start().await;
    let gate = gate_with(&post).await;
    let (mut browser, minute) = (Visitor::new(&gate), Duration::from_secs(60));
    gate.person("kim@example.com").await;
    gate.gateway().answer_reset("kim@example.com".parse().unwrap()).await;
    let first = post.letter().await.link();
    gate.clock.advance(14 * minute);
    gate.gateway().answer_reset("kim@example.com".parse().unwrap()).await;
    assert!(post.is_empty());
    assert_page(&browser.get(&first).await, 200);
    gate.clock.advance(minute);
    gate.gateway().answer_reset("kim@example.com".parse().unwrap()).await;
    let second = post.letter().await.link();
    assert_page(&browser.get(&first).await, 410);
    assert_page(&browser.get(&second).await, 200);
}

async fn an_address_that_asks_for_many_links_waits() {
    let mut post = PostBox::start().await;
    let gate = Gate::start_with(|settings| {
        settings.mail = Some(post.route());
        settings.throttle.per_address = Limit::new(3, Duration::from_secs(180)).unwrap();
        settings.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    })
    .await;
    let people = ["kim@example.com", "lou@example.com"];
    gate.person(people[0]).await;
    gate.person(people[1]).await;
    let mut browser = Visitor::new(&gate).from("2001:db8:1:2::1");
    for email in ["nobody@example.com", "no address", "kim@example.com"] {
        assert_eq!(ask(&mut browser, email).await.status, 303, "{email}");
    }
    assert_eq!(post.letter().await.to, "kim@example.com");

    // Whoever it is about; and the whole network counts as one address.
    let mut neighbour = Visitor::new(&gate).from("2001:db8:1:2::ffff");
    let (known, unknown) =
        (ask(&mut neighbour, "lou@example.com").await, ask(&mut neighbour, "nobody@example.com").await);
    for refused in [&known, &unknown] {
        assert_page(refused, 429);
        assert_eq!(refused.header("retry-after"), "60");
        assert!(refused.text.contains("\"/account/password/forgotten/\""), "{}", refused.text);
    }
    assert_eq!(known.text, unknown.text);

    // Others are not concerned, nor is logging in; and what was refused is not done later.
    assert_eq!(submit_login(&mut neighbour, "lou@example.com", PASSWORD).await.status, 303);
    let mut elsewhere = Visitor::new(&gate).from("2001:db8:1:3::1");
    assert_eq!(ask(&mut elsewhere, "lou@example.com").await.status, 303);
    assert_eq!(post.letter().await.to, "lou@example.com");
    gate.clock.advance(Duration::from_secs(60));
    assert_eq!(ask(&mut browser, "no address").await.status, 303);
    assert_page(&ask(&mut browser, "no address").await, 429);
    assert!(post.is_empty());
}

async fn without_mail_the_pages_say_whom_to_ask() {
    let gate = Gate::start().await;
    let mut browser = Visitor::new(&gate);
    let page = browser.get("/account/login/").await.text;
    assert!(page.contains("Whoever runs this service") && !page.contains("forgotten"), "{page}");
    assert_page(&browser.get("/account/password/forgotten/").await, 404);
}
