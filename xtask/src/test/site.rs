//! The documentation's site: it builds without a warning, and no link in it leads nowhere. And the page of C++
//! has every public name, as a compiler sees them, each with its text.

use std::collections::BTreeSet;
use std::path::Path;

use super::report::Report;
use super::{Context, Step, cpp_names, step};
use crate::c_compiler::Compiler;
use crate::{Result, docs, files, workspace};

pub fn steps() -> Vec<Step> {
    vec![step("docs", "docs-site", site)]
}

fn site(context: &Context, report: &mut Report) -> Result {
    let Some(python) = docs::environment(context.options.setup)? else {
        report.skip("docs", "Sphinx is not installed: run it once with --setup");
        return Ok(());
    };
    report.check("the site builds, and its links lead somewhere", docs::build(&python).map(drop));
    let Some(clang) = Compiler::find("clang++") else {
        report.skip("C++'s names", "clang++ is not installed");
        return Ok(());
    };
    let header = files::read(&workspace::root().join("include/mfa.hpp"))?;
    report.check("C++'s page has every public name", complete(&python, &clang, &header));
    // What a maintainer may forget; each is planted, and must be noticed.
    for (what, planted, complaint) in FORGOTTEN {
        let planted = plant(&header, planted)?;
        let said = complete(&python, &clang, &planted).err().unwrap_or_default();
        let noticed = said.contains(complaint);
        report.check(what, noticed.then_some(()).ok_or(format!("it was not noticed: {said}")));
    }
    Ok(())
}

const FORGOTTEN: &[(&str, &str, &str)] = &[
    ("a function without text is noticed", "inline int planted() { return 0; }\n", "planted"),
    (
        "a member without text is noticed",
        "/// A.\nclass planted {\npublic:\n    int seed() { return 0; }\n};\n",
        "planted::seed",
    ),
    ("a value without text is noticed", "/// A.\nenum class planted { seed };\n", "planted::seed"),
    // The page is made of the text; a macro makes names that only a compiler sees.
    (
        "a name that the page leaves out is noticed",
        "#define PLANT(name) inline int name() { return 0; }\n/// A.\nPLANT(planted)\n#undef PLANT\n/// B.\ninline int other() { return 0; }\n",
        "planted",
    ),
];

/// The header with something more in its namespace.
fn plant(header: &str, planted: &str) -> Result<String> {
    let at = header.rfind("} // inline namespace").ok_or("the end of the namespace was not found")?;
    Ok(format!("{}{planted}{}", &header[..at], &header[at..]))
}

fn complete(python: &Path, clang: &Compiler, header: &str) -> Result {
    let folder = workspace::scratch("cpp-names")?;
    let file = folder.join("mfa.hpp");
    files::write(&file, header)?;
    let page = docs::binding_page(python, "cpp", std::slice::from_ref(&file))?;
    let (there, wanted) = (cpp_names::on_page(&page), cpp_names::in_header(clang, &file)?);
    if wanted.len() < 100 {
        return Err(format!("clang named next to nothing: {wanted:?}"));
    }
    let difference =
        |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<Vec<_>>();
    let (missing, strange) = (difference(&wanted, &there), difference(&there, &wanted));
    if missing.is_empty() && strange.is_empty() {
        return Ok(());
    }
    Err(format!("not on the page: {missing:?}; on the page alone: {strange:?}"))
}
