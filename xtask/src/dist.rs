//! `cargo xtask dist`: a release build as an install tree.
//!
//! Everything in it finds its neighbours by their relative places, so the tree can be moved.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::library::{self, NATIVE_LIBS};
use crate::{Result, files, workspace};

const PKG_CONFIG: &str = include_str!("../templates/mfa.pc");
const CMAKE_CONFIG: &str = include_str!("../templates/mfaConfig.cmake");
const CMAKE_VERSION: &str = include_str!("../templates/mfaConfigVersion.cmake");

pub fn run(words: &[String]) -> Result<ExitCode> {
    let prefix = match words {
        [] => workspace::target()?.join("dist"),
        [word, prefix] if word == "--prefix" => PathBuf::from(prefix),
        _ => return Err("it takes --prefix DIR or nothing".to_owned()),
    };
    for file in install(&prefix)? {
        println!("{}", file.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds and installs; says which files it made.
pub fn install(prefix: &Path) -> Result<Vec<PathBuf>> {
    let library = library::build_release()?;
    let names = library::names()?;
    let lib = prefix.join("lib");
    let mut tree = Tree { made: Vec::new() };
    tree.copy(&library.shared, &lib.join(&names.full))?;
    tree.link(&names.full, &lib.join(&names.loaded))?;
    tree.link(&names.loaded, &lib.join(names.built))?;
    tree.copy(&library.archive, &lib.join("libmfa.a"))?;
    for name in ["mfa.h", "mfa.hpp"] {
        let header = workspace::root().join("include").join(name);
        if header.exists() {
            tree.copy(&header, &prefix.join("include").join(name))?;
        }
    }
    let fill = |template: &str| {
        let template = template.replace("@VERSION@", workspace::VERSION);
        let template = template.replace("@SHARED_FULL@", &names.full);
        let template = template.replace("@SHARED_LOADED@", &names.loaded);
        let template = template.replace("@NATIVE_LIBS@", &native_libs().join(" "));
        template.replace("@NATIVE_LIBS_LIST@", &native_libs().join(";"))
    };
    tree.write(&lib.join("pkgconfig/mfa.pc"), &fill(PKG_CONFIG))?;
    tree.write(&lib.join("cmake/mfa/mfaConfig.cmake"), &fill(CMAKE_CONFIG))?;
    tree.write(&lib.join("cmake/mfa/mfaConfigVersion.cmake"), &fill(CMAKE_VERSION))?;
    for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
        tree.copy(&workspace::root().join(licence), &prefix.join("share/licenses/mfa").join(licence))?;
    }
    Ok(tree.made)
}

/// Outside Linux the compiler's own defaults name what is needed.
fn native_libs() -> &'static [&'static str] {
    if cfg!(target_os = "linux") { NATIVE_LIBS } else { &[] }
}

/// Puts files into folders, which it makes, and keeps the list.
struct Tree {
    made: Vec<PathBuf>,
}

impl Tree {
    fn place(&mut self, file: &Path) -> Result {
        self.made.push(file.to_owned());
        files::create_folder(file.parent().unwrap_or(file))
    }

    fn copy(&mut self, from: &Path, to: &Path) -> Result {
        self.place(to)?;
        files::copy(from, to)
    }

    fn link(&mut self, target: &str, link: &Path) -> Result {
        self.place(link)?;
        files::link(target.as_ref(), link)
    }

    fn write(&mut self, file: &Path, text: &str) -> Result {
        self.place(file)?;
        files::write(file, text)
    }
}
