//! The repository's own rules: where `unsafe` may stand, and that a build leaves the sources alone.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use super::report::Report;
use super::{Context, Step, step};
use crate::process::{self, Show};
use crate::{Result, cargo, files, workspace};

const AREA: &str = "rules";
/// Tests may use `unsafe` to watch the process; in all else the compiler denies it, and clippy asks for
/// a reason (`[workspace.lints]`), but in the files that say otherwise.
const SOURCES: &[&str] = &[
    "src",
    "abi",
    "sandbox/src",
    "examples",
    "build.rs",
    "generate",
    "sandbox/build.rs",
    "xtask/src",
    "benches",
];
/// The ABI layers, and what speaks to the system (for the files below it as well).
const ALLOWED: &[&str] = &["src/ffi/mod.rs", "src/sys/mod.rs", "sandbox/src/ffi.rs"];

pub fn steps() -> Vec<Step> {
    vec![step(AREA, "unsafe", unsafe_code), step(AREA, "read-only-tree", sources_stay_as_they_are).alone()]
}

fn unsafe_code(_: &Context, report: &mut Report) -> Result {
    let mut astray = Vec::new();
    for file in rust_files() {
        let name = relative(&file);
        if !ALLOWED.contains(&name.as_str()) && loosens_the_lint(&files::read(&file)?) {
            astray.push(name);
        }
    }
    report.check("`unsafe` is allowed in the ABI layers and src/sys/ alone", none(&astray));
    let mut without = Vec::new();
    for manifest in cargo::manifests()? {
        if !files::read(&manifest)?.contains("\n[lints]\nworkspace = true\n") {
            without.push(relative(&manifest));
        }
    }
    report.check("each crate has the workspace's lints, which deny it elsewhere", none(&without));
    Ok(())
}

/// Whether a file says anything about the lint but that it is denied.
fn loosens_the_lint(text: &str) -> bool {
    let speaks_of_it = |line: &str| line.contains(&format!("({LINT}"));
    let denies_it =
        |line: &str| line.contains(&format!("deny({LINT})")) || line.contains(&format!("forbid({LINT})"));
    text.lines().any(|line| speaks_of_it(line) && !denies_it(line))
}

/// In two parts, so that this file does not trip over itself.
const LINT: &str = concat!("unsafe_", "code");

fn none(places: &[String]) -> Result {
    if places.is_empty() { Ok(()) } else { Err(places.join(", ")) }
}

fn rust_files() -> Vec<PathBuf> {
    let places = SOURCES.iter().map(|place| workspace::root().join(place));
    let files = places.flat_map(|p| if p.is_dir() { files::below(&p, &|_| false) } else { vec![p] });
    files.filter(|file| file.is_file() && file.extension().is_some_and(|e| e == "rs")).collect()
}

fn relative(file: &Path) -> String {
    let file = file.strip_prefix(workspace::root()).unwrap_or(file);
    file.to_string_lossy().replace('\\', "/")
}

/// Builds a copy, because others may be at work in the tree itself, with the same target directory,
/// so that what it depends on is there already.
fn sources_stay_as_they_are(_: &Context, report: &mut Report) -> Result {
    let copy = workspace::empty_scratch("source")?;
    copy_of_the_tree(&copy)?;
    let target = workspace::target()?;
    let before = sums(&copy)?;
    let mut command = cargo::command();
    command.args(["build", "--workspace", "--exclude", "xtask", "--exclude", "bench-runner", "--locked"]);
    command.current_dir(&copy).env("CARGO_TARGET_DIR", target);
    let built =
        process::run_tool(&mut command, Show::Live)?.expect_success("cargo build in a copy").map(drop);
    report.check("a copy of the tree builds", built);
    let after = sums(&copy)?;
    let changed = before.keys().chain(after.keys()).filter(|file| before.get(*file) != after.get(*file));
    let changed: std::collections::BTreeSet<_> = changed.cloned().collect();
    report.check("the build leaves each file as it was", none(&changed.into_iter().collect::<Vec<_>>()));
    Ok(())
}

/// The sources alone.
pub(super) fn copy_of_the_tree(copy: &Path) -> Result {
    let target = workspace::target()?;
    let skip = |path: &Path| {
        path == target || path.file_name().is_some_and(|name| name == "target" || name == ".git")
    };
    for file in files::below(workspace::root(), &skip) {
        let place = copy.join(relative(&file));
        files::create_folder(place.parent().unwrap_or(copy))?;
        files::copy(&file, &place)?;
    }
    Ok(())
}

fn sums(folder: &Path) -> Result<BTreeMap<String, u64>> {
    let sum = |file: PathBuf| {
        let bytes = std::fs::read(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        Ok((file.strip_prefix(folder).unwrap_or(&file).to_string_lossy().into_owned(), hasher.finish()))
    };
    files::below(folder, &|_| false).into_iter().map(sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loosened_lint_is_found() {
        for line in ["#![allow(LINT)]", "    #[expect(LINT, reason = \"so\")]", "#![warn(LINT)]"] {
            assert!(loosens_the_lint(&line.replace("LINT", LINT)), "{line}");
        }
        for line in ["#![deny(LINT)]", "#![forbid(LINT)]", "// LINT", "let policy = \"unsafe\";"] {
            assert!(!loosens_the_lint(&line.replace("LINT", LINT)), "{line}");
        }
    }
}
