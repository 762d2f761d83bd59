//! The examples: each compiles without a warning, and ends as its first comment promises.

use std::path::{Path, PathBuf};

use super::report::Report;
use super::{Context, Step, server_example, step};
use crate::c_compiler::{Compiler, Link, Program, WARNINGS, program};
use crate::cargo::{self, MESSAGES};
use crate::library::PACKAGE;
use crate::process::{self, Show};
use crate::sandbox::Sandbox;
use crate::{Result, demo, files, workspace};

const AREA: &str = "examples";

pub fn steps() -> Vec<Step> {
    vec![
        step(AREA, "examples-c", c_examples),
        step(AREA, "examples-rust", rust_examples),
        step(AREA, "demo", story),
    ]
}

/// One way to run an example, and how it must end.
struct Case {
    example: &'static str,
    token: &'static str,
    /// With the names of the sandbox's addresses in braces.
    arguments: &'static [&'static str],
    exit_code: i32,
}

const APPROVES: &str = "sandbox-approve";
const DENIES: &str = "sandbox-deny";
/// Without it the C examples would ask the provider itself.
const HERE: &[&str] = &["--url", "{hyperid}"];
const CAPILLARY: &[&str] = &[
    "--url",
    "{hyperid}",
    "--capillary-url",
    "{capillary}",
    "--brand",
    "{brand}",
    "--device",
    "a-device",
    "--authorized-token",
    "sandbox-registered",
];

const C_CASES: &[Case] = &[
    Case { example: "confirm", token: APPROVES, arguments: HERE, exit_code: 0 },
    Case { example: "confirm", token: DENIES, arguments: HERE, exit_code: 1 },
    Case {
        example: "confirm",
        token: "sandbox-never",
        arguments: &["--url", "{hyperid}", "--timeout", "1"],
        exit_code: 2,
    },
    Case { example: "confirm", token: "sandbox-token-expired", arguments: HERE, exit_code: 2 },
    Case { example: "check", token: APPROVES, arguments: HERE, exit_code: 0 },
    Case { example: "check", token: APPROVES, arguments: CAPILLARY, exit_code: 0 },
    Case { example: "check", token: "sandbox-revoked", arguments: HERE, exit_code: 2 },
    Case { example: "poll_once", token: APPROVES, arguments: HERE, exit_code: 0 },
    Case { example: "poll_once", token: DENIES, arguments: HERE, exit_code: 1 },
    Case { example: "server", token: APPROVES, arguments: HERE, exit_code: 0 },
    Case { example: "server", token: DENIES, arguments: HERE, exit_code: 1 },
    Case { example: "server", token: "sandbox-token-expired", arguments: HERE, exit_code: 2 },
    Case {
        example: "server",
        token: APPROVES,
        arguments: &["--url", "{hyperid}", "--bogus", "1"],
        exit_code: 2,
    },
];

/// They take the address from the environment.
const RUST_CASES: &[Case] = &[
    Case { example: "confirm", token: APPROVES, arguments: &[], exit_code: 0 },
    Case { example: "confirm", token: DENIES, arguments: &[], exit_code: 1 },
    Case { example: "confirm", token: "sandbox-token-expired", arguments: &[], exit_code: 2 },
];

fn c_examples(context: &Context, report: &mut Report) -> Result {
    let Some(compiler) = Compiler::any() else {
        report.skip("examples/c", "no C compiler is installed");
        return Ok(());
    };
    let sources = files::with_extension(&workspace::root().join("examples/c"), "c");
    if sources.is_empty() {
        return Err("examples/c has no program".to_owned());
    }
    let flags = [&["-std=c99"], WARNINGS].concat();
    let folder = workspace::scratch("examples-c")?;
    for source in sources {
        let name = files::stem(&source);
        let output = folder.join(&name);
        let link = Link::Shared(context.library()?);
        let compiled = compiler.compile(&Program { source: &source, output: &output, flags: &flags, link });
        let runs = compiled.is_ok();
        report.check(&format!("{name}.c compiles"), compiled);
        if runs {
            run_cases(C_CASES, &name, &output, context, report)?;
            if name == server_example::NAME {
                server_example::check(&output, context.sandbox()?, report)?;
            }
        }
    }
    Ok(())
}

fn rust_examples(context: &Context, report: &mut Report) -> Result {
    // The whole workspace, as `cargo test` builds it.
    let built = cargo::build(&["build", "--workspace", "--examples", "--locked", MESSAGES])?;
    for source in files::with_extension(&workspace::root().join("examples"), "rs") {
        let name = files::stem(&source);
        let output: PathBuf = built.program(PACKAGE, &name)?;
        run_cases(RUST_CASES, &name, &output, context, report)?;
    }
    Ok(())
}

/// Each example has its cases: one that nobody described is not tested.
fn run_cases(cases: &[Case], name: &str, file: &Path, context: &Context, report: &mut Report) -> Result {
    let cases: Vec<_> = cases.iter().filter(|case| case.example == name).collect();
    if cases.is_empty() {
        report.fail(name, "xtask/src/test/examples.rs does not say how it should end");
    }
    for case in cases {
        let what = format!("{name} {}, {}: {}", case.arguments.join(" "), case.token, case.exit_code);
        report.check(&what, run_case(case, file, context.sandbox()?));
    }
    Ok(())
}

fn run_case(case: &Case, file: &Path, sandbox: &Path) -> Result {
    let sandbox = Sandbox::start(sandbox)?;
    let mut command = program(file);
    command.args(case.arguments.iter().map(|argument| sandbox.fill_in(argument)));
    command.env("MFA_BASE_URL", sandbox.get("hyperid")?).env("MFA_TOKEN", case.token);
    let finished = process::run(&mut command, Show::Nothing, process::LIMIT)?;
    if finished.code() == Some(case.exit_code) {
        return Ok(());
    }
    Err(format!("{}\n{}", finished.ending(), process::last_lines(&finished.output, 20)))
}

fn story(_: &Context, report: &mut Report) -> Result {
    report.check("cargo xtask demo", demo::story(demo::Person::Simulated));
    Ok(())
}
