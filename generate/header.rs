//! `include/mfa.h`: what cbindgen makes of each file of `src/ffi`, put together.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::codes::{CODES, RANGES};

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
    ("event.rs", "Many waits: what happens to each"),
    ("waiter.rs", "Many waits: driving them"),
    ("capillary.rs", "Capillary"),
];

pub fn text(root: &Path) -> String {
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
    // `usize` is size_t, and beside it cbindgen has no name for `isize` but this one.
    let text = text.replace("ptrdiff_t", "intptr_t");
    // One way to name a type, whichever file it comes from.
    text.replace("struct mfa_", "mfa_").replace("typedef mfa_", "typedef struct mfa_")
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
