//! Which records are sent at all: `[only.SHAPE]` and `[except]`.
//!
//! A *record* is an object as an item of a list, as an entry of a map or as the whole of a message.
//! What has to be known of one before any of it may leave is worked out here, once, for every shape
//! that an object can have: its [`Gate`].

use std::collections::BTreeSet;

use super::{
    Constant, Field, Fields, IdKind, Index, Item, Otherwise, Policy, Rule, Shape, ShapeBody,
    Template, ValueType,
};

/// What a `status` says of a record that is to be deleted, in OneRoster and beyond.
const GONE: &str = "tobedeleted";
/// The line that says so.
const STATUS: &str = "status";
/// The line that says when, which a stub keeps: who asks for what has changed must get the stub.
const CHANGED: &str = "dateLastModified";

/// Which records of a policy are sent.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// Every line of every `[only.SHAPE]`.
    pub only: Vec<Only>,
    /// The kinds of which `[except]` names a list.
    pub excepted: Vec<Index<IdKind>>,
    /// The kinds that are made of identifiers of an excepted kind, each with that kind.
    made: Vec<(Index<IdKind>, Index<IdKind>)>,
    /// At the places of the shapes; none if nothing is filtered.
    gates: Vec<Gate>,
}

/// A line of `[only.SHAPE]`: objects of that shape are sent if one of these values stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Only {
    /// The shape, which may be one that a switch chooses from.
    pub shape: Index<Shape>,
    /// The keys on the way to the value; every one may pass through a list.
    pub path: Box<[Box<str>]>,
    /// The values.
    pub values: Box<[Scalar]>,
}

/// A value to be compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// A whole number or truth value, as JSON writes it.
    Bare(Box<str>),
    /// A string, unescaped.
    Text(Box<str>),
}

/// What has to be known of an object of one shape before any of it may leave.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    /// The places of its lines in [`Records::only`].
    pub only: Box<[usize]>,
    /// Where identifiers of excepted kinds stand in it, other than in records of its own.
    pub glimpses: Box<[Glimpse]>,
    /// What it is taken to be where it is withheld: its own shape with little more than ids and
    /// the word that it is to be deleted.
    pub stub: Option<Index<Shape>>,
}

/// A field in which identifiers of excepted kinds stand, or an object with such fields.
#[derive(Clone, Debug)]
pub struct Glimpse {
    /// Its key.
    pub key: Box<str>,
    /// The excepted kinds that its value is an identifier of.
    pub kinds: Box<[Index<IdKind>]>,
    /// The text with such identifiers that its value is.
    pub template: Option<Index<Template>>,
    /// The shapes that it can have as an object, none of them a switch.
    pub inside: Box<[Index<Shape>]>,
}

impl Policy {
    /// Sends only some records from now on: those that match all lines of their shape, and that no
    /// identifier of an excepted kind stands in that is on the kind's list.
    ///
    /// To be called once, when all shapes are there: this adds the stubs that leave in the place of
    /// what is withheld.
    pub fn send_only(&mut self, only: Vec<Only>, excepted: Vec<Index<IdKind>>) {
        let idle = only.is_empty() && excepted.is_empty();
        let mut made = Vec::new();
        self.records = Records {
            only,
            excepted,
            made: Vec::new(),
            gates: Vec::new(),
        };
        if idle {
            return;
        }
        let shapes: Vec<Index<Shape>> = (0..self.shapes.len()).filter_map(Index::new).collect();
        for fields in shapes.iter().filter_map(|shape| self.fields(*shape)) {
            for line in fields.derived() {
                let of = self.excepted_at(fields, line.of);
                made.extend(of.map(|of| (line.kind, of)));
            }
        }
        self.records.made = made;
        let glimpses = self.all_glimpses();
        let gates: Vec<Gate> = shapes
            .iter()
            .zip(glimpses)
            .map(|(shape, glimpses)| Gate {
                only: self.records.places_of(*shape).collect(),
                glimpses,
                stub: None,
            })
            .collect();
        self.records.gates = gates;
        for shape in shapes {
            let stub = self.stub_of(shape);
            if let Some(gate) = self.records.gates.get_mut(shape.place()) {
                gate.stub = stub;
            }
        }
    }

    /// The gate before objects of a shape; `None` where nothing is filtered.
    #[must_use]
    #[inline]
    pub fn gate(&self, shape: Index<Shape>) -> Option<&Gate> {
        self.records.gates.get(shape.place())
    }

    /// Whether identifiers of that kind are looked for on a list.
    #[must_use]
    #[inline]
    pub fn excepts(&self, kind: Index<IdKind>) -> bool {
        self.records.excepted.contains(&kind)
    }

    /// The kinds on whose lists the source of an identifier of that kind may stand: its own, and
    /// those that it is made of somewhere.
    pub fn excepted_sources(
        &self,
        kind: Index<IdKind>,
    ) -> impl Iterator<Item = Index<IdKind>> + '_ {
        let own = self.excepts(kind).then_some(kind);
        let made = self
            .records
            .made
            .iter()
            .filter(move |(made, _)| *made == kind);
        own.into_iter().chain(made.map(|(_, of)| *of))
    }

    /// Whether as many items leave as came, whatever stands in them: of the outermost lists under
    /// `rule`, which are what an API counts. A record that leaves a stub leaves.
    #[must_use]
    pub fn leaves_all(&self, rule: Rule) -> bool {
        let mut seen = BTreeSet::new();
        let mut queue = vec![rule];
        while let Some(rule) = queue.pop() {
            match rule {
                Rule::List(item) | Rule::ListOrOne(item) if !self.leaves_each(item) => {
                    return false;
                }
                Rule::Object(shape) if seen.insert(shape.place()) => {
                    let fields = self.leaf_shapes(shape).into_iter();
                    let fields = fields.filter_map(|shape| self.fields(shape));
                    queue.extend(fields.flat_map(|it| it.lines().iter().map(|line| line.rule)));
                }
                Rule::Blank
                | Rule::Constant(_)
                | Rule::Derived { .. }
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
                | Rule::Template(_) => {}
            }
        }
        true
    }

    fn leaves_each(&self, item: Item) -> bool {
        let shape = match item {
            Item::Identifier(kind) => return !self.excepts(kind),
            Item::Keep(_) | Item::Link(_) => return true,
            Item::Template(template) => return !self.names_excepted(template),
            Item::Object(shape) => shape,
        };
        let filtered = |shape: Index<Shape>| {
            let gate = self.gate(shape);
            gate.is_some_and(|gate| !gate.only.is_empty() || !gate.glimpses.is_empty())
        };
        if let Some(ShapeBody::Switch(switch)) = self.shape(shape).map(|shape| &shape.body)
            && switch.otherwise == Otherwise::DropItem
        {
            return false;
        }
        let outer = self.records.places_of(shape).next().is_some();
        let leaves = self.leaf_shapes(shape);
        { leaves }
            .into_iter()
            .all(|leaf| !outer && !filtered(leaf) || self.stub_among(shape, leaf).is_some())
    }

    /// What an object of shape `outer` becomes where it is withheld as one of shape `chosen`; the
    /// two are the same where no switch chooses.
    #[must_use]
    pub fn stub_among(&self, outer: Index<Shape>, chosen: Index<Shape>) -> Option<Index<Shape>> {
        let stub = |shape| self.gate(shape).and_then(|gate| gate.stub);
        stub(outer).or_else(|| stub(chosen))
    }

    /// The shapes with fields that an object of a shape can have.
    fn leaf_shapes(&self, shape: Index<Shape>) -> Vec<Index<Shape>> {
        let switch = match self.shape(shape).map(|shape| &shape.body) {
            None => return Vec::new(),
            Some(ShapeBody::Fields(_)) => return vec![shape],
            Some(ShapeBody::Switch(switch)) => switch,
        };
        let cases = switch.shapes();
        let mut leaves: Vec<Index<Shape>> = Vec::new();
        for leaf in cases {
            if !leaves.contains(&leaf) && self.fields(leaf).is_some() {
                leaves.push(leaf);
            }
        }
        leaves
    }

    /// The glimpses of every shape; only such as lead to an identifier of an excepted kind.
    fn all_glimpses(&self) -> Vec<Box<[Glimpse]>> {
        let fields = || {
            self.shapes.iter().map(|shape| match &shape.body {
                ShapeBody::Fields(fields) => Some(fields),
                ShapeBody::Switch(_) => None,
            })
        };
        // Which shapes lead to one: those with an id, then those with an object of these, …
        let mut leading: Vec<bool> = fields()
            .map(|it| it.is_some_and(|fields| self.has_excepted(fields)))
            .collect();
        loop {
            let leads = |(it, known): (Option<&Fields>, &bool)| {
                *known || it.is_some_and(|fields| self.leads_on(fields, &leading))
            };
            let more: Vec<bool> = fields().zip(&leading).map(leads).collect();
            if more == leading {
                break;
            }
            leading = more;
        }
        fields()
            .map(|it| it.map_or_else(Box::default, |fields| self.glimpses(fields, &leading)))
            .collect()
    }

    /// Whether an object in one of the fields can be of a shape that leads to an identifier.
    fn leads_on(&self, fields: &Fields, leading: &[bool]) -> bool {
        let objects = fields
            .lines()
            .iter()
            .filter_map(|line| line.rule.of_object());
        let mut shapes = objects.flat_map(|shape| self.leaf_shapes(shape));
        shapes.any(|shape| leading.get(shape.place()) == Some(&true))
    }

    fn glimpses(&self, fields: &Fields, leading: &[bool]) -> Box<[Glimpse]> {
        let lines = fields.lines().iter().enumerate();
        let glimpse = |(place, line): (usize, &Field)| {
            let inside = line.rule.of_object().into_iter();
            let inside = inside.flat_map(|shape| self.leaf_shapes(shape));
            let glimpse = Glimpse {
                key: line.key.clone(),
                kinds: self.excepted_at(fields, place).collect(),
                template: self.template_at(line),
                inside: inside
                    .filter(|shape| leading.get(shape.place()) == Some(&true))
                    .collect(),
            };
            let direct = !glimpse.kinds.is_empty() || glimpse.template.is_some();
            (direct || !glimpse.inside.is_empty()).then_some(glimpse)
        };
        lines.filter_map(glimpse).collect()
    }

    fn has_excepted(&self, fields: &Fields) -> bool {
        let mut lines = fields.lines().iter().enumerate();
        lines.any(|(place, line)| {
            let template = self.template_at(line).is_some();
            template || self.excepted_at(fields, place).next().is_some()
        })
    }

    /// The text with identifiers of an excepted kind that the value of a line is.
    fn template_at(&self, line: &Field) -> Option<Index<Template>> {
        if let Rule::Template(template) = line.rule {
            Some(template).filter(|template| self.names_excepted(*template))
        } else {
            None
        }
    }

    /// Whether a text has identifiers of an excepted kind in it.
    #[must_use]
    pub fn names_excepted(&self, template: Index<Template>) -> bool {
        let template = self.templates.get(template.place());
        template.is_some_and(|it| it.parts.iter().any(|(_, kind)| self.excepts(*kind)))
    }

    /// The excepted kinds of which the value of a line is an identifier: what it is said to be, and
    /// what others are made of it.
    fn excepted_at<'a>(
        &'a self,
        fields: &'a Fields,
        place: usize,
    ) -> impl Iterator<Item = Index<IdKind>> + 'a {
        let own = match fields.line(place).map(|line| line.rule) {
            Some(Rule::Identifier(kind)) => Some(kind),
            Some(_) | None => None,
        };
        let made = fields.derived().iter().filter(move |it| it.of == place);
        let kinds = own.into_iter().chain(made.map(|it| it.kind));
        kinds.filter(|kind| self.excepts(*kind))
    }

    /// The stub of a shape, if what is withheld of it leaves one: the other shape of a switch, if
    /// that says itself that it is to be deleted, else one that is made of the shape's own lines.
    fn stub_of(&mut self, shape: Index<Shape>) -> Option<Index<Shape>> {
        match &self.shape(shape)?.body {
            ShapeBody::Switch(switch) => match switch.otherwise {
                Otherwise::Shape(other) if self.says_gone(other) => Some(other),
                Otherwise::DropItem | Otherwise::Shape(_) => None,
            },
            ShapeBody::Fields(fields) => {
                let can_say = |line: &Field| *line.key == *STATUS && self.can_say(line.rule, GONE);
                if !fields.lines().iter().any(can_say) {
                    return None;
                }
                let lines = fields.lines().to_vec();
                self.make_stub(shape, lines)
            }
        }
    }

    fn make_stub(&mut self, of: Index<Shape>, lines: Vec<Field>) -> Option<Index<Shape>> {
        let gone = self.constant_of(GONE)?;
        let stub = Index::new(self.shapes.len())?;
        let line = |line: Field| {
            let rule = match line.rule {
                _ if *line.key == *STATUS => Rule::Constant(gone),
                Rule::Constant(_) | Rule::Derived { .. } | Rule::Identifier(_) => line.rule,
                Rule::Keep(_) if *line.key == *CHANGED => line.rule,
                Rule::Blank
                | Rule::Drop
                | Rule::Generalise(_)
                | Rule::Keep(_)
                | Rule::KeepAll
                | Rule::Link(_)
                | Rule::List(_)
                | Rule::ListOrOne(_)
                | Rule::Nested(_)
                | Rule::Object(_)
                | Rule::Template(_) => Rule::Drop,
            };
            Field {
                key: line.key,
                rule,
            }
        };
        let lines = lines.into_iter().map(line).collect();
        let fields = Fields::new(lines, None, super::Unlisted::Drop);
        let name = format!("{} (stub)", self.shape(of)?.name);
        self.shapes.push(Shape {
            name,
            body: ShapeBody::Fields(fields),
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

    fn says_gone(&self, shape: Index<Shape>) -> bool {
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
                rules.is_some_and(|rules| {
                    let listed = rules.one_of.as_ref();
                    listed.is_none_or(|all| all.iter().any(|one| **one == *json))
                        && rules.chars_max.is_none_or(|most| text.len() <= most)
                        && rules.like.as_ref().is_none_or(|like| like.is_match(text))
                })
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

impl Records {
    /// The lines for objects of a shape, by their places.
    fn places_of(&self, shape: Index<Shape>) -> impl Iterator<Item = usize> {
        let only = self.only.iter().enumerate();
        only.filter(move |(_, only)| only.shape == shape)
            .map(|(place, _)| place)
    }
}
