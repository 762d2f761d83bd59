//! Systems on which nobody runs this here: the static library is compiled for them, in which nothing is linked, so
//! that no system's own libraries are needed. Run by its name, before a release.

use super::report::Report;
use super::{Context, Step, step};
use crate::dist::tools;
use crate::library::C_PACKAGE;
use crate::process::{self, Show};
use crate::{Result, std_source, workspace};

const NAME: &str = "compiles-elsewhere";

/// As Rust calls the system, and as zig does, which compiles the little C of the dependency `ring`.
const TARGETS: &[(&str, &str)] = &[
    ("aarch64-apple-darwin", "aarch64-macos"),
    ("aarch64-apple-ios", "aarch64-ios"),
    ("aarch64-linux-android", "aarch64-linux-android"),
    ("x86_64-unknown-freebsd", "x86_64-freebsd"),
];

pub fn steps() -> Vec<Step> {
    let targets = TARGETS.iter().map(|(target, _)| (*target).to_owned()).collect();
    vec![step("packaging", NAME, compiles).with_programs(targets).of_a_release()]
}

fn compiles(context: &Context, report: &mut Report) -> Result {
    let missing = std_source::missing().map(str::to_owned).or_else(tools::missing);
    if let Some(what) = missing {
        report.skip(NAME, &format!("{what} is not installed; `cargo xtask dist --setup` does it"));
        return Ok(());
    }
    for (target, of_zig) in TARGETS.iter().filter(|(target, _)| context.wants(target)) {
        report.check(&format!("libmfa.a for {target}"), compile(target, of_zig));
    }
    Ok(())
}

fn compile(target: &str, of_zig: &str) -> Result {
    let sysroot = std_source::sysroot(target, "")?;
    let python = tools::program("python")?;
    let zig = format!("{} -m ziglang", python.display());
    // Zig has Apple's headers, and gives them to macOS alone. What others lack, `ring` does without.
    let headers = process::output(std::process::Command::new(&python).args([
        "-c",
        "import os, ziglang; print(os.path.join(os.path.dirname(ziglang.__file__), 'lib/libc/include/any-darwin-any'))",
    ]))?;
    let apple = if of_zig.ends_with("ios") { format!("-isystem {}", headers.trim()) } else { String::new() };
    let flags = format!("-target {of_zig} -O2 -fPIC -fno-sanitize=undefined -DRING_CORE_NOSTDLIBINC {apple}");
    let name = target.replace('-', "_");
    let mut command = std_source::cargo();
    command.args(["rustc", "--locked", "--package", C_PACKAGE, "--lib", "--crate-type", "staticlib"]);
    command.args(["--target", target, "--target-dir"]).arg(workspace::target()?.join("elsewhere"));
    command.env(
        format!("CARGO_TARGET_{}_RUSTFLAGS", name.to_uppercase()),
        format!("-Dwarnings --sysroot {}", sysroot.display()),
    );
    command.env("CRATE_CC_NO_DEFAULTS", "1").env(format!("CC_{name}"), format!("{zig} cc"));
    command.env(format!("AR_{name}"), format!("{zig} ar")).env(format!("CFLAGS_{name}"), flags);
    process::run_tool(&mut command, Show::Live)?.expect_success("see above").map(drop)
}
