//! The slow rewriter: one message, one rule, all at once.

use std::collections::BTreeSet;

use sluis::limits::Bound;
use sluis::minimise::Law;
use sluis::policy::{
    Any, Fields, IdKind, Index, Item, Keep, Otherwise, Rule, Shape, ShapeBody, Switch, Unlisted,
    ValueType,
};
use sluis::pseudonym::{Identifier, IdentifierFault, Notation};
use sluis::refusal::{JsonFault, Refusal};

use super::grammar::{Length, Reader, Text, fault, text, wide};
use super::values;

/// What leaves of the message, or why none of it may.
pub(crate) fn rewrite(law: &Law, rule: Rule, message: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut oracle = Oracle {
        law,
        reader: Reader::new(message, &law.limits),
    };
    oracle.reader.begin()?;
    let leaves = oracle.value(rule)?.ok_or(Refusal::BodyOfAnotherShape)?;
    oracle.reader.finish()?;
    Ok(leaves)
}

struct Oracle<'a> {
    law: &'a Law,
    reader: Reader<'a>,
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

impl<'a> Oracle<'a> {
    fn value(&mut self, rule: Rule) -> Leaves {
        let first = self.reader.peek()?;
        if first == b'n' && !matches!(rule, Rule::Drop | Rule::Constant(_) | Rule::Derived { .. }) {
            return self.reader.literal().map(|null| Some(null.to_vec()));
        }
        match rule {
            Rule::Blank => self.blank(first),
            Rule::Constant(index) => {
                self.reader.skip(Length::Bounded)?;
                Ok(Some(self.constant(index.place())))
            }
            Rule::Derived { .. } | Rule::Drop => self.dropped(),
            Rule::Generalise(index) => {
                let generaliser = &self.law.policy.generalisers[index.place()];
                match first {
                    b'"' => {
                        let text = self.reader.string(Length::Bounded)?;
                        let less = values::generalise_text(generaliser, &text.says);
                        Ok(less.map(String::into_bytes))
                    }
                    b'-' | b'0'..=b'9' => {
                        let number = self.reader.number(Length::Bounded)?;
                        let less = values::generalise_number(generaliser, number);
                        Ok(less.map(String::into_bytes))
                    }
                    _ => self.dropped(),
                }
            }
            Rule::Identifier(kind) => self.identifier(kind, first),
            Rule::Keep(keep) => self.keep(keep, first),
            Rule::KeepAll => self.keep_all(first),
            Rule::List(item) => match first {
                b'[' => self.list(item),
                _ => self.dropped(),
            },
            Rule::ListOrOne(item) => match first {
                b'[' => self.list(item),
                _ => self.value(item.rule()),
            },
            Rule::Object(shape) => match first {
                b'{' => self.shaped(shape),
                _ => self.dropped(),
            },
        }
    }

    fn dropped(&mut self) -> Leaves {
        self.reader.skip(Length::Bounded)?;
        Ok(None)
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
        Ok(Some(empty.into()))
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
            b'{' | b'[' => return self.dropped(),
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
        Ok((right && fits).then(|| raw.to_vec()))
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
        Ok(Some(self.reader.since(start).to_vec()))
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

    fn identifier(&mut self, kind: Index<IdKind>, first: u8) -> Leaves {
        let start = self.reader.at;
        let source = match first {
            b'"' => Source {
                says: self.reader.string(Length::Bounded)?.says,
                number: false,
            },
            b'-' | b'0'..=b'9' => {
                let number = self.reader.number(Length::Bounded)?;
                if !values::is_id_number(number) {
                    return Ok(None);
                }
                Source {
                    says: number.to_owned(),
                    number: true,
                }
            }
            _ => return self.dropped(),
        };
        self.must_identify(kind, &source, start)?;
        match self.pseudonym(kind, &source) {
            Ok(pseudonym) => Ok(Some(pseudonym)),
            Err(_) => Ok(Some(b"\"\"".to_vec())),
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
            items.extend(self.value(item.rule())?);
        }
        Ok(Some(joined(b"[", &items, b"]")))
    }

    fn shaped(&mut self, shape: Index<Shape>) -> Leaves {
        let law = self.law;
        match &law.policy.shape(shape).unwrap().body {
            ShapeBody::Fields(fields) => self.object(fields).map(Some),
            ShapeBody::Switch(switch) => match self.choice(switch)? {
                Otherwise::DropItem => self.dropped(),
                Otherwise::Shape(chosen) => self.shaped(chosen),
            },
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

    fn object(&mut self, fields: &Fields) -> Result<Vec<u8>, Refusal> {
        let mut frame = Frame {
            fields,
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
        for (place, line) in fields.lines().iter().enumerate() {
            if let (Rule::Constant(index), false) = (line.rule, frame.places.contains(&place)) {
                let value = self.constant(index.place());
                frame
                    .entries
                    .push(entry(shortest(&line.key).as_bytes(), &value));
            }
        }
        Ok(joined(b"{", &frame.entries, b"}"))
    }

    fn field(&mut self, frame: &mut Frame<'_>) -> Result<(), Refusal> {
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
                self.reader.skip(Length::Bounded)
            }
        }
    }

    fn listed(&mut self, frame: &mut Frame<'_>, place: usize, key: &[u8]) -> Result<(), Refusal> {
        let rule = frame.fields.lines()[place].rule;
        if let Rule::Derived { kind, of } = rule {
            return self.derived(frame, (place, kind, of), key);
        }
        let start = self.reader.at;
        let value = self.value(rule)?;
        frame.entries.extend(value.map(|value| entry(key, &value)));
        let source = self.source(start);
        for line in frame.fields.lines() {
            if let (Rule::Derived { kind, of }, Some(source)) = (line.rule, &source)
                && of == place
            {
                self.must_identify(kind, source, start)?;
            }
        }
        let waiting = frame
            .fields
            .lines()
            .iter()
            .enumerate()
            .filter_map(|(field, line)| {
                let Rule::Derived { kind, of } = line.rule else {
                    return None;
                };
                (of == place && frame.waiting.contains(&field)).then_some((line, kind))
            });
        for (line, kind) in waiting {
            let made = source
                .as_ref()
                .and_then(|source| self.pseudonym(kind, source).ok());
            let key = shortest(&line.key);
            frame
                .entries
                .extend(made.map(|value| entry(key.as_bytes(), &value)));
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
            frame.entries.push(entry(key, null));
            return Ok(());
        }
        self.reader.skip(Length::Bounded)?;
        match frame.sources.iter().find(|(sibling, _)| *sibling == of) {
            None => {
                frame.waiting.insert(place);
            }
            Some((_, None)) => {}
            Some((_, Some(source))) => {
                let made = self.pseudonym(kind, source).ok();
                frame.entries.extend(made.map(|value| entry(key, &value)));
            }
        }
        Ok(())
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
        let kind = self.law.kind(any.key).unwrap();
        let canonical = match kind.spec().canonical.form(Identifier::new(key)) {
            Ok(form) => Some(form.into_owned()),
            Err(IdentifierFault::Empty) => Some(String::new()),
            Err(IdentifierFault::Invisible | IdentifierFault::TooLong) => None,
        };
        if let Some(form) = &canonical
            && !frame.canonical.insert(form.clone())
        {
            return Err(fault(JsonFault::DuplicateKey, start));
        }
        self.reader.colon()?;
        let Some(form) = canonical else {
            return self.reader.skip(Length::Bounded);
        };
        let source = Source {
            says: key.to_owned(),
            number: false,
        };
        let key = match form.as_str() {
            "" => b"\"\"".to_vec(),
            _ => self.pseudonym(any.key, &source).unwrap(),
        };
        let value = self.value(any.rule)?;
        frame.entries.extend(value.map(|value| entry(&key, &value)));
        Ok(())
    }
}

fn shortest(key: &str) -> String {
    serde_json::to_string(key).unwrap()
}

fn entry(key: &[u8], value: &[u8]) -> Vec<u8> {
    [key, b":", value].concat()
}

fn joined(open: &[u8], parts: &[Vec<u8>], close: &[u8]) -> Vec<u8> {
    [open, parts.join(&b","[..]).as_slice(), close].concat()
}
