//! The server that the part `waits` measures against: thousands of connections on one thread (epoll),
//! in clear and over TLS, with as little work for a request as can be.
//!
//! It knows HyperID's availability, start and status. A transaction that was started here is approved
//! so many milliseconds after its start; one that was not, at random within twice that time after the
//! first question for it, so that clients can also wait for what others have started.
//!
//! Prints its addresses as the sandbox does, and ends when its standard input is closed. Until then it
//! takes commands there, and answers each with one line as the benchmarks' other programs do:
//!
//!     reset ANSWER_MS LATE_MS    forgets all transactions and counts. Each answer comes LATE_MS later
//!     counts                     what it has seen since, and its own processor time
//!     written FILE               when it wrote each final answer, by the monotonic clock: "ID NS"
#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
mod connection;
#[cfg(target_os = "linux")]
mod provider;
#[cfg(target_os = "linux")]
mod server;

#[cfg(target_os = "linux")]
fn main() -> std::io::Result<()> {
    let mut server = server::Server::open(bench_server::Listeners::open()?)?;
    while server.turn()? {}
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("waits_server needs Linux: its queue is epoll");
    std::process::exit(2);
}
