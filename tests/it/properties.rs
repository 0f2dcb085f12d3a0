//! The properties of `tests/support/properties`, tried on random input that looks a little like what is expected, and on
//! the seeds of the fuzzers. `docs/security.md` says how the fuzzers themselves are run.

#[path = "../support/properties/mod.rs"]
mod held;

use std::fs;
use std::path::Path;

use proptest::prelude::*;

/// Runs a property on every seed of its fuzz target.
fn on_seeds(target: &str, property: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let seeds: Vec<_> = fs::read_dir(&folder).unwrap().map(|seed| seed.unwrap().path()).collect();
    assert!(!seeds.is_empty(), "{}", folder.display());
    for seed in seeds {
        println!("{}", seed.display());
        property(&fs::read(seed).unwrap());
    }
}

#[test]
fn what_the_fuzzers_start_from_holds() {
    on_seeds("address", held::address);
    on_seeds("credentials", held::credentials);
    on_seeds("destination", held::destination);
    on_seeds("form", held::form);
    on_seeds("lead", held::lead);
    on_seeds("pkce", held::pkce);
    on_seeds("redirect", held::redirect);
}

proptest! {
    #[test]
    fn oauth_049_forms_are_read_strictly(text in "([a-c%+&=;]|%[0-9a-fA-F]{2}|%00|\\PC){0,40}") {
        held::form(text.as_bytes());
    }

    #[test]
    fn oauth_049_forms_of_any_bytes_are_read_strictly(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        held::form(&bytes);
    }

    #[test]
    fn oauth_060_authorization_headers_are_read_strictly(
        text in "(Basic|bearer|DIGEST|basic) {0,3}[a-zA-Z0-9+/._~-]{0,30}={0,3} ?",
    ) {
        held::credentials(text.as_bytes());
    }

    #[test]
    fn oauth_059_basic_pairs_are_read_strictly(text in "([a-c:%+&= ]|%[0-9a-fA-F]{2}|\\PC|\\pC){0,30}") {
        held::credentials(text.as_bytes());
    }

    #[test]
    fn oauth_080_only_the_right_verifier_opens(
        first in "[A-Za-z0-9._~-]{42,44}|[A-Za-z0-9_-]{43}|[A-Za-z0-9]{127,129}|",
        second in "[A-Za-z0-9._~-]{43}|",
        same in any::<bool>(),
    ) {
        let second = if same { &first } else { &second };
        held::pkce(format!("{first}\n{second}").as_bytes());
    }

    #[test]
    fn oauth_007_redirect_uris_are_compared_byte_for_byte(
        first in "https?://[a-zA-Z0-9.-]{1,12}(:[0-9]{1,3})?(/[a-zA-Z%.~+]{0,6}){0,3}(\\?[a-z=&%]{0,8})?",
        second in "\\PC{0,20}",
        likeness in 0..6,
    ) {
        let second = match likeness {
            0 => first.clone(),
            1 => format!("{first}/"),
            2 => first.to_uppercase(),
            3 => first.replace("/./", "/"),
            4 => format!("{first}?"),
            _ => second,
        };
        held::redirect(format!("{first}\n{second}").as_bytes());
    }

    #[test]
    fn destinations_mean_the_same_to_all_who_read_them(
        text in "https?:/{1,3}([a-z0-9.%@:\\\\\\[\\]x-]|\\PC){0,20}(:[0-9]{1,6})?(/[ -~]{0,10})?",
    ) {
        held::destination(text.as_bytes());
    }

    #[test]
    fn numbers_for_hosts_are_addresses_and_not_names(host in "(0x)?[0-9a-f]{1,10}(\\.(0x)?[0-9a-f]{0,3}){0,4}") {
        held::destination(format!("http://{host}/").as_bytes());
    }

    #[test]
    fn special_addresses_are_never_public(bytes in any::<[u8; 16]>(), front in any::<proptest::sample::Index>()) {
        held::address(&bytes);
        let fronts: [&[u8]; 8] = [
            &[127], &[10], &[192, 168], &[169, 254], &[0xfe, 0x80], &[0xfd], &[0; 12],
            &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
        ];
        let front = fronts[front.index(fronts.len())];
        let mut special = bytes;
        special[..front.len()].copy_from_slice(front);
        held::address(&special);
    }

    #[test]
    fn leads_are_kept_as_they_came(
        text in "\\{(\"(source|email|role|tags|id|x|activities|created|action)\":(\"\"|\"Buyer\"|\"\\\\u0000\"|null|\\[\\]|\\[\\{\\}\\]|1e999|-0|\\{\"a\":\\[1]}),?){0,5}(\"source\":\"s\",\"phone\":\"1\")?\\}",
    ) {
        held::lead(text.as_bytes());
    }
}
