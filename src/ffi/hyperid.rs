//! `mfa_hyperid` and its calls.

use std::ffi::c_char;
use std::mem::offset_of;

use crate::error::{Error, Provider};
use crate::ffi::call_options::{call_options, mfa_call_options};
use crate::ffi::client_options::{client_options, mfa_client_options};
use crate::ffi::error::{mfa_code, mfa_error};
use crate::ffi::guard::{Export, fallible, guard};
use crate::ffi::memory::{
    AbiStruct, Out, OutStruct, check_place, copy_text, field_sizes, handle, required_text, reset_value,
};
use crate::ffi::request::{mfa_request, request};
use crate::ffi::transaction::mfa_transaction;
use crate::ffi::wait_options::{mfa_wait_options, with_wait_options};
use crate::hyperid::{HyperId, WaitEnd};

/// In `mfa_two_factor_types.methods`: the Authenticator app (the server's number 0).
pub const MFA_METHOD_APP: u32 = 1;
/// A one-time password from an app (1).
pub const MFA_METHOD_TOTP: u32 = 2;
/// A code by SMS (2).
pub const MFA_METHOD_SMS: u32 = 4;
/// A code by e-mail (3).
pub const MFA_METHOD_EMAIL: u32 = 8;
/// A number that this version has no name for; see `raw`.
pub const MFA_METHOD_OTHER: u32 = 16;

/// A client for HyperID: opaque, safe to use from any number of threads at once.
pub struct mfa_hyperid(pub(super) HyperId);

/// Whether the person may be asked.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct mfa_availability {
    /// `sizeof(mfa_availability)`; set by `MFA_AVAILABILITY_INIT`.
    pub struct_size: u32,
    /// 1: the person has linked the authenticator app; 0: not, or no answer was read.
    pub available: i32,
}

// SAFETY: repr(C), begins with the u32; integers are valid for any bytes.
unsafe impl AbiStruct for mfa_availability {
    const NAME: &'static str = "mfa_availability";
    const FIRST_SIZE: usize = 8;
    const FIELDS: &'static [usize] = field_sizes!(mfa_availability { struct_size, available });
}

// SAFETY: 0 says no.
unsafe impl OutStruct for mfa_availability {
    const DECISION_AT: usize = offset_of!(mfa_availability, available);
    const RESET: Self = mfa_availability { struct_size: 0, available: 0 };
}

/// The second factors that the person has set up.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct mfa_two_factor_types {
    /// `sizeof(mfa_two_factor_types)`; set by `MFA_TWO_FACTOR_TYPES_INIT`.
    pub struct_size: u32,
    /// Any of `MFA_METHOD_...`. The names are inferred from the provider's tables; `raw` is what
    /// the server said.
    pub methods: u32,
    /// How many the server listed; may exceed 16.
    pub count: u32,
    /// The server's own numbers, in its order: the first 16; -1 in the rest.
    pub raw: [i32; 16],
}

// SAFETY: repr(C), begins with the u32; integers are valid for any bytes.
unsafe impl AbiStruct for mfa_two_factor_types {
    const NAME: &'static str = "mfa_two_factor_types";
    const FIRST_SIZE: usize = 76;
    const FIELDS: &'static [usize] = field_sizes!(mfa_two_factor_types { struct_size, methods, count, raw });
}

// SAFETY: 0 is no method.
unsafe impl OutStruct for mfa_two_factor_types {
    const DECISION_AT: usize = offset_of!(mfa_two_factor_types, methods);
    const RESET: Self = mfa_two_factor_types { struct_size: 0, methods: 0, count: 0, raw: [-1; 16] };
}

impl From<Vec<i32>> for mfa_two_factor_types {
    fn from(numbers: Vec<i32>) -> Self {
        let mut raw = mfa_two_factor_types::RESET.raw;
        for (slot, number) in raw.iter_mut().zip(&numbers) {
            *slot = *number;
        }
        mfa_two_factor_types {
            struct_size: 0,
            methods: numbers.iter().fold(0, |bits, number| bits | method(*number)),
            count: u32::try_from(numbers.len()).unwrap_or(u32::MAX),
            raw,
        }
    }
}

fn method(number: i32) -> u32 {
    match number {
        0 => MFA_METHOD_APP,
        1 => MFA_METHOD_TOTP,
        2 => MFA_METHOD_SMS,
        3 => MFA_METHOD_EMAIL,
        _ => MFA_METHOD_OTHER,
    }
}

pub(super) const NEW: Export =
    Export { name: "mfa_hyperid_new", provider: Provider::HyperId, asks_a_person: false };

/// Makes a client. Nothing is sent. Free it with `mfa_hyperid_free`.
///
/// `options`: NULL for the defaults, HyperID's production among them. `out`: set to the client, or
/// to NULL on failure. Any thread.
///
/// Errors: `MFA_ERR_INVALID_URL`, `MFA_ERR_INSECURE_URL`, `MFA_ERR_INVALID_CA`,
/// `MFA_ERR_INVALID_ARGUMENT`, `MFA_ERR_NULL_POINTER` (`out`), `MFA_ERR_STRUCT_SIZE`,
/// `MFA_ERR_INVALID_UTF8`; `MFA_ERR_INTERNAL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_hyperid_new(
    options: *const mfa_client_options,
    out: *mut *mut mfa_hyperid,
    err: *mut mfa_error,
) -> mfa_code {
    // SAFETY: each pointer is what the header asks for, guaranteed by the caller.
    unsafe {
        reset_value(out, std::ptr::null_mut());
        fallible(&NEW, err, || {
            check_place(out, "out")?;
            let options = client_options(options)?;
            let client = HyperId::new(&options)?;
            out.write(Box::into_raw(Box::new(mfa_hyperid(client))));
            Ok(())
        })
    }
}

pub(super) const FREE: Export =
    Export { name: "mfa_hyperid_free", provider: Provider::HyperId, asks_a_person: false };

/// Frees a client and closes its connections. No call may still use it. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_hyperid_free(client: *mut mfa_hyperid) {
    guard(&FREE, (), || {
        if !client.is_null() {
            // SAFETY: from `mfa_hyperid_new`'s Box, and freed once, guaranteed by the caller.
            drop(unsafe { Box::from_raw(client) });
        }
    });
}

pub(super) const AVAILABILITY: Export =
    Export { name: "mfa_hyperid_availability", provider: Provider::HyperId, asks_a_person: false };

/// Asks whether the person has linked the authenticator app and so may be asked.
/// `POST /mfa-client/availability-check`; scope `mfa-client`.
///
/// `access_token`: 1-16 384 characters, each 0x21-0x7E. Transient failures are retried, inside the
/// deadline. Any thread.
///
/// Errors: `MFA_ERR_INVALID_ARGUMENT`, `MFA_ERR_NULL_POINTER`, `MFA_ERR_STRUCT_SIZE`,
/// `MFA_ERR_INVALID_UTF8`; the network's (100-199) and the answer's (200-299), each of them;
/// `MFA_ERR_TOKEN_EXPIRED`, `MFA_ERR_TOKEN_INVALID`, `MFA_ERR_ACCESS_DENIED`; `MFA_ERR_UNAVAILABLE`,
/// `MFA_ERR_RATE_LIMITED`, `MFA_ERR_PROVIDER_INVALID_PARAMETERS`, `MFA_ERR_PROVIDER_REFUSED`;
/// `MFA_ERR_CANCELLED`; `MFA_ERR_INTERNAL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_hyperid_availability(
    client: *const mfa_hyperid,
    access_token: *const c_char,
    options: *const mfa_call_options,
    out: *mut mfa_availability,
    err: *mut mfa_error,
) -> mfa_code {
    // SAFETY: each pointer is what the header asks for, guaranteed by the caller.
    unsafe {
        let out = Out::reset(out);
        fallible(&AVAILABILITY, err, || {
            let (client, token, options) = arguments(client, access_token, options)?;
            out.check()?;
            let available = i32::from(client.availability(token, &options)?);
            out.set(&mfa_availability { struct_size: 0, available });
            Ok(())
        })
    }
}

pub(super) const TWO_FACTOR_TYPES: Export =
    Export { name: "mfa_hyperid_two_factor_types", provider: Provider::HyperId, asks_a_person: false };

/// Asks which second factors the person has set up.
/// `POST /2fa/types/get`; scope `second-factor-auth-client`.
///
/// `access_token`: 1-16 384 characters, each 0x21-0x7E. Transient failures are retried, inside the
/// deadline. Any thread.
///
/// Errors: `MFA_ERR_INVALID_ARGUMENT`, `MFA_ERR_NULL_POINTER`, `MFA_ERR_STRUCT_SIZE`,
/// `MFA_ERR_INVALID_UTF8`; the network's (100-199) and the answer's (200-299), each of them;
/// `MFA_ERR_TOKEN_EXPIRED`, `MFA_ERR_TOKEN_INVALID`, `MFA_ERR_ACCESS_DENIED`; `MFA_ERR_UNAVAILABLE`,
/// `MFA_ERR_RATE_LIMITED`, `MFA_ERR_PROVIDER_INVALID_PARAMETERS`, `MFA_ERR_PROVIDER_REFUSED`;
/// `MFA_ERR_CANCELLED`; `MFA_ERR_INTERNAL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_hyperid_two_factor_types(
    client: *const mfa_hyperid,
    access_token: *const c_char,
    options: *const mfa_call_options,
    out: *mut mfa_two_factor_types,
    err: *mut mfa_error,
) -> mfa_code {
    // SAFETY: each pointer is what the header asks for, guaranteed by the caller.
    unsafe {
        let out = Out::reset(out);
        fallible(&TWO_FACTOR_TYPES, err, || {
            let (client, token, options) = arguments(client, access_token, options)?;
            out.check()?;
            out.set(&client.two_factor_types(token, &options)?.into());
            Ok(())
        })
    }
}

pub(super) const START: Export =
    Export { name: "mfa_hyperid_start", provider: Provider::HyperId, asks_a_person: true };

/// Asks the person: a push to their phone. `POST /mfa-client/transaction/start/v2`; scope
/// `mfa-client`.
///
/// `out_transaction_id`: set to the transaction's id, above 0; to 0 on failure. Never repeated by
/// itself once a byte was sent: see `MFA_ERROR_OUTCOME_UNKNOWN`. An answer to another question, or
/// with an id that an earlier start of this client has had, is `MFA_ERR_CONTRADICTORY_ANSWER` with
/// that flag. Any thread.
///
/// Errors: `MFA_ERR_INVALID_ARGUMENT`, `MFA_ERR_NULL_POINTER`, `MFA_ERR_STRUCT_SIZE`,
/// `MFA_ERR_INVALID_UTF8`; the network's (100-199) and the answer's (200-299), each of them;
/// `MFA_ERR_TOKEN_EXPIRED`, `MFA_ERR_TOKEN_INVALID`, `MFA_ERR_ACCESS_DENIED`; `MFA_ERR_UNAVAILABLE`,
/// `MFA_ERR_RATE_LIMITED`, `MFA_ERR_PROVIDER_INVALID_PARAMETERS`, `MFA_ERR_DEVICE_NOT_FOUND`,
/// `MFA_ERR_TEMPLATE_NOT_FOUND`, `MFA_ERR_PROVIDER_REFUSED`;
/// `MFA_ERR_CANCELLED`; `MFA_ERR_INTERNAL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_hyperid_start(
    client: *const mfa_hyperid,
    access_token: *const c_char,
    request: *const mfa_request,
    options: *const mfa_call_options,
    out_transaction_id: *mut i64,
    err: *mut mfa_error,
) -> mfa_code {
    // SAFETY: each pointer is what the header asks for, guaranteed by the caller.
    unsafe {
        reset_value(out_transaction_id, 0);
        fallible(&START, err, || {
            let (client, token, options) = arguments(client, access_token, options)?;
            let request = self::request(request)?;
            check_place(out_transaction_id, "out_transaction_id")?;
            out_transaction_id.write(client.start(token, &request, &options)?);
            Ok(())
        })
    }
}

pub(super) const STATUS: Export =
    Export { name: "mfa_hyperid_status", provider: Provider::HyperId, asks_a_person: false };

/// Reads a transaction's state once, for programs that poll in a loop of their own.
/// `POST /mfa-client/transaction/status-get`; scope `mfa-client`.
///
/// `transaction_id`: above 0. `MFA_OK` says only that the state was read: test it with
/// `mfa_is_approved`; `MFA_DECISION_PENDING` and `MFA_DECISION_UNKNOWN` may still change. Transient
/// failures are retried, inside the deadline. Any thread.
///
/// Errors: `MFA_ERR_INVALID_ARGUMENT`, `MFA_ERR_NULL_POINTER`, `MFA_ERR_STRUCT_SIZE`,
/// `MFA_ERR_INVALID_UTF8`; the network's (100-199) and the answer's (200-299), each of them;
/// `MFA_ERR_TOKEN_EXPIRED`, `MFA_ERR_TOKEN_INVALID`, `MFA_ERR_ACCESS_DENIED`; `MFA_ERR_UNAVAILABLE`,
/// `MFA_ERR_RATE_LIMITED`, `MFA_ERR_PROVIDER_INVALID_PARAMETERS`,
/// `MFA_ERR_TRANSACTION_NOT_FOUND`, `MFA_ERR_PROVIDER_REFUSED`;
/// `MFA_ERR_CANCELLED`; `MFA_ERR_INTERNAL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_hyperid_status(
    client: *const mfa_hyperid,
    access_token: *const c_char,
    transaction_id: i64,
    options: *const mfa_call_options,
    out: *mut mfa_transaction,
    err: *mut mfa_error,
) -> mfa_code {
    // SAFETY: each pointer is what the header asks for, guaranteed by the caller.
    unsafe {
        let out = Out::reset(out);
        fallible(&STATUS, err, || {
            let (client, token, options) = arguments(client, access_token, options)?;
            out.check()?;
            out.set(&(&client.status(token, transaction_id, &options)?).into());
            Ok(())
        })
    }
}

pub(super) const CANCEL: Export =
    Export { name: "mfa_hyperid_cancel", provider: Provider::HyperId, asks_a_person: false };

/// Cancels a transaction. `POST /mfa-client/transaction/cancel`; scope `mfa-client`.
///
/// `MFA_ERR_ALREADY_COMPLETED`: the person answered first; read the status, do not drop it. Not
/// repeated by itself. Any thread.
///
/// Errors: `MFA_ERR_INVALID_ARGUMENT`, `MFA_ERR_NULL_POINTER`, `MFA_ERR_STRUCT_SIZE`,
/// `MFA_ERR_INVALID_UTF8`; the network's (100-199) and the answer's (200-299), each of them;
/// `MFA_ERR_TOKEN_EXPIRED`, `MFA_ERR_TOKEN_INVALID`, `MFA_ERR_ACCESS_DENIED`; `MFA_ERR_UNAVAILABLE`,
/// `MFA_ERR_RATE_LIMITED`, `MFA_ERR_PROVIDER_INVALID_PARAMETERS`,
/// `MFA_ERR_TRANSACTION_NOT_FOUND`, `MFA_ERR_ALREADY_EXPIRED`, `MFA_ERR_ALREADY_COMPLETED`,
/// `MFA_ERR_ALREADY_CANCELLED`, `MFA_ERR_PROVIDER_REFUSED`;
/// `MFA_ERR_CANCELLED`; `MFA_ERR_INTERNAL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_hyperid_cancel(
    client: *const mfa_hyperid,
    access_token: *const c_char,
    transaction_id: i64,
    options: *const mfa_call_options,
    err: *mut mfa_error,
) -> mfa_code {
    // SAFETY: each pointer is what the header asks for, guaranteed by the caller.
    unsafe {
        fallible(&CANCEL, err, || {
            let (client, token, options) = arguments(client, access_token, options)?;
            client.cancel(token, transaction_id, &options)
        })
    }
}

pub(super) const WAIT: Export =
    Export { name: "mfa_hyperid_wait", provider: Provider::HyperId, asks_a_person: false };

/// Waits until the person has answered, or the request has ended otherwise.
///
/// `MFA_OK`: `out` holds the final answer, whichever it is; test it with `mfa_is_approved`.
/// Otherwise `out` holds the id and what was known last, never an approval. `MFA_ERR_TIMEOUT`: no
/// final answer by the deadline (120 s unless `options` says otherwise); `http_status`,
/// `provider_code` and `retry_after_ms` of `err` are then those of the last poll that failed, if any.
/// `MFA_ERR_CANCELLED`: the cancel object or `on_update` ended the wait; nothing more is sent, and the
/// transaction goes on, unless `MFA_WAIT_WITHDRAW_ON_CANCEL` says otherwise. An answer that was read
/// before is returned all the same.
///
/// Retried, so that the wait goes on: failed connections and TLS handshakes, HTTP 408, 425, 429 and
/// 5xx, "temporarily unavailable", and "not found" in the first 2 s (in `mfa_hyperid_confirm`: 5 s
/// after its start).
/// What a proxy or a sign-in page may have said in the provider's place (3xx, 403 and 404 without
/// the provider's JSON, a page where JSON should be) is retried until nothing else has come for
/// 15 s, or a quarter of the deadline if that is less. A token that stays refused, access denied,
/// "not found" otherwise, and an answer that breaks the protocol end the wait with their code.
///
/// An approval that does not name its transaction is believed only when a second look on a
/// connection opened for it says the same. Any thread.
///
/// Errors: `MFA_ERR_INVALID_ARGUMENT`, `MFA_ERR_NULL_POINTER`, `MFA_ERR_STRUCT_SIZE`,
/// `MFA_ERR_INVALID_UTF8`; the network's (100-199) and the answer's (200-299), each of them;
/// `MFA_ERR_TOKEN_EXPIRED`, `MFA_ERR_TOKEN_INVALID`, `MFA_ERR_ACCESS_DENIED`; `MFA_ERR_UNAVAILABLE`,
/// `MFA_ERR_RATE_LIMITED`, `MFA_ERR_PROVIDER_INVALID_PARAMETERS`,
/// `MFA_ERR_TRANSACTION_NOT_FOUND`, `MFA_ERR_PROVIDER_REFUSED`;
/// `MFA_ERR_CANCELLED`; `MFA_ERR_INTERNAL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_hyperid_wait(
    client: *const mfa_hyperid,
    access_token: *const c_char,
    transaction_id: i64,
    wait: *const mfa_wait_options,
    options: *const mfa_call_options,
    out: *mut mfa_transaction,
    err: *mut mfa_error,
) -> mfa_code {
    // SAFETY: each pointer is what the header asks for, guaranteed by the caller.
    unsafe {
        let out = Out::reset(out);
        fallible(&WAIT, err, || {
            let (client, token, options) = arguments(client, access_token, options)?;
            out.check()?;
            let end = with_wait_options(wait, |wait| client.wait(token, transaction_id, wait, &options));
            conclude(&out, end?)
        })
    }
}

pub(super) const CONFIRM: Export =
    Export { name: "mfa_hyperid_confirm", provider: Provider::HyperId, asks_a_person: true };

/// The whole story in one call: whether the person may be asked, asking, and waiting for the
/// answer.
///
/// It does what `mfa_hyperid_availability`, `mfa_hyperid_start` and `mfa_hyperid_wait` do in turn, under
/// one deadline (120 s unless `options` says otherwise). `on_update` is called first when the id is known
/// and nothing was polled yet (`polls` is 0): the moment to save it.
/// `MFA_ERR_AUTHENTICATOR_NOT_LINKED`: the person has no app, and no push was sent. With
/// `MFA_ERROR_OUTCOME_UNKNOWN` a push may be out although `out` holds no id. With any other failure and
/// an id in `out` the question stays on the phone, unless `MFA_ERROR_WITHDRAWN` is set:
/// `mfa_hyperid_wait` goes on with it, `mfa_hyperid_cancel` takes it back. Start is sent a second time in
/// one case alone: HyperID itself refused the token as expired or invalid, and `access_token_provider`
/// gives another one. Any thread.
///
/// Errors: `MFA_ERR_INVALID_ARGUMENT`, `MFA_ERR_NULL_POINTER`, `MFA_ERR_STRUCT_SIZE`,
/// `MFA_ERR_INVALID_UTF8`; the network's (100-199) and the answer's (200-299), each of them;
/// `MFA_ERR_TOKEN_EXPIRED`, `MFA_ERR_TOKEN_INVALID`, `MFA_ERR_ACCESS_DENIED`; `MFA_ERR_UNAVAILABLE`,
/// `MFA_ERR_RATE_LIMITED`, `MFA_ERR_PROVIDER_INVALID_PARAMETERS`,
/// `MFA_ERR_TRANSACTION_NOT_FOUND`, `MFA_ERR_DEVICE_NOT_FOUND`, `MFA_ERR_TEMPLATE_NOT_FOUND`,
/// `MFA_ERR_AUTHENTICATOR_NOT_LINKED`, `MFA_ERR_PROVIDER_REFUSED`;
/// `MFA_ERR_CANCELLED`; `MFA_ERR_INTERNAL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_hyperid_confirm(
    client: *const mfa_hyperid,
    access_token: *const c_char,
    request: *const mfa_request,
    wait: *const mfa_wait_options,
    options: *const mfa_call_options,
    out: *mut mfa_transaction,
    err: *mut mfa_error,
) -> mfa_code {
    // SAFETY: each pointer is what the header asks for, guaranteed by the caller.
    unsafe {
        let out = Out::reset(out);
        fallible(&CONFIRM, err, || {
            let (client, token, options) = arguments(client, access_token, options)?;
            let request = self::request(request)?;
            out.check()?;
            let end = with_wait_options(wait, |wait| client.confirm(token, &request, wait, &options));
            conclude(&out, end?)
        })
    }
}

pub(super) const CONTROL_CODE: Export =
    Export { name: "mfa_control_code", provider: Provider::None, asks_a_person: false };

/// Writes a control code to `out`: two digits, zero padded, from a cryptographic source, and a NUL.
/// Show it beside the question and pass it as `mfa_request.code`.
///
/// `out_size`: bytes at `out`, at least 3. On failure `out` is "" if it has room. Any thread.
///
/// Errors: `MFA_ERR_NULL_POINTER`, `MFA_ERR_INVALID_ARGUMENT` (too little room), `MFA_ERR_STRUCT_SIZE`
/// (`err`); `MFA_ERR_INTERNAL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_control_code(out: *mut c_char, out_size: u32, err: *mut mfa_error) -> mfa_code {
    // SAFETY: each pointer is what the header asks for, guaranteed by the caller: `out` is NULL or writable
    // for `out_size` bytes.
    unsafe {
        if out_size > 0 {
            reset_value(out, 0);
        }
        fallible(&CONTROL_CODE, err, || {
            check_place(out, "out")?;
            if out_size < 3 {
                return Err(Error::argument("out_size is below 3"));
            }
            let mut text = [0; 3];
            copy_text(&crate::hyperid::control_code()?, &mut text);
            std::ptr::copy_nonoverlapping(text.as_ptr(), out, text.len());
            Ok(())
        })
    }
}

/// An approval reaches `out` only beside `Ok`: the core sees to it, and this looks again.
fn conclude(out: &Out<mfa_transaction>, end: WaitEnd) -> Result<(), Error> {
    if end.result.is_ok() || !end.transaction.decision.is_approved() {
        out.set(&(&end.transaction).into());
    }
    end.result
}

/// What every call begins with.
///
/// # Safety
/// Each pointer is what the header asks for, for `'a`.
unsafe fn arguments<'a>(
    client: *const mfa_hyperid,
    access_token: *const c_char,
    options: *const mfa_call_options,
) -> Result<(&'a HyperId, &'a str, crate::options::CallOptions<'a>), Error> {
    // SAFETY: passed on from the caller.
    unsafe {
        let client = handle(client, "client")?;
        let token = required_text(access_token, "access_token")?;
        Ok((&client.0, token, call_options(options)?))
    }
}
