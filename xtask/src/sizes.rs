//! The ledger of the library's size: `benches/sizes.txt`.

use std::path::Path;
use std::process::Command;

use crate::{Result, files, process, workspace};

const LEDGER: &str = "benches/sizes.txt";
/// So many per cent more are worth a warning.
const TOO_MUCH: f64 = 2.0;

/// What the ledger says to a size.
#[derive(Debug, PartialEq)]
pub struct Verdict {
    /// "1902280 bytes, +0.3 % on the ledger's 1896600".
    pub text: String,
    pub is_warning: bool,
}

/// Bytes of a shared library without what `strip` takes away. `tools`: before its name, for another machine.
pub fn stripped(library: &Path, tools: &str) -> Result<u64> {
    let file = workspace::scratch("sizes")?.join(format!("{tools}stripped-{}.so", std::process::id()));
    process::output(Command::new(format!("{tools}strip")).arg("-o").arg(&file).arg(library))?;
    let bytes = std::fs::metadata(&file).map(|data| data.len());
    let _ = std::fs::remove_file(&file);
    bytes.map_err(|e| format!("{}: {e}", file.display()))
}

pub fn verdict(target: &str, features: &str, bytes: u64) -> Result<Verdict> {
    Ok(judge(entry(&files::read(&workspace::root().join(LEDGER))?, target, features)?, bytes))
}

fn judge(before: Option<u64>, bytes: u64) -> Verdict {
    let Some(before) = before else {
        return Verdict { text: format!("{bytes} bytes, which {LEDGER} does not know"), is_warning: true };
    };
    let more = (bytes as f64 - before as f64) * 100.0 / before as f64;
    let text = format!("{bytes} bytes, {more:+.1} % on the ledger's {before}");
    Verdict { text, is_warning: more >= TOO_MUCH }
}

fn entry(ledger: &str, target: &str, features: &str) -> Result<Option<u64>> {
    for line in ledger.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let words: Vec<_> = line.split_whitespace().collect();
        let [of, with, bytes] = words[..] else { return Err(format!("{LEDGER}: '{line}'")) };
        if (of, with) == (target, features) {
            return bytes.parse().map(Some).map_err(|e| format!("{LEDGER}: '{line}': {e}"));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEDGER: &str = "# words\na default 1000\na small 500\n";

    #[test]
    fn two_per_cent_more_are_a_warning() {
        let judged = |bytes| judge(entry(LEDGER, "a", "default").unwrap(), bytes);
        assert!(!judged(1019).is_warning && !judged(900).is_warning);
        assert!(judged(1020).is_warning);
        assert_eq!(judged(1019).text, "1019 bytes, +1.9 % on the ledger's 1000");
    }

    #[test]
    fn what_the_ledger_does_not_know_is_told() {
        assert!(judge(entry(LEDGER, "b", "default").unwrap(), 1).is_warning);
        assert!(entry("a default\n", "a", "default").is_err());
        assert!(entry("a default many\n", "a", "default").is_err());
    }
}
