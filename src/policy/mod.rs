//! What one vendor may see: a compiled allowlist.
//!
//! A policy is made of *shapes* (the fields of one kind of object), *kinds* of identifier, and
//! *flows* with their *routes*. It is built once from a vendor's file by `config`, holds no key and
//! no data, and answers one question: given this shape and this key, which [`Rule`]? What it does
//! not list is [`Rule::Drop`].

mod fields;
mod keys;
mod records;
mod route;
mod stubs;
mod value;
mod visible;
mod withheld;

use std::sync::Arc;

pub use fields::{Any, Derived, Field, Fields, Unlisted};
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
}
