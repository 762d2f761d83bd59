//! The chunks that a body may come in (RFC 9112, 7.1), read byte for byte as the grammar has them.
//!
//! Where one chunk ends, the next begins, and behind the last one the next answer: whoever reads a
//! size or a line end otherwise than the peer meant it takes one answer's bytes for another's. So
//! nothing is guessed: a sign, a blank in front of a size or a line feed alone is refused at once.

use crate::error::Error;
use crate::http::MAX_HEADER;
use crate::http::response_head::header_too_large;

/// What a `u64` holds.
const MAX_DIGITS: u8 = 16;

/// How far a body has been read.
#[derive(Default)]
pub(super) struct Chunks {
    state: State,
    /// Bytes of blanks, extensions and trailers so far: nothing that anybody wants.
    extra: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In a chunk's size, behind so many digits of it.
    Size {
        size: u64,
        digits: u8,
    },
    /// In blanks behind a size.
    Blanks {
        size: u64,
    },
    Extension {
        size: u64,
    },
    /// At the line feed of a size's line.
    SizeEnd {
        size: u64,
    },
    Data {
        left: u64,
    },
    /// At the carriage return, then at the line feed, behind a chunk's data.
    DataEnd,
    DataLineFeed,
    /// At the start of a trailer's line, or of the empty one that ends the body.
    Trailer,
    TrailerName,
    TrailerValue,
    TrailerEnd,
    /// At the very last line feed.
    LastLineFeed,
    Ended,
}

impl Default for State {
    fn default() -> Self {
        State::Size { size: 0, digits: 0 }
    }
}

impl State {
    /// The state behind `byte`, which is none of a chunk's data; `None`: it must not stand here.
    fn after(self, byte: u8) -> Option<State> {
        match (self, byte) {
            (State::Size { size, digits }, b) if b.is_ascii_hexdigit() && digits < MAX_DIGITS => {
                let digit = char::from(b).to_digit(16)?;
                Some(State::Size { size: size << 4 | u64::from(digit), digits: digits + 1 })
            }
            (State::Size { size, digits: 1.. } | State::Blanks { size }, b) => match b {
                b' ' | b'\t' => Some(State::Blanks { size }),
                b';' => Some(State::Extension { size }),
                b'\r' => Some(State::SizeEnd { size }),
                _ => None,
            },
            (State::Extension { size }, b'\r') => Some(State::SizeEnd { size }),
            (State::Extension { .. }, b) if is_text(b) => Some(self),
            (State::SizeEnd { size: 0 }, b'\n') => Some(State::Trailer),
            (State::SizeEnd { size: left }, b'\n') => Some(State::Data { left }),
            (State::DataEnd, b'\r') => Some(State::DataLineFeed),
            (State::DataLineFeed, b'\n') => Some(State::default()),
            (State::Trailer, b'\r') => Some(State::LastLineFeed),
            (State::Trailer | State::TrailerName, b) if is_token(b) => Some(State::TrailerName),
            (State::TrailerName, b':') => Some(State::TrailerValue),
            (State::TrailerValue, b'\r') => Some(State::TrailerEnd),
            (State::TrailerValue, b) if is_text(b) => Some(self),
            (State::TrailerEnd, b'\n') => Some(State::Trailer),
            (State::LastLineFeed, b'\n') => Some(State::Ended),
            _ => None,
        }
    }

    /// In what may be of any length and is not looked at.
    fn is_extra(self) -> bool {
        use State::{Blanks, Extension, TrailerName, TrailerValue};
        matches!(self, Blanks { .. } | Extension { .. } | TrailerName | TrailerValue)
    }
}

impl Chunks {
    /// Puts data of `input` into `room`: how much of each was used. Without an error, one of them is
    /// used up, or the body has ended.
    pub(super) fn read(&mut self, input: &[u8], room: &mut [u8]) -> Result<(usize, usize), Error> {
        let (mut used, mut amount) = (0, 0);
        while used < input.len() && self.state != State::Ended {
            if let State::Data { left } = self.state {
                let most = usize::try_from(left).unwrap_or(usize::MAX);
                let size = most.min(input.len() - used).min(room.len() - amount);
                if size == 0 {
                    break;
                }
                room[amount..amount + size].copy_from_slice(&input[used..used + size]);
                used += size;
                amount += size;
                let left = left - size as u64;
                self.state = if left == 0 { State::DataEnd } else { State::Data { left } };
                continue;
            }
            self.state = self.state.after(input[used]).ok_or_else(malformed)?;
            self.extra += usize::from(self.state.is_extra());
            if self.extra > MAX_HEADER {
                return Err(header_too_large());
            }
            used += 1;
        }
        Ok((used, amount))
    }

    /// All data is there: the last chunk was read. Trailers may follow.
    pub(super) fn is_whole(&self) -> bool {
        use State::{Ended, LastLineFeed, Trailer, TrailerEnd, TrailerName, TrailerValue};
        matches!(self.state, Trailer | TrailerName | TrailerValue | TrailerEnd | LastLineFeed | Ended)
    }

    /// What comes next is no longer this body's.
    pub(super) fn has_ended(&self) -> bool {
        self.state == State::Ended
    }
}

fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// Of a header's name (RFC 9110, 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn malformed() -> Error {
    Error::malformed("the answer is not valid HTTP: its chunks are malformed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    /// Reads `input` in pieces of so many bytes into rooms of so many: the data, how much of the input
    /// it took, and whether the data is whole and the body has ended.
    fn read(input: &[u8], piece: usize, room: usize) -> Result<(Vec<u8>, usize, bool, bool), Code> {
        let (mut chunks, mut data, mut taken) = (Chunks::default(), Vec::new(), 0);
        while taken < input.len() && !chunks.has_ended() {
            let mut space = vec![0; room];
            let end = input.len().min(taken + piece);
            let (used, amount) = chunks.read(&input[taken..end], &mut space).map_err(|e| e.code)?;
            assert!(used > 0, "it stands still");
            taken += used;
            data.extend_from_slice(&space[..amount]);
        }
        Ok((data, taken, chunks.is_whole(), chunks.has_ended()))
    }

    fn in_all_pieces(input: &str) -> Result<(Vec<u8>, usize, bool, bool), Code> {
        let first = read(input.as_bytes(), usize::MAX >> 1, 1024);
        for (piece, room) in [(1, 1), (1, 1024), (2, 3), (3, 1), (7, 2)] {
            assert_eq!(read(input.as_bytes(), piece, room), first, "{input:?}: {piece}, {room}");
        }
        first
    }

    #[test]
    fn chunks_are_put_together_and_nothing_behind_them_is_taken() {
        let sized = "5\r\nhello\r\n06 \t; a=\"b;c\"\r\n world\r\n0\r\n\r\n";
        let trailing = "B\r\nhello world\r\n000;x\r\nA: b\r\nC:\r\nD!#: \u{e9}\t\r\n\r\n";
        let largest = "5\r\nhello\r\n0000000000000006\r\n world\r\n0000000000000000\r\n\r\n";
        for body in [sized, trailing, largest] {
            let found = in_all_pieces(&format!("{body}HTTP/1.1 200 OK\r\n\r\n"));
            assert_eq!(found, Ok((b"hello world".to_vec(), body.len(), true, true)), "{body:?}");
        }
    }

    #[test]
    fn the_data_is_whole_once_the_last_chunk_is_told() {
        let body = "2\r\nhi\r\n0\r\nA: b\r\n\r\n";
        let told = body.find("A:").unwrap();
        for end in 0..=body.len() {
            let (_, taken, is_whole, has_ended) = in_all_pieces(&body[..end]).unwrap();
            assert_eq!((taken, is_whole, has_ended), (end, end >= told, end == body.len()), "{end}");
        }
    }

    #[test]
    fn whatever_the_grammar_does_not_have_is_refused() {
        let sizes = [
            "+2",
            "-2",
            " 2",
            "\t2",
            "\n2",
            "\r\n2",
            "0x2",
            "2_",
            "2h",
            "2 2",
            "2,",
            "",
            ";a",
            "\u{661}",
            "2\0",
            "2;a\u{7f}",
            "2;a\0",
            "00000000000000002",
            "10000000000000000",
        ];
        let of_size = |size: &&str| format!("{size}\r\nhi\r\n0\r\n\r\n");
        let others = [
            "2\nhi\n0\n\n",
            "2\nhi\r\n0\r\n\r\n",
            "2;a\nhi\r\n0\r\n\r\n",
            "2\r\nhi\n0\r\n\r\n",
            "2\r\nhi\r\n0\n\r\n",
            "2\r\nhi\r\n0\r\n\n",
            "2\r\nhi\r\n0\r\nA: b\n\r\n",
            "2\rhi\r\n0\r\n\r\n",
            "2;a\rb\r\nhi\r\n0\r\n\r\n",
            "2\r\nhi\r0\r\n\r\n",
            "2\r\nhi\r\n0\r\n\rx",
            "2\r\nhi!\r\n0\r\n\r\n",
            "3\r\nhi\r\n0\r\n\r\n",
            "2\r\nhi0\r\n\r\n",
            "2\r\nhi\r\n\r\n0\r\n\r\n",
            "2\r\nhi\r\n0\r\nHTTP/1.1 200 OK\r\n\r\n",
            "2\r\nhi\r\n0\r\n A: b\r\n\r\n",
            "2\r\nhi\r\n0\r\nA: b\r\n c\r\n\r\n",
            "2\r\nhi\r\n0\r\nA : b\r\n\r\n",
            "2\r\nhi\r\n0\r\n: b\r\n\r\n",
            "2\r\nhi\r\n0\r\nA\r\n\r\n",
            "2\r\nhi\r\n0\r\nA: b\0\r\n\r\n",
        ];
        for body in sizes.iter().map(of_size).chain(others.map(str::to_owned)) {
            assert_eq!(in_all_pieces(&body), Err(Code::MalformedAnswer), "{body:?}");
        }
    }

    #[test]
    fn what_nobody_wants_is_bounded() {
        let long = "x".repeat(MAX_HEADER);
        let many = "A: b\r\n".repeat(MAX_HEADER / 3);
        let blanks = " ".repeat(MAX_HEADER + 1);
        for body in [
            format!("2;{long}\r\n"),
            format!("2{blanks}\r\n"),
            format!("0\r\nA: {long}\r\n"),
            format!("0\r\n{many}"),
            "1;abcdefgh\r\nx\r\n".repeat(MAX_HEADER / 8),
        ] {
            assert_eq!(read(body.as_bytes(), 4096, 4096), Err(Code::AnswerTooLarge), "{}", &body[..9]);
        }
        let small = "1\r\nx\r\n".repeat(MAX_HEADER);
        assert!(read(small.as_bytes(), 4096, 4096).is_ok(), "small chunks are no crime");
    }
}
