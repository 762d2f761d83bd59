//! Linux on other machines, and with another C library: the C programs of `tests/c`, and those that keep the
//! ABI, compiled for it and run there.
//!
//! Against the libraries that `cargo xtask dist` makes, so that each is built once. That for armv7 is no part of
//! a release; it is the proof for 32 bits. The sandbox is this system's own: all have the same loopback.

mod chroots;
pub mod systems;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use super::abi::OnMachine;
use super::c_programs::{record, run_beside_sandboxes};
use super::report::Report;
use super::{Context, Step, abi, step};
use crate::c_compiler::{Compiler, Link, Program, WARNINGS, program};
use crate::dist::platform::{self, Platform};
use crate::dist::tools;
use crate::library::{self, Library};
use crate::process::{self, Finished};
use crate::{Result, files, workspace};
use systems::System;

const AREA: &str = "Linux";
const FOLDER: &str = "tests/c";
/// A core each on the smallest machines that CI has.
const AT_A_TIME: usize = 2;
/// The name, in `--program`, of what keeps the ABI.
const ABI: &str = "abi";

/// A program that is left out, and why.
type LeftOut = (&'static str, &'static str);

/// The C programs on one kind of Linux.
#[derive(Clone, Copy)]
struct Suite {
    step: &'static str,
    /// As `cargo xtask dist` calls it.
    platform: &'static str,
    by: By,
    libc: Libc,
    left_out: &'static [LeftOut],
}

/// What runs the programs.
#[derive(Clone, Copy)]
enum By {
    /// Which takes the C library's folder for `/`.
    Qemu(&'static str),
    /// Of the C library, where the machine is this one.
    Loader(&'static str),
}

/// The C library that the programs run with.
#[derive(Clone, Copy)]
enum Libc {
    /// Debian's packages for a cross compiler, the folder that they have for `/`, and what tells that they are
    /// there. (pthread_cancel wants libgcc_s.)
    Packages {
        names: &'static str,
        root: &'static str,
        files: &'static [&'static str],
    },
    Fetched(&'static System),
}

/// Where this system's `qemu-user` is 7.2.
const UNDER_QEMU: &[LeftOut] =
    &[("descriptors", "in a forked child, qemu ends with an assertion of its own when a thread is started")];

const SUITES: &[Suite] = &[
    Suite {
        step: "linux-aarch64",
        platform: "aarch64-linux-gnu",
        by: By::Qemu("qemu-aarch64"),
        libc: Libc::Packages {
            names: "libc6-arm64-cross, libgcc-s1-arm64-cross",
            root: "/usr/aarch64-linux-gnu",
            files: &["lib/ld-linux-aarch64.so.1", "lib/libgcc_s.so.1"],
        },
        left_out: UNDER_QEMU,
    },
    Suite {
        step: "linux-armv7",
        platform: "armv7-linux-gnu",
        by: By::Qemu("qemu-arm"),
        libc: Libc::Packages {
            names: "libc6-armhf-cross, libgcc-s1-armhf-cross",
            root: "/usr/arm-linux-gnueabihf",
            files: &["lib/ld-linux-armhf.so.3", "lib/libgcc_s.so.1"],
        },
        left_out: UNDER_QEMU,
    },
    Suite {
        step: "linux-musl",
        platform: "x86_64-linux-musl",
        by: By::Loader("lib/ld-musl-x86_64.so.1"),
        libc: Libc::Fetched(&systems::MUSL),
        left_out: &[],
    },
    Suite {
        step: "linux-musl-aarch64",
        platform: "aarch64-linux-musl",
        by: By::Qemu("qemu-aarch64"),
        libc: Libc::Fetched(&systems::MUSL_ON_ARM),
        left_out: UNDER_QEMU,
    },
];

pub fn steps() -> Vec<Step> {
    if !cfg!(target_os = "linux") {
        return Vec::new();
    }
    let suite = |suite: &'static Suite| {
        let platform = platform_called(suite.platform)?;
        let mut programs: Vec<_> =
            sources(suite).unwrap_or_default().iter().map(|f| files::stem(f)).collect();
        programs.push(ABI.to_owned());
        let run = move |context: &Context, report: &mut Report| run_suite(suite, platform, context, report);
        Some(step(AREA, suite.step, run).with_programs(programs))
    };
    let chroots = step(AREA, chroots::STEP, chroots::run);
    SUITES.iter().filter_map(suite).chain([chroots]).map(Step::of_another_platform).collect()
}

fn platform_called(name: &str) -> Option<&'static Platform> {
    platform::ALL.iter().chain([&platform::PROOF_OF_32_BITS]).find(|platform| platform.name == name)
}

/// The programs of a suite; a name in its list that is no program's is an error.
fn sources(suite: &Suite) -> Result<Vec<PathBuf>> {
    let mut sources = files::with_extension(&workspace::root().join(FOLDER), "c");
    for (name, _) in suite.left_out {
        let place = sources.iter().position(|source| files::stem(source) == *name);
        sources.remove(place.ok_or(format!("{}: {FOLDER} has no program '{name}'", suite.step))?);
    }
    Ok(sources)
}

fn run_suite(suite: &Suite, platform: &Platform, context: &Context, report: &mut Report) -> Result {
    let sources = sources(suite)?;
    if let Some(what) = suite.missing().map(Ok).or_else(|| platform.missing().transpose()).transpose()? {
        report.skip(suite.step, &format!("{what} is not installed"));
        return Ok(());
    }
    let mut clock = Clock::new();
    let [shared, archive] = platform.build_library()?;
    let library = library::lay_out_files(shared, archive, &format!("lib-{}", suite.step))?;
    clock.tell("the library");
    let compiler = compiler(platform)?;
    let sandbox = context.sandbox()?;
    clock.tell("the sandbox");
    let wanted: Vec<_> = sources.into_iter().filter(|source| context.wants(&files::stem(source))).collect();
    let work = |source: &PathBuf| run_program(suite, &compiler, &library, source, sandbox);
    for (source, outcome) in wanted.iter().zip(process::in_parallel(&wanted, AT_A_TIME, work)) {
        match outcome {
            Ok(finished) => record(&files::stem(source), &finished, report),
            Err(why) => report.fail(&files::stem(source), &why),
        }
    }
    suite.left_out.iter().for_each(|(name, why)| report.note(format!("without {name}: {why}")));
    clock.tell("the programs");
    if context.wants(ABI) {
        let on = OnMachine { compiler: &compiler, library: &library, run: &|file| suite.command(file) };
        abi::in_c(&on, suite.step, context, report)?;
        clock.tell("the ABI");
    }
    Ok(())
}

/// What takes so long.
struct Clock(Instant);

impl Clock {
    fn new() -> Self {
        Self(Instant::now())
    }

    fn tell(&mut self, what: &str) {
        println!("   {:.0} s: {what}", self.0.elapsed().as_secs_f32());
        self.0 = Instant::now();
    }
}

/// Zig, which has the headers of every C library. It is clang, and would else plant traps of its own.
fn compiler(platform: &Platform) -> Result<Compiler> {
    let mut target = platform.zig_target();
    let is_musl = target.contains("musl");
    if !is_musl {
        target += &format!(".{}", systems::OLDEST_GLIBC_VERSION);
    }
    let mut words = vec!["-m", "ziglang", "cc", "-target", &target, "-fno-sanitize=undefined"];
    if is_musl {
        words.push("-dynamic");
    }
    Ok(Compiler::called(tools::program("python")?, &words))
}

fn run_program(
    suite: &Suite,
    compiler: &Compiler,
    library: &Library,
    source: &Path,
    sandbox: &Path,
) -> Result<Finished> {
    let folder = workspace::scratch(suite.step)?;
    let [output, ca] = ["", "pem"].map(|end| folder.join(files::stem(source)).with_extension(end));
    let flags = [&["-std=c99", "-g"], WARNINGS].concat();
    compiler.compile(&Program { source, output: &output, flags: &flags, link: Link::Shared(library) })?;
    let mut command = suite.command(&output);
    command.env("MFA_TEST_LIBRARY", library.folder.join(library::names()?.loaded));
    run_beside_sandboxes(&mut command, sandbox, Some(&ca))
}

impl Suite {
    /// What is not installed, of what is beside the compiler.
    fn missing(&self) -> Option<String> {
        let qemu_is_missing = matches!(self.by, By::Qemu(name) if process::find(name).is_none());
        qemu_is_missing.then(|| "qemu-user".to_owned()).or_else(|| match self.libc {
            Libc::Packages { names, root, files } => {
                let is_there = files.iter().all(|file| Path::new(root).join(file).exists());
                (!is_there).then(|| names.to_owned())
            }
            Libc::Fetched(system) => system.missing(),
        })
    }

    /// A program for that Linux, on this one.
    fn command(&self, file: &Path) -> Command {
        let root = match self.libc {
            Libc::Packages { root, .. } => PathBuf::from(root),
            Libc::Fetched(system) => system.root().unwrap_or_default(),
        };
        let mut command = match self.by {
            By::Qemu(name) => program(Path::new(name)),
            By::Loader(file) => program(&root.join(file)),
        };
        if let By::Qemu(_) = self.by {
            command.arg("-L").arg(root);
        }
        command.arg(file);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_there() {
        let gone = Suite { left_out: &[("no_such_program", "why")], ..SUITES[0] };
        assert!(sources(&gone).unwrap_err().contains("no_such_program"));
        for suite in SUITES {
            assert!(!sources(suite).unwrap().is_empty(), "{}", suite.step);
        }
    }
}
