//! The caller's memory: structs that grow, and strings.

use std::ffi::{CStr, c_char};
use std::mem::{align_of, size_of};

use zeroize::Zeroizing;

use crate::error::{Code, Error};

/// No struct of this library will ever be larger; more is an uninitialised `struct_size`.
pub(super) const MAX_STRUCT_SIZE: usize = 4096;

/// The size of a pointer, which frozen sizes count beside 32-bit fields.
pub(super) const POINTER: usize = size_of::<*const ()>();

/// A struct of the ABI that begins with `uint32_t struct_size`.
///
/// # Safety
/// The type is `repr(C)`, begins with the `u32`, and is valid for all-zero bytes and for any bytes
/// that a caller may write into it.
pub(super) unsafe trait AbiStruct: Copy {
    const NAME: &'static str;
    /// The size at the first release: the least that is accepted, for ever.
    const FIRST_SIZE: usize;
    /// The size of each field, in order: see `field_sizes`. `check_layout` looks at them.
    const FIELDS: &'static [usize];
}

/// An `AbiStruct` that the library fills.
///
/// # Safety
/// As `AbiStruct`, and the zero of the field at `DECISION_AT` decides nothing.
pub(super) unsafe trait OutStruct: AbiStruct {
    /// Where the field lies that decides. It is 4, so that it can be reset in a struct whose size is
    /// not allowed, and read from one of any release.
    const DECISION_AT: usize;
    /// What it holds before anything is known. Its `struct_size` is not looked at.
    const RESET: Self;
}

/// `AbiStruct::FIELDS` from the names of all fields; one that is missing does not compile.
macro_rules! field_sizes {
    ($name:ident { $($field:ident),* $(,)? }) => {{
        const fn size<S, F>(_: fn(&S) -> &F) -> usize {
            size_of::<F>()
        }
        let _ = |$name { $($field: _),* }: $name| ();
        &[$(size::<$name, _>(|it| &it.$field)),*]
    }};
}
pub(super) use field_sizes;

/// Refuses to compile a struct with padding, whose bytes would be neither written nor read, and whose
/// place a later field could not take; and one whose first release does not end with a field.
pub(super) const fn check_layout<T: AbiStruct>() {
    let (mut end, mut has_first_end, mut i) = (0, false, 0);
    while i < T::FIELDS.len() {
        end += T::FIELDS[i];
        has_first_end |= end == T::FIRST_SIZE;
        i += 1;
    }
    // Where pointers have 32 bits, an eight-byte field may leave room at the end.
    let with_tail = if POINTER < 8 { end.next_multiple_of(align_of::<T>()) } else { end };
    assert!(end == size_of::<T>() || with_tail == size_of::<T>(), "the struct has padding");
    assert!(has_first_end, "FIRST_SIZE is not the end of a field");
    assert!(T::FIELDS[0] == 4, "struct_size is not a u32");
    assert!(size_of::<T>() <= MAX_STRUCT_SIZE, "every call refuses such a size");
}

const fn check_out_layout<T: OutStruct>() {
    assert!(T::DECISION_AT == 4 && T::FIELDS[1] == 4, "what decides is not the 32 bits at offset 4");
}

/// The size that a caller's struct says it has. `Err`: it is not allowed.
///
/// # Safety
/// `pointer` points to a struct that begins with its size; no alignment is assumed.
pub(super) unsafe fn allowed_size<T: AbiStruct>(pointer: *const T) -> Result<usize, usize> {
    const { check_layout::<T>() };
    // SAFETY: passed on from the caller.
    let size = unsafe { pointer.cast::<u32>().read_unaligned() } as usize;
    if (T::FIRST_SIZE..=MAX_STRUCT_SIZE).contains(&size) { Ok(size) } else { Err(size) }
}

fn size_error(name: &str, size: usize) -> Error {
    Error::new(
        Code::StructSize,
        format!("struct_size of {name} is {size}; initialise it with its _INIT macro"),
    )
}

/// Why a struct was refused whose size is not allowed.
///
/// # Safety
/// `pointer` points to a struct that begins with its size.
pub(super) unsafe fn size_refused<T: AbiStruct>(pointer: *const T) -> Error {
    // SAFETY: passed on from the caller.
    let size = unsafe { pointer.cast::<u32>().read_unaligned() } as usize;
    size_error(T::NAME, size)
}

fn null(name: &str) -> Error {
    Error::new(Code::NullPointer, format!("`{name}` is `NULL`"))
}

/// Copies an input struct; fields that the caller's version lacks are zero. `None`: NULL.
///
/// # Safety
/// `pointer` is NULL or points to a struct whose `struct_size` tells how much of it is readable.
pub(super) unsafe fn read_input<T: AbiStruct>(pointer: *const T) -> Result<Option<T>, Error> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL, and passed on from the caller.
    let size = unsafe { allowed_size(pointer) }.map_err(|size| size_error(T::NAME, size))?;
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

/// A caller's struct whose size is allowed: where the library writes, and nowhere else.
pub(super) struct Place<T> {
    pointer: *mut T,
    size: usize,
}

impl<T: AbiStruct> Place<T> {
    /// `Err`: the size that the struct says it has, and that is not allowed.
    ///
    /// # Safety
    /// `pointer` points to a struct whose `struct_size` tells how much of it is writable, until this
    /// value is dropped.
    pub(super) unsafe fn new(pointer: *mut T) -> Result<Self, usize> {
        // SAFETY: passed on from the caller.
        let size = unsafe { allowed_size(pointer.cast_const()) }?;
        Ok(Place { pointer, size })
    }

    /// Writes all but `struct_size`, and leaves alone what a newer caller has behind it.
    pub(super) fn write(&self, value: &T) {
        let end = self.size.min(size_of::<T>());
        // SAFETY: bytes 4..end lie within the caller's struct, writable for its size, and within
        // `value`, which has no padding; the two do not overlap.
        unsafe {
            let from = (&raw const *value).cast::<u8>().add(4);
            std::ptr::copy_nonoverlapping(from, self.pointer.cast::<u8>().add(4), end - 4);
        }
    }
}

/// A struct to be filled, reset at entry whatever happens next.
pub(super) struct Out<T>(Result<Place<T>, Error>);

impl<T: OutStruct> Out<T> {
    /// Resets the caller's struct. A refusal is kept for `check`, so that a bad `err` is told first.
    ///
    /// # Safety
    /// `pointer` is NULL or points to a struct whose `struct_size` tells how much of it is
    /// writable, until this value is dropped.
    pub(super) unsafe fn reset(pointer: *mut T) -> Self {
        // SAFETY: passed on from the caller.
        unsafe { Self::reset_as(pointer, "out") }
    }

    /// The same for a parameter of another name.
    ///
    /// # Safety
    /// As `reset`.
    pub(super) unsafe fn reset_as(pointer: *mut T, name: &str) -> Self {
        const { check_out_layout::<T>() };
        if pointer.is_null() {
            return Out(Err(null(name)));
        }
        // SAFETY: not NULL, and passed on from the caller.
        let place = unsafe { Place::new(pointer) };
        match place {
            Ok(place) => {
                place.write(&T::RESET);
                Out(Ok(place))
            }
            Err(size) => {
                if size >= T::DECISION_AT + 4 {
                    // SAFETY: as many bytes are writable, guaranteed by the caller.
                    unsafe { pointer.cast::<u8>().add(T::DECISION_AT).cast::<u32>().write_unaligned(0) };
                }
                Out(Err(size_error(T::NAME, size)))
            }
        }
    }

    /// Whether there is a struct to fill.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.0.as_ref().map(|_| ()).map_err(Clone::clone)
    }

    pub(super) fn set(&self, value: &T) {
        if let Ok(place) = &self.0 {
            place.write(value);
        }
    }
}

/// A field of 32 bits that the first release has; `None` for NULL or a size that is not allowed.
///
/// # Safety
/// `pointer` is NULL or points to a struct whose `struct_size` tells how much of it is readable; `at` is
/// the place of an `i32` in it.
pub(super) unsafe fn read_field<T: AbiStruct>(pointer: *const T, at: usize) -> Option<i32> {
    // SAFETY: looked at only where it is not NULL; then it begins with its size, says the caller.
    if pointer.is_null() || unsafe { allowed_size(pointer) }.is_err() {
        return None;
    }
    // SAFETY: the struct is at least as large as at the first release, which has the field.
    Some(unsafe { pointer.cast::<u8>().add(at).cast::<i32>().read_unaligned() })
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
        Error::new(Code::InvalidUtf8, format!("`{name}` is not UTF-8 from byte {} on", e.valid_up_to()))
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
        // SAFETY: not NULL, and writable, guaranteed by the caller.
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
        _ => Err(Error::argument(format!("`{name}` is neither 0 nor 1"))),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A struct of which the first release had the first two fields.
    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Grown {
        struct_size: u32,
        decision: i32,
        added: u32,
    }

    // SAFETY: repr(C), begins with the u32; integers.
    unsafe impl AbiStruct for Grown {
        const NAME: &'static str = "Grown";
        const FIRST_SIZE: usize = 8;
        const FIELDS: &'static [usize] = field_sizes!(Grown { struct_size, decision, added });
    }

    // SAFETY: 0 decides nothing.
    unsafe impl OutStruct for Grown {
        const DECISION_AT: usize = std::mem::offset_of!(Grown, decision);
        const RESET: Self = Grown { struct_size: 0, decision: 0, added: 5 };
    }

    const STALE: u32 = 0x5a5a_5a5a;

    /// What is in the memory of a caller whose struct has `size` bytes: after the reset, and filled.
    fn reset_and_filled(size: u32) -> [[u32; 4]; 2] {
        let mut memory = [size, STALE, STALE, STALE];
        // SAFETY: it is 16 bytes long, at least what `size` says.
        let out = unsafe { Out::reset(memory.as_mut_ptr().cast::<Grown>()) };
        let reset = memory;
        out.set(&Grown { struct_size: 77, decision: 1, added: 2 });
        [reset, memory]
    }

    #[test]
    fn a_field_that_was_added_is_reset_and_written_where_the_caller_has_it() {
        assert_eq!(reset_and_filled(12), [[12, 0, 5, STALE], [12, 1, 2, STALE]]);
        assert_eq!(reset_and_filled(16), [[16, 0, 5, STALE], [16, 1, 2, STALE]]);
        assert_eq!(reset_and_filled(8), [[8, 0, STALE, STALE], [8, 1, STALE, STALE]]);
    }

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
