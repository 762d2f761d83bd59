//! `mfa_request`.

use std::ffi::c_char;

use crate::error::{Code, Error};
use crate::ffi::memory::{AbiStruct, POINTER, check_flags, field_sizes, read_input, text};
use crate::hyperid::Request;

/// In `mfa_request.flags`: `code` may be any text, not only two digits.
pub const MFA_REQUEST_ANY_CODE: u32 = 1;

/// What to ask the person (HyperID's `transaction/start/v2`). Strings are borrowed for the call;
/// each is UTF-8, not empty, and at most 32 768 bytes long.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct mfa_request {
    /// `sizeof(mfa_request)`; set by `MFA_REQUEST_INIT`.
    pub struct_size: u32,
    /// Any of `MFA_REQUEST_...`; unknown bits are refused.
    pub flags: u32,
    /// Which screen the app shows: 2 transaction, 3 exchange, 4 question, 15 sign message; others
    /// exist, and an unknown one is refused by the server (`MFA_ERR_TEMPLATE_NOT_FOUND`). 0:
    /// template 4, and `question` is required.
    pub template_id: i32,
    /// 0.
    pub reserved: u32,
    /// Template 4: the text shown to the person.
    pub question: *const c_char,
    /// Any template: its parameters as a JSON object, nested at most 32 deep; together with
    /// `question`: refused.
    pub values_json: *const c_char,
    /// The control code that your program shows and the app shows too, so that the person can
    /// compare them: two digits (see `mfa_control_code`). NULL: none.
    pub code: *const c_char,
    /// Identifies the device that the person acts from. NULL: not given.
    pub device_id: *const c_char,
    /// Describes that device to the person. NULL: not given.
    pub device_desc: *const c_char,
    /// That device's address. NULL: not given.
    pub ip: *const c_char,
}

// SAFETY: repr(C), begins with the u32; integers and pointers are valid for zero and for what a caller
// sets.
unsafe impl AbiStruct for mfa_request {
    const NAME: &'static str = "mfa_request";
    const FIRST_SIZE: usize = 16 + 6 * POINTER;
    const FIELDS: &'static [usize] = field_sizes!(mfa_request {
        struct_size,
        flags,
        template_id,
        reserved,
        question,
        values_json,
        code,
        device_id,
        device_desc,
        ip,
    });
}

/// # Safety
/// `pointer` is NULL or points to a request as the header describes it, valid for `'a`.
pub(super) unsafe fn request<'a>(pointer: *const mfa_request) -> Result<Request<'a>, Error> {
    // SAFETY: passed on from the caller.
    let Some(given) = (unsafe { read_input(pointer) })? else {
        return Err(Error::new(Code::NullPointer, "`request` is `NULL`"));
    };
    // Whole, so that no field is left unread.
    let mfa_request {
        struct_size: _,
        flags,
        template_id,
        reserved,
        question,
        values_json,
        code,
        device_id,
        device_desc,
        ip,
    } = given;
    check_flags(flags, MFA_REQUEST_ANY_CODE, "flags of mfa_request")?;
    if reserved != 0 {
        return Err(Error::argument("reserved of mfa_request is not 0"));
    }
    // SAFETY: strings as the header describes them, guaranteed by the caller.
    unsafe {
        Ok(Request {
            template_id,
            question: text(question, "question")?,
            values_json: text(values_json, "values_json")?,
            code: text(code, "code")?,
            any_code: flags & MFA_REQUEST_ANY_CODE != 0,
            device_id: text(device_id, "device_id")?,
            device_desc: text(device_desc, "device_desc")?,
            ip: text(ip, "ip")?,
        })
    }
}
