//! `cargo xtask dist`: what is released, from one tree into one folder.
//!
//!     cargo xtask dist --setup               # the whole release, into target/dist
//!     cargo xtask dist --platform x86_64     # of one system
//!     cargo xtask dist --prefix DIR          # no release: a build for this machine as an install tree
//!     cargo xtask dist --prefix DIR --sandbox  # and the sandbox in it, for a program's tests

pub mod archive;
mod import_library;
pub mod nuget;
pub mod platform;
pub mod sandbox;
pub mod static_library;
pub mod tools;
mod tree;
pub mod wheel;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use crate::{Result, files, library, notices, packages, sbom, std_source, wine, workspace};
use platform::{Built, Platform, System};
use tree::{Contents, Shared};

/// GNU's linker and its like for other machines: what `--setup` installs, and what tells that it is there.
pub const PACKAGES: &[(&str, &str)] =
    &[("binutils-aarch64-linux-gnu", "/usr/bin/aarch64-linux-gnu-ld"), wine::MINGW];

pub fn run(words: &[String]) -> Result<ExitCode> {
    let mut setup = false;
    let mut output = workspace::target()?.join("dist");
    let mut platforms = Vec::new();
    let (mut prefix, mut with_sandbox) = (None, false);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--setup" => setup = true,
            "--output" => output = PathBuf::from(value()?),
            "--platform" => platforms.extend(platforms_called(value()?)?),
            "--prefix" => prefix = Some(PathBuf::from(value()?)),
            "--sandbox" => with_sandbox = true,
            other => return Err(format!("it does not know '{other}'")),
        }
    }
    if let Some(prefix) = prefix {
        print(&install(&prefix)?);
        if with_sandbox {
            print(&sandbox::install(&prefix)?);
        }
        return Ok(ExitCode::SUCCESS);
    }
    if with_sandbox {
        return Err("--sandbox goes with --prefix".to_owned());
    }
    if platforms.is_empty() {
        platforms.extend(platform::ALL);
    }
    if setup {
        install_tools()?;
    }
    print(&release(&output, &platforms)?.made);
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
    let contents = Contents {
        shared: Shared::WithLinks(library.shared),
        archive: library.archive,
        tools: "",
        native_libs,
        sandbox: None,
    };
    tree::install(&contents, prefix)
}

/// What was made, and from which files.
pub struct Release {
    pub made: Vec<PathBuf>,
    pub built: Vec<(&'static Platform, Built)>,
}

/// The whole release of some platforms, in the folder, which must be new or empty.
pub fn release(output: &Path, platforms: &[&'static Platform]) -> Result<Release> {
    if output == workspace::target()?.join("dist") {
        let _ = fs::remove_dir_all(output);
    }
    if fs::read_dir(output).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(format!("{} is not empty", output.display()));
    }
    let mut release = Release { made: Vec::new(), built: Vec::new() };
    for platform in platforms {
        let began = Instant::now();
        let built = build(platform)?;
        let packing = Instant::now();
        let folder = workspace::empty_scratch(&format!("dist-{}", platform.name))?;
        release.made.extend(pack(platform, &built, &folder, output)?);
        let took = [packing - began, packing.elapsed()].map(|time| time.as_secs());
        println!("   {}: built in {} s, packed in {} s", platform.name, took[0], took[1]);
        release.built.push((platform, built));
    }
    if nuget::can_be_made() {
        release.made.extend(nuget::make(&release.built, output)?);
    } else {
        println!("there is no dotnet of version 10: the release is without its NuGet packages");
    }
    let sbom = output.join(format!("libmfa-{}.cdx.json", workspace::VERSION));
    files::write(&sbom, &sbom::text(true)?)?;
    let notices = output.join(notices::FILE);
    files::copy(&workspace::root().join(notices::FILE), &notices)?;
    release.made.extend([sbom, notices]);
    release.made.push(archive::sums(&release.made, output)?);
    Ok(release)
}

fn build(platform: &Platform) -> Result<Built> {
    if let Some(what) = platform.missing()? {
        return Err(format!("{} cannot be built without {what}; --setup installs it", platform.name));
    }
    platform.build()
}

/// One platform's archive and wheel, by way of a tree in `folder`.
pub fn pack(platform: &Platform, built: &Built, folder: &Path, output: &Path) -> Result<Vec<PathBuf>> {
    files::create_folder(output)?;
    let tree = folder.join(format!("libmfa-{}-{}", workspace::VERSION, platform.name));
    let shared = match &built.import {
        Some(import) => Shared::Dll { dll: built.shared.clone(), import: import.clone() },
        None => Shared::WithLinks(built.shared.clone()),
    };
    let contents = Contents {
        shared,
        archive: built.archive.clone(),
        tools: platform.tools()?,
        native_libs: platform.native_libs,
        sandbox: Some((built.sandbox.clone(), built.sandbox_library.clone())),
    };
    tree::install(&contents, &tree)?;
    let archive = match platform.system {
        System::Windows => archive::zip(&tree, output)?,
        _ => archive::tar(&tree, output)?,
    };
    Ok(vec![archive, wheel::make(platform, built, output)?])
}
