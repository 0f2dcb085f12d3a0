//! A partner that wants the gateway to knock where the partner itself cannot: on the gateway's own machine, in its network,
//! at the cloud's metadata. A trap on loopback tells whether anybody came.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use leadgate::egress::{Answer, Client, Guard, SendError};
use leadgate::model::SystemClock;
use reqwest::Method;
use serde_json::{Value, json};

use crate::crash::crm::Crm;
use crate::harness::engine::Data;
use crate::harness::names::Names;
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::{Gate, JsonBody, answer, install_crypto, on_every_engine};

on_every_engine!(
    oauth_103_no_way_to_write_a_private_address_is_accepted,
    oauth_103_no_name_of_private_addresses_is_accepted,
    a_name_that_changes_after_it_was_accepted_is_judged_again,
    proxies_in_the_environment_are_not_asked,
);

/// Ways to write this machine, its network, or what is nobody's, into a URL.
const HOSTS: [&str; 44] = [
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.0.1",
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "0x7f000001",
    "0x7f.0x0.0x0.0x1",
    "0x7F.1",
    "%31%32%37.0.0.1",
    "１２７.0.0.1",
    "127。0。0。1",
    "0",
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "192.168.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:a00:1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::8.8.8.8]",
    "[2001::7f00:1]",
    "[2002:7f00:1::]",
    "[2001:db8::1]",
    "[fd00:ec2::254]",
    "[fc00::1]",
    "[fe80::1]",
    "[fec0::1]",
    "[ff02::1]",
];

/// The same addresses as names resolve to them.
const ADDRESSES: [&str; 13] = [
    "127.0.0.1",
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "169.254.169.254",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "fd00:ec2::254",
    "fe80::1",
];

/// What is no host of a URL at all.
const MALFORMED: [&str; 8] = [
    "[fe80::1%25eth0]",
    "[fe80::1%eth0]",
    "[::1",
    "127.0.0.1:0",
    "256.256.256.256",
    "0x100000000",
    "1.2.3.4.5",
    "a@127.0.0.1",
];

/// A listener on every address of this machine that nobody should find.
struct Trap(TcpListener);

impl Trap {
    fn set() -> Self {
        let listener = TcpListener::bind("[::]:0").or_else(|_| TcpListener::bind("0.0.0.0:0")).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    /// Fails if a connection was made. The system makes it before it is accepted, so none is overlooked.
    fn assert_untouched(&self) {
        match self.0.accept() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            other => panic!("somebody came: {other:?}"),
        }
    }
}

/// The gateway's own client, which may reach `allowed` besides the internet and knows these names.
fn client(allowed: &[&str], names: Names) -> Client {
    install_crypto();
    let allowed = allowed.iter().map(|network| network.parse().unwrap()).collect();
    Client::new(Arc::new(Guard::new(allowed, Arc::new(names), Arc::new(SystemClock)))).unwrap()
}

async fn send(client: &Client, url: &str) -> Result<Answer, SendError> {
    let url = url.parse().unwrap_or_else(|_| panic!("{url}"));
    client.post(&url, Default::default(), Bytes::new(), Duration::from_secs(60)).await
}

async fn put(gate: &Gate, url: &str) -> (u16, Value) {
    let cast = gate.cast().await;
    let body = json!({"url": url, "secret": "s"});
    let request = gate.request(Method::PUT, &cast.subscription()).bearer_auth(&cast.token).json_body(&body);
    let answer = answer(request).await;
    (answer.status, answer.json()["fields"]["url"][0].clone())
}

async fn oauth_103_no_way_to_write_a_private_address_is_accepted() {
    let trap = Trap::set();
    let gate = Gate::start_with(|settings| settings.delivery.allow_networks.clear()).await;
    let cast = gate.cast().await;
    for (hosts, message) in
        [(&HOSTS[..], "This URL is not reachable from the internet."), (&MALFORMED[..], "Enter a valid URL.")]
    {
        for host in hosts {
            let body = json!({"url": format!("http://{host}:{}/", trap.port()), "secret": "s"});
            let request = gate.request(Method::PUT, &cast.subscription()).bearer_auth(&cast.token).json_body(&body);
            let refused = answer(request).await;
            assert_eq!((refused.status, &refused.json()["fields"]["url"]), (422, &json!([message])), "{host}");
        }
    }
    trap.assert_untouched();
}

async fn oauth_103_no_name_of_private_addresses_is_accepted() {
    let gate = Gate::start_with(|settings| settings.delivery.allow_networks.clear()).await;
    let cast = gate.cast().await;
    for address in ADDRESSES {
        for name in ["inside.example", "inside.example."] {
            gate.names.set(name, &[address, "192.168.0.1"]);
            let body = json!({"url": format!("https://{name}/"), "secret": "s"});
            let request = gate.request(Method::PUT, &cast.subscription()).bearer_auth(&cast.token).json_body(&body);
            assert_eq!(answer(request).await.status, 422, "{name} {address}");
        }
    }
}

#[tokio::test]
async fn no_private_address_is_dialled_however_it_is_written() {
    let (trap, client) = (Trap::set(), client(&[], Names::default()));
    for host in HOSTS {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}:{}/", trap.port());
            assert_eq!(send(&client, &url).await, Err(SendError::Forbidden), "{url}");
        }
    }
    trap.assert_untouched();
}

#[tokio::test]
async fn no_private_address_is_dialled_for_a_name() {
    let trap = Trap::set();
    for address in ADDRESSES {
        let names = Names::default();
        names.set("inside.example", &[address]);
        names.set("localhost", &[address]);
        names.set("localhost.", &[address]);
        let client = client(&[], names);
        for host in ["inside.example", "localhost", "LOCALHOST."] {
            let url = format!("http://{host}:{}/", trap.port());
            assert_eq!(send(&client, &url).await, Err(SendError::Forbidden), "{host} {address}");
        }
    }
    trap.assert_untouched();
}

#[tokio::test]
async fn of_a_names_addresses_only_those_that_may_be_reached_are_dialled() {
    let (trap, names) = (Trap::set(), Names::default());
    // Of these the trap could be reached at the first; the last is allowed, and nobody listens there on this port.
    names.set("both.example", &["127.0.0.1", "::1", "::ffff:127.0.0.1", "127.0.0.3"]);
    let mut receiver = Receiver::start().await;
    let client = client(&["127.0.0.3/32"], names);
    let url = format!("http://both.example:{}/", receiver.port());
    assert_eq!(send(&client, &url).await, Err(SendError::Refused));
    receiver.assert_quiet();
    trap.assert_untouched();
}

async fn a_name_that_changes_after_it_was_accepted_is_judged_again() {
    let gate = Gate::start_with(|settings| settings.delivery.allow_networks.clear()).await;
    gate.names.set("rebound.example", &["93.184.215.14"]);
    assert_eq!(put(&gate, "http://rebound.example/").await.0, 200);

    let (trap, names) = (Trap::set(), Names::default());
    names.set_in_turn("rebound.example", &[&["93.184.215.14"], &["127.0.0.1"]]);
    let guard = Guard::new(vec![], Arc::new(names), Arc::new(SystemClock));
    let url = format!("http://rebound.example:{}/", trap.port());
    assert_eq!(guard.check(&url.parse().unwrap()).await, leadgate::egress::Reach::Public);
    let client = Client::new(Arc::new(guard)).unwrap();
    assert_eq!(send(&client, &url).await, Err(SendError::Forbidden));
    trap.assert_untouched();
}

#[tokio::test]
async fn the_address_that_was_checked_is_the_one_that_is_dialled() {
    let mut receiver = Receiver::start().await;
    let (trap, names) = (Trap::set(), Names::default());
    // A client that looked the name up a second time, between its check and its connection, would get to the trap.
    names.set_in_turn("rebinding.example", &[&["127.0.0.1"], &["127.0.0.2"]]);
    let client = client(&["127.0.0.1/32"], names);
    let url = format!("http://rebinding.example:{}/", receiver.port());
    let (sent, ()) = tokio::join!(send(&client, &url), async {
        receiver.next().await.answer(Reply::Close(b"HTTP/1.1 204 X\r\n\r\n".to_vec()));
    });
    assert_eq!(sent.unwrap().status, 204);
    // The next connection looks it up anew, and gets nowhere.
    let next = format!("http://rebinding.example:{}/", trap.port());
    assert_eq!(send(&client, &next).await, Err(SendError::Forbidden));
    trap.assert_untouched();
}

#[tokio::test]
async fn redirects_are_answers_and_not_followed() {
    let trap = Trap::set();
    let client = client(&["127.0.0.0/8"], Names::default());
    let mut receiver = Receiver::start().await;
    let target = format!("http://127.0.0.1:{}/", trap.port());
    for status in [300, 301, 302, 303, 305, 307, 308] {
        let headers =
            [("location", target.as_str()), ("refresh", &format!("0; url={target}")), ("content-location", &target)];
        let url = receiver.url("/");
        let (sent, _) = tokio::join!(send(&client, &url), receiver.answer(Reply::with(status, &headers, "")));
        assert_eq!(sent.unwrap().status, status);
    }
    trap.assert_untouched();
}

#[tokio::test]
async fn ports_of_other_services_are_not_knocked_at() {
    let client = client(&["127.0.0.0/8"], Names::default());
    for port in [1, 7, 22, 23, 25, 53, 110, 143, 445, 465, 587, 993, 2375, 2379, 3306, 5432, 6379, 6667, 11211, 27017] {
        let url = format!("http://127.0.0.1:{port}/");
        assert_eq!(send(&client, &url).await, Err(SendError::ForbiddenPort), "{port}");
    }
    let mut receiver = Receiver::start().await;
    let url = receiver.url("/");
    let (sent, _) = tokio::join!(send(&client, &url), receiver.answer(Reply::status(200)));
    assert_eq!(sent.unwrap().status, 200);
}

async fn proxies_in_the_environment_are_not_asked() {
    let (trap, mut receiver) = (Trap::set(), Receiver::start().await);
    let data = Data::new();
    let mut crm = Crm::at(&data.url(), &receiver).await;
    let proxy = format!("http://127.0.0.1:{}", trap.port());
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        crm = crm.with(name, &proxy);
    }
    let gateway = crm.serve();
    assert!(crm.send(&gateway.address, 0, 0).await);
    receiver.answer(Reply::status(200)).await;
    trap.assert_untouched();
    gateway.program.kill();
}
