//! What is special to the files for Linux: an old libc, and a wheel that pip installs here.

use std::path::Path;
use std::process::Command;

use super::super::report::Report;
use super::super::symbols::needs_no_newer_glibc;
use super::unpacked::Unpacked;
use crate::Result;
use crate::dist::platform::System;
use crate::dist::tools;
use crate::process::{self, Show};

const IN_PYTHON: &str = "\
import mfa_client
from mfa_client.sandbox import Sandbox
with Sandbox() as sandbox, sandbox.hyperid() as client:
    yes, no = (client.confirm(token, 'Pay?').approved for token in ('sandbox-approve', 'sandbox-deny'))
    print(mfa_client.__file__, yes, no)
";

pub fn use_it(unpacked: &Unpacked, report: &mut Report) -> Result {
    for file in ["lib/libmfa.so", "lib/libmfa_sandbox.so", "bin/mfa-sandbox"] {
        let outcome = needs_no_newer(unpacked, &unpacked.tree.join(file));
        unpacked.check(report, &format!("{file} runs with the oldest libc"), outcome);
    }
    let tag = unpacked.platform().wheel.split('.').next().unwrap_or_default();
    unpacked.check(report, &format!("auditwheel calls it {tag}"), auditwheel_says(unpacked, tag)?);
    if unpacked.platform().is_this_machine()? {
        unpacked.check(report, "the wheel, in a fresh environment", installed(unpacked));
    }
    Ok(())
}

/// It asks for no symbol newer than the oldest glibc; or for nothing but musl.
fn needs_no_newer(unpacked: &Unpacked, file: &Path) -> Result {
    let System::Glibc(oldest) = unpacked.platform().system else {
        let said = process::output(Command::new("readelf").arg("-dW").arg(file))?;
        let needed: Vec<_> = said.lines().filter(|line| line.contains("(NEEDED)")).collect();
        // The program needs nothing at all: zig links programs for musl with all of it.
        let only_musl = needed.iter().all(|line| line.contains("[libc.musl-"));
        return if only_musl { Ok(()) } else { Err(needed.join(", ")) };
    };
    let said = process::output(Command::new("readelf").args(["--dyn-syms", "-W"]).arg(file))?;
    needs_no_newer_glibc(&said, oldest)
}

fn auditwheel_says(unpacked: &Unpacked, tag: &str) -> Result<Result> {
    let mut auditwheel = Command::new(tools::program("auditwheel")?);
    tools::in_path(&mut auditwheel, None)?;
    let finished = process::run(auditwheel.arg("show").arg(&unpacked.wheel), Show::Nothing, process::LIMIT)?;
    let said: String = finished.output.split_whitespace().collect::<Vec<_>>().join(" ");
    let agrees = finished.success() && said.contains(&format!("platform tag: \"{tag}\""));
    Ok(agrees.then_some(()).ok_or(said))
}

fn installed(unpacked: &Unpacked) -> Result {
    let environment = unpacked.folder.join("environment");
    let run = |command: &mut Command| {
        let finished = process::run(command, Show::Nothing, process::LIMIT)?;
        finished.expect_success("Python").map(|finished| finished.stdout)
    };
    run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    let python = environment.join("bin/python");
    let mut pip = Command::new(&python);
    run(pip.args(["-m", "pip", "install", "--quiet", "--no-index"]).arg(&unpacked.wheel))?;
    let said = run(Command::new(&python).args(["-I", "-c", IN_PYTHON]).current_dir(&unpacked.folder))?;
    let expected = said.contains(&*environment.to_string_lossy()) && said.trim().ends_with("True False");
    expected.then_some(()).ok_or(format!("it said {said}"))
}
