//! A C file that says all that the description says, so that compilers can say whether it is true.
//!
//! Our reader of the header has computed the offsets and copied the types; a compiler knows them.

use std::fmt::Write as _;

use crate::generate::abi::{Abi, Function};

/// A compiler, and a target for it that needs no other headers than the compiler's own.
pub struct Target {
    pub name: &'static str,
    pub compiler: &'static str,
    pub flags: &'static [&'static str],
}

/// No target's C library is needed to lay out a struct.
pub const ALONE: &[&str] = &["-std=c11", "-ffreestanding"];

/// Both widths of pointers, both ways to align eight bytes on 32 bits, and a `long` that is shorter
/// than a pointer (Windows).
pub const TARGETS: &[Target] = &[
    Target { name: "64 bits, gcc", compiler: "gcc", flags: &[] },
    Target { name: "64 bits, Linux on Arm", compiler: "clang", flags: &["--target=aarch64-linux-gnu"] },
    Target { name: "64 bits, macOS", compiler: "clang", flags: &["--target=arm64-apple-macos11"] },
    Target { name: "64 bits, Windows", compiler: "clang", flags: &["--target=x86_64-pc-windows-msvc"] },
    Target { name: "32 bits, Linux on Arm", compiler: "clang", flags: &["--target=armv7-linux-gnueabihf"] },
    Target { name: "32 bits, Android", compiler: "clang", flags: &["--target=armv7a-linux-androideabi"] },
    Target { name: "32 bits, Linux on x86", compiler: "clang", flags: &["--target=i686-linux-gnu"] },
    Target { name: "32 bits, Windows", compiler: "clang", flags: &["--target=i686-pc-windows-msvc"] },
];

const HEAD: &str = "\
#include <stddef.h>
#include <stdint.h>
#include \"mfa.h\"

#define BITS(on_64, on_32) (sizeof(void *) == 8 ? (on_64) : (on_32))
#define SAME(type, other) __builtin_types_compatible_p(type, other)
";

/// The whole program: what the compiler can see is asserted, and `main` asks the library for its
/// sizes and names every function, so that a linker must find it.
pub fn program(abi: &Abi) -> String {
    let mut c = HEAD.to_owned();
    for (name, value) in &abi.constants {
        assert(&mut c, &format!("{name} == {value}"));
    }
    assert(&mut c, "SAME(mfa_code, int32_t)");
    for callback in &abi.callbacks {
        assert(&mut c, &format!("SAME({}, {})", callback.name, pointer_to(callback)));
    }
    for function in &abi.functions {
        assert(&mut c, &format!("SAME(__typeof__(&{}), {})", function.name, pointer_to(function)));
    }
    layouts(&mut c, abi);
    c + &main(abi)
}

fn assert(c: &mut String, condition: &str) {
    writeln!(c, "_Static_assert({condition}, \"{condition}\");").unwrap();
}

fn pointer_to(function: &Function) -> String {
    let types: Vec<_> = function.parameters.iter().map(|(ty, _)| ty.as_str()).collect();
    let list = if types.is_empty() { "void".to_owned() } else { types.join(", ") };
    format!("{} (*)({list})", function.returns)
}

fn layouts(c: &mut String, abi: &Abi) {
    for s in &abi.structs {
        for f in &s.fields {
            let array = if f.count > 1 { format!("[{}]", f.count) } else { String::new() };
            let at = format!("offsetof({}, {}) == BITS({}, {})", s.name, f.name, f.offset, f.offset_32);
            assert(c, &at);
            assert(c, &format!("SAME(__typeof__((({} *)0)->{}), {}{array})", s.name, f.name, f.ty));
        }
    }
    // Linux on 32-bit x86 aligns eight bytes to four. The offsets are the same all the same; that is what
    // has just been asserted. But a struct has no room at its end there.
    c.push_str("#if !defined(__i386__) || defined(_WIN32)\n");
    for s in &abi.structs {
        assert(c, &format!("sizeof({}) == BITS({}, {})", s.name, s.size, s.size_32));
        assert(c, &format!("_Alignof({}) == BITS({}, {})", s.name, s.alignment, s.alignment_32));
    }
    c.push_str("#else\n");
    for (s, last) in abi.structs.iter().filter_map(|s| Some((&s.name, &s.fields.last()?.name))) {
        let end = format!("offsetof({s}, {last}) + sizeof((({s} *)0)->{last})");
        assert(c, &format!("sizeof({s}) == ({end} + 3) / 4 * 4"));
    }
    c.push_str("#endif\n");
}

/// Ends with the number of what differs, and with none if nothing does.
fn main(abi: &Abi) -> String {
    let mut c = "\nint main(void) {\n  int differs = 0;\n".to_owned();
    writeln!(c, "  differs += mfa_abi_version() != MFA_ABI_VERSION;").unwrap();
    for s in &abi.structs {
        writeln!(c, "  differs += mfa_struct_size(\"{0}\") != sizeof({0});", s.name).unwrap();
    }
    for function in &abi.functions {
        writeln!(c, "  {{ {}; differs += f == NULL; }}", named_pointer(function)).unwrap();
    }
    c + "  return differs;\n}\n"
}

fn named_pointer(function: &Function) -> String {
    let pointer = pointer_to(function).replacen("(*)", "(*volatile f)", 1);
    format!("{pointer} = {}", function.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_was_read() {
        let header = "#define MFA_ONE 1\ntypedef struct mfa_x { uint32_t struct_size; const char *a; char b[8]; } mfa_x;\n\
                      const char *mfa_f(mfa_x *x, int64_t n);\nuint32_t mfa_g(void);\n";
        let c = program(&crate::generate::abi::read(header).unwrap());
        for line in [
            "_Static_assert(MFA_ONE == 1, ",
            "_Static_assert(sizeof(mfa_x) == BITS(24, 16), ",
            "_Static_assert(offsetof(mfa_x, b) == BITS(16, 8), ",
            "_Static_assert(SAME(__typeof__(((mfa_x *)0)->b), char[8]), ",
            "_Static_assert(SAME(__typeof__(&mfa_f), const char * (*)(mfa_x *, int64_t)), ",
            "  { uint32_t (*volatile f)(void) = mfa_g; differs += f == NULL; }",
        ] {
            assert!(c.contains(line), "no '{line}' in\n{c}");
        }
    }
}
