//! `cargo xtask test`: every test and check of the repository, and a table of what ran.
//!
//! A step is data: a name, the area that it belongs to, and a function. Each file in `test/`
//! brings the steps of one area; a new language is a new file and a line in `AREAS`.
//!
//!     cargo xtask test --only c-gcc-shared --program story --debug   # one C program, in seconds
//!     cargo xtask test --program story                               # the same in every variant
//!     cargo xtask test --only python -- -k cancel                    # pytest's own arguments
//!     cargo xtask test --platforms                                   # other systems, too
//!     cargo xtask test --lanes 1                                     # one after the other, printed as they go

mod abi;
mod bindings;
mod c_programs;
mod cpp_names;
mod cpp_programs;
mod csharp;
mod csharp_packages;
mod dist;
mod elsewhere;
mod examples;
mod headers;
mod lanes;
mod linux;
mod packaging;
mod phone;
mod release;
mod report;
mod rules;
mod rust;
mod samples;
mod server_example;
mod setup;
mod site;
mod symbols;
mod thread_sanitizer;
mod windows;

use std::cell::OnceCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use crate::Result;
use crate::files;
use crate::library::{self, Library};
use report::{Report, Row};

/// Every area, in the order in which they run: what fails soonest and is cheapest comes first. Lanes begin at both
/// ends, so the short steps that can fill the last minutes are in the middle.
const AREAS: &[fn() -> Vec<Step>] = &[
    rust::steps,
    headers::steps,
    symbols::steps,
    abi::steps,
    thread_sanitizer::steps,
    c_programs::steps,
    cpp_programs::steps,
    examples::steps,
    samples::steps,
    site::steps,
    packaging::steps,
    release::steps,
    dist::steps,
    elsewhere::steps,
    phone::steps,
    bindings::steps,
    csharp::steps,
    csharp_packages::steps,
    rules::steps,
    linux::steps,
    windows::steps,
];

/// One row of the table.
pub struct Step {
    name: String,
    area: &'static str,
    /// The programs that it consists of, by name, if it can run them one by one.
    programs: Vec<String>,
    /// Whether what stands behind `--` is for it.
    takes_arguments: bool,
    when: When,
    /// It puts its own builds in the place of those that others use.
    alone: bool,
    run: Box<StepFunction>,
}

impl Step {
    fn with_programs(self, programs: Vec<String>) -> Self {
        Self { programs, ..self }
    }

    fn with_arguments(self) -> Self {
        Self { takes_arguments: true, ..self }
    }

    fn of_another_platform(self) -> Self {
        Self { when: When::Platforms, ..self }
    }

    fn alone(self) -> Self {
        Self { alone: true, ..self }
    }

    fn of_a_release(self) -> Self {
        Self { when: When::Named, ..self }
    }
}

/// Whether a step runs where none is named.
#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    Always,
    /// It is about another system than this one: with `--platforms`.
    Platforms,
    /// Before a release, and too long for every change.
    Named,
}

/// Fills the report with what it found; an error is a failure of the step itself.
type StepFunction = dyn Fn(&Context, &mut Report) -> Result + Send + Sync;

fn step(
    area: &'static str,
    name: impl Into<String>,
    run: impl Fn(&Context, &mut Report) -> Result + Send + Sync + 'static,
) -> Step {
    Step {
        name: name.into(),
        area,
        programs: Vec::new(),
        takes_arguments: false,
        when: When::Always,
        alone: false,
        run: Box::new(run),
    }
}

/// What several steps use, built when the first one asks for it.
struct Context {
    options: Options,
    library: OnceCell<Result<Library>>,
    sandbox: OnceCell<Result<PathBuf>>,
}

impl Context {
    fn new(options: Options) -> Self {
        Self { options, library: OnceCell::new(), sandbox: OnceCell::new() }
    }

    /// The library under test: as its users get it, or the debug build.
    fn library(&self) -> Result<&Library> {
        let build = || {
            if self.options.debug { Ok(library::build_debug()?.0) } else { library::build_release() }
        };
        self.library.get_or_init(build).as_ref().map_err(Clone::clone)
    }

    /// The sandbox's program. Whoever needs a sandbox starts one of its own: they keep state, and
    /// the same tokens mean the same people.
    fn sandbox(&self) -> Result<&Path> {
        let build = || {
            let (_, program) = library::build_debug()?;
            // Another lane may have it built anew, by which for a moment there is none.
            let own = |record: &PathBuf| files::own_copy(&program, &record.with_file_name("sandbox"));
            self.options.record.as_ref().map_or(Ok(program.clone()), own)
        };
        let program = self.sandbox.get_or_init(build);
        program.as_deref().map_err(Clone::clone)
    }

    /// Whether this program is to be run.
    fn wants(&self, program: &str) -> bool {
        let wanted = &self.options.programs;
        wanted.is_empty() || wanted.iter().any(|name| name == program)
    }
}

#[derive(Debug, Default, PartialEq)]
struct Options {
    /// What is missing may be installed.
    setup: bool,
    list: bool,
    /// Also the steps of other systems.
    platforms: bool,
    /// A quick look: the debug build of the library.
    debug: bool,
    /// How many steps at a time.
    lanes: Option<usize>,
    /// Where one lane's step leaves what it found.
    record: Option<PathBuf>,
    only: Vec<String>,
    programs: Vec<String>,
    /// For the runner of the one step that was chosen.
    arguments: Vec<String>,
}

pub fn run(words: &[String]) -> Result<ExitCode> {
    let options = parse(words)?;
    let steps = selected(all_steps(), &options)?;
    if options.list {
        steps.iter().for_each(list);
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(record) = options.record.clone() {
        return record_step(&steps, Context::new(options), &record);
    }
    if options.setup {
        setup::install(steps.iter().any(|step| step.when == When::Platforms))?;
    }
    let debug = options.debug;
    let lanes = options.lanes.unwrap_or_else(|| if steps.len() > 1 { lanes::by_default() } else { 1 });
    let rows = if lanes > 1 {
        lanes::run(&steps, &options, lanes)?
    } else {
        let context = Context::new(options);
        steps.iter().map(|step| run_step(step, &context)).collect()
    };
    report::print(&rows);
    if debug {
        println!("(with the debug build of the library)");
    }
    let failed = rows.iter().any(|row| !row.report.failures.is_empty());
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn record_step(steps: &[Step], context: Context, record: &Path) -> Result<ExitCode> {
    let [step] = steps else { return Err("--record is for one step".to_owned()) };
    let row = run_step(step, &context);
    files::write(record, &row.report.to_json())?;
    Ok(ExitCode::SUCCESS)
}

fn parse(words: &[String]) -> Result<Options> {
    let mut options = Options::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--setup" => options.setup = true,
            "--list" => options.list = true,
            "--platforms" => options.platforms = true,
            "--debug" => options.debug = true,
            "--lanes" => {
                let number = words.next().and_then(|word| word.parse().ok()).filter(|number| *number > 0);
                options.lanes = Some(number.ok_or("--lanes needs a number")?);
            }
            "--record" => options.record = Some(words.next().ok_or("--record needs a file")?.into()),
            "--only" => options.only.push(words.next().ok_or("--only needs a step's name")?.clone()),
            "--program" => options.programs.push(words.next().ok_or("--program needs a name")?.clone()),
            "--" => options.arguments.extend(words.by_ref().cloned()),
            other => return Err(format!("it does not know '{other}'")),
        }
    }
    Ok(options)
}

fn all_steps() -> Vec<Step> {
    AREAS.iter().flat_map(|area| area()).collect()
}

fn list(step: &Step) {
    let programs = step.programs.join(" ");
    println!("{}", format!("{:<18} {:<10} {programs}", step.name, step.area).trim_end());
}

fn selected(mut steps: Vec<Step>, options: &Options) -> Result<Vec<Step>> {
    if options.only.is_empty() && !options.list {
        steps.retain(|step| match step.when {
            When::Always => true,
            When::Platforms => options.platforms,
            When::Named => false,
        });
    }
    keep_named(&mut steps, &options.only)?;
    keep_with_programs(&mut steps, &options.programs)?;
    match steps[..] {
        _ if options.arguments.is_empty() => Ok(steps),
        [Step { takes_arguments: true, .. }] => Ok(steps),
        _ => Err("what stands behind -- is for one step: name it with --only, and one that takes arguments \
                  (python, csharp, cargo-test)"
            .to_owned()),
    }
}

/// The steps whose name is, or contains, one of the wanted names; all if none is named.
fn keep_named(steps: &mut Vec<Step>, only: &[String]) -> Result {
    if only.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = steps.iter().map(|step| step.name.clone()).collect();
    for name in only {
        if !names.iter().any(|step| step.contains(name.as_str())) {
            return Err(format!("there is no step '{name}' among {}", names.join(", ")));
        }
    }
    let exact = |step: &Step| only.contains(&step.name);
    let part = |step: &Step, name: &String| step.name.contains(name.as_str());
    steps.retain(|step| exact(step) || only.iter().any(|name| !names.contains(name) && part(step, name)));
    Ok(())
}

/// The steps that have one of these programs; all if none is named.
fn keep_with_programs(steps: &mut Vec<Step>, wanted: &[String]) -> Result {
    for name in wanted {
        if !steps.iter().any(|step| step.programs.contains(name)) {
            let mut known: Vec<_> = steps.iter().flat_map(|step| step.programs.clone()).collect();
            known.sort();
            known.dedup();
            return Err(format!("there is no program '{name}' among {}", known.join(", ")));
        }
    }
    steps.retain(|step| wanted.is_empty() || wanted.iter().any(|name| step.programs.contains(name)));
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    fn names(line: &str) -> Result<String> {
        let nothing = |_: &Context, _: &mut Report| Ok(());
        let programs = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let steps = vec![
            step("Rust", "fmt", nothing),
            step("C", "c-gcc", nothing).with_programs(programs(&["story", "cancel"])),
            step("C", "c-gcc-static", nothing).with_programs(programs(&["story"])),
            step("bindings", "python", nothing).with_arguments(),
            step("Windows", "windows-c", nothing).of_another_platform(),
            step("packaging", "reproducible", nothing).of_a_release(),
        ];
        let selected = selected(steps, &parsed(line)?)?;
        Ok(selected.into_iter().map(|step| step.name).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn steps_are_selected_by_name_and_by_program() {
        assert_eq!(names("").unwrap(), "fmt c-gcc c-gcc-static python");
        assert_eq!(names("--platforms").unwrap(), "fmt c-gcc c-gcc-static python windows-c");
        assert_eq!(names("--only windows").unwrap(), "windows-c");
        assert_eq!(names("--only reproducible").unwrap(), "reproducible");
        assert_eq!(names("--only gcc").unwrap(), "c-gcc c-gcc-static");
        assert_eq!(names("--only c-gcc").unwrap(), "c-gcc");
        assert_eq!(names("--program story").unwrap(), "c-gcc c-gcc-static");
        assert_eq!(names("--only gcc --program cancel").unwrap(), "c-gcc");
        for line in
            ["--only nothing", "--program nothing", "--only python --program story", "--only", "--what"]
        {
            assert!(names(line).is_err(), "{line}");
        }
    }

    #[test]
    fn the_workflows_name_steps_that_there_are() {
        let folder = crate::workspace::root().join(".github/workflows");
        let known: Vec<_> = all_steps().into_iter().map(|step| step.name).collect();
        let mut named = 0;
        for file in crate::files::with_extension(&folder, "yml") {
            let text = crate::files::read(&file).unwrap();
            for name in text.split("--only ").skip(1).filter_map(|rest| rest.split_whitespace().next()) {
                assert!(known.iter().any(|step| step == name), "{}: {name}", file.display());
                named += 1;
            }
        }
        assert!(named > 0);
    }

    #[test]
    fn arguments_are_for_one_step_that_takes_them() {
        assert_eq!(
            parsed("--only python -- -k cancel --setup").unwrap().arguments,
            ["-k", "cancel", "--setup"]
        );
        assert_eq!(names("--only python -- -k cancel").unwrap(), "python");
        for line in ["-- -k cancel", "--only fmt -- -k cancel", "--only c-gcc -- -k cancel"] {
            assert!(names(line).is_err(), "{line}");
        }
    }
}
