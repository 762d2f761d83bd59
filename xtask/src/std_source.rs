//! Rust's standard library built from source, for what no toolchain has it ready: another system, or a
//! sanitizer.
//!
//! Debian packages a compiler and the source of its std, of one version and from one registry; so that
//! nothing has to be fetched by `rustup`, that compiler builds both std and what is to be linked with it.
//! What was built is kept below the target directory, for each version of the compiler.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{self, Show};
use crate::{Result, cargo, files, workspace};

/// What `--setup` has to install, and what tells that it is there.
pub const PACKAGES: &[(&str, &str)] = &[
    ("rustc-web", RUSTC),
    ("cargo-web", CARGO),
    ("rust-web-src", "/usr/lib/rustlib/src/rust/library/std/src/lib.rs"),
    ("libstd-rust-web-dev", "/usr/lib/rustlib/x86_64-unknown-linux-gnu/lib"),
];
const RUSTC: &str = "/usr/bin/rustc";
const CARGO: &str = "/usr/bin/cargo";
/// Older ones do not compile this project.
const LEAST: &str = "1.85";

/// The package that is missing, if one is.
pub fn missing() -> Option<&'static str> {
    let absent = PACKAGES.iter().find(|(_, sign)| !Path::new(sign).exists()).map(|(name, _)| *name);
    absent.or_else(|| (!is_new_enough()).then_some(PACKAGES[0].0))
}

/// Debian has an older compiler beside it, under the same name.
fn is_new_enough() -> bool {
    let number = |version: &str| {
        let mut parts = version.split('.').map_while(|part| part.parse::<u32>().ok());
        (parts.next(), parts.next())
    };
    version().is_ok_and(|said| number(said.split(' ').nth(1).unwrap_or_default()) >= number(LEAST))
}

fn version() -> Result<String> {
    process::output(Command::new(RUSTC).arg("-V")).map(|said| said.trim().to_owned())
}

/// Debian's compiler, with its linker and no other.
pub fn rustc() -> Command {
    let mut command = Command::new(RUSTC);
    command.env("PATH", "/usr/bin:/bin").env_remove("RUSTUP_TOOLCHAIN");
    command
}

/// Debian's cargo, with Debian's compiler and nothing of the user's toolchain.
pub fn cargo() -> Command {
    let mut command = cargo::command_of(CARGO.as_ref());
    command.env("PATH", "/usr/bin:/bin").env("RUSTC", RUSTC);
    // The last two would go before the flags that name the sysroot.
    for of_the_user in ["RUSTUP_TOOLCHAIN", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
        command.env_remove(of_the_user);
    }
    command
}

/// A sysroot with std for `target`, in which `flags` were in force: `""`, or a sanitizer's.
pub fn sysroot(target: &str, flags: &str) -> Result<PathBuf> {
    let version = version()?;
    let kind = if flags.is_empty() { target.to_owned() } else { format!("{target}-with-flags") };
    let kept = workspace::scratch(&format!("std-{kind}"))?;
    // Whoever comes second finds what the first one built.
    let _lock = files::lock(&kept)?;
    let folder = kept.join("sysroot");
    let stamp = folder.join("built-by");
    let wanted = format!("{version} {flags}\n");
    if files::read(&stamp).is_ok_and(|built| built == wanted) {
        return Ok(folder);
    }
    println!("   std for {target} is built from source, once: a minute or two");
    let _ = std::fs::remove_dir_all(&folder);
    let crate_of_nothing = folder.join("nothing");
    files::create_folder(&crate_of_nothing.join("src"))?;
    files::write(
        &crate_of_nothing.join("Cargo.toml"),
        "[package]\nname = \"nothing\"\nedition = \"2021\"\n[workspace]\n",
    )?;
    files::write(&crate_of_nothing.join("src/lib.rs"), "#![no_std]\n")?;
    let build = folder.join("build");
    let mut command = cargo();
    command.args(["build", "--release", "-Zbuild-std=std,panic_unwind,test", "--target", target]);
    command.arg("--target-dir").arg(&build).current_dir(&crate_of_nothing);
    // Its unstable flag is meant for just this, and the compiler is of the same version as the source.
    command.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", format!("-Cembed-bitcode=yes {flags}"));
    process::run_tool(&mut command, Show::Nothing)?.expect_success("building std")?;
    let place = folder.join("lib/rustlib").join(target).join("lib");
    files::create_folder(&place)?;
    for library in files::with_extension(&build.join(target).join("release/deps"), "rlib") {
        let name = library.file_name().unwrap_or_default();
        if !name.to_string_lossy().starts_with("libnothing") {
            files::copy(&library, &place.join(name))?;
        }
    }
    std::fs::remove_dir_all(&build).map_err(|e| format!("{}: {e}", build.display()))?;
    files::write(&stamp, &wanted)?;
    Ok(folder)
}
