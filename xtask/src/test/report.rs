//! What a step found, and the table of all of them.

use std::env;
use std::time::Duration;

use serde_json::{Value, json};

/// A sentence long enough for the table; the whole text stands above it.
const NOTE_WIDTH: usize = 70;

pub struct Report {
    /// In CI everything can be installed, so what was left out is a failure there.
    skips_fail: bool,
    passed: usize,
    skipped: usize,
    pub failures: Vec<String>,
    notes: Vec<String>,
}

pub struct Row {
    pub name: String,
    pub area: &'static str,
    pub report: Report,
    pub took: Duration,
}

impl Report {
    pub fn new() -> Self {
        let ci = env::var("CI").is_ok_and(|value| !value.is_empty() && value != "false");
        Self { skips_fail: ci, passed: 0, skipped: 0, failures: Vec::new(), notes: Vec::new() }
    }

    pub fn pass(&mut self, what: &str) {
        println!("   ok      {what}");
        self.passed += 1;
    }

    pub fn fail(&mut self, what: &str, why: &str) {
        println!("   FAILED  {what}: {why}");
        self.failures.push(format!("{what}: {why}"));
    }

    pub fn check(&mut self, what: &str, outcome: crate::Result) {
        match outcome {
            Ok(()) => self.pass(what),
            Err(why) => self.fail(what, &why),
        }
    }

    /// Takes over what a test program counted itself and has printed already.
    pub fn count(&mut self, passed: usize, skipped: usize) {
        self.passed += passed;
        self.skipped += skipped;
    }

    /// Something that the tests need is not installed, though it could be.
    pub fn skip(&mut self, what: &str, why: &str) {
        if self.skips_fail {
            self.fail(what, &format!("{why}; CI leaves nothing out"));
        } else {
            self.unavailable(what, why);
        }
    }

    /// Something cannot be had here at all, whoever asks.
    pub fn unavailable(&mut self, what: &str, why: &str) {
        println!("   skipped {what}: {why}");
        self.skipped += 1;
        self.note(format!("{what}: {why}"));
    }

    pub fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// What one process tells another of it.
    pub fn to_json(&self) -> String {
        let Self { skips_fail: _, passed, skipped, failures, notes } = self;
        json!({ "passed": passed, "skipped": skipped, "failures": failures, "notes": notes }).to_string()
    }

    pub fn from_json(text: &str) -> crate::Result<Self> {
        let told: Value = serde_json::from_str(text).map_err(|e| format!("its report: {e}"))?;
        let number = |name: &str| told[name].as_u64().and_then(|number| usize::try_from(number).ok());
        let texts = |name: &str| {
            let texts = told[name].as_array()?.iter().map(|text| text.as_str().map(str::to_owned));
            texts.collect::<Option<Vec<_>>>()
        };
        let whole = (number("passed"), number("skipped"), texts("failures"), texts("notes"));
        let (Some(passed), Some(skipped), Some(failures), Some(notes)) = whole else {
            return Err(format!("its report is not whole: {text}"));
        };
        Ok(Self { passed, skipped, failures, notes, ..Self::new() })
    }

    fn result(&self) -> &'static str {
        match (self.failures.is_empty(), self.passed, self.skipped) {
            (false, ..) => "FAILED",
            (true, 0, 1..) => "skipped",
            (true, 0, 0) => "empty",
            _ => "ok",
        }
    }
}

/// The failures, the table, and the sum as the very last line.
pub fn print(rows: &[Row]) {
    if rows.iter().any(|row| !row.report.failures.is_empty()) {
        println!("\nWhat failed:");
    }
    for row in rows {
        row.report.failures.iter().for_each(|failure| println!("  {}: {failure}", row.name));
    }
    let heads = ["step", "area", "result", "passed", "failed", "skipped", "seconds"];
    println!();
    println!("{}", line(heads.map(str::to_owned), "note"));
    for row in rows {
        let r = &row.report;
        let counts = [r.passed, r.failures.len(), r.skipped].map(|n| n.to_string());
        let [passed, failed, skipped] = counts;
        let seconds = format!("{:.1}", row.took.as_secs_f32());
        let cells =
            [row.name.clone(), row.area.to_owned(), r.result().to_owned(), passed, failed, skipped, seconds];
        println!("{}", line(cells, &shortened(&r.notes.join("; "))));
    }
    let sum = |count: fn(&Report) -> usize| rows.iter().map(|row| count(&row.report)).sum::<usize>();
    println!(
        "\n{} passed, {} failed, {} skipped",
        sum(|r| r.passed),
        sum(|r| r.failures.len()),
        sum(|r| r.skipped)
    );
}

fn line(cells: [String; 7], note: &str) -> String {
    let [step, area, result, passed, failed, skipped, seconds] = cells;
    let text = format!(
        "{step:<18} {area:<10} {result:<8} {passed:>6} {failed:>6} {skipped:>7} {seconds:>8}  {note}"
    );
    text.trim_end().to_owned()
}

fn shortened(note: &str) -> String {
    let note = note.replace('\n', " ");
    if note.chars().count() <= NOTE_WIDTH {
        return note;
    }
    note.chars().take(NOTE_WIDTH - 3).collect::<String>() + "..."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_told_whole_or_not_at_all() {
        let mut report = Report::new();
        report.count(3, 1);
        report.fail("what", "why");
        report.note("a note".to_owned());
        let told = Report::from_json(&report.to_json()).unwrap();
        assert_eq!((told.passed, told.skipped), (3, 1));
        assert_eq!((told.failures, told.notes), (report.failures, report.notes));
        for text in ["", "{}", r#"{"passed":1,"skipped":0,"failures":[1],"notes":[]}"#] {
            assert!(Report::from_json(text).is_err(), "{text}");
        }
    }
}
