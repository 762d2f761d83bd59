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
    let header = abi::read(&files::read(&workspace::root().join("include/mfa.h"))?)?;
    let names = Names {
        exported: exported(&process::output(
            Command::new("nm").args(["-D", "--defined-only"]).arg(&library.shared),
        )?),
        listed: listed()?.into_keys().collect(),
        declared: header.functions.into_iter().map(|function| function.name).collect(),
        archived: archived(&library.archive)?,
    };
    for (what, outcome) in names.outcomes() {
        report.check(&what, outcome);
    }
    marks(library, report)?;
    native_libs(report)?;
    size(context, library, report)
}

/// Who says what the library offers.
struct Names {
    exported: BTreeSet<String>,
    listed: BTreeSet<String>,
    declared: BTreeSet<String>,
    archived: BTreeSet<String>,
}

impl Names {
    fn outcomes(&self) -> [(String, Result); 4] {
        let Self { exported, listed, declared, archived } = self;
        let unprefixed: Vec<_> = exported.iter().filter(|name| !name.starts_with("mfa_")).cloned().collect();
        let missing: Vec<_> = exported.difference(archived).cloned().collect();
        [
            ("each export begins with mfa_".to_owned(), none("without the prefix", &unprefixed)),
            (format!("{LIST} is the list of exports"), same((exported, "exported"), (listed, "listed"))),
            (
                "the header declares the exports".to_owned(),
                same((exported, "exported"), (declared, "declared")),
            ),
            ("libmfa.a has each of them".to_owned(), none("missing", &missing)),
        ]
    }
}

/// The names that the shared library offers, as `nm` prints them.
fn exported(said: &str) -> BTreeSet<String> {
    said.lines().filter_map(|line| line.split_whitespace().nth(2)).map(str::to_owned).collect()
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

/// Tells both sides of what differs: a name that changed is on each.
fn same((left, left_is): (&BTreeSet<String>, &str), (right, right_is): (&BTreeSet<String>, &str)) -> Result {
    let only = |one: &BTreeSet<String>, other: &BTreeSet<String>| one.difference(other).cloned().collect();
    let (only_left, only_right): (Vec<_>, Vec<_>) = (only(left, right), only(right, left));
    let outcomes = [
        none(&format!("{left_is} and not {right_is}"), &only_left),
        none(&format!("{right_is} and not {left_is}"), &only_right),
    ];
    let differences: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    if differences.is_empty() { Ok(()) } else { Err(differences.join("; ")) }
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

/// Names each symbol that a program for the oldest glibc could not have, as `readelf --dyn-syms` prints them.
/// What is glibc's own (`GLIBC_PRIVATE`) may change with each of its versions.
pub(super) fn needs_no_newer_glibc(said: &str, oldest: &str) -> Result {
    let oldest_is = numbers(oldest).ok_or(format!("'{oldest}' is no version"))?;
    let undefined = said.lines().filter_map(|line| line.split_once(" UND ")).map(|(_, symbol)| symbol.trim());
    let needed: Vec<_> = undefined.filter_map(|symbol| symbol.split_once("@GLIBC_")).collect();
    if needed.is_empty() {
        return Err("it asks for no glibc".to_owned());
    }
    let version = |version: &str| version.split_whitespace().next().unwrap_or_default().to_owned();
    let newer = needed.iter().filter(|(_, v)| numbers(v).is_none_or(|v| v > oldest_is));
    let newer: Vec<_> = newer.map(|(name, v)| format!("{name} (glibc {})", version(v))).collect();
    none(&format!("newer than glibc {oldest}"), &newer)
}

/// "2.17" as [2, 17], whatever follows.
fn numbers(text: &str) -> Option<Vec<u32>> {
    let end = text.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].split('.').map(|number| number.parse().ok()).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// What is said of a library that exports these, where two others are listed, declared and archived.
    fn complaints(nm: &str) -> Vec<String> {
        let known = names(&["mfa_one", "mfa_two"]);
        let names =
            Names { exported: exported(nm), listed: known.clone(), declared: known.clone(), archived: known };
        let told = names.outcomes().into_iter();
        told.filter_map(|(what, outcome)| Some(format!("{what}: {}", outcome.err()?))).collect()
    }

    #[test]
    fn an_export_that_nobody_meant_is_told_by_name() {
        let as_meant = "00000000000f7a00 T mfa_one\n00000000000f7b10 T mfa_two\n";
        assert_eq!(complaints(as_meant), Vec::<String>::new());
        let told = complaints(&format!("{as_meant}0000000000101010 T ring_core_0_17_14__x\n"));
        assert_eq!(told[0], "each export begins with mfa_: without the prefix: ring_core_0_17_14__x");
        assert_eq!(told.len(), 4);
        let told = complaints(&format!("{as_meant}0000000000101010 T mfa_three\n"));
        assert_eq!(told[0], format!("{LIST} is the list of exports: exported and not listed: mfa_three"));
        assert_eq!(told.len(), 3);
    }

    #[test]
    fn an_export_that_was_renamed_or_removed_is_told_by_name() {
        let told = complaints("00000000000f7a00 T mfa_one\n00000000000f7b10 T mfa_too\n");
        let both = "exported and not listed: mfa_too; listed and not exported: mfa_two";
        assert_eq!(told[0], format!("{LIST} is the list of exports: {both}"));
        let told = complaints("00000000000f7a00 T mfa_one\n");
        assert!(told[0].ends_with("listed and not exported: mfa_two"), "{told:?}");
        assert!(told[1].ends_with("declared and not exported: mfa_two"), "{told:?}");
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(numbers("2.2.5) 3") < numbers("2.17"));
        assert!(numbers("2.34") > numbers("2.17"));
        assert_eq!(numbers("PRIVATE"), None);
    }

    #[test]
    fn a_symbol_newer_than_the_oldest_libc_is_told_by_name() {
        let line = |symbol: &str| {
            format!("     3: 0000000000000000     0 FUNC    GLOBAL DEFAULT  UND {symbol} (5)\n")
        };
        let old = line("memcpy@GLIBC_2.14") + &line("_Unwind_Resume@GCC_3.0") + &line("poll@GLIBC_2.2.5");
        assert_eq!(needs_no_newer_glibc(&old, "2.17"), Ok(()));
        let told = needs_no_newer_glibc(&(old.clone() + &line("arc4random@GLIBC_2.36")), "2.17");
        assert_eq!(told.unwrap_err(), "newer than glibc 2.17: arc4random (glibc 2.36)");
        let told = needs_no_newer_glibc(&(old + &line("__libc_dlopen_mode@GLIBC_PRIVATE")), "2.17");
        assert_eq!(told.unwrap_err(), "newer than glibc 2.17: __libc_dlopen_mode (glibc PRIVATE)");
        // What it offers itself is asked of nobody.
        let own = "     9: 0000000000001000     8 FUNC    GLOBAL DEFAULT   14 x@@GLIBC_2.36\n";
        assert!(needs_no_newer_glibc(own, "2.17").is_err());
        assert_eq!(needs_no_newer_glibc(&(own.to_owned() + &line("read@GLIBC_2.2.5")), "2.17"), Ok(()));
    }
}
