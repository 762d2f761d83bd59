//! The caller's memory: structs that grow, and strings.

use std::ffi::{CStr, c_char};
use std::mem::{offset_of, size_of};

use zeroize::Zeroizing;

use crate::error::{Code, Error};

/// No struct of this library will ever be larger; more is an uninitialised `struct_size`.
pub(super) const MAX_STRUCT_SIZE: usize = 4096;

/// A struct of the ABI that begins with `uint32_t struct_size`.
///
/// # Safety
/// The type is `repr(C)`, begins with the `u32`, has no padding, and is valid for all-zero bytes
/// and for any bytes that a caller may write into it.
pub(super) unsafe trait AbiStruct: Copy {
    const NAME: &'static str;
    /// The size at the first release: the least that is accepted, for ever.
    const FIRST_SIZE: usize;
}

/// An `AbiStruct` that the library fills.
///
/// # Safety
/// As `AbiStruct`, and the field at offset 4 is an `i32` or `u32`, whose zero decides nothing.
pub(super) unsafe trait OutStruct: AbiStruct {
    /// What it holds before anything is known. Its `struct_size` is not looked at.
    const RESET: Self;
}

fn size_error(name: &str, size: usize) -> Error {
    Error::new(
        Code::StructSize,
        format!("struct_size of {name} is {size}; initialise it with its _INIT macro"),
    )
}

fn null(name: &str) -> Error {
    Error::new(Code::NullPointer, format!("{name} is NULL"))
}

/// Copies an input struct; fields that the caller's version lacks are zero. `None`: NULL.
///
/// # Safety
/// `pointer` is NULL or points to a struct whose `struct_size` tells how much of it is readable.
pub(super) unsafe fn read_input<T: AbiStruct>(pointer: *const T) -> Result<Option<T>, Error> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's struct begins with this field; no alignment is assumed.
    let size = unsafe { pointer.cast::<u32>().read_unaligned() } as usize;
    if !(T::FIRST_SIZE..=MAX_STRUCT_SIZE).contains(&size) {
        return Err(size_error(T::NAME, size));
    }
    // SAFETY: all-zero bytes are a valid T. The copied range lies within both the caller's struct,
    // readable for `size`, and ours; any bytes are a valid T.
    let value = unsafe {
        let mut value: T = std::mem::zeroed();
        std::ptr::copy_nonoverlapping(
            pointer.cast::<u8>(),
            (&raw mut value).cast(),
            size.min(size_of::<T>()),
        );
        value
    };
    if size > size_of::<T>() {
        // SAFETY: the caller's struct is readable for `size` bytes.
        let tail = unsafe {
            std::slice::from_raw_parts(pointer.cast::<u8>().add(size_of::<T>()), size - size_of::<T>())
        };
        if tail.iter().any(|byte| *byte != 0) {
            let text = format!("{} sets a field that this version does not know", T::NAME);
            return Err(Error::argument(text));
        }
    }
    Ok(Some(value))
}

/// A struct to be filled, reset at entry whatever happens next.
pub(super) struct Out<T> {
    pointer: *mut T,
    size: Result<usize, Error>,
}

impl<T: OutStruct> Out<T> {
    /// Resets the caller's struct. A refusal is kept for `check`, so that a bad `err` is told first.
    ///
    /// # Safety
    /// `pointer` is NULL or points to a struct whose `struct_size` tells how much of it is
    /// writable, until this value is dropped.
    pub(super) unsafe fn reset(pointer: *mut T) -> Self {
        if pointer.is_null() {
            return Out { pointer, size: Err(null("out")) };
        }
        // SAFETY: the caller's struct begins with this field; no alignment is assumed.
        let size = unsafe { pointer.cast::<u32>().read_unaligned() } as usize;
        if (T::FIRST_SIZE..=MAX_STRUCT_SIZE).contains(&size) {
            let out = Out { pointer, size: Ok(size) };
            out.write(size, &T::RESET);
            return out;
        }
        if size >= 8 {
            // SAFETY: eight bytes are writable, says the caller; the second four are the decision.
            unsafe { pointer.cast::<u8>().add(4).cast::<u32>().write_unaligned(0) };
        }
        Out { pointer, size: Err(size_error(T::NAME, size)) }
    }

    /// Whether there is a struct to fill.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.size.as_ref().map(|_| ()).map_err(Clone::clone)
    }

    pub(super) fn set(&self, value: &T) {
        if let Ok(size) = self.size {
            self.write(size, value);
        }
    }

    /// Writes all but `struct_size`, and leaves alone what a newer caller has behind it.
    fn write(&self, size: usize, value: &T) {
        let end = size.min(size_of::<T>());
        // SAFETY: bytes 4..end lie within the caller's struct, writable for `size`, and within
        // `value`, which has no padding; the two do not overlap.
        unsafe {
            let from = (&raw const *value).cast::<u8>().add(4);
            std::ptr::copy_nonoverlapping(from, self.pointer.cast::<u8>().add(4), end - 4);
        }
    }
}

/// An optional string; NULL is `None`.
///
/// # Safety
/// `pointer` is NULL or points to a NUL-terminated string that stays as it is for `'a`.
pub(super) unsafe fn text<'a>(pointer: *const c_char, name: &str) -> Result<Option<&'a str>, Error> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: passed on from the caller.
    let text = unsafe { CStr::from_ptr(pointer) };
    let text = text.to_str().map_err(|e| {
        Error::new(Code::InvalidUtf8, format!("{name} is not UTF-8 from byte {} on", e.valid_up_to()))
    })?;
    Ok(Some(text))
}

/// An optional string in which only some parts are ours to read, as PEM: what is not UTF-8 becomes
/// U+FFFD. Wiped when dropped, since a key may be in it. NULL is `None`.
///
/// # Safety
/// As `text`.
pub(super) unsafe fn lossy_text(pointer: *const c_char) -> Option<Zeroizing<String>> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: passed on from the caller.
    let bytes = unsafe { CStr::from_ptr(pointer) }.to_bytes();
    // U+FFFD is three bytes for at least one: nothing moves, so that no copy of a key is left behind.
    let is_utf8 = std::str::from_utf8(bytes).is_ok();
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * if is_utf8 { 1 } else { 3 }));
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    Some(text)
}

/// A string that must be there.
///
/// # Safety
/// As `text`.
pub(super) unsafe fn required_text<'a>(pointer: *const c_char, name: &str) -> Result<&'a str, Error> {
    // SAFETY: passed on from the caller.
    unsafe { text(pointer, name) }?.ok_or_else(|| null(name))
}

/// A handle that must be there.
///
/// # Safety
/// `pointer` is NULL or came from this type's `_new` and has not been freed, for `'a`.
pub(super) unsafe fn handle<'a, T>(pointer: *const T, name: &str) -> Result<&'a T, Error> {
    // SAFETY: passed on from the caller.
    unsafe { pointer.as_ref() }.ok_or_else(|| null(name))
}

/// A place to put a value, set to `reset` at entry.
///
/// # Safety
/// `pointer` is NULL or writable for a `T`.
pub(super) unsafe fn reset_value<T>(pointer: *mut T, reset: T) {
    if !pointer.is_null() {
        // SAFETY: not NULL, and writable, says the caller.
        unsafe { pointer.write(reset) };
    }
}

/// Checks a place that `reset_value` has prepared.
pub(super) fn check_place<T>(pointer: *mut T, name: &str) -> Result<(), Error> {
    if pointer.is_null() { Err(null(name)) } else { Ok(()) }
}

/// Refuses flag bits that this version does not know.
pub(super) fn check_flags(flags: u32, known: u32, name: &str) -> Result<(), Error> {
    match flags & !known {
        0 => Ok(()),
        unknown => Err(Error::argument(format!("{name} has unknown bits {unknown:#x}"))),
    }
}

/// An `int32_t` that stands for a boolean.
pub(super) fn boolean(value: i32, name: &str) -> Result<bool, Error> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Error::argument(format!("{name} is neither 0 nor 1"))),
    }
}

/// Copies `text` into a `char` array: cut at a character boundary, always NUL-terminated.
pub(super) fn copy_text<const N: usize>(text: &str, array: &mut [c_char; N]) {
    let mut end = text.len().min(N - 1);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    array.fill(0);
    for (slot, byte) in array.iter_mut().zip(&text.as_bytes()[..end]) {
        // A NUL inside would hide the rest.
        *slot = if *byte == 0 { b' ' } else { *byte } as c_char;
    }
}

const _: () = assert!(offset_of!(crate::ffi::transaction::mfa_transaction, decision) == 4);
const _: () = assert!(offset_of!(crate::ffi::capillary::mfa_registration, state) == 4);
const _: () = assert!(offset_of!(crate::ffi::hyperid::mfa_availability, available) == 4);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters() {
        let mut array = [1 as c_char; 6];
        copy_text("añ€x", &mut array);
        let bytes: Vec<u8> = array.iter().map(|c| *c as u8).collect();
        assert_eq!(bytes, ["añ".as_bytes(), &[0; 3]].concat());
        copy_text("a\0b", &mut array);
        assert_eq!(array[..4].iter().map(|c| *c as u8).collect::<Vec<_>>(), b"a b\0");
    }
}
