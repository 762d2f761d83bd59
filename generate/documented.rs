//! What `include/mfa.h` says of each of its declarations: the source of the C reference.

use super::Result;

/// A part of the header under one title, in its order.
pub struct Section {
    pub title: String,
    pub items: Vec<Item>,
}

/// One declaration with the comment before it.
pub struct Item {
    pub name: String,
    pub kind: Kind,
    pub text: String,
    /// As it stands in the header, without the comments inside.
    pub declaration: String,
    /// Of a struct: each field's declaration and text.
    pub fields: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Function,
    Struct,
    Callback,
    Constant,
    /// An opaque object, or a number.
    Type,
}

pub fn read(header: &str) -> Result<Vec<Section>> {
    let mut sections: Vec<Section> = Vec::new();
    let mut text = String::new();
    let mut lines = header.lines();
    while let Some(line) = lines.next() {
        if let Some(title) = title(line) {
            sections.push(Section { title, items: Vec::new() });
        } else if line.trim_start().starts_with("/**") {
            text = comment(line, &mut lines);
        } else if line.starts_with("#ifndef") {
            // What stood before it was about the file.
            text.clear();
        } else if line == "enum {" {
            // The codes have a page of their own.
            lines.by_ref().find(|line| *line == "};").ok_or("an enum without its end")?;
        } else if !line.is_empty() && !text.is_empty() {
            let item = item(line, &mut lines, std::mem::take(&mut text))?;
            sections.last_mut().ok_or_else(|| format!("'{line}' stands before any title"))?.items.push(item);
        }
    }
    Ok(sections)
}

/// "/* Errors ------- */".
fn title(line: &str) -> Option<String> {
    let title = line.strip_prefix("/* ")?.strip_suffix("- */")?;
    Some(title.trim_end_matches('-').trim().to_owned())
}

fn comment<'a>(first: &str, lines: &mut impl Iterator<Item = &'a str>) -> String {
    let mut text = first.trim().trim_start_matches("/**").to_owned();
    while !text.ends_with("*/") {
        let Some(line) = lines.next() else { break };
        let line = line.trim();
        text.push('\n');
        text.push_str(line.strip_prefix("* ").unwrap_or(if line == "*" { "" } else { line }));
    }
    text.trim_end_matches("*/").trim().to_owned()
}

fn item<'a>(first: &str, lines: &mut impl Iterator<Item = &'a str>, text: String) -> Result<Item> {
    let mut declaration = first.to_owned();
    let mut fields = Vec::new();
    if first.starts_with("typedef struct ") && first.ends_with('{') {
        let mut field_text = String::new();
        loop {
            let line = lines.next().ok_or_else(|| format!("{first} has no end"))?;
            if line.trim_start().starts_with("/**") {
                field_text = comment(line, lines);
                continue;
            }
            declaration.push('\n');
            declaration.push_str(line);
            if line.starts_with('}') {
                break;
            }
            let field = line.trim().trim_end_matches(';').to_owned();
            fields.push((field, std::mem::take(&mut field_text)));
        }
    } else if !first.starts_with('#') {
        while !declaration.ends_with(';') {
            declaration.push('\n');
            declaration.push_str(lines.next().ok_or_else(|| format!("{first} has no end"))?);
        }
    }
    let kind = kind(first, &declaration);
    let name = name(kind, &declaration).ok_or_else(|| format!("no name in '{declaration}'"))?;
    Ok(Item { name, kind, text, declaration, fields })
}

fn kind(first: &str, declaration: &str) -> Kind {
    match first {
        _ if first.starts_with('#') => Kind::Constant,
        _ if declaration.contains("(*mfa_") => Kind::Callback,
        _ if first.starts_with("typedef struct ") && first.ends_with('{') => Kind::Struct,
        _ if first.starts_with("typedef ") => Kind::Type,
        _ => Kind::Function,
    }
}

fn name(kind: Kind, declaration: &str) -> Option<String> {
    let word = |text: &str| {
        text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .find(|w| !w.is_empty())
            .map(str::to_owned)
    };
    match kind {
        Kind::Constant => word(declaration.strip_prefix("#define ")?),
        Kind::Callback => word(declaration.split_once("(*")?.1),
        Kind::Struct => word(declaration.strip_prefix("typedef struct ")?),
        Kind::Type => word(declaration.rsplit([' ', '*']).next()?),
        Kind::Function => word(declaration.split('(').next()?.rsplit([' ', '*']).next()?),
    }
}

#[cfg(test)]
mod tests {
    use super::super::abi;
    use super::*;

    const HEADER: &str = include_str!("../include/mfa.h");

    fn items() -> Vec<Item> {
        read(HEADER).unwrap().into_iter().flat_map(|section| section.items).collect()
    }

    fn named(kind: Kind) -> Vec<Item> {
        items().into_iter().filter(|item| item.kind == kind).collect()
    }

    #[test]
    fn nothing_of_the_header_is_without_its_text() {
        let abi = abi::read(HEADER).unwrap();
        let names = |kind| named(kind).into_iter().map(|item| item.name).collect::<Vec<_>>();
        assert_eq!(names(Kind::Function), abi.functions.iter().map(|f| f.name.clone()).collect::<Vec<_>>());
        assert_eq!(names(Kind::Struct), abi.structs.iter().map(|s| s.name.clone()).collect::<Vec<_>>());
        assert_eq!(names(Kind::Callback), abi.callbacks.iter().map(|c| c.name.clone()).collect::<Vec<_>>());
        for (item, s) in named(Kind::Struct).iter().zip(&abi.structs) {
            assert_eq!(item.fields.len(), s.fields.len(), "{}", s.name);
            assert!(item.fields.iter().all(|(_, text)| !text.is_empty()), "{}", s.name);
        }
        assert!(items().iter().all(|item| !item.text.is_empty()));
    }

    /// A reader of one call should not have to look up another to know what may go wrong.
    #[test]
    fn each_call_lists_its_own_errors() {
        let abi = abi::read(HEADER).unwrap();
        let known: Vec<_> = abi.constants.iter().map(|(name, _)| name.as_str()).collect();
        for call in named(Kind::Function).iter().filter(|call| call.declaration.contains("mfa_error *err")) {
            let (name, text) = (&call.name, call.text.replace('\n', " "));
            let (_, errors) = text.split_once("Errors: ").unwrap_or_else(|| panic!("{name} lists no errors"));
            for chain in ["mfa_hyperid_", "mfa_waiter_", "mfa_capillary_", "..."] {
                assert!(!errors.contains(chain), "{name}: its errors lead on to {chain}");
            }
            assert!(
                errors.contains("`MFA_ERR_INTERNAL`") && errors.contains("`MFA_ERR_STRUCT_SIZE`"),
                "{name}"
            );
        }
        let words = HEADER.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for word in words.filter(|w| w.starts_with("MFA_ERR_") && !w.ends_with('_')) {
            assert!(known.contains(&word), "the header speaks of {word}, which is no code");
        }
    }
}
