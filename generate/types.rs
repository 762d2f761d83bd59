//! The types that the bindings know. A type that is not listed here is an error: taken for a
//! pointer, it would have the right size in every test and the wrong meaning in every program.

use super::Result;
use super::abi::{Abi, Function};

/// A type of the header, as far as the bindings tell types apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Type<'a> {
    Void,
    Char,
    Int32,
    Uint32,
    Int64,
    Uint64,
    Size,
    /// A number that may hold a descriptor.
    Intptr,
    /// NUL-terminated UTF-8.
    Text,
    /// Characters that the library writes.
    TextOut,
    Int64Out,
    Uint64Out,
    UserData,
    /// A pointer to an opaque object.
    Handle(&'a str),
    HandleOut(&'a str),
    /// A pointer to a struct: structs travel by reference.
    Struct(&'a str),
    Callback(&'a str),
}

impl<'a> Type<'a> {
    pub fn of(text: &'a str, abi: &Abi) -> Result<Self> {
        let plain = match text {
            "void" => Type::Void,
            "char" => Type::Char,
            "int32_t" | "mfa_code" => Type::Int32,
            "uint32_t" => Type::Uint32,
            "int64_t" => Type::Int64,
            "uint64_t" => Type::Uint64,
            "intptr_t" => Type::Intptr,
            "size_t" => Type::Size,
            "const char *" => Type::Text,
            "char *" => Type::TextOut,
            "int64_t *" => Type::Int64Out,
            "uint64_t *" => Type::Uint64Out,
            "void *" => Type::UserData,
            named => return Self::of_named(named, abi),
        };
        Ok(plain)
    }

    fn of_named(text: &'a str, abi: &Abi) -> Result<Self> {
        let is_opaque = |name: &str| abi.opaque.iter().any(|opaque| opaque == name);
        let name = text.strip_prefix("const ").unwrap_or(text);
        match name.split_once(' ') {
            None if abi.callbacks.iter().any(|callback| callback.name == name) => Ok(Type::Callback(name)),
            Some((name, "*")) if is_opaque(name) => Ok(Type::Handle(name)),
            Some((name, "**")) if is_opaque(name) => Ok(Type::HandleOut(name)),
            Some((name, "*")) if abi.structs.iter().any(|s| s.name == name) => Ok(Type::Struct(name)),
            _ => Err(format!("the bindings do not know the type '{text}': it belongs into Type::of")),
        }
    }
}

/// The callbacks for which each binding has written a trampoline by hand, with what it relies on.
const CALLBACKS: &[(&str, &str)] = &[
    ("mfa_log_fn", "void (void *, int32_t, const char *)"),
    ("mfa_update_fn", "int32_t (void *, const mfa_transaction *)"),
    ("mfa_token_fn", "const char *(void *)"),
];

/// Whether the bindings' own code fits the header's callbacks.
pub fn check_callbacks(abi: &Abi) -> Result {
    for callback in &abi.callbacks {
        let is = signature(callback);
        match CALLBACKS.iter().find(|(name, _)| *name == callback.name) {
            Some((_, was)) if *was == is => {}
            Some((_, was)) => return Err(format!("{} was {was}, and is {is}: {BY_HAND}", callback.name)),
            None => {
                return Err(format!("the bindings do not know the callback {}: {BY_HAND}", callback.name));
            }
        }
    }
    Ok(())
}

const BY_HAND: &str = "change what calls it in _client.py or hyperid.py, and in Callbacks.cs; then CALLBACKS";

fn signature(function: &Function) -> String {
    let types: Vec<_> = function.parameters.iter().map(|(ty, _)| ty.as_str()).collect();
    let gap = if function.returns.ends_with('*') { "" } else { " " };
    format!("{}{gap}({})", function.returns, types.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::abi;
    use super::*;

    const HEADER: &str = include_str!("../include/mfa.h");

    #[test]
    fn each_type_is_told_apart() {
        let abi = abi::read(HEADER).unwrap();
        for (text, expected) in [
            ("mfa_code", Type::Int32),
            ("const char *", Type::Text),
            ("char *", Type::TextOut),
            ("const mfa_hyperid *", Type::Handle("mfa_hyperid")),
            ("mfa_capillary **", Type::HandleOut("mfa_capillary")),
            ("const mfa_request *", Type::Struct("mfa_request")),
            ("mfa_token_fn", Type::Callback("mfa_token_fn")),
        ] {
            assert_eq!(Type::of(text, &abi), Ok(expected), "{text}");
        }
        let unknown =
            ["uint16_t", "int", "uint32_t *", "mfa_later *", "mfa_later_fn", "mfa_request", "mfa_request **"];
        for text in unknown {
            assert!(Type::of(text, &abi).is_err(), "{text}");
        }
    }

    #[test]
    fn the_headers_callbacks_are_those_that_have_trampolines() {
        check_callbacks(&abi::read(HEADER).unwrap()).unwrap();
        let fourth = format!("{HEADER}\ntypedef void (*mfa_later_fn)(void *user_data);\n");
        let why = check_callbacks(&abi::read(&fourth).unwrap()).unwrap_err();
        assert!(why.contains("mfa_later_fn"), "{why}");
        let other = HEADER
            .replace("(*mfa_log_fn)(void *user_data, int32_t", "(*mfa_log_fn)(void *user_data, int64_t");
        assert_ne!(other, HEADER);
        let why = check_callbacks(&abi::read(&other).unwrap()).unwrap_err();
        assert!(why.contains("mfa_log_fn"), "{why}");
    }
}
