//! Which records are sent at all: `[only.SHAPE]` and `[except]`.
//!
//! A *record* is an object as an item of a list, as an entry of a map or as the whole of a message.
//! What has to be known of one before any of it may leave is worked out here, once, for every shape
//! that an object can have: its [`Gate`].

use super::{
    Field, Fields, IdKind, Index, Policy, QueryRule, Route, Rule, Segment, Shape, ShapeBody,
    Template,
};

/// Which records of a policy are sent.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// Every line of every `[only.SHAPE]`.
    pub only: Vec<Only>,
    /// The kinds of which `[except]` names a list.
    pub excepted: Vec<Index<IdKind>>,
    /// The kinds that are made of identifiers of an excepted kind, each with that kind.
    made: Vec<(Index<IdKind>, Index<IdKind>)>,
    /// Whether a link may lead to somebody of an excepted kind.
    pub(super) linked: bool,
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
    /// What else its value can be that names somebody.
    pub text: Option<Names>,
    /// The shapes that it can have as an object, none of them a switch.
    pub inside: Box<[Index<Shape>]>,
}

/// A text that names somebody.
#[derive(Clone, Debug)]
pub enum Names {
    /// A link.
    Link,
    /// JSON of one of these shapes, none of them a switch.
    Nested(Box<[Index<Shape>]>),
    /// A text with identifiers in it.
    Template(Index<Template>),
}

impl Policy {
    /// Sends only some records from now on: those that match all lines of their shape, and that no
    /// identifier of an excepted kind stands in that is on the kind's list.
    ///
    /// To be called once, when all shapes are there: this adds the stubs that leave in the place of
    /// what is withheld.
    pub fn send_only(&mut self, only: Vec<Only>, excepted: Vec<Index<IdKind>>) {
        let idle = only.is_empty() && excepted.is_empty();
        self.records = Records {
            only,
            excepted,
            ..Records::default()
        };
        if idle {
            return;
        }
        let shapes: Vec<Index<Shape>> = (0..self.shapes.len()).filter_map(Index::new).collect();
        self.note_made(&shapes);
        let routes = self.flows.iter().flat_map(|flow| flow.routes.iter());
        self.records.linked = { routes }.any(|route| self.may_ask_of_excepted(route));
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

    /// Whether every object of a shape is sent, whatever is in it.
    #[must_use]
    #[inline]
    pub fn sends_all(&self, shape: Index<Shape>) -> bool {
        let gate = self.gate(shape);
        gate.is_none_or(|gate| gate.only.is_empty() && gate.glimpses.is_empty())
    }

    /// Whether identifiers of that kind are looked for on a list.
    #[must_use]
    pub fn excepts(&self, kind: Index<IdKind>) -> bool {
        self.excepted_sources(kind).next().is_some()
    }

    /// The kinds on whose lists the source of an identifier of that kind may stand: its own, and
    /// those that it is made of somewhere.
    pub fn excepted_sources(
        &self,
        kind: Index<IdKind>,
    ) -> impl Iterator<Item = Index<IdKind>> + '_ {
        let own = self.records.excepted.iter().filter(move |of| **of == kind);
        let made = self
            .records
            .made
            .iter()
            .filter(move |(made, _)| *made == kind);
        own.copied().chain(made.map(|(_, of)| *of))
    }

    /// Notes which kinds are made of identifiers of an excepted kind, also by way of another.
    fn note_made(&mut self, shapes: &[Index<Shape>]) {
        loop {
            let all = shapes.iter().filter_map(|shape| self.fields(*shape));
            let lines = all.flat_map(|it| it.derived().iter().map(move |line| (it, line)));
            let pairs = lines.flat_map(|(fields, line)| {
                let sources = self.excepted_at(fields, line.of);
                sources.map(|of| (line.kind, of))
            });
            let is_known = |(made, of)| self.excepted_sources(made).any(|it| it == of);
            let Some(new) = { pairs }.find(|pair| !is_known(*pair)) else {
                return;
            };
            self.records.made.push(new);
        }
    }

    /// Whether a request of a route may name somebody of an excepted kind: then so may a link.
    fn may_ask_of_excepted(&self, route: &Route) -> bool {
        let in_path = route.path.iter().any(|segment| match segment {
            Segment::Identifier(kind) => self.excepts(*kind),
            Segment::Literal(_) | Segment::Parameter(_) => false,
        });
        in_path
            || route.query.iter().any(|parameter| match &parameter.rule {
                QueryRule::Filter(_) => !self.records.excepted.is_empty(),
                QueryRule::Identifier(kind) | QueryRule::Identifiers(kind) => self.excepts(*kind),
                QueryRule::Fields(_) | QueryRule::One(_) | QueryRule::Sort(_) => false,
            })
    }

    /// What an object of shape `outer` becomes where it is withheld as one of shape `chosen`; the
    /// two are the same where no switch chooses.
    #[must_use]
    pub fn stub_among(&self, outer: Index<Shape>, chosen: Index<Shape>) -> Option<Index<Shape>> {
        let stub = |shape| self.gate(shape).and_then(|gate| gate.stub);
        stub(outer).or_else(|| stub(chosen))
    }

    /// The shapes with fields that an object of a shape can have.
    pub(super) fn leaf_shapes(&self, shape: Index<Shape>) -> Vec<Index<Shape>> {
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
                ShapeBody::Fields(fields) => Some(&**fields),
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
        let lines = fields.lines().iter();
        let objects =
            lines.filter_map(|line| line.rule.of_object().or_else(|| line.rule.of_text()));
        let mut shapes = objects.flat_map(|shape| self.leaf_shapes(shape));
        shapes.any(|shape| leading.get(shape.place()) == Some(&true))
    }

    fn glimpses(&self, fields: &Fields, leading: &[bool]) -> Box<[Glimpse]> {
        let leads = |shape: Option<Index<Shape>>| -> Box<[Index<Shape>]> {
            let shapes = shape.into_iter().flat_map(|shape| self.leaf_shapes(shape));
            shapes
                .filter(|shape| leading.get(shape.place()) == Some(&true))
                .collect()
        };
        let lines = fields.lines().iter().enumerate();
        let glimpse = |(place, line): (usize, &Field)| {
            let nested = Some(leads(line.rule.of_text())).filter(|shapes| !shapes.is_empty());
            let glimpse = Glimpse {
                key: line.key.clone(),
                kinds: self.excepted_at(fields, place).collect(),
                text: self.names_at(line).or_else(|| nested.map(Names::Nested)),
                inside: leads(line.rule.of_object()),
            };
            let direct = !glimpse.kinds.is_empty() || glimpse.text.is_some();
            (direct || !glimpse.inside.is_empty()).then_some(glimpse)
        };
        lines.filter_map(glimpse).collect()
    }

    fn has_excepted(&self, fields: &Fields) -> bool {
        let mut lines = fields.lines().iter().enumerate();
        lines.any(|(place, line)| {
            let named = self.names_at(line).is_some();
            named || self.excepted_at(fields, place).next().is_some()
        })
    }

    /// How the value of a line names somebody of an excepted kind, by itself.
    fn names_at(&self, line: &Field) -> Option<Names> {
        match line.rule {
            Rule::Link(_) => self.records.linked.then_some(Names::Link),
            Rule::Template(template) => self
                .names_excepted(template)
                .then_some(Names::Template(template)),
            Rule::Blank
            | Rule::Constant(_)
            | Rule::Derived { .. }
            | Rule::Drop
            | Rule::Generalise(_)
            | Rule::Identifier(_)
            | Rule::Keep(_)
            | Rule::KeepAll
            | Rule::List(_)
            | Rule::ListOrOne(_)
            | Rule::Nested(_)
            | Rule::Object(_) => None,
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
        kinds.flat_map(|kind| self.excepted_sources(kind))
    }
}

impl Records {
    /// The lines for objects of a shape, by their places.
    pub(super) fn places_of(&self, shape: Index<Shape>) -> impl Iterator<Item = usize> {
        let only = self.only.iter().enumerate();
        only.filter(move |(_, only)| only.shape == shape)
            .map(|(place, _)| place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Content, Flow, Method, QueryParameter, Side, Unlisted};

    /// Whether a link is looked into where it can lead to that route only.
    fn is_looked_into(
        segment: Segment,
        rule: Option<QueryRule>,
        excepted: &[Index<IdKind>],
    ) -> bool {
        let link = Field {
            key: "href".into(),
            rule: Rule::Link(None),
        };
        let fields = Fields::new(vec![link], None, Unlisted::Drop);
        let route = Route {
            name: String::new(),
            method: Method::Get,
            path: [segment].into(),
            query: { rule.into_iter() }
                .map(|rule| QueryParameter {
                    name: "of".into(),
                    rule,
                })
                .collect(),
            to_vendor: Content::Nothing,
            from_vendor: Content::Nothing,
            statuses: Box::default(),
        };
        let mut policy = Policy {
            shapes: vec![Shape {
                name: String::new(),
                body: ShapeBody::Fields(fields.into()),
            }],
            flows: vec![Flow {
                name: String::new(),
                caller: Side::Vendor,
                routes: [route].into(),
            }],
            ..Policy::default()
        };
        let shape = Index::new(0).unwrap();
        let only = Only {
            shape,
            path: Box::default(),
            values: Box::default(),
        };
        policy.send_only(vec![only], excepted.to_vec());
        let glimpses = &policy.gate(shape).unwrap().glimpses;
        { glimpses.iter() }.any(|glimpse| matches!(glimpse.text, Some(Names::Link)))
    }

    #[test]
    fn links_are_looked_into_if_a_request_may_name_an_excepted_kind() {
        let items = Index::new(0).unwrap();
        let (pupil, other) = (Index::new(0).unwrap(), Index::new(1).unwrap());
        let literal = || Segment::Literal("users".into());
        for (segment, rule, looked_into) in [
            (literal(), None, false),
            (Segment::Identifier(pupil), None, true),
            (Segment::Identifier(other), None, false),
            (literal(), Some(QueryRule::Filter(items)), true),
            (literal(), Some(QueryRule::Identifier(pupil)), true),
            (literal(), Some(QueryRule::Identifiers(pupil)), true),
            (literal(), Some(QueryRule::Identifier(other)), false),
            (literal(), Some(QueryRule::Sort(items)), false),
        ] {
            let what = format!("{segment:?} {rule:?}");
            let seen = is_looked_into(segment.clone(), rule.clone(), &[pupil]);
            assert_eq!(seen, looked_into, "{what}");
            assert!(!is_looked_into(segment, rule, &[]), "{what}");
        }
    }
}
