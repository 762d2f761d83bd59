//! The wheel for one system, from what was built for it.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::platform::{Built, Platform};
use super::{archive, tools};
use crate::process::{self, Show};
use crate::{Result, files, workspace};

const PACKAGE: &str = "bindings/python";

pub fn make(platform: &Platform, built: &Built, output: &Path) -> Result<PathBuf> {
    // Several chores may be at it at a time.
    let folder = workspace::empty_scratch(&format!("wheel-{}-{}", platform.name, std::process::id()))?;
    let mut pip = Command::new(tools::program("python")?);
    pip.args(["-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir"]);
    pip.arg(&folder).arg(workspace::root().join(PACKAGE));
    pip.env("MFA_LIBRARY", &built.shared).env("MFA_SANDBOX_LIBRARY", &built.sandbox_library);
    pip.env("MFA_WHEEL_PLATFORM", platform.wheel).env("SOURCE_DATE_EPOCH", archive::time());
    process::run(&mut pip, Show::Nothing, process::LIMIT)?.expect_success("pip wheel")?;
    let wheel = files::with_extension(&folder, "whl").pop().ok_or("pip made no wheel")?;
    let released = output.join(wheel.file_name().unwrap_or_default());
    files::copy(&wheel, &released)?;
    std::fs::remove_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    Ok(released)
}
