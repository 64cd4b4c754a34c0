//! What can only be seen of the whole: names that are taken for others, ids that would have to come
//! home, pseudonyms that are too short, shapes that nobody uses.

use std::collections::{BTreeSet, VecDeque};

use super::Compiler;
use super::draft::ShapeCount;
use super::named::{Named, Origin};
use super::words::WORDS;
use crate::config::{At, Place, Problem, code, shown};
use crate::policy::{
    Content, Generaliser, IdKind, Index, Item, Keep, Rule, Shape, ShapeBody, Side, Template,
};
use crate::pseudonym::{Back, KindSpec, Unknown};

/// Words that are not for fields, but that a name could be taken for as well.
const OTHER_WORDS: &[&str] = &["nothing", "drop-item", "anyone", "forward"];

impl Compiler<'_, '_> {
    /// The kind of that name, or a problem.
    pub(super) fn kind(&mut self, name: &At<&str>) -> Option<Index<IdKind>> {
        let kind = self.vocabulary.kind(name.value);
        if kind.is_none() && !self.vocabulary.kinds.open {
            let kinds: Vec<&str> = self.vocabulary.kinds.texts().collect();
            let known = match kinds.as_slice() {
                [] => "this file has none".to_owned(),
                kinds => format!("known here: {}", kinds.join(" ")),
            };
            let message = format!("no such id kind: {}", shown(name.value));
            let problem = Problem::error(code::WORD_UNKNOWN, message).at(&name.place);
            let problem = problem.label(known).did_you_mean(name.value, kinds);
            self.problems.push(problem);
        }
        kind
    }

    /// Reports a word that comes later.
    pub(super) fn not_yet(&mut self, what: &str, place: &Place) {
        self.problems.push(Problem::not_yet(what).at(place));
    }

    /// Reports something that is none of those that can stand here.
    pub(super) fn no_such(&mut self, what: &str, word: &str, place: &Place, known: &[&str]) {
        let message = format!("no such {what}: {}", shown(word));
        let problem = Problem::error(code::WORD_UNKNOWN, message).at(place);
        let problem = problem.label(format!("known here: {}", known.join(" ")));
        self.problems.push(problem.did_you_mean(word, known));
    }

    /// Says aloud that a whole subtree passes.
    pub(super) fn found_keep_all(&mut self, place: &Place) {
        self.problems.push(
            Problem::finding(code::KEEP_ALL, "a whole subtree passes")
                .at(place)
                .label("whatever stands here goes through, to any depth")
                .help("say which fields: a shape with a line for each"),
        );
    }

    /// An id kind one edit away from a word would turn a typing error into another meaning.
    pub(super) fn check_confusable_kind(&mut self, name: &At<&str>) {
        let words = WORDS.iter().chain(OTHER_WORDS).copied();
        let kinds = self
            .vocabulary
            .kinds
            .texts()
            .filter(|kind| *kind != name.value);
        let near = words
            .chain(kinds)
            .find(|word| strsim::damerau_levenshtein(word, name.value) < 2);
        let Some(near) = near.map(str::to_owned) else {
            return;
        };
        let message = match near == name.value {
            true => format!("{} is a word of the language", shown(&near)),
            false => format!("{} can be taken for {}", shown(name.value), shown(&near)),
        };
        let problem = Problem::error(code::CONFUSABLE, message).at(&name.place);
        self.problems
            .push(problem.help("choose a name that is two letters apart at least"));
    }

    /// A shape is for objects and a word for single values, so that a shape in place of an id kind
    /// sends nothing; but one that is a word with a capital is read as that word.
    pub(super) fn check_confusable_shape(&mut self, name: &At<&str>) {
        let mut words = WORDS.iter().chain(OTHER_WORDS);
        if let Some(word) = words.find(|word| word.eq_ignore_ascii_case(name.value)) {
            let message = format!("{} can be taken for {}", shown(name.value), shown(word));
            self.problems
                .push(Problem::error(code::CONFUSABLE, message).at(&name.place));
        }
    }

    /// Shapes of one file that differ in one letter: both can be meant, so this is no error.
    pub(super) fn find_similar_shapes(&mut self) {
        let all = self.vocabulary.shapes.all().iter();
        let own = all.filter(|name| name.origin == Origin::Vendor);
        let own: Vec<&Named> = own.take(SIMILAR_SHAPES_MAX).collect();
        let pairs = own.iter().enumerate().flat_map(|(number, later)| {
            let earlier = own.iter().take(number);
            earlier.map(move |earlier| (earlier, later))
        });
        let found = pairs
            .filter(|(one, other)| strsim::damerau_levenshtein(&one.text, &other.text) < 2)
            .map(|(one, other)| {
                let (first, second) = (shown(&one.text), shown(&other.text));
                let message = format!("{first} and {second} differ in one letter");
                let problem = Problem::finding(code::SIMILAR, message);
                problem.at(&other.place).also(&one.place, "the other")
            });
        self.problems.extend(found.collect::<Vec<_>>());
    }

    /// Names of the vendor's file that nothing uses. Where there are errors, they may be why.
    pub(super) fn find_unused(&mut self) {
        let mut found = Vec::new();
        for (names, what) in [
            (&self.vocabulary.kinds, "id kind"),
            (&self.vocabulary.shapes, "shape"),
        ] {
            let own = names
                .all()
                .iter()
                .filter(|name| name.origin == Origin::Vendor);
            for name in own.filter(|name| !name.used) {
                let message = format!("nothing uses the {what} {}", shown(&name.text));
                found.push(Problem::finding(code::UNUSED, message).at(&name.place));
            }
        }
        self.problems.extend(found);
    }

    /// Ids in what comes from the vendor must have a way back.
    pub(super) fn check_homeward(&mut self) {
        for (rule, place, caller) in std::mem::take(&mut self.homeward) {
            let ids = self.id_paths(rule);
            if caller == Side::Vendor {
                ids.iter()
                    .for_each(|(_, kind)| self.check_rejects(*kind, &place));
            }
            let one_way = |(_, kind): &(String, _)| !self.has_way_back(*kind);
            let paths: Vec<_> = ids.into_iter().filter(one_way).collect();
            if let Some(((first, kind), others)) = paths.split_first() {
                let more = and_more(others.len());
                let label = format!("{} comes from the vendor{more}", shown(first));
                self.no_way_back(*kind, &place, label);
            }
        }
    }

    /// Whether ids of that kind can be turned back.
    pub(super) fn has_way_back(&self, kind: Index<IdKind>) -> bool {
        let spec = self.kind_specs.get(kind.place());
        spec.is_none_or(|spec| spec.back == Back::SchoolOnly)
    }

    /// Who asks with an id must not learn what the school says to one that it made up.
    pub(super) fn check_rejects(&mut self, kind: Index<IdKind>, place: &Place) {
        let spec = self.kind_specs.get(kind.place());
        if spec.is_some_and(|spec| spec.unknown == Unknown::Keep) {
            let name = self.policy.kind_name(kind).to_owned();
            let message = format!("ids of kind {} that are nobody's would reach", shown(&name));
            let message = format!("{message} the school as the vendor wrote them");
            let problem = Problem::error(code::CONFLICT, message).at(place);
            let label = "the vendor calls, so this is its request";
            let help = "`unknown = \"keep\"` is for a vendor's own ids in its answers";
            self.problems.push(problem.label(label).help(help));
        }
    }

    /// An id of the vendor's own making that reached the school as it was becomes a pseudonym where
    /// the school names something by it: nothing tells it from an id of the school's.
    pub(super) fn find_own_ids_lost(&mut self, kind: Index<IdKind>, place: &Place) {
        let spec = self.kind_specs.get(kind.place());
        if spec.is_some_and(|spec| spec.unknown == Unknown::Keep) {
            let name = self.policy.kind_name(kind).to_owned();
            let message = format!("a vendor's own ids of kind {} lead nowhere", shown(&name));
            let problem = Problem::finding(code::OWN_IDS_LOST, message).at(place);
            let label = "the school calls: each id here leaves as a pseudonym, also the vendor's";
            let help = "`unknown = \"own\"` has them come back as the vendor wrote them";
            self.problems.push(problem.label(label).help(help));
        }
    }

    /// Reports that an id which comes from the vendor could not be turned back.
    pub(super) fn no_way_back(&mut self, kind: Index<IdKind>, place: &Place, label: String) {
        let name = self.policy.kind_name(kind).to_owned();
        let message = format!("ids of kind {} have no way back", shown(&name));
        let problem = Problem::error(code::NO_WAY_BACK, message).at(place);
        let help = format!("write back = \"school-only\" in [ids.{name}]");
        self.problems.push(problem.label(label).help(help));
    }

    /// The fields with ids that a rule leads to, each with its way from a named shape.
    fn id_paths(&self, rule: Rule) -> Vec<(String, Index<IdKind>)> {
        let ids = self.ends(rule).into_iter();
        let ids = ids.filter_map(|(path, target)| match target {
            Target::Id(kind) => Some((path, kind)),
            Target::Ids(_)
            | Target::Kept(_)
            | Target::Less(_)
            | Target::Nothing
            | Target::Shape(_) => None,
        });
        ids.collect()
    }

    /// The fields that a rule leads to, each with its way from a named shape.
    pub(super) fn ends(&self, rule: Rule) -> Vec<(String, Target)> {
        let mut ends = Vec::new();
        let mut seen = BTreeSet::new();
        let mut queue = VecDeque::from([(String::new(), String::new(), target(rule))]);
        while let Some((path, key, target)) = queue.pop_front() {
            match target {
                Target::Id(_) | Target::Kept(_) | Target::Less(_)
                    if path.is_empty() && key.is_empty() =>
                {
                    ends.push(("[]".to_owned(), target));
                }
                Target::Id(_) | Target::Kept(_) | Target::Less(_) => {
                    ends.push((joined(&path, &key), target));
                }
                Target::Ids(template) => {
                    let template = self.policy.templates.get(template.place());
                    let parts = template.iter().flat_map(|template| &template.parts);
                    let ids = parts.map(|(_, kind)| (joined(&path, &key), Target::Id(*kind)));
                    ends.extend(ids);
                }
                Target::Nothing => {}
                Target::Shape(shape) if !seen.insert(shape.place()) => {}
                Target::Shape(shape) => {
                    let path = self.path_into(&path, &key, shape);
                    let inside = self.targets(shape).into_iter();
                    queue.extend(inside.map(|(key, target)| (path.clone(), key, target)));
                }
            }
        }
        ends
    }

    /// What the fields of a shape lead to. The cases of a switch stand for it, without a key.
    fn targets(&self, shape: Index<Shape>) -> Vec<(String, Target)> {
        match self.policy.shape(shape).map(|shape| &shape.body) {
            None => Vec::new(),
            Some(ShapeBody::Fields(fields)) => {
                let line = |line: &crate::policy::Field| (line.key.to_string(), target(line.rule));
                let mut targets: Vec<_> = fields.lines().iter().map(line).collect();
                if let Some(any) = fields.any {
                    targets.push(("*".to_owned(), Target::Id(any.key)));
                    targets.push(("*".to_owned(), target(any.rule)));
                }
                let stub = fields.stub.map(Target::Shape);
                targets.extend(stub.map(|stub| (String::new(), stub)));
                targets
            }
            Some(ShapeBody::Switch(switch)) => {
                let shapes = switch.shapes();
                shapes
                    .map(|shape| (String::new(), Target::Shape(shape)))
                    .collect()
            }
        }
    }

    /// A way that goes on into a shape; one that had no name so far begins with that shape's.
    fn path_into(&self, path: &str, key: &str, shape: Index<Shape>) -> String {
        let named = shape.place() < self.vocabulary.shapes.all().len();
        match self.policy.shape(shape) {
            Some(shape) if path.is_empty() && named => shape.name.clone(),
            _ => joined(path, key),
        }
    }

    /// The chance that two pupils of the school get the same pseudonym, by the birthday bound:
    /// `pupils² / 2 / 2^bits`. What looks as it does by default is long enough for any school.
    pub(super) fn check_collisions(&mut self, spec: &KindSpec, looks: &Place) {
        let pupils = f64::from(self.context.pupils);
        let chance = pupils * pupils / 2.0 / spec.notation.bits().exp2();
        if chance <= 1e-6 {
            return;
        }
        let message = format!(
            "two of {} pupils may get the same pseudonym of kind {}",
            self.context.pupils,
            shown(&spec.name)
        );
        let problem = match chance > 1e-3 {
            true => Problem::error(code::COLLISIONS_LIKELY, message),
            false => Problem::finding(code::COLLISIONS, message),
        };
        let help = "a longer `looks`, or the true number of `pupils` in school.toml";
        let label = format!("a chance of {chance:.0e}");
        self.problems
            .push(problem.at(looks).label(label).help(help));
    }

    /// How much leaves of each shape that goes to the vendor.
    pub(super) fn count_shapes(&self) -> Vec<ShapeCount> {
        let flows = self.policy.flows.iter();
        let contents = flows.flat_map(|flow| flow.routes.iter().flat_map(|it| flow.to_vendor(it)));
        let mut queue: Vec<Index<Shape>> = Vec::new();
        for content in contents {
            if let Content::Json(rule) = content
                && let Target::Shape(shape) = target(rule)
            {
                queue.push(shape);
            }
        }
        let mut reached = BTreeSet::new();
        while let Some(shape) = queue.pop() {
            if reached.insert(shape.place()) {
                let next = self
                    .targets(shape)
                    .into_iter()
                    .filter_map(|(_, target)| match target {
                        Target::Shape(shape) => Some(shape),
                        Target::Id(_)
                        | Target::Ids(_)
                        | Target::Kept(_)
                        | Target::Less(_)
                        | Target::Nothing => None,
                    });
                queue.extend(next);
            }
        }
        let named = self.vocabulary.shapes.all().len();
        let shapes = reached.into_iter().take_while(|place| *place < named);
        shapes
            .filter_map(|place| self.count_of(Index::new(place)?))
            .collect()
    }

    fn count_of(&self, shape: Index<Shape>) -> Option<ShapeCount> {
        let name = &self.policy.shape(shape)?.name;
        let lines = self.policy.fields(shape)?.lines();
        let leaving = lines.iter().filter(|line| line.rule != Rule::Drop).count();
        let mut known: BTreeSet<&str> = lines.iter().map(|line| &*line.key).collect();
        let standard = self.catalogue.fields(name).into_iter().flatten();
        known.extend(standard.map(|(field, _)| field.as_str()));
        Some(ShapeCount {
            name: name.clone(),
            leaving,
            known: known.len(),
        })
    }
}

/// Of more shapes than these, no two are compared: that would take too long.
const SIMILAR_SHAPES_MAX: usize = 512;

/// Behind the first of several: how many others there are.
pub(super) fn and_more(others: usize) -> String {
    match others {
        0 => String::new(),
        more => format!(", and {more} more"),
    }
}

/// What a rule leads to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    Id(Index<IdKind>),
    Ids(Index<Template>),
    Kept(Keep),
    Less(Index<Generaliser>),
    Nothing,
    Shape(Index<Shape>),
}

fn target(rule: Rule) -> Target {
    match rule {
        Rule::Identifier(kind) => Target::Id(kind),
        Rule::List(item) | Rule::ListOrOne(item) => match item {
            Item::Identifier(kind) => Target::Id(kind),
            Item::Keep(keep) => Target::Kept(keep),
            // Only to what a route answers, whose ids are looked at there.
            Item::Link(_) => Target::Nothing,
            Item::Object(shape) => Target::Shape(shape),
            Item::Template(template) => Target::Ids(template),
        },
        Rule::Generalise(how) => Target::Less(how),
        Rule::Keep(keep) => Target::Kept(keep),
        Rule::Nested(shape) | Rule::Object(shape) => Target::Shape(shape),
        Rule::Template(template) => Target::Ids(template),
        Rule::Blank
        | Rule::Constant(_)
        // What is made of an id has no way back, and is left out on the way home.
        | Rule::Derived { .. }
        | Rule::Drop
        | Rule::KeepAll
        | Rule::Link(_) => Target::Nothing,
    }
}

fn joined(path: &str, key: &str) -> String {
    match (path, key) {
        ("", key) => key.to_owned(),
        (path, "") => path.to_owned(),
        (path, key) => format!("{path}.{key}"),
    }
}
