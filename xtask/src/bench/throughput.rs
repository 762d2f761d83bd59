//! Calls for a while, from several threads, each subject in its turn.

use super::driver::Driver;
use super::json::Json;
use super::programs::{Programs, Subject};
use super::report::{Report, Table};
use super::{Plan, TRANSPORTS, Transport, median};
use crate::Result;

/// Long enough to make the connections and to fill the caches.
const WARM_UP_MS: u32 = 60;

/// What one subject did in one round.
struct Slot {
    subject: Subject,
    transport: Transport,
    threads: usize,
    round: usize,
    figures: [f64; FIGURES.len()],
    calls: f64,
    /// Threads beyond those that make the calls; Python's are not counted.
    more_threads: Option<f64>,
}

/// A figure of a slot: its key in the data, its title, and how the tables write it.
struct Figure {
    key: &'static str,
    title: &'static str,
    digits: usize,
}

/// In this order in `Slot::figures`; times are in microseconds.
const FIGURES: [Figure; 4] = [
    Figure { key: "calls_per_s", title: "calls/s", digits: 0 },
    Figure { key: "p50_us", title: "p50 µs", digits: 1 },
    Figure { key: "p99_us", title: "p99 µs", digits: 1 },
    Figure { key: "cpu_us", title: "CPU µs per call", digits: 1 },
];

pub fn measure(programs: &Programs, plan: &Plan, report: &mut Report) -> Result {
    let mut drivers = Vec::new();
    for subject in &programs.subjects {
        drivers.push((*subject, programs.start(*subject)?));
    }
    let mut slots = Vec::new();
    for round in 0..plan.rounds {
        eprintln!("   round {} of {}", round + 1, plan.rounds);
        for transport in TRANSPORTS {
            for threads in plan.threads {
                // Another one begins each time, so that none always follows the same neighbour.
                let count = drivers.len();
                drivers.rotate_left(1 % count);
                for (subject, driver) in &mut drivers {
                    let takes_part = !subject.is_python() || round % plan.python_every == 0;
                    if takes_part && subject.has(transport) {
                        slots.push(slot(driver, *subject, transport, *threads, round, plan)?);
                    }
                }
            }
        }
    }
    for transport in TRANSPORTS {
        report.table(table(&slots, transport, plan, programs));
    }
    tell_figures(&slots, report);
    report.data("throughput", Json::List(slots.iter().map(Json::from).collect()));
    Ok(())
}

fn slot(
    driver: &mut Driver,
    subject: Subject,
    transport: Transport,
    threads: usize,
    round: usize,
    plan: &Plan,
) -> Result<Slot> {
    let name = transport.name();
    driver.ask(&format!("run {name} {threads} {WARM_UP_MS}"))?;
    let said = driver.ask(&format!("run {name} {threads} {}", plan.slot_ms))?;
    let calls = said.number("calls")?;
    let figures = [
        calls / (said.number("wall_ns")? / 1e9),
        said.number("p50_ns")? / 1e3,
        said.number("p99_ns")? / 1e3,
        said.number("cpu_ns")? / 1e3 / calls,
    ];
    let more_threads = said.number("threads").ok();
    Ok(Slot { subject, transport, threads, round, figures, calls, more_threads })
}

impl From<&Slot> for Json {
    fn from(slot: &Slot) -> Json {
        let mut fields = vec![
            ("subject".to_owned(), slot.subject.name().into()),
            ("transport".to_owned(), slot.transport.into()),
            ("threads".to_owned(), slot.threads.into()),
            ("round".to_owned(), slot.round.into()),
            ("calls".to_owned(), slot.calls.into()),
        ];
        fields.extend(slot.more_threads.map(|count| ("more_threads".to_owned(), count.into())));
        let figures = FIGURES.iter().zip(slot.figures);
        fields.extend(figures.map(|(figure, value)| (figure.key.to_owned(), value.into())));
        Json::Object(fields)
    }
}

/// The slots of one subject, in the order of the rounds.
fn of(slots: &[Slot], transport: Transport, threads: usize, subject: Subject) -> impl Iterator<Item = &Slot> {
    slots.iter().filter(move |s| s.transport == transport && s.threads == threads && s.subject == subject)
}

fn value(slots: &[Slot], transport: Transport, threads: usize, subject: Subject, figure: usize) -> f64 {
    median(of(slots, transport, threads, subject).map(|slot| slot.figures[figure]).collect())
}

/// The median of libmfa's figure through the other's, in each round that both took part in.
fn ratio(slots: &[Slot], transport: Transport, threads: usize, other: Subject, figure: usize) -> f64 {
    let mine = |round| of(slots, transport, threads, Subject::Mfa).find(|slot| slot.round == round);
    let ratios = of(slots, transport, threads, other)
        .filter_map(|slot| Some(mine(slot.round)?.figures[figure] / slot.figures[figure]));
    median(ratios.collect())
}

fn table(slots: &[Slot], transport: Transport, plan: &Plan, programs: &Programs) -> Table {
    let mut table = Table::new(
        &format!("{}: calls", transport.title()),
        &format!(
            "Medians of {} rounds of {} ms. \"libmfa :\" is libmfa's figure through the row's, the median of \
             the ratios within the rounds.",
            plan.rounds, plan.slot_ms
        ),
    );
    let titles = FIGURES.iter().map(|figure| figure.title.to_owned());
    let ratios = FIGURES.iter().map(|figure| format!("libmfa : {}", figure.title.trim_end_matches(" µs")));
    table.head(["threads".to_owned(), "subject".to_owned()].into_iter().chain(titles).chain(ratios));
    for threads in plan.threads {
        for subject in programs.subjects.iter().filter(|subject| subject.has(transport)) {
            let values = FIGURES.iter().enumerate().map(|(at, figure)| {
                format!("{:.*}", figure.digits, value(slots, transport, *threads, *subject, at))
            });
            let ratios = (0..FIGURES.len()).map(|at| match subject {
                Subject::Mfa => String::new(),
                _ => format!("{:.2}", ratio(slots, transport, *threads, *subject, at)),
            });
            let first = [threads.to_string(), subject.name().to_owned()];
            table.row(first.into_iter().chain(values).chain(ratios));
        }
    }
    table
}

/// What the aims are about.
fn tell_figures(slots: &[Slot], report: &mut Report) {
    for transport in TRANSPORTS {
        for (threads, other) in [1, 8].into_iter().flat_map(|n| [(n, Subject::Bare), (n, Subject::Curl)]) {
            if of(slots, transport, threads, other).next().is_none() {
                continue;
            }
            for (at, figure) in FIGURES.iter().enumerate() {
                let key = format!("{} {} {threads} {}", figure.key, transport.name(), other.name());
                report.figure(&key, ratio(slots, transport, threads, other, at));
            }
        }
    }
    let mine = slots.iter().filter(|slot| slot.subject == Subject::Mfa).filter_map(|slot| slot.more_threads);
    report.figure("more_threads", mine.fold(0.0, f64::max));
}
