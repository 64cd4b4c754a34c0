//! What leaves: shapes, rules and routes.

use super::Canon;
use crate::policy::{
    self, Any, Constant, Content, DateForm, Field, Generaliser, IdKind, Item, Keep, Only,
    Otherwise, ParameterType, Policy, QueryParameter, QueryRule, Records, Route, Rule, Scalar,
    Segment, Shape, ShapeBody, StatusContent, Statuses, Switch, Template, Unlisted, ValueRules,
    ValueType,
};

impl Canon {
    pub(super) fn policy(&mut self, policy: &Policy) {
        let Policy {
            // Told with the vendor.
            vendor: _,
            shapes,
            kinds,
            constants,
            generalisers,
            templates,
            value_rules,
            records,
            flows,
            // Made of each flow's upstream and of its door, which are both told.
            bases: _,
        } = policy;
        self.list(shapes, Self::shape);
        self.list(kinds, |canon, IdKind { name, public }| {
            canon.text(name);
            // A kind that is not has the hash that it had before there were some.
            if *public {
                canon.text("public");
            }
        });
        self.list(constants, |canon, Constant { json }| {
            canon.list(json, |canon, byte| canon.number(usize::from(*byte)));
        });
        self.list(generalisers, Self::generaliser);
        self.list(templates, Self::template);
        self.list(value_rules, Self::value_rules);
        self.records(records);
        self.list(
            flows,
            |canon,
             policy::Flow {
                 name,
                 caller,
                 routes,
             }| {
                canon.text(name);
                canon.text(match caller {
                    policy::Side::School => "school",
                    policy::Side::Vendor => "vendor",
                });
                canon.list(routes, Self::route);
            },
        );
    }

    /// A policy that sends all records has the hash that it had before there was a choice.
    fn records(&mut self, records: &Records) {
        let (only, excepted) = (&records.only, &records.excepted);
        if only.is_empty() && excepted.is_empty() {
            return;
        }
        self.text("records");
        self.list(
            only,
            |canon,
             Only {
                 shape,
                 path,
                 values,
             }| {
                canon.number(shape.place());
                canon.list(path, |canon, key| canon.text(key));
                canon.list(values, |canon, value| match value {
                    Scalar::Bare(json) => canon.texts(&["bare", json]),
                    Scalar::Text(text) => canon.texts(&["text", text]),
                });
            },
        );
        self.list(excepted, |canon, kind| canon.number(kind.place()));
    }

    fn shape(&mut self, Shape { name, body }: &Shape) {
        self.text(name);
        match body {
            ShapeBody::Fields(fields) => {
                self.text("fields");
                self.list(fields.lines(), |canon, Field { key, rule }| {
                    canon.text(key);
                    canon.rule(*rule);
                });
                self.list(fields.any.as_slice(), |canon, Any { key, rule }| {
                    canon.number(key.place());
                    canon.rule(*rule);
                });
                self.text(match fields.unlisted {
                    Unlisted::Drop => "drop",
                    Unlisted::Refuse => "refuse",
                });
                if let Some(stub) = fields.stub {
                    self.named("stub", stub.place());
                }
            }
            ShapeBody::Switch(Switch {
                path,
                cases,
                otherwise,
            }) => {
                self.text("switch");
                self.list(path, |canon, key| canon.text(key));
                self.list(cases, |canon, (value, shape)| {
                    canon.text(value);
                    canon.number(shape.place());
                });
                match otherwise {
                    Otherwise::DropItem => self.text("drop-item"),
                    Otherwise::Shape(shape) => self.named("shape", shape.place()),
                }
            }
        }
    }

    fn named(&mut self, name: &str, place: usize) {
        self.text(name);
        self.number(place);
    }

    fn rule(&mut self, rule: Rule) {
        match rule {
            Rule::Blank => self.text("blank"),
            Rule::Constant(constant) => self.named("constant", constant.place()),
            Rule::Derived { kind, of } => {
                self.named("derived", kind.place());
                self.number(of);
            }
            Rule::Drop => self.text("drop"),
            Rule::Generalise(generaliser) => self.named("generalise", generaliser.place()),
            Rule::Identifier(kind) => self.named("identifier", kind.place()),
            Rule::Keep(keep) => self.keep(keep),
            Rule::KeepAll => self.text("keep-all"),
            Rule::Link(otherwise) => {
                self.text("link");
                self.list(otherwise.as_slice(), |canon, constant| {
                    canon.number(constant.place());
                });
            }
            Rule::List(item) => self.item("list", item),
            Rule::ListOrOne(item) => self.item("list-or-one", item),
            Rule::Nested(shape) => self.named("nested", shape.place()),
            Rule::Object(shape) => self.named("object", shape.place()),
            Rule::Template(template) => self.named("template", template.place()),
        }
    }

    fn item(&mut self, list: &str, item: Item) {
        self.text(list);
        self.rule(item.rule());
    }

    fn keep(&mut self, Keep { of, rules }: Keep) {
        self.texts(&[
            "keep",
            match of {
                ValueType::Any => "any",
                ValueType::Bool => "bool",
                ValueType::Date => "date",
                ValueType::DateTime => "datetime",
                ValueType::Int => "int",
                ValueType::Lang => "lang",
                ValueType::Number => "number",
                ValueType::Slug => "slug",
                ValueType::Url => "url",
                ValueType::Uuid => "uuid",
            },
        ]);
        self.list(rules.as_slice(), |canon, rules| canon.number(rules.place()));
    }

    fn value_rules(
        &mut self,
        ValueRules {
            one_of,
            chars_max,
            like,
        }: &ValueRules,
    ) {
        self.list(one_of.as_slice(), |canon, values| {
            canon.list(values, |canon, value| canon.text(value));
        });
        self.list(chars_max.as_slice(), |canon, chars| canon.number(*chars));
        self.list(like.as_slice(), |canon, like| canon.text(like.as_str()));
    }

    fn template(&mut self, Template { parts, end }: &Template) {
        self.list(parts, |canon, (before, kind)| {
            canon.text(before);
            canon.number(kind.place());
        });
        self.text(end);
    }

    fn generaliser(&mut self, generaliser: &Generaliser) {
        match generaliser {
            Generaliser::Band(edges) => {
                self.text("band");
                self.list(edges, |canon, edge| canon.shown(edge));
            }
            Generaliser::Initial => self.text("initial"),
            Generaliser::Month(form) => self.date("month", *form),
            Generaliser::Round(to) => {
                self.text("round");
                self.shown(to);
            }
            Generaliser::SchoolYear(form) => self.date("school-year", *form),
            Generaliser::Year(form) => self.date("year", *form),
        }
    }

    fn date(&mut self, name: &str, form: DateForm) {
        self.texts(&[
            name,
            match form {
                DateForm::FirstDay => "date",
                DateForm::Short => "short",
            },
        ]);
    }

    fn route(&mut self, route: &Route) {
        let Route {
            name,
            method,
            path,
            query,
            to_vendor,
            from_vendor,
            statuses,
        } = route;
        self.texts(&[name, method.as_str()]);
        self.list(path, |canon, segment| match segment {
            Segment::Identifier(kind) => canon.named("identifier", kind.place()),
            Segment::Literal(text) => canon.texts(&["literal", text]),
            Segment::Parameter(of) => canon.parameter(of),
        });
        self.list(query, |canon, QueryParameter { name, rule }| {
            canon.text(name);
            match rule {
                QueryRule::Fields(items) => canon.named("fields", items.place()),
                QueryRule::Filter(items) => canon.named("filter", items.place()),
                QueryRule::Identifier(kind) => canon.named("identifier", kind.place()),
                QueryRule::Identifiers(kind) => canon.named("identifiers", kind.place()),
                QueryRule::One(of) => canon.parameter(of),
                QueryRule::Sort(items) => canon.named("sort", items.place()),
            }
        });
        self.content(*to_vendor);
        self.content(*from_vendor);
        self.list(statuses, |canon, StatusContent { statuses, content }| {
            match statuses {
                Statuses::Class(class) => canon.named("class", usize::from(*class)),
                Statuses::One(status) => canon.named("status", usize::from(*status)),
            }
            canon.content(*content);
        });
    }

    fn content(&mut self, content: Content) {
        match content {
            Content::Json(rule) => {
                self.text("json");
                self.rule(rule);
            }
            Content::Nothing => self.text("nothing"),
        }
    }

    fn parameter(&mut self, of: &ParameterType) {
        match of {
            ParameterType::Date => self.text("date"),
            ParameterType::DateTime => self.text("datetime"),
            ParameterType::Int => self.text("int"),
            ParameterType::OneOf(words) => {
                self.text("one-of");
                self.list(words, |canon, word| canon.text(word));
            }
            ParameterType::Slug => self.text("slug"),
            ParameterType::Uuid => self.text("uuid"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Method;

    fn hash(statuses: &[(Statuses, Content)]) -> String {
        let line = |(statuses, content): &(Statuses, Content)| StatusContent {
            statuses: *statuses,
            content: *content,
        };
        let route = Route {
            name: "GET /".to_owned(),
            method: Method::Get,
            path: Box::default(),
            query: Box::default(),
            to_vendor: Content::Nothing,
            from_vendor: Content::Nothing,
            statuses: statuses.iter().map(line).collect(),
        };
        let mut canon = Canon::new("route");
        canon.route(&route);
        canon.hash().0
    }

    #[test]
    fn what_is_declared_for_a_status_is_part_of_a_policy() {
        let (all, nothing) = (Content::Json(Rule::KeepAll), Content::Nothing);
        let hashes = [
            hash(&[]),
            hash(&[(Statuses::One(404), nothing)]),
            hash(&[(Statuses::One(404), all)]),
            hash(&[(Statuses::One(409), all)]),
            hash(&[(Statuses::Class(4), all)]),
            hash(&[(Statuses::Class(5), all)]),
            hash(&[(Statuses::Class(5), all), (Statuses::One(404), all)]),
        ];
        for (place, one) in hashes.iter().enumerate() {
            assert_eq!(hashes.iter().position(|it| it == one), Some(place));
        }
    }
}
