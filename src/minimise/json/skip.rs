//! Passing over a dropped value without holding any of it.
//!
//! A dropped string is checked in full; within a dropped list or object only strings, brackets and
//! depth are looked at (and UTF-8, before everything).

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
        mut at: usize,
        depth_max: usize,
    ) -> Result<usize, Fault> {
        loop {
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
                    let at = scan::quote_or_backslash(bytes, at);
                    self.inside = match bytes.get(at) {
                        None => return Ok(at),
                        Some(b'"') => Inside::Container,
                        Some(_) => Inside::ContainerTextEscape,
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

#[cfg(test)]
mod tests {
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
