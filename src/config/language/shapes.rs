//! `[shape.X]`: the fields of one kind of object, of the preset and of the vendor's file together.

use std::sync::Arc;

use super::Compiler;
use super::named::Origin;
use super::overlay::Base;
use super::words::Among;
use crate::config::{At, Place, Problem, Table, Value, code, nearest, shown};
use crate::limits;
use crate::policy::{Any, Field, Fields, IdKind, Index, Rule, Shape, ShapeBody, Unlisted};

/// The control words of a shape.
const CONTROL: &[&str] = &["_any", "_base", "_otherwise", "_strict", "_stub", "_switch"];

/// One `[shape.X]` table of one file.
#[derive(Debug)]
pub(super) struct Layer<'d> {
    pub(super) origin: Origin,
    pub(super) table: Table<'d>,
}

/// One line of a shape, with what the preset says where the vendor's file has a line too.
#[derive(Debug)]
pub(super) struct Line<'d> {
    pub(super) key: &'d str,
    pub(super) key_place: Place,
    pub(super) origin: Origin,
    pub(super) value: Value<'d>,
    pub(super) preset: Option<Value<'d>>,
}

impl<'d> Compiler<'d, '_> {
    /// Gives every shape its number, so that shapes can name each other and themselves.
    pub(super) fn name_shapes(&mut self, roots: &[(Origin, &Table<'d>)]) -> Vec<Vec<Layer<'d>>> {
        let mut shapes: Vec<Vec<Layer<'d>>> = Vec::new();
        for (origin, name, table) in self.named_by_all(roots, "shape") {
            if !self.is_good_shape_name(&name, origin) {
                continue;
            }
            if origin == Origin::Preset && self.is_of_another_preset(&name) {
                continue;
            }
            let number = self.vocabulary.shapes.add(name.value, &name.place, origin);
            let layer = Layer { origin, table };
            match shapes.get_mut(number) {
                Some(layers) => layers.push(layer),
                None => shapes.push(vec![layer]),
            }
        }
        self.vocabulary.shapes.check_count("shapes", self.problems);
        shapes
    }

    /// Whether a preset that was read before has that shape too, which is reported.
    fn is_of_another_preset(&mut self, name: &At<&str>) -> bool {
        let before = self.vocabulary.shapes.known(name.value);
        let before = before.map(|known| known.place.clone());
        if let Some(place) = &before {
            let message = format!("two presets of one file have a shape {}", shown(name.value));
            let problem = Problem::error(code::CONFLICT, message).at(&name.place);
            let help = "one file speaks one version of a standard: write a second vendor's file";
            self.problems
                .push(problem.also(place, "the other").help(help));
        }
        before.is_some()
    }

    fn is_good_shape_name(&mut self, name: &At<&str>, origin: Origin) -> bool {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let text = name.value;
        let good = super::named::is_shape_name(text)
            && text.len() <= limits::NAME_BYTES_MAX
            && text.bytes().all(plain);
        if !good {
            let message = format!("{} cannot name a shape", shown(text));
            self.problems.push(
                Problem::error(code::VALUE, message)
                    .at(&name.place)
                    .help("a shape begins with a capital and has letters, digits and `-`"),
            );
        } else if origin == Origin::Vendor {
            self.check_confusable_shape(name);
        }
        good
    }

    /// Compiles all shapes that have names, at their numbers.
    pub(super) fn compile_shapes(&mut self, shapes: &[Vec<Layer<'d>>]) {
        for (number, layers) in shapes.iter().enumerate() {
            let name = self.vocabulary.shapes.all().get(number);
            let name = name.map_or_else(String::new, |name| name.text.clone());
            self.vocabulary.shapes.reading = Some(number);
            let switch = layers.iter().find(|layer| layer.table.has("_switch"));
            let body = match switch {
                Some(layer) => self.switch(&name, layer, layers),
                None => ShapeBody::Fields(self.named_fields(&name, layers)),
            };
            self.policy.shapes.push(Shape { name, body });
        }
        self.vocabulary.shapes.reading = None;
    }

    /// A shape without a name: what a route carries, field by field.
    pub(super) fn anonymous(&mut self, name: String, table: Table<'d>) -> Option<Index<Shape>> {
        let place = table.place();
        let layer = Layer {
            origin: Origin::Vendor,
            table,
        };
        let fields = self.fields("", &[layer]);
        let number = self.policy.shapes.len();
        let body = ShapeBody::Fields(Arc::new(fields));
        self.policy.shapes.push(Shape { name, body });
        self.numbered(number, "shapes", &place)
    }

    pub(super) fn fields(&mut self, name: &str, layers: &[Layer<'d>]) -> Fields {
        let lines = self.lines(layers);
        let keys: Vec<&str> = lines.iter().map(|line| line.key).collect();
        let mut rules = Vec::new();
        for (own, line) in lines.iter().enumerate() {
            let shape = Base { name, layers };
            let rule = self.line(line, &shape, Among { keys: &keys, own });
            rules.push(rule.unwrap_or(Rule::Drop));
        }
        self.check_siblings(&lines, &rules);
        let any = self.any(layers);
        let unlisted = self.unlisted(layers);
        let stub = self.stub(layers);
        for layer in layers {
            if let Some(value) = layer.table.value("_otherwise") {
                let message = "`_otherwise` goes with `_switch`";
                self.problems
                    .push(Problem::error(code::CONFLICT, message).at(value.key_place()));
            }
        }
        let field = |(line, rule): (&Line<'d>, Rule)| Field {
            key: line.key.into(),
            rule,
        };
        let lines = lines.iter().zip(rules).map(field).collect();
        let mut fields = Fields::new(lines, any, unlisted);
        fields.stub = stub;
        fields
    }

    /// The lines of all layers; a line of a later one takes the place of the earlier.
    fn lines(&mut self, layers: &[Layer<'d>]) -> Vec<Line<'d>> {
        let mut lines: Vec<Line<'d>> = Vec::new();
        let entries = layers.iter().flat_map(|layer| {
            let entries = layer.table.entries().into_iter();
            entries.map(|(key, value)| (layer.origin, key, value))
        });
        for (origin, key, value) in entries {
            if self.is_control(&key) {
                continue;
            }
            // `"=_any"` is a field that is called `_any`.
            let name = key.value.strip_prefix('=').filter(|it| it.starts_with('_'));
            let line = Line {
                key: name.unwrap_or(key.value),
                key_place: key.place,
                origin,
                value,
                preset: None,
            };
            if let Some(old) = lines.iter_mut().find(|old| old.key == line.key) {
                self.replace_line(old, line);
            } else if lines.len() < limits::SHAPE_FIELDS_MAX {
                lines.push(line);
            } else {
                let most = limits::SHAPE_FIELDS_MAX;
                let message = format!("a shape may have at most {most} fields");
                let problem = Problem::error(code::TOO_MANY, message);
                self.problems.push(problem.at(&line.key_place));
                break;
            }
        }
        lines
    }

    fn replace_line(&mut self, old: &mut Line<'d>, line: Line<'d>) {
        if old.origin == line.origin {
            let message = format!("{} has two lines", shown(line.key));
            let problem = Problem::error(code::CONFLICT, message).at(&line.key_place);
            self.problems
                .push(problem.also(&old.key_place, "the first"));
        } else {
            let preset = std::mem::replace(old, line).value;
            old.preset = Some(preset);
        }
    }

    /// Whether a key is a control word. One that nearly is would quietly be a field instead.
    fn is_control(&mut self, key: &At<&str>) -> bool {
        if CONTROL.contains(&key.value) {
            if key.value == "_base" {
                self.not_yet("_base", &key.place);
            }
            return true;
        }
        if key.value.starts_with('_')
            && let Some(meant) = nearest(key.value, CONTROL.iter().copied())
            && strsim::damerau_levenshtein(meant, key.value) < meant.len().div_ceil(3)
        {
            let message = format!("{} is nearly {}", shown(key.value), shown(meant));
            self.problems.push(
                Problem::error(code::CONFUSABLE, message)
                    .at(&key.place)
                    .help(format!("did you mean {}?", shown(meant)))
                    .help(format!(
                        "a field of that name is written \"={}\"",
                        key.value
                    )),
            );
            return true;
        }
        false
    }

    /// A sibling that something is made from must be one value.
    fn check_siblings(&mut self, lines: &[Line<'d>], rules: &[Rule]) {
        let mut count: usize = 0;
        for (line, rule) in lines.iter().zip(rules) {
            let Rule::Derived { kind, of } = rule else {
                continue;
            };
            if let Some(sibling) = rules.get(*of) {
                self.check_public(*kind, sibling, &line.value.place());
            }
            count = count.saturating_add(1);
            if count == limits::SHAPE_DERIVED_MAX.saturating_add(1) {
                let most = limits::SHAPE_DERIVED_MAX;
                let message = format!("at most {most} fields of a shape are made of siblings");
                self.problems
                    .push(Problem::error(code::TOO_MANY, message).at(&line.key_place));
            }
            let whole = rules.get(*of).is_some_and(|sibling| {
                matches!(
                    sibling,
                    Rule::List(_) | Rule::ListOrOne(_) | Rule::Nested(_) | Rule::Object(_)
                )
            });
            if let Some(sibling) = lines.get(*of).filter(|_| whole) {
                let message = format!("{} is not one value", shown(sibling.key));
                let problem = Problem::error(code::VALUE, message).at(&line.value.place());
                let label = "no identifier can be read from a list or an object";
                self.problems
                    .push(problem.also(&sibling.value.place(), label));
            }
        }
    }

    /// What comes home of a kind that is made from a sibling is the sibling's id: it is public only
    /// if that is.
    fn check_public(&mut self, kind: Index<IdKind>, sibling: &Rule, place: &Place) {
        let is_public = |kind: Index<IdKind>| {
            let kind = self.policy.kinds.get(kind.place());
            kind.is_some_and(|kind| kind.public)
        };
        let known = matches!(sibling, Rule::Identifier(of) if is_public(*of));
        if is_public(kind) && !known {
            let name = shown(self.policy.kind_name(kind));
            let message =
                format!("{name} is a kind of public ids, and this is made from one that is not");
            let help = "use a kind of its own, without `public`";
            self.problems
                .push(Problem::error(code::WIDENS, message).at(place).help(help));
        }
    }

    fn any(&mut self, layers: &[Layer<'d>]) -> Option<Any> {
        let mut any = None;
        for layer in layers {
            let Some(value) = layer.table.value("_any") else {
                continue;
            };
            if self.is_control_of_preset(layer, layers, &value) {
                continue;
            }
            let table = value.table(self.problems)?;
            let key = table.need("key", self.problems)?.text(self.problems)?;
            let kind = self.kind(&key);
            let rule = self.long(&table, Among::ALONE);
            let alone =
                rule.filter(|rule| !matches!(rule, Rule::Constant(_) | Rule::Derived { .. }));
            if rule.is_some() && alone.is_none() {
                let message = "an entry of a map cannot be a constant";
                self.problems
                    .push(Problem::error(code::VALUE, message).at(&value.place()));
            }
            any = kind.zip(alone).map(|(key, rule)| Any { key, rule });
        }
        any
    }

    fn unlisted(&mut self, layers: &[Layer<'d>]) -> Unlisted {
        let mut unlisted = Unlisted::Drop;
        for layer in layers {
            let strict = layer.table.flag("_strict", self.problems);
            // A preset that is strict stays so.
            if strict.is_some_and(|strict| strict.value) {
                unlisted = Unlisted::Refuse;
            }
        }
        unlisted
    }
}
