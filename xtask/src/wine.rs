//! Windows programs on this machine: built with mingw and Debian's Rust, run under Wine.

pub mod dotnet;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::process::{self, Show};
use crate::{Result, files, released, std_source, workspace};

pub const TARGET: &str = "x86_64-pc-windows-gnu";
/// The compiler's for a release. Without it, the linker writes the time of the build.
pub const RELEASE_FLAGS: &[&str] = &["-Clink-arg=-Wl,--no-insert-timestamp"];
pub const COMPILER: &str = "x86_64-w64-mingw32-gcc";
/// Debian keeps it outside PATH unless the package `wine` is there too.
const WINE: &str = "/usr/lib/wine/wine64";

/// What `--setup` has to install beside `std_source::PACKAGES`, and what tells that it is there.
pub const PACKAGES: &[(&str, &str)] = &[MINGW, ("wine64", WINE), ("lld", LLD)];
/// What builds.
pub const MINGW: (&str, &str) = ("gcc-mingw-w64-x86-64-posix", "/usr/bin/x86_64-w64-mingw32-gcc");
/// LLVM's linker, which is called as Microsoft's is and reads the same libraries.
pub const LLD: &str = "/usr/bin/lld-link";

/// The package that is missing for building, if one is.
pub fn missing_to_build() -> Option<&'static str> {
    let compiler = process::find(COMPILER).is_none().then_some(MINGW.0);
    std_source::missing().or(compiler)
}

/// And for running what was built.
pub fn missing_to_run() -> Option<&'static str> {
    missing_to_build().or_else(|| (!Path::new(WINE).exists()).then_some("wine64"))
}

/// Cargo that builds for Windows, in a target folder of its own, and has Wine run what it built.
pub fn cargo(subcommand: &[&str]) -> Result<Command> {
    // The one that a release is built with, so that there need not be another.
    let sysroot = released::sysroot_of(TARGET, RELEASE_FLAGS)?;
    let mut command = std_source::cargo();
    command.args(subcommand).args(["--locked", "--target", TARGET]);
    command.arg("--target-dir").arg(workspace::target()?.join("windows"));
    let of_target = |what: &str| format!("CARGO_TARGET_{}_{what}", TARGET.to_uppercase().replace('-', "_"));
    command.env(of_target("RUSTFLAGS"), format!("--sysroot {}", sysroot.display()));
    command.env(of_target("RUNNER"), WINE);
    Ok(command)
}

/// Sets up what a Windows program needs around it.
pub fn prepare(command: &mut Command) -> Result {
    environment(command, &prepared()?);
    Ok(())
}

/// The folder of what it needs.
fn prepared() -> Result<PathBuf> {
    static PREPARED: OnceLock<Result<PathBuf>> = OnceLock::new();
    PREPARED.get_or_init(set_up).clone()
}

/// A Windows program's command line.
pub fn program(file: &Path) -> Result<Command> {
    let mut command = Command::new(WINE);
    prepare(command.arg(file))?;
    Ok(command)
}

fn environment(command: &mut Command, folder: &Path) {
    command.env("WINEPREFIX", folder.join("prefix")).env("WINEDEBUG", "-all");
    // Where Windows looks for libraries; and no Mono nor browser engine is wanted.
    command.env("WINEPATH", folder).env("WINEDLLOVERRIDES", "mscoree=d;mshtml=d");
}

/// Rust's std asks for random bytes in a library that Wine 8 does not have; this stands in for it, in
/// the tests alone.
const RANDOM: &str = "#include <windows.h>
BOOLEAN NTAPI SystemFunction036(void *, ULONG);
__declspec(dllexport) BOOL WINAPI ProcessPrng(unsigned char *bytes, SIZE_T length)
{
    return SystemFunction036(bytes, (ULONG)length);
}
";

const RANDOM_LIBRARY: &str = "bcryptprimitives.dll";

/// For a program that lets libraries be looked for beside itself and in the system's folder alone.
pub fn stand_ins_beside(program: &Path) -> Result {
    let library = workspace::scratch("wine")?.join(RANDOM_LIBRARY);
    // In a file of its own: another program may have the one that is there loaded.
    files::own_copy(&library, program.parent().unwrap_or(program)).map(drop)
}

/// A Windows of our own, which no other of the user's programs has touched.
fn set_up() -> Result<PathBuf> {
    let folder = workspace::scratch("wine")?;
    let _lock = files::lock(&folder)?;
    library(&folder.join(RANDOM_LIBRARY).with_extension("c"), RANDOM)?;
    let mut boot = Command::new(WINE);
    environment(boot.args(["wineboot", "--init"]), &folder);
    process::run(&mut boot, Show::Nothing, process::LIMIT)?.expect_success("wineboot")?;
    Ok(folder)
}

/// Compiles one beside its source.
fn library(source: &Path, text: &str) -> Result<PathBuf> {
    files::write(source, text)?;
    let library = source.with_extension("dll");
    let mut gcc = Command::new(COMPILER);
    gcc.args(["-std=gnu99", "-shared", "-O1", "-o"]).arg(&library).arg(source).arg("-ladvapi32");
    process::run(&mut gcc, Show::Nothing, process::LIMIT)?.expect_success(COMPILER)?;
    Ok(library)
}
