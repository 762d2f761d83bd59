//! The C header alone, a C program against the shared library, and what that library exports.
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const STRICT: [&str; 4] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"];

/// The output of a command that must succeed; `None` if the tool is not on this machine.
fn run(command: &mut Command) -> Option<String> {
    let Output { status, stdout, stderr } = command.output().ok()?;
    assert!(status.success(), "{command:?}\n{}", String::from_utf8_lossy(&stderr));
    Some(String::from_utf8_lossy(&stdout).into_owned())
}

/// Beside the test binary: `deps/` or the folder above.
fn library() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    let folders = exe.ancestors().skip(1).take(2);
    let found = folders.map(|folder| folder.join("libmfa_sandbox.so")).find(|file| file.exists());
    found.expect("cargo builds the shared library with the tests")
}

fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn the_header_stands_alone() {
    let source = "#include <mfa_sandbox.h>\n\
                  mfa_sandbox_options options = MFA_SANDBOX_OPTIONS_INIT;\n\
                  mfa_sandbox_user user = MFA_SANDBOX_USER_INIT;\n\
                  mfa_sandbox_transaction_info info = MFA_SANDBOX_TRANSACTION_INFO_INIT;\n";
    for (compiler, standard, file) in [("cc", "-std=c99", "header.c"), ("c++", "-std=c++17", "header.cpp")] {
        let file = scratch(file);
        std::fs::write(&file, source).unwrap();
        let mut command = Command::new(compiler);
        command
            .args([standard, "-fsyntax-only", "-I"])
            .arg(Path::new(ROOT).join("include"))
            .args(STRICT)
            .arg(&file);
        if run(&mut command).is_none() {
            eprintln!("skipped: no {compiler}");
        }
    }
}

#[test]
fn a_c_program_uses_it() {
    let (library, program) = (library(), scratch("c_abi"));
    let folder = library.parent().unwrap();
    let mut command = Command::new("cc");
    command.args(["-std=gnu99", "-I"]).arg(Path::new(ROOT).join("include")).args(STRICT);
    command.arg(Path::new(ROOT).join("tests/c_abi.c")).arg("-o").arg(&program).arg(&library);
    command.arg(format!("-Wl,-rpath,{}", folder.display()));
    if run(&mut command).is_none() {
        eprintln!("skipped: no cc");
        return;
    }
    assert_eq!(run(&mut Command::new(program)).as_deref(), Some("ok\n"));
}

#[test]
fn only_its_own_symbols_are_exported() {
    let Some(symbols) = run(Command::new("nm").args(["-D", "--defined-only"]).arg(library())) else {
        eprintln!("skipped: no nm");
        return;
    };
    let names: Vec<_> = symbols.lines().filter_map(|line| line.split_whitespace().last()).collect();
    assert!(names.contains(&"mfa_sandbox_new"));
    let header = include_str!("../include/mfa_sandbox.h");
    for name in names {
        assert!(name.starts_with("mfa_sandbox_"), "{name} is exported");
        assert!(header.contains(&format!("{name}(")), "{name} is not in the header");
    }
}
