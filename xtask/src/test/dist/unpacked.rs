//! What was made for one platform, in folders of their own, and what holds for each of them.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::release::paths_of_this_machine;
use super::super::report::Report;
use super::super::symbols::weigh;
use super::machine::Machine;
use crate::dist::platform::{Platform, System};
use crate::process::{self, Show};
use crate::sandbox::Sandbox;
use crate::{Result, files, library, sizes, workspace};

/// Somebody says yes, and somebody says no.
pub const VERDICTS: &[(&str, i32)] = &[("sandbox-approve", 0), ("sandbox-deny", 1)];
/// What pkg-config is asked for.
const WAYS: &[(&str, &[&str])] =
    &[("shared", &["--cflags", "--libs"]), ("static", &["--cflags", "--libs", "--static"])];

pub struct Unpacked {
    pub machine: Machine,
    pub tree: PathBuf,
    pub wheel: PathBuf,
    pub wheel_folder: PathBuf,
    pub folder: PathBuf,
}

impl Unpacked {
    pub fn new(platform: &'static Platform, made: &[PathBuf]) -> Result<Self> {
        let called = |part: &str, end: &str| {
            let name = |file: &&PathBuf| file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let file = made.iter().find(|file| name(file).contains(part) && name(file).ends_with(end));
            file.cloned().ok_or(format!("there is no *{part}*{end} in the release"))
        };
        let folder = workspace::empty_scratch(&format!("dist-used-{}", platform.name))?;
        let wheel = called(platform.wheel, ".whl")?;
        let wheel_folder = folder.join("wheel");
        unzip(&wheel, &wheel_folder)?;
        if platform.system == System::Windows {
            unzip(&called(platform.name, ".zip")?, &folder)?;
        } else {
            let tarball = called(platform.name, ".tar.gz")?;
            process::output(Command::new("tar").arg("-xzf").arg(&tarball).arg("-C").arg(&folder))?;
        }
        let tree = folder.join(format!("libmfa-{}-{}", workspace::VERSION, platform.name));
        let machine = Machine::new(platform, &folder)?;
        Ok(Self { machine, tree, wheel, wheel_folder, folder })
    }

    pub fn platform(&self) -> &'static Platform {
        self.machine.platform
    }

    pub fn check(&self, report: &mut Report, what: &str, outcome: Result) {
        report.check(&format!("{}: {what}", self.platform().name), outcome);
    }

    /// Of every platform.
    pub fn use_tree(&self, report: &mut Report) -> Result {
        let unpacked = [&self.tree, &self.wheel_folder];
        let all: Vec<_> = unpacked.iter().flat_map(|folder| files::below(folder, &|_| false)).collect();
        self.check(report, "no file names a folder of this machine", paths_of_this_machine(&all));
        for (what, flags) in WAYS {
            self.check(report, &format!("the README's example, {what}"), self.example(what, flags));
        }
        let in_it =
            |name: &str| files::below(&self.wheel_folder, &|_| false).iter().any(|file| file.ends_with(name));
        let has = ["THIRD-PARTY-NOTICES.txt", "LICENSE-MIT"].into_iter().all(in_it);
        self.check(report, "the wheel has the notices", has.then_some(()).ok_or("it has not".to_owned()));
        let bytes = sizes::stripped(&self.shared()?, self.platform().tools()?)?;
        weigh(&format!("{}-release", self.platform().target), bytes, report)
    }

    pub fn shared(&self) -> Result<PathBuf> {
        Ok(match self.platform().system {
            System::Windows => self.tree.join("bin/mfa.dll"),
            _ => self.tree.join("lib").join(library::names()?.full),
        })
    }

    pub fn sandbox(&self) -> Result<Sandbox> {
        let program = self.tree.join("bin").join(self.platform().system.program("mfa-sandbox"));
        Sandbox::start_command(self.machine.run(&program)?)
    }

    /// Compiled as a user does, and asked for its verdicts by the sandbox that came along.
    fn example(&self, what: &str, flags: &[&str]) -> Result {
        let mut pkg_config = Command::new("pkg-config");
        pkg_config.args(flags).arg("mfa").env("PKG_CONFIG_PATH", self.tree.join("lib/pkgconfig"));
        let mut flags = process::output(&mut pkg_config)?;
        if what == "static" {
            flags = flags.replace("-lmfa", "-l:libmfa.a");
        }
        let folder = self.folder.join(what);
        files::create_folder(&folder)?;
        let program = folder.join(self.platform().system.program("confirm"));
        let mut compiler = self.machine.compiler()?;
        compiler.arg("-std=c99").arg(self.tree.join("share/doc/mfa/examples/c/confirm.c"));
        compiler.arg("-o").arg(&program).args(flags.split_whitespace());
        if self.platform().system != System::Windows {
            compiler.arg(format!("-Wl,-rpath,{}", self.tree.join("lib").display()));
        } else if what == "shared" {
            files::copy(&self.shared()?, &folder.join("mfa.dll"))?;
        }
        process::run(&mut compiler, Show::Nothing, process::LIMIT)?.expect_success("the C compiler")?;
        let sandbox = self.sandbox()?;
        VERDICTS.iter().try_for_each(|(token, code)| self.judges(&program, &sandbox, token, *code))
    }

    fn judges(&self, program: &Path, sandbox: &Sandbox, token: &str, code: i32) -> Result {
        let mut command = self.machine.run(program)?;
        command.args(["--url", sandbox.get("hyperid")?, "--token", token]);
        let ended = process::run(&mut command, Show::Nothing, process::LIMIT)?;
        if ended.code() == Some(code) {
            return Ok(());
        }
        Err(format!("{token}: {}\n{}", ended.ending(), ended.output))
    }
}

fn unzip(archive: &Path, folder: &Path) -> Result {
    let mut python = Command::new("python3");
    process::output(python.args(["-m", "zipfile", "-e"]).arg(archive).arg(folder)).map(drop)
}
