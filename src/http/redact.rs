//! Keeps what an answer's header holds, but nobody reads, out of the engine's copies.
//!
//! The engine copies every header line, and frees the copies as they are: a token that a server echoes,
//! or a session's cookie, would stay behind in freed memory.

use crate::sys::find;

/// What the engine and `Head` read.
const READ: [&[u8]; 6] =
    [b"connection", b"content-encoding", b"content-length", b"date", b"retry-after", b"transfer-encoding"];

/// With the space before it; no secret is shorter.
const SHORT: usize = 8;

/// Overwrites the other lines' values, as far as they have come in. Whether a line is valid, how long
/// it is, and what follows the header stays as it was.
pub(super) fn hide_unread(head: &mut [u8]) {
    let Some(end) = find(head, b'\n') else { return };
    let mut rest = &mut head[end + 1..];
    // A line without a colon takes the next one's, and so is not among those that are read; the engine
    // refuses it, and all with it.
    while !matches!(&*rest, [b'\r' | b'\n', ..]) {
        let Some(colon) = find(rest, b':') else { return };
        let (name, behind) = rest.split_at_mut(colon);
        let end = find(behind, b'\n').unwrap_or(behind.len());
        let value = &mut behind[1..end];
        if value.len() > SHORT && !is_read(name) {
            hide(value);
        }
        let Some(next) = behind.get_mut(end + 1..) else { return };
        rest = next;
    }
}

fn is_read(name: &[u8]) -> bool {
    let fits = name.len() < 32 && LENGTHS & (1 << name.len()) != 0;
    fits && READ.iter().any(|read| read.eq_ignore_ascii_case(name))
}

/// A bit for each length that a name in `READ` has: most others are told from them by it.
const LENGTHS: u32 = {
    let (mut bits, mut i) = (0, 0);
    while i < READ.len() {
        bits |= 1 << READ[i].len();
        i += 1;
    }
    bits
};

/// Leaves it as it is where the engine refuses it.
fn hide(value: &mut [u8]) {
    let text = value.strip_suffix(b"\r").map_or(value.len(), <[u8]>::len);
    let value = &mut value[..text];
    let is_refused = |byte: &u8| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f;
    if may_have_controls(value) && value.iter().any(is_refused) {
        return;
    }
    value.fill(b'x');
}

/// Eight bytes at a time, the last eight perhaps twice.
fn may_have_controls(bytes: &[u8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    let is_in = |word: &[u8; 8]| {
        let word = u64::from_ne_bytes(*word);
        let below_space = word.wrapping_sub(ONES * 0x20) & !word;
        let delete = (word ^ (ONES * 0x7f)).wrapping_sub(ONES) & !(word ^ (ONES * 0x7f));
        (below_space | delete) & HIGHS != 0
    };
    let mut rest = bytes;
    while let Some((word, behind)) = rest.split_first_chunk() {
        if is_in(word) {
            return true;
        }
        rest = behind;
    }
    bytes.last_chunk().is_none_or(is_in)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(head: &str) -> String {
        let mut bytes = head.as_bytes().to_vec();
        hide_unread(&mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn what_is_read_and_what_follows_stays() {
        let head = "HTTP/1.1 200 OK: a long reason\r\nContent-LENGTH: 000000000012\r\nDate: Sun, 06 Nov\r\n\
                    X-Echo: a b\tcdefg\r\nX-Short: abcdef\r\nSet-Cookie:dddd=dddd\r\n\r\nX-Body: it stays as it is";
        let expected = head.replace(" a b\tcdefg", "xxxxxxxxxx").replace("dddd=dddd", "xxxxxxxxx");
        assert_eq!(hidden(head), expected);
        assert_eq!(hidden(&expected), expected);
        assert_eq!(hidden(&head.replace("\r\n", "\n")), expected.replace("\r\n", "\n"));
    }

    #[test]
    fn half_a_header_is_hidden_as_far_as_it_has_come_in() {
        let head = "HTTP/1.1 200 OK\r\nX-Echo: secret, secret\r\nDate: secret, secret\r\nCookie: secret=secret\r\n\r\nsecret";
        let mut pieces = Vec::new();
        for byte in head.bytes() {
            pieces.push(byte);
            hide_unread(&mut pieces);
        }
        assert_eq!(String::from_utf8(pieces).unwrap(), hidden(head));
        assert_eq!(hidden(head).matches("secret").count(), 3);
    }

    #[test]
    fn what_is_not_valid_stays_so() {
        let lines = [
            "",
            "\n",
            "\r\n\r\n",
            "no line",
            "A\nno colon\r\n\r\n",
            "A\nB: 123456789\0\r\n",
            "A\nB: 123456789\r0\n",
        ];
        for head in lines {
            assert_eq!(hidden(head), head);
        }
        for byte in 0..=0xff {
            for at in 0..20 {
                let mut value = [b'a'; 20];
                value[at] = byte;
                let mut head = [b"A\nB:".as_slice(), &value, b"\r\n"].concat();
                hide_unread(&mut head);
                let is_valid = matches!(byte, b'\t' | b' '..=0x7e | 0x80..);
                let is_end = byte == b'\n' || (byte == b'\r' && at == 19);
                assert!(is_end || is_valid == head[4..24].iter().all(|b| *b == b'x'), "{byte:#x} at {at}");
            }
        }
    }
}
