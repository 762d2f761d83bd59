//! The program: starts a sandbox, prints where it is, and stays.
#![deny(unsafe_code)]

use std::io::{self, IsTerminal, Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use mfa_sandbox::{BRAND_WITH_MFA, BRAND_WITHOUT_MFA, LARGEST_FIRST_ID, Options, Sandbox, help_text};

const USAGE: &str = "\
mfa-sandbox: a local server that plays HyperID's and Capillary's MFA services

usage: mfa-sandbox [options]
  --port N                 listen on this port (default: any free one)
  --life SECONDS           how long a request waits for the person (default: 120)
  --tls                    https with a certification authority new in every run
  --ca-out FILE            write that authority's certificate here (with --tls)
  --lan                    listen on every interface, to use a real phone; the
                           phone page's address then holds a secret
  --capillary-http-status  Capillary's codes under the HTTP status as well
  --strict                 refuse what the provider's own clients send beside the
                           documentation (else: a header Sandbox-Unusual says it)
  --first-id N             the first transaction's id (default: another one in every
                           run, too large for 32 bits)
  --any-token PERSON       any token that nobody issued is PERSON's; one shaped as a
                           JWT is that of its `sub`. The phone page decides
  --allow-origin ORIGIN    this web page may call the providers' paths (CORS), as in
                           http://localhost:3000; can be given several times
  --control-key KEY        the key of the interface for tests, at least 16 characters
                           (default: another one in every run)
  --log, --quiet           a line on the standard error for each request, or none
                           (default: if it is a terminal)
  --stop-with-stdin        end when the standard input is closed
  --help                   this text
  --version                the version

The addresses are printed on the standard output, one `name: value` a line, and
after `ready: yes` the server answers.

Access tokens choose what happens: sandbox-BEHAVIOUR[+BEHAVIOUR...][#PERSON]
Each BEHAVIOUR may end in *TIMES (only the first so many requests) and then in
@ENDPOINT[,ENDPOINT...] (availability, types, start, status, cancel, registered).
Tokens with the same #PERSON are the same person's.

Tests in any language decide, add people and tokens, and read what arrived at the
address `control`, with the header `Sandbox-Key: ` and the key `control-key`:
sandbox/README.md lists the calls. The behaviours:

";

#[derive(Default)]
struct Arguments {
    options: Options,
    ca_out: Option<String>,
    stop_with_stdin: bool,
}

enum Command {
    Run(Box<Arguments>),
    Help,
    Version,
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(Command::Run(arguments)) => arguments,
        // A closed pipe behind `--help | head` is no failure.
        Ok(Command::Help) => return done(write!(io::stdout(), "{USAGE}{}", help_text())),
        Ok(Command::Version) => {
            return done(writeln!(io::stdout(), "mfa-sandbox {}", env!("CARGO_PKG_VERSION")));
        }
        Err(why) => {
            eprintln!("mfa-sandbox: {why}; see --help");
            return ExitCode::from(2);
        }
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mfa-sandbox: {error}");
            ExitCode::FAILURE
        }
    }
}

fn done(_: io::Result<()>) -> ExitCode {
    ExitCode::SUCCESS
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Command, String> {
    let mut arguments = Arguments::default();
    arguments.options.log = io::stderr().is_terminal();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--help" | "-h" => return Ok(Command::Help),
            "--version" => return Ok(Command::Version),
            "--port" => arguments.options.port = number(&value()?)?,
            "--life" => arguments.options.life = Duration::from_secs(number(&value()?)?),
            "--tls" => arguments.options.tls = true,
            "--ca-out" => arguments.ca_out = Some(value()?),
            "--lan" => arguments.options.lan = true,
            "--capillary-http-status" => arguments.options.capillary_http_status = true,
            "--strict" => arguments.options.strict = true,
            "--first-id" => arguments.options.first_id = Some(first_id(&value()?)?),
            "--any-token" => arguments.options.any_token = Some(value()?),
            "--allow-origin" => arguments.options.allow_origins.push(value()?),
            "--control-key" => arguments.options.control_key = Some(value()?),
            "--log" => arguments.options.log = true,
            "--quiet" => arguments.options.log = false,
            "--stop-with-stdin" => arguments.stop_with_stdin = true,
            other => return Err(unknown(other)),
        }
    }
    if arguments.ca_out.is_some() && !arguments.options.tls {
        return Err("--ca-out needs --tls".to_owned());
    }
    Ok(Command::Run(Box::new(arguments)))
}

fn unknown(word: &str) -> String {
    match word.split_once('=') {
        Some((option, value)) => format!("unknown option {word}; it is written {option} {value}"),
        None => format!("unknown option {word}"),
    }
}

fn first_id(text: &str) -> Result<i64, String> {
    let fits = |id: &i64| (1..=LARGEST_FIRST_ID).contains(id);
    number(text).ok().filter(fits).ok_or(format!("'{text}' is not 1 to {LARGEST_FIRST_ID}"))
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("'{text}' is not a fitting number"))
}

fn run(arguments: &Arguments) -> io::Result<()> {
    let sandbox = Sandbox::start(arguments.options.clone())?;
    if let (Some(file), Some(pem)) = (&arguments.ca_out, sandbox.ca_pem()) {
        std::fs::write(file, pem)?;
    }
    print_addresses(&sandbox, arguments.ca_out.as_deref())?;
    if arguments.options.tls && arguments.ca_out.is_none() {
        eprintln!("mfa-sandbox: without --ca-out no client can check the certificate");
    }
    if arguments.stop_with_stdin {
        return wait_for_end_of_stdin();
    }
    loop {
        // A signal ends the process; the system closes what is open.
        std::thread::park();
    }
}

/// Stable: programs read these lines. New ones may join them before `ready`.
fn print_addresses(sandbox: &Sandbox, ca: Option<&str>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "hyperid: {}", sandbox.hyperid_url())?;
    writeln!(out, "capillary: {}", sandbox.capillary_url())?;
    writeln!(out, "phone: {}", sandbox.phone_url())?;
    if let Some(file) = ca {
        writeln!(out, "ca: {file}")?;
    }
    writeln!(out, "token: sandbox-phone")?;
    writeln!(out, "brand: {BRAND_WITH_MFA}")?;
    writeln!(out, "brand-without-mfa: {BRAND_WITHOUT_MFA}")?;
    writeln!(out, "control: {}", sandbox.control_url())?;
    writeln!(out, "control-key: {}", sandbox.control_key())?;
    writeln!(out, "ready: yes")?;
    out.flush()
}

fn wait_for_end_of_stdin() -> io::Result<()> {
    let mut sink = [0; 1024];
    let mut stdin = io::stdin().lock();
    loop {
        match stdin.read(&mut sink) {
            Ok(0) => return Ok(()),
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
    }
}
