//! What the person at the terminal sees: a line for each request, on the standard error.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::Instant;

/// So much of a body is shown.
const MOST: usize = 200;

pub(crate) struct Terminal {
    /// `None`: it says nothing.
    since: Option<Instant>,
}

impl Terminal {
    pub(crate) fn new(speaks: bool) -> Terminal {
        Terminal { since: speaks.then(Instant::now) }
    }

    /// One line, with the time since the start. `text` is not built if nobody reads it.
    pub(crate) fn say(&self, text: impl FnOnce() -> String) {
        let Some(since) = self.since else {
            return;
        };
        let line = format!("{:>10.3}  {}\n", since.elapsed().as_secs_f64(), printable(&text()));
        // In one piece, so that lines do not mix; a terminal that is gone is no reason to fail.
        let _ = io::stderr().write_all(line.as_bytes());
    }
}

/// What came from outside must not steer the terminal, nor turn its text around.
fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_control() || steers(c) => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// Marks of direction, breaks of lines, and what is not seen at all.
fn steers(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The beginning of a body, as text; of an empty one, nothing.
pub(crate) fn body(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * MOST)]);
    let text = text.trim_end();
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], bytes.len()),
        None => text.to_owned(),
    }
}

/// A token as it may be shown: those of the sandbox open nothing, any other may be a real one.
pub(crate) fn token(token: &str) -> String {
    if token.starts_with("sandbox-") {
        return body(token.as_bytes());
    }
    format!("{}…", token.chars().take(4).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_steers_the_terminal() {
        assert_eq!(printable("Pay \u{1b}[2J\r\n\u{202e}?"), "Pay \\u{1b}[2J\\u{d}\\u{a}\\u{202e}?");
        assert_eq!(printable("שלום é"), "שלום é");
    }

    #[test]
    fn a_token_that_may_be_real_is_not_shown() {
        assert_eq!(token("sandbox-deny#ann"), "sandbox-deny#ann");
        assert_eq!(token("eyJhbGciOiJIUzI1NiJ9.e30.c2VjcmV0"), "eyJh…");
    }

    #[test]
    fn long_bodies_are_cut() {
        assert_eq!(body("é".repeat(MOST).as_bytes()), "é".repeat(MOST));
        assert!(body("é".repeat(1000).as_bytes()).ends_with("… (2000 bytes)"));
    }
}
