//! Passing over a dropped value without holding any of it.
//!
//! A dropped string is checked in full; within a dropped list or object only strings, brackets and
//! depth are looked at (and UTF-8, before everything).

use super::block::{self, PIECE_BYTES, Task, Width};
use super::scan::{self, Fault, Text};
use crate::refusal::JsonFault;

/// A value that is being passed over, over as many chunks as it takes.
#[derive(Debug, Default)]
pub(super) struct Skip {
    inside: Inside,
    /// Open brackets: one bit each, set for an object; the innermost one is lowest.
    objects: u128,
    depth: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Inside {
    /// Between the tokens of a list or object.
    Container,
    /// In a string of a list or object.
    ContainerText,
    /// In a string of a list or object, behind a backslash.
    ContainerTextEscape,
    #[default]
    Nothing,
    /// In a string that is the whole value.
    Text,
}

impl Skip {
    /// Whether a value is being passed over.
    #[inline]
    pub(super) fn is_active(&self) -> bool {
        self.inside != Inside::Nothing
    }

    /// Starts with a list or object, in front of its bracket.
    pub(super) fn container(&mut self) {
        *self = Self {
            inside: Inside::Container,
            objects: 0,
            depth: 0,
        };
    }

    /// Starts with a string, somewhere behind its quote.
    pub(super) fn text(&mut self) {
        self.inside = Inside::Text;
    }

    /// Goes on from `at`; gives the place where the value ended or could not be followed further.
    pub(super) fn run(
        &mut self,
        bytes: &[u8],
        at: usize,
        depth_max: usize,
    ) -> Result<usize, Fault> {
        block::widest(Run {
            skip: self,
            bytes,
            at,
            depth_max,
        })
    }

    #[inline(always)]
    fn run_in<W: Width>(
        &mut self,
        bytes: &[u8],
        mut at: usize,
        depth_max: usize,
    ) -> Result<usize, Fault> {
        // Before this place bytes are looked at one by one.
        let mut pieces_from = at;
        loop {
            if at >= pieces_from {
                at = self.pieces::<W>(bytes, at, depth_max)?;
                pieces_from = at.saturating_add(PIECE_BYTES);
            }
            at = match self.inside {
                Inside::Nothing => return Ok(at),
                Inside::Text => match scan::text(bytes, at)? {
                    Text::Whole { end, .. } => {
                        self.inside = Inside::Nothing;
                        end
                    }
                    Text::Part { safe } => return Ok(safe),
                },
                Inside::ContainerText => {
                    let at = scan::plain::<W>(bytes, at);
                    self.inside = match bytes.get(at) {
                        None => return Ok(at),
                        Some(b'"') => Inside::Container,
                        Some(b'\\') => Inside::ContainerTextEscape,
                        Some(_) => Inside::ContainerText,
                    };
                    at.wrapping_add(1)
                }
                Inside::ContainerTextEscape if at == bytes.len() => return Ok(at),
                Inside::ContainerTextEscape => {
                    self.inside = Inside::ContainerText;
                    at.wrapping_add(1)
                }
                Inside::Container => match bytes.get(at) {
                    None => return Ok(at),
                    Some(b'"') => {
                        self.inside = Inside::ContainerText;
                        at.wrapping_add(1)
                    }
                    Some(bracket @ (b'[' | b']' | b'{' | b'}')) => {
                        self.bracket(*bracket, at, depth_max)?;
                        at.wrapping_add(1)
                    }
                    Some(_) => at.wrapping_add(1),
                },
            };
        }
    }

    /// Goes on in a list or object by whole pieces, as long as no backslash stands in them.
    #[inline(always)]
    fn pieces<W: Width>(
        &mut self,
        bytes: &[u8],
        mut at: usize,
        depth_max: usize,
    ) -> Result<usize, Fault> {
        // All bits of those in a string, from its opening quote on.
        let mut carried = match self.inside {
            Inside::Container => 0,
            Inside::ContainerText => u64::MAX,
            Inside::ContainerTextEscape | Inside::Nothing | Inside::Text => return Ok(at),
        };
        let mut behind = at;
        while let Some(piece) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
            let marks = W::marks(piece);
            if marks.backslashes != 0 {
                break;
            }
            let in_text = odd_from(marks.quotes) ^ carried;
            self.inside = Inside::Container;
            let mut brackets = marks.brackets & !in_text;
            while brackets != 0 && self.is_active() {
                let within = usize::try_from(brackets.trailing_zeros()).unwrap_or(PIECE_BYTES);
                let byte = piece.get(within).copied().unwrap_or_default();
                behind = at.wrapping_add(within).wrapping_add(1);
                self.bracket(byte, behind.wrapping_sub(1), depth_max)?;
                brackets &= brackets.wrapping_sub(1);
            }
            if !self.is_active() {
                return Ok(behind);
            }
            carried = if in_text >> 63 == 0 { 0 } else { u64::MAX };
            at = at.wrapping_add(PIECE_BYTES);
        }
        self.inside = match carried {
            0 => Inside::Container,
            _ => Inside::ContainerText,
        };
        Ok(at)
    }

    fn bracket(&mut self, byte: u8, at: usize, depth_max: usize) -> Result<(), Fault> {
        if let b'[' | b'{' = byte {
            self.depth = self.depth.wrapping_add(1);
            if self.depth > depth_max {
                return Err(Fault::new(JsonFault::TooDeep, at));
            }
            self.objects = self.objects << 1 | u128::from(byte == b'{');
            return Ok(());
        }
        if (self.objects & 1 == 1) != (byte == b'}') {
            return Err(Fault::new(JsonFault::Syntax, at));
        }
        self.objects >>= 1;
        self.depth = self.depth.wrapping_sub(1);
        if self.depth == 0 {
            self.inside = Inside::Nothing;
        }
        Ok(())
    }
}

/// [`Skip::run`] in whatever width there is.
struct Run<'a> {
    skip: &'a mut Skip,
    bytes: &'a [u8],
    at: usize,
    depth_max: usize,
}

impl Task for Run<'_> {
    type Done = Result<usize, Fault>;

    #[inline(always)]
    fn run<W: Width>(self) -> Self::Done {
        self.skip.run_in::<W>(self.bytes, self.at, self.depth_max)
    }
}

/// Sets the bits from each first one that is set up to the next, without that.
#[inline]
fn odd_from(mut bits: u64) -> u64 {
    for distance in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << distance;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::super::block::tests::in_every_width;
    use super::*;

    fn end(input: &[u8], split: usize) -> Result<usize, Fault> {
        let mut skip = Skip::default();
        skip.container();
        let mut at = skip.run(&input[..split], 0, 4)?;
        if skip.is_active() {
            at = skip.run(input, at, 4)?;
        }
        assert!(!skip.is_active(), "not at its end");
        Ok(at)
    }

    #[test]
    fn a_container_ends_at_its_bracket_in_every_split() {
        let input = br#"{"a":[1,"]\"}\\",{}],"b":nope} ,"#;
        for split in 0..=input.len() {
            assert_eq!(end(input, split), Ok(30), "split at {split}");
        }
    }

    /// Bytes that change what comes behind them, at every distance from where a piece begins.
    #[test]
    fn pieces_end_where_one_by_one_does() {
        let parts = [
            r#"[{"a":"]}\\","b":["\"{",[]]}],"#,
            r#""{[":"\\\"]","#,
            r#"{"https:\/\/x":"[","y":"Zoë}"},"#,
            r#"[[[{"k":{}}]]],"#,
            "{\"a\tb\":\"[\u{1}]\n\\\"{\"},",
        ];
        for (turn, gap) in (0..parts.len()).flat_map(|turn| (0..70).map(move |gap| (turn, gap))) {
            let mut input = format!("[{}", "1".repeat(gap));
            for part in parts.iter().cycle().skip(turn).take(9) {
                input.push_str(part);
                input.push_str(&" ".repeat(gap * 7 % 23));
            }
            let closes = input.len();
            input.push_str(&"] ,".repeat(30));
            let bytes = input.as_bytes();
            let at_once = in_every_width(|| {
                let mut skip = Skip::default();
                skip.container();
                skip.run(bytes, 0, 9)
            });
            assert_eq!(at_once, [Ok(closes + 1); 3], "{input}");
            let mut one_by_one = Skip::default();
            one_by_one.container();
            let mut at = 0;
            for end in 1..=closes + 1 {
                at = one_by_one.run(&bytes[..end], at, 9).unwrap();
            }
            assert!(at == closes + 1 && !one_by_one.is_active(), "{input}");
        }
    }

    #[test]
    fn brackets_that_do_not_match_and_depth_are_faults() {
        assert_eq!(end(b"[}", 1), Err(Fault::new(JsonFault::Syntax, 1)));
        assert_eq!(
            end(b"{\"a\":[1}}", 3),
            Err(Fault::new(JsonFault::Syntax, 7))
        );
        assert_eq!(end(b"[[[[[", 2), Err(Fault::new(JsonFault::TooDeep, 4)));
        assert_eq!(end(b"[[[[]]]]", 2), Ok(8));
    }
}
