//! The repository's own rules: where `unsafe` may stand, and that a build leaves the sources alone.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use super::report::Report;
use super::{Context, Step, step};
use crate::process::{self, Show};
use crate::{Result, cargo, files, workspace};

const AREA: &str = "rules";
/// What the rule is about. Tests may use `unsafe` to call the C interface; here the compiler forbids
/// it, and strings speak of it.
const SOURCES: &[&str] = &["src", "sandbox/src", "examples", "build.rs", "sandbox/build.rs"];

pub fn steps() -> Vec<Step> {
    vec![step(AREA, "unsafe", unsafe_code), step(AREA, "read-only-tree", sources_stay_as_they_are)]
}

/// The ABI layers, and the one file that speaks to the system.
fn may_hold_it(file: &str) -> bool {
    let at_home = ["src/ffi/", "src/ffi.rs", "sandbox/src/ffi/", "sandbox/src/ffi"];
    file == "src/sys.rs" || at_home.iter().any(|start| file.starts_with(start))
}

fn unsafe_code(_: &Context, report: &mut Report) -> Result {
    let (mut astray, mut unexplained) = (Vec::new(), Vec::new());
    for file in rust_files() {
        let name = relative(&file);
        let code = Code::of(&files::read(&file)?);
        let lines = code.lines_with_the_word();
        if may_hold_it(&name) {
            let blocks =
                lines.into_iter().filter(|line| code.opens_block(*line) && !code.is_explained(*line));
            unexplained.extend(blocks.map(|line| format!("{name}:{}", line + 1)));
        } else {
            astray.extend(lines.into_iter().map(|line| format!("{name}:{}", line + 1)));
        }
    }
    report.check("`unsafe` stands in the ABI layers and src/sys.rs alone", none(&astray));
    report.check("each unsafe block has its `// SAFETY:`", none(&unexplained));
    Ok(())
}

fn none(places: &[String]) -> Result {
    if places.is_empty() { Ok(()) } else { Err(places.join(", ")) }
}

fn rust_files() -> Vec<PathBuf> {
    let places = SOURCES.iter().map(|place| workspace::root().join(place));
    let files = places.flat_map(|p| if p.is_dir() { files::below(&p, &|_| false) } else { vec![p] });
    files.filter(|file| file.is_file() && file.extension().is_some_and(|e| e == "rs")).collect()
}

fn relative(file: &Path) -> String {
    let file = file.strip_prefix(workspace::root()).unwrap_or(file);
    file.to_string_lossy().replace('\\', "/")
}

/// A file's lines, with and without what stands in comments and strings.
struct Code {
    lines: Vec<String>,
    bare: Vec<String>,
}

impl Code {
    fn of(text: &str) -> Self {
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        let bare = lines.iter().map(|line| bare(line)).collect();
        Self { lines, bare }
    }

    fn lines_with_the_word(&self) -> Vec<usize> {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let has = |line: &String| line.split(|c| !is_part(c)).any(|word| word == WORD);
        (0..self.bare.len()).filter(|at| has(&self.bare[*at])).collect()
    }

    fn opens_block(&self, at: usize) -> bool {
        let behind = self.bare[at].split(WORD).nth(1).unwrap_or_default().trim();
        behind.starts_with('{')
    }

    /// Whether the comment directly above the statement, or above the block, says why it is sound.
    fn is_explained(&self, at: usize) -> bool {
        let mut above = self.lines[..at].iter().map(|line| line.trim()).rev().peekable();
        // The earlier lines of the same statement.
        while above.next_if(|line| !line.starts_with("//") && !line.ends_with([';', '{', '}'])).is_some() {}
        above.take_while(|line| line.starts_with("//")).any(|line| line.starts_with("// SAFETY:"))
    }
}

// In two parts, so that this file does not trip over itself.
const WORD: &str = concat!("un", "safe");

/// A line without its comment and without the contents of its strings. Strings over several lines
/// are not followed; the worst of it is a false alarm, which names the line.
fn bare(line: &str) -> String {
    let mut bare = String::new();
    let mut characters = line.chars().peekable();
    let mut quoted = false;
    while let Some(c) = characters.next() {
        match c {
            '\\' if quoted => drop(characters.next()),
            '"' => quoted = !quoted,
            _ if quoted => {}
            '/' if characters.peek() == Some(&'/') => break,
            // The character literal of a quote opens no string.
            '\'' if characters.peek() == Some(&'"') => drop(characters.next()),
            c => bare.push(c),
        }
    }
    bare
}

/// Builds a copy, because others may be at work in the tree itself, with the same target directory,
/// so that what it depends on is there already.
fn sources_stay_as_they_are(_: &Context, report: &mut Report) -> Result {
    let copy = workspace::empty_scratch("source")?;
    let target = workspace::target()?;
    let skip = |path: &Path| {
        path == target || path.file_name().is_some_and(|name| name == "target" || name == ".git")
    };
    for file in files::below(workspace::root(), &skip) {
        let place = copy.join(relative(&file));
        files::create_folder(place.parent().unwrap_or(&copy))?;
        files::copy(&file, &place)?;
    }
    let before = sums(&copy)?;
    let mut command = cargo::command();
    command.args(["build", "--workspace", "--exclude", "xtask", "--locked"]);
    command.current_dir(&copy).env("CARGO_TARGET_DIR", target);
    let built =
        process::run_tool(&mut command, Show::Live)?.expect_success("cargo build in a copy").map(drop);
    report.check("a copy of the tree builds", built);
    let after = sums(&copy)?;
    let changed = before.keys().chain(after.keys()).filter(|file| before.get(*file) != after.get(*file));
    let changed: std::collections::BTreeSet<_> = changed.cloned().collect();
    report.check("the build leaves each file as it was", none(&changed.into_iter().collect::<Vec<_>>()));
    Ok(())
}

fn sums(folder: &Path) -> Result<BTreeMap<String, u64>> {
    let sum = |file: PathBuf| {
        let bytes = std::fs::read(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        Ok((file.strip_prefix(folder).unwrap_or(&file).to_string_lossy().into_owned(), hasher.finish()))
    };
    files::below(folder, &|_| false).into_iter().map(sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unexplained(text: &str) -> Vec<usize> {
        let code = Code::of(&text.replace("UNSAFE", WORD));
        let lines = code.lines_with_the_word();
        lines.into_iter().filter(|at| code.opens_block(*at) && !code.is_explained(*at)).collect()
    }

    #[test]
    fn a_block_needs_its_comment() {
        assert_eq!(unexplained("let a = 1;\nUNSAFE { b() };\n"), [1]);
        assert!(unexplained("// SAFETY: so.\nUNSAFE { b() };\n").is_empty());
        assert!(unexplained("// SAFETY: so,\n// and so.\nlet a =\n    UNSAFE { b() };\n").is_empty());
        assert_eq!(unexplained("// SAFETY: so.\nlet a = 1;\nUNSAFE { b() };\n"), [2]);
        assert!(unexplained("#![deny(UNSAFE_code)] // UNSAFE {\nlet a = \"UNSAFE {\";\n").is_empty());
    }
}
