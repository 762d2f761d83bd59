//! Strings that must not outlive their use: zeroed when dropped, and never printed.

use std::fmt;
use std::ops::{Deref, DerefMut};

use crate::error::Error;

/// The longest token or other header material that is accepted, in bytes.
const MAX_LEN: usize = 16_384;

/// Zeroes bytes so that the compiler cannot leave it out: as zeroize does, but at memset's speed
/// and not byte by byte, which matters on every call.
pub(crate) fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    zeroize::optimization_barrier(bytes);
}

/// Bytes that are wiped when dropped, with the spare room behind them, and never printed.
#[derive(Default)]
pub(crate) struct Wiped(Vec<u8>);

impl Wiped {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Wiped(Vec::with_capacity(capacity))
    }
}

impl From<Vec<u8>> for Wiped {
    fn from(bytes: Vec<u8>) -> Self {
        Wiped(bytes)
    }
}

impl Deref for Wiped {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Wiped {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl fmt::Debug for Wiped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wiped(..)")
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.clear();
        self.0.resize(self.0.capacity(), 0);
        zeroize::optimization_barrier(self.0.as_slice());
    }
}

/// A token, password or key.
pub(crate) struct Secret(String);

impl Drop for Secret {
    fn drop(&mut self) {
        drop(Wiped(std::mem::take(&mut self.0).into_bytes()));
    }
}

impl Secret {
    /// Takes header material: 1–16,384 characters, each 0x21–0x7E, so that it can neither split a
    /// header nor be mistaken for another one.
    pub(crate) fn header_material(name: &str, text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(Error::argument(format!("`{name}` is empty")));
        }
        if text.len() > MAX_LEN {
            return Err(Error::argument(format!("`{name}` is longer than {MAX_LEN} bytes")));
        }
        if text.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("bearer ")) {
            return Err(Error::argument(format!(
                "`{name}` begins with \"Bearer \": leave that out, libmfa writes it itself"
            )));
        }
        if let Some(at) = text.bytes().position(|b| !(0x21..=0x7e).contains(&b)) {
            return Err(Error::argument(format!("`{name}` has a byte outside 0x21-0x7E at offset {at}")));
        }
        Ok(Secret(text.to_owned()))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_exactly_the_visible_ascii() {
        for byte in 0u8..=127 {
            let text = String::from_utf8(vec![b'a', byte, b'b']).unwrap();
            let accepted = Secret::header_material("token", &text).is_ok();
            assert_eq!(accepted, (0x21..=0x7e).contains(&byte), "{byte:#x}");
        }
        assert!(Secret::header_material("token", "ü").is_err());
    }

    #[test]
    fn who_passes_a_whole_header_is_told_so() {
        for text in ["Bearer abc", "bearer abc", "BEARER "] {
            let why = Secret::header_material("access_token", text).unwrap_err().to_string();
            assert!(why.contains("leave that out"), "{why}");
        }
        for text in ["Bearer", "bearerabc", "Bearer\tabc"] {
            let told = Secret::header_material("access_token", text);
            assert!(told.err().is_none_or(|why| !why.to_string().contains("leave that out")), "{text}");
        }
    }

    #[test]
    fn length_is_bounded_on_both_sides() {
        assert!(Secret::header_material("token", "").is_err());
        assert!(Secret::header_material("token", &"a".repeat(MAX_LEN)).is_ok());
        assert!(Secret::header_material("token", &"a".repeat(MAX_LEN + 1)).is_err());
    }

    #[test]
    fn is_never_printed() {
        let secret = Secret::header_material("token", "hush").unwrap();
        assert!(!format!("{secret:?}").contains("hush"));
        assert_eq!(format!("{:?}", Wiped::from(b"hush".to_vec())), "Wiped(..)");
        let error = Secret::header_material("token", "hu sh").unwrap_err();
        assert!(!format!("{error:?}").contains("hu sh"));
    }
}
