//! Who carries the waits, each in a process of its own.

use std::path::PathBuf;
use std::process::Command;

use super::server::Server;
use crate::c_compiler::program;
use crate::driver::Driver;
use crate::programs::Programs;
use crate::{Result, setup, workspace};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Peer {
    Waiter,
    Threads,
    CurlPool,
    CurlEach,
    Bare,
    PythonWaiter,
    Aiohttp,
    Httpx,
}

impl Peer {
    /// Those that carry any number of waits, libmfa first. The bare socket is for one comparison alone.
    pub const ALL: [Peer; 7] = [
        Peer::Waiter,
        Peer::CurlPool,
        Peer::CurlEach,
        Peer::Threads,
        Peer::PythonWaiter,
        Peer::Aiohttp,
        Peer::Httpx,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Peer::Waiter => "libmfa's waiter, C",
            Peer::Threads => "libmfa, a thread for each",
            Peer::CurlPool => "libcurl multi, a pool of handles",
            Peer::CurlEach => "libcurl multi, a handle for each",
            Peer::Bare => "bare socket, epoll",
            Peer::PythonWaiter => "libmfa's waiter, Python",
            Peer::Aiohttp => "aiohttp",
            Peer::Httpx => "httpx",
        }
    }

    /// Whether it has an event loop, which can be kept waiting.
    pub fn has_loop(self) -> bool {
        self != Peer::Threads
    }

    /// Its program in C.
    fn source(self) -> Option<&'static str> {
        match self {
            Peer::Waiter => Some("waits_mfa"),
            Peer::Threads => Some("waits_threads"),
            Peer::CurlPool | Peer::CurlEach => Some("waits_curl"),
            Peer::Bare => Some("waits_bare"),
            Peer::PythonWaiter | Peer::Aiohttp | Peer::Httpx => None,
        }
    }

    fn flags(self) -> &'static [&'static str] {
        match self {
            // Before the source, where `--as-needed` would drop them.
            Peer::CurlPool | Peer::CurlEach => &["-Wl,--no-as-needed,-lcurl,-lcjson,--as-needed"],
            _ => &["-Wl,--as-needed"],
        }
    }

    /// Which of a program's ways.
    fn variant(self) -> Option<&'static str> {
        match self {
            Peer::CurlPool => Some("pool"),
            Peer::CurlEach => Some("each"),
            Peer::PythonWaiter => Some("mfa_client"),
            Peer::Aiohttp => Some("aiohttp"),
            Peer::Httpx => Some("httpx"),
            _ => None,
        }
    }

    /// Makes it ready to be started; fails where what it is made of is not installed.
    pub fn prepare(self, programs: &Programs) -> Result {
        match (self.source(), self.variant()) {
            (Some(source), _) => programs.compile(source, self.flags()),
            (None, Some(package @ ("aiohttp" | "httpx"))) if !setup::has_package(package) => {
                Err(format!("{package} is not installed (--setup)"))
            }
            (None, _) => setup::python().map(drop).ok_or("python3 is not installed".to_owned()),
        }
    }

    /// A fresh process that has loaded all that it needs and waits for a command.
    pub fn start(self, programs: &Programs, server: &Server) -> Result<Driver> {
        let mut command = match self.source() {
            Some(source) => program(&programs.binary(source)),
            None => self.python(programs)?,
        };
        command.args([&server.plain, &server.tls, &server.ca]).args(self.variant());
        let mut driver = Driver::start(command)?;
        driver.version()?;
        Ok(driver)
    }

    fn python(self, programs: &Programs) -> Result<Command> {
        let python: PathBuf = setup::python().ok_or("python3 is not installed")?;
        let mut command = Command::new(python);
        command.arg(workspace::root().join("benches/python/waits.py"));
        if self == Peer::PythonWaiter {
            command.env("PYTHONPATH", workspace::root().join("bindings/python/src"));
            command.env("MFA_CLIENT_LIBRARY", &programs.library.shared);
        }
        Ok(command)
    }
}
