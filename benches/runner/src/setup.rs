//! `--setup`: what libmfa is compared with, and what watches the comparison.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{self, Show};
use crate::{Result, packages, workspace};

const PACKAGES: &[&str] = &[
    "gcc",
    "libc6-dev",
    "libcurl4-openssl-dev",
    "libcjson-dev",
    "strace",
    "valgrind",
    "python3",
    "python3-venv",
];
/// Python's, at the versions that the figures in benches/README.md are about.
const PYTHON_PACKAGES: &[&str] = &["requests==2.34.2", "httpx==0.28.1", "aiohttp==3.14.5"];

pub fn install() -> Result {
    let missing: Vec<_> = PACKAGES.iter().copied().filter(|package| !is_installed(package)).collect();
    if !missing.is_empty() {
        packages::install(&missing)?;
    }
    let environment = environment()?;
    let python = environment.join("bin/python");
    let is_there = |package: &&str| has(&python, package.split('=').next().unwrap_or_default());
    if !PYTHON_PACKAGES.iter().all(is_there) {
        run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PYTHON_PACKAGES))?;
    }
    Ok(())
}

fn run(command: &mut Command) -> Result {
    process::run(command, Show::Live, process::LIMIT)?.expect_success("the Python environment").map(drop)
}

fn is_installed(package: &str) -> bool {
    let status = process::output(Command::new("dpkg-query").args(["-W", "-f", "${Status}", package]));
    status.is_ok_and(|status| status.contains("ok installed"))
}

/// A Python environment of the benchmarks' own.
fn environment() -> Result<PathBuf> {
    Ok(workspace::scratch("bench")?.join("python"))
}

/// That environment's Python, or the system's.
pub fn python() -> Option<PathBuf> {
    let own = environment().ok()?.join("bin/python");
    if own.is_file() { Some(own) } else { process::find("python3") }
}

/// Whether that Python has a package.
pub fn has_package(package: &str) -> bool {
    python().is_some_and(|python| has(&python, package))
}

fn has(python: &Path, package: &str) -> bool {
    process::output(Command::new(python).args(["-c", &format!("import {package}")])).is_ok()
}
