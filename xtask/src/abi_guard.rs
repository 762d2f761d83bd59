//! `cargo xtask abi`: what programs that were built already rely on, and whether they still may.
//!
//! `tests/abi/README.md` tells the whole of it. In short: `mfa.abi` is the ABI of today's header, a
//! fact a line; `first/mfa.abi` is the same of the day on which the counting began and never
//! changes; `CHANGES.md` explains every step between the two, fact by fact.

pub mod changes;
pub mod facts;
pub mod witness;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::generate::abi;
use crate::{Result, files, workspace};
use changes::{Entry, Kind};
use facts::Facts;

/// Holds the description, what explains it, and a folder for each header that is kept for ever.
pub const FOLDER: &str = "tests/abi";
const HEADER: &str = "include/mfa.h";
const FIRST: &str = "first";
const DESCRIPTION: &str = "mfa.abi";
const CHANGES: &str = "CHANGES.md";

/// What the guard compares.
pub struct Guard {
    /// What today's header says.
    now: Facts,
    /// The committed description of it.
    described: String,
    first: Facts,
    entries: Vec<Entry>,
}

impl Guard {
    pub fn read() -> Result<Self> {
        let folder = folder();
        let first = folder.join(FIRST).join(DESCRIPTION);
        Ok(Self {
            now: facts_of(&workspace::root().join(HEADER))?,
            described: files::read(&folder.join(DESCRIPTION)).unwrap_or_default(),
            first: Facts::read(&files::read(&first)?).map_err(|why| format!("{}: {why}", first.display()))?,
            entries: changes::read(&files::read(&folder.join(CHANGES))?)?,
        })
    }

    /// Whether the committed description is today's.
    pub fn is_described(&self) -> Result {
        if self.described == self.now.text() {
            return Ok(());
        }
        let differs = Facts::read(&self.described).map(|old| changes::between(&old, &self.now));
        let lines = differs.unwrap_or_default().join("\n  ");
        Err(format!("{FOLDER}/{DESCRIPTION} is stale: run `cargo xtask abi --write \"WHY\"`\n  {lines}"))
    }

    /// Whether the first description and every change since then make today's.
    pub fn is_explained(&self) -> Result {
        let open = changes::between(&self.explained()?, &self.now);
        if open.is_empty() {
            return Ok(());
        }
        let lines = open.join("\n  ");
        Err(format!(
            "{FOLDER}/{CHANGES} does not explain it: run `cargo xtask abi --write \"WHY\"`\n  {lines}"
        ))
    }

    fn explained(&self) -> Result<Facts> {
        changes::replay(&self.first, &self.entries).map_err(|why| format!("{FOLDER}/{CHANGES}: {why}"))
    }

    /// Whether programs that were built against a kept header still may use today's library. One
    /// with a higher `MFA_ABI_VERSION` has another SONAME, so that they never get it.
    pub fn keeps(&self, kept: &Path) -> Result {
        let kept = facts_of(&kept.join("mfa.h"))?;
        let breaks = facts::breaks(&kept, &self.now);
        if breaks.is_empty() || kept.abi_version() < self.now.abi_version() {
            return Ok(());
        }
        Err(format!("its programs break, and MFA_ABI_VERSION has not risen\n  {}", breaks.join("\n  ")))
    }

    pub fn abi_version(&self) -> usize {
        self.now.abi_version()
    }

    /// Every reason why this header may not be taken.
    fn complaints(&self) -> Vec<String> {
        let kept = kept().into_iter().map(|folder| (self.keeps(&folder), name(&folder)));
        let kept = kept.filter_map(|(outcome, name)| outcome.err().map(|why| format!("{name}: {why}")));
        let own = [self.is_described(), self.is_explained()].into_iter().filter_map(Result::err);
        own.chain(kept).collect()
    }
}

pub fn folder() -> PathBuf {
    workspace::root().join(FOLDER)
}

/// What a kept folder is called: `first`, `v0.1.0`.
pub fn name(kept: &Path) -> String {
    kept.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The folders with a header that is kept for ever, and its programs.
pub fn kept() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder()).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<_> = entries.filter(|folder| folder.join("mfa.h").is_file()).collect();
    found.sort();
    found
}

pub fn facts_of(header: &Path) -> Result<Facts> {
    Ok(Facts::of(&abi::read(&files::read(header)?)?))
}

pub fn run(words: &[String]) -> Result<ExitCode> {
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match words[..] {
        [] => say(&Guard::read()?),
        ["--write", why] if !why.starts_with("--") => write(&Guard::read()?, Kind::Growth, why),
        ["--write", why, "--incompatible"] => write(&Guard::read()?, Kind::Incompatible, why),
        _ => Err("it takes nothing, or --write \"WHY\" [--incompatible]".to_owned()),
    }
}

fn say(guard: &Guard) -> Result<ExitCode> {
    let complaints = guard.complaints();
    if !complaints.is_empty() {
        return Err(complaints.join("\n"));
    }
    println!("the ABI is as described, and every change since {FOLDER}/{FIRST} is explained");
    Ok(ExitCode::SUCCESS)
}

/// Renews the description, and adds what changed to the explanations.
fn write(guard: &Guard, kind: Kind, why: &str) -> Result<ExitCode> {
    let before = guard.explained()?;
    let changed = changes::between(&before, &guard.now);
    if changed.is_empty() {
        println!("the ABI has not changed: nothing to explain");
    } else {
        let entry = Entry { kind, why: why.trim().to_owned(), changes: changed };
        changes::replay(&before, std::slice::from_ref(&entry))?;
        let file = folder().join(CHANGES);
        files::write(&file, &format!("{}\n{}", files::read(&file)?, entry.text()))?;
        print!("{}", entry.text());
    }
    files::write(&folder().join(DESCRIPTION), &guard.now.text())?;
    say(&Guard::read()?)
}
