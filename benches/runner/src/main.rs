//! What `cargo xtask bench` runs: libmfa beside what programs use otherwise, in one run and by turns.
//!
//! The subjects and what drives them are in `benches/`; they are told what to do by this program, one
//! after the other, so that each round's figures were taken within a second of each other. What is
//! said about a subject is the median of its ratios within the rounds.
#![forbid(unsafe_code)]

mod aims;
mod bindings;
mod counts;
mod delays;
mod driver;
mod footprint;
mod previous;
mod programs;
mod report;
mod schedule;
mod setup;
mod statistics;
mod throughput;
mod under_wine;
mod waits;

use std::process::ExitCode;

use xtask::{Result, c_compiler, cargo, files, library, packages, process, sandbox, wine, workspace};

use previous::{Origin, Previous};
use programs::Programs;
use report::Report;

/// How much is measured.
pub struct Plan {
    threads: &'static [usize],
    rounds: usize,
    slot_ms: u32,
    /// Python's subjects are slow and steady: they take part in every so-many-th round.
    python_every: usize,
    first_calls: usize,
    delay_rounds: usize,
    /// How many waits at once, ascending.
    waits: &'static [usize],
    /// So many of those who carry them.
    waits_peers: usize,
    waits_rounds: usize,
    steady_ms: u32,
}

const FULL: Plan = Plan {
    threads: &[1, 2, 4, 8, 32],
    rounds: 30,
    slot_ms: 250,
    python_every: 4,
    first_calls: 20,
    delay_rounds: 200,
    waits: &[500, 2_000, 10_000],
    waits_peers: usize::MAX,
    waits_rounds: 3,
    steady_ms: 10_000,
};

const QUICK: Plan = Plan {
    threads: &[1, 8],
    rounds: 7,
    slot_ms: 200,
    python_every: 4,
    first_calls: 7,
    delay_rounds: 50,
    waits: &[500, 2_000],
    waits_peers: 2,
    waits_rounds: 1,
    steady_ms: 5_000,
};

/// Each measures, and tells the report.
type Part = fn(&Programs, &Plan, &mut Report) -> Result;

const PARTS: &[(&str, Part)] = &[
    ("throughput", throughput::measure),
    ("counts", counts::measure),
    ("first-call", footprint::first_call),
    ("memory", footprint::idle_connections),
    ("size", footprint::size_on_disk),
    ("delays", delays::measure),
    ("schedule", schedule::measure),
    ("bindings", bindings::measure),
    ("waits", waits::measure),
    ("wine", under_wine::measure),
];

struct Options {
    setup: bool,
    plan: &'static Plan,
    only: Vec<String>,
    previous: Option<Origin>,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    run(&words).unwrap_or_else(|why| {
        eprintln!("cargo xtask bench: {why}");
        ExitCode::FAILURE
    })
}

fn run(words: &[String]) -> Result<ExitCode> {
    let options = parse(words)?;
    if options.setup {
        setup::install()?;
    }
    let previous = options.previous.as_ref().map(Previous::get).transpose()?;
    let programs = Programs::build(previous)?;
    let mut report = Report::new(&programs)?;
    let mut all_ran = true;
    for (name, part) in PARTS {
        if options.only.is_empty() || options.only.iter().any(|only| only == name) {
            eprintln!("== {name}");
            if let Err(why) = part(&programs, options.plan, &mut report) {
                report.skipped(name, &why);
                all_ran = false;
            }
        }
    }
    let markdown = report.markdown();
    print!("{markdown}");
    let folder = workspace::target()?.join("bench");
    files::create_folder(&folder)?;
    let (text, data) = (folder.join("bench.md"), folder.join("bench.json"));
    files::write(&text, &markdown)?;
    files::write(&data, &format!("{:#}\n", report.json()))?;
    eprintln!("(kept in {} and {})", text.display(), data.display());
    Ok(if all_ran { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn parse(words: &[String]) -> Result<Options> {
    let mut options = Options { setup: false, plan: &FULL, only: Vec::new(), previous: None };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--setup" => options.setup = true,
            "--quick" => options.plan = &QUICK,
            "--only" => {
                let names: Vec<_> = PARTS.iter().map(|(name, _)| *name).collect();
                let name = words.next().filter(|word| names.contains(&word.as_str()));
                let name = name.ok_or(format!("--only takes one of {}", names.join(", ")))?;
                options.only.push(name.clone());
            }
            "--previous" => {
                let revision = words.next().ok_or("--previous takes a revision, such as a tag or HEAD~3")?;
                options.previous = Some(Origin::Revision(revision.clone()));
            }
            "--previous-library" => {
                let file = words.next().ok_or("--previous-library takes a file, such as libmfa.so")?;
                options.previous = Some(Origin::File(file.into()));
            }
            other => return Err(format!("it does not know '{other}'")),
        }
    }
    Ok(options)
}

/// How the bytes travel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Plain,
    Tls,
}

const TRANSPORTS: [Transport; 2] = [Transport::Plain, Transport::Tls];

impl Transport {
    /// As the drivers know it.
    fn name(self) -> &'static str {
        match self {
            Transport::Plain => "plain",
            Transport::Tls => "tls",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Transport::Plain => "Plain HTTP",
            Transport::Tls => "TLS",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Options> {
        parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn the_library_before_comes_from_a_revision_or_a_file() -> Result {
        assert_eq!(parsed(&["--quick"])?.previous, None);
        assert_eq!(parsed(&["--previous", "v1"])?.previous, Some(Origin::Revision("v1".into())));
        assert_eq!(parsed(&["--previous-library", "a.so"])?.previous, Some(Origin::File("a.so".into())));
        assert!(parsed(&["--previous"]).is_err() && parsed(&["--previous-library"]).is_err());
        Ok(())
    }
}
