//! The ABI as facts, a line each: what each name is, and what of it a built program relies on.

use std::collections::BTreeMap;

use crate::Result;
use crate::generate::abi::{Abi, Function, Struct};

const HEAD: &str = "\
# The ABI that include/mfa.h declares, a fact a line. `cargo xtask abi` writes it; see README.md.
# a|b: where pointers have 64 bits, and where they have 32.
";
/// They say which release it is, which no built program relies on.
const VERSIONS: [&str; 3] = ["MFA_VERSION_MAJOR", "MFA_VERSION_MINOR", "MFA_VERSION_PATCH"];
const ABI_VERSION: &str = "constant MFA_ABI_VERSION";

/// "struct mfa_error" → "296|296 bytes, aligned to 4|4", by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts(BTreeMap<String, String>);

impl Facts {
    pub fn of(abi: &Abi) -> Self {
        let mut facts = Self::default();
        // The reader of the header knows no other type.
        facts.put("type mfa_code".to_owned(), "int32_t".to_owned());
        for (name, value) in abi.constants.iter().filter(|(name, _)| !VERSIONS.contains(&name.as_str())) {
            facts.put(format!("constant {name}"), value.to_string());
        }
        for name in &abi.opaque {
            facts.put(format!("type {name}"), "opaque".to_owned());
        }
        for callback in &abi.callbacks {
            facts.put(format!("type {}", callback.name), signature(callback, "(*)"));
        }
        for function in &abi.functions {
            facts.put(format!("function {}", function.name), signature(function, ""));
        }
        abi.structs.iter().for_each(|s| facts.put_struct(s));
        facts
    }

    fn put_struct(&mut self, s: &Struct) {
        let text = format!("{}|{} bytes, aligned to {}|{}", s.size, s.size_32, s.alignment, s.alignment_32);
        self.put(format!("struct {}", s.name), text);
        for f in &s.fields {
            let array = if f.count > 1 { format!("[{}]", f.count) } else { String::new() };
            let text = format!("{}{array} at {}|{}", f.ty, f.offset, f.offset_32);
            self.put(format!("field {}.{}", s.name, f.name), text);
        }
    }

    pub fn read(text: &str) -> Result<Self> {
        let mut facts = Self::default();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (name, value) = split(line)?;
            if facts.0.contains_key(&name) {
                return Err(format!("{name} is there twice"));
            }
            facts.put(name, value);
        }
        Ok(facts)
    }

    pub fn text(&self) -> String {
        let mut text = HEAD.to_owned();
        let mut last = "";
        for (name, value) in self.sorted() {
            let kind = name.split(' ').next().unwrap_or_default();
            // A struct and its fields stand together.
            if kind != "field" && (kind != last || kind == "struct") {
                text.push('\n');
            }
            last = kind;
            text.push_str(&format!("{name} = {value}\n"));
        }
        text
    }

    /// Fields behind their struct, in their order; all else by name.
    fn sorted(&self) -> Vec<(&str, &str)> {
        let mut sorted: Vec<_> = self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        sorted.sort_by_key(|(name, value)| match name.strip_prefix("field ") {
            Some(field) => ("struct", field.split('.').next().unwrap_or_default(), 1 + place(value)[0]),
            None => {
                (name.split(' ').next().unwrap_or_default(), name.split(' ').nth(1).unwrap_or_default(), 0)
            }
        });
        sorted
    }

    fn put(&mut self, name: String, value: String) {
        self.0.insert(name, value);
    }

    pub fn add(&mut self, fact: &str) -> Result {
        let (name, value) = split(fact)?;
        match self.0.insert(name, value) {
            None => Ok(()),
            Some(old) => Err(format!("'+ {fact}', but it is there already, as {old}")),
        }
    }

    pub fn remove(&mut self, fact: &str) -> Result {
        let (name, value) = split(fact)?;
        match self.0.remove(&name) {
            Some(old) if old == value => Ok(()),
            Some(old) => Err(format!("'- {fact}', but it was {old}")),
            None => Err(format!("'- {fact}', but it was not there")),
        }
    }

    /// Those that `other` has not, or has otherwise.
    pub fn without(&self, other: &Self) -> Vec<String> {
        let mine = self.sorted().into_iter();
        let only_mine = mine.filter(|(name, value)| other.get(name) != Some(*value));
        only_mine.map(|(name, value)| format!("{name} = {value}")).collect()
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub fn abi_version(&self) -> usize {
        self.get(ABI_VERSION).and_then(|number| number.parse().ok()).unwrap_or(0)
    }
}

fn signature(function: &Function, pointer: &str) -> String {
    let types: Vec<_> = function.parameters.iter().map(|(ty, _)| ty.as_str()).collect();
    let list = if types.is_empty() { "void".to_owned() } else { types.join(", ") };
    format!("{} {pointer}({list})", function.returns)
}

fn split(line: &str) -> Result<(String, String)> {
    let (name, value) = line.split_once(" = ").ok_or(format!("'{line}' is not NAME = VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Why a program that was built when `before` held may fail where `now` holds.
pub fn breaks(before: &Facts, now: &Facts) -> Vec<String> {
    let mut found = Vec::new();
    for (name, old) in before.sorted() {
        match now.get(name) {
            None => found.push(format!("{name} is gone")),
            Some(new) if new == old || grew(name, old, new, now) => {}
            Some(new) => found.push(format!("{name} was {old}, is {new}")),
        }
    }
    for (name, value) in now.sorted().into_iter().filter(|(name, _)| before.get(name).is_none()) {
        if within_old_size(name, value, before) {
            found.push(format!("{name} lies within the size that older programs pass"));
        }
    }
    found
}

/// Whether it is a struct that begins with its size, and is larger than it was.
fn grew(name: &str, old: &str, new: &str, now: &Facts) -> bool {
    let Some(name) = name.strip_prefix("struct ") else { return false };
    let (old, new) = (numbers(old), numbers(new));
    let has_struct_size = now.get(&format!("field {name}.struct_size")) == Some("uint32_t at 0|0");
    has_struct_size && new[0] >= old[0] && new[1] >= old[1] && new[2..] == old[2..]
}

/// Older programs leave anything at all in what was padding, and the library would believe it.
fn within_old_size(name: &str, value: &str, before: &Facts) -> bool {
    let Some((name, _)) = name.strip_prefix("field ").and_then(|field| field.split_once('.')) else {
        return false;
    };
    let Some(old) = before.get(&format!("struct {name}")) else { return false };
    let (old, place) = (numbers(old), place(value));
    place[0] < old[0] || place[1] < old[1]
}

/// The offsets of a field.
fn place(value: &str) -> Vec<usize> {
    numbers(value.rsplit(" at ").next().unwrap_or_default())
}

/// At least two, since each value that is asked for has two or four.
fn numbers(value: &str) -> Vec<usize> {
    let digits = value.split(|c: char| !c.is_ascii_digit());
    let mut found: Vec<_> = digits.filter_map(|number| number.parse().ok()).collect();
    found.resize(found.len().max(2), 0);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::abi;

    /// The one that never changes.
    const HEADER: &str = include_str!("../../../tests/abi/first/mfa.h");

    fn facts(header: &str) -> Facts {
        Facts::of(&abi::read(header).unwrap())
    }

    /// What a change in the header does: `None`, nothing; else whether it breaks programs.
    fn verdict(old: &str, new: &str) -> Option<bool> {
        assert!(HEADER.contains(old), "the header has no '{old}'");
        let (before, now) = (facts(HEADER), facts(&HEADER.replacen(old, new, 1)));
        (before != now).then(|| !breaks(&before, &now).is_empty())
    }

    #[test]
    fn a_description_is_read_as_it_was_written() {
        let first = include_str!("../../../tests/abi/first/mfa.abi");
        let facts = facts(HEADER);
        assert_eq!(Facts::read(&facts.text()).unwrap(), facts);
        assert_eq!(facts.text(), first);
        assert!(facts.text().contains("\nfield mfa_error.message = char[256] at 40|40\n"));
        assert!(facts.text().contains("\nstruct mfa_wait_options = 56|40 bytes, aligned to 8|4\n"));
        assert!(facts.text().contains("\nfunction mfa_abi_version = uint32_t (void)\n"));
        assert!(facts.abi_version() > 0);
    }

    #[test]
    fn growth_breaks_nothing() {
        for (old, new) in [
            ("  uint32_t elapsed_ms;", "  uint32_t elapsed_ms;\n  int64_t later;"),
            ("MFA_ERR_TIMEOUT = 110,", "MFA_ERR_TIMEOUT = 110,\n  MFA_ERR_LATER = 199,"),
            ("#define MFA_REQUEST_ANY_CODE 1", "#define MFA_REQUEST_ANY_CODE 1\n#define MFA_LATER 2"),
            ("const char *mfa_version(void);", "const char *mfa_version(void);\nvoid mfa_later(void);"),
            (
                "typedef struct mfa_hyperid mfa_hyperid;",
                "typedef struct mfa_hyperid mfa_hyperid;\ntypedef struct mfa_later mfa_later;",
            ),
        ] {
            assert_eq!(verdict(old, new), Some(false), "{new}");
        }
    }

    #[test]
    fn what_a_built_program_relies_on_does_not_change() {
        for (old, new) in [
            // A struct's size, a field's place, type and name.
            ("  uint32_t elapsed_ms;\n", ""),
            ("  int32_t decision;", "  int64_t padding;\n  int32_t decision;"),
            ("  int32_t raw_status;", "  uint32_t raw_status;"),
            ("  int32_t raw_status;", "  int64_t raw_status;"),
            ("  const char *ip;", "  char *ip;"),
            ("  char message[256];", "  char message[512];"),
            ("  int32_t raw_status;", "  int32_t raw;"),
            // The alignment, although nothing has moved.
            (
                "  int32_t http_status;\n} mfa_registration;",
                "  int32_t http_status;\n  int64_t later;\n} mfa_registration;",
            ),
            // Numbers.
            ("MFA_ERR_DNS = 111", "MFA_ERR_DNS = 119"),
            ("  MFA_ERR_DNS = 111,\n", ""),
            ("#define MFA_DECISION_APPROVED 1", "#define MFA_DECISION_APPROVED 2"),
            ("#define MFA_ERROR_RETRYABLE 1", ""),
            ("#define MFA_ABI_VERSION 1", "#define MFA_ABI_VERSION 2"),
            // Functions, callbacks, types.
            ("uint32_t mfa_abi_version(void);", ""),
            ("uint32_t mfa_abi_version(void);", "uint64_t mfa_abi_version(void);"),
            ("uint32_t out_size", "size_t out_size"),
            ("const char *brand,", ""),
            ("typedef int32_t (*mfa_update_fn)", "typedef void (*mfa_update_fn)"),
            ("typedef struct mfa_cancel mfa_cancel;", ""),
        ] {
            assert_eq!(verdict(old, new), Some(true), "{old} -> {new}");
        }
    }

    #[test]
    fn a_release_and_a_comment_are_no_change() {
        assert_eq!(verdict("#define MFA_VERSION_PATCH 0", "#define MFA_VERSION_PATCH 1"), None);
        assert_eq!(verdict("HyperID's production", "production"), None);
        assert_eq!(verdict("uint32_t out_size", "uint32_t size"), None);
    }

    #[test]
    fn padding_at_a_struct_s_end_is_not_room_for_a_field() {
        let with = |fields: &str| facts(&format!("typedef struct mfa_x {{ {fields} }} mfa_x;\n"));
        let before = with("uint32_t struct_size; uint32_t a; int64_t b; uint32_t c;");
        let now = with("uint32_t struct_size; uint32_t a; int64_t b; uint32_t c; uint32_t d;");
        assert_eq!(breaks(&before, &now), ["field mfa_x.d lies within the size that older programs pass"]);
        let without_size = with("uint32_t a;");
        assert!(!breaks(&without_size, &with("uint32_t a; uint32_t b;")).is_empty());
    }
}
