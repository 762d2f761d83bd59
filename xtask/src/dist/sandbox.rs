//! The sandbox beside an installed libmfa: for the tests of a program that finds it there.

use std::path::{Path, PathBuf};

use crate::{Result, files, library, workspace};

/// `mfaConfig.cmake` reads it if it is there.
const CMAKE: &str = include_str!("../../templates/mfaSandbox.cmake");

/// Builds it for development, which is quick, and says which files it made.
pub fn install(prefix: &Path) -> Result<Vec<PathBuf>> {
    let (_, program) = library::build_debug()?;
    place(&program, &library::build_sandbox_library()?, prefix)
}

/// Puts what was built where an installed libmfa is, and says which files it made.
pub fn place(program: &Path, library: &Path, prefix: &Path) -> Result<Vec<PathBuf>> {
    let name = |file: &Path| file.file_name().unwrap_or_default().to_owned();
    let header = workspace::root().join("sandbox/include/mfa_sandbox.h");
    let of_windows = library.extension().is_some_and(|extension| extension == "dll");
    let libraries = if of_windows { "bin" } else { "lib" };
    let places = [("bin", program), (libraries, library), ("include", header.as_path())];
    let mut made = Vec::new();
    for (folder, file) in places {
        let place = prefix.join(folder).join(name(file));
        files::create_folder(&prefix.join(folder))?;
        files::copy(file, &place)?;
        made.push(place);
    }
    // There, a program is linked with the DLL itself, or loads it.
    if of_windows {
        return Ok(made);
    }
    let cmake = prefix.join("lib/cmake/mfa/mfaSandbox.cmake");
    files::write(&cmake, &CMAKE.replace("@LIBRARY@", &name(library).to_string_lossy()))?;
    made.push(cmake);
    Ok(made)
}
