//! Calls for a while, from several threads, each subject in its turn.

use serde_json::{Value, json};

use super::driver::Driver;
use super::programs::{Programs, Subject};
use super::report::{Report, Table};
use super::statistics::{interval_of_median, median};
use super::{Plan, TRANSPORTS, Transport};
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
    /// Turned over, it is what a call costs.
    is_speed: bool,
}

/// In this order in `Slot::figures`; times are in microseconds.
const FIGURES: [Figure; 4] = [
    Figure { key: "calls_per_s", title: "calls/s", digits: 0, is_speed: true },
    Figure { key: "p50_us", title: "p50 µs", digits: 1, is_speed: false },
    Figure { key: "p99_us", title: "p99 µs", digits: 1, is_speed: false },
    Figure { key: "cpu_us", title: "CPU µs per call", digits: 1, is_speed: false },
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
                for at in order(drivers.len(), round) {
                    let (subject, driver) = &mut drivers[at];
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
    record_figures(&slots, report);
    if programs.previous.is_some() {
        compare_with_previous(&slots, plan, report);
    }
    report.data("throughput", slots.iter().map(json).collect());
    Ok(())
}

/// Whose turn is when: each round another one begins, and every other round goes backwards, so that
/// none always follows the same neighbour, and of two neighbours neither is always the first.
fn order(subjects: usize, round: usize) -> Vec<usize> {
    let mut order: Vec<_> = (0..subjects).map(|at| (at + round / 2) % subjects).collect();
    if round % 2 == 1 {
        order.reverse();
    }
    order
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

fn json(slot: &Slot) -> Value {
    let mut fields = json!({
        "subject": slot.subject.name(),
        "transport": slot.transport.name(),
        "threads": slot.threads,
        "round": slot.round,
        "calls": slot.calls,
    });
    if let Some(count) = slot.more_threads {
        fields["more_threads"] = count.into();
    }
    for (figure, value) in FIGURES.iter().zip(slot.figures) {
        fields[figure.key] = value.into();
    }
    fields
}

/// The slots of one subject, in the order of the rounds.
fn of(slots: &[Slot], transport: Transport, threads: usize, subject: Subject) -> impl Iterator<Item = &Slot> {
    slots.iter().filter(move |s| s.transport == transport && s.threads == threads && s.subject == subject)
}

fn value(slots: &[Slot], transport: Transport, threads: usize, subject: Subject, figure: usize) -> f64 {
    median(of(slots, transport, threads, subject).map(|slot| slot.figures[figure]).collect())
}

/// libmfa's figure through the other's, in each round that both took part in.
fn ratios(slots: &[Slot], transport: Transport, threads: usize, other: Subject, figure: usize) -> Vec<f64> {
    let mine = |round| of(slots, transport, threads, Subject::Mfa).find(|slot| slot.round == round);
    let ratios = of(slots, transport, threads, other)
        .filter_map(|slot| Some(mine(slot.round)?.figures[figure] / slot.figures[figure]));
    ratios.collect()
}

fn ratio(slots: &[Slot], transport: Transport, threads: usize, other: Subject, figure: usize) -> f64 {
    median(ratios(slots, transport, threads, other, figure))
}

/// What a call costs now through what it cost before, in each round: above 1 it is slower now.
fn costs_through_previous(slots: &[Slot], transport: Transport, threads: usize, figure: usize) -> Vec<f64> {
    let mut costs = ratios(slots, transport, threads, Subject::MfaPrevious, figure);
    if FIGURES[figure].is_speed {
        costs.iter_mut().for_each(|ratio| *ratio = 1.0 / *ratio);
    }
    costs
}

fn compare_with_previous(slots: &[Slot], plan: &Plan, report: &mut Report) {
    let mut table = Table::new(
        "Calls, before and now",
        "\"now : before\" is what a call costs now through what it cost with the previous library, the median \
         of the ratios within the rounds (of calls/s turned over, so that above 1 is slower in every row), and \
         the 95 % interval of that median. Above 1 with the interval's lower end it surely got slower.",
    );
    let head = ["transport", "threads", "figure", "before", "now", "now : before", "95 % interval", "rounds"];
    table.head(head.map(str::to_owned));
    let mut data = Vec::new();
    for (transport, threads) in TRANSPORTS.into_iter().flat_map(|t| plan.threads.iter().map(move |n| (t, *n)))
    {
        let mut surely = Vec::new();
        for (at, figure) in FIGURES.iter().enumerate() {
            let costs = costs_through_previous(slots, transport, threads, at);
            let rounds = costs.len();
            let interval = interval_of_median(costs.clone());
            let ratio = median(costs);
            let of = |subject| format!("{:.*}", figure.digits, value(slots, transport, threads, subject, at));
            table.row([
                transport.name().to_owned(),
                threads.to_string(),
                figure.title.to_owned(),
                of(Subject::MfaPrevious),
                of(Subject::Mfa),
                format!("{ratio:.3}"),
                interval.map_or("too few rounds".to_owned(), |(low, high)| format!("{low:.3} to {high:.3}")),
                rounds.to_string(),
            ]);
            surely.extend(interval.map(|(low, _)| low));
            let (low, high) = interval.unwrap_or((f64::NAN, f64::NAN));
            data.push(json!({
                "transport": transport.name(),
                "threads": threads,
                "figure": figure.key,
                "cost_now_through_before": ratio,
                "low": low,
                "high": high,
                "rounds": rounds,
            }));
        }
        if let Some(worst) = surely.into_iter().reduce(f64::max) {
            let key = format!("surely_slower {} {threads}", transport.name());
            report.figure(&key, (worst - 1.0) * 100.0);
        }
    }
    report.table(table);
    report.data("before_and_now", data.into());
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
fn record_figures(slots: &[Slot], report: &mut Report) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_is_everywhere_and_neighbours_take_turns_to_be_first() {
        const SUBJECTS: usize = 5;
        let orders: Vec<_> = (0..2 * SUBJECTS).map(|round| order(SUBJECTS, round)).collect();
        for place in 0..SUBJECTS {
            let mut there: Vec<_> = orders.iter().map(|order| order[place]).collect();
            there.sort_unstable();
            assert_eq!(there, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4], "at place {place}");
        }
        let first_is_first =
            |order: &&Vec<usize>| order.iter().position(|s| *s == 0) < order.iter().position(|s| *s == 1);
        assert_eq!(orders.iter().filter(first_is_first).count(), SUBJECTS);
    }

    fn slot_of(subject: Subject, round: usize, calls_per_s: f64, p50: f64) -> Slot {
        let figures = [calls_per_s, p50, p50, p50];
        let transport = Transport::Plain;
        Slot { subject, transport, threads: 1, round, figures, calls: 1.0, more_threads: None }
    }

    #[test]
    fn costs_are_paired_within_the_rounds_and_above_one_is_slower() {
        // The machine is twice as slow in the second round, and the previous library had no third.
        let slots = [
            slot_of(Subject::Mfa, 0, 80.0, 11.0),
            slot_of(Subject::MfaPrevious, 0, 100.0, 10.0),
            slot_of(Subject::MfaPrevious, 1, 50.0, 20.0),
            slot_of(Subject::Mfa, 1, 40.0, 22.0),
            slot_of(Subject::Mfa, 2, 1.0, 1000.0),
        ];
        assert_eq!(costs_through_previous(&slots, Transport::Plain, 1, 0), [1.25, 1.25]);
        assert_eq!(costs_through_previous(&slots, Transport::Plain, 1, 1), [1.1, 1.1]);
        assert!(costs_through_previous(&slots, Transport::Tls, 1, 0).is_empty());
    }
}
