//! The headers: fresh, and clean under every compiler and standard that users have.

use super::report::Report;
use super::{Context, Step, step};
use crate::c_compiler::{Compiler, WARNINGS};
use crate::{Result, files, header, workspace};

const AREA: &str = "headers";

/// Standards by compiler.
const COMPILERS: &[(&str, &[&str])] = &[
    ("gcc", &["c99", "c11"]),
    ("g++", &["c++17", "c++20"]),
    ("clang", &["c99", "c11"]),
    ("clang++", &["c++17", "c++20"]),
];

/// And in C++ what careful programs ask for besides, whose compiler does not know that the header is not theirs.
const STRICT: &[&str] = &["-Wshadow", "-Wconversion", "-Wsign-conversion", "-Wold-style-cast"];

pub fn steps() -> Vec<Step> {
    vec![step(AREA, "header-fresh", fresh), step(AREA, "header-compiles", compiles)]
}

fn fresh(_: &Context, report: &mut Report) -> Result {
    for header in header::generate()? {
        let outcome = match header.difference() {
            None => Ok(()),
            Some(difference) => Err(format!("stale, run `cargo xtask header`\n{difference}")),
        };
        report.check(header.name, outcome);
    }
    Ok(())
}

fn compiles(_: &Context, report: &mut Report) -> Result {
    for (compiler, standards) in COMPILERS {
        let Some(found) = Compiler::find(compiler) else {
            report.skip(compiler, "not installed");
            continue;
        };
        for standard in *standards {
            check_all(&found, compiler, standard, report)?;
        }
        if compiler.ends_with("++") {
            report.check(&format!("mfa.hpp says what it needs, {compiler} c++14"), refuses_old_cpp(&found));
        }
    }
    Ok(())
}

/// One sentence of ours, and none of the compiler's about what it does not know.
fn refuses_old_cpp(compiler: &Compiler) -> Result {
    let source = workspace::scratch("headers")?.join("old.cpp");
    files::write(&source, "#include <mfa.hpp>\nint main() { return 0; }\n")?;
    let said = compiler.check(&source, &["-std=c++14"]).err().unwrap_or_default();
    let errors: Vec<_> = said.lines().filter(|line| line.contains("error:")).collect();
    let told = matches!(errors[..], [only] if only.contains("mfa.hpp needs C++17"));
    told.then_some(()).ok_or(format!("it said: {said}"))
}

fn check_all(compiler: &Compiler, name: &str, standard: &str, report: &mut Report) -> Result {
    let cpp = standard.starts_with("c++");
    for folder in workspace::include_folders() {
        let mut headers = files::with_extension(&folder, "h");
        headers.extend(files::with_extension(&folder, "hpp").into_iter().filter(|_| cpp));
        for header in headers {
            let file = header.file_name().unwrap_or_default().to_string_lossy();
            let text = files::read(&header)?;
            for (way, source) in ways(&file, &text) {
                let folder = workspace::scratch("headers")?;
                let place = folder.join(format!("{way}.{}", if cpp { "cpp" } else { "c" }));
                files::write(&place, &source)?;
                let standard_flag = format!("-std={standard}");
                let strict = if cpp { STRICT } else { &[] };
                let flags = [&[standard_flag.as_str()], WARNINGS, strict].concat();
                report.check(&format!("{file} {way}, {name} {standard}"), compiler.check(&place, &flags));
            }
        }
    }
    Ok(())
}

/// Alone; twice; and with each initialiser used, because a macro is only checked where it is used.
fn ways(file: &str, text: &str) -> Vec<(&'static str, String)> {
    let include = format!("#include <{file}>\n");
    let defines = text.lines().filter_map(|line| line.strip_prefix("#define "));
    let macros = defines.filter_map(|line| line.split_whitespace().next());
    let names = macros.filter_map(|name| name.strip_suffix("_INIT").map(str::to_lowercase));
    let uses: String =
        names.map(|name| format!("{name} a_{name} = {}_INIT;\n", name.to_uppercase())).collect();
    let used = format!("{include}{uses}int main(void) {{ return 0; }}\n");
    vec![
        ("alone", format!("{include}int main(void) {{ return 0; }}\n")),
        ("twice", format!("{include}{include}int main(void) {{ return 0; }}\n")),
        ("with its initialisers", used),
    ]
}
