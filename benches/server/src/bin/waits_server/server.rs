//! The loop: connections come, ask and are answered.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind, Write};
use std::net::TcpListener;
use std::os::fd::AsFd;

use bench_server::{Listeners, whole_request};
use rustix::event::{Timespec, epoll};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::ClockId;

use crate::connection::Connection;
use crate::provider::{Answer, Provider, clock_ns, not_found, now_ns};

/// What the queue calls the others; connections are numbered from `FIRST`.
const COMMANDS: u64 = 0;
const PLAIN: u64 = 1;
const TLS: u64 = 2;
const FIRST: u64 = 3;

const EVENTS: usize = 512;
const NS_PER_MS: u64 = 1_000_000;

pub struct Server {
    queue: rustix::fd::OwnedFd,
    listeners: Listeners,
    connections: HashMap<u64, Connection>,
    next_connection: u64,
    provider: Provider,
    /// Since the last reset.
    seen: Seen,
    late_ns: u64,
    /// Answers that come later, in the order of their times: they are all equally late.
    late: VecDeque<(u64, u64, Answer)>,
    /// What has come of the next command.
    command: Vec<u8>,
}

#[derive(Default)]
struct Seen {
    accepted: u64,
    most_open: usize,
    cpu_began: u64,
    /// Requests that it did not understand.
    bad: u64,
}

impl Server {
    pub fn open(listeners: Listeners) -> io::Result<Self> {
        allow_descriptors()?;
        let queue = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut server = Server {
            queue,
            listeners,
            connections: HashMap::new(),
            next_connection: FIRST,
            provider: Provider::default(),
            seen: Seen::default(),
            late_ns: 0,
            late: VecDeque::new(),
            command: Vec::new(),
        };
        for (listener, number) in [(&server.listeners.plain, PLAIN), (&server.listeners.tls, TLS)] {
            listener.set_nonblocking(true)?;
            watch(&server.queue, listener, number)?;
        }
        watch(&server.queue, io::stdin(), COMMANDS)?;
        server.reset(8_000, 0);
        Ok(server)
    }

    /// `false`: it is to end.
    pub fn turn(&mut self) -> io::Result<bool> {
        let mut events = Vec::with_capacity(EVENTS);
        let patience = self.time_to_next();
        match epoll::wait(&self.queue, rustix::buffer::spare_capacity(&mut events), patience.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        for event in events {
            match event.data.u64() {
                COMMANDS => {
                    if !self.take_commands()? {
                        return Ok(false);
                    }
                }
                PLAIN => self.accept(false)?,
                TLS => self.accept(true)?,
                number => self.serve(number),
            }
        }
        self.answer_late();
        Ok(true)
    }

    /// In whole milliseconds, none of them too early.
    fn time_to_next(&self) -> Option<Timespec> {
        let (due, _, _) = self.late.front()?;
        let ms = due.saturating_sub(now_ns()).div_ceil(NS_PER_MS);
        let ms = i64::try_from(ms).unwrap_or(i64::MAX);
        Some(Timespec { tv_sec: ms / 1_000, tv_nsec: ms % 1_000 * 1_000_000 })
    }

    fn accept(&mut self, is_tls: bool) -> io::Result<()> {
        let listener: &TcpListener = if is_tls { &self.listeners.tls } else { &self.listeners.plain };
        loop {
            let stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                // It was given up meanwhile, or there are no more descriptors.
                Err(_) => return Ok(()),
            };
            let connection = Connection::new(stream, is_tls.then_some(&self.listeners.config))?;
            watch(&self.queue, &connection.stream, self.next_connection)?;
            self.connections.insert(self.next_connection, connection);
            self.next_connection += 1;
            self.seen.accepted += 1;
            self.seen.most_open = self.seen.most_open.max(self.connections.len());
        }
    }

    fn serve(&mut self, number: u64) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        if connection.receive().is_err() {
            // The client has closed it, or broken it off: its own to notice.
            self.connections.remove(&number);
            return;
        }
        let Some(request) = whole_request(&connection.received) else { return };
        let answer = self.provider.answer(request.path, request.body).unwrap_or_else(|| {
            self.seen.bad += 1;
            not_found()
        });
        connection.received.clear();
        if self.late_ns == 0 {
            self.send(number, &answer);
        } else {
            self.late.push_back((now_ns() + self.late_ns, number, answer));
        }
    }

    fn answer_late(&mut self) {
        while self.late.front().is_some_and(|(due, _, _)| *due <= now_ns()) {
            let Some((_, number, answer)) = self.late.pop_front() else { return };
            self.send(number, &answer);
        }
    }

    fn send(&mut self, number: u64, answer: &Answer) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        if let Some(id) = answer.final_of {
            self.provider.wrote_final(id);
        }
        if connection.send(answer.text.as_bytes()).is_err() {
            self.connections.remove(&number);
        }
    }

    /// `false`: whoever gives commands has gone.
    fn take_commands(&mut self) -> io::Result<bool> {
        let mut bytes = [0; 4096];
        let amount = rustix::io::read(io::stdin(), &mut bytes)?;
        self.command.extend_from_slice(&bytes[..amount]);
        while let Some(end) = self.command.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.command.drain(..=end).collect();
            let said = self.obey(&String::from_utf8_lossy(&line));
            println!("{}", said.unwrap_or_else(|why| format!("failed: {why}")));
            io::stdout().flush()?;
        }
        Ok(amount > 0)
    }

    fn obey(&mut self, line: &str) -> Result<String, String> {
        let words: Vec<_> = line.split_whitespace().collect();
        let number = |word: &str| word.parse::<u64>().map_err(|_| format!("{word} is no number"));
        match words[..] {
            ["reset", answer_ms, late_ms] => {
                self.reset(number(answer_ms)?, number(late_ms)?);
                Ok("ok errors=0".to_owned())
            }
            ["counts"] => Ok(self.counts()),
            ["written", file] => {
                let lines = self.provider.written.iter().map(|(id, at)| format!("{id} {at}\n"));
                std::fs::write(file, lines.collect::<String>()).map_err(|e| e.to_string())?;
                Ok(format!("ok errors=0 count={}", self.provider.written.len()))
            }
            _ => Err(format!("it does not know '{}'", line.trim_end())),
        }
    }

    fn reset(&mut self, answer_ms: u64, late_ms: u64) {
        self.provider.reset(answer_ms * NS_PER_MS);
        self.late_ns = late_ms * NS_PER_MS;
        self.late.clear();
        let cpu_began = clock_ns(ClockId::ProcessCPUTime);
        self.seen = Seen { most_open: self.connections.len(), cpu_began, ..Seen::default() };
    }

    fn counts(&self) -> String {
        let Provider { availabilities, starts, polls, .. } = self.provider;
        format!(
            "ok errors={} availabilities={availabilities} starts={starts} polls={polls} accepted={} \
             most_open={} cpu_ns={}",
            self.seen.bad,
            self.seen.accepted,
            self.seen.most_open,
            clock_ns(ClockId::ProcessCPUTime) - self.seen.cpu_began,
        )
    }
}

/// As many as the system lets it have: a connection is one.
fn allow_descriptors() -> io::Result<()> {
    let most = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: most.maximum, ..most })?)
}

fn watch(queue: impl AsFd, what: impl AsFd, number: u64) -> io::Result<()> {
    Ok(epoll::add(queue, what, epoll::EventData::new_u64(number), epoll::EventFlags::IN)?)
}
