//! The whole run, several steps at a time: many of them wait (for Wine, for .NET, for a timer) more than they
//! compute. Each is a process of its own, `cargo xtask test --only STEP`, whose output is printed in one piece
//! when it ends.

use std::collections::VecDeque;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::report::{Report, Row};
use super::{Options, Step};
use crate::process::{self, Show};
use crate::{Result, files, workspace};

/// Longer than the longest step takes on a slow machine.
const LIMIT: Duration = Duration::from_secs(45 * 60);

/// One that computes, and one or more that wait meanwhile.
pub fn by_default() -> usize {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    if cores == 1 { 1 } else { cores + 1 }
}

/// Runs all of them, and gives their rows in the steps' order.
pub fn run(steps: &[Step], options: &Options, lanes: usize) -> Result<Vec<Row>> {
    let folder = workspace::empty_scratch("lanes")?;
    // Cargo may put another in its place meanwhile.
    let program = folder.join("xtask").with_extension(env::consts::EXE_EXTENSION);
    files::copy(&env::current_exe().map_err(|e| e.to_string())?, &program)?;
    let lane = |number| Lane { program: &program, folder: folder.join(format!("lane-{number}")), options };
    let (alone, beside): (Vec<_>, Vec<_>) = (0..steps.len()).partition(|place| steps[*place].alone);
    let queue = Mutex::new(VecDeque::from(beside));
    let work = |number| {
        let lane = lane(number);
        let mut rows = Vec::new();
        while let Some(place) = next(&queue, number) {
            rows.push((place, lane.run(&steps[place])));
        }
        rows
    };
    let mut rows = thread::scope(|scope| {
        let workers: Vec<_> = (0..lanes).map(|number| scope.spawn(move || work(number))).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a lane panicked")).collect::<Vec<_>>()
    });
    rows.extend(alone.into_iter().map(|place| (place, lane(0).run(&steps[place]))));
    rows.sort_by_key(|(place, _)| *place);
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

/// The first lane begins with what fails soonest, the others with the long steps at the other end: those of
/// other systems, and the bindings. The many short ones between them fill the last minutes.
fn next(queue: &Mutex<VecDeque<usize>>, lane: usize) -> Option<usize> {
    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    if lane == 0 { queue.pop_front() } else { queue.pop_back() }
}

struct Lane<'a> {
    program: &'a Path,
    /// For what is its own.
    folder: PathBuf,
    options: &'a Options,
}

impl Lane<'_> {
    fn run(&self, step: &Step) -> Row {
        let started = Instant::now();
        println!("   begins  {}", step.name);
        let report = self.report_of(step).unwrap_or_else(|why| {
            let mut report = Report::new();
            report.fail(&step.name, &why);
            report
        });
        Row { name: step.name.clone(), area: step.area, report, took: started.elapsed() }
    }

    fn report_of(&self, step: &Step) -> Result<Report> {
        files::create_folder(&self.folder)?;
        let record = self.folder.join("report.json");
        let _ = std::fs::remove_file(&record);
        let mut command = Command::new(self.program);
        command.args(["test", "--only", &step.name, "--record"]).arg(&record);
        command.args(self.options.setup.then_some("--setup")).args(self.options.debug.then_some("--debug"));
        for program in &self.options.programs {
            command.args(["--program", program]);
        }
        let ended = process::run(&mut command, Show::Nothing, LIMIT)?;
        println!("{}", ended.output.trim_end());
        let text =
            files::read(&record).map_err(|_| format!("it ended without a report: {}", ended.ending()))?;
        Report::from_json(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lanes_meet_in_the_middle() {
        let queue = Mutex::new(VecDeque::from([1, 2, 3, 4]));
        let took: Vec<_> = [0, 1, 2, 0, 1].map(|lane| next(&queue, lane)).into();
        assert_eq!(took, [Some(1), Some(4), Some(3), Some(2), None]);
    }
}
