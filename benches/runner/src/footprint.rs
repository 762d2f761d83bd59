//! What a subject takes apart from its calls: the time to the first one, memory, and disk space.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::programs::{Programs, Subject, loaded_with};
use super::report::{Report, Table};
use super::statistics::median;
use super::{Plan, TRANSPORTS};
use crate::Result;

/// Each in a process of its own, by turns.
pub fn first_call(programs: &Programs, plan: &Plan, report: &mut Report) -> Result {
    let mut times = Vec::new();
    for _ in 0..plan.first_calls {
        for transport in TRANSPORTS {
            for subject in programs.subjects.iter().filter(|subject| subject.has(transport)) {
                let said = programs.start(*subject)?.ask(&format!("first {}", transport.name()))?;
                times.push((*subject, transport, said.number("wall_ns")? / 1e6));
            }
        }
    }
    let mut table = Table::new(
        "The first call",
        &format!(
            "From dlopen to the first answer in a fresh process (Python: from before the imports), medians of \
             {} in ms.",
            plan.first_calls
        ),
    );
    table.head(["subject", "plain", "TLS"].map(str::to_owned));
    let mut data = Vec::new();
    for subject in &programs.subjects {
        let mut row = vec![subject.name().to_owned()];
        for transport in TRANSPORTS {
            let of_it = times.iter().filter(|(s, t, _)| s == subject && *t == transport);
            let of_it: Vec<f64> = of_it.map(|(_, _, ms)| *ms).collect();
            row.push(if of_it.is_empty() { "-".to_owned() } else { format!("{:.2}", median(of_it.clone())) });
            data.push(json!({
                "subject": subject.name(),
                "transport": transport.name(),
                "ms": of_it,
            }));
        }
        table.row(row);
    }
    report.table(table);
    report.data("first_call", data.into());
    Ok(())
}

const FEW: usize = 50;
const MANY: usize = 250;

/// So many connections at once, then idle; two counts, so that what a client holds once falls out.
pub fn idle_connections(programs: &Programs, _: &Plan, report: &mut Report) -> Result {
    let mut table = Table::new(
        "Memory",
        &format!(
            "Heap in use for each idle connection, by the difference between {MANY} and {FEW} connections, in \
             kB. libcurl's is a handle with its connection: the easy interface keeps one in each."
        ),
    );
    table.head(["subject", "plain", "TLS"].map(str::to_owned));
    let mut data = Vec::new();
    for subject in programs.subjects.iter().filter(|subject| !subject.is_python()) {
        let mut row = vec![subject.name().to_owned()];
        for transport in TRANSPORTS {
            if !subject.has(transport) {
                row.push("-".to_owned());
                continue;
            }
            let bytes = |count: usize| {
                let mut driver = programs.start_counted(*subject)?;
                driver.ask(&format!("idle {} {count}", transport.name()))?.number("bytes")
            };
            let each = (bytes(MANY)? - bytes(FEW)?) / (MANY - FEW) as f64;
            row.push(format!("{:.1}", each / 1e3));
            if *subject == Subject::Mfa {
                report.figure(&format!("idle_kb {}", transport.name()), each / 1e3);
            }
            data.push(json!({
                "subject": subject.name(),
                "transport": transport.name(),
                "bytes": each,
            }));
        }
        table.row(row);
    }
    report.table(table);
    report.data("idle_connections", data.into());
    Ok(())
}

/// On every Debian system, whatever else is installed.
const ALWAYS_THERE: &[&str] =
    &["libc.so", "libm.so", "libgcc_s.so", "libpthread.so", "libdl.so", "librt.so", "ld-linux"];

pub fn size_on_disk(programs: &Programs, _: &Plan, report: &mut Report) -> Result {
    let mut table = Table::new(
        "Size on disk",
        "The shared libraries that a program needs with it, without libc's and libgcc_s, in MB (10^6 bytes).",
    );
    table.head(["subject", "libraries", "MB"].map(str::to_owned));
    let own = fs::canonicalize(&programs.library.shared).map_err(|e| e.to_string())?;
    let size = megabytes(&own)?;
    table.row([Subject::Mfa.name().to_owned(), "libmfa.so alone".to_owned(), format!("{size:.2}")]);
    report.figure("size_mb", size);
    let mut data = vec![json!({"subject": Subject::Mfa.name(), "mb": size})];
    if let Some(previous) = &programs.previous {
        let (name, before) = (Subject::MfaPrevious.name(), megabytes(&previous.library.shared)?);
        report.figure("more_kb", (size - before) * 1e3);
        let size = before;
        table.row([name.to_owned(), "libmfa.so alone".to_owned(), format!("{size:.2}")]);
        data.push(json!({"subject": name, "mb": size}));
    }
    if programs.subjects.contains(&Subject::Curl) {
        let needed = needed_by(&programs.file(Subject::Curl))?;
        let sizes = needed.iter().map(|file| megabytes(file)).collect::<Result<Vec<_>>>()?;
        let sum: f64 = sizes.into_iter().sum();
        let what = format!("libcurl.so, libcjson.so and {} more", needed.len().saturating_sub(2));
        table.row([Subject::Curl.name().to_owned(), what, format!("{sum:.2}")]);
        data.push(json!({
            "subject": Subject::Curl.name(),
            "libraries": needed.len(),
            "mb": sum,
        }));
    }
    report.table(table);
    report.data("size_on_disk", data.into());
    Ok(())
}

fn needed_by(file: &Path) -> Result<BTreeSet<PathBuf>> {
    let is_extra = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        !ALWAYS_THERE.iter().any(|start| name.starts_with(start))
    };
    let files = loaded_with(file)?.into_iter().filter(is_extra);
    Ok(files.filter_map(|file| fs::canonicalize(file).ok()).collect())
}

fn megabytes(file: &Path) -> Result<f64> {
    let data = fs::metadata(file).map_err(|e| format!("{}: {e}", file.display()))?;
    Ok(data.len() as f64 / 1e6)
}
