//! The built library, laid out as a linker and a loader look for it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cargo::{self, Built, MESSAGES};
use crate::{Result, files, process, released, workspace};

/// The Rust library, which has all the code.
pub const PACKAGE: &str = "mfa-client";
/// The same as `libmfa.so` and `libmfa.a`.
pub const C_PACKAGE: &str = "libmfa";
pub const SANDBOX_PACKAGE: &str = "mfa-sandbox";
const SANDBOX_PROGRAM: &str = "mfa-sandbox";

/// What a program that links `libmfa.a` needs besides, on Linux with glibc: what rustc prints for
/// `--print native-static-libs`. The README and `mfa.pc` say the same; the tests compare.
pub const NATIVE_LIBS: &[&str] = &["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl", "-lc"];

#[derive(Clone)]
pub struct Library {
    pub shared: PathBuf,
    pub archive: PathBuf,
    /// Holds links to the shared library alone, under the names that `-lmfa` and the SONAME need.
    pub folder: PathBuf,
}

/// What the system calls a shared library, and the names under which it is installed.
pub struct Names {
    /// As cargo builds it: `libmfa.so`. The linker looks for the same name.
    pub built: &'static str,
    /// As the loader looks for it: `libmfa.so.1`.
    pub loaded: String,
    /// With the whole version: `libmfa.so.0.1.0`.
    pub full: String,
}

pub fn names() -> Result<Names> {
    let (abi, version) = (workspace::abi_version()?, workspace::VERSION);
    match std::env::consts::OS {
        "macos" => Ok(Names {
            built: "libmfa.dylib",
            loaded: format!("libmfa.{abi}.dylib"),
            full: format!("libmfa.{version}.dylib"),
        }),
        "windows" => Err("this chore does not know Windows' linkers yet".to_owned()),
        _ => Ok(Names {
            built: "libmfa.so",
            loaded: format!("libmfa.so.{abi}"),
            full: format!("libmfa.so.{version}"),
        }),
    }
}

/// Both at once, as `cargo test` does: alone, either would need other features of what they have in
/// common, and that would be compiled twice.
const DEBUG: &[&str] = &["build", "--locked", "--package", C_PACKAGE, "--package", SANDBOX_PACKAGE, MESSAGES];

/// Builds the library and the sandbox's program for development, which is quick.
pub fn build_debug() -> Result<(Library, PathBuf)> {
    let built = cargo::build(DEBUG)?;
    Ok((lay_out(&built, "debug")?, built.program(SANDBOX_PACKAGE, SANDBOX_PROGRAM)?))
}

/// The sandbox as the library that the bindings' tests load.
pub fn build_sandbox_library() -> Result<PathBuf> {
    let name = names()?.built.replace("mfa", "mfa_sandbox");
    cargo::build(DEBUG)?.file(SANDBOX_PACKAGE, &name)
}

/// As everybody builds it.
const RELEASE: &[&str] = &["build", "--locked", "--package", C_PACKAGE, "--release", MESSAGES];

/// Builds the library as its users get it.
pub fn build_release() -> Result<Library> {
    lay_out(&cargo::build_with(released::cargo()?.args(RELEASE), RELEASE)?, "release")
}

/// Builds the shared library of another source tree in the same way, with a target directory of its own.
pub fn build_release_of(sources: &Path, target: &Path) -> Result<PathBuf> {
    let is_older = !sources.join("abi/Cargo.toml").exists();
    let (package, words) = if is_older { (PACKAGE, RELEASE_BEFORE) } else { (C_PACKAGE, RELEASE) };
    // Cargo tells two states of a tree apart by the files' times alone; what it keeps of the
    // dependencies is told apart by their versions.
    let clean = ["clean", "--locked", "--release", "--package", PACKAGE];
    process::output(released::cargo_for(sources, target)?.args(clean))?;
    cargo::build_with(released::cargo_for(sources, target)?.args(words), words)?.file(package, names()?.built)
}

/// Trees in which one package was both the Rust library and the C library.
const RELEASE_BEFORE: &[&str] = &[
    "rustc",
    "--locked",
    "--package",
    PACKAGE,
    "--lib",
    "--crate-type",
    "cdylib,staticlib",
    "--release",
    MESSAGES,
];

/// Builds the library in release with panics planted in every export: see `src/ffi/guard.rs`.
pub fn build_with_planted_panics() -> Result<Library> {
    let target = workspace::target()?.join("planted-panics");
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default() + " --cfg mfa_plant_panics";
    let mut command = cargo::command();
    command.args(RELEASE).env("RUSTFLAGS", flags.trim()).env("CARGO_TARGET_DIR", target);
    lay_out(&cargo::build_with(&mut command, RELEASE)?, "planted-panics")
}

/// The folder is named after what was built, so that one build's links never lead to another's.
pub fn lay_out(built: &Built, folder: &str) -> Result<Library> {
    let names = names()?;
    lay_out_files(built.file(C_PACKAGE, names.built)?, built.file(C_PACKAGE, "libmfa.a")?, folder)
}

/// The same of files that another build made.
pub fn lay_out_files(shared: PathBuf, archive: PathBuf, folder: &str) -> Result<Library> {
    let names = names()?;
    let folder = workspace::scratch(&format!("lib-{folder}"))?;
    files::link(&shared, &folder.join(&names.loaded))?;
    files::link(names.loaded.as_ref(), &folder.join(names.built))?;
    Ok(Library { shared, archive, folder })
}

/// What rustc says that a user of `libmfa.a` must link. A debug build says the same as a release
/// build, and sooner.
pub fn native_libs() -> Result<Vec<String>> {
    let mut command: Command = cargo::command();
    command.args(["rustc", "--locked", "--package", C_PACKAGE, "--lib", "--crate-type", "staticlib"]);
    command.args(["--", "--print", "native-static-libs"]);
    let finished = crate::process::run(&mut command, crate::process::Show::Nothing, crate::process::LIMIT)?;
    let finished = finished.expect_success("cargo rustc")?;
    let line = finished.output.lines().find_map(|line| line.split_once("native-static-libs: "));
    let (_, list) = line.ok_or("rustc printed no native-static-libs")?;
    Ok(list.split_whitespace().map(str::to_owned).collect())
}
