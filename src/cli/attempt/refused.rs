//! Why a request or a message would be refused: words for people, a document for programs.

use serde_json::{Value, json};

use crate::cli::out::{Exit, Format, Out};
use crate::policy::{Index, Policy, Rule, Shape, ShapeBody};
use crate::refusal::{JsonFault, Refusal};

/// What would be refused, and what to do about it.
pub(super) struct Refused {
    /// What would be: the request, before anything of a message is read, or the message.
    what: &'static str,
    refusal: Refusal,
    place: Option<Place>,
    help: Option<String>,
    /// What people are told besides.
    more: String,
}

/// Where in a message a fault is, counted from 1; the byte from 0.
struct Place {
    line: usize,
    column: usize,
    byte: usize,
}

impl Refused {
    /// A request that no route takes.
    pub(super) const fn request(refusal: Refusal, help: Option<String>, more: String) -> Self {
        Self {
            what: "request",
            refusal,
            place: None,
            help,
            more,
        }
    }

    /// A message with a fault, for the person who has the file open.
    pub(super) fn message(refusal: Refusal, message: &[u8]) -> Self {
        Self {
            what: "message",
            refusal,
            place: refusal.at().map(|at| Place::of(at, message)),
            help: help(refusal, message).map(str::to_owned),
            more: String::new(),
        }
    }

    /// Says which form the route declares, where the message has another.
    pub(super) fn expecting(self, policy: &Policy, rule: Rule) -> Self {
        let is_form = self.refusal == Refusal::BodyOfAnotherShape;
        let help = is_form.then(|| format!("this route declares {}", form(policy, rule)));
        Self {
            help: help.or(self.help),
            ..self
        }
    }

    pub(super) fn show(&self, format: Format, out: &mut Out) -> Exit {
        match format {
            Format::Json => out.json(&self.document()),
            Format::Text => out.tell(&self.text()),
        }
        Exit::Input
    }

    fn document(&self) -> Value {
        json!({
            "refused": self.what,
            "code": self.refusal.code(),
            "title": self.refusal.title(),
            "message": self.refusal.words(),
            "line": self.place.as_ref().map(|place| place.line),
            "column": self.place.as_ref().map(|place| place.column),
            "byte": self.place.as_ref().map(|place| place.byte),
            "help": self.help,
        })
    }

    fn text(&self) -> String {
        let (title, words) = (self.refusal.title(), self.refusal.words());
        let is_said_twice = [title, words].iter().all(|it| it.starts_with("the body "));
        let is_of_query = matches!(self.refusal, Refusal::QueryInvalid { .. });
        let words = match title == words || is_said_twice || is_of_query {
            true => words.to_owned(),
            false => format!("{title}: {words}"),
        };
        let (what, code) = (self.what, self.refusal.code());
        let place = self.place.as_ref().map(|Place { line, column, byte }| {
            format!(", at line {line}, column {column} (byte {byte})")
        });
        let help = self.help.as_ref().map(|help| format!("\nhelp: {help}"));
        format!(
            "this {what} would be refused: {words} ({code}){}{}{}",
            place.unwrap_or_default(),
            help.unwrap_or_default(),
            self.more
        )
    }
}

impl Place {
    fn of(at: u64, message: &[u8]) -> Self {
        let byte = usize::try_from(at).unwrap_or(usize::MAX).min(message.len());
        let before = message.get(..byte).unwrap_or_default();
        let ends = before.iter().filter(|byte| **byte == b'\n');
        let start = before.iter().rposition(|byte| *byte == b'\n');
        let start = start.map_or(0, |end| end.saturating_add(1));
        Self {
            line: ends.count().saturating_add(1),
            column: before.len().saturating_sub(start).saturating_add(1),
            byte,
        }
    }
}

/// Fields of an object that are named; the rest is counted.
const FIELDS_SHOWN_MAX: usize = 6;

/// The form of a whole message, in words.
fn form(policy: &Policy, rule: Rule) -> String {
    match rule {
        Rule::List(_) => format!("a list: [{}, …]", items(policy, rule)),
        Rule::ListOrOne(_) => format!("a list, or one item of it: {}", items(policy, rule)),
        Rule::Object(shape) => format!("an object: {}", object(policy, shape)),
        Rule::Blank
        | Rule::Constant(_)
        | Rule::Derived { .. }
        | Rule::Drop
        | Rule::Generalise(_)
        | Rule::Identifier(_)
        | Rule::Keep(_)
        | Rule::KeepAll
        | Rule::Link(_)
        | Rule::Nested(_)
        | Rule::Template(_) => "another one".to_owned(),
    }
}

fn items(policy: &Policy, rule: Rule) -> String {
    let inside = rule.inside().map(|shape| object(policy, shape));
    inside.unwrap_or_else(|| "…".to_owned())
}

/// `{ "users": …, "total": … }`, as it is written in JSON.
fn object(policy: &Policy, shape: Index<Shape>) -> String {
    let Some(ShapeBody::Fields(fields)) = policy.shape(shape).map(|shape| &shape.body) else {
        return "{ … }".to_owned();
    };
    let lines = fields.lines();
    let shown = lines.iter().take(FIELDS_SHOWN_MAX);
    let mut text: Vec<String> = shown.map(|line| format!("\"{}\": …", line.key)).collect();
    if lines.is_empty() || lines.len() != text.len() {
        text.push("…".to_owned());
    }
    format!("{{ {} }}", text.join(", "))
}

/// What to do about a file that is no JSON at all.
fn help(refusal: Refusal, message: &[u8]) -> Option<&'static str> {
    match (refusal, message.trim_ascii_start()) {
        (
            Refusal::BodyMalformed {
                fault: JsonFault::ByteOrderMark,
                ..
            },
            _,
        ) => Some("save the file as UTF-8 without a byte order mark"),
        (Refusal::BodyMalformed { .. }, [first, ..]) if !b"{[".contains(first) => {
            Some("this is no JSON: a message begins with { or [")
        }
        (Refusal::NextPageLost { fault }, _) => Some(fault.words()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Field, Fields, Item, Unlisted};

    #[test]
    fn the_form_of_a_message_is_said_as_json_has_it() {
        let shape = |names: &[&str]| {
            let line = |name: &&str| Field {
                key: (*name).into(),
                rule: Rule::KeepAll,
            };
            let lines = names.iter().map(line).collect();
            Shape {
                name: "S".to_owned(),
                body: ShapeBody::Fields(Fields::new(lines, None, Unlisted::Drop).into()),
            }
        };
        let few = shape(&["users"]);
        let many = shape(&["a", "b", "c", "d", "e", "f", "g"]);
        let policy = Policy {
            shapes: vec![few, many, shape(&[])],
            ..Policy::default()
        };
        let [few, many, none] = [0, 1, 2].map(|place| Index::new(place).unwrap());
        for (rule, words) in [
            (Rule::Object(few), "an object: { \"users\": … }"),
            (Rule::Object(none), "an object: { … }"),
            (
                Rule::List(Item::Object(few)),
                "a list: [{ \"users\": … }, …]",
            ),
            (
                Rule::ListOrOne(Item::Object(none)),
                "a list, or one item of it: { … }",
            ),
            (
                Rule::Object(many),
                "an object: { \"a\": …, \"b\": …, \"c\": …, \"d\": …, \"e\": …, \"f\": …, … }",
            ),
        ] {
            assert_eq!(form(&policy, rule), words);
        }
    }
}
