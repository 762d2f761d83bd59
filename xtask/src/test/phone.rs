//! The sandbox's phone page, in a real browser: `sandbox/tests/phone`, by Node's own test runner.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::report::Report;
use super::{Context, Step, step};
use crate::process::{self, Show};
use crate::{Result, files, workspace};

const SOURCE: &str = "sandbox/tests/phone";
/// Which packages are wanted, and in which versions.
const WANTED: [&str; 2] = ["package.json", "package-lock.json"];
const SCRIPTS: [&str; 2] = ["harness.js", "phone.test.js"];
const LIMIT: Duration = Duration::from_secs(600);

pub fn steps() -> Vec<Step> {
    vec![step("sandbox", "phone", phone)]
}

fn phone(context: &Context, report: &mut Report) -> Result {
    let [node, chromium] = ["node", "chromium"].map(process::find);
    let (Some(node), Some(chromium)) = (node, chromium) else {
        report.skip(SOURCE, "Node or Chromium is not installed");
        return Ok(());
    };
    let folder = workspace::scratch("phone")?;
    if !install(&folder, context.options.setup)? {
        report.skip(SOURCE, "its npm packages are not installed: run it once with --setup");
        return Ok(());
    }
    for script in SCRIPTS {
        files::copy(&source(script), &folder.join(script))?;
    }
    let mut command = Command::new(node);
    command.args(["--test", "--test-reporter=tap", "phone.test.js"]).current_dir(&folder);
    command.env("MFA_SANDBOX_PROGRAM", context.sandbox()?).env("MFA_CHROMIUM", chromium);
    let finished = process::run(&mut command, Show::Nothing, LIMIT)?;
    let failed = failures(&finished.output);
    report.count(number(&finished.output, "# pass ").unwrap_or(0), 0);
    if !finished.success() || !failed.is_empty() {
        print!("{}", finished.output);
    }
    for test in &failed {
        report.fail(test, "see its output above");
    }
    match number(&finished.output, "# pass ") {
        _ if !finished.success() && failed.is_empty() => Err(format!("the runner: {}", finished.ending())),
        None | Some(0) if failed.is_empty() => Err("no test ran".to_owned()),
        _ => Ok(()),
    }
}

fn source(name: &str) -> PathBuf {
    workspace::root().join(SOURCE).join(name)
}

/// Whether the packages are there, in the versions that are wanted; in a folder of the build's, so that the sources
/// stay as they are.
fn install(folder: &Path, may: bool) -> Result<bool> {
    let done = folder.join("installed");
    let wanted = files::read(&source(WANTED[1]))?;
    if std::fs::read_to_string(&done).is_ok_and(|there| there == wanted) {
        return Ok(true);
    }
    let Some(npm) = process::find("npm").filter(|_| may) else {
        return Ok(false);
    };
    for name in WANTED {
        files::copy(&source(name), &folder.join(name))?;
    }
    let mut command = Command::new(npm);
    command.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder);
    process::run(&mut command, Show::Live, process::LIMIT)?.expect_success("npm ci")?;
    files::write(&done, &wanted)?;
    Ok(true)
}

/// The tests that failed, without the groups that they are in.
fn failures(tap: &str) -> Vec<String> {
    let failed =
        tap.lines().filter_map(|line| line.strip_prefix("    ")?.trim_start().strip_prefix("not ok "));
    failed.map(|line| line.split_once(" - ").map_or(line, |(_, name)| name).to_owned()).collect()
}

fn number(tap: &str, word: &str) -> Option<usize> {
    tap.lines().find_map(|line| line.strip_prefix(word)?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    #[test]
    fn node_s_report_is_read() {
        let tap = "TAP version 13\n# Subtest: a\n    ok 1 - one\n    not ok 2 - two, too\n      ---\n    1..2\n\
                   not ok 1 - a\n1..1\n# tests 2\n# pass 1\n# fail 1\n";
        assert_eq!(super::failures(tap), ["two, too"]);
        assert_eq!(super::number(tap, "# pass "), Some(1));
        assert_eq!(super::number("", "# pass "), None);
    }
}
