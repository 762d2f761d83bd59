//! The Rust side: format, lints, documentation, tests, the features that the default build leaves
//! out, and that `panic = "abort"` does not build.

use std::process::Command;
use std::time::Duration;

use super::report::Report;
use super::{Context, Step, step};
use crate::library::PACKAGE;
use crate::process::{self, Finished, Show};
use crate::{Result, cargo, files, workspace};

const AREA: &str = "Rust";

pub fn steps() -> Vec<Step> {
    vec![
        step(AREA, "fmt", |_, report| with_component("fmt", &["fmt", "--all", "--check"], report)),
        step(AREA, "clippy", |_, report| {
            let words = ["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"];
            with_component("clippy", &words, report)
        }),
        step(AREA, "rustdoc", documentation),
        // Before the tests: its builds of the library replace the default one, which the tests then
        // build for all that follow.
        step(AREA, "features", features),
        step(AREA, "cargo-test", tests).with_arguments(),
        step(AREA, "panic-abort", aborting_panics_are_refused),
    ]
}

fn with_component(component: &str, words: &[&str], report: &mut Report) -> Result {
    let call = format!("cargo {}", words.join(" "));
    if cargo::has(component)? {
        let finished = process::run_tool(cargo::command().args(words), Show::Live)?;
        report.check(&call, finished.expect_success("see above").map(drop));
    } else {
        report.unavailable(&call, "this toolchain has no such component");
    }
    Ok(())
}

fn documentation(_: &Context, report: &mut Report) -> Result {
    let words = ["doc", "--no-deps", "--workspace", "--locked"];
    let mut command = cargo::command();
    let flags = std::env::var("RUSTDOCFLAGS").unwrap_or_default() + " -Dwarnings";
    command.args(words).env("RUSTDOCFLAGS", flags.trim());
    let finished = process::run_tool(&mut command, Show::Live)?;
    report.check("cargo doc without a warning", finished.expect_success("see above").map(drop));
    Ok(())
}

/// What the default build leaves out: how a build asks for it, and the test program that is for it.
const FEATURES: &[(&[&str], &str)] =
    &[(&["--features", "platform-verifier"], "platform_verifier"), (&["--no-default-features"], "no_roots")];

/// They share the other steps' target folder. The library is compiled again for each choice, a matter
/// of seconds; a folder of its own would cost a build of every dependency, and 800 MB.
fn features(_: &Context, report: &mut Report) -> Result {
    for (features, test) in FEATURES {
        let chosen = [&["--locked", "--package", PACKAGE, "--test", test], *features].concat();
        // Clippy looks at the library too, which the test program needs.
        let lint = [&["clippy"], &chosen[..], &["--", "--deny", "warnings"]].concat();
        with_component("clippy", &lint, report)?;
        run_tests(&chosen, report)?;
    }
    Ok(())
}

fn tests(context: &Context, report: &mut Report) -> Result {
    let arguments: Vec<_> = context.options.arguments.iter().map(String::as_str).collect();
    let workspace = ["--workspace", "--locked", "--no-fail-fast"];
    run_tests(&[&workspace, &arguments[..]].concat(), report)?;
    // nextest leaves these to cargo, and arguments are for the tests proper.
    if has_nextest()? && arguments.is_empty() {
        run_by_cargo(&[&["--doc"], &workspace[..]].concat(), report)?;
    }
    Ok(())
}

/// By nextest where it is installed: a process for each test, and a time limit. It is not a thing that
/// `--setup` installs: cargo would compile it for minutes, and the newest one asks for a newer Rust.
fn run_tests(selection: &[&str], report: &mut Report) -> Result {
    if has_nextest()? {
        return run_by_nextest(selection, report);
    }
    report.note("by cargo test, without a time limit: cargo-nextest is not installed".to_owned());
    run_by_cargo(selection, report)
}

fn has_nextest() -> Result<bool> {
    cargo::has("nextest")
}

/// Where `.config/nextest.toml` lets it write its report.
const JUNIT: &str = "nextest/default/junit.xml";

fn run_by_nextest(selection: &[&str], report: &mut Report) -> Result {
    let junit = workspace::target()?.join(JUNIT);
    // That of an earlier run would be believed if this one came to nothing.
    let _ = std::fs::remove_file(&junit);
    let words = [&["nextest", "run", "--status-level", "fail"], selection].concat();
    let finished = process::run_tool(cargo::command().args(&words), Show::Live)?;
    let counted = Counted::from_junit(&files::read(&junit).unwrap_or_default())?;
    record(&format!("cargo {}", words.join(" ")), &finished, &counted, report);
    Ok(())
}

fn run_by_cargo(selection: &[&str], report: &mut Report) -> Result {
    let words = [&["test"], selection].concat();
    run_by(cargo::command().args(&words), &format!("cargo {}", words.join(" ")), report)
}

fn run_by(command: &mut Command, call: &str, report: &mut Report) -> Result {
    let finished = process::run_tool(command, Show::Live)?;
    record(call, &finished, &Counted::from_libtest(&finished.output), report);
    Ok(())
}

/// Of a build and all its tests.
const LIMIT: Duration = Duration::from_secs(1200);

/// By another cargo's `test`, `with` these words behind `--`. What fails is run once more, one after the other: where
/// something else stands in for the system, a test about a deadline may fail for those beside it. Which they
/// were is noted; what fails by itself, too, has failed.
pub(super) fn run_beside_and_alone(
    cargo: impl Fn() -> Result<Command>,
    with: &[&str],
    call: &str,
    report: &mut Report,
) -> Result {
    let run = |words: &[&str]| {
        let finished = process::run(cargo()?.args(words), Show::Live, LIMIT)?;
        let counted = Counted::from_libtest(&finished.output);
        Ok::<_, String>((finished, counted))
    };
    let (finished, mut counted) = run(with)?;
    counted.failed.sort();
    counted.failed.dedup();
    if counted.failed.is_empty() {
        record(call, &finished, &counted, report);
        return Ok(());
    }
    println!("   once more, one after the other: {}", counted.failed.join(", "));
    let names: Vec<_> = counted.failed.iter().map(String::as_str).collect();
    let (finished, alone) = run(&[&["--test-threads=1", "--exact"], &names[..]].concat())?;
    report.note(format!("failed beside others, and run alone: {}", names.join(", ")));
    let counted = Counted { passed: counted.passed + alone.passed, failed: alone.failed, ..counted };
    record(call, &finished, &counted, report);
    // A name that no program knew is no success.
    if counted.failed.is_empty() && alone.passed < names.len() {
        report.fail(call, "not all that had failed ran alone");
    }
    Ok(())
}

fn record(call: &str, finished: &Finished, counted: &Counted, report: &mut Report) {
    report.count(counted.passed, counted.ignored);
    for name in &counted.failed {
        report.fail(name, "see its output above");
    }
    if !finished.success() && counted.failed.is_empty() {
        report.fail(call, &finished.ending());
    }
    if finished.success() && counted.passed == 0 {
        report.fail(call, "no test ran");
    }
    if counted.ignored > 0 {
        report.note(format!("{} ignored", counted.ignored));
    }
}

/// Counts what one test program said.
pub(super) fn record_program(label: &str, finished: &Finished, report: &mut Report) {
    let counted = Counted::from_libtest(&finished.stdout);
    println!("   {label}: {} passed, {} failed", counted.passed, counted.failed.len());
    if !finished.success() {
        println!("{}", process::last_lines(&finished.output, 60));
    }
    record(label, finished, &counted, report);
}

/// What became of the tests.
#[derive(Debug, Default, PartialEq)]
struct Counted {
    passed: usize,
    ignored: usize,
    failed: Vec<String>,
}

impl Counted {
    /// From what `cargo test` says at the end of each test program, added up.
    fn from_libtest(output: &str) -> Self {
        let mut counted = Self::default();
        for line in output.lines() {
            if let Some(result) = line.strip_prefix("test result: ") {
                counted.passed += number_before(result, " passed");
                counted.ignored += number_before(result, " ignored");
            } else if let Some(test) = line.strip_prefix("test ") {
                counted.failed.extend(test.strip_suffix(" ... FAILED").map(str::to_owned));
            }
        }
        counted
    }

    /// From nextest's report; from none, which is empty, nothing.
    fn from_junit(xml: &str) -> Result<Self> {
        let mut counted = Self::default();
        if xml.is_empty() {
            return Ok(counted);
        }
        let document = roxmltree::Document::parse(xml).map_err(|e| format!("{JUNIT}: {e}"))?;
        for case in document.descendants().filter(|node| node.has_tag_name("testcase")) {
            let is = |kinds: &[&str]| case.children().any(|child| kinds.contains(&child.tag_name().name()));
            if is(&["failure", "error"]) {
                let [program, test] = ["classname", "name"].map(|name| case.attribute(name).unwrap_or("?"));
                counted.failed.push(format!("{program} {test}"));
            } else if is(&["skipped"]) {
                counted.ignored += 1;
            } else {
                counted.passed += 1;
            }
        }
        Ok(counted)
    }
}

/// "ok. 12 passed; 0 failed": 12 before " passed".
fn number_before(text: &str, word: &str) -> usize {
    let before = text.split(word).next().filter(|_| text.contains(word));
    let digits = before.and_then(|b| b.rsplit(|c: char| !c.is_ascii_digit()).next());
    digits.and_then(|d| d.parse().ok()).unwrap_or(0)
}

/// With `panic = "abort"` a panic would end the host instead of becoming an error code, so such a
/// build must stop, and say why.
fn aborting_panics_are_refused(_: &Context, report: &mut Report) -> Result {
    let host = cargo::host()?;
    // With a target named, the flags do not reach build scripts and procedural macros.
    let words = ["check", "--locked", "--package", PACKAGE, "--lib", "--target", &host];
    let mut command: Command = cargo::command();
    command.args(words).env("RUSTFLAGS", "-Cpanic=abort");
    command.env("CARGO_TARGET_DIR", workspace::target()?.join("panic-abort"));
    let finished = process::run(&mut command, Show::Nothing, process::LIMIT * 2)?;
    let said = process::last_lines(&finished.output, 10);
    let outcome = if finished.success() {
        Err("it compiled".to_owned())
    } else if finished.output.contains("panic = \"unwind\"") {
        Ok(())
    } else {
        Err(format!("it failed for another reason:\n{said}"))
    };
    report.check("panic=abort is a compile error that says so", outcome);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_added_up() {
        let output = "test a::b ... ok\ntest c ... FAILED\n\
                      test result: FAILED. 12 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out\n\
                      test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured\n";
        let counted = Counted::from_libtest(output);
        assert_eq!((counted.passed, counted.ignored), (15, 2));
        assert_eq!(counted.failed, ["c"]);
    }

    #[cfg(unix)]
    #[test]
    fn what_fails_beside_others_has_another_run_and_no_more() {
        let outcome = |second: &str| {
            let script = format!(
                "if [ \"$1\" = beside ]; then echo 'test a ... FAILED'; echo 'test result: FAILED. 2 passed; 1 failed'; \
                 exit 1; fi; [ \"$*\" = '--test-threads=1 --exact a' ] && {second}"
            );
            let cargo = || {
                let mut command = Command::new("sh");
                command.args(["-c", &script, "sh"]);
                Ok(command)
            };
            let mut report = Report::new();
            run_beside_and_alone(cargo, &["beside"], "call", &mut report).unwrap();
            (report.to_json(), report.failures)
        };
        let (told, failures) = outcome("echo 'test result: ok. 1 passed; 0 failed'");
        assert!(
            failures.is_empty() && told.contains("\"passed\":3") && told.contains("run alone: a"),
            "{told}"
        );
        let again = "{ echo 'test a ... FAILED'; echo 'test result: FAILED. 0 passed; 1 failed'; exit 1; }";
        for second in [again, "echo 'test result: ok. 0 passed; 0 failed'", "exit 1"] {
            assert!(!outcome(second).1.is_empty(), "{second}");
        }
    }

    #[test]
    fn nextests_report_is_counted() {
        let report = "<?xml version=\"1.0\"?><testsuites tests=\"4\"><testsuite name=\"mfa-client::tls\">\
                      <testcase name=\"a\" classname=\"mfa-client::tls\"/>\
                      <testcase name=\"b\" classname=\"mfa-client::tls\"><failure>no &lt;testcase&gt;</failure></testcase>\
                      <testcase name=\"c\" classname=\"x\"><error/></testcase>\
                      <testcase name=\"d\" classname=\"x\"><system-out>x</system-out></testcase>\
                      <testcase name=\"e\" classname=\"x\"><skipped/></testcase></testsuite></testsuites>";
        let failed = vec!["mfa-client::tls b".to_owned(), "x c".to_owned()];
        assert_eq!(Counted::from_junit(report), Ok(Counted { passed: 2, ignored: 1, failed }));
        assert_eq!(Counted::from_junit(""), Ok(Counted::default()));
        assert!(Counted::from_junit("<testsuites>").is_err());
    }
}
