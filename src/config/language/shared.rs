//! What vendors of the same presets have in common: what these know, and the shapes to which a
//! vendor's file adds nothing. Made by the first vendor that needs it.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::Compiler;
use super::named::{Names, Origin, Vocabulary};
use super::preset::Catalogue;
use super::shapes::Layer;
use super::values::same_rules;
use super::whole::PlainRules;
use crate::policy::{Any, Constant, Field, Fields, IdKind, Index, Item, Keep, Policy, Rule};

/// What all files share that name the same presets in the same order.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) catalogue: Arc<Catalogue>,
    shapes: RwLock<Shapes>,
    pub(super) plain: PlainRules,
}

/// Shapes that have been compiled, by their names.
#[derive(Debug, Default)]
struct Shapes {
    compiled: BTreeMap<String, Arc<Fields>>,
    /// The policy of nobody, with the parts that their rules name by number.
    parts: Policy,
}

impl Shared {
    pub(super) fn new(catalogue: Catalogue) -> Self {
        Self {
            catalogue: Arc::new(catalogue),
            shapes: RwLock::default(),
            plain: PlainRules::default(),
        }
    }

    /// The shape, its parts numbered as in `policy`; `None` if it is not there.
    fn shape(&self, name: &str, policy: &mut Policy) -> Option<Arc<Fields>> {
        let shapes = self.shapes.read().unwrap_or_else(PoisonError::into_inner);
        renumbered(shapes.compiled.get(name)?, &shapes.parts, policy)
    }

    /// Keeps the shape of a policy for others, unless it depends on more than the presets.
    fn keep(&self, name: &str, fields: &Arc<Fields>, policy: &Policy) {
        let mut shapes = self.shapes.write().unwrap_or_else(PoisonError::into_inner);
        let Shapes { compiled, parts } = &mut *shapes;
        if compiled.contains_key(name) {
            return;
        }
        if let Some(fields) = renumbered(fields, policy, parts) {
            compiled.insert(name.to_owned(), fields);
        }
    }
}

impl<'d> Compiler<'d, '_> {
    /// The fields of a shape with a name. Those of a preset's shape of which the vendor's file says
    /// nothing are the same for all vendors, but for the numbers of the parts that rules name.
    pub(super) fn named_fields(&mut self, name: &str, layers: &[Layer<'d>]) -> Arc<Fields> {
        let of_preset = layers.iter().all(|layer| layer.origin == Origin::Preset);
        let open = self.vocabulary.shapes.open || self.vocabulary.kinds.open;
        if !of_preset || open {
            return Arc::new(self.fields(name, layers));
        }
        let shared = Arc::clone(&self.shared);
        if let Some(fields) = shared.shape(name, &mut self.policy) {
            self.use_kinds(&fields);
            return fields;
        }
        let before = self.problems.reported();
        let fields = Arc::new(self.fields(name, layers));
        // Whatever there is to say of it, each vendor is told.
        if self.problems.reported() == before && self.names_only_presets(&fields) {
            shared.keep(name, &fields, &self.policy);
        }
        shared.shape(name, &mut self.policy).unwrap_or(fields)
    }

    /// The kinds that these fields name count as used.
    fn use_kinds(&mut self, fields: &Fields) {
        for kind in rules(fields).filter_map(kind) {
            self.vocabulary.kinds.mark(kind.place());
        }
    }

    /// Whether no kind and no shape that these fields name is one of the vendor's file. A stub is
    /// looked at for each vendor, whose file may say more of it.
    fn names_only_presets(&self, fields: &Fields) -> bool {
        let Vocabulary { kinds, shapes } = &self.vocabulary;
        let of_preset = |names: &Names, place: usize| {
            let name = names.all().get(place);
            name.is_some_and(|name| name.origin == Origin::Preset)
        };
        let named = rules(fields).all(|rule| {
            let shape = rule.inside().or_else(|| rule.of_text());
            kind(rule).is_none_or(|kind| of_preset(kinds, kind.place()))
                && shape.is_none_or(|shape| of_preset(shapes, shape.place()))
        });
        named && fields.stub.is_none()
    }
}

/// Every rule of a shape; that the keys of a map are identifiers is one.
fn rules(fields: &Fields) -> impl Iterator<Item = Rule> {
    let lines = fields.lines().iter().map(|line| line.rule);
    let any = fields.any.into_iter();
    lines.chain(any.flat_map(|any| [Rule::Identifier(any.key), any.rule]))
}

/// The kind that a rule names; texts with ids in them are not shared.
const fn kind(rule: Rule) -> Option<Index<IdKind>> {
    match rule {
        Rule::Derived { kind, .. }
        | Rule::Identifier(kind)
        | Rule::List(Item::Identifier(kind))
        | Rule::ListOrOne(Item::Identifier(kind)) => Some(kind),
        Rule::Blank
        | Rule::Constant(_)
        | Rule::Drop
        | Rule::Generalise(_)
        | Rule::Keep(_)
        | Rule::KeepAll
        | Rule::Link(_)
        | Rule::List(Item::Keep(_) | Item::Link(_) | Item::Object(_) | Item::Template(_))
        | Rule::ListOrOne(Item::Keep(_) | Item::Link(_) | Item::Object(_) | Item::Template(_))
        | Rule::Nested(_)
        | Rule::Object(_)
        | Rule::Template(_) => None,
    }
}

/// Fields of one policy in another one with the same kinds and shapes, in which their rules number
/// parts as if they had been compiled there. The same ones if all numbers are.
fn renumbered(fields: &Arc<Fields>, from: &Policy, to: &mut Policy) -> Option<Arc<Fields>> {
    let mut move_to = Move { from, to };
    let mut changed = false;
    let mut lines = Vec::new();
    for line in fields.lines() {
        let rule = move_to.rule(line.rule)?;
        changed |= rule != line.rule;
        lines.push(rule);
    }
    let any = match fields.any {
        None => None,
        Some(Any { key, rule }) => {
            let moved = move_to.rule(rule)?;
            changed |= moved != rule;
            Some(Any { key, rule: moved })
        }
    };
    if !changed {
        return Some(Arc::clone(fields));
    }
    let field = |(line, rule): (&Field, Rule)| Field {
        key: line.key.clone(),
        rule,
    };
    let lines = fields.lines().iter().zip(lines).map(field).collect();
    Some(Arc::new(Fields::new(lines, any, fields.unlisted)))
}

/// On its way from one policy into another.
struct Move<'p> {
    from: &'p Policy,
    to: &'p mut Policy,
}

impl Move<'_> {
    /// `None` for a text with ids in it: how these look, which a vendor's file may change, decides
    /// whether it can be read.
    fn rule(&mut self, rule: Rule) -> Option<Rule> {
        Some(match rule {
            Rule::Constant(constant) => Rule::Constant(self.constant(constant)?),
            Rule::Generalise(place) => {
                let (from, to) = (&self.from.generalisers, &mut self.to.generalisers);
                Rule::Generalise(part(place, from, to, PartialEq::eq)?)
            }
            Rule::Keep(keep) => Rule::Keep(self.keep(keep)?),
            Rule::Link(Some(constant)) => Rule::Link(Some(self.constant(constant)?)),
            Rule::List(item) => Rule::List(self.item(item)?),
            Rule::ListOrOne(item) => Rule::ListOrOne(self.item(item)?),
            Rule::Template(_) => return None,
            Rule::Blank
            | Rule::Derived { .. }
            | Rule::Drop
            | Rule::Identifier(_)
            | Rule::KeepAll
            | Rule::Link(None)
            | Rule::Nested(_)
            | Rule::Object(_) => rule,
        })
    }

    fn item(&mut self, item: Item) -> Option<Item> {
        Some(match item {
            Item::Keep(keep) => Item::Keep(self.keep(keep)?),
            Item::Link(Some(constant)) => Item::Link(Some(self.constant(constant)?)),
            Item::Template(_) => return None,
            Item::Identifier(_) | Item::Link(None) | Item::Object(_) => item,
        })
    }

    fn keep(&mut self, keep: Keep) -> Option<Keep> {
        let Some(rules) = keep.rules else {
            return Some(keep);
        };
        let (from, to) = (&self.from.value_rules, &mut self.to.value_rules);
        let rules = part(rules, from, to, same_rules)?;
        Some(Keep {
            of: keep.of,
            rules: Some(rules),
        })
    }

    fn constant(&mut self, place: Index<Constant>) -> Option<Index<Constant>> {
        let (from, to) = (&self.from.constants, &mut self.to.constants);
        part(place, from, to, PartialEq::eq)
    }
}

/// The place of a part in another policy, which has it from now on.
fn part<T: Clone>(
    place: Index<T>,
    from: &[T],
    to: &mut Vec<T>,
    same: impl Fn(&T, &T) -> bool,
) -> Option<Index<T>> {
    let part = from.get(place.place())?;
    let known = to.iter().position(|known| same(known, part));
    let index = Index::new(known.unwrap_or(to.len()))?;
    if known.is_none() {
        to.push(part.clone());
    }
    Some(index)
}
