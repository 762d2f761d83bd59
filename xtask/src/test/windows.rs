//! Windows: the library is checked for it, and its tests and C programs run under Wine. That is not
//! Windows, and `docs/platforms.md` says so.

mod csharp;

use std::path::{Path, PathBuf};
use std::process::Command;

use super::c_programs::record;
use super::report::Report;
use super::{Context, Step, rust, step};
use crate::c_compiler::WARNINGS;
use crate::cargo::{self, Built, MESSAGES};
use crate::library::{C_PACKAGE, PACKAGE, SANDBOX_PACKAGE};
use crate::process::{self, Finished, Show};
use crate::sandbox::Sandbox;
use crate::{Result, files, wine, workspace};

const AREA: &str = "Windows";

pub fn steps() -> Vec<Step> {
    let steps = vec![
        step(AREA, "windows-check", check),
        step(AREA, "windows-rust", rust_tests).with_arguments(),
        step(AREA, "windows-rust-more", more_rust_tests),
        step(AREA, "windows-c", c_programs)
            .with_programs(C_PROGRAMS.iter().chain(&[HOST]).map(|name| (*name).to_owned()).collect()),
        step(AREA, "windows-examples", examples),
        step(AREA, "windows-csharp", csharp::csharp).with_arguments(),
    ];
    steps.into_iter().map(Step::of_another_platform).collect()
}

/// The library compiles; what follows builds all else.
fn check(_: &Context, report: &mut Report) -> Result {
    if let Some(package) = wine::missing_to_build() {
        report.skip("the check for Windows", &format!("{package} is not installed"));
        return Ok(());
    }
    let mut command = wine::cargo(&["rustc", "--profile", "check"])?;
    command.args(["--package", PACKAGE, "--lib", "--", "-Dwarnings"]);
    let finished = process::run_tool(&mut command, Show::Live)?;
    let outcome = finished.expect_success("see above").map(drop);
    report.check("the library compiles without a warning", outcome);
    Ok(())
}

/// Whether programs can be run; tells what is missing if not.
fn can_run(report: &mut Report) -> bool {
    let Some(package) = wine::missing_to_run() else { return true };
    report.skip("Windows under Wine", &format!("{package} is not installed"));
    false
}

/// What has nothing of Windows in it, and takes minutes where each call to the system goes through
/// another process: thousands of exchanges each.
const NOT_UNDER_WINE: &[&str] = &[
    "approval_table::exactly_one_combination_approves",
    "approval_table::the_same_holds_for_a_wait_and_no_error_stands_beside_an_approval",
];
/// Once in a dozen runs the test's own server, which sends without an end, was not woken from its write when its
/// client was gone, and the program hung.
const HANGS_UNDER_WINE: &[&str] = &["waiter::an_answer_that_never_ends_ends_at_the_deadline"];
/// More would do no more at once: all go through Wine's one server. Fewer would wait one after the other
/// for what ends by the clock.
const THREADS: &str = "--test-threads=4";

/// Unit and integration tests.
fn rust_tests(context: &Context, report: &mut Report) -> Result {
    run_rust_tests(
        PACKAGE,
        &["--lib", "--test", "integration"],
        &[NOT_UNDER_WINE, HANGS_UNDER_WINE].concat(),
        &context.options.arguments,
        report,
    )
}

/// The waits of the integration tests through a waiter, what is left in memory, answers that slip, and
/// the sandbox's own tests.
fn more_rust_tests(_: &Context, report: &mut Report) -> Result {
    let programs =
        ["--test", "by_waiter", "--test", "secrets", "--test", "slipping", "--test", "slipping_by_waiter"];
    run_rust_tests(PACKAGE, &programs, NOT_UNDER_WINE, &[], report)?;
    run_rust_tests(SANDBOX_PACKAGE, &["--tests"], &[], &[], report)
}

/// How much of what is random: thousands of waits at once are more than Wine's poll carries within
/// their deadlines.
const FEWER: &[(&str, &str)] =
    &[("MFA_SCHEDULES", "60"), ("MFA_SLIPPING_CALLS", "400"), ("MFA_SLIPPING_ROUNDS", "20")];

/// A name that fits no test any more would hide that the test now runs under another, or is gone.
fn check_left_out(words: &[&str], left_out: &[&str], report: &mut Report) -> Result {
    if left_out.is_empty() {
        return Ok(());
    }
    let mut command = wine::cargo(words)?;
    wine::prepare(command.args(["--", "--list"]))?;
    let listed = process::run_tool(&mut command, Show::Nothing)?.expect_success("listing the tests")?;
    for test in not_listed(left_out, &listed.stdout) {
        report.fail(test, "it is to be left out under Wine, and there is no such test");
    }
    Ok(())
}

fn not_listed<'a>(tests: &[&'a str], listed: &str) -> Vec<&'a str> {
    let is_there = |test: &str| listed.lines().any(|line| line.trim() == format!("{test}: test"));
    tests.iter().copied().filter(|test| !is_there(test)).collect()
}

fn run_rust_tests(
    package: &str,
    programs: &[&str],
    left_out: &[&str],
    arguments: &[String],
    report: &mut Report,
) -> Result {
    if !can_run(report) {
        return Ok(());
    }
    let words = [&["test", "--no-fail-fast", "--package", package], programs].concat();
    check_left_out(&words, left_out, report)?;
    let cargo = || {
        let mut command = wine::cargo(&words)?;
        wine::prepare(&mut command)?;
        command.envs(FEWER.iter().copied());
        command.args(arguments);
        if !arguments.iter().any(|argument| argument == "--") {
            command.arg("--");
        }
        Ok(command)
    };
    let skipped = left_out.iter().flat_map(|test| ["--skip", test]);
    let with: Vec<_> = [THREADS].into_iter().chain(skipped).collect();
    rust::run_beside_and_alone(cargo, &with, &format!("cargo test for Windows, {package}"), report)
}

/// What was built for Windows: the library and the sandbox's program.
struct Windows {
    import_library: PathBuf,
    /// Holds `mfa.dll`, and is where programs are put, since Windows looks for libraries beside them.
    folder: PathBuf,
    sandbox: PathBuf,
}

fn built() -> Result<Built> {
    let words = ["build"];
    let mut command = wine::cargo(&words)?;
    command.args(["--package", C_PACKAGE, "--package", SANDBOX_PACKAGE, MESSAGES]);
    cargo::build_with(&mut command, &words)
}

fn build() -> Result<Windows> {
    let built = built()?;
    let library = built.file(C_PACKAGE, "mfa.dll")?;
    let folder = workspace::scratch("windows")?;
    files::copy(&library, &folder.join("mfa.dll"))?;
    Ok(Windows {
        import_library: built.file(C_PACKAGE, "libmfa.dll.a")?,
        folder,
        sandbox: built.program(SANDBOX_PACKAGE, "mfa-sandbox")?,
    })
}

/// Those of `tests/c` that ask nothing of POSIX but its sockets, which `posix_on_windows.h` gives them.
/// The others are about signals, fork(2), pthread_cancel, descriptors, a resolver of their own, or
/// epoll.
const C_PROGRAMS: &[&str] = &[
    "layout",
    "misuse_answers",
    "misuse_cancels",
    "misuse_clients",
    "misuse_sizes",
    "misuse_values",
    "misuse_waiters",
    "stale_approval",
    "story",
    "threads",
    "version_and_codes",
    "waiter",
];
/// What is special to Windows: the library in its host.
const HOST: &str = "host";

fn c_programs(context: &Context, report: &mut Report) -> Result {
    if !can_run(report) {
        return Ok(());
    }
    let windows = build()?;
    let in_c = C_PROGRAMS.iter().map(|name| ("tests/c", *name));
    for (folder, name) in in_c.chain([("tests/windows", HOST)]).filter(|(_, name)| context.wants(name)) {
        let source = workspace::root().join(folder).join(format!("{name}.c"));
        match run_c_program(&windows, &source, context.sandbox()?) {
            Ok(finished) => record(name, &finished, report),
            Err(why) => report.fail(name, &why),
        }
    }
    if context.wants(HOST) {
        links_as_microsofts_do(&windows.folder, &windows.import_library, report)?;
    }
    Ok(())
}

/// Says whether it got an answer from the library, and needs no C library of either compiler.
const WITHOUT_C_LIBRARY: &str =
    "unsigned mfa_abi_version(void);\nint start(void) { return 40 + (int)mfa_abi_version(); }\n";

/// Microsoft's linker cannot be had here; LLVM's takes its arguments and its libraries.
pub fn links_as_microsofts_do(folder: &Path, library: &Path, report: &mut Report) -> Result {
    let what = format!("lld-link links with {}", files::name(library));
    if !Path::new(wine::LLD).exists() {
        report.skip(&what, "lld is not installed");
        return Ok(());
    }
    let [source, object, program] = ["c", "obj", "exe"].map(|end| folder.join("linked").with_extension(end));
    files::write(&source, WITHOUT_C_LIBRARY)?;
    let mut gcc = Command::new(wine::COMPILER);
    gcc.args(["-c", "-O1", "-ffreestanding", "-o"]).arg(&object).arg(&source);
    process::run(&mut gcc, Show::Nothing, process::LIMIT)?.expect_success(wine::COMPILER)?;
    let mut lld = Command::new(wine::LLD);
    lld.args(["/entry:start", "/subsystem:console", "/nodefaultlib"]).arg(&object).arg(library);
    lld.arg(format!("/out:{}", program.display()));
    process::run(&mut lld, Show::Nothing, process::LIMIT)?.expect_success(wine::LLD)?;
    let finished = process::run(&mut wine::program(&program)?, Show::Nothing, process::LIMIT)?;
    let expected = 40 + i32::try_from(workspace::abi_version()?).unwrap_or(0);
    let outcome = if finished.code() == Some(expected) { Ok(()) } else { Err(finished.ending()) };
    report.check(&what, outcome);
    Ok(())
}

/// The sandbox is this system's own: both have the same loopback.
fn run_c_program(windows: &Windows, source: &Path, sandbox: &Path) -> Result<Finished> {
    let ca = windows.folder.join(format!("{}.pem", files::stem(source)));
    let mut command = wine::program(&compile(windows, source)?)?;
    let plain = Sandbox::start(sandbox)?;
    plain.set_environment(&mut command)?;
    let tls = Sandbox::start_tls(sandbox, &ca)?;
    command.env("MFA_TEST_TLS_URL", tls.get("hyperid")?).env("MFA_TEST_TLS_CA", &ca);
    process::run(command.current_dir(&windows.folder), Show::Nothing, process::LIMIT)
}

fn compile(windows: &Windows, source: &Path) -> Result<PathBuf> {
    let program = windows.folder.join(format!("{}.exe", files::stem(source)));
    let mut gcc = Command::new(wine::COMPILER);
    gcc.args(["-std=gnu99", "-D_WIN32_WINNT=0x0601", "-D__USE_MINGW_ANSI_STDIO=1", "-pthread"])
        .args(WARNINGS);
    for folder in workspace::include_folders().iter().chain(&[workspace::root().join("tests/c")]) {
        gcc.arg("-I").arg(folder);
    }
    // All but libmfa goes into the program.
    gcc.arg(source).arg("-o").arg(&program).arg(&windows.import_library).args([
        "-lws2_32",
        "-lversion",
        "-static",
    ]);
    let finished = process::run(&mut gcc, Show::Nothing, process::LIMIT)?;
    finished.expect_success(&format!("compiling {}", source.display()))?;
    Ok(program)
}

/// An example, its token, and how it must end.
const EXAMPLES: &[(&str, &str, i32)] = &[
    ("confirm", "sandbox-approve", 0),
    ("confirm", "sandbox-deny", 1),
    ("confirm", "sandbox-token-expired", 2),
    ("check", "sandbox-approve", 0),
    ("poll_once", "sandbox-approve", 0),
    ("poll_once", "sandbox-deny", 1),
];

/// The examples, but for the one with epoll, against the sandbox's own Windows program.
fn examples(_: &Context, report: &mut Report) -> Result {
    if !can_run(report) {
        return Ok(());
    }
    let windows = build()?;
    let mut command = wine::program(&windows.sandbox)?;
    command.arg("--strict");
    let sandbox = Sandbox::start_command(command)?;
    report.pass("mfa-sandbox.exe starts and says where it is");
    for (example, token, exit_code) in EXAMPLES {
        let source = workspace::root().join("examples/c").join(format!("{example}.c"));
        let mut command = wine::program(&compile(&windows, &source)?)?;
        command.args(["--url", sandbox.get("hyperid")?, "--token", token]);
        let finished = process::run(&mut command, Show::Nothing, process::LIMIT)?;
        let outcome = match finished.code() {
            Some(code) if code == *exit_code => Ok(()),
            _ => Err(format!("{} in place of {exit_code}\n{}", finished.ending(), finished.output)),
        };
        report.check(&format!("{example} with {token}"), outcome);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_gone_is_told() {
        let listed = "a::b: test\r\na::bc: test\n\n2 tests, 0 benchmarks\n";
        assert_eq!(not_listed(&["a::b", "a::bc"], listed), [""; 0]);
        assert_eq!(not_listed(&["a::b", "b", "a::"], listed), ["b", "a::"]);
    }
}
