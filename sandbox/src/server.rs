//! Accepting connections, a thread for each, and ending them all in bounded time.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::ServerConfig;

use crate::connection::Connection;
use crate::delivery::{Delivery, Next};
use crate::desync::ConnectionDesync;
use crate::http::{NoRequest, Reader, Request, Response, Timeouts};
use crate::reply::Reply;
use crate::router::Router;

/// More at once are closed unanswered.
const MOST_CONNECTIONS: usize = 1024;

pub(crate) struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    router: Arc<Router>,
    tls: Option<Arc<ServerConfig>>,
    timeouts: Timeouts,
    open: Mutex<Open>,
}

/// The connections: their sockets, to shut them down, and their threads, to wait for them.
#[derive(Default)]
struct Open {
    sockets: HashMap<u64, Arc<TcpStream>>,
    threads: HashMap<u64, JoinHandle<()>>,
    ended: Vec<u64>,
    closed: bool,
}

impl Server {
    pub(crate) fn start(
        listener: TcpListener,
        router: Arc<Router>,
        tls: Option<Arc<ServerConfig>>,
        timeouts: Timeouts,
    ) -> io::Result<Server> {
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { router, tls, timeouts, open: Mutex::default() });
        let inside = Arc::clone(&shared);
        let acceptor =
            thread::Builder::new().name("mfa-sandbox".to_owned()).spawn(move || inside.accept(&listener))?;
        Ok(Server { shared, address, acceptor: Some(acceptor) })
    }

    pub(crate) fn open_connections(&self) -> usize {
        self.shared.open().sockets.len()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.router.context.state.stop();
        self.shared.close_all();
        self.wake_acceptor();
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        // The acceptor is gone, so no thread is added any more.
        let threads = std::mem::take(&mut self.shared.open().threads);
        for thread in threads.into_values() {
            let _ = thread.join();
        }
    }
}

impl Server {
    /// `accept` has no timeout; a connection of our own ends its wait.
    fn wake_acceptor(&self) {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        let _ = TcpStream::connect_timeout(&address, Duration::from_secs(1));
    }
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close_all(&self) {
        let mut open = self.open();
        open.closed = true;
        for socket in open.sockets.values() {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    fn accept(self: &Arc<Shared>, listener: &TcpListener) {
        let mut number = 0;
        loop {
            let accepted = listener.accept();
            self.reap();
            if self.open().closed {
                return;
            }
            match accepted {
                Ok((socket, _)) => {
                    number += 1;
                    self.admit(number, socket);
                }
                // Out of descriptors, or a connection that was gone at once: breathe and go on.
                Err(_) => {
                    self.router.context.state.sleep(Duration::from_millis(10));
                }
            }
        }
    }

    fn admit(self: &Arc<Shared>, number: u64, socket: TcpStream) {
        self.router.context.state.lock().journal.connections = number;
        let socket = Arc::new(socket);
        // Held over the spawn, so that the thread cannot end before it is in the books.
        let mut open = self.open();
        if open.closed || open.sockets.len() >= MOST_CONNECTIONS {
            return;
        }
        let inside = Arc::clone(self);
        let theirs = Arc::clone(&socket);
        let spawned = thread::Builder::new().name(format!("mfa-sandbox-{number}")).spawn(move || {
            // Put in the books as ended even if serving panics.
            let _ended = Ended { shared: &inside, number };
            inside.serve(number, theirs);
        });
        if let Ok(thread) = spawned {
            open.sockets.insert(number, socket);
            open.threads.insert(number, thread);
        }
    }

    /// Joins the threads that have ended.
    fn reap(&self) {
        let mut open = self.open();
        let ended = std::mem::take(&mut open.ended);
        let threads: Vec<_> = ended.iter().filter_map(|number| open.threads.remove(number)).collect();
        drop(open);
        for thread in threads {
            let _ = thread.join();
        }
    }

    fn serve(&self, number: u64, socket: Arc<TcpStream>) {
        let Ok(local) = socket.local_addr() else {
            return;
        };
        let Ok(mut connection) = Connection::new(socket, self.tls.clone()) else {
            return;
        };
        if connection.handshake(self.timeouts.idle, self.timeouts.request).is_err() {
            return self.close(connection, Next::Close);
        }
        let (mut reader, mut desync) = (Reader::default(), ConnectionDesync::default());
        let next = loop {
            let (reply, keep) = match reader.next(&mut connection, self.timeouts) {
                Ok(request) => (self.reply(&request, local, number, &mut desync), request.keep_alive),
                Err(NoRequest::Gone) => break Next::Close,
                Err(NoRequest::Bad(status, why)) => (Response::text(status, why).into(), false),
            };
            match reply.delivery.send(reply.response, keep, &mut connection, &self.router.context.state) {
                Ok(Next::Keep) => {}
                Ok(next) => break next,
                Err(_) => break Next::Abort,
            }
        };
        self.close(connection, next);
    }

    fn close(&self, connection: Connection, next: Next) {
        // Nobody is to be waited for when the whole sandbox stops.
        if next == Next::Abort || self.open().closed {
            return connection.abort();
        }
        connection.close_gracefully();
    }

    fn reply(
        &self,
        request: &Request,
        local: SocketAddr,
        number: u64,
        desync: &mut ConnectionDesync,
    ) -> Reply {
        let mut reply = self.router.answer(request, local, number, desync);
        if request.method == "HEAD" {
            // An answer to HEAD has no body; nothing here is worth more than this.
            reply.response.body.clear();
            reply.delivery = Delivery::default();
        }
        reply
    }
}

struct Ended<'a> {
    shared: &'a Shared,
    number: u64,
}

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        let mut open = self.shared.open();
        open.sockets.remove(&self.number);
        open.ended.push(self.number);
    }
}
