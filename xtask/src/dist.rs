//! `cargo xtask dist`: what is released, from one tree into one folder.
//!
//!     cargo xtask dist                  # a build for this machine as an install tree, in target/dist
//!     cargo xtask dist --prefix DIR     # the same elsewhere

pub mod static_library;
mod tree;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::{Result, library, workspace};
use tree::Contents;

pub fn run(words: &[String]) -> Result<ExitCode> {
    let prefix = match words {
        [] => workspace::target()?.join("dist"),
        [word, prefix] if word == "--prefix" => PathBuf::from(prefix),
        _ => return Err("it takes --prefix DIR or nothing".to_owned()),
    };
    let made = install(&prefix)?;
    for file in made {
        println!("{}", file.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds for this machine and installs; says which files it made.
pub fn install(prefix: &Path) -> Result<Vec<PathBuf>> {
    let library = library::build_release()?;
    let contents = Contents { shared: library.shared, archive: library.archive, tools: "", sandbox: None };
    tree::install(&contents, prefix)
}
