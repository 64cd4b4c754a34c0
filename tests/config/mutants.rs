//! A typing error loses data and never leaks it: every single-character edit of a name or word in
//! a vendor's file is refused, or sends no more than the file without it did.
//!
//! Values (dates, hosts, `one-of` and the like) are left alone: there is no telling a wrong one from
//! another right one. A field or path that nobody knows is taken not to exist, so that a line for
//! it sends nothing.

use std::collections::BTreeSet;
use std::ops::Range;

use sluis::config::VendorDraft;
use sluis::policy::{
    Content, Fields, Flow, Index, Item, Keep, Otherwise, Route, Rule, Shape, ShapeBody, Switch,
    ValueType,
};

/// What is put in and put in place: letters of the language, and every sign it has a meaning for.
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzAKOPSU0159-_.:[]?";

/// Keys whose values are no names and no words.
const VALUES: &[&str] = &[
    "version",
    "name",
    "agreement",
    "purpose",
    "contact",
    "valid",
    "key",
    "at",
    "callers",
    "ip-ranges",
    "upstream",
    "upstream-tls",
    "upstream-auth",
    "domain",
    "prefix",
    "body",
    "token-sha256",
    "one-of",
    "max",
    "like",
    "value",
    "edges",
    "to",
];

/// Every edit of a file: the text that it makes.
pub(crate) fn of(text: &str) -> impl Iterator<Item = String> {
    places(text).into_iter().flat_map(move |at| edits(text, at))
}

fn edits(text: &str, at: usize) -> Vec<String> {
    let (before, rest) = text.split_at(at);
    let mut characters = rest.chars();
    let here = characters.next().unwrap();
    let after = characters.as_str();
    let mut edits = vec![format!("{before}{after}")];
    for letter in LETTERS.chars().filter(|letter| *letter != here) {
        edits.push(format!("{before}{letter}{after}"));
        edits.push(format!("{before}{letter}{rest}"));
    }
    if let Some(next) = after
        .chars()
        .next()
        .filter(|next| is_of_a_name(*next) && *next != here)
    {
        let (_, later) = after.split_at(next.len_utf8());
        edits.push(format!("{before}{next}{here}{later}"));
    }
    edits
}

/// Where the names and words of a file have their characters.
fn places(text: &str) -> Vec<usize> {
    let mut places = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let code = line.split('#').next().unwrap();
        let values = values(code);
        let outside = |at: &usize| !values.iter().any(|value| value.contains(at));
        let names = code
            .char_indices()
            .filter(|(_, character)| is_of_a_name(*character));
        places.extend(names.map(|(at, _)| at).filter(outside).map(|at| start + at));
        start += line.len();
    }
    places
}

/// Where a line has values that are neither names nor words.
fn values(code: &str) -> Vec<Range<usize>> {
    let key = |at: usize| {
        let before = code.split_at(at).0.trim_end();
        before.rsplit([' ', '{']).next().unwrap_or_default()
    };
    let signs = code
        .match_indices("= ")
        .filter(|(at, _)| VALUES.contains(&key(*at)));
    let value = |(at, sign): (usize, &str)| {
        let from = at + sign.len();
        let value = code.split_at(from).1;
        let inline = code.split_at(at).0.contains('{');
        let end = match (inline, value.starts_with('[')) {
            (false, _) => None,
            (true, true) => value.find(']'),
            (true, false) => value.find([',', '}']),
        };
        from..from + end.unwrap_or(value.len())
    };
    signs.map(value).collect()
}

fn is_of_a_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-_:?".contains(character)
}

/// What a mutant sends and the file does not; `None` if there is nothing.
pub(crate) fn sends_more(file: &VendorDraft, mutant: &VendorDraft) -> Option<String> {
    let compare = Compare { file, mutant };
    for (flow, other) in mutant.policy.flows.iter().zip(&file.policy.flows) {
        if flow.caller != other.caller {
            return Some("the other side calls".to_owned());
        }
        for route in flow.routes.iter() {
            if let Some(more) = compare.route(route, other) {
                return Some(format!("{}: {more}", route.name));
            }
        }
    }
    (mutant.policy.flows.len() != file.policy.flows.len()).then(|| "another flow".to_owned())
}

struct Compare<'d> {
    file: &'d VendorDraft,
    mutant: &'d VendorDraft,
}

impl Compare<'_> {
    /// A route sends no more if one of the file's that could be meant sends as much.
    fn route(&self, route: &Route, flow: &Flow) -> Option<String> {
        let same = |other: &&Route| other.method == route.method && other.path == route.path;
        let meant: Vec<&Route> = match flow.routes.iter().find(same) {
            Some(other) => vec![other],
            None => flow.routes.iter().collect(),
        };
        let mut more = None;
        for other in meant {
            let contents = [
                (route.to_vendor, other.to_vendor),
                (route.from_vendor, other.from_vendor),
            ];
            let declared = |it: &Route, flow: &Flow| {
                let statuses: [u16; 7] = [200, 201, 400, 404, 499, 500, 503];
                statuses.map(|status| flow.answer_content(it, status))
            };
            let errors = declared(route, flow).into_iter().zip(declared(other, flow));
            let errors = errors.map(|(mine, theirs)| {
                let nothing = Content::Nothing;
                (mine.unwrap_or(nothing), theirs.unwrap_or(nothing))
            });
            let differs = contents
                .into_iter()
                .chain(errors)
                .find_map(|(mine, theirs)| self.content(mine, theirs));
            match differs {
                None => return None,
                Some(difference) => more = Some(difference),
            }
        }
        more
    }

    fn content(&self, mine: Content, theirs: Content) -> Option<String> {
        match (mine, theirs) {
            (Content::Nothing, _) => None,
            (Content::Json(mine), Content::Json(theirs)) => {
                self.rule(mine, theirs, &mut BTreeSet::new())
            }
            (Content::Json(_), Content::Nothing) => Some("a body".to_owned()),
        }
    }

    /// `None` if a rule of the mutant sends no more of a value than the file's.
    fn rule(&self, mine: Rule, theirs: Rule, seen: &mut Seen) -> Option<String> {
        let less = match (mine, theirs) {
            (Rule::Drop | Rule::Blank | Rule::Constant(_), _) | (_, Rule::KeepAll) => true,
            // Made of a sibling: right if that one is sent as a pseudonym, which `fields` sees to.
            (Rule::Derived { kind, .. }, Rule::Derived { kind: other, .. }) => {
                self.kind(kind.place()) == self.original_kind(other.place())
            }
            (Rule::Identifier(kind), Rule::Identifier(other)) => {
                self.kind(kind.place()) == self.original_kind(other.place())
            }
            (Rule::Identifier(_) | Rule::Generalise(_), Rule::Keep(keep)) => {
                keep.of == ValueType::Any
            }
            (Rule::Generalise(mine), Rule::Generalise(theirs)) => {
                let mine = self.mutant.policy.generalisers.get(mine.place());
                mine == self.file.policy.generalisers.get(theirs.place())
            }
            (Rule::Keep(mine), Rule::Keep(theirs)) => keeps_no_more(mine, theirs),
            (Rule::Link(_), Rule::Link(_)) => true,
            // What stands around the identifiers is the policy's own.
            (Rule::Template(mine), Rule::Template(theirs)) => {
                let mine = &self.mutant.policy.templates[mine.place()].parts;
                let theirs = &self.file.policy.templates[theirs.place()].parts;
                let mine = mine.iter().map(|(_, kind)| self.kind(kind.place()));
                let theirs = theirs.iter();
                mine.eq(theirs.map(|(_, kind)| self.original_kind(kind.place())))
            }
            (Rule::Nested(mine), Rule::Nested(theirs)) => return self.shape(mine, theirs, seen),
            (
                Rule::List(mine) | Rule::ListOrOne(mine),
                Rule::List(theirs) | Rule::ListOrOne(theirs),
            ) => {
                return self.rule(mine.rule(), theirs.rule(), seen);
            }
            (Rule::Object(mine), Rule::Object(theirs)) => return self.shape(mine, theirs, seen),
            // A rule for one form of value, where the file expects another: nothing fits it.
            (mine, theirs) => form(mine) != form(theirs),
        };
        (!less).then(|| format!("{mine:?} for {theirs:?}"))
    }

    fn kind(&self, place: usize) -> &str {
        &self.mutant.policy.kinds[place].name
    }

    fn original_kind(&self, place: usize) -> &str {
        &self.file.policy.kinds[place].name
    }

    fn shape(&self, mine: Index<Shape>, theirs: Index<Shape>, seen: &mut Seen) -> Option<String> {
        if !seen.insert((mine.place(), theirs.place())) {
            return None;
        }
        let one = self.mutant.policy.shape(mine).unwrap();
        let other = self.file.policy.shape(theirs).unwrap();
        match (&one.body, &other.body) {
            (ShapeBody::Fields(fields), ShapeBody::Fields(others)) => {
                self.fields(fields, others, &other.name, seen)
            }
            (ShapeBody::Switch(switch), ShapeBody::Switch(others)) => {
                self.switch(switch, others, seen)
            }
            (ShapeBody::Fields(_), ShapeBody::Switch(_))
            | (ShapeBody::Switch(_), ShapeBody::Fields(_)) => {
                Some(format!("{} for {}", one.name, other.name))
            }
        }
    }

    fn switch(&self, mine: &Switch, theirs: &Switch, seen: &mut Seen) -> Option<String> {
        let case = |value: &str| {
            let case = theirs.cases.iter().find(|(other, _)| **other == *value);
            case.map(|(_, shape)| *shape)
                .or_else(|| otherwise(theirs.otherwise))
        };
        let cases = mine.cases.iter();
        let mut cases = cases.filter_map(|(value, shape)| Some((*shape, case(value)?)));
        let more = cases.find_map(|(shape, other)| self.shape(shape, other, seen));
        more.or_else(
            || match (otherwise(mine.otherwise), otherwise(theirs.otherwise)) {
                (None, _) => None,
                (Some(mine), Some(theirs)) => self.shape(mine, theirs, seen),
                (Some(_), None) => Some("objects of any kind".to_owned()),
            },
        )
    }

    fn fields(
        &self,
        mine: &Fields,
        theirs: &Fields,
        name: &str,
        seen: &mut Seen,
    ) -> Option<String> {
        let standard = self.file.catalogue.fields(name);
        for line in mine.lines() {
            let other = theirs.lines().iter().find(|other| other.key == line.key);
            let known = standard.is_some_and(|fields| fields.contains_key(&*line.key));
            let rule = match other {
                Some(other) => other.rule,
                None if known => Rule::Drop,
                None => continue,
            };
            if let Some(more) = self.rule(line.rule, rule, seen) {
                return Some(format!("{name}.{}: {more}", line.key));
            }
            let of = made_of(mine, line.rule);
            let other = made_of(theirs, rule);
            if of.is_some() && other.is_some() && of != other {
                return Some(format!("{name}.{} of another field", line.key));
            }
        }
        let any = match (mine.any, theirs.any) {
            (None, _) => None,
            (Some(mine), Some(theirs)) => self.rule(mine.rule, theirs.rule, seen),
            (Some(_), None) => Some(format!("{name}.*")),
        };
        any.or_else(|| match (mine.stub, theirs.stub) {
            (None, _) => None,
            (Some(mine), Some(theirs)) => self.shape(mine, theirs, seen),
            (Some(_), None) => Some(format!("a stub of {name}")),
        })
    }
}

type Seen = BTreeSet<(usize, usize)>;

fn otherwise(otherwise: Otherwise) -> Option<Index<Shape>> {
    match otherwise {
        Otherwise::DropItem => None,
        Otherwise::Shape(shape) => Some(shape),
    }
}

/// The sibling that a field is made of.
fn made_of(fields: &Fields, rule: Rule) -> Option<&str> {
    if let Rule::Derived { of, .. } = rule {
        fields.line(of).map(|line| &*line.key)
    } else {
        None
    }
}

/// Value rules are values: they are not edited, and where there are some there were the same.
fn keeps_no_more(mine: Keep, theirs: Keep) -> bool {
    let narrower = theirs.of == ValueType::Any || mine.of == theirs.of;
    narrower && (theirs.rules.is_none() || mine.rules.is_some())
}

/// The form of value that a rule is for: one scalar, a list, an object.
fn form(rule: Rule) -> &'static str {
    match rule {
        Rule::List(Item::Object(_)) | Rule::ListOrOne(Item::Object(_)) => "objects",
        Rule::List(_) | Rule::ListOrOne(_) => "list",
        Rule::Object(_) => "object",
        Rule::KeepAll => "anything",
        Rule::Blank
        | Rule::Constant(_)
        | Rule::Derived { .. }
        | Rule::Drop
        | Rule::Generalise(_)
        | Rule::Identifier(_)
        | Rule::Keep(_)
        | Rule::Link(_)
        | Rule::Nested(_)
        | Rule::Template(_) => "scalar",
    }
}
