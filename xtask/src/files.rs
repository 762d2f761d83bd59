//! Files: with the path in every error, and listed in a stable order.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;

pub fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))
}

pub fn write(file: &Path, text: &str) -> Result {
    fs::write(file, text).map_err(|e| format!("{}: {e}", file.display()))
}

pub fn create_folder(folder: &Path) -> Result {
    fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))
}

pub fn copy(from: &Path, to: &Path) -> Result {
    fs::copy(from, to).map(drop).map_err(|e| format!("{} to {}: {e}", from.display(), to.display()))
}

/// The same file in another folder, where it stays whatever happens to the first.
pub fn own_copy(file: &Path, folder: &Path) -> Result<PathBuf> {
    create_folder(folder)?;
    let own = folder.join(file.file_name().unwrap_or_default());
    let _ = fs::remove_file(&own);
    fs::hard_link(file, &own)
        .or_else(|_| fs::copy(file, &own).map(drop))
        .map_err(|e| format!("{}: {e}", own.display()))?;
    Ok(own)
}

/// A relative link beside its target; on systems without links, a copy.
pub fn link(target: &Path, link: &Path) -> Result {
    // Others may be reading it.
    if fs::read_link(link).is_ok_and(|there| there == target) {
        return Ok(());
    }
    let _ = fs::remove_file(link);
    #[cfg(unix)]
    let made = std::os::unix::fs::symlink(target, link);
    #[cfg(not(unix))]
    let made = fs::copy(link.with_file_name(target), link).map(drop);
    made.map_err(|e| format!("{}: {e}", link.display()))
}

/// Keeps other chores that lock the same folder waiting for as long as what it gives is held.
pub fn lock(folder: &Path) -> Result<fs::File> {
    let file = folder.join("lock");
    let locked = fs::File::create(&file).and_then(|open| fs4::FileExt::lock(&open).map(|()| open));
    locked.map_err(|e| format!("{}: {e}", file.display()))
}

/// The files in a folder whose names end so, sorted; none if there is no such folder.
pub fn with_extension(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<_> = entries.filter(|f| f.extension().is_some_and(|e| e == extension)).collect();
    found.sort();
    found
}

/// Every file below a folder, sorted, without what `skip` names (a folder, or a file).
pub fn below(folder: &Path, skip: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if skip(&path) {
                continue;
            }
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// The file's name without its folder.
pub fn name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The file's name without its folder and extension.
pub fn stem(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
