//! Tarballs and zips that are the same from the same tree, and the list of checksums.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, files, process, workspace};

pub const SUMS: &str = "SHA256SUMS";
/// Where there is neither git nor a wish.
const LONG_AGO: &str = "315532800";

/// The time that every file of a release bears, in seconds since 1970.
pub fn time() -> String {
    let wish = env::var("SOURCE_DATE_EPOCH").ok();
    let git = || {
        let mut command = Command::new("git");
        let said =
            process::output(command.args(["log", "-1", "--format=%ct"]).current_dir(workspace::root()));
        said.ok().map(|said| said.trim().to_owned())
    };
    wish.or_else(git).filter(|time| time.parse::<u64>().is_ok()).unwrap_or(LONG_AGO.to_owned())
}

/// The folder, with its own name as the first part of every path, as `NAME.tar.gz` in `output`.
pub fn tar(folder: &Path, output: &Path) -> Result<PathBuf> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let tarball = output.join(format!("{name}.tar.gz"));
    let plain = folder.with_file_name(format!("{name}.tar"));
    let mut tar = Command::new("tar");
    tar.args(["--create", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--format=gnu"]);
    tar.args(["--mode=u=rwX,go=rX", &format!("--mtime=@{}", time())]).arg("--file").arg(&plain);
    process::output(tar.arg("-C").arg(folder.parent().unwrap_or(folder)).arg(&name))?;
    // Without a name and a time of its own.
    process::output(Command::new("gzip").args(["-n", "-9", "-f"]).arg(&plain))?;
    files::copy(&plain.with_extension("tar.gz"), &tarball)?;
    Ok(tarball)
}

/// What makes the zip: Python's own module with nothing of this machine in it, neither times nor rights.
const ZIP: &str = "\
import pathlib, sys, time, zipfile
folder, output, when = pathlib.Path(sys.argv[1]), sys.argv[2], time.gmtime(int(sys.argv[3]))[:6]
with zipfile.ZipFile(output, 'w', zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
    for file in sorted(file for file in folder.rglob('*') if file.is_file()):
        entry = zipfile.ZipInfo(file.relative_to(folder.parent).as_posix(), when)
        entry.create_system = 3
        entry.external_attr = 0o100644 << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(entry, file.read_bytes())
";

/// The same as `NAME.zip`, as Windows unpacks it.
pub fn zip(folder: &Path, output: &Path) -> Result<PathBuf> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let archive = output.join(format!("{name}.zip"));
    let mut python = Command::new(super::tools::program("python")?);
    process::output(python.args(["-c", ZIP]).arg(folder).arg(&archive).arg(time()))?;
    Ok(archive)
}

/// Another program's zip, whose entries bear the time at which it was packed.
const WITH_OUR_TIME: &str = "\
import sys, time, zipfile
when = time.gmtime(int(sys.argv[3]))[:6]
with zipfile.ZipFile(sys.argv[1]) as packed, zipfile.ZipFile(sys.argv[2], 'w') as archive:
    for entry in packed.infolist():
        content = packed.read(entry)
        entry.date_time = when
        archive.writestr(entry, content, zipfile.ZIP_DEFLATED, 9)
";

/// `from` as `to`, with the time that every file of a release bears.
pub fn with_our_time(from: &Path, to: &Path) -> Result {
    let mut python = Command::new(super::tools::program("python")?);
    process::output(python.args(["-c", WITH_OUR_TIME]).arg(from).arg(to).arg(time())).map(drop)
}

/// A line for each file, as `sha256sum --check` reads it.
pub fn sums(made: &[PathBuf], output: &Path) -> Result<PathBuf> {
    let names: Vec<_> = made.iter().filter_map(|file| file.file_name()).collect();
    let list = output.join(SUMS);
    files::write(&list, &process::output(Command::new("sha256sum").args(names).current_dir(output))?)?;
    Ok(list)
}
