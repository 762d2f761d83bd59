//! Debian's musl for ARM: fetched and unpacked, and not installed, so that the machine keeps its list of
//! architectures.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::dist::platform::MUSL_OF_ARM;
use crate::process::{self, Show};
use crate::{Result, files, workspace};

const PACKAGE: &str = "musl:arm64";
/// Where the package has it, and where programs look for it.
const LIBC: &str = "lib/aarch64-linux-musl/libc.so";
const LOADER: &str = "lib/ld-musl-aarch64.so.1";

pub fn folder() -> Result<PathBuf> {
    Ok(workspace::target()?.join("xtask").join(MUSL_OF_ARM))
}

pub fn missing() -> Option<String> {
    let is_there = folder().is_ok_and(|folder| folder.join(LOADER).is_file());
    (!is_there).then(|| format!("{PACKAGE} of Debian, unpacked below target/xtask,"))
}

pub fn install() -> Result {
    if missing().is_none() {
        return Ok(());
    }
    let folder = workspace::empty_scratch(MUSL_OF_ARM)?;
    let lists = folder.join("lists");
    files::create_folder(&lists.join("partial"))?;
    apt_get(&folder, &["update"])?;
    apt_get(&folder, &["download", PACKAGE])?;
    let package = files::with_extension(&folder, "deb").pop().ok_or("apt-get fetched nothing")?;
    process::output(Command::new("dpkg-deb").arg("-x").arg(package).arg(&folder))?;
    std::fs::remove_dir_all(&lists).map_err(|e| format!("{}: {e}", lists.display()))?;
    // The package's own link is to a folder of the whole system.
    let place = [LIBC, &format!("usr/{LIBC}")].map(|place| folder.join(place));
    let libc = place.iter().find(|file| file.is_file()).ok_or(format!("{PACKAGE} has no {LIBC}"))?;
    let loader = folder.join(LOADER);
    files::create_folder(loader.parent().unwrap_or(&loader))?;
    let _ = std::fs::remove_file(&loader);
    files::copy(libc, &loader)
}

/// For ARM, and with lists of its own.
fn apt_get(folder: &Path, words: &[&str]) -> Result {
    let mut command = Command::new("apt-get");
    for option in ["APT::Architecture=arm64", "APT::Architectures=arm64", "APT::Sandbox::User=root"] {
        command.args(["-o", option]);
    }
    command.args([
        "-o",
        "Acquire::Languages=none",
        "-o",
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
    ]);
    command.arg("-o").arg(format!("Dir::State::Lists={}", folder.join("lists").display()));
    command.arg("-o").arg(format!("Dir::Cache={}", folder.join("lists").display()));
    command.args(words).current_dir(folder);
    process::run(&mut command, Show::Nothing, process::LIMIT)?.expect_success("apt-get").map(drop)
}
