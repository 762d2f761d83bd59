//! Running other programs: with a time limit, with what they print collected, and never left behind.

use std::env;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;

/// Long enough for a program under valgrind on a slow machine, short enough to end a hung one.
pub const LIMIT: Duration = Duration::from_secs(300);

/// A child that is killed when its owner goes away, also through a failure or a panic.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already; then both calls only say so.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How a program ended, and what it printed.
pub struct Finished {
    /// `None`: it ran out of time and was killed.
    pub status: Option<ExitStatus>,
    /// Both streams, line by line as they came.
    pub output: String,
    /// The standard output alone.
    pub stdout: String,
}

impl Finished {
    fn take(&mut self, line: &Line, show: Show) {
        self.output.push_str(&line.text);
        if line.from_stdout {
            self.stdout.push_str(&line.text);
        }
        if show == Show::Live {
            print!("{}", line.text);
        }
    }

    pub fn success(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    pub fn code(&self) -> Option<i32> {
        self.status.and_then(|status| status.code())
    }

    /// "exit status 1", "signal 11", "over 300 s".
    pub fn ending(&self) -> String {
        match self.status {
            Some(status) => status.to_string(),
            None => "it was still running at its time limit".to_owned(),
        }
    }

    /// An error with the end of the output in it, unless the program succeeded.
    pub fn expect_success(self, what: &str) -> Result<Self> {
        if self.success() {
            return Ok(self);
        }
        Err(format!("{what}: {}\n{}", self.ending(), last_lines(&self.output, 30)))
    }
}

#[derive(Clone, Copy, PartialEq)]
pub enum Show {
    /// Everything goes to the terminal as it comes.
    Live,
    Nothing,
}

/// Runs a command to its end, or to its limit.
pub fn run(command: &mut Command, show: Show, limit: Duration) -> Result<Finished> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    collect(command, show, Some(limit))
}

/// Runs a build tool: its standard error is the terminal's, with its progress bar and colours.
pub fn run_tool(command: &mut Command, show: Show) -> Result<Finished> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    collect(command, show, None)
}

/// What a short command prints; an error if it fails.
pub fn output(command: &mut Command) -> Result<String> {
    let finished = run(command, Show::Nothing, LIMIT)?;
    let name = command.get_program().to_string_lossy().into_owned();
    Ok(finished.expect_success(&name)?.stdout)
}

/// Where a program is, if it is installed.
pub fn find(program: &str) -> Option<PathBuf> {
    let name = format!("{program}{}", env::consts::EXE_SUFFIX);
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(&name)).find(|file| file.is_file())
}

fn collect(command: &mut Command, show: Show, limit: Option<Duration>) -> Result<Finished> {
    let spawned = command.spawn();
    let mut child =
        Running(spawned.map_err(|e| format!("{}: {e}", command.get_program().to_string_lossy()))?);
    let (sender, lines) = channel();
    if let Some(stdout) = child.0.stdout.take() {
        read_lines(stdout, sender.clone(), true);
    }
    if let Some(stderr) = child.0.stderr.take() {
        read_lines(stderr, sender.clone(), false);
    }
    drop(sender);
    let started = Instant::now();
    let mut finished = Finished { status: None, output: String::new(), stdout: String::new() };
    while finished.status.is_none() && limit.is_none_or(|limit| started.elapsed() < limit) {
        match lines.recv_timeout(Duration::from_millis(10)) {
            Ok(line) => finished.take(&line, show),
            Err(RecvTimeoutError::Timeout) => {}
            // It closed its streams and still runs.
            Err(RecvTimeoutError::Disconnected) => thread::sleep(Duration::from_millis(10)),
        }
        finished.status = child.0.try_wait().map_err(|e| e.to_string())?;
    }
    drop(child);
    // A grandchild may hold the pipe open, so its end is not waited for without a bound.
    while let Ok(line) = lines.recv_timeout(Duration::from_secs(1)) {
        finished.take(&line, show);
    }
    Ok(finished)
}

struct Line {
    text: String,
    from_stdout: bool,
}

fn read_lines(stream: impl Read + Send + 'static, lines: Sender<Line>, from_stdout: bool) {
    thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut bytes = Vec::new();
        while reader.read_until(b'\n', &mut bytes).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if lines.send(Line { text, from_stdout }).is_err() {
                return;
            }
            bytes.clear();
        }
    });
}

pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// Runs `work` on each item, a few at a time, and gives the answers in the items' order.
pub fn in_parallel<T: Sync, R: Send>(items: &[T], at_a_time: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(place) else { return done };
            done.push((place, work(item)));
        }
    };
    let mut done = thread::scope(|scope| {
        let workers: Vec<_> = (0..at_a_time).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|w| w.join().expect("a worker panicked")).collect::<Vec<_>>()
    });
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, answer)| answer).collect()
}
