//! The constants and the structs.

use std::ffi::{CString, c_char};

use crate::Sandbox;

/// It was done.
pub const MFA_SANDBOX_OK: i32 = 0;
/// An argument is NULL, not UTF-8, out of range or of a wrong size.
pub const MFA_SANDBOX_ERR_INVALID_ARGUMENT: i32 = 1;
/// There is no such transaction or token.
pub const MFA_SANDBOX_ERR_NOT_FOUND: i32 = 2;
/// The transaction has ended already.
pub const MFA_SANDBOX_ERR_ENDED: i32 = 3;
/// A defect of the sandbox itself.
pub const MFA_SANDBOX_ERR_INTERNAL: i32 = 900;

/// Option flag: https with a certification authority of its own.
pub const MFA_SANDBOX_TLS: u32 = 1;
/// Option flag: listen on every interface; the phone page's address then holds a secret.
pub const MFA_SANDBOX_LAN: u32 = 2;
/// Option flag: Capillary's codes under the HTTP status as well.
pub const MFA_SANDBOX_CAPILLARY_HTTP_STATUS: u32 = 4;
/// Option flag: refuse what the provider's own clients send beside its documentation: for a client's own
/// tests. Without it that is taken, and the answer's header `Sandbox-Unusual` says what it was.
pub const MFA_SANDBOX_STRICT: u32 = 8;

/// Option flag: a line on the standard error for each request.
pub const MFA_SANDBOX_LOG: u32 = 16;

/// Flag of a person: has not linked the authenticator app.
pub const MFA_SANDBOX_USER_NO_APP: u32 = 1;
/// Flag of a person: Capillary: MFA is not registered.
pub const MFA_SANDBOX_USER_NOT_REGISTERED: u32 = 2;

/// Decision: completed, complete result 0.
pub const MFA_SANDBOX_APPROVE: i32 = 1;
/// Decision: completed, complete result 1.
pub const MFA_SANDBOX_DENY: i32 = 2;
/// Decision: status 4, waved away by the person.
pub const MFA_SANDBOX_DECLINE: i32 = 3;
/// Decision: status 3.
pub const MFA_SANDBOX_FAIL: i32 = 4;
/// Decision: status 2, before its life is over.
pub const MFA_SANDBOX_EXPIRE: i32 = 5;

pub(super) const ALL_FLAGS: u32 = MFA_SANDBOX_TLS
    | MFA_SANDBOX_LAN
    | MFA_SANDBOX_CAPILLARY_HTTP_STATUS
    | MFA_SANDBOX_STRICT
    | MFA_SANDBOX_LOG;
pub(super) const ALL_USER_FLAGS: u32 = MFA_SANDBOX_USER_NO_APP | MFA_SANDBOX_USER_NOT_REGISTERED;

/// A running sandbox. Safe to use from any number of threads at once, except to free it.
pub struct mfa_sandbox {
    pub(super) sandbox: Sandbox,
    pub(super) provider_url: CString,
    pub(super) phone_url: CString,
    pub(super) control_url: CString,
    pub(super) control_key: CString,
    pub(super) ca_pem: Option<CString>,
}

/// How a sandbox is started. All zero behind `struct_size` is the default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct mfa_sandbox_options {
    /// `sizeof(mfa_sandbox_options)`.
    pub struct_size: u32,
    /// `MFA_SANDBOX_TLS`, `MFA_SANDBOX_LAN`, `MFA_SANDBOX_CAPILLARY_HTTP_STATUS`, `MFA_SANDBOX_STRICT`,
    /// `MFA_SANDBOX_LOG`.
    pub flags: u32,
    /// 0: any free one.
    pub port: u32,
    /// How long a transaction waits for the person; 0: 120,000.
    pub life_ms: u32,
    /// How long a connection may be idle; 0: 60,000.
    pub idle_timeout_ms: u32,
    /// 0.
    pub reserved: u32,
    /// The first transaction's id, the next ones follow; at most 2 to the 62nd. 0: another one in every run,
    /// too large for 32 bits, so that a client that keeps ids in 32 bits is found out.
    pub first_id: i64,
    /// Any token that nobody has issued is this person's, who is asked on the page; one that is shaped as a JWT is
    /// that of the person whom its `sub` names, and good until its `exp`; its signature is not looked at. NULL: such
    /// a token is invalid.
    pub any_token: *const c_char,
    /// The web pages that may call the providers' paths (CORS), as in "http://localhost:3000", with blanks between
    /// them. Never the phone page. NULL: none.
    pub allow_origins: *const c_char,
    /// The key of the interface for tests, 16 to 128 visible characters; NULL: another one in every run.
    pub control_key: *const c_char,
}

/// A person. All zero behind `struct_size` is the default: has the app and the methods 0 and 3, any device is known,
/// MFA is registered at Capillary, and is asked on the page.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct mfa_sandbox_user {
    /// `sizeof(mfa_sandbox_user)`.
    pub struct_size: u32,
    /// `MFA_SANDBOX_USER_NO_APP`, `MFA_SANDBOX_USER_NOT_REGISTERED`.
    pub flags: u32,
    /// The second factors with commas between them, as in "0,3", or "none"; NULL: "0,3".
    pub methods: *const c_char,
    /// The registered devices, one a line; NULL: any device is known.
    pub devices: *const c_char,
    /// Behaviours as behind "sandbox-", without `#PERSON`; NULL: none.
    pub behaviour: *const c_char,
}

/// A transaction at one moment. A text that was not sent is empty; one that does not fit is cut at a
/// character's boundary.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct mfa_sandbox_transaction_info {
    /// `sizeof(mfa_sandbox_transaction_info)`, set by the caller.
    pub struct_size: u32,
    /// 0 pending, 1 completed, 2 expired, 3 failed, 4 cancelled or declined; -1: nothing was found.
    pub status: i32,
    /// As returned by start.
    pub id: i64,
    /// 0 approved, 1 denied; 0 while it is pending, too.
    pub complete_result: i32,
    /// As sent.
    pub template_id: i32,
    /// How long it still lives; 0 when it has ended.
    pub remaining_ms: u32,
    /// How many status answers were asked for.
    pub polls: u32,
    /// The person asked.
    pub user: [c_char; 128],
    /// Template 4: the text shown to the person.
    pub question: [c_char; 1024],
    /// As sent: a string that holds JSON. An object in its place: its text.
    pub values: [c_char; 2048],
    /// The control code, as sent.
    pub code: [c_char; 64],
    /// As sent.
    pub device_id: [c_char; 128],
    /// As sent.
    pub device_desc: [c_char; 256],
    /// As sent.
    pub ip: [c_char; 64],
}

/// The sizes at the first release: the least that is ever accepted, whatever joins later.
pub(super) const LEAST_OPTIONS: usize = 24;
pub(super) const LEAST_INFO: usize = 3744;
pub(super) const LEAST_USER: usize = size_of::<mfa_sandbox_user>();
pub(super) const MOST_STRUCT: usize = 4096;

pub(super) const OPTIONS: usize = size_of::<mfa_sandbox_options>();

#[cfg(target_pointer_width = "64")]
const _: () = assert!(OPTIONS == 56 && LEAST_USER == 32);
const _: () = assert!(std::mem::offset_of!(mfa_sandbox_options, first_id) == LEAST_OPTIONS);
const _: () = assert!(size_of::<mfa_sandbox_transaction_info>() == LEAST_INFO);
