//! A dropped sandbox leaves no thread, no descriptor and no open connection. One test only: it counts what
//! belongs to the whole process.
#![cfg(target_os = "linux")]

mod common;

use common::*;
use mfa_sandbox::{Options, Sandbox};
use std::fs;
use std::time::Instant;

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

#[test]
fn nothing_is_left_behind() {
    let threads_before = threads();
    // What the process sets up once is set up now.
    drop(sandbox_with(Options { tls: true, ..Options::default() }));
    let descriptors_before = descriptors();
    closed_connections_are_forgotten();
    for tls in [false, true] {
        let sandbox = sandbox_with(Options { tls, ..Options::default() });
        let mut clients: Vec<_> = (0..6).map(|_| connect(sandbox.hyperid_url())).collect();
        if !tls {
            busy(&sandbox, &mut clients);
        }
        eventually("all are accepted", || sandbox.open_connections() == 6);
        let begin = Instant::now();
        drop(sandbox);
        // Less than the shortest time after which a connection of these would end by itself.
        assert!(begin.elapsed() < LONG, "stopping took {:?}", begin.elapsed());
        for client in &mut clients {
            while client.read().is_ok() {}
            client.buffer.clear();
            assert!(client.ended());
        }
        drop(clients);
        assert_eq!(descriptors(), descriptors_before, "descriptors; tls: {tls}");
        // The system lists a thread for a moment after it was joined.
        eventually("all threads are gone", || threads() == threads_before);
    }
}

/// Connections in every state: idle, waiting, sleeping, sending without end to nobody, in the middle of a
/// request, in the middle of an answer.
fn busy(sandbox: &Sandbox, clients: &mut [Client<std::net::TcpStream>]) {
    let tokens =
        ["sandbox-phone", "sandbox-silent", "sandbox-slow-60000", "sandbox-oversize", "sandbox-drip-60000"];
    for (client, token) in clients.iter_mut().zip(tokens) {
        client.send_post(AVAILABILITY, Some(token), "{}");
    }
    clients[5].send(b"POST / HTTP/1.1\r\nHo");
    assert!(sandbox.wait_for_requests(None, 5, LONG));
}

/// A closed connection is forgotten while the sandbox runs, too. Called by the one test, see above.
fn closed_connections_are_forgotten() {
    let sandbox = sandbox();
    for _ in 0..20 {
        assert_eq!(post(&sandbox, AVAILABILITY, "sandbox-phone", "{}").result(), 0);
    }
    eventually("all are closed", || sandbox.open_connections() == 0);
}
