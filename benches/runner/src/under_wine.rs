//! Under Wine, not on Windows: the processor time of a blocking call through `mfa.dll`, beside a bare
//! Winsock socket's, in one process and by turns.
//!
//! Wine's sockets are the work of another process, whose time Windows' clock of this one leaves out; and
//! how much a call to the system costs is Wine's matter. So the ratio says what libmfa adds there, and
//! little about Windows.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::Plan;
use super::programs::Programs;
use super::report::{Report, Table};
use super::statistics::{interval_of_median, median};
use crate::c_compiler::WARNINGS;
use crate::cargo::{self, Built, MESSAGES};
use crate::process::{self, Show};
use crate::{Result, files, library, wine, workspace};

/// A file of `benches/c`, and what its subject's one export is called in the program.
const SOURCES: [(&str, &str); 3] =
    [("windows_calls", "bench_subject"), ("subject_bare", "bare_subject"), ("subject_mfa", "mfa_subject")];
/// Wine counts in steps of 10 ms, so that fewer would say little.
const CALLS: usize = 4_000;

pub fn measure(programs: &Programs, plan: &Plan, report: &mut Report) -> Result {
    if let Some(package) = wine::missing_to_run() {
        return Err(format!("{package} is not installed (cargo xtask test --setup --only windows)"));
    }
    let program = build()?;
    let mut command = wine::program(&program)?;
    command.args([programs.plain_port()?, &plan.rounds.to_string(), &CALLS.to_string()]);
    let finished = process::run_tool(&mut command, Show::Nothing)?.expect_success("windows_calls.exe")?;
    let rounds = read(&finished.stdout).ok_or(format!("it printed no figures:\n{}", finished.output))?;
    let [bare, mfa] = [0, 1].map(|i| rounds.iter().map(|round| round[i]).collect::<Vec<f64>>());
    let ratios: Vec<f64> = rounds.iter().map(|[bare, mfa]| mfa / bare).collect();
    let interval = interval_of_median(ratios.clone());
    let mut table = Table::new(
        "Under Wine, not Windows",
        &format!(
            "Processor time of a blocking call, one thread, plain: GetProcessTimes, which leaves out what \
             Wine's own server does. Medians of {} rounds of {CALLS} calls each, by turns in one process.",
            rounds.len()
        ),
    );
    table.head(["subject", "CPU µs per call", "through the bare socket's", "95 %"].map(str::to_owned));
    table.row(["bare Winsock socket".to_owned(), format!("{:.1}", median(bare)), "1".into(), "-".into()]);
    let spread = interval.map_or("-".to_owned(), |(low, high)| format!("{low:.2} to {high:.2}"));
    let ratio = median(ratios);
    table.row(["libmfa (mfa.dll)".to_owned(), format!("{:.1}", median(mfa)), format!("{ratio:.2}"), spread]);
    report.table(table);
    report.figure("under_wine_cpu_ratio", ratio);
    report.data("under_wine", json!(rounds));
    Ok(())
}

/// The program, beside the release build of the library.
fn build() -> Result<PathBuf> {
    let words = ["build", "--release"];
    let mut command = wine::cargo(&words)?;
    command.args(["--package", library::C_PACKAGE, MESSAGES]);
    let built: Built = cargo::build_with(&mut command, &words)?;
    let folder = workspace::scratch("bench-windows")?;
    files::copy(&built.file(library::C_PACKAGE, "mfa.dll")?, &folder.join("mfa.dll"))?;
    let objects = SOURCES.map(|(name, export)| (name, export, folder.join(name).with_extension("o")));
    for (name, export, object) in &objects {
        let source = workspace::root().join("benches/c").join(format!("{name}.c"));
        let mut gcc = compiler();
        gcc.arg(format!("-Dbench_subject={export}")).arg("-c").arg(source).arg("-o").arg(object);
        run(&mut gcc)?;
    }
    let program = folder.join("windows_calls.exe");
    let mut gcc = compiler();
    gcc.args(objects.iter().map(|(.., object)| object)).arg("-o").arg(&program);
    gcc.arg(built.file(library::C_PACKAGE, "libmfa.dll.a")?).args(["-lws2_32", "-static"]);
    run(&mut gcc)?;
    Ok(program)
}

fn compiler() -> Command {
    let mut gcc = Command::new(wine::COMPILER);
    gcc.args(["-std=gnu99", "-O2", "-D_WIN32_WINNT=0x0601", "-D__USE_MINGW_ANSI_STDIO=1"]).args(WARNINGS);
    let shared = [workspace::root().join("tests/c")];
    for folder in workspace::include_folders().iter().chain(&shared) {
        gcc.arg("-I").arg::<&Path>(folder);
    }
    gcc
}

fn run(gcc: &mut Command) -> Result {
    process::run(gcc, Show::Nothing, process::LIMIT)?.expect_success(wine::COMPILER).map(drop)
}

/// A line for each round: the bare socket's microseconds, then libmfa's.
fn read(output: &str) -> Option<Vec<[f64; 2]>> {
    let rounds: Option<Vec<[f64; 2]>> = output
        .lines()
        .map(|line| {
            let numbers: Option<Vec<f64>> = line.split_whitespace().map(|word| word.parse().ok()).collect();
            numbers?.try_into().ok()
        })
        .collect();
    rounds.filter(|rounds| !rounds.is_empty() && rounds.iter().flatten().all(|us| *us > 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_that_was_too_short_to_be_counted_is_none() {
        assert_eq!(read("10.00 25.50\r\n11.00 24.00\r\n"), Some(vec![[10.0, 25.5], [11.0, 24.0]]));
        for not in ["", "0.00 25.50\n", "10.00\n", "10.00 x\n", "a call failed\n"] {
            assert_eq!(read(not), None, "{not}");
        }
    }
}
