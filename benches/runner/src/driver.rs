//! A program that takes commands on its standard input and answers each with one line:
//! `benches/c/throughput.c`, `benches/python/compare.py`, and those of the part `waits`.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::process::Running;

/// Under valgrind, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Driver {
    process: Running,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

/// What a driver said: `name=value` for each figure.
pub struct Response(String);

impl Response {
    pub fn number(&self, name: &str) -> Result<f64> {
        let value = self.0.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        value.and_then(|v| v.parse().ok()).ok_or(format!("the driver gave no {name}: {}", self.0))
    }
}

impl Driver {
    pub fn start(mut command: Command) -> Result<Self> {
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process =
            Running(spawned.map_err(|e| format!("{}: {e}", command.get_program().to_string_lossy()))?);
        let stdout = process.0.stdout.take().expect("its standard output is piped");
        let stdin = process.0.stdin.take();
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(std::result::Result::ok) {
                let _ = sender.send(line);
            }
        });
        Ok(Self { process, stdin, lines })
    }

    /// Gives a command whose calls must all succeed.
    pub fn ask(&mut self, command: &str) -> Result<Response> {
        let response = Response(self.line(command)?);
        match response.number("errors")? {
            0.0 => Ok(response),
            errors => Err(format!("'{command}': {errors} wrong answers")),
        }
    }

    pub fn version(&mut self) -> Result<String> {
        let line = self.line("version")?;
        Ok(line.trim_start_matches("version=").to_owned())
    }

    /// What it says of itself when it begins, in the order in which it does: `name: value`.
    pub fn line_of(&mut self, name: &str) -> Result<String> {
        let line = self.lines.recv_timeout(PATIENCE).map_err(|_| format!("it did not say its {name}"))?;
        let value = line.strip_prefix(name).and_then(|rest| rest.strip_prefix(": "));
        value.map(str::to_owned).ok_or(format!("'{line}' in place of its {name}"))
    }

    /// The process's number, for those who watch it from outside.
    pub fn id(&self) -> u32 {
        self.process.0.id()
    }

    /// Gives a command and does not wait: `hear` has what came of it.
    pub fn tell(&mut self, command: &str) -> Result {
        let stdin = self.stdin.as_mut().ok_or("the driver has ended")?;
        writeln!(stdin, "{command}").map_err(|e| format!("'{command}': {e}"))
    }

    /// The answer to what it was told, if it comes so soon. It may tell of calls that failed.
    pub fn hear(&mut self, patience: Duration) -> Result<Option<Response>> {
        match self.lines.recv_timeout(patience) {
            Ok(line) => line.strip_prefix("ok ").map(|said| Some(Response(said.to_owned()))).ok_or(line),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err("the driver has ended".to_owned()),
        }
    }

    fn line(&mut self, command: &str) -> Result<String> {
        self.tell(command)?;
        let line = self.lines.recv_timeout(PATIENCE);
        let line = line.map_err(|_| format!("'{command}': the driver did not answer"))?;
        line.strip_prefix("ok ").map(str::to_owned).ok_or(format!("'{command}': {line}"))
    }

    /// Lets it end by itself, so that whoever watches it can write down what it saw.
    pub fn end(mut self) -> Result {
        self.stdin = None;
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            match self.process.0.try_wait() {
                Ok(None) => thread::sleep(Duration::from_millis(5)),
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(format!("the driver ended with {status}")),
                Err(e) => return Err(e.to_string()),
            }
        }
        Err("the driver did not end".to_owned())
    }
}
