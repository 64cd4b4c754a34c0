//! Words for what stands within a text: links, identifiers among letters, JSON in a string.

use super::Compiler;
use super::named::is_shape_name;
use super::values::number_of;
use super::words::Base;
use crate::config::{At, Place, Problem, Table, code, shown};
use crate::policy::{Constant, IdKind, Index, Item, Rule, Template};
use crate::pseudonym::Notation;

impl<'d> Compiler<'d, '_> {
    /// `{ as = "url", otherwise = "…" }`: what stands in the place of a link that leads nowhere.
    pub(super) fn link(&mut self, table: &Table<'d>) -> Option<Base> {
        let Some(otherwise) = table.value("otherwise") else {
            return Some(Base::Item(Item::Link(None)));
        };
        let text = otherwise.text(self.problems)?;
        let json = otherwise.json_scalar(self.problems)?.value;
        let constant = Constant {
            json: json.into_bytes().into(),
        };
        let number = number_of(&mut self.policy.constants, constant, PartialEq::eq);
        let constant = self.numbered(number, "constants", &text.place)?;
        Some(Base::Item(Item::Link(Some(constant))))
    }

    /// `{ as = "json", shape = "X" }`.
    pub(super) fn nested(&mut self, table: &Table<'d>) -> Option<Base> {
        let name = table.need("shape", self.problems)?.text(self.problems)?;
        let shape = self.vocabulary.shape(name.value);
        if shape.is_none() {
            let unknown = match is_shape_name(name.value) {
                true => self.vocabulary.unknown_shape(name.value, &name.place),
                false => {
                    let message = format!("{} is no shape", shown(name.value));
                    let problem = Problem::error(code::VALUE, message).at(&name.place);
                    Some(problem.help("a shape begins with a capital"))
                }
            };
            self.problems.extend(unknown);
        }
        shape.map(|shape| Base::Whole(Rule::Nested(shape)))
    }

    /// `{ as = "template", like = "urn:pupil:{pupil}" }`.
    pub(super) fn template(&mut self, table: &Table<'d>) -> Option<Base> {
        let like = table.need("like", self.problems)?.text(self.problems)?;
        let template = self.read_template(&like)?;
        let number = number_of(&mut self.policy.templates, template, PartialEq::eq);
        let template = self.numbered(number, "templates", &like.place)?;
        Some(Base::Item(Item::Template(template)))
    }

    fn read_template(&mut self, like: &At<&'d str>) -> Option<Template> {
        let mut parts: Vec<(Box<str>, Index<IdKind>)> = Vec::new();
        let mut rest = like.value;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, behind)) = after.split_once('}') else {
                return self.bad_template(&like.place, "a brace is not closed");
            };
            if before.contains('}') || name.contains('{') {
                return self.bad_template(&like.place, "a brace stands alone");
            }
            let kind = self.kind(&At {
                value: name,
                place: like.place.clone(),
            })?;
            if let Some((_, last)) = parts.last()
                && !self.tells_apart(*last, before)
            {
                let label = "between two ids must stand a character that neither can have";
                return self.bad_template(&like.place, label);
            }
            parts.push((before.into(), kind));
            rest = behind;
        }
        if parts.is_empty() || rest.contains('}') {
            return self.bad_template(&like.place, "it has no id kind in braces");
        }
        Some(Template {
            parts: parts.into(),
            end: rest.into(),
        })
    }

    /// Whether a text shows where a pseudonym before it ends.
    fn tells_apart(&self, kind: Index<IdKind>, between: &str) -> bool {
        let spec = self.kind_specs.get(kind.place());
        let is_url = spec.is_some_and(|spec| matches!(spec.notation, Notation::Url { .. }));
        let of_pseudonyms = |it: char| it.is_ascii_alphanumeric() || "-._@".contains(it);
        !is_url && between.contains(|it| !of_pseudonyms(it))
    }

    fn bad_template<T>(&mut self, place: &Place, label: &str) -> Option<T> {
        let message = "this is no text with ids in it";
        let problem = Problem::error(code::VALUE, message).at(place).label(label);
        self.problems
            .push(problem.help("for example \"urn:pupil:{pupil}\""));
        None
    }
}
