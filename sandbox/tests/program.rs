//! The program: its options, what it prints, how it ends.

mod common;

use common::*;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_mfa-sandbox");

fn output(arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = Command::new(PROGRAM).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// Starts it and reads its lines up to `ready`.
fn started(arguments: &[&str]) -> (Child, Vec<(String, String)>) {
    started_as(Command::new(PROGRAM).args(arguments))
}

fn started_as(command: &mut Command) -> (Child, Vec<(String, String)>) {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = Vec::new();
    while said.last().is_none_or(|(name, _)| name != "ready") {
        let line = lines.next().expect("the program ended").unwrap();
        let (name, value) = line.split_once(": ").expect("name: value");
        said.push((name.to_owned(), value.to_owned()));
    }
    (child, said)
}

/// Closes its input, and sees it end well.
fn stop(mut child: Child) {
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

fn names(said: &[(String, String)]) -> Vec<&str> {
    said.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn it_says_where_it_is_and_ends_with_its_input() {
    let (child, said) = started(&["--stop-with-stdin", "--life", "5"]);
    assert_eq!(
        names(&said),
        [
            "hyperid",
            "capillary",
            "phone",
            "token",
            "brand",
            "brand-without-mfa",
            "control",
            "control-key",
            "ready"
        ]
    );
    let answer = connect(&said[0].1).post(AVAILABILITY, Some(&said[3].1), "{}").unwrap();
    assert_eq!(answer.result(), 0);
    let answer = connect(&said[1].1)
        .post(REGISTERED, None, &registered_body(&said[4].1, "sandbox-registered"))
        .unwrap();
    assert_eq!(answer.code(), 200);
    stop(child);
}

#[test]
fn it_can_be_strict_and_count_from_one() {
    let unusual = r#"{"template_id":1,"values":""}"#;
    for (strict, result) in [(&["--strict"][..], -8), (&[], 0)] {
        let arguments = [&["--stop-with-stdin", "--first-id", "1"], strict].concat();
        let (child, said) = started(&arguments);
        let post = |body| connect(&said[0].1).post(START, Some(&said[3].1), body).unwrap();
        assert_eq!(post(unusual).result(), result);
        let second = post(QUESTION).transaction_id();
        assert_eq!(second, if strict.is_empty() { 2 } else { 1 });
        stop(child);
    }
}

/// What the terminal shows: each request, why it was refused, and who decided. No token that may be a real one, and
/// nothing that would steer the terminal.
#[test]
fn it_logs_each_request() {
    let mut command = Command::new(PROGRAM);
    command.args(["--stop-with-stdin", "--log", "--first-id", "5"]).stderr(Stdio::piped());
    let (mut child, said) = started_as(&mut command);
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut line = || log.next().expect("a line").unwrap();
    let client = || connect(&said[0].1);
    client().post(START, Some("sandbox-phone#ann"), &QUESTION.replace("Pay?", "Pay \u{202e}?")).unwrap();
    let first = line();
    assert!(first.contains("POST /mfa-client/transaction/start/v2 sandbox-phone#ann {"), "{first}");
    assert!(
        first.contains(r"Pay \u{202e}?") && first.ends_with(r#"-> 200 {"result":0,"transaction_id":5}"#),
        "{first}"
    );
    client().post(AVAILABILITY, Some("eyJhbGci.real.token"), "{}").unwrap();
    let refused = line();
    assert!(refused.contains("eyJh…") && refused.contains(r#"{"result":-5} (no such token"#), "{refused}");
    assert!(!refused.contains("real"), "{refused}");
    client().post(REGISTERED, None, &registered_body("demo-brand", "secret-token")).unwrap();
    let capillary = line();
    assert!(capillary.contains("1504") && !capillary.contains("secret"), "{capillary}");
    let _ = client().post(AVAILABILITY, Some("sandbox-lose-answer"), "{}");
    assert!(line().ends_with("[not sent: the connection is closed]"));
    let (control, key) = (&said[6].1, &said[7].1);
    let mut client = connect(control);
    let body = r#"{"transaction_id":5,"decision":"decline"}"#;
    let host = address(control);
    client.send(
        format!(
            "POST /sandbox/v1/decide HTTP/1.1\r\nHost: {host}\r\nSandbox-Key: {key}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .as_bytes(),
    );
    assert_eq!(client.read().unwrap().status, 200);
    assert!(line().ends_with("decline 5: a test"));
    stop(child);
}

#[test]
fn it_is_quiet_if_nobody_looks() {
    let mut command = Command::new(PROGRAM);
    command.args(["--stop-with-stdin"]).stderr(Stdio::piped());
    let (mut child, said) = started_as(&mut command);
    connect(&said[0].1).post(AVAILABILITY, Some("sandbox-phone"), "{}").unwrap();
    let mut log = child.stderr.take().unwrap();
    stop(child);
    let mut text = String::new();
    std::io::Read::read_to_string(&mut log, &mut text).unwrap();
    assert_eq!(text, "");
}

#[test]
fn it_writes_its_authority() {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("ca.pem");
    let name = file.to_str().unwrap();
    let (child, said) = started(&["--stop-with-stdin", "--tls", "--lan", "--ca-out", name]);
    assert_eq!(names(&said)[3], "ca");
    assert!(said[0].1.starts_with("https://127.0.0.1:") && said[2].1.contains("/phone/"));
    assert!(std::fs::read_to_string(&file).unwrap().contains("BEGIN CERTIFICATE"));
    stop(child);
}

#[test]
fn help_lists_the_table() {
    let (code, help, _) = output(&["--help"]);
    assert_eq!(code, 0);
    for row in mfa_sandbox::behaviours() {
        assert!(help.contains(&format!("  {} ", row.usage)), "{}", row.usage);
    }
    assert!(output(&["--version"]).1.starts_with("mfa-sandbox 0."));
}

#[test]
fn wrong_options_are_refused() {
    for wrong in [
        &["--moon"][..],
        &["--port"],
        &["--port", "70000"],
        &["--life", "x"],
        &["--ca-out", "f"],
        &["--first-id", "0"],
        &["--first-id", "9223372036854775807"],
        &["--port=7345"],
        &["--any-token"],
    ] {
        let (code, _, why) = output(wrong);
        assert_eq!(code, 2, "{wrong:?}");
        assert!(why.contains("--help"), "{why}");
    }
    let taken = sandbox();
    let port = taken.address().port().to_string();
    let (code, _, why) = output(&["--port", &port]);
    assert_eq!(code, 1);
    assert!(why.contains(&format!("port {port}: it is taken")), "{why}");
    assert!(output(&["--port=7345"]).2.contains("it is written --port 7345"));
    for (option, value, said) in [
        ("--allow-origin", "*", "is not a page's origin"),
        ("--control-key", "short", "16 to 128"),
        ("--any-token", "", "must have a name"),
    ] {
        let (code, _, why) = output(&[option, value]);
        assert_eq!(code, 1, "{option}");
        assert!(why.contains(said), "{why}");
    }
}
