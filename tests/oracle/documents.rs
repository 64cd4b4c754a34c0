//! Random messages for a given policy, with marks in all that must not leave.

use sluis::policy::{
    Fields, Generaliser, IdKind, Index, Item, Keep, Otherwise, Rule, Segment, Shape, ShapeBody,
    Switch, Template, ValueType,
};
use sluis::pseudonym::{Recall, Unknown};

use super::book::{Owner, Way};
use super::dice::{Dice, scrambled};
use super::policies::KEYS;

/// Stands in every text and key that the policy does not let out.
pub(crate) const MARK: &str = "zQ9markQ9z";
/// Begins every number that the policy does not let out.
pub(crate) const MARK_DIGITS: &str = "770077007700";
/// An id of the vendor's own making.
const OWN: &str = "LI-1";
/// Values below one message, about.
const FUEL: usize = 150;
/// Nesting of a message, unless it is made to be too deep.
const DEPTH: usize = 7;

/// A well-formed message, now and then with a key given twice, too deep or with a bad identifier.
pub(crate) fn document(way: &Way, rule: Rule, dice: &mut Dice<'_>) -> Vec<u8> {
    let mut writer = Writer {
        way,
        plain: dice.once_in(2),
        dice,
        out: Vec::new(),
        fuel: FUEL,
        depth: 0,
        marks: 0,
    };
    writer.blanks();
    writer.value(rule);
    writer.blanks();
    writer.out
}

/// Spoils a message in one to three places, in any way.
pub(crate) fn spoil(message: &mut Vec<u8>, dice: &mut Dice<'_>) {
    const BYTES: &[u8] =
        b"\"\\{}[]:,0-.eEtfnu \n\x00\x1f\x7f\x80\xc3\xe2\xed\xf4\xff\xef\xbb\xbf+NI/9d";
    for _ in 0..=dice.below(3) {
        let at = dice.place(message.len() + 1);
        let end = (at + 1 + dice.below(8)).min(message.len());
        let start = at.min(end);
        match dice.below(16) {
            0 => message.truncate(at),
            1..=5 => message.insert(at, *dice.pick(BYTES)),
            6..=8 => drop(message.drain(start..end)),
            9..=11 => {
                let again = message[start..end].to_vec();
                let to = dice.place(message.len() + 1);
                message.splice(to..to, again);
            }
            _ => {
                if let Some(byte) = message.get_mut(at) {
                    *byte = *dice.pick(BYTES);
                }
            }
        }
    }
}

/// Plants one fault within one string, number or literal of a well-formed message.
pub(crate) fn plant(message: &mut Vec<u8>, dice: &mut Dice<'_>) {
    let scalars = scalars(message);
    if scalars.is_empty() {
        return;
    }
    let (start, end) = scalars[dice.place(scalars.len())];
    match message[start] {
        b'"' => {
            let places = boundaries(message, start + 1, end - 1);
            let at = places[dice.place(places.len())];
            let faults: [&[u8]; 8] = [
                b"\\x",
                b"\\ud800",
                b"\\udc00\\ud800",
                b"\\u12g4",
                b"\n",
                b"\0",
                b"\xff",
                b"\xed\xa0\x80",
            ];
            let fault = *dice.pick(&faults);
            message.splice(at..at, fault.iter().copied());
        }
        b'f' | b'n' | b't' => {
            let faults: [&[u8]; 4] = [b"nul", b"True", b"falsE", b"tr\xc3\xa9"];
            let fault = *dice.pick(&faults);
            message.splice(start..end, fault.iter().copied());
        }
        _ => {
            let faults: [&[u8]; 8] = [
                b"01",
                b"1.",
                b"+1",
                b"-",
                b".5",
                b"1e",
                b"NaN",
                b"-Infinity",
            ];
            let fault = *dice.pick(&faults);
            message.splice(start..end, fault.iter().copied());
        }
    }
}

/// Where the strings, numbers and literals of a well-formed message stand, keys among them.
fn scalars(message: &[u8]) -> Vec<(usize, usize)> {
    let mut scalars = Vec::new();
    let mut at = 0;
    while let Some(byte) = message.get(at) {
        let behind = |byte: &u8| b" \t\n\r,:[]{}".contains(byte);
        let end = match byte {
            b'"' => boundaries(message, at + 1, message.len()).last().unwrap() + 1,
            _ => {
                at + message[at..]
                    .iter()
                    .position(behind)
                    .unwrap_or(message.len() - at)
            }
        };
        if end > at {
            scalars.push((at, end));
        }
        at = end.max(at + 1);
    }
    scalars
}

/// The places between two characters or escapes of a string, up to its quote. The two escapes of
/// one character belong together: what is put between them makes two faults.
fn boundaries(message: &[u8], start: usize, end: usize) -> Vec<usize> {
    let mut places = vec![start];
    let mut at = start;
    while at < end && message[at] != b'"' {
        at += match message[at] {
            b'\\' if is_first_of_two(&message[at..]) => 12,
            b'\\' if message[at + 1] == b'u' => 6,
            b'\\' => 2,
            byte => usize::try_from(byte.leading_ones()).unwrap().max(1),
        };
        places.push(at);
    }
    places
}

/// Whether an escape is the first half of a character beyond 16 bits.
fn is_first_of_two(escape: &[u8]) -> bool {
    let digits = escape.strip_prefix(b"\\u");
    let digits = digits.map(|it| it[..4].to_ascii_lowercase());
    digits.is_some_and(|it| it[0] == b'd' && b"89ab".contains(&it[1]))
}

/// Whether a value may leave.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Free,
    Secret,
}

/// The case of a switch that an object is made for; beyond the last one: none of them.
#[derive(Clone, Copy)]
struct Chosen<'s> {
    switch: &'s Switch,
    case: usize,
}

struct Writer<'a, 'd> {
    way: &'a Way,
    dice: &'a mut Dice<'d>,
    /// As machines write: nothing between tokens, keys in the order of the policy.
    plain: bool,
    out: Vec<u8>,
    fuel: usize,
    depth: usize,
    marks: usize,
}

impl Writer<'_, '_> {
    fn value(&mut self, rule: Rule) {
        self.fuel = self.fuel.saturating_sub(1);
        // As a whole it is refused, where more than a scalar is declared.
        let whole = self.depth == 0;
        if self.dice.once_in(if whole { 128 } else { 16 }) {
            return self.put("null");
        }
        match rule {
            Rule::Blank | Rule::Constant(_) | Rule::Derived { .. } | Rule::Drop => self.secret(),
            Rule::Generalise(_) if self.way.is_home() => self.secret(),
            Rule::Generalise(index) => {
                let generaliser = self.way.law.policy.generalisers[index.place()].clone();
                self.general(&generaliser);
            }
            Rule::Identifier(kind) => self.identifier(kind),
            Rule::Keep(keep) => self.kept(keep),
            Rule::KeepAll => self.anything(What::Free),
            Rule::Link(_) => self.link(),
            // Not a text: one that is JSON of the shape may leave.
            Rule::Nested(_) if self.dice.once_in(8) || !self.room() => self.secret_but(b"\""),
            Rule::Nested(shape) => self.nested(shape),
            Rule::Template(index) => self.template(&self.way.law.policy.templates[index.place()]),
            // Right below the message as a whole more often: there it may be what it is about.
            Rule::List(item) if self.dice.once_in(if self.depth == 1 { 4 } else { 12 }) => {
                self.not_of(item);
            }
            Rule::List(item) => self.list(item),
            Rule::ListOrOne(item) if self.dice.once_in(3) => self.one(item),
            Rule::ListOrOne(item) => self.list(item),
            Rule::Object(_) if self.dice.once_in(12) || !self.room() => self.secret_but(b"{"),
            Rule::Object(shape) => self.shaped(shape),
        }
    }

    /// One item where a list may stand too: then a list is not of the wrong type.
    fn one(&mut self, item: Item) {
        match item {
            Item::Identifier(kind) => self.identifier(kind),
            Item::Keep(keep) => self.kept_scalar(keep),
            Item::Link(_) => {
                let start = self.out.len();
                self.link();
                if self.out[start] == b'[' {
                    self.out.truncate(start);
                    self.put("true");
                }
            }
            Item::Template(index) => self.template(&self.way.law.policy.templates[index.place()]),
            Item::Object(shape) if self.room() => self.shaped(shape),
            Item::Object(_) => self.put("null"),
        }
    }

    fn room(&self) -> bool {
        self.fuel > 0 && self.depth < DEPTH
    }

    fn put(&mut self, json: &str) {
        self.out.extend_from_slice(json.as_bytes());
    }

    fn blanks(&mut self) {
        if self.plain {
            return;
        }
        let blanks = *self
            .dice
            .pick(&["", "", "", "", "", "", " ", "\n", "\t\r\n  "]);
        self.put(blanks);
    }

    /// A string with some of its characters escaped.
    fn string(&mut self, says: &str) {
        let style = self.dice.byte();
        let mut state = u64::from(style);
        self.put("\"");
        for character in says.chars() {
            state = scrambled(state);
            let must = character < ' ' || character == '"' || character == '\\';
            if must || style % 4 == 3 && state % 3 == 0 {
                self.escaped(character, state >> 8);
            } else {
                self.put(character.encode_utf8(&mut [0; 4]));
            }
        }
        self.put("\"");
    }

    fn escaped(&mut self, character: char, choice: u64) {
        let short = match character {
            '"' => "\\\"",
            '\\' => "\\\\",
            '/' => "\\/",
            '\u{8}' => "\\b",
            '\u{c}' => "\\f",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            _ => "",
        };
        if !short.is_empty() && choice.is_multiple_of(2) {
            return self.put(short);
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            let upper = format!("\\u{unit:04X}");
            self.put(&if choice % 4 < 2 {
                upper
            } else {
                format!("\\u{unit:04x}")
            });
        }
    }

    fn mark(&mut self) -> String {
        self.marks += 1;
        format!("§{MARK}{}", self.marks)
    }

    fn marked_string(&mut self) {
        let mark = self.mark();
        let says = match self.dice.below(4) {
            0 | 1 => mark,
            2 => format!("\"\n{mark}\u{7f}é😀"),
            _ => format!("{{\"sourcedId\":\"{mark}\"}}"),
        };
        self.string(&says);
    }

    fn marked_number(&mut self) {
        self.marks += 1;
        let tail = *self.dice.pick(&["", ".5", "e3", "E-2"]);
        let sign = *self.dice.pick(&["", "-"]);
        self.put(&format!("{sign}{MARK_DIGITS}{}{tail}", self.marks));
    }

    fn secret(&mut self) {
        self.anything(What::Secret);
    }

    /// Something that begins with none of these bytes.
    fn secret_but(&mut self, not: &[u8]) {
        let start = self.out.len();
        self.secret();
        if not.contains(&self.out[start]) {
            self.out.truncate(start);
            self.put(if not.contains(&b'"') { "true" } else { "\"\"" });
        }
    }

    fn anything(&mut self, what: What) {
        self.fuel = self.fuel.saturating_sub(1);
        let choices = if self.room() { 9 } else { 6 };
        match self.dice.below(choices) {
            0 | 1 if what == What::Secret => self.marked_string(),
            2 if what == What::Secret => self.marked_number(),
            0 | 1 => {
                let says = *self
                    .dice
                    .pick(&["", "vrij", "é😀\u{0}\n\"", "e\u{308}", "\\"]);
                self.string(says);
            }
            2 => self.number(),
            3 => self.put("true"),
            4 => self.put("false"),
            5 => self.put("null"),
            6 | 7 => {
                let count = self.dice.below(4);
                self.braced("{", "}", count, |writer, place| {
                    writer.any_key(what, place);
                    writer.colon();
                    writer.anything(what);
                });
            }
            _ => {
                let count = self.dice.below(4);
                self.braced("[", "]", count, |writer, _| writer.anything(what));
            }
        }
    }

    fn any_key(&mut self, what: What, place: usize) {
        match what {
            What::Free if self.dice.once_in(40) => self.string("k0"),
            What::Free => self.string(&format!("k{place}")),
            What::Secret => self.marked_string(),
        }
    }

    fn colon(&mut self) {
        self.blanks();
        self.put(":");
        self.blanks();
    }

    fn braced(
        &mut self,
        open: &str,
        close: &str,
        count: usize,
        mut part: impl FnMut(&mut Self, usize),
    ) {
        self.put(open);
        self.depth += 1;
        for place in 0..count {
            if place > 0 {
                self.put(",");
            }
            self.blanks();
            part(self, place);
            self.blanks();
        }
        self.depth -= 1;
        self.put(close);
    }

    fn number(&mut self) {
        let number = *self.dice.pick(&[
            "0",
            "-0",
            "7",
            "-5",
            "1.5",
            "-0.0",
            "1e5",
            "1E+2",
            "2.5",
            "0.10",
            "-7.5",
            "12",
            "3.999",
            "12345678901234567890123",
            "99999999999999999999999999.5",
            "0e0",
            "100",
            "5e-1",
            "-10",
        ]);
        self.put(number);
    }

    fn general(&mut self, generaliser: &Generaliser) {
        match generaliser {
            _ if self.dice.once_in(8) => self.secret_but(b"\"-0123456789"),
            Generaliser::Band(_) | Generaliser::Round(_) => {
                if self.dice.once_in(8) {
                    self.marked_string();
                } else {
                    self.number();
                }
            }
            Generaliser::Initial => {
                let mark = self.mark();
                let start = *self
                    .dice
                    .pick(&["N", "e\u{308}\u{301}", "é", "😀", "\"", "\u{1}"]);
                self.string(&format!("{start}{mark}"));
            }
            Generaliser::Month(_) | Generaliser::SchoolYear(_) | Generaliser::Year(_) => {
                let dates = [
                    "2017-03-09",
                    "2016-08-01",
                    "2016-07-31",
                    "2024-02-29",
                    "2023-02-29",
                    "2017-3-9",
                    "2017-03-09T10:11:12Z",
                    "2017-12-31T23:59:59.5+01:00",
                    "2017",
                    "2017-03-09T10:11:12",
                    "2017-13-01",
                    "2017-03-09 ",
                    "",
                ];
                let says = *self.dice.pick(&dates);
                self.string(says);
            }
        }
    }

    /// A pseudonym, as a text or as a number; now and then nobody's, or none.
    fn pseudonym(&mut self, kind: Index<IdKind>) {
        match self.dice.below(12) {
            // A list would be one of pseudonyms, where one may stand alone.
            0 => self.secret_but(b"[\"-0123456789"),
            1 => self.string(""),
            _ => {
                let says = self.pseudonym_text(kind);
                let digits = says.bytes().all(|byte| byte.is_ascii_digit());
                let short = (1..30).contains(&says.len());
                if digits && short && self.dice.once_in(2) {
                    self.put(&says);
                } else {
                    self.string(&says);
                }
            }
        }
    }

    /// Somebody's pseudonym, or a text that is nobody's. With a mark, unless it may reach the school.
    fn pseudonym_text(&mut self, kind: Index<IdKind>) -> String {
        let spec = self.way.law.kind(kind).unwrap().spec();
        let accepted = |owner: &Owner| match owner.recall {
            Recall::Found { age, .. } => age < spec.accept_keys,
            Recall::Foreign | Recall::Retired | Recall::Unknown => false,
        };
        let any = self.dice.once_in(40);
        let fits = |(text, owner): &(&str, &Owner)| match spec.unknown {
            Unknown::Drop => true,
            // Whoever objected is nobody, and what is nobody's stays as it came.
            Unknown::Keep => owner.id != "S-64009" && (any || accepted(owner)),
            // What does not look like one is of the vendor's own making.
            Unknown::Own => spec.notation.read(text).is_some() && (any || accepted(owner)),
            Unknown::Reject => any || accepted(owner),
        };
        let mut known = self.way.book.of_kind(kind.place()).filter(fits);
        let somebodys = known.nth(self.dice.below(6));
        let throws = if spec.unknown == Unknown::Reject {
            60
        } else {
            4
        };
        match (somebodys, spec.unknown) {
            (Some((text, _)), _) if !self.dice.once_in(throws) => text.to_owned(),
            (_, Unknown::Keep) => "V-1".to_owned(),
            (_, Unknown::Own) => format!("LI-{}.a", self.dice.below(3)),
            (_, Unknown::Drop | Unknown::Reject) => self.mark(),
        }
    }

    fn identifier(&mut self, kind: Index<IdKind>) {
        if self.way.is_home() {
            return self.pseudonym(kind);
        }
        match self.dice.below(12) {
            0 => self.marked_number(),
            1 => self.string(""),
            2 => self.string(" \t"),
            3 => self.put("770077007700123"),
            4 => self.secret_but(b"\""),
            5 if self.dice.once_in(4) => {
                let mark = self.mark();
                self.string(&format!("{mark}\u{200b}"));
            }
            6 => {
                // As the school has it, and what it makes of it.
                let vendor = &self.way.law.policy.vendor;
                let end = *self.dice.pick(&["~", "~", "~-2", ""]);
                self.string(&format!("{vendor}~{OWN}{end}"));
            }
            _ => {
                let mark = self.mark();
                let says = match self.dice.below(4) {
                    0 => mark,
                    1 => format!(" {mark}"),
                    2 => format!("00{mark}É"),
                    _ => format!("\"{mark}\\ e\u{308}"),
                };
                self.string(&says);
            }
        }
    }

    fn kept(&mut self, keep: Keep) {
        if self.dice.once_in(10) {
            return self.braced("[", "]", 1, |writer, _| writer.marked_string());
        }
        self.kept_scalar(keep);
    }

    fn kept_scalar(&mut self, keep: Keep) {
        match keep.of {
            ValueType::Any => match self.dice.below(4) {
                0 => {
                    let texts = [
                        "active",
                        "é\n",
                        "",
                        "A",
                        "AB-12",
                        "ABAB-12",
                        "tekst\u{0}",
                        "1",
                    ];
                    let says = *self.dice.pick(&texts);
                    self.string(says);
                }
                1 | 2 => self.number(),
                _ => self.put("true"),
            },
            ValueType::Bool | ValueType::Int | ValueType::Number => match self.dice.below(6) {
                0 => self.put("true"),
                1 => self.put("false"),
                2 => self.marked_string(),
                _ => self.number(),
            },
            _ if self.dice.once_in(6) => self.marked_string(),
            _ if self.dice.once_in(6) => self.marked_number(),
            of @ (ValueType::Date
            | ValueType::DateTime
            | ValueType::Lang
            | ValueType::Slug
            | ValueType::Url
            | ValueType::Uuid) => {
                let says = *self.dice.pick(samples(of));
                self.string(says);
            }
        }
    }

    fn list(&mut self, item: Item) {
        if !self.room() {
            return self.put("[]");
        }
        let count = self.dice.below(4);
        self.braced("[", "]", count, |writer, _| {
            if writer.dice.once_in(16) {
                writer.braced("[", "]", 1, |writer, _| writer.marked_string());
            } else {
                writer.value(item.rule());
            }
        });
    }

    /// What may not stand where a list of these stands.
    fn not_of(&mut self, item: Item) {
        match item {
            Item::Identifier(_) | Item::Link(_) | Item::Object(_) | Item::Template(_) => {
                self.secret_but(b"[");
            }
            Item::Keep(_) => self.braced("{", "}", 1, |writer, place| {
                writer.any_key(What::Secret, place);
                writer.colon();
                writer.secret();
            }),
        }
    }

    /// An object of that shape as a text.
    fn nested(&mut self, shape: Index<Shape>) {
        let outer = std::mem::take(&mut self.out);
        self.blanks();
        self.value(Rule::Object(shape));
        let inner = std::mem::replace(&mut self.out, outer);
        self.string(str::from_utf8(&inner).unwrap());
    }

    /// A link to somebody, one that leads nowhere, or what says that there is nothing to lead to.
    fn link(&mut self) {
        let policy = &self.way.law.policy;
        let led = policy.flows.first().zip(policy.bases.first());
        match (self.dice.below(8), led) {
            (0, _) => self.put("\"\""),
            (1, _) => self.put("false"),
            (2..6, Some((flow, bases))) => {
                let from = match self.way.to == flow.caller {
                    true => &bases.upstream,
                    false => &bases.public,
                };
                let Segment::Identifier(kind) = flow.routes[0].path[1] else {
                    panic!("links lead to somebody");
                };
                let id = match self.way.is_home() {
                    true => self.pseudonym_text(kind),
                    false if self.dice.once_in(8) => "S-64009".to_owned(),
                    false => self.mark(),
                };
                let plain =
                    |letter: &char| letter.is_ascii_alphanumeric() || "-.".contains(*letter);
                let id: String = id.chars().filter(plain).collect();
                self.string(&format!("{from}/pupils/{id}"));
            }
            _ => self.secret(),
        }
    }

    /// A text of that form with marked identifiers, or one that nearly is.
    fn template(&mut self, template: &Template) {
        let mut says = String::new();
        for (before, kind) in &template.parts {
            says += before;
            says += &match self.dice.below(12) {
                0 => String::new(),
                1 => format!("{}{before}", self.mark()),
                2 if !self.way.is_home() => " \t".to_owned(),
                _ if self.way.is_home() => self.pseudonym_text(*kind),
                _ => self.mark(),
            };
        }
        says += &template.end;
        match self.dice.below(10) {
            0 => self.marked_string(),
            1 => self.string(&format!("{says}{}", template.end)),
            _ => self.string(&says),
        }
    }

    fn shaped(&mut self, shape: Index<Shape>) {
        let law = &self.way.law;
        match &law.policy.shape(shape).unwrap().body {
            ShapeBody::Fields(fields) => self.object(fields, None),
            ShapeBody::Switch(switch) => self.switched(switch),
        }
    }

    /// An object of one of the cases, of none of them, or without the field that says which.
    fn switched(&mut self, switch: &Switch) {
        let throw = self.dice.below(switch.cases.len() + 2);
        let shape = match (switch.cases.get(throw), switch.otherwise) {
            (Some((_, shape)), _) => *shape,
            (None, Otherwise::Shape(shape)) => shape,
            (None, Otherwise::DropItem) => switch.cases[0].1, // nothing of it may leave
        };
        let fields = self.way.law.policy.fields(shape).unwrap();
        let chosen = Chosen {
            switch,
            case: throw,
        };
        self.object(fields, Some(chosen));
    }

    fn object(&mut self, fields: &Fields, chosen: Option<Chosen<'_>>) {
        let field = chosen.map(|chosen| &*chosen.switch.path[0]);
        let mut entries: Vec<Option<usize>> = (0..fields.lines().len())
            .filter(|place| Some(&*fields.lines()[*place].key) != field)
            .filter(|_| !self.dice.once_in(7))
            .map(Some)
            .collect();
        if self.dice.once_in(30) {
            entries.extend(entries.first().copied()); // a key given twice
        }
        for _ in 0..self.dice.below(3) {
            entries.insert(self.dice.below(entries.len() + 1), None);
        }
        for place in (1..entries.len()).rev().filter(|_| !self.plain) {
            entries.swap(place, self.dice.below(place + 1));
        }
        // Beyond all cases and none of them lies the object in which the field does not come.
        let comes = chosen.filter(|chosen| chosen.case <= chosen.switch.cases.len());
        let turn = comes.map(|_| self.dice.below(entries.len() + 1));
        let count = entries.len() + usize::from(turn.is_some());
        let mut entries = entries.into_iter();
        self.braced("{", "}", count, |writer, place| match comes {
            Some(chosen) if Some(place) == turn => writer.choosing(chosen, 0),
            _ => match entries.next().flatten() {
                Some(line) => {
                    let line = &fields.lines()[line];
                    writer.string(&line.key);
                    writer.colon();
                    writer.value(line.rule);
                }
                None => writer.unlisted(fields, field),
            },
        });
    }

    /// The field that chooses a shape, `depth` keys down its path.
    fn choosing(&mut self, chosen: Chosen<'_>, depth: usize) {
        let Some(field) = chosen.switch.path.get(depth) else {
            let case = chosen
                .switch
                .cases
                .get(chosen.case)
                .map_or("nobody", |(case, _)| case);
            return match case {
                "1" | "true" | "1.0" if self.dice.once_in(2) => self.put(case),
                _ => self.string(case),
            };
        };
        self.string(field);
        self.colon();
        if self.dice.once_in(3) {
            let count = 1 + self.dice.below(3);
            self.braced("[", "]", count, |writer, place| {
                // Behind the case that counts stand others that come after it in the policy.
                let after = chosen.switch.cases.len() + 1 - chosen.case;
                let case = match place {
                    0 => chosen.case,
                    _ => chosen.case + writer.dice.below(after),
                };
                writer.chosen(Chosen { case, ..chosen }, depth + 1);
            });
        } else {
            self.chosen(chosen, depth + 1);
        }
    }

    fn chosen(&mut self, chosen: Chosen<'_>, depth: usize) {
        if depth == chosen.switch.path.len() {
            self.choosing(chosen, depth);
        } else {
            self.braced("{", "}", 1, |writer, _| writer.choosing(chosen, depth));
        }
    }

    /// An entry whose key has no line.
    fn unlisted(&mut self, fields: &Fields, chooses: Option<&str>) {
        let near = *self.dice.pick(&KEYS);
        let near = match self.dice.below(4) {
            0 => near.to_owned(),
            1 => format!("{near}\u{0}"),
            2 => near.to_ascii_uppercase(),
            _ => near.chars().skip(1).collect(),
        };
        let is_line = fields.lines().iter().any(|line| *line.key == near);
        let is_other = !is_line && chooses != Some(near.as_str());
        match self.dice.below(3) {
            0 if is_other && fields.any.is_none() => self.string(&near),
            _ if self.way.is_home() && fields.any.is_some() => {
                let kind = fields.any.unwrap().key;
                let says = self.pseudonym_text(kind);
                self.string(&says);
            }
            1 if fields.any.is_some() => {
                let start = *self.dice.pick(&[" ", "", "A", "e\u{308}", "\u{feff}"]);
                let mark = self.mark();
                self.string(&format!("{start}{mark}"));
            }
            2 if fields.any.is_some() && self.dice.once_in(4) => self.string(" "),
            _ => self.marked_string(),
        }
        self.colon();
        match fields.any {
            Some(any) if !self.dice.once_in(6) => self.value(any.rule),
            Some(_) => self.put("null"),
            None => self.secret(),
        }
    }
}

fn samples(of: ValueType) -> &'static [&'static str] {
    match of {
        ValueType::Any | ValueType::Bool | ValueType::Int | ValueType::Number => &[""],
        ValueType::Date => &[
            "2026-08-01",
            "2024-02-29",
            "2023-02-29",
            "2026-8-1",
            "2026-13-01",
            "2026-08-01Z",
        ],
        ValueType::DateTime => &[
            "2026-08-01T08:02:00Z",
            "2026-08-01T08:02:00.123+02:00",
            "2026-08-01T08:02:00",
            "2026-08-01T24:00:00Z",
            "2026-02-30T08:00:00Z",
            "2026-08-01",
        ],
        ValueType::Lang => &[
            "nl",
            "nl-NL",
            "n",
            "nl_NL",
            "",
            "sr-Latn-RS",
            "nl-",
            "Noor",
            "Noor-van-Dijk",
            "nl-jansen",
            "nl-99999000-1",
            "nl-99999000",
            "de-1996",
        ],
        ValueType::Slug => &["07", "groep-3.a_B", "", "groep 3", "é", "a/b"],
        ValueType::Url => &[
            "https://school.example/a?b#c",
            "http://school.example",
            "ftp://school.example/",
            "https://user@school.example/",
            "/users/1",
            "https://",
            "javascript:alert(1)",
        ],
        ValueType::Uuid => &[
            "7d1f8a52-3f0c-4a5e-9b7e-0c9b3f1e2d44",
            "7D1F8A52-3F0C-4A5E-9B7E-0C9B3F1E2D44",
            "7d1f8a523f0c4a5e9b7e0c9b3f1e2d44",
            "{7d1f8a52-3f0c-4a5e-9b7e-0c9b3f1e2d44}",
            "7d1f8a52-3f0c-4a5e-9b7e-0c9b3f1e2d4g",
        ],
    }
}
