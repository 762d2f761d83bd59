//! What the release library exports, how it is marked, and what it needs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use super::report::Report;
use super::{Context, Step, step};
use crate::generate::abi;
use crate::library::{self, Library, NATIVE_LIBS};
use crate::{Result, cargo, files, process, sizes, workspace};

const AREA: &str = "library";
/// A line for each export: its name, and the version it came in. Lines are added, never removed.
const LIST: &str = "tests/symbols.txt";

pub fn steps() -> Vec<Step> {
    if cfg!(target_os = "linux") { vec![step(AREA, "symbols", symbols)] } else { Vec::new() }
}

fn symbols(context: &Context, report: &mut Report) -> Result {
    let library = context.library()?;
    for tool in ["nm", "readelf", "strip"] {
        if process::find(tool).is_none() {
            report.skip("symbols", &format!("no {tool}: binutils are not installed"));
            return Ok(());
        }
    }
    let exported = exported(&library.shared)?;
    let listed = listed()?;
    let header = abi::read(&files::read(&workspace::root().join("include/mfa.h"))?)?;
    let declared = header.functions.into_iter().map(|function| function.name).collect();
    let archived = archived(&library.archive)?;
    let unprefixed: Vec<_> = exported.iter().filter(|name| !name.starts_with("mfa_")).cloned().collect();
    report.check("each export begins with mfa_", none("without the prefix", &unprefixed));
    let names = listed.keys().cloned().collect();
    report
        .check(&format!("{LIST} is the list of exports"), same((&exported, "exported"), (&names, "listed")));
    report.check("the header declares the exports", same((&exported, "exported"), (&declared, "declared")));
    let missing: Vec<_> = exported.difference(&archived).cloned().collect();
    report.check("libmfa.a has each of them", none("missing", &missing));
    marks(library, report)?;
    native_libs(report)?;
    size(context, library, report)
}

/// The names that the shared library offers.
fn exported(file: &Path) -> Result<BTreeSet<String>> {
    let said = process::output(Command::new("nm").args(["-D", "--defined-only"]).arg(file))?;
    Ok(said.lines().filter_map(|line| line.split_whitespace().nth(2)).map(str::to_owned).collect())
}

/// The global names that the archive defines. By readelf, because nm asks whichever compiler plugin
/// is installed first, and an older LLVM than rustc's then finds nothing.
fn archived(file: &Path) -> Result<BTreeSet<String>> {
    let said = process::output(Command::new("readelf").arg("-sW").arg(file))?;
    let defined = said.lines().filter(|line| line.contains(" GLOBAL ") && !line.contains(" UND "));
    Ok(defined.filter_map(|line| line.split_whitespace().last()).map(str::to_owned).collect())
}

fn listed() -> Result<BTreeMap<String, String>> {
    let text = files::read(&workspace::root().join(LIST))?;
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pair = |line: &str| {
        let (name, version) = line.split_once(' ').ok_or(format!("{LIST}: no version in '{line}'"))?;
        Ok((name.to_owned(), version.to_owned()))
    };
    lines.map(pair).collect()
}

fn none(what: &str, names: &[String]) -> Result {
    if names.is_empty() { Ok(()) } else { Err(format!("{what}: {}", names.join(", "))) }
}

fn same((left, left_is): (&BTreeSet<String>, &str), (right, right_is): (&BTreeSet<String>, &str)) -> Result {
    let only_left: Vec<_> = left.difference(right).cloned().collect();
    let only_right: Vec<_> = right.difference(left).cloned().collect();
    none(&format!("{left_is} and not {right_is}"), &only_left)?;
    none(&format!("{right_is} and not {left_is}"), &only_right)
}

fn marks(library: &Library, report: &mut Report) -> Result {
    let dynamic = process::output(Command::new("readelf").arg("-dW").arg(&library.shared))?;
    let says = |text: &str| {
        if dynamic.contains(text) { Ok(()) } else { Err(format!("readelf -d does not show {text}")) }
    };
    let soname = format!("soname: [libmfa.so.{}]", workspace::abi_version()?);
    report.check("the SONAME carries MFA_ABI_VERSION", says(&soname));
    report.check("the library stays loaded once loaded", says("NODELETE"));
    Ok(())
}

/// Where users read how to link the archive: each line that has this in it names the whole list.
const STATIC_LINKS: &[(&str, &str)] = &[
    ("README.md", "**Static**"),
    ("examples/c/README.md", "lib/libmfa.a"),
    ("CMakeLists.txt", "set(_mfa_native_libs -"),
];

/// More in our list than the compiler names does no harm: an older compiler may name it.
fn native_libs(report: &mut Report) -> Result {
    let needed = library::native_libs()?;
    let unknown: Vec<_> = needed.into_iter().filter(|lib| !NATIVE_LIBS.contains(&lib.as_str())).collect();
    report.check("what libmfa.a needs is what we say", none("NATIVE_LIBS lacks", &unknown));
    let list = NATIVE_LIBS.join(" ");
    for (page, what) in STATIC_LINKS {
        let text = files::read(&workspace::root().join(page))?;
        let without: Vec<_> = text.lines().filter(|l| l.contains(what) && !l.contains(&list)).collect();
        let says = text.contains(&list) && without.is_empty();
        report.check(
            &format!("{page} says it too"),
            says.then_some(()).ok_or(format!("'{list}': {without:?}")),
        );
    }
    Ok(())
}

fn size(context: &Context, library: &Library, report: &mut Report) -> Result {
    let bytes = sizes::stripped(&library.shared, "")?;
    // The debug build has nothing to do with what is released.
    if !context.options.debug {
        weigh(&cargo::host()?, bytes, report)?;
    }
    report.note(format!("stripped .so: {:.2} MB", bytes as f64 / 1e6));
    Ok(())
}

/// Says what the ledger says. Growth is for a person to judge, so it is a warning and no failure.
pub(super) fn weigh(target: &str, bytes: u64, report: &mut Report) -> Result {
    let verdict = sizes::verdict(target, "default", bytes)?;
    println!("   the shared library, stripped, for {target}: {}", verdict.text);
    if verdict.is_warning {
        println!("   WARNING {target}: larger than benches/sizes.txt says by 2 % or more, or not in it");
        report.note(format!("WARNING: {target}: {}", verdict.text));
    }
    Ok(())
}
