//! A connection's buffers: small while idle, wiped after use, and able to hold back output so
//! that a request's headers and body leave in one write.

use crate::secret::wipe;

const INPUT: usize = 4 * 1024;
const OUTPUT: usize = 2 * 1024;
/// Always left free behind what is held, for one more piece.
const ROOM: usize = 1024;

#[derive(Default)]
pub(crate) struct Buffers {
    input: Vec<u8>,
    consumed: usize,
    filled: usize,
    output: Vec<u8>,
    held: usize,
}

impl Buffers {
    /// Makes room for a whole request at once, so that it is built without copying.
    pub(crate) fn expect_output(&mut self, size: usize) {
        if self.output.len() < size.max(OUTPUT) {
            self.grow_output(size);
        }
    }

    #[cold]
    fn grow_output(&mut self, size: usize) {
        // A plain resize could leave a copy of the held bytes behind in freed memory.
        let mut grown = vec![0; size.max(OUTPUT)];
        grown[..self.held].copy_from_slice(&self.output[..self.held]);
        self.wipe_output_bytes();
        self.output = grown;
    }

    pub(crate) fn hold(&mut self, amount: usize) {
        self.held += amount;
    }

    /// Lets go of the last bytes that are held.
    pub(crate) fn take_back(&mut self, amount: usize) {
        self.held -= amount;
    }

    pub(crate) fn append(&mut self, parts: &[&[u8]]) {
        for bytes in parts {
            let end = self.held + bytes.len();
            if self.output.len() < end {
                self.grow_output(end);
            }
            self.output[self.held..end].copy_from_slice(bytes);
            self.held = end;
        }
    }

    pub(crate) fn held(&self) -> &[u8] {
        &self.output[..self.held]
    }

    /// Zeroes what was held, which has a token in it, and lets go of unusual sizes.
    pub(crate) fn clear_output(&mut self) {
        self.wipe_output_bytes();
        self.held = 0;
        if self.output.len() > OUTPUT {
            self.output = Vec::new();
        }
    }

    fn wipe_output_bytes(&mut self) {
        let held = self.held.min(self.output.len());
        wipe(&mut self.output[..held]);
    }

    pub(crate) fn is_input_empty(&self) -> bool {
        self.consumed == self.filled
    }

    fn compact(&mut self) {
        if self.consumed == 0 {
            return;
        }
        let left = self.filled - self.consumed;
        if left > 0 {
            self.input.copy_within(self.consumed..self.filled, 0);
            wipe(&mut self.input[left..self.filled]);
        } else if self.input.len() > INPUT {
            // All of it was wiped as it was consumed.
            self.input = Vec::new();
        }
        self.consumed = 0;
        self.filled = left;
    }

    pub(crate) fn output(&mut self) -> &mut [u8] {
        if self.output.len() < self.held + ROOM {
            self.grow_output(self.held + ROOM);
        }
        &mut self.output[self.held..]
    }

    pub(crate) fn input(&self) -> &[u8] {
        &self.input[self.consumed..self.filled]
    }

    pub(crate) fn input_mut(&mut self) -> &mut [u8] {
        &mut self.input[self.consumed..self.filled]
    }

    pub(crate) fn input_append_buf(&mut self) -> &mut [u8] {
        self.compact();
        if self.filled == self.input.len() {
            // What stays unread is bounded by the transport.
            let mut grown = vec![0; (self.input.len() * 2).max(INPUT)];
            grown[..self.filled].copy_from_slice(&self.input[..self.filled]);
            wipe(&mut self.input);
            self.input = grown;
        }
        &mut self.input[self.filled..]
    }

    pub(crate) fn input_appended(&mut self, amount: usize) {
        self.filled += amount;
    }

    pub(crate) fn input_consume(&mut self, amount: usize) {
        let end = (self.consumed + amount).min(self.filled);
        wipe(&mut self.input[self.consumed..end]);
        self.consumed = end;
        if self.is_input_empty() {
            self.compact();
        }
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        self.wipe_output_bytes();
        wipe(&mut self.input);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_held_back_and_wiped() {
        let mut buffers = Buffers::default();
        for chunk in [&b"head"[..], b"body"] {
            buffers.output()[..4].copy_from_slice(chunk);
            buffers.hold(4);
        }
        buffers.take_back(4);
        buffers.append(&[b"bo", b"", b"dy"]);
        assert_eq!(buffers.held(), b"headbody");
        buffers.clear_output();
        assert!(buffers.held().is_empty());
        assert!(buffers.output.iter().all(|b| *b == 0));
    }

    #[test]
    fn input_grows_keeps_what_is_unread_and_is_wiped() {
        let mut buffers = Buffers::default();
        let total = 3 * INPUT;
        for i in 0..total {
            buffers.input_append_buf()[0] = i as u8;
            buffers.input_appended(1);
        }
        assert_eq!(buffers.input().len(), total);
        buffers.input_consume(total - 1);
        assert_eq!(buffers.input(), [(total - 1) as u8]);
        assert!(buffers.input[..total - 1].iter().all(|b| *b == 0));
        buffers.input_consume(1);
        assert!(buffers.is_input_empty());
        assert!(buffers.input.len() <= INPUT, "what has grown shrinks again");
    }
}
