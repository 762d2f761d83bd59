//! The install tree: moved to another place, found by pkg-config and CMake, used from C and C++. And the
//! sources, as part of somebody's CMake project.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::report::Report;
use super::{Context, Step, step};
use crate::c_compiler::{Compiler, program};
use crate::process::{self, Show};
use crate::{Result, cargo, dist, files, library, released, workspace};

const AREA: &str = "packaging";
/// Small programs, as a user would write them, with a CMake project.
const FOLDER: &str = "tests/packaging";

pub fn steps() -> Vec<Step> {
    vec![
        step(AREA, "pkg-config", pkg_config),
        step(AREA, "cmake", cmake),
        step(AREA, "cmake-sources", cmake_sources),
    ]
}

/// Installs, and moves what was installed: a tree that names its first place would not survive it.
fn moved_tree(name: &str) -> Result<PathBuf> {
    let folder = workspace::empty_scratch(name)?;
    dist::install(&folder.join("installed"))?;
    let moved = folder.join("moved");
    std::fs::rename(folder.join("installed"), &moved).map_err(|e| e.to_string())?;
    Ok(moved)
}

fn pkg_config(_: &Context, report: &mut Report) -> Result {
    let (Some(_), Some(_)) = (process::find("pkg-config"), Compiler::any()) else {
        report.skip("pkg-config", "pkg-config or a C compiler is not installed");
        return Ok(());
    };
    let prefix = moved_tree("pkg-config")?;
    let lib = prefix.join("lib");
    let ask = |words: &[&str]| {
        let mut command = Command::new("pkg-config");
        process::output(command.args(words).arg("mfa").env("PKG_CONFIG_PATH", lib.join("pkgconfig")))
    };
    let version = ask(&["--modversion"])?;
    let same = version.trim() == workspace::VERSION;
    report.check("the version", if same { Ok(()) } else { Err(format!("it says {version}")) });
    let rpath = format!("-Wl,-rpath,{}", lib.display());
    let shared = format!("{} {rpath}", ask(&["--cflags", "--libs"])?.trim());
    report.check("a C program, shared", build_and_run(&prefix, "shared", &shared));
    // pkg-config has no word for "the archive, please"; this is how its users say it.
    let archive = ask(&["--cflags", "--libs", "--static"])?.replace("-lmfa", "-l:libmfa.a");
    if cfg!(target_os = "linux") {
        report.check("a C program, static", build_and_run(&prefix, "static", archive.trim()));
    }
    Ok(())
}

fn build_and_run(prefix: &Path, name: &str, flags: &str) -> Result {
    let output = prefix.join(name);
    let compiler = process::find("cc").or_else(|| process::find("gcc")).ok_or("no C compiler")?;
    let mut command = Command::new(compiler);
    command.arg("-std=c99").arg(workspace::root().join(FOLDER).join("main.c")).arg("-o").arg(&output);
    process::output(command.args(flags.split_whitespace()))?;
    says_the_version(&output)
}

fn says_the_version(file: &Path) -> Result {
    let said = process::output(&mut program(file))?;
    let expected = format!("libmfa {}", workspace::VERSION);
    if said.trim() == expected { Ok(()) } else { Err(format!("it said {said}")) }
}

fn cmake(_: &Context, report: &mut Report) -> Result {
    if process::find("cmake").is_none() {
        report.skip("cmake", "not installed");
        return Ok(());
    }
    let prefix = moved_tree("cmake")?;
    dist::sandbox::install(&prefix)?;
    let build = prefix.with_file_name("build");
    let mut configure = Command::new("cmake");
    configure.arg("-S").arg(workspace::root().join(FOLDER)).arg("-B").arg(&build);
    configure.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display()));
    let run = |command: &mut Command| process::run(command, Show::Nothing, process::LIMIT);
    let configured = run(&mut configure)?.expect_success("cmake").map(drop);
    let found = configured.is_ok();
    report.check("find_package(mfa)", configured);
    if !found {
        return Ok(());
    }
    let built = run(Command::new("cmake").arg("--build").arg(&build))?.expect_success("cmake --build");
    report.check("the project builds", built.map(drop));
    for name in ["c_shared", "c_static", "cpp_shared", "cpp_sandbox"] {
        report.check(name, says_the_version(&build.join(name)));
    }
    files::write(&build.join("wrong.cmake"), "find_package(mfa 99 REQUIRED)\n")?;
    let mut wrong = Command::new("cmake");
    wrong.arg(format!("-Dmfa_DIR={}", prefix.join("lib/cmake/mfa").display()));
    let refused = !run(wrong.arg("-P").arg(build.join("wrong.cmake")))?.success();
    report.check("version 99 is refused", if refused { Ok(()) } else { Err("it was found".to_owned()) });
    Ok(())
}

/// What a project says that uses the sources, and what is built of it.
const FROM_SOURCE: &str = "tests/packaging/from_source";
const WAYS: &[(&str, &str)] = &[("FetchContent", "OFF"), ("add_subdirectory", "ON")];

fn cmake_sources(context: &Context, report: &mut Report) -> Result {
    if process::find("cmake").is_none() {
        report.skip("cmake", "not installed");
        return Ok(());
    }
    let folder = workspace::empty_scratch("cmake-sources")?;
    // As its users get it, from what is compiled already.
    let (profile, target) = if context.options.debug {
        ("dev", workspace::target()?.to_owned())
    } else {
        ("release", released::target()?)
    };
    for (way, by_subdirectory) in WAYS {
        let build = folder.join(way);
        let mut configure = from_source(&build);
        configure.arg(format!("-DBY_SUBDIRECTORY={by_subdirectory}"));
        configure.arg(format!("-DMFA_CARGO_PROFILE={profile}"));
        configure.arg(format!("-DMFA_CARGO_TARGET_DIR={}", target.display()));
        report.check(&format!("{way} configures"), run_cmake(&mut configure));
        report.check(&format!("{way} takes the terminal's cargo"), takes_the_usual_cargo(&build));
        let mut make = cmake_command();
        if !context.options.debug {
            released::prepare(&mut make, workspace::root(), &target)?;
        }
        let made = run(make.arg("--build").arg(&build).args(["--parallel", "2"]))?;
        let warned = made.output.contains("jobserver");
        let made = if warned { Err(made.output) } else { made.expect_success("cmake --build").map(drop) };
        report.check(&format!("{way} builds, and make's own threads are no matter"), made);
        for name in ["c_shared", "c_static", "cpp_shared"] {
            report.check(&format!("{name} by {way}"), says_the_version(&build.join(name)));
        }
    }
    report.check("a test is linked with mfa::sandbox", with_sandbox(&folder.join("sandbox")));
    if cfg!(target_os = "linux") && process::find("readelf").is_some() {
        let c_shared = folder.join(WAYS[0].0).join("c_shared");
        let needs = process::output(Command::new("readelf").arg("-dW").arg(c_shared))?;
        let by_soname = needs.contains(&format!("[{}]", library::names()?.loaded));
        let outcome = if by_soname { Ok(()) } else { Err("readelf -d does not show it".to_owned()) };
        report.check("a program asks the loader for the library by its SONAME", outcome);
    }
    let mut without = from_source(&folder.join("without"));
    let refused = run(without.arg("-DMFA_CARGO=/nowhere/cargo"))?;
    let told = !refused.success() && refused.output.contains("https://rustup.rs");
    report.check("who has no cargo is told", told.then_some(()).ok_or(refused.output));
    Ok(())
}

/// The sandbox is compiled for development always, and the library here, too: it is there already.
fn with_sandbox(build: &Path) -> Result {
    let mut configure = from_source(build);
    configure.arg("-DMFA_CARGO_PROFILE=dev");
    configure.arg(format!("-DMFA_CARGO_TARGET_DIR={}", workspace::target()?.display()));
    run_cmake(&mut configure)?;
    run_cmake(cmake_command().arg("--build").arg(build).args(["--target", "cpp_sandbox"]))?;
    says_the_version(&build.join("cpp_sandbox"))
}

fn from_source(build: &Path) -> Command {
    let mut configure = cmake_command();
    configure.arg("-S").arg(workspace::root().join(FROM_SOURCE)).arg("-B").arg(build);
    configure.arg(format!("-DMFA_SOURCES={}", workspace::root().display()));
    configure
}

fn cmake_command() -> Command {
    let mut command = Command::new("cmake");
    cargo::as_at_the_terminal(&mut command);
    // rustup's cargo sets them for what it runs.
    command.env_remove("CARGO_HOME").env_remove("RUSTUP_TOOLCHAIN");
    command
}

/// Where there are two, the one that comes first on PATH.
fn takes_the_usual_cargo(build: &Path) -> Result {
    let usual = process::find("cargo").ok_or("there is no cargo on PATH")?;
    let cache = files::read(&build.join("CMakeCache.txt"))?;
    let taken = cache.lines().find_map(|line| line.strip_prefix("MFA_CARGO:FILEPATH="));
    let is_it = taken.is_some_and(|taken| Path::new(taken) == usual);
    is_it.then_some(()).ok_or(format!("it takes {taken:?}, not {}", usual.display()))
}

fn run_cmake(command: &mut Command) -> Result {
    run(command)?.expect_success("cmake").map(drop)
}

/// A build from nothing takes minutes.
fn run(command: &mut Command) -> Result<process::Finished> {
    process::run(command, Show::Nothing, process::LIMIT * 3)
}
