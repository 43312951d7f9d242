//! Network bytes to one JSON object at a time (UPSTREAM.md 5.1).
//!
//! The upstream sends objects separated by newlines, sometimes butted together without one, sometimes in SSE dress. The
//! splitter finds each object by its braces, so an object is handed over as soon as its last byte is here, whatever stands
//! behind it. An object that lies whole in the arriving piece is not copied.
//!
//! Resynchronising: no object spans lines, because the upstream writes compactly and JSON strings cannot hold a raw newline.
//! So a newline ends whatever is broken: half an object, or a line that is no JSON at all, is skipped up to its newline and
//! counted, and reading goes on behind it.

use std::fmt;

use crate::{scan, steps};

/// Cuts a byte stream into JSON objects, whatever the network's piece boundaries are.
#[derive(Debug)]
pub struct FrameSplitter {
    limit_bytes: usize,
    /// The beginning of an object whose end has not arrived. Empty unless `place` is inside an object.
    carry: Vec<u8>,
    place: Place,
    skipped: u64,
}

/// An object grew past the limit. The splitter drops it and goes on behind the next newline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameTooLong {
    /// The limit that was passed.
    pub limit_bytes: usize,
}

impl fmt::Display for FrameTooLong {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "an upstream object is longer than {} bytes", self.limit_bytes)
    }
}

impl std::error::Error for FrameTooLong {}

/// Where in the stream the next byte stands.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// Before the first byte of a line, or behind an object on the same line.
    Between,
    /// Inside a line that does not begin with `{`; its first bytes decide what it is.
    Prefix(Prefix),
    Object(Nesting),
    /// Behind something broken: everything up to the newline is dropped.
    Skipping,
}

/// How far into an object the scan is.
#[derive(Debug, Clone, Copy, Default)]
struct Nesting {
    depth: u32,
    in_string: bool,
    escaped: bool,
}

/// The first bytes of a line: enough to recognise every SSE field name.
#[derive(Debug, Clone, Copy, Default)]
struct Prefix {
    bytes: [u8; 6],
    length: u8,
}

impl Prefix {
    fn push(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(usize::from(self.length)) {
            *slot = byte;
            self.length += 1;
        }
    }

    fn seen(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// SSE fields and comments that carry no object of ours; they are no sign of damage.
    fn is_server_sent_event_line(&self) -> bool {
        let seen = self.seen();
        [&b":"[..], b"event:", b"id:", b"retry:", b"data:"].iter().any(|name| seen.starts_with(name))
    }
}

impl FrameSplitter {
    /// A splitter that refuses objects longer than `limit_bytes`.
    pub fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, carry: Vec::new(), place: Place::Between, skipped: 0 }
    }

    /// Bytes that wait for the end of their object.
    pub fn held(&self) -> usize {
        self.carry.len()
    }

    /// Feeds one network read; calls `frame` for every whole object in it.
    pub fn push(&mut self, bytes: &[u8], mut frame: impl FnMut(&str)) -> Result<(), FrameTooLong> {
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            match self.place {
                Place::Between => match first {
                    b'{' => self.place = Place::Object(Nesting::default()),
                    b' ' | b'\t' | b'\r' | b'\n' => rest = &rest[1..],
                    _ => self.place = Place::Prefix(Prefix::default()),
                },
                Place::Prefix(prefix) => rest = self.prefix(prefix, rest),
                Place::Skipping => rest = self.skip_line(rest),
                Place::Object(nesting) => rest = self.object(nesting, rest, &mut frame)?,
            }
        }
        Ok(())
    }

    /// End of body: settles the last line. Whole objects were handed over when their last byte came, newline or not, so what is
    /// still here is half an object, and is counted as skipped.
    pub fn finish(&mut self, frame: impl FnMut(&str)) {
        // The end of the body is the end of the line.
        self.push(b"\n", frame).expect("a newline ends an object and never makes it longer");
    }

    /// Lines and objects that could not be read: not JSON, cut by a newline, or not UTF-8.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Reads a line that does not begin with an object, until it shows what it is.
    fn prefix<'a>(&mut self, mut prefix: Prefix, rest: &'a [u8]) -> &'a [u8] {
        for (index, &byte) in rest.iter().enumerate() {
            if byte == b'\n' {
                self.end_other_line(prefix);
                return &rest[index + 1..];
            }
            if prefix.seen() == b"data:" {
                match byte {
                    b' ' | b'\t' | b'\r' => continue,
                    b'{' => {
                        self.place = Place::Object(Nesting::default());
                        return &rest[index..];
                    }
                    // `data: [DONE]` and the like.
                    _ => {}
                }
            }
            prefix.push(byte);
            if usize::from(prefix.length) == prefix.bytes.len() {
                self.end_other_line(prefix);
                self.place = Place::Skipping;
                return &rest[index + 1..];
            }
        }
        self.place = Place::Prefix(prefix);
        &[]
    }

    fn end_other_line(&mut self, prefix: Prefix) {
        self.place = Place::Between;
        if !prefix.is_server_sent_event_line() {
            self.skipped += 1;
        }
    }

    fn skip_line<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        match scan::find_byte(rest, b'\n') {
            Some(newline) => {
                self.place = Place::Between;
                &rest[newline + 1..]
            }
            None => &[],
        }
    }

    /// Goes on inside an object and returns what stands behind it.
    fn object<'a>(
        &mut self,
        nesting: Nesting,
        rest: &'a [u8],
        frame: &mut impl FnMut(&str),
    ) -> Result<&'a [u8], FrameTooLong> {
        let (taken, stop) = nesting.scan(rest);
        steps::add(taken);
        let is_too_long = self.carry.len() + taken > self.limit_bytes;
        match stop {
            Stop::Newline => {
                self.place = Place::Between;
                self.carry.clear();
                self.skipped += 1;
            }
            Stop::Closed | Stop::OutOfBytes(_) if is_too_long => {
                self.carry = Vec::new();
                self.place = Place::Skipping;
                self.skipped += 1;
                return Err(FrameTooLong { limit_bytes: self.limit_bytes });
            }
            Stop::Closed => {
                self.place = Place::Between;
                self.hand_over(&rest[..taken], frame);
            }
            Stop::OutOfBytes(nesting) => {
                self.carry.extend_from_slice(&rest[..taken]);
                self.place = Place::Object(nesting);
            }
        }
        Ok(&rest[taken..])
    }

    fn hand_over(&mut self, last_piece: &[u8], frame: &mut impl FnMut(&str)) {
        let object = if self.carry.is_empty() {
            std::str::from_utf8(last_piece)
        } else {
            self.carry.extend_from_slice(last_piece);
            steps::add(self.carry.len());
            std::str::from_utf8(&self.carry)
        };
        match object {
            Ok(object) => frame(object),
            Err(_) => self.skipped += 1,
        }
        self.carry.clear();
    }
}

/// Why a scan ended.
enum Stop {
    /// The last byte taken closes the object.
    Closed,
    /// A newline inside the object: it is broken. The newline counts as taken.
    Newline,
    OutOfBytes(Nesting),
}

impl Nesting {
    /// Walks over object bytes and returns how many belong to it and why it stopped. Only braces and strings matter: brackets
    /// cannot close an object.
    fn scan(mut self, bytes: &[u8]) -> (usize, Stop) {
        let mut index = 0;
        while let Some(&byte) = bytes.get(index) {
            index += 1;
            if byte == b'\n' {
                return (index, Stop::Newline);
            }
            if self.escaped {
                self.escaped = false;
            } else if self.in_string {
                match byte {
                    b'"' => self.in_string = false,
                    b'\\' => self.escaped = true,
                    _ => {
                        index +=
                            scan::find_byte_of(&bytes[index..], [b'"', b'\\', b'\n']).unwrap_or(bytes.len() - index)
                    }
                }
            } else {
                match byte {
                    b'"' => self.in_string = true,
                    b'{' => self.depth += 1,
                    b'}' => {
                        self.depth -= 1;
                        if self.depth == 0 {
                            return (index, Stop::Closed);
                        }
                    }
                    _ => {}
                }
            }
        }
        (bytes.len(), Stop::OutOfBytes(self))
    }
}

#[cfg(test)]
mod tests;
