//! What is special to the files for Windows, where Wine stands in for it.
//!
//! No registry has a Python for Windows, so of the wheel its contents, its tag and its libraries are looked at,
//! not its Python.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use super::super::release::{BOTH, OTHER};
use super::super::report::Report;
use super::super::windows::links_as_microsofts_do;
use super::unpacked::{Unpacked, VERDICTS};
use crate::dist::{static_library, tools};
use crate::process::{self, Show};
use crate::{Result, files, std_source, wine, workspace};

/// What every Windows 10 has; with the name's beginning of its sets of functions.
const OF_THE_SYSTEM: &[&str] = &[
    "kernel32.dll",
    "ntdll.dll",
    "ws2_32.dll",
    "msvcrt.dll",
    "userenv.dll",
    "advapi32.dll",
    "bcrypt.dll",
    "bcryptprimitives.dll",
    "dbghelp.dll",
];
const SETS: &str = "api-ms-win-";

/// `archive`: the static library as the compiler made it.
pub fn use_it(unpacked: &Unpacked, archive: &Path, report: &mut Report) -> Result {
    unpacked.check(report, "mfa.dll exports what the header declares, and no more", exports(unpacked));
    for file in ["bin/mfa.dll", "bin/mfa-sandbox.exe"] {
        let outcome = needs_the_system_alone(&unpacked.tree.join(file));
        unpacked.check(report, &format!("{file} needs nothing that Windows has not"), outcome);
    }
    links_as_microsofts_do(&unpacked.folder.join("shared"), &unpacked.tree.join("lib/mfa.lib"), report)?;
    let ours = unpacked.tree.join("lib/libmfa.a");
    unpacked.check(
        report,
        "libmfa.a and another library in Rust fit together",
        beside_another(unpacked, &ours),
    );
    let collides = beside_another(unpacked, archive).is_err_and(|why| why.contains("multiple definition"));
    let outcome = collides.then_some(()).ok_or("it did, so this test shows nothing".to_owned());
    unpacked.check(report, "the compiler's own archive would not", outcome);
    if process::find("cmake").is_some() {
        unpacked.check(report, "the CMake package, with mingw's compiler", by_cmake(unpacked));
    } else {
        report.skip("the CMake package for Windows", "cmake is not installed");
    }
    unpacked.check(report, "pip takes the wheel for Windows, and for nothing else", pip_takes_it(unpacked));
    unpacked.check(report, "the wheel's libraries, loaded from its folder", loaded(unpacked));
    Ok(())
}

fn objdump(file: &Path) -> Result<String> {
    process::output(Command::new("x86_64-w64-mingw32-objdump").arg("-p").arg(file))
}

fn exports(unpacked: &Unpacked) -> Result {
    let said = objdump(&unpacked.shared()?)?;
    let table = said.split("[Ordinal/Name Pointer] Table").nth(1).ok_or("it exports nothing")?;
    // "	[   0] +base[   1]  0000 mfa_abi_version", of which some versions leave a part out.
    let lines = table.lines().skip(1).take_while(|line| line.trim_start().starts_with('['));
    let exported: BTreeSet<_> = lines.filter_map(|line| line.split_whitespace().last()).collect();
    let listed = static_library::exports()?;
    let listed: BTreeSet<_> = listed.iter().map(String::as_str).collect();
    if exported == listed {
        return Ok(());
    }
    Err(format!("they differ in {:?}", exported.symmetric_difference(&listed).collect::<Vec<_>>()))
}

fn needs_the_system_alone(file: &Path) -> Result {
    let said = objdump(file)?;
    let needed =
        said.lines().filter_map(|line| line.trim().strip_prefix("DLL Name: ")).map(str::to_lowercase);
    let needed: Vec<_> = needed.collect();
    let of_others = |name: &&String| !OF_THE_SYSTEM.contains(&name.as_str()) && !name.starts_with(SETS);
    let others: Vec<_> = needed.iter().filter(of_others).collect();
    if !needed.is_empty() && others.is_empty() { Ok(()) } else { Err(format!("{others:?} of {needed:?}")) }
}

/// See the step two-rusts.
fn beside_another(unpacked: &Unpacked, archive: &Path) -> Result {
    let folder = unpacked.folder.join("two-rusts");
    files::create_folder(&folder)?;
    files::write(&folder.join("other.rs"), OTHER)?;
    files::write(&folder.join("both.c"), BOTH)?;
    let mut rustc = std_source::rustc();
    rustc.args(["--edition", "2024", "-O", "--crate-type", "staticlib", "--target", wine::TARGET]);
    rustc.arg("--sysroot").arg(unpacked.platform().sysroot()?).arg("other.rs").current_dir(&folder);
    process::output(&mut rustc)?;
    let program = folder.join("both.exe");
    let mut compiler = unpacked.machine.compiler()?;
    compiler.arg("-I").arg(unpacked.tree.join("include")).arg(folder.join("both.c"));
    compiler.arg(archive).arg(folder.join("libother.a"));
    process::output(compiler.args(unpacked.platform().native_libs).arg("-o").arg(&program))?;
    process::output(&mut wine::program(&program)?).map(drop)
}

/// As a person has it who compiles for Windows on another system.
const TOOLCHAIN: &str = "\
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_C_COMPILER x86_64-w64-mingw32-gcc)
";
const PROJECT: &str = "\
cmake_minimum_required(VERSION 3.13)
project(uses_mfa C)
find_package(mfa 0.1 REQUIRED)
add_executable(c_shared main.c)
target_link_libraries(c_shared PRIVATE mfa::mfa)
add_custom_command(TARGET c_shared POST_BUILD
  COMMAND ${CMAKE_COMMAND} -E copy $<TARGET_FILE:mfa::mfa> $<TARGET_FILE_DIR:c_shared>)
add_executable(c_static main.c)
target_link_libraries(c_static PRIVATE mfa::static)
set_target_properties(c_static PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/alone)
";

fn by_cmake(unpacked: &Unpacked) -> Result {
    let source = unpacked.folder.join("cmake");
    files::create_folder(&source)?;
    files::write(&source.join("toolchain.cmake"), TOOLCHAIN)?;
    files::write(&source.join("CMakeLists.txt"), PROJECT)?;
    files::copy(&workspace::root().join("tests/packaging/main.c"), &source.join("main.c"))?;
    let build = source.join("build");
    let mut configure = Command::new("cmake");
    configure.arg("-S").arg(&source).arg("-B").arg(&build);
    configure.arg(format!("-DCMAKE_PREFIX_PATH={}", unpacked.tree.display()));
    configure.arg(format!("-DCMAKE_TOOLCHAIN_FILE={}", source.join("toolchain.cmake").display()));
    process::output(&mut configure)?;
    process::output(Command::new("cmake").arg("--build").arg(&build))?;
    for program in ["c_shared.exe", "alone/c_static.exe"] {
        let said = process::output(&mut wine::program(&build.join(program))?)?;
        if said.trim() != format!("libmfa {}", workspace::VERSION) {
            return Err(format!("{program} said {said}"));
        }
    }
    Ok(())
}

fn pip_takes_it(unpacked: &Unpacked) -> Result {
    let taken = |platform: &str| {
        let mut pip = Command::new(tools::program("python")?);
        pip.args(["-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--only-binary=:all:"]);
        pip.args(["--python-version", "3.13", "--implementation", "cp", "--platform", platform, "--target"]);
        pip.arg(unpacked.folder.join(format!("for-{platform}"))).arg(&unpacked.wheel);
        process::run(&mut pip, Show::Nothing, process::LIMIT)
    };
    taken("win_amd64")?.expect_success("pip")?;
    let package = unpacked.folder.join("for-win_amd64/mfa_client");
    let has = |file: &str| package.join(file).is_file();
    let libraries =
        files::below(&package.join("_lib"), &|file| file.extension().is_some_and(|end| end != "dll"));
    if !has("__init__.py") || !has("_lib/mfa.dll") || !has("_lib/mfa_sandbox.dll") || libraries.len() != 2 {
        return Err(format!("it has {libraries:?}"));
    }
    for other in ["win32", "win_arm64", "manylinux_2_17_x86_64"] {
        if taken(other)?.success() {
            return Err(format!("it took it for {other}"));
        }
    }
    Ok(())
}

/// A host that loads both as Python's ctypes does, with nothing of ours beside it.
fn loaded(unpacked: &Unpacked) -> Result {
    let folder = unpacked.folder.join("host");
    files::create_folder(&folder)?;
    let program = folder.join("loaded.exe");
    let mut compiler = unpacked.machine.compiler()?;
    compiler.args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-I"]).arg(unpacked.tree.join("include"));
    compiler.arg("-I").arg(workspace::root().join("sandbox/include"));
    compiler.arg(workspace::root().join("tests/windows/loaded.c")).arg("-o").arg(&program);
    process::run(&mut compiler, Show::Nothing, process::LIMIT)?.expect_success("the C compiler")?;
    wine::stand_ins_beside(&program)?;
    for (token, code) in VERDICTS {
        let mut host = wine::program(&program)?;
        let libraries = unpacked.folder.join("for-win_amd64/mfa_client/_lib");
        let [library, sandbox] = ["mfa.dll", "mfa_sandbox.dll"].map(|name| libraries.join(name));
        host.arg(library).arg(sandbox).arg(token);
        let ended = process::run(&mut host, Show::Nothing, process::LIMIT)?;
        if ended.code() != Some(*code) {
            return Err(format!("{token}: {}\n{}", ended.ending(), ended.output));
        }
    }
    Ok(())
}
