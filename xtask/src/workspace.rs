//! Where things are: the source tree, the target directory, scratch space below it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::Result;
use crate::cargo;

/// The version of every crate in the workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The root of the source tree.
pub fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        // Cargo sets it anew in each run, so that a tree that was moved after the build is found.
        let own = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let own = own.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
        let root = own.ancestors().find(|folder| folder.join("Cargo.lock").is_file());
        root.unwrap_or(&own).to_owned()
    })
}

/// Cargo's target directory, wherever the user's settings put it.
pub fn target() -> Result<&'static Path> {
    static TARGET: OnceLock<Result<PathBuf>> = OnceLock::new();
    let found = TARGET.get_or_init(cargo::target_directory);
    found.as_deref().map_err(Clone::clone)
}

/// A folder below the target directory for what the chores themselves make; it is created.
pub fn scratch(name: &str) -> Result<PathBuf> {
    let folder = target()?.join("xtask").join(name);
    fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    Ok(folder)
}

/// The same folder without anything from an earlier run in it.
pub fn empty_scratch(name: &str) -> Result<PathBuf> {
    let folder = scratch(name)?;
    fs::remove_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    scratch(name)
}

/// Where the headers are: the library's own, then the sandbox's.
pub fn include_folders() -> [PathBuf; 2] {
    [root().join("include"), root().join("sandbox/include")]
}

/// The number in the SONAME, as the header says it.
pub fn abi_version() -> Result<u32> {
    let header = crate::files::read(&root().join("include/mfa.h"))?;
    let number = header.lines().find_map(|line| line.strip_prefix("#define MFA_ABI_VERSION "));
    number.and_then(|n| n.trim().parse().ok()).ok_or("include/mfa.h defines no MFA_ABI_VERSION".to_owned())
}
