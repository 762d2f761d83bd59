//! The Rust enum `Code`, which `src/error.rs` includes.

use std::fmt::Write as _;

use super::codes::{CODES, Entry};
use super::names::{camel, message};

pub fn codes() -> String {
    let mut rust = String::from(
        "/// What a call returned: the one table in `src/codes.rs`.\n\
         #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]\n#[non_exhaustive]\n#[repr(i32)]\npub enum Code {\n",
    );
    for e in CODES {
        // rustdoc would take brackets for links.
        let text = message(e).replace('[', "\\[").replace(']', "\\]");
        write!(rust, "    /// {text}\n    {} = {},\n", camel(e.name), e.number).unwrap();
    }
    rust.push_str("}\n\nimpl Code {\n    /// The name in C.\n    pub fn name(self) -> &'static str {\n");
    rust.push_str("        self.c_name().to_str().unwrap_or(\"\")\n    }\n\n");
    rust.push_str(
        "    /// What it means and what to do about it.\n    pub fn message(self) -> &'static str {\n",
    );
    rust.push_str("        self.c_message().to_str().unwrap_or(\"\")\n    }\n\n");
    rust.push_str("    /// The code with this number.\n    pub fn from_number(number: i32) -> Option<Self> {\n        match number {\n");
    for e in CODES {
        writeln!(rust, "            {} => Some(Code::{}),", e.number, camel(e.name)).unwrap();
    }
    rust.push_str("            _ => None,\n        }\n    }\n\n");
    for (function, text) in [("c_name", name as fn(&Entry) -> String), ("c_message", message)] {
        writeln!(
            rust,
            "    pub(crate) fn {function}(self) -> &'static std::ffi::CStr {{\n        match self {{"
        )
        .unwrap();
        for e in CODES {
            writeln!(rust, "            Code::{} => c{:?},", camel(e.name), text(e)).unwrap();
        }
        rust.push_str("        }\n    }\n\n");
    }
    rust.push_str("}\n");
    rust
}

fn name(entry: &Entry) -> String {
    entry.name.to_owned()
}
