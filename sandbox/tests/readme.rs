//! What README.md says is there, and its sample for any language runs.

mod common;

use std::process::{Command, Stdio};

use common::*;
use mfa_sandbox::Status;

const README: &str = include_str!("../README.md");

#[test]
fn each_option_is_described() {
    let help = Command::new(env!("CARGO_BIN_EXE_mfa-sandbox")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let usage = help.split("\n\n").nth(1).unwrap();
    let words = usage.split(|c: char| c.is_whitespace() || ",()".contains(c));
    let options: Vec<_> = words.filter(|word| word.starts_with("--")).collect();
    assert!(options.len() > 10, "{options:?}");
    for option in options.iter().filter(|option| !["--help", "--version"].contains(option)) {
        assert!(README.contains(&format!("`{option}")), "README.md lacks {option}");
    }
}

#[test]
fn each_call_of_the_interface_is_described() {
    let sandbox = sandbox();
    let (host, key) = (address(sandbox.control_url()), sandbox.control_key());
    let head = format!("GET /sandbox/v1/moon HTTP/1.1\r\nHost: {host}\r\nSandbox-Key: {key}\r\n");
    let why = exchange(&sandbox, &head, "").json()["error"].as_str().unwrap().to_owned();
    let calls: Vec<_> = why.split_once("there are ").unwrap().1.split(", ").collect();
    assert!(calls.len() > 10, "{calls:?}");
    for call in calls {
        assert!(README.contains(&format!(" {call}`")), "README.md lacks {call}");
    }
}

#[test]
fn each_function_of_c_is_described() {
    let header = include_str!("../include/mfa_sandbox.h");
    let of_c = README.split_once("## From C").unwrap().1;
    for name in
        header.split("mfa_sandbox_").skip(1).filter_map(|rest| rest.split_once('(').map(|(name, _)| name))
    {
        // The version and the sizes are for bindings.
        let is_name = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        if is_name && !["version", "struct_size"].contains(&name) {
            let there =
                of_c.contains(&format!("`_{name}`")) || of_c.contains(&format!("`mfa_sandbox_{name}`"));
            assert!(there, "README.md lacks mfa_sandbox_{name}");
        }
    }
}

#[test]
fn the_sample_for_any_language_runs() {
    if Command::new("curl").arg("--version").output().is_err() {
        return eprintln!("skipped: no curl");
    }
    let sample = README.split_once("```sh\n").unwrap().1.split_once("```").unwrap().0;
    let sandbox = sandbox();
    let mut command = Command::new("sh");
    command
        .args(["-eu", "-c", sample])
        .env("KEY", sandbox.control_key())
        .env("CONTROL", sandbox.control_url());
    command.env("HYPERID", sandbox.hyperid_url()).env("no_proxy", "*").stdin(Stdio::null());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let all = sandbox.transactions();
    assert_eq!(all.len(), 1, "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!((all[0].user.as_str(), all[0].status, all[0].complete_result), ("ann", Status::Completed, 1));
}
