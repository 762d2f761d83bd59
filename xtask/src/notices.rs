//! `THIRD-PARTY-NOTICES.txt`: whose work is linked in, and on which terms.
//!
//! Made from the lock file and from what the crates themselves carry. It is committed, so that every
//! package takes it from the tree, and a test fails while it is stale.

use std::path::{Path, PathBuf};

use crate::dependencies::{self, Crate};
use crate::{Result, files};

pub const FILE: &str = "THIRD-PARTY-NOTICES.txt";
/// What no lock file tells: the standard library, and what the compiler adds.
const OF_RUST: &str = include_str!("../templates/notices-of-rust.txt");
/// How the files are called that hold terms.
const NAMES: &[&str] = &["license", "licence", "copying", "notice", "copyright", "unlicense"];
const RULE: &str = "================================================================================";

pub fn text() -> Result<String> {
    let crates = dependencies::linked()?;
    let mut text = String::from(
        "What libmfa and its sandbox are made of besides their own code, which is under MIT OR Apache-2.0:\n\
         the work of others, with its licences. Generated from Cargo.lock; a library for one system holds\n\
         only what that system needs. Crates marked * are in the sandbox alone.\n\n",
    );
    for one in &crates {
        let mark = if one.in_library { "" } else { " *" };
        let whose = one.repository.clone().unwrap_or_else(|| one.authors.join(", "));
        text += &format!("{} {}{mark}\n    {}\n    {whose}\n", one.name, one.version, one.licence);
    }
    text += &format!("\n{RULE}\n{OF_RUST}");
    for (owners, terms) in terms(&crates)? {
        text += &format!("\n{RULE}\n{}\n\n{terms}\n", wrapped(&owners));
    }
    Ok(text)
}

/// Each text once, with the crates that carry it.
fn terms(crates: &[Crate]) -> Result<Vec<(Vec<String>, String)>> {
    let mut found: Vec<(Vec<String>, String)> = Vec::new();
    for one in crates {
        let owner = format!("{} {}", one.name, one.version);
        for terms in texts_of(&one.folder)? {
            match found.iter_mut().find(|(_, known)| words(known) == words(&terms)) {
                Some((owners, _)) if owners.contains(&owner) => {}
                Some((owners, _)) => owners.push(owner.clone()),
                None => found.push((vec![owner.clone()], terms)),
            }
        }
    }
    Ok(found)
}

fn texts_of(folder: &Path) -> Result<Vec<String>> {
    let is_terms = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let is_source = [".rs", ".c", ".h", ".toml", ".py"].iter().any(|end| name.ends_with(end));
        !is_source && NAMES.iter().any(|start| name.starts_with(start))
    };
    let found = files::below(folder, &|_| false).into_iter().filter(is_terms);
    let tidy = |text: String| {
        let lines: Vec<_> = text.lines().map(str::trim_end).collect();
        lines.join("\n").trim_matches('\n').to_owned()
    };
    // One is not Unicode; its text is none of the terms.
    found.map(|file| files::read(&file).map(tidy)).collect()
}

/// Texts that differ in their line breaks are one.
fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

fn wrapped(owners: &[String]) -> String {
    let mut lines = vec![String::new()];
    for (place, owner) in owners.iter().enumerate() {
        let separator = if place + 1 < owners.len() { "," } else { ":" };
        let last = lines.last_mut().expect("there is one");
        if !last.is_empty() && last.len() + owner.len() > 78 {
            lines.push(format!("{owner}{separator}"));
        } else {
            let space = if last.is_empty() { "" } else { " " };
            last.push_str(&format!("{space}{owner}{separator}"));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_of_owners_are_wrapped() {
        assert_eq!(wrapped(&["a 1".to_owned(), "b 2".to_owned()]), "a 1, b 2:");
        let many = vec!["a-crate-with-a-name 1.0.0".to_owned(); 5];
        assert!(wrapped(&many).lines().count() == 2 && wrapped(&many).lines().all(|line| line.len() < 110));
    }
}
