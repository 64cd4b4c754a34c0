//! `query` of a route: which parameters may come, and what their values may be.

use super::Compiler;
use super::routes::TYPES;
use crate::config::{At, Problem, Table, TextOrTable, Value, code, shown};
use crate::minimise::{is_parameter_name, parameter_name};
use crate::policy::{Content, Index, ParameterType, QueryParameter, QueryRule, Rule, Shape, Side};

/// Parameters of OneRoster that can ask about any field.
const ASKING: &[&str] = &["fields", "filter", "orderBy", "sort"];

impl<'d> Compiler<'d, '_> {
    /// Reads `query` of a route that is answered with `answer`.
    pub(super) fn query(
        &mut self,
        table: &Table<'d>,
        caller: Side,
        answer: &Answer,
    ) -> Box<[QueryParameter]> {
        let Some(table) = table.table("query", self.problems) else {
            return Box::default();
        };
        let items = self.items(answer);
        let mut parameters = Vec::new();
        for (name, value) in table.entries() {
            if name.value.is_empty() {
                let problem = Problem::error(code::VALUE, "a parameter must have a name");
                let help = "as it stands before the `=` of a query: limit = \"int\"";
                self.problems.push(problem.at(&name.place).help(help));
            }
            self.check_decoded(&name);
            if let Some(rule) = self.query_rule(&name, &value, (caller, items)) {
                self.find_asking(&name, &rule);
                parameters.push(QueryParameter {
                    name: name.value.into(),
                    rule,
                });
            }
        }
        parameters.into()
    }

    /// A name is compared decoded, and a request with an escape for one of these is refused.
    fn check_decoded(&mut self, name: &At<&str>) {
        if is_parameter_name(name.value) {
            return;
        }
        let message = format!("no request has a parameter {}", shown(name.value));
        let problem = Problem::error(code::VALUE, message).at(&name.place);
        let meant = parameter_name(name.value).filter(|meant| is_parameter_name(meant));
        let help = match meant {
            Some(meant) => format!("write it decoded: {}", shown(&meant)),
            None => {
                "names stand here decoded, without `%`, `;`, `\\` and control characters".to_owned()
            }
        };
        self.problems.push(problem.help(help));
    }

    fn query_rule(
        &mut self,
        name: &At<&str>,
        value: &Value<'d>,
        (caller, items): (Side, Items),
    ) -> Option<QueryRule> {
        let word = match value.text_or_table(self.problems)? {
            TextOrTable::Text(word) => word,
            TextOrTable::Table(table) => return self.query_one_of(&table),
        };
        match (word.value, name.value) {
            ("ids", _) => return self.asks(value, items).map(QueryRule::Filter),
            ("known", "fields") => return self.asks(value, items).map(QueryRule::Fields),
            ("known", "sort") => return self.asks(value, items).map(QueryRule::Sort),
            ("known", _) => {
                let message = "`known` is for `fields` and `sort`";
                let problem = Problem::error(code::VALUE, message);
                self.problems.push(problem.at(&word.place));
                return None;
            }
            _ => {}
        }
        if let Some((_, of)) = TYPES.iter().find(|(name, _)| *name == word.value) {
            return Some(QueryRule::One(of.clone()));
        }
        let name = word.value.strip_suffix("[]");
        let Some(kind) = self.vocabulary.kind(name.unwrap_or(word.value)) else {
            let types = TYPES.iter().map(|(name, _)| *name);
            let names: Vec<&str> = types.chain(["ids", "known"]).collect();
            let problem = self.vocabulary.unknown(word.value, &word.place, &names);
            self.problems.extend(problem);
            return None;
        };
        self.check_way_back(kind, &word.place, caller);
        Some(match name {
            Some(_) => QueryRule::Identifiers(kind),
            None => QueryRule::Identifier(kind),
        })
    }

    /// A parameter of a plain type goes on whatever it says.
    fn find_asking(&mut self, name: &At<&str>, rule: &QueryRule) {
        let QueryRule::One(of) = rule else {
            return;
        };
        let way = match of {
            ParameterType::OneOf(words) => {
                { words.iter() }.all(|it| matches!(&**it, "asc" | "desc"))
            }
            ParameterType::Date
            | ParameterType::DateTime
            | ParameterType::Int
            | ParameterType::Slug
            | ParameterType::Uuid => false,
        };
        if !ASKING.contains(&name.value) || name.value == "orderBy" && way {
            return;
        }
        let message = format!("{} can ask about what is not sent", shown(name.value));
        let problem = Problem::finding(code::ASKS_FREELY, message).at(&name.place);
        let label = "an order or a filter tells of the fields that it is made by";
        self.problems
            .push(problem.label(label).help(match name.value {
                "filter" => "write filter = \"ids\"",
                "orderBy" => "write orderBy = { one-of = [\"asc\", \"desc\"] }",
                "sort" => "write sort = \"known\"",
                _ => "write fields = \"known\"",
            }));
    }

    /// `{ one-of = ["active", "inactive"] }`.
    fn query_one_of(&mut self, table: &Table<'d>) -> Option<QueryRule> {
        let mut words: Vec<Box<str>> = Vec::new();
        let list = table.need("one-of", self.problems);
        table.finish(self.problems);
        let list = list?;
        for item in list.array(self.problems)? {
            words.push(item.text(self.problems)?.value.into());
        }
        if words.is_empty() {
            let message = "`one-of` needs one value at least";
            self.problems
                .push(Problem::error(code::VALUE, message).at(&list.place()));
        }
        Some(QueryRule::One(ParameterType::OneOf(words.into())))
    }

    /// The items that a parameter asks about, or a problem if the answer has none.
    fn asks(&mut self, value: &Value<'d>, items: Items) -> Option<Index<Shape>> {
        match items {
            Items::Of(shape) => return Some(shape),
            Items::Unknown => {}
            Items::None => {
                let message = format!("{} has nothing to ask about", shown(value.name()));
                let problem = Problem::error(code::CONFLICT, message).at(&value.place());
                let label = "the answer of this route has no shape, or more than one list of them";
                self.problems.push(problem.label(label));
            }
        }
        None
    }

    /// The items that an answer carries: of its own shape or that of its list, or, where a route
    /// lists the keys of its body, of the one list or the one object there.
    fn items(&self, answer: &Answer) -> Items {
        let rule = match answer {
            Answer::Of(Content::Json(rule)) => *rule,
            Answer::Of(Content::Nothing) => return Items::None,
            Answer::Unknown => return Items::Unknown,
        };
        let shape = rule.inside();
        let Some(shape) = shape else {
            return Items::None;
        };
        let named = shape.place() < self.vocabulary.shapes.all().len();
        let lines = match self.policy.fields(shape) {
            Some(fields) if !named => fields.lines(),
            Some(_) | None => return Items::Of(shape),
        };
        let found = |leads: fn(Rule) -> Option<Index<Shape>>| -> Vec<Index<Shape>> {
            lines.iter().filter_map(|line| leads(line.rule)).collect()
        };
        match (
            found(Rule::of_items).as_slice(),
            found(Rule::of_object).as_slice(),
        ) {
            ([one], _) | ([], [one]) => Items::Of(*one),
            ([], [] | [..]) | ([..], _) => Items::None,
        }
    }
}

/// What the answer of a route carries.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    /// This.
    Of(Content),
    /// What is written is reported already.
    Unknown,
}

/// What a parameter can ask about.
#[derive(Clone, Copy, Debug)]
enum Items {
    None,
    Of(Index<Shape>),
    Unknown,
}
