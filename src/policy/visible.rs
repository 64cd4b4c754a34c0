//! What may be asked about the items of an answer: which fields a filter, an order or a choice of
//! fields may name without telling the vendor more than the answer itself.

use super::{Field, Fields, IdKind, Index, Item, Keep, Policy, Rule, Shape, ShapeBody};
use crate::limits;

/// A field that a filter may name, and what it may be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visible<'p> {
    /// A pseudonym of that kind, made from the identifier in the sibling `of`.
    Derived {
        /// The kind of pseudonym.
        kind: Index<IdKind>,
        /// The key of the sibling.
        of: &'p str,
    },
    /// An identifier of that kind.
    Identifier(Index<IdKind>),
    /// A value that passes this.
    Kept(Keep),
    /// It chooses the shape: one of the values of these cases.
    OneOf(&'p [(Box<str>, Index<Shape>)]),
}

/// What stands at the end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen<'p> {
    Constant,
    /// Nothing leaves, or less of it.
    Hidden,
    Visible(Visible<'p>),
}

impl Policy {
    /// What a filter may say of the field at that path below the items.
    ///
    /// In all cases of a switch the field must be the same. What no case describes must keep it,
    /// have a constant for it or not list it.
    #[must_use]
    pub fn visible<'p>(&'p self, items: Index<Shape>, path: &str) -> Option<Visible<'p>> {
        match self.seen(items, &steps(path)?) {
            Seen::Visible(visible) => Some(visible),
            Seen::Constant | Seen::Hidden => None,
        }
    }

    /// Whether items may come in the order of the field at that path: where everybody's is kept,
    /// and no value of it withheld for what it says, the order tells nothing new.
    #[must_use]
    pub fn is_orderly(&self, items: Index<Shape>, path: &str) -> bool {
        steps(path).is_some_and(|steps| self.keeps_order(items, &steps))
    }

    /// The keys that the school must be asked for, so that this key of an item leaves; `None` if
    /// it never does. A constant needs none.
    #[must_use]
    pub fn needs<'p>(&'p self, items: Index<Shape>, key: &'p str) -> Option<Vec<&'p str>> {
        let lines = self.leaves(items).filter_map(|fields| {
            let line = line(fields, key).filter(|line| line.rule != Rule::Drop)?;
            Some((fields, line))
        });
        let mut needs = None;
        for (fields, line) in lines {
            let needs: &mut Vec<&str> = needs.get_or_insert_default();
            let needed = match line.rule {
                Rule::Constant(_) => None,
                Rule::Derived { of, .. } => fields.line(of).map(|sibling| &*sibling.key),
                Rule::Blank
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
                | Rule::Template(_) => Some(key),
            };
            needs.extend(needed.filter(|it| !needs.contains(it)));
        }
        needs
    }

    /// The keys of fields that are made from that key of an item, with their kinds.
    pub fn made_of(
        &self,
        items: Index<Shape>,
        key: &str,
    ) -> impl Iterator<Item = (&str, Index<IdKind>)> {
        self.leaves(items).flat_map(move |fields| {
            let made = fields.derived().iter().filter(move |made| {
                let sibling = fields.line(made.of);
                sibling.is_some_and(|sibling| *sibling.key == *key)
            });
            made.filter_map(|made| Some((&*fields.line(made.field)?.key, made.kind)))
        })
    }

    /// The key of an item that chooses its shape, if one does.
    #[must_use]
    pub fn chooser(&self, items: Index<Shape>) -> Option<&str> {
        match &self.shape(items)?.body {
            ShapeBody::Fields(_) => None,
            ShapeBody::Switch(switch) => switch.path.first().map(|key| &**key),
        }
    }

    /// The shapes that an item can have: its own, or those that its switch chooses from.
    fn leaves(&self, items: Index<Shape>) -> impl Iterator<Item = &Fields> {
        let cases = match self.shape(items).map(|shape| &shape.body) {
            Some(ShapeBody::Switch(switch)) => &*switch.cases,
            Some(ShapeBody::Fields(_)) | None => &[],
        };
        let cases = cases.iter().map(|(_, shape)| *shape);
        let all = std::iter::once(items).chain(cases).chain(self.other(items));
        all.filter_map(|shape| self.fields(shape))
    }

    fn other(&self, items: Index<Shape>) -> Option<Index<Shape>> {
        match &self.shape(items)?.body {
            ShapeBody::Fields(_) => None,
            ShapeBody::Switch(switch) => switch.otherwise.shape(),
        }
    }

    fn seen<'p>(&'p self, shape: Index<Shape>, path: &[&str]) -> Seen<'p> {
        let switch = match self.shape(shape).map(|shape| &shape.body) {
            None => return Seen::Hidden,
            Some(ShapeBody::Fields(fields)) => return self.seen_in(fields, path),
            Some(ShapeBody::Switch(switch)) => switch,
        };
        if switch
            .path
            .iter()
            .map(|key| &**key)
            .eq(path.iter().copied())
        {
            return match self.is_told(&switch.cases, path) {
                true => Seen::Visible(Visible::OneOf(&switch.cases)),
                false => Seen::Hidden,
            };
        }
        let mut cases = switch.cases.iter().map(|(_, case)| self.seen(*case, path));
        let Some(first) = cases
            .next()
            .filter(|first| cases.all(|case| case == *first))
        else {
            return Seen::Hidden;
        };
        let other = self
            .other(shape)
            .map(|other| (other, self.seen(other, path)));
        let fits = other.is_none_or(|(other, seen)| match seen {
            Seen::Constant | Seen::Visible(Visible::Kept(_)) => true,
            Seen::Hidden => !self.is_listed(other, path),
            Seen::Visible(_) => seen == first,
        });
        if fits { first } else { Seen::Hidden }
    }

    fn seen_in<'p>(&'p self, fields: &'p Fields, path: &[&str]) -> Seen<'p> {
        let Some((line, rest)) = next(fields, path) else {
            return Seen::Hidden;
        };
        match (line.rule, line.rule.inside()) {
            (_, Some(shape)) if !rest.is_empty() => self.seen(shape, rest),
            _ if !rest.is_empty() => Seen::Hidden,
            (Rule::Constant(_), _) => Seen::Constant,
            (Rule::Derived { kind, of }, _) => match fields.line(of) {
                Some(of) => Seen::Visible(Visible::Derived { kind, of: &of.key }),
                None => Seen::Hidden,
            },
            (Rule::Identifier(kind), _)
            | (Rule::List(Item::Identifier(kind)) | Rule::ListOrOne(Item::Identifier(kind)), _) => {
                Seen::Visible(Visible::Identifier(kind))
            }
            (Rule::Keep(keep), _)
            | (Rule::List(Item::Keep(keep)) | Rule::ListOrOne(Item::Keep(keep)), _) => {
                Seen::Visible(Visible::Kept(keep))
            }
            (
                Rule::Blank
                | Rule::Drop
                | Rule::Generalise(_)
                | Rule::KeepAll
                | Rule::Link(_)
                | Rule::List(Item::Link(_) | Item::Object(_) | Item::Template(_))
                | Rule::ListOrOne(Item::Link(_) | Item::Object(_) | Item::Template(_))
                | Rule::Nested(_)
                | Rule::Object(_)
                | Rule::Template(_),
                _,
            ) => Seen::Hidden,
        }
    }

    /// Whether the field at that path has a line with which something of its value leaves.
    fn is_listed(&self, shape: Index<Shape>, path: &[&str]) -> bool {
        let found = self.leaves(shape).filter_map(|fields| next(fields, path));
        { found }.any(|(line, rest)| match line.rule.inside() {
            Some(shape) if !rest.is_empty() => self.is_listed(shape, rest),
            Some(_) | None => rest.is_empty() && line.rule != Rule::Drop,
        })
    }

    /// Whether the vendor is told which case an item is: each has a shape of its own, or keeps the
    /// field that chooses it.
    fn is_told(&self, cases: &[(Box<str>, Index<Shape>)], path: &[&str]) -> bool {
        let before = |at: usize, shape| cases.iter().take(at).any(|(_, other)| *other == shape);
        let mut shapes = cases.iter().enumerate();
        let alike = shapes.any(|(at, (_, shape))| before(at, *shape));
        !alike
            || cases.iter().all(|(_, case)| match self.seen(*case, path) {
                Seen::Visible(visible) => {
                    matches!(visible, Visible::Kept(_) | Visible::OneOf(_))
                }
                Seen::Constant | Seen::Hidden => false,
            })
    }

    fn keeps_order(&self, shape: Index<Shape>, path: &[&str]) -> bool {
        let mut leaves = self.leaves(shape).peekable();
        let some = leaves.peek().is_some();
        some && leaves.all(|fields| match next(fields, path) {
            None => false,
            Some((line, [])) => match line.rule {
                Rule::Keep(keep) => !self.withholds(keep),
                Rule::Blank
                | Rule::Constant(_)
                | Rule::Derived { .. }
                | Rule::Drop
                | Rule::Generalise(_)
                | Rule::Identifier(_)
                | Rule::KeepAll
                | Rule::Link(_)
                | Rule::List(_)
                | Rule::ListOrOne(_)
                | Rule::Nested(_)
                | Rule::Object(_)
                | Rule::Template(_) => false,
            },
            Some((line, rest)) => line
                .rule
                .inside()
                .is_some_and(|shape| self.keeps_order(shape, rest)),
        })
    }

    /// Whether values are dropped for what they say, and not only for their type or length.
    #[must_use]
    pub fn withholds(&self, keep: Keep) -> bool {
        let rules = keep
            .rules
            .and_then(|rules| self.value_rules.get(rules.place()));
        rules.is_some_and(|rules| rules.one_of.is_some() || rules.like.is_some())
    }
}

/// The keys of a dotted path; `None` if it is none, or longer than one may be.
fn steps(path: &str) -> Option<Vec<&str>> {
    let steps: Vec<&str> = path
        .split('.')
        .take(limits::FILTER_STEPS_MAX.saturating_add(1))
        .collect();
    let good = steps.len() <= limits::FILTER_STEPS_MAX && !steps.contains(&"");
    good.then_some(steps)
}

/// The line that a path leads to first, and the rest of the path.
fn next<'p, 's>(fields: &'p Fields, path: &'s [&str]) -> Option<(&'p Field, &'s [&'s str])> {
    let (key, rest) = path.split_first()?;
    Some((line(fields, key)?, rest))
}

fn line<'p>(fields: &'p Fields, key: &str) -> Option<&'p Field> {
    fields.lines().iter().find(|line| *line.key == *key)
}
