//! Keeps what an answer's header holds, but nobody reads, out of the engine's copies.
//!
//! The engine copies every header line, and frees the copies as they are: a token that a server echoes,
//! or a session's cookie, would stay behind in freed memory.

/// What the engine and `Head` read; all else is hidden.
const READ: [&[u8]; 6] =
    [b"connection", b"content-encoding", b"content-length", b"date", b"retry-after", b"transfer-encoding"];

/// Overwrites the other header lines' values, as far as they have come in. Whether each line is valid,
/// how long it is, and what follows the header stays as it was.
pub(super) fn hide_unread(head: &mut [u8]) {
    let Some(mut rest) = after_line(head) else { return };
    loop {
        let end = find(rest, b'\n');
        let (line, behind) = rest.split_at_mut(end.unwrap_or(rest.len()));
        if matches!(&*line, [] | [b'\r']) {
            return;
        }
        if let Some(colon) = find(line, b':') {
            let (name, value) = line.split_at_mut(colon);
            if !READ.iter().any(|read| read.eq_ignore_ascii_case(name)) {
                hide(&mut value[1..]);
            }
        }
        let Some(next) = behind.get_mut(1..) else { return };
        rest = next;
    }
}

fn after_line(bytes: &mut [u8]) -> Option<&mut [u8]> {
    let end = find(bytes, b'\n')?;
    bytes.get_mut(end + 1..)
}

/// All but control characters, which the engine refuses.
fn hide(value: &mut [u8]) {
    for byte in value {
        let is_control = *byte < b' ' || *byte == 0x7f;
        *byte = if is_control { *byte } else { b'x' };
    }
}

/// Eight bytes at a time: this runs on every call.
fn find(bytes: &[u8], wanted: u8) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    let mut rest = bytes;
    while let Some((word, behind)) = rest.split_first_chunk() {
        // A zero byte where the wanted one stands.
        let zeroes = u64::from_le_bytes(*word) ^ (ONES * u64::from(wanted));
        let found = zeroes.wrapping_sub(ONES) & !zeroes & HIGHS;
        if found != 0 {
            return Some(bytes.len() - rest.len() + found.trailing_zeros() as usize / 8);
        }
        rest = behind;
    }
    let place = rest.iter().position(|byte| *byte == wanted)?;
    Some(bytes.len() - rest.len() + place)
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
        let head = "HTTP/1.1 200 OK: yes\r\nContent-LENGTH: 12\r\nDate: Sun\r\nX-Echo: a b\tc\r\nSet-Cookie:d\r\n\r\nX-Body: stays";
        let expected = "HTTP/1.1 200 OK: yes\r\nContent-LENGTH: 12\r\nDate: Sun\r\nX-Echo:xxxx\tx\r\nSet-Cookie:x\r\n\r\nX-Body: stays";
        assert_eq!(hidden(head), expected);
        assert_eq!(hidden(&head.replace("\r\n", "\n")), expected.replace("\r\n", "\n"));
        assert_eq!(hidden(expected), expected.replace(" a b", "xxxx"));
    }

    #[test]
    fn half_a_header_is_hidden_as_far_as_it_has_come_in() {
        let head = "HTTP/1.1 200 OK\r\nX-Echo: abc\r\nDate: abc\r\nCookie: abc\r\n\r\nabc";
        let mut pieces = Vec::new();
        for byte in head.bytes() {
            pieces.push(byte);
            hide_unread(&mut pieces);
        }
        assert_eq!(String::from_utf8(pieces).unwrap(), hidden(head));
        assert_eq!(hidden(head).matches("abc").count(), 2);
    }

    #[test]
    fn what_is_not_valid_stays_so() {
        for head in
            ["", "\n", "\r\n\r\n", "no line", "HTTP/1.1 200 OK\r\nno colon\r\n", "A\n:\n\u{7f}:\u{1}\u{7f}\n"]
        {
            assert_eq!(hidden(head), head);
        }
    }

    #[test]
    fn bytes_are_found_wherever_they_are() {
        for length in 0..40 {
            let mut bytes = vec![b':' - 1; length];
            assert_eq!(find(&bytes, b':'), None);
            for at in (0..length).rev() {
                bytes[at] = b':';
                assert_eq!(find(&bytes, b':'), Some(at));
            }
        }
    }
}
