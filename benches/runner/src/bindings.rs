//! What a call costs in Python and in C# above what it costs in C: each binding measures that itself.

use std::process::Command;

use serde_json::json;

use super::Plan;
use super::programs::Programs;
use super::report::{Report, Table};
use crate::process::{self, Show};
use crate::{Result, library, workspace};

pub fn measure(_: &Programs, _: &Plan, report: &mut Report) -> Result {
    let library = library::build_release()?.shared;
    let script = |path: &str| {
        let mut command = Command::new("python3");
        command.arg(workspace::root().join(path)).arg("--library").arg(&library);
        command
    };
    let python = script("bindings/python/bench.py");
    let mut csharp = Command::new("dotnet");
    csharp.current_dir(workspace::root().join("bindings/csharp"));
    csharp.args(["run", "--project", "bench", "--configuration", "Release", "--"]).arg(&library);

    let mut table = Table::new("The bindings", "As each binding's own benchmark prints it.");
    table.head(["language", "what it says"].map(str::to_owned));
    let mut data = Vec::new();
    for (language, mut command) in [("Python", python), ("C#", csharp)] {
        let finished = process::run(&mut command, Show::Nothing, process::LIMIT)?;
        let finished = finished.expect_success(&format!("the benchmark of {language}"))?;
        for line in finished.stdout.lines().map(str::trim).filter(|line| !line.is_empty()) {
            table.row([language.to_owned(), line.replace('|', "\\|")]);
        }
        data.push(json!({"language": language, "output": finished.stdout}));
    }
    report.table(table);
    report.data("bindings", data.into());
    Ok(())
}
