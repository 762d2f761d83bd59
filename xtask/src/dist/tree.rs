//! What was built as an install tree. Everything in it finds its neighbours by their relative places,
//! so the tree can be moved.

use std::path::{Path, PathBuf};

use super::{import_library, sandbox, static_library};
use crate::{Result, files, library, notices, sbom, workspace};

const PKG_CONFIG: &str = include_str!("../../templates/mfa.pc");
const CMAKE_CONFIG: &str = include_str!("../../templates/mfaConfig.cmake");
const CMAKE_CONFIG_WINDOWS: &str = include_str!("../../templates/mfaConfigWindows.cmake");
const CMAKE_VERSION: &str = include_str!("../../templates/mfaConfigVersion.cmake");
/// What a user copies from; the folder's build products are not among it.
const EXAMPLES: &[(&str, &[&str])] = &[
    ("examples/c", &["c", "md"]),
    ("examples/cpp", &["cpp", "txt", "md"]),
    ("examples/python", &["py", "md"]),
];

/// The shared library, and how it is found.
pub enum Shared {
    /// Under its whole version, with the links that a loader and a linker look for.
    WithLinks(PathBuf),
    /// Windows: beside the programs, and what a program is linked with in its place: this from GNU's linker, and
    /// another that is made for Microsoft's.
    Dll { dll: PathBuf, import: PathBuf },
}

/// What goes into a tree.
pub struct Contents {
    pub shared: Shared,
    pub archive: PathBuf,
    /// What stands before the names of GNU's programs for the machine that it is for.
    pub tools: &'static str,
    /// What a program that links the archive needs besides.
    pub native_libs: &'static [&'static str],
    /// The sandbox's program and library, in a release.
    pub sandbox: Option<(PathBuf, PathBuf)>,
}

/// Says which files it made.
pub fn install(contents: &Contents, prefix: &Path) -> Result<Vec<PathBuf>> {
    let mut tree = Tree { made: Vec::new() };
    libraries(&mut tree, contents, prefix)?;
    for name in ["mfa.h", "mfa.hpp"] {
        tree.copy(&workspace::root().join("include").join(name), &prefix.join("include").join(name))?;
    }
    let licences = prefix.join("share/licenses/mfa");
    for name in ["LICENSE-APACHE", "LICENSE-MIT", notices::FILE] {
        tree.copy(&workspace::root().join(name), &licences.join(name))?;
    }
    if let Some((program, library)) = &contents.sandbox {
        tree.made.extend(sandbox::place(program, library, prefix)?);
        documents(&mut tree, prefix)?;
    }
    Ok(tree.made)
}

fn libraries(tree: &mut Tree, contents: &Contents, prefix: &Path) -> Result {
    let lib = prefix.join("lib");
    let cmake = match &contents.shared {
        Shared::WithLinks(shared) => {
            let names = library::names()?;
            tree.copy(shared, &lib.join(&names.full))?;
            tree.link(&names.full, &lib.join(&names.loaded))?;
            tree.link(&names.loaded, &lib.join(names.built))?;
            CMAKE_CONFIG.replace("@SHARED_FULL@", &names.full).replace("@SHARED_LOADED@", &names.loaded)
        }
        Shared::Dll { dll, import } => {
            tree.copy(dll, &prefix.join("bin/mfa.dll"))?;
            tree.copy(import, &lib.join("libmfa.dll.a"))?;
            let [definitions, of_microsoft] = ["mfa.def", "mfa.lib"].map(|name| lib.join(name));
            tree.write(&definitions, &import_library::definitions()?)?;
            tree.place(&of_microsoft)?;
            import_library::make(&definitions, &of_microsoft)?;
            CMAKE_CONFIG_WINDOWS.to_owned()
        }
    };
    let archive = lib.join("libmfa.a");
    tree.place(&archive)?;
    // Without GNU's tools, as on macOS, it stays as the compiler made it.
    if cfg!(target_os = "linux") {
        static_library::make(&contents.archive, &archive, contents.tools)?;
    } else {
        files::copy(&contents.archive, &archive)?;
    }
    let fill = |template: &str| {
        let template = template.replace("@VERSION@", workspace::VERSION);
        let template = template.replace("@NATIVE_LIBS@", &contents.native_libs.join(" "));
        template.replace("@NATIVE_LIBS_LIST@", &contents.native_libs.join(";"))
    };
    tree.write(&lib.join("pkgconfig/mfa.pc"), &fill(PKG_CONFIG))?;
    tree.write(&lib.join("cmake/mfa/mfaConfig.cmake"), &fill(&cmake))?;
    tree.write(&lib.join("cmake/mfa/mfaConfigVersion.cmake"), &fill(CMAKE_VERSION))
}

fn documents(tree: &mut Tree, prefix: &Path) -> Result {
    let root = workspace::root();
    let share = prefix.join("share/doc/mfa");
    for name in ["README.md", "CHANGELOG.md"] {
        tree.copy(&root.join(name), &share.join(name))?;
    }
    let pages = files::with_extension(&root.join("docs"), "md").into_iter().map(|page| ("docs", page));
    let examples = EXAMPLES.iter().flat_map(|(folder, endings)| {
        let files = endings.iter().flat_map(move |ending| files::with_extension(&root.join(folder), ending));
        files.map(move |file| (*folder, file))
    });
    for (folder, file) in pages.chain(examples) {
        tree.copy(&file, &share.join(folder).join(file.file_name().unwrap_or_default()))?;
    }
    tree.write(&share.join("libmfa.cdx.json"), &sbom::text(true)?)
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
