//! `[only.SHAPE]` and `[except]`: which records are sent, before any of their fields is.

use super::Compiler;
use super::draft::ObjectionsDraft;
use crate::config::{At, Problem, Table, TextOrTable, Value, code, shown, units};
use crate::policy::{
    Fields, IdKind, Index, Item, Keep, Only, Otherwise, Rule, Scalar, Shape, ShapeBody, ValueType,
};

impl<'d> Compiler<'d, '_> {
    /// Reads both tables, once all shapes and routes are there.
    pub(super) fn records(&mut self, root: &Table<'d>) -> Vec<ObjectionsDraft> {
        let mut only = Vec::new();
        for (name, table) in root.named_tables("only", self.problems) {
            match self.shape_to_filter(&name) {
                Some(shape) => only.extend(self.only(shape, &table)),
                None => drop(table.entries()),
            }
        }
        let except = root.table("except", self.problems);
        let entries = except.as_ref().map_or_else(Vec::new, Table::entries);
        let mut lists = Vec::new();
        for (name, value) in entries {
            if let Some(kind) = self.kind_to_except(&name) {
                lists.extend(self.list(kind, &value));
            }
        }
        let excepted = lists.iter().map(|list| list.kind).collect();
        self.policy.send_only(only, excepted);
        lists
    }

    /// A shape by its name. That it is filtered is no use of it.
    fn shape_to_filter(&mut self, name: &At<&str>) -> Option<Index<Shape>> {
        let place = { self.vocabulary.shapes.texts() }.position(|text| text == name.value);
        let shape = place.and_then(Index::new);
        if shape.is_none() {
            let problem = self.vocabulary.unknown_shape(name.value, &name.place);
            self.problems.extend(problem);
        }
        shape
    }

    fn kind_to_except(&mut self, name: &At<&str>) -> Option<Index<IdKind>> {
        let place = { self.vocabulary.kinds.texts() }.position(|text| text == name.value);
        match place.and_then(Index::new) {
            Some(kind) => Some(kind),
            None => self.kind(name),
        }
    }

    fn only(&mut self, shape: Index<Shape>, table: &Table<'d>) -> Vec<Only> {
        let mut lines = Vec::new();
        for (key, value) in table.entries() {
            let path: Vec<&str> = key.value.split('.').collect();
            if path.contains(&"") {
                let message = "this is not the way to a field";
                let problem = Problem::error(code::VALUE, message).at(&key.place);
                let help = "for example `role` or \"roles.role\"";
                self.problems.push(problem.help(help));
                continue;
            }
            let found = self.way(shape, &key, &path);
            let values = self.wanted(&value, found.as_deref());
            if let (Some(_), Some(values)) = (found, values) {
                lines.push(Only {
                    shape,
                    path: path.into_iter().map(Box::from).collect(),
                    values,
                });
            }
        }
        if lines.is_empty() && table.entries().is_empty() {
            let message = format!("{} filters nothing", shown(table.name()));
            let problem = Problem::error(code::VALUE, message).at(&table.place());
            let help = "a line says what is sent: role = [\"student\"]";
            self.problems.push(problem.help(help));
        }
        lines
    }

    /// The rules of the field at the end of a path, as far as they are known; `None` if there is no
    /// such field, which is reported.
    fn way(&mut self, shape: Index<Shape>, key: &At<&str>, path: &[&str]) -> Option<Vec<Rule>> {
        let mut at = vec![shape];
        let mut names = path.iter().copied().peekable();
        let mut walked: Vec<&str> = Vec::new();
        while let Some(name) = names.next() {
            let step = self.step(&at, name, path.get(walked.len()..).unwrap_or_default());
            let rules = match step {
                Step::Lines(rules) => rules,
                // Known to the standard or to a switch, and not sent: what is in it is theirs.
                Step::KnownOnly => return Some(Vec::new()),
                Step::Unknown(known) => {
                    self.report_no_way(&at, key, (&walked, name), &known);
                    return None;
                }
            };
            walked.push(name);
            if names.peek().is_none() {
                return self.end_of_way(key, rules);
            }
            let inside: Vec<Index<Shape>> = rules.iter().filter_map(|it| it.inside()).collect();
            let opaque = |rule: &Rule| matches!(rule, Rule::Drop | Rule::Blank | Rule::KeepAll);
            if inside.is_empty() && rules.iter().any(opaque) {
                return Some(Vec::new());
            }
            if inside.is_empty() {
                let message = format!("{} is one value, and has no fields", shown(name));
                let problem = Problem::error(code::VALUE, message).at(&key.place);
                let label = "no record would ever be sent";
                self.problems.push(problem.label(label));
                return None;
            }
            at = inside;
        }
        Some(Vec::new())
    }

    /// Where one key leads from objects of these shapes.
    fn step(&self, at: &[Index<Shape>], name: &str, rest: &[&str]) -> Step {
        let mut known: Vec<String> = Vec::new();
        let mut rules = Vec::new();
        let mut is_known = false;
        let shapes = at.iter().flat_map(|shape| self.with_cases(*shape));
        for shape in shapes.filter_map(|shape| self.policy.shape(shape)) {
            if let Some(fields) = self.catalogue.fields(&shape.name) {
                is_known |= fields.contains_key(name);
                known.extend(fields.keys().cloned());
            }
            match &shape.body {
                ShapeBody::Fields(fields) => {
                    rules.extend(rule_of(fields, name));
                    let keys = fields.lines().iter().map(|line| line.key.to_string());
                    known.extend(keys);
                }
                ShapeBody::Switch(switch) => {
                    let path = switch.path.iter().map(|key| &**key);
                    is_known |= path.eq(rest.iter().copied());
                    known.extend(switch.path.first().map(|key| key.to_string()));
                }
            }
        }
        match (rules.is_empty(), is_known) {
            (false, _) => Step::Lines(rules),
            (true, true) => Step::KnownOnly,
            (true, false) => Step::Unknown(known),
        }
    }

    /// A shape, and those that its switch chooses from.
    fn with_cases(&self, shape: Index<Shape>) -> Vec<Index<Shape>> {
        let mut all = vec![shape];
        if let Some(ShapeBody::Switch(switch)) = self.policy.shape(shape).map(|it| &it.body) {
            all.extend(switch.cases.iter().map(|(_, case)| *case));
            match switch.otherwise {
                Otherwise::DropItem => {}
                Otherwise::Shape(other) => all.push(other),
            }
        }
        all
    }

    /// A field of that name within one of these shapes is what was meant, wherever there is one.
    fn report_no_way(
        &mut self,
        at: &[Index<Shape>],
        key: &At<&str>,
        (walked, name): (&[&str], &str),
        known: &[String],
    ) {
        let shape = at.first().and_then(|shape| self.policy.shape(*shape));
        let shape = shape.map_or_else(String::new, |shape| shape.name.clone());
        let message = format!("{} is not a field of {}", shown(name), shown(&shape));
        let problem = Problem::error(code::FIELD_UNKNOWN, message).at(&key.place);
        let problem = problem.label("no record would ever be sent");
        let help = format!("a field that is not sent has a line too: {name} = \"drop\"");
        let mut known: Vec<&str> = known.iter().map(String::as_str).collect();
        known.sort_unstable();
        known.dedup();
        let problem = match self.field_with(at, name) {
            Some(field) => {
                let path = [walked, &[&field, name]].concat().join(".");
                problem.help(format!("did you mean \"{path}\"?"))
            }
            None => problem.did_you_mean(name, known),
        };
        self.problems.push(problem.help(help));
    }

    /// The field of one of these shapes whose objects have a field of that name.
    fn field_with(&self, at: &[Index<Shape>], name: &str) -> Option<String> {
        let shapes = at.iter().flat_map(|shape| self.with_cases(*shape));
        let fields = shapes.filter_map(|shape| self.policy.fields(shape));
        let mut lines = fields.flat_map(Fields::lines);
        let has_it = |shape: Index<Shape>| {
            let inside = self.with_cases(shape).into_iter();
            { inside }
                .filter_map(|it| self.policy.fields(it))
                .any(|fields| rule_of(fields, name).is_some())
        };
        let line = lines.find(|line| line.rule.inside().is_some_and(has_it));
        line.map(|line| line.key.to_string())
    }

    /// At the end of a path must stand a value, not an object.
    fn end_of_way(&mut self, key: &At<&str>, rules: Vec<Rule>) -> Option<Vec<Rule>> {
        let mut inside = rules.iter().filter_map(|rule| rule.inside());
        let first = inside.next();
        let all = rules.iter().all(|rule| rule.inside().is_some());
        let Some(shape) = first.filter(|_| all) else {
            return Some(rules);
        };
        let inside = self.with_cases(shape).into_iter();
        let lines = inside.filter_map(|shape| Some(self.policy.fields(shape)?.lines()));
        let mut fields: Vec<String> = Vec::new();
        for line in lines.flatten().filter(|it| it.rule.inside().is_none()) {
            let path = format!("\"{}.{}\"", key.value, line.key);
            if !fields.contains(&path) {
                fields.push(path);
            }
        }
        let message = format!(
            "{} holds objects, and no value to compare",
            shown(key.value)
        );
        let problem = Problem::error(code::VALUE, message).at(&key.place);
        let problem = problem.label("no record would ever be sent");
        let help = format!("name the field in it: {}", fields.join(" or "));
        self.problems.push(match fields.is_empty() {
            true => problem,
            false => problem.help(help),
        });
        None
    }

    /// The values of a line; each must be one that the field can have, as far as that is known.
    fn wanted(&mut self, value: &Value<'d>, rules: Option<&[Rule]>) -> Option<Box<[Scalar]>> {
        let mut values = Vec::new();
        for item in value.array(self.problems)? {
            let json = item.json_scalar(self.problems)?;
            let scalar = match item.is_text() {
                true => Scalar::Text(item.text(self.problems)?.value.into()),
                false => Scalar::Bare(json.value.as_str().into()),
            };
            self.check_wanted(&scalar, &json, rules.unwrap_or_default());
            values.push(scalar);
        }
        if values.is_empty() {
            let message = format!("{} needs one value at least", shown(value.name()));
            let problem = Problem::error(code::VALUE, message).at(&value.place());
            self.problems
                .push(problem.label("no record would ever be sent"));
            return None;
        }
        Some(values.into())
    }

    /// What a field can have by none of its rules is never there. What only a rule admits that says
    /// nothing of what comes (a constant in a stub) is a slip, if others list what there is.
    fn check_wanted(&mut self, scalar: &Scalar, json: &At<String>, rules: &[Rule]) {
        let can_be = |rule: &&Rule| self.can_be(**rule, scalar, &json.value);
        let mut fitting = rules.iter().filter(can_be).peekable();
        let is_never = fitting.peek().is_none() && !rules.is_empty();
        let is_surely = fitting.any(|rule| kept(*rule).is_some());
        let listed = self.listed(rules);
        if !is_never && (is_surely || listed.is_empty()) {
            return;
        }
        let problem = match is_never {
            true => {
                let message = format!("{} is never in this field", json.value);
                let problem = Problem::error(code::VALUE, message);
                problem.label("the field's own rule lets no such value through")
            }
            false => {
                let message = format!("nothing sends {} in this field", json.value);
                let problem = Problem::finding(code::VALUE_UNLISTED, message);
                problem.label(format!("what is sent is one of {}", listed.join(" ")))
            }
        };
        let listed = listed.iter().map(|it| it.trim_matches('"'));
        let word = json.value.trim_matches('"');
        let problem = problem.at(&json.place).did_you_mean(word, listed);
        self.problems.push(problem);
    }

    /// Whether a field under a rule can have a value. Of what is not kept as it is, nothing is
    /// known.
    fn can_be(&self, rule: Rule, scalar: &Scalar, json: &str) -> bool {
        let keep = match rule {
            Rule::Keep(keep) | Rule::List(Item::Keep(keep)) | Rule::ListOrOne(Item::Keep(keep)) => {
                keep
            }
            Rule::Identifier(_)
            | Rule::List(Item::Identifier(_))
            | Rule::ListOrOne(Item::Identifier(_)) => return !matches!(json, "true" | "false"),
            Rule::Blank
            | Rule::Constant(_)
            | Rule::Derived { .. }
            | Rule::Drop
            | Rule::Generalise(_)
            | Rule::KeepAll
            | Rule::Link(_)
            | Rule::List(Item::Link(_) | Item::Template(_))
            | Rule::ListOrOne(Item::Link(_) | Item::Template(_))
            | Rule::Nested(_)
            | Rule::Template(_) => return true,
            Rule::List(Item::Object(_)) | Rule::ListOrOne(Item::Object(_)) | Rule::Object(_) => {
                return false;
            }
        };
        let Keep { of, rules } = keep;
        let typed = match scalar {
            Scalar::Bare(word) if matches!(&**word, "true" | "false") => {
                matches!(of, ValueType::Any | ValueType::Bool)
            }
            Scalar::Bare(_) => matches!(of, ValueType::Any | ValueType::Int | ValueType::Number),
            Scalar::Text(_) => !matches!(of, ValueType::Bool | ValueType::Int | ValueType::Number),
        };
        let rules = rules.and_then(|rules| self.policy.value_rules.get(rules.place()));
        let text = match scalar {
            Scalar::Bare(text) | Scalar::Text(text) => text,
        };
        typed && rules.is_none_or(|rules| rules.admits(text, json))
    }

    /// What fields under these rules can say, where the policy lists it.
    fn listed(&self, rules: &[Rule]) -> Vec<String> {
        let rules = rules.iter().filter_map(|rule| {
            let rules = kept(*rule)?.rules?;
            self.policy.value_rules.get(rules.place())
        });
        let listed = rules.filter_map(|rules| rules.one_of.as_deref());
        let mut listed: Vec<String> = listed.flatten().map(|one| one.to_string()).collect();
        listed.sort_unstable();
        listed.dedup();
        listed
    }

    /// A list of `[except]`: its file, or that with its greatest age.
    fn list(&mut self, kind: Index<IdKind>, value: &Value<'d>) -> Option<ObjectionsDraft> {
        let (list, age) = match value.text_or_table(self.problems)? {
            TextOrTable::Text(list) => (list, None),
            TextOrTable::Table(table) => {
                let list = table.need("list", self.problems);
                let age = table.value("max-age");
                table.finish(self.problems);
                let age = age.map(|age| units::days(&age, self.problems));
                (list?.text(self.problems)?, age)
            }
        };
        if list.value.trim().is_empty() {
            let problem = Problem::error(code::VALUE, "this names no file").at(&list.place);
            let help = "for example \"lists/objections.txt\", in the school's folder";
            self.problems.push(problem.help(help));
        }
        Some(ObjectionsDraft {
            kind,
            list: At {
                value: list.value.to_owned(),
                place: list.place,
            },
            age_max_s: age.flatten(),
        })
    }

    /// A kind that nothing is an identifier of: a list of it would keep nobody out.
    pub(super) fn check_excepted(&mut self, lists: &[ObjectionsDraft]) {
        for list in lists {
            let name = self.policy.kind_name(list.kind).to_owned();
            let used = self.vocabulary.kinds.known(&name).is_some_and(|it| it.used);
            if !used {
                let message = format!("nothing is an identifier of kind {}", shown(&name));
                let problem = Problem::error(code::CONFLICT, message).at(&list.list.place);
                self.problems
                    .push(problem.label("this list would keep nobody out"));
            }
        }
    }
}

/// What a rule keeps as it is.
const fn kept(rule: Rule) -> Option<Keep> {
    match rule {
        Rule::Keep(keep) | Rule::List(Item::Keep(keep)) | Rule::ListOrOne(Item::Keep(keep)) => {
            Some(keep)
        }
        Rule::Blank
        | Rule::Constant(_)
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
        | Rule::Template(_) => None,
    }
}

/// The rule of the line with that key.
fn rule_of(fields: &Fields, key: &str) -> Option<Rule> {
    let mut lines = fields.lines().iter();
    lines.find(|line| *line.key == *key).map(|line| line.rule)
}

/// Where a key leads.
enum Step {
    /// It is known that there is such a field, and nothing more.
    KnownOnly,
    /// To fields under these rules.
    Lines(Vec<Rule>),
    /// Nowhere; these fields are known.
    Unknown(Vec<String>),
}
