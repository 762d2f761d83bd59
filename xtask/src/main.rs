//! The project's own chores: `cargo xtask` lists them.
//!
//! One file per command; `lib.rs` is what they share with each other and with the benchmarks. Nothing here is part of the library, and little but the standard library
//! is used, so that the first `cargo xtask` in a fresh clone is quick.
#![forbid(unsafe_code)]

mod abi_guard;
mod bench;
mod demo;
mod dist;
mod docs;
#[path = "../../generate/mod.rs"]
mod generate;
mod header;
mod test;

use std::process::ExitCode;

// The commands know them as their own.
use xtask::{
    Result, c_compiler, cargo, dependencies, files, library, notices, packages, process, released, sandbox,
    sbom, sizes, std_source, wine, workspace,
};

struct Command {
    name: &'static str,
    arguments: &'static str,
    about: &'static str,
    run: fn(&[String]) -> Result<ExitCode>,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "demo",
        arguments: "[--phone]",
        about: "the whole story against the sandbox; --phone: you decide, on a page",
        run: demo::run,
    },
    Command {
        name: "test",
        arguments: "[--setup] [--platforms] [--only NAME]... [--program NAME]... [--debug] [--lanes N] [--list] [-- ARGUMENT...]",
        about: "every test and check, with a table at the end; --setup installs what they need\n      \
                --platforms: also those of other systems than this one\n      \
                --program: of C and C++ this one alone; --debug: quickly, with the debug library\n      \
                --lanes: how many steps at a time; 1: each as it goes\n      \
                --: the rest is for the runner of python, csharp or cargo-test",
        run: test::run,
    },
    Command {
        name: "bench",
        arguments: "[--setup] [--quick] [--only PART]... [--previous REV | --previous-library FILE]",
        about: "the benchmarks, against the release build; --previous: and beside an earlier one's",
        run: bench::run,
    },
    Command {
        name: "header",
        arguments: "[--check]",
        about: "renews what is generated: the C headers, docs/codes.md, parts of the bindings; --check: only compares",
        run: header::run,
    },
    Command {
        name: "abi",
        arguments: "[--write WHY [--incompatible]]",
        about: "whether the ABI is as described; --write: describes it anew, and adds why it changed",
        run: abi_guard::run,
    },
    Command {
        name: "docs",
        arguments: "",
        about: "the documentation as a site, with a reference for C, C++, Python and C#; fetches Sphinx from PyPI once",
        run: docs::run,
    },
    Command {
        name: "dist",
        arguments: "[--setup] [--platform NAME]... [--output DIR] | --prefix DIR [--sandbox]",
        about: "the release: tarballs, a zip, wheels, NuGet packages, SBOM, notices, checksums; in target/dist\n      \
                --prefix: a build for this machine as an install tree: libraries, headers, pkg-config, CMake\n      \
                --sandbox: and the sandbox, for the tests of a program that is linked with it",
        run: dist::run,
    },
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let wanted = words.first().map_or("--help", String::as_str);
    if matches!(wanted, "--help" | "-h" | "help") {
        print!("{}", usage());
        return ExitCode::SUCCESS;
    }
    let Some(command) = COMMANDS.iter().find(|command| command.name == wanted) else {
        eprint!("there is no chore '{wanted}'\n\n{}", usage());
        return ExitCode::from(2);
    };
    let mut own = words[1..].iter().take_while(|word| *word != "--");
    if own.any(|word| word == "--help" || word == "-h") {
        print!("{}", line(command));
        return ExitCode::SUCCESS;
    }
    match (command.run)(&words[1..]) {
        Ok(code) => code,
        Err(why) => {
            eprintln!("cargo xtask {wanted}: {why}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> String {
    let lines: String = COMMANDS.iter().map(line).collect();
    format!("cargo xtask COMMAND\n\n{lines}")
}

fn line(command: &Command) -> String {
    format!("  {} {}\n      {}\n", command.name, command.arguments, command.about)
}
