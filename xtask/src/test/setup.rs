//! `--setup`: installs what the tests need, by name, and only what is missing.

use std::path::Path;
use std::process::Command;

use crate::process::{self, Show};
use crate::{Result, cargo, dist, files, packages, std_source, wine, workspace};

/// A Debian package, and how to see that what it brings is there.
struct Package {
    name: &'static str,
    is_there: fn() -> bool,
}

const PACKAGES: &[Package] = &[
    Package { name: "gcc", is_there: || has("gcc") },
    Package { name: "g++", is_there: || has("g++") },
    Package { name: "libc6-dev", is_there: || Path::new("/usr/include/stdio.h").exists() },
    Package { name: "clang", is_there: || has("clang") && has("clang++") },
    Package { name: "libclang-rt-dev", is_there: clang_has_sanitizers },
    Package { name: "binutils", is_there: || has("nm") && has("readelf") && has("strip") },
    Package { name: "valgrind", is_there: || has("valgrind") },
    // ThreadSanitizer needs a compiler with std's source of the same version.
    Package { name: "rustc-web", is_there: || Path::new("/usr/bin/rustc").exists() },
    Package { name: "cargo-web", is_there: || Path::new("/usr/bin/cargo").exists() },
    Package { name: "rust-web-src", is_there: || debian_rust().join("src/rust/library/std").exists() },
    Package { name: "libstd-rust-web-dev", is_there: debian_rust_has_std },
    // valgrind cannot follow memcpy and strlen in a libc without symbols.
    Package { name: "libc6-dbg", is_there: || Path::new("/usr/lib/debug/.build-id").exists() },
    Package { name: "pkg-config", is_there: || has("pkg-config") },
    Package { name: "cmake", is_there: || has("cmake") },
    Package { name: "make", is_there: || has("make") },
    Package { name: "python3", is_there: || has("python3") },
    // For C#: the older of two runtimes, with the facade that a netstandard2.0 assembly wants.
    Package {
        name: "mono-devel",
        is_there: || has("mono") && Path::new("/usr/lib/mono/4.5/Facades/netstandard.dll").exists(),
    },
    // And what a program that is compiled ahead of time is linked with.
    Package { name: "zlib1g-dev", is_there: || Path::new("/usr/include/zlib.h").exists() },
    // For the sandbox: a client of somebody else's, and its page in a browser, with letters to show.
    Package { name: "curl", is_there: || has("curl") },
    Package { name: "nodejs", is_there: || has("node") },
    Package { name: "npm", is_there: || has("npm") },
    Package { name: "chromium", is_there: || has("chromium") },
    Package {
        name: "fonts-dejavu-core",
        is_there: || Path::new("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf").exists(),
    },
    Package { name: "python3-venv", is_there: python_makes_environments },
];

/// What runs programs for ARM here, and the C libraries that other programs want.
const OTHER_LIBCS: &[(&str, &str)] = &[
    ("musl", "/lib/ld-musl-x86_64.so.1"),
    ("qemu-user", "/usr/bin/qemu-aarch64"),
    ("libc6-arm64-cross", "/usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1"),
    ("libgcc-s1-arm64-cross", "/usr/aarch64-linux-gnu/lib/libgcc_s.so.1"),
    ("libc6-armhf-cross", "/usr/arm-linux-gnueabihf/lib/ld-linux-armhf.so.3"),
    ("libgcc-s1-armhf-cross", "/usr/arm-linux-gnueabihf/lib/libgcc_s.so.1"),
];

fn debian_rust() -> &'static Path {
    Path::new("/usr/lib/rustlib")
}

fn debian_rust_has_std() -> bool {
    let host = cargo::host().unwrap_or_default();
    debian_rust().join(host).join("lib").is_dir()
}

/// Those of these packages that are not there.
pub fn missing(names: &[&'static str]) -> Vec<&'static str> {
    let is_missing = |name: &&str| PACKAGES.iter().any(|p| p.name == *name && !(p.is_there)());
    names.iter().copied().filter(is_missing).collect()
}

/// The components of the Rust toolchain that are not always there.
const COMPONENTS: &[(&str, &str)] = &[("fmt", "rustfmt"), ("clippy", "clippy")];

/// Debian keeps it, and the pip in it, apart from Python.
fn python_makes_environments() -> bool {
    let mut python = Command::new("python3");
    python.args(["-c", "import venv, ensurepip"]);
    process::run(&mut python, Show::Nothing, process::LIMIT).is_ok_and(|run| run.success())
}

fn has(program: &str) -> bool {
    process::find(program).is_some()
}

/// Whether clang finds the libraries behind `-fsanitize`, which Debian packages apart from it.
pub fn clang_has_sanitizers() -> bool {
    links_with_sanitizers().unwrap_or(false)
}

fn links_with_sanitizers() -> Result<bool> {
    let folder = workspace::scratch("setup")?;
    let source = folder.join("empty.c");
    files::write(&source, "int main(void) { return 0; }\n")?;
    let mut clang = Command::new("clang");
    clang.arg("-fsanitize=address,undefined").arg(&source).arg("-o").arg(folder.join("empty"));
    Ok(process::run(&mut clang, Show::Nothing, process::LIMIT)?.success())
}

/// `platforms`: also what the steps of other systems need.
pub fn install(platforms: bool) -> Result {
    let mut missing: Vec<_> = PACKAGES.iter().filter(|p| !(p.is_there)()).map(|p| p.name).collect();
    if platforms {
        let all = std_source::PACKAGES.iter().chain(wine::PACKAGES).chain(dist::PACKAGES).chain(OTHER_LIBCS);
        missing.extend(all.filter(|(_, sign)| !Path::new(sign).exists()).map(|(name, _)| *name));
    }
    if missing.is_empty() {
        println!("everything that the tests need is installed");
    } else {
        packages::install(&missing)?;
    }
    if platforms {
        dist::tools::install()?;
        super::linux::systems::install();
        super::dist::musl_of_arm::install()?;
        wine::dotnet::install(&dist::tools::program("python")?)?;
    }
    install_components()
}

/// Where they cannot be had, their steps say so.
fn install_components() -> Result {
    for (subcommand, component) in COMPONENTS {
        if cargo::has(subcommand)? || !has("rustup") {
            continue;
        }
        let mut rustup = Command::new("rustup");
        rustup.args(["component", "add", component]).current_dir(workspace::root());
        process::run(&mut rustup, Show::Live, process::LIMIT)?;
    }
    Ok(())
}
