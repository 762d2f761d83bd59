//! Of all that a server may answer, exactly one combination approves.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mfa::{CallOptions, WaitOptions};

use crate::support::{Peer, Reply, waits};

/// A field: how it is written, or left out.
type Written = &'static str;

const HTTP: [u16; 9] = [200, 201, 204, 302, 400, 401, 404, 500, 503];
const RESULT: [Written; 9] = ["0", "-1", "-4", "1", "null", "\"0\"", "0.0", "false", ""];
const STATUS: [Written; 13] =
    ["1", "0", "2", "3", "4", "5", "-1", "null", "\"1\"", "1.0", "true", "", "1,\"transaction_status\":1"];
const COMPLETE: [Written; 10] =
    ["0", "1", "2", "-1", "null", "\"0\"", "0.0", "false", "", "0,\"transaction_complete_result\":0"];
const ID: [Written; 6] = ["3", "\"3\"", "", "4", "null", "3.0"];

fn field(name: &str, written: Written) -> String {
    if written.is_empty() { String::new() } else { format!(r#","{name}":{written}"#) }
}

fn body(result: Written, status: Written, complete: Written, id: Written) -> String {
    let fields = field("result", result)
        + &field("transaction_status", status)
        + &field("transaction_complete_result", complete)
        + &field("transaction_id", id);
    format!("{{{}}}", fields.trim_start_matches(','))
}

/// The answer that the peer gives next.
fn peer_with_next() -> (Peer, Arc<Mutex<Reply>>) {
    let next = Arc::new(Mutex::new(Reply::json("{}")));
    let theirs = next.clone();
    (Peer::new(move |_| theirs.lock().unwrap().clone()), next)
}

fn patient() -> CallOptions<'static> {
    CallOptions::new().timeout(Duration::from_secs(30))
}

#[test]
fn exactly_one_combination_approves() {
    let (peer, next) = peer_with_next();
    let client = peer.hyperid();
    let mut approving = BTreeSet::new();
    let mut tried = 0;
    for http in HTTP {
        for result in RESULT {
            for status in STATUS {
                for complete in COMPLETE {
                    for id in ID {
                        tried += 1;
                        *next.lock().unwrap() = Reply::once(http, &body(result, status, complete, id));
                        let read = client.status("t", 3, &patient());
                        if read.is_ok_and(|t| t.decision.is_approved()) {
                            approving.insert((http, result, status, complete, id));
                        }
                    }
                }
            }
        }
    }
    assert_eq!(tried, HTTP.len() * RESULT.len() * STATUS.len() * COMPLETE.len() * ID.len());
    // The id may be left out, or written as a string of digits: the two leniencies.
    let expected: BTreeSet<_> = ["3", "\"3\"", ""].map(|id| (200, "0", "1", "0", id)).into();
    assert_eq!(approving, expected);
}

#[test]
fn the_same_holds_for_a_wait_and_no_error_stands_beside_an_approval() {
    let (peer, next) = peer_with_next();
    let client = peer.hyperid();
    for http in [200, 201, 401] {
        for result in RESULT {
            for status in STATUS {
                for complete in COMPLETE {
                    *next.lock().unwrap() = Reply::status(http, &body(result, status, complete, "3"));
                    // Pending and unknown states end at the deadline: make it short for them alone.
                    let goes_on = http == 200 && (result == "-1" || ["0", "5"].contains(&status));
                    let timeout = Duration::from_millis(if goes_on { 20 } else { 30_000 });
                    let call = CallOptions::new().timeout(timeout);
                    let end = waits::wait(&client, "t", 3, &mut WaitOptions::default(), &call);
                    let is_the_one = (http, result, status, complete) == (200, "0", "1", "0");
                    assert_eq!(
                        end.transaction.decision.is_approved(),
                        is_the_one,
                        "{http} {result} {status} {complete}"
                    );
                    assert_eq!(end.result.is_ok() && end.transaction.decision.is_approved(), is_the_one);
                }
            }
        }
    }
}
