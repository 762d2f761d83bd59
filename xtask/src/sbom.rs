//! The list of what is linked in, as machines read it: CycloneDX 1.5.
//!
//! Without the time and without a serial number, so that the same tree gives the same bytes.

use serde_json::{Value, json};

use crate::dependencies::{self, Crate};
use crate::library::PACKAGE;
use crate::{Result, workspace};

const STANDARD_LIBRARY: &str = "rust-std";
const OWN_LICENCE: &str = "MIT OR Apache-2.0";

/// No lock file names it: it is that of the compiler which built the file. Its parts are in the notices.
fn standard_library() -> Value {
    json!({
        "type": "library",
        "bom-ref": STANDARD_LIBRARY,
        "name": "Rust's standard library",
        "licenses": [{ "expression":
            "(MIT OR Apache-2.0) AND MIT AND (Apache-2.0 WITH LLVM-exception) AND Unicode-3.0 AND Zlib" }],
        "externalReferences": [{ "type": "vcs", "url": "https://github.com/rust-lang/rust" }],
    })
}

/// Of the library, or of the sandbox with it.
pub fn text(with_sandbox: bool) -> Result<String> {
    let crates = dependencies::linked()?;
    let crates: Vec<_> = crates.iter().filter(|one| with_sandbox || one.in_library).collect();
    let own = reference(PACKAGE, workspace::VERSION);
    let components: Vec<_> = crates.iter().map(|one| component(one)).chain([standard_library()]).collect();
    let mut graph: Vec<_> = crates.iter().map(|one| depends_on(&id(one), &one.uses)).collect();
    let all: Vec<_> = crates.iter().map(|one| (one.name.clone(), one.version.clone())).collect();
    let mut of_all = depends_on(&own, &all);
    of_all["dependsOn"].as_array_mut().into_iter().for_each(|all| all.push(json!(STANDARD_LIBRARY)));
    graph.insert(0, of_all);
    graph.push(json!({ "ref": STANDARD_LIBRARY }));
    let bom = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": {
            "type": "library",
            "bom-ref": own,
            "name": "libmfa",
            "version": workspace::VERSION,
            "purl": own,
            "licenses": [{ "expression": OWN_LICENCE }],
        }},
        "components": components,
        "dependencies": graph,
    });
    let text = serde_json::to_string_pretty(&bom).map_err(|e| e.to_string())?;
    Ok(text + "\n")
}

fn component(one: &Crate) -> Value {
    // An older way to write OR.
    let licence = one.licence.replace('/', " OR ");
    let mut component = json!({
        "type": "library",
        "bom-ref": id(one),
        "name": one.name,
        "version": one.version,
        "purl": id(one),
        "licenses": [{ "expression": licence }],
    });
    if let Some(checksum) = &one.checksum {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    if let Some(repository) = &one.repository {
        component["externalReferences"] = json!([{ "type": "vcs", "url": repository }]);
    }
    component
}

fn depends_on(reference_of: &str, uses: &[(String, String)]) -> Value {
    let uses: Vec<_> = uses.iter().map(|(name, version)| reference(name, version)).collect();
    json!({ "ref": reference_of, "dependsOn": uses })
}

fn id(one: &Crate) -> String {
    reference(&one.name, &one.version)
}

/// A package URL: a plus sign in a version is written as its number there.
fn reference(name: &str, version: &str) -> String {
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_package_url_has_no_plus() {
        assert_eq!(super::reference("wasi", "0.11.1+x"), "pkg:cargo/wasi@0.11.1%2Bx");
    }
}
