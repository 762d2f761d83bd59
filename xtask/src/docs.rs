//! `cargo xtask docs`: the pages of `docs/`, and a reference made of the sources, as a site.
//!
//! Sphinx makes it of a copy, in which the pages lie as in the repository, so that a link leads to the same
//! place on GitHub and on the site. Any warning of its is an error, and so is a link that leads nowhere.

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::process::{self, Show};
use crate::{Result, files, generate, workspace};

/// What Sphinx needs, in which versions.
const REQUIREMENTS: &str = "docs/requirements.txt";
/// The pages, and the files and folders that they may lead to.
const SOURCES: &[&str] = &[
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "THIRD-PARTY-NOTICES.txt",
    "deny.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "docs",
    "include",
    "examples",
    "sandbox/README.md",
    "bindings/python/README.md",
    "bindings/csharp/README.md",
    "bindings/csharp/BUILDING.md",
    "benches/README.md",
    "benches/c",
    "benches/python",
    "benches/server",
    "tests/abi/CHANGES.md",
    "tests/abi/README.md",
];
/// What stands beside every page. GitHub would show it as code, so that it joins `docs/index.md` in the copy.
const NAVIGATION: &str = "
```{toctree}
:hidden:
:caption: Guide
first-check
confirm
server
tokens
testing
security
moving
```

```{toctree}
:hidden:
:caption: Reference
codes
reference/c
reference/cpp
reference/python
reference/csharp
```

```{toctree}
:hidden:
:caption: More
C++ </examples/cpp/README>
Python </bindings/python/README>
C# </bindings/csharp/README>
The sandbox </sandbox/README>
README </README>
architecture
/CHANGELOG
Reporting a vulnerability </SECURITY>
/CONTRIBUTING
```
";
/// The bindings' sources, by language, of which their pages are made.
const BINDINGS: &[(&str, &[&str])] = &[
    ("cpp", &["include/mfa.hpp"]),
    ("python", &["bindings/python/src/mfa_client"]),
    ("csharp", &["bindings/csharp/MfaClient", "bindings/csharp/MfaClient.Testing"]),
];

pub fn run(words: &[String]) -> Result<ExitCode> {
    if !words.is_empty() {
        return Err("it takes no arguments".to_owned());
    }
    let python = environment(true)?.ok_or("python3 is not installed")?;
    println!("{}", build(&python)?.join("docs/index.html").display());
    Ok(ExitCode::SUCCESS)
}

/// The Python of an environment that has what is needed; `None`: there is none, and it may not be made.
pub fn environment(may_install: bool) -> Result<Option<PathBuf>> {
    let folder = workspace::scratch("docs-environment")?;
    let python = folder.join("bin/python3");
    let (wanted, done) = (workspace::root().join(REQUIREMENTS), folder.join("installed"));
    let list = files::read(&wanted)?;
    if std::fs::read_to_string(&done).is_ok_and(|there| there == list) {
        return Ok(Some(python));
    }
    let Some(system) = process::find("python3").filter(|_| may_install) else { return Ok(None) };
    let run = |command: &mut Command| {
        process::run(command, Show::Nothing, process::LIMIT * 2)?.expect_success("making the environment")
    };
    run(Command::new(system).args(["-m", "venv", "--clear"]).arg(&folder))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    run(Command::new(&python).args(pip).arg(wanted))?;
    files::write(&done, &list)?;
    Ok(Some(python))
}

/// Builds the site, looks at its links, and says where it is.
pub fn build(python: &Path) -> Result<PathBuf> {
    let folder = workspace::empty_scratch("docs")?;
    let (source, site) = (folder.join("source"), folder.join("site"));
    lay_out(&source)?;
    write_reference(python, &source.join("docs/reference"))?;
    let index = source.join("docs/index.md");
    files::write(&index, &(files::read(&index)? + NAVIGATION))?;
    let mut sphinx = Command::new(python);
    sphinx.args(["-m", "sphinx", "--builder", "html", "--fail-on-warning", "--keep-going", "--quiet"]);
    sphinx.arg("--conf-dir").arg(source.join("docs")).arg(&source).arg(&site);
    process::run(&mut sphinx, Show::Nothing, process::LIMIT)?.expect_success("sphinx")?;
    let start =
        "<!doctype html><meta http-equiv=refresh content=\"0;url=docs/index.html\"><title>libmfa</title>\n";
    files::write(&site.join("index.html"), start)?;
    let dead = dead_links(&site)?;
    if dead.is_empty() { Ok(site) } else { Err(format!("links that lead nowhere:\n{}", dead.join("\n"))) }
}

fn lay_out(source: &Path) -> Result {
    for name in SOURCES {
        let from = workspace::root().join(name);
        let all = if from.is_dir() { files::below(&from, &is_built) } else { vec![from] };
        for file in all {
            let inside = file.strip_prefix(workspace::root()).unwrap_or(&file);
            let place = source.join(inside);
            files::create_folder(place.parent().unwrap_or(source))?;
            match file.extension() {
                Some(extension) if extension == "md" => {
                    files::write(&place, &to_pages(&files::read(&file)?, inside.parent()))?;
                }
                _ => files::copy(&file, &place)?,
            }
        }
    }
    Ok(())
}

/// What compilers leave beside the examples.
fn is_built(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    let is_of_cargo = path.parent().is_some_and(|folder| folder.ends_with("src"));
    ["obj", "__pycache__", "build"].iter().any(|skip| name == *skip) || (name == "bin" && !is_of_cargo)
}

/// GitHub shows a folder's README where a link leads to the folder; here the link leads to the page itself.
fn to_pages(text: &str, folder: Option<&Path>) -> String {
    let folder = workspace::root().join(folder.unwrap_or(Path::new("")));
    let mut parts = text.split("](");
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (target, rest) = part.split_once(')').unwrap_or((part, ""));
        let page = folder.join(target).join("README.md");
        let is_folder = !target.contains(':') && !target.contains('#') && page.is_file();
        let addition = if is_folder { "/README.md" } else { "" };
        result.push_str(&format!(
            "]({}{addition}",
            target.trim_end_matches(if is_folder { '/' } else { '\0' })
        ));
        if part.contains(')') {
            result.push_str(&format!("){rest}"));
        }
    }
    result
}

fn write_reference(python: &Path, folder: &Path) -> Result {
    files::create_folder(folder)?;
    let header = files::read(&workspace::root().join("include/mfa.h"))?;
    files::write(&folder.join("c.md"), &generate::reference::c(&header)?)?;
    for (language, sources) in BINDINGS {
        let sources: Vec<_> = sources.iter().map(|source| workspace::root().join(source)).collect();
        files::write(&folder.join(format!("{language}.md")), &binding_page(python, language, &sources)?)?;
    }
    Ok(())
}

/// The reference page of a binding, made of its sources. An error: something public has no text.
pub fn binding_page(python: &Path, language: &str, sources: &[PathBuf]) -> Result<String> {
    let mut command = Command::new(python);
    command.arg("-B").arg(workspace::root().join("docs/bindings_reference.py")).arg(language);
    process::output(command.args(sources))
}

/// What each page of the site links to, and is not there: a file, or a place in a page.
fn dead_links(site: &Path) -> Result<Vec<String>> {
    let pages = files::below(site, &|path| path.file_name().is_some_and(|name| name == "_static"));
    let pages: Vec<_> =
        pages.into_iter().filter(|page| page.extension().is_some_and(|e| e == "html")).collect();
    let mut places: HashMap<PathBuf, HashSet<String>> = HashMap::new();
    let mut links = Vec::new();
    for page in &pages {
        let text = files::read(page)?;
        places.insert(page.clone(), attributes(&text, "id").map(str::to_owned).collect());
        links.extend(attributes(&text, "href").map(|link| (page, link.to_owned())));
    }
    let mut dead: Vec<_> = links
        .into_iter()
        .filter(|(page, link)| !leads_somewhere(page, link, &places))
        .map(|(page, link)| format!("{}: {link}", page.strip_prefix(site).unwrap_or(page).display()))
        .collect();
    dead.sort();
    dead.dedup();
    Ok(dead)
}

fn leads_somewhere(page: &Path, link: &str, places: &HashMap<PathBuf, HashSet<String>>) -> bool {
    let is_elsewhere = ["https:", "http:", "mailto:"].iter().any(|scheme| link.starts_with(scheme));
    if is_elsewhere || link == "#" {
        return true;
    }
    let (file, place) = link.split_once('#').unwrap_or((link, ""));
    let file = file.split('?').next().unwrap_or_default();
    let target = if file.is_empty() { page.to_owned() } else { plain(&page.with_file_name(file)) };
    let Some(known) = places.get(&target) else { return place.is_empty() && target.is_file() };
    place.is_empty() || known.contains(&decoded(place))
}

/// Without `..`, as the pages are listed.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        if part == Component::ParentDir {
            plain.pop();
        } else {
            plain.push(part)
        }
        plain
    })
}

fn attributes<'a>(html: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let start = format!(" {name}=\"");
    let parts: Vec<&'a str> = html.split(start.as_str()).skip(1).collect();
    parts.into_iter().filter_map(|part| part.split('"').next())
}

fn decoded(place: &str) -> String {
    place.replace("&amp;", "&").replace("%E2%80%93", "–")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_links_are_found() {
        let site = workspace::empty_scratch("docs-links").unwrap();
        files::create_folder(&site.join("docs")).unwrap();
        files::write(&site.join("picture.png"), "").unwrap();
        files::write(&site.join("a.html"), "<h1 id=\"top\"></h1>").unwrap();
        let page = "<a href=\"../a.html#top\"><a href=\"../a.html#bottom\"><a href=\"../picture.png\">\
                    <a href=\"b.html\"><a href=\"#here\" id=\"here\"><a href=\"https://example.com/#x\">";
        files::write(&site.join("docs/c.html"), page).unwrap();
        assert_eq!(dead_links(&site).unwrap(), ["docs/c.html: ../a.html#bottom", "docs/c.html: b.html"]);
    }

    #[test]
    fn a_link_to_a_folder_leads_to_its_page() {
        let text = "[a](examples/c) [b](examples/c/README.md) [c](https://x.y/z) [d](include/mfa.h)";
        let pages =
            "[a](examples/c/README.md) [b](examples/c/README.md) [c](https://x.y/z) [d](include/mfa.h)";
        assert_eq!(to_pages(text, None), pages);
    }
}
