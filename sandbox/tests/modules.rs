//! The modules depend on each other one way only: each imports from the groups that `lib.rs` declares before its
//! own.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

/// The group of each module, counted from the lowest.
fn groups(lib: &str) -> HashMap<&str, usize> {
    let mut group = 0;
    let mut found = HashMap::new();
    for line in lib.lines() {
        group += usize::from(line.is_empty());
        let name =
            line.trim_start_matches("pub ").strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';'));
        found.extend(name.map(|name| (name, group)));
    }
    found
}

/// What a file imports from the crate, as `name` of `crate::name` or of `crate::{name, …}`; what is imported from the
/// root itself is none of the modules.
fn imports(source: &str) -> impl Iterator<Item = &str> {
    let code = source.split("#[cfg(test)]").next().unwrap_or(source);
    code.split("crate::")
        .skip(1)
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or("").split(',').map(str::trim).collect::<Vec<_>>(),
            None => vec![rest],
        })
        .map(|path| path.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or(""))
}

fn check(file: &Path, module: &str, groups: &HashMap<&str, usize>) -> usize {
    let source = fs::read_to_string(file).unwrap();
    let others =
        imports(&source).filter(|name| *name != module).filter_map(|name| Some((name, groups.get(name)?)));
    let mut seen = 0;
    for (name, group) in others {
        assert!(*group < groups[module], "{} imports {name}, which is no lower", file.display());
        seen += 1;
    }
    seen
}

#[test]
fn each_module_imports_from_lower_ones_only() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let lib = fs::read_to_string(source.join("lib.rs")).unwrap();
    let groups = groups(&lib);
    let mut seen = 0;
    for module in groups.keys() {
        seen += check(&source.join(module).with_extension("rs"), module, &groups);
        for below in fs::read_dir(source.join(module)).into_iter().flatten() {
            seen += check(&below.unwrap().path(), module, &groups);
        }
    }
    assert!(groups.len() > 20 && seen > 60, "{} modules, {seen} imports: not all were read", groups.len());
}
