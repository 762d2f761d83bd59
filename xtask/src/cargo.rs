//! Calling cargo, and reading what it says about what it built.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{Artifact, Message, Metadata, MetadataCommand, PackageId};

use crate::process::{self, Show};
use crate::{Result, workspace};

/// Cargo, in the workspace's root, as a person at the terminal would call it.
pub fn command() -> Command {
    command_of(Path::new(&env::var_os("CARGO").unwrap_or("cargo".into())))
}

/// Another cargo, in the same way.
pub fn command_of(cargo: &Path) -> Command {
    let mut command = Command::new(cargo);
    command.current_dir(workspace::root());
    as_at_the_terminal(&mut command);
    command
}

/// Takes out again what `cargo run` put into the environment: build scripts that look at it would run
/// anew at every change between `cargo build` and `cargo xtask`.
pub fn as_at_the_terminal(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let of_this_run = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
        if text == "CARGO" || of_this_run.iter().any(|start| text.starts_with(start)) {
            command.env_remove(&name);
        }
    }
    without_our_library_path(command);
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
    Ok(metadata()?.target_directory.into())
}

/// The manifest of each crate of the workspace.
pub fn manifests() -> Result<Vec<PathBuf>> {
    Ok(metadata()?.packages.into_iter().map(|package| package.manifest_path.into()).collect())
}

fn metadata() -> Result<Metadata> {
    let mut command = command();
    let said =
        process::output(command.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]))?;
    MetadataCommand::parse(said).map_err(|e| format!("cargo metadata: {e}"))
}

/// The triple that this compiler builds for, unless told otherwise.
pub fn host() -> Result<String> {
    let said = process::output(Command::new(rustc()).arg("-vV"))?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or("rustc -vV names no host".into())
}

pub fn rustc() -> std::ffi::OsString {
    env::var_os("RUSTC").unwrap_or("rustc".into())
}

/// What a build made.
pub struct Built {
    messages: Vec<Message>,
}

impl Built {
    /// The file of this name among a package's results.
    pub fn file(&self, package: &str, name: &str) -> Result<PathBuf> {
        let mut files = self.artifacts(package).flat_map(|artifact| &artifact.filenames);
        let file = files.find(|file| file.file_name() == Some(name));
        file.map(PathBuf::from).ok_or(format!("{package} was built without {name}"))
    }

    /// The program of this name.
    pub fn program(&self, package: &str, name: &str) -> Result<PathBuf> {
        let mut programs = self.artifacts(package).filter_map(|artifact| artifact.executable.as_ref());
        let program = programs.find(|program| program.file_stem() == Some(name));
        program.map(PathBuf::from).ok_or(format!("{package} has no program {name}"))
    }

    /// The program of a test target; the library's own tests have the library's name.
    pub fn test_program(&self, package: &str, target: &str) -> Result<PathBuf> {
        let mut tests = self.artifacts(package).filter(|artifact| artifact.target.name == target);
        let program = tests.find_map(|artifact| artifact.executable.as_ref());
        program.map(PathBuf::from).ok_or(format!("{package} has no test program {target}"))
    }

    /// Where the package's build script wrote to.
    pub fn out_dir(&self, package: &str) -> Result<PathBuf> {
        let folder = self.messages.iter().find_map(|message| match message {
            Message::BuildScriptExecuted(script) if package_of(&script.package_id) == package => {
                Some(script.out_dir.clone().into())
            }
            _ => None,
        });
        folder.ok_or(format!("{package} has no build script"))
    }

    fn artifacts(&self, package: &str) -> impl Iterator<Item = &Artifact> {
        self.messages.iter().filter_map(move |message| match message {
            Message::CompilerArtifact(artifact) if package_of(&artifact.package_id) == package => {
                Some(artifact)
            }
            _ => None,
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
    let messages = Message::parse_stream(finished.stdout.as_bytes()).collect::<std::io::Result<_>>();
    Ok(Built { messages: messages.map_err(|e| format!("cargo {}: {e}", words.join(" ")))? })
}

/// Makes the build say what it built, on its standard output; errors stay readable.
pub const MESSAGES: &str = "--message-format=json-render-diagnostics";

/// `path+file:///home/me/libmfa#mfa-client@0.1.0`, or without the name where the folder has it.
fn package_of(id: &PackageId) -> &str {
    let (place, name) = id.repr.rsplit_once('#').unwrap_or((&id.repr, ""));
    match name.split_once('@') {
        Some((name, _)) => name,
        None => Path::new(place).file_name().and_then(|n| n.to_str()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_known_by_either_form_of_its_id() {
        for (id, name) in [
            ("path+file:///home/me/libmfa#mfa-client@0.1.0", "mfa-client"),
            ("path+file:///home/me/mfa-client#0.1.0", "mfa-client"),
            ("registry+https://example.org/index#ring@0.17.0", "ring"),
        ] {
            assert_eq!(package_of(&PackageId { repr: id.to_owned() }), name);
        }
    }
}
