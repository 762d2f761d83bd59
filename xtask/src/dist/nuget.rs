//! The NuGet packages: one for every system that was built, and the one for testing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::archive;
use super::platform::{Built, Platform};
use crate::process::{self, Show};
use crate::{Result, cargo, files, workspace};

const FOLDER: &str = "bindings/csharp";
/// The project, and what its properties begin with.
const PROJECTS: &[(&str, &str)] = &[("MfaClient", "Mfa"), ("MfaClient.Testing", "MfaSandbox")];

/// Whether there is the .NET SDK that they want.
pub fn can_be_made() -> bool {
    let said = process::run(dotnet().arg("--version"), Show::Nothing, process::LIMIT);
    said.is_ok_and(|said| said.success() && said.stdout.starts_with("10."))
}

/// Held while the projects of the tree are built: two builds at a time would write the same files.
pub fn building() -> Result<fs::File> {
    files::lock(&workspace::scratch("dotnet")?)
}

pub fn make(built: &[(&Platform, Built)], output: &Path) -> Result<Vec<PathBuf>> {
    let folder = workspace::empty_scratch("nuget")?;
    let _building = building()?;
    for (project, prefix) in PROJECTS {
        let mut pack = dotnet();
        pack.args(["pack", project, "-nologo", "-v:quiet", "-p:ContinuousIntegrationBuild=true", "-o"])
            .arg(&folder);
        for (platform, built) in built {
            let library = if *prefix == "Mfa" { &built.shared } else { &built.sandbox_library };
            pack.arg(format!("-p:{prefix}{}={}", as_a_property(platform.rid), library.display()));
        }
        process::run(&mut pack, Show::Nothing, process::LIMIT * 2)?.expect_success("dotnet pack")?;
    }
    let released = |package: PathBuf| {
        let place = output.join(package.file_name().unwrap_or_default());
        archive::with_our_time(&package, &place)?;
        Ok(place)
    };
    files::with_extension(&folder, "nupkg").into_iter().map(released).collect()
}

/// `linux-musl-x64` as the projects' properties have it: `LinuxMuslX64`.
fn as_a_property(rid: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    rid.split('-').map(capital).collect()
}

fn dotnet() -> Command {
    let mut dotnet = Command::new("dotnet");
    // A compiler that stays behind would keep the pipes of this program open.
    dotnet.env("UseSharedCompilation", "false").env("MSBUILDDISABLENODEREUSE", "1");
    cargo::without_our_library_path(&mut dotnet);
    dotnet.current_dir(workspace::root().join(FOLDER));
    dotnet
}
