//! The public names of a C++ header, as clang sees them, and those that its reference page has.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::process::Command;

use serde_json::value::RawValue;

use crate::c_compiler::Compiler;
use crate::{Result, files, process, workspace};

/// Of a node of clang's tree, what is not looked at stays text: bodies are deep.
type Node<'a> = HashMap<&'a str, &'a RawValue>;

/// What stands in namespace `mfa`, without `detail`: `hyperid`, `hyperid::confirm`, `decision::approved`.
pub fn in_header(clang: &Compiler, header: &Path) -> Result<BTreeSet<String>> {
    let source = header.with_extension("names.cpp");
    let include = format!("#include \"{}\"\n", header.display());
    files::write(&source, &include)?;
    let mut command = Command::new(clang.path());
    // C++20 has all that C++17 has.
    command.args(["-std=c++20", "-fsyntax-only"]).arg("-I").arg(workspace::root().join("include"));
    command.args(["-Xclang", "-ast-dump=json", "-Xclang", "-ast-dump-filter", "-Xclang", "mfa::"]);
    let tree = process::output(command.arg(source))?;
    let mut names = BTreeSet::new();
    for namespace in serde_json::Deserializer::from_str(&tree).into_iter::<&RawValue>() {
        members(&node(namespace.map_err(|e| e.to_string())?)?, "", &mut names)?;
    }
    Ok(names)
}

fn node(raw: &RawValue) -> Result<Node<'_>> {
    serde_json::from_str(raw.get()).map_err(|e| e.to_string())
}

fn text<'a>(node: &Node<'a>, key: &str) -> &'a str {
    node.get(key).map_or("", |value| value.get().trim_matches('"'))
}

fn inner<'a>(of: &Node<'a>) -> Result<Vec<Node<'a>>> {
    let Some(raw) = of.get("inner") else { return Ok(Vec::new()) };
    let all: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|e| e.to_string())?;
    all.into_iter().map(node).collect()
}

/// Adds what is public in a namespace, a class or an enumeration.
fn members(of: &Node, owner: &str, names: &mut BTreeSet<String>) -> Result {
    let mut is_public = text(of, "tagUsed") != "class";
    for member in inner(of)? {
        let kind = text(&member, "kind");
        if kind == "AccessSpecDecl" {
            is_public = text(&member, "access") == "public";
        } else if is_public && !is_made_by_the_compiler(&member) {
            declaration(&member, kind, owner, names)?;
        }
    }
    Ok(())
}

/// And what says no more than that it is as the compiler would make it.
fn is_made_by_the_compiler(node: &Node) -> bool {
    ["isImplicit", "explicitlyDefaulted", "explicitlyDeleted"].iter().any(|key| node.contains_key(key))
}

fn declaration(member: &Node, kind: &str, owner: &str, names: &mut BTreeSet<String>) -> Result {
    // Of a template of a class clang names `result<T>` for the constructor.
    let name = text(member, "name").split('<').next().unwrap_or_default();
    let full = if owner.is_empty() { name.to_owned() } else { format!("{owner}::{name}") };
    match kind {
        "NamespaceDecl" if name != "detail" => return members(member, owner, names),
        "ClassTemplateDecl" => {
            let class = inner(member)?.into_iter().find(|it| text(it, "kind") == "CXXRecordDecl");
            return class.map_or(Ok(()), |class| declaration(&class, "CXXRecordDecl", owner, names));
        }
        "CXXRecordDecl" | "EnumDecl" => members(member, &full, names)?,
        "EnumConstantDecl" | "FieldDecl" | "VarDecl" | "TypeAliasDecl" | "TypedefDecl" => {}
        "FunctionDecl" | "FunctionTemplateDecl" | "CXXMethodDecl" | "CXXConstructorDecl" => {}
        "CXXConversionDecl" => {}
        _ => return Ok(()),
    }
    names.insert(full);
    Ok(())
}

/// A page has a heading for each type and function, and below a type's a table of its fields or values.
pub fn on_page(page: &str) -> BTreeSet<String> {
    let mut owner = "";
    let mut names = BTreeSet::new();
    for line in page.lines() {
        let heading = line.strip_prefix("### ").or_else(|| line.strip_prefix("#### "));
        if let Some(name) = heading {
            owner = name;
            names.insert(name.to_owned());
        } else if let Some((name, _)) = line.strip_prefix("| `").and_then(|row| row.split_once('`')) {
            names.insert(format!("{owner}::{name}"));
        }
    }
    names
}
