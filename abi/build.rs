//! What the linker is told about the shared library.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "../generate/windows_resource.rs"]
mod windows_resource;

fn main() {
    // Cargo itself looks at this program's own sources.
    println!("cargo:rerun-if-changed=build.rs");
    link_arguments(&PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")));
}

/// The SONAME carries the ABI's version; `nodelete` keeps the library loaded once loaded, because
/// the resolver's threads and the fork handler must not outlive their code. (Windows: `stay_loaded`
/// in src/sys/windows.rs.)
fn link_arguments(out: &Path) {
    let abi = abi_version();
    match env::var("CARGO_CFG_TARGET_OS").as_deref() {
        Ok("linux" | "android" | "freebsd") => {
            println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libmfa.so.{abi}");
            println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
        }
        Ok("macos" | "ios") => {
            println!("cargo:rustc-cdylib-link-arg=-Wl,-install_name,@rpath/libmfa.{abi}.dylib");
        }
        Ok("windows") => {
            // The import library comes by itself: libmfa.dll.a, or mfa.dll.lib from Microsoft's linker.
            if let Some(resource) = version_resource(out) {
                println!("cargo:rustc-cdylib-link-arg={}", resource.display());
            }
        }
        _ => {}
    }
}

/// What the linker takes for the version that Windows shows of the library.
fn version_resource(out: &Path) -> Option<PathBuf> {
    let version = windows_resource::Version {
        text: &env::var("CARGO_PKG_VERSION").expect("cargo sets it"),
        description: &env::var("CARGO_PKG_DESCRIPTION").expect("cargo sets it"),
        file: "mfa.dll",
    };
    let resource = out.join("mfa.res");
    fs::write(&resource, windows_resource::file(&version)).expect("OUT_DIR is writable");
    if env::var("CARGO_CFG_TARGET_ENV").as_deref() != Ok("gnu") {
        return Some(resource);
    }
    let object = out.join("mfa.res.o");
    let of_target = format!("{}-w64-mingw32-windres", env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default());
    let converts = |windres: &str| {
        let mut command = Command::new(windres);
        command.args(["-J", "res", "-O", "coff", "-i"]).arg(&resource).arg("-o").arg(&object);
        command.status().is_ok_and(|status| status.success())
    };
    if [&of_target, "windres"].into_iter().any(converts) {
        return Some(object);
    }
    println!("cargo:warning=mfa.dll is built without its version: neither {of_target} nor windres is there");
    None
}

fn abi_version() -> u32 {
    let source = include_str!("../src/ffi/version.rs");
    let line = source.lines().find_map(|l| l.strip_prefix("pub const MFA_ABI_VERSION: u32 = "));
    line.and_then(|l| l.trim_end_matches(';').parse().ok()).expect("src/ffi/version.rs sets MFA_ABI_VERSION")
}
