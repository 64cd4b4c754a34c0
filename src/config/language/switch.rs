//! A shape that leads to others: `_switch` chooses one by the value of a field, and `_stub` names
//! what takes the place of an object that is withheld.

use std::sync::Arc;

use super::Compiler;
use super::named::{Named, Origin, base_of};
use super::shapes::Layer;
use crate::config::{At, Place, Problem, Table, TextOrTable, code, shown};
use crate::policy::{Fields, Index, Otherwise, Shape, ShapeBody, Switch, Unlisted};

type Cases = Box<[(Box<str>, Index<Shape>)]>;

impl<'d> Compiler<'d, '_> {
    /// Reads `_switch` and `_otherwise`.
    pub(super) fn switch(
        &mut self,
        name: &str,
        layer: &Layer<'d>,
        layers: &[Layer<'d>],
    ) -> ShapeBody {
        if let Some(value) = layer.table.value("_switch")
            && self.is_control_of_preset(layer, layers, &value)
        {
            let fields = Fields::new(Vec::new(), None, Unlisted::Drop);
            return ShapeBody::Fields(Arc::new(fields));
        }
        for other in layers {
            let owner = if other.origin == layer.origin {
                None
            } else {
                Some(&layer.table)
            };
            self.check_switch_keys(name, &other.table, owner);
        }
        let mut switch = Switch {
            path: Box::default(),
            cases: Box::default(),
            otherwise: self.otherwise(&layer.table),
        };
        let value = layer.table.value("_switch");
        match value.and_then(|value| value.text_or_table(self.problems)) {
            None => {}
            Some(TextOrTable::Text(path)) => {
                switch.path = self.path(&path);
                switch.cases = self.named_cases(name, layer.origin, &path.place);
            }
            Some(TextOrTable::Table(table)) => {
                let field = table.need("field", self.problems);
                if let Some(path) = field.and_then(|field| field.text(self.problems)) {
                    switch.path = self.path(&path);
                }
                let cases = table.need("cases", self.problems);
                if let Some(cases) = cases.and_then(|cases| cases.table(self.problems)) {
                    switch.cases = self.written_cases(&cases);
                }
                table.finish(self.problems);
            }
        }
        ShapeBody::Switch(switch)
    }

    /// A shape with `_switch` has no line of its own.
    fn check_switch_keys(&mut self, name: &str, table: &Table<'d>, owner: Option<&Table<'d>>) {
        let dashed = format!("{}-", base_of(name));
        let names = self.vocabulary.shapes.texts();
        let cases: Vec<String> = names
            .filter(|it| it.starts_with(&dashed))
            .map(shown)
            .collect();
        for (key, _) in table.entries() {
            if owner.is_none() && ["_switch", "_otherwise"].contains(&key.value) {
                continue;
            }
            let message = format!(
                "{} chooses another shape: its fields stand there",
                shown(name)
            );
            let problem = Problem::error(code::CONFLICT, message).at(&key.place);
            self.problems.push(match cases.is_empty() {
                true => problem,
                false => problem.help(format!("write the line in {}", cases.join(", "))),
            });
        }
    }

    fn otherwise(&mut self, table: &Table<'d>) -> Otherwise {
        let Some(text) = table.text("_otherwise", self.problems) else {
            return Otherwise::DropItem;
        };
        if text.value == "drop-item" {
            return Otherwise::DropItem;
        }
        self.case(&text)
            .map_or(Otherwise::DropItem, Otherwise::Shape)
    }

    fn path(&mut self, path: &At<&str>) -> Box<[Box<str>]> {
        if path.value.split('.').any(str::is_empty) {
            let message = "this is not the way to a field";
            let problem = Problem::error(code::VALUE, message).at(&path.place);
            self.problems
                .push(problem.help("for example `role` or `roles.role`"));
        }
        path.value.split('.').map(Box::from).collect()
    }

    /// The cases of `_switch = "role"`: every shape that is called `User-VALUE`.
    fn named_cases(&mut self, name: &str, origin: Origin, place: &Place) -> Cases {
        let dashed = format!("{name}-");
        let all = self.vocabulary.shapes.all().iter();
        let named = all.filter(|it| it.text.starts_with(&dashed));
        let (names, foreign): (Vec<&Named>, Vec<&Named>) =
            named.partition(|it| origin == Origin::Vendor || it.origin == Origin::Preset);
        for name in foreign {
            let message = format!("{} adds a kind of object to the preset", shown(&name.text));
            let problem = Problem::error(code::WIDENS, message).at(&name.place);
            let help = "that needs a [[widen]] with a reason, which is not built yet";
            self.problems.push(problem.help(help));
        }
        let names: Vec<String> = names.into_iter().map(|it| it.text.clone()).collect();
        self.cases
            .extend(names.iter().map(|it| (it.clone(), place.clone())));
        if names.is_empty() && !self.vocabulary.shapes.open {
            let message = format!(
                "there is no shape to choose: none begins with {}",
                shown(&dashed)
            );
            self.problems
                .push(Problem::error(code::WORD_UNKNOWN, message).at(place));
        }
        let case = |shape: &String| {
            let value = shape.strip_prefix(&dashed)?;
            Some((Box::from(value), self.vocabulary.shape(shape)?))
        };
        names.iter().filter_map(case).collect()
    }

    fn written_cases(&mut self, table: &Table<'d>) -> Cases {
        let mut cases = Vec::new();
        for (key, value) in table.entries() {
            if let Some(shape) = value.text(self.problems).and_then(|text| self.case(&text)) {
                cases.push((Box::from(key.value), shape));
            }
        }
        cases.into()
    }

    /// Cases must be shapes with fields: one choice is made an object, and no more.
    pub(super) fn check_cases(&mut self) {
        for (name, place) in std::mem::take(&mut self.cases) {
            let shape = self
                .vocabulary
                .shape(&name)
                .and_then(|it| self.policy.shape(it));
            if shape.is_some_and(|shape| matches!(shape.body, ShapeBody::Switch(_))) {
                let message = format!("{} has `_switch` too", shown(&name));
                let problem = Problem::error(code::CONFLICT, message).at(&place);
                self.problems
                    .push(problem.label("a shape that is chosen has fields"));
            }
        }
    }

    /// Reads `_stub`: what takes the place of an object that is withheld.
    pub(super) fn stub(&mut self, layers: &[Layer<'d>]) -> Option<Index<Shape>> {
        let mut stub = None;
        for layer in layers {
            let Some(value) = layer.table.value("_stub") else {
                continue;
            };
            if self.is_control_of_preset(layer, layers, &value) {
                continue;
            }
            if let Some(name) = value.text(self.problems) {
                stub = self.case(&name);
                self.stubs
                    .extend(stub.map(|stub| (stub, name.place.clone())));
            }
        }
        stub
    }

    /// A stub must say that it is one: else a client would take it for the record.
    pub(super) fn check_stubs(&mut self) {
        for (stub, place) in std::mem::take(&mut self.stubs) {
            let Some(shape) = self.policy.shape(stub) else {
                continue;
            };
            let has_fields = matches!(shape.body, ShapeBody::Fields(_));
            if has_fields && !self.policy.says_gone(stub) {
                let name = shown(&shape.name);
                let message = format!("{name} does not say that the record is to be deleted");
                let problem = Problem::error(code::CONFLICT, message).at(&place);
                let line = "status = { as = \"constant\", value = \"tobedeleted\" }";
                self.problems
                    .push(problem.help(format!("write in {name}: {line}")));
            }
        }
    }

    fn case(&mut self, name: &At<&'d str>) -> Option<Index<Shape>> {
        let shape = self.vocabulary.shape(name.value);
        if shape.is_none() {
            let problem = self.vocabulary.unknown_shape(name.value, &name.place);
            let problem = problem.map(|it| match name.value {
                "drop" | "nothing" => it.help("did you mean the word `drop-item`?"),
                _ => it,
            });
            self.problems.extend(problem);
        } else {
            self.cases.push((name.value.to_owned(), name.place.clone()));
        }
        shape
    }
}
