//! The release, used as its users use it: unpacked in another place, with nothing of this tree.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::release::paths_of_this_machine;
use super::report::Report;
use super::symbols::{needs_no_newer_glibc, weigh};
use super::{Context, Step, step};
use crate::c_compiler::program;
use crate::dist::platform::{self, Platform};
use crate::dist::{self, tools};
use crate::process::{self, Show};
use crate::sandbox::Sandbox;
use crate::{Result, files, library, sizes, workspace};

const AREA: &str = "packaging";
/// Somebody says yes, and somebody says no.
const VERDICTS: &[(&str, i32)] = &[("sandbox-approve", 0), ("sandbox-deny", 1)];
const IN_PYTHON: &str = "\
import mfa_client
from mfa_client.sandbox import Sandbox
with Sandbox() as sandbox, sandbox.hyperid() as client:
    yes, no = (client.confirm(token, 'Pay?').approved for token in ('sandbox-approve', 'sandbox-deny'))
    print(mfa_client.__file__, yes, no)
";

/// Rust's std asks for musl 1.2.4; the one that this Debian has is 1.2.3, which lacks one call. std does without
/// where the kernel has no such thing.
const STATX: &str = "\
#include <errno.h>
int statx(int folder, const char *path, int flags, unsigned mask, void *out)
{
    (void)folder, (void)path, (void)flags, (void)mask, (void)out;
    errno = ENOSYS;
    return -1;
}
";

pub fn steps() -> Vec<Step> {
    if !cfg!(target_os = "linux") {
        return Vec::new();
    }
    let names = platform::ALL.iter().map(|platform| platform.name.to_owned()).collect();
    vec![step(AREA, "dist", release).with_programs(names).of_another_platform()]
}

fn release(context: &Context, report: &mut Report) -> Result {
    let mut platforms = Vec::new();
    for platform in platform::ALL.iter().filter(|platform| context.wants(platform.name)) {
        match platform.missing()? {
            Some(what) => report.skip(platform.name, &format!("{what} is not installed")),
            None => platforms.push(platform),
        }
    }
    if platforms.is_empty() {
        return Ok(());
    }
    let output = workspace::empty_scratch("dist")?;
    let made = dist::release(&output, &platforms)?;
    let mut sums = Command::new("sha256sum");
    let sums = process::output(sums.args(["--check", "--quiet", dist::archive::SUMS]).current_dir(&output));
    report.check("the checksums are right", sums.map(drop));
    report.check("the SBOM names what is linked in", sbom(&made));
    if dist::nuget::can_be_made() {
        report.check("the NuGet packages hold every system's library", nuget(&made, &platforms));
    } else {
        report.unavailable("NuGet", "there is no dotnet of version 10 on PATH");
    }
    for platform in platforms {
        let unpacked = Unpacked::new(platform, &made)?;
        unpacked.tarball(report)?;
        unpacked.wheel(report)?;
    }
    Ok(())
}

fn sbom(made: &[PathBuf]) -> Result {
    let file =
        made.iter().find(|file| file.extension().is_some_and(|end| end == "json")).ok_or("there is none")?;
    let bom: serde_json::Value = serde_json::from_str(&files::read(file)?).map_err(|e| e.to_string())?;
    let names = bom["components"].as_array().into_iter().flatten().filter_map(|one| one["name"].as_str());
    let names: BTreeSet<_> = names.collect();
    let missing: Vec<_> =
        ["ring", "rustls", "ureq-proto"].into_iter().filter(|name| !names.contains(name)).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("without {}", missing.join(", "))) }
}

/// The step csharp-packages uses such packages.
fn nuget(made: &[PathBuf], platforms: &[&Platform]) -> Result {
    let packages = made.iter().filter(|file| file.extension().is_some_and(|end| end == "nupkg"));
    let packages: Vec<_> = packages.collect();
    if packages.len() != 2 {
        return Err(format!("there are {} packages", packages.len()));
    }
    for package in packages {
        let list = process::output(Command::new("python3").args(["-m", "zipfile", "-l"]).arg(package))?;
        let libraries =
            list.lines().filter(|line| line.starts_with("runtimes/") && line.contains(".so")).count();
        if libraries != platforms.len() || !list.contains("THIRD-PARTY-NOTICES.txt") {
            return Err(format!("{} has {libraries} libraries:\n{list}", package.display()));
        }
    }
    Ok(())
}

/// What was made for one system, in folders of their own.
struct Unpacked {
    platform: &'static Platform,
    tree: PathBuf,
    wheel: PathBuf,
    wheel_folder: PathBuf,
    folder: PathBuf,
    /// What Debian's musl lacks: see `STATX`.
    shim: Option<PathBuf>,
}

impl Unpacked {
    fn new(platform: &'static Platform, made: &[PathBuf]) -> Result<Self> {
        let called = |part: &str, end: &str| {
            let name = |file: &&PathBuf| file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let file = made.iter().find(|file| name(file).contains(part) && name(file).ends_with(end));
            file.cloned().ok_or(format!("there is no *{part}*{end} in the release"))
        };
        let tarball = called(platform.name, ".tar.gz")?;
        let wheel = called(platform.wheel, ".whl")?;
        let folder = workspace::empty_scratch(&format!("dist-used-{}", platform.name))?;
        process::output(Command::new("tar").arg("-xzf").arg(&tarball).arg("-C").arg(&folder))?;
        let wheel_folder = folder.join("wheel");
        let mut python = Command::new("python3");
        process::output(python.args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&wheel_folder))?;
        let name = files::stem(&tarball);
        let tree = folder.join(name.trim_end_matches(".tar"));
        let mut unpacked = Self { platform, tree, wheel, wheel_folder, folder, shim: None };
        if platform.glibc.is_none() {
            unpacked.shim = Some(unpacked.build_shim()?);
        }
        Ok(unpacked)
    }

    fn build_shim(&self) -> Result<PathBuf> {
        let [source, shim] = ["statx.c", "statx.so"].map(|name| self.folder.join(name));
        files::write(&source, STATX)?;
        let mut compiler = self.compiler()?;
        compiler.args(["-shared", "-fPIC", "-o"]).arg(&shim).arg(&source);
        process::run(&mut compiler, Show::Nothing, process::LIMIT)?.expect_success("the C compiler")?;
        Ok(shim)
    }

    fn check(&self, report: &mut Report, what: &str, outcome: Result) {
        report.check(&format!("{}: {what}", self.platform.name), outcome);
    }

    fn tarball(&self, report: &mut Report) -> Result {
        let unpacked = [&self.tree, &self.wheel_folder];
        let all: Vec<_> = unpacked.iter().flat_map(|folder| files::below(folder, &|_| false)).collect();
        self.check(report, "no file names a folder of this machine", paths_of_this_machine(&all));
        for file in ["lib/libmfa.so", "bin/mfa-sandbox"] {
            self.check(
                report,
                &format!("{file} runs with the oldest libc"),
                self.needs_no_newer(&self.tree.join(file)),
            );
        }
        for (what, flags) in
            [("shared", &["--cflags", "--libs"][..]), ("static", &["--cflags", "--libs", "--static"])]
        {
            self.check(report, &format!("the README's example, {what}"), self.example(what, flags));
        }
        let library = self.tree.join("lib").join(library::names()?.full);
        let bytes = sizes::stripped(&library, self.platform.tools()?)?;
        weigh(&format!("{}-release", self.platform.target), bytes, report)
    }

    /// It asks for no symbol newer than the oldest glibc; or for nothing but musl.
    fn needs_no_newer(&self, file: &Path) -> Result {
        let Some(oldest) = self.platform.glibc else {
            let said = process::output(Command::new("readelf").arg("-dW").arg(file))?;
            let needed: Vec<_> = said.lines().filter(|line| line.contains("(NEEDED)")).collect();
            // The program needs nothing at all: zig links programs for musl with all of it.
            return if needed.iter().all(|line| line.contains("[libc.musl-")) {
                Ok(())
            } else {
                Err(needed.join(", "))
            };
        };
        let said = process::output(Command::new("readelf").args(["--dyn-syms", "-W"]).arg(file))?;
        needs_no_newer_glibc(&said, oldest)
    }

    /// Compiled as a user does, and asked for its verdicts by the sandbox that came along.
    fn example(&self, what: &str, flags: &[&str]) -> Result {
        let mut pkg_config = Command::new("pkg-config");
        pkg_config.args(flags).arg("mfa").env("PKG_CONFIG_PATH", self.tree.join("lib/pkgconfig"));
        let mut flags = process::output(&mut pkg_config)?;
        if what == "static" {
            flags = flags.replace("-lmfa", "-l:libmfa.a");
        }
        let output = self.folder.join(what);
        let mut compiler = self.compiler()?;
        compiler
            .arg("-std=c99")
            .arg(self.tree.join("share/doc/mfa/examples/c/confirm.c"))
            .arg("-o")
            .arg(&output);
        compiler
            .args(flags.split_whitespace())
            .arg(format!("-Wl,-rpath,{}", self.tree.join("lib").display()));
        process::run(&mut compiler, Show::Nothing, process::LIMIT)?.expect_success("the C compiler")?;
        let sandbox = Sandbox::start_command(self.run(&self.tree.join("bin/mfa-sandbox")))?;
        for (token, code) in VERDICTS {
            let mut command = self.run(&output);
            command.args(["--url", sandbox.get("hyperid")?, "--token", token]);
            let ended = process::run(&mut command, Show::Nothing, process::LIMIT)?;
            if ended.code() != Some(*code) {
                return Err(format!("{token}: {}\n{}", ended.ending(), ended.output));
            }
        }
        Ok(())
    }

    fn compiler(&self) -> Result<Command> {
        if self.platform.is_this_machine()? {
            return Ok(Command::new("cc"));
        }
        let mut zig = Command::new(tools::program("python")?);
        zig.args(["-m", "ziglang", "cc", "-target", &self.platform.zig_target()]);
        if self.platform.glibc.is_none() {
            zig.arg("-dynamic");
        }
        Ok(zig)
    }

    /// A program for that machine, on this one.
    fn run(&self, file: &Path) -> Command {
        let Some((emulator, root)) = self.platform.emulator else {
            let mut command = program(file);
            if let Some(shim) = &self.shim {
                command.env("LD_PRELOAD", shim);
            }
            return command;
        };
        let mut command = Command::new(emulator);
        command.args(["-L", root]).arg(file);
        command
    }

    fn wheel(&self, report: &mut Report) -> Result {
        let mut auditwheel = Command::new(tools::program("auditwheel")?);
        tools::in_path(&mut auditwheel, None)?;
        let finished = process::run(auditwheel.arg("show").arg(&self.wheel), Show::Nothing, process::LIMIT)?;
        let said: String = finished.output.split_whitespace().collect::<Vec<_>>().join(" ");
        let tag = self.platform.wheel.split('.').next().unwrap_or_default();
        let agrees = finished.success() && said.contains(&format!("platform tag: \"{tag}\""));
        self.check(report, &format!("auditwheel calls it {tag}"), agrees.then_some(()).ok_or(said));
        let in_it =
            |name: &str| files::below(&self.wheel_folder, &|_| false).iter().any(|file| file.ends_with(name));
        let has = ["THIRD-PARTY-NOTICES.txt", "LICENSE-MIT"].into_iter().all(in_it);
        self.check(report, "the wheel has the notices", has.then_some(()).ok_or("it has not".to_owned()));
        if self.platform.is_this_machine()? {
            self.check(report, "the wheel, in a fresh environment", self.installed());
        }
        Ok(())
    }

    fn installed(&self) -> Result {
        let environment = self.folder.join("environment");
        let run = |command: &mut Command| {
            let finished = process::run(command, Show::Nothing, process::LIMIT)?;
            finished.expect_success("Python").map(|finished| finished.stdout)
        };
        run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
        let python = environment.join("bin/python");
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--no-index"]).arg(&self.wheel))?;
        let said = run(Command::new(&python).args(["-I", "-c", IN_PYTHON]).current_dir(&self.folder))?;
        let expected = said.contains(&*environment.to_string_lossy()) && said.trim().ends_with("True False");
        expected.then_some(()).ok_or(format!("it said {said}"))
    }
}
