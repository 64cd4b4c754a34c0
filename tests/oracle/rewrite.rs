//! The slow rewriter: one message, one rule, all at once.

use std::collections::{BTreeMap, BTreeSet};

use sluis::limits::Bound;
use sluis::minimise::{Action, Law};
use sluis::policy::{
    Any, Constant, Field, Fields, Generaliser, IdKind, Index, Item, Keep, Method, Otherwise, Route,
    Rule, Segment, Shape, ShapeBody, Side, Switch, Template, Unlisted, ValueType,
};
use sluis::pseudonym::{Form, Identifier, IdentifierFault, Notation, Recall, Unknown};
use sluis::refusal::{JsonFault, LinkFault, Refusal};

use super::book::{Owner, Pages, Way};
use super::grammar::{Length, Reader, Text, fault, text, wide};
use super::records::{Question, Sought, Why, has_objected, names_objected};
use super::values;

/// What leaves of a message, and what was done to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) bytes: Vec<u8>,
    pub(crate) counts: BTreeMap<Action, u64>,
    /// Whether JSON in a text was dropped for a fault in it.
    pub(crate) faulty_text: bool,
}

/// What leaves of the message, or why none of it may.
pub(crate) fn rewrite(way: &Way, rule: Rule, message: &[u8]) -> Result<Left, Refusal> {
    let mut oracle = Oracle::new(way, message, 0);
    oracle.reader.begin()?;
    let bytes = oracle.value(rule, Stands::Whole)?;
    let bytes = bytes.ok_or(Refusal::BodyOfAnotherShape)?;
    oracle.reader.finish()?;
    Ok(Left {
        bytes,
        counts: oracle.counts,
        faulty_text: oracle.faulty_text,
    })
}

/// A link to the next page leads nowhere, for whatever cause.
pub(super) const NEXT_LOST: Refusal = Refusal::NextPageLost {
    fault: LinkFault::NoRoute,
};

/// What the link to the next page is called, however it is written.
const NEXT: [&str; 5] = ["more", "next", "nextlink", "nextpageurl", "odatanextlink"];

/// What the address in an object of such a name is called.
const ADDRESS: [&str; 4] = ["href", "link", "uri", "url"];

/// A list or object that is open, by where in it the value stands that is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within<'a> {
    /// In an object, behind the key of an entry of a map.
    Entry,
    Item,
    /// In an object, behind the key of that line.
    Line(&'a str),
}

/// Where a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    /// Behind a key that has a line.
    Field,
    /// In a list, behind a key of a map, or alone where a list may stand too.
    Item,
    /// Behind the key of the own id of a stub.
    OwnId,
    /// It is the whole message.
    Whole,
}

struct Oracle<'a> {
    way: &'a Way,
    law: &'a Law,
    reader: Reader<'a>,
    /// What is open, the outermost first.
    within: Vec<Within<'a>>,
    counts: BTreeMap<Action, u64>,
    /// In how many texts the message stands.
    nesting: usize,
    faulty_text: bool,
}

/// What leaves of one value: nothing, or this.
type Leaves = Result<Option<Vec<u8>>, Refusal>;

/// What identifies somebody: the text, and whether it came as a number.
struct Source {
    says: String,
    number: bool,
}

/// An object while it is read.
struct Frame<'s> {
    fields: &'s Fields,
    /// Of a stub, the place of its own id.
    own: Option<usize>,
    /// Keys that came, unescaped.
    keys: BTreeSet<String>,
    /// Keys that came, as identifiers in canonical form.
    canonical: BTreeSet<String>,
    /// Places of the lines that came.
    places: BTreeSet<usize>,
    /// The siblings that came, by place: what derived fields are made from, if they can be.
    sources: Vec<(usize, Option<Source>)>,
    /// Places of the derived fields that came before their sibling.
    waiting: BTreeSet<usize>,
    /// What leaves: `key:value`, encoded.
    entries: Vec<Vec<u8>>,
}

impl Frame<'_> {
    /// As what the value of a line stands there.
    fn stands(&self, place: usize) -> Stands {
        match self.own == Some(place) {
            true => Stands::OwnId,
            false => Stands::Field,
        }
    }
}

/// What becomes of a pseudonym on the way home.
enum Comes {
    AsItCame,
    Dropped(Action),
    Empty,
    Home(Action, Form, String),
}

impl<'a> Oracle<'a> {
    fn new(way: &'a Way, message: &'a [u8], nesting: usize) -> Self {
        Self {
            way,
            law: &way.law,
            reader: Reader::new(message, way.limits()),
            within: Vec::new(),
            counts: BTreeMap::new(),
            nesting,
            faulty_text: false,
        }
    }

    fn value(&mut self, rule: Rule, stands: Stands) -> Leaves {
        let first = self.reader.peek()?;
        let is_home = self.way.is_home();
        if is_home && is_made(rule) {
            return self.dropped(Action::DroppedValue);
        }
        let stands_in = stands_in(rule).is_some() && !is_home;
        let made = matches!(rule, Rule::Drop | Rule::Derived { .. }) || stands_in;
        if first == b'n' && !made {
            let null = self.reader.literal()?;
            let declared = matches!(rule, Rule::List(_) | Rule::ListOrOne(_) | Rule::Object(_));
            if declared && self.within.is_empty() {
                return self.nothing(Action::DroppedType);
            }
            return self.leaves(Action::Kept, null);
        }
        match rule {
            Rule::Blank => self.blank(first),
            Rule::Constant(index) => {
                self.reader.skip(Length::Bounded)?;
                let constant = self.constant(index.place());
                self.leaves(Action::Constant, &constant)
            }
            Rule::Derived { .. } | Rule::Drop => self.dropped(Action::DroppedListed),
            Rule::Generalise(index) => self.generalised(index, first),
            Rule::Identifier(kind) => self.identifier(kind, first, stands),
            Rule::Keep(keep) => self.keep(keep, first),
            Rule::KeepAll => self.keep_all(first),
            Rule::Link(otherwise) => self.link(otherwise.filter(|_| !is_home), first),
            Rule::Nested(shape) => self.nested(shape, first),
            Rule::Template(template) => self.template(template, first, stands),
            Rule::List(item) => match first {
                b'[' => self.list(item),
                _ => self.no_list(item),
            },
            Rule::ListOrOne(item) => match first {
                b'[' => self.list(item),
                _ if matches!(item, Item::Object(_)) && first != b'{' => self.no_list(item),
                _ if stands == Stands::Whole => self.value(item.rule(), stands),
                _ => self.value(item.rule(), Stands::Item),
            },
            Rule::Object(shape) => match first {
                b'{' => self.shaped(shape, stands),
                _ => self.no_object(shape),
            },
        }
    }

    /// A value in the list or object that was opened last.
    fn value_within(&mut self, within: Within<'a>, (rule, stands): (Rule, Stands)) -> Leaves {
        self.within.push(within);
        let left = self.value(rule, stands)?;
        self.within.pop();
        Ok(left)
    }

    fn count(&mut self, action: Action) {
        *self.counts.entry(action).or_insert(0) += 1;
    }

    fn leaves(&mut self, action: Action, json: &[u8]) -> Leaves {
        self.count(action);
        Ok(Some(json.to_vec()))
    }

    /// Nothing leaves of the value that was just read.
    fn nothing(&mut self, why: Action) -> Leaves {
        self.count(why);
        Ok(None)
    }

    /// Passes over a value of which nothing leaves.
    fn dropped(&mut self, why: Action) -> Leaves {
        self.reader.skip(Length::Bounded)?;
        self.nothing(why)
    }

    fn generalised(&mut self, index: Index<Generaliser>, first: u8) -> Leaves {
        let generaliser = &self.law.policy.generalisers[index.place()];
        let takes_numbers = matches!(generaliser, Generaliser::Band(_) | Generaliser::Round(_));
        let less = match (first, takes_numbers) {
            (b'"', false) => {
                let text = self.reader.string(Length::Bounded)?;
                values::generalise_text(generaliser, &text.says)
            }
            (b'-' | b'0'..=b'9', true) => {
                let number = self.reader.number(Length::Bounded)?;
                values::generalise_number(generaliser, number)
            }
            _ => return self.dropped(Action::DroppedType),
        };
        match less {
            Some(less) => self.leaves(Action::Generalised, less.as_bytes()),
            None => self.nothing(Action::DroppedValue),
        }
    }

    fn constant(&self, place: usize) -> Vec<u8> {
        self.law.policy.constants[place].json.to_vec()
    }

    fn blank(&mut self, first: u8) -> Leaves {
        let empty = match first {
            b'"' => "\"\"",
            b'[' => "[]",
            b'{' => "{}",
            b'f' | b't' => "false",
            _ => "0",
        };
        self.reader.skip(Length::Bounded)?;
        self.leaves(Action::Blanked, empty.as_bytes())
    }

    fn keep(&mut self, keep: Keep, first: u8) -> Leaves {
        let start = self.reader.at;
        let (says, right) = match first {
            b'"' => {
                let says = self.reader.string(Length::Bounded)?.says;
                let right = values::text_is(&says, keep.of);
                (Some(says), right)
            }
            b'-' | b'0'..=b'9' => {
                let number = self.reader.number(Length::Bounded)?;
                (None, values::number_is(number, keep.of))
            }
            b'{' | b'[' => return self.dropped(Action::DroppedType),
            _ => {
                self.reader.literal()?;
                (None, matches!(keep.of, ValueType::Any | ValueType::Bool))
            }
        };
        let raw = self.reader.since(start);
        let json = text(raw);
        let rules = keep
            .rules
            .map(|index| &self.law.policy.value_rules[index.place()]);
        let fits = rules.is_none_or(|rules| values::passes(rules, json, says.as_deref()));
        match (right, fits) {
            (true, true) => self.leaves(Action::Kept, raw),
            (true, false) => self.nothing(Action::DroppedValue),
            (false, _) => self.nothing(Action::DroppedType),
        }
    }

    fn link(&mut self, otherwise: Option<Index<Constant>>, first: u8) -> Leaves {
        let start = self.reader.at;
        let why = match first {
            b'"' => {
                let says = self.reader.string(Length::Bounded)?.says;
                if let Some(made) = self.led(&says, start)? {
                    return self.leaves(Action::Translated, shortest(&made).as_bytes());
                }
                Action::DroppedValue
            }
            _ => {
                self.reader.skip(Length::Bounded)?;
                Action::DroppedType
            }
        };
        if self.is_next_page(self.reader.since(start)) {
            return Err(NEXT_LOST);
        }
        match otherwise {
            Some(constant) => {
                let constant = self.constant(constant.place());
                self.leaves(Action::Constant, &constant)
            }
            None => self.nothing(why),
        }
    }

    /// Whether this, which does not leave, is the link to the next page: one that is called so, or
    /// the address in an object that is, and that stands in no list.
    fn is_next_page(&self, raw: &[u8]) -> bool {
        let is_none = [&b"null"[..], b"false", b"\"\""].contains(&raw);
        let pages = self.way.pages == Pages::Perhaps && self.nesting == 0;
        if is_none || !pages || self.within.contains(&Within::Item) {
            return false;
        }
        match self.within.as_slice() {
            [.., around, Within::Line(key)] if ADDRESS.contains(key) => {
                matches!(around, Within::Line(name) if is_next(name))
            }
            [.., Within::Line(key)] => is_next(key),
            _ => false,
        }
    }

    /// Whether this is the answer to a vendor that only reads, and not JSON in a text of it.
    fn is_read(&self) -> bool {
        self.way.pages == Pages::Perhaps && !self.way.is_home() && self.nesting == 0
    }

    /// Something else, where a list stands: as good as nobody, if they are the records of the
    /// answer.
    fn no_list(&mut self, item: Item) -> Leaves {
        self.reader.skip(Length::Bounded)?;
        let records = matches!(item, Item::Object(_)) && self.within.len() == 1;
        match records && self.is_read() {
            true => Err(Refusal::BodyOfAnotherShape),
            false => self.nothing(Action::DroppedType),
        }
    }

    /// Something else, where an object stands: one of the records of the answer, or the link to
    /// the next page.
    fn no_object(&mut self, shape: Index<Shape>) -> Leaves {
        let start = self.reader.at;
        self.reader.skip(Length::Bounded)?;
        if let ([Within::Item] | [_, Within::Item], true) = (&*self.within, self.is_read()) {
            return Err(Refusal::BodyOfAnotherShape);
        }
        let lines = self.law.policy.fields(shape).map_or(&[][..], Fields::lines);
        let mut lines = lines.iter();
        let has_address =
            lines.any(|line| matches!(line.rule, Rule::Link(_)) && ADDRESS.contains(&&*line.key));
        if has_address && self.is_next_page(self.reader.since(start)) {
            return Err(NEXT_LOST);
        }
        self.nothing(Action::DroppedType)
    }

    /// Where a link leads on the other side.
    fn led(&mut self, link: &str, start: usize) -> Result<Option<String>, Refusal> {
        let Some((route, parts)) = route_of(self.law, self.way.to, link) else {
            return Ok(None);
        };
        let bases = &self.law.policy.bases[0];
        let to = match self.way.to == self.law.policy.flows[0].caller {
            true => &bases.public,
            false => &bases.upstream,
        };
        let mut made = to.clone();
        for (segment, part) in route.path.iter().zip(parts) {
            made.push('/');
            match segment {
                Segment::Identifier(kind) => match self.turned(*kind, part, start)? {
                    Some(turned) => made += &percent_encoded(&turned),
                    None => return Ok(None),
                },
                Segment::Literal(_) | Segment::Parameter(_) => made += part,
            }
        }
        Ok(Some(made))
    }

    /// What takes the place of an identifier in a text; `None` if the text cannot go on.
    fn turned(
        &mut self,
        kind: Index<IdKind>,
        id: &str,
        start: usize,
    ) -> Result<Option<String>, Refusal> {
        if self.way.is_home() {
            return Ok(match self.comes(kind, id, start)? {
                Comes::AsItCame => Some(id.to_owned()),
                Comes::Dropped(why) => {
                    self.count(why);
                    None
                }
                Comes::Empty => None,
                Comes::Home(action, _, id) => {
                    self.count(action);
                    Some(id)
                }
            });
        }
        if has_objected(self.law, kind, id) {
            self.count(Action::RecordObjected);
            return Ok(None);
        }
        if let Some(own) = self.own(kind, id) {
            self.count(Action::Kept);
            return Ok(Some(own.to_owned()));
        }
        let keyed = self.law.kind(kind).unwrap();
        let mut pseudonym = Vec::new();
        if keyed.write(Identifier::new(id), &mut pseudonym).is_err() {
            return Ok(None);
        }
        self.count(Action::Pseudonymised);
        Ok(Some(text(&pseudonym).to_owned()))
    }

    /// The id of the vendor's own making that stands at the school as this text.
    fn own<'t>(&self, kind: Index<IdKind>, says: &'t str) -> Option<&'t str> {
        let spec = self.law.kind(kind).unwrap().spec();
        let marked = says.strip_prefix(&self.law.policy.vendor)?;
        let own = marked.strip_prefix('~')?.strip_suffix('~')?;
        let is_slug = values::text_is(own, ValueType::Slug);
        let is_own = spec.unknown == Unknown::Own && is_slug && spec.notation.read(own).is_none();
        is_own.then_some(own)
    }

    /// What becomes of a pseudonym that stands at `start`.
    fn comes(&self, kind: Index<IdKind>, says: &str, start: usize) -> Result<Comes, Refusal> {
        let spec = self.law.kind(kind).unwrap().spec();
        if says.is_empty() {
            return Ok(Comes::Empty);
        }
        let refusal = Refusal::PseudonymUnknown { at: wide(start) };
        if spec.unknown == Unknown::Own && spec.notation.read(says).is_none() {
            let marked = format!("{}~{says}~", self.law.policy.vendor);
            let is_slug = values::text_is(says, ValueType::Slug);
            let home = is_slug.then_some(Comes::Home(Action::Kept, Form::Text, marked));
            return home.ok_or(refusal);
        }
        let owner = self.way.book.owner(kind.place(), says);
        let why = match owner.map(|Owner { id, recall, .. }| (id, *recall)) {
            Some((id, Recall::Found { .. })) if has_objected(self.law, kind, id) => {
                Action::PseudonymObjected
            }
            Some((id, Recall::Found { form, age: 0 })) => {
                return Ok(Comes::Home(Action::BroughtHome, form, id.clone()));
            }
            Some((id, Recall::Found { form, age })) if age < spec.accept_keys => {
                return Ok(Comes::Home(Action::BroughtHomeOld, form, id.clone()));
            }
            Some((_, Recall::Found { .. } | Recall::Retired)) => Action::PseudonymRetired,
            Some((_, Recall::Foreign)) => Action::PseudonymForeign,
            Some((_, Recall::Unknown)) | None => Action::PseudonymUnknown,
        };
        let somebodys = matches!(why, Action::PseudonymForeign | Action::PseudonymRetired);
        match spec.unknown {
            Unknown::Drop => Ok(Comes::Dropped(why)),
            Unknown::Keep if !somebodys => Ok(Comes::AsItCame),
            Unknown::Keep | Unknown::Own | Unknown::Reject => Err(refusal),
        }
    }

    fn nested(&mut self, shape: Index<Shape>, first: u8) -> Leaves {
        if first != b'"' {
            return self.dropped(Action::DroppedType);
        }
        let start = self.reader.at;
        let says = self.reader.string(Length::Bounded)?.says;
        let mut inner = Oracle::new(self.way, says.as_bytes(), self.nesting + 1);
        if inner.nesting > 4 {
            return self.nothing(Action::DroppedValue);
        }
        let begun = inner.reader.begin();
        let read = begun.and_then(|()| inner.value(Rule::Object(shape), Stands::Whole));
        let read = read.and_then(|left| inner.reader.finish().map(|()| left));
        match read {
            Ok(Some(json)) => {
                self.faulty_text |= inner.faulty_text;
                let counts = inner.counts;
                for (action, count) in counts {
                    *self.counts.entry(action).or_insert(0) += count;
                }
                let json = serde_json::to_string(text(&json)).unwrap();
                self.leaves(Action::Translated, json.as_bytes())
            }
            Err(Refusal::PseudonymUnknown { .. }) => {
                Err(Refusal::PseudonymUnknown { at: wide(start) })
            }
            Ok(None) | Err(_) => {
                self.faulty_text = true;
                self.nothing(Action::DroppedValue)
            }
        }
    }

    fn template(&mut self, template: Index<Template>, first: u8, stands: Stands) -> Leaves {
        if first != b'"' {
            return self.dropped(Action::DroppedType);
        }
        let start = self.reader.at;
        let says = self.reader.string(Length::Bounded)?.says;
        let law = self.law;
        let template = &law.policy.templates[template.place()];
        let Some(ids) = ids_in(template, &says) else {
            return self.nothing(Action::DroppedValue);
        };
        let is_home = self.way.is_home();
        let field = matches!(stands, Stands::Field | Stands::OwnId);
        if !is_home && !field && names_objected(law, template, &ids) {
            return self.withheld(Why::Objected, stands);
        }
        let mut made = String::new();
        for ((before, kind), id) in template.parts.iter().zip(&ids) {
            let Some(turned) = self.turned(*kind, id, start)? else {
                return self.nothing(Action::DroppedValue);
            };
            made += before;
            made += &turned;
        }
        made += &template.end;
        self.leaves(Action::Translated, shortest(&made).as_bytes())
    }

    fn keep_all(&mut self, first: u8) -> Leaves {
        let start = self.reader.at;
        match first {
            b'"' => drop(self.reader.string(Length::Bounded)?),
            b'-' | b'0'..=b'9' => drop(self.reader.number(Length::Bounded)?),
            b'[' => {
                let mut items = Vec::new();
                self.reader.open()?;
                while self.reader.more(b']')? {
                    let first = self.reader.peek()?;
                    items.extend(self.keep_all(first)?);
                }
                return Ok(Some(joined(b"[", &items, b"]")));
            }
            b'{' => return self.keep_all_object(),
            _ => drop(self.reader.literal()?),
        }
        let raw = self.reader.since(start);
        self.leaves(Action::Kept, raw)
    }

    fn keep_all_object(&mut self) -> Leaves {
        let mut keys = BTreeSet::new();
        let mut entries = Vec::new();
        self.reader.open()?;
        while self.reader.more(b'}')? {
            let key = self.new_key(&mut keys)?;
            self.reader.colon()?;
            let first = self.reader.peek()?;
            let value = self.keep_all(first)?;
            entries.extend(value.map(|value| entry(key.raw, &value)));
        }
        Ok(Some(joined(b"{", &entries, b"}")))
    }

    /// A key that did not come before in this object.
    fn new_key(&mut self, keys: &mut BTreeSet<String>) -> Result<Text<'a>, Refusal> {
        let start = self.reader.at;
        let key = self.reader.string(Length::Bounded)?;
        if keys.len() == self.law.limits.size(Bound::JsonKeys) {
            return Err(fault(JsonFault::TooManyKeys, start));
        }
        if !keys.insert(key.says.clone()) {
            return Err(fault(JsonFault::DuplicateKey, start));
        }
        Ok(key)
    }

    fn identifier(&mut self, kind: Index<IdKind>, first: u8, stands: Stands) -> Leaves {
        let start = self.reader.at;
        let source = match first {
            b'"' => Source {
                says: self.reader.string(Length::Bounded)?.says,
                number: false,
            },
            b'-' | b'0'..=b'9' => {
                let number = self.reader.number(Length::Bounded)?;
                if !values::is_id_number(number) {
                    return self.nothing(Action::DroppedType);
                }
                Source {
                    says: number.to_owned(),
                    number: true,
                }
            }
            _ => return self.dropped(Action::DroppedType),
        };
        if self.way.is_home() {
            return match self.comes(kind, &source.says, start)? {
                Comes::AsItCame => self.leaves(Action::Kept, self.reader.since(start)),
                Comes::Dropped(why) => self.nothing(why),
                Comes::Empty => self.leaves(Action::IdentifierEmpty, b"\"\""),
                Comes::Home(action, form, id) => self.leaves(action, as_json(form, &id).as_bytes()),
            };
        }
        if stands != Stands::OwnId && has_objected(self.law, kind, &source.says) {
            return self.withheld(Why::Objected, stands);
        }
        if let Some(own) = self.own(kind, &source.says) {
            return self.leaves(Action::Kept, as_json(Form::Text, own).as_bytes());
        }
        self.must_identify(kind, &source, start)?;
        match self.pseudonym(kind, &source) {
            Ok(pseudonym) => self.leaves(Action::Pseudonymised, &pseudonym),
            Err(_) => self.leaves(Action::IdentifierEmpty, b"\"\""),
        }
    }

    /// Refuses what is too long or has invisible characters in it.
    fn must_identify(
        &self,
        kind: Index<IdKind>,
        source: &Source,
        start: usize,
    ) -> Result<(), Refusal> {
        match self.pseudonym(kind, source) {
            Ok(_) | Err(IdentifierFault::Empty) => Ok(()),
            Err(IdentifierFault::Invisible | IdentifierFault::TooLong) => {
                Err(Refusal::IdentifierInvalid { at: wide(start) })
            }
        }
    }

    /// The pseudonym as JSON: a number for a number if the notation is of digits.
    fn pseudonym(&self, kind: Index<IdKind>, source: &Source) -> Result<Vec<u8>, IdentifierFault> {
        let kind = self.law.kind(kind).unwrap();
        let mut bare = Vec::new();
        kind.write(Identifier::new(&source.says), &mut bare)?;
        if source.number && matches!(kind.spec().notation, Notation::Digits(_)) {
            return Ok(bare);
        }
        Ok([b"\"", bare.as_slice(), b"\""].concat())
    }

    fn list(&mut self, item: Item) -> Leaves {
        let mut items = Vec::new();
        self.reader.open()?;
        while self.reader.more(b']')? {
            let value = self.value_within(Within::Item, (item.rule(), Stands::Item))?;
            items.extend(value);
        }
        Ok(Some(joined(b"[", &items, b"]")))
    }

    fn shaped(&mut self, shape: Index<Shape>, stands: Stands) -> Leaves {
        let law = self.law;
        let chosen = match &law.policy.shape(shape).unwrap().body {
            ShapeBody::Fields(_) => shape,
            ShapeBody::Switch(switch) => match self.choice(switch)? {
                Otherwise::DropItem => return self.dropped(Action::DroppedItem),
                Otherwise::Shape(chosen) => chosen,
            },
        };
        let sought = match stands {
            Stands::Field | Stands::OwnId => Sought::Filters,
            Stands::Item | Stands::Whole => Sought::FiltersAndIds,
        };
        let fields = |shape| law.policy.fields(shape).unwrap();
        if self.way.is_home() {
            return self.object(fields(chosen), None).map(Some);
        }
        let why = Question::judge(law, (&self.reader, self.nesting), (shape, chosen), sought)?;
        let Some(why) = why else {
            return self.object(fields(chosen), None).map(Some);
        };
        match law.policy.stub_among(shape, chosen) {
            Some(stub) if stands != Stands::Whole || why == Why::Filtered => {
                self.count(Action::RecordStubbed);
                let own = ["sourcedId", "id"].into_iter().find_map(|own| {
                    let mut lines = fields(stub).lines().iter();
                    lines.position(|line| *line.key == *own)
                });
                self.object(fields(stub), own).map(Some)
            }
            _ if stands == Stands::Whole => self.withheld(why, stands),
            _ => self.dropped(why.action()),
        }
    }

    /// A record that is not sent, and of which nothing else is.
    fn withheld(&mut self, why: Why, stands: Stands) -> Leaves {
        match stands {
            Stands::Whole => Err(why.refusal()),
            Stands::Field | Stands::Item | Stands::OwnId => self.nothing(why.action()),
        }
    }

    /// Which shape the object here has; reads ahead and comes back.
    fn choice(&mut self, switch: &Switch) -> Result<Otherwise, Refusal> {
        let start = self.reader.clone();
        let mut found = Vec::new();
        let read = self.read_ahead(switch, &mut found);
        let read_to = match read.map_err(|refusal| refusal.at()) {
            // The end of a number is known by the byte behind it.
            Ok(()) => {
                self.reader.at
                    + usize::from(self.reader.since(self.reader.at - 1)[0].is_ascii_digit())
            }
            Err(at) => usize::try_from(at.unwrap_or_default()).unwrap(),
        };
        if read_to - start.at > self.law.limits.size(Bound::JsonSwitch) {
            return Err(fault(JsonFault::SwitchTooLate, start.at));
        }
        read?;
        self.reader = start;
        let matches = |case: &&(Box<str>, Index<Shape>)| found.iter().any(|one| *one == *case.0);
        Ok(match switch.cases.iter().find(matches) {
            Some((_, shape)) => Otherwise::Shape(*shape),
            None => switch.otherwise,
        })
    }

    /// Reads to the end of the field that chooses, or of the object if it does not come.
    fn read_ahead(&mut self, switch: &Switch, found: &mut Vec<String>) -> Result<(), Refusal> {
        let (field, rest) = switch.path.split_first().unwrap();
        self.reader.open()?;
        while self.reader.more(b'}')? {
            let key = self.reader.string(Length::Free)?;
            self.reader.colon()?;
            if key.says == **field {
                return self.discriminators(rest, found);
            }
            self.reader.skip(Length::Free)?;
        }
        Ok(())
    }

    /// The scalars at the end of the path, which may pass through lists.
    fn discriminators(
        &mut self,
        path: &[Box<str>],
        found: &mut Vec<String>,
    ) -> Result<(), Refusal> {
        match (self.reader.peek()?, path.split_first()) {
            (b'[', _) => {
                self.reader.open()?;
                while self.reader.more(b']')? {
                    self.discriminators(path, found)?;
                }
            }
            (b'{', Some((field, rest))) => return self.discriminators_in(field, rest, found),
            (b'"', None) => found.push(self.reader.string(Length::Free)?.says),
            (b'-' | b'0'..=b'9', None) => {
                found.push(self.reader.number(Length::Free)?.to_owned());
            }
            (b'f' | b't', None) => found.push(text(self.reader.literal()?).to_owned()),
            _ => self.reader.skip(Length::Free)?,
        }
        Ok(())
    }

    /// Those behind one key of the object here.
    fn discriminators_in(
        &mut self,
        field: &str,
        rest: &[Box<str>],
        found: &mut Vec<String>,
    ) -> Result<(), Refusal> {
        let mut came = false;
        self.reader.open()?;
        while self.reader.more(b'}')? {
            let start = self.reader.at;
            let is_field = self.reader.string(Length::Free)?.says == field;
            self.reader.colon()?;
            if is_field && came {
                return Err(fault(JsonFault::DuplicateKey, start));
            }
            came |= is_field;
            match is_field {
                true => self.discriminators(rest, found)?,
                false => self.reader.skip(Length::Free)?,
            }
        }
        Ok(())
    }

    /// An object, or a stub: then with the place of its own id.
    fn object(&mut self, fields: &'a Fields, own: Option<usize>) -> Result<Vec<u8>, Refusal> {
        let mut frame = Frame {
            fields,
            own,
            keys: BTreeSet::new(),
            canonical: BTreeSet::new(),
            places: BTreeSet::new(),
            sources: Vec::new(),
            waiting: BTreeSet::new(),
            entries: Vec::new(),
        };
        self.reader.open()?;
        while self.reader.more(b'}')? {
            self.field(&mut frame)?;
        }
        let mut expected = fields.lines().iter().map(|line| stands_in(line.rule));
        if frame.places.is_empty()
            && !frame.keys.is_empty()
            && fields.any.is_none()
            && expected.any(|constant| constant.is_none())
            && self.within.is_empty()
            && self.is_read()
        {
            return Err(Refusal::BodyOfAnotherShape); // not one field of it is declared
        }
        let added = fields.lines().iter().enumerate();
        for (place, line) in added.filter(|_| !self.way.is_home()) {
            if let (Some(index), false) = (stands_in(line.rule), frame.places.contains(&place)) {
                let value = self.constant(index.place());
                self.count(Action::Constant);
                frame
                    .entries
                    .push(entry(shortest(&line.key).as_bytes(), &value));
            }
        }
        for _ in &frame.waiting {
            self.count(Action::DroppedValue); // its sibling never came
        }
        Ok(joined(b"{", &frame.entries, b"}"))
    }

    fn field(&mut self, frame: &mut Frame<'a>) -> Result<(), Refusal> {
        let start = self.reader.at;
        let key = self.new_key(&mut frame.keys)?;
        let fields = frame.fields;
        let line = fields
            .lines()
            .iter()
            .position(|line| *line.key == *key.says);
        match (line, fields.any) {
            (Some(place), _) => {
                frame.places.insert(place);
                self.reader.colon()?;
                self.listed(frame, place, key.raw)
            }
            (None, Some(any)) => self.entry_of_map(frame, any, &key.says, start),
            (None, None) if fields.unlisted == Unlisted::Refuse => {
                Err(Refusal::FieldUnexpected { at: wide(start) })
            }
            (None, None) => {
                self.reader.colon()?;
                self.dropped(Action::DroppedUnlisted).map(drop)
            }
        }
    }

    fn listed(&mut self, frame: &mut Frame<'a>, place: usize, key: &[u8]) -> Result<(), Refusal> {
        let fields = frame.fields;
        let Field { key: name, rule } = &fields.lines()[place];
        let (within, rule) = (Within::Line(name), *rule);
        if self.way.is_home() {
            let value = self.value_within(within, (rule, Stands::Field))?;
            frame.entries.extend(value.map(|value| entry(key, &value)));
            return Ok(());
        }
        if let Rule::Derived { kind, of } = rule {
            return self.derived(frame, (place, kind, of), key);
        }
        let start = self.reader.at;
        let stands = frame.stands(place);
        let value = self.value_within(within, (rule, stands))?;
        frame.entries.extend(value.map(|value| entry(key, &value)));
        let source = self.source(start);
        for line in frame.fields.lines() {
            if let (Rule::Derived { kind, of }, Some(source)) = (line.rule, &source)
                && of == place
            {
                self.must_identify(kind, source, start)?;
            }
        }
        let lines = frame.fields.lines();
        for (field, line) in lines.iter().enumerate() {
            if let Rule::Derived { kind, of } = line.rule
                && of == place
                && frame.waiting.remove(&field)
            {
                let made = self.made(kind, source.as_ref(), stands);
                let key = shortest(&line.key);
                frame
                    .entries
                    .extend(made.map(|value| entry(key.as_bytes(), &value)));
            }
        }
        frame.sources.push((place, source));
        Ok(())
    }

    fn derived(
        &mut self,
        frame: &mut Frame<'_>,
        (place, kind, of): (usize, Index<IdKind>, usize),
        key: &[u8],
    ) -> Result<(), Refusal> {
        if self.reader.peek()? == b'n' {
            let null = self.reader.literal()?;
            self.count(Action::Kept);
            frame.entries.push(entry(key, null));
            return Ok(());
        }
        self.reader.skip(Length::Bounded)?;
        match frame.sources.iter().find(|(sibling, _)| *sibling == of) {
            None => {
                frame.waiting.insert(place);
            }
            Some((sibling, source)) => {
                let made = self.made(kind, source.as_ref(), frame.stands(*sibling));
                frame.entries.extend(made.map(|value| entry(key, &value)));
            }
        }
        Ok(())
    }

    /// What is made from a sibling that came, if it can be: of whoever objected, only in a stub and
    /// of its own id.
    fn made(
        &mut self,
        kind: Index<IdKind>,
        source: Option<&Source>,
        stands: Stands,
    ) -> Option<Vec<u8>> {
        let is_own = stands == Stands::OwnId;
        let source = source.filter(|it| is_own || !has_objected(self.law, kind, &it.says));
        let own = source.and_then(|source| self.own(kind, &source.says));
        if let Some(own) = own {
            self.count(Action::Kept);
            return Some(as_json(Form::Text, own).into_bytes());
        }
        let made = source.and_then(|source| self.pseudonym(kind, source).ok());
        let action = made
            .as_ref()
            .map_or(Action::DroppedValue, |_| Action::Pseudonymised);
        self.count(action);
        made
    }

    /// The value that began at `start` and was just read, as an identifier.
    fn source(&self, start: usize) -> Option<Source> {
        let raw = self.reader.since(start);
        let mut again = Reader::new(raw, &self.law.limits);
        match raw.first()? {
            b'"' => {
                let says = again.string(Length::Free).ok()?.says;
                Some(Source {
                    says,
                    number: false,
                })
            }
            b'0'..=b'9' => {
                let number = std::str::from_utf8(raw).ok()?;
                let says = values::is_id_number(number).then(|| number.to_owned())?;
                Some(Source { says, number: true })
            }
            _ => None,
        }
    }

    /// An entry of a map keyed by identifiers.
    fn entry_of_map(
        &mut self,
        frame: &mut Frame<'_>,
        any: Any,
        key: &str,
        start: usize,
    ) -> Result<(), Refusal> {
        if self.way.is_home() {
            return self.entry_comes(frame, any, key, start);
        }
        if has_objected(self.law, any.key, key) {
            self.reader.colon()?;
            return self.dropped(Action::RecordObjected).map(drop);
        }
        let kind = self.law.kind(any.key).unwrap();
        let canonical = match kind.spec().canonical.form(Identifier::new(key)) {
            Ok(form) => Some(form.into_owned()),
            // An empty identifier stays empty: beside a line of that name it would be a second.
            Err(IdentifierFault::Empty) => {
                let lines = frame.fields.lines();
                let alone = lines.iter().all(|line| !line.key.is_empty());
                alone.then(String::new)
            }
            Err(IdentifierFault::Invisible | IdentifierFault::TooLong) => None,
        };
        if let Some(form) = &canonical
            && !frame.canonical.insert(form.clone())
        {
            return Err(fault(JsonFault::DuplicateKey, start));
        }
        self.reader.colon()?;
        let Some(form) = canonical else {
            return self.dropped(Action::DroppedUnlisted).map(drop);
        };
        let source = Source {
            says: key.to_owned(),
            number: false,
        };
        let key = match form.as_str() {
            "" => b"\"\"".to_vec(),
            _ => match self.own(any.key, key) {
                Some(own) => as_json(Form::Text, own).into_bytes(),
                None => self.pseudonym(any.key, &source).unwrap(),
            },
        };
        let value = self.value_within(Within::Entry, (any.rule, Stands::Item))?;
        frame.entries.extend(value.map(|value| entry(&key, &value)));
        Ok(())
    }

    /// The same on the way home.
    fn entry_comes(
        &mut self,
        frame: &mut Frame<'_>,
        any: Any,
        key: &str,
        start: usize,
    ) -> Result<(), Refusal> {
        self.reader.colon()?;
        self.reader.peek()?;
        let (id, action) = match self.comes(any.key, key, start)? {
            Comes::AsItCame => (key.to_owned(), None),
            Comes::Dropped(why) => return self.dropped(why).map(drop),
            Comes::Empty => (String::new(), None),
            Comes::Home(action, _, id) => (id, Some(action)),
        };
        // Beside a line of that name it would be a second.
        if frame.fields.lines().iter().any(|line| *line.key == *id) {
            return self.dropped(Action::DroppedUnlisted).map(drop);
        }
        if !frame.canonical.insert(id.clone()) {
            return Err(fault(JsonFault::DuplicateKey, start));
        }
        action.into_iter().for_each(|action| self.count(action));
        let value = self.value_within(Within::Entry, (any.rule, Stands::Item))?;
        let key = shortest(&id);
        frame
            .entries
            .extend(value.map(|value| entry(key.as_bytes(), &value)));
        Ok(())
    }
}

/// Whether a rule makes something of the value: on the way home nothing is made.
fn is_made(rule: Rule) -> bool {
    match rule {
        Rule::Blank | Rule::Constant(_) | Rule::Derived { .. } | Rule::Generalise(_) => true,
        Rule::Drop
        | Rule::Identifier(_)
        | Rule::Keep(_)
        | Rule::KeepAll
        | Rule::Link(_)
        | Rule::List(_)
        | Rule::ListOrOne(_)
        | Rule::Nested(_)
        | Rule::Object(_)
        | Rule::Template(_) => false,
    }
}

/// What a field holds that did not come, or that came as null.
fn stands_in(rule: Rule) -> Option<Index<Constant>> {
    if let Rule::Constant(constant) | Rule::Link(Some(constant)) = rule {
        return Some(constant);
    }
    None
}

/// Whether a key names the page behind this one: `nextLink`, `next_page_url`, `@odata.nextLink`.
fn is_next(key: &str) -> bool {
    let letters = key.chars().filter(char::is_ascii_alphanumeric);
    let plain: String = letters.map(|letter| letter.to_ascii_lowercase()).collect();
    NEXT.contains(&&*plain)
}

fn shortest(key: &str) -> String {
    serde_json::to_string(key).unwrap()
}

fn as_json(form: Form, id: &str) -> String {
    match form {
        Form::Number => id.to_owned(),
        Form::Text => shortest(id),
    }
}

/// As RFC 3986 section 2.3 has it.
fn percent_encoded(text: &str) -> String {
    let encoded = |byte: u8| match byte {
        b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encoded).collect()
}

fn entry(key: &[u8], value: &[u8]) -> Vec<u8> {
    [key, b":", value].concat()
}

fn joined(open: &[u8], parts: &[Vec<u8>], close: &[u8]) -> Vec<u8> {
    [open, parts.join(&b","[..]).as_slice(), close].concat()
}

/// The identifiers of a text, by trying all places where one could end; `None` if there is not
/// exactly one way.
pub(super) fn ids_in(template: &Template, says: &str) -> Option<Vec<String>> {
    let between: Vec<&str> = { template.parts.iter().skip(1) }
        .map(|(before, _)| &**before)
        .collect();
    let inner = says.strip_prefix(&*template.parts[0].0)?;
    let inner = inner.strip_suffix(&*template.end)?;
    let good = |id: &&str| !id.is_empty() && !between.iter().any(|text| id.contains(text));
    let mut ways: Vec<Vec<&str>> = vec![vec![inner]];
    for text in &between {
        let mut longer = Vec::new();
        for way in &ways {
            let (last, before) = way.split_last().unwrap();
            for (at, _) in last.match_indices(text) {
                let (id, rest) = last.split_at(at);
                let (_, rest) = rest.split_at(text.len());
                longer.push([before, &[id, rest]].concat());
            }
        }
        ways = longer;
    }
    ways.retain(|way| way.iter().all(good));
    match ways.as_slice() {
        [way] => Some(way.iter().map(|id| (*id).to_owned()).collect()),
        _ => None,
    }
}

/// The route that a link leads along, and the parts of its path: in the one flow of a golden case
/// or a random policy, along routes without parameters.
pub(crate) fn route_of<'l>(
    law: &'l Law,
    to: Side,
    link: &'l str,
) -> Option<(&'l Route, Vec<&'l str>)> {
    let bases = law.policy.bases.first()?;
    let from = match to == law.policy.flows[0].caller {
        true => &bases.upstream,
        false => &bases.public,
    };
    let path = link.strip_prefix(&format!("{from}/"))?;
    let parts: Vec<&str> = path.split('/').collect();
    let fits = |route: &&Route| {
        let mut both = route.path.iter().zip(&parts);
        route.method == Method::Get
            && route.path.len() == parts.len()
            && both.all(|(segment, part)| match segment {
                Segment::Identifier(_) => true,
                Segment::Literal(literal) => **literal == **part,
                Segment::Parameter(_) => panic!("a parameter in a golden case"),
            })
    };
    let route = law.policy.flows[0].routes.iter().find(fits)?;
    Some((route, parts))
}
