//! The sandbox as a process: started, asked for its addresses, and ended with its owner.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::process::Running;

const PATIENCE: Duration = Duration::from_secs(20);
const STRICT: &str = "--strict";

pub struct Sandbox {
    // Its standard input stays open as long as this process lives: the sandbox ends with it, even
    // if nobody is left to kill it.
    _process: Running,
    addresses: Vec<(String, String)>,
}

impl Sandbox {
    /// A strict one: what we send is documented, and nothing else is let pass.
    pub fn start(program: &Path) -> Result<Self> {
        Self::start_with(program, &[STRICT.as_ref()])
    }

    /// One that speaks TLS, and writes its authority's certificate to `ca`.
    pub fn start_tls(program: &Path, ca: &Path) -> Result<Self> {
        Self::start_with(program, &[STRICT.as_ref(), "--tls".as_ref(), "--ca-out".as_ref(), ca.as_os_str()])
    }

    /// Also another program that says where it is as the sandbox does.
    pub fn start_with(program: &Path, arguments: &[&OsStr]) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments);
        Self::start_command(command)
    }

    /// The same by a whole command line.
    pub fn start_command(mut command: Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.arg("--stop-with-stdin").stdin(Stdio::piped()).stdout(Stdio::piped());
        let child = command.spawn().map_err(|e| format!("{name}: {e}"))?;
        let mut process = Running(child);
        let stdout = process.0.stdout.take().expect("its standard output is piped");
        let (sender, lines) = channel();
        // Reads on after the addresses, so that the sandbox never waits for room in the pipe.
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(std::result::Result::ok) {
                let _ = sender.send(line);
            }
        });
        let addresses = read_addresses(&lines)?;
        Ok(Self { _process: process, addresses })
    }

    /// What it said about itself: `hyperid`, `capillary`, `phone`, `token`, `brand`.
    pub fn get(&self, name: &str) -> Result<&str> {
        let found = self.addresses.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).ok_or(format!("the sandbox did not say '{name}'"))
    }

    /// Test programs find the addresses in their environment, under these names.
    pub fn set_environment(&self, command: &mut Command) -> Result {
        command.env("MFA_TEST_HYPERID_URL", self.get("hyperid")?);
        command.env("MFA_TEST_CAPILLARY_URL", self.get("capillary")?);
        command.env("MFA_TEST_PHONE_URL", self.get("phone")?);
        Ok(())
    }

    /// Puts the addresses where an argument names them: `{hyperid}` becomes its URL.
    pub fn fill_in(&self, argument: &str) -> String {
        let fill =
            |text: String, (name, value): &(String, String)| text.replace(&format!("{{{name}}}"), value);
        self.addresses.iter().fold(argument.to_owned(), fill)
    }
}

fn read_addresses(lines: &Receiver<String>) -> Result<Vec<(String, String)>> {
    let deadline = Instant::now() + PATIENCE;
    let mut addresses = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = lines.recv_timeout(left).map_err(|_| "the sandbox did not say that it is ready")?;
        match line.split_once(": ") {
            Some(("ready", _)) => return Ok(addresses),
            Some((name, value)) => addresses.push((name.to_owned(), value.to_owned())),
            None => {}
        }
    }
}
