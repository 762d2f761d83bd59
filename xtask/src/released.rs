//! The build of what is released: the same bytes from the same tree wherever it lies, so that nothing
//! in them tells of the machine that built them.
//!
//! A panic names the source file that it came from; for dependencies and generated files that would be
//! the whole path. (Cargo's own answer to that, `trim-paths`, is not stable yet.)

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::MetadataCommand;

use crate::{Result, cargo, process, std_source, workspace};

/// Between the words of `CARGO_ENCODED_RUSTFLAGS`, in which a path may have a space.
const SEPARATOR: &str = "\u{1f}";

/// Cargo for a release build of this tree. In a target directory of its own: with other flags than
/// `cargo build` has, each of the two would throw away what the other built.
pub fn cargo() -> Result<Command> {
    cargo_for(workspace::root(), &target()?)
}

pub fn target() -> Result<PathBuf> {
    Ok(workspace::target()?.join("released"))
}

/// The same by Debian's cargo, for a system whose standard library is built from its source.
pub fn cargo_with_std_of(triple: &str, flags: &[&str]) -> Result<Command> {
    let (flags, sysroot) = (flags_with(flags)?, sysroot_of(triple, flags)?);
    let all = format!("{}{SEPARATOR}--sysroot={}", flags.join(SEPARATOR), sysroot.display());
    let mut command = std_source::cargo();
    command.env("CARGO_TARGET_DIR", target()?).env("CARGO_ENCODED_RUSTFLAGS", all);
    Ok(command)
}

/// Where its standard library is.
pub fn sysroot_of(triple: &str, flags: &[&str]) -> Result<PathBuf> {
    std_source::sysroot(triple, &flags_with(flags)?.join(" "))
}

fn flags_with(flags: &[&str]) -> Result<Vec<String>> {
    let mut flags: Vec<_> = flags.iter().map(|flag| (*flag).to_owned()).collect();
    flags.extend(remappings(workspace::root(), &target()?)?);
    Ok(flags)
}

/// The same for another tree.
pub fn cargo_for(sources: &Path, target: &Path) -> Result<Command> {
    let mut command = cargo::command();
    command.current_dir(sources);
    prepare(&mut command, sources, target)?;
    Ok(command)
}

/// Has whatever cargo the command calls build as is released.
pub fn prepare(command: &mut Command, sources: &Path, target: &Path) -> Result {
    let mut flags = flags_of_the_user();
    flags.extend(remappings(sources, target)?);
    command.env("CARGO_TARGET_DIR", target).env_remove("RUSTFLAGS");
    command.env("CARGO_ENCODED_RUSTFLAGS", flags.join(SEPARATOR));
    Ok(())
}

/// Those that cargo would have taken from the environment; ours stand in their way.
fn flags_of_the_user() -> Vec<String> {
    let (words, separator) = match env::var("CARGO_ENCODED_RUSTFLAGS") {
        Ok(encoded) => (encoded, SEPARATOR),
        Err(_) => (env::var("RUSTFLAGS").unwrap_or_default(), " "),
    };
    words.split(separator).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn remappings(sources: &Path, target: &Path) -> Result<Vec<String>> {
    let places = places(sources, target)?.into_iter();
    Ok(places.map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display())).collect())
}

/// Every folder that a source file may come from, and what stands for it. The compiler takes the last
/// one that fits, so the tree comes before what may lie inside of it.
fn places(sources: &Path, target: &Path) -> Result<Vec<(PathBuf, String)>> {
    let mut places =
        vec![(sources.to_owned(), "libmfa".to_owned()), (target.to_owned(), "target".to_owned())];
    places.extend(folders_of_dependencies(sources)?.into_iter().map(|folder| (folder, "deps".to_owned())));
    // Where the standard library's sources are installed, the compiler names these.
    let rustc =
        |words: &[&str]| process::output(Command::new(cargo::rustc()).args(words).current_dir(sources));
    let version = rustc(&["-vV"])?;
    let commit = version.lines().find_map(|line| line.strip_prefix("commit-hash: ")).unwrap_or("unknown");
    let std = Path::new(rustc(&["--print", "sysroot"])?.trim()).join("lib/rustlib/src/rust");
    places.push((std, format!("/rustc/{commit}")));
    Ok(places)
}

/// The folders that hold the packages: of each registry, and of what was vendored.
fn folders_of_dependencies(sources: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut command = cargo::command();
    command.current_dir(sources).args(["metadata", "--locked", "--format-version", "1"]);
    let metadata = MetadataCommand::parse(process::output(&mut command)?);
    let packages = metadata.map_err(|e| format!("cargo metadata: {e}"))?.packages;
    let foreign = packages.iter().filter(|package| package.source.is_some());
    let folder = |manifest: &Path| manifest.parent().and_then(Path::parent).map(Path::to_owned);
    Ok(foreign.filter_map(|package| folder(package.manifest_path.as_std_path())).collect())
}

/// The folders whose names no released file may have in it.
pub fn folders_of_this_machine(sources: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = vec![sources.to_owned(), workspace::target()?.to_owned(), env::temp_dir()];
    folders.extend(folders_of_dependencies(sources)?);
    folders.extend(["HOME", "CARGO_HOME", "RUSTUP_HOME"].iter().filter_map(env::var_os).map(PathBuf::from));
    // What is shorter is found in any file: "/", where there is no home.
    folders.retain(|folder| folder.components().count() > 1 && folder.as_os_str() != OsStr::new("/"));
    Ok(folders)
}
