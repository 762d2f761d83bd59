//! Which crates are linked into what is released, and what each says of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use cargo_metadata::{Metadata, MetadataCommand, Package};

use crate::library::{C_PACKAGE, SANDBOX_PACKAGE};
use crate::{Result, cargo, files, process, workspace};

/// What is released for; another system's crates are its own.
const TARGETS: &[&str] = &[
    "x86_64-unknown-linux-gnu",
    "x86_64-unknown-linux-musl",
    "aarch64-unknown-linux-gnu",
    "aarch64-unknown-linux-musl",
    "armv7-unknown-linux-gnueabihf",
    "x86_64-pc-windows-gnu",
    "x86_64-pc-windows-msvc",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
];

/// A crate of somebody else's.
pub struct Crate {
    pub name: String,
    pub version: String,
    pub licence: String,
    pub authors: Vec<String>,
    pub repository: Option<String>,
    /// SHA-256 of the package, as the registry gave it.
    pub checksum: Option<String>,
    /// Of those that are linked in, too.
    pub uses: Vec<(String, String)>,
    /// In libmfa; otherwise in the sandbox alone.
    pub in_library: bool,
    pub folder: PathBuf,
}

/// Every one that is linked into libmfa or the sandbox, by name and version.
pub fn linked() -> Result<Vec<Crate>> {
    let (library, sandbox) = (tree(C_PACKAGE)?, tree(SANDBOX_PACKAGE)?);
    let all: BTreeSet<_> = library.union(&sandbox).cloned().collect();
    let checksums = checksums()?;
    let metadata = metadata()?;
    let mut crates = Vec::new();
    for package in &metadata.packages {
        let key = key_of(package);
        if package.source.is_none() || !all.contains(&key) {
            continue;
        }
        crates.push(Crate {
            licence: package.license.clone().unwrap_or_default(),
            authors: package.authors.clone(),
            repository: package.repository.clone(),
            checksum: checksums.get(&key).cloned(),
            uses: uses(&metadata, package, &all),
            in_library: library.contains(&key),
            folder: package.manifest_path.parent().map(PathBuf::from).unwrap_or_default(),
            name: key.0,
            version: key.1,
        });
    }
    crates.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    Ok(crates)
}

/// The names of those that `mfa-client` itself asks for, to build, to run or to be tested.
pub fn direct() -> Result<BTreeSet<String>> {
    let metadata = metadata()?;
    let ours = metadata.packages.iter().filter(|package| package.source.is_none());
    let names = ours.flat_map(|package| &package.dependencies).filter(|dependency| dependency.path.is_none());
    Ok(names.map(|dependency| dependency.name.clone()).collect())
}

/// Cargo's own word on what a package is linked with: features, targets and all.
fn tree(package: &str) -> Result<BTreeSet<(String, String)>> {
    let mut command = cargo::command();
    command.args(["tree", "--locked", "--package", package, "--edges", "normal,no-proc-macro"]);
    command.args(["--prefix", "none", "--format", "{p}"]);
    for target in TARGETS {
        command.args(["--target", target]);
    }
    let said = process::output(&mut command)?;
    // "ring v0.17.14 (*)"
    let pair = |line: &str| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
    };
    Ok(said.lines().filter_map(pair).collect())
}

fn metadata() -> Result<Metadata> {
    let mut command = cargo::command();
    command.args(["metadata", "--locked", "--format-version", "1"]);
    MetadataCommand::parse(process::output(&mut command)?).map_err(|e| format!("cargo metadata: {e}"))
}

fn key_of(package: &Package) -> (String, String) {
    (package.name.to_string(), package.version.to_string())
}

fn uses(
    metadata: &Metadata,
    package: &Package,
    linked: &BTreeSet<(String, String)>,
) -> Vec<(String, String)> {
    let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
    let dependencies = nodes.filter(|node| node.id == package.id).flat_map(|node| &node.dependencies);
    let named = dependencies.filter_map(|id| metadata.packages.iter().find(|other| other.id == *id));
    let keys: BTreeSet<_> = named.map(key_of).filter(|key| linked.contains(key)).collect();
    keys.into_iter().collect()
}

/// From the lock file.
fn checksums() -> Result<BTreeMap<(String, String), String>> {
    let lock = files::read(&workspace::root().join("Cargo.lock"))?;
    let value = |entry: &str, key: &str| {
        let line = entry.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""));
        line.and_then(|rest| rest.strip_suffix('"')).map(str::to_owned)
    };
    let entry =
        |entry: &str| Some(((value(entry, "name")?, value(entry, "version")?), value(entry, "checksum")?));
    Ok(lock.split("[[package]]").filter_map(entry).collect())
}
