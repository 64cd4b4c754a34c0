//! What of a message may be withheld: all of it, or items of it.

use std::collections::BTreeSet;

use super::{Content, Flow, Index, Item, Otherwise, Policy, Route, Rule, Shape, ShapeBody, Side};

impl Policy {
    /// Whether what a route answers a vendor may be withheld as a whole, as if there were none.
    ///
    /// Of such an answer no head may go on without its body, and no other word of what is not
    /// there: who asked would see that there is one.
    #[must_use]
    pub fn may_hide(&self, flow: &Flow, route: &Route) -> bool {
        let usual = flow.answer_content(route, 200);
        flow.caller == Side::Vendor && usual.is_some_and(|content| self.may_be_withheld(content))
    }

    /// Whether a message may be withheld as a whole: outside of all lists stands an object that
    /// `[only]` or `[except]` may not let through.
    fn may_be_withheld(&self, content: Content) -> bool {
        let Content::Json(rule) = content else {
            return false;
        };
        // Alone, without its brackets, the item is the message.
        let one = if let Rule::ListOrOne(Item::Object(shape)) = rule {
            Some(shape)
        } else {
            rule.of_object()
        };
        let mut shapes = self.outside_lists(one).into_iter();
        shapes.any(|shape| self.is_filtered(shape))
    }

    /// What the answer of a route carries if it has that status; `None` for an error of which
    /// nothing is declared, or may be told.
    ///
    /// Where the whole answer may be withheld, a 404 says nothing: it stands for what is not there
    /// and for what is not sent, and who asked must not see which.
    #[must_use]
    pub fn answer_content(&self, flow: &Flow, route: &Route, status: u16) -> Option<Content> {
        let hides = status == 404 && self.may_hide(flow, route);
        flow.answer_content(route, status).filter(|_| !hides)
    }

    /// The keys of an item by which it is judged whether it leaves: without them, whoever objected
    /// could not be told from others.
    #[must_use]
    pub fn judged_by(&self, items: Index<Shape>) -> Vec<&str> {
        let shapes = std::iter::once(items).chain(self.leaf_shapes(items));
        let gates = shapes.filter_map(|shape| self.gate(shape));
        let keys = gates.flat_map(|gate| {
            let only = { gate.only.iter() }.filter_map(|line| self.records.only.get(*line));
            let only = only.filter_map(|only| only.path.first());
            only.chain(gate.glimpses.iter().map(|glimpse| &glimpse.key))
        });
        keys.map(|key| &**key).collect()
    }

    /// Whether as many items leave as came, whatever stands in them: of the outermost lists under
    /// `rule`, which are what an API counts. A record that leaves a stub leaves.
    #[must_use]
    pub fn leaves_all(&self, rule: Rule) -> bool {
        let shapes = self.outside_lists(rule.of_object()).into_iter();
        let fields = shapes.filter_map(|shape| self.fields(shape));
        let rules = fields.flat_map(|fields| fields.lines().iter().map(|line| line.rule));
        let mut rules = std::iter::once(rule).chain(rules);
        rules.all(|rule| {
            if let Rule::List(item) | Rule::ListOrOne(item) = rule {
                self.leaves_each(item)
            } else {
                true
            }
        })
    }

    fn leaves_each(&self, item: Item) -> bool {
        let shape = match item {
            Item::Identifier(kind) => return !self.excepts(kind),
            Item::Keep(_) => return true,
            Item::Link(otherwise) => return otherwise.is_some() || !self.records.linked,
            Item::Template(template) => return !self.names_excepted(template),
            Item::Object(shape) => shape,
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
            .all(|leaf| !outer && !self.is_filtered(leaf) || self.stub_among(shape, leaf).is_some())
    }

    /// Whether an object of a shape may be withheld, by its own gate.
    fn is_filtered(&self, shape: Index<Shape>) -> bool {
        let gate = self.gate(shape);
        gate.is_some_and(|gate| !gate.only.is_empty() || !gate.glimpses.is_empty())
    }

    /// The shapes that a message of a shape can have, and its fields that are objects: switches,
    /// and those that they choose from.
    fn outside_lists(&self, first: Option<Index<Shape>>) -> Vec<Index<Shape>> {
        let mut seen = BTreeSet::new();
        let mut shapes = Vec::new();
        let mut left: Vec<Index<Shape>> = first.into_iter().collect();
        while let Some(shape) = left.pop() {
            if !seen.insert(shape.place()) {
                continue;
            }
            shapes.push(shape);
            match self.shape(shape).map(|shape| &shape.body) {
                None => {}
                Some(ShapeBody::Fields(fields)) => {
                    let rules = fields.lines().iter().map(|line| line.rule);
                    left.extend(rules.filter_map(Rule::of_object));
                }
                Some(ShapeBody::Switch(switch)) => left.extend(switch.shapes()),
            }
        }
        shapes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{
        Constant, Field, Fields, IdKind, Keep, Method, Only, Segment, StatusContent, Statuses,
        Switch, Template, Unlisted, ValueType,
    };

    const KEEP: Keep = Keep {
        of: ValueType::Any,
        rules: None,
    };
    /// Names who may have objected, and leaves no stub.
    const PUPIL: usize = 0;
    /// Names nobody.
    const ORG: usize = 1;
    /// Has a list of pupils.
    const PAGE: usize = 2;
    /// Has one pupil.
    const SEAT: usize = 3;
    /// Names who may have objected, and leaves a stub.
    const USER: usize = 4;
    /// May be a pupil.
    const EITHER: usize = 5;
    /// Is dropped where it is nothing that is known.
    const KNOWN: usize = 6;
    /// Is sent if a value of it is on a list, whatever it is then.
    const LISTED: usize = 7;

    fn at<Of>(place: usize) -> Index<Of> {
        Index::new(place).unwrap()
    }

    fn policy() -> Policy {
        let fields = |lines: &[(&str, Rule)]| {
            let line = |(key, rule): &(&str, Rule)| Field {
                key: (*key).into(),
                rule: *rule,
            };
            let lines = lines.iter().map(line).collect();
            ShapeBody::Fields(Fields::new(lines, None, Unlisted::Drop).into())
        };
        let switch = |shapes: &[usize], otherwise| {
            ShapeBody::Switch(Switch {
                path: ["role".into()].into(),
                cases: shapes.iter().map(|it| ("".into(), at(*it))).collect(),
                otherwise,
            })
        };
        let (id, kept) = (Rule::Identifier(at(0)), Rule::Keep(KEEP));
        let bodies = [
            fields(&[("pupil", id)]),
            fields(&[("name", kept)]),
            fields(&[("pupils", Rule::List(Item::Object(at(PUPIL))))]),
            fields(&[("pupil", Rule::Object(at(PUPIL)))]),
            fields(&[("sourcedId", id), ("status", kept)]),
            switch(&[PUPIL], Otherwise::Shape(at(ORG))),
            switch(&[ORG], Otherwise::DropItem),
            switch(&[ORG], Otherwise::Shape(at(ORG))),
        ];
        let name = String::new;
        let shape = |body| Shape { name: name(), body };
        Policy {
            shapes: bodies.map(shape).into(),
            kinds: ["pupil", "mark"]
                .map(|name| IdKind {
                    name: name.to_owned(),
                    public: false,
                })
                .into(),
            constants: vec![Constant {
                json: b"\"withheld\"".as_slice().into(),
            }],
            templates: [0, 1]
                .map(|kind| Template {
                    parts: [("urn:".into(), at(kind))].into(),
                    end: "".into(),
                })
                .into(),
            flows: vec![Flow {
                routes: [Route {
                    path: [Segment::Identifier(at(0))].into(),
                    ..route(Content::Nothing)
                }]
                .into(),
                ..flow(Side::Vendor)
            }],
            ..Policy::default()
        }
    }

    /// With records that are not sent.
    fn filtered() -> Policy {
        let mut policy = policy();
        let only = Only {
            shape: at(LISTED),
            path: ["name".into()].into(),
            values: Box::default(),
        };
        policy.send_only(vec![only], vec![at(0)]);
        policy
    }

    fn flow(caller: Side) -> Flow {
        Flow {
            name: String::new(),
            caller,
            routes: [].into(),
        }
    }

    fn route(to_vendor: Content) -> Route {
        Route {
            name: String::new(),
            method: Method::Get,
            path: Box::default(),
            query: Box::default(),
            to_vendor,
            from_vendor: to_vendor,
            statuses: [StatusContent {
                statuses: Statuses::Class(4),
                content: Content::Json(Rule::Blank),
            }]
            .into(),
        }
    }

    #[test]
    fn an_answer_may_be_hidden_if_what_is_filtered_stands_outside_of_all_lists() {
        let one = |shape| Rule::Object(at(shape));
        let or_one = |shape| Rule::ListOrOne(Item::Object(at(shape)));
        for (rule, hides) in [
            (one(PUPIL), true),
            (one(ORG), false),
            (one(PAGE), false),
            (one(SEAT), true),
            (one(USER), true),
            (one(EITHER), true),
            (one(KNOWN), false),
            (one(LISTED), true),
            (Rule::List(Item::Object(at(PUPIL))), false),
            (or_one(PUPIL), true),
            (or_one(ORG), false),
            (Rule::KeepAll, false),
        ] {
            let (filtered, route) = (filtered(), route(Content::Json(rule)));
            let (vendor, school) = (flow(Side::Vendor), flow(Side::School));
            assert_eq!(filtered.may_hide(&vendor, &route), hides, "{rule:?}");
            assert!(!filtered.may_hide(&school, &route), "{rule:?}");
            assert!(!policy().may_hide(&vendor, &route), "{rule:?}");
            // What hides says no more of what is not there than of what is not sent.
            let told = |flow: &Flow, status| filtered.answer_content(flow, &route, status);
            let blank = Some(Content::Json(Rule::Blank));
            assert_eq!(told(&vendor, 404), blank.filter(|_| !hides), "{rule:?}");
            assert_eq!(told(&vendor, 400), blank, "{rule:?}");
            assert_eq!(told(&vendor, 200), Some(route.to_vendor), "{rule:?}");
            assert_eq!(told(&school, 404), blank, "{rule:?}");
        }
        let nothing = route(Content::Nothing);
        assert!(!filtered().may_hide(&flow(Side::Vendor), &nothing));
    }

    #[test]
    fn as_many_items_leave_as_came_if_none_is_filtered_or_each_leaves_a_stub() {
        let list = |shape| Rule::List(Item::Object(at(shape)));
        for (rule, all) in [
            (list(PUPIL), false),
            (list(ORG), true),
            (list(PAGE), true),
            (list(SEAT), false),
            (list(USER), true),
            (list(EITHER), false),
            (list(KNOWN), false),
            (list(LISTED), false),
            (Rule::ListOrOne(Item::Object(at(PUPIL))), false),
            (Rule::Object(at(PAGE)), false),
            (Rule::Object(at(ORG)), true),
            (Rule::List(Item::Identifier(at(0))), false),
            (Rule::List(Item::Identifier(at(1))), true),
            (Rule::List(Item::Keep(KEEP)), true),
            (Rule::List(Item::Link(None)), false),
            (Rule::List(Item::Link(Some(at(0)))), true),
            (Rule::List(Item::Template(at(0))), false),
            (Rule::List(Item::Template(at(1))), true),
        ] {
            assert_eq!(filtered().leaves_all(rule), all, "{rule:?}");
            let unfiltered = policy().leaves_all(rule);
            assert_eq!(unfiltered, rule != list(KNOWN), "{rule:?}");
        }
    }
}
