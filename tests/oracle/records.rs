//! Which records are sent: `[only.SHAPE]` and `[except]`, read a second time.

use std::collections::BTreeSet;
use std::sync::Arc;

use sluis::limits::{Bound, Limits};
use sluis::minimise::{Action, Law, Objections};
use sluis::policy::{
    Field, Fields, IdKind, Index, Only, Otherwise, Rule, Scalar, Segment, Shape, ShapeBody, Side,
    Template,
};
use sluis::pseudonym::Identifier;
use sluis::refusal::{JsonFault, Refusal};

use super::documents::MARK;
use super::grammar::{Length, Reader, fault, text};
use super::rewrite::{ids_in, route_of};
use super::values;

/// Who is on the list of every kind that has one: here, and in the golden cases.
pub(crate) fn objected() -> Vec<String> {
    let marks = [1, 2, 4, 7, 11].map(|number| format!("§{MARK}{number}"));
    let fixed = ["S-64009", "770077007700123", "0"].map(str::to_owned);
    marks.into_iter().chain(fixed).collect()
}

/// The same, as the rewriter is told.
pub(crate) fn objections(law: &Law) -> Arc<Objections> {
    let mut objections = Objections::default();
    for kind in &law.policy.records.excepted {
        for id in objected() {
            let canonical = &law.kind(*kind).unwrap().spec().canonical;
            objections.add(*kind, canonical, &id).unwrap();
        }
    }
    Arc::new(objections)
}

/// Whether an identifier stands on the list of that kind, if there is one.
fn is_listed(law: &Law, kind: Index<IdKind>, says: &str) -> bool {
    let canonical = &law.kind(kind).unwrap().spec().canonical;
    let Ok(form) = canonical.form(Identifier::new(says)) else {
        return false;
    };
    let listed = objected();
    let mut listed = listed
        .iter()
        .map(|id| canonical.form(Identifier::new(id)).unwrap());
    law.policy.records.excepted.contains(&kind) && listed.any(|other| other == form)
}

/// Whether an identifier of that kind belongs to somebody who objected: by its own list, or by that
/// of a kind that it is made of somewhere.
pub(crate) fn has_objected(law: &Law, kind: Index<IdKind>, says: &str) -> bool {
    let mut sources = sources(law, kind).into_iter();
    sources.any(|kind| is_listed(law, kind, says))
}

/// A kind, and those of whose identifiers it is made somewhere, in however many steps.
fn sources(law: &Law, kind: Index<IdKind>) -> Vec<Index<IdKind>> {
    let mut found = vec![kind];
    let mut looked = 0;
    while let Some(made) = found.get(looked).copied() {
        looked += 1;
        let fields = law.policy.shapes.iter().filter_map(|it| match &it.body {
            ShapeBody::Fields(fields) => Some(fields),
            ShapeBody::Switch(_) => None,
        });
        let of = |fields| move |line: &Field| made_of(fields, line, made);
        for kind in fields.flat_map(|fields| fields.lines().iter().flat_map(of(fields))) {
            if !found.contains(&kind) {
                found.push(kind);
            }
        }
    }
    found
}

/// The kinds at the sibling that a line is made from, if the line is of that kind.
fn made_of(fields: &Fields, line: &Field, made: Index<IdKind>) -> Vec<Index<IdKind>> {
    if let Rule::Derived { kind, of } = line.rule
        && kind == made
    {
        kinds_at(fields, of)
    } else {
        Vec::new()
    }
}

/// Whether identifiers of that kind are looked for on a list.
fn is_excepted(law: &Law, kind: Index<IdKind>) -> bool {
    let excepted = &law.policy.records.excepted;
    sources(law, kind)
        .iter()
        .any(|kind| excepted.contains(kind))
}

/// Whether one of the identifiers of a text does.
pub(crate) fn names_objected(law: &Law, template: &Template, ids: &[String]) -> bool {
    let mut both = template.parts.iter().zip(ids);
    both.any(|((_, kind), id)| has_objected(law, *kind, id))
}

/// Why a record is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    Filtered,
    Objected,
}

impl Why {
    pub(crate) const fn action(self) -> Action {
        match self {
            Self::Filtered => Action::RecordFiltered,
            Self::Objected => Action::RecordObjected,
        }
    }

    pub(crate) const fn refusal(self) -> Refusal {
        match self {
            Self::Filtered => Refusal::RecordFiltered,
            Self::Objected => Refusal::PersonObjected,
        }
    }
}

/// What is asked of the object that the reader stands before.
pub(crate) struct Question<'a> {
    law: &'a Law,
    /// The lines of `[only]` that it must match.
    only: Vec<&'a Only>,
    met: Vec<bool>,
    objected: bool,
    /// Keys on the outermost level that did not come yet.
    left: usize,
    /// In how many texts, one within the other, the object stands.
    nesting: usize,
}

/// What an object is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sought {
    /// Of a field: who is in it is asked of the record around it.
    Filters,
    FiltersAndIds,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Inner,
    Outermost,
}

/// A way that leads on.
#[derive(Clone, Copy)]
enum Way<'a> {
    /// So many keys of a line of `[only]` lie behind.
    Only(usize, usize),
    /// An object with these fields, of the record that is judged.
    Fields(&'a Fields),
    /// The line of such an object.
    Line(&'a Fields, usize),
}

impl<'a> Question<'a> {
    /// Judges an object of a shape, which a switch of `outer` may have chosen. The reader stays.
    pub(crate) fn judge(
        law: &'a Law,
        (reader, nesting): (&Reader<'_>, usize),
        (outer, chosen): (Index<Shape>, Index<Shape>),
        sought: Sought,
    ) -> Result<Option<Why>, Refusal> {
        let records = &law.policy.records;
        let lines = |shape| records.only.iter().filter(move |only| only.shape == shape);
        let mut only: Vec<&Only> = lines(outer).collect();
        if outer != chosen {
            only.extend(lines(chosen));
        }
        let fields = law.policy.fields(chosen).unwrap();
        let sought = match sought {
            Sought::FiltersAndIds => (0..fields.lines().len())
                .filter(|place| is_sought(law, fields, *place))
                .count(),
            Sought::Filters => 0,
        };
        let mut question = Question {
            law,
            met: vec![false; only.len()],
            left: only.len() + sought,
            only,
            objected: false,
            nesting,
        };
        if question.left == 0 {
            return Ok(None);
        }
        let mut ways: Vec<Way<'_>> = (0..question.only.len())
            .map(|place| Way::Only(place, 0))
            .collect();
        if sought > 0 {
            ways.push(Way::Fields(fields));
        }
        let mut ahead = reader.clone();
        let read = question.object(&mut ahead, &ways, Level::Outermost);
        let read_to = match read.map_err(|refusal| refusal.at()) {
            // The end of a number is known by the byte behind it.
            Ok(()) => {
                let last = ahead.since(ahead.at - 1)[0];
                ahead.at + usize::from(last.is_ascii_digit())
            }
            Err(at) => usize::try_from(at.unwrap_or_default()).unwrap(),
        };
        if read_to - reader.at > law.limits.size(Bound::JsonSwitch) {
            return Err(fault(JsonFault::SwitchTooLate, reader.at));
        }
        read?;
        Ok(match question.objected {
            true => Some(Why::Objected),
            false => question.met.contains(&false).then_some(Why::Filtered),
        })
    }

    fn object(
        &mut self,
        reader: &mut Reader<'_>,
        ways: &[Way<'a>],
        level: Level,
    ) -> Result<(), Refusal> {
        let mut came = BTreeSet::new();
        reader.open()?;
        while (level == Level::Inner || self.left > 0) && reader.more(b'}')? {
            let start = reader.at;
            let key = reader.string(Length::Free)?.says;
            reader.colon()?;
            let on: Vec<Way<'a>> = ways.iter().filter_map(|way| self.on(*way, &key)).collect();
            if on.is_empty() {
                reader.skip(Length::Free)?;
                continue;
            }
            if !came.insert(key) {
                return Err(fault(JsonFault::DuplicateKey, start));
            }
            if level == Level::Outermost {
                self.left -= on.len();
            }
            self.value(reader, &on)?;
        }
        Ok(())
    }

    fn on(&self, way: Way<'a>, key: &str) -> Option<Way<'a>> {
        match way {
            Way::Only(place, keys) => {
                let next = self.only[place].path.get(keys)?;
                (**next == *key).then_some(Way::Only(place, keys + 1))
            }
            Way::Fields(fields) => {
                let place = fields.lines().iter().position(|line| *line.key == *key)?;
                is_sought(self.law, fields, place).then_some(Way::Line(fields, place))
            }
            Way::Line(..) => None,
        }
    }

    fn value(&mut self, reader: &mut Reader<'_>, ways: &[Way<'a>]) -> Result<(), Refusal> {
        match reader.peek()? {
            b'[' => {
                let on: Vec<Way<'a>> = ways
                    .iter()
                    .copied()
                    .filter(|way| matches!(way, Way::Only(..)))
                    .collect();
                if on.is_empty() {
                    return reader.skip(Length::Free);
                }
                reader.open()?;
                while reader.more(b']')? {
                    self.value(reader, &on)?;
                }
                Ok(())
            }
            b'{' => {
                let on: Vec<Way<'a>> = ways.iter().flat_map(|way| self.within(*way)).collect();
                match on.as_slice() {
                    [] => reader.skip(Length::Free),
                    on => self.object(reader, on, Level::Inner),
                }
            }
            b'"' => {
                let says = reader.string(Length::Free)?.says;
                self.scalar(ways, &Scalar::Text(says.as_str().into()), Some(&says));
                Ok(())
            }
            b'-' | b'0'..=b'9' => {
                let number = reader.number(Length::Free)?;
                let id = values::is_id_number(number).then_some(number);
                self.scalar(ways, &Scalar::Bare(number.into()), id);
                Ok(())
            }
            _ => {
                let word = text(reader.literal()?);
                self.scalar(ways, &Scalar::Bare(word.into()), None);
                Ok(())
            }
        }
    }

    /// Where a way leads in an object that stands at its end.
    fn within(&self, way: Way<'a>) -> Vec<Way<'a>> {
        match way {
            Way::Only(place, keys) if keys < self.only[place].path.len() => vec![way],
            Way::Line(fields, place) => {
                let Rule::Object(shape) = fields.lines()[place].rule else {
                    return Vec::new();
                };
                let all = all_fields(self.law, shape).into_iter();
                all.map(Way::Fields).collect()
            }
            Way::Fields(_) | Way::Only(..) => Vec::new(),
        }
    }

    /// Whether somebody who objected is named in a text with identifiers, or in JSON in a text.
    fn is_named(&self, says: &str, (fields, place): (&Fields, usize)) -> bool {
        let in_template = template_at(self.law, fields, place).is_some_and(|template| {
            let ids = ids_in(template, says).unwrap_or_default();
            names_objected(self.law, template, &ids)
        });
        in_template || self.is_named_within(says, fields.lines()[place].rule)
    }

    fn is_named_within(&self, says: &str, rule: Rule) -> bool {
        if matches!(rule, Rule::Link(_)) {
            let route = route_of(self.law, Side::Vendor, says);
            return route.is_some_and(|(route, parts)| {
                let mut both = route.path.iter().zip(parts);
                both.any(|(segment, part)| match segment {
                    Segment::Identifier(kind) => has_objected(self.law, *kind, part),
                    Segment::Literal(_) | Segment::Parameter(_) => false,
                })
            });
        }
        self.is_named_in_json(says, rule)
    }

    fn is_named_in_json(&self, says: &str, rule: Rule) -> bool {
        let Rule::Nested(shape) = rule else {
            return false;
        };
        if self.nesting == 4 {
            return false;
        }
        let json = says.trim_start_matches([' ', '\t', '\n', '\r']);
        let all = all_fields(self.law, shape).into_iter();
        { all }.any(|fields| {
            let lines = 0..fields.lines().len();
            let left = lines.filter(|place| is_sought(self.law, fields, *place));
            let mut inner = Question {
                law: self.law,
                only: Vec::new(),
                met: Vec::new(),
                objected: false,
                left: left.count(),
                nesting: self.nesting + 1,
            };
            // Its limits are left to the second reading.
            let limits = Limits::default();
            let mut reader = Reader::new(json.as_bytes(), &limits);
            if inner.left > 0 && json.starts_with('{') {
                // What is met before a fault counts.
                let ways = [Way::Fields(fields)];
                inner.object(&mut reader, &ways, Level::Outermost).ok();
            }
            inner.objected
        })
    }

    fn scalar(&mut self, ways: &[Way<'a>], scalar: &Scalar, id: Option<&str>) {
        let is_text = matches!(scalar, Scalar::Text(_));
        let (Scalar::Bare(says) | Scalar::Text(says)) = scalar;
        for way in ways {
            match way {
                Way::Only(place, keys) => {
                    let only = self.only[*place];
                    let ends = *keys == only.path.len();
                    self.met[*place] |= ends && only.values.contains(scalar);
                }
                Way::Line(fields, place) => {
                    let mut kinds = kinds_at(fields, *place).into_iter();
                    let listed = |id| kinds.any(|kind| has_objected(self.law, kind, id));
                    self.objected |= id.is_some_and(listed);
                    self.objected |= is_text && self.is_named(says, (fields, *place));
                }
                Way::Fields(_) => {}
            }
        }
    }
}

/// The kinds of which the value of a line is an identifier.
fn kinds_at(fields: &Fields, place: usize) -> Vec<Index<IdKind>> {
    let lines = fields.lines().iter().enumerate();
    let kinds = lines.filter_map(|(at, line)| match line.rule {
        Rule::Identifier(kind) if at == place => Some(kind),
        Rule::Derived { kind, of } if of == place => Some(kind),
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
        | Rule::Template(_) => None,
    });
    kinds.collect()
}

/// The text with identifiers that the value of a line is.
fn template_at<'a>(law: &'a Law, fields: &Fields, place: usize) -> Option<&'a Template> {
    if let Rule::Template(template) = fields.lines()[place].rule {
        law.policy.templates.get(template.place())
    } else {
        None
    }
}

/// Whether identifiers of an excepted kind may stand in a field, not counting records of its own.
fn is_sought(law: &Law, fields: &Fields, place: usize) -> bool {
    let mut seen = BTreeSet::new();
    let mut queue = vec![(fields, place)];
    while let Some((fields, place)) = queue.pop() {
        let mut kinds = kinds_at(fields, place).into_iter();
        if kinds.any(|kind| is_excepted(law, kind)) {
            return true;
        }
        let template = template_at(law, fields, place).into_iter();
        let mut named = template.flat_map(|template| &template.parts);
        if named.any(|(_, kind)| is_excepted(law, *kind)) {
            return true;
        }
        if matches!(fields.lines()[place].rule, Rule::Link(_)) && may_lead_to_them(law) {
            return true;
        }
        if let Rule::Nested(shape) | Rule::Object(shape) = fields.lines()[place].rule
            && seen.insert(shape.place())
        {
            for fields in all_fields(law, shape) {
                queue.extend((0..fields.lines().len()).map(|place| (fields, place)));
            }
        }
    }
    false
}

/// Whether a link can name somebody of an excepted kind.
fn may_lead_to_them(law: &Law) -> bool {
    let mut routes = law.policy.flows.iter().flat_map(|flow| flow.routes.iter());
    routes.any(|route| {
        route.path.iter().any(|segment| match segment {
            Segment::Identifier(kind) => is_excepted(law, *kind),
            Segment::Literal(_) | Segment::Parameter(_) => false,
        })
    })
}

/// The fields of every shape that an object of a shape can have.
fn all_fields(law: &Law, shape: Index<Shape>) -> Vec<&Fields> {
    match &law.policy.shape(shape).unwrap().body {
        ShapeBody::Fields(fields) => vec![fields],
        ShapeBody::Switch(switch) => {
            let mut shapes: Vec<usize> = switch.cases.iter().map(|(_, it)| it.place()).collect();
            if let Otherwise::Shape(other) = switch.otherwise {
                shapes.push(other.place());
            }
            let shapes: BTreeSet<usize> = shapes.into_iter().collect();
            let fields = shapes.into_iter().map(|it| Index::new(it).unwrap());
            fields.map(|it| law.policy.fields(it).unwrap()).collect()
        }
    }
}
