//! `cargo xtask dist`: what is released, from one tree into one folder.
//!
//!     cargo xtask dist --setup               # the whole release, into target/dist
//!     cargo xtask dist --platform x86_64     # of one system
//!     cargo xtask dist --prefix DIR          # no release: a build for this machine as an install tree

pub mod archive;
pub mod nuget;
pub mod platform;
pub mod static_library;
pub mod tools;
mod tree;
pub mod wheel;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::{Result, files, library, notices, packages, sbom, std_source, workspace};
use platform::{Built, Platform};
use tree::Contents;

/// GNU's linker and its like for other machines: what `--setup` installs, and what tells that it is there.
pub const PACKAGES: &[(&str, &str)] = &[("binutils-aarch64-linux-gnu", "/usr/bin/aarch64-linux-gnu-ld")];

pub fn run(words: &[String]) -> Result<ExitCode> {
    let mut setup = false;
    let mut output = workspace::target()?.join("dist");
    let mut platforms = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--setup" => setup = true,
            "--output" => output = PathBuf::from(value()?),
            "--platform" => platforms.extend(platforms_called(value()?)?),
            "--prefix" => {
                print(&install(Path::new(value()?))?);
                return Ok(ExitCode::SUCCESS);
            }
            other => return Err(format!("it does not know '{other}'")),
        }
    }
    if platforms.is_empty() {
        platforms.extend(platform::ALL);
    }
    if setup {
        install_tools()?;
    }
    print(&release(&output, &platforms)?);
    Ok(ExitCode::SUCCESS)
}

fn print(made: &[PathBuf]) {
    made.iter().for_each(|file| println!("{}", file.display()));
}

/// Those in whose names the word is.
fn platforms_called(word: &str) -> Result<Vec<&'static Platform>> {
    let found: Vec<_> = platform::ALL.iter().filter(|platform| platform.name.contains(word)).collect();
    let known = || platform::ALL.iter().map(|platform| platform.name).collect::<Vec<_>>().join(", ");
    if found.is_empty() { Err(format!("there is no platform '{word}' among {}", known())) } else { Ok(found) }
}

fn install_tools() -> Result {
    let all = std_source::PACKAGES.iter().chain(PACKAGES);
    let missing: Vec<_> = all.filter(|(_, sign)| !Path::new(sign).exists()).map(|(name, _)| *name).collect();
    if !missing.is_empty() {
        packages::install(&missing)?;
    }
    tools::install()
}

/// Builds for this machine and installs; says which files it made.
pub fn install(prefix: &Path) -> Result<Vec<PathBuf>> {
    let library = library::build_release()?;
    // Outside Linux the compiler's own defaults name what is needed.
    let native_libs = if cfg!(target_os = "linux") { library::NATIVE_LIBS } else { &[] };
    let contents =
        Contents { shared: library.shared, archive: library.archive, tools: "", native_libs, sandbox: None };
    tree::install(&contents, prefix)
}

/// The whole release of some platforms; says which files it made in the folder, which must be new or empty.
pub fn release(output: &Path, platforms: &[&Platform]) -> Result<Vec<PathBuf>> {
    if output == workspace::target()?.join("dist") {
        let _ = fs::remove_dir_all(output);
    }
    if fs::read_dir(output).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(format!("{} is not empty", output.display()));
    }
    files::create_folder(output)?;
    let mut made = Vec::new();
    let mut all = Vec::new();
    for platform in platforms {
        let built = build(platform)?;
        made.extend(release_of(platform, &built, output)?);
        all.push((*platform, built));
    }
    if nuget::can_be_made() {
        made.extend(nuget::make(&all, output)?);
    } else {
        println!("there is no dotnet of version 10: the release is without its NuGet packages");
    }
    let sbom = output.join(format!("libmfa-{}.cdx.json", workspace::VERSION));
    files::write(&sbom, &sbom::text(true)?)?;
    let notices = output.join(notices::FILE);
    files::copy(&workspace::root().join(notices::FILE), &notices)?;
    made.extend([sbom, notices]);
    made.push(archive::sums(&made, output)?);
    Ok(made)
}

fn build(platform: &Platform) -> Result<Built> {
    if let Some(what) = platform.missing()? {
        return Err(format!("{} cannot be built without {what}; --setup installs it", platform.name));
    }
    platform.build()
}

fn release_of(platform: &Platform, built: &Built, output: &Path) -> Result<Vec<PathBuf>> {
    let name = format!("libmfa-{}-{}", workspace::VERSION, platform.name);
    let folder = workspace::empty_scratch(&format!("dist-{}", platform.name))?.join(name);
    let contents = Contents {
        shared: built.shared.clone(),
        archive: built.archive.clone(),
        tools: platform.tools()?,
        native_libs: platform.native_libs,
        sandbox: Some(built.sandbox.clone()),
    };
    tree::install(&contents, &folder)?;
    Ok(vec![archive::tar(&folder, output)?, wheel::make(platform, built, output)?])
}
