//! A wait or a confirm to its end: by the blocking call, or alone through a waiter.
//!
//! A test program whose name ends in "by_waiter" takes in another one's tests and runs them through a
//! waiter, from the same bodies.

use std::time::{Duration, Instant};

use mfa::{
    CallOptions, Cancel, Event, EventKind, HyperId, Request, TicketOptions, Transaction, WaitEnd,
    WaitOptions, Waiter, WaiterOptions,
};

pub fn by_waiter() -> bool {
    let is_by_waiter = module_path!().contains("by_waiter");
    let program = std::env::current_exe().unwrap();
    assert_eq!(is_by_waiter, program.to_str().unwrap().contains("by_waiter"));
    is_by_waiter
}

/// As `HyperId::wait`.
pub fn wait(
    client: &HyperId,
    token: &str,
    id: i64,
    wait: &mut WaitOptions<'_>,
    call: &CallOptions<'_>,
) -> WaitEnd {
    if !by_waiter() {
        return client.wait(token, id, wait, call);
    }
    through_waiter(client, wait, call, |waiter, wait, options| waiter.wait(token, id, wait, options, |_| {}))
        .unwrap_or_else(|error| same_refusal(error, client.wait(token, id, wait, call)))
}

/// As `HyperId::confirm`.
pub fn confirm(
    client: &HyperId,
    token: &str,
    request: &Request<'_>,
    wait: &mut WaitOptions<'_>,
    call: &CallOptions<'_>,
) -> WaitEnd {
    if !by_waiter() {
        return client.confirm(token, request, wait, call);
    }
    through_waiter(client, wait, call, |waiter, wait, options| {
        waiter.confirm(token, request, wait, options, |_| {})
    })
    .unwrap_or_else(|error| same_refusal(error, client.confirm(token, request, wait, call)))
}

/// What one refuses before a byte is sent, the other refuses too.
fn same_refusal(error: mfa::Error, end: WaitEnd) -> WaitEnd {
    let blocking = end.result.as_ref().unwrap_err();
    assert_eq!((blocking.code, &blocking.message), (error.code, &error.message));
    end
}

fn through_waiter(
    client: &HyperId,
    wait: &mut WaitOptions<'_>,
    call: &CallOptions<'_>,
    add: impl FnOnce(&Waiter<'_>, &WaitOptions<'_>, TicketOptions) -> Result<u64, mfa::Error>,
) -> Result<WaitEnd, mfa::Error> {
    let waiter = Waiter::new(client, &WaiterOptions::new()).unwrap();
    // Withdrawing is asked for when the wait is cancelled.
    let withdraw = wait.withdraw_on_cancel;
    let mut theirs = WaitOptions::new().cancel_on_timeout(wait.cancel_on_timeout);
    theirs.first_poll = wait.first_poll;
    theirs.min_interval = wait.min_interval;
    theirs.max_interval = wait.max_interval;
    let mut options = TicketOptions::new()
        .report_updates(wait.on_update.is_some())
        .ask_for_token(wait.access_token_provider.is_some())
        .user_data(7);
    options.timeout = call.timeout;
    let ticket = add(&waiter, &theirs, options)?;
    assert_eq!(waiter.count(), 1);
    let deadline = Instant::now() + Duration::from_secs(400);
    let (mut is_cancelled, mut has_started, mut polls) = (false, false, 0);
    loop {
        assert!(Instant::now() < deadline, "the wait does not end");
        if !is_cancelled && call.cancel.is_some_and(Cancel::is_triggered) {
            waiter.cancel(ticket, withdraw).unwrap();
            is_cancelled = true;
        }
        let Some(event) = waiter.next(Duration::from_millis(5)).unwrap() else { continue };
        let Event { ticket: whose, user_data, kind, .. } = event;
        assert_eq!((whose, user_data), (ticket, 7));
        match kind {
            EventKind::Started(so_far) => {
                assert!(!std::mem::replace(&mut has_started, true), "one STARTED");
                assert!(so_far.transaction_id > 0 && polls == 0);
                update(wait, &so_far, &waiter, ticket);
            }
            EventKind::Update(so_far) => {
                assert!(!so_far.decision.is_approved() && so_far.polls > polls);
                polls = so_far.polls;
                update(wait, &so_far, &waiter, ticket);
            }
            EventKind::TokenRefused(..) => {
                let provider = wait.access_token_provider.as_mut().expect("it was not to be asked for");
                let token = provider();
                if waiter.give_token(ticket, token.as_deref().map(String::as_str)).is_err() {
                    waiter.give_token(ticket, None).unwrap();
                }
            }
            EventKind::Ended(end) => {
                assert_eq!(waiter.count(), 0);
                assert!(waiter.next(Duration::ZERO).unwrap().is_none(), "the end comes last");
                // A waiter makes no update of the final answer, where the blocking call makes one.
                if end.result.is_ok() {
                    update(wait, &end.transaction, &waiter, ticket);
                }
                return Ok(end);
            }
            other => panic!("{other:?}"),
        }
    }
}

fn update(wait: &mut WaitOptions<'_>, so_far: &Transaction, waiter: &Waiter<'_>, ticket: u64) {
    let Some(on_update) = wait.on_update.as_mut() else { return };
    if on_update(so_far).is_break() {
        waiter.cancel(ticket, wait.withdraw_on_cancel).unwrap();
    }
}
