//! The server that the benchmarks measure against: as little work for a request as can be, so that
//! what is measured is the client. One thread for each connection, fixed answers, keep-alive, in
//! clear and over TLS.
//!
//! Prints its addresses as the sandbox does, and ends when its standard input is closed.
//!
//! A request whose token is `bench-slow` is answered after `SLOW`, so that many connections are in
//! use at once.

#![forbid(unsafe_code)]

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use bench_server::{AVAILABILITY, Listeners, STATUS, find, whole_request};
use rustls::{ServerConnection, StreamOwned};

const SLOW: Duration = Duration::from_millis(1500);
const STACK: usize = 128 * 1024;
const LARGEST_REQUEST: usize = 32 * 1024;

fn main() -> io::Result<()> {
    let Listeners { plain, tls, config } = Listeners::open()?;
    thread::spawn(move || accept(&plain, serve));
    thread::spawn(move || {
        accept(&tls, move |stream| {
            serve(StreamOwned::new(ServerConnection::new(config.clone()).map_err(io::Error::other)?, stream))
        })
    });
    io::copy(&mut io::stdin(), &mut io::sink()).map(drop)
}

fn accept(listener: &TcpListener, serve: impl Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static) {
    for stream in listener.incoming().map_while(Result::ok) {
        let serve = serve.clone();
        let work = move || {
            let _ = stream.set_nodelay(true);
            // A connection that breaks is the client's to notice.
            let _ = serve(stream);
        };
        if let Err(e) = thread::Builder::new().stack_size(STACK).spawn(work) {
            eprintln!("no thread for a connection: {e}");
        }
    }
}

fn serve(mut stream: impl Read + Write) -> io::Result<()> {
    let mut buffer = vec![0; LARGEST_REQUEST];
    let mut filled = 0;
    loop {
        let amount = stream.read(&mut buffer[filled..])?;
        if amount == 0 {
            return Ok(());
        }
        filled += amount;
        // Clients send one request at a time, so nothing stands behind a whole one.
        if let Some(answer) = answer(&buffer[..filled]) {
            stream.write_all(answer)?;
            stream.flush()?;
            filled = 0;
        }
    }
}

/// `None`: there is more to come.
fn answer(bytes: &[u8]) -> Option<&'static [u8]> {
    let request = whole_request(bytes)?;
    if find(request.head, b"Bearer bench-slow\r\n").is_some() {
        thread::sleep(SLOW);
    }
    Some(match request.path {
        STATUS => APPROVED,
        AVAILABILITY => AVAILABLE,
        _ => NOT_FOUND,
    })
}

/// As the provider's documentation shows them.
const APPROVED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 89\r\n\r\n\
    {\"result\":0,\"transaction_id\":4242,\"transaction_status\":1,\"transaction_complete_result\":0}";
const AVAILABLE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 32\r\n\r\n\
    {\"result\":0,\"is_available\":true}";
const NOT_FOUND: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
