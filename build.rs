//! Writes the Rust enum from the code table, and the C header from `src/ffi`.
//!
//! Both go to OUT_DIR. The committed `include/mfa.h` is only compared: `cargo xtask header`
//! refreshes it, and a test fails while it is stale. Nothing outside OUT_DIR is written, so a
//! read-only source tree builds.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

#[allow(dead_code)]
#[path = "src/codes.rs"]
mod codes;
use codes::{CODES, RANGES};

/// The header's sections: each a file of `src/ffi`, in the order in which a reader needs them.
const SECTIONS: &[(&str, &str)] = &[
    ("version.rs", "The library: its version and the sizes of its structs"),
    ("error.rs", "Errors"),
    ("cancel.rs", "Cancelling"),
    ("client_options.rs", "Setting up a client"),
    ("call_options.rs", "Bounding a call"),
    ("transaction.rs", "What a person decided"),
    ("request.rs", "What to ask"),
    ("wait_options.rs", "How to wait"),
    ("hyperid.rs", "HyperID"),
    ("capillary.rs", "Capillary"),
];

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/codes.rs");
    println!("cargo:rerun-if-changed=src/ffi");
    println!("cargo:rerun-if-changed=cbindgen.toml");
    println!("cargo:rerun-if-changed=include/mfa.h");
    println!("cargo:rustc-check-cfg=cfg(mfa_plant_panics)");
    fs::write(out.join("code.rs"), rust_codes()).expect("OUT_DIR is writable");
    link_arguments();
    let header = c_header(&root);
    fs::write(out.join("mfa.h"), &header).expect("OUT_DIR is writable");
    println!("cargo:rustc-env=MFA_GENERATED_HEADER={}", out.join("mfa.h").display());
    if fs::read_to_string(root.join("include/mfa.h")).ok().as_deref() != Some(header.as_str()) {
        println!("cargo:warning=include/mfa.h is stale: run `cargo xtask header`");
    }
}

/// The SONAME carries the ABI's version; `nodelete` keeps the library loaded once loaded, because
/// the resolver's threads and the fork handler must not outlive their code.
fn link_arguments() {
    let abi = abi_version();
    match env::var("CARGO_CFG_TARGET_OS").as_deref() {
        Ok("linux" | "android" | "freebsd") => {
            println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libmfa.so.{abi}");
            println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
        }
        Ok("macos" | "ios") => {
            println!("cargo:rustc-cdylib-link-arg=-Wl,-install_name,@rpath/libmfa.{abi}.dylib");
        }
        _ => {}
    }
}

fn abi_version() -> u32 {
    let source = include_str!("src/ffi/version.rs");
    let line = source.lines().find_map(|l| l.strip_prefix("pub const MFA_ABI_VERSION: u32 = "));
    line.and_then(|l| l.trim_end_matches(';').parse().ok()).expect("src/ffi/version.rs sets MFA_ABI_VERSION")
}

/// MFA_ERR_TOKEN_EXPIRED → TokenExpired.
fn variant(name: &str) -> String {
    let words = name.trim_start_matches("MFA_").trim_start_matches("ERR_").split('_');
    words.map(|w| w[..1].to_owned() + &w[1..].to_lowercase()).collect()
}

fn rust_codes() -> String {
    let mut rust = String::from(
        "/// What a call returned: the one table in `src/codes.rs`.\n\
         #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]\n#[non_exhaustive]\n#[repr(i32)]\npub enum Code {\n",
    );
    for e in CODES {
        // rustdoc would take brackets for links.
        let text = message(e).replace('[', "\\[").replace(']', "\\]");
        write!(rust, "    /// {text}\n    {} = {},\n", variant(e.name), e.number).unwrap();
    }
    rust.push_str("}\n\nimpl Code {\n    /// The name in C.\n    pub fn name(self) -> &'static str {\n");
    rust.push_str("        self.c_name().to_str().unwrap_or(\"\")\n    }\n\n");
    rust.push_str(
        "    /// What it means and what to do about it.\n    pub fn message(self) -> &'static str {\n",
    );
    rust.push_str("        self.c_message().to_str().unwrap_or(\"\")\n    }\n\n");
    rust.push_str("    /// The code with this number.\n    pub fn from_number(number: i32) -> Option<Self> {\n        match number {\n");
    for e in CODES {
        writeln!(rust, "            {} => Some(Code::{}),", e.number, variant(e.name)).unwrap();
    }
    rust.push_str("            _ => None,\n        }\n    }\n\n");
    for (function, text) in [("c_name", name as fn(&codes::Entry) -> String), ("c_message", message)] {
        writeln!(
            rust,
            "    pub(crate) fn {function}(self) -> &'static std::ffi::CStr {{\n        match self {{"
        )
        .unwrap();
        for e in CODES {
            writeln!(rust, "            Code::{} => c{:?},", variant(e.name), text(e)).unwrap();
        }
        rust.push_str("        }\n    }\n\n");
    }
    rust.push_str("}\n");
    rust
}

fn name(entry: &codes::Entry) -> String {
    entry.name.to_owned()
}

fn message(entry: &codes::Entry) -> String {
    format!("{} {}", entry.meaning, entry.remedy)
}

fn c_codes() -> String {
    let mut c = String::from("/**\n * What a call returned. The ranges say who must act:\n *\n");
    for r in RANGES {
        writeln!(c, " * - {}-{}: {}", r.first, r.last, r.meaning).unwrap();
    }
    c.push_str(" *\n * Numbers are never reused, and none is an HTTP status.\n */\ntypedef int32_t mfa_code;\n\nenum {\n");
    for e in CODES {
        let comma = if std::ptr::eq(e, CODES.last().unwrap()) { "" } else { "," };
        write!(c, "  /** {}\n   *  {} */\n  {} = {}{comma}\n", e.meaning, e.remedy, e.name, e.number)
            .unwrap();
    }
    c.push_str("};\n");
    c
}

fn c_header(root: &Path) -> String {
    let ffi = root.join("src/ffi");
    let read = |name: &str| fs::read_to_string(ffi.join(name)).expect("the header's parts are in src/ffi");
    let mut header = read("preamble.h");
    header.push_str("\n#ifndef MFA_H\n#define MFA_H\n\n#include <stddef.h>\n#include <stdint.h>\n");
    header.push_str("\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n");
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml is valid");
    for (file, title) in SECTIONS {
        write!(header, "\n/* {title} {} */\n\n", "-".repeat(92 - title.len())).unwrap();
        if *file == "error.rs" {
            header.push_str(&c_codes());
            header.push('\n');
        }
        header.push_str(section(&config, &ffi.join(file)).trim());
        header.push('\n');
    }
    header.push_str("\n#ifdef __cplusplus\n}\n#endif\n\n");
    header.push_str(&read("inits.h"));
    header.push_str("\n#endif /* MFA_H */\n");
    header
}

/// What cbindgen makes of one file. It knows types of other files by name alone, which is all that
/// C needs.
fn section(config: &cbindgen::Config, file: &Path) -> String {
    let builder = cbindgen::Builder::new().with_config(config.clone()).with_src(file);
    let mut text = Vec::new();
    builder.generate().expect("cbindgen reads src/ffi").write(&mut text);
    let text = String::from_utf8(text).expect("the header is UTF-8");
    // One way to name a type, whichever file it comes from.
    text.replace("struct mfa_", "mfa_").replace("typedef mfa_", "typedef struct mfa_")
}
