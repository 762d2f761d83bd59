//! The C programs of `tests/c`: each with two compilers, against both libraries, under sanitizers
//! and valgrind, and once against a library whose exports panic.
//!
//! A program prints `ok NAME` or `not ok NAME: why` for each check, and `N passed, N failed` at the
//! end. Its environment says where a sandbox is: see `Sandbox::set_environment`.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::report::Report;
use super::setup::clang_has_sanitizers;
use super::{Context, Step, step};
use crate::c_compiler::{Compiler, Link, Program, WARNINGS, program};
use crate::library::{self, Library};
use crate::process::{self, Finished, Show};
use crate::sandbox::Sandbox;
use crate::{Result, files, workspace};

const AREA: &str = "C";
const FOLDER: &str = "tests/c";
/// The program that expects an export to panic; its name in `tests/c`.
const PANICS: &str = "panic";
/// A core each on the smallest machines that CI has.
const AT_A_TIME: usize = 2;

const SANITIZERS: &[&str] =
    &["-g", "-O1", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
const VALGRIND: &[&str] =
    &["--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite", "-q"];

#[derive(Clone, Copy, PartialEq)]
enum Linked {
    Shared,
    Static,
    Panicking,
}

/// One way to build and run all programs.
#[derive(Clone, Copy)]
struct Variant {
    name: &'static str,
    compiler: &'static str,
    linked: Linked,
    flags: &'static [&'static str],
    under_valgrind: bool,
}

const PLAIN: Variant =
    Variant { name: "", compiler: "gcc", linked: Linked::Shared, flags: &["-g"], under_valgrind: false };

const VARIANTS: &[Variant] = &[
    Variant { name: "c-gcc-shared", ..PLAIN },
    Variant { name: "c-gcc-static", linked: Linked::Static, ..PLAIN },
    Variant { name: "c-gcc-sanitized", flags: SANITIZERS, ..PLAIN },
    Variant { name: "c-clang-shared", compiler: "clang", ..PLAIN },
    Variant { name: "c-clang-static", compiler: "clang", linked: Linked::Static, ..PLAIN },
    Variant {
        name: "c-clang-sanitized",
        compiler: "clang",
        linked: Linked::Static,
        flags: SANITIZERS,
        ..PLAIN
    },
    Variant { name: "c-valgrind", under_valgrind: true, ..PLAIN },
    Variant { name: "c-panics", linked: Linked::Panicking, ..PLAIN },
];

pub fn steps() -> Vec<Step> {
    let run = |variant: &'static Variant| {
        let programs = sources(variant).iter().map(|source| files::stem(source)).collect();
        step(AREA, variant.name, move |context, report| run_variant(variant, context, report))
            .with_programs(programs)
    };
    VARIANTS.iter().map(run).collect()
}

fn run_variant(variant: &Variant, context: &Context, report: &mut Report) -> Result {
    let mut sources = sources(variant);
    if sources.is_empty() {
        return Err(format!("{FOLDER} has no program for it"));
    }
    sources.retain(|source| context.wants(&files::stem(source)));
    let Some(compiler) = Compiler::find(variant.compiler) else {
        report.skip(variant.name, &format!("{} is not installed", variant.compiler));
        return Ok(());
    };
    if let Some(lacking) = lacking(variant) {
        report.skip(variant.name, lacking);
        return Ok(());
    }
    let library = match variant.linked {
        Linked::Panicking => library::build_with_planted_panics()?,
        _ => context.library()?.clone(),
    };
    let sandbox = context.sandbox()?;
    let folder = workspace::scratch(variant.name)?;
    let work = |source: &PathBuf| run_program(variant, &compiler, &library, sandbox, source, &folder);
    for (source, outcome) in sources.iter().zip(process::in_parallel(&sources, AT_A_TIME, work)) {
        record_outcome(&files::stem(source), outcome, report);
    }
    Ok(())
}

fn sources(variant: &Variant) -> Vec<PathBuf> {
    let mut sources = files::with_extension(&workspace::root().join(FOLDER), "c");
    if variant.linked == Linked::Panicking {
        sources.retain(|source| files::stem(source) == PANICS);
    }
    sources
}

/// What a variant needs besides its compiler.
fn lacking(variant: &Variant) -> Option<&'static str> {
    if variant.under_valgrind && process::find("valgrind").is_none() {
        return Some("valgrind is not installed");
    }
    if variant.flags == SANITIZERS && variant.compiler == "clang" && !clang_has_sanitizers() {
        return Some("clang's sanitizers are not installed");
    }
    None
}

/// A program's end, and whether leaks could be looked for.
struct Outcome {
    finished: Finished,
    leaks_unchecked: bool,
}

fn run_program(
    variant: &Variant,
    compiler: &Compiler,
    library: &Library,
    program: &Path,
    source: &Path,
    folder: &Path,
) -> Result<Outcome> {
    let ca = folder.join(format!("{}.pem", files::stem(source)));
    let binary = folder.join(files::stem(source));
    let flags = [&["-std=c99"], WARNINGS, variant.flags].concat();
    let link = if variant.linked == Linked::Static { Link::Static(library) } else { Link::Shared(library) };
    compiler.compile(&Program { source, output: &binary, flags: &flags, link })?;
    let start = |find_leaks: bool| {
        let mut command = command(variant, &binary, find_leaks);
        // valgrind takes the cipher's assembly for a use of uninitialised values.
        let ca = (!variant.under_valgrind).then_some(ca.as_path());
        if variant.linked != Linked::Static {
            command.env("MFA_TEST_LIBRARY", library.folder.join(library::names()?.loaded));
        }
        run_beside_sandboxes(&mut command, program, ca)
    };
    let finished = start(true)?;
    // The leak checker is a debugger of the process, and there can be only one. Then everything but
    // the leaks is still worth knowing.
    if finished.output.contains("LeakSanitizer has encountered a fatal error") {
        return Ok(Outcome { finished: start(false)?, leaks_unchecked: true });
    }
    Ok(Outcome { finished, leaks_unchecked: false })
}

/// Runs a program beside a sandbox, and another one with TLS if there is to be a file for its CA.
pub(super) fn run_beside_sandboxes(
    command: &mut Command,
    sandbox: &Path,
    ca: Option<&Path>,
) -> Result<Finished> {
    let plain = Sandbox::start(sandbox)?;
    plain.set_environment(command)?;
    let tls = ca.map(|ca| Sandbox::start_tls(sandbox, ca)).transpose()?;
    if let (Some(tls), Some(ca)) = (&tls, ca) {
        command.env("MFA_TEST_TLS_URL", tls.get("hyperid")?).env("MFA_TEST_TLS_CA", ca);
    }
    process::run(command, Show::Nothing, process::LIMIT)
}

fn command(variant: &Variant, binary: &Path, find_leaks: bool) -> Command {
    let mut command = if variant.under_valgrind {
        let mut valgrind = program(Path::new("valgrind"));
        valgrind.args(VALGRIND).arg(binary);
        valgrind
    } else {
        program(binary)
    };
    command.env("ASAN_OPTIONS", format!("detect_leaks={}", i32::from(find_leaks)));
    command.env("UBSAN_OPTIONS", "print_stacktrace=1");
    if variant.linked == Linked::Panicking {
        command.env("MFA_TEST_PANICS", "1");
    }
    command
}

fn record_outcome(name: &str, outcome: Result<Outcome>, report: &mut Report) {
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(why) => return report.fail(name, &why),
    };
    if outcome.leaks_unchecked {
        report.unavailable(&format!("{name}'s leaks"), "LeakSanitizer does not work under ptrace");
    }
    record(name, &outcome.finished, report);
}

/// Counts what a program said about its checks.
pub(super) fn record(name: &str, finished: &Finished, report: &mut Report) {
    let printed = Printed::from(&finished.stdout);
    println!("   {name}: {} passed, {} failed", printed.passed, printed.failed.len());
    report.count(printed.passed, 0);
    printed.failed.iter().for_each(|failure| report.fail(name, failure));
    if printed.failed.is_empty() {
        if let Some(why) = printed.contradiction(finished) {
            report.fail(name, &format!("{why}\n{}", process::last_lines(&finished.output, 40)));
        }
    }
}

/// What a program printed about its checks.
struct Printed {
    passed: usize,
    failed: Vec<String>,
    tally: Option<String>,
}

impl Printed {
    fn from(stdout: &str) -> Self {
        let failed: Vec<_> =
            stdout.lines().filter_map(|line| line.strip_prefix("not ok ")).map(str::to_owned).collect();
        let passed = stdout.lines().filter(|line| line.starts_with("ok ")).count();
        let tally = stdout.lines().last().filter(|line| line.ends_with(" failed")).map(str::to_owned);
        Self { passed, failed, tally }
    }

    /// Why a program without a failed check has failed all the same.
    fn contradiction(&self, finished: &Finished) -> Option<String> {
        let expected = format!("{} passed, 0 failed", self.passed);
        if !finished.success() {
            return Some(finished.ending());
        }
        match &self.tally {
            None => Some("it ended without its tally".to_owned()),
            Some(tally) if *tally != expected => Some(format!("it printed {expected}, but said {tally}")),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_taken_at_its_word_only_if_the_word_fits() {
        let ended_well = |stdout: &str| Finished {
            status: Some(Default::default()),
            output: String::new(),
            stdout: stdout.to_owned(),
        };
        let verdict = |stdout: &str| Printed::from(stdout).contradiction(&ended_well(stdout));
        assert_eq!(verdict("ok a\nok b\n2 passed, 0 failed\n"), None);
        assert!(verdict("ok a\n2 passed, 0 failed\n").is_some());
        assert!(verdict("ok a\n").is_some());
        assert_eq!(Printed::from("not ok a: why\n0 passed, 1 failed\n").failed, ["a: why"]);
    }
}
