//! The server that all of them ask: `benches/server`'s waits_server, a process of its own.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::driver::{Driver, Response};
use crate::programs::Programs;

pub struct Server {
    driver: Driver,
    pub plain: String,
    pub tls: String,
    pub ca: String,
    written: PathBuf,
}

/// What it has answered since it was reset.
#[derive(Clone, Copy, Default)]
pub struct Counts {
    pub exchanges: f64,
    pub polls: f64,
    pub accepted: f64,
    pub most_open: f64,
    pub cpu_ns: f64,
}

impl Server {
    pub fn start(programs: &Programs) -> Result<Self> {
        let program = crate::programs::build_server("waits_server")?;
        let mut driver = Driver::start(Command::new(program))?;
        let [plain, tls, ca] = ["plain", "tls", "ca"].map(|name| driver.line_of(name));
        driver.line_of("ready")?;
        let written = programs.scratch_file("waits-written");
        Ok(Server { driver, plain: plain?, tls: tls?, ca: ca?, written })
    }

    /// From here on transactions are approved so many milliseconds after their start, and each answer
    /// comes so much later.
    pub fn reset(&mut self, answer_ms: u64, late_ms: u64) -> Result {
        self.driver.ask(&format!("reset {answer_ms} {late_ms}")).map(drop)
    }

    pub fn counts(&mut self) -> Result<Counts> {
        let said: Response = self.driver.ask("counts")?;
        let polls = said.number("polls")?;
        Ok(Counts {
            exchanges: polls + said.number("starts")? + said.number("availabilities")?,
            polls,
            accepted: said.number("accepted")?,
            most_open: said.number("most_open")?,
            cpu_ns: said.number("cpu_ns")?,
        })
    }

    /// How long it took from each final answer's write to what the file says about it, in ms, ascending.
    pub fn delays(&mut self, received: &Path) -> Result<Vec<f64>> {
        self.driver.ask(&format!("written {}", self.written.display()))?;
        let (written, received) = (read_times(&self.written)?, read_times(received)?);
        let mut delays = Vec::new();
        for (id, at) in &received {
            let since = written.get(id).ok_or(format!("nobody wrote an answer for {id}"))?;
            delays.push((at - since) / 1e6);
        }
        delays.sort_by(f64::total_cmp);
        Ok(delays)
    }
}

/// Lines of an id and nanoseconds.
fn read_times(file: &Path) -> Result<HashMap<u64, f64>> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let line = |line: &str| {
        let (id, at) = line.split_once(' ')?;
        Some((id.parse().ok()?, at.parse().ok()?))
    };
    text.lines().map(|text| line(text).ok_or(format!("'{text}' is no time"))).collect()
}
