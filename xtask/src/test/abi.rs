//! The ABI: described, explained, the same for every compiler, and kept for the programs of old.
//!
//! `tests/abi/README.md` says what that means and what to do when it changes.

use std::path::Path;
use std::process::Command;

use super::c_programs;
use super::report::Report;
use super::{Context, Step, step};
use crate::abi_guard::{self, Guard, witness};
use crate::c_compiler::{Compiler, Link, Program, WARNINGS, program};
use crate::generate::abi::{self, Abi};
use crate::library::{self, Library};
use crate::process::{self, Show};
use crate::sandbox::Sandbox;
use crate::{Result, cargo, files, workspace};

const AREA: &str = "abi";
/// What a call may still do to a struct of another version: see src/ffi/memory.rs.
const MAX_STRUCT_SIZE: usize = 4096;

pub fn steps() -> Vec<Step> {
    vec![
        step(AREA, "abi-described", described),
        step(AREA, "abi-layout", layout),
        step(AREA, "abi-programs", programs),
    ]
}

fn described(_: &Context, report: &mut Report) -> Result {
    let guard = Guard::read()?;
    report.check("tests/abi/mfa.abi is the header's ABI", guard.is_described());
    report.check("tests/abi/CHANGES.md explains every change", guard.is_explained());
    let kept = abi_guard::kept();
    if kept.is_empty() {
        return Err(format!("{} has no folder with a kept mfa.h", abi_guard::FOLDER));
    }
    for folder in kept {
        report.check(&format!("nothing of {} is broken", abi_guard::name(&folder)), guard.keeps(&folder));
    }
    for s in &today()?.structs {
        report.check(&format!("{} can grow", s.name), can_grow(s));
    }
    Ok(())
}

fn today() -> Result<Abi> {
    abi::read(&files::read(&workspace::root().join("include/mfa.h"))?)
}

/// The design's rules for structs.
fn can_grow(s: &abi::Struct) -> Result {
    let end = s.fields.last().map_or(0, |f| f.offset + f.size);
    let gap = s.fields.iter().find(|f| f.behind_a_gap).map(|f| f.name.as_str());
    if s.fields.first().is_none_or(|f| f.name != "struct_size" || f.ty != "uint32_t") {
        return Err("it does not begin with uint32_t struct_size".to_owned());
    }
    if let Some(gap) = gap {
        return Err(format!("there is padding in front of {gap}"));
    }
    if end != s.size {
        return Err("there is padding at its end: no later field could use it".to_owned());
    }
    if s.size > MAX_STRUCT_SIZE {
        return Err(format!("it is larger than {MAX_STRUCT_SIZE} bytes, which every call refuses"));
    }
    Ok(())
}

/// Each compiler is asked whether all of the description is so.
fn layout(_: &Context, report: &mut Report) -> Result {
    let source = workspace::scratch("abi")?.join("witness.c");
    files::write(&source, &witness::program(&today()?))?;
    for target in witness::TARGETS {
        let Some(compiler) = Compiler::find(target.compiler) else {
            report.skip(target.name, &format!("{} is not installed", target.compiler));
            continue;
        };
        let flags = [witness::ALONE, WARNINGS, target.flags].concat();
        report.check(target.name, compiler.check(&source, &flags));
    }
    Ok(())
}

/// Today's witness, then the programs that were built against the headers that are kept.
fn programs(context: &Context, report: &mut Report) -> Result {
    let library = context.library()?;
    match Compiler::find("gcc") {
        None => report.skip("abi-programs", "gcc is not installed"),
        Some(gcc) => in_c(&OnMachine { compiler: &gcc, library, run: &program }, "abi", context, report)?,
    }
    for kept in abi_guard::kept() {
        let name = abi_guard::name(&kept);
        if !is_usable(&kept)? {
            report.unavailable(&name, "its MFA_ABI_VERSION is another, and so is its library");
            continue;
        }
        report.check(&format!("{name}: its programs use all of its header"), uses_all(&kept));
        run_python(&kept, library, &Sandbox::start(context.sandbox()?)?, report)?;
    }
    Ok(())
}

/// Whether programs of a kept header may use today's library.
fn is_usable(kept: &Path) -> Result<bool> {
    Ok(abi_guard::facts_of(&kept.join("mfa.h"))?.abi_version() == Guard::read()?.abi_version())
}

/// What compiles for a machine, the library for it, and what runs a program there.
pub(super) struct OnMachine<'a> {
    pub compiler: &'a Compiler,
    pub library: &'a Library,
    pub run: &'a dyn Fn(&Path) -> Command,
}

/// The programs in C, on this or another machine; `scratch` is where they are built.
pub(super) fn in_c(on: &OnMachine, scratch: &str, context: &Context, report: &mut Report) -> Result {
    let folder = workspace::scratch(scratch)?;
    report.check("the built library is as described", agrees(on, &folder));
    for kept in abi_guard::kept() {
        if is_usable(&kept)? {
            run_c(on, &kept, &folder, &Sandbox::start(context.sandbox()?)?, report)?;
        }
    }
    Ok(())
}

/// Links today's witness with the library, which then tells its own sizes.
fn agrees(on: &OnMachine, folder: &Path) -> Result {
    let (source, output) = (folder.join("witness.c"), folder.join("witness"));
    files::write(&source, &witness::program(&today()?))?;
    let flags = [&["-std=c11"], WARNINGS].concat();
    let link = Link::Shared(on.library);
    on.compiler.compile(&Program { source: &source, output: &output, flags: &flags, link })?;
    let finished = process::run(&mut (on.run)(&output), Show::Nothing, process::LIMIT)?;
    match finished.code() {
        Some(0) => Ok(()),
        Some(count) => Err(format!("{count} of its sizes or its ABI version differ")),
        None => Err(finished.ending()),
    }
}

/// Each function, struct, callback and code is named in both programs, so that none is forgotten.
fn uses_all(kept: &Path) -> Result {
    let abi = abi::read(&files::read(&kept.join("mfa.h"))?)?;
    let functions = abi.functions.iter().chain(&abi.callbacks).map(|f| &f.name);
    let constants = abi.constants.iter().map(|(name, _)| name).filter(|name| !name.contains("_VERSION"));
    let names: Vec<_> = functions.chain(abi.structs.iter().map(|s| &s.name)).chain(constants).collect();
    for file in ["program.c", "program.py"] {
        let text = files::read(&kept.join(file))?;
        let mut words: Vec<_> = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
        words.sort_unstable();
        let unused: Vec<_> =
            names.iter().filter(|name| words.binary_search(&name.as_str()).is_err()).collect();
        if !unused.is_empty() {
            return Err(format!("{file} does not use {unused:?}"));
        }
    }
    Ok(())
}

fn run_c(on: &OnMachine, kept: &Path, folder: &Path, sandbox: &Sandbox, report: &mut Report) -> Result {
    let name = format!("{}: program.c", abi_guard::name(kept));
    let output = folder.join(format!("program-{}", abi_guard::name(kept)));
    let source = kept.join("program.c");
    // Its header is the one beside it, which `#include "mfa.h"` finds first.
    let flags = [&["-std=c99", "-g"], WARNINGS].concat();
    let link = Link::Shared(on.library);
    on.compiler.compile(&Program { source: &source, output: &output, flags: &flags, link })?;
    let mut command = (on.run)(&output);
    sandbox.set_environment(&mut command)?;
    c_programs::record(&name, &process::run(&mut command, Show::Nothing, process::LIMIT)?, report);
    Ok(())
}

fn run_python(kept: &Path, library: &Library, sandbox: &Sandbox, report: &mut Report) -> Result {
    let name = format!("{}: program.py", abi_guard::name(kept));
    let Some(python) = process::find("python3") else {
        report.skip(&name, "python3 is not installed");
        return Ok(());
    };
    let mut command = Command::new(python);
    command.arg(kept.join("program.py")).arg(library.folder.join(library::names()?.loaded));
    sandbox.set_environment(&mut command)?;
    cargo::without_our_library_path(&mut command);
    c_programs::record(&name, &process::run(&mut command, Show::Nothing, process::LIMIT)?, report);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(fields: &str) -> Result {
        let header = format!("typedef struct mfa_x {{ {fields} }} mfa_x;\n");
        can_grow(&abi::read(&header).unwrap().structs[0])
    }

    #[test]
    fn a_struct_that_cannot_grow_is_told() {
        assert!(of("uint32_t struct_size; uint32_t a; int64_t b;").is_ok());
        assert!(of("uint32_t a;").is_err());
        assert!(of("int32_t struct_size;").is_err());
        assert!(of("uint32_t struct_size; int64_t b;").is_err());
        assert!(of("uint32_t struct_size; uint32_t a; int64_t b; uint32_t c;").is_err());
        assert!(of("uint32_t struct_size; char text[4096];").is_err());
    }
}
