//! What stands beside a word: value rules, constants, and how much of a value is said.

use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use super::Compiler;
use super::words::split;
use crate::config::{At, Place, Problem, Table, Value, code, shown};
use crate::limits;
use crate::policy::{Constant, DateForm, Generaliser, Keep, Rule, ValueRules};

impl<'d> Compiler<'d, '_> {
    /// `one-of`, `max` and `like`, of which there may be none.
    pub(super) fn kept(&mut self, table: &Table<'d>, keep: Keep) -> Option<Keep> {
        let one_of = table.value("one-of").map(|it| self.one_of(&it));
        let max = table
            .integer("max", self.problems)
            .map(|it| self.positive(&it));
        let like = table
            .text("like", self.problems)
            .map(|it| self.expression(&it));
        if one_of.is_none() && max.is_none() && like.is_none() {
            return Some(keep);
        }
        let rules = ValueRules {
            one_of: one_of.flatten(),
            chars_max: max.flatten(),
            like: like.flatten(),
        };
        let number = number_of(&mut self.policy.value_rules, rules, same_rules);
        let rules = self.numbered(number, "value rules", &table.place())?;
        Some(Keep {
            of: keep.of,
            rules: Some(rules),
        })
    }

    /// The values that may pass, each as the JSON text of it.
    fn one_of(&mut self, value: &Value<'d>) -> Option<Box<[Box<str>]>> {
        let mut words: Vec<Box<str>> = Vec::new();
        for item in value.array(self.problems)? {
            if let Some(json) = item.json_scalar(self.problems) {
                words.push(json.value.into());
            }
        }
        if words.is_empty() {
            let message = "`one-of` needs one value at least";
            self.problems
                .push(Problem::error(code::VALUE, message).at(&value.place()));
        }
        Some(words.into())
    }

    /// A bound that lets one character through at least.
    fn positive(&mut self, number: &At<i64>) -> Option<usize> {
        let value = usize::try_from(number.value).ok().filter(|it| *it > 0);
        if value.is_none() {
            let message = "this must be 1 or more";
            self.problems
                .push(Problem::error(code::VALUE, message).at(&number.place));
        }
        value
    }

    /// An expression that must match a value as a whole.
    fn expression(&mut self, text: &At<&'d str>) -> Option<Arc<Regex>> {
        // Alone first: `a)|(b` would be fine between our own brackets.
        let built = |expression: &str| {
            let mut builder = RegexBuilder::new(expression);
            builder.size_limit(limits::LIKE_BYTES_MAX).build()
        };
        let compile = || {
            built(text.value)?;
            built(&format!(r"\A(?:{})\z", text.value))
        };
        let fault = match self.expressions.of(text.value, compile) {
            Ok(whole) => return Some(whole),
            Err(fault) => fault,
        };
        let why = if let regex::Error::CompiledTooBig(most) = fault {
            format!("it would take more than {most} bytes")
        } else {
            let text = fault.to_string();
            text.lines().last().unwrap_or_default().trim().to_owned()
        };
        let message = "this is not a regular expression that can be used";
        self.problems.push(
            Problem::error(code::VALUE, message)
                .at(&text.place)
                .label(why),
        );
        None
    }

    /// `value`: one text, whole number or truth value.
    pub(super) fn constant(&mut self, table: &Table<'d>) -> Option<Rule> {
        let value = table.need("value", self.problems)?;
        let json = value.json_scalar(self.problems)?.value.into_bytes().into();
        let constant = Constant { json };
        let number = number_of(&mut self.policy.constants, constant, PartialEq::eq);
        self.numbered(number, "constants", &value.place())
            .map(Rule::Constant)
    }

    /// `to`: the step that numbers are rounded to.
    pub(super) fn round(&mut self, table: &Table<'d>) -> Option<Rule> {
        let to = table.need("to", self.problems)?.integer(self.problems)?;
        let Some(step) = u32::try_from(to.value).ok().filter(|step| *step > 0) else {
            let message = format!("{} must be 1 to {}", shown("to"), u32::MAX);
            self.problems
                .push(Problem::error(code::VALUE, message).at(&to.place));
            return None;
        };
        self.generalise(Generaliser::Round(step), &to.place)
    }

    /// `edges`: where one band ends and the next begins.
    pub(super) fn band(&mut self, table: &Table<'d>) -> Option<Rule> {
        let value = table.need("edges", self.problems)?;
        let mut edges: Vec<i64> = Vec::new();
        for item in value.array(self.problems)? {
            edges.push(item.integer(self.problems)?.value);
        }
        if edges.is_empty() || !edges.is_sorted_by(|left, right| left < right) {
            let message = "`edges` must rise, and be one at least";
            self.problems
                .push(Problem::error(code::VALUE, message).at(&value.place()));
            return None;
        }
        self.generalise(Generaliser::Band(edges.into()), &value.place())
    }

    /// `form`: what a year, month or school year is written as.
    pub(super) fn dated(&mut self, table: &Table<'d>, word: &At<&'d str>) -> Option<Rule> {
        let form = match table.text("form", self.problems) {
            None => DateForm::Short,
            Some(form) if form.value == "date" => DateForm::FirstDay,
            Some(form) => {
                self.no_such("form", form.value, &form.place, &["date"]);
                return None;
            }
        };
        let generaliser = match split(word.value).0 {
            "month" => Generaliser::Month(form),
            "school-year" => Generaliser::SchoolYear(form),
            _ => Generaliser::Year(form),
        };
        self.generalise(generaliser, &word.place)
    }

    /// A word that says less, as a rule.
    pub(super) fn generalise(&mut self, generaliser: Generaliser, place: &Place) -> Option<Rule> {
        let number = number_of(&mut self.policy.generalisers, generaliser, PartialEq::eq);
        self.numbered(number, "generalising words", place)
            .map(Rule::Generalise)
    }
}

/// Whether two let the same values through, as they are written.
pub(super) fn same_rules(one: &ValueRules, other: &ValueRules) -> bool {
    let like = |rules: &ValueRules| rules.like.as_ref().map(|it| it.as_str().to_owned());
    (&one.one_of, one.chars_max, like(one)) == (&other.one_of, other.chars_max, like(other))
}

/// The number of a part: that of the same one if it is there, else of a new one. No more are kept
/// than can be numbered.
pub(super) fn number_of<T>(parts: &mut Vec<T>, part: T, same: impl Fn(&T, &T) -> bool) -> usize {
    let known = parts.iter().position(|known| same(known, &part));
    let number = known.unwrap_or(parts.len());
    if known.is_none() && number < limits::POLICY_PARTS_MAX {
        parts.push(part);
    }
    number
}
