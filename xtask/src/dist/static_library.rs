//! The archive as it is released: nothing in it but libmfa's own exports is in another library's way.
//!
//! As the compiler makes it, an archive also offers the whole of Rust's standard library, and so does
//! that of any other library in Rust: a program could not be linked with both. For Linux it becomes one
//! object, in which the exports alone are global. The linker for Windows cannot make one of many that it takes
//! for a program's own (threads' variables are in the way); so there all else gets a name of its own.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::{Result, files, process, workspace};

/// The names that stay global, a line for each; more may follow on it.
const LIST: &str = "tests/symbols.txt";
/// The compiler's intermediate code, and who compiled: of no use to a linker.
const LEFT_OUT: &[&str] = &[".llvmbc", ".llvmcmd", ".comment", ".note.gnu.property"];

/// `tools`: what stands before the names of GNU's programs for another machine; `""`: for this one.
pub fn make(from: &Path, to: &Path, tools: &str) -> Result {
    // Several chores may be at it at a time.
    let folder = workspace::empty_scratch(&format!("static-library-{tools}{}", std::process::id()))?;
    let archive = folder.join("libmfa.a");
    if tools.contains("mingw32") {
        with_names_of_its_own(from, &archive, tools, &folder)?;
    } else {
        one_object(from, &archive, tools, &folder)?;
    }
    files::copy(&archive, to)?;
    std::fs::remove_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))
}

fn one_object(from: &Path, to: &Path, tools: &str, folder: &Path) -> Result {
    let symbols = exports()?;
    let list = folder.join("exports");
    files::write(&list, &(symbols.join("\n") + "\n"))?;
    let tool = |name: &str| Command::new(format!("{tools}{name}"));

    // What is reached from no export goes; a group of the same name in another library must not stand
    // for one of ours, so there are none left.
    let linked = folder.join("linked.o");
    let mut ld = tool("ld");
    ld.args(["-r", "--force-group-allocation", "--gc-sections"]);
    for symbol in &symbols {
        ld.args(["-u", symbol]);
    }
    ld.arg("-o").arg(&linked).arg("--whole-archive").arg(from);
    process::output(&mut ld)?;

    let object = folder.join("mfa.o");
    let mut objcopy = tool("objcopy");
    objcopy.arg(format!("--keep-global-symbols={}", list.display())).arg("--strip-unneeded");
    for section in LEFT_OUT {
        objcopy.args(["-R", section]);
    }
    process::output(objcopy.arg(&linked).arg(&object))?;

    process::output(tool("ar").arg("rcsD").arg(to).arg(&object)).map(drop)
}

const OWN: &str = "mfa_private_";

fn with_names_of_its_own(from: &Path, to: &Path, tools: &str, folder: &Path) -> Result {
    let mut nm = Command::new(format!("{tools}nm"));
    // Its plugin for an older LLVM grumbles among what it says.
    let said = process::output(nm.args(["--defined-only", "--extern-only"]).arg(from))?;
    let list = folder.join("names");
    files::write(&list, &renamed(&said, &exports()?))?;
    let mut objcopy = Command::new(format!("{tools}objcopy"));
    objcopy.args(["--enable-deterministic-archives", "--strip-unneeded"]);
    objcopy.arg(format!("--redefine-syms={}", list.display()));
    for section in LEFT_OUT {
        objcopy.args(["-R", section]);
    }
    process::output(objcopy.arg(from).arg(to)).map(drop)
}

/// A line for each global name that is not to stay: it, and what it becomes. The functions of Windows stay, which
/// the archive gets from where they are; how the compiler calls these places has the folder of its library in it.
fn renamed(said: &str, exports: &[String]) -> String {
    let name = |line: &str| match line.split_whitespace().collect::<Vec<_>>()[..] {
        [value, kind, name] if value.len() == 16 && kind.len() == 1 => Some(name.to_owned()),
        _ => None,
    };
    let all: BTreeSet<_> = said.lines().filter_map(name).collect();
    let of_windows = |name: &String| {
        name.starts_with("__imp_") || all.contains(&format!("__imp_{name}")) || name == ".refptr._tls_used"
    };
    let places = all.iter().filter(|name| name.starts_with("_head_") || name.ends_with("_iname"));
    let places: Vec<_> = places.collect();
    let becomes = |name: &String| match places.iter().position(|place| *place == name) {
        Some(number) => format!("{name} {OWN}place_{number}\n"),
        None => format!("{name} {OWN}{name}\n"),
    };
    all.iter().filter(|name| !exports.contains(name) && !of_windows(name)).map(becomes).collect()
}

/// The program that is missing, if one is.
pub fn missing(tools: &str) -> Option<String> {
    let names = ["ld", "objcopy", "ar", "nm"].map(|name| format!("{tools}{name}"));
    names.into_iter().find(|name| process::find(name).is_none())
}

/// Libmfa's.
pub fn exports() -> Result<Vec<String>> {
    let text = files::read(&workspace::root().join(LIST))?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let names: Vec<_> = lines.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    if names.is_empty() { Err(format!("{LIST} names nothing")) } else { Ok(names) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn all_but_the_exports_and_windows_is_renamed() {
        let said = "lib.a:mfa.o:\nnm: LLVM T 14.0.6')\n\n0000000000000010 T mfa_version\n0000000000000020 T rust_x\n\
                    0000000000000000 I __imp_Sleep\n0000000000000000 T Sleep\n\
                    0000000000000000 I _head__home_me_lib\n0000000000000000 I __home_me_lib_iname\n";
        let expected = "__home_me_lib_iname mfa_private_place_0\n_head__home_me_lib mfa_private_place_1\n\
                        rust_x mfa_private_rust_x\n";
        assert_eq!(super::renamed(said, &["mfa_version".to_owned()]), expected);
    }
}
