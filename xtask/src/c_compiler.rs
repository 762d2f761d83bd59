//! Compiling and linking C and C++ programs.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::library::{Library, NATIVE_LIBS};
use crate::{Result, cargo, process, workspace};

pub const WARNINGS: &[&str] = &["-Wall", "-Wextra", "-Wpedantic", "-Werror"];

/// A compiler that is installed.
#[derive(Clone)]
pub struct Compiler {
    program: PathBuf,
    /// What makes a compiler of the program, or one for another machine.
    words: Vec<String>,
}

/// What a program is linked against.
#[derive(Clone, Copy)]
pub enum Link<'a> {
    Shared(&'a Library),
    Static(&'a Library),
}

/// One program: from one source file.
pub struct Program<'a> {
    pub source: &'a Path,
    pub output: &'a Path,
    pub flags: &'a [&'a str],
    pub link: Link<'a>,
}

impl Compiler {
    pub fn find(program: &str) -> Option<Self> {
        process::find(program).map(|program| Self::called(program, &[]))
    }

    /// The one that this command line calls.
    pub fn called(program: PathBuf, words: &[&str]) -> Self {
        Self { program, words: words.iter().map(|word| (*word).to_owned()).collect() }
    }

    /// The one that `CC` names, or `cc`, or whichever there is.
    pub fn any() -> Option<Self> {
        let named = std::env::var("CC").ok().filter(|name| !name.is_empty());
        let usual = ["cc", "gcc", "clang"].map(str::to_owned);
        named.into_iter().chain(usual).find_map(|name| Self::find(&name).or_else(|| Self::at(&name)))
    }

    pub fn path(&self) -> &Path {
        &self.program
    }

    fn at(path: &str) -> Option<Self> {
        let program = PathBuf::from(path);
        (path.contains('/') && program.is_file()).then_some(Self::called(program, &[]))
    }

    /// Checks a file without making anything of it.
    pub fn check(&self, source: &Path, flags: &[&str]) -> Result {
        let mut command = self.command(flags);
        command.arg("-fsyntax-only").arg(source);
        finish(&mut command, source)
    }

    pub fn compile(&self, program: &Program) -> Result {
        let mut command = self.command(program.flags);
        command.arg("-pthread").arg(program.source).arg("-o").arg(program.output);
        match program.link {
            Link::Shared(library) => {
                command.arg("-L").arg(&library.folder).arg("-lmfa");
                command.arg(format!("-Wl,-rpath,{}", library.folder.display()));
            }
            Link::Static(library) => {
                command.arg(&library.archive).args(native_libs());
            }
        }
        finish(&mut command, program.source)
    }

    fn command(&self, flags: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.words);
        for folder in workspace::include_folders() {
            command.arg("-I").arg(folder);
        }
        // A test program dlopens the library itself where it tests just that.
        command.args(flags);
        cargo::without_our_library_path(&mut command);
        command
    }
}

fn native_libs() -> Vec<&'static str> {
    if cfg!(target_os = "linux") { NATIVE_LIBS.to_vec() } else { Vec::new() }
}

fn finish(command: &mut Command, source: &Path) -> Result {
    let finished = process::run(command, process::Show::Nothing, process::LIMIT)?;
    let name = source.file_name().unwrap_or_default().to_string_lossy();
    finished.expect_success(&format!("compiling {name}")).map(drop)
}

/// Runs a compiled program's command line with nothing in the way of its own library.
pub fn program(file: &Path) -> Command {
    let mut command = Command::new(file);
    cargo::without_our_library_path(&mut command);
    command
}
