//! What was measured, as Markdown to read and as JSON to keep.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;

use serde_json::{Value, json};

use super::aims;
use super::programs::Programs;
use crate::{Result, process};

pub struct Table {
    title: String,
    about: String,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(title: &str, about: &str) -> Self {
        Self { title: title.to_owned(), about: about.to_owned(), head: Vec::new(), rows: Vec::new() }
    }

    pub fn head(&mut self, cells: impl IntoIterator<Item = String>) {
        self.head = cells.into_iter().collect();
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    fn write(&self, markdown: &mut String) {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let _ = write!(markdown, "\n## {}\n\n{}\n\n", self.title, self.about);
        markdown.push_str(&line(&self.head));
        let _ = writeln!(markdown, "|{}", "---|".repeat(self.head.len()));
        self.rows.iter().for_each(|row| markdown.push_str(&line(row)));
    }
}

pub struct Report {
    /// The machine and the versions, by name.
    about: Vec<(&'static str, String)>,
    tables: Vec<Table>,
    figures: BTreeMap<String, f64>,
    data: Vec<(String, Value)>,
    skipped: Vec<(String, String)>,
}

impl Report {
    pub fn new(programs: &Programs) -> Result<Self> {
        let mut about = machine();
        for subject in &programs.subjects {
            about.push((subject.name(), programs.start(*subject)?.version()?));
        }
        about.extend(
            programs.previous.iter().map(|previous| ("the previous library", previous.origin.clone())),
        );
        let missing = programs.missing.iter();
        let skipped = missing.map(|(subject, why)| (subject.name().to_owned(), why.clone())).collect();
        Ok(Self { about, tables: Vec::new(), figures: BTreeMap::new(), data: Vec::new(), skipped })
    }

    pub fn table(&mut self, table: Table) {
        self.tables.push(table);
    }

    /// A number that an aim may be about.
    pub fn figure(&mut self, name: &str, value: f64) {
        self.figures.insert(name.to_owned(), value);
    }

    /// One that was reported before.
    pub fn known(&self, name: &str) -> Option<f64> {
        self.figures.get(name).copied()
    }

    pub fn data(&mut self, name: &str, data: Value) {
        self.data.push((name.to_owned(), data));
    }

    /// Something that could not be measured here.
    pub fn skipped(&mut self, what: &str, why: &str) {
        eprintln!("   {what} is left out: {why}");
        self.skipped.push((what.to_owned(), why.to_owned()));
    }

    pub fn markdown(&self) -> String {
        let mut markdown = String::from("# What a call costs\n\n| | |\n|---|---|\n");
        for (name, value) in &self.about {
            let _ = writeln!(markdown, "| {name} | {value} |");
        }
        let _ = writeln!(markdown, "| load average at the end | {} |", load());
        for (what, why) in &self.skipped {
            let why = why.lines().next().unwrap_or_default();
            let _ = writeln!(markdown, "| left out: {what} | {why} |");
        }
        aims::table(|name| self.figures.get(name).copied()).write(&mut markdown);
        self.tables.iter().for_each(|table| table.write(&mut markdown));
        markdown
    }

    pub fn json(&self) -> Value {
        let about: BTreeMap<_, _> = self.about.iter().map(|(name, value)| (*name, value)).collect();
        let skipped: Vec<_> =
            self.skipped.iter().map(|(what, why)| json!({"what": what, "why": why})).collect();
        let mut all = json!({"about": about, "figures": self.figures, "skipped": skipped});
        for (name, data) in &self.data {
            all[name] = data.clone();
        }
        all
    }
}

/// What the figures depend on, without what would name the machine.
fn machine() -> Vec<(&'static str, String)> {
    let said = |program: &str, words: &[&str]| {
        let said = process::output(Command::new(program).args(words)).unwrap_or_default();
        said.lines().next().unwrap_or("?").to_owned()
    };
    let cores = std::thread::available_parallelism().map_or("?".to_owned(), |cores| cores.to_string());
    let kernel = said("uname", &["-r"]);
    // The rest of the release may be the owner's own name for it.
    let kernel = kernel.split('-').next().unwrap_or_default();
    vec![
        ("date", said("date", &["-u", "+%Y-%m-%d"])),
        ("processor", processor()),
        ("cores", cores),
        ("kernel", format!("{} {kernel}", said("uname", &["-s"]))),
        ("compilers", format!("{}; {}", said("rustc", &["--version"]), said("cc", &["--version"]))),
        ("load average at the start", load()),
    ]
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(':'));
    name.map_or("?".to_owned(), |(_, name)| name.trim().to_owned())
}

/// Over the last minute. Above the number of cores others were at work beside the benchmarks.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("?").to_owned()
}
