//! The bindings that have a runner of their own, which ends with
//! "N passed, N failed, N skipped".

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::report::Report;
use super::{Context, Step, step};
use crate::process::{self, Show};
use crate::{Result, cargo, library, workspace};

const AREA: &str = "bindings";
/// They fetch packages, compile, and run hundreds of tests.
const LIMIT: Duration = Duration::from_secs(900);

pub fn steps() -> Vec<Step> {
    vec![step(AREA, "python", python).with_arguments()]
}

fn python(context: &Context, report: &mut Report) -> Result {
    let folder = workspace::scratch("python")?;
    run_tests("bindings/python/run_tests.py", &["--temp".as_ref(), &folder], context, report)
}

fn run_tests(script: &str, arguments: &[&Path], context: &Context, report: &mut Report) -> Result {
    let Some(python) = process::find("python3") else {
        report.skip(script, "python3 is not installed");
        return Ok(());
    };
    let mut command = Command::new(python);
    command.arg(workspace::root().join(script)).args(arguments);
    command.arg("--library").arg(&context.library()?.shared);
    command.arg("--sandbox-library").arg(library::build_sandbox_library()?);
    if context.options.setup {
        command.arg("--setup");
    }
    if !context.options.arguments.is_empty() {
        command.arg("--").args(&context.options.arguments);
    }
    cargo::without_our_library_path(&mut command);
    let finished = process::run(&mut command, Show::Live, LIMIT)?;
    let last = finished.output.lines().rev().find_map(counts);
    let Some([passed, failed, skipped]) = last else {
        return Err(format!("{script} did not say how many tests passed"));
    };
    report.count(passed, 0);
    if skipped > 0 {
        report.skip(script, &format!("{skipped} skipped; see above"));
    }
    if failed > 0 || !finished.success() {
        return Err(format!("{failed} failed; see above"));
    }
    Ok(())
}

/// "12 passed, 0 failed, 1 skipped".
fn counts(line: &str) -> Option<[usize; 3]> {
    let mut numbers = [0; 3];
    let parts: Vec<_> = line.trim().split(", ").collect();
    for (number, (part, word)) in numbers.iter_mut().zip(parts.iter().zip([" passed", " failed", " skipped"]))
    {
        *number = part.strip_suffix(word)?.parse().ok()?;
    }
    (parts.len() == 3).then_some(numbers)
}

#[cfg(test)]
mod tests {
    #[test]
    fn closing_lines_are_read() {
        assert_eq!(super::counts("12 passed, 0 failed, 1 skipped"), Some([12, 0, 1]));
        for line in ["", "12 passed", "12 passed, 0 failed", "x passed, 0 failed, 1 skipped"] {
            assert_eq!(super::counts(line), None, "{line}");
        }
    }
}
