//! Lines out of bytes that come in pieces.

use std::borrow::Cow;

/// Bytes of a file that were read but not yet taken, from a known place on.
#[derive(Debug, Default)]
pub struct Lines {
    buffer: Vec<u8>,
    /// Where the first byte that was not taken stands in the buffer.
    start: usize,
    /// Up to here there is no end of a line after `start`.
    searched: usize,
}

impl Lines {
    /// Bytes that wait for the end of their line.
    pub fn waiting(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    /// Room at the end of the buffer for up to `more` bytes: `fill` reads into it and says how many it got.
    pub fn fill<E>(&mut self, more: usize, fill: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<usize, E> {
        self.compact();
        let length = self.buffer.len();
        self.buffer.resize(length + more, 0);
        let filled = fill(self.buffer.get_mut(length..).unwrap_or_default());
        self.buffer.truncate(length + filled.as_ref().map_or(0, |&filled| filled.min(more)));
        filled
    }

    /// The next line that has an end (`\n`, `\r\n` or `\r`, as for Kafka), without it.
    pub fn next(&mut self) -> Option<&[u8]> {
        let rest = self.buffer.get(self.searched..)?;
        let Some(found) = memchr::memchr2(b'\n', b'\r', rest) else {
            self.searched = self.buffer.len();
            return None;
        };
        let end = self.searched + found;
        let after = match (self.buffer.get(end), self.buffer.get(end + 1)) {
            (Some(b'\n'), _) => end + 1,
            (_, Some(b'\n')) => end + 2,
            (_, Some(_)) => end + 1,
            // The `\n` of this `\r` may not have been read yet.
            (_, None) => {
                self.searched = end;
                return None;
            }
        };
        let start = self.start;
        self.start = after;
        self.searched = after;
        self.buffer.get(start..end)
    }

    /// Ends the last line, if there is one that waits for its end.
    pub fn end_last(&mut self) -> bool {
        let waits = !self.waiting().is_empty();
        if waits {
            self.buffer.push(b'\n');
        }
        waits
    }

    /// Gives back memory that is not needed while nothing is read.
    pub fn shrink(&mut self) {
        self.compact();
        self.buffer.shrink_to_fit();
    }

    /// Drops the bytes that were taken.
    fn compact(&mut self) {
        self.buffer.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
    }

    /// Forgets all bytes.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// A line as text. What is not UTF-8 is replaced, as Kafka does.
pub fn text(line: &[u8]) -> Cow<'_, str> {
    // The lossy conversion alone takes several times as long.
    std::str::from_utf8(line).map_or_else(|_| String::from_utf8_lossy(line), Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pieces: &[&str], expected: &[&str], waiting: &str) {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for piece in pieces {
            let filled = lines.fill(8, |room| {
                room[..piece.len()].copy_from_slice(piece.as_bytes());
                Ok::<_, ()>(piece.len())
            });
            assert_eq!(filled, Ok(piece.len()));
            while let Some(line) = lines.next() {
                found.push(String::from_utf8(line.to_vec()).unwrap());
            }
        }
        assert_eq!(found, expected, "{pieces:?}");
        assert_eq!(lines.waiting(), waiting.as_bytes());
    }

    #[test]
    fn finds_lines_across_pieces() {
        check(&[], &[], "");
        check(&["a\nb"], &["a"], "b");
        check(&["a", "b\nc\n"], &["ab", "c"], "");
        check(&["\n\n"], &["", ""], "");
        check(&["a\r\nb\rc"], &["a", "b"], "c");
        check(&["a\r", "\nb\r"], &["a"], "b\r");
        check(&["a\r", "b"], &["a"], "b");
        check(&["12345678", "9\nabc"], &["123456789"], "abc");
    }

    #[test]
    fn a_failed_read_leaves_what_was_there() {
        let mut lines = Lines::default();
        let _ = lines.fill(2, |room| {
            room.copy_from_slice(b"ab");
            Ok::<_, ()>(2)
        });
        assert_eq!(lines.fill(2, |_| Err("no")), Err("no"));
        assert_eq!(lines.waiting(), b"ab");
    }
}
