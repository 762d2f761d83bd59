//! What a warm call costs, counted from outside: two runs of different length, and the difference,
//! so that starting up and connecting fall out. These figures do not depend on the machine's load.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::programs::{Programs, Subject};
use super::report::{Report, Table};
use super::{Plan, TRANSPORTS, Transport};
use crate::process;
use crate::{Result, files};

const FEW: usize = 100;
const MANY: usize = 1100;

/// The calls that send something.
const WRITES: &[&str] = &["write", "writev", "send", "sendto", "sendmsg", "sendmmsg"];
/// The calls that a name look-up, or a new connection, cannot do without.
const LOOK_UPS: &[&str] = &["socket", "connect", "open", "openat"];
const THREADS: &[&str] = &["clone", "clone3", "fork", "vfork"];

#[derive(Default)]
struct Counts {
    system_calls: Option<BTreeMap<String, f64>>,
    allocations: f64,
    instructions: Option<f64>,
}

pub fn measure(programs: &Programs, _: &Plan, report: &mut Report) -> Result {
    let mut table = Table::new(
        "A warm call, counted",
        &format!(
            "The difference between runs of {MANY} and {FEW} calls from one thread, divided. System calls by \
             strace, instructions outside the kernel by callgrind."
        ),
    );
    table.head(
        [
            "transport",
            "subject",
            "system calls",
            "which",
            "writes",
            "sockets and files opened",
            "threads started",
            "allocations",
            "instructions",
        ]
        .map(str::to_owned),
    );
    let mut data = Vec::new();
    let mut counted = Vec::new();
    for transport in TRANSPORTS {
        let subjects = programs.subjects.iter().filter(|s| s.has(transport) && !s.is_python());
        for subject in subjects {
            let counts = count(programs, *subject, transport)?;
            table.row(row(*subject, transport, &counts));
            if *subject == Subject::Mfa {
                record_figures(transport, &counts, report);
            }
            data.push(json(*subject, transport, &counts));
            counted.push((*subject, transport, counts));
        }
    }
    report.table(table);
    if programs.previous.is_some() {
        compare_with_previous(&counted, report);
    }
    report.data("counts", data.into());
    Ok(())
}

fn count(programs: &Programs, subject: Subject, transport: Transport) -> Result<Counts> {
    let mut counts = Counts::default();
    if process::find("strace").is_some() {
        let few = system_calls(programs, subject, transport, FEW)?;
        let mut many = system_calls(programs, subject, transport, MANY)?;
        many.iter_mut().for_each(|(name, n)| *n = (*n - few.get(name).unwrap_or(&0.0)) / (MANY - FEW) as f64);
        // Below that it is start-up that differed: a thread that was scheduled otherwise.
        many.retain(|_, n| *n >= 0.01);
        counts.system_calls = Some(many);
    }
    let mut driver = programs.start_counted(subject)?;
    let said = driver.ask(&format!("calls {} {MANY}", transport.name()))?;
    counts.allocations = said.number("allocations")? / MANY as f64;
    if process::find("valgrind").is_some() {
        let few = instructions(programs, subject, transport, FEW)?;
        let many = instructions(programs, subject, transport, MANY)?;
        counts.instructions = Some((many - few) / (MANY - FEW) as f64);
    }
    Ok(counts)
}

fn system_calls(
    programs: &Programs,
    subject: Subject,
    transport: Transport,
    calls: usize,
) -> Result<BTreeMap<String, f64>> {
    let file = programs.scratch_file("strace.txt");
    let watcher = ["strace", "-f", "-c", "-o", &file.to_string_lossy()];
    let mut driver = programs.start_under(&watcher, subject)?;
    driver.ask(&format!("calls {} {calls}", transport.name()))?;
    driver.end()?;
    Ok(read_strace(&files::read(&file)?))
}

/// `% time     seconds  usecs/call     calls    errors syscall`
fn read_strace(text: &str) -> BTreeMap<String, f64> {
    let rows = text.lines().filter_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let (calls, name) = (words.get(3)?.parse().ok()?, words.last()?);
        (*name != "total").then(|| (name.to_string(), calls))
    });
    rows.collect()
}

fn instructions(programs: &Programs, subject: Subject, transport: Transport, calls: usize) -> Result<f64> {
    let log = programs.scratch_file("callgrind.txt");
    let log_option = format!("--log-file={}", log.display());
    let watcher = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", &log_option];
    let mut driver = programs.start_under(&watcher, subject)?;
    driver.ask(&format!("calls {} {calls}", transport.name()))?;
    driver.end()?;
    let text = files::read(&log)?;
    let collected = text.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    collected.ok_or("callgrind did not say how many instructions it saw".to_owned())
}

impl Counts {
    fn sum(&self, names: &[&str]) -> Option<f64> {
        let calls = self.system_calls.as_ref()?;
        let counted = calls.iter().filter(|(name, _)| names.contains(&name.as_str()));
        Some(counted.fold(0.0, |sum, (_, n)| sum + n))
    }

    fn all(&self) -> Option<f64> {
        Some(self.system_calls.as_ref()?.values().sum())
    }
}

fn row(subject: Subject, transport: Transport, counts: &Counts) -> [String; 9] {
    let number = |n: Option<f64>, digits: usize| n.map_or("?".to_owned(), |n| format!("{n:.digits$}"));
    let which = counts.system_calls.iter().flatten().map(|(name, n)| format!("{name} {n:.2}"));
    [
        transport.name().to_owned(),
        subject.name().to_owned(),
        number(counts.all(), 2),
        which.collect::<Vec<_>>().join(", "),
        number(counts.sum(WRITES), 2),
        number(counts.sum(LOOK_UPS), 2),
        number(counts.sum(THREADS), 2),
        format!("{:.1}", counts.allocations),
        number(counts.instructions, 0),
    ]
}

fn record_figures(transport: Transport, counts: &Counts, report: &mut Report) {
    let figures = [
        ("system_calls", counts.all()),
        ("writes", counts.sum(WRITES)),
        ("look_ups", counts.sum(LOOK_UPS)),
        ("threads_started", counts.sum(THREADS)),
        ("allocations", Some(counts.allocations)),
    ];
    for (name, value) in figures {
        if let Some(value) = value {
            report.figure(&format!("{name} {}", transport.name()), value);
        }
    }
}

fn compare_with_previous(counted: &[(Subject, Transport, Counts)], report: &mut Report) {
    let mut table = Table::new(
        "A warm call, before and now",
        "The same counts of the previous library and of today's, side by side.",
    );
    table.head(["transport", "what", "before", "now", "difference"].map(str::to_owned));
    for transport in TRANSPORTS {
        let of = |subject| counted.iter().find(|(s, t, _)| *s == subject && *t == transport);
        let (Some((.., now)), Some((.., before))) = (of(Subject::Mfa), of(Subject::MfaPrevious)) else {
            continue;
        };
        let rows = [
            ("instructions", before.instructions, now.instructions, 0),
            ("system calls", before.all(), now.all(), 2),
            ("allocations", Some(before.allocations), Some(now.allocations), 2),
        ];
        for (what, before, now, digits) in rows {
            let (Some(before), Some(now)) = (before, now) else { continue };
            let cells = [before, now].map(|count| format!("{count:.digits$}"));
            // What the digits do not show is a system call or two of a whole run.
            let difference = if cells[0] == cells[1] { "none".to_owned() } else { difference(before, now) };
            let first = [transport.name().to_owned(), what.to_owned()];
            table.row(first.into_iter().chain(cells).chain([difference]));
            let key = format!("more_{} {}", what.replace(' ', "_"), transport.name());
            // Of these alone there are so many that one more is nothing.
            let more = if what == "instructions" { percent_more(before, now) } else { now - before };
            report.figure(&key, more);
        }
    }
    report.table(table);
}

fn percent_more(before: f64, now: f64) -> f64 {
    (now / before - 1.0) * 100.0
}

fn difference(before: f64, now: f64) -> String {
    // Of nothing there is no percentage.
    if before == 0.0 {
        format!("{:+.2}", now - before)
    } else {
        format!("{:+.2} %", percent_more(before, now))
    }
}

fn json(subject: Subject, transport: Transport, counts: &Counts) -> Value {
    json!({
        "subject": subject.name(),
        "transport": transport.name(),
        "allocations": counts.allocations,
        "instructions": counts.instructions,
        "system_calls": counts.system_calls.iter().flatten().collect::<BTreeMap<_, _>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_in_percent_of_what_was_before() {
        assert_eq!(difference(19384.0, 19481.0), "+0.50 %");
        assert_eq!(difference(4.0, 3.0), "-25.00 %");
        assert_eq!(difference(0.0, 1.0), "+1.00");
    }

    #[test]
    fn straces_table_is_read() {
        let text = "% time     seconds  usecs/call     calls    errors syscall\n\
                    ------ ----------- ----------- --------- --------- ----------------\n \
                    61.54    0.000016           8         2         1 recvfrom\n  \
                    0.00    0.000000           0         1           sendto\n\
                    ------ ----------- ----------- --------- --------- ----------------\n\
                    100.00    0.000026           8         3         1 total\n";
        let read: Vec<_> = read_strace(text).into_iter().collect();
        assert_eq!(read, [("recvfrom".to_owned(), 2.0), ("sendto".to_owned(), 1.0)]);
    }
}
