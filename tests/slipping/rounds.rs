//! The two cases that the storm was made after.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use mfa::{CallOptions, Code, Decision, HyperId, Request, Transaction, WaitEnd, WaitOptions};

use super::book::{Book, Ending, Kind, Script, Token};
use super::chance::Chance;
use super::server::{Server, Trouble};
use super::settings;
use super::waits;

const SOON: CallOptions<'static> = CallOptions::new().timeout(Duration::from_secs(10));

fn token(person: usize) -> String {
    Token { person, kind: Kind::Good, number: 0 }.text()
}

/// Asks, and gives up after so many polls.
fn confirm(client: &HyperId, person: usize, question: usize, script: Script, most_polls: u32) -> WaitEnd {
    let (tag, script) = (question.to_string(), script.text());
    let request = Request::new().question("Yes?").device_id(&tag).device_desc(&script);
    let mut give_up = |so_far: &Transaction| {
        if so_far.polls >= most_polls { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let interval = Duration::from_millis(2);
    let mut wait = WaitOptions::new().min_interval(interval).max_interval(interval).on_update(&mut give_up);
    waits::confirm(client, &token(person), &request, &mut wait, &SOON)
}

/// The first person's status answers come twice, and the second copy arrives while somebody else is
/// asked, who never answers.
pub fn twice(has_ids: bool) {
    let seed = settings::seed();
    // Nor does the server help: whoever knows an id may ask for it.
    let server = Server::start(Trouble::StatusTwice { person: 0 }, Book::new(has_ids, false), seed);
    let mut chance = Chance::new(seed, 0);
    let (mut approved, mut first_approved) = (0, 0);
    let rounds = settings::rounds();
    for round in 0..rounds {
        // What went wrong in one round must not spoil the next.
        let client = HyperId::new(&server.options()).unwrap();
        let at_look = chance.between(1, 3) as u32;
        let first = confirm(&client, 0, 2 * round, Script { ending: Ending::Approve, at_look }, 3);
        first_approved += usize::from(first.result.is_ok() && first.transaction.decision.is_approved());
        let never = Script { ending: Ending::Never, at_look: 1 };
        let second = confirm(&client, 1, 2 * round + 1, never, 3);
        let ended = second.result.is_ok() && second.transaction.decision.is_approved();
        approved += usize::from(ended);
    }
    let text = format!(
        "seed {seed}: {approved} of {rounds} people who never answered had approved; \
         {first_approved} of those who did"
    );
    assert_eq!(approved, 0, "{text}");
    assert!(first_approved > rounds / 4, "{text}");
}

/// The connection is out of step from its second answer on, and for ever; any other one is sound.
pub fn out_of_step(has_ids: bool) {
    const CALLS: usize = 2_000;
    let server = Server::start(Trouble::FirstConnectionSlips, Book::new(has_ids, true), settings::seed());
    let client = HyperId::new(&server.options()).unwrap();
    let token = token(0);
    assert!(client.availability(&token, &SOON).unwrap());
    // With a client, and so a connection, of its own.
    let sound = HyperId::new(&server.options()).unwrap();
    let denied = Script { ending: Ending::Deny, at_look: 1 };
    let id = confirm(&sound, 0, CALLS, denied, u32::MAX).transaction.transaction_id;
    let mut failures = Vec::new();
    for n in 0..CALLS {
        let outcome = match n % 5 {
            0 => client.availability(&token, &SOON),
            1 => {
                let end = confirm(&client, 0, n, denied, u32::MAX);
                end.result.map(|()| end.transaction.decision == Decision::Denied)
            }
            2 => client.status(&token, id, &SOON).map(|read| read.decision == Decision::Denied),
            3 => {
                let end = waits::wait(&client, &token, id, &mut WaitOptions::default(), &SOON);
                end.result.map(|()| end.transaction.decision == Decision::Denied)
            }
            _ => match client.cancel(&token, id, &SOON) {
                Err(error) if error.code == Code::AlreadyCompleted => Ok(true),
                other => other.map(|()| false),
            },
        };
        match outcome {
            Ok(true) => {}
            Ok(false) => failures.push(format!("call {n}: a wrong answer")),
            Err(error) => failures.push(format!("call {n}: {error}")),
        }
    }
    let shown: Vec<_> = failures.iter().take(5).collect();
    let text = format!("{} of {CALLS} calls failed: {shown:#?}", failures.len());
    // One start may be given an answer that was left over, and a start is not sent again.
    assert!(failures.len() <= 1, "{text}");
    let until = Instant::now() + Duration::from_secs(20);
    while server.is_open(0) {
        assert!(Instant::now() < until, "the client keeps a connection that answered wrongly");
        std::thread::yield_now();
    }
}
