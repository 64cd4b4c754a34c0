//! Which shape an object has, told by one of its fields, before the object is entered.

use super::look::{self, Read, Room, Scalar, Seek};
use super::scan::{Fault, Rest};
use crate::policy::{Glimpse, Index, Otherwise, Shape, Switch};

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
/// read whole.
pub(super) fn choose(
    bytes: &[u8],
    open: usize,
    (switch, room): (&Switch, &mut Room),
    bytes_max: usize,
    then: Rest,
) -> Result<Choice, Fault> {
    let mut choosing = Choosing { switch, best: None };
    match look::look(bytes, open, (&mut choosing, None, room), bytes_max, then)? {
        Read::More => Ok(Choice::More),
        Read::Enough => Ok(choosing.choice()),
    }
}

struct Choosing<'a> {
    switch: &'a Switch,
    /// The place of the first case that a value so far matches.
    best: Option<usize>,
}

impl Seek for Choosing<'_> {
    fn path(&self, path: usize) -> &[Box<str>] {
        match path {
            0 => &self.switch.path,
            _ => &[],
        }
    }

    fn glimpses(&self, _: Index<Shape>) -> &[Glimpse] {
        &[]
    }

    fn value(&mut self, _: usize, scalar: &Scalar<'_>) {
        let is = |case: &str| scalar.is_text(case) || scalar.is_bare(case);
        let case = self.switch.cases.iter().position(|(value, _)| is(value));
        self.best = [self.best, case].into_iter().flatten().min();
    }

    fn glimpse(&mut self, _: Index<Shape>, _: usize, _: &Scalar<'_>) {}
}

impl Choosing<'_> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::JsonFault;

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

    fn choose(
        bytes: &[u8],
        open: usize,
        switch: &Switch,
        bytes_max: usize,
        then: Rest,
    ) -> Result<Choice, Fault> {
        super::choose(bytes, open, (switch, &mut Room::default()), bytes_max, then)
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
