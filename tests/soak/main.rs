//! Many calls on eight threads, and two thousand waits on one waiter, with faults and cancels at random:
//! each returns what its own request deserved, and nothing is left behind.
//!
//! `MFA_SOAK_CALLS` and `MFA_SOAK_WAITS` set how many; the defaults keep an ordinary test run short.

mod calls;
mod provider;
mod waits;

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the process holds is counted: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// A number that is as good as random, and the same in client and server.
fn mixed(id: i64) -> u64 {
    let x = (id as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^ (x >> 29)
}

fn answer(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// `status-get`'s answer.
fn state(id: i64, (status, complete): (i32, i32)) -> String {
    format!(
        r#"{{"result":0,"transaction_id":{id},"transaction_status":{status},"transaction_complete_result":{complete}}}"#
    )
}

// ---- The server, in a process of its own so that the client's descriptors can be counted. ----

#[test]
fn the_server_of_the_soak_test() {
    let Ok(kind) = std::env::var("MFA_SOAK_SERVER") else { return };
    let serve = if kind == "waits" { provider::serve } else { calls::serve };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("port: {}", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    // Until the client closes the pipe, or dies.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    println!("asked twice: {}", provider::asked_twice());
}

struct Server {
    child: Child,
    url: String,
    output: std::io::Lines<BufReader<ChildStdout>>,
}

impl Server {
    fn start(kind: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_server_of_the_soak_test", "--nocapture"])
            .env("MFA_SOAK_SERVER", kind)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.find_map(|l| l.unwrap().split_once("port: ").map(|(_, p)| p.to_owned())).unwrap();
        Server { child, url: format!("http://127.0.0.1:{port}"), output: lines }
    }
}

impl Server {
    /// Ends it, and returns how many people it asked twice.
    fn end(mut self) -> u64 {
        drop(self.child.stdin.take());
        let mut last_words = self.output.by_ref().map_while(Result::ok);
        let told = last_words.find_map(|line| line.split_once("asked twice: ").map(|(_, n)| n.to_owned()));
        told.expect("its last words").parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

#[derive(Clone, Copy, Debug)]
struct Footprint {
    descriptors: usize,
    threads: usize,
    resident_kb: u64,
}

impl Footprint {
    /// Whether nothing has come on top since `before`, but for so many idle connections.
    fn check(&self, before: &Footprint, idle: usize) {
        assert!(self.descriptors <= before.descriptors + idle, "descriptors");
        assert!(self.threads <= before.threads + 1, "threads");
        assert!(self.resident_kb <= before.resident_kb + 4096, "memory");
    }

    fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let resident = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
        Footprint {
            descriptors: std::fs::read_dir("/proc/self/fd").unwrap().count(),
            threads: std::fs::read_dir("/proc/self/task").unwrap().count(),
            resident_kb: resident.trim().trim_end_matches(" kB").parse().unwrap(),
        }
    }
}
