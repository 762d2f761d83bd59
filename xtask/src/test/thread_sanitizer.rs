//! ThreadSanitizer over the C programs and the Rust tests that use threads.
//!
//! It must see std too, so std is built with it: by Debian's compiler, which comes with the source of its
//! own std. Cargo keeps what it has built below `target/thread-sanitizer`, as long as that compiler stays.
//! The programs are linked with clang's runtime.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::report::Report;
use super::{Context, Step, c_programs, rust, setup, step};
use crate::c_compiler::{Compiler, Link, Program, WARNINGS, program};
use crate::cargo::{self, Built, MESSAGES};
use crate::library::{self, C_PACKAGE, Library, PACKAGE};
use crate::process::{self, Finished, Show};
use crate::{Result, files, workspace};

const NAME: &str = "thread-sanitizer";
const FOLDER: &str = "tests/thread-sanitizer";

/// Debian's packages, which `--setup` installs.
const NEEDS: &[&str] =
    &["rustc-web", "cargo-web", "rust-web-src", "libstd-rust-web-dev", "clang", "libclang-rt-dev"];

const C_PROGRAMS: &[&str] = &["threads", "cancel", "thread_cancel", "waiter", "waiter_host"];

const FLAGS: &[&str] = &["-std=c99", "-g", "-O1", "-fno-omit-frame-pointer", "-fsanitize=thread"];

/// Some of a Rust test program.
struct RustProgram {
    target: &'static str,
    arguments: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
}

/// Few calls each: a race shows in the order of what happens, not in how often.
const RUST_PROGRAMS: &[RustProgram] = &[
    // The model has one thread, and the policy none.
    RustProgram { target: "mfa", arguments: &["--skip", "model::", "--skip", "policy::"], environment: &[] },
    RustProgram {
        target: "soak",
        arguments: &[],
        environment: &[("MFA_SOAK_CALLS", "4000"), ("MFA_SOAK_WAITS", "1000")],
    },
    RustProgram {
        target: "slipping",
        arguments: &[],
        environment: &[("MFA_SLIPPING_CALLS", "1000"), ("MFA_SLIPPING_ROUNDS", "20")],
    },
    RustProgram {
        target: "integration",
        // What is left out holds hundreds of connections and counts on the full speed of the machine, or
        // makes threads in a forked child, which ThreadSanitizer cannot follow.
        arguments: &[
            "waiter::",
            "names::",
            "--skip",
            "a_late_caller",
            "--skip",
            "no_more_connections",
            "--skip",
            "names::a_forked_child",
            "--skip",
            "names::a_child_of",
        ],
        environment: &[],
    },
];

/// By default every socket is taken for a synchronisation of all who use it, which hides races in what
/// talks to a network; without that, what only a socket puts in order is reported.
const IO_SYNC: [u8; 2] = [0, 1];

/// What a program ends with when something was reported.
const REPORTED: i32 = 66;

pub fn steps() -> Vec<Step> {
    let run = |context: &Context, report: &mut Report| run(context, report);
    if cfg!(target_os = "linux") { vec![step("threads", NAME, run)] } else { Vec::new() }
}

fn run(context: &Context, report: &mut Report) -> Result {
    let missing = setup::missing(NEEDS);
    if !missing.is_empty() {
        report.skip(NAME, &format!("not installed: {}", missing.join(", ")));
        return Ok(());
    }
    let compiler = Compiler::find("clang").ok_or("clang is not installed")?;
    let runtime = compile_runtime()?;
    let library = library::lay_out(&build(&runtime, &["build", "--package", C_PACKAGE])?, NAME)?;
    let built = build(&runtime, &of_the_tests())?;
    let tools = Tools { compiler, runtime, library };
    report.check("a race in the library is reported", tools.race_is_reported());
    for name in C_PROGRAMS {
        let binary = tools.compile(&workspace::root().join("tests/c").join(format!("{name}.c")))?;
        for io_sync in IO_SYNC {
            let finished = tools.run_c_program(&binary, context.sandbox()?, io_sync)?;
            let label = format!("{name}, io_sync={io_sync}");
            if !has_report(&label, &finished, report) {
                c_programs::record(&label, &finished, report);
            }
        }
    }
    for tests in RUST_PROGRAMS {
        for io_sync in IO_SYNC {
            let finished = run_rust_program(&built, tests, io_sync)?;
            let label = format!("{}, io_sync={io_sync}", tests.target);
            if !has_report(&label, &finished, report) {
                rust::record_program(&label, &finished, report);
            }
        }
    }
    Ok(())
}

/// Cargo's words for the tests.
fn of_the_tests() -> Vec<&'static str> {
    let mut words = vec!["test", "--no-run", "--package", PACKAGE, "--lib"];
    words.extend(
        RUST_PROGRAMS.iter().filter(|tests| tests.target != "mfa").flat_map(|t| ["--test", t.target]),
    );
    words
}

/// All that is instrumented.
fn build(runtime: &Path, words: &[&str]) -> Result<Built> {
    let host = cargo::host()?;
    let mut words = words.to_owned();
    words.extend(["--locked", "-Zbuild-std=std,panic_unwind,test", "--target", &host, MESSAGES]);
    let runtime = format!("-Clink-arg={}", runtime.display());
    let flags = [
        "-Zsanitizer=thread",
        "-Zexternal-clangrt",
        "-Cforce-frame-pointers=yes",
        "-Cdebuginfo=1",
        "-Clinker=clang",
        "-Clink-arg=-fsanitize=thread",
        &runtime,
    ];
    let mut command = cargo::command_of(Path::new("/usr/bin/cargo"));
    command.args(&words).env("PATH", "/usr/bin:/bin");
    for name in ["RUSTC", "RUSTDOC", "RUSTFLAGS", "RUSTUP_TOOLCHAIN", "RUSTC_WRAPPER"] {
        command.env_remove(name);
    }
    command
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env("CARGO_TARGET_DIR", workspace::target()?.join(NAME));
    cargo::build_with(&mut command, &words)
}

/// What older runtimes lack.
fn compile_runtime() -> Result<PathBuf> {
    let object = workspace::scratch(NAME)?.join("runtime.o");
    let source = workspace::root().join(FOLDER).join("runtime.c");
    let mut clang = Command::new("clang");
    // Else it would make a call of itself of it.
    clang.args(["-O1", "-fno-builtin", "-c"]).arg(source).arg("-o").arg(&object);
    process::output(&mut clang)?;
    Ok(object)
}

struct Tools {
    compiler: Compiler,
    runtime: PathBuf,
    library: Library,
}

impl Tools {
    fn compile(&self, source: &Path) -> Result<PathBuf> {
        let output = workspace::scratch(NAME)?.join(files::stem(source));
        let runtime = self.runtime.to_string_lossy();
        let flags = [FLAGS, WARNINGS, &[&runtime]].concat();
        let link = Link::Static(&self.library);
        self.compiler.compile(&Program { source, output: &output, flags: &flags, link })?;
        Ok(output)
    }

    /// What reports nothing, whatever there is, would be a fine sanitizer.
    fn race_is_reported(&self) -> Result {
        let binary = self.compile(&workspace::root().join(FOLDER).join("race.c"))?;
        for io_sync in IO_SYNC {
            let mut command = program(&binary);
            sanitize(&mut command, io_sync);
            let finished = process::run(&mut command, Show::Nothing, process::LIMIT)?;
            let is_there = ["data race", "mfa_hyperid_status", "src/ffi/memory.rs"];
            let is_reported = is_there.iter().all(|text| finished.output.contains(text));
            if finished.code() != Some(REPORTED) || !is_reported {
                return Err(format!("it was not: {}\n{}", finished.ending(), finished.output));
            }
        }
        Ok(())
    }

    fn run_c_program(&self, binary: &Path, sandbox: &Path, io_sync: u8) -> Result<Finished> {
        let mut command = program(binary);
        sanitize(&mut command, io_sync);
        c_programs::run_beside_sandboxes(&mut command, sandbox, Some(&binary.with_extension("pem")))
    }
}

fn run_rust_program(built: &Built, tests: &RustProgram, io_sync: u8) -> Result<Finished> {
    let mut command = program(&built.test_program(PACKAGE, tests.target)?);
    command.args(tests.arguments).current_dir(workspace::root());
    command.envs(tests.environment.iter().copied());
    sanitize(&mut command, io_sync);
    process::run(&mut command, Show::Nothing, process::LIMIT)
}

fn sanitize(command: &mut Command, io_sync: u8) {
    command.env("TSAN_OPTIONS", format!("io_sync={io_sync}:exitcode={REPORTED}"));
}

/// Whether ThreadSanitizer had something to say, which then has been reported.
fn has_report(label: &str, finished: &Finished, report: &mut Report) -> bool {
    let Some(start) = finished.output.find("WARNING: ThreadSanitizer") else { return false };
    let text: Vec<_> = finished.output[start..].lines().take(60).collect();
    report.fail(label, &text.join("\n"));
    true
}
