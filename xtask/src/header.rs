//! `cargo xtask header`: the committed headers, reference page and bindings' parts are what `generate/` makes.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::cargo::{self, MESSAGES};
use crate::library::{PACKAGE, SANDBOX_PACKAGE};
use crate::{Result, files, generate, notices, workspace};

/// A committed header, and the text that belongs into it.
pub struct Header {
    pub name: &'static str,
    pub file: PathBuf,
    pub generated: String,
}

impl Header {
    /// What differs, in a few lines; `None`: nothing.
    pub fn difference(&self) -> Option<String> {
        let committed = files::read(&self.file).unwrap_or_default();
        (committed != self.generated).then(|| difference(&committed, &self.generated))
    }
}

pub fn run(words: &[String]) -> Result<ExitCode> {
    let only_check = match words {
        [] => false,
        [word] if word == "--check" => true,
        _ => return Err("it takes --check or nothing".to_owned()),
    };
    let mut stale = Vec::new();
    for header in generate()? {
        match header.difference() {
            None => println!("{} is up to date", header.name),
            Some(difference) if only_check => {
                println!("{} is stale:\n{difference}", header.name);
                stale.push(header.name);
            }
            Some(_) => {
                files::write(&header.file, &header.generated)?;
                println!("{} is renewed", header.name);
            }
        }
    }
    if stale.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(format!("run `cargo xtask header` for {}", stale.join(", ")))
}

/// Lets the build scripts run and takes what they wrote.
pub fn generate() -> Result<Vec<Header>> {
    let built =
        cargo::build(&["check", "--locked", "--package", PACKAGE, "--package", SANDBOX_PACKAGE, MESSAGES])?;
    let header = |package, name: &'static str| -> Result<Header> {
        let file = workspace::root().join(name);
        let generated = built.out_dir(package)?.join(file.file_name().unwrap_or_default());
        Ok(Header { name, generated: files::read(&generated)?, file })
    };
    let mfa = header(PACKAGE, "include/mfa.h")?;
    let made_of_it = generate::files(&mfa.generated)?;
    let mut all = vec![mfa, header(SANDBOX_PACKAGE, "sandbox/include/mfa_sandbox.h")?];
    let place = |name| workspace::root().join(name);
    all.extend(made_of_it.into_iter().map(|(name, generated)| Header { name, file: place(name), generated }));
    all.push(Header { name: notices::FILE, file: place(notices::FILE), generated: notices::text()? });
    Ok(all)
}

/// The lines between the first and the last difference, old and new, a few of each.
fn difference(old: &str, new: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let same_start = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[same_start..], &new[same_start..]);
    let same_end = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    let mut text = format!("  from line {}:\n", same_start + 1);
    for (sign, lines) in [('-', &old[..old.len() - same_end]), ('+', &new[..new.len() - same_end])] {
        lines.iter().take(10).for_each(|line| text.push_str(&format!("  {sign} {line}\n")));
        if lines.len() > 10 {
            text.push_str(&format!("  {sign} and {} lines more\n", lines.len() - 10));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_difference_is_short() {
        assert_eq!(super::difference("a\nb\nc\n", "a\nx\ny\nc\n"), "  from line 2:\n  - b\n  + x\n  + y\n");
        assert_eq!(super::difference("a\n", "a\nb\n"), "  from line 2:\n  + b\n");
    }
}
