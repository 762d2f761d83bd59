//! The archive as it is released: one object, in which nothing but libmfa's own exports is global.
//!
//! As the compiler makes it, an archive also offers the whole of Rust's standard library, and so does
//! that of any other library in Rust: a program could not be linked with both.

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

    let archive = folder.join("libmfa.a");
    process::output(tool("ar").arg("rcsD").arg(&archive).arg(&object))?;
    files::copy(&archive, to)?;
    std::fs::remove_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))
}

/// The program that is missing, if one is.
pub fn missing(tools: &str) -> Option<String> {
    let names = ["ld", "objcopy", "ar"].map(|name| format!("{tools}{name}"));
    names.into_iter().find(|name| process::find(name).is_none())
}

fn exports() -> Result<Vec<String>> {
    let text = files::read(&workspace::root().join(LIST))?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let names: Vec<_> = lines.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    if names.is_empty() { Err(format!("{LIST} names nothing")) } else { Ok(names) }
}
