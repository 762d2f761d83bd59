//! The wheels where there is nothing else: in a folder with one C library, old or another one, and in that of
//! an old Debian with its Python. On a foreign machine qemu looks for files in that folder first; here it is
//! all that the program sees (chroot).
//!
//! No package registry has a Python for musl. There a C program takes the library out of the wheel.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::systems::{self, System};
use super::{Clock, compiler, platform_called};
use crate::c_compiler::{Link, Program, WARNINGS};
use crate::dist::platform::Platform;
use crate::dist::wheel;
use crate::process::{self, Finished, Show};
use crate::sandbox::Sandbox;
use crate::test::Context;
use crate::test::report::Report;
use crate::{Result, files, library, workspace};

pub const STEP: &str = "linux-chroots";

/// Where a program runs.
struct Place {
    system: &'static System,
    /// Whose wheel.
    platform: &'static str,
    emulator: Option<&'static str>,
    guest: Guest,
}

enum Guest {
    /// The example in C; a file of the C library that says its version when it is run, and what it has to say.
    C {
        libc: &'static str,
        says: &'static str,
    },
    Python,
}

const GLIBC: Guest = Guest::C { libc: "/lib/libc.so.6", says: "version 2.17," };

const PLACES: &[Place] = &[
    Place { system: &systems::OLDEST_GLIBC, platform: "x86_64-linux-gnu", emulator: None, guest: GLIBC },
    Place {
        system: &systems::OLDEST_GLIBC_ON_ARM,
        platform: "aarch64-linux-gnu",
        emulator: Some("qemu-aarch64"),
        guest: GLIBC,
    },
    Place {
        system: &systems::MUSL,
        platform: "x86_64-linux-musl",
        emulator: None,
        guest: Guest::C { libc: "/lib/ld-musl-x86_64.so.1", says: "Version 1.2." },
    },
    Place {
        system: &systems::MUSL_ON_ARM,
        platform: "aarch64-linux-musl",
        emulator: Some("qemu-aarch64"),
        guest: Guest::C { libc: "/lib/ld-musl-aarch64.so.1", says: "Version 1.2." },
    },
    Place {
        system: &systems::OLD_DEBIAN,
        platform: "x86_64-linux-gnu",
        emulator: None,
        guest: Guest::Python,
    },
    Place {
        system: &systems::OLD_DEBIAN_ON_ARM,
        platform: "aarch64-linux-gnu",
        emulator: Some("qemu-aarch64"),
        guest: Guest::Python,
    },
];

/// Where the wheel and the program are.
const APP: &str = "/app";
const LIBRARY: &str = "mfa_client/_lib/libmfa.so";
/// Somebody says yes, and somebody says no.
const VERDICTS: &[(&str, i32)] = &[("sandbox-approve", 0), ("sandbox-deny", 1)];
const IN_PYTHON: &str = "\
import platform, sys
sys.path.insert(0, '/app')
import mfa_client
from mfa_client.sandbox import Sandbox
with Sandbox() as sandbox, sandbox.hyperid() as client:
    yes, no = (client.confirm(token, 'Pay?').approved for token in ('sandbox-approve', 'sandbox-deny'))
print('Python', platform.python_version(), *platform.libc_ver(), platform.machine(), mfa_client.__file__, yes, no)
";

pub fn run(context: &Context, report: &mut Report) -> Result {
    let chroot = Chroot::find()?;
    if chroot.is_none() {
        report.skip("chroot", "neither is this user root nor may it be root in a namespace of its own");
    }
    let mut clock = Clock::new();
    let mut wheels: Vec<(&'static str, PathBuf)> = Vec::new();
    for place in PLACES {
        let Some(platform) = platform_called(place.platform) else { continue };
        let missing =
            place.system.missing().map(Ok).or_else(|| platform.missing().transpose()).transpose()?;
        if let Some(what) = missing.or_else(|| place.lacks_emulator()) {
            report.skip(place.system.name, &format!("{what} is not there"));
            continue;
        }
        if place.emulator.is_none() && chroot.is_none() {
            continue;
        }
        if !wheels.iter().any(|(name, _)| *name == platform.name) {
            wheels.push((platform.name, unpacked_wheel(platform)?));
            clock.tell(&format!("the wheel for {}", platform.name));
        }
        let wheel = wheels.iter().find(|(name, _)| *name == platform.name).map(|(_, wheel)| wheel);
        let inside =
            Inside { place, platform, root: furnish(place, wheel.ok_or("no wheel")?)?, chroot: &chroot };
        inside.check(context, report);
        clock.tell(place.system.name);
    }
    Ok(())
}

fn unpacked_wheel(platform: &Platform) -> Result<PathBuf> {
    let folder = workspace::empty_scratch(&format!("{STEP}-{}", platform.name))?;
    let wheel = wheel::make(platform, &platform.build()?, &folder)?;
    let unpacked = folder.join("unpacked");
    process::output(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(wheel).arg(&unpacked))?;
    Ok(unpacked)
}

/// A folder with the system in it, and the wheel.
fn furnish(place: &Place, wheel: &Path) -> Result<PathBuf> {
    let root = workspace::empty_scratch(&format!("{STEP}-in-{}", place.system.name))?;
    let app = root.join(APP.trim_start_matches('/'));
    for (from, to) in [(place.system.root()?, &root), (wheel.to_owned(), &app)] {
        files::create_folder(to)?;
        process::output(Command::new("cp").args(["-a", "--link"]).arg(from.join(".")).arg(to))?;
    }
    Ok(root)
}

impl Place {
    fn lacks_emulator(&self) -> Option<String> {
        self.emulator.filter(|name| process::find(name).is_none()).map(str::to_owned)
    }
}

/// What makes a folder all that a program sees.
struct Chroot(&'static [&'static str]);

impl Chroot {
    fn find() -> Result<Option<Self>> {
        if process::output(Command::new("id").arg("-u"))?.trim() == "0" {
            return Ok(Some(Self(&["chroot"])));
        }
        let asked = process::run(
            Command::new("unshare").args(["--map-root-user", "true"]),
            Show::Nothing,
            process::LIMIT,
        );
        let may = asked.is_ok_and(|asked| asked.success());
        Ok(may.then_some(Self(&["unshare", "--map-root-user", "--root"])))
    }
}

/// A place that is furnished.
struct Inside<'a> {
    place: &'a Place,
    platform: &'static Platform,
    root: PathBuf,
    chroot: &'a Option<Chroot>,
}

impl Inside<'_> {
    fn check(&self, context: &Context, report: &mut Report) {
        let name = self.place.system.name;
        match self.place.guest {
            Guest::C { libc, says } => {
                report.check(&format!("{name}: its C library says {says}"), self.says(libc, says));
                report.check(&format!("{name}: the wheel's library, from C"), self.used_by_c(context));
            }
            Guest::Python => match self.used_by_python() {
                Ok(said) => {
                    println!("   {said}");
                    report.pass(&format!("{name}: the wheel, from Python"));
                }
                Err(why) => report.fail(&format!("{name}: the wheel, from Python"), &why),
            },
        }
    }

    /// A program of which the path is one inside.
    fn run(&self, program: &str, arguments: &[&str]) -> Result<Finished> {
        let mut command = match (self.place.emulator, self.chroot) {
            (Some(emulator), _) => {
                let mut command = Command::new(emulator);
                command.arg("-L").arg(&self.root).arg(self.root.join(program.trim_start_matches('/')));
                command
            }
            (None, Some(Chroot(words))) => {
                let mut command = Command::new(words[0]);
                command.args(&words[1..]).arg(&self.root).arg(program);
                command
            }
            (None, None) => return Err("there is no chroot".to_owned()),
        };
        // Nothing of this system's says where a library would be.
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).args(arguments);
        process::run(&mut command, Show::Nothing, process::LIMIT)
    }

    fn says(&self, libc: &str, text: &str) -> Result {
        let said = self.run(libc, &[])?.output;
        if said.contains(text) { Ok(()) } else { Err(format!("it said {said}")) }
    }

    fn used_by_c(&self, context: &Context) -> Result {
        let app = self.root.join(APP.trim_start_matches('/'));
        let library = library::lay_out_files(app.join(LIBRARY), PathBuf::new(), &format!("lib-{STEP}"))?;
        files::copy(&library.shared, &app.join(library::names()?.loaded))?;
        let here = format!("-Wl,-rpath,{APP}");
        compiler(self.platform)?.compile(&Program {
            source: &workspace::root().join("examples/c/confirm.c"),
            output: &app.join("confirm"),
            flags: &[&["-std=c99", here.as_str()], WARNINGS].concat(),
            link: Link::Shared(&library),
        })?;
        let sandbox = Sandbox::start(context.sandbox()?)?;
        for (token, code) in VERDICTS {
            let arguments = ["--url", sandbox.get("hyperid")?, "--token", token];
            let ended = self.run(&format!("{APP}/confirm"), &arguments)?;
            if ended.code() != Some(*code) {
                return Err(format!("{token}: {}\n{}", ended.ending(), ended.output));
            }
        }
        Ok(())
    }

    fn used_by_python(&self) -> Result<String> {
        let said = self.run("/usr/bin/python3", &["-I", "-c", IN_PYTHON])?.output;
        let expected = said.contains(&format!("{APP}/mfa_client/")) && said.trim().ends_with("True False");
        if expected { Ok(said.trim().to_owned()) } else { Err(format!("it said {said}")) }
    }
}
