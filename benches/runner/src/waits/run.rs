//! One run: so many people are asked, and one peer waits for all of them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::peers::Peer;
use super::server::{Counts, Server};
use super::watch::{self, Cpu, Most};
use crate::Result;
use crate::driver::{Driver, Response};
use crate::programs::Programs;
use crate::statistics::quantile;

/// The person's time to answer.
pub const ANSWER_MS: u64 = 8_000;
/// Processor time is measured while all wait and nobody comes or goes. (c/waits.h and python/waits.py
/// stop their tickers for it.)
const CPU_FROM: Duration = Duration::from_millis(3_300);
const CPU_UNTIL: Duration = Duration::from_millis(6_800);
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Nobody's wait is that long.
const PATIENCE: Duration = Duration::from_secs(110);

#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Task {
    pub peer: Peer,
    pub count: usize,
    /// Over how long the people come; 0: all at once.
    pub over_ms: u64,
    /// By how much each answer of the server's is late.
    pub late_ms: u64,
}

/// What came of it.
pub struct Run {
    pub task: Task,
    pub approved: f64,
    pub errors: f64,
    pub most: Most,
    /// From the first person to the last answer.
    pub seconds: f64,
    pub cpu: Cpu,
    /// While all waited: the peer's processor time, and the exchanges that the server had with it.
    pub steady: Option<(Cpu, f64)>,
    /// ms that the loop kept its ticker waiting: p99.9 and worst.
    pub stall_ms: Option<(f64, f64)>,
    /// ms from the server's write of an approval to the caller, ascending.
    pub delays: Vec<f64>,
    pub counts: Counts,
    /// ms until the last person was asked, where the peer tells.
    pub started_ms: Option<f64>,
}

pub fn run(task: Task, programs: &Programs, server: &mut Server) -> Result<Run> {
    eprintln!("   {}: {} waits", task.peer.name(), task.count);
    server.reset(ANSWER_MS, task.late_ms)?;
    let mut driver = task.peer.start(programs, server)?;
    let received = programs.scratch_file("waits-received");
    let before = watch::cpu(driver.id())?;
    let began = Instant::now();
    driver.tell(&format!("waits tls {} {} {}", task.count, task.over_ms, received.display()))?;
    let mut most = Most::default();
    let (said, steady) = watch_until_it_ends(&mut driver, server, began, &mut most)?;
    let seconds = began.elapsed().as_secs_f64();
    most.look(driver.id())?;
    let ms = |name: &str| said.number(name).ok().map(|ns| ns / 1e6);
    Ok(Run {
        task,
        approved: said.number("approved")?,
        errors: said.number("errors")?,
        most,
        seconds,
        cpu: watch::cpu(driver.id())?.since(before),
        steady,
        stall_ms: ms("late_p999_ns").zip(ms("late_worst_ns")),
        delays: server.delays(&received)?,
        counts: server.counts()?,
        started_ms: ms("started_ns"),
    })
}

fn watch_until_it_ends(
    driver: &mut Driver,
    server: &mut Server,
    began: Instant,
    most: &mut Most,
) -> Result<(Response, Option<(Cpu, f64)>)> {
    let (mut from, mut until) = (None, None);
    while began.elapsed() < PATIENCE {
        let next = [CPU_FROM, CPU_UNTIL].map(|at| at.saturating_sub(began.elapsed()));
        let next = next.into_iter().filter(|left| !left.is_zero()).min().unwrap_or(LOOK_EVERY);
        if let Some(said) = driver.hear(next.min(LOOK_EVERY))? {
            let steady = from.zip(until).map(|(from, until): (Reading, Reading)| until.since(from));
            return Ok((said, steady));
        }
        if from.is_none() && began.elapsed() >= CPU_FROM {
            from = Some(Reading::take(driver, server)?);
        } else if until.is_none() && began.elapsed() >= CPU_UNTIL {
            until = Some(Reading::take(driver, server)?);
        }
        most.look(driver.id())?;
    }
    Err(format!("it had not ended after {} s", PATIENCE.as_secs()))
}

struct Reading {
    cpu: Cpu,
    exchanges: f64,
}

impl Reading {
    fn take(driver: &Driver, server: &mut Server) -> Result<Self> {
        Ok(Reading { cpu: watch::cpu(driver.id())?, exchanges: server.counts()?.exchanges })
    }

    fn since(self, before: Reading) -> (Cpu, f64) {
        (self.cpu.since(before.cpu), self.exchanges - before.exchanges)
    }
}

impl Run {
    pub fn has_all(&self) -> bool {
        self.approved == self.task.count as f64
    }

    /// Exchanges in a second while all waited.
    pub fn rate(&self) -> Option<f64> {
        let (_, exchanges) = self.steady?;
        Some(exchanges / (CPU_UNTIL - CPU_FROM).as_secs_f64())
    }

    pub fn delay_ms(&self, share: f64) -> f64 {
        quantile(&self.delays, share)
    }

    pub fn json(&self) -> Value {
        json!({
            "peer": self.task.peer.name(),
            "waits": self.task.count,
            "over_ms": self.task.over_ms,
            "late_ms": self.task.late_ms,
            "approved": self.approved,
            "errors": self.errors,
            "threads": self.most.threads,
            "descriptors": self.most.descriptors,
            "memory_mb": self.most.memory_mb,
            "seconds": self.seconds,
            "user_s": self.cpu.user,
            "system_s": self.cpu.system,
            "steady_user_s": self.steady.map(|(cpu, _)| cpu.user),
            "steady_system_s": self.steady.map(|(cpu, _)| cpu.system),
            "steady_exchanges": self.steady.map(|(_, exchanges)| exchanges),
            "stall_p999_ms": self.stall_ms.map(|(p999, _)| p999),
            "stall_worst_ms": self.stall_ms.map(|(_, worst)| worst),
            "delay_p50_ms": self.delay_ms(0.5),
            "delay_p99_ms": self.delay_ms(0.99),
            "exchanges": self.counts.exchanges,
            "polls": self.counts.polls,
            "connections": self.counts.accepted,
            "most_connections": self.counts.most_open,
            "server_cpu_s": self.counts.cpu_ns / 1e9,
            "started_ms": self.started_ms,
        })
    }
}
