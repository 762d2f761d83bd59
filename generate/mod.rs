//! What is generated from the library's own sources, and by which file here.
//!
//! | file | from | by |
//! |---|---|---|
//! | the enum `Code` of the Rust crate | `src/codes.rs` | `rust.rs`, in each build |
//! | the version in `mfa.dll` | `Cargo.toml` | `windows_resource.rs`, in each build for Windows |
//! | `include/mfa.h` | `src/ffi`, `src/codes.rs` | `header.rs`, in each build |
//! | `docs/codes.md` | `src/codes.rs` | `reference.rs` |
//! | the site's C page | `include/mfa.h` | `documented.rs`, `reference.rs`, in `cargo xtask docs` |
//! | Python: `_abi.py`, `exceptions.py`, `_names.py` | `include/mfa.h`, `src/codes.rs` | `python.rs` |
//! | C#: `Native.g.cs`, `MfaErrorCode.g.cs`, `Names.g.cs` | `include/mfa.h`, `src/codes.rs` | `csharp.rs` |
//!
//! `build.rs` takes those of each build as modules (`abi/build.rs` the one for Windows), and writes to its OUT_DIR alone. `cargo xtask header`
//! takes all of it from here, and renews the files that are committed. `abi.rs` reads the header and
//! `types.rs` says which of its types the bindings know; what either does not understand is an error.

pub mod abi;
mod binding_names;
#[allow(dead_code)]
#[path = "../src/codes.rs"]
mod codes;
mod csharp;
pub mod documented;
mod names;
mod python;
pub mod reference;
mod types;

pub type Result<T = ()> = std::result::Result<T, String>;

/// Each file that is made from the header and the code table: its place, and what belongs into it.
pub fn files(header: &str) -> Result<Vec<(&'static str, String)>> {
    let abi = abi::read(header)?;
    types::check_callbacks(&abi)?;
    binding_names::check(&abi)?;
    Ok(vec![
        ("docs/codes.md", reference::codes()),
        ("bindings/python/src/mfa_client/_abi.py", python::abi(&abi)?),
        ("bindings/python/src/mfa_client/exceptions.py", python::exceptions()?),
        ("bindings/python/src/mfa_client/_names.py", python::names()),
        ("bindings/csharp/MfaClient/MfaErrorCode.g.cs", csharp::codes()?),
        ("bindings/csharp/MfaClient/Names.g.cs", csharp::names(&abi)?),
        ("bindings/csharp/MfaClient/Native.g.cs", csharp::native(&abi)?),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = include_str!("../include/mfa.h");

    /// What each binding says of a header with this in it.
    fn planted(declaration: &str) -> [Result<String>; 2] {
        let abi = abi::read(&format!("{HEADER}\n{declaration}\n")).unwrap();
        [python::abi(&abi), csharp::native(&abi)]
    }

    #[test]
    fn what_a_binding_does_not_know_is_an_error_that_names_its_place() {
        for (declaration, place) in [
            ("typedef struct mfa_x { uint32_t struct_size; uint32_t a; uint16_t *big; } mfa_x;", "mfa_x.big"),
            ("void mfa_later(uint16_t number);", "mfa_later"),
            ("uint16_t mfa_later(void);", "mfa_later"),
            ("void mfa_later(mfa_transaction **out);", "mfa_later"),
        ] {
            for outcome in planted(declaration) {
                let why = outcome.expect_err(declaration);
                assert!(why.contains(place), "{why}");
            }
        }
    }

    #[test]
    fn a_fourth_callback_stops_it() {
        for returns in ["void", "int32_t", "uint64_t"] {
            let callback = format!("typedef {returns} (*mfa_later_fn)(void *user_data);");
            let why = files(&format!("{HEADER}\n{callback}\n")).unwrap_err();
            assert!(why.contains("mfa_later_fn"), "{why}");
        }
        assert!(files(HEADER).is_ok());
    }

    #[test]
    fn csharp_has_no_array_but_of_bytes_and_int() {
        let [python, csharp] =
            planted("typedef struct mfa_x { uint32_t struct_size; uint32_t n[3]; } mfa_x;");
        assert!(python.unwrap().contains("(\"n\", c.c_uint32 * 3)"));
        assert!(csharp.unwrap_err().contains("mfa_x.n"));
    }
}
