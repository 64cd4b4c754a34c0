//! What takes the place of a record that is withheld.

use super::{Constant, Field, Fields, Index, Otherwise, Policy, Rule, Shape, ShapeBody, ValueType};

/// What a `status` says of a record that is to be deleted, in OneRoster and beyond.
const GONE: &str = "tobedeleted";
/// The line that says so.
const STATUS: &str = "status";
/// The line that says when, which a stub keeps: who asks for what has changed must get the stub.
const CHANGED: &str = "dateLastModified";
/// The lines with a record's own id: the first one that a shape has.
const OWN: [&str; 2] = ["sourcedId", "id"];

impl Fields {
    /// The place of the line with the id of the object itself, by its key. All other identifiers
    /// may be those of others.
    #[must_use]
    pub fn own_id(&self) -> Option<usize> {
        let place = |own: &str| self.lines().iter().position(|line| *line.key == *own);
        OWN.into_iter().find_map(place)
    }
}

impl Policy {
    /// The stub of a shape, if what is withheld of it leaves one: the one that it names or, of a
    /// switch, its other shape, if that says itself that it is to be deleted; else one that is made
    /// of the shape's own lines.
    pub(super) fn stub_of(&mut self, shape: Index<Shape>) -> Option<Index<Shape>> {
        match &self.shape(shape)?.body {
            ShapeBody::Switch(switch) => match switch.otherwise {
                Otherwise::Shape(other) if self.says_gone(other) => Some(other),
                Otherwise::DropItem | Otherwise::Shape(_) => None,
            },
            ShapeBody::Fields(fields) if let Some(stub) = fields.stub => {
                Some(stub).filter(|stub| self.says_gone(*stub))
            }
            ShapeBody::Fields(fields) => {
                let can_say = |line: &Field| *line.key == *STATUS && self.can_say(line.rule, GONE);
                let own = fields.own_id()?;
                if !fields.lines().iter().any(can_say) {
                    return None;
                }
                let lines = fields.lines().to_vec();
                self.make_stub(shape, lines, own)
            }
        }
    }

    /// Of all identifiers only the record's own leaves, and what is made of it: any other may be
    /// that of whoever objected, under whatever kind.
    fn make_stub(
        &mut self,
        shape: Index<Shape>,
        lines: Vec<Field>,
        own: usize,
    ) -> Option<Index<Shape>> {
        let is_own = |(place, line): (usize, &Field)| match line.rule {
            Rule::Derived { of, .. } => of == own,
            Rule::Identifier(_) => place == own,
            Rule::Blank
            | Rule::Constant(_)
            | Rule::Drop
            | Rule::Generalise(_)
            | Rule::Keep(_)
            | Rule::KeepAll
            | Rule::Link(_)
            | Rule::List(_)
            | Rule::ListOrOne(_)
            | Rule::Nested(_)
            | Rule::Object(_)
            | Rule::Template(_) => false,
        };
        if !lines.iter().enumerate().any(is_own) {
            // Whom it is of nobody could tell.
            return None;
        }
        let gone = self.constant_of(GONE)?;
        let stub = Index::new(self.shapes.len())?;
        let line = |(place, line): (usize, Field)| {
            let constant = matches!(line.rule, Rule::Constant(_));
            let changed = matches!(line.rule, Rule::Keep(_)) && *line.key == *CHANGED;
            let rule = match is_own((place, &line)) || constant || changed {
                _ if *line.key == *STATUS => Rule::Constant(gone),
                true => line.rule,
                false => Rule::Drop,
            };
            Field {
                key: line.key,
                rule,
            }
        };
        let lines = lines.into_iter().enumerate().map(line).collect();
        let fields = Fields::new(lines, None, super::Unlisted::Drop);
        let name = format!("{} (stub)", self.shape(shape)?.name);
        self.shapes.push(Shape {
            name,
            body: ShapeBody::Fields(fields.into()),
        });
        Some(stub)
    }

    fn constant_of(&mut self, text: &str) -> Option<Index<Constant>> {
        let json = format!("\"{text}\"").into_bytes();
        let known = self.constants.iter().position(|it| *it.json == *json);
        let place = known.unwrap_or(self.constants.len());
        let index = Index::new(place)?;
        if known.is_none() {
            self.constants.push(Constant { json: json.into() });
        }
        Some(index)
    }

    /// Whether whatever leaves under a shape says that it is to be deleted.
    #[must_use]
    pub fn says_gone(&self, shape: Index<Shape>) -> bool {
        let lines = self.fields(shape).map_or(&[][..], Fields::lines);
        let says = |line: &Field| {
            let always = matches!(line.rule, Rule::Constant(_));
            always && *line.key == *STATUS && self.can_say(line.rule, GONE)
        };
        lines.iter().any(says)
    }

    /// Whether a text can leave under a rule.
    fn can_say(&self, rule: Rule, text: &str) -> bool {
        let json = format!("\"{text}\"");
        match rule {
            Rule::Constant(constant) => {
                let constant = self.constants.get(constant.place());
                constant.is_some_and(|it| *it.json == *json.as_bytes())
            }
            Rule::Keep(keep) => {
                let Some(rules) = keep.rules else {
                    return matches!(keep.of, ValueType::Any | ValueType::Slug);
                };
                let rules = self.value_rules.get(rules.place());
                rules.is_some_and(|rules| rules.admits(text, &json))
            }
            Rule::Blank
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
        }
    }
}
