//! How soon a person's decision is known, and for how many polls: the waiting policy itself, driven
//! on a simulated clock by one of the library's own tests, which prints what it found.

use serde_json::Value;

use super::Plan;
use super::programs::Programs;
use super::report::{Report, Table};
use crate::process::{self, Show};
use crate::{Result, cargo, library};

const SIMULATION: &str = "a_decision_is_known";

/// In the order in which the simulation prints them: the figure for the aims, and what it is.
const FIGURES: [(&str, &str); 3] = [
    ("schedule_mean_s", "s from the decision to its being known, mean"),
    ("schedule_p95_s", "s from the decision to its being known, 95th percentile"),
    ("schedule_polls", "polls in a confirm, mean"),
];

pub fn measure(_: &Programs, _: &Plan, report: &mut Report) -> Result {
    let mut command = cargo::command();
    command.args(["test", "--locked", "--package", library::PACKAGE, "--lib", SIMULATION]);
    command.args(["--", "--nocapture"]);
    // The build has no time limit, and its progress is the terminal's.
    let finished = process::run_tool(&mut command, Show::Nothing)?;
    let Some(values) = read(&finished.stdout) else {
        let finished = finished.expect_success("the simulation of the waiting policy")?;
        return Err(format!("the simulation printed no schedule:\n{}", finished.stdout));
    };
    let mut table = Table::new(
        "Waiting",
        "The policy on a simulated clock: people who decide after a log-normal time (median 10 s, σ 0.7), 50 \
         ms for an exchange, a deadline of 120 s.",
    );
    table.head(["what", "simulated"].map(str::to_owned));
    for ((key, what), value) in FIGURES.into_iter().zip(values) {
        table.row([what.to_owned(), value.to_string()]);
        report.figure(key, value);
    }
    report.table(table);
    let data = FIGURES.iter().zip(values).map(|((key, _), value)| ((*key).to_owned(), value.into()));
    report.data("schedule", Value::Object(data.collect()));
    // The test has the same aims, and sees more digits of the figures.
    finished.expect_success("the simulation of the waiting policy").map(drop)
}

/// `schedule: known 0.85 s after the decision on average, 2.10 s at the 95th percentile, with 9.8
/// polls`: the numbers of the line.
fn read(output: &str) -> Option<[f64; FIGURES.len()]> {
    let line = output.lines().find_map(|line| Some(line.split_once("schedule:")?.1))?;
    let numbers: Vec<f64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    numbers.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_simulations_line_is_read() {
        let line = "schedule: known 0.85 s after the decision on average, 2.10 s at the 95th percentile, \
                    with 9.8 polls\n";
        assert_eq!(read(&format!("running 1 test\n{line}test a ... ok\n")), Some([0.85, 2.1, 9.8]));
        assert_eq!(read(&format!("test a ... {line}")), Some([0.85, 2.1, 9.8]));
        assert_eq!(read("running 0 tests\n"), None);
        assert_eq!(read("schedule: known 0.85 s after the decision\n"), None);
    }
}
