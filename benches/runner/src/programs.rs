//! What is measured and what measures it: built, started, and told where the server is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::driver::Driver;
use super::previous::Previous;
use super::{Transport, setup};
use crate::c_compiler::{Compiler, Link, Program, WARNINGS, program};
use crate::cargo::{self, MESSAGES};
use crate::library::{self, Library};
use crate::sandbox::Sandbox;
use crate::{Result, process, workspace};

const SOURCES: &str = "benches/c";
/// What they share with the C tests is there.
const SHARED_HEADER: &str = "tests/c";
const SERVERS: &str = "bench-server";
const SERVER: &str = "bench_server";
const DRIVER: &str = "throughput";

/// A program or library of `benches/c`.
struct Source {
    name: &'static str,
    flags: &'static [&'static str],
}

const SHARED: &[&str] = &["-shared", "-fPIC", "-Wl,--as-needed"];
/// Before the source, where `--as-needed` would drop them.
const WITH_CURL: &[&str] = &["-shared", "-fPIC", "-Wl,--no-as-needed,-lcurl,-lcjson,--as-needed"];

const PROGRAMS: &[Source] =
    &[Source { name: DRIVER, flags: &["-Wl,--as-needed"] }, Source { name: "alloc_count", flags: SHARED }];

/// Whom a program's author may choose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    Mfa,
    /// The library before a change: where one was named.
    MfaPrevious,
    MfaCancel,
    Curl,
    Bare,
    HttpClient,
    Requests,
}

impl Subject {
    pub fn name(self) -> &'static str {
        match self {
            Subject::Mfa => "libmfa",
            Subject::MfaPrevious => "previous libmfa",
            Subject::MfaCancel => "libmfa with a cancel",
            Subject::Curl => "libcurl + cJSON",
            Subject::Bare => "bare socket",
            Subject::HttpClient => "Python http.client",
            Subject::Requests => "Python requests",
        }
    }

    pub fn has(self, transport: Transport) -> bool {
        self != Subject::Bare || transport == Transport::Plain
    }

    pub fn is_python(self) -> bool {
        matches!(self, Subject::HttpClient | Subject::Requests)
    }

    /// Its source in C, or its name in `compare.py`.
    fn source(self) -> &'static str {
        match self {
            Subject::Mfa | Subject::MfaPrevious => "subject_mfa",
            Subject::MfaCancel => "subject_mfa_cancel",
            Subject::Curl => "subject_curl",
            Subject::Bare => "subject_bare",
            Subject::HttpClient => "http.client",
            Subject::Requests => "requests",
        }
    }

    /// What its source is compiled to.
    fn file_name(self) -> &'static str {
        if self == Subject::MfaPrevious { "subject_mfa_previous" } else { self.source() }
    }

    fn flags(self) -> &'static [&'static str] {
        if self == Subject::Curl { WITH_CURL } else { SHARED }
    }
}

pub struct Programs {
    pub library: Library,
    pub previous: Option<Previous>,
    /// Those that can be measured here, libmfa first.
    pub subjects: Vec<Subject>,
    /// Those that cannot, and why.
    pub missing: Vec<(Subject, String)>,
    compiler: Compiler,
    server: Sandbox,
    binaries: PathBuf,
    python: Option<PathBuf>,
}

impl Programs {
    pub fn build(previous: Option<Previous>) -> Result<Self> {
        let compiler = Compiler::any().ok_or("the benchmarks need a C compiler (gcc or clang)")?;
        let library = library::build_release()?;
        let binaries = workspace::scratch("bench")?;
        let server = Sandbox::start_with(&build_server(SERVER)?, &[])?;
        let python = setup::python();
        let mut subjects = vec![Subject::Mfa];
        // Side by side, so that in each round little time passes between the two.
        subjects.extend(previous.iter().map(|_| Subject::MfaPrevious));
        subjects.extend([Subject::MfaCancel, Subject::Bare]);
        let missing = Vec::new();
        let mut programs = Self { library, previous, subjects, missing, compiler, server, binaries, python };
        PROGRAMS.iter().try_for_each(|source| programs.compile(source.name, source.flags))?;
        for subject in &programs.subjects {
            programs.compile_subject(*subject)?;
        }
        programs.check_whom_each_loads()?;
        programs.add_optional();
        Ok(programs)
    }

    /// What is compared where it is installed.
    fn add_optional(&mut self) {
        let missing = |what: &str| Err(format!("{what} not installed (--setup)"));
        let curl = self.compile_subject(Subject::Curl);
        let requests = setup::has_package("requests");
        let found = [
            (Subject::Curl, curl.or(missing("libcurl's or cJSON's development files are"))),
            (Subject::HttpClient, self.python.as_ref().map_or(missing("python3 is"), |_| Ok(()))),
            (Subject::Requests, if requests { Ok(()) } else { missing("requests is") }),
        ];
        for (subject, found) in found {
            match found {
                Ok(()) => self.subjects.push(subject),
                Err(why) => self.missing.push((subject, why)),
            }
        }
    }

    /// Compiles a file of `benches/c` to a program or a shared library of its name.
    pub fn compile(&self, name: &str, flags: &[&str]) -> Result {
        self.compile_against(&self.library, name, name, flags)
    }

    /// Today's library and the previous one have the same program, compiled with today's header.
    fn compile_subject(&self, subject: Subject) -> Result {
        let library = self.library_of(subject).unwrap_or(&self.library);
        self.compile_against(library, subject.source(), subject.file_name(), subject.flags())
    }

    fn compile_against(&self, library: &Library, name: &str, output: &str, flags: &[&str]) -> Result {
        let source = workspace::root().join(SOURCES).join(format!("{name}.c"));
        let output = self.binaries.join(output);
        let include = workspace::root().join(SHARED_HEADER);
        let include = format!("-I{}", include.display());
        let flags = [&["-std=c99", "-O2", &include], WARNINGS, flags].concat();
        let link = Link::Shared(library);
        self.compiler.compile(&Program { source: &source, output: &output, flags: &flags, link })
    }

    /// The build of libmfa that a subject is about.
    fn library_of(&self, subject: Subject) -> Option<&Library> {
        match subject {
            Subject::Mfa | Subject::MfaCancel => Some(&self.library),
            Subject::MfaPrevious => self.previous.as_ref().map(|previous| &previous.library),
            _ => None,
        }
    }

    /// A library that is compared with itself by mistake would look no slower than it was.
    fn check_whom_each_loads(&self) -> Result {
        if self.previous.is_none() {
            return Ok(());
        }
        for subject in &self.subjects {
            let Some(library) = self.library_of(*subject) else { continue };
            let wanted = fs::canonicalize(&library.shared).map_err(|e| e.to_string())?;
            let loaded = loaded_with(&self.file(*subject))?;
            if !loaded.iter().any(|file| fs::canonicalize(file).is_ok_and(|file| file == wanted)) {
                return Err(format!("{} would not load {}", subject.name(), wanted.display()));
            }
        }
        Ok(())
    }

    /// A fresh process that waits for commands.
    pub fn start(&self, subject: Subject) -> Result<Driver> {
        Driver::start(self.command(subject, &[])?)
    }

    /// The same below another program, such as strace.
    pub fn start_under(&self, watcher: &[&str], subject: Subject) -> Result<Driver> {
        Driver::start(self.command(subject, watcher)?)
    }

    /// The same with its allocations counted.
    pub fn start_counted(&self, subject: Subject) -> Result<Driver> {
        let mut command = self.command(subject, &[])?;
        command.env("LD_PRELOAD", self.binaries.join("alloc_count"));
        Driver::start(command)
    }

    fn command(&self, subject: Subject, watcher: &[&str]) -> Result<Command> {
        let (runner, what) = match &self.python {
            Some(python) if subject.is_python() => {
                let script = workspace::root().join("benches/python/compare.py");
                (vec![python.clone(), script], PathBuf::from(subject.source()))
            }
            _ => (vec![self.binaries.join(DRIVER)], self.file(subject)),
        };
        let mut words = watcher.iter().map(PathBuf::from).chain(runner).chain([what]);
        let mut command = program(&words.next().unwrap_or_default());
        command.args(words);
        for name in ["plain", "tls", "ca"] {
            command.arg(self.server.get(name)?);
        }
        Ok(command)
    }

    /// The shared library of a subject in C.
    pub fn file(&self, subject: Subject) -> PathBuf {
        self.binaries.join(subject.file_name())
    }

    /// Where the server listens in clear.
    pub fn plain_port(&self) -> Result<&str> {
        self.server.get("plain")
    }

    /// A program of its own, compiled and ready to be run.
    pub fn program(&self, name: &str) -> Result<Command> {
        self.compile(name, &[])?;
        Ok(program(&self.binary(name)))
    }

    /// A program that was compiled.
    pub fn binary(&self, name: &str) -> PathBuf {
        self.binaries.join(name)
    }

    /// Where watchers may write.
    pub fn scratch_file(&self, name: &str) -> PathBuf {
        self.binaries.join(name)
    }
}

/// A program of `benches/server`.
pub fn build_server(name: &str) -> Result<PathBuf> {
    let words = ["build", "--locked", "--package", SERVERS, "--bin", name, "--release", MESSAGES];
    cargo::build(&words)?.program(SERVERS, name)
}

/// What a file needs loaded besides itself, as the dynamic loader finds it.
pub fn loaded_with(file: &Path) -> Result<Vec<PathBuf>> {
    let said = process::output(program(Path::new("ldd")).arg(file))?;
    let found = said.lines().filter_map(|line| line.split_once("=> ")?.1.split(" (").next());
    Ok(found.filter(|path| path.starts_with('/')).map(PathBuf::from).collect())
}
