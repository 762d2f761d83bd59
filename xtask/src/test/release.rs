//! What is released tells nothing of the machine that built it, is the same wherever it was built, and
//! leaves room for other libraries in Rust.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::report::Report;
use super::{Context, Step, step};
use crate::c_compiler::{Compiler, WARNINGS, program};
use crate::process::{self, Show};
use crate::{Result, dependencies, dist, files, library, released, workspace};

const AREA: &str = "packaging";

pub fn steps() -> Vec<Step> {
    if !cfg!(target_os = "linux") {
        return Vec::new();
    }
    vec![
        step(AREA, "dependencies", dependencies_are_explained),
        step(AREA, "release-files", released_files),
        step(AREA, "two-rusts", two_libraries_in_rust),
        step(AREA, "plugin", plugins_may_go),
        step(AREA, "reproducible", reproducible).of_a_release(),
    ]
}

const PAGE: &str = "docs/dependencies.md";

/// Every crate has its row, and every row its crate.
fn dependencies_are_explained(_: &Context, report: &mut Report) -> Result {
    let mut names = dependencies::direct()?;
    names.extend(dependencies::linked()?.into_iter().map(|one| one.name));
    let rows = rows(&files::read(&workspace::root().join(PAGE))?);
    let list = |names: Vec<&String>| names.into_iter().cloned().collect::<Vec<_>>().join(", ");
    let (missing, gone) = (list(names.difference(&rows).collect()), list(rows.difference(&names).collect()));
    let none = |names: String| if names.is_empty() { Ok(()) } else { Err(names) };
    report.check(&format!("each dependency is in {PAGE}"), none(missing));
    report.check(&format!("{PAGE} has no other"), none(gone));
    Ok(())
}

/// The names in the first column of the tables.
fn rows(page: &str) -> BTreeSet<String> {
    let cells = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let names = cells.flat_map(|cell| cell.split(", ")).filter(|name| *name != "crate");
    names.map(str::to_owned).collect()
}

fn released_files(_: &Context, report: &mut Report) -> Result {
    if tools_are_missing(report, "release-files") {
        return Ok(());
    }
    let prefix = workspace::empty_scratch("release-files")?;
    let made = dist::install(&prefix)?;
    report.check("no file names a folder of this machine", paths_of_this_machine(&made));
    Ok(())
}

fn tools_are_missing(report: &mut Report, what: &str) -> bool {
    let missing = dist::static_library::missing("");
    if let Some(tool) = &missing {
        report.skip(what, &format!("no {tool}: binutils are not installed"));
    }
    missing.is_some()
}

/// An error that names each file with such a path in it, and the first of the paths.
pub fn paths_of_this_machine(made: &[PathBuf]) -> Result {
    let folders = released::folders_of_this_machine(workspace::root())?;
    let mut told = Vec::new();
    for file in made.iter().filter(|file| file.is_file()) {
        let bytes = fs::read(file).map_err(|e| format!("{}: {e}", file.display()))?;
        told.extend(first_path(&bytes, &folders).map(|path| format!("{} has {path}", file.display())));
    }
    if told.is_empty() { Ok(()) } else { Err(told.join(", ")) }
}

fn first_path(bytes: &[u8], folders: &[PathBuf]) -> Option<String> {
    let found = |name: String| bytes.windows(name.len()).position(|window| window == name.as_bytes());
    let starts = |folder: &PathBuf| {
        let name = format!("{}/", folder.to_string_lossy());
        // As a part of a symbol; a short one may be there by chance.
        let in_a_symbol = name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let is_long = folder.components().count() > 2;
        found(name).or_else(|| if is_long { found(in_a_symbol) } else { None })
    };
    let start = folders.iter().find_map(starts)?;
    let end = bytes[start..].iter().position(|byte| !(0x21..0x7f).contains(byte)).unwrap_or(0);
    Some(String::from_utf8_lossy(&bytes[start..start + end.min(100)]).into_owned())
}

/// A library of somebody else's, which has its own copy of Rust's standard library.
pub const OTHER: &str = "#[unsafe(no_mangle)]\npub extern \"C\" fn other() -> i32 {\n    \
                     std::panic::catch_unwind(|| panic!(\"caught\")).is_err() as i32\n}\n";
/// Something of each is called, and a client is made: more of std than a version takes.
pub const BOTH: &str = "#include <mfa.h>\n#include <stdint.h>\nint32_t other(void);\nint main(void) {\n  \
                    mfa_client_options options = MFA_CLIENT_OPTIONS_INIT;\n  mfa_hyperid *client = 0;\n  \
                    mfa_code code = mfa_hyperid_new(&options, &client, 0);\n  mfa_hyperid_free(client);\n  \
                    return code == MFA_OK && other() == 1 ? 0 : 1;\n}\n";

fn two_libraries_in_rust(context: &Context, report: &mut Report) -> Result {
    let Some(compiler) = Compiler::any() else {
        report.skip("two-rusts", "there is no C compiler");
        return Ok(());
    };
    if tools_are_missing(report, "two-rusts") {
        return Ok(());
    }
    let folder = workspace::empty_scratch("two-rusts")?;
    files::write(&folder.join("other.rs"), OTHER)?;
    files::write(&folder.join("both.c"), BOTH)?;
    let mut rustc = Command::new(crate::cargo::rustc());
    rustc.args(["--edition", "2024", "-O", "--crate-type", "staticlib", "other.rs"]).current_dir(&folder);
    process::run(&mut rustc, Show::Nothing, process::LIMIT)?.expect_success("rustc")?;
    let archive = &context.library()?.archive;
    let ours = folder.join("libmfa.a");
    dist::static_library::make(archive, &ours, "")?;
    report.check("both fit into one program", link_and_run(&compiler, &folder, &ours));
    let collides =
        link_and_run(&compiler, &folder, archive).is_err_and(|why| why.contains("multiple definition"));
    let outcome = if collides { Ok(()) } else { Err("it did, so this test shows nothing".to_owned()) };
    report.check("the compiler's own archive would not", outcome);
    Ok(())
}

/// A plugin that has `libmfa.a` in it is unloaded: then nothing of it may be called any more, as in a fork.
fn plugins_may_go(context: &Context, report: &mut Report) -> Result {
    let Some(compiler) = Compiler::any() else {
        report.skip("plugin", "there is no C compiler");
        return Ok(());
    };
    let folder = workspace::empty_scratch("plugin")?;
    let sources = workspace::root().join("tests/packaging");
    let plugin = folder.join("plugin.so");
    let mut command = Command::new(compiler.path());
    command.args(["-shared", "-fPIC"]).args(WARNINGS).arg("-I").arg(workspace::root().join("include"));
    command.arg(sources.join("plugin.c")).arg(&context.library()?.archive).args(library::NATIVE_LIBS);
    process::output(command.arg("-o").arg(&plugin))?;
    let host = folder.join("host");
    let mut command = Command::new(compiler.path());
    command.args(WARNINGS).arg(sources.join("plugin_host.c")).args(["-ldl", "-o"]);
    process::output(command.arg(&host))?;
    let ran = process::output(program(&host).arg(&plugin)).map(drop);
    report.check("a plugin is unloaded, and its host forks", ran);
    Ok(())
}

/// All of the other library is linked, so that nothing depends on which of its parts are asked for.
fn link_and_run(compiler: &Compiler, folder: &Path, archive: &Path) -> Result {
    let output = folder.join("both");
    let mut command = Command::new(compiler.path());
    command.arg("-I").arg(workspace::root().join("include")).arg(folder.join("both.c")).arg(archive);
    command.arg("-Wl,--whole-archive").arg(folder.join("libother.a")).arg("-Wl,--no-whole-archive");
    command.args(library::NATIVE_LIBS).arg("-o").arg(&output);
    process::output(&mut command)?;
    process::output(&mut program(&output)).map(drop)
}

/// The same tree in another folder, built into another one.
fn reproducible(_: &Context, report: &mut Report) -> Result {
    let folder = workspace::empty_scratch("elsewhere")?;
    let copy = folder.join("a tree of another name");
    super::rules::copy_of_the_tree(&copy)?;
    let there = library::build_release_of(&copy, &folder.join("built there"))?;
    let here = library::build_release()?;
    report.check("the shared library is the same, bit for bit", same_bytes(&here.shared, &there));
    let archives = [("here.a", here.archive), ("there.a", there.with_file_name("libmfa.a"))];
    for (name, archive) in &archives {
        dist::static_library::make(archive, &folder.join(name), "")?;
    }
    let same = same_bytes(&folder.join("here.a"), &folder.join("there.a"));
    report.check("the archive, as it is released, is the same, bit for bit", same);
    Ok(())
}

pub fn same_bytes(one: &Path, other: &Path) -> Result {
    let read = |file: &Path| fs::read(file).map_err(|e| format!("{}: {e}", file.display()));
    let (one, other) = (read(one)?, read(other)?);
    if one == other {
        return Ok(());
    }
    let place = one.iter().zip(&other).position(|(a, b)| a != b).unwrap_or(one.len().min(other.len()));
    Err(format!("{} and {} bytes, which differ from {place:#x} on", one.len(), other.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_the_tables() {
        let page = "| crate | why |\n|---|---|\n| ring | x | y |\n| yasna, pem | x | |\nring | z\n";
        assert_eq!(rows(page).into_iter().collect::<Vec<_>>(), ["pem", "ring", "yasna"]);
    }

    #[test]
    fn a_path_is_found_in_the_middle_of_a_file() {
        let folders = [PathBuf::from("/home/me")];
        let found = |text: &str| first_path(text.as_bytes(), &folders);
        assert_eq!(found("\u{1}/home/me/src/x.rs\0y").as_deref(), Some("/home/me/src/x.rs"));
        assert_eq!(found("/home/men/x.rs"), None);
        assert_eq!(found("_head__home_me_lib_a\0").as_deref(), Some("_home_me_lib_a"));
        assert_eq!(found("deps/ring-0.17.14/src/x.rs"), None);
    }
}
