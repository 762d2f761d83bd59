//! `cargo xtask bench`: the benchmarks' runner is a crate of its own, `benches/runner`, so that it is
//! compiled by those who measure and by nobody else.

use std::process::ExitCode;

use crate::{Result, cargo};

pub fn run(words: &[String]) -> Result<ExitCode> {
    let mut command = cargo::command();
    command.args(["run", "--quiet", "--locked", "--package", "bench-runner", "--"]).args(words);
    let status = command.status().map_err(|e| format!("cargo run: {e}"))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
