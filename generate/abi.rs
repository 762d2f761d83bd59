//! What `include/mfa.h` declares, read from its text: the source of the bindings' declarations and of
//! the ABI's description.
//!
//! The header is written by our own build script, so a small reader of exactly its style will do;
//! whatever it does not understand is an error, never left out in silence.

use super::Result;

#[derive(Debug)]
pub struct Abi {
    /// Macros and enumerators: `MFA_DECISION_APPROVED` is 1.
    pub constants: Vec<(String, i64)>,
    pub opaque: Vec<String>,
    pub structs: Vec<Struct>,
    pub callbacks: Vec<Function>,
    pub functions: Vec<Function>,
}

#[derive(Debug)]
pub struct Struct {
    pub name: String,
    pub fields: Vec<Field>,
    /// On 64-bit.
    pub size: usize,
    /// Of the whole struct; on 64-bit.
    pub alignment: usize,
    /// Both once more, where pointers have 32 bits.
    pub size_32: usize,
    pub alignment_32: usize,
}

#[derive(Debug)]
pub struct Field {
    pub name: String,
    pub ty: String,
    /// 1, or the length of an array.
    pub count: usize,
    /// Of all of it; on 64-bit.
    pub size: usize,
    /// On 64-bit.
    pub offset: usize,
    /// Where pointers have 32 bits.
    pub offset_32: usize,
    /// Whether there is a gap in front of it, on 64-bit.
    pub behind_a_gap: bool,
}

#[derive(Debug)]
pub struct Function {
    pub name: String,
    pub returns: String,
    /// Type and name of each.
    pub parameters: Vec<(String, String)>,
}

pub fn read(header: &str) -> Result<Abi> {
    let mut abi =
        Abi { constants: vec![], opaque: vec![], structs: vec![], callbacks: vec![], functions: vec![] };
    for statement in statements(&without_comments(header)) {
        abi.take(&statement)
            .ok_or_else(|| format!("mfa.h has a declaration that is not understood: {statement}"))?;
    }
    Ok(abi)
}

fn without_comments(text: &str) -> String {
    let mut rest = text;
    let mut clean = String::new();
    while let Some(start) = rest.find("/*") {
        clean.push_str(&rest[..start]);
        rest = rest[start..].find("*/").map_or("", |end| &rest[start + end + 2..]);
    }
    clean + rest
}

/// One declaration or macro each, on one line.
fn statements(text: &str) -> Vec<String> {
    let mut statements = Vec::new();
    let mut current = String::new();
    let joined = text.replace("\\\n", " ");
    for line in joined.lines().map(str::trim).filter(|l| !l.is_empty()) {
        if line.starts_with('#') {
            statements.push(line.to_owned());
            continue;
        }
        current = format!("{current} {line}").trim().to_owned();
        let is_open = current.matches('{').count() > current.matches('}').count();
        if current == "extern \"C\" {" || current == "}" || (current.ends_with(';') && !is_open) {
            statements.push(std::mem::take(&mut current));
        }
    }
    statements
}

impl Abi {
    fn take(&mut self, statement: &str) -> Option<()> {
        if let Some(definition) = statement.strip_prefix("#define ") {
            return self.take_macro(definition);
        }
        if statement.starts_with('#')
            || ["extern \"C\" {", "}", "typedef int32_t mfa_code;"].contains(&statement)
        {
            return Some(());
        }
        if let Some(body) = statement.strip_prefix("enum {") {
            return self.take_enumerators(body.strip_suffix("};")?);
        }
        if let Some(rest) = statement.strip_prefix("typedef struct ") {
            if let Some((name, body)) = rest.split_once('{') {
                return self.take_struct(name.trim(), body.split_once('}')?.0);
            }
            self.opaque.push(rest.split(' ').next()?.to_owned());
            return Some(());
        }
        if let Some(rest) = statement.strip_prefix("typedef ") {
            let (returns, rest) = rest.split_once("(*")?;
            let (name, parameters) = rest.split_once(")(")?;
            self.callbacks.push(function(name, returns, parameters.strip_suffix(");")?)?);
            return Some(());
        }
        let (head, parameters) = statement.strip_suffix(");")?.split_once('(')?;
        let (returns, name) = typed(head)?;
        self.functions.push(function(&name, &returns, parameters)?);
        Some(())
    }

    fn take_macro(&mut self, definition: &str) -> Option<()> {
        let (name, value) = definition.split_once(' ').unwrap_or((definition, ""));
        if !name.ends_with("_INIT") && !value.is_empty() {
            self.constants.push((name.to_owned(), value.trim().parse().ok()?));
        }
        Some(())
    }

    fn take_enumerators(&mut self, body: &str) -> Option<()> {
        for enumerator in body.split(',').map(str::trim).filter(|e| !e.is_empty()) {
            let (name, value) = enumerator.split_once(" = ")?;
            self.constants.push((name.to_owned(), value.parse().ok()?));
        }
        Some(())
    }

    fn take_struct(&mut self, name: &str, body: &str) -> Option<()> {
        let mut fields = Vec::new();
        let (mut on_64, mut on_32) = (Layout::new(8), Layout::new(4));
        for declaration in body.split(';').map(str::trim).filter(|d| !d.is_empty()) {
            let (declaration, count) = match declaration.strip_suffix(']').and_then(|d| d.split_once('[')) {
                Some((declaration, count)) => (declaration, count.parse().ok()?),
                None => (declaration, 1),
            };
            let (ty, name) = typed(declaration)?;
            let kind = self.kind(&ty)?;
            let end = on_64.end;
            let (offset, offset_32) = (on_64.place(kind, count), on_32.place(kind, count));
            let size = on_64.end - offset;
            fields.push(Field { name, ty, count, size, offset, offset_32, behind_a_gap: offset != end });
        }
        self.structs.push(Struct {
            name: name.to_owned(),
            fields,
            size: on_64.size(),
            alignment: on_64.alignment,
            size_32: on_32.size(),
            alignment_32: on_32.alignment,
        });
        Some(())
    }

    fn kind(&self, ty: &str) -> Option<Kind> {
        match ty {
            "char" => Some(Kind::Bytes(1)),
            "int32_t" | "uint32_t" => Some(Kind::Bytes(4)),
            "int64_t" | "uint64_t" => Some(Kind::Bytes(8)),
            pointer if pointer.ends_with('*') => Some(Kind::Pointer),
            callback if self.callbacks.iter().any(|c| c.name == callback) => Some(Kind::Pointer),
            _ => None,
        }
    }
}

/// How much room a field needs.
#[derive(Clone, Copy)]
enum Kind {
    Bytes(usize),
    Pointer,
}

/// A struct that is being laid out.
struct Layout {
    pointer: usize,
    end: usize,
    alignment: usize,
}

impl Layout {
    fn new(pointer: usize) -> Self {
        Self { pointer, end: 0, alignment: 1 }
    }

    /// The offset of the next field. Each is aligned to its own size, as everywhere but on 32-bit
    /// x86, whose eight bytes are aligned to four: the compilers then say whether it matters.
    fn place(&mut self, kind: Kind, count: usize) -> usize {
        let size = match kind {
            Kind::Bytes(size) => size,
            Kind::Pointer => self.pointer,
        };
        let offset = self.end.next_multiple_of(size);
        self.alignment = self.alignment.max(size);
        self.end = offset + size * count;
        offset
    }

    fn size(&self) -> usize {
        self.end.next_multiple_of(self.alignment)
    }
}

fn function(name: &str, returns: &str, parameters: &str) -> Option<Function> {
    let parameters = match parameters.trim() {
        "void" => Vec::new(),
        list => list.split(',').map(typed).collect::<Option<_>>()?,
    };
    Some(Function { name: name.to_owned(), returns: returns.trim().to_owned(), parameters })
}

/// "const char *name" → ("const char *", "name").
fn typed(declaration: &str) -> Option<(String, String)> {
    let declaration = declaration.trim();
    let at = declaration.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
    let (ty, name) = declaration.split_at(at + 1);
    Some((ty.trim().to_owned(), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_header_is_understood() {
        let header = include_str!("../include/mfa.h");
        let abi = read(header).unwrap();
        let transaction = abi.structs.iter().find(|s| s.name == "mfa_transaction").unwrap();
        assert_eq!((transaction.size, transaction.fields[2].offset), (32, 8));
        let error = abi.structs.iter().find(|s| s.name == "mfa_error").unwrap();
        let wait = abi.structs.iter().find(|s| s.name == "mfa_wait_options").unwrap();
        assert_eq!((wait.size, wait.size_32, wait.fields[9].offset_32), (56, 40, 36));
        assert_eq!((error.size, error.fields.last().unwrap().count), (296, 256));
        assert!(abi.constants.contains(&("MFA_ERR_CANCELLED".into(), 550)));
        assert!(abi.constants.contains(&("MFA_DECISION_UNKNOWN".into(), 7)));
        let confirm = abi.functions.iter().find(|f| f.name == "mfa_hyperid_confirm").unwrap();
        assert_eq!(confirm.parameters.len(), 7);
        assert_eq!(confirm.parameters[1], ("const char *".to_owned(), "access_token".to_owned()));
        assert_eq!((abi.opaque.len(), abi.callbacks.len(), abi.structs.len()), (4, 3, 11));
        let declared = without_comments(header).matches(");\n").count();
        assert_eq!(abi.functions.len(), declared - abi.callbacks.len());
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for text in ["union x;\n", "typedef struct a { weird b; } a;\n", "#define MFA_X (1 + 1)\n"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
