//! What one vendor may see: a compiled allowlist.
//!
//! A policy is made of *shapes* (the fields of one kind of object), *kinds* of identifier, and
//! *flows* with their *routes*. It is built once from a vendor's file by `config`, holds no key and
//! no data, and answers one question: given this shape and this key, which [`Rule`]? What it does
//! not list is [`Rule::Drop`].

mod keys;
mod records;
mod route;
mod stubs;
mod value;
mod visible;
mod withheld;

use std::sync::Arc;

pub use keys::{KeyTable, key_hash};
pub use records::{Gate, Glimpse, Names, Only, Records, Scalar};
pub use route::{
    Bases, Content, Flow, Method, Methods, ParameterType, QueryParameter, QueryRule, Route,
    Segment, Side, StatusContent, Statuses,
};
pub use value::{DateForm, Generaliser, Template, ValueRules, ValueType};
pub use visible::Visible;

/// A part of a policy by its place: `Index<Shape>`, `Index<IdKind>`, …
///
/// Numbers, not references, so that a [`Rule`] is `Copy` and a shape may name itself.
pub struct Index<Of> {
    place: u16,
    of: std::marker::PhantomData<fn() -> Of>,
}

impl<Of> Index<Of> {
    /// The part at that place; `None` beyond
    /// [`limits::POLICY_PARTS_MAX`](crate::limits::POLICY_PARTS_MAX).
    #[must_use]
    pub fn new(place: usize) -> Option<Self> {
        let place = u16::try_from(place).ok()?;
        (usize::from(place) < crate::limits::POLICY_PARTS_MAX).then_some(Self {
            place,
            of: std::marker::PhantomData,
        })
    }

    /// Its place.
    #[must_use]
    pub fn place(self) -> usize {
        usize::from(self.place)
    }
}

impl<Of> Clone for Index<Of> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Of> Copy for Index<Of> {}

impl<Of> PartialEq for Index<Of> {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl<Of> Eq for Index<Of> {}

impl<Of> std::fmt::Debug for Index<Of> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{}", self.place)
    }
}

/// A kind of identifier, for the policy no more than its name; how its pseudonyms are made is
/// `pseudonym`'s to know, under the same [`Index`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdKind {
    /// Its name in `[ids.NAME]`: part of the derivation, so never changed.
    pub name: String,
    /// Whether everybody may know these identifiers, as the numbers of schools: what says one is no
    /// echo.
    pub public: bool,
}

/// A text that is written as it stands: JSON, already encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constant {
    /// One JSON scalar.
    pub json: Box<[u8]>,
}

/// What becomes of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The same type, empty: `""`, `0`, `false`, `[]`, `{}`; null stays null.
    Blank,
    /// Always this, also where the field is absent or null.
    Constant(Index<Constant>),
    /// A pseudonym of that kind, made from the identifier in a sibling field.
    Derived {
        /// The kind of pseudonym.
        kind: Index<IdKind>,
        /// The place of the sibling within the same shape.
        of: usize,
    },
    /// Nothing leaves.
    Drop,
    /// Less of it: a year for a date, a band for a number.
    Generalise(Index<Generaliser>),
    /// A pseudonym of that kind.
    Identifier(Index<IdKind>),
    /// One scalar of that type, byte for byte.
    Keep(Keep),
    /// Whatever is there, to any depth. Reported by every `check`.
    KeepAll,
    /// The address of the same thing on the other side; if there is none, this text in its place.
    Link(Option<Index<Constant>>),
    /// A list, each item under the same rule.
    List(Item),
    /// A list as [`Rule::List`], or one item without its brackets (`X[]?`).
    ListOrOne(Item),
    /// A text that is a JSON object of that shape.
    Nested(Index<Shape>),
    /// An object of that shape.
    Object(Index<Shape>),
    /// A text with identifiers in it.
    Template(Index<Template>),
}

impl Rule {
    /// The shape that the rule leads into: of its object, or of the objects in its list.
    pub fn inside(self) -> Option<Index<Shape>> {
        self.of_items().or_else(|| self.of_object())
    }

    /// What is written where the field is absent or null.
    pub const fn stands_in(self) -> Option<Index<Constant>> {
        match self {
            Self::Constant(constant) | Self::Link(Some(constant)) => Some(constant),
            Self::Blank
            | Self::Derived { .. }
            | Self::Drop
            | Self::Generalise(_)
            | Self::Identifier(_)
            | Self::Keep(_)
            | Self::KeepAll
            | Self::Link(None)
            | Self::List(_)
            | Self::ListOrOne(_)
            | Self::Nested(_)
            | Self::Object(_)
            | Self::Template(_) => None,
        }
    }

    /// The shape of the objects in its list.
    pub const fn of_items(self) -> Option<Index<Shape>> {
        match self {
            Self::List(Item::Object(shape)) | Self::ListOrOne(Item::Object(shape)) => Some(shape),
            Self::Blank
            | Self::Constant(_)
            | Self::Derived { .. }
            | Self::Drop
            | Self::Generalise(_)
            | Self::Identifier(_)
            | Self::Keep(_)
            | Self::KeepAll
            | Self::Link(_)
            | Self::List(_)
            | Self::ListOrOne(_)
            | Self::Nested(_)
            | Self::Object(_)
            | Self::Template(_) => None,
        }
    }

    /// The shape of the JSON in its text.
    pub const fn of_text(self) -> Option<Index<Shape>> {
        match self {
            Self::Nested(shape) => Some(shape),
            Self::Blank
            | Self::Constant(_)
            | Self::Derived { .. }
            | Self::Drop
            | Self::Generalise(_)
            | Self::Identifier(_)
            | Self::Keep(_)
            | Self::KeepAll
            | Self::Link(_)
            | Self::List(_)
            | Self::ListOrOne(_)
            | Self::Object(_)
            | Self::Template(_) => None,
        }
    }

    /// The shape of its object.
    pub const fn of_object(self) -> Option<Index<Shape>> {
        match self {
            Self::Object(shape) => Some(shape),
            Self::Blank
            | Self::Constant(_)
            | Self::Derived { .. }
            | Self::Drop
            | Self::Generalise(_)
            | Self::Identifier(_)
            | Self::Keep(_)
            | Self::KeepAll
            | Self::Link(_)
            | Self::List(_)
            | Self::ListOrOne(_)
            | Self::Nested(_)
            | Self::Template(_) => None,
        }
    }
}

/// What becomes of one item of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// A pseudonym of that kind.
    Identifier(Index<IdKind>),
    /// One scalar of that type.
    Keep(Keep),
    /// As [`Rule::Link`].
    Link(Option<Index<Constant>>),
    /// An object of that shape.
    Object(Index<Shape>),
    /// A text with identifiers in it.
    Template(Index<Template>),
}

impl Item {
    /// The rule for the item standing alone.
    #[must_use]
    pub const fn rule(self) -> Rule {
        match self {
            Self::Identifier(kind) => Rule::Identifier(kind),
            Self::Keep(keep) => Rule::Keep(keep),
            Self::Link(otherwise) => Rule::Link(otherwise),
            Self::Object(shape) => Rule::Object(shape),
            Self::Template(template) => Rule::Template(template),
        }
    }
}

/// A scalar that is kept if it is of this type and passes these rules; else dropped and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Its type.
    pub of: ValueType,
    /// `one-of`, `max`, `like`.
    pub rules: Option<Index<ValueRules>>,
}

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

/// The fields of one kind of object.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Its name, for people.
    pub name: String,
    /// What is inside.
    pub body: ShapeBody,
}

/// A shape lists fields, or chooses another shape.
#[derive(Clone, Debug)]
pub enum ShapeBody {
    /// `[shape.X]` with fields; one for all vendors of a preset that do not change them.
    Fields(Arc<Fields>),
    /// `[shape.X]` with `_switch`.
    Switch(Switch),
}

/// The lines of a shape with what the rewriter needs to know of them beforehand.
#[derive(Clone, Debug)]
pub struct Fields {
    lines: Box<[Field]>,
    /// Each line's key with quotes and colon, as compact JSON has it; empty if it needs escapes.
    openings: Box<[Box<[u8]>]>,
    table: KeyTable,
    constants: Box<[usize]>,
    derived: Box<[Derived]>,
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
        Self {
            table: KeyTable::new(&keys),
            openings: lines.iter().map(|line| keys::opening(&line.key)).collect(),
            constants: lines.iter().enumerate().filter_map(constant).collect(),
            derived: lines.iter().enumerate().filter_map(derived).collect(),
            lines: lines.into(),
            any,
            unlisted,
            stub: None,
        }
    }

    /// The line of that key, by its [hash](key_hash) and its unescaped bytes.
    #[must_use]
    #[inline]
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<(usize, &Field)> {
        let is = |line: &Field| keys::same(line.key.as_bytes(), key);
        let place = self
            .table
            .find(hash, |place| self.lines.get(place).is_some_and(is))?;
        Some((place, self.lines.get(place)?))
    }

    /// Whether `bytes` begin with the key of the line at that place, as compact JSON has it: how
    /// long the key is with its quotes, and the line.
    #[must_use]
    #[inline]
    pub fn begins(&self, place: usize, bytes: &[u8]) -> Option<(usize, &Field)> {
        let opening = self.openings.get(place)?;
        let length = opening.len().checked_sub(1)?;
        let here = bytes.get(..opening.len())?;
        let line = self.lines.get(place)?;
        keys::same(opening, here).then_some((length, line))
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

    /// The fields that are made from siblings.
    #[must_use]
    pub fn derived(&self) -> &[Derived] {
        &self.derived
    }
}

/// A shape that is chosen by the value of one field.
#[derive(Clone, Debug)]
pub struct Switch {
    /// The keys on the way to the field; every one may pass through a list.
    pub path: Box<[Box<str>]>,
    /// Value and shape, in policy order: the first case that any value matches is taken.
    /// Only shapes with fields; never another switch.
    pub cases: Box<[(Box<str>, Index<Shape>)]>,
    /// What becomes of an object that no case matches.
    pub otherwise: Otherwise,
}

impl Switch {
    /// Every shape that an object can have by it: those of its cases, and that of all others.
    pub fn shapes(&self) -> impl Iterator<Item = Index<Shape>> {
        let cases = self.cases.iter().map(|(_, shape)| *shape);
        cases.chain(self.otherwise.shape())
    }
}

/// What becomes of an object that no case of its switch matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// It is removed, with its place in the list.
    DropItem,
    /// It is taken to be of this shape.
    Shape(Index<Shape>),
}

impl Otherwise {
    /// The shape, unless the object is removed.
    #[must_use]
    pub const fn shape(self) -> Option<Index<Shape>> {
        match self {
            Self::DropItem => None,
            Self::Shape(shape) => Some(shape),
        }
    }
}

/// A compiled policy.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// The vendor's name in paths, with which ids of its own making are marked at the school.
    pub vendor: String,
    /// All shapes; the anonymous ones of routes among them.
    pub shapes: Vec<Shape>,
    /// All kinds of identifier.
    pub kinds: Vec<IdKind>,
    /// All constants.
    pub constants: Vec<Constant>,
    /// All generalisers.
    pub generalisers: Vec<Generaliser>,
    /// All texts with identifiers in them.
    pub templates: Vec<Template>,
    /// All value rules.
    pub value_rules: Vec<ValueRules>,
    /// Which records are sent.
    pub records: Records,
    /// The flows with their routes.
    pub flows: Vec<Flow>,
    /// Where each flow is reached, at the places of the flows. None while the policy of a vendor is
    /// looked at alone: then no link leads anywhere.
    pub bases: Vec<Bases>,
}

impl Policy {
    /// The shape at that place.
    #[must_use]
    pub fn shape(&self, index: Index<Shape>) -> Option<&Shape> {
        self.shapes.get(index.place())
    }

    /// The fields of the shape at that place; `None` for a switch.
    #[must_use]
    #[inline]
    pub fn fields(&self, index: Index<Shape>) -> Option<&Fields> {
        match &self.shapes.get(index.place())?.body {
            ShapeBody::Fields(fields) => Some(fields),
            ShapeBody::Switch(_) => None,
        }
    }

    /// The name of the kind at that place, for people.
    #[must_use]
    pub fn kind_name(&self, index: Index<IdKind>) -> &str {
        self.kinds.get(index.place()).map_or("", |kind| &kind.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_has_a_place_up_to_the_most_that_there_are() {
        let place = |at| Index::<Shape>::new(at).map(Index::place);
        let most = crate::limits::POLICY_PARTS_MAX;
        assert_eq!(place(0), Some(0));
        assert_eq!(place(most - 1), Some(most - 1));
        assert_eq!(place(most), None);
        assert_eq!(place(1 << 16), None);
        assert_eq!(format!("{:?}", Index::<Shape>::new(3).unwrap()), "#3");
    }

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
            let found = fields.begins(place, text.as_bytes());
            found.map(|(length, field)| (length, &*field.key))
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
            (7, r#""id":1"#),
        ] {
            assert_eq!(begins(place, text), None, "{text}");
        }
    }
}
