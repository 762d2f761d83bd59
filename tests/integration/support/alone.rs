//! Tests in processes of their own, where what is left behind can be counted.

use std::ffi::OsStr;
use std::process::Command;

use super::{system, wait_until};

const NAME: &str = "MFA_TEST_ALONE";

/// Runs the test that calls it in a process in which nothing else happens.
pub fn alone<T: FnOnce()>(test: T) {
    // nextest has started such a process already.
    if std::env::var("NEXTEST_EXECUTION_MODE").is_ok_and(|mode| mode == "process-per-test") {
        return test();
    }
    alone_with::<&str, T>(&[], test);
}

/// The same, with more in its environment, which belongs to a whole process.
pub fn alone_with<V: AsRef<OsStr>, T: FnOnce()>(environment: &[(&str, V)], test: T) {
    let name = name_of_test::<T>();
    if std::env::var_os(NAME).is_some() {
        return test();
    }
    let program = std::env::current_exe().unwrap();
    // Its whole path, where another program takes in these tests.
    let thread = std::thread::current();
    let name = thread.name().filter(|path| path.ends_with(name)).unwrap_or(name);
    let mut command = Command::new(program);
    command
        .args(["--exact", name, "--nocapture"])
        .env(NAME, name)
        .envs(environment.iter().map(|(name, value)| (name, value)));
    let run = command.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    // Without the count, a name that fits no test would pass.
    assert!(run.status.success() && said.contains("1 passed"), "{said}");
}

/// What a test is called by whoever runs it: the path of the function that the closure stands in,
/// without the program's name.
fn name_of_test<T>() -> &'static str {
    let closure = std::any::type_name::<T>();
    let function = closure.split("::{{closure}}").next().unwrap_or(closure);
    function.split_once("::").map_or(function, |(_, name)| name)
}

/// The process's descriptors and threads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Census {
    descriptors: usize,
    threads: usize,
}

impl Census {
    pub fn take() -> Self {
        Census { descriptors: system::descriptors(), threads: system::threads() }
    }

    /// Waits until nothing is left of what came since. Threads of the tests' own servers may end a
    /// little later than what they served.
    pub fn wait_for(self, what: &str) {
        let is_as_before = || {
            let now = Census::take();
            now.descriptors <= self.descriptors && now.threads <= self.threads
        };
        wait_until(&format!("{what}: nothing is left behind"), is_as_before);
    }
}
