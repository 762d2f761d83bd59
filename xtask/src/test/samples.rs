//! The programs in the documentation: each block in a language is a whole program, which compiles without
//! a warning and runs against the sandbox. And the example that opens the header.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::csharp;
use super::report::Report;
use super::{Context, Step, step};
use crate::c_compiler::{Compiler, Link, Program, program};
use crate::dist::nuget;
use crate::process::{self, Show};
use crate::sandbox::Sandbox;
use crate::{Result, cargo, files, library, workspace};

/// A person who says yes after a moment, so that a whole program ends by itself.
const TOKEN: &str = "sandbox-approve-after-300";
/// Where a block that is no whole program may stand: it shows a loop, or a framework, of the reader's own.
/// One that names the sandbox is run there, too.
const FRAGMENTS: &[&str] = &["docs/server.md"];

pub fn steps() -> Vec<Step> {
    vec![step("docs", "samples", samples)]
}

/// A language whose blocks are run: as the fence names it, and how a block becomes a program that can
/// be run; `None`: what it needs is not installed.
struct Language {
    fence: &'static str,
    is_whole: fn(&str) -> bool,
    prepare: fn(&Context, &Path, &str) -> Result<Option<Command>>,
}

const LANGUAGES: &[Language] = &[
    Language { fence: "c", is_whole: has_main, prepare: c },
    Language { fence: "cpp", is_whole: has_main, prepare: cpp },
    Language { fence: "python", is_whole: |block| block.contains("import"), prepare: python },
    Language {
        fence: "csharp",
        is_whole: |block| block.contains("using MfaClient;"),
        prepare: csharp_program,
    },
];

fn has_main(block: &str) -> bool {
    block.contains("int main")
}

fn samples(context: &Context, report: &mut Report) -> Result {
    let folder = workspace::empty_scratch("samples")?;
    let mut blocks = Vec::new();
    for page in pages() {
        let text = files::read(&workspace::root().join(&page))?;
        for language in LANGUAGES {
            let found = blocks_in(&text, language.fence);
            blocks.extend(found.into_iter().map(|(line, block)| (page.clone(), line, language, block)));
        }
    }
    let header = files::read(&workspace::root().join("include/mfa.h"))?;
    blocks.push(("include/mfa.h".to_owned(), 1, &LANGUAGES[0], example_in(&header)));
    for (page, line, language, block) in blocks {
        let what = format!("{page}, line {line} ({})", language.fence);
        let may = FRAGMENTS.contains(&page.as_str());
        let has_server =
            ["MFA_BASE_URL", "Sandbox(", "mfa_sandbox_new"].iter().any(|name| block.contains(name));
        if !(language.is_whole)(&block) || (may && !has_server) {
            let why = || "it is no whole program, so nobody knows whether it works".to_owned();
            report.check(&what, may.then_some(()).ok_or_else(why));
            continue;
        }
        let name = format!("{}_line_{line}_{}", files::stem(page.as_ref()).replace('-', "_"), language.fence);
        let own = folder.join(name);
        files::create_folder(&own)?;
        match (language.prepare)(context, &own, &block) {
            Ok(Some(command)) => report.check(&what, run(context, command)),
            Ok(None) => report.unavailable(&what, "its compiler or its runtime is not installed"),
            Err(why) => report.fail(&what, &why),
        }
    }
    Ok(())
}

/// README and the pages of the site; those of the bindings are run by the bindings' own steps.
fn pages() -> Vec<String> {
    let docs = files::with_extension(&workspace::root().join("docs"), "md");
    let docs = docs.iter().map(|page| format!("docs/{}.md", files::stem(page)));
    std::iter::once("README.md".to_owned()).chain(docs).collect()
}

fn run(context: &Context, mut command: Command) -> Result {
    let sandbox = Sandbox::start(context.sandbox()?)?;
    command.env("MFA_BASE_URL", sandbox.get("hyperid")?).env("MFA_TOKEN", TOKEN);
    cargo::without_our_library_path(&mut command);
    process::run(&mut command, Show::Nothing, process::LIMIT)?.expect_success("running it").map(drop)
}

fn c(context: &Context, folder: &Path, block: &str) -> Result<Option<Command>> {
    native(context, &folder.join("main.c"), block, Compiler::any(), "-std=c99")
}

fn cpp(context: &Context, folder: &Path, block: &str) -> Result<Option<Command>> {
    native(context, &folder.join("main.cpp"), block, Compiler::find("g++"), "-std=c++17")
}

fn native(
    context: &Context,
    source: &Path,
    block: &str,
    compiler: Option<Compiler>,
    standard: &str,
) -> Result<Option<Command>> {
    let Some(compiler) = compiler else { return Ok(None) };
    // A program that names a server of its own would ask strangers.
    let has_sandbox = block.contains("mfa_sandbox.h");
    if !block.contains("MFA_BASE_URL") && !has_sandbox {
        return Err("it does not take the server from MFA_BASE_URL, and has no sandbox".to_owned());
    }
    files::write(source, block)?;
    let output = source.with_extension("out");
    let mut flags = vec![standard.to_owned(), "-Wall".to_owned(), "-Wextra".to_owned(), "-Werror".to_owned()];
    if has_sandbox {
        let sandbox = library::build_sandbox_library()?;
        let folder = sandbox.parent().unwrap_or(&sandbox).display().to_string();
        let linked = ["-Wl,--no-as-needed", "-lmfa_sandbox"].map(str::to_owned);
        flags.extend([format!("-L{folder}"), format!("-Wl,-rpath,{folder}")].into_iter().chain(linked));
    }
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    compiler.compile(&Program {
        source,
        output: &output,
        flags: &flags,
        link: Link::Shared(context.library()?),
    })?;
    Ok(Some(program(&output)))
}

fn python(context: &Context, folder: &Path, block: &str) -> Result<Option<Command>> {
    let Some(python) = process::find("python3") else { return Ok(None) };
    let source = folder.join("main.py");
    files::write(&source, block)?;
    let mut command = Command::new(python);
    command.args(["-W", "error", "-B"]).arg(source).env("PYTHONPATH", python_package(context)?);
    Ok(Some(command))
}

/// The folder that holds the package as a wheel would install it, with the libraries in it.
fn python_package(context: &Context) -> Result<PathBuf> {
    let place = workspace::scratch("samples")?.join("installed");
    let package = place.join("mfa_client");
    if package.exists() {
        return Ok(place);
    }
    files::create_folder(&package.join("_lib"))?;
    let source = workspace::root().join("bindings/python/src/mfa_client");
    for file in files::with_extension(&source, "py") {
        files::copy(&file, &package.join(file.file_name().unwrap_or_default()))?;
    }
    for library in [&context.library()?.shared, &library::build_sandbox_library()?] {
        files::copy(library, &package.join("_lib").join(library.file_name().unwrap_or_default()))?;
    }
    Ok(place)
}

const PROJECT: &str = r#"<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <OutputType>Exe</OutputType>
    <TargetFramework>net10.0</TargetFramework>
    <Nullable>enable</Nullable>
    <TreatWarningsAsErrors>true</TreatWarningsAsErrors>
  </PropertyGroup>
  <ItemGroup>
    <ProjectReference Include="MFA_CLIENT" />
  </ItemGroup>
</Project>
"#;

fn csharp_program(context: &Context, folder: &Path, block: &str) -> Result<Option<Command>> {
    if !csharp::has_sdk() {
        return Ok(None);
    }
    if block.contains("GetEnvironmentVariable(\"MFA_BASE_URL\"),") {
        return Err("without MFA_BASE_URL it would ask HyperID's production".to_owned());
    }
    let client: PathBuf = csharp::folder().join("MfaClient/MfaClient.csproj");
    files::write(&folder.join("sample.csproj"), &PROJECT.replace("MFA_CLIENT", &client.to_string_lossy()))?;
    files::write(&folder.join("Program.cs"), block)?;
    let _building = nuget::building()?;
    let mut build = csharp::dotnet_in(folder);
    build.args(["build", "-nologo", "-v:quiet", "-o", "out"]);
    build.arg(format!("-p:MfaLibrary={}", context.library()?.shared.display()));
    cargo::without_our_library_path(&mut build);
    process::run(&mut build, Show::Nothing, process::LIMIT * 2)?.expect_success("dotnet build")?;
    let mut command = csharp::dotnet_in(folder);
    command.arg("out/sample.dll");
    Ok(Some(command))
}

/// The example in the header's first comment: the indented lines below its title.
fn example_in(header: &str) -> String {
    let below = header.split(" * EXAMPLE\n").nth(1).unwrap_or_default();
    let lines = below.lines().skip(1).take_while(|line| *line == " *" || line.starts_with(" *     "));
    lines.map(|line| line.trim_start_matches(" *").to_owned() + "\n").collect()
}

/// The fenced blocks of a language, each with the number of its first line.
fn blocks_in(text: &str, fence: &str) -> Vec<(usize, String)> {
    let opening = format!("```{fence}");
    let mut blocks: Vec<(usize, String)> = Vec::new();
    // Inside of a block: whether it is one of ours.
    let mut inside: Option<bool> = None;
    for (at, line) in text.lines().enumerate() {
        match (inside, line.trim_end()) {
            (None, line) if line == opening => {
                blocks.push((at + 2, String::new()));
                inside = Some(true);
            }
            (None, line) if line.starts_with("```") => inside = Some(false),
            (Some(_), "```") => inside = None,
            (Some(true), line) => {
                if let Some((_, block)) = blocks.last_mut() {
                    block.push_str(line);
                    block.push('\n');
                }
            }
            _ => {}
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    #[test]
    fn blocks_in_c_are_found() {
        let text = "a\n```c\nint x;\nint y;\n```\n```console\n$ b\n```\n```c\nz\n```\n```text\n```\n";
        assert_eq!(super::blocks_in(text, "c"), [(3, "int x;\nint y;\n".to_owned()), (10, "z\n".to_owned())]);
        assert_eq!(super::blocks_in(text, "text"), [(13, String::new())]);
    }

    #[test]
    fn the_header_s_example_is_found() {
        let header =
            "/**\n * EXAMPLE\n *\n *     int main(void) {\n *       f();\n *     }\n *\n * Save.\n */\n";
        let code = super::example_in(header);
        assert_eq!(code, "     int main(void) {\n       f();\n     }\n\n");
    }
}
