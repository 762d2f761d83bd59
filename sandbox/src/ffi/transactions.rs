//! Transactions: waiting for them, looking at them, ending them.

use std::ffi::c_char;
use std::ptr;

use super::boundary::{guard, handle, milliseconds};
use super::types::{
    LEAST_INFO, MFA_SANDBOX_APPROVE, MFA_SANDBOX_DECLINE, MFA_SANDBOX_DENY, MFA_SANDBOX_ERR_ENDED,
    MFA_SANDBOX_ERR_INTERNAL, MFA_SANDBOX_ERR_INVALID_ARGUMENT, MFA_SANDBOX_ERR_NOT_FOUND,
    MFA_SANDBOX_EXPIRE, MFA_SANDBOX_FAIL, MFA_SANDBOX_OK, MOST_STRUCT, mfa_sandbox,
    mfa_sandbox_transaction_info,
};
use crate::{DecideError, Decision, Transaction};

/// Ends a pending transaction as the person would: `MFA_SANDBOX_APPROVE`, `_DENY`, `_DECLINE`, `_FAIL`,
/// `_EXPIRE`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_decide(
    sandbox: *const mfa_sandbox,
    transaction_id: i64,
    decision: i32,
) -> i32 {
    guard(MFA_SANDBOX_ERR_INTERNAL, || {
        let decision = match decision {
            MFA_SANDBOX_APPROVE => Decision::Approve,
            MFA_SANDBOX_DENY => Decision::Deny,
            MFA_SANDBOX_DECLINE => Decision::Decline,
            MFA_SANDBOX_FAIL => Decision::Fail,
            MFA_SANDBOX_EXPIRE => Decision::Expire,
            _ => return MFA_SANDBOX_ERR_INVALID_ARGUMENT,
        };
        // SAFETY: by the header's rules.
        let Some(handle) = (unsafe { handle(sandbox) }) else {
            return MFA_SANDBOX_ERR_INVALID_ARGUMENT;
        };
        match handle.sandbox.decide(transaction_id, decision) {
            Ok(()) => MFA_SANDBOX_OK,
            Err(DecideError::NotFound) => MFA_SANDBOX_ERR_NOT_FOUND,
            Err(DecideError::Ended(_)) => MFA_SANDBOX_ERR_ENDED,
        }
    })
}

/// Waits for a pending transaction that was not returned before and returns the newest's id; 0: none in
/// time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_wait_for_transaction(
    sandbox: *const mfa_sandbox,
    timeout_ms: u32,
) -> i64 {
    guard(0, || {
        // SAFETY: by the header's rules.
        let Some(handle) = (unsafe { handle(sandbox) }) else {
            return 0;
        };
        let found = handle.sandbox.wait_for_transaction(milliseconds(timeout_ms));
        found.map_or(0, |transaction| transaction.id)
    })
}

/// Fills `out` with a transaction as it is now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_transaction(
    sandbox: *const mfa_sandbox,
    transaction_id: i64,
    out: *mut mfa_sandbox_transaction_info,
) -> i32 {
    guard(MFA_SANDBOX_ERR_INTERNAL, || {
        if out.is_null() {
            return MFA_SANDBOX_ERR_INVALID_ARGUMENT;
        }
        // SAFETY: every version of the struct begins with its size.
        let size = unsafe { ptr::read_unaligned(out.cast::<u32>()) };
        if !(LEAST_INFO..=MOST_STRUCT).contains(&(size as usize)) {
            return MFA_SANDBOX_ERR_INVALID_ARGUMENT;
        }
        // SAFETY: by the header's rules.
        let handle = unsafe { handle(sandbox) };
        let found = handle.and_then(|handle| handle.sandbox.transaction(transaction_id));
        let filled = info(size, found.as_ref());
        // SAFETY: the caller vouches for at least `LEAST_INFO` writable bytes, and this struct is no larger.
        unsafe { ptr::write_unaligned(out, filled) };
        match (handle, found) {
            (None, _) => MFA_SANDBOX_ERR_INVALID_ARGUMENT,
            (_, None) => MFA_SANDBOX_ERR_NOT_FOUND,
            _ => MFA_SANDBOX_OK,
        }
    })
}

fn info(struct_size: u32, transaction: Option<&Transaction>) -> mfa_sandbox_transaction_info {
    let optional = |text: fn(&Transaction) -> Option<&str>| transaction.and_then(text).unwrap_or("");
    mfa_sandbox_transaction_info {
        struct_size,
        status: transaction.map_or(-1, |t| t.status.number()),
        id: transaction.map_or(0, |t| t.id),
        complete_result: transaction.map_or(-1, |t| t.complete_result),
        template_id: transaction.map_or(0, |t| t.template_id as i32),
        remaining_ms: transaction.map_or(0, |t| u32::try_from(t.remaining.as_millis()).unwrap_or(u32::MAX)),
        polls: transaction.map_or(0, |t| u32::try_from(t.polls).unwrap_or(u32::MAX)),
        user: chars(optional(|t| Some(&t.user))),
        question: chars(optional(|t| t.question.as_deref())),
        values: chars(optional(|t| t.values.as_deref())),
        code: chars(optional(|t| t.code.as_deref())),
        device_id: chars(optional(|t| t.device_id.as_deref())),
        device_desc: chars(optional(|t| t.device_desc.as_deref())),
        ip: chars(optional(|t| t.ip.as_deref())),
    }
}

/// A NUL-terminated copy, cut at a character's boundary.
fn chars<const N: usize>(text: &str) -> [c_char; N] {
    let mut end = text.len().min(N - 1);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut out = [0; N];
    for (to, from) in out.iter_mut().zip(&text.as_bytes()[..end]) {
        *to = *from as c_char;
    }
    out
}

/// Writes the ids of all transactions, the oldest first, as many as fit into `capacity`. Returns how many there are.
/// `ids` may be NULL if `capacity` is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_transactions(
    sandbox: *const mfa_sandbox,
    ids: *mut i64,
    capacity: u32,
) -> u64 {
    guard(0, || {
        // SAFETY: by the header's rules.
        let Some(handle) = (unsafe { handle(sandbox) }) else {
            return 0;
        };
        let all = handle.sandbox.transactions();
        let room = if ids.is_null() { 0 } else { capacity as usize };
        for (index, transaction) in all.iter().take(room).enumerate() {
            // SAFETY: the caller vouches for `capacity` writable numbers, and `index` is less.
            unsafe { ids.add(index).write(transaction.id) };
        }
        all.len() as u64
    })
}

/// The next transaction gets this id, and the next ones follow; at most 2 to the 62nd. Refused if a transaction has it,
/// or a larger one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_set_first_id(sandbox: *const mfa_sandbox, first_id: i64) -> i32 {
    guard(MFA_SANDBOX_ERR_INTERNAL, || {
        // SAFETY: by the header's rules.
        match unsafe { handle(sandbox) }.map(|handle| handle.sandbox.set_first_id(first_id)) {
            Some(Ok(())) => MFA_SANDBOX_OK,
            _ => MFA_SANDBOX_ERR_INVALID_ARGUMENT,
        }
    })
}

/// How many pushes went to phones: one for each transaction ever started.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_push_count(sandbox: *const mfa_sandbox) -> u64 {
    // SAFETY: by the header's rules.
    let handle = unsafe { handle(sandbox) };
    guard(0, || handle.map_or(0, |h| h.sandbox.push_count()))
}
