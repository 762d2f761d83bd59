//! What is measured by itself: delays at a steady rate, the first seconds, a closed loop, adding and
//! cancelling, and bursts.

use serde_json::json;

use super::peers::Peer;
use super::run::{Task, run};
use super::server::Server;
use crate::programs::Programs;
use crate::report::{Report, Table};
use crate::statistics::{median, quantile};
use crate::{Plan, Result, Transport};

const MANY: usize = 10_000;
/// With the default interval they make about 1,000 polls a second.
const STEADY_WAITS: usize = 900;
/// A transaction that somebody else has started is answered within twice this.
const STEADY_ANSWER_MS: u64 = 2_000;
const FIRST_SECONDS_ANSWER_MS: u64 = 1_500;
const IN_FLIGHT: usize = 8;
const CLOSED_WAITS: usize = 20_000;
/// Nobody answers.
const NEVER_MS: u64 = 100_000_000;
const PYTHON_WAITS: usize = 2_000;

/// In rounds; each row is a median of them.
pub fn delays(programs: &Programs, plan: &Plan, server: &mut Server, report: &mut Report) -> Result {
    let mut table = Table::new(
        "Waits: from the server's write to the caller",
        "For each approval: from the server's write until the caller has it, in ms; medians of the rounds. \
         Steady: about 1,000 polls a second, each wait that ends makes room for the next. The first seconds: \
         10,000 waits at once for what others have started, over connections that are yet to be made.",
    );
    table
        .head(["what", "transport", "subject", "polls/s", "p50 ms", "p99 ms", "worst ms"].map(str::to_owned));
    let seconds = plan.steady_ms as f64 / 1e3;
    let steady = format!("{STEADY_WAITS} {}", plan.steady_ms);
    let rows = [
        ("steady", Peer::Bare, Transport::Plain, "steady", steady.as_str(), STEADY_ANSWER_MS, seconds),
        ("steady", Peer::Waiter, Transport::Plain, "steady", &steady, STEADY_ANSWER_MS, seconds),
        ("steady", Peer::Waiter, Transport::Tls, "steady", &steady, STEADY_ANSWER_MS, seconds),
        ("the first seconds", Peer::Waiter, Transport::Tls, "resume", "10000", FIRST_SECONDS_ANSWER_MS, 0.0),
    ];
    let mut bare_p99 = f64::NAN;
    let mut data = Vec::new();
    for (what, peer, transport, command, numbers, answer_ms, seconds) in rows {
        let mut quantiles = [const { Vec::new() }; 3];
        let mut rates = Vec::new();
        for _ in 0..plan.waits_rounds {
            server.reset(answer_ms, 0)?;
            let mut driver = peer.start(programs, server)?;
            let received = programs.scratch_file("waits-received");
            driver.ask(&format!("{command} {} {numbers} {}", transport.name(), received.display()))?;
            let delays = server.delays(&received)?;
            for (values, share) in quantiles.iter_mut().zip([0.5, 0.99, 1.0]) {
                values.push(quantile(&delays, share));
            }
            rates.push(server.counts()?.polls / seconds);
        }
        let [p50, p99, worst] = quantiles.map(median);
        let rate = if seconds > 0.0 { format!("{:.0}", median(rates)) } else { "-".to_owned() };
        let cells = [what, transport.name(), peer.name(), &rate].map(str::to_owned);
        table.row(cells.into_iter().chain([p50, p99, worst].map(|ms| format!("{ms:.2}"))));
        match (peer, command) {
            (Peer::Bare, _) => bare_p99 = p99,
            (_, "steady") => {
                report.figure(&format!("waits_steady_ms {}", transport.name()), p99 - bare_p99);
            }
            _ => report.figure("waits_first_seconds_ms", p99),
        }
        data.push(json!({
            "what": what,
            "transport": transport.name(),
            "peer": peer.name(),
            "p50_ms": p50,
            "p99_ms": p99,
            "worst_ms": worst,
        }));
    }
    report.table(table);
    report.data("waits_delays", data.into());
    Ok(())
}

/// So many exchanges in flight, always: what one costs on a waiter, and on as many threads.
pub fn closed_loop(programs: &Programs, plan: &Plan, server: &mut Server, report: &mut Report) -> Result {
    let peers = [Peer::Waiter, Peer::Threads];
    let mut costs = [const { Vec::new() }; 2];
    let mut ratios = Vec::new();
    let mut walls = [const { Vec::new() }; 2];
    for _ in 0..3 * plan.waits_rounds {
        for (at, peer) in peers.into_iter().enumerate() {
            server.reset(0, 0)?;
            let mut driver = peer.start(programs, server)?;
            let said = driver.ask(&format!("closed tls {IN_FLIGHT} {CLOSED_WAITS}"))?;
            costs[at].push(said.number("cpu_ns")? / 1e3);
            walls[at].push(said.number("wall_ns")? / 1e3);
        }
        ratios.extend(costs[0].last().zip(costs[1].last()).map(|(mine, other)| mine / other));
    }
    let mut table = Table::new(
        "Waits: a closed loop",
        "Waits for what is approved already, over TLS, 8 at once: each is added or called, makes one exchange \
         and has ended. Medians of the rounds.",
    );
    table.head(["subject", "CPU µs for each", "µs for each"].map(str::to_owned));
    for (at, peer) in peers.into_iter().enumerate() {
        let [cpu, wall] = [&costs[at], &walls[at]].map(|of| format!("{:.1}", median(of.clone())));
        table.row([peer.name().to_owned(), cpu, wall]);
    }
    report.table(table);
    report.figure("waits_closed_cpu", median(ratios.clone()));
    report.data("waits_closed", json!({"cpu_us": costs, "wall_us": walls, "cpu_ratios": ratios}));
    Ok(())
}

/// Adding thousands while another thread is in `next`, ending them all, and bursts.
pub fn bursts(programs: &Programs, plan: &Plan, server: &mut Server, report: &mut Report) -> Result {
    let mut figures: [Vec<f64>; 4] = Default::default();
    for _ in 0..plan.waits_rounds {
        server.reset(NEVER_MS, 0)?;
        let said = Peer::Waiter.start(programs, server)?.ask(&format!("adds tls {MANY}"))?;
        for (values, name) in figures.iter_mut().zip(["total_ns", "p99_ns", "worst_ns", "cancelled_ns"]) {
            values.push(said.number(name)? / 1e6);
        }
    }
    let data = json!({"total": figures[0], "p99": figures[1], "worst": figures[2], "cancelled": figures[3]});
    let [total, p99, worst, cancelled] = figures.map(median);
    let mut table = Table::new(
        "Waits: many at once",
        "The waiter over TLS. Adds come from one thread while another is in `next`; medians of the rounds.",
    );
    table.head(["what", "ms"].map(str::to_owned));
    let mut row = |what: &str, ms: f64| table.row([what.to_owned(), format!("{ms:.3}")]);
    row("10,000 mfa_waiter_wait calls, together", total);
    row("one of them, p99", p99);
    row("the slowest of them", worst);
    row("mfa_waiter_cancel_all over 10,000, to the last ENDED", cancelled);
    report.figure("waits_adds_ms", total);
    report.figure("waits_add_p99_ms", p99);
    report.figure("waits_cancel_ms", cancelled);
    let task = Task { peer: Peer::Waiter, count: MANY, over_ms: 0, late_ms: 0 };
    let burst = run(task, programs, server)?;
    row("10,000 confirms at once, to the last STARTED", burst.started_ms.unwrap_or(f64::NAN));
    let mut bursts = vec![burst.json()];
    let idle = Peer::Waiter.start(programs, server)?.ask("idle 3000")?.number("late_p999_ns")? / 1e6;
    row("C, an idle loop: the ticker's p99.9", idle);
    let (p999, _) = burst.stall_ms.unwrap_or((f64::NAN, f64::NAN));
    row("C, 10,000 confirms at once: the ticker's p99.9", p999);
    if Peer::PythonWaiter.prepare(programs).is_ok() {
        let peer = Peer::PythonWaiter;
        let idle = peer.start(programs, server)?.ask("idle 3000")?.number("late_p999_ns")? / 1e6;
        row("Python, an idle loop: the ticker's p99.9", idle);
        report.figure("waits_python_idle_ms", idle);
        let task = Task { peer, count: PYTHON_WAITS, over_ms: 0, late_ms: 0 };
        let burst = run(task, programs, server)?;
        let (p999, worst) = burst.stall_ms.unwrap_or((f64::NAN, f64::NAN));
        row("Python, 2,000 confirm_async at once: the ticker's p99.9", p999);
        row("the same: the longest stall", worst);
        bursts.push(burst.json());
    }
    report.table(table);
    report.data("waits_bursts", json!({"ms": data, "runs": bursts}));
    Ok(())
}
