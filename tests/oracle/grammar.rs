//! RFC 8259, read one byte after the other.

use sluis::limits::{Bound, JSON_GAP_BYTES_MAX, Limits};
use sluis::refusal::{JsonFault, Refusal};

/// A message and a place in it.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    text: &'a [u8],
    /// Where the next byte is.
    pub(crate) at: usize,
    /// How many lists and objects are open.
    depth: usize,
    /// Whether one was opened and nothing of it has been read.
    fresh: bool,
    /// Where the text stops being UTF-8.
    bad_utf8: Option<usize>,
    limits: &'a Limits,
}

/// A string as it stood in the message and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text<'a> {
    /// With its quotes and escapes.
    pub(crate) raw: &'a [u8],
    /// Without them.
    pub(crate) says: String,
}

/// Whether the length of a string or number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    Bounded,
    Free,
}

pub(crate) fn fault(fault: JsonFault, at: usize) -> Refusal {
    Refusal::BodyMalformed {
        fault,
        at: wide(at),
    }
}

pub(crate) fn wide(at: usize) -> u64 {
    u64::try_from(at).unwrap()
}

/// Bytes that are known to be UTF-8.
pub(crate) fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a [u8], limits: &'a Limits) -> Self {
        let bad_utf8 = std::str::from_utf8(text)
            .err()
            .map(|error| error.valid_up_to());
        Self {
            text,
            at: 0,
            depth: 0,
            fresh: false,
            bad_utf8,
            limits,
        }
    }

    /// What was read since `start`.
    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        &self.text[start..self.at]
    }

    pub(crate) fn begin(&mut self) -> Result<(), Refusal> {
        match self.text {
            [0xEF, 0xBB, 0xBF, ..] => Err(fault(JsonFault::ByteOrderMark, 0)),
            [0xEF, ..] if self.bad_utf8 == Some(0) => Err(fault(JsonFault::Utf8, 0)),
            _ => {
                self.blanks();
                Ok(())
            }
        }
    }

    pub(crate) fn finish(&mut self) -> Result<(), Refusal> {
        self.blanks();
        match self.next() {
            None => Ok(()),
            Some(_) => Err(fault(JsonFault::Trailing, self.at)),
        }
    }

    /// The next byte, or nothing at the end.
    fn next(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// The next byte, which must be there.
    pub(crate) fn peek(&self) -> Result<u8, Refusal> {
        self.next()
            .ok_or_else(|| fault(JsonFault::Cut, self.text.len()))
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.next() {
            self.at += 1;
        }
    }

    fn syntax(&self) -> Refusal {
        fault(JsonFault::Syntax, self.at)
    }

    fn expect(&mut self, byte: u8) -> Result<(), Refusal> {
        if self.peek()? != byte {
            return Err(self.syntax());
        }
        self.at += 1;
        Ok(())
    }

    /// Goes into a list or object.
    pub(crate) fn open(&mut self) -> Result<(), Refusal> {
        if self.depth == self.limits.size(Bound::JsonDepth) {
            return Err(fault(JsonFault::TooDeep, self.at));
        }
        self.depth += 1;
        self.at += 1;
        self.fresh = true;
        Ok(())
    }

    /// Stands before the next item of the list or key of the object that was opened; `false` if the
    /// closing bracket came, which is then read.
    pub(crate) fn more(&mut self, close: u8) -> Result<bool, Refusal> {
        let first = std::mem::take(&mut self.fresh);
        self.blanks();
        if self.peek()? == close {
            self.at += 1;
            self.depth -= 1;
            return Ok(false);
        }
        if !first {
            self.expect(b',')?;
            self.blanks();
        }
        Ok(true)
    }

    /// The colon behind a key; then stands before the value.
    pub(crate) fn colon(&mut self) -> Result<(), Refusal> {
        let end = self.at;
        self.blanks();
        self.expect(b':')?;
        self.blanks();
        if self.at - end > JSON_GAP_BYTES_MAX {
            return Err(fault(JsonFault::Syntax, end));
        }
        Ok(())
    }

    /// `true`, `false` or `null`; anything else is a fault at its first byte.
    pub(crate) fn literal(&mut self) -> Result<&'a [u8], Refusal> {
        let start = self.at;
        let word: &[u8] = match self.peek()? {
            b'f' => b"false",
            b'n' => b"null",
            b't' => b"true",
            b'+' | b'.' | b'I' | b'N' => return Err(fault(JsonFault::Number, start)),
            _ => return Err(self.syntax()),
        };
        for byte in word {
            if self.peek()? != *byte {
                return Err(fault(JsonFault::Syntax, start));
            }
            self.at += 1;
        }
        Ok(self.since(start))
    }

    /// A number; anything that begins like one and is none is a fault at its first byte.
    pub(crate) fn number(&mut self, length: Length) -> Result<&'a str, Refusal> {
        let start = self.at;
        let bad = fault(JsonFault::Number, start);
        if self.next() == Some(b'-') {
            self.at += 1;
        }
        let leads_with_zero = self.next() == Some(b'0');
        let whole = self.digits();
        let mut good = whole == 1 || whole > 1 && !leads_with_zero;
        if self.next() == Some(b'.') {
            self.at += 1;
            good &= self.digits() > 0;
        }
        if let Some(b'e' | b'E') = self.next() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.next() {
                self.at += 1;
            }
            good &= self.digits() > 0;
        }
        let raw = self.since(start);
        let most = match length {
            Length::Bounded => self.limits.size(Bound::JsonNumber),
            Length::Free => usize::MAX,
        };
        if !good || raw.len() > most {
            return Err(bad);
        }
        Ok(text(raw))
    }

    /// Passes over digits; how many there were.
    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.next().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    pub(crate) fn string(&mut self, length: Length) -> Result<Text<'a>, Refusal> {
        let start = self.at;
        self.expect(b'"')?;
        let mut says = String::new();
        loop {
            let inside = self.at - start - 1;
            match self.peek()? {
                _ if length == Length::Bounded && inside > self.limits.size(Bound::JsonString) => {
                    return Err(fault(JsonFault::StringTooLong, start));
                }
                b'"' => break,
                b'\\' => says.push(self.escape()?),
                0..0x20 => return Err(fault(JsonFault::RawControl, self.at)),
                _ => says.push(self.character()?),
            }
        }
        self.at += 1;
        Ok(Text {
            raw: self.since(start),
            says,
        })
    }

    fn character(&mut self) -> Result<char, Refusal> {
        let end = self.bad_utf8.unwrap_or(self.text.len());
        let good = self.text.get(self.at..end).unwrap_or_default();
        let character = text(good).chars().next();
        let character = character.ok_or_else(|| fault(JsonFault::Utf8, self.at))?;
        self.at += character.len_utf8();
        Ok(character)
    }

    fn escape(&mut self) -> Result<char, Refusal> {
        let start = self.at;
        let bad = fault(JsonFault::Escape, start);
        self.at += 1;
        let character = match self.peek()? {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(start),
            _ => return Err(bad),
        };
        self.at += 1;
        Ok(character)
    }

    /// `\uXXXX`, or two of them for a surrogate pair; stands at the first `u`.
    fn unicode(&mut self, start: usize) -> Result<char, Refusal> {
        let bad = fault(JsonFault::Escape, start);
        let high = self.hex(start)?;
        if let Some(character) = char::from_u32(high) {
            return Ok(character);
        }
        if high >= 0xDC00 {
            return Err(bad);
        }
        for byte in b"\\u" {
            if self.peek()? != *byte {
                return Err(bad);
            }
            self.at += 1;
        }
        self.at -= 1;
        let low = self.hex(start)?;
        if !(0xDC00..0xE000).contains(&low) {
            return Err(bad);
        }
        char::from_u32(0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00)).ok_or(bad)
    }

    /// The four digits after a `u`.
    fn hex(&mut self, start: usize) -> Result<u32, Refusal> {
        self.at += 1;
        let mut value = 0;
        for _ in 0..4 {
            let digit = char::from(self.peek()?).to_digit(16);
            value = value * 16 + digit.ok_or_else(|| fault(JsonFault::Escape, start))?;
            self.at += 1;
        }
        Ok(value)
    }

    /// Passes over a value that does not leave: a scalar is read by the grammar, of a list or object
    /// only strings, brackets, depth and UTF-8.
    pub(crate) fn skip(&mut self, numbers: Length) -> Result<(), Refusal> {
        match self.peek()? {
            b'"' => self.string(Length::Free).map(drop),
            b'-' | b'0'..=b'9' => self.number(numbers).map(drop),
            b'{' | b'[' => self.skip_container(),
            _ => self.literal().map(drop),
        }
    }

    pub(crate) fn skip_container(&mut self) -> Result<(), Refusal> {
        let outside = self.depth;
        let mut closing = Vec::new();
        loop {
            match self.peek()? {
                b'"' => self.skip_string()?,
                open @ (b'{' | b'[') => {
                    self.open()?;
                    closing.push(open + 2); // `}` and `]` stand two after `{` and `[` in ASCII
                }
                close @ (b'}' | b']') if closing.pop() == Some(close) => {
                    self.at += 1;
                    self.depth -= 1;
                }
                b'}' | b']' => return Err(self.syntax()),
                _ => drop(self.character()?),
            }
            if self.depth == outside {
                self.fresh = false;
                return Ok(());
            }
        }
    }

    fn skip_string(&mut self) -> Result<(), Refusal> {
        self.at += 1;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => {
                    self.at += 1;
                    self.peek()?;
                    self.character()?;
                }
                _ => drop(self.character()?),
            }
        }
        self.at += 1;
        Ok(())
    }
}
