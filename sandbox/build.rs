//! Writes the C header to the build's own folder and compares it with the committed one.
//!
//! It never fails for it, so that a read-only tree, as in a package, can be built. To renew the committed
//! header, build with `MFA_WRITE_HEADER=1`.

use std::path::{Path, PathBuf};
use std::{env, fs};

const COMMITTED: &str = "include/mfa_sandbox.h";
/// In the header's order.
const SOURCES: [&str; 5] = [
    "src/ffi/types.rs",
    "src/ffi/lifecycle.rs",
    "src/ffi/tokens.rs",
    "src/ffi/transactions.rs",
    "src/ffi/requests.rs",
];

const RULES: &str = "\
/* mfa_sandbox.h: a local server that plays HyperID's and Capillary's MFA services, for tests and demos.
 *
 * Generated from sandbox/src/ffi.rs; do not edit.
 *
 * Rules
 *  - Functions that return int32_t and can fail return MFA_SANDBOX_OK or one MFA_SANDBOX_ERR_....
 *  - Strings in are NUL-terminated UTF-8 and borrowed for the call. Strings out belong to the handle and
 *    live until it is freed, or are static; nothing is to be freed but the handle.
 *  - A handle may be used by any number of threads at once. mfa_sandbox_free(NULL) does nothing.
 *  - A struct begins with struct_size: set it with the _INIT macro. Unknown flags are refused.
 *  - A NULL or unfit argument is refused; it never crashes. A pointer to freed memory is the caller's error.
 *
 * Which token does what: README.md, mfa-sandbox --help, or mfa_sandbox_behaviours().
 */";

const MACROS: &str = "
/* Every member, in order: no warning in C99 nor in C++17. */
#define MFA_SANDBOX_OPTIONS_INIT { sizeof(mfa_sandbox_options), 0, 0, 0, 0, 0, 0, 0, 0, 0 }

#define MFA_SANDBOX_USER_INIT { sizeof(mfa_sandbox_user), 0, 0, 0, 0 }

#define MFA_SANDBOX_TRANSACTION_INFO_INIT \\
    { sizeof(mfa_sandbox_transaction_info), 0, 0, 0, 0, 0, 0, {0}, {0}, {0}, {0}, {0}, {0}, {0} }";

fn main() {
    for source in SOURCES {
        println!("cargo:rerun-if-changed={source}");
    }
    println!("cargo:rerun-if-changed={COMMITTED}");
    println!("cargo:rerun-if-env-changed=MFA_WRITE_HEADER");
    if let Err(why) = header() {
        println!("cargo:warning=the header was not checked: {why}");
    }
}

fn header() -> Result<(), Box<dyn std::error::Error>> {
    let fresh = PathBuf::from(env::var("OUT_DIR")?).join("mfa_sandbox.h");
    let sources = SOURCES.iter().fold(cbindgen::Builder::new(), |builder, source| builder.with_src(source));
    sources.with_config(config()).generate()?.write_to_file(&fresh);
    let text = fs::read_to_string(&fresh)?;
    let committed = Path::new(COMMITTED);
    if fs::read_to_string(committed).is_ok_and(|old| old == text) {
        return Ok(());
    }
    if env::var("MFA_WRITE_HEADER").is_ok_and(|value| value == "1") {
        fs::write(committed, text)?;
        return Ok(());
    }
    println!("cargo:warning={COMMITTED} is stale; build with MFA_WRITE_HEADER=1 to renew it");
    Ok(())
}

fn config() -> cbindgen::Config {
    cbindgen::Config {
        language: cbindgen::Language::C,
        header: Some(RULES.to_owned()),
        include_guard: Some("MFA_SANDBOX_H".to_owned()),
        after_includes: Some(MACROS.to_owned()),
        no_includes: true,
        sys_includes: vec!["stdint.h".to_owned()],
        cpp_compat: true,
        style: cbindgen::Style::Both,
        documentation_style: cbindgen::DocumentationStyle::C99,
        line_length: 110,
        ..cbindgen::Config::default()
    }
}
