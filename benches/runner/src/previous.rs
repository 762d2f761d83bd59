//! The library before a change, as a subject of the same run: from a revision, or from a file.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::library::{self, Library};
use crate::{Result, files, process, workspace};

/// Whence it comes.
#[derive(Debug, PartialEq)]
pub enum Origin {
    /// `--previous`: what git calls a commit.
    Revision(String),
    /// `--previous-library`: built already.
    File(PathBuf),
}

pub struct Previous {
    pub library: Library,
    /// For the report.
    pub origin: String,
}

/// Below the target directory: the sources while they are built, what the build keeps for the next
/// one, and a folder for each library.
const FOLDER: &str = "bench-previous";

impl Previous {
    pub fn get(origin: &Origin) -> Result<Self> {
        match origin {
            Origin::Revision(revision) => Self::of_revision(revision),
            Origin::File(file) => Self::of_file(file),
        }
    }

    fn of_revision(revision: &str) -> Result<Self> {
        let commit = git(&["rev-parse", "--verify", &format!("{revision}^{{commit}}")], &[])?;
        let folder = workspace::scratch(FOLDER)?.join(&commit);
        // It is written last, so what stands beside it is whole.
        let mark = folder.join("built-by");
        let builder = builder()?;
        if files::read(&mark).is_ok_and(|text| text == builder) {
            return Self::in_folder(&folder, origin_of(&commit));
        }
        eprintln!("   building the library of {commit}");
        let folders = workspace::scratch(FOLDER)?;
        let sources = Worktree::add(folders.join("source"), &commit)?;
        let built = library::build_release_of(&sources.0, &folders.join("build"))?;
        lay_out(&built, &folder)?;
        files::write(&mark, &builder)?;
        Self::in_folder(&folder, origin_of(&commit))
    }

    /// A copy is measured: the file may be one that the build of today's library writes anew.
    fn of_file(file: &Path) -> Result<Self> {
        let folder = workspace::empty_scratch(&format!("{FOLDER}/given"))?;
        lay_out(file, &folder)?;
        // The folder may be one that names the machine.
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        Self::in_folder(&folder, format!("the file {name}"))
    }

    fn in_folder(folder: &Path, origin: String) -> Result<Self> {
        let shared = folder.join(library::names()?.loaded);
        // Nothing here is linked with the archive.
        let archive = folder.join("libmfa.a");
        Ok(Self { library: Library { shared, archive, folder: folder.to_owned() }, origin })
    }
}

fn origin_of(commit: &str) -> String {
    format!("commit {}", &commit[..commit.len().min(12)])
}

/// The library under the name that the loader looks for, and a link with the one for the linker.
fn lay_out(shared: &Path, folder: &Path) -> Result {
    let names = library::names()?;
    files::create_folder(folder)?;
    files::copy(shared, &folder.join(&names.loaded))?;
    files::link(names.loaded.as_ref(), &folder.join(names.built))
}

/// What else the machine code depends on: a library that another compiler built, or with other
/// flags, would be compared with something that it is not.
fn builder() -> Result<String> {
    let mut lines = vec![process::output(Command::new("rustc").arg("-vV"))?];
    let mut settings: Vec<_> = env::vars()
        .filter(|(name, _)| name.ends_with("RUSTFLAGS") || name.starts_with("CARGO_PROFILE_"))
        .map(|(name, value)| format!("{name}={value}\n"))
        .collect();
    settings.sort();
    lines.append(&mut settings);
    Ok(lines.concat())
}

/// The sources of a commit, for as long as they are needed.
struct Worktree(PathBuf);

impl Worktree {
    fn add(folder: PathBuf, commit: &str) -> Result<Self> {
        // What an interrupted run has left.
        remove(&folder);
        git(&["worktree", "add", "--force", "--detach"], &[folder.as_ref(), commit.as_ref()])?;
        Ok(Self(folder))
    }
}

impl Drop for Worktree {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

/// Each part may have gone without the other; the next `add` fails if one is in its way.
fn remove(folder: &Path) {
    let _ = git(&["worktree", "remove", "--force"], &[folder]);
    let _ = fs::remove_dir_all(folder);
}

fn git(words: &[&str], more: &[&Path]) -> Result<String> {
    let mut command = Command::new("git");
    command.arg("-C").arg(workspace::root()).args(words).args(more);
    Ok(process::output(&mut command)?.trim().to_owned())
}
