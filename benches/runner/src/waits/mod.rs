//! Thousands of waits at once: libmfa's waiter beside what programs do otherwise.
//!
//! The programs are `benches/c/waits_*.c` and `benches/python/waits.py`. Each run is a fresh process,
//! since what it takes at the most is one of the figures.

mod apart;
mod peers;
mod run;
mod server;
mod watch;

use serde_json::Value;

use crate::programs::Programs;
use crate::report::{Report, Table};
use crate::{Plan, Result};

use peers::Peer;
use run::{Run, Task};
use server::Server;

/// The people come over this.
const OVER_MS: u64 = 2_000;
/// An answer that needs the network's time, so that none is there at the next look.
const LATE_MS: u64 = 22;
/// Two make as many exchanges in a second, or nearly so: then what each costs may be compared.
const SAME_RATE: f64 = 0.85;

pub fn measure(programs: &Programs, plan: &Plan, report: &mut Report) -> Result {
    let mut server = Server::start(programs)?;
    let peers = prepared(programs, plan, report)?;
    let runs = carry(&peers, programs, plan, &mut server, report)?;
    report.table(table("Waits: who carries how many", &runs, &peers, plan));
    record(&runs, plan, report);
    let late = late_answers(&peers, programs, plan, &mut server)?;
    let title = format!("Waits: answers {LATE_MS} ms late");
    report.table(table(&title, &late, &peers, plan));
    let most = *plan.waits.last().unwrap_or(&0);
    if let Some(ratio) = ratio(&late, Peer::CurlPool, most, Cost::All) {
        report.figure("waits_cpu late pool", ratio);
    }
    report.data("waits", runs.iter().chain(&late).map(Run::json).collect::<Value>());
    apart::delays(programs, plan, &mut server, report)?;
    apart::closed_loop(programs, plan, &mut server, report)?;
    apart::bursts(programs, plan, &mut server, report)?;
    record_python(&runs, report);
    Ok(())
}

/// Those that can be measured here.
fn prepared(programs: &Programs, plan: &Plan, report: &mut Report) -> Result<Vec<Peer>> {
    Peer::Bare.prepare(programs)?;
    Peer::Threads.prepare(programs)?;
    let mut peers = Vec::new();
    for peer in Peer::ALL.into_iter().take(plan.waits_peers) {
        match peer.prepare(programs) {
            Ok(()) => peers.push(peer),
            Err(why) if peer == Peer::Waiter => return Err(why),
            Err(why) => report.skipped(peer.name(), &why),
        }
    }
    Ok(peers)
}

/// By turns. All take part in the first round, and then those that the aims compare.
fn carry(
    peers: &[Peer],
    programs: &Programs,
    plan: &Plan,
    server: &mut Server,
    report: &mut Report,
) -> Result<Vec<Run>> {
    let mut runs: Vec<Run> = Vec::new();
    let mut out = Vec::new();
    for round in 0..plan.waits_rounds {
        for count in plan.waits {
            for peer in peers {
                if out.contains(peer) || (round > 0 && !is_compared(*peer, *count)) {
                    continue;
                }
                let task = Task { peer: *peer, count: *count, over_ms: OVER_MS, late_ms: 0 };
                let run = run::run(task, programs, server);
                // Where it failed with fewer, it would with more.
                if !run.as_ref().is_ok_and(Run::has_all) {
                    out.push(*peer);
                }
                match run {
                    Ok(run) => runs.push(run),
                    Err(why) => report.skipped(&format!("{}, {count} waits", peer.name()), &why),
                }
            }
        }
    }
    Ok(runs)
}

fn is_compared(peer: Peer, count: usize) -> bool {
    match peer {
        Peer::Waiter | Peer::CurlPool => true,
        Peer::Aiohttp => count <= COMPARED_WITH_AIOHTTP,
        _ => false,
    }
}

/// With more it cannot keep the schedule.
const COMPARED_WITH_AIOHTTP: usize = 2_000;

fn late_answers(peers: &[Peer], programs: &Programs, plan: &Plan, server: &mut Server) -> Result<Vec<Run>> {
    let mut runs = Vec::new();
    let count = *plan.waits.last().unwrap_or(&0);
    for _ in 0..plan.waits_rounds {
        for peer in peers.iter().filter(|peer| matches!(peer, Peer::Waiter | Peer::CurlPool)) {
            let task = Task { peer: *peer, count, over_ms: OVER_MS, late_ms: LATE_MS };
            runs.push(run::run(task, programs, server)?);
        }
    }
    Ok(runs)
}

#[derive(Clone, Copy)]
enum Cost {
    User,
    All,
}

/// µs of processor time for an exchange while all waited, over all these runs.
fn cost_us<'a>(runs: impl IntoIterator<Item = &'a Run>, cost: Cost) -> Option<f64> {
    let (mut seconds, mut exchanges) = (0.0, 0.0);
    for (cpu, its) in runs.into_iter().filter_map(|run| run.steady) {
        seconds += match cost {
            Cost::User => cpu.user,
            Cost::All => cpu.all(),
        };
        exchanges += its;
    }
    (exchanges > 0.0).then_some(seconds / exchanges * 1e6)
}

fn of(runs: &[Run], peer: Peer, count: usize) -> impl Iterator<Item = &Run> {
    runs.iter().filter(move |run| run.task.peer == peer && run.task.count == count)
}

/// The waiter's cost through the other's, over those rounds in which the other made as many exchanges in a
/// second; `None`: there was none.
fn ratio(runs: &[Run], other: Peer, count: usize, cost: Cost) -> Option<f64> {
    let rounds = of(runs, Peer::Waiter, count).zip(of(runs, other, count));
    let is_same_rate = |(mine, its): &(&Run, &Run)| {
        mine.rate().zip(its.rate()).is_some_and(|(mine, its)| its >= mine * SAME_RATE)
    };
    let (mine, its): (Vec<_>, Vec<_>) = rounds.filter(is_same_rate).unzip();
    Some(cost_us(mine, cost)? / cost_us(its, cost)?)
}

/// What the aims are about.
fn record(runs: &[Run], plan: &Plan, report: &mut Report) {
    for count in plan.waits {
        for (cost, name) in [(Cost::User, "user"), (Cost::All, "cpu")] {
            for (other, its_name) in [(Peer::CurlPool, "pool"), (Peer::Aiohttp, "aiohttp")] {
                if let Some(ratio) = ratio(runs, other, *count, cost) {
                    report.figure(&format!("waits_{name} {count} {its_name}"), ratio);
                }
            }
        }
        let worst = |figure: fn(&Run) -> f64| of(runs, Peer::Waiter, *count).map(figure).reduce(f64::max);
        let worst = [
            ("waits_threads", worst(|run| run.most.threads - 1.0)),
            ("waits_mb", worst(|run| run.most.memory_mb)),
            ("waits_missing", worst(|run| run.task.count as f64 - run.approved)),
        ];
        for (name, value) in worst {
            value.into_iter().for_each(|value| report.figure(&format!("{name} {count}"), value));
        }
    }
}

fn record_python(runs: &[Run], report: &mut Report) {
    let Some(run) = of(runs, Peer::PythonWaiter, 2_000).next() else { return };
    report.figure("waits_python_threads", run.most.threads);
    report.figure("waits_python_mb", run.most.memory_mb);
    if let Some(((p999, _), idle)) = run.stall_ms.zip(report.known("waits_python_idle_ms")) {
        report.figure("waits_python_stall_ms", p999 - idle);
    }
}

/// Of several rounds the first tells of what is not processor time.
fn table(title: &str, runs: &[Run], peers: &[Peer], plan: &Plan) -> Table {
    let mut table = Table::new(
        title,
        "People come over two seconds, each with a token of 1,100 bytes, over TLS, at most 256 connections; \
         they approve 8 s after they were asked. CPU for an exchange: while all waited (3.3 to 6.8 s), user \
         and user + system, over all rounds; compare it at the same exchanges/s only. CPU in all: of the whole \
         run. Stall: p99.9 of how late the loop lets a 1 ms ticker run, while people come and while they are \
         told. Delay: from the server's write of an approval to the caller. Server: its own CPU for an \
         exchange. Of a peer that missed an approval no larger number was tried.",
    );
    let head = [
        "waits",
        "subject",
        "approved",
        "threads",
        "MB",
        "descriptors",
        "connections",
        "s",
        "exchanges/s",
        "CPU in all, s",
        "user µs",
        "CPU µs",
        "stall ms",
        "delay p50 ms",
        "p99",
        "server µs",
    ];
    table.head(head.map(str::to_owned));
    for count in plan.waits {
        for peer in peers {
            if let Some(run) = of(runs, *peer, *count).next() {
                table.row(row(run, runs));
            }
        }
    }
    table
}

fn row(run: &Run, runs: &[Run]) -> Vec<String> {
    let Task { peer, count, .. } = run.task;
    let number = |value: Option<f64>, digits: usize| match value {
        Some(value) => format!("{value:.digits$}"),
        None => "-".to_owned(),
    };
    vec![
        count.to_string(),
        peer.name().to_owned(),
        format!("{:.0}", run.approved),
        format!("{:.0}", run.most.threads),
        format!("{:.1}", run.most.memory_mb),
        format!("{:.0}", run.most.descriptors),
        format!("{:.0}", run.counts.accepted),
        format!("{:.1}", run.seconds),
        number(run.rate(), 0),
        format!("{:.2}", run.cpu.all()),
        number(cost_us(of(runs, peer, count), Cost::User), 1),
        number(cost_us(of(runs, peer, count), Cost::All), 1),
        number(run.stall_ms.map(|(p999, _)| p999).filter(|_| peer.has_loop()), 1),
        format!("{:.2}", run.delay_ms(0.5)),
        format!("{:.2}", run.delay_ms(0.99)),
        format!("{:.1}", run.counts.cpu_ns / 1e3 / run.counts.exchanges),
    ]
}

#[cfg(test)]
mod tests {
    use super::server::Counts;
    use super::watch::{Cpu, Most};
    use super::*;

    fn run_of(peer: Peer, user: f64, exchanges: f64) -> Run {
        Run {
            task: Task { peer, count: 9, over_ms: OVER_MS, late_ms: 0 },
            approved: 9.0,
            errors: 0.0,
            most: Most::default(),
            seconds: 10.0,
            cpu: Cpu::default(),
            steady: Some((Cpu { user, system: user }, exchanges)),
            stall_ms: None,
            delays: Vec::new(),
            counts: Counts::default(),
            started_ms: None,
        }
    }

    #[test]
    fn costs_are_of_all_rounds_together() {
        let runs = [run_of(Peer::Waiter, 1.0, 1e6), run_of(Peer::Waiter, 0.5, 2e6)];
        assert_eq!(cost_us(&runs, Cost::User), Some(0.5));
        assert_eq!(cost_us(&runs, Cost::All), Some(1.0));
        assert_eq!(cost_us(of(&runs, Peer::Waiter, 8), Cost::All), None);
        assert_eq!(cost_us(of(&runs, Peer::Httpx, 9), Cost::All), None);
    }

    #[test]
    fn costs_are_compared_at_the_same_rate_only() {
        let against = |exchanges| {
            let runs = [run_of(Peer::Waiter, 1.0, 1e6), run_of(Peer::CurlPool, 4.0, exchanges)];
            ratio(&runs, Peer::CurlPool, 9, Cost::User)
        };
        assert_eq!(against(1e6), Some(0.25));
        assert!(against(0.9e6).is_some());
        assert_eq!(against(0.8e6), None, "in a loop that sleeps more each exchange costs more");
        let runs = [
            run_of(Peer::Waiter, 1.0, 1e6),
            run_of(Peer::CurlPool, 99.0, 0.1e6),
            run_of(Peer::Waiter, 1.0, 1e6),
            run_of(Peer::CurlPool, 2.0, 1e6),
        ];
        assert_eq!(ratio(&runs, Peer::CurlPool, 9, Cost::User), Some(0.5), "of the second round alone");
    }
}
