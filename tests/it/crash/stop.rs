//! A gateway that is told to stop does so, whatever its callers do.

use std::io::Write;
use std::net::TcpStream;

use crate::harness::{Gate, on_every_engine, soon};

on_every_engine!(connections_that_never_finish_a_request_do_not_keep_it);

async fn connections_that_never_finish_a_request_do_not_keep_it() {
    let metrics = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gate = Gate::start_with(|settings| settings.metrics_listen = Some(metrics)).await;
    let held: Vec<_> = [gate.address, metrics]
        .map(|address| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHo").unwrap();
            stream
        })
        .into();
    soon("it stops", gate.stop()).await;
    drop(held);
}
