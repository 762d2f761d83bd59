//! Somebody else's client signs off on the protocols: curl sends each documented exchange of `exchanges.txt` to the
//! program, and the answers are compared byte by byte, in normal mode and in `--strict`.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

const TABLE: &str = include_str!("exchanges.txt");
/// Every call of the providers' that the sandbox plays.
const PATHS: [&str; 6] = [
    "/mfa-client/availability-check",
    "/2fa/types/get",
    "/mfa-client/transaction/start/v2",
    "/mfa-client/transaction/status-get",
    "/mfa-client/transaction/cancel",
    "/auth/v1/mfa/token/isMfaRegistered",
];

struct Exchange<'t> {
    name: &'t str,
    before: Vec<&'t str>,
    method: &'t str,
    path: &'t str,
    headers: Vec<&'t str>,
    body: &'t str,
    answers: Vec<Expected<'t>>,
}

struct Expected<'t> {
    mode: &'t str,
    status: &'t str,
    kind: &'t str,
    body: &'t str,
}

fn table() -> Vec<Exchange<'static>> {
    TABLE.split("\n---\n").skip(1).map(exchange).collect()
}

fn exchange(block: &'static str) -> Exchange<'static> {
    let mut lines = block.trim_end().lines();
    let name = lines.next().unwrap().strip_prefix("# ").expect("a name");
    let mut lines = lines.peekable();
    let mut before = Vec::new();
    while let Some(call) = lines.peek().and_then(|line| line.strip_prefix("! ")) {
        before.push(call);
        lines.next();
    }
    let (method, path) = lines.next().unwrap().split_once(' ').expect("a request");
    let headers = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    let mut body = "";
    if lines.peek().is_some_and(|line| !line.starts_with("=> ")) {
        body = lines.next().unwrap();
    }
    let mut answers = Vec::new();
    while let Some(line) = lines.next() {
        let words: Vec<_> = line.split(' ').collect();
        let ["=>", mode, status, kind] = words[..] else { panic!("{name}: {line}") };
        answers.push(Expected { mode, status, kind, body: lines.next().expect("a body") });
    }
    Exchange { name, before, method, path, headers, body, answers }
}

/// The program; it ends with the test, however that ends.
struct Sandbox {
    child: Child,
    base: String,
    control: String,
    key: String,
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Sandbox {
    fn start(options: &[&str]) -> Sandbox {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mfa-sandbox"))
            .arg("--stop-with-stdin")
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let said: Vec<_> = lines.take_while(|line| !line.starts_with("ready")).collect();
        let value = |name: &str| {
            let line = said.iter().find_map(|line| line.strip_prefix(&format!("{name}: ")));
            line.unwrap_or_else(|| panic!("it did not say {name}")).to_owned()
        };
        let (base, control, key) = (value("hyperid"), value("control"), value("control-key"));
        Sandbox { child, base, control, key }
    }

    /// What stands behind "!".
    fn prepare(&self, call: &str) {
        let words: Vec<_> = call.split(' ').collect();
        let (name, body) = match words[..] {
            ["first-id", id] => ("first-id", format!(r#"{{"first_id":{id}}}"#)),
            ["reset", id] => ("reset", format!(r#"{{"first_id":{id}}}"#)),
            ["decide", id, what] => ("decide", format!(r#"{{"transaction_id":{id},"decision":"{what}"}}"#)),
            ["revoke-token", token] => ("revoke-token", format!(r#"{{"token":"{token}"}}"#)),
            _ => panic!("no such preparation: {call}"),
        };
        let key = format!("Sandbox-Key: {}", self.key);
        let answer = curl(
            "POST",
            &format!("{}/{name}", self.control),
            &[&key, "Content-Type: application/json"],
            &body,
        );
        assert_eq!((answer.status.as_str(), answer.body.as_str()), ("200", "{}"), "{call}");
    }
}

struct Answer {
    status: String,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (n, value) = line.split_once(':')?;
            n.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

fn curl(method: &str, url: &str, headers: &[&str], body: &str) -> Answer {
    let mut command = Command::new("curl");
    command.args([
        "--silent",
        "--show-error",
        "--include",
        "--http1.1",
        "--noproxy",
        "*",
        "--max-time",
        "30",
    ]);
    command.args(["--request", method, "--url", url]);
    if method == "POST" {
        command.args(["--data-binary", "@-"]);
    }
    // curl would call it a form.
    if !headers.iter().any(|header| header.starts_with("Content-Type:")) {
        command.args(["--header", "Content-Type:"]);
    }
    for header in headers {
        command.args(["--header", header]);
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("curl starts");
    child.stdin.take().unwrap().write_all(body.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{url}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).expect("a status").to_owned();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

fn check(sandbox: &Sandbox, exchange: &Exchange, mode: &str) -> Result<(), String> {
    exchange.before.iter().for_each(|call| sandbox.prepare(call));
    let url = format!("{}{}", sandbox.base, exchange.path);
    let answer = curl(exchange.method, &url, &exchange.headers, exchange.body);
    let expected = exchange.answers.iter().find(|expected| ["both", mode].contains(&expected.mode));
    let expected = expected.ok_or("no answer is expected")?;
    let kind = answer.header("content-type").unwrap_or("").split(';').next().unwrap_or("");
    let body = expected.body.replace("{base}", &sandbox.base);
    let same = match body.strip_prefix('~') {
        Some(part) => answer.body.contains(part),
        None => answer.body == body,
    };
    if answer.status != expected.status || kind != expected.kind || !same {
        let Expected { status, kind, .. } = expected;
        return Err(format!("expected {status} {kind} {body}, got {}\n{}", answer.head, answer.body));
    }
    // What only one mode lets pass is said in the other; and nothing else is.
    let unusual = mode == "normal" && expected.mode == "normal";
    match answer.header("sandbox-unusual") {
        Some(_) if !unusual => Err("it is called unusual".to_owned()),
        None if unusual => Err("it is not called unusual".to_owned()),
        _ => Ok(()),
    }
}

fn check_all(mode: &str, options: &[&str]) {
    if Command::new("curl").arg("--version").output().is_err() {
        return eprintln!("skipped: no curl");
    }
    let sandbox = Sandbox::start(options);
    let failed: Vec<_> = table()
        .iter()
        .filter_map(|exchange| Some(format!("{}: {}", exchange.name, check(&sandbox, exchange, mode).err()?)))
        .collect();
    assert!(failed.is_empty(), "{mode}:\n{}", failed.join("\n\n"));
}

#[test]
fn curl_gets_each_documented_answer() {
    check_all("normal", &[]);
}

#[test]
fn curl_gets_each_documented_answer_of_a_strict_one() {
    check_all("strict", &["--strict"]);
}

/// Each number that the documentation has for each call is in the table.
#[test]
fn nothing_documented_is_left_out() {
    let mut seen = BTreeSet::new();
    for exchange in table() {
        for answer in &exchange.answers {
            let digits = |key: &str| {
                let rest = answer.body.split_once(key)?.1;
                let end = rest.find(|c: char| c != '-' && !c.is_ascii_digit()).unwrap_or(rest.len());
                rest[..end].parse::<i64>().ok()
            };
            seen.extend(digits("\"result\":").map(|number| (exchange.path, number)));
            seen.extend(digits("\"code\":").map(|number| (exchange.path, number)));
            seen.extend(digits("\"transaction_status\":").map(|number| ("status", number)));
        }
    }
    let [availability, types, start, status, cancel, registered] = PATHS;
    let of_its_own: [(&str, &[i64]); 7] = [
        (availability, &[0]),
        (types, &[0]),
        (start, &[0, -7, -8]),
        (status, &[0, -6]),
        (cancel, &[0, -6, -8, -9, -10]),
        (registered, &[200, 404, 401, 1504, 1508, 1513, 1519, 1529]),
        ("status", &[0, 1, 2, 3, 4]),
    ];
    let of_all = PATHS[..5].iter().flat_map(|path| (-5..=-1).map(move |number| (*path, number)));
    let own =
        of_its_own.iter().flat_map(|(path, numbers)| numbers.iter().map(move |number| (*path, *number)));
    let missing: Vec<_> = of_all.chain(own).filter(|wanted| !seen.contains(wanted)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(table().len() > 100, "the table was not read whole");
}
