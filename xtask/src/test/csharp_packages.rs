//! The C# packages as their users have them: a fresh folder, and nothing of the repository but the two packages.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::csharp::{self, dotnet_in, run};
use super::report::Report;
use super::{Context, Step, step};
use crate::dist::nuget;
use crate::process;
use crate::sandbox::Sandbox;
use crate::{Result, files, library, workspace};

const PROJECTS: &str = "bindings/csharp/package-tests";
const PROMPTLY: Duration = Duration::from_secs(120);
const PAGE: &str = "bindings/csharp/README.md";

pub fn steps() -> Vec<Step> {
    vec![step("bindings", "csharp-packages", packages)]
}

fn packages(context: &Context, report: &mut Report) -> Result {
    if !csharp::has_sdk() {
        report.unavailable("C#", "there is no dotnet of version 10 on PATH");
        return Ok(());
    }
    // Outside of the repository, so that no settings of a parent folder reach in.
    let folder = std::env::temp_dir().join(format!("mfa-packages-{}", std::process::id()));
    let user = User { folder, sandbox: Sandbox::start(context.sandbox()?)? };
    user.unpack()?;
    let building = nuget::building()?;
    refuses_to_pack_without_a_library(report)?;
    pack(context, &user.folder.join("packages"))?;
    drop(building);
    user.tries(report)?;
    user.waits(report, &context.library()?.archive)
}

fn properties(context: &Context) -> Result<[String; 2]> {
    Ok([
        format!("-p:MfaLibrary={}", context.library()?.shared.display()),
        format!("-p:MfaSandboxLibrary={}", library::build_sandbox_library()?.display()),
    ])
}

fn pack(context: &Context, output: &Path) -> Result {
    for project in ["MfaClient", "MfaClient.Testing"] {
        let mut command = dotnet_in(&csharp::folder());
        command.args(["pack", project, "-nologo", "-v:quiet", "-o"]).arg(output).args(properties(context)?);
        run(&mut command)?.expect_success("dotnet pack")?;
    }
    Ok(())
}

fn refuses_to_pack_without_a_library(report: &mut Report) -> Result {
    let scratch = workspace::scratch("csharp-refused")?;
    for (what, property) in [
        ("a library that is not there", "-p:MfaLibrary=/nowhere/libmfa.so".to_owned()),
        ("a file that is not there", "-p:MfaLinuxArm64=/nowhere/libmfa.so".to_owned()),
        ("a folder", format!("-p:MfaLinuxX64={}", workspace::root().display())),
    ] {
        let mut command = dotnet_in(&csharp::folder());
        command.args(["pack", "MfaClient", "-nologo", "-v:quiet", &property, "-o"]).arg(&scratch);
        let refused = !run(&mut command)?.success();
        report.check(&format!("{what} is not packed"), refused.then_some(()).ok_or("it packed".to_owned()));
    }
    Ok(())
}

struct User {
    folder: PathBuf,
    sandbox: Sandbox,
}

impl Drop for User {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl User {
    fn unpack(&self) -> Result {
        let copied =
            Command::new("cp").arg("-R").arg(workspace::root().join(PROJECTS)).arg(&self.folder).status();
        if !copied.is_ok_and(|status| status.success()) {
            return Err(format!("{PROJECTS} could not be copied to {}", self.folder.display()));
        }
        let page = files::read(&workspace::root().join(PAGE))?;
        let mut programs = page.split("```csharp\n").skip(1).filter_map(|rest| rest.split("```").next());
        let mut is_next = |has: &str, folder: &str| {
            let program = programs.find(|program| program.contains(has));
            let program = program.ok_or_else(|| format!("{PAGE} has no program with {has}"))?;
            files::write(&self.folder.join(folder).join("Program.cs"), program)
        };
        is_next("ConfirmAsync", "console")?;
        is_next("ReadLine", "phone")?;
        is_next("MapPost", "page")
    }

    fn tries(&self, report: &mut Report) -> Result {
        self.build(report, "console", &["build", "console"])?;
        self.judge(report, "console", "dotnet", "console/bin/Debug/net10.0/console.dll")?;
        if process::find("mono").is_some() {
            self.judge(report, "net472 on Mono", "mono", "console/bin/Debug/net472/console.exe")?;
        } else {
            report.skip("net472 on Mono", "mono is not installed");
        }
        let publish = ["publish", "console", "-f", "net10.0", "-r", "linux-x64"];
        for (what, how) in [("trimmed", "Trimmed"), ("ahead of time", "AheadOfTime")] {
            let (property, output) = (format!("-p:{how}=true"), format!("out/{how}"));
            let words = [&publish[..], &["--self-contained", &property, "-o", &output]].concat();
            self.build(report, what, &words)?;
            self.judge(report, what, &format!("{}/{output}/console", self.folder.display()), "")?;
        }
        self.build(report, "the page's sandbox", &["build", "phone"])?;
        self.build(report, "the page's ASP.NET", &["build", "page"])?;
        self.build(report, "who asks it", &["build", "web"])?;
        self.judge(report, "the page's ASP.NET", "dotnet", "web/bin/Debug/net10.0/web.dll")?;
        let tests = run(self.dotnet().current_dir(self.folder.join("xunit")).arg("test"))?;
        report.check("an xUnit project", csharp::ended_well(&tests));
        self.musl_is_told(report)
    }

    /// Many at once, until the program ends with some of them pending.
    fn waits(&self, report: &mut Report, archive: &Path) -> Result {
        self.build(report, "waits", &["build", "waits"])?;
        self.ends_well(report, "waits", "dotnet", "waits/bin/Debug/net10.0/waits.dll");
        if process::find("mono").is_some() {
            self.ends_well(report, "waits on Mono", "mono", "waits/bin/Debug/net472/waits.exe");
        }
        let linked = format!("-p:Archive={}", archive.display());
        let publish = ["publish", "waits", "-f", "net10.0", "-r", "linux-x64", "-p:AheadOfTime=true", "-o"];
        for (what, folder, more) in [
            ("waits ahead of time", "out/waits", &[][..]),
            ("the library inside the program", "out/inside", &[linked.as_str()][..]),
        ] {
            self.build(report, what, &[&publish[..], &[folder], more].concat())?;
            self.ends_well(report, what, &format!("{}/{folder}/waits", self.folder.display()), "");
        }
        let is_beside = self.folder.join("out/inside/libmfa.so").exists();
        let why = || "it has a library beside it".to_owned();
        report.check("the library is inside alone", (!is_beside).then_some(()).ok_or_else(why));
        Ok(())
    }

    fn ends_well(&self, report: &mut Report, what: &str, program: &str, argument: &str) {
        let began = Instant::now();
        let outcome = self.sandbox.get("hyperid").and_then(|url| {
            let mut command = Command::new(program);
            if !argument.is_empty() {
                command.arg(argument);
            }
            let ended = run(command.env("MFA_BASE_URL", url).current_dir(&self.folder))?;
            if !ended.success() || !ended.stdout.ends_with("all well\n") {
                return Err(ended.output);
            }
            // Its last waits would go on for an hour.
            if began.elapsed() < PROMPTLY { Ok(()) } else { Err("it did not end".to_owned()) }
        });
        report.check(&format!("{what}: it ends well, with waits pending"), outcome);
    }

    fn musl_is_told(&self, report: &mut Report) -> Result {
        let words = ["build", "console", "-f", "net10.0", "-r", "linux-musl-x64", "-p:UseAppHost=false"];
        let built = run(self.dotnet().args(words).arg("--no-self-contained"))?;
        let told = !built.success() && built.output.contains("MFA0001");
        let why = || "it built, or failed for another reason".to_owned();
        report.check(
            "a program for a system without a library is told when it is built",
            told.then_some(()).ok_or_else(why),
        );
        Ok(())
    }

    fn build(&self, report: &mut Report, what: &str, words: &[&str]) -> Result {
        let built = run(self.dotnet().args(words).args(["-nologo", "-v:quiet", "-warnaserror"]))?;
        report.check(&format!("{what} builds without a warning"), csharp::ended_well(&built));
        Ok(())
    }

    /// A person who approves, and one who does not.
    fn judge(&self, report: &mut Report, what: &str, program: &str, argument: &str) -> Result {
        for (token, says) in
            [("sandbox-approve", "\napproved\n"), ("sandbox-deny", "\nnot approved: Denied\n")]
        {
            let mut command = Command::new(program);
            if !argument.is_empty() {
                command.arg(argument);
            }
            command.env("MFA_BASE_URL", self.sandbox.get("hyperid")?).env("MFA_TOKEN", token);
            let ended = run(command.current_dir(&self.folder))?;
            let told = ended.success() && format!("\n{}", ended.stdout).contains(says);
            report.check(&format!("{what}: {token}"), told.then_some(()).ok_or_else(|| ended.output.clone()));
        }
        Ok(())
    }

    /// With packages of its own, so that an older one of the same version is not taken.
    fn dotnet(&self) -> Command {
        let mut dotnet = dotnet_in(&self.folder);
        dotnet.env("NUGET_PACKAGES", self.folder.join("restored"));
        dotnet
    }
}
