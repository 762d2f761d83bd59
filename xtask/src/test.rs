//! `cargo xtask test`: every test and check of the repository, and a table of what ran.
//!
//! A step is data: a name, the area that it belongs to, and a function. Each file in `test/`
//! brings the steps of one area; a new language is a new file and a line in `AREAS`.

mod abi;
mod bindings;
mod c_programs;
mod cpp_programs;
mod examples;
mod headers;
mod packaging;
mod readme;
mod report;
mod rules;
mod rust;
mod setup;
mod symbols;

use std::cell::OnceCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use crate::Result;
use crate::library::{self, Library};
use report::{Report, Row};

/// Every area, in the order in which they run: what fails soonest and is cheapest comes first.
const AREAS: &[fn() -> Vec<Step>] = &[
    rust::steps,
    headers::steps,
    symbols::steps,
    abi::steps,
    c_programs::steps,
    cpp_programs::steps,
    examples::steps,
    readme::steps,
    packaging::steps,
    bindings::steps,
    rules::steps,
];

/// One row of the table.
pub struct Step {
    name: String,
    area: &'static str,
    run: Box<StepFunction>,
}

/// Tells the report what it found; an error is a failure of the step itself.
type StepFunction = dyn Fn(&Context, &mut Report) -> Result;

fn step(
    area: &'static str,
    name: impl Into<String>,
    run: impl Fn(&Context, &mut Report) -> Result + 'static,
) -> Step {
    Step { name: name.into(), area, run: Box::new(run) }
}

/// What several steps use, built when the first one asks for it.
#[derive(Default)]
pub struct Context {
    release: OnceCell<Result<Library>>,
    sandbox: OnceCell<Result<PathBuf>>,
    /// What is missing may be installed.
    setup: bool,
}

impl Context {
    /// The release build of the library.
    fn release(&self) -> Result<&Library> {
        let built = self.release.get_or_init(library::build_release);
        built.as_ref().map_err(Clone::clone)
    }

    /// The sandbox's program. Whoever needs a sandbox starts one of its own: they keep state, and
    /// the same tokens mean the same people.
    fn sandbox(&self) -> Result<&Path> {
        let build = || library::build_debug().map(|(_, program)| program);
        let program = self.sandbox.get_or_init(build);
        program.as_deref().map_err(Clone::clone)
    }
}

#[derive(Default)]
struct Options {
    setup: bool,
    list: bool,
    only: Vec<String>,
}

pub fn run(words: &[String]) -> Result<ExitCode> {
    let options = parse(words)?;
    let steps = chosen(&options.only)?;
    if options.list {
        steps.iter().for_each(|step| println!("{:<18} {}", step.name, step.area));
        return Ok(ExitCode::SUCCESS);
    }
    if options.setup {
        setup::install()?;
    }
    let context = Context { setup: options.setup, ..Context::default() };
    let rows: Vec<_> = steps.iter().map(|step| run_step(step, &context)).collect();
    report::print(&rows);
    let failed = rows.iter().any(|row| !row.report.failures.is_empty());
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn parse(words: &[String]) -> Result<Options> {
    let mut options = Options::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--setup" => options.setup = true,
            "--list" => options.list = true,
            "--only" => options.only.push(words.next().ok_or("--only needs a step's name")?.clone()),
            other => return Err(format!("it does not know '{other}'")),
        }
    }
    Ok(options)
}

/// The steps whose name is, or contains, one of the wanted names; all if none is named.
fn chosen(only: &[String]) -> Result<Vec<Step>> {
    let mut steps: Vec<_> = AREAS.iter().flat_map(|area| area()).collect();
    if only.is_empty() {
        return Ok(steps);
    }
    for name in only {
        if !steps.iter().any(|step| step.name.contains(name.as_str())) {
            let names: Vec<_> = steps.iter().map(|step| step.name.as_str()).collect();
            return Err(format!("there is no step '{name}' among {}", names.join(", ")));
        }
    }
    let exact = |step: &Step| only.contains(&step.name);
    let part = |step: &Step, name: &String| step.name.contains(name.as_str());
    let names: Vec<_> = steps.iter().map(|step| step.name.clone()).collect();
    steps.retain(|step| exact(step) || only.iter().any(|name| !names.contains(name) && part(step, name)));
    Ok(steps)
}

/// A step that fails, or panics, is a row like any other: the next one runs all the same.
fn run_step(step: &Step, context: &Context) -> Row {
    println!("\n== {} ({})", step.name, step.area);
    let started = Instant::now();
    let mut report = Report::new();
    let ended = catch_unwind(AssertUnwindSafe(|| (step.run)(context, &mut report)));
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(why)) => report.fail(&step.name, &why),
        Err(_) => report.fail(&step.name, "the step itself panicked"),
    }
    Row { name: step.name.clone(), area: step.area, report, took: started.elapsed() }
}
