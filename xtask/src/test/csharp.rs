//! The C# binding: built, and tested on .NET and on Mono, by the .NET SDK.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::report::Report;
use super::{Context, Step, step};
use crate::dist::nuget;
use crate::process::{self, Finished, Show};
use crate::{Result, cargo, library, workspace};

const AREA: &str = "bindings";
/// A build from nothing, or all tests of one runtime.
pub const LIMIT: Duration = Duration::from_secs(600);
const SOLUTION: &str = "MfaClient.slnx";

pub fn steps() -> Vec<Step> {
    vec![step(AREA, "csharp", csharp).with_arguments()]
}

fn csharp(context: &Context, report: &mut Report) -> Result {
    if !has_sdk() {
        report.unavailable("C#", "there is no dotnet of version 10 on PATH");
        return Ok(());
    }
    let properties = [
        format!("-p:MfaLibrary={}", context.library()?.shared.display()),
        format!("-p:MfaSandboxLibrary={}", library::build_sandbox_library()?.display()),
    ];
    let building = nuget::building()?;
    let built = run(dotnet().args(["build", SOLUTION, "-nologo", "-v:quiet"]).args(&properties))?;
    report.check("everything builds without a warning", ended_well(&built));
    if !built.success() {
        return Ok(());
    }
    let format = run(dotnet().args(["format", SOLUTION, "--no-restore", "--verify-no-changes"]))?;
    report.check("dotnet format finds nothing to change", ended_well(&format));
    drop(building);
    let arguments = &context.options.arguments;
    for framework in ["net8.0", "net10.0"] {
        let tests = run(dotnet().args(["test", "--no-build", "--framework", framework]).args(arguments))?;
        count(report, framework, &tests, dotnet_test_counts(&tests.output));
    }
    if arguments.is_empty() { on_mono(report) } else { Ok(()) }
}

/// Mono 6.8's own thread for timers, in which nothing of ours runs: now and then its list of them changes
/// while it is being sorted, and that ends the process.
const IN_MONOS_TIMERS: &str = "System.Threading.Timer+Scheduler.RunSchedulerLoop";

/// Under `dotnet test`, Mono's pipes break now and then, so the program runs by itself.
fn on_mono(report: &mut Report) -> Result {
    if process::find("mono").is_none() {
        report.skip("Mono", "mono is not installed");
        return Ok(());
    }
    let mut mono = Command::new("mono");
    mono.arg("bin/Debug/net472/MfaClient.Tests.exe").arg("-noColor");
    mono.current_dir(folder().join("MfaClient.Tests"));
    let mut tests = run(&mut mono)?;
    if !tests.success() && tests.output.contains(IN_MONOS_TIMERS) {
        println!("   Mono itself failed, sorting its timers: once more");
        tests = run(&mut mono)?;
    }
    count(report, "Mono", &tests, program_counts(&tests.output));
    Ok(())
}

/// The SDK, whatever it is called: the projects need version 10.
pub fn has_sdk() -> bool {
    let said = process::run(dotnet().arg("--version"), Show::Nothing, process::LIMIT);
    said.is_ok_and(|said| said.success() && said.stdout.starts_with("10."))
}

pub fn folder() -> PathBuf {
    workspace::root().join(Path::new("bindings/csharp"))
}

pub fn dotnet() -> Command {
    dotnet_in(&folder())
}

pub fn dotnet_in(folder: &Path) -> Command {
    let mut dotnet = Command::new("dotnet");
    // A compiler that stays behind would keep the pipes of this program open.
    dotnet.current_dir(folder).env("UseSharedCompilation", "false").env("MSBUILDDISABLENODEREUSE", "1");
    dotnet
}

pub fn run(command: &mut Command) -> Result<Finished> {
    cargo::without_our_library_path(command);
    process::run(command, Show::Live, LIMIT)
}

pub fn ended_well(finished: &Finished) -> Result {
    if finished.success() { Ok(()) } else { Err(format!("{}; see above", finished.ending())) }
}

/// [passed, failed, skipped]: a test that is left out where the SDK is counts as missing.
pub fn count(report: &mut Report, name: &str, finished: &Finished, counts: Option<[usize; 3]>) {
    let Some([passed, failed, skipped]) = counts else {
        report.fail(name, &format!("it did not say how many tests passed: {}", finished.ending()));
        return;
    };
    report.count(passed, 0);
    if skipped > 0 {
        report.skip(name, &format!("{skipped} skipped; see above"));
    }
    if failed > 0 || passed == 0 || !finished.success() {
        report.fail(name, &format!("{failed} failed; see above"));
    }
}

/// The summary of `dotnet test`: lines such as "  succeeded: 58".
fn dotnet_test_counts(output: &str) -> Option<[usize; 3]> {
    let number = |word: &str| {
        output.lines().rev().find_map(|line| line.trim().strip_prefix(word)?.trim().parse::<usize>().ok())
    };
    Some([number("succeeded:")?, number("failed:")?, number("skipped:")?])
}

/// The last line of an xUnit program: "Total: 53, Errors: 0, Failed: 0, Skipped: 0, …".
pub fn program_counts(output: &str) -> Option<[usize; 3]> {
    let line = output.lines().rev().find(|line| line.contains("Total: ") && line.contains("Failed: "))?;
    let number = |word: &str| {
        let digits = line.split_once(word)?.1.split(',').next()?;
        digits.trim().parse::<usize>().ok()
    };
    let (total, errors) = (number("Total: ")?, number("Errors: ")?);
    let (failed, skipped) = (number("Failed: ")?, number("Skipped: ")?);
    Some([total.checked_sub(failed + skipped)?, failed + errors, skipped])
}

#[cfg(test)]
mod tests {
    use super::{dotnet_test_counts, program_counts};

    #[test]
    fn both_summaries_are_read() {
        let dotnet = "Test run summary: Passed!\n  total: 58\n  failed: 1\n  succeeded: 55\n  skipped: 2\n";
        assert_eq!(dotnet_test_counts(dotnet), Some([55, 1, 2]));
        let program = "   T  Total: 53, Errors: 1, Failed: 2, Skipped: 3, Not Run: 0, Time: 15.606s\n";
        assert_eq!(program_counts(program), Some([48, 3, 3]));
        assert_eq!(dotnet_test_counts("error"), None);
        assert_eq!(program_counts("Unhandled exception"), None);
    }
}
