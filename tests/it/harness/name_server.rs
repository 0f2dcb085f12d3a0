//! A name server on loopback that says what the test wants, and counts who asks.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// What is answered.
#[derive(Debug, Clone)]
pub enum Zone {
    /// These addresses, good for so many seconds.
    Addresses(Vec<IpAddr>, u32),
    /// The name does not exist, and that is good for so many seconds.
    Nothing(u32),
    /// The server has failed.
    Failure,
    /// Nothing at all.
    Silence,
}

/// A name server.
pub struct NameServer {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    serving: JoinHandle<io::Result<()>>,
}

#[derive(Default)]
struct Shared {
    zones: HashMap<String, Zone>,
    asked: HashMap<String, usize>,
}

impl NameServer {
    /// Starts one that knows nothing.
    pub async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let address = socket.local_addr().expect("an address");
        let shared = Arc::default();
        let serving = tokio::spawn(serve(socket, Arc::clone(&shared)));
        Self { address, shared, serving }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on this is said of `name`.
    pub fn set(&self, name: &str, zone: Zone) {
        self.shared.lock().unwrap().zones.insert(name.to_owned(), zone);
    }

    /// How often it was asked for the IPv4 addresses of `name`.
    pub fn asked(&self, name: &str) -> usize {
        self.shared.lock().unwrap().asked.get(name).copied().unwrap_or_default()
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(socket: UdpSocket, shared: Arc<Mutex<Shared>>) -> io::Result<()> {
    let mut bytes = [0; 1500];
    loop {
        let (length, peer) = socket.recv_from(&mut bytes).await?;
        let question = Message::from_vec(&bytes[..length]).map_err(io::Error::other)?;
        let answer = shared.lock().unwrap().answer(&question);
        if let Some(answer) = answer {
            socket.send_to(&answer.to_vec().map_err(io::Error::other)?, peer).await?;
        }
    }
}

impl Shared {
    fn answer(&mut self, question: &Message) -> Option<Message> {
        let query = question.queries.first()?;
        let (name, kind) = (query.name(), query.query_type());
        let host = name.to_string().trim_end_matches('.').to_lowercase();
        *self.asked.entry(host.clone()).or_default() += usize::from(kind == RecordType::A);
        let mut answer = Message::response(question.metadata.id, OpCode::Query);
        answer.metadata.recursion_available = true;
        answer.add_query(query.clone());
        match self.zones.get(&host).cloned().unwrap_or(Zone::Nothing(0)) {
            Zone::Addresses(addresses, ttl) => {
                let data = addresses.into_iter().map(RData::from).filter(|data| data.record_type() == kind);
                answer.add_answers(data.map(|data| Record::from_rdata(name.clone(), ttl, data)));
                answer.add_authority(authority(name, ttl));
            }
            Zone::Nothing(ttl) => {
                answer.metadata.response_code = ResponseCode::NXDomain;
                answer.add_authority(authority(name, ttl));
            }
            Zone::Failure => answer.metadata.response_code = ResponseCode::ServFail,
            Zone::Silence => return None,
        }
        Some(answer)
    }
}

/// The record that says how long it is good that there is nothing.
fn authority(name: &Name, ttl: u32) -> Record {
    let soa = SOA::new(name.clone(), name.clone(), 1, 3600, 600, 86_400, ttl);
    Record::from_rdata(name.clone(), ttl, RData::SOA(soa))
}
