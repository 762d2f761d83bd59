//! The C++ binding: each program in `tests/cpp` with both compilers and both standards, and the
//! examples.

use std::path::{Path, PathBuf};

use super::report::Report;
use super::{Context, Step, step};
use crate::c_compiler::{Compiler, Link, Program, WARNINGS, program};
use crate::library::Library;
use crate::process::{self, Finished, Show};
use crate::sandbox::Sandbox;
use crate::test::setup::clang_has_sanitizers;
use crate::{Result, files, workspace};

const AREA: &str = "C++";
const FOLDER: &str = "tests/cpp";
const AT_A_TIME: usize = 2;
/// Compiled without exceptions in one variant; with them it is a program like the others.
const WITHOUT_EXCEPTIONS: &str = "without_exceptions";

struct Variant {
    name: &'static str,
    compiler: &'static str,
    flags: &'static [&'static str],
    /// The one program that it is about; `None`: all.
    only: Option<&'static str>,
}

const VARIANTS: &[Variant] = &[
    Variant { name: "cpp-gcc-17", compiler: "g++", flags: &["-std=c++17"], only: None },
    Variant { name: "cpp-gcc-20", compiler: "g++", flags: &["-std=c++20"], only: None },
    Variant { name: "cpp-clang-17", compiler: "clang++", flags: &["-std=c++17"], only: None },
    Variant { name: "cpp-clang-20", compiler: "clang++", flags: &["-std=c++20"], only: None },
    Variant {
        name: "cpp-sanitized",
        compiler: "g++",
        flags: &["-std=c++20", "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
        only: None,
    },
    Variant {
        name: "cpp-no-exceptions",
        compiler: "g++",
        flags: &["-std=c++17", "-fno-exceptions", "-fno-rtti"],
        only: Some(WITHOUT_EXCEPTIONS),
    },
];

pub fn steps() -> Vec<Step> {
    let run = |variant: &'static Variant| {
        let programs = sources(variant).iter().map(|source| files::stem(source)).collect();
        step(AREA, variant.name, move |context, report| run_variant(variant, context, report))
            .with_programs(programs)
    };
    let mut steps: Vec<_> = VARIANTS.iter().map(run).collect();
    steps.push(step(AREA, "examples-cpp", examples));
    steps
}

fn run_variant(variant: &Variant, context: &Context, report: &mut Report) -> Result {
    let Some(compiler) = Compiler::find(variant.compiler) else {
        report.skip(variant.name, &format!("{} is not installed", variant.compiler));
        return Ok(());
    };
    if variant.compiler == "clang++" && !clang_has_sanitizers() {
        report.skip(variant.name, "clang's libraries are not installed");
        return Ok(());
    }
    let folder = workspace::scratch(variant.name)?;
    let (library, sandbox) = (context.library()?, context.sandbox()?);
    let flags = [&["-O2"], WARNINGS, variant.flags].concat();
    let work = |source: &PathBuf| run_program(&compiler, &flags, library, sandbox, source, &folder);
    let mut sources = sources(variant);
    sources.retain(|source| context.wants(&files::stem(source)));
    for (source, finished) in sources.iter().zip(process::in_parallel(&sources, AT_A_TIME, work)) {
        record(&files::stem(source), finished, report);
    }
    Ok(())
}

fn sources(variant: &Variant) -> Vec<PathBuf> {
    let folder = workspace::root().join(FOLDER);
    let mut sources = files::with_extension(&folder, "cpp");
    match variant.only {
        Some(only) => sources.retain(|source| files::stem(source) == only),
        // A program of two files.
        None => sources.push(folder.join("odr/first.cpp")),
    }
    sources
}

fn run_program(
    compiler: &Compiler,
    flags: &[&str],
    library: &Library,
    sandbox: &Path,
    source: &Path,
    folder: &Path,
) -> Result<Finished> {
    let binary = folder.join(files::stem(source));
    let second = source.with_file_name("second.cpp");
    let second = second.to_string_lossy();
    let mut flags = flags.to_vec();
    if files::stem(source) == "first" {
        flags.push(&second);
    }
    compiler.compile(&Program { source, output: &binary, flags: &flags, link: Link::Shared(library) })?;
    let sandbox = Sandbox::start(sandbox)?;
    let mut command = program(&binary);
    sandbox.set_environment(&mut command)?;
    command.env("MFA_TEST_INCLUDE", workspace::root().join("include"));
    command.env("ASAN_OPTIONS", "detect_leaks=1");
    process::run(&mut command, Show::Nothing, process::LIMIT)
}

fn record(name: &str, finished: Result<Finished>, report: &mut Report) {
    let finished = match finished {
        Ok(finished) => finished,
        Err(why) => return report.fail(name, &why),
    };
    let passed = finished.stdout.lines().filter(|line| line.starts_with("ok ")).count();
    report.count(passed, 0);
    println!("   {name}: {passed} passed");
    if !finished.success() || passed == 0 {
        let failed: Vec<_> = finished.output.lines().filter(|line| !line.starts_with("ok ")).collect();
        report.fail(name, &failed.join("\n"));
    }
}

/// The example, its token, and how it must end.
const EXAMPLES: &[(&str, &str, i32)] =
    &[("confirm", "sandbox-approve", 0), ("confirm", "sandbox-deny", 1), ("check", "sandbox-approve", 0)];

fn examples(context: &Context, report: &mut Report) -> Result {
    let Some(compiler) = Compiler::find("g++") else {
        report.skip("examples-cpp", "g++ is not installed");
        return Ok(());
    };
    let folder = workspace::scratch("examples-cpp")?;
    let flags = [&["-std=c++17"], WARNINGS].concat();
    for (example, token, expected) in EXAMPLES {
        let source = workspace::root().join(format!("examples/cpp/{example}.cpp"));
        let output = folder.join(example);
        let link = Link::Shared(context.library()?);
        compiler.compile(&Program { source: &source, output: &output, flags: &flags, link })?;
        let sandbox = Sandbox::start(context.sandbox()?)?;
        let mut command = program(&output);
        command.args(["--url", sandbox.get("hyperid")?, "--token", token]);
        let finished = process::run(&mut command, Show::Nothing, process::LIMIT)?;
        let code = finished.status.and_then(|status| status.code());
        let outcome =
            if code == Some(*expected) { Ok(()) } else { Err(format!("{code:?}:\n{}", finished.output)) };
        report.check(&format!("{example} with {token} ends with {expected}"), outcome);
    }
    Ok(())
}
