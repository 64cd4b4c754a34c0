//! Which shape an object has, told by one of its fields, before the object is entered.

use super::scan::{self, Fault, Rest, Text};
use super::skip::Skip;
use crate::policy::{Index, Otherwise, Shape, Switch};
use crate::refusal::JsonFault;

/// What a switch says of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// It is removed.
    Drop,
    /// The field may still come.
    More,
    /// It has this shape.
    Shape(Index<Shape>),
}

/// Looks for the field in the object that begins at `open`, in at most `bytes_max` bytes of it.
///
/// The first case in policy order that any value of the field matches is taken, so the field is
/// read whole; without the field, the object is read to its end. The way to the field is read by
/// the grammar, for what is decided there must stand there; its limits are left to the second
/// reading, when the object is entered or passed over.
pub(super) fn choose(
    bytes: &[u8],
    open: usize,
    switch: &Switch,
    bytes_max: usize,
    then: Rest,
) -> Result<Choice, Fault> {
    let all = bytes.get(open..).unwrap_or_default();
    let here = all.get(..bytes_max).unwrap_or(all);
    let mut look = Look {
        bytes: here,
        at: 1,
        switch,
        best: None,
    };
    match look.object() {
        Err(fault) => Err(Fault::new(fault.fault, fault.at.wrapping_add(open))),
        Ok(true) => Ok(look.choice()),
        Ok(false) if here.len() == bytes_max => Err(Fault::new(JsonFault::SwitchTooLate, open)),
        Ok(false) if then == Rest::IsNothing => Err(Fault::new(JsonFault::Cut, bytes.len())),
        Ok(false) => Ok(Choice::More),
    }
}

/// A list or object on the way to the field.
struct OnPath {
    /// The bracket that ends it.
    close: u8,
    /// So many keys of the path lie behind it.
    keys: usize,
    /// So many of its items or keys were read.
    parts: usize,
    /// Whether the path's next key was among them.
    found: bool,
}

impl OnPath {
    const fn new(close: u8, keys: usize) -> Self {
        Self {
            close,
            keys,
            parts: 0,
            found: false,
        }
    }
}

/// What stands where an item or key may stand.
enum Part {
    /// The end of the list or object.
    End,
    /// The bytes end before it.
    More,
    /// An item or key.
    Next,
}

/// What stands where a value should.
enum Value {
    /// The bytes end before it does.
    More,
    /// A list or object on the way to the field.
    On(OnPath),
    /// It has been read.
    Read,
}

/// Where the way goes on.
enum Next {
    /// Everything that was open has ended.
    End,
    /// The bytes end before that.
    More,
    /// At a value behind so many keys of the path.
    Value(usize),
}

struct Look<'a> {
    bytes: &'a [u8],
    at: usize,
    switch: &'a Switch,
    /// The place of the first case that a value so far matches.
    best: Option<usize>,
}

impl Look<'_> {
    /// Reads the object until the choice is clear; `false` if the bytes end before.
    fn object(&mut self) -> Result<bool, Fault> {
        for parts in 0_usize.. {
            match self.part(parts, b'}')? {
                Part::End => return Ok(true),
                Part::More => return Ok(false),
                Part::Next => {}
            }
            match self.key(0)? {
                None => return Ok(false),
                Some(true) => return self.field(),
                Some(false) if !self.pass()? => return Ok(false),
                Some(false) => {}
            }
        }
        Ok(false)
    }

    /// Goes to the next item or key after so many `parts`, or behind the bracket that closes.
    fn part(&mut self, parts: usize, close: u8) -> Result<Part, Fault> {
        self.at = scan::space(self.bytes, self.at);
        match self.bytes.get(self.at) {
            None => Ok(Part::More),
            Some(byte) if *byte == close => {
                self.at = self.at.wrapping_add(1);
                Ok(Part::End)
            }
            Some(_) if parts == 0 => Ok(Part::Next),
            Some(b',') => {
                self.at = scan::space(self.bytes, self.at.wrapping_add(1));
                let more = self.at == self.bytes.len();
                Ok(if more { Part::More } else { Part::Next })
            }
            Some(_) => Err(Fault::new(JsonFault::Syntax, self.at)),
        }
    }

    /// Reads the value of the path's first key whole; `false` if the bytes end before.
    fn field(&mut self) -> Result<bool, Fault> {
        let mut open: Vec<OnPath> = Vec::new();
        let mut keys = 1;
        loop {
            match self.value(keys)? {
                Value::More => return Ok(false),
                Value::On(inner) => open.push(inner),
                Value::Read => {}
            }
            match self.next(&mut open)? {
                Next::End => return Ok(true),
                Next::More => return Ok(false),
                Next::Value(behind) => keys = behind,
            }
        }
    }

    /// Goes to the next value on the path, out of the lists and objects that end.
    fn next(&mut self, open: &mut Vec<OnPath>) -> Result<Next, Fault> {
        while let Some(here) = open.last_mut() {
            match self.part(here.parts, here.close)? {
                Part::More => return Ok(Next::More),
                Part::End => {
                    open.pop();
                    continue;
                }
                Part::Next => here.parts = here.parts.wrapping_add(1),
            }
            if here.close == b']' {
                return Ok(Next::Value(here.keys));
            }
            let start = self.at;
            match self.key(here.keys)? {
                None => return Ok(Next::More),
                Some(true) if here.found => {
                    return Err(Fault::new(JsonFault::DuplicateKey, start));
                }
                Some(true) => {
                    here.found = true;
                    return Ok(Next::Value(here.keys.wrapping_add(1)));
                }
                Some(false) if !self.pass()? => return Ok(Next::More),
                Some(false) => {}
            }
        }
        Ok(Next::End)
    }

    /// Reads a key and its colon: whether it is the path's key at that place.
    fn key(&mut self, place: usize) -> Result<Option<bool>, Fault> {
        let start = self.at;
        if self.bytes.get(start) != Some(&b'"') {
            return Err(Fault::new(JsonFault::Syntax, start));
        }
        let Text::Whole { end, .. } = scan::text(self.bytes, start.wrapping_add(1))? else {
            return Ok(None);
        };
        let colon = scan::space(self.bytes, end);
        match self.bytes.get(colon) {
            None => return Ok(None),
            Some(b':') => self.at = scan::space(self.bytes, colon.wrapping_add(1)),
            Some(_) => return Err(Fault::new(JsonFault::Syntax, colon)),
        }
        let wanted = self
            .switch
            .path
            .get(place)
            .map_or(&b""[..], |key| key.as_bytes());
        Ok(Some(is_text(self.bytes, start, end, wanted)))
    }

    /// Reads the value behind `keys` keys of the path, or enters it.
    fn value(&mut self, keys: usize) -> Result<Value, Fault> {
        let start = self.at;
        let field = keys == self.switch.path.len();
        match self.bytes.get(start) {
            None => return Ok(Value::More),
            Some(b'[') => {
                self.at = start.wrapping_add(1);
                return Ok(Value::On(OnPath::new(b']', keys)));
            }
            Some(b'{') if !field => {
                self.at = start.wrapping_add(1);
                return Ok(Value::On(OnPath::new(b'}', keys)));
            }
            Some(_) => {}
        }
        if !self.pass()? {
            return Ok(Value::More);
        }
        let is_case = |case: &str| match self.bytes.get(start) {
            Some(b'"') => is_text(self.bytes, start, self.at, case.as_bytes()),
            _ => self.bytes.get(start..self.at) == Some(case.as_bytes()),
        };
        if field {
            let case = self
                .switch
                .cases
                .iter()
                .position(|(value, _)| is_case(value));
            self.best = [self.best, case].into_iter().flatten().min();
        }
        Ok(Value::Read)
    }

    /// Passes over any value; `false` if the bytes end before it does.
    fn pass(&mut self) -> Result<bool, Fault> {
        let start = self.at;
        let end = match self.bytes.get(start) {
            None => return Ok(false),
            Some(b'"') => match scan::text(self.bytes, start.wrapping_add(1))? {
                Text::Whole { end, .. } => end,
                Text::Part { .. } => return Ok(false),
            },
            Some(b'[' | b'{') => {
                let mut skip = Skip::default();
                skip.container();
                let end = skip.run(self.bytes, start, usize::MAX)?;
                if skip.is_active() {
                    return Ok(false);
                }
                end
            }
            Some(b't') => return self.word(b"true"),
            Some(b'f') => return self.word(b"false"),
            Some(b'n') => return self.word(b"null"),
            Some(b'-' | b'0'..=b'9' | b'+' | b'.' | b'N' | b'I') => {
                match scan::number(self.bytes, start, Rest::Comes, usize::MAX)? {
                    None => return Ok(false),
                    Some(number) => number.end,
                }
            }
            Some(_) => return Err(Fault::new(JsonFault::Syntax, start)),
        };
        self.at = end;
        Ok(true)
    }

    fn word(&mut self, word: &[u8]) -> Result<bool, Fault> {
        let end = scan::literal(self.bytes, self.at, word)?;
        self.at = end.unwrap_or(self.at);
        Ok(end.is_some())
    }

    fn choice(&self) -> Choice {
        match self.best.and_then(|case| self.switch.cases.get(case)) {
            Some((_, shape)) => Choice::Shape(*shape),
            None => match self.switch.otherwise {
                Otherwise::DropItem => Choice::Drop,
                Otherwise::Shape(shape) => Choice::Shape(shape),
            },
        }
    }
}

/// Whether the string from quote to quote is that text.
fn is_text(bytes: &[u8], start: usize, end: usize, text: &[u8]) -> bool {
    let content = bytes
        .get(start.wrapping_add(1)..end.wrapping_sub(1))
        .unwrap_or_default();
    if !content.contains(&b'\\') {
        return content == text;
    }
    let mut plain = Vec::with_capacity(content.len());
    scan::unescape(content, &mut plain);
    plain == text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn switch(path: &[&str]) -> Switch {
        Switch {
            path: path.iter().map(|key| Box::from(*key)).collect(),
            cases: [("student", 1), ("teacher", 2), ("7", 3)]
                .into_iter()
                .map(|(value, shape)| (Box::from(value), Index::new(shape).unwrap()))
                .collect(),
            otherwise: Otherwise::DropItem,
        }
    }

    fn shape(place: usize) -> Result<Choice, Fault> {
        Ok(Choice::Shape(Index::new(place).unwrap()))
    }

    #[test]
    fn the_field_is_found_behind_anything() {
        let by_role = switch(&["role"]);
        let input = br#"{"a":{"role":"teacher"},"b":[1,"x"],"r\u006fle":"stud\u0065nt","c"#;
        assert_eq!(choose(input, 0, &by_role, 1_000, Rest::Comes), shape(1));
        assert_eq!(
            choose(br#"{"role":7,"#, 0, &by_role, 1_000, Rest::Comes),
            shape(3)
        );
        assert_eq!(
            choose(br#"{"x":1}"#, 0, &by_role, 1_000, Rest::Comes),
            Ok(Choice::Drop)
        );
        assert_eq!(
            choose(br#"{"role":null}"#, 0, &by_role, 1_000, Rest::Comes),
            Ok(Choice::Drop)
        );
    }

    #[test]
    fn the_first_case_that_any_item_matches_is_taken() {
        let by_roles = switch(&["roles", "role"]);
        let input = br#" {"roles":[{"role":"teacher"},{"x":[{}],"role":"student"}],"#;
        assert_eq!(choose(input, 1, &by_roles, 1_000, Rest::Comes), shape(1));
        let input = br#"{"roles":{"role":["aide","teacher"]}}"#;
        assert_eq!(choose(input, 0, &by_roles, 1_000, Rest::Comes), shape(2));
        let input = br#"{"roles":["student"]}"#;
        assert_eq!(
            choose(input, 0, &by_roles, 1_000, Rest::Comes),
            Ok(Choice::Drop)
        );
    }

    #[test]
    fn what_is_not_json_decides_nothing() {
        let by_roles = switch(&["roles", "role"]);
        for (input, fault, at) in [
            (
                &br#"{"roles":[{"role":student}]}"#[..],
                JsonFault::Syntax,
                18,
            ),
            (br#"{"roles":[{"role":+1}]}"#, JsonFault::Number, 18),
            (
                br#"{"roles":[{"role":"student",,"x":1}]}"#,
                JsonFault::Syntax,
                28,
            ),
            (
                br#"{"roles":[{"role":"aide"} {"role":"student"}]}"#,
                JsonFault::Syntax,
                26,
            ),
            (br#"{"x":1 "roles":[]}"#, JsonFault::Syntax, 7),
            (br#"{"x":nul,"roles":[]}"#, JsonFault::Syntax, 5),
            (br#"{"roles":[{"role":"aide"}}"#, JsonFault::Syntax, 25),
            (
                br#"{"roles":[{"role":"aide","role":"student"}]}"#,
                JsonFault::DuplicateKey,
                25,
            ),
        ] {
            let fault = Err(Fault::new(fault, at));
            assert_eq!(choose(input, 0, &by_roles, 1_000, Rest::Comes), fault);
        }
    }

    #[test]
    fn a_field_that_may_still_come_is_waited_for_within_the_bound() {
        let by_role = switch(&["role"]);
        let input = br#"{"x":"0123456789","role":"student","y":1}"#;
        for cut in 1..33 {
            assert_eq!(
                choose(&input[..cut], 0, &by_role, 1_000, Rest::Comes),
                Ok(Choice::More),
                "{cut}"
            );
            let fault = Fault::new(JsonFault::Cut, cut);
            assert_eq!(
                choose(&input[..cut], 0, &by_role, 1_000, Rest::IsNothing),
                Err(fault)
            );
            let fault = Fault::new(JsonFault::SwitchTooLate, 0);
            assert_eq!(choose(input, 0, &by_role, cut, Rest::Comes), Err(fault));
        }
        assert_eq!(choose(input, 0, &by_role, 34, Rest::Comes), shape(1));
    }
}
