//! Calling cargo, and reading what it says about what it built.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{self, Show};
use crate::{Result, workspace};

/// Cargo, in the workspace's root, as a person at the terminal would call it.
///
/// What `cargo run` put into the environment is taken out again: build scripts that look at it
/// would run anew at every change between `cargo build` and `cargo xtask`.
pub fn command() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let of_this_run = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
        if text == "CARGO" || of_this_run.iter().any(|start| text.starts_with(start)) {
            command.env_remove(&name);
        }
    }
    command.current_dir(workspace::root());
    without_our_library_path(&mut command);
    command
}

/// `cargo run` also names its own folders to the dynamic loader, before those of the programs.
pub fn without_our_library_path(command: &mut Command) {
    for name in ["LD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"] {
        command.env_remove(name);
    }
}

/// Whether a part of the toolchain (`fmt`, `clippy`) is installed.
pub fn has(component: &str) -> Result<bool> {
    let finished = process::run(command().args([component, "--version"]), Show::Nothing, process::LIMIT)?;
    Ok(finished.success())
}

pub fn target_directory() -> Result<PathBuf> {
    let mut command = command();
    let said =
        process::output(command.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]))?;
    strings(&said, "target_directory")
        .pop()
        .map(PathBuf::from)
        .ok_or("cargo names no target directory".into())
}

/// The triple that this compiler builds for, unless told otherwise.
pub fn host() -> Result<String> {
    let said = process::output(Command::new(rustc()).arg("-vV"))?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or("rustc -vV names no host".into())
}

fn rustc() -> std::ffi::OsString {
    env::var_os("RUSTC").unwrap_or("rustc".into())
}

/// What a build made.
pub struct Built {
    messages: String,
}

impl Built {
    /// The file of this name among a package's results.
    pub fn file(&self, package: &str, name: &str) -> Result<PathBuf> {
        let messages = self.of("compiler-artifact", package);
        let mut files = messages.flat_map(|m| strings(m, "filenames")).map(PathBuf::from);
        files
            .find(|file| file.file_name().is_some_and(|n| n == name))
            .ok_or(format!("{package} was built without {name}"))
    }

    /// The program of this name.
    pub fn program(&self, package: &str, name: &str) -> Result<PathBuf> {
        let messages = self.of("compiler-artifact", package);
        let mut files = messages.flat_map(|m| strings(m, "executable")).map(PathBuf::from);
        files.find(|file| crate::files::stem(file) == name).ok_or(format!("{package} has no program {name}"))
    }

    /// Where the package's build script wrote to.
    pub fn out_dir(&self, package: &str) -> Result<PathBuf> {
        let mut messages = self.of("build-script-executed", package);
        let folder = messages.find_map(|m| strings(m, "out_dir").pop());
        folder.map(PathBuf::from).ok_or(format!("{package} has no build script"))
    }

    fn of<'a>(&'a self, reason: &'a str, package: &'a str) -> impl Iterator<Item = &'a str> {
        self.messages.lines().filter(move |line| {
            strings(line, "reason").iter().any(|found| found == reason)
                && strings(line, "package_id").iter().any(|id| package_of(id) == package)
        })
    }
}

/// Runs `cargo build`, or another command that builds; errors of the compiler go to the terminal.
pub fn build(words: &[&str]) -> Result<Built> {
    build_with(command().args(words), words)
}

/// The same with an environment of its own.
pub fn build_with(command: &mut Command, words: &[&str]) -> Result<Built> {
    let finished = process::run_tool(command, Show::Nothing)?;
    if !finished.success() {
        return Err(format!("cargo {}: {}", words.join(" "), finished.ending()));
    }
    Ok(Built { messages: finished.stdout })
}

/// Makes the build say what it built, on its standard output; errors stay readable.
pub const MESSAGES: &str = "--message-format=json-render-diagnostics";

/// `path+file:///home/me/libmfa#mfa-client@0.1.0`, or without the name where the folder has it.
fn package_of(id: &str) -> &str {
    let (place, name) = id.rsplit_once('#').unwrap_or((id, ""));
    match name.split_once('@') {
        Some((name, _)) => name,
        None => Path::new(place).file_name().and_then(|n| n.to_str()).unwrap_or_default(),
    }
}

/// The strings under a key of one line of JSON: the value itself, or those of an array.
///
/// Cargo's messages have each key that is asked for here only once, so no parser is needed.
fn strings(json: &str, key: &str) -> Vec<String> {
    let Some((_, value)) = json.split_once(&format!("\"{key}\":")) else { return Vec::new() };
    let mut found = Vec::new();
    let mut rest = value;
    // The value, or each of an array's: only there is a comma followed by another one.
    let array = rest.starts_with('[');
    rest = rest.trim_start_matches('[');
    while let Some(text) = rest.strip_prefix('"') {
        let (string, behind) = unescape(text);
        found.push(string);
        rest = if array { behind.trim_start_matches(',') } else { "" };
    }
    found
}

/// A JSON string up to its closing quote, and what stands behind it.
fn unescape(text: &str) -> (String, &str) {
    let mut string = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (string, &text[at + 1..]),
            '\\' => string.extend(characters.next().map(|(_, escaped)| escaped)),
            other => string.push(other),
        }
    }
    (string, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_found_and_unescaped() {
        let json = r#"{"reason":"x","filenames":["C:\\a\\b.so","/c\"d"],"executable":null,"n":1}"#;
        assert_eq!(strings(json, "filenames"), [r"C:\a\b.so", "/c\"d"]);
        assert_eq!(strings(json, "reason"), ["x"]);
        assert!(strings(json, "executable").is_empty() && strings(json, "other").is_empty());
    }

    #[test]
    fn a_package_is_known_by_either_form_of_its_id() {
        assert_eq!(package_of("path+file:///home/me/libmfa#mfa-client@0.1.0"), "mfa-client");
        assert_eq!(package_of("path+file:///home/me/mfa-client#0.1.0"), "mfa-client");
        assert_eq!(package_of("registry+https://example.org/index#ring@0.17.0"), "ring");
    }
}
