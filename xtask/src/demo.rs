//! `cargo xtask demo`: a C program asks a person, and both answers are seen.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use crate::c_compiler::{Compiler, Link, Program, program};
use crate::library::{self, Library};
use crate::process::Running;
use crate::sandbox::Sandbox;
use crate::{Result, workspace};

const NO_COMPILER: &str = "the demo compiles a C program, and there is no C compiler: install gcc or clang \
                           (on Debian: apt-get install gcc libc6-dev), or name yours in CC";

#[derive(Clone, Copy, PartialEq)]
pub enum Person {
    Simulated,
    /// Whoever sits at the screen, on the sandbox's page.
    AtThePage,
}

/// How an example's exit code reads.
const APPROVED: i32 = 0;
const NOT_APPROVED: i32 = 1;

pub fn run(words: &[String]) -> Result<ExitCode> {
    let person = match words {
        [] => Person::Simulated,
        [word] if word == "--phone" => Person::AtThePage,
        _ => return Err("it takes --phone or nothing".to_owned()),
    };
    story(person)?;
    Ok(ExitCode::SUCCESS)
}

pub fn story(person: Person) -> Result {
    let compiler = Compiler::any().ok_or(NO_COMPILER)?;
    say("Building libmfa and its sandbox");
    let (library, sandbox) = library::build_debug()?;
    let [check, confirm] = ["check", "confirm"].map(|name| compile(&compiler, &library, name));
    let (check, confirm) = (check?, confirm?);
    let sandbox = Sandbox::start(&sandbox)?;
    println!("The sandbox plays HyperID at {}", sandbox.get("hyperid")?);
    match person {
        Person::Simulated => simulated(&sandbox, &check, &confirm),
        Person::AtThePage => at_the_page(&sandbox, &confirm),
    }
}

fn simulated(sandbox: &Sandbox, check: &Path, confirm: &Path) -> Result {
    say("Can this person be asked? (examples/c/check.c)");
    expect(&[APPROVED], ask(sandbox, check, "sandbox-approve")?)?;
    say("A person who says yes after a moment (examples/c/confirm.c)");
    expect(&[APPROVED], ask(sandbox, confirm, "sandbox-approve-after-2500")?)?;
    say("A person who says no");
    expect(&[NOT_APPROVED], ask(sandbox, confirm, "sandbox-deny-after-2500")?)?;
    println!("\nBoth calls returned MFA_OK: an answer was read. Only mfa_is_approved() tells yes from no.");
    println!("The demo went as it should. To answer yourself: cargo xtask demo --phone");
    Ok(())
}

fn at_the_page(sandbox: &Sandbox, confirm: &Path) -> Result {
    say("Now it is up to you");
    println!("Open this page and press Approve or Deny:\n\n    {}\n", sandbox.get("phone")?);
    let code = ask(sandbox, confirm, sandbox.get("token")?)?;
    expect(&[APPROVED, NOT_APPROVED], code)
}

fn say(what: &str) {
    println!("\n== {what}");
    // What follows is printed by another program, straight to the terminal.
    let _ = io::stdout().flush();
}

fn compile(compiler: &Compiler, library: &Library, name: &str) -> Result<PathBuf> {
    let source = workspace::root().join("examples/c").join(name).with_extension("c");
    let output = workspace::scratch("demo")?.join(name);
    let flags = ["-std=c99", "-Wall", "-Wextra", "-Werror"];
    compiler.compile(&Program {
        source: &source,
        output: &output,
        flags: &flags,
        link: Link::Shared(library),
    })?;
    Ok(output)
}

/// Runs an example on this terminal, where it can renew its progress line.
fn ask(sandbox: &Sandbox, example: &Path, token: &str) -> Result<i32> {
    let mut command = program(example);
    command.args(["--url", sandbox.get("hyperid")?]).env("MFA_TOKEN", token);
    let _ = io::stdout().flush();
    let spawned = command.stdin(Stdio::null()).spawn();
    let mut child = Running(spawned.map_err(|e| format!("{}: {e}", example.display()))?);
    let status = child.0.wait().map_err(|e| e.to_string())?;
    status.code().ok_or(format!("{}: {status}", example.display()))
}

fn expect(expected: &[i32], code: i32) -> Result {
    if expected.contains(&code) { Ok(()) } else { Err(format!("the example ended with {code}")) }
}
