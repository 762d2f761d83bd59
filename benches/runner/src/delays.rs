//! How late a call ends after its cancel or its deadline: what `benches/c/cancel_delay.c` prints.

use serde_json::json;

use super::Plan;
use super::programs::Programs;
use super::report::{Report, Table};
use crate::Result;
use crate::process::{self, Show};

const DEADLINE: &str = "a deadline";

pub fn measure(programs: &Programs, plan: &Plan, report: &mut Report) -> Result {
    let mut command = programs.program("cancel_delay")?;
    command.arg(plan.delay_rounds.to_string());
    let finished =
        process::run(&mut command, Show::Nothing, process::LIMIT)?.expect_success("cancel_delay")?;
    let mut table = Table::new(
        "Cancel and deadline",
        &format!(
            "From the trigger, or from the deadline, to the call's return, by where the call was; {} rounds \
             each, in µs.",
            plan.delay_rounds
        ),
    );
    table.head(["where", "p50", "p99", "worst"].map(str::to_owned));
    let mut data = Vec::new();
    let (mut cancel, mut deadline) = (0.0, 0.0);
    for (place, [p50, p99, worst]) in finished.stdout.lines().filter_map(row) {
        table.row([place.to_owned(), p50.to_string(), p99.to_string(), worst.to_string()]);
        let so_far: &mut f64 = if place.starts_with(DEADLINE) { &mut deadline } else { &mut cancel };
        *so_far = so_far.max(p99 / 1e3);
        data.push(json!({
            "where": place,
            "p50_us": p50,
            "p99_us": p99,
            "worst_us": worst,
        }));
    }
    report.figure("cancel_ms", cancel);
    report.figure("late_ms", deadline);
    report.table(table);
    report.data("delays", data.into());
    Ok(())
}

/// `| where | p50 | p99 | worst |`; `None`: the table's head.
fn row(line: &str) -> Option<(&str, [f64; 3])> {
    let cells: Vec<_> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
    let [place, p50, p99, worst] = cells[..] else { return None };
    Some((place, [p50.parse().ok()?, p99.parse().ok()?, worst.parse().ok()?]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_told_from_the_head() {
        assert_eq!(row("| between polls | 60 | 91 | 1300 |"), Some(("between polls", [60.0, 91.0, 1300.0])));
        assert_eq!(row("| trigger to return | p50 us | p99 us | max us |"), None);
        assert_eq!(row("|---|---|---|---|"), None);
    }
}
