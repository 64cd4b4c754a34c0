//! The lines of a shape, and what the rewriter needs to know of them beforehand.

use super::keys::{self, KeyTable, Opening};
use super::{IdKind, Index, Rule, Shape};

/// One line of a shape.
#[derive(Clone, Debug)]
pub struct Field {
    /// The key, unescaped.
    pub key: Box<str>,
    /// What becomes of its value.
    pub rule: Rule,
}

/// The entries of a map keyed by identifiers: `_any`.
#[derive(Clone, Copy, Debug)]
pub struct Any {
    /// The kind of identifier that every key without a line of its own is.
    pub key: Index<IdKind>,
    /// What becomes of the value behind such a key.
    pub rule: Rule,
}

/// The lines of a shape with what the rewriter needs to know of them beforehand.
#[derive(Clone, Debug)]
pub struct Fields {
    lines: Box<[Field]>,
    /// Of each line, how it begins in a message.
    openings: Box<[Opening]>,
    table: KeyTable,
    constants: Box<[usize]>,
    derived: Box<[Derived]>,
    /// Of each line, whether others are made from it.
    sources: Box<[bool]>,
    /// What becomes of keys without a line, if they are identifiers.
    pub any: Option<Any>,
    /// Whether a key outside the policy refuses the message (`_strict`).
    pub unlisted: Unlisted,
    /// What an object becomes where it is withheld, if the policy names that (`_stub`).
    pub stub: Option<Index<Shape>>,
}

/// What a key without a line of its own does to the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlisted {
    /// It is dropped and counted.
    Drop,
    /// It refuses the message: `_strict = true`.
    Refuse,
}

/// A field that is made from a sibling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Derived {
    /// The place of the field that is written.
    pub field: usize,
    /// The place of the sibling that it is made from.
    pub of: usize,
    /// The kind of pseudonym.
    pub kind: Index<IdKind>,
}

impl Fields {
    /// Compiles the lines of a shape. Keys must be distinct and at most
    /// [`limits::SHAPE_FIELDS_MAX`](crate::limits::SHAPE_FIELDS_MAX).
    #[must_use]
    pub fn new(lines: Vec<Field>, any: Option<Any>, unlisted: Unlisted) -> Self {
        let constant = |(place, line): (usize, &Field)| line.rule.stands_in().map(|_| place);
        let derived = |(field, line): (usize, &Field)| match line.rule {
            Rule::Derived { kind, of } => Some(Derived { field, of, kind }),
            Rule::Blank
            | Rule::Constant(_)
            | Rule::Drop
            | Rule::Generalise(_)
            | Rule::Identifier(_)
            | Rule::Keep(_)
            | Rule::KeepAll
            | Rule::Link(_)
            | Rule::List(_)
            | Rule::ListOrOne(_)
            | Rule::Nested(_)
            | Rule::Object(_)
            | Rule::Template(_) => None,
        };
        let keys: Vec<&[u8]> = lines.iter().map(|line| line.key.as_bytes()).collect();
        let derived: Box<[Derived]> = lines.iter().enumerate().filter_map(derived).collect();
        let is_source = |line: usize| derived.iter().any(|one| one.of == line);
        Self {
            table: KeyTable::new(&keys),
            openings: lines.iter().map(|line| Opening::new(&line.key)).collect(),
            constants: lines.iter().enumerate().filter_map(constant).collect(),
            sources: (0..lines.len()).map(is_source).collect(),
            derived,
            lines: lines.into(),
            any,
            unlisted,
            stub: None,
        }
    }

    /// The line of that key, by its [hash](super::key_hash) and its unescaped bytes.
    #[must_use]
    #[inline(always)]
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<(usize, &Field)> {
        let is = |line: &Field| keys::same(line.key.as_bytes(), key);
        let place = self
            .table
            .find(hash, |place| self.lines.get(place).is_some_and(is))?;
        Some((place, self.lines.get(place)?))
    }

    /// Whether the key of the line at that place stands at `at`, as compact JSON has it: where the
    /// key ends with its quotes, and the line. With less than sixteen bytes there it is not known.
    #[must_use]
    #[inline]
    pub fn begins(&self, place: usize, bytes: &[u8], at: usize) -> Option<(usize, &Field)> {
        let behind_colon = self.openings.get(place)?.end(bytes, at)?;
        Some((behind_colon.checked_sub(1)?, self.lines.get(place)?))
    }

    /// The line at that place.
    #[must_use]
    pub fn line(&self, place: usize) -> Option<&Field> {
        self.lines.get(place)
    }

    /// All lines in the order of the file.
    #[must_use]
    pub fn lines(&self) -> &[Field] {
        &self.lines
    }

    /// The places of the constants: written at the end of the object if they were not seen.
    #[must_use]
    pub fn constants(&self) -> &[usize] {
        &self.constants
    }

    /// Whether other fields are made from the one at that place.
    #[must_use]
    #[inline]
    pub fn is_source(&self, place: usize) -> bool {
        self.sources.get(place).copied().unwrap_or_default()
    }

    /// The fields that are made from siblings.
    #[must_use]
    pub fn derived(&self) -> &[Derived] {
        &self.derived
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_begins_with_a_line_only_if_all_of_the_key_stands_there() {
        let keys = [
            "id",
            "a\"b",
            "back\\slash",
            "line\n",
            "dateLastModified",
            "é",
            "",
        ];
        let line = |key: &str| Field {
            key: key.into(),
            rule: Rule::Drop,
        };
        let fields = Fields::new(keys.map(line).into(), None, Unlisted::Drop);
        let begins = |place, text: &str| {
            let text = format!("{{{text:16}");
            let found = fields.begins(place, text.as_bytes(), 1);
            found.map(|(end, field)| (end - 1, &*field.key))
        };
        assert_eq!(begins(0, r#""id":1"#), Some((4, "id")));
        assert_eq!(
            begins(4, r#""dateLastModified":1"#),
            Some((18, "dateLastModified"))
        );
        assert_eq!(begins(5, r#""é":1"#), Some((4, "é")));
        assert_eq!(begins(6, r#""":1"#), Some((2, "")));
        for (place, text) in [
            (0, r#""id" :1"#),
            (0, r#""id""#),
            (0, r#""idx":1"#),
            (0, r#""ie":1"#),
            (1, r#""a"b":1"#),
            (2, r#""back\slash":1"#),
            (3, "\"line\n\":1"),
            (4, r#""dateLastModifieD":1"#),
            (4, r#""dateLastModified"""#),
            (4, r#""dateLastModified"#),
            (7, r#""id":1"#),
        ] {
            assert_eq!(begins(place, text), None, "{text}");
        }
        let text = br#"{"id":12345678901"#;
        assert!(fields.begins(0, text, 1).is_some());
        assert!(fields.begins(0, &text[..16], 1).is_none());
        assert!(fields.begins(1, &[0; 64], 1).is_none());
    }

    /// Sixteen bytes are compared at once: keys that end before, there and behind.
    #[test]
    fn no_key_is_taken_for_one_that_differs_in_a_byte() {
        for letters in [1, 11, 12, 13, 14, 15, 16, 40] {
            let key = "k".repeat(letters);
            let line = Field {
                key: key.as_str().into(),
                rule: Rule::Drop,
            };
            let fields = Fields::new(vec![line], None, Unlisted::Drop);
            let opening = format!("{:16}", format!("\"{key}\":"));
            let begins = |bytes: &[u8]| fields.begins(0, bytes, 0).map(|(end, _)| end);
            assert_eq!(begins(opening.as_bytes()), Some(letters + 2));
            for at in 0..letters + 3 {
                let mut other = opening.clone().into_bytes();
                other[at] ^= 1;
                assert_eq!(begins(&other), None, "{letters} letters, {at}");
                assert_eq!(
                    begins(&opening.as_bytes()[..at]),
                    None,
                    "{letters} cut at {at}"
                );
            }
        }
    }
}
