//! The release, used as its users use it: unpacked in another place, with nothing of this tree.

mod linux;
mod machine;
pub mod musl_of_arm;
mod sbom;
mod unpacked;
mod windows;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use super::release::same_bytes;
use super::report::Report;
use super::{Context, Step, step};
use crate::dist::platform::{self, Built, Platform, System};
use crate::dist::{self, Release, tools};
use crate::process::{self, Show};
use crate::{Result, workspace};
use machine::Machine;
use unpacked::Unpacked;

const AREA: &str = "packaging";

pub fn steps() -> Vec<Step> {
    if !cfg!(target_os = "linux") {
        return Vec::new();
    }
    let names = platform::ALL.iter().map(|platform| platform.name.to_owned()).collect();
    vec![
        step(AREA, "cargo-deny", deny).of_another_platform(),
        step(AREA, "dist", release).with_programs(names).of_another_platform(),
    ]
}

/// Licences, sources and what must not come along: `deny.toml`. The advisories are on a forge, which is asked by CI.
fn deny(_: &Context, report: &mut Report) -> Result {
    if let Some(what) = tools::missing() {
        report.skip("cargo deny", &format!("{what} is not installed"));
        return Ok(());
    }
    let mut deny = Command::new(tools::program("cargo-deny")?);
    deny.args(["--color", "never", "--locked", "--all-features", "check", "licenses", "bans", "sources"]);
    let finished = process::run(deny.current_dir(workspace::root()), Show::Nothing, process::LIMIT)?;
    report.check("deny.toml is kept", finished.expect_success("cargo deny").map(drop));
    Ok(())
}

fn release(context: &Context, report: &mut Report) -> Result {
    let mut platforms = Vec::new();
    for platform in platform::ALL.iter().filter(|platform| context.wants(platform.name)) {
        match platform.missing()?.or_else(|| Machine::missing(platform)) {
            Some(what) => report.skip(platform.name, &format!("{what} is not installed")),
            None => platforms.push(platform),
        }
    }
    if platforms.is_empty() {
        return Ok(());
    }
    let output = workspace::empty_scratch("dist")?;
    let release = dist::release(&output, &platforms)?;
    let mut sums = Command::new("sha256sum");
    let sums = process::output(sums.args(["--check", "--quiet", dist::archive::SUMS]).current_dir(&output));
    report.check("the checksums are right", sums.map(drop));
    let bom = release.made.iter().find(|file| file.extension().is_some_and(|end| end == "json"));
    sbom::check(bom.ok_or("there is no SBOM")?, report)?;
    if dist::nuget::can_be_made() {
        report.check("the NuGet packages hold every system's library", nuget(&release.made, &platforms));
    } else {
        report.unavailable("NuGet", "there is no dotnet of version 10 on PATH");
    }
    for (platform, built) in &release.built {
        let began = Instant::now();
        let unpacked = Unpacked::new(platform, &release.made)?;
        unpacked.use_tree(report)?;
        match platform.system {
            System::Windows => windows::use_it(&unpacked, &built.archive, report)?,
            _ => linux::use_it(&unpacked, report)?,
        }
        let again = packed_again(&release, platform, built);
        unpacked.check(report, "packed elsewhere, it is the same bit for bit", again);
        println!("   {}: used in {} s", platform.name, began.elapsed().as_secs());
    }
    Ok(())
}

/// From copies of the libraries with other times, through other folders.
fn packed_again(release: &Release, platform: &Platform, built: &Built) -> Result {
    let folder = workspace::empty_scratch("dist-packed-again")?.join("another place");
    let copies = built.copied_to(&folder.join("built"))?;
    let again = dist::pack(platform, &copies, &folder.join("packed"), &folder)?;
    for file in again {
        let is_the_same = |made: &&PathBuf| made.file_name() == file.file_name();
        let first = release.made.iter().find(is_the_same).ok_or(format!("no {}", file.display()))?;
        same_bytes(first, &file).map_err(|why| format!("{}: {why}", file.display()))?;
    }
    Ok(())
}

/// The step csharp-packages uses such packages.
fn nuget(made: &[PathBuf], platforms: &[&Platform]) -> Result {
    let packages = made.iter().filter(|file| file.extension().is_some_and(|end| end == "nupkg"));
    let packages: Vec<_> = packages.collect();
    if packages.len() != 2 {
        return Err(format!("there are {} packages", packages.len()));
    }
    packages.iter().try_for_each(|package| holds_each(package, platforms))
}

fn holds_each(package: &Path, platforms: &[&Platform]) -> Result {
    let of_testing = package.to_string_lossy().contains("Testing");
    let name = if of_testing { "mfa_sandbox" } else { "mfa" };
    let list = process::output(Command::new("python3").args(["-m", "zipfile", "-l"]).arg(package))?;
    let mut names: Vec<_> = list.lines().filter_map(|line| line.split_whitespace().next()).collect();
    names.retain(|name| name.starts_with("runtimes/") || *name == "THIRD-PARTY-NOTICES.txt");
    let mut expected: Vec<_> = platforms
        .iter()
        .map(|platform| format!("runtimes/{}/native/{}", platform.rid, platform.system.shared(name)))
        .collect();
    expected.push("THIRD-PARTY-NOTICES.txt".to_owned());
    names.sort_unstable();
    expected.sort_unstable();
    if names == expected { Ok(()) } else { Err(format!("{} has {names:?}", package.display())) }
}
