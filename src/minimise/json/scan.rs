//! Where tokens end (RFC 8259 sections 6 and 7). Looks only; knows no policy and keeps no state.
//!
//! Every function is given all bytes at hand and a place in them, and tells how far the token goes,
//! that it may go on beyond the bytes at hand, or that it can never become a token.

use super::block::{Narrow, Width};
use crate::pseudonym::Form;
use crate::refusal::JsonFault;

/// A fault at a place in the bytes at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) fault: JsonFault,
    pub(super) at: usize,
}

impl Fault {
    pub(super) const fn new(fault: JsonFault, at: usize) -> Self {
        Self { fault, at }
    }
}

/// What follows the bytes at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// More may come.
    Comes,
    /// They are all.
    IsNothing,
}

/// How far a string goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text {
    /// All of it is here; `end` lies behind the closing quote.
    Whole { end: usize, escaped: bool },
    /// It goes on; up to `safe` it is good, and scanning can go on from there.
    Part { safe: usize },
}

/// The first place at or after `at` that is not white space.
#[inline]
pub(super) fn space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at = at.wrapping_add(1);
    }
    at
}

/// Scans the content of a string from `at`, a place behind its opening quote.
#[inline(always)]
pub(super) fn text(bytes: &[u8], at: usize) -> Result<Text, Fault> {
    let stop = plain::<Narrow>(bytes, at);
    if bytes.get(stop) != Some(&b'"') {
        return text_from_stop(bytes, stop);
    }
    Ok(Text::Whole {
        end: stop.wrapping_add(1),
        escaped: false,
    })
}

/// The closing quote of a string without escapes, scanned from `at`, a place behind its opening
/// quote; `None` if it is no such string, or not here whole.
#[inline(always)]
pub(super) fn plain_text<W: Width>(bytes: &[u8], at: usize) -> Option<usize> {
    let stop = plain::<W>(bytes, at);
    (bytes.get(stop) == Some(&b'"')).then_some(stop)
}

/// As [`text`], from the first byte that is not plain.
#[inline(never)]
fn text_from_stop(bytes: &[u8], mut at: usize) -> Result<Text, Fault> {
    let mut escaped = false;
    loop {
        match bytes.get(at) {
            None => return Ok(Text::Part { safe: at }),
            Some(b'"') => {
                return Ok(Text::Whole {
                    end: at.wrapping_add(1),
                    escaped,
                });
            }
            Some(b'\\') => match escape(bytes, at)? {
                Some(next) => (at, escaped) = (next, true),
                None => return Ok(Text::Part { safe: at }),
            },
            Some(_) => return Err(Fault::new(JsonFault::RawControl, at)),
        }
        at = plain::<Narrow>(bytes, at);
    }
}

/// The first quote, backslash or control character at or after `at`, or the end: by blocks, the
/// last few bytes one by one.
#[inline(always)]
pub(super) fn plain<W: Width>(bytes: &[u8], mut at: usize) -> usize {
    let mut rest = bytes.get(at..).unwrap_or_default();
    while let Some(place) = W::stop(rest) {
        at = at.wrapping_add(place);
        if place < W::BYTES {
            return at;
        }
        rest = rest.get(W::BYTES..).unwrap_or_default();
    }
    let is_plain = |byte: &&u8| !matches!(byte, 0..0x20 | b'"' | b'\\');
    at.wrapping_add(rest.iter().take_while(is_plain).count())
}

/// The end of the escape at `at`; `None` if it may go on beyond the bytes at hand.
fn escape(bytes: &[u8], at: usize) -> Result<Option<usize>, Fault> {
    let bad = Err(Fault::new(JsonFault::Escape, at));
    match bytes.get(at.wrapping_add(1)) {
        None => Ok(None),
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
            Ok(Some(at.wrapping_add(2)))
        }
        Some(b'u') => match unit(bytes, at.wrapping_add(2)) {
            Unit::More => Ok(None),
            Unit::Of(0xD800..=0xDBFF) => {
                let low = at.wrapping_add(6);
                match (bytes.get(low), bytes.get(low.wrapping_add(1))) {
                    (None, _) | (Some(b'\\'), None) => Ok(None),
                    (Some(b'\\'), Some(b'u')) => match unit(bytes, low.wrapping_add(2)) {
                        Unit::More => Ok(None),
                        Unit::Of(0xDC00..=0xDFFF) => Ok(Some(low.wrapping_add(6))),
                        Unit::Of(_) | Unit::Bad => bad,
                    },
                    _ => bad,
                }
            }
            Unit::Of(0xDC00..=0xDFFF) | Unit::Bad => bad,
            Unit::Of(_) => Ok(Some(at.wrapping_add(6))),
        },
        Some(_) => bad,
    }
}

/// Four hexadecimal digits.
enum Unit {
    Bad,
    More,
    Of(u32),
}

fn unit(bytes: &[u8], at: usize) -> Unit {
    let mut value = 0_u32;
    for digit in 0..4_usize {
        match bytes
            .get(at.wrapping_add(digit))
            .map(|byte| char::from(*byte).to_digit(16))
        {
            None => return Unit::More,
            Some(None) => return Unit::Bad,
            Some(Some(digit)) => value = value << 4 | digit,
        }
    }
    Unit::Of(value)
}

/// A number that is all here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) end: usize,
    /// Neither fraction nor exponent.
    pub(super) int: bool,
}

/// Scans the number at `at`; `None` if it may go on.
pub(super) fn number(
    bytes: &[u8],
    at: usize,
    then: Rest,
    bytes_max: usize,
) -> Result<Option<Number>, Fault> {
    let digits = |from: usize| {
        let rest = bytes.get(from..).unwrap_or_default();
        from.wrapping_add(rest.iter().take_while(|byte| byte.is_ascii_digit()).count())
    };
    let first = at.wrapping_add(usize::from(bytes.get(at) == Some(&b'-')));
    let whole = digits(first);
    let zero_led = bytes.get(first) == Some(&b'0') && whole > first.wrapping_add(1);
    let mut good = whole > first && !zero_led;
    let mut number = Number {
        end: whole,
        int: true,
    };
    if bytes.get(number.end) == Some(&b'.') {
        let from = number.end.wrapping_add(1);
        number = Number {
            end: digits(from),
            int: false,
        };
        good &= number.end > from;
    }
    if let Some(b'e' | b'E') = bytes.get(number.end) {
        let sign = number.end.wrapping_add(1);
        let signed = matches!(bytes.get(sign), Some(b'+' | b'-'));
        let from = sign.wrapping_add(usize::from(signed));
        number = Number {
            end: digits(from),
            int: false,
        };
        good &= number.end > from;
    }
    if number.end.wrapping_sub(at) > bytes_max {
        return Err(Fault::new(JsonFault::Number, at));
    }
    match bytes.get(number.end) {
        None if then == Rest::Comes => Ok(None),
        _ if good => Ok(Some(number)),
        _ => Err(Fault::new(JsonFault::Number, at)),
    }
}

/// The end of the literal `word` at `at`; `None` if it may go on.
pub(super) fn literal(bytes: &[u8], at: usize, word: &[u8]) -> Result<Option<usize>, Fault> {
    let here = bytes.get(at..).unwrap_or_default();
    if here.starts_with(word) {
        Ok(Some(at.wrapping_add(word.len())))
    } else if word.starts_with(here) {
        Ok(None)
    } else {
        Err(Fault::new(JsonFault::Syntax, at))
    }
}

/// Appends the characters that the scanned content of a string stands for.
pub(super) fn unescape(mut content: &[u8], into: &mut Vec<u8>) {
    while let Some(at) = content.iter().position(|byte| *byte == b'\\') {
        let (plain, rest) = content.split_at_checked(at).unwrap_or((content, &[]));
        into.extend_from_slice(plain);
        let skip = match rest.get(1) {
            Some(b'u') => unescape_unit(rest, into),
            Some(b'b') => push(8, into),
            Some(b'f') => push(12, into),
            Some(b'n') => push(b'\n', into),
            Some(b'r') => push(b'\r', into),
            Some(b't') => push(b'\t', into),
            Some(other) => push(*other, into),
            None => 1,
        };
        content = rest.get(skip..).unwrap_or_default();
    }
    into.extend_from_slice(content);
}

fn push(byte: u8, into: &mut Vec<u8>) -> usize {
    into.push(byte);
    2
}

/// Unescapes `\uXXXX`, or a pair of them; gives the length that was read.
fn unescape_unit(rest: &[u8], into: &mut Vec<u8>) -> usize {
    let value = |at| match unit(rest, at) {
        Unit::Of(value) => value,
        Unit::Bad | Unit::More => u32::from(char::REPLACEMENT_CHARACTER),
    };
    let (code, length) = match value(2) {
        high @ 0xD800..=0xDBFF => {
            let low = value(8) & 0x3FF;
            ((high & 0x3FF) << 10 | low, 12)
        }
        code => (code, 6),
    };
    let code = if length == 12 {
        code.wrapping_add(0x1_0000)
    } else {
        code
    };
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    into.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    length
}

/// Makes JSON of an identifier: a string, unless the school writes it as a number.
pub(super) fn quote(form: Form, id: &mut Vec<u8>) {
    match form {
        Form::Number => {}
        Form::Text => {
            let text = std::mem::take(id);
            escape_into(std::str::from_utf8(&text).unwrap_or_default(), id);
        }
    }
}

/// Appends `text` as a JSON string in its shortest form.
pub(super) fn escape_into(text: &str, into: &mut Vec<u8>) {
    into.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => into.extend_from_slice(&[b'\\', byte]),
            8 => into.extend_from_slice(b"\\b"),
            12 => into.extend_from_slice(b"\\f"),
            b'\n' => into.extend_from_slice(b"\\n"),
            b'\r' => into.extend_from_slice(b"\\r"),
            b'\t' => into.extend_from_slice(b"\\t"),
            0..0x20 => {
                let mut code = *b"\\u0000";
                data_encoding::HEXLOWER.encode_mut(&[byte], &mut code[4..]);
                into.extend_from_slice(&code);
            }
            _ => into.push(byte),
        }
    }
    into.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::super::block::tests::in_every_width;
    use super::super::block::{self, Task};
    use super::*;

    #[test]
    fn a_string_ends_at_its_quote_wherever_the_bytes_are_cut() {
        let input = br#"abc \"d\u00e9f\" 0123456789 \ud83d\ude00 rest" tail"#;
        let end = 46;
        assert_eq!(text(input, 0), Ok(Text::Whole { end, escaped: true }));
        for cut in 0..end {
            let Ok(Text::Part { safe }) = text(&input[..cut], 0) else {
                panic!("cut at {cut}")
            };
            assert!(safe <= cut && cut - safe < 12);
            let Ok(Text::Whole { end: found, .. }) = text(input, safe) else {
                panic!("{safe}")
            };
            assert_eq!(found, end);
        }
    }

    #[test]
    fn blocks_and_the_few_bytes_behind_them_stop_alike() {
        let stops = [b'"', b'\\', 0, 0x1F];
        let places = stops
            .into_iter()
            .flat_map(|stop| (0..80).map(move |at| (stop, at)));
        for (stop, place) in places {
            let mut bytes = [b'a'; 80];
            bytes[place] = stop;
            for from in 0..=place {
                in_every_width(|| block::widest(Stops(&bytes, from, place)));
            }
        }
        in_every_width(|| block::widest(Stops(b"ab", 2, 2)));
    }

    /// That scanning some bytes from a place stops at another one.
    struct Stops<'a>(&'a [u8], usize, usize);

    impl Task for Stops<'_> {
        type Done = ();

        fn run<W: Width>(self) {
            let Self(bytes, from, stop) = self;
            assert_eq!(plain::<W>(bytes, from), stop, "{bytes:?} from {from}");
        }
    }

    #[test]
    fn bad_escapes_and_controls_are_faults_at_their_place() {
        for (input, fault, at) in [
            (&b"ab\\x"[..], JsonFault::Escape, 2),
            (b"ab\\u12g4", JsonFault::Escape, 2),
            (b"\\ud800\"", JsonFault::Escape, 0),
            (b"\\ud800\\n", JsonFault::Escape, 0),
            (b"\\ud800\\ud800", JsonFault::Escape, 0),
            (b"a\\udc00", JsonFault::Escape, 1),
            (b"01234567\n", JsonFault::RawControl, 8),
            (b"\0", JsonFault::RawControl, 0),
        ] {
            assert_eq!(text(input, 0), Err(Fault::new(fault, at)), "{input:?}");
        }
        assert_eq!(
            text(b"\x7f\"", 0),
            Ok(Text::Whole {
                end: 2,
                escaped: false
            })
        );
    }

    #[test]
    fn numbers_follow_the_grammar() {
        for (input, int) in [
            ("0", true),
            ("-0", true),
            ("12", true),
            ("1.5", false),
            ("1e9", false),
            ("-1.25E-7", false),
            ("0.0", false),
        ] {
            let whole = Number {
                end: input.len(),
                int,
            };
            assert_eq!(
                number(input.as_bytes(), 0, Rest::IsNothing, 64),
                Ok(Some(whole)),
                "{input}"
            );
            assert_eq!(
                number(input.as_bytes(), 0, Rest::Comes, 64),
                Ok(None),
                "{input}"
            );
        }
        for input in ["-", "01", "-01", "1.", "1.e3", "1e", "1e+", "-x", "00"] {
            let fault = Fault::new(JsonFault::Number, 0);
            assert_eq!(
                number(input.as_bytes(), 0, Rest::IsNothing, 64),
                Err(fault),
                "{input}"
            );
        }
        assert!(number("1".repeat(65).as_bytes(), 0, Rest::Comes, 64).is_err());
    }

    #[test]
    fn unescaping_and_escaping_agree_with_serde_json() {
        for text in [
            "plain",
            "quote\" back\\ slash/",
            "\u{0}\u{1f}\u{7f}",
            "\n\r\t\u{8}\u{c}",
            "é€😀",
        ] {
            let mut made = Vec::new();
            escape_into(text, &mut made);
            assert_eq!(made, serde_json::to_vec(text).unwrap());
            let mut back = Vec::new();
            unescape(&made[1..made.len() - 1], &mut back);
            assert_eq!(back, text.as_bytes());
        }
        let mut back = Vec::new();
        unescape(br"\u0062\ud83d\ude00\/x", &mut back);
        assert_eq!(back, "b😀/x".as_bytes());
    }
}
