//! Writes the Rust enum of the codes and the C header to OUT_DIR, by what is in `generate/`.
//!
//! The committed `include/mfa.h` is only compared: `cargo xtask header` renews it, and a test fails
//! while it is stale. Nothing outside OUT_DIR is written, so a read-only source tree builds.

use std::env;
use std::fs;
use std::path::PathBuf;

#[allow(dead_code)]
#[path = "src/codes.rs"]
mod codes;
#[path = "generate/header.rs"]
mod header;
#[path = "generate/names.rs"]
mod names;
#[path = "generate/rust.rs"]
mod rust;

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    // Cargo itself looks at this program's own sources.
    println!("cargo:rerun-if-changed=src/ffi");
    println!("cargo:rerun-if-changed=cbindgen.toml");
    println!("cargo:rerun-if-changed=include/mfa.h");
    println!("cargo:rustc-check-cfg=cfg(mfa_plant_panics)");
    fs::write(out.join("code.rs"), rust::codes()).expect("OUT_DIR is writable");
    let header = header::text(&root);
    fs::write(out.join("mfa.h"), &header).expect("OUT_DIR is writable");
    println!("cargo:rustc-env=MFA_GENERATED_HEADER={}", out.join("mfa.h").display());
    if fs::read_to_string(root.join("include/mfa.h")).ok().as_deref() != Some(header.as_str()) {
        println!("cargo:warning=include/mfa.h is stale: run `cargo xtask header`");
    }
}
