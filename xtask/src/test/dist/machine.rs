//! What compiles a C program for a platform, and runs it on this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::musl_of_arm;
use crate::c_compiler::program;
use crate::dist::platform::{MUSL_OF_ARM, Platform, System};
use crate::dist::tools;
use crate::process::{self, Show};
use crate::{Result, files, wine, workspace};

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

pub struct Machine {
    pub platform: &'static Platform,
    /// What Debian's musl lacks: see `STATX`.
    shim: Option<PathBuf>,
}

impl Machine {
    /// What is needed in its folder is made there.
    pub fn new(platform: &'static Platform, folder: &Path) -> Result<Self> {
        let mut machine = Self { platform, shim: None };
        if platform.system == System::Musl {
            machine.shim = Some(machine.build_shim(folder)?);
        }
        Ok(machine)
    }

    /// What is to be installed, if something is.
    pub fn missing(platform: &Platform) -> Option<String> {
        if platform.system == System::Windows {
            return wine::missing_to_run().map(str::to_owned);
        }
        let (emulator, root) = platform.emulator?;
        if process::find(emulator).is_none() {
            return Some(emulator.to_owned());
        }
        if root == MUSL_OF_ARM {
            return musl_of_arm::missing();
        }
        (!Path::new(root).exists()).then(|| root.to_owned())
    }

    fn build_shim(&self, folder: &Path) -> Result<PathBuf> {
        let [source, shim] = ["statx.c", "statx.so"].map(|name| folder.join(name));
        files::write(&source, STATX)?;
        let mut compiler = self.compiler()?;
        compiler.args(["-shared", "-fPIC", "-o"]).arg(&shim).arg(&source);
        process::run(&mut compiler, Show::Nothing, process::LIMIT)?.expect_success("the C compiler")?;
        Ok(shim)
    }

    pub fn compiler(&self) -> Result<Command> {
        if self.platform.is_this_machine()? {
            return Ok(Command::new("cc"));
        }
        if self.platform.system == System::Windows {
            return Ok(Command::new(wine::COMPILER));
        }
        let mut zig = Command::new(tools::program("python")?);
        zig.args(["-m", "ziglang", "cc", "-target", &self.platform.zig_target()]);
        if self.platform.system == System::Musl {
            zig.arg("-dynamic");
        }
        Ok(zig)
    }

    pub fn run(&self, file: &Path) -> Result<Command> {
        if self.platform.system == System::Windows {
            return wine::program(file);
        }
        let preload = self.shim.as_ref().map(|shim| format!("LD_PRELOAD={}", shim.display()));
        let Some((emulator, root)) = self.platform.emulator else {
            let mut command = program(file);
            if let Some(shim) = &self.shim {
                command.env("LD_PRELOAD", shim);
            }
            return Ok(command);
        };
        let mut command = Command::new(emulator);
        // A folder of the chores, or of the whole machine.
        command.arg("-L").arg(workspace::target()?.join("xtask").join(root));
        if let Some(preload) = preload {
            command.args(["-E", &preload]);
        }
        command.arg(file);
        Ok(command)
    }
}
