//! A network between a gateway and its database that a test can cut.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A TCP proxy, which passes everything on until it is told otherwise. It closes all connections when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    network: Network,
    listening: CancellationToken,
}

#[derive(Clone)]
struct Network {
    passes: watch::Sender<bool>,
    /// Ends the connections that there are.
    connections: Arc<Mutex<CancellationToken>>,
}

impl Proxy {
    /// A proxy on a free port of 127.0.0.1 that leads to `target`.
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let network = Network { passes: watch::Sender::new(true), connections: Default::default() };
        let listening = CancellationToken::new();
        tokio::spawn(listening.clone().run_until_cancelled_owned(serve(listener, target, network.clone())));
        Self { address, network, listening }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on nothing is passed on, and nobody is told.
    pub fn stall(&self) {
        self.network.passes.send_replace(false);
    }

    /// Everything is passed on again, also what was sent meanwhile.
    pub fn go_on(&self) {
        self.network.passes.send_replace(true);
    }

    /// Closes all connections.
    pub fn hang_up(&self) {
        std::mem::take(&mut *self.network.connections.lock().unwrap()).cancel();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.cancel();
        self.hang_up();
    }
}

async fn serve(listener: TcpListener, target: SocketAddr, network: Network) {
    while let Ok((near, _)) = listener.accept().await {
        let end = network.connections.lock().unwrap().clone();
        tokio::spawn(end.run_until_cancelled_owned(carry(near, target, network.passes.subscribe())));
    }
}

/// Carries one connection to its end.
async fn carry(near: TcpStream, target: SocketAddr, passes: watch::Receiver<bool>) -> io::Result<()> {
    let far = TcpStream::connect(target).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
    tokio::select! {
        ended = pass(near_read, far_write, passes.clone()) => ended,
        ended = pass(far_read, near_write, passes) => ended,
    }
}

/// Passes on what comes, and the end of it, while the network does.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut passes: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let count = from.read(&mut bytes).await?;
        passes.wait_for(|passes| *passes).await.map_err(io::Error::other)?;
        if count == 0 {
            return Ok(());
        }
        to.write_all(&bytes[..count]).await?;
    }
}
