//! The C and C++ programs in the documentation: each block that has a `main` compiles without a warning
//! and runs.

use std::path::Path;

use super::report::Report;
use super::{Context, Step, step};
use crate::c_compiler::{Compiler, Link, Program, program};
use crate::process::{self, Show};
use crate::sandbox::Sandbox;
use crate::{Result, files, workspace};

/// A person who says yes after a moment, so that a whole program ends by itself.
const TOKEN: &str = "sandbox-approve-after-300";

const PAGES: &[&str] = &["README.md", "docs/server.md"];

pub fn steps() -> Vec<Step> {
    vec![step("docs", "readme", blocks)]
}

/// A language whose blocks are compiled: as the fence names it, its compiler and its standard.
struct Language {
    fence: &'static str,
    compiler: fn() -> Option<Compiler>,
    standard: &'static str,
}

const LANGUAGES: &[Language] = &[
    Language { fence: "c", compiler: Compiler::any, standard: "-std=c99" },
    Language { fence: "cpp", compiler: || Compiler::find("g++"), standard: "-std=c++17" },
];

fn blocks(context: &Context, report: &mut Report) -> Result {
    let folder = workspace::scratch("readme")?;
    for language in LANGUAGES {
        let Some(compiler) = (language.compiler)() else {
            report.skip("README.md", &format!("no compiler for {} is installed", language.fence));
            continue;
        };
        for page in PAGES {
            let text = files::read(&workspace::root().join(page))?;
            let programs = blocks_in(&text, language.fence);
            for (line, block) in programs.into_iter().filter(|(_, block)| block.contains("int main")) {
                let name = format!("{}_line_{line}.{}", files::stem(page.as_ref()), language.fence);
                let source = folder.join(name);
                files::write(&source, &block)?;
                let outcome = compile_and_run(context, &compiler, language.standard, &source, &block);
                report.check(&format!("{page}, line {line}"), outcome);
            }
        }
    }
    Ok(())
}

fn compile_and_run(
    context: &Context,
    compiler: &Compiler,
    standard: &str,
    source: &Path,
    block: &str,
) -> Result {
    let output = source.with_extension("out");
    let flags = [standard, "-Wall", "-Wextra", "-Werror"];
    let link = Link::Shared(context.library()?);
    compiler.compile(&Program { source, output: &output, flags: &flags, link })?;
    // A program that names a server of its own would ask strangers.
    if !block.contains("MFA_BASE_URL") {
        return Ok(());
    }
    let sandbox = Sandbox::start(context.sandbox()?)?;
    let mut command = program(&output);
    command.env("MFA_BASE_URL", sandbox.get("hyperid")?).env("MFA_TOKEN", TOKEN);
    process::run(&mut command, Show::Nothing, process::LIMIT)?.expect_success("running it").map(drop)
}

/// The fenced blocks of a language, each with the number of its first line.
fn blocks_in(text: &str, fence: &str) -> Vec<(usize, String)> {
    let opening = format!("```{fence}");
    let mut blocks: Vec<(usize, String)> = Vec::new();
    let mut inside = false;
    for (at, line) in text.lines().enumerate() {
        match (inside, line.trim_end()) {
            (false, line) if line == opening => blocks.push((at + 2, String::new())),
            (true, "```") => {}
            (true, line) => {
                if let Some((_, block)) = blocks.last_mut() {
                    block.push_str(line);
                    block.push('\n');
                }
                continue;
            }
            _ => continue,
        }
        inside = !inside;
    }
    blocks
}

#[cfg(test)]
mod tests {
    #[test]
    fn blocks_in_c_are_found() {
        let text = "a\n```c\nint x;\nint y;\n```\n```console\n$ b\n```\n```c\nz\n```\n";
        assert_eq!(super::blocks_in(text, "c"), [(3, "int x;\nint y;\n".to_owned()), (10, "z\n".to_owned())]);
    }
}
