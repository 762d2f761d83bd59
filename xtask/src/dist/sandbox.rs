//! The sandbox beside an installed libmfa: for the tests of a program that finds it there.

use std::path::{Path, PathBuf};

use crate::{Result, files, library, workspace};

/// `mfaConfig.cmake` reads it if it is there.
const CMAKE: &str = include_str!("../../templates/mfaSandbox.cmake");

/// Builds it for development, which is quick, and says which files it made.
pub fn install(prefix: &Path) -> Result<Vec<PathBuf>> {
    let (_, program) = library::build_debug()?;
    let library = library::build_sandbox_library()?;
    let name = |file: &Path| file.file_name().unwrap_or_default().to_owned();
    let header = workspace::root().join("sandbox/include/mfa_sandbox.h");
    let places = [("bin", &program), ("lib", &library), ("include", &header)];
    let mut made = Vec::new();
    for (folder, file) in places {
        let place = prefix.join(folder).join(name(file));
        files::create_folder(&prefix.join(folder))?;
        files::copy(file, &place)?;
        made.push(place);
    }
    let cmake = prefix.join("lib/cmake/mfa/mfaSandbox.cmake");
    files::write(&cmake, &CMAKE.replace("@LIBRARY@", &name(&library).to_string_lossy()))?;
    made.push(cmake);
    Ok(made)
}
