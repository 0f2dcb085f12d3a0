//! What is true of every page (checklist 16, 31 to 35, 37 to 39, 41).

use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use leadgate::config::PublicUrl;
use leadgate::model::partner::{ClientId, Partner};
use leadgate::model::{OsEntropy, PartnerId, UserId};

use super::door::{CALLBACK, Door, assert_page};
use super::visitor::{Form, Visitor};
use crate::harness::{Answer, PASSWORD, answer, hashed, on_every_engine};

on_every_engine!(
    oauth_016_every_page_is_kept_nowhere_and_tells_nobody_where_it_was,
    oauth_032_every_page_is_framed_by_nobody,
    oauth_033_every_page_lets_nothing_in_and_forms_may_lead_to_the_partner,
    oauth_034_every_page_is_html_and_nothing_else,
    oauth_031_cookies_cannot_be_read_by_scripts_and_survive_the_way_from_a_partner,
    oauth_031_on_https_cookies_are_host_cookies,
    oauth_034_what_is_echoed_is_escaped,
    oauth_035_nothing_in_a_request_sends_the_user_elsewhere,
    oauth_037_an_unknown_user_is_answered_like_a_wrong_password,
    oauth_038_passwords_are_hashed_as_owasp_wants_and_better_at_the_next_login,
    oauth_038_a_long_password_counts_to_its_last_character,
    oauth_039_a_password_is_in_one_body_and_nowhere_else,
    oauth_041_the_consent_names_partner_host_site_and_what_is_asked_for,
    the_stylesheet_is_kept_for_good,
);

/// One of each page.
async fn all_pages(door: &Door) -> Vec<Answer> {
    let gate = &door.gate;
    let many = gate.person("many@example.com").await;
    gate.site("a.example", &[&many]).await;
    gate.site("b.example", &[&many]).await;
    let none = gate.person("none@example.com").await;
    let asking = door.asking(&[]);
    let mut visitor = Visitor::new(gate);
    let login = visitor.get(&asking).await;
    let wrong = Form::of(&login, "login").with("email", "x@example.com").with("password", "wrong");
    let refused = visitor.submit(&wrong).await;
    let mut pages = vec![login, refused];
    for user in [&many, &none, &door.owner] {
        pages.push(Visitor::logged_in(gate, user).await.get(&asking).await);
    }
    pages.push(visitor.get("/piesync/oauth/authorize/").await);
    pages.push(visitor.get("/nobody/oauth/authorize/").await);
    pages.push(visitor.get("/piesync/oauth/authorize/login/").await);
    pages.push(answer(gate.get("/nowhere").header("accept", "text/html,*/*")).await);
    pages
}

async fn oauth_016_every_page_is_kept_nowhere_and_tells_nobody_where_it_was() {
    let door = Door::open().await;
    for page in all_pages(&door).await {
        assert_eq!(page.header("cache-control"), "no-store");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
    }
}

async fn oauth_032_every_page_is_framed_by_nobody() {
    let door = Door::open().await;
    for page in all_pages(&door).await {
        assert_eq!(page.header("x-frame-options"), "DENY");
        let policy = page.header("content-security-policy");
        assert!(policy.contains("; frame-ancestors 'none'"), "{policy}");
    }
}

async fn oauth_033_every_page_lets_nothing_in_and_forms_may_lead_to_the_partner() {
    let door = Door::open().await;
    for page in all_pages(&door).await {
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
        // Chromium would apply it to the redirect to the partner.
        assert!(!policy.contains("form-action"), "{policy}");
        assert!(!page.text.contains("<script") && !page.text.contains(" style="), "{}", page.text);
    }
}

async fn oauth_034_every_page_is_html_and_nothing_else() {
    let door = Door::open().await;
    for page in all_pages(&door).await {
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert!(page.text.contains("<html lang=\"en\">") && page.text.contains("<h1>"), "{}", page.text);
    }
}

async fn oauth_031_cookies_cannot_be_read_by_scripts_and_survive_the_way_from_a_partner() {
    let door = Door::open().await;
    let mut visitor = Visitor::new(&door.gate);
    let page = visitor.get(&door.asking(&[])).await;
    let form = Form::of(&page, "login").with("email", "kim@example.com").with("password", PASSWORD);
    let logged_in = visitor.submit(&form).await;
    for (answer, name) in [(&page, "leadgate_browser=lgb_"), (&logged_in, "leadgate_session=lgs_")] {
        let cookie = answer.header("set-cookie");
        assert!(cookie.starts_with(name) && cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{cookie}");
    }
}

async fn oauth_031_on_https_cookies_are_host_cookies() {
    let gate = crate::harness::Gate::start_with(|settings| {
        settings.public_url = PublicUrl::parse("https://gate.example").unwrap()
    })
    .await;
    let partner = gate.partner("piesync").await;
    let query =
        [("client_id", partner.partner.client_id.as_str()), ("response_type", "code"), ("redirect_uri", CALLBACK)];
    let page = Visitor::new(&gate).get(&super::door::path(&query)).await;
    let cookie = page.header("set-cookie");
    assert!(cookie.starts_with("__Host-leadgate_browser=") && cookie.ends_with("; Secure"), "{cookie}");
}

async fn oauth_034_what_is_echoed_is_escaped() {
    let door = Door::open().await;
    let attack = "\"><script>alert('x')</script>";
    let partner = Partner {
        id: PartnerId::random(&OsEntropy),
        slug: "evil".parse().unwrap(),
        name: attack.into(),
        client_id: ClientId::generate(&OsEntropy),
        ..door.partner.partner.clone()
    };
    door.gate.store.add_partner(partner.clone()).await.unwrap();
    let changes = [("client_id", Some(partner.client_id.as_str())), ("state", Some(attack))];
    let asking = door.asking(&changes).replace("/piesync/", "/evil/");
    let mut visitor = Visitor::new(&door.gate);
    let page = visitor.get(&asking).await;
    let refused = visitor.submit(&Form::of(&page, "login").with("email", attack).with("password", "x")).await;
    let consent = Visitor::logged_in(&door.gate, &door.owner).await.get(&asking).await;
    for page in [page, refused, consent] {
        assert!(page.text.contains("alert(") && !page.text.contains("<script"), "{}", page.text);
    }
}

async fn oauth_035_nothing_in_a_request_sends_the_user_elsewhere() {
    let door = Door::open().await;
    let mut visitor = Visitor::new(&door.gate);
    let elsewhere = Some("//evil.example");
    let asking = door.asking(&[("next", elsewhere), ("return_to", elsewhere), ("url", elsewhere)]);
    let page = visitor.get(&asking).await;
    let form = Form::of(&page, "login").with("email", "kim@example.com").with("password", PASSWORD);
    let logged_in = visitor.submit(&form.with("next", "//evil.example")).await;
    assert!(logged_in.header("location").starts_with("/piesync/oauth/authorize/?"), "{}", logged_in.header("location"));
    assert!(!logged_in.header("location").contains("evil"));
}

async fn oauth_037_an_unknown_user_is_answered_like_a_wrong_password() {
    let door = Door::open().await;
    let mut answers = Vec::new();
    let mut invited = door.owner.clone();
    (invited.id, invited.email) = (UserId::random(&OsEntropy), "invited@example.com".parse().unwrap());
    door.gate.store.add_user(invited, None).await.unwrap();
    for email in ["kim@example.com", "nobody@example.com", "invited@example.com", "not an address"] {
        let mut visitor = Visitor::new(&door.gate);
        let page = visitor.get(&door.asking(&[])).await;
        let form = Form::of(&page, "login").with("email", email).with("password", "wrong password");
        let answer = visitor.submit(&form).await;
        assert_page(&answer, 403);
        assert!(!visitor.cookies.contains_key("leadgate_session"));
        let text = answer.text.replace(email, "…");
        // What differs from one page to the next, whoever asks.
        let secrets = ["login", "cancel"].map(|step| Form::of(&answer, step));
        let text = secrets.iter().flat_map(|form| &form.fields).fold(text, |text, (_, value)| text.replace(value, "…"));
        answers.push(text);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

/// The status of a login with this password.
async fn logging_in(door: &Door, password: &str) -> u16 {
    let mut visitor = Visitor::new(&door.gate);
    let page = visitor.get(&door.asking(&[])).await;
    let form = Form::of(&page, "login").with("email", "kim@example.com").with("password", password);
    visitor.submit(&form).await.status
}

async fn stored_password(door: &Door) -> String {
    let (_, stored) = door.gate.store.user_by_email(&door.owner.email).await.unwrap().unwrap();
    stored.unwrap().0
}

async fn oauth_038_passwords_are_hashed_as_owasp_wants_and_better_at_the_next_login() {
    const WANTED: &str = "$argon2id$v=19$m=19456,t=2,p=1$";
    let door = Door::open().await;
    assert!(stored_password(&door).await.starts_with(WANTED));
    // The same password under parameters of long ago, and a salt that it shares with nobody.
    let weak = Params::new(8, 1, 1, None).unwrap();
    let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, weak);
    let weak = weak.hash_password_with_salt(PASSWORD.as_bytes(), &[7; 16]).unwrap().to_string();
    door.gate.sql(&format!("UPDATE users SET password = '{weak}'"));
    assert_eq!(logging_in(&door, "wrong password").await, 403);
    assert_eq!(stored_password(&door).await, weak);
    assert_eq!(logging_in(&door, PASSWORD).await, 303);
    assert!(stored_password(&door).await.starts_with(WANTED));
    assert_eq!(logging_in(&door, PASSWORD).await, 303);
}

async fn oauth_038_a_long_password_counts_to_its_last_character() {
    let door = Door::open().await;
    let long = "long words ".repeat(90);
    let hash = hashed(&long);
    door.gate.sql(&format!("UPDATE users SET password = '{}'", hash.0));
    assert_eq!(logging_in(&door, &long[..long.len() - 1]).await, 403);
    assert_eq!(logging_in(&door, &format!("{long}x")).await, 403);
    assert_eq!(logging_in(&door, &long).await, 303);
}

async fn oauth_039_a_password_is_in_one_body_and_nowhere_else() {
    let door = Door::open().await;
    let mut visitor = Visitor::new(&door.gate);
    let page = visitor.get(&door.asking(&[])).await;
    assert!(page.text.contains("<form method=\"post\" action=\"/piesync/oauth/authorize/login/\""), "{}", page.text);
    let login = Form::of(&page, "login").with("email", "kim@example.com");
    let refused = visitor.submit(&login.clone().with("password", "almost right")).await;
    assert!(!refused.text.contains("almost right"), "{}", refused.text);
    let done = visitor.submit(&login.with("password", PASSWORD)).await;
    assert!(!done.header("location").contains("password"), "{}", done.header("location"));
    // In a query it is no password.
    let mut stranger = Visitor::new(&door.gate);
    let query = format!("/piesync/oauth/authorize/login/?email=kim@example.com&password={PASSWORD}");
    assert_page(&stranger.get(&query.replace(' ', "+")).await, 405);
    for words in ["almost right", PASSWORD] {
        assert!(!door.gate.data.holds(words), "{words}");
    }
}

async fn oauth_041_the_consent_names_partner_host_site_and_what_is_asked_for() {
    let door = Door::open().await;
    let mut owner = Visitor::logged_in(&door.gate, &door.owner).await;
    let both = owner.get(&door.asking(&[])).await.text;
    let told = ["piesync Inc.", "piesync.example", "www.site.com", "kim@example.com", "Receive leads", "Send leads"];
    let offered =
        ["value=\"deny\" class=\"secondary\">Deny</button>", "value=\"approve\" class=\"primary\">Approve</button>"];
    for part in told.into_iter().chain(offered) {
        assert!(both.contains(part), "{part}: {both}");
    }
    let one = owner.get(&door.asking(&[("scope", Some("leadrouter:send"))])).await.text;
    assert!(one.contains("Send leads") && !one.contains("Receive leads"), "{one}");
}

async fn the_stylesheet_is_kept_for_good() {
    let door = Door::open().await;
    let mut visitor = Visitor::new(&door.gate);
    let page = visitor.get(&door.asking(&[])).await;
    let (_, rest) = page.text.split_once("<link rel=\"stylesheet\" href=\"").unwrap();
    let style = visitor.get(rest.split('"').next().unwrap()).await;
    assert_eq!((style.status, style.header("content-type")), (200, "text/css; charset=utf-8"));
    assert_eq!(style.header("cache-control"), "public, max-age=31536000, immutable");
}
