//! `examples/c/server.c` beyond one run: it is told to stop, and the next run goes on.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::report::Report;
use crate::c_compiler::program;
use crate::process::{self, Finished, Running, Show};
use crate::sandbox::Sandbox;
use crate::{Result, files, workspace};

pub const NAME: &str = "server";
const ASKED: &str = "All requests are on the phones.";
const PERHAPS_ASKED: &str = "a request may have reached your phone";
const FIRST_LINE: &str = "people asked by libmfa's server example\n";

pub fn check(example: &Path, sandbox: &Path, report: &mut Report) -> Result {
    let notes = workspace::scratch("server-example")?.join("notes");
    let tried = Tried { example, sandbox: Sandbox::start(sandbox)?, notes };
    report.check("server: without --url nobody is asked", tried.asks_no_one_by_omission());
    report.check("server: a restart loses no answer", tried.goes_on_after_a_restart());
    report.check("server: a token that cannot be used loses no request", tried.keeps_what_it_cannot_read());
    report.check("server: a refused token is replaced", tried.replaces_a_refused_token());
    report.check("server: what stays on the phone is said", tried.tells_what_stays_on_the_phone());
    report.check("server: without a file a signal withdraws all", tried.withdraws_without_a_file());
    report.check("server: who may have been asked is told so", tried.tells_of_unknown_outcomes());
    report.check("server: half a line is no id", tried.ignores_half_a_line());
    report.check("server: another's file is left alone", tried.leaves_other_files_alone());
    Ok(())
}

struct Tried<'a> {
    example: &'a Path,
    sandbox: Sandbox,
    notes: PathBuf,
}

impl Tried<'_> {
    fn asks_no_one_by_omission(&self) -> Result {
        let mut command = program(self.example);
        command.env("MFA_BASE_URL", self.sandbox.get("hyperid")?).env("MFA_TOKEN", "sandbox-approve");
        ends_with(&process::run(&mut command, Show::Nothing, process::LIMIT)?, 2, "usage:")
    }

    fn goes_on_after_a_restart(&self) -> Result {
        files::write(&self.notes, "")?;
        // Long enough for two hundred starts on a busy machine; who is quicker is counted.
        let token = "sandbox-approve-after-4000";
        let stopped = stop(&mut self.with_notes(token, 200)?, "TERM")?;
        let (before, left) = (count(&stopped.stdout, "approved")?, count(&stopped.stdout, "go on")?);
        if stopped.code() != Some(3) || left == 0 || before + left != 200 {
            return Err(tail(&stopped));
        }
        let resumed = process::run(&mut self.with_notes(token, 0)?, Show::Nothing, process::LIMIT)?;
        let third = process::run(&mut self.with_notes(token, 0)?, Show::Nothing, process::LIMIT)?;
        let is_over = third.code() == Some(0) && count(&third.stdout, "approved")? == 0;
        if resumed.code() != Some(0) || count(&resumed.stdout, "approved")? != left || !is_over {
            return Err(format!("{}\n{}", tail(&resumed), tail(&third)));
        }
        Ok(())
    }

    /// The run in between can go on with nothing; the one after it can.
    fn keeps_what_it_cannot_read(&self) -> Result {
        files::write(&self.notes, "")?;
        let token = "sandbox-approve-after-4000";
        let stopped = stop(&mut self.with_notes(token, 20)?, "TERM")?;
        let left = count(&stopped.stdout, "go on")?;
        let refused = process::run(&mut self.with_notes("Bearer of it", 0)?, Show::Nothing, process::LIMIT)?;
        ends_with(&refused, 2, "MFA_ERR_INVALID_ARGUMENT")?;
        let resumed = process::run(&mut self.with_notes(token, 0)?, Show::Nothing, process::LIMIT)?;
        if left == 0 || resumed.code() != Some(0) || count(&resumed.stdout, "approved")? != left {
            return Err(format!("{}\n{}\n{}", tail(&stopped), tail(&refused), tail(&resumed)));
        }
        Ok(())
    }

    fn replaces_a_refused_token(&self) -> Result {
        let expires = "sandbox-token-expires-after-3+approve-after-1500";
        let mut command = self.command(&format!("{expires}#ann"), 6)?;
        ends_with(&process::run(&mut command, Show::Nothing, process::LIMIT)?, 2, "MFA_ERR_TOKEN_EXPIRED")?;
        let mut command = self.command(&format!("{expires}#bob"), 6)?;
        command.args(["--fresh-token", "sandbox-approve#bob"]);
        let replaced = process::run(&mut command, Show::Nothing, process::LIMIT)?;
        ends_with(&replaced, 0, "MFA_ERR_TOKEN_EXPIRED")?;
        ends_with(&replaced, 0, "6 approved")
    }

    fn tells_what_stays_on_the_phone(&self) -> Result {
        let mut command = self.command("sandbox-never+wrong-id@status", 2)?;
        ends_with(
            &process::run(&mut command, Show::Nothing, process::LIMIT)?,
            2,
            "may still be on your phone",
        )
    }

    fn withdraws_without_a_file(&self) -> Result {
        let stopped = stop(&mut self.command("sandbox-phone", 20)?, "INT")?;
        let withdrawn = stopped.output.matches("your request was taken back").count();
        if withdrawn != 20 {
            return Err(tail(&stopped));
        }
        ends_with(&stopped, 3, " 0 go on")
    }

    fn tells_of_unknown_outcomes(&self) -> Result {
        let mut lost = self.command("sandbox-lose-start", 3)?;
        let lost = process::run(&mut lost, Show::Nothing, process::LIMIT)?;
        ends_with(&lost, 1, PERHAPS_ASKED)?;
        ends_with(&lost, 1, " 3 of unknown outcome")?;
        // The last run died between asking and learning the id.
        self.begin_notes(&format!("asking 7 {}\n", in_two_minutes()?))?;
        let mut next = self.with_notes("sandbox-approve", 0)?;
        ends_with(&process::run(&mut next, Show::Nothing, process::LIMIT)?, 1, PERHAPS_ASKED)?;
        ends_with(&process::run(&mut next, Show::Nothing, process::LIMIT)?, 0, " 0 of unknown outcome")
    }

    fn ignores_half_a_line(&self) -> Result {
        self.begin_notes(&format!("asking 7 {}\nstarted 7 42949", in_two_minutes()?))?;
        let mut next = self.with_notes("sandbox-approve", 0)?;
        ends_with(&process::run(&mut next, Show::Nothing, process::LIMIT)?, 1, PERHAPS_ASKED)
    }

    fn leaves_other_files_alone(&self) -> Result {
        let lines = format!("{FIRST_LINE}started 0 1\n");
        for text in ["a", "a\n", FIRST_LINE.trim_end(), lines.as_str()] {
            files::write(&self.notes, text)?;
            let mut command = self.with_notes("sandbox-approve", 1)?;
            let refused = process::run(&mut command, Show::Nothing, process::LIMIT)?;
            ends_with(&refused, 2, "left alone")?;
            if files::read(&self.notes)? != text {
                return Err(format!("{text:?} was changed"));
            }
        }
        Ok(())
    }

    fn begin_notes(&self, lines: &str) -> Result {
        files::write(&self.notes, &(FIRST_LINE.to_owned() + lines))
    }

    fn command(&self, token: &str, people: u32) -> Result<Command> {
        let mut command = program(self.example);
        command.args(["--url", self.sandbox.get("hyperid")?, "--people", &people.to_string()]);
        command.env("MFA_TOKEN", token);
        Ok(command)
    }

    fn with_notes(&self, token: &str, people: u32) -> Result<Command> {
        let mut command = self.command(token, people)?;
        command.arg("--save").arg(&self.notes);
        Ok(command)
    }
}

/// Runs it, and sends it the signal as soon as all are asked.
fn stop(command: &mut Command, signal: &str) -> Result<Finished> {
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut process = Running(spawned.map_err(|e| e.to_string())?);
    let stdout = process.0.stdout.take().expect("its standard output is piped");
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(std::result::Result::ok) {
            let _ = sender.send(line);
        }
    });
    let deadline = Instant::now() + process::LIMIT;
    let mut output = String::new();
    while let Ok(line) = lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        output.push_str(&line);
        output.push('\n');
        if line == ASKED {
            send(signal, process.0.id())?;
        }
    }
    // It has closed its output, and so is ending; else its time is over, and it is killed.
    let status = if Instant::now() < deadline { process.0.wait().ok() } else { None };
    Ok(Finished { status, stdout: output.clone(), output })
}

fn send(signal: &str, id: u32) -> Result {
    process::output(Command::new("sh").arg("-c").arg(format!("kill -{signal} {id}"))).map(drop)
}

/// The number before the words in the last line.
fn count(output: &str, words: &str) -> Result<u32> {
    let last = output.lines().last().unwrap_or_default();
    let part = last.trim_end_matches('.').split(", ").find_map(|part| part.strip_suffix(words));
    part.and_then(|number| number.trim().parse().ok()).ok_or(format!("no number of '{words}' in '{last}'"))
}

fn ends_with(finished: &Finished, code: i32, text: &str) -> Result {
    if finished.code() == Some(code) && finished.output.contains(text) {
        return Ok(());
    }
    Err(format!("not {code} with '{text}': {}", tail(finished)))
}

fn tail(finished: &Finished) -> String {
    format!("{}\n{}", finished.ending(), process::last_lines(&finished.output, 10))
}

fn in_two_minutes() -> Result<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|e| e.to_string())?;
    Ok(now.as_secs() + 120)
}
