//! What Microsoft's linker, and any other that reads its libraries, is given in place of `mfa.dll`.
//!
//! It does read the one that GNU's linker writes, but that one asks it to put parts of a table into an
//! order that only GNU's keeps by itself.

use std::path::Path;
use std::process::Command;

use super::{static_library, tools};
use crate::{Result, process};

pub const DLL: &str = "mfa.dll";

/// A module definition: the exports by name, from which any tool makes its own kind of library.
pub fn definitions() -> Result<String> {
    let exports = static_library::exports()?;
    let lines: String = exports.iter().map(|name| format!("    {name}\r\n")).collect();
    Ok(format!("LIBRARY {DLL}\r\nEXPORTS\r\n{lines}"))
}

/// By LLVM's program, which zig has in it.
pub fn make(definitions: &Path, library: &Path) -> Result {
    let mut dlltool = Command::new(tools::program("python")?);
    dlltool.args(["-m", "ziglang", "dlltool", "-m", "i386:x86-64", "-D", DLL, "-d"]).arg(definitions);
    process::output(dlltool.arg("-l").arg(library)).map(drop)
}
