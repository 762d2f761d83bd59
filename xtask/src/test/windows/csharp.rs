//! The C# binding's tests, which run the examples too, on the real .NET for Windows under Wine.

use std::fmt::Write;
use std::path::Path;

use super::{built, can_run};
use crate::dist::nuget;
use crate::library::{C_PACKAGE, SANDBOX_PACKAGE};
use crate::process::{self, Finished};
use crate::test::Context;
use crate::test::csharp::{LIMIT, count, dotnet, ended_well, has_sdk, program_counts, run};
use crate::test::report::Report;
use crate::{Result, cargo, wine, workspace};

const TESTS: &str = "MfaClient.Tests";

/// Tests that are not run here, and why.
struct LeftOut {
    why: &'static str,
    tests: &'static [&'static str],
}

/// `docs/platforms.md` names them, too.
const LEFT_OUT: &[LeftOut] = &[
    LeftOut {
        why: "they need ASP.NET, which is not in this package of .NET, a program `kill`, or glibc's loader",
        tests: &[
            "ExampleTests.AServerThatRestartsLosesNoAnswerAndAsksNobodyTwice",
            "ExampleTests.AServerWithoutAFileTakesTheRequestsBack",
            "ExampleTests.InterruptingConfirm",
            "ExampleTests.TheLibraryIsNotLookedForInTheWorkingDirectory",
            "ExampleTests.TheServerLeavesOtherFilesAlone",
            "ExampleTests.TheServerRefusesWhatIsMisspeltOrLeftOut",
            "ExampleTests.TheServersPageTellsHowItStands",
            "ExampleTests.WhoMayHaveBeenAskedIsToldByTheServerThatAskedAndByTheNext",
        ],
    },
    LeftOut {
        why: "they look into Linux' /proc, or have Linux' error numbers",
        tests: &[
            "LifetimeTests.ThousandsOfRounds",
            "ManyWaitsTests.APluginThatWaitsIsUnloadedAfterItAndItsThreadIsGone",
            "ManyWaitsTests.FiveThousandWaitsTakeAtMostTwoMoreThreads",
            "ManyWaitsTests.TheThreadEndsWithTheLastWaitAndComesBackWithTheNext",
            "ManyWaitsTests.WithoutADescriptorTheTaskFailsWithAnMfaException",
            "ManyWaitsTests.WithoutAThreadTheTaskFailsWithAnMfaException",
        ],
    },
    LeftOut {
        why: "it asks a C compiler, which a Windows program does not find here; `windows-c` runs `layout.c`",
        tests: &["AbiTests.Offsets"],
    },
    LeftOut {
        why: "a minute of thousands of waits, with nothing of Windows in it",
        tests: &["ManyWaitsTests.UnderCollectionsAtRandomAllEndAndAllHandlesAreLetGo"],
    },
];

pub fn csharp(context: &Context, report: &mut Report) -> Result {
    let what = "C# on Windows' .NET";
    if !can_run(report) {
        return Ok(());
    }
    if !has_sdk() {
        report.unavailable(what, "there is no dotnet of version 10 on PATH");
        return Ok(());
    }
    if let Some(missing) = wine::dotnet::missing() {
        report.skip(what, &format!("{missing} is not installed"));
        return Ok(());
    }
    let folder = workspace::scratch("windows-csharp")?;
    let build = build(&folder)?;
    report.check("everything builds for it without a warning", ended_well(&build));
    if !build.success() {
        return Ok(());
    }
    let program = folder.join("bin").join(TESTS).join("debug_net8.0").join(format!("{TESTS}.dll"));
    report.check("what is left out is there", are_there(&program));
    tests(&program, &context.options.arguments, report)
}

/// The same sources as for Linux, in a folder of their own, with the libraries for Windows beside them.
fn build(folder: &Path) -> Result<Finished> {
    let libraries = built()?;
    let _building = nuget::building()?;
    let mut build = dotnet();
    build
        .args(["build", TESTS, "-nologo", "-v:quiet", "--framework", "net8.0", "--artifacts-path"])
        .arg(folder);
    build.args(["-p:MfaPrefix=", "-p:MfaSuffix=.dll"]).arg(format!("-p:MfaCompiler={}", wine::COMPILER));
    for (prefix, package, library) in
        [("Mfa", C_PACKAGE, "mfa.dll"), ("MfaSandbox", SANDBOX_PACKAGE, "mfa_sandbox.dll")]
    {
        let library = libraries.file(package, library)?;
        // Beside the program, and as a package for Windows has it.
        for property in ["Library", "WinX64"] {
            build.arg(format!("-p:{prefix}{property}={}", library.display()));
        }
    }
    run(&mut build)
}

/// That each test that is left out exists: this system's own .NET lists them.
fn are_there(program: &Path) -> Result {
    let mut list = dotnet();
    cargo::without_our_library_path(list.arg(program).args(["-list", "methods"]));
    let listed = process::output(&mut list)?;
    let is_there = |name: &&str| listed.lines().any(|line| line.trim() == format!("{TESTS}.{name}"));
    let gone: Vec<_> = left_out().filter(|name| !is_there(name)).collect();
    if gone.is_empty() { Ok(()) } else { Err(format!("no longer: {}", gone.join(" "))) }
}

fn left_out() -> impl Iterator<Item = &'static str> {
    LEFT_OUT.iter().flat_map(|left_out| left_out.tests).copied()
}

fn tests(program: &Path, arguments: &[String], report: &mut Report) -> Result {
    let mut words: Vec<String> = ["-noColor", "-reporter", "verbose"].map(str::to_owned).into();
    for name in left_out() {
        words.extend(["-method-".to_owned(), format!("{TESTS}.{name}")]);
    }
    words.extend_from_slice(arguments);
    let tests = wine::dotnet::run(program, &words, LIMIT)?;
    print!("{}", without_the_usual(&tests.output));
    for LeftOut { why, tests } in LEFT_OUT {
        println!("   left out: {}: {why}", tests.join(" "));
    }
    count(report, "the tests on .NET for Windows", &tests, program_counts(&tests.output));
    Ok(())
}

/// Lines that tell when a test began and ended, but for those that did not end.
fn without_the_usual(output: &str) -> String {
    let mut told = String::new();
    for line in output.lines() {
        let name = line.split(" [").next().unwrap_or(line);
        let ended = |mark: &str| output.contains(&format!("{name} [{mark}]"));
        let is_usual = line.contains("[FINISHED]") || (line.contains("[STARTING]") && ended("FINISHED"));
        if !is_usual {
            let _ = writeln!(told, "{line}");
        }
    }
    told
}
