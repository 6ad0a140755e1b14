//! JSON cut into the values that stand one after another in it, without holding more than one.
//!
//! Where a value ends is told by its brackets and quotes alone; whether it is JSON at all is for
//! whoever reads it. Memory: [`LONGEST`] bytes and a chunk.

use std::io::{self, Read};

/// A source, read value by value.
pub(super) struct Pieces<R> {
    source: R,
    buffer: Vec<u8>,
    from: usize,
    at_end: bool,
    /// Line and column of `from`, both from 1; columns are characters.
    pub(super) line: usize,
    pub(super) column: usize,
}

/// What [`Pieces::value`] found.
pub(super) enum NextValue {
    /// The next so many bytes are a value, or what the source holds of one.
    Value(usize),
    /// It is longer than may be held.
    TooLong,
}

impl<R: Read> Pieces<R> {
    pub(super) fn new(source: R) -> Self {
        Pieces { source, buffer: Vec::new(), from: 0, at_end: false, line: 1, column: 1 }
    }

    /// Steps over a byte order mark, if the source begins with one.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        self.have(MARK.len())?;
        if self.buffer.starts_with(MARK) {
            self.from = MARK.len();
        }
        Ok(())
    }

    /// The next byte that is neither blank nor one of `between`; what is before it is passed.
    pub(super) fn next(&mut self, between: &[u8]) -> io::Result<Option<u8>> {
        loop {
            while let Some(&byte) = self.buffer.get(self.from) {
                if !byte.is_ascii_whitespace() && !between.contains(&byte) {
                    return Ok(Some(byte));
                }
                self.pass(1);
            }
            if !self.more()? {
                return Ok(None);
            }
        }
    }

    /// How long the value is that begins here.
    pub(super) fn value(&mut self, longest: usize) -> io::Result<NextValue> {
        let mut scan = Scan::default();
        let mut at = 0;
        loop {
            while let Some(&byte) = self.buffer.get(self.from + at) {
                match scan.take(byte) {
                    ScanStep::On => at += 1,
                    ScanStep::Last => return Ok(NextValue::Value(at + 1)),
                    ScanStep::Before => return Ok(NextValue::Value(at)),
                }
                if at > longest {
                    return Ok(NextValue::TooLong);
                }
            }
            if !self.more()? {
                return Ok(NextValue::Value(at));
            }
        }
    }

    /// The next bytes, as far as [`Pieces::value`] has told of them.
    pub(super) fn bytes(&self, length: usize) -> &[u8] {
        &self.buffer[self.from..self.from + length]
    }

    pub(super) fn pass(&mut self, length: usize) {
        for &byte in &self.buffer[self.from..self.from + length] {
            if byte == b'\n' {
                (self.line, self.column) = (self.line + 1, 1);
            } else if byte & 0xc0 != 0x80 {
                self.column += 1;
            }
        }
        self.from += length;
    }

    /// Passes over a value of any length. False: the source ends within it.
    pub(super) fn pass_value(&mut self) -> io::Result<bool> {
        let mut scan = Scan::default();
        loop {
            let Some(&byte) = self.buffer.get(self.from) else {
                if !self.more()? {
                    return Ok(false);
                }
                continue;
            };
            match scan.take(byte) {
                ScanStep::On => self.pass(1),
                ScanStep::Last => {
                    self.pass(1);
                    return Ok(true);
                }
                ScanStep::Before => return Ok(true),
            }
        }
    }

    fn have(&mut self, bytes: usize) -> io::Result<()> {
        while self.buffer.len() - self.from < bytes && self.more()? {}
        Ok(())
    }

    /// Reads on; false at the end.
    fn more(&mut self) -> io::Result<bool> {
        if self.at_end {
            return Ok(false);
        }
        self.buffer.drain(..self.from);
        self.from = 0;
        let read = self.source.by_ref().take(CHUNK).read_to_end(&mut self.buffer)?;
        self.at_end = read == 0;
        Ok(read > 0)
    }
}

/// Where in a value a byte stands.
#[derive(Default)]
struct Scan {
    deep: usize,
    begun: bool,
    quoted: bool,
    escaped: bool,
}

enum ScanStep {
    On,
    /// The value ends with this byte.
    Last,
    /// The value has ended before this byte.
    Before,
}

impl Scan {
    fn take(&mut self, byte: u8) -> ScanStep {
        let first = !std::mem::replace(&mut self.begun, true);
        if self.quoted {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => {
                    self.quoted = false;
                    return if self.deep == 0 { ScanStep::Last } else { ScanStep::On };
                }
                _ => {}
            }
            return ScanStep::On;
        }
        match byte {
            // A word or a number ends before what begins or ends something else.
            b'"' | b'{' | b'[' if self.deep == 0 && !first => ScanStep::Before,
            b'"' => {
                self.quoted = true;
                ScanStep::On
            }
            b'{' | b'[' => {
                self.deep += 1;
                ScanStep::On
            }
            b'}' | b']' if self.deep > 1 => {
                self.deep -= 1;
                ScanStep::On
            }
            b'}' | b']' if self.deep == 1 || first => ScanStep::Last,
            b'}' | b']' | b',' | b':' if self.deep == 0 => ScanStep::Before,
            _ if self.deep == 0 && byte.is_ascii_whitespace() => ScanStep::Before,
            _ => ScanStep::On,
        }
    }
}

const MARK: &[u8] = b"\xef\xbb\xbf";
const CHUNK: u64 = 1 << 18;
/// The longest record that is read: an event is a few hundred bytes, one with the whole message in
/// it some thousand.
pub(super) const LONGEST: usize = 4 << 20;
