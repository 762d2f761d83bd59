//! Names that do not resolve: what the error says, and that those which hang hold up no other.

#![allow(unsafe_code)]
#![cfg(target_os = "linux")] // It counts threads in /proc.

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mfa::{
    CallOptions, Cancel, ClientOptions, Code, Error, EventKind, HyperId, TicketOptions, WaitOptions, Waiter,
    WaiterOptions,
};

use crate::support::alone::alone;
use crate::support::calls::Call;
use crate::support::resolver;
use crate::support::wait_until;

/// As the header and `src/http/resolver.rs` have it.
const MAX_THREADS: usize = 16;
/// Far more than a name needs that waits for no other.
const PROMPT: Duration = Duration::from_secs(5);

fn call(timeout: Duration) -> CallOptions<'static> {
    CallOptions::new().timeout(timeout)
}

fn options(host: &str) -> ClientOptions {
    let minute = Duration::from_secs(60);
    ClientOptions::new().base_url(format!("https://{host}")).request_timeout(minute).connect_timeout(minute)
}

/// A place on this machine where nobody listens: a name that leads there was resolved.
fn good_name() -> String {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("127-0-0-1.test:{port}")
}

/// One request to `host`, which must fail.
fn ask(host: &str) -> Error {
    Call::Cancel.run(&options(host), &call(PROMPT)).unwrap_err()
}

fn look_up_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    tasks
        .filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok())
        .filter(|name| name.trim() == "mfa-resolver")
        .count()
}

#[test]
fn what_the_resolver_says_is_told() {
    for call in Call::ALL {
        let of = |host: &str| {
            let error = call.run(&options(host), &self::call(Duration::from_millis(400))).unwrap_err();
            assert_eq!(error.code, Code::Dns, "{call:?}: {host}: {error}");
            assert!(error.retryable && !error.outcome_unknown, "{call:?}: {host}: {error}");
            error
        };
        assert_eq!(of("system.test").os_error, Some(resolver::ERRNO), "{call:?}");
        // What getaddrinfo returns is no errno: it is told in words.
        let (none, again) = (of("none.test"), of("again.test"));
        assert_eq!((none.os_error, again.os_error), (None, None), "{call:?}");
        assert_ne!(none.message, again.message, "{call:?}");
        assert!(none.message.contains("the server's name"), "{none}");
    }
    let through = options("server.test").proxy_url("http://none.test".to_owned());
    let error = Call::Cancel.run(&through, &call(PROMPT)).unwrap_err();
    assert!(error.code == Code::Dns && error.message.contains("the proxy's name"), "{error}");
}

/// Asks for each of `hosts` with a client of its own, all at once, while `meanwhile` runs; then
/// they are cancelled.
fn while_they_hang(hosts: &[String], meanwhile: impl FnOnce()) {
    let cancel = Cancel::new();
    std::thread::scope(|scope| {
        for host in hosts {
            let client = HyperId::new(&options(host)).unwrap();
            let cancel = &cancel;
            scope.spawn(move || {
                let options = CallOptions::new().timeout(Duration::from_secs(60)).cancel(cancel);
                let error = client.cancel("t", 3, &options).unwrap_err();
                assert_eq!(error.code, Code::Cancelled, "{error}");
            });
        }
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(meanwhile));
        cancel.trigger();
        result.unwrap();
    });
}

/// A good name, asked for by a client that never did before, is found at once.
fn check_good_name() {
    let start = Instant::now();
    let error = ask(&good_name());
    assert_eq!(error.code, Code::Connect, "{error}");
    assert!(start.elapsed() < PROMPT);
}

#[test]
fn clients_that_ask_for_the_same_names_share_the_look_ups() {
    alone(|| {
        let hosts: Vec<_> = (0..40).map(|i| format!("hang-{}.test", i % 5)).collect();
        while_they_hang(&hosts, || {
            wait_until("each name is asked for", || resolver::HANGING.load(Ordering::SeqCst) == 5);
            check_good_name();
            check_five();
        });
        // Those who gave up leave their look-ups running; who comes later waits for the same ones.
        while_they_hang(&hosts, || {
            check_good_name();
            check_good_name();
            check_five();
        });
    });
}

fn check_five() {
    wait_until("the good name's thread ends", || look_up_threads() == 5);
    assert_eq!(resolver::HANGING.load(Ordering::SeqCst), 5);
}

#[test]
fn look_up_threads_are_bounded() {
    alone(|| {
        check_bound();
    });
}

/// With forty names that hang there is a thread for sixteen; the others wait, and can be cancelled.
fn check_bound() {
    let hosts: Vec<_> = (0..40).map(|i| format!("hang-{i}.test")).collect();
    while_they_hang(&hosts, || {
        wait_until("the bound is reached", || resolver::HANGING.load(Ordering::SeqCst) >= MAX_THREADS);
        // Time for one thread too many to show itself.
        let error = Call::Cancel.run(&options("hang-last.test"), &call(Duration::from_millis(300)));
        assert_eq!(error.unwrap_err().code, Code::Timeout);
        assert_eq!(look_up_threads(), MAX_THREADS);
        assert_eq!(resolver::HANGING.load(Ordering::SeqCst), MAX_THREADS);
    });
}

/// Runs `work` in a forked child; whether it ended in time and well.
fn in_a_child(work: impl FnOnce()) -> bool {
    // SAFETY: the child touches libmfa and its own memory, and ends without unwinding into this
    // test's threads, which it does not have.
    unsafe {
        let child = libc::fork();
        assert!(child >= 0);
        if child == 0 {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_ok();
            libc::_exit(i32::from(!done));
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut status = 0;
        while libc::waitpid(child, &raw mut status, libc::WNOHANG) == 0 {
            if Instant::now() > deadline {
                libc::kill(child, libc::SIGKILL);
                libc::waitpid(child, &raw mut status, 0);
                return false;
            }
            std::thread::yield_now();
        }
        libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
    }
}

#[test]
fn a_forked_child_has_none_of_its_parents_look_ups() {
    alone(|| {
        let hosts: Vec<_> = (0..MAX_THREADS).map(|i| format!("hang-{i}.test")).collect();
        while_they_hang(&hosts, || {
            wait_until("the bound is reached", || resolver::HANGING.load(Ordering::SeqCst) == MAX_THREADS);
            assert!(in_a_child(|| {
                check_good_name();
                // The parent's threads do not count here; the child's own do.
                resolver::HANGING.store(0, Ordering::SeqCst);
                check_bound();
            }));
        });
    });
}

#[test]
fn a_child_of_a_parent_that_looks_up_waits_for_none_of_its_locks() {
    alone(|| {
        let cancel = Cancel::new();
        let good = good_name();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let client = HyperId::new(&options("none.test")).unwrap();
                    while !cancel.is_triggered() {
                        let _ = client.cancel("t", 3, &call(PROMPT));
                    }
                });
            }
            let inherited = HyperId::new(&options(&good)).unwrap();
            let well = (0..60).filter(|_| {
                in_a_child(|| {
                    let error = inherited.cancel("t", 3, &call(PROMPT)).unwrap_err();
                    assert_eq!(error.code, Code::Connect, "{error}");
                })
            });
            let well = well.count();
            cancel.trigger();
            assert_eq!(well, 60);
        });
    });
}

#[test]
fn many_waits_for_one_name_all_hear_of_it() {
    let client = HyperId::new(&options(&good_name())).unwrap();
    let waiter = Waiter::new(&client, &WaiterOptions::new()).unwrap();
    let wait = WaitOptions::new().first_poll(Duration::ZERO);
    let options = TicketOptions::new().timeout(Duration::from_secs(2));
    for id in 1..=12 {
        waiter.wait("t", id, &wait, options, |_| {}).unwrap();
    }
    static ENDED: AtomicUsize = AtomicUsize::new(0);
    wait_until("all have ended", || {
        while let Some(event) = waiter.next(Duration::from_millis(50)).unwrap() {
            let EventKind::Ended(end) = event.kind else { panic!("{event:?}") };
            let error = end.result.unwrap_err();
            // Resolved, and then refused.
            assert!(error.message.contains("MFA_ERR_CONNECT:"), "{error}");
            ENDED.fetch_add(1, Ordering::SeqCst);
        }
        ENDED.load(Ordering::SeqCst) == 12
    });
}
