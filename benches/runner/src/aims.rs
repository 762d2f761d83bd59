//! What libmfa is to reach, and whether it does.

use super::report::Table;

enum Aim {
    AtMost(f64),
    AtLeast(f64),
}
use Aim::{AtLeast, AtMost};

/// What it is called, the figure that the parts report, and the aim.
const AIMS: &[(&str, &str, Aim)] = &[
    ("p50, 1 thread, plain, through a bare socket's", "p50_us plain 1 bare socket", AtMost(1.08)),
    ("p50, 1 thread, plain, through libcurl's", "p50_us plain 1 libcurl + cJSON", AtMost(0.88)),
    ("calls/s, 8 threads, plain, through a bare socket's", "calls_per_s plain 8 bare socket", AtLeast(0.80)),
    ("calls/s, 8 threads, plain, through libcurl's", "calls_per_s plain 8 libcurl + cJSON", AtLeast(1.45)),
    ("calls/s, 8 threads, TLS, through libcurl's", "calls_per_s tls 8 libcurl + cJSON", AtLeast(1.5)),
    ("CPU per call, 8 threads, plain, through a bare socket's", "cpu_us plain 8 bare socket", AtMost(1.40)),
    ("CPU per call, 8 threads, plain, through libcurl's", "cpu_us plain 8 libcurl + cJSON", AtMost(0.55)),
    ("CPU per call, 8 threads, TLS, through libcurl's", "cpu_us tls 8 libcurl + cJSON", AtMost(0.50)),
    ("p99, 8 threads, plain, through libcurl's", "p99_us plain 8 libcurl + cJSON", AtMost(0.85)),
    ("p99, 8 threads, TLS, through libcurl's", "p99_us tls 8 libcurl + cJSON", AtMost(0.85)),
    ("threads beyond the callers' own", "more_threads", AtMost(0.0)),
    ("threads started in a warm call", "threads_started plain", AtMost(0.0)),
    ("sockets and files opened in a warm call (look-ups)", "look_ups plain", AtMost(0.0)),
    ("writes in a warm call, plain", "writes plain", AtMost(1.0)),
    ("writes in a warm call, TLS", "writes tls", AtMost(1.0)),
    ("system calls in a warm call, plain", "system_calls plain", AtMost(4.0)),
    ("system calls in a warm call, TLS", "system_calls tls", AtMost(4.0)),
    ("allocations in a warm call, plain", "allocations plain", AtMost(36.0)),
    ("allocations in a warm call, TLS", "allocations tls", AtMost(36.0)),
    ("kB for an idle connection, plain", "idle_kb plain", AtMost(20.0)),
    ("kB for an idle connection, TLS", "idle_kb tls", AtMost(30.0)),
    ("ms from cancel to return, p99, waiting for the network", "cancel_ms", AtMost(2.0)),
    ("ms after the deadline, p99", "late_ms", AtMost(5.0)),
    ("s from a decision to its being known, mean", "schedule_mean_s", AtMost(0.9)),
    ("s from a decision to its being known, 95th percentile", "schedule_p95_s", AtMost(2.3)),
    ("polls in a confirm, mean", "schedule_polls", AtMost(11.0)),
    ("MB of libmfa.so, stripped, with TLS", "size_mb", AtMost(1.75)),
    ("10,000 waits: threads beyond the caller's own", "waits_threads 10000", AtMost(0.0)),
    ("10,000 waits: approvals that did not arrive", "waits_missing 10000", AtMost(0.0)),
    ("10,000 waits: MB at the most, of the whole process", "waits_mb 10000", AtMost(32.0)),
    ("10,000 waits: user CPU a poll, through libcurl's pool", "waits_user 10000 pool", AtMost(0.35)),
    ("2,000 waits: user CPU a poll, through libcurl's pool", "waits_user 2000 pool", AtMost(0.35)),
    ("2,000 waits: user CPU a poll, through aiohttp's", "waits_user 2000 aiohttp", AtMost(0.10)),
    ("10,000 waits: CPU a poll, through libcurl's pool", "waits_cpu 10000 pool", AtMost(0.75)),
    ("2,000 waits: CPU a poll, through libcurl's pool", "waits_cpu 2000 pool", AtMost(0.75)),
    ("the same with answers 22 ms late, most waits", "waits_cpu late pool", AtMost(0.45)),
    ("8 exchanges in flight: CPU, through 8 threads'", "waits_closed_cpu", AtMost(1.25)),
    (
        "1,000 polls/s, plain: ms to the caller, p99, above a bare socket's",
        "waits_steady_ms plain",
        AtMost(0.5),
    ),
    ("1,000 polls/s, TLS: ms to the caller, p99, above a bare socket's", "waits_steady_ms tls", AtMost(0.5)),
    ("the first seconds of 10,000 waits: ms to the caller, p99", "waits_first_seconds_ms", AtMost(10.0)),
    ("10,000 waits are added: ms, together", "waits_adds_ms", AtMost(1000.0)),
    ("10,000 waits are added: ms for one, p99", "waits_add_p99_ms", AtMost(1.0)),
    ("10,000 waits are cancelled: ms to the last ENDED", "waits_cancel_ms", AtMost(250.0)),
    ("Python, 2,000 waits: threads", "waits_python_threads", AtMost(3.0)),
    ("Python, 2,000 waits: MB at the most", "waits_python_mb", AtMost(60.0)),
    (
        "Python, 2,000 waits: ms that the loop stalls, p99.9, above an idle one's",
        "waits_python_stall_ms",
        AtMost(20.0),
    ),
    // Beside the library before a change, where one was named.
    ("kB of libmfa.so more than before", "more_kb", AtMost(60.0)),
    ("instructions in a warm call, plain, % more than before", "more_instructions plain", AtMost(2.0)),
    ("instructions in a warm call, TLS, % more than before", "more_instructions tls", AtMost(2.0)),
    ("system calls in a warm call, plain, more than before", "more_system_calls plain", AtMost(0.0)),
    ("system calls in a warm call, TLS, more than before", "more_system_calls tls", AtMost(0.0)),
    ("allocations in a warm call, plain, more than before", "more_allocations plain", AtMost(0.0)),
    ("allocations in a warm call, TLS, more than before", "more_allocations tls", AtMost(0.0)),
    ("1 thread, plain, % slower than before: surely", "surely_slower plain 1", AtMost(2.0)),
    ("1 thread, TLS, % slower than before: surely", "surely_slower tls 1", AtMost(2.0)),
    ("8 threads, plain, % slower than before: surely", "surely_slower plain 8", AtMost(2.0)),
    ("8 threads, TLS, % slower than before: surely", "surely_slower tls 8", AtMost(2.0)),
];

/// Those that were measured. `figure` knows them by name.
pub fn table(figure: impl Fn(&str) -> Option<f64>) -> Table {
    let mut table = Table::new(
        "Aims",
        "Ratios are medians of ratios within the rounds. \"Surely\": the lower end of the ratio's 95 % \
         interval, and of a row's figures the worst.",
    );
    table.head(["what", "aim", "measured", ""].map(str::to_owned));
    for (what, key, aim) in AIMS {
        // As the table shows it: what a hundredth cannot tell is no miss.
        let Some(measured) = figure(key).map(|value| (value * 100.0).round() / 100.0) else { continue };
        let (text, is_met) = match aim {
            AtMost(limit) => (format!("≤ {limit}"), measured <= *limit),
            AtLeast(limit) => (format!("≥ {limit}"), measured >= *limit),
        };
        let verdict = if is_met { "met" } else { "**missed**" };
        table.row([(*what).to_owned(), text, format!("{measured:.2}"), verdict.to_owned()]);
    }
    table
}
